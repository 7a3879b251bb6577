import Sqlite from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { canonicalId } from '../../../src/esp/buttondown/ids.js'
import { readTypes } from '../../../src/esp/buttondown/reading.js'
import { tryAgainAfter } from '../../../src/esp/inbox.js'
import { aFolder, type TestApp, testApp, testStart } from '../../support/app.js'
import { aCampaign, anEvent } from '../../support/builders.js'
import { startButtondown, typeId } from '../../support/buttondown.js'
import type {
  ButtondownWorld,
  Happening,
  WorldEmail,
  WorldSubscriber,
} from '../../support/buttondown-world.js'
import { expectCountsToHold } from '../../support/recount.js'
import { aConnectedApp, type ConnectedApp, signingKey, skipBackoff } from './connected.js'

const minute = 60_000
const now = () => testStart

/** The test vector of our reference. */
const vector = {
  body: '{"id":"ext_evt_0k28edc3fw896bp4mrhc535z5k","event_type":"subscriber.clicked","data":{"newsletter":"497f6eca-6276-4993-bfeb-53cbbbba6f08","subscriber":"13121cd6-0dfc-424c-bb12-988b0a32fcb3"}}',
  header: 'sha256=4d1d136fb4e484922b08d1f4a6609d6e187ef558ca4aa8df82f1438c2cf4ecb8',
}
const withKey = { BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey }

const post = (app: Pick<TestApp, 'http'>, body: string | Buffer, header?: string) =>
  app.http
    .post('/webhooks/buttondown')
    .set('Content-Type', 'application/json')
    .set(header === undefined ? {} : { 'X-Buttondown-Signature': header })
    .send(body)

async function sign(body: string) {
  const { createHmac } = await import('node:crypto')
  return `sha256=${createHmac('sha256', signingKey).update(body).digest('hex')}`
}

const inbox = ({ db }: Pick<TestApp, 'db'>) => db.selectFrom('inbox').selectAll().orderBy('id').execute()
const states = async (app: Pick<TestApp, 'db'>) => (await inbox(app)).map(({ state }) => state)
const engagements = async ({ db }: Pick<TestApp, 'db'>) =>
  (
    await db
      .selectFrom('engagements')
      .leftJoin('mailings', 'mailings.id', 'mailing_id')
      .leftJoin('links', 'links.id', 'link_id')
      .select([
        'kind',
        'happened_at',
        'exact',
        'engagements.provider_id',
        'mailings.name',
        'links.url',
        'contact_id',
      ])
      .orderBy('engagements.id')
      .execute()
  ).map(({ kind, ...row }) => ({ ...row, kind: engagementKind(kind) }))

