import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Sqlite from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { realClock } from '../../../src/esp/clock.js'
import { listFailures, listRuns } from '../../../src/esp/runs.js'
import { aFolder, type TestApp, testStart } from '../../support/app.js'
import { startButtondown } from '../../support/buttondown.js'
import type { ButtondownWorld } from '../../support/buttondown-world.js'
import { aPerson } from '../../support/person.js'
import { expectCountsToHold } from '../../support/recount.js'
import { aConnectedApp, type ConnectedApp, skipBackoff } from './connected.js'

const second = 1_000
const minute = 60 * second
const day = 86_400_000
const now = () => testStart

const lastRun = async ({ db }: Pick<TestApp, 'db'>) => (await listRuns(db, 'buttondown', 1))[0]!
const countOf = async ({ db }: Pick<TestApp, 'db'>, table: 'engagements' | 'contacts' | 'mailings') =>
  (await db.selectFrom(table).select('id').execute()).length

const tables = [
  'contacts',
  'contact_identities',
  'contact_aliases',
  'subscriptions',
  'subscription_changes',
  'tags',
  'contact_tags',
  'lists',
  'mailings',
  'mailing_reports',
  'links',
  'engagements',
  'receptions',
  'mailing_counts',
  'engagement_quarters',
  'contact_days',
  'active_days',
  'tag_counts',
  'sync_failures',
] as const

/** All rows of these tables, without what differs from look to look and from database to database. */
async function everything({ db }: Pick<TestApp, 'db'>) {
  const all: Record<string, string[]> = {}
  for (const table of tables) {
    const rows: object[] = await db.selectFrom(table).selectAll().execute()
    const told = (name: string, value: unknown) => {
      if (/^(seen_at|checked_at|address)$/.test(name)) return undefined
      if (name === 'id' && table.startsWith('subscription')) return undefined
      return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(6) : value
    }
    all[table] = rows.map((row) => JSON.stringify(row, told)).sort()
  }
  return all
}

/** Every type of subscriber that Buttondown's documents name, one that they do not, and what becomes of each here. */
const types: Record<string, string> = {
  regular: 'subscribed',
  premium: 'subscribed',
  gifted: 'subscribed',
  trialed: 'subscribed',
  churned: 'subscribed',
  churning: 'subscribed',
  past_due: 'subscribed',
  unpaid: 'subscribed',
  upcoming: 'subscribed',
  paused: 'paused',
  unactivated: 'unconfirmed',
  unsubscribed: 'unsubscribed',
  complained: 'complained',
  undeliverable: 'bounced',
  removed: 'removed',
  blocked: 'removed',
  'of-tomorrow': 'subscribed',
}

/** A newsletter with one subscriber of each type, two mailings, and what became of them. */
function fill(world: ButtondownWorld) {
  world.addTag({ name: 'beta', description: 'Reads drafts', at: testStart - 30 * day })
  world.addTag({ name: 'press', at: testStart - 29 * day })
  const subscribers = Object.keys(types).map((type, index) =>
    world.addSubscriber({
      email: `${type}@fernmail.example`,
      type,
      at: testStart - 20 * day + index,
      tags: index % 2 === 0 ? ['beta'] : ['press', 'BETA'],
      metadata: { first_name: 'Ada', last_name: type },
      unsubscribedAt: type === 'unsubscribed' ? testStart - 3 * day : null,
    }),
  )
  const emails = ['Issue 1', 'Issue 2'].map((subject, index) =>
    world.addEmail({ subject, at: testStart - (10 - index) * day }),
  )
  const draft = world.addEmail({ subject: 'Not yet', status: 'draft', at: testStart - day })
  for (const [index, subscriber] of subscribers.entries())
    for (const email of emails) {
      const at = email.at + index * 10 * second
      world.addEvent({ type: 'delivered', subscriber, email, at })
      world.addEvent({
        type: 'opened',
        subscriber,
        email,
        at: at + 5 * minute,
        metadata: { os: 'iOS', browser: 'Safari', ip_address: '203.0.113.9' },
      })
      if (index % 3 === 0)
        world.addEvent({
          type: 'clicked',
          subscriber,
          email,
          at: at + 6 * minute,
          metadata: { url: 'https://bindery.example/a', os: 'iOS' },
        })
    }
  world.tell(emails[0]!, { opens: 9, clicks: 3 })
  // Automations send too, and their events may be about nobody.
  world.addEvent({ type: 'opened', subscriber: null, email: emails[0]!, at: testStart - day })
  return { subscribers, emails, draft }
}

