import { describe, expect, it } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { tryAgainAfter } from '../../../src/esp/inbox.js'
import { testStart } from '../../support/app.js'
import { expectCountsToHold } from '../../support/recount.js'
import { skipBackoff } from '../buttondown/connected.js'
import { aConnectedOctopus, type ConnectedOctopus, webhookSecret } from './connected.js'

const minute = 60_000
const hour = 60 * minute
const sentAt = testStart - 2 * hour

/** A campaign that went to three people, all of it known here. */
async function aSyncedApp(options: Parameters<typeof aConnectedOctopus>[0] = {}) {
  const app = await aConnectedOctopus(options)
  const list = app.world.addList({ name: 'Weekly letter', at: testStart - 1000 * hour })
  const people = ['ada', 'ben', 'cleo'].map((name) =>
    app.world.addContact(list, { email: `${name}@fernmail.example`, at: testStart - 900 * hour }),
  )
  const campaign = app.world.addCampaign({ subject: 'One', lists: [list], at: sentAt - hour, sentAt })
  await app.sync()
  return { ...app, list, people, campaign, ada: people[0]!, ben: people[1]!, cleo: people[2]! }
}

const inbox = (app: ConnectedOctopus) =>
  app.db.selectFrom('inbox').select(['key', 'event_type', 'state', 'reason']).orderBy('id').execute()
const deeds = async (app: ConnectedOctopus) =>
  (
    await app.db
      .selectFrom('engagements')
      .select(['kind', 'happened_at', 'mailing_id', 'provider_id'])
      .where('kind', '>', 1)
      .orderBy('happened_at')
      .execute()
  ).map(({ kind, ...row }) => ({ kind: engagementKind(kind), ...row }))
const statuses = async (app: ConnectedOctopus) =>
  Object.fromEntries(
    (
      await app.db
        .selectFrom('subscriptions')
        .innerJoin('contacts', 'contacts.id', 'contact_id')
        .select(['email', 'subscriptions.status'])
        .execute()
    ).map(({ email, status }) => [email.split('@')[0], status]),
  )