describe('the door', () => {
  it('takes the signed delivery of the reference, and reads it afterwards', async () => {
    const app = await testApp({ env: withKey })
    const { body } = await post(app, vector.body, vector.header).expect(200)
    expect(body).toEqual({ status: 'ok' })
    const [row] = await inbox(app)
    expect(row).toMatchObject({
      provider: 'buttondown',
      key: '13121cd6-0dfc-424c-bb12-988b0a32fcb3',
      event_type: 'subscriber.clicked',
      received_at: testStart,
    })
    expect(Buffer.from(row!.body!).toString()).toBe(vector.body)
    expect(app.buttondown.refusals.of('buttondown')).toEqual([])
  })

  it.each([
    ['without a signature', undefined, 'it was not signed', false],
    ['with a wrong one', `sha256=${'0'.repeat(64)}`, 'its signature is not made with our signing key', true],
    ['with one that is none', 'sha256=', 'its signature is not made with our signing key', true],
  ])('refuses a delivery %s, and shows that it came', async (_, header, reason, signed) => {
    const app = await testApp({ env: withKey })
    const { body } = await post(app, vector.body, header).expect(401)
    expect(body).toEqual({ error: 'unauthorized', message: `This delivery was refused: ${reason}.` })
    expect(app.buttondown.refusals.of('buttondown')).toEqual([
      { at: testStart, provider: 'buttondown', reason, signed, type: 'subscriber.clicked' },
    ])
    expect(await inbox(app)).toEqual([])
  })

  it('refuses a delivery that was tampered with', async () => {
    const app = await testApp({ env: withKey })
    await post(app, vector.body.replace('clicked', 'clickeD'), vector.header).expect(401)
    await post(app, `${vector.body}\n`, vector.header).expect(401)
    await post(app, '', vector.header).expect(401)
    expect(app.buttondown.refusals.of('buttondown').map(({ type }) => type)).toEqual([
      null,
      'subscriber.clicked',
      null,
    ])
    expect(await inbox(app)).toEqual([])
  })

  it('refuses everything as long as there is no signing key', async () => {
    const app = await testApp()
    await post(app, vector.body, vector.header).expect(401)
    expect(app.buttondown.refusals.of('buttondown')[0]!.reason).toBe('no signing key is configured here')
    await app.buttondown.signingKey.save(signingKey)
    await post(app, vector.body, vector.header).expect(200)
  })

  it('remembers no more than fifty refusals', async () => {
    const app = await testApp({ env: withKey })
    for (let index = 0; index < 51; index++) {
      app.clock.pass(1)
      await post(app, '{}').expect(401)
    }
    const kept = app.buttondown.refusals.of('buttondown')
    expect(kept.length).toBe(50)
    expect(kept[0]!.at).toBe(testStart + 51)
  })

  it('refuses more than 10 MB', async () => {
    const app = await testApp({ env: withKey })
    const { body } = await post(app, 'x'.repeat(10 * 1024 * 1024 + 1), vector.header).expect(413)
    expect(body.details.body).toBe('A delivery is 10 MB at the most.')
  })

  it.each([
    ['no JSON', 'event_type=subscriber.clicked'],
    ['nothing', ''],
    ['an array', `[${vector.body}]`],
    ['without data', '{"id":"a","event_type":"subscriber.opened"}'],
    ['with data that is no object', '{"event_type":"subscriber.opened","data":"x"}'],
    ['without a type', '{"data":{}}'],
    ['with an id that is none', '{"id":7,"event_type":"subscriber.opened","data":{}}'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')],
  ])('answers 400 to what is %s', async (_, text) => {
    const app = await testApp({ env: withKey })
    const { body } = await post(app, text, await sign(text)).expect(400)
    expect(body.error).toBe('validation_error')
    expect(app.buttondown.refusals.of('buttondown')).toMatchObject([{ signed: true, type: null }])
    expect(await inbox(app)).toEqual([])
  })

  it('answers 400 to a body that breaks off inside its compression', async () => {
    const app = await testApp({ env: withKey })
    await post(app, 'no gzip', vector.header).set('Content-Encoding', 'gzip').expect(400)
  })

  it('keeps a delivery once, whichever way its id is spelled', async () => {
    const app = await testApp({ env: withKey })
    const id = '13121cd6-0dfc-424c-bb12-988b0a32fcb3'
    for (const spelled of [id, id.toUpperCase(), typeId('ext_evt', id), `ext_evt_${id}`]) {
      const body = JSON.stringify({ id: spelled, event_type: 'date.day.started', data: {} })
      await post(app, body, await sign(body)).expect(200)
    }
    expect((await inbox(app)).map(({ key }) => key)).toEqual([id])
  })

  it('keeps a delivery without an id once by its body, and one with an odd id by that', async () => {
    const app = await testApp({ env: withKey })
    const bodies = ['{"event_type":"x.y","data":{}}', '{"event_type":"x.y","data":{"n":1}}']
    for (const body of [...bodies, ...bodies, '{"id":"odd","event_type":"x.y","data":{}}'])
      await post(app, body, await sign(body)).expect(200)
    const keys = (await inbox(app)).map(({ key }) => key)
    expect(keys.length).toBe(3)
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(keys[2]).toBe('odd')
  })

  it('takes an id that is empty as one that is left out', async () => {
    const app = await testApp({ env: withKey })
    for (const id of [null, '']) {
      const body = JSON.stringify({ id, event_type: 'x.y', data: {} })
      for (let time = 0; time < 2; time++) await post(app, body, await sign(body)).expect(200)
    }
    const keys = (await inbox(app)).map(({ key }) => key)
    expect(keys).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), expect.stringMatching(/^[0-9a-f]{64}$/)])
  })

  it('keeps types that nobody here reads, and leaves them alone', async () => {
    const app = await testApp({ env: withKey })
    for (const type of ['survey.updated', 'shopify.customer.created', 'a.type.of.tomorrow']) {
      const body = JSON.stringify({ id: type, event_type: type, data: { subscriber: 'x' } })
      await post(app, body, await sign(body)).expect(200)
    }
    await app.buttondown.deliveries.run()
    expect(await inbox(app)).toMatchObject([
      { state: 'kept', try_at: null, tries: 0 },
      { state: 'kept' },
      { state: 'kept' },
    ])
  })

  it('keeps no address of somebody who was erased in what nobody here reads', async () => {
    const app = await testApp({ env: withKey })
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid, email: 'ada@fernmail.example' })
    const { id } = await app.db.selectFrom('contacts').select('id').executeTakeFirstOrThrow()
    await app.audience.erase(id)
    for (const email of ['Ada@fernmail.example', 'ben@fernmail.example']) {
      const body = JSON.stringify({ event_type: 'a.type.of.tomorrow', data: { email, plan: 'gold' } })
      await post(app, body, await sign(body)).expect(200)
    }
    const bodies = (await app.db.selectFrom('inbox').select('body').orderBy('id').execute()).map(({ body }) =>
      Buffer.from(body!).toString(),
    )
    expect(bodies[0]!.toLowerCase()).not.toContain('"email":"ada')
    expect(bodies[0]).toContain('gold')
    expect(bodies[1]).toContain('ben@fernmail.example')
  })

  it('acknowledges nothing while too much waits to be written', async () => {
    const app = await testApp({ env: withKey, ledger: { capacity: 0 } })
    const answer = await post(app, vector.body, vector.header).expect(503)
    expect(answer.headers['retry-after']).toBe('5')
    expect(answer.body.error).toBe('unavailable')
    expect(await inbox(app)).toEqual([])
  })

  it('acknowledges nothing while another process holds the database, and takes it afterwards', async () => {
    const app = await testApp({ env: withKey, patience: 30 })
    const other = new Sqlite(app.path)
    other.exec('begin immediate')
    const answer = await post(app, vector.body, vector.header).expect(503)
    expect(answer.headers['retry-after']).toBe('5')
    other.exec('rollback')
    other.close()
    expect(await inbox(app)).toEqual([])
    await post(app, vector.body, vector.header).expect(200)
    expect((await inbox(app)).length).toBe(1)
  })

  it('tells whoever looks that it is there, and refuses other methods', async () => {
    const app = await testApp()
    const { body } = await app.http.get('/webhooks/buttondown').expect(200)
    expect(body.status).toBe('ok')
    await app.http.head('/webhooks/buttondown').expect(200)
    const refused = await app.http.put('/webhooks/buttondown').expect(405)
    expect(refused.headers.allow).toBe('POST, GET, HEAD')
  })
})

/** What happens at Buttondown, and what stands here once its delivery is read. */
interface Case {
  /** The type of the subscriber before. */
  type?: string
  act: (world: ButtondownWorld, subscriber: WorldSubscriber, email: WorldEmail) => Happening
  engagement?: string
  /** How the subscription stands, with an API key to ask with. */
  status?: string
  /** How it stands where nobody can be asked, if that differs. */
  statusAtItsWord?: string
  /** What of the contact has changed, with an API key. */
  contact?: Record<string, unknown>
  tags?: string[]
  mailing?: Record<string, unknown>
}