describe('the first sync', () => {
  it('brings all subscribers of every type, tags, mailings with their counts, and events', async () => {
    const app = await aConnectedApp({ now, pageLength: 5 })
    const { subscribers, emails } = fill(app.world)
    await app.sync()

    const run = await lastRun(app)
    expect(run).toMatchObject({ kind: 'first', state: 'done', error: null })
    expect(run.changes).toEqual({ subscribers: 17, mailings: 3, events: 80, nobody: 1 })
    expect(run.progress.stages).toEqual({
      tags: { done: 2, of: 2 },
      subscribers: { done: 17, of: 17 },
      emails: { done: 3, of: 3 },
      events: { done: 81, of: 81 },
    })
    const people = await app.db
      .selectFrom('contacts')
      .innerJoin('subscriptions', 'contact_id', 'contacts.id')
      .select(['email', 'name', 'contacts.status', 'provider_status', 'unsubscribed_at', 'mailings'])
      .execute()
    expect(Object.fromEntries(people.map((row) => [row.provider_status, row.status]))).toEqual(types)
    expect(people[0]).toMatchObject({ email: 'regular@fernmail.example', name: 'Ada regular', mailings: 2 })
    expect(people.find((row) => row.status === 'unsubscribed')!.unsubscribed_at).toBe(testStart - 3 * day)
    const tags = await app.db
      .selectFrom('tags')
      .leftJoin('tag_counts', 'tag_id', 'tags.id')
      .select(['name', 'description', 'contacts'])
      .execute()
    expect(tags).toEqual([
      { name: 'beta', description: 'Reads drafts', contacts: 17 },
      { name: 'press', description: '', contacts: 8 },
    ])
    expect(await app.db.selectFrom('lists').select('name').execute()).toEqual([{ name: 'The Long Line' }])
    const mailings = await app.db
      .selectFrom('mailings')
      .leftJoin('mailing_reports', 'mailing_id', 'mailings.id')
      .select(['name', 'status', 'sent_at', 'recipients', 'deliveries', 'unique_opens', 'unique_clicks'])
      .orderBy('mailings.id')
      .execute()
    const counts = { recipients: 17, deliveries: 17 }
    expect(mailings).toEqual([
      {
        name: 'Issue 1',
        status: 'sent',
        sent_at: emails[0]!.at,
        ...counts,
        unique_opens: 9,
        unique_clicks: 3,
      },
      {
        name: 'Issue 2',
        status: 'sent',
        sent_at: emails[1]!.at,
        ...counts,
        unique_opens: 17,
        unique_clicks: 6,
      },
      {
        name: 'Not yet',
        status: 'draft',
        sent_at: null,
        recipients: null,
        deliveries: null,
        unique_opens: null,
        unique_clicks: null,
      },
    ])
    const ours = await app.db
      .selectFrom('mailing_counts')
      .select(['people_delivered', 'opens', 'clicks'])
      .execute()
    expect(ours).toEqual([
      { people_delivered: 17, opens: 17, clicks: 6 },
      { people_delivered: 17, opens: 17, clicks: 6 },
    ])
    const engaged = await app.db.selectFrom('engagements').select(['kind', 'exact']).execute()
    expect(new Set(engaged.map(({ kind }) => engagementKind(kind)))).toEqual(
      new Set(['delivered', 'opened', 'clicked']),
    )
    expect(engaged.every(({ exact }) => exact === 1)).toBe(true)
    expect(subscribers.length).toBe(17)
    const scored = await app.db.selectFrom('contacts').select('id').where('band', 'is not', null).execute()
    expect(scored.length).toBe(17)
    await expectCountsToHold(app.db)
  })

  it('followed by a second one, and by a first one anew, changes and doubles nothing', async () => {
    const app = await aConnectedApp({ now, pageLength: 5 })
    fill(app.world)
    await app.sync()
    const before = await everything(app)
    app.clock.pass(minute)
    await app.sync('manual')
    expect(await lastRun(app)).toMatchObject({ kind: 'manual', state: 'done', changes: { nobody: 1 } })
    expect(await everything(app)).toEqual(before)
    await app.db.updateTable('sync_runs').set({ state: 'failed', checkpoint: '{}' }).execute()
    await app.sync()
    expect(await lastRun(app)).toMatchObject({ kind: 'first', state: 'done', changes: { nobody: 1 } })
    expect(await everything(app)).toEqual(before)
  })

  it('answers to a webhook and a backfill that tell of the same event by counting it once', async () => {
    for (const shape of [{}, { id: 'none' }, { id: 'uuid', email: true, metadata: 'flat' }] as const)
      for (const webhookFirst of [true, false]) {
        const app = await aConnectedApp({ now })
        const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at: testStart - day })
        const email = app.world.addEmail({ subject: 'Issue 1', at: testStart - day })
        const clicked = app.world.addEvent({
          type: 'clicked',
          subscriber,
          email,
          at: testStart - 20 * minute,
          metadata: { url: 'https://bindery.example/a' },
        })
        const deliver = async () => {
          await app.deliver(clicked, shape).expect(200)
          await app.read()
        }
        if (webhookFirst) await deliver()
        await app.sync()
        if (!webhookFirst) await deliver()
        await deliver()
        const rows = await app.db.selectFrom('engagements').selectAll().execute()
        expect(rows).toMatchObject([
          { provider_id: clicked.id, exact: 1, happened_at: testStart - 20 * minute },
        ])
        const { clicks } = await app.db.selectFrom('contacts').select('clicks').executeTakeFirstOrThrow()
        expect(clicks).toBe(1)
        await expectCountsToHold(app.db)
        await app.stop()
      }
  })

  it('keeps what both tell at the same moment once', async () => {
    const app = await aConnectedApp({ now })
    fill(app.world)
    const syncing = app.sync()
    const stored = app.world.happenings.filter(({ type }) => /\.(opened|clicked|delivered)$/.test(type))
    for (const happening of stored) if (happening.subscriber) await app.deliver(happening).expect(200)
    await Promise.all([syncing, app.read()])
    await app.read()
    expect(await countOf(app, 'engagements')).toBe(80)
    expect(await countOf(app, 'contacts')).toBe(17)
    await expectCountsToHold(app.db)
  })
})

