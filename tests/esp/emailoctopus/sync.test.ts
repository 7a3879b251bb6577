import { describe, expect, it } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { findRun } from '../../../src/esp/runs.js'
import { testStart } from '../../support/app.js'
import type { Weather } from '../../support/emailoctopus.js'
import type { EmailOctopusWorld } from '../../support/emailoctopus-world.js'
import { expectCountsToHold } from '../../support/recount.js'
import { skipBackoff } from '../buttondown/connected.js'
import { aConnectedOctopus, type ConnectedOctopus } from './connected.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const sentAt = testStart - 2 * hour

/** Two lists, twelve readers of one and three of the other (Ada is on both), a campaign and a draft. */
function fill(world: EmailOctopusWorld) {
  const weekly = world.addList({
    name: 'Weekly letter',
    at: testStart - 90 * day,
    doubleOptIn: true,
    fields: [
      { label: 'First name', tag: 'FirstName', type: 'text', fallback: 'friend' },
      { label: 'Topics', tag: 'Topics', type: 'choice_multiple', choices: ['a', 'b'], fallback: null },
    ],
    tags: ['vip'],
  })
  const news = world.addList({ name: 'Northwind news', at: testStart - 60 * day })
  const at = testStart - 50 * day
  const ada = world.addContact(weekly, {
    email: 'Ada@Fernmail.example',
    at,
    fields: { FirstName: 'Ada', LastName: 'Quill', Topics: ['a'] },
    tags: ['vip'],
  })
  const others = Array.from({ length: 11 }, (_, number) =>
    world.addContact(weekly, { email: `reader-${number}@fernmail.example`, at }),
  )
  const adaToo = world.addContact(news, { email: 'ada@fernmail.example', at: at + day, tags: ['press'] })
  world.addContact(news, { email: 'pending@fernmail.example', at, status: 'pending' })
  world.addContact(news, {
    email: 'left@fernmail.example',
    at,
    status: 'unsubscribed',
    updatedAt: at + 3 * day,
  })
  const campaign = world.addCampaign({
    subject: 'What we learned',
    lists: [weekly],
    at: sentAt - hour,
    sentAt,
    links: ['https://example.com/post'],
  })
  for (const [index, contact] of [ada, ...others.slice(0, 5)].entries())
    world.open(campaign, contact, { at: sentAt + (index + 1) * minute })
  world.open(campaign, ada, { at: sentAt + 30 * minute })
  world.click(campaign, ada, { at: sentAt + 2 * minute })
  world.bounce(campaign, others[9]!, { at: sentAt + 5_000 })
  world.bounce(campaign, others[10]!, { at: sentAt + 6_000, kind: 'soft' })
  world.unsubscribe(campaign, others[4]!, { at: sentAt + 10 * minute })
  world.complain(campaign, others[3]!, { at: sentAt + 11 * minute })
  world.addCampaign({ subject: 'Not yet', lists: [weekly], status: 'draft', at: testStart - hour })
  return { weekly, news, ada, adaToo, others, campaign }
}

/** Requests since then, without what tells their pages apart. */
const askedSince = (app: ConnectedOctopus, count: number) =>
  app.standIn.requests.slice(count).map(({ path, query }) => {
    const status = query.get('status')
    const short = path.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '*')
    return `${short}${status ? ` ${status}` : ''}${query.has('last_updated_at.gte') ? ' changed' : ''}`
  })
const snapshotsOf = (app: ConnectedOctopus) =>
  app.db.selectFrom('mailing_snapshots').selectAll().orderBy('id').execute()
const statusOf = async (app: ConnectedOctopus, email: string, list: string) =>
  (
    await app.db
      .selectFrom('subscriptions')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .innerJoin('lists', 'lists.id', 'list_id')
      .select('subscriptions.status')
      .where('contacts.email', '=', email)
      .where('lists.name', '=', list)
      .executeTakeFirst()
  )?.status