const at = testStart - 10 * minute
const stored = (
  type: Parameters<ButtondownWorld['addEvent']>[0]['type'],
  metadata: Record<string, string> = {},
  rest: Partial<Case> = {},
): Case => ({
  act: (world, subscriber, email) => world.addEvent({ type, subscriber, email, at, metadata }),
  engagement: type,
  ...rest,
})
const only = (type: string): Case => ({
  act: (world, subscriber, email) => world.happen(`subscriber.${type}`, { subscriber, email, at }),
  engagement: type,
})
const turned = (type: string, into: string, rest: Partial<Case> = {}): Case => ({
  act(world, subscriber) {
    subscriber.type = into
    subscriber.transitions.push({ at, type: into })
    return world.happen(`subscriber.${type}`, { subscriber, at })
  },
  ...rest,
})
/** Tells that something happened beside what is known of a subscriber, who is asked for and told as they are by then. */
const aside = (type: string): Case => ({
  act(world, subscriber) {
    subscriber.metadata = { first_name: type }
    return world.happen(`subscriber.${type}`, { subscriber, at })
  },
  contact: { name: type },
})
const emailIs = (type: string, change: Partial<WorldEmail>, mailing: Case['mailing']): Case => ({
  act(world, _, email) {
    Object.assign(email, change)
    return world.happen(`email.${type}`, { email, at })
  },
  mailing,
})

const cases: Record<string, Case> = {
  'subscriber.sent': only('sent'),
  'subscriber.deferred': only('deferred'),
  'subscriber.commented': only('commented'),
  'subscriber.delivered': stored('delivered'),
  'subscriber.opened': stored('opened', { os: 'iOS', browser: 'Safari' }),
  'subscriber.clicked': stored('clicked', { url: 'https://bindery.example/a' }),
  'subscriber.replied': stored('replied', { from: 'ada@fernmail.example', subject: 'Re: Issue' }),
  'subscriber.bounced': stored('bounced', { code: 'transient' }),
  'subscriber.rejected': stored(
    'rejected',
    { code: 'does_not_exist' },
    { status: 'bounced', statusAtItsWord: 'subscribed' },
  ),
  'subscriber.complained': stored('complained', {}, { status: 'complained' }),
  'subscriber.unsubscribed': stored('unsubscribed', {}, { status: 'unsubscribed' }),
  'subscriber.created': {
    type: 'unactivated',
    act: (world, subscriber) => world.happen('subscriber.created', { subscriber, at }),
    status: 'unconfirmed',
  },
  'subscriber.confirmed': {
    type: 'unactivated',
    act: (world, subscriber) => world.confirm(subscriber, { at }),
    status: 'subscribed',
  },
  'subscriber.updated': {
    act: (world, subscriber) =>
      world.update(subscriber, { metadata: { first_name: 'Ada', last_name: 'Byron' } }, { at }),
    contact: { name: 'Ada Byron' },
  },
  'subscriber.deleted': {
    act: (world, subscriber) => world.deleteSubscriber(subscriber, { at }),
    status: 'removed',
  },
  'subscriber.changed_email': {
    act: (world, subscriber) => world.changeEmail(subscriber, 'moved@fernmail.example', { at }),
    contact: { email: 'moved@fernmail.example' },
  },
  'subscriber.tags.changed': {
    act: (world, subscriber) => world.setTags(subscriber, ['press'], { at }),
    tags: ['press'],
  },
  'subscriber.type.changed': turned('type.changed', 'gifted'),
  'subscriber.paused': turned('paused', 'paused', { status: 'paused' }),
  'subscriber.resumed': turned('resumed', 'regular', { type: 'paused' }),
  'subscriber.paid': turned('paid', 'premium'),
  'subscriber.churned': turned('churned', 'churned'),
  'subscriber.trial_started': turned('trial_started', 'trialed'),
  'subscriber.trial_ended': turned('trial_ended', 'regular', { type: 'trialed' }),
  'subscriber.referred': aside('referred'),
  'subscriber.referred.paid': aside('referred.paid'),
  'subscriber.responded_to_survey': aside('responded_to_survey'),
  'subscriber.viewed_checkout_page': aside('viewed_checkout_page'),
  'email.created': emailIs('created', { status: 'about_to_send' }, { status: 'about_to_send' }),
  'email.send.started': emailIs('send.started', { status: 'in_flight' }, { status: 'in_flight' }),
  'email.sent': emailIs('sent', { status: 'sent', publishedAt: at }, { status: 'sent', sent_at: at }),
  'email.status.changed': emailIs('status.changed', { status: 'scheduled' }, { status: 'scheduled' }),
  'email.updated': emailIs('updated', { subject: 'A better subject' }, { name: 'A better subject' }),
  'email.deleted': emailIs('deleted', { status: 'deleted' }, { status: 'deleted' }),
}

async function aWorldFor(types: string[]) {
  const standIn = await startButtondown({ now })
  const subjects = new Map(
    types.map((type, index) => [
      type,
      {
        subscriber: standIn.world.addSubscriber({
          email: `${index}@fernmail.example`,
          type: cases[type]!.type ?? 'regular',
          at: testStart - 30 * 86_400_000,
          tags: ['beta'],
        }),
        email: standIn.world.addEmail({ subject: type, status: 'draft', at: testStart - 86_400_000 }),
      },
    ]),
  )
  return { standIn, subjects }
}