describe('a delivery of EmailOctopus', () => {
  it('is let in with a right signature alone, and what is refused is remembered', async () => {
    const app = await aSyncedApp()
    const happening = app.world.open(app.campaign, app.ada, { at: testStart })
    const body = app.standIn.body([happening])
    const post = () => app.http.post('/webhooks/emailoctopus').set('Content-Type', 'application/json')
    await post().send(body).expect(401)
    await post().set('EmailOctopus-Signature', 'sha256=00').send(body).expect(401)
    await post()
      .set(app.standIn.signature(`${body} `, webhookSecret))
      .send(body)
      .expect(401)
    expect(await inbox(app)).toEqual([])
    expect(app.emailOctopus.refusals.of('emailoctopus')).toMatchObject([
      { reason: 'its signature is not made with our signing key', type: 'contact.opened' },
      {},
      { reason: 'it was not signed', signed: false },
    ])
    for (const wrong of ['{"type":"contact.opened"}', 'no json', `[${'{},'.repeat(1000)}{}]`])
      await app.deliver([], wrong).expect(400)
    await app.deliver([happening]).expect(200)
    expect((await inbox(app)).length).toBe(1)
  })

  it('is refused as long as there is no secret', async () => {
    const app = await aConnectedOctopus({ env: { EMAILOCTOPUS_WEBHOOK_SECRET: '' } })
    const answer = await app.deliver([], '[]').expect(401)
    expect(answer.body.message).toContain('no signing key is configured here')
  })

  it('of a thousand events with one that is wrong brings the other 999', async () => {
    const app = await aSyncedApp()
    const readers = Array.from({ length: 99 }, (_, index) =>
      app.world.addContact(app.list, { email: `reader-${index}@fernmail.example` }),
    )
    const happenings = Array.from({ length: 999 }, (_, index) =>
      app.world.open(app.campaign, readers[index % 99]!, { at: testStart - hour + index * 3_000 }),
    )
    const body = JSON.parse(app.standIn.body(happenings))
    body.splice(500, 0, { type: 7, nonsense: true })
    await app.deliver([], JSON.stringify(body)).expect(200)
    await app.read()
    const rows = await inbox(app)
    expect(rows.length).toBe(1000)
    expect(rows.filter(({ state }) => state === 'done').length).toBe(999)
    expect(rows.filter(({ state }) => state === 'kept')).toMatchObject([{ event_type: 'unreadable' }])
    expect((await deeds(app)).length).toBe(999)
    await expectCountsToHold(app.db)
  })

  it('counts once however often it comes, and whichever of webhook and report tells it first', async () => {
    const app = await aSyncedApp()
    const early = app.world.open(app.campaign, app.ada, { at: testStart - 30 * minute })
    await app.deliver([early]).expect(200)
    await app.deliver([early]).expect(200)
    await app.read()
    const late = app.world.click(app.campaign, app.ben, { at: testStart - 20 * minute })
    app.clock.pass(2 * hour)
    await app.sync('manual')
    await app.deliver([late, early]).expect(200)
    await app.read()
    expect(await deeds(app)).toEqual([
      { kind: 'opened', happened_at: early.at, mailing_id: expect.any(Number), provider_id: early.id },
      { kind: 'clicked', happened_at: late.at, mailing_id: expect.any(Number), provider_id: late.id },
    ])
    await expectCountsToHold(app.db)
  })

  it('tells of people as it tells of their deeds: each type changes what it says', async () => {
    const app = await aSyncedApp()
    const { world, list, campaign, ada, ben, cleo } = app
    const dora = world.addContact(list, {
      email: 'dora@fernmail.example',
      at: testStart + minute,
      fields: { FirstName: 'Dora' },
      tags: ['vip'],
    })
    await app.deliver(world.happenings.slice(-1)).expect(200)
    await app.deliver([
      world.bounce(campaign, ada, { at: testStart + 2 * minute }),
      world.unsubscribe(campaign, ben, { at: testStart + 3 * minute }),
      world.complain(campaign, cleo, { at: testStart + 4 * minute }),
      world.updateContact(dora, { fields: { FirstName: 'Theodora' } }, { at: testStart + 5 * minute }),
    ])
    await app.read()
    expect(await statuses(app)).toEqual({
      // Whether a bounce was hard or soft, no event tells.
      ada: 'subscribed',
      ben: 'unsubscribed',
      cleo: 'complained',
      dora: 'subscribed',
    })
    expect((await deeds(app)).map(({ kind }) => kind)).toEqual(['bounced', 'unsubscribed', 'complained'])
    const person = await app.db
      .selectFrom('contacts')
      .select(['name', 'source'])
      .where('email', '=', dora.email)
      .executeTakeFirst()
    expect(person).toEqual({ name: 'Theodora', source: 'emailoctopus' })
    // The API calls three of them unsubscribed; what is known of each tells them apart.
    app.clock.pass(hour)
    await app.sync('manual')
    expect(await statuses(app)).toEqual({
      ada: 'bounced',
      ben: 'unsubscribed',
      cleo: 'complained',
      dora: 'subscribed',
    })
    await app.deliver([world.deleteContact(dora, { at: app.clock.at })]).expect(200)
    await app.read()
    expect((await statuses(app)).dora).toBe('removed')
    expect((await inbox(app)).every(({ state }) => state === 'done')).toBe(true)
    await expectCountsToHold(app.db)
  })

  it('that is older than what is known does not bring back who has left', async () => {
    const app = await aSyncedApp()
    const { world, ada } = app
    const before = world.updateContact(ada, { fields: { FirstName: 'Ada' } }, { at: testStart + minute })
    const left = world.unsubscribe(null, ada, { at: testStart + 2 * minute })
    await app.deliver([left]).expect(200)
    await app.read()
    await app.deliver([before]).expect(200)
    await app.read()
    expect((await statuses(app)).ada).toBe('unsubscribed')
  })

  it('about a campaign nobody has heard of asks for it, and waits where that cannot be had', async () => {
    skipBackoff()
    const app = await aSyncedApp()
    const { world, standIn, list, ada } = app
    const next = world.addCampaign({ subject: 'Two', lists: [list], at: testStart, sentAt: testStart })
    standIn.weather.faults = 1
    await app.deliver([world.open(next, ada, { at: testStart + minute })]).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'waiting', reason: expect.stringContaining('EmailOctopus') },
    ])
    expect(await deeds(app)).toMatchObject([{ kind: 'opened', mailing_id: null }])
    standIn.weather.faults = 0
    app.clock.pass(tryAgainAfter[0]! + 1)
    await app.read()
    expect(await inbox(app)).toMatchObject([{ state: 'done', reason: null }])
    expect(await deeds(app)).toMatchObject([{ kind: 'opened', mailing_id: expect.any(Number) }])
    await expectCountsToHold(app.db)
  })

  it('about a campaign without a key to ask with is kept, tried again, and completed when there is one', async () => {
    const app = await aConnectedOctopus({ env: { EMAILOCTOPUS_API_KEY: '' } })
    const list = app.world.addList({ name: 'Weekly letter' })
    const ada = app.world.addContact(list, { email: 'ada@fernmail.example' })
    const campaign = app.world.addCampaign({ subject: 'One', lists: [list], sentAt })
    await app.deliver([app.world.open(campaign, ada, { at: testStart })]).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'waiting', reason: expect.stringContaining('no API key for EmailOctopus') },
    ])
    for (const pause of tryAgainAfter) {
      app.clock.pass(pause + 1)
      await app.read()
    }
    expect(await inbox(app)).toMatchObject([{ state: 'failed' }])
    await app.emailOctopus.apiKey.save(app.standIn.key)
    // The environment's empty key is none, so the one that was entered counts.
    expect(await app.emailOctopus.tryAgain(null)).toBe(1)
    await app.read()
    expect(await inbox(app)).toMatchObject([{ state: 'done' }])
    expect(await deeds(app)).toMatchObject([{ kind: 'opened', mailing_id: expect.any(Number) }])
  })

  it('that tells nobody fails with a sentence', async () => {
    const app = await aSyncedApp()
    const [event] = JSON.parse(app.standIn.body([app.world.open(app.campaign, app.ada, { at: testStart })]))
    const stranger = { ...event, id: 'x', contact_id: 'nobody-knows', contact_email_address: null }
    await app.deliver([], JSON.stringify([stranger])).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'failed', reason: 'It does not tell whom it is about.' },
    ])
  })
})