const runOf = async (app: ConnectedOctopus, { id }: { id: number }) => (await findRun(app.db, id))!
const rowsOf = (app: ConnectedOctopus) =>
  Promise.all(
    (['contacts', 'subscriptions', 'subscription_changes', 'engagements', 'mailings', 'lists'] as const).map(
      async (table) => (await app.db.selectFrom(table).selectAll().execute()).length,
    ),
  )

describe('a first sync with EmailOctopus', () => {
  it('brings lists, contacts, campaigns, their numbers, links and people', async () => {
    const app = await aConnectedOctopus()
    const { campaign } = fill(app.world)
    const run = await runOf(app, await app.sync())
    expect(run).toMatchObject({ state: 'done', kind: 'first', error: null })
    expect(run.changes).toMatchObject({ lists: 2, mailings: 2, numbers: 1, subscribers: 15 })

    const lists = await app.db.selectFrom('lists').selectAll().orderBy('id').execute()
    expect(lists).toMatchObject([
      { name: 'Weekly letter', double_opt_in: 1, pending: 0, subscribed: 9, unsubscribed: 3, gone_at: null },
      { name: 'Northwind news', double_opt_in: 0, pending: 1, subscribed: 1, unsubscribed: 1 },
    ])
    const mailings = await app.db
      .selectFrom('mailings')
      .leftJoin('mailing_reports', 'mailing_id', 'mailings.id')
      .selectAll()
      .orderBy('sent_at', 'desc')
      .execute()
    expect(mailings).toMatchObject([
      {
        provider_id: campaign.id,
        name: 'What we learned (internal)',
        subject: 'What we learned',
        from_address: 'ada@example.com',
        status: 'sent',
        sent_at: sentAt,
        synced_by: 'the test',
        recipients: 12,
        deliveries: 10,
        opens: 7,
        unique_opens: 6,
        clicks: 1,
        unique_clicks: 1,
        permanent_failures: 1,
        temporary_failures: 1,
        unsubscriptions: 1,
        complaints: 1,
      },
      { status: 'draft', sent_at: null, recipients: null },
    ])
    const kinds = await app.db
      .selectFrom('engagements')
      .select(({ fn }) => ['kind', fn.countAll<number>().as('count')])
      .groupBy('kind')
      .execute()
    expect(Object.fromEntries(kinds.map(({ kind, count }) => [engagementKind(kind), count]))).toEqual({
      sent: 12,
      opened: 6,
      clicked: 1,
      bounced: 2,
      complained: 1,
      unsubscribed: 1,
    })
    expect(await app.db.selectFrom('mailing_link_reports').selectAll().execute()).toMatchObject([
      { url: 'https://example.com/post', clicks: 1, unique_clicks: 1 },
    ])
    await expectCountsToHold(app.db)
  })

  it('keeps one contact for a person on two lists, and tells bounces from people who left', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.sync()
    const people = await app.db
      .selectFrom('subscriptions')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .innerJoin('lists', 'lists.id', 'list_id')
      .select(['contacts.email', 'contacts.name', 'lists.name as list', 'subscriptions.status', 'fields'])
      .orderBy('contacts.email')
      .execute()
    const status = (email: string) => people.filter((row) => row.email === email).map((row) => row.status)
    expect(people.filter(({ email }) => email === 'ada@fernmail.example')).toEqual([
      {
        email: 'ada@fernmail.example',
        name: 'Ada Quill',
        list: 'Weekly letter',
        status: 'subscribed',
        fields: '{"FirstName":"Ada","LastName":"Quill","Topics":["a"]}',
      },
      expect.objectContaining({ list: 'Northwind news', name: 'Ada Quill', status: 'subscribed' }),
    ])
    expect(status('reader-9@fernmail.example')).toEqual(['bounced'])
    expect(status('reader-10@fernmail.example')).toEqual(['subscribed'])
    expect(status('reader-4@fernmail.example')).toEqual(['unsubscribed'])
    expect(status('reader-3@fernmail.example')).toEqual(['complained'])
    expect(status('pending@fernmail.example')).toEqual(['unconfirmed'])
    expect(status('left@fernmail.example')).toEqual(['unsubscribed'])
    const tags = await app.db
      .selectFrom('contact_tags')
      .innerJoin('tags', 'tags.id', 'tag_id')
      .select('name')
      .orderBy('name')
      .execute()
    expect(tags.map(({ name }) => name)).toEqual(['press', 'vip'])
  })

  it('followed by others changes and doubles nothing', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.sync()
    const before = await rowsOf(app)
    for (const kind of ['manual', 'first', 'nightly'] as const) {
      app.clock.pass(25 * hour)
      const run = await runOf(app, await app.sync(kind))
      expect(run).toMatchObject({ state: 'done', error: null, changes: {} })
      expect(await rowsOf(app)).toEqual(before)
    }
    expect((await app.db.selectFrom('mailing_snapshots').selectAll().execute()).length).toBe(1)
    await expectCountsToHold(app.db)
  })
})