async function standingOf({ db }: ConnectedApp, type: string, subscriber: WorldSubscriber) {
  const contact = await db
    .selectFrom('contact_identities')
    .innerJoin('contacts', 'contacts.id', 'contact_id')
    .selectAll('contacts')
    .where('provider_id', '=', subscriber.id)
    .executeTakeFirstOrThrow()
  const tags = await db
    .selectFrom('contact_tags')
    .innerJoin('tags', 'tags.id', 'tag_id')
    .select('name')
    .where('contact_id', '=', contact.id)
    .execute()
  const [engagement] = (await engagements({ db })).filter((row) => row.contact_id === contact.id)
  const delivery = await db
    .selectFrom('inbox')
    .select(['state', 'reason', 'contact_id'])
    .where('event_type', '=', type)
    .executeTakeFirstOrThrow()
  return { contact, tags: tags.map(({ name }) => name), engagement, delivery }
}

describe('every type that is read', () => {
  it('is in the table below, and the other way round', () => {
    expect(Object.keys(cases).sort()).toEqual([...readTypes].sort())
  })

  it('is read with all that the API knows', async () => {
    const { standIn, subjects } = await aWorldFor(Object.keys(cases))
    const app = await aConnectedApp({ standIn })
    await app.sync()
    for (const [type, { subscriber, email }] of subjects)
      await app.deliver(cases[type]!.act(app.world, subscriber, email)).expect(200)
    await app.read()
    for (const [type, { subscriber, email }] of subjects) {
      const { engagement, status = 'subscribed', contact, tags = ['beta'], mailing } = cases[type]!
      const found = await standingOf(app, type, subscriber)
      expect({ type, ...found.delivery }).toEqual({
        type,
        state: 'done',
        reason: null,
        contact_id: type.startsWith('email.') ? null : found.contact.id,
      })
      expect({ type, status: found.contact.status }).toEqual({ type, status })
      expect({ type, ...found.contact }).toMatchObject({ type, ...contact })
      expect({ type, tags: found.tags }).toEqual({ type, tags })
      expect({ type, kind: found.engagement?.kind }).toEqual({ type, kind: engagement })
      const isStored = engagement !== undefined && !['sent', 'deferred', 'commented'].includes(engagement)
      // Deliveries tell neither when nor of which mailing: the event store does, of those that it holds.
      if (engagement)
        expect({ type, ...found.engagement }).toMatchObject({
          type,
          exact: isStored ? 1 : 0,
          happened_at: isStored ? at : testStart,
          name: isStored ? email.subject : null,
          url: engagement === 'clicked' ? 'https://bindery.example/a' : null,
        })
      if (mailing) {
        const row = await app.db
          .selectFrom('mailings')
          .selectAll()
          .where('provider_id', '=', email.id)
          .executeTakeFirst()
        expect({ type, ...row }).toMatchObject({ type, ...mailing })
      }
    }
    await expectCountsToHold(app.db)
    await standIn.close()
  })

  it('is taken at its word where there is no key to ask with', async () => {
    const { standIn, subjects } = await aWorldFor(Object.keys(cases))
    const dataDir = aFolder()
    const before = await aConnectedApp({ standIn, dataDir })
    await before.sync()
    await before.stop()
    const asked = standIn.requests.length

    const app = await testApp({ dataDir, env: { ...withKey, BUTTONDOWN_API_URL: standIn.url } })
    app.clock.pass(minute)
    for (const [type, { subscriber, email }] of subjects) {
      const body = standIn.body(cases[type]!.act(standIn.world, subscriber, email))
      await post(app, body, await sign(body)).expect(200)
    }
    await app.buttondown.deliveries.run()
    for (const [type, { subscriber }] of subjects) {
      const { engagement, status = 'subscribed', statusAtItsWord = status } = cases[type]!
      const found = await standingOf(app as unknown as ConnectedApp, type, subscriber)
      expect({ type, ...found.delivery }).toMatchObject({ type, state: 'done', reason: null })
      expect({ type, status: found.contact.status }).toEqual({ type, status: statusAtItsWord })
      expect({ type, kind: found.engagement?.kind }).toEqual({ type, kind: engagement })
      if (engagement) expect(found.engagement).toMatchObject({ exact: 0, happened_at: testStart + minute })
    }
    expect(standIn.requests.length).toBe(asked)
    await expectCountsToHold(app.db)
    await standIn.close()
  })

  it.each([
    { id: 'typeid', ids: 'uuid' },
    { id: 'uuid', ids: 'typeid' },
    { id: 'none', ids: 'typeid', email: true },
  ] as const)('is about the same people and mailings when ids are spelled as %o', async (shape) => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at: testStart - minute })
    const email = app.world.addEmail({ subject: 'Issue 1', at: testStart - minute })
    const opened = app.world.addEvent({ type: 'opened', subscriber, email })
    await app.deliver(opened, shape).expect(200)
    await app.read()
    await app.sync()
    expect(await engagements(app)).toMatchObject([
      { kind: 'opened', name: 'Issue 1', exact: 1, provider_id: opened.id },
    ])
    expect(await states(app)).toEqual(['done'])
  })

  it('is read with a prefix before a UUID, in nested objects, and under the names with _id', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at: testStart - minute })
    const email = app.world.addEmail({ subject: 'Issue 1', at: testStart - minute })
    const datas = [
      { subscriber: `sub_${subscriber.id}`, email: `em_${email.id}` },
      { subscriber: { id: typeId('sub', subscriber.id) }, email: { id: email.id } },
      { subscriber_id: subscriber.id.toUpperCase(), email_id: typeId('em', email.id) },
    ]
    for (const [index, data] of datas.entries()) {
      const body = JSON.stringify({
        id: `ext_evt_${app.world.newId()}`,
        event_type: 'subscriber.clicked',
        data: { ...data, link: `https://bindery.example/${index}`, timestamp: '2026-11-21T09:00:00+01:00' },
      })
      await post(app, body, await sign(body)).expect(200)
    }
    await app.read()
    expect(await engagements(app)).toMatchObject(
      datas.map((_, index) => ({
        kind: 'clicked',
        name: 'Issue 1',
        exact: 1,
        happened_at: Date.UTC(2026, 10, 21, 8),
        url: `https://bindery.example/${index}`,
      })),
    )
  })
})