/** Lets requests through one by one. */
function oneByOne({ standIn }: Pick<ConnectedApp, 'standIn'>) {
  let release = standIn.hold()
  return {
    /** Resolves when the request after the first so many is under way and waits. */
    async until(count: number) {
      while (standIn.requests.length < count) {
        await standIn.arrived(standIn.requests.length === 0 ? 1 : standIn.requests.length)
        const next = standIn.requests.length + 1
        release()
        release = standIn.hold()
        if (next <= count) await standIn.arrived(next)
      }
    },
    all: () => release(),
  }
}

describe('a list that shifts while it is walked', () => {
  it('loses nobody when rows before them are deleted', async () => {
    const app = await aConnectedApp({ now, pageLength: 4 })
    const { subscribers } = fill(app.world)
    const steps = oneByOne(app)
    const syncing = app.sync()
    await steps.until(5) // newsletters, tags, two pages of subscribers, and the third is asked for
    expect(app.standIn.requests[4]!.query.get('page')).toBe('3')
    for (const subscriber of subscribers.slice(0, 5)) app.world.deleteSubscriber(subscriber)
    steps.all()
    await syncing
    const rows = await app.db.selectFrom('contacts').select('email').execute()
    expect(new Set(rows.map(({ email }) => email))).toEqual(
      new Set(Object.keys(types).map((type) => `${type}@fernmail.example`)),
    )
    expect((await lastRun(app)).state).toBe('done')
  })

  it('takes in those who come meanwhile', async () => {
    const app = await aConnectedApp({ now, pageLength: 4 })
    fill(app.world)
    const steps = oneByOne(app)
    const syncing = app.sync()
    await steps.until(5)
    const late = app.world.addSubscriber({ email: 'late@fernmail.example', at: testStart })
    app.world.addEvent({ type: 'opened', subscriber: late, at: testStart })
    steps.all()
    await syncing
    expect(await countOf(app, 'contacts')).toBe(18)
    expect(await countOf(app, 'engagements')).toBe(81)
  })
})