describe('a later sync', () => {
  it('where nothing has changed asks for the pages of lists and campaigns, and for the numbers that are due', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.sync()
    let asked = app.standIn.requests.length
    app.clock.pass(30 * minute)
    await app.sync('nightly')
    expect(askedSince(app, asked)).toEqual(['/lists', '/campaigns'])
    asked = app.standIn.requests.length
    app.clock.pass(40 * minute)
    await app.sync('nightly')
    expect(askedSince(app, asked)).toEqual(['/lists', '/campaigns', '/campaigns/*/reports/summary'])
  })

  it('asks for the numbers of a mailing less often the older it is, and by hand for all', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.sync()
    const summaries = async (passed: number, kind: 'nightly' | 'manual' = 'nightly') => {
      app.clock.pass(passed)
      const asked = app.standIn.requests.length
      await app.sync(kind)
      return askedSince(app, asked).filter((path) => path.endsWith('summary')).length
    }
    expect(await summaries(hour)).toBe(1)
    expect(await summaries(20 * hour)).toBe(1) // 23 hours old: the last hour of hourly looks
    expect(await summaries(2 * hour)).toBe(0) // a day has passed since the sending: six-hourly
    expect(await summaries(4 * hour)).toBe(1)
    expect(await summaries(50 * hour)).toBe(1) // more than three days old: daily
    expect(await summaries(12 * hour)).toBe(0)
    expect(await summaries(0, 'manual')).toBe(1)
    expect(await summaries(24 * hour)).toBe(1)
    expect(await summaries(30 * day)).toBe(1) // older than thirty days: weekly
    expect(await summaries(3 * day)).toBe(0)
    expect(await summaries(4 * day)).toBe(1)
  })

  it('reads the reports whose counter has moved, and those alone', async () => {
    const app = await aConnectedOctopus()
    const { campaign, others } = fill(app.world)
    await app.sync()
    app.world.open(campaign, others[7]!, { at: testStart + minute })
    app.clock.pass(hour)
    const asked = app.standIn.requests.length
    const run = await runOf(app, await app.sync('nightly'))
    expect(run.changes).toEqual({ numbers: 1, events: 1 })
    expect(askedSince(app, asked)).toEqual([
      '/lists',
      '/campaigns',
      '/campaigns/*/reports/summary',
      '/campaigns/*/reports opened',
    ])
    await expectCountsToHold(app.db)
  })

  it('keeps a snapshot whenever a number has changed, a lower one as such, and a number that is lacking', async () => {
    const app = await aConnectedOctopus()
    const { campaign } = fill(app.world)
    await app.sync()
    app.clock.pass(hour)
    await app.sync('nightly')
    app.world.tell(campaign, { opened: { total: 9, unique: 8 } })
    app.clock.pass(hour)
    await app.sync('nightly')
    app.world.tell(campaign, { opened: { total: 9, unique: 5 } })
    app.clock.pass(hour)
    await app.sync('nightly')
    app.world.tell(campaign, { clicked: undefined as never, complained: undefined as never })
    app.clock.pass(hour)
    await app.sync('nightly')
    expect(await snapshotsOf(app)).toMatchObject([
      { taken_at: testStart, unique_opens: 6, opens: 7, clicks: 1, is_lower: 0 },
      { taken_at: testStart + 2 * hour, unique_opens: 8, opens: 9, is_lower: 0 },
      { taken_at: testStart + 3 * hour, unique_opens: 5, opens: 9, clicks: 1, complaints: 1, is_lower: 1 },
    ])
    const report = await app.db.selectFrom('mailing_reports').selectAll().executeTakeFirstOrThrow()
    expect(report).toMatchObject({
      unique_opens: 5,
      clicks: 1,
      complaints: 1,
      checked_at: testStart + 4 * hour,
    })
  })

  it('keeps what a free account forgets after thirty days', async () => {
    const app = await aConnectedOctopus()
    const { campaign } = fill(app.world)
    await app.sync()
    const before = await rowsOf(app)
    app.world.forgetReports(campaign)
    app.world.tell(campaign, {
      sent: undefined as never,
      bounced: undefined as never,
      opened: undefined as never,
      clicked: undefined as never,
      complained: undefined as never,
      unsubscribed: undefined as never,
    })
    app.clock.pass(40 * day)
    expect(await runOf(app, await app.sync('manual'))).toMatchObject({ state: 'done', changes: {} })
    expect(await rowsOf(app)).toEqual(before)
    expect((await snapshotsOf(app)).length).toBe(1)
  })

  it('asks a list that has changed for what has, and knows who was deleted by its numbers', async () => {
    const app = await aConnectedOctopus()
    const { weekly, ada, others } = fill(app.world)
    await app.sync()
    app.clock.pass(2 * hour)
    app.world.updateContact(ada, { email: 'ada@quill.example', tags: [] }, { at: app.clock.at })
    app.world.addContact(weekly, { email: 'new@fernmail.example', at: app.clock.at })
    let asked = app.standIn.requests.length
    const run = await runOf(app, await app.sync('nightly'))
    expect(run.changes).toMatchObject({ subscribers: 1 })
    expect(askedSince(app, asked).filter((path) => path.startsWith('/lists/'))).toEqual([
      '/lists/*/contacts subscribed changed',
      '/lists/*/contacts unsubscribed changed',
      '/lists/*/contacts pending changed',
    ])
    expect(await statusOf(app, 'ada@quill.example', 'Weekly letter')).toBe('subscribed')
    // The other list goes on telling the old address, which does not undo the change.
    app.clock.pass(25 * hour)
    await app.sync('first')
    expect(await statusOf(app, 'ada@quill.example', 'Northwind news')).toBe('subscribed')

    app.world.deleteContact(others[0]!, { at: app.clock.at })
    app.clock.pass(26 * hour)
    asked = app.standIn.requests.length
    expect((await runOf(app, await app.sync('nightly'))).changes).toMatchObject({ removed: 1 })
    expect(askedSince(app, asked)).toContain('/lists/*/contacts subscribed')
    expect(await statusOf(app, 'reader-0@fernmail.example', 'Weekly letter')).toBe('removed')
    await expectCountsToHold(app.db)
  })

  it.each([
    { how: 'by the schedule, within a day', kind: 'nightly', passed: 24 * hour },
    { how: 'by hand, at once', kind: 'manual', passed: minute },
    { how: 'when everything is asked for again', kind: 'first', passed: minute },
  ] as const)('brings what changed of a contact though its list tells nothing of it: $how', async (sync) => {
    const app = await aConnectedOctopus()
    const { ada } = fill(app.world)
    await app.sync()
    const change = {
      email: 'augusta@quill.example',
      fields: { FirstName: 'Augusta', LastName: 'Quill' },
      tags: ['press', 'vip'],
    }
    app.clock.pass(2 * hour)
    app.world.updateContact(ada, change, { at: app.clock.at })
    const asked = app.standIn.requests.length
    await app.sync('nightly')
    expect(askedSince(app, asked)).toEqual(['/lists', '/campaigns', '/campaigns/*/reports/summary'])
    app.clock.pass(sync.passed)
    await app.sync(sync.kind)
    const people = await app.db
      .selectFrom('contacts')
      .innerJoin('contact_tags', 'contact_id', 'contacts.id')
      .innerJoin('tags', 'tags.id', 'tag_id')
      .select(['contacts.name', 'tags.name as tag'])
      .distinct()
      .where('email', '=', 'augusta@quill.example')
      .orderBy('tag')
      .execute()
    expect(people).toEqual([
      { name: 'Augusta Quill', tag: 'press' },
      { name: 'Augusta Quill', tag: 'vip' },
    ])
  })

  it('takes nobody for deleted who goes from one status to another while the list is walked', async () => {
    const app = await aConnectedOctopus()
    const { news, others } = fill(app.world)
    await app.sync()
    app.clock.pass(26 * hour)
    app.world.deleteContact(news.contacts[2]!, { at: app.clock.at }) // the numbers disagree: a whole walk
    app.world.deleteContact(others[0]!, { at: app.clock.at })
    const asked = app.standIn.requests.length
    await app.emailOctopus.sync.ask('the schedule', 'nightly')
    const performing = app.emailOctopus.sync.performWaiting()
    // Of the second list, who is unsubscribed is asked for: who is subscribed has been told.
    const walked = () =>
      app.standIn.requests
        .slice(asked)
        .some(({ path, query }) => path.includes(news.id) && query.get('status') === 'unsubscribed')
    while (!walked()) await app.standIn.arrived(app.standIn.requests.length + 1)
    app.clock.pass(1_000)
    app.world.updateContact(news.contacts[1]!, { status: 'subscribed' }, { at: app.clock.at })
    await performing
    const run = await app.db
      .selectFrom('sync_runs')
      .selectAll()
      .orderBy('id', 'desc')
      .executeTakeFirstOrThrow()
    expect(JSON.parse(run.changes)).toMatchObject({ removed: 2 })
    expect(await statusOf(app, 'pending@fernmail.example', 'Northwind news')).toBe('subscribed')
    expect(await statusOf(app, 'left@fernmail.example', 'Northwind news')).toBe('removed')
    const removed = await app.db
      .selectFrom('subscription_changes')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .select('email')
      .where('subscription_changes.status', '=', 'removed')
      .orderBy('email')
      .execute()
    expect(removed.map(({ email }) => email)).toEqual(['left@fernmail.example', 'reader-0@fernmail.example'])
  })

  it('asks each list for its changes once a day, and not in the hours between', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.sync()
    let walks = 0
    for (let hours = 0; hours < 48; hours++) {
      app.clock.pass(hour)
      const asked = app.standIn.requests.length
      await app.sync('nightly')
      const contacts = askedSince(app, asked).filter((path) => path.startsWith('/lists/'))
      expect(contacts.every((path) => path.endsWith(' changed'))).toBe(true)
      if (contacts.length > 0) walks++
    }
    expect(walks).toBe(2)
  })

  it('goes on past a list that is deleted while it is walked', async () => {
    const app = await aConnectedOctopus()
    const { news } = fill(app.world)
    await app.emailOctopus.sync.ask('the test')
    const performing = app.emailOctopus.sync.performWaiting()
    await app.standIn.arrived(6) // lists, campaigns, summary, links, and the first list’s contacts
    const release = app.standIn.hold()
    app.world.deleteList(news)
    release()
    await performing
    const run = await app.db.selectFrom('sync_runs').selectAll().executeTakeFirstOrThrow()
    expect(run).toMatchObject({ state: 'done', error: null })
    const lists = await app.db.selectFrom('lists').select(['name', 'gone_at']).orderBy('id').execute()
    expect(lists).toEqual([
      { name: 'Weekly letter', gone_at: null },
      { name: 'Northwind news', gone_at: testStart },
    ])
    expect((await app.db.selectFrom('engagements').select('id').execute()).length).toBeGreaterThan(20)
    expect(await app.db.selectFrom('sync_failures').select('settled_at').execute()).toEqual(
      [{ settled_at: testStart }].slice(0, 1),
    )
    app.clock.pass(25 * hour)
    expect(await runOf(app, await app.sync('manual'))).toMatchObject({ state: 'done' })
    expect(await statusOf(app, 'ada@fernmail.example', 'Weekly letter')).toBe('subscribed')
  })

  it('goes on past a campaign that cannot be had, lists it, and settles that when it can', async () => {
    skipBackoff()
    const app = await aConnectedOctopus()
    const { campaign, weekly } = fill(app.world)
    app.world.addCampaign({ subject: 'Another', lists: [weekly], at: sentAt - day, sentAt: sentAt - day })
    app.standIn.weather.broken = `/campaigns/${campaign.id}/`
    expect(await runOf(app, await app.sync())).toMatchObject({ state: 'done', error: null })
    const failures = () => app.db.selectFrom('sync_failures').select(['what', 'why', 'settled_at']).execute()
    expect(await failures()).toMatchObject([
      {
        what: 'Campaign What we learned (internal)',
        why: expect.stringContaining('EmailOctopus'),
        settled_at: null,
      },
    ])
    expect((await snapshotsOf(app)).length).toBe(1)
    app.standIn.weather.broken = ''
    app.clock.pass(hour)
    await app.sync('manual')
    expect(await failures()).toMatchObject([{ settled_at: testStart + hour }])
    expect((await snapshotsOf(app)).length).toBe(2)
  })

  it('ends as failed where nothing can be had, and goes on from there', async () => {
    skipBackoff()
    const app = await aConnectedOctopus()
    const { weekly } = fill(app.world)
    for (const subject of ['Two', 'Three', 'Four'])
      app.world.addCampaign({ subject, lists: [weekly], at: sentAt - day, sentAt: sentAt - day })
    await app.emailOctopus.sync.ask('the test')
    const performing = app.emailOctopus.sync.performWaiting()
    await app.standIn.arrived(2) // lists and campaigns
    app.standIn.weather.broken = '/'
    await performing
    expect(await app.db.selectFrom('sync_runs').select(['state', 'kind']).execute()).toEqual([
      { state: 'failed', kind: 'first' },
    ])
    app.standIn.weather.broken = ''
    const asked = app.standIn.requests.length
    expect(await runOf(app, await app.sync())).toMatchObject({ state: 'done', kind: 'first' })
    expect(askedSince(app, asked)).not.toContain('/campaigns')
    await expectCountsToHold(app.db)
  })

  it('takes three campaigns that cannot be had for no more than that, and asks for them last from then on', async () => {
    skipBackoff()
    const app = await aConnectedOctopus()
    const list = app.world.addList({ name: 'Weekly letter', at: testStart - 90 * day })
    app.world.addContact(list, { email: 'ada@fernmail.example', at: testStart - 80 * day })
    const campaigns = [1, 2, 3, 4, 5, 6].map((days) =>
      app.world.addCampaign({ subject: `Day ${days}`, lists: [list], at: testStart - days * day }),
    )
    const [broken, others] = [campaigns.slice(0, 3), campaigns.slice(3)]
    app.standIn.weather.brokenToo = broken.map(({ id }) => `/campaigns/${id}/`)
    const summaries = async () =>
      (await app.db.selectFrom('mailing_reports').select('mailing_id').execute()).length
    expect(await runOf(app, await app.sync())).toMatchObject({ state: 'done', error: null })
    expect(await summaries()).toBe(3)
    expect(await statusOf(app, 'ada@fernmail.example', 'Weekly letter')).toBe('subscribed')
    const failures = await app.db.selectFrom('sync_failures').select('what').execute()
    expect(failures.map(({ what }) => what).sort()).toEqual(
      ['Day 1', 'Day 2', 'Day 3'].map((subject) => `Campaign ${subject} (internal)`),
    )

    app.clock.pass(day)
    const asked = app.standIn.requests.length
    await app.sync('manual')
    const order = app.standIn.requests
      .slice(asked)
      .flatMap(({ path }) => path.match(/(?<=^\/campaigns\/)[^/]+/) ?? [])
    expect(new Set(order.slice(0, 3))).toEqual(new Set(others.map(({ id }) => id)))
  })

  it('reads those who did not open where the others do not account for everybody', async () => {
    const app = await aConnectedOctopus()
    const { campaign } = fill(app.world)
    app.world.tell(campaign, { sent: 13 })
    await app.sync()
    const reports = app.standIn.requests.map(({ query }) => query.get('status')).filter(Boolean)
    expect(reports).toEqual(expect.arrayContaining(['not-opened', 'not-clicked']))
    const sent = await app.db.selectFrom('engagements').select('id').where('kind', '=', 1).execute()
    expect(sent.length).toBe(12)
    const asked = app.standIn.requests.length
    app.clock.pass(hour)
    await app.sync('nightly')
    expect(askedSince(app, asked).filter((path) => path.includes(' '))).toEqual([])
    await expectCountsToHold(app.db)
  })

  it('asked for twice at once is one', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    const one = await app.emailOctopus.sync.start('Maren')
    const other = await app.emailOctopus.sync.start('Ben')
    expect(other).toMatchObject({ id: one.id, askedBy: 'Maren' })
    await app.emailOctopus.sync.performWaiting()
    expect((await app.db.selectFrom('sync_runs').selectAll().execute()).length).toBe(1)
    await expectCountsToHold(app.db)
  })
})