describe('a delivery that cannot be resolved', () => {
  it('has failed after the last try, with its reason, and is tried again by hand', async () => {
    const app = await aConnectedApp({ now })
    const { world } = app
    const [subscriber, email] = [world.newId(), world.newId()]
    const opened = { id: world.newId(), at, type: 'subscriber.opened', subscriber, email, metadata: {} }
    const sent = { id: world.newId(), at, type: 'email.sent', subscriber: null, email, metadata: {} }
    await app.deliver(opened).expect(200)
    await app.deliver(sent).expect(200)
    for (const pause of tryAgainAfter) {
      await app.read()
      expect(await inbox(app)).toMatchObject([
        {
          state: 'waiting',
          reason: 'Buttondown knows no such subscriber. Test deliveries have made-up ids.',
          try_at: app.clock.now() + pause,
        },
        { state: 'waiting', reason: 'Buttondown does not know this email.', try_at: app.clock.now() + pause },
      ])
      app.clock.pass(pause - 1)
      await app.read()
      app.clock.pass(1)
    }
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'failed', tries: 6, try_at: null, settled_at: app.clock.now() },
      { state: 'failed', tries: 6 },
    ])
    expect(await engagements(app)).toEqual([])

    const known = world.addSubscriber({ email: 'ada@fernmail.example', id: subscriber, at })
    const mailing = world.addEmail({ subject: 'Issue 1', id: email, at })
    world.addEvent({ type: 'opened', subscriber: known, email: mailing, at, id: opened.id })
    const [first] = await inbox(app)
    expect(await app.buttondown.tryAgain(first!.id)).toBe(1)
    expect(await app.buttondown.tryAgain(null)).toBe(1)
    await app.read()
    expect(await states(app)).toEqual(['done', 'done'])
    expect(await engagements(app)).toMatchObject([{ kind: 'opened', name: 'Issue 1', happened_at: at }])
    expect(await app.buttondown.tryAgain(null)).toBe(0)
  })

  it('says what is missing where there is no API key and nobody was ever synced', async () => {
    const { standIn, subjects } = await aWorldFor([
      'subscriber.opened',
      'subscriber.unsubscribed',
      'subscriber.deleted',
      'subscriber.updated',
    ])
    const app = await testApp({ env: withKey })
    for (const [type, { subscriber, email }] of subjects) {
      const body = standIn.body(cases[type]!.act(standIn.world, subscriber, email))
      await post(app, body, await sign(body)).expect(200)
    }
    await app.buttondown.deliveries.run()
    const reason = expect.stringMatching(/^Nobody knows who this subscriber is/)
    expect(await inbox(app)).toMatchObject([
      { state: 'waiting', reason },
      { state: 'waiting', reason },
      { state: 'done' },
      { state: 'done' },
    ])
    await standIn.close()
  })

  it('keeps no internet address beyond what the privacy setting lets stay', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    const email = app.world.addEmail({ subject: 'Issue 1', at })
    const metadata = { ip_address: '198.51.100.77', os: 'iOS', code: 'kept' }
    const opened = app.world.addEvent({ type: 'opened', subscriber, email, at, metadata })
    await app.deliver(opened, { email: true, metadata: 'nested' }).expect(200)
    await app.read()
    const [row] = await app.db.selectFrom('engagements').select(['address', 'metadata', 'os']).execute()
    expect(row!.os).toBe('iOS')
    expect(row!.address).not.toContain('198.51')
    expect(JSON.parse(row!.metadata!)).toEqual({ code: 'kept' })
    const [delivery] = await app.db.selectFrom('inbox').select(['body', 'state']).execute()
    expect(delivery!.state).toBe('done')
    expect(Buffer.from(delivery!.body!).toString()).not.toContain('198.51')
  })

  it('makes no mailing of one that Buttondown does not know, and keeps the rest', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    const opened = {
      id: app.world.newId(),
      at,
      type: 'subscriber.opened',
      subscriber: subscriber.id,
      metadata: {},
    }
    await app.deliver({ ...opened, email: app.world.newId() }, { email: true }).expect(200)
    await app.read()
    expect(await app.db.selectFrom('mailings').select('id').execute()).toEqual([])
    expect(await engagements(app)).toMatchObject([{ kind: 'opened', name: null }])
  })

  it('is about nobody when it names nobody', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    const opened = app.world.addEvent({ type: 'opened', subscriber, at })
    const nameless = { ...opened, subscriber: null }
    await app.deliver(nameless).expect(200) // the event store knows
    await app.deliver({ ...nameless, id: app.world.newId(), type: 'subscriber.sent' }).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'done' },
      { state: 'failed', reason: 'It does not tell whom it is about.' },
    ])
    expect(await engagements(app)).toMatchObject([{ kind: 'opened', happened_at: at }])
  })

  it('does not keep the others from being read', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    await app.sync()
    const broken = new Sqlite(app.path)
    broken.exec(`create trigger broken before insert on engagements when new.kind = ${7}
      begin select raise(abort, 'a row that cannot be written'); end`)
    const clicked = app.world.addEvent({ type: 'clicked', subscriber, at })
    const opened = app.world.addEvent({ type: 'opened', subscriber, at })
    for (const happening of [clicked, opened]) await app.deliver(happening).expect(200)
    await app.db
      .insertInto('inbox')
      .values([
        {
          provider: 'buttondown',
          key: 'a',
          event_type: 'x',
          received_at: 0,
          body: Buffer.from('{'),
          state: 'waiting',
          try_at: 0,
          contact_id: null,
          reason: null,
          settled_at: null,
        },
        {
          provider: 'buttondown',
          key: 'b',
          event_type: 'x',
          received_at: 0,
          body: null,
          state: 'waiting',
          try_at: 0,
          contact_id: null,
          reason: null,
          settled_at: null,
        },
      ])
      .execute()
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'waiting', reason: 'Something went wrong here; the log has the details.' },
      { state: 'done' },
      { state: 'done' },
      { state: 'done' },
    ])
    broken.exec('drop trigger broken')
    broken.close()
    app.clock.pass(minute)
    await app.read()
    expect((await engagements(app)).map(({ kind }) => kind)).toEqual(['opened', 'clicked'])
  })
})