describe('a Buttondown in bad weather', () => {
  it('is asked again after 429, after faults, and waited for when it is slow', async () => {
    skipBackoff()
    let time = testStart
    const app = await aConnectedApp({
      // Each look at the clock moves it, so that its minutes go by.
      now: () => (time += 6_100),
      pageLength: 4,
      weather: { limit: 4, faults: 0.2, slow: 2, zone: '', oldPageViews: true, beyond: 404 },
    })
    fill(app.world)
    await app.sync()
    expect(await lastRun(app)).toMatchObject({ state: 'done', changes: { subscribers: 17, events: 80 } })
    expect(app.standIn.requests.length).toBeGreaterThan(9)
    await expectCountsToHold(app.db)
  })

  it('gives up with a sentence, and goes on where it was', async () => {
    skipBackoff()
    const app = await aConnectedApp({ now, pageLength: 4 })
    fill(app.world)
    const steps = oneByOne(app)
    const syncing = app.sync()
    await steps.until(5)
    app.standIn.weather.faults = 1
    steps.all()
    await syncing
    expect(await lastRun(app)).toMatchObject({
      state: 'failed',
      error: expect.stringMatching(/^Buttondown has a fault at the moment \(HTTP 50\d\)\./),
      checkpoint: { stage: 'subscribers', page: 3 },
    })
    expect(await countOf(app, 'contacts')).toBe(8)
    app.standIn.weather.faults = 0
    const asked = app.standIn.requests.length
    await app.sync()
    expect(await lastRun(app)).toMatchObject({ kind: 'first', state: 'done' })
    expect(await countOf(app, 'contacts')).toBe(17)
    const again = app.standIn.requests
      .slice(asked)
      .map(({ path, query }) => `${path} ${query.get('page') ?? 1}`)
    expect(again.slice(0, 2)).toEqual(['/v1/newsletters 1', '/v1/subscribers 2'])
  })

  const wrong: [string, Parameters<typeof aConnectedApp>[0], RegExp][] = [
    [
      'a key that is refused',
      { env: { BUTTONDOWN_API_KEY: 'another-key' } },
      /^Buttondown refuses the API key\./,
    ],
    ['no key', { env: { BUTTONDOWN_API_KEY: '' } }, /^There is no API key for Buttondown yet\./],
    ...['subscribers', 'emails', 'events'].map((room): (typeof wrong)[number] => [
      `a key that may not read the ${room}`,
      { weather: { forbidden: [room] } },
      new RegExp(`^This API key may not read the ${room}\\. Give it the permission in Buttondown`),
    ]),
  ]
  it.each(wrong)('says what is wrong with %s', async (_, options, sentence) => {
    const app = await aConnectedApp({ now, ...options })
    fill(app.world)
    await app.sync()
    expect(await lastRun(app)).toMatchObject({ state: 'failed', error: expect.stringMatching(sentence) })
  })

  it('does without the name of the newsletter when the key may not read it', async () => {
    const app = await aConnectedApp({ now, weather: { forbidden: ['newsletters'] } })
    fill(app.world)
    await app.sync()
    expect((await lastRun(app)).state).toBe('done')
    expect(await app.db.selectFrom('lists').select('name').execute()).toEqual([{ name: 'Buttondown' }])
  })

  it('does without the tags when the key may not read them', async () => {
    const app = await aConnectedApp({ now, weather: { forbidden: ['tags'] } })
    fill(app.world)
    await app.sync()
    expect((await lastRun(app)).state).toBe('done')
  })

  it('lists a subscriber that cannot be recorded, and brings in the others', async () => {
    const app = await aConnectedApp({ now })
    app.world.addSubscriber({ email: `${'long'.repeat(70)}@fernmail.example` })
    app.world.addSubscriber({ email: 'carl@fernmail.example' })
    await app.sync()
    expect((await lastRun(app)).state).toBe('done')
    expect(await app.db.selectFrom('contacts').select('email').execute()).toEqual([
      { email: 'carl@fernmail.example' },
    ])
    expect(await app.db.selectFrom('sync_failures').select('what').execute()).toHaveLength(1)
  })

  it('keeps somebody subscribed who was deleted and came back under another id', async () => {
    const app = await aConnectedApp({ now })
    const before = app.world.addSubscriber({ email: 'anna@fernmail.example', at: now() - 2 * day })
    await app.sync()
    app.world.deleteSubscriber(before)
    app.world.addSubscriber({ email: 'anna@fernmail.example', at: now() - day })
    for (let night = 0; night < 3; night++) await app.sync('nightly')
    expect(await app.db.selectFrom('subscriptions').select('status').execute()).toEqual([
      { status: 'subscribed' },
    ])
    const { length } = await app.db
      .selectFrom('subscription_changes')
      .select('id')
      .where('status', '=', 'removed')
      .execute()
    expect(length).toBe(0)
  })

  it('never sends the key to another host', async () => {
    let lured = 0
    const trap = createServer((_, response) => {
      lured++
      response.end('{}')
    }).listen(0, '127.0.0.1')
    onTestFinished(() => void trap.close())
    await new Promise((resolve) => trap.once('listening', resolve))
    const nextOrigin = `http://127.0.0.1:${(trap.address() as AddressInfo).port}`
    const app = await aConnectedApp({ now, pageLength: 4, weather: { nextOrigin } })
    fill(app.world)
    await app.sync()
    expect(await lastRun(app)).toMatchObject({
      state: 'failed',
      error: 'Buttondown’s answer leads to another host for its next page. The API key is not sent there.',
    })
    expect(lured).toBe(0)
  })
})