describe('a sync asked for by hand while a scheduled one is under way', () => {
  /** Four old mailings, and a scheduled sync that holds still when so many requests have arrived. */
  async function withOldMailings(requests: number) {
    const app = await aConnectedOctopus()
    const at = testStart - 100 * day
    const list = app.world.addList({ name: 'Weekly letter', at })
    app.world.addContact(list, { email: 'ada@fernmail.example', at })
    for (const subject of ['One', 'Two', 'Three', 'Four'])
      app.world.addCampaign({ subject, lists: [list], at })
    await app.sync()
    app.clock.pass(2 * hour)
    const asked = app.standIn.requests.length
    const release = app.standIn.hold()
    const scheduled = app.emailOctopus.sync.scheduled('the schedule')
    await app.standIn.arrived(asked + requests)
    return {
      app,
      release,
      scheduled,
      summaries: (from = app.standIn) =>
        from.requests.slice(asked).filter(({ path }) => path.endsWith('/reports/summary')).length,
    }
  }

  it('raises it, so that the numbers of all mailings are read', async () => {
    const { app, release, scheduled, summaries } = await withOldMailings(1)
    const run = await app.emailOctopus.sync.start('Maren')
    expect(run).toMatchObject({ kind: 'manual', askedBy: 'Maren' })
    release()
    await scheduled
    expect(summaries()).toBe(4)
    expect(await app.db.selectFrom('sync_runs').select(['kind', 'asked_by', 'state']).execute()).toEqual([
      { kind: 'first', asked_by: 'the test', state: 'done' },
      { kind: 'manual', asked_by: 'Maren', state: 'done' },
    ])
    app.clock.pass(hour)
    expect(await app.sync('nightly')).toMatchObject({ kind: 'nightly' })
  })

  it('raises it for good, though the process ends', async () => {
    const { app, release, scheduled, summaries } = await withOldMailings(2)
    await app.emailOctopus.sync.start('Maren')
    const stopping = app.stop()
    release()
    await stopping
    await scheduled
    const next = await aConnectedOctopus({ standIn: app.standIn, dataDir: app.dataDir, clock: app.clock })
    await next.emailOctopus.sync.performWaiting()
    expect(summaries()).toBe(4)
    expect(await next.db.selectFrom('sync_runs').select(['kind', 'state']).execute()).toEqual([
      { kind: 'first', state: 'done' },
      { kind: 'manual', state: 'done' },
    ])
  })

  it('ends with it where somebody cancels', async () => {
    const { app, release, scheduled } = await withOldMailings(2)
    await app.emailOctopus.sync.start('Maren')
    await app.emailOctopus.sync.cancel()
    release()
    await scheduled
    expect(await app.db.selectFrom('sync_runs').select(['kind', 'state']).execute()).toEqual([
      { kind: 'first', state: 'done' },
      { kind: 'manual', state: 'cancelled' },
    ])
  })
})