it('a change that the database refuses waits, and is read when it does not any more', async () => {
  const { standIn, subjects } = await aWorldFor(['subscriber.paused'])
  const dataDir = aFolder()
  const before = await aConnectedApp({ standIn, dataDir })
  await before.sync()
  await before.stop()
  const app = await testApp({ dataDir, env: withKey })
  const file = new Sqlite(app.path)
  file.exec(`create trigger broken before insert on subscription_changes
    begin select raise(abort, 'cannot be written'); end`)
  const { subscriber, email } = subjects.get('subscriber.paused')!
  const body = standIn.body(cases['subscriber.paused']!.act(standIn.world, subscriber, email))
  await post(app, body, await sign(body)).expect(200)
  await app.buttondown.deliveries.run()
  expect(await inbox(app)).toMatchObject([
    { state: 'waiting', reason: 'Something went wrong here; the log has the details.' },
  ])
  file.exec('drop trigger broken')
  file.close()
  app.clock.pass(minute)
  await app.buttondown.deliveries.run()
  expect(await states(app)).toEqual(['done'])
  await standIn.close()
})

describe('details that Buttondown cannot tell at the moment', () => {
  it('come later: what is known is kept at once, and completed', async () => {
    skipBackoff()
    const app = await aConnectedApp({ now })
    const { world, standIn } = app
    const subscriber = world.addSubscriber({ email: 'ada@fernmail.example', at })
    const email = world.addEmail({ subject: 'Issue 1', at })
    await app.sync()
    standIn.weather.faults = 1
    const clicked = world.addEvent({
      type: 'clicked',
      subscriber,
      email,
      at,
      metadata: { url: 'https://bindery.example/a' },
    })
    await app.deliver(clicked).expect(200)
    await app.read()
    expect(await engagements(app)).toMatchObject([
      { kind: 'clicked', exact: 0, happened_at: testStart, name: null, url: null },
    ])
    expect(await inbox(app)).toMatchObject([
      {
        state: 'waiting',
        tries: 1,
        try_at: testStart + minute,
        reason: expect.stringMatching(/has a fault/),
      },
    ])
    await app.read()
    expect(await inbox(app)).toMatchObject([{ tries: 1 }])

    app.clock.pass(minute)
    await app.read()
    expect(await inbox(app)).toMatchObject([{ state: 'waiting', tries: 2, try_at: testStart + 6 * minute }])
    standIn.weather.faults = 0
    app.clock.pass(5 * minute)
    await app.read()
    expect(await inbox(app)).toMatchObject([{ state: 'done', reason: null }])
    expect(await engagements(app)).toMatchObject([
      { exact: 1, happened_at: at, name: 'Issue 1', url: 'https://bindery.example/a' },
    ])
    await expectCountsToHold(app.db)
  })

  it('are asked for once, not once for each delivery, as long as it is out of reach', async () => {
    skipBackoff()
    const app = await aConnectedApp({ now })
    const { world, standIn } = app
    const happenings = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => {
      const subscriber = world.addSubscriber({ email: `${number}@fernmail.example`, at })
      return world.addEvent({ type: 'opened', subscriber, at })
    })
    standIn.weather.faults = 1
    for (const happening of happenings) await app.deliver(happening).expect(200)
    await app.read()
    expect(standIn.requests.length).toBeLessThanOrEqual(12) // six tries; deliveries are read in two batches at the most
    expect(new Set((await inbox(app)).map(({ reason }) => reason)).size).toBeLessThanOrEqual(2)
    standIn.weather.faults = 0
    app.clock.pass(minute)
    await app.read()
    expect((await engagements(app)).map(({ happened_at }) => happened_at)).toEqual(happenings.map(() => at))
    expect(new Set(await states(app))).toEqual(new Set(['done']))
  })

  it('do not count a delivery without an id twice', async () => {
    skipBackoff()
    const app = await aConnectedApp({ now })
    const { world, standIn } = app
    const subscriber = world.addSubscriber({ email: 'ada@fernmail.example', at })
    await app.sync()
    standIn.weather.faults = 1
    const bounced = world.addEvent({ type: 'bounced', subscriber, at: testStart - 1000 })
    await app.deliver(bounced, { id: 'none' }).expect(200)
    await app.read()
    expect((await engagements(app)).length).toBe(1)
    app.clock.pass(minute)
    await app.read()
    expect((await engagements(app)).length).toBe(1)
    standIn.weather.faults = 0
    app.clock.pass(5 * minute)
    await app.read()
    expect(await states(app)).toEqual(['done'])
    await app.sync()
    expect(await engagements(app)).toMatchObject([
      { kind: 'bounced', provider_id: bounced.id, exact: 1, happened_at: testStart - 1000 },
    ])
  })

  it('are found by walking through the newest events when many lack them', async () => {
    const app = await aConnectedApp({ now })
    const { world } = app
    const email = world.addEmail({ subject: 'Issue 1', at })
    const people = Array.from({ length: 12 }, (_, number) =>
      world.addSubscriber({ email: `${number}@fernmail.example`, at }),
    )
    await app.sync()
    const opened = people.map((subscriber, index) =>
      world.addEvent({ type: 'opened', subscriber, email, at: at + index }),
    )
    const asked = app.standIn.requests.length
    for (const happening of opened) {
      const body = app.standIn.body(happening)
      await app.db
        .insertInto('inbox')
        .values({
          provider: 'buttondown',
          key: happening.id,
          event_type: happening.type,
          received_at: testStart,
          body: Buffer.from(body),
          state: 'waiting',
          try_at: 0,
          contact_id: null,
          reason: null,
          settled_at: null,
        })
        .execute()
    }
    await app.read()
    expect(app.standIn.requests.length - asked).toBe(1)
    expect((await engagements(app)).map((row) => row.happened_at)).toEqual(opened.map((event) => event.at))
    expect(new Set(await states(app))).toEqual(new Set(['done']))
  })

  it('are asked for one by one at the second try, when they are older than the newest events', async () => {
    const app = await aConnectedApp({ now })
    const { world } = app
    const email = world.addEmail({ subject: 'Issue 1', at })
    const people = Array.from({ length: 8 }, (_, number) =>
      world.addSubscriber({ email: `${number}@fernmail.example`, at: at - 86_400_000 }),
    )
    await app.sync()
    const old = people.map((subscriber, index) =>
      world.addEvent({ type: 'opened', subscriber, email, at: at - 10 * 3_600_000 + index }),
    )
    for (let index = 0; index < 600; index++)
      world.addEvent({ type: 'delivered', subscriber: people[0]!, email, at: at - 9 * 3_600_000 + index })
    for (const happening of old) await app.deliver(happening).expect(200)
    await app.read()
    // Those that were read while few had come are known already.
    const left = (await inbox(app)).filter(({ state }) => state === 'waiting')
    for (const { reason } of left) expect(reason).toMatch(/^Buttondown does not know this event/)
    app.clock.pass(minute)
    await app.read()
    expect(new Set(await states(app))).toEqual(new Set(['done']))
    expect((await engagements(app)).map((row) => row.happened_at)).toEqual(old.map((event) => event.at))
  })

  it('stay as they are when the event store does not know the event', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    await app.sync()
    await app.deliver(app.world.happen('subscriber.opened', { subscriber })).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      {
        state: 'waiting',
        reason: 'Buttondown does not know this event. What the delivery told of it is kept.',
      },
    ])
    expect(await engagements(app)).toMatchObject([{ kind: 'opened', exact: 0 }])
  })

  it('wait when the key is refused, or lacks the permission', async () => {
    const app = await aConnectedApp({ now, env: { BUTTONDOWN_API_KEY: 'another-key' } })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    await app.deliver(app.world.addEvent({ type: 'opened', subscriber, at })).expect(200)
    await app.read()
    expect(await inbox(app)).toMatchObject([
      { state: 'waiting', reason: expect.stringMatching(/refuses the API key/) },
    ])
    const limited = await aConnectedApp({ now, weather: { forbidden: ['subscribers'] } })
    const ben = limited.world.addSubscriber({ email: 'ben@fernmail.example', at })
    await limited.deliver(limited.world.addEvent({ type: 'opened', subscriber: ben, at })).expect(200)
    await limited.read()
    expect(await inbox(limited)).toMatchObject([
      { state: 'waiting', reason: expect.stringMatching(/^This API key may not read the subscribers/) },
    ])
  })
})