describe('a run that does not come to its end', () => {
  it('is cancelled, keeps what it has, and the next one goes on from there', async () => {
    const app = await aConnectedApp({ now, pageLength: 4 })
    fill(app.world)
    const steps = oneByOne(app)
    await app.buttondown.sync.start('Maren')
    expect((await app.buttondown.sync.start('Ben')).askedBy).toBe('Maren')
    await steps.until(5)
    await app.buttondown.sync.cancel()
    await app.buttondown.sync.performWaiting()
    expect(await lastRun(app)).toMatchObject({ state: 'cancelled', checkpoint: { page: 3 }, error: null })
    expect(await countOf(app, 'contacts')).toBe(8)
    await app.buttondown.sync.cancel() // there is none any more
    steps.all()
    await app.sync()
    expect(await lastRun(app)).toMatchObject({ state: 'done', kind: 'first' })
    expect(await countOf(app, 'contacts')).toBe(17)
    expect(await countOf(app, 'engagements')).toBe(80)
    await expectCountsToHold(app.db)
  })

  it('is cancelled between two pages when another process does it', async () => {
    const app = await aConnectedApp({ now, pageLength: 4 })
    fill(app.world)
    const steps = oneByOne(app)
    const syncing = app.sync()
    await steps.until(5)
    await app.db.updateTable('sync_runs').set({ state: 'cancelled' }).execute()
    steps.all()
    await syncing
    expect((await lastRun(app)).state).toBe('cancelled')
    expect(app.standIn.requests.length).toBe(5)
  })

  it.each([3, 5, 7, 8, 9])('goes on after the process ended at request %i', async (count) => {
    const dataDir = aFolder()
    const standIn = await startButtondown({ now, pageLength: 4 })
    onTestFinished(() => standIn.close())
    fill(standIn.world)
    const first = await aConnectedApp({ standIn, dataDir })
    const steps = oneByOne(first)
    void first.sync()
    await steps.until(count)
    expect((await lastRun(first)).state).toBe('running')
    await first.stop()
    steps.all()

    const app = await aConnectedApp({ standIn, dataDir })
    const before = await lastRun(app)
    const asked = standIn.requests.length
    await app.buttondown.sync.performWaiting()
    const run = await lastRun(app)
    expect(run).toMatchObject({ id: before.id, state: 'done' })
    // What had come in is not asked for again, but for the page before.
    const { stage, page = 1 } = before.checkpoint as { stage: string; page?: number }
    expect(standIn.requests[asked + 1]).toMatchObject({ path: `/v1/${stage}` })
    expect(Number(standIn.requests[asked + 1]!.query.get('page') ?? 1)).toBe(Math.max(1, page - 1))
    expect(await countOf(app, 'contacts')).toBe(17)
    expect(await countOf(app, 'engagements')).toBe(80)
    expect(run.changes).toEqual({ subscribers: 17, mailings: 3, events: 80, nobody: 1 })
    await expectCountsToHold(app.db)
    const clean = await aConnectedApp({ standIn })
    await clean.sync()
    expect(await everything(app)).toEqual(await everything(clean))
  })
})

