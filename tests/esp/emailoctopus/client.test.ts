import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  EmailOctopusClient,
  type EmailOctopusOptions,
  reportStatuses,
} from '../../../src/esp/emailoctopus/client.js'
import { ProviderError } from '../../../src/esp/provider-error.js'
import type { Weather } from '../../support/emailoctopus.js'
import { handClock, leapingClock, settled } from '../../support/hand-clock.js'
import { anEmailOctopus, everything } from './stand-in.js'

const key = 'key-that-nobody-may-see'

/** A server that gives each request the next of these answers, and the last one ever after. */
async function answering(
  answers: ((response: ServerResponse, baseUrl: string) => void)[],
  options: Partial<EmailOctopusOptions> = {},
) {
  const seen: { url: string; headers: Record<string, unknown> }[] = []
  const server = createServer((request, response) => {
    seen.push({ url: request.url!, headers: request.headers })
    answers[Math.min(seen.length, answers.length) - 1]!(response, baseUrl)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const clock = leapingClock()
  const client = new EmailOctopusClient({ key, baseUrl, clock, limit: null, ...options })
  return { client, clock, seen, baseUrl }
}

const answer =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
const problem = (status: number, type: string, detail: string, more: object = {}) => ({
  title: 'An error occurred.',
  detail,
  status,
  type: `https://emailoctopus.com/api-documentation/v2#${type}`,
  ...more,
})
const aList = { id: 'list-1', name: 'Weekly letter' }
const oneList = answer(200, { data: [aList], paging: { next: null } })

/** A page that leads on to a cursor. */
const leadingTo = (cursor: string | null, url = `/lists?starting_after=${cursor}`) =>
  answer(200, { data: [aList], paging: { next: { url, starting_after: cursor } } })

/** The ProviderError that a call ends in. */
async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => null,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(ProviderError)
  return error as ProviderError
}

describe('what the client reads', () => {
  it.each(['lower', 'upper'] as const)('reads campaigns, with statuses in %s case', async (statusCase) => {
    const { client, world, clock, octopus } = await anEmailOctopus({ weather: { statusCase } })
    const list = world.addList({ name: 'Weekly letter' })
    const sent = world.addCampaign({
      subject: 'September',
      name: 'Issue 9',
      lists: [list],
      html: '<h1>September</h1>',
      at: clock.now() - 60_500,
      sentAt: clock.now(),
    })
    const draft = world.addCampaign({ subject: 'October', status: 'draft' })
    const expected = {
      id: sent.id,
      status: 'sent',
      name: 'Issue 9',
      subject: 'September',
      listIds: [list.id],
      fromName: 'Ada',
      fromEmail: 'ada@example.com',
      html: '<h1>September</h1>',
      createdAt: clock.now() - 61_000, // whole seconds
      sentAt: clock.now(),
    }
    const campaigns = await everything(client.campaigns())
    expect(campaigns).toHaveLength(2)
    expect(campaigns).toContainEqual(expected)
    expect(campaigns).toContainEqual(expect.objectContaining({ id: draft.id, status: 'draft', sentAt: null }))
    expect(await client.campaign(sent.id)).toEqual(expected)
    octopus.weather.draftSentAt = 'missing'
    expect(await client.campaign(draft.id)).toMatchObject({ sentAt: null, listIds: [] })
    expect(octopus.requests[0]!.query.get('limit')).toBe('100')
    expect(octopus.requests[0]!.headers).toMatchObject({
      authorization: `Bearer ${octopus.key}`,
      accept: 'application/json',
    })
  })

  it.each(['object', 'array'] as const)('reads lists, with counts as %s', async (counts) => {
    const { client, world, clock } = await anEmailOctopus({ weather: { counts } })
    const fields = [
      { label: 'First name', tag: 'FirstName', type: 'text' as const, fallback: 'friend' },
      { label: 'Topics', tag: 'Topics', type: 'choice_multiple' as const, choices: ['a', 'b'] },
    ]
    const list = world.addList({ name: 'Weekly letter', doubleOptIn: true, fields, tags: ['vip'] })
    world.addContact(list, { email: 'ada@example.com' })
    world.addContact(list, { email: 'ben@example.com', status: 'pending' })
    const expected = {
      id: list.id,
      name: 'Weekly letter',
      doubleOptIn: true,
      fields: [
        { label: 'First name', tag: 'FirstName', type: 'text', choices: [], fallback: 'friend' },
        { label: 'Topics', tag: 'Topics', type: 'choice_multiple', choices: ['a', 'b'], fallback: null },
      ],
      tags: ['vip'],
      counts: { pending: 1, subscribed: 1, unsubscribed: 0 },
      createdAt: clock.now(),
      updatedAt: clock.now(),
    }
    expect(await everything(client.lists())).toEqual([expected])
    expect(await client.list(list.id)).toEqual(expected)
  })

  it('reads counts that come in pieces, and lacks those that do not come', async () => {
    const counts = [{ pending: 3 }, { subscribed: 1200 }, 'odd']
    const { client } = await answering([
      answer(200, { ...aList, counts }),
      answer(200, { ...aList, counts: null }),
    ])
    expect((await client.list('list-1')).counts).toEqual({
      pending: 3,
      subscribed: 1200,
      unsubscribed: null,
    })
    expect((await client.list('list-1')).counts).toEqual({
      pending: null,
      subscribed: null,
      unsubscribed: null,
    })
  })

  it.each(['object', 'array'] as const)(
    'reads contacts by status, with empty fields as %s',
    async (emptyFields) => {
      const { client, world, clock } = await anEmailOctopus({ weather: { emptyFields } })
      const list = world.addList({ name: 'Weekly letter' })
      const ada = world.addContact(list, {
        email: 'Ada@example.com',
        fields: { FirstName: 'Ada', Topics: ['a'], Age: 36 },
        tags: ['vip'],
      })
      const ben = world.addContact(list, { email: 'ben@example.com', status: 'unsubscribed' })
      world.addContact(list, { email: 'cleo@example.com', status: 'pending' })
      const expected = {
        id: ada.id,
        email: 'Ada@example.com',
        fields: { FirstName: 'Ada', Topics: ['a'], Age: 36 },
        tags: ['vip'],
        status: 'subscribed',
        createdAt: clock.now(),
        updatedAt: clock.now(),
      }
      expect(await everything(client.contacts(list.id, { status: 'subscribed' }))).toEqual([expected])
      expect(await everything(client.contacts(list.id, { status: 'unsubscribed' }))).toMatchObject([
        { id: ben.id, fields: {}, tags: [], status: 'unsubscribed' },
      ])
      expect(await everything(client.contacts(list.id, { status: 'pending' }))).toHaveLength(1)
      expect(await client.contact(list.id, ada.id)).toEqual(expected)
      const md5 = createHash('md5').update('ada@example.com').digest('hex')
      expect(await client.contact(list.id, md5)).toEqual(expected)
    },
  )

  it('reads only the contacts with a tag, or those that changed since', async () => {
    const { client, world, clock, octopus } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    const long = clock.now() - 86_400_000
    const ada = world.addContact(list, { email: 'ada@example.com', at: long, tags: ['vip & co'] })
    const ben = world.addContact(list, { email: 'ben@example.com', at: long })
    world.updateContact(ben, { fields: { FirstName: 'Ben' } })
    const ids = async (options: { tag?: string; updatedSince?: number }) =>
      (await everything(client.contacts(list.id, { status: 'subscribed', ...options }))).map(({ id }) => id)
    expect(await ids({ tag: 'vip & co' })).toEqual([ada.id])
    expect(await ids({ updatedSince: clock.now() - 999 })).toEqual([ben.id])
    expect(octopus.requests.at(-1)!.query.get('last_updated_at.gte')).toBe('2026-11-21T09:59:59Z')
    expect(await ids({ updatedSince: long })).toHaveLength(2)
    expect(await ids({ updatedSince: clock.now() + 1000 })).toEqual([])
  })

  it('reads a campaign’s summary and links', async () => {
    const { client, world } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    const [ada, ben, cleo] = ['ada', 'ben', 'cleo'].map((name) =>
      world.addContact(list, { email: `${name}@example.com` }),
    ) as [
      ReturnType<typeof world.addContact>,
      ReturnType<typeof world.addContact>,
      ReturnType<typeof world.addContact>,
    ]
    const campaign = world.addCampaign({
      subject: 'September',
      lists: [list],
      links: ['https://example.com/unread'],
    })
    world.open(campaign, ada)
    world.open(campaign, ada)
    world.click(campaign, ada, { url: 'https://example.com/post' })
    world.click(campaign, ada, { url: 'https://example.com/post' })
    world.bounce(campaign, ben)
    world.bounce(campaign, cleo, { kind: 'soft' })
    world.unsubscribe(campaign, ada)
    expect(await client.summary(campaign.id)).toEqual({
      sent: 3,
      hardBounces: 1,
      softBounces: 1,
      opens: 2,
      uniqueOpens: 1,
      clicks: 2,
      uniqueClicks: 1,
      complaints: 0,
      unsubscribes: 1,
    })
    expect(await everything(client.links(campaign.id))).toEqual([
      { url: 'https://example.com/unread', clicks: 0, uniqueClicks: 0 },
      { url: 'https://example.com/post', clicks: 2, uniqueClicks: 1 },
    ])
  })

  it('reads links over more pages, should there be some', async () => {
    const link = (url: string, next: unknown) =>
      answer(200, { data: [{ url, clicked_total: 1, clicked_unique: 1 }], paging: { next } })
    const { client, seen } = await answering([
      link('https://example.com/a', { url: '/next?starting_after=c', starting_after: 'c' }),
      link('https://example.com/b', null),
    ])
    expect(await everything(client.links('c-1'))).toHaveLength(2)
    expect(seen.map(({ url }) => url)).toEqual([
      '/campaigns/c-1/reports/links',
      '/campaigns/c-1/reports/links?starting_after=c',
    ])
  })

  it('lacks the numbers that an answer lacks', async () => {
    const { client } = await answering([
      answer(200, { id: 'c-1', sent: 10, opened: { unique: 4 }, bounced: [] }),
    ])
    expect(await client.summary('c-1')).toEqual({
      sent: 10,
      hardBounces: null,
      softBounces: null,
      opens: null,
      uniqueOpens: 4,
      clicks: null,
      uniqueClicks: null,
      complaints: null,
      unsubscribes: null,
    })
  })

  it('reads the contact reports of all eight statuses', async () => {
    const { client, world, clock, octopus } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    const [ada, ben] = ['ada', 'ben'].map((name) => world.addContact(list, { email: `${name}@example.com` }))
    const campaign = world.addCampaign({ subject: 'September', lists: [list] })
    world.open(campaign, ada!, { at: clock.now() + 5000 })
    world.open(campaign, ada!, { at: clock.now() + 9000 })
    world.click(campaign, ada!)
    world.bounce(campaign, ben!)
    world.complain(campaign, ada!)
    world.unsubscribe(campaign, ada!)
    const reported: Record<string, [string | null, number | null][]> = {}
    for (const status of reportStatuses) {
      const rows = await everything(client.contactReport(campaign.id, status))
      reported[status] = rows.map(({ email, at }) => [email, at === null ? null : at - clock.now()])
    }
    expect(reported).toEqual({
      sent: [
        ['ada@example.com', 0],
        ['ben@example.com', 0],
      ],
      opened: [['ada@example.com', 5000]],
      'not-opened': [['ben@example.com', null]],
      clicked: [['ada@example.com', 0]],
      'not-clicked': [['ben@example.com', null]],
      bounced: [['ben@example.com', 0]],
      complained: [['ada@example.com', 0]],
      unsubscribed: [['ada@example.com', 0]],
    })
    expect(octopus.requests.map(({ query }) => query.get('status'))).toEqual([...reportStatuses])

    world.deleteContact(ada!)
    expect(await everything(client.contactReport(campaign.id, 'opened'))).toEqual([
      { contactId: ada!.id, email: null, at: clock.now() + 5000 },
    ])
  })

  it('counts the rows it cannot read instead of losing the page', async () => {
    const { client } = await answering([
      answer(200, {
        data: [{ contact_id: 'a', occurred_at: 'soon' }, { contact_email_address: 'b@example.com' }, null, 7],
      }),
    ])
    for await (const page of client.contactReport('c-1', 'opened'))
      expect(page).toEqual({
        items: [{ contactId: 'a', email: null, at: null }],
        cursor: null,
        unreadable: 3,
      })
  })

  it('reads what is odd without tripping', async () => {
    const { client } = await answering([
      answer(200, {
        data: [
          { id: 'a' },
          {
            id: 'b',
            email_address: null,
            fields: { Age: null, Topics: ['a', 7], Member: true, Deep: { er: 1 } },
            tags: ['vip', null, 3],
            status: 'Enthusiastic',
            created_at: '2026-05-04T10:15:30+02:00',
            brand_new: 1,
          },
        ],
      }),
    ])
    expect(await everything(client.contacts('l-1', { status: 'subscribed' }))).toEqual([
      { id: 'a', email: null, fields: {}, tags: [], status: '', createdAt: null, updatedAt: null },
      {
        id: 'b',
        email: null,
        fields: { Topics: ['a'], Member: true },
        tags: ['vip'],
        status: 'enthusiastic',
        createdAt: Date.UTC(2026, 4, 4, 8, 15, 30),
        updatedAt: null,
      },
    ])
  })

  it('tries the key with one list', async () => {
    const { client, octopus } = await anEmailOctopus()
    await client.checkKey()
    expect(octopus.requests.map(({ path, query }) => `${path}?${query}`)).toEqual(['/lists?limit=1'])
    const legacy = new EmailOctopusClient({ key: octopus.legacyKeys[0]!, baseUrl: octopus.url })
    expect((await failure(legacy.checkKey())).kind).toBe('refused-key')
  })
})

describe('walking pages', () => {
  const ends: Weather['end'][] = ['null', 'missing', 'no paging', 'null paging', 'array', 'object', 'no url']
  it.each(ends)('ends where the last page says so by %s', async (end) => {
    const { client, world, octopus } = await anEmailOctopus({ weather: { end } })
    const list = world.addList({ name: 'Weekly letter' })
    for (let number = 0; number < 250; number++)
      world.addContact(list, { email: `reader${number}@example.com` })
    const read = await everything(client.contacts(list.id, { status: 'subscribed' }))
    expect(new Set(read.map(({ id }) => id)).size).toBe(250)
    expect(octopus.requests).toHaveLength(3)
    expect(octopus.requests[2]!.query.get('status')).toBe('subscribed')
  })

  it('tells each page’s cursor, and begins after the one it is told', async () => {
    const { client, world } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    for (let number = 0; number < 250; number++)
      world.addContact(list, { email: `reader${number}@example.com`, at: number })
    const walk = async (startAfter: string | null) => {
      const pages: { emails: (string | null)[]; cursor: string | null }[] = []
      for await (const page of client.contacts(list.id, { status: 'subscribed', startAfter }))
        pages.push({ emails: page.items.map(({ email }) => email), cursor: page.cursor })
      return pages
    }
    const all = await walk(null)
    expect(all.map(({ emails }) => emails.length)).toEqual([100, 100, 50])
    expect(all[2]!.cursor).toBe(null)
    expect(await walk(all[0]!.cursor)).toEqual(all.slice(1))
    expect(await walk(all[1]!.cursor)).toEqual(all.slice(2))
  })

  it('hands a cursor back exactly as it came', async () => {
    const { client, seen } = await answering([leadingTo('a+b/c= &ü'), oneList])
    await everything(client.lists())
    expect(new URL(seen[1]!.url, 'http://x').searchParams.get('starting_after')).toBe('a+b/c= &ü')
  })

  it('finds the cursor in the link where it stands nowhere else', async () => {
    const { client, seen } = await answering([leadingTo(null, '/lists?starting_after=c2&limit=100'), oneList])
    await everything(client.lists())
    expect(seen[1]!.url).toBe('/lists?limit=100&starting_after=c2')
    const { client: other } = await answering([leadingTo(null, '/lists?page=2'), oneList])
    expect((await failure(everything(other.lists()))).message).toBe(
      'EmailOctopus’s link to the next page holds no cursor.',
    )
  })

  it('does not run in a circle', async () => {
    const { client, seen } = await answering([leadingTo('a'), leadingTo('b'), leadingTo('a')])
    const error = await failure(everything(client.lists()))
    expect(error).toMatchObject({
      kind: 'invalid',
      message: 'The pages of EmailOctopus’s answer run in a circle.',
    })
    expect(seen).toHaveLength(3)
    const again = await answering([leadingTo('a')])
    await failure(everything(again.client.lists({ startAfter: 'a' })))
    expect(again.seen).toHaveLength(1)
  })

  it('sends the key to no other host', async () => {
    const elsewhere = await answering([oneList])
    for (const link of [
      `${elsewhere.baseUrl}/lists?starting_after=c`,
      'https://emailoctopus.com/lists?starting_after=c',
      'https://127.0.0.1/lists?starting_after=c',
      '//evil.example/lists?starting_after=c',
      'file:///etc/passwd',
      'http://[nonsense',
    ]) {
      const { client, seen } = await answering([leadingTo('c', link)])
      const error = await failure(everything(client.lists()))
      expect(error.message).toBe(
        'EmailOctopus’s answer leads to another host for its next page. The API key is not sent there.',
      )
      expect(seen).toHaveLength(1)
    }
    expect(elsewhere.seen).toEqual([])
    const { client, seen } = await answering([answer(302, '', { Location: elsewhere.baseUrl })])
    expect((await failure(client.checkKey())).message).toContain('leads elsewhere')
    expect([seen.length, elsewhere.seen.length]).toEqual([1, 0])
  })

  it('asks ahead for the next page, and tells of its failure when it is its turn', async () => {
    const { client, world, octopus } = await anEmailOctopus({ client: { tries: 1 } })
    const list = world.addList({ name: 'Weekly letter' })
    for (let number = 0; number < 250; number++)
      world.addContact(list, { email: `reader${number}@example.com` })
    let pages = 0
    const walk = async () => {
      for await (const _ of client.contacts(list.id, { status: 'subscribed', ahead: true })) {
        pages++
        if (pages < 3) await octopus.arrived(pages + 1) // it would wait for ever otherwise
        if (pages === 1) octopus.weather.faults = 1
      }
    }
    await expect(walk()).rejects.toThrow('fault')
    expect(pages).toBe(2)
  })

  it('misses no contact that was there all the time while others come and go', async () => {
    const { client, world } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    const staying = Array.from({ length: 220 }, (_, number) =>
      world.addContact(list, { email: `reader${number}@example.com`, at: number * 1000 }),
    )
    const going = world.addContact(list, { email: 'going@example.com', at: 99_500 })
    const seen = new Set<string>()
    for await (const { items } of client.contacts(list.id, { status: 'subscribed' })) {
      for (const { id } of items) seen.add(id)
      if (!going.deleted) world.deleteContact(going)
      world.addContact(list, { email: `new${seen.size}@example.com`, at: 0 })
    }
    for (const { id } of staying) expect(seen.has(id)).toBe(true)
  })

  it('says that a list was deleted half-way', async () => {
    const { client, world } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    for (let number = 0; number < 150; number++)
      world.addContact(list, { email: `reader${number}@example.com` })
    const walk = async () => {
      for await (const _ of client.contacts(list.id, { status: 'subscribed' })) world.deleteList(list)
    }
    expect(await failure(walk())).toMatchObject({
      kind: 'not-found',
      message: 'EmailOctopus does not know this list.',
    })
  })
})

describe('reports that there are none of', () => {
  it.each([400, 404, 422] as const)(
    'are no failure where a draft is answered by %s',
    async (draftReports) => {
      const { client, world } = await anEmailOctopus({ weather: { draftReports } })
      const draft = world.addCampaign({ subject: 'October', status: 'draft' })
      expect(await client.summary(draft.id)).toBe(null)
      expect(await everything(client.links(draft.id))).toEqual([])
      expect(await everything(client.contactReport(draft.id, 'opened'))).toEqual([])
    },
  )

  it('are no failure where it is forbidden, and are one where the key is refused', async () => {
    const { client, world } = await anEmailOctopus()
    const campaign = world.addCampaign({ subject: 'Theirs' })
    world.foreign.add(campaign.id)
    expect(await client.summary(campaign.id)).toBe(null)
    expect((await failure(client.campaign(campaign.id))).message).toBe(
      'EmailOctopus says that this campaign belongs to another account than the key.',
    )
    const refused = await answering([answer(401, problem(401, 'unauthorized', 'Invalid key.'))])
    expect((await failure(refused.client.summary('c'))).kind).toBe('refused-key')
    expect((await failure(everything(refused.client.links('c')))).kind).toBe('refused-key')
  })

  it('are a failure in the middle, where half a report would look like all of it', async () => {
    const rows = {
      data: [{ contact_id: 'a' }],
      paging: { next: { url: '/c?starting_after=x', starting_after: 'x' } },
    }
    const { client } = await answering([
      answer(200, rows),
      answer(400, problem(400, 'bad-request', 'Bad request.')),
    ])
    expect((await failure(everything(client.contactReport('c', 'opened')))).kind).toBe('invalid')
    expect(
      (await failure(everything(client.contactReport('c', 'opened', { startAfter: 'stale' })))).kind,
    ).toBe('invalid')
  })

  it('are a failure where what answers is not the API', async () => {
    const { client } = await answering([answer(404, '<html>Not here</html>')])
    expect((await failure(client.summary('c'))).message).toContain('not EmailOctopus’s API')
  })
})

describe('trying again', () => {
  it.each<[string, Record<string, string>, number]>([
    ['seconds', { 'X-RateLimit-Retry-After': '7' }, 7000],
    ['parts of seconds', { 'X-RateLimit-Retry-After': '0.25' }, 250],
    ['a Unix time', { 'X-RateLimit-Retry-After': String(Date.UTC(2026, 10, 21, 10, 0, 7) / 1000) }, 7000],
    [
      'a Unix time by a clock that is an hour slow',
      {
        'X-RateLimit-Retry-After': String(Date.UTC(2026, 10, 21, 9, 0, 7) / 1000),
        Date: 'Sat, 21 Nov 2026 09:00:00 GMT',
      },
      7000,
    ],
    ['a Unix time that is past', { 'X-RateLimit-Retry-After': '1700000000' }, 0],
    ['another header', { 'Retry-After': '7' }, 7000],
    ['both headers, its own first', { 'X-RateLimit-Retry-After': '7', 'Retry-After': '30' }, 7000],
    ['its own that cannot be read', { 'X-RateLimit-Retry-After': 'soon', 'Retry-After': '8' }, 8000],
    ['more than it means', { 'X-RateLimit-Retry-After': '86400' }, 90_000],
    ['a far Unix time', { 'X-RateLimit-Retry-After': '9999999999' }, 90_000],
  ])('waits as a 429 says in %s', async (_, headers, wait) => {
    const refused = answer(429, problem(429, 'too-many-requests', 'Too many requests.'), {
      Date: 'Sat, 21 Nov 2026 10:00:00 GMT',
      ...headers,
    })
    const { client, clock, seen } = await answering([refused, oneList], { random: () => 0 })
    expect(await everything(client.lists())).toHaveLength(1)
    expect(clock.waits).toEqual([wait])
    expect(seen).toHaveLength(2)
  })

  it('leaves it alone for longer each time where a 429 says nothing, and lets nobody else ask meanwhile', async () => {
    const { client, clock, seen } = await answering([answer(429, 'slow down')], { random: () => 0 })
    const error = await failure(client.checkKey())
    expect(error).toMatchObject({ kind: 'rate', retryIn: null })
    expect(error.message).toBe('EmailOctopus takes no more requests at the moment.')
    expect(seen).toHaveLength(6)
    expect(clock.waits).toEqual([4000, 8000, 16_000, 32_000, 60_000])

    const hand = handClock()
    const pauses: number[] = []
    const noting = {
      now: hand.now,
      after(milliseconds: number, run: () => void) {
        pauses.push(milliseconds)
        return hand.after(milliseconds, run)
      },
    }
    const limited = await answering([answer(429, 'slow down'), oneList], {
      clock: noting,
      limit: { capacity: 100, perSecond: 10 },
    })
    const first = limited.client.checkKey()
    while (!pauses.includes(4000)) await settled()
    const second = limited.client.checkKey()
    await hand.pass(3999)
    expect(pauses.filter((each) => each === 20_000)).toHaveLength(1) // the time that the only request had
    await hand.pass(1)
    await Promise.all([first, second])
    expect(limited.seen).toHaveLength(3)
  })

  it('backs off twice as long each time after a fault, with full jitter, and gives up after so many tries', async () => {
    const { client, clock, seen } = await answering([answer(503, 'down')], { random: () => 0.5, tries: 10 })
    const error = await failure(client.checkKey())
    expect(error).toMatchObject({ kind: 'unavailable', status: 503, passes: true })
    expect(seen).toHaveLength(10)
    expect(clock.waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  })

  it.each([400, 401, 403, 404, 422])('does not try again after %s', async (status) => {
    const { client, seen } = await answering([answer(status, problem(status, 'any', 'No'))])
    await failure(client.checkKey())
    expect(seen).toHaveLength(1)
  })

  it('lets no try take longer than its time, its body included', async () => {
    const { client, octopus, clock } = await anEmailOctopus({ client: { tries: 2 } })
    const release = octopus.hold()
    const failed = failure(client.checkKey())
    await octopus.arrived(1)
    clock.runOut()
    await octopus.arrived(2)
    clock.runOut()
    expect((await failed).message).toBe('EmailOctopus gave no answer within 20 seconds.')
    release()

    let started = () => {}
    const begun = new Promise<void>((resolve) => {
      started = resolve
    })
    const { client: slow, clock: other } = await answering(
      [(response) => void response.writeHead(200).write('{"data":', () => started())],
      { tries: 1 },
    )
    const stuck = failure(slow.checkKey())
    await begun
    other.runOut()
    expect((await stuck).kind).toBe('unavailable')
  })

  it('stops at once when it is cancelled, whether it asks or waits', async () => {
    const { client, octopus } = await anEmailOctopus()
    octopus.hold()
    const asking = new AbortController()
    const asked = client.checkKey({ signal: asking.signal })
    await octopus.arrived(1)
    asking.abort(new Error('Cancelled by Ada'))
    await expect(asked).rejects.toThrow('Cancelled by Ada')
    await expect(everything(client.lists({ signal: asking.signal }))).rejects.toThrow('Cancelled by Ada')
    expect(octopus.requests).toHaveLength(1)

    const clock = handClock()
    const { client: patient, seen } = await answering([answer(503, 'down')], { clock, random: () => 1 })
    const waiting = new AbortController()
    const waited = patient.summary('c', { signal: waiting.signal })
    while (seen.length < 1 || clock.timers !== 1) await settled()
    waiting.abort(new Error('Cancelled by Ben'))
    await expect(waited).rejects.toThrow('Cancelled by Ben')
    expect(clock.timers).toBe(0)
  })

  it('walks everything through faults at random', async () => {
    const { client, world } = await anEmailOctopus({ weather: { faults: 0.3 }, client: { tries: 20 } })
    const list = world.addList({ name: 'Weekly letter' })
    world.silently(() => {
      for (let number = 0; number < 3000; number++)
        world.addContact(list, { email: `reader${number}@example.com` })
    })
    expect(await everything(client.contacts(list.id, { status: 'subscribed', ahead: true }))).toHaveLength(
      3000,
    )
  })
})

describe('the rate limit', () => {
  const limit = { capacity: 100, perSecond: 10 }

  it('is never exceeded, however many ask at once, and little of it is left unused', async () => {
    const { client, octopus, clock } = await anEmailOctopus({ weather: { limit }, client: { limit } })
    const start = clock.now()
    await Promise.all(Array.from({ length: 400 }, () => client.checkKey()))
    expect(octopus.requests).toHaveLength(400)
    expect(octopus.refusals).toEqual([])
    expect(clock.now() - start).toBeLessThan(45_000)
    clock.after(60_000, () => {})
    await settled()
    await settled()
    const rested = clock.now()
    await Promise.all(Array.from({ length: 95 }, () => client.checkKey()))
    expect(clock.now()).toBe(rested)
    expect(octopus.refusals).toEqual([])
  })

  it('begins low, as what was sent before a restart counts still', async () => {
    const { client, octopus, clock } = await anEmailOctopus({ weather: { limit }, client: { limit } })
    await Promise.all(Array.from({ length: 100 }, () => client.checkKey()))
    clock.after(1000, () => {})
    await settled()
    await settled()
    const restarted = new EmailOctopusClient({ key: octopus.key, baseUrl: octopus.url, clock, limit })
    expect(restarted.remaining).toBe(10)
    await Promise.all(Array.from({ length: 60 }, () => restarted.checkKey()))
    expect(octopus.refusals).toEqual([])
  })

  it('gives way to others who use the same account', async () => {
    const { client, octopus, clock } = await anEmailOctopus({ weather: { limit }, client: { limit } })
    const other = new EmailOctopusClient({ key: octopus.key, baseUrl: octopus.url, clock, limit: null })
    clock.after(60_000, () => {})
    await settled()
    await settled()
    expect(client.remaining).toBe(95)
    await Promise.all(Array.from({ length: 97 }, () => other.checkKey()))
    await client.checkKey()
    expect(client.remaining).toBe(2)
    for (let call = 0; call < 30; call++) await client.checkKey()
    expect(octopus.refusals).toEqual([])
  })

  it('knows how many requests are left where it only hears of it', async () => {
    const { client } = await anEmailOctopus({ weather: { limit }, client: { limit: null } })
    expect(client.remaining).toBe(null)
    await client.checkKey()
    expect(client.remaining).toBe(99)
  })

  it.each(['seconds', 'epoch', 'plain', 'none'] as const)(
    'is got over where others have used it up, and the 429 speaks in %s',
    async (retryAfter) => {
      const { client, octopus, world } = await anEmailOctopus({
        weather: { limit: { capacity: 3, perSecond: 1 }, retryAfter, block: 30_000, tellsRemaining: false },
        client: { limit: null, tries: 8 },
      })
      world.addList({ name: 'Weekly letter' })
      for (let call = 0; call < 8; call++) expect(await everything(client.lists())).toHaveLength(1)
      expect(octopus.refusals.length).toBeGreaterThan(0)
    },
  )

  it('lets an urgent question go before patient ones', async () => {
    const clock = handClock()
    const { client } = await answering([oneList], { clock, limit: { capacity: 10, perSecond: 1 } })
    await client.checkKey() // the one that it begins with
    const order: string[] = []
    const patient = client.checkKey().then(() => order.push('sync'))
    const urgent = client.checkKey({ priority: 'urgent' }).then(() => order.push('delivery'))
    await clock.pass(1100)
    await urgent
    expect(order).toEqual(['delivery'])
    await clock.pass(1100)
    await patient
    expect(order).toEqual(['delivery', 'sync'])
  })
})

describe('the view for one run', () => {
  it('asks once for lists and campaigns, and again for what changes', async () => {
    const { client, world, octopus } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    const other = world.addList({ name: 'Monthly letter' })
    const campaign = world.addCampaign({ subject: 'September', lists: [list] })
    const run = client.cached()
    const read = await everything(run.lists())
    expect(await run.list(other.id)).toBe(read.find(({ id }) => id === other.id))
    expect(await everything(run.lists())).toEqual(read)
    expect(await run.campaign(campaign.id)).toBe(await run.campaign(campaign.id))
    const [walked] = await everything(run.campaigns())
    expect(await run.campaign(campaign.id)).toBe(walked)
    expect(octopus.requests.map(({ path }) => path)).toEqual([
      '/lists',
      `/campaigns/${campaign.id}`,
      '/campaigns',
    ])

    for (let time = 0; time < 2; time++) {
      await run.summary(campaign.id)
      await everything(run.contacts(list.id, { status: 'subscribed' }))
      await everything(run.contactReport(campaign.id, 'sent'))
    }
    expect(octopus.requests).toHaveLength(9)

    world.addList({ name: 'Yearly letter' })
    expect(await everything(run.lists())).toHaveLength(2)
    expect(await everything(client.lists())).toHaveLength(3)
    expect(await everything(client.cached().lists())).toHaveLength(3)
  })

  it('keeps no failure, and shares the limit with the client', async () => {
    const { client, world, clock } = await anEmailOctopus({
      client: { limit: { capacity: 100, perSecond: 10 } },
    })
    const run = client.cached()
    const list = world.addList({ name: 'Weekly letter' })
    await failure(run.list('unknown'))
    await failure(run.list('unknown'))
    expect((await run.list(list.id)).name).toBe('Weekly letter')
    expect(client.remaining).toBe(7)
    expect(run.remaining).toBe(7)
    expect(clock.waits).toEqual([])
  })

  it('forgets the oldest before it fills the memory', async () => {
    const { client, world, octopus } = await anEmailOctopus()
    const html = 'x'.repeat(3_000_000)
    const campaigns = Array.from({ length: 7 }, () => world.addCampaign({ subject: 'Long', html }))
    const run = client.cached()
    for (const { id } of campaigns) await run.campaign(id)
    await run.campaign(campaigns[6]!.id)
    expect(octopus.requests).toHaveLength(7)
    await run.campaign(campaigns[0]!.id)
    expect(octopus.requests).toHaveLength(8)
  })
})

describe('errors', () => {
  const errors = [
    { detail: 'This value should be between 1 and 100.', parameter: 'limit' },
    { detail: `No ${key}`, pointer: '/name' },
  ]
  it.each([
    [
      401,
      problem(401, 'unauthorized', `Invalid key ${key}.`),
      'refused-key',
      'The key was refused: keys made before October 2024 do not work with this API. Make a new one at EmailOctopus, under Integrations & APIs.',
    ],
    [
      403,
      problem(403, 'access-denied', 'Access denied.'),
      'missing-permission',
      'EmailOctopus says that this campaign belongs to another account than the key.',
    ],
    [404, problem(404, 'not-found', 'No'), 'not-found', 'EmailOctopus does not know this campaign.'],
    [
      429,
      problem(429, 'too-many-requests', 'No'),
      'rate',
      'EmailOctopus takes no more requests at the moment. It asks to wait 1 second.',
    ],
    [
      502,
      '<html>Bad gateway</html>',
      'unavailable',
      'EmailOctopus has a fault at the moment (HTTP 502). Trying again later helps as a rule.',
    ],
    [
      400,
      problem(400, 'bad-request', `Bad  request\nby ${key}`),
      'invalid',
      'EmailOctopus does not accept the request to read the campaigns (HTTP 400): Bad request by …',
    ],
    [
      422,
      problem(422, 'unprocessable-content', 'Unprocessable content.', { errors }),
      'invalid',
      'EmailOctopus does not accept the request to read the campaigns (HTTP 422): limit: This value should be between 1 and 100.; /name: No …',
    ],
    [
      404,
      '<html>Nothing here</html>',
      'invalid',
      'What answers is not EmailOctopus’s API. Look at its address in the settings.',
    ],
    [
      200,
      '<html>Welcome</html>',
      'invalid',
      'What answers is not EmailOctopus’s API. Look at its address in the settings.',
    ],
    [
      200,
      { id: 1 },
      'invalid',
      'EmailOctopus’s answer to the request to read the campaigns is not what its documents say (id).',
    ],
  ])('tell people what %s means', async (status, body, kind, message) => {
    const headers = status === 429 ? { 'X-RateLimit-Retry-After': '1' } : ({} as Record<string, string>)
    const { client } = await answering([answer(status, body, headers)], { tries: 1 })
    const error = await failure(client.campaign('c-1'))
    expect([error.kind, error.message]).toEqual([kind, message])
  })

  it('say what no page of a list is', async () => {
    const { client } = await answering([answer(200, { error: 'none' })])
    expect((await failure(everything(client.campaigns()))).message).toBe(
      'EmailOctopus’s answer to the request to read the campaigns is not what its documents say (data).',
    )
  })

  it.each([
    ['', 'There is no API key for EmailOctopus yet.'],
    ['two words', 'This is not an API key of EmailOctopus.'],
    ['schlüssel', 'This is not an API key of EmailOctopus.'],
  ])('refuse the key %j without sending it', async (wrong, message) => {
    const { client, seen } = await answering([oneList], { key: wrong })
    expect(await failure(client.checkKey())).toMatchObject({ kind: 'refused-key', message })
    expect(seen).toEqual([])
  })

  it('say so when nobody answers at all', async () => {
    const { client, octopus } = await anEmailOctopus()
    await octopus.close()
    expect((await failure(client.checkKey())).message).toBe('EmailOctopus cannot be reached (ECONNREFUSED).')
  })

  it('come without the key, and so does whatever is printed of a client', async () => {
    let said = ''
    const write = (line: string) => {
      said += line
    }
    const log = pino({ level: 'trace' }, { write })
    for (const body of [
      problem(400, 'bad-request', `No ${key}`, { errors: [{ detail: key, parameter: key }] }),
      {
        data: [{ id: 7, name: key }],
        paging: { next: { url: `https://${key}.example/`, starting_after: key } },
      },
      `not JSON ${key}`,
    ])
      for (const status of [200, 302, 400, 401, 403, 404, 422, 500]) {
        const { client } = await answering([answer(status, body)], { tries: 1 })
        const calls = [
          client.checkKey(),
          client.campaign('c'),
          client.contact('l', 'c'),
          everything(client.lists()),
          client.summary('c'),
        ]
        for (const call of await Promise.allSettled(calls)) {
          if (call.status === 'fulfilled') continue
          expect(call.reason).toBeInstanceOf(ProviderError)
          log.error({ err: call.reason, client }, String(call.reason))
          write(inspect(call.reason, { depth: 9, showHidden: true }))
        }
        write(inspect(client.cached(), { depth: 9, showHidden: true }) + JSON.stringify(client))
      }
    expect(said).toContain('ProviderError')
    expect(said).not.toContain(key)
  })
})