describe('reading that is interrupted', () => {
  it('goes on when the database can be written again', async () => {
    const { standIn, subjects } = await aWorldFor(['subscriber.opened'])
    const dataDir = aFolder()
    const before = await aConnectedApp({ standIn, dataDir })
    await before.sync()
    await before.stop()
    const app = await testApp({ dataDir, env: withKey, patience: 20 })
    const { subscriber, email } = subjects.get('subscriber.opened')!
    const body = standIn.body(cases['subscriber.opened']!.act(standIn.world, subscriber, email))
    await app.db
      .insertInto('inbox')
      .values({
        provider: 'buttondown',
        key: 'a',
        event_type: 'subscriber.opened',
        received_at: testStart,
        body: Buffer.from(body),
        state: 'waiting',
        try_at: testStart,
        contact_id: null,
        reason: null,
        settled_at: null,
      })
      .execute()
    const other = new Sqlite(app.path)
    other.exec('begin immediate')
    await app.buttondown.deliveries.run()
    expect(await inbox(app)).toMatchObject([{ state: 'waiting', tries: 0 }])
    other.exec('rollback')
    other.close()
    await app.buttondown.deliveries.run()
    expect(await states(app)).toEqual(['done'])
    await standIn.close()
  })

  it('goes on at the next start when the process ends while Buttondown is asked', async () => {
    const standIn = await startButtondown({ now })
    const dataDir = aFolder()
    const first = await aConnectedApp({ standIn, dataDir })
    const subscriber = standIn.world.addSubscriber({ email: 'ada@fernmail.example', at })
    const release = standIn.hold()
    await first.deliver(standIn.world.addEvent({ type: 'opened', subscriber, at })).expect(200)
    void first.read()
    await standIn.arrived(1)
    await first.stop()
    release()
    const app = await aConnectedApp({ standIn, dataDir })
    expect(await inbox(app)).toMatchObject([{ state: 'waiting', tries: 0 }])
    await app.read()
    expect(await states(app)).toEqual(['done'])
    expect(await engagements(app)).toMatchObject([{ kind: 'opened', exact: 1 }])
    await standIn.close()
  })
})