describe('the nightly run', () => {
  it('finds what the webhook missed, and counts what it repaired', async () => {
    const app = await aConnectedApp({ now })
    const { subscribers, emails } = fill(app.world)
    await app.sync()
    app.clock.pass(day)
    const [told, missed, late] = [-2 * minute, -minute, -3 * day].map((ago) =>
      app.world.addEvent({
        type: 'clicked',
        subscriber: subscribers[1]!,
        email: emails[1]!,
        at: app.clock.now() + ago,
        metadata: { url: 'https://bindery.example/b' },
      }),
    )
    await app.deliver(told!).expect(200)
    await app.read()
    const newcomer = app.world.addSubscriber({ email: 'new@fernmail.example', at: app.clock.now() })
    app.world.setTags(subscribers[0]!, ['press'])
    app.world.addEvent({ type: 'opened', subscriber: newcomer, email: emails[1]!, at: app.clock.now() })
    app.world.addEmail({ subject: 'Issue 3', at: app.clock.now() })
    app.clock.pass(second)
    await app.buttondown.nightly()

    const run = await lastRun(app)
    expect(run).toMatchObject({ kind: 'nightly', state: 'done', askedBy: 'the nightly schedule' })
    expect(run.changes).toMatchObject({ repaired: 3, events: 3, subscribers: 1, mailings: 1 })
    const ids = (await app.db.selectFrom('engagements').select('provider_id').execute()).map(
      (row) => row.provider_id,
    )
    for (const { id } of [told!, missed!, late!]) expect(ids.filter((other) => other === id).length).toBe(1)
    app.clock.pass(day)
    await app.buttondown.nightly()
    expect((await lastRun(app)).changes.repaired).toBeUndefined()
    await expectCountsToHold(app.db)
  })

  it('does nothing without a key, and waits for no answer about the webhook', async () => {
    const app = await aConnectedApp({ now, env: { BUTTONDOWN_API_KEY: '' } })
    await app.buttondown.nightly()
    await app.buttondown.lookAtWebhook()
    expect(await listRuns(app.db, 'buttondown', 5)).toEqual([])
    expect(app.standIn.requests).toEqual([])
    const limited = await aConnectedApp({ now, weather: { forbidden: ['webhooks'] } })
    await limited.buttondown.lookAtWebhook()
    expect(limited.standIn.requests.length).toBe(1)
  })

  it('takes off the list who was deleted at Buttondown, and keeps the person', async () => {
    const app = await aConnectedApp({ now })
    const { subscribers } = fill(app.world)
    await app.sync()
    app.clock.pass(day)
    app.world.deleteSubscriber(subscribers[0]!)
    await app.sync('nightly')
    expect((await lastRun(app)).changes).toMatchObject({ removed: 1 })
    const gone = await app.db
      .selectFrom('contacts')
      .select(['status', 'opens'])
      .where('email', '=', 'regular@fernmail.example')
      .executeTakeFirstOrThrow()
    expect(gone).toEqual({ status: 'removed', opens: 2 })
    app.clock.pass(day)
    await app.sync('nightly')
    expect((await lastRun(app)).changes.removed).toBeUndefined()
  })

  it('follows tags by their ids when they are called otherwise, and leaves ours alone', async () => {
    const app = await aConnectedApp({ now })
    const { subscribers } = fill(app.world)
    await app.sync()
    const [one] = await app.db.selectFrom('contacts').select('id').orderBy('id').limit(1).execute()
    await app.audience.retag({ contacts: [one!.id], add: ['ours alone'], remove: [] })
    const [beta] = app.world.tags.rows
    beta!.name = 'early readers'
    for (const subscriber of subscribers) app.world.setTags(subscriber, ['early readers'])
    app.clock.pass(day)
    await app.sync()
    const tags = await app.db
      .selectFrom('tags')
      .leftJoin('tag_counts', 'tag_id', 'tags.id')
      .select(['name', 'description', 'contacts'])
      .orderBy('name')
      .execute()
    expect(tags).toEqual([
      { name: 'early readers', description: 'Reads drafts', contacts: 17 },
      { name: 'ours alone', description: '', contacts: 1 },
      { name: 'press', description: '', contacts: 0 },
    ])
    await expectCountsToHold(app.db)
  })

  it('leaves a tag of ours ours though one made there has its name, and what each gave to each', async () => {
    const app = await aConnectedApp({ now })
    const { subscribers } = fill(app.world)
    await app.sync()
    const [one, two] = await app.db.selectFrom('contacts').select('id').orderBy('id').limit(2).execute()
    await app.audience.retag({ contacts: [one!.id], add: ['Patron'], remove: [] })
    const theirs = app.world.addTag({ name: 'patron', description: 'pays there' })
    app.world.setTags(subscribers[1]!, ['patron'])
    app.clock.pass(day)
    await app.sync()
    const patrons = () =>
      app.db
        .selectFrom('tags')
        .innerJoin('contact_tags', 'tag_id', 'tags.id')
        .select(['name', 'description', 'provider', 'contact_id', 'origin'])
        .where('name', 'in', ['Patron', 'payer'])
        .orderBy('contact_id')
        .execute()
    const ours = { name: 'Patron', description: '', provider: null }
    expect(await patrons()).toEqual([
      { ...ours, contact_id: one!.id, origin: 'ours' },
      { ...ours, contact_id: two!.id, origin: 'buttondown' },
    ])
    const { http } = await aPerson(app)
    const tag = await app.db
      .selectFrom('tags')
      .select('id')
      .where('name', '=', 'Patron')
      .executeTakeFirstOrThrow()
    const page = await http.get(`/audience/tags/${tag.id}`).expect(200)
    expect(page.text).toContain('Buttondown has a tag of this name too. This one stays ours')

    theirs.name = 'payer'
    app.world.setTags(subscribers[1]!, ['payer'])
    app.clock.pass(day)
    await app.sync()
    expect(await patrons()).toEqual([
      { ...ours, contact_id: one!.id, origin: 'ours' },
      {
        name: 'payer',
        description: 'pays there',
        provider: 'buttondown',
        contact_id: two!.id,
        origin: 'buttondown',
      },
    ])
    await expectCountsToHold(app.db)
  })
})

