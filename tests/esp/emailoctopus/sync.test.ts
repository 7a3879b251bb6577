import { describe, expect, it } from 'vitest'
import { engagementKind } from '../../../src/audience/engagement-kinds.js'
import { findRun } from '../../../src/esp/runs.js'
import { testStart } from '../../support/app.js'
import type { EmailOctopusWorld } from '../../support/emailoctopus-world.js'
import { expectCountsToHold } from '../../support/recount.js'
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