describe('news that is older than what is known', () => {
  it('overwrites nothing where nobody can be asked', async () => {
    const { standIn, subjects } = await aWorldFor(['subscriber.confirmed'])
    const dataDir = aFolder()
    const before = await aConnectedApp({ standIn, dataDir })
    await before.sync()
    await before.stop()
    const { subscriber } = subjects.get('subscriber.confirmed')!
    const app = await testApp({ dataDir, env: withKey })
    const tell = async (type: string, told: number | null) => {
      const metadata: Record<string, string> =
        told === null ? {} : { creation_date: new Date(told).toISOString() }
      const happening = standIn.world.happen(type, { subscriber, metadata })
      const body = standIn.body(happening, { metadata: 'flat' })
      await post(app, body, await sign(body)).expect(200)
      await app.buttondown.deliveries.run()
      return (await app.db.selectFrom('contacts').select('status').executeTakeFirstOrThrow()).status
    }
    expect(await tell('subscriber.unsubscribed', testStart + 9 * minute)).toBe('unsubscribed')
    expect(await tell('subscriber.confirmed', testStart + 5 * minute)).toBe('unsubscribed')
    expect(await tell('subscriber.created', null)).toBe('unsubscribed')
    expect(await tell('subscriber.confirmed', testStart + 12 * minute)).toBe('subscribed')
    const changes = await app.db
      .selectFrom('subscription_changes')
      .select(['status', 'changed_at'])
      .orderBy('changed_at')
      .execute()
    expect(changes.map(({ status }) => status)).toEqual([
      'unconfirmed',
      'subscribed',
      'unsubscribed',
      'subscribed',
    ])
    await standIn.close()
  })

  it('finds who is gone there gone here, whatever the late delivery was about', async () => {
    const app = await aConnectedApp({ now })
    const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at })
    await app.sync()
    app.clock.pass(1000)
    const confirmed = app.world.happen('subscriber.confirmed', { subscriber })
    const deleted = app.world.deleteSubscriber(subscriber)
    await app.deliver(deleted).expect(200)
    await app.read()
    await app.deliver(confirmed).expect(200)
    await app.read()
    expect(await states(app)).toEqual(['done', 'done'])
    const { status } = await app.db.selectFrom('contacts').select('status').executeTakeFirstOrThrow()
    expect(status).toBe('removed')
  })
})

it('a change of address onto somebody who is known makes one person of two', async () => {
  const app = await aConnectedApp({ now })
  const { world, db, audience } = app
  const campaign = await aCampaign(app)
  await anEvent(app, { cid: campaign.id, email: 'ada@new.example', link: 'https://a.example/1' })
  await anEvent(app, { cid: campaign.id, email: 'ada@new.example', event: 'conversion' })
  const tracked = await db.selectFrom('contacts').select('id').executeTakeFirstOrThrow()
  await audience.retag({ contacts: [tracked.id], add: ['buyer'], remove: [] })
  await db.updateTable('contacts').set({ notes: 'Met in Kiel.' }).execute()

  const subscriber = world.addSubscriber({
    email: 'ada@old.example',
    at: at - minute,
    tags: ['beta'],
    metadata: { first_name: 'Ada' },
  })
  const email = world.addEmail({ subject: 'Issue 1', at })
  for (const type of ['delivered', 'opened', 'clicked'] as const)
    world.addEvent({ type, subscriber, email, at: at + 90_000, metadata: { os: 'iOS', browser: 'Safari' } })
  await app.sync()
  const subscribed = await db
    .selectFrom('contacts')
    .select('id')
    .where('email', '=', 'ada@old.example')
    .executeTakeFirstOrThrow()
  await audience.retag({ contacts: [subscribed.id], add: ['buyer', 'reader'], remove: [] })
  await anEvent(app, { cid: campaign.id, email: 'ada@old.example', event: 'landing_click' })
  await db.updateTable('contacts').set({ notes: 'Writes novels.' }).where('id', '=', subscribed.id).execute()

  app.clock.pass(minute)
  const changed = world.changeEmail(subscriber, 'ada@new.example')
  await app.deliver(changed).expect(200)
  await app.read()
  const people = await db.selectFrom('contacts').selectAll().execute()
  expect(people).toMatchObject([
    {
      id: tracked.id,
      email: 'ada@new.example',
      name: 'Ada',
      notes: 'Met in Kiel.\n\nWrites novels.',
      status: 'subscribed',
      mailings: 1,
      clicks: 1,
      opens: 1,
    },
  ])
  expect(await db.selectFrom('contact_aliases').selectAll().execute()).toEqual([
    { email: 'ada@old.example', contact_id: tracked.id },
  ])
  const tags = await db
    .selectFrom('contact_tags')
    .innerJoin('tags', 'tags.id', 'tag_id')
    .select(['name', 'origin'])
    .orderBy('name')
    .execute()
  expect(tags).toEqual([
    { name: 'beta', origin: 'buttondown' },
    { name: 'buyer', origin: 'ours' },
    { name: 'reader', origin: 'ours' },
  ])
  expect((await db.selectFrom('events').select('contact_id').execute()).map((row) => row.contact_id)).toEqual(
    [tracked.id, tracked.id, tracked.id],
  )
  expect(
    await db.selectFrom('journeys').select(['email_clicks', 'landing_clicks', 'conversions']).execute(),
  ).toEqual([{ email_clicks: 1, landing_clicks: 1, conversions: 1 }])
  // Whatever still comes for the old address is theirs too.
  await anEvent(app, { cid: campaign.id, email: 'ada@old.example', link: 'https://a.example/2' })
  expect((await db.selectFrom('contacts').select('id').execute()).length).toBe(1)
  expect(canonicalId(subscriber.id)).toBe(subscriber.id)
  await expectCountsToHold(db, { score: () => app.scoring.run() })
})