it('lists events of people whom Buttondown has forgotten, once each, and goes on', async () => {
  const app = await aConnectedApp({ now })
  const { emails } = fill(app.world)
  const forgotten = app.world.newId()
  for (let index = 0; index < 3; index++)
    app.world.addEvent({
      type: 'opened',
      subscriber: forgotten,
      email: emails[0]!,
      at: testStart - minute + index,
    })
  const nameless = app.world.addSubscriber({ email: '', at: testStart })
  app.world.addEvent({ type: 'opened', subscriber: nameless, at: testStart })
  await app.sync()
  const run = await lastRun(app)
  expect(run).toMatchObject({ state: 'done' })
  expect(run.changes).toMatchObject({ events: 80, nobody: 5, unreadable: 1 })
  const failures = await listFailures(app.db, 'buttondown', 10)
  expect(failures.map(({ what, why }) => [what, why]).sort()).toEqual(
    [
      [
        `Subscriber ${forgotten}`,
        'Buttondown has events of this subscriber and no longer knows who it was. They are left out.',
      ],
      [
        `Subscriber ${nameless.id}`,
        'Buttondown’s answer to the request to read the subscribers is not what its documents say (email_address).',
      ],
    ].sort(),
  )
  app.clock.pass(day)
  await app.sync('nightly')
  expect((await lastRun(app)).state).toBe('done')
  expect((await listFailures(app.db, 'buttondown', 10)).length).toBe(2)
})

it('lists what the database refuses, and brings in the rest', async () => {
  const app = await aConnectedApp({ now })
  const { subscribers, emails } = fill(app.world)
  const file = new Sqlite(app.path)
  file.exec(`create trigger broken_contact before insert on contacts when new.email like 'gifted@%'
    begin select raise(abort, 'cannot be written'); end`)
  file.exec(`create trigger broken_mailing before update on mailings when new.name = 'Not yet'
    begin select raise(abort, 'cannot be written'); end`)
  await app.sync()
  expect(await lastRun(app)).toMatchObject({ state: 'done', changes: { subscribers: 16, mailings: 2 } })
  const listed = (await listFailures(app.db, 'buttondown', 10)).map(({ what }) => what).sort()
  const draft = app.world.emails.rows.find(({ status }) => status === 'draft')!
  expect(listed).toContain(`Subscriber ${subscribers[2]!.id}`)
  expect(listed).toContain(`Email ${draft.id}`)
  expect(emails.length).toBe(2)
  file.exec('drop trigger broken_contact')
  file.exec('drop trigger broken_mailing')
  file.close()
  app.clock.pass(day)
  await app.sync()
  expect(await countOf(app, 'contacts')).toBe(17)
  expect(await countOf(app, 'mailings')).toBe(3)
})