describe('a sync that is interrupted', () => {
  it.each([2, 4, 6, 9, 12])(
    'after %i requests goes on at the next start, with no row doubled or missing',
    async (requests) => {
      const whole = await aConnectedOctopus()
      fill(whole.world)
      await whole.sync()
      const app = await aConnectedOctopus()
      fill(app.world)
      await app.emailOctopus.sync.ask('the test')
      const performing = app.emailOctopus.sync.performWaiting()
      await app.standIn.arrived(requests)
      await app.stop()
      await performing
      const next = await aConnectedOctopus({ standIn: app.standIn, dataDir: app.dataDir, clock: app.clock })
      await next.emailOctopus.sync.performWaiting()
      const run = await next.db.selectFrom('sync_runs').selectAll().executeTakeFirstOrThrow()
      expect(run).toMatchObject({ state: 'done', error: null })
      expect(await rowsOf(next)).toEqual(await rowsOf(whole))
      await expectCountsToHold(next.db)
    },
  )

  it('by somebody ends as cancelled, and the next one goes on from there', async () => {
    const app = await aConnectedOctopus()
    fill(app.world)
    await app.emailOctopus.sync.ask('the test')
    const performing = app.emailOctopus.sync.performWaiting()
    await app.standIn.arrived(4)
    await app.emailOctopus.sync.cancel()
    await performing
    expect(await app.db.selectFrom('sync_runs').select('state').execute()).toEqual([{ state: 'cancelled' }])
    expect(await runOf(app, await app.sync())).toMatchObject({ state: 'done', kind: 'first' })
    await expectCountsToHold(app.db)
  })
})

describe('a sync in bad weather', () => {
  it('with an old key says what to do', async () => {
    const app = await aConnectedOctopus({
      env: { EMAILOCTOPUS_API_KEY: '00000000-0000-4000-8000-00001e9ac700' },
    })
    const run = await runOf(app, await app.sync())
    expect(run.state).toBe('failed')
    expect(run.error).toContain('keys made before October 2024 do not work with this API')
  })

  it.each([
    { end: 'no paging' },
    { end: 'array' },
    { counts: 'array', emptyFields: 'array', statusCase: 'upper' },
    { reportRows: 'event' },
    { occurredAt: 'latest' },
    { draftReports: 422, draftSentAt: 'missing', neverAt: 'sent' },
  ] as Partial<Weather>[])('brings everything all the same: %j', async (weather) => {
    const app = await aConnectedOctopus({ weather })
    fill(app.world)
    const run = await runOf(app, await app.sync())
    expect(run).toMatchObject({ state: 'done', error: null })
    expect((await rowsOf(app)).slice(0, 2)).toEqual([14, 15])
    app.clock.pass(25 * hour)
    const before = await rowsOf(app)
    await app.sync('manual')
    expect(await rowsOf(app)).toEqual(before)
    await expectCountsToHold(app.db)
  })
})