it('waits while another process holds the database', async () => {
  skipBackoff()
  const app = await aConnectedApp({ now })
  fill(app.world)
  const steps = oneByOne(app)
  const syncing = app.sync()
  await steps.until(3)
  const other = new Sqlite(app.path)
  other.exec('begin immediate')
  // It is let go as soon as the run waits for it.
  const freed = vi.waitFor(
    () => expect(vi.mocked(realClock.after).mock.calls).toContainEqual([2_000, expect.anything()]),
    {
      timeout: 30_000,
    },
  )
  steps.all()
  await freed
  other.exec('rollback')
  other.close()
  await syncing
  expect(await lastRun(app)).toMatchObject({ state: 'done', changes: { subscribers: 17, events: 80 } })
})

it('does not fail for a subscriber who is known here and cannot be read any more', async () => {
  const app = await aConnectedApp({ now })
  const { subscribers } = fill(app.world)
  await app.sync()
  app.clock.pass(day)
  subscribers[2]!.email = ''
  await app.sync('nightly')
  expect(await lastRun(app)).toMatchObject({ state: 'done' })
  expect((await listFailures(app.db, 'buttondown', 10)).map(({ what }) => what)).toEqual([
    `Subscriber ${subscribers[2]!.id}`,
  ])
  const { status } = await app.db
    .selectFrom('contacts')
    .select('status')
    .where('email', '=', 'gifted@fernmail.example')
    .executeTakeFirstOrThrow()
  expect(status).toBe('subscribed')
})

it('looks up one by one who was skipped by a list that shifted unseen', async () => {
  const app = await aConnectedApp({ now })
  const { subscribers } = fill(app.world)
  await app.sync()
  app.clock.pass(day)
  // The list leaves somebody out whom a look-up still knows.
  app.world.subscribers.remove(subscribers[3]!)
  subscribers[3]!.tags = ['press']
  await app.sync('nightly')
  expect((await lastRun(app)).changes.removed).toBeUndefined()
  const { seen_at } = await app.db
    .selectFrom('contact_identities')
    .select('seen_at')
    .where('provider_id', '=', subscribers[3]!.id)
    .executeTakeFirstOrThrow()
  expect(seen_at).toBe(app.clock.now())
})

it('does not overwrite what a webhook told while a page was on its way', async () => {
  const app = await aConnectedApp({ now })
  const subscriber = app.world.addSubscriber({ email: 'ada@fernmail.example', at: testStart - day })
  const email = app.world.addEmail({ subject: 'Issue 1', status: 'draft', at: testStart - day })
  await app.sync()
  app.clock.pass(minute)
  const { fetch } = globalThis
  const pages = { subscribers: aGate(), emails: aGate() }
  // The answer is made, and takes its time.
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
    const response = await fetch(url, init)
    const room = /\/(subscribers|emails)\?/.exec(String(url))?.[1] as 'subscribers' | 'emails' | undefined
    if (room) await pages[room].pass()
    return response
  })
  onTestFinished(() => void vi.restoreAllMocks())
  const syncing = app.sync()
  await pages.subscribers.reached
  app.clock.pass(minute)
  await app.deliver(app.world.unsubscribe(subscriber, { at: app.clock.now() })).expect(200)
  await app.read()
  app.clock.pass(minute)
  pages.subscribers.open()
  await pages.emails.reached
  app.clock.pass(minute)
  await app.deliver(app.world.send(email, { at: app.clock.now() })).expect(200)
  await app.read()
  app.clock.pass(minute)
  pages.emails.open()
  await syncing
  const { status } = await app.db.selectFrom('contacts').select('status').executeTakeFirstOrThrow()
  expect(status).toBe('unsubscribed')
  const mailing = await app.db.selectFrom('mailings').select('status').executeTakeFirstOrThrow()
  expect(mailing.status).toBe('sent')
})

function aGate() {
  let open = () => {}
  let reach = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  return {
    open,
    reached,
    pass() {
      reach()
      return opened
    },
  }
}
