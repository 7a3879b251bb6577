import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { EmailOctopusClient, reportStatuses } from '../../../src/esp/emailoctopus/client.js'
import { signatureHeader, verifySignature } from '../../../src/esp/emailoctopus/signature.js'
import { type StandInOptions, startEmailOctopus, type Weather } from '../../support/emailoctopus.js'
import { EmailOctopusWorld } from '../../support/emailoctopus-world.js'
import { handClock } from '../../support/hand-clock.js'
import { anEmailOctopus, everything } from './stand-in.js'

// biome-ignore lint/suspicious/noExplicitAny: the document is JSON of any shape
type Schema = Record<string, any>

const orNull = (schema: Schema) => ({ anyOf: [schema, { type: 'null' }] })

/** What is wrong with the document, how often, and what is meant instead. */
const mistakes: {
  times: number
  wrong(schema: Schema, name: string): boolean
  right(schema: Schema): Schema
}[] = [
  // Types that are none.
  { times: 11, wrong: ({ type }) => type === 'int', right: (schema) => ({ ...schema, type: 'integer' }) },
  {
    times: 5,
    wrong: ({ type }) => type === 'Array of strings',
    right: (schema) => ({ ...schema, type: 'array', items: { type: 'string' } }),
  },
  {
    times: 10,
    wrong: ({ type }) => Array.isArray(type) && type.includes(null),
    right: (schema) => ({ ...schema, type: ['string', 'null'] }),
  },
  {
    times: 5,
    wrong: ({ type, default: usual }) => type === 'integer' && usual === '100',
    right: (schema) => ({ ...schema, default: 100 }),
  },
  // The body of an error repeats its status as a number.
  {
    times: 114,
    wrong: ({ type, description }, name) =>
      name === 'status' && type === 'string' && /^Response status/.test(description),
    right: (schema) => ({ ...schema, type: 'integer' }),
  },
  // One object, as every client knows it, or the list that the document promises.
  {
    times: 1,
    wrong: ({ type }, name) => name === 'counts' && type === 'array',
    right: (schema) => ({ anyOf: [schema, schema.items] }),
  },
  // On the last page.
  {
    times: 5,
    wrong: (schema, name) => name === 'next' && ('$ref' in schema || schema.type === 'object'),
    right: orNull,
  },
  // Of drafts, of what did not happen, of contacts that were deleted.
  {
    times: 3,
    wrong: ({ type }, name) =>
      ['sent_at', 'occurred_at', 'contact_email_address'].includes(name) && type === 'string',
    right: orNull,
  },
]

/** Properties that an answer may lack; the document requires nearly none. */
const optional = ['paging', 'next', 'errors', 'pointer', 'parameter', 'fallback']

const found = mistakes.map(() => 0)
/** The document without its mistakes, in which objects have all of their properties and no others. */
function corrected(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((each) => corrected(each))
  if (value === null || typeof value !== 'object') return value
  if (name === 'example' || name === 'examples') return value
  const schema: Schema = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, corrected(inner, key)]),
  )
  if (schema.type === 'object' && schema.properties) {
    schema.additionalProperties = false
    schema.required = Object.keys(schema.properties).filter((property) => !optional.includes(property))
  }
  const index = mistakes.findIndex(({ wrong }) => wrong(schema, name))
  if (index < 0) return schema
  found[index]!++
  return mistakes[index]!.right(schema)
}

const document = corrected(
  JSON.parse(readFileSync(new URL('../../support/emailoctopus-openapi.json', import.meta.url), 'utf8')),
) as Schema
const ajv = new Ajv2020({ strict: false, allErrors: true })
ajv.addSchema(document, 'emailoctopus')

/** Holds an answer against the document. */
function expectValid(value: unknown, path: string, status: number) {
  const place = ['paths', path, 'get', 'responses', status, 'content', 'application/json', 'schema']
  const pointer = place
    .map((part) => `/${encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))}`)
    .join('')
  const validate = ajv.getSchema(`emailoctopus#${pointer}`)
  expect(validate, place.join(' ')).toBeTypeOf('function')
  validate!(value)
  expect(ajv.errorsText(validate!.errors), JSON.stringify(value).slice(0, 2000)).toBe('No errors')
}

/** A stand-in with a little of everything, and a way to ask it as any client would. */
async function aStandIn(options: StandInOptions = {}) {
  const clock = handClock()
  const octopus = await startEmailOctopus({ now: clock.now, ...options })
  onTestFinished(() => octopus.close())
  const { world } = octopus
  const list = world.addList({
    name: 'Weekly letter',
    tags: ['vip', 'press'],
    fields: [
      { label: 'First name', tag: 'FirstName', type: 'text', fallback: 'friend' },
      { label: 'Age', tag: 'Age', type: 'number' },
      { label: 'Topics', tag: 'Topics', type: 'choice_multiple', choices: ['a', 'b'] },
    ],
  })
  const ada = world.addContact(list, {
    email: 'Ada@example.com',
    tags: ['vip'],
    fields: { FirstName: 'Ada', Age: 36, Topics: ['a'] },
  })
  const ben = world.addContact(list, { email: 'ben@example.com' })
  const cleo = world.addContact(list, { email: 'cleo@example.com' })
  const dan = world.addContact(list, { email: 'dan@example.com', status: 'pending' })
  const letter = world.addCampaign({
    subject: 'Letter one',
    lists: [list],
    links: ['https://example.com/post'],
  })
  const draft = world.addCampaign({ subject: 'Letter two', lists: [list], status: 'draft' })
  world.open(letter, ada)
  world.click(letter, ada)
  world.bounce(letter, ben)
  world.bounce(letter, cleo, { kind: 'soft' })
  world.complain(letter, cleo)
  world.unsubscribe(letter, ada)

  async function ask(path: string, { method = 'GET', key = octopus.key } = {}) {
    const response = await fetch(octopus.url + path, {
      method,
      headers: key ? { Authorization: `Bearer ${key}` } : {},
    })
    const text = await response.text()
    const json = response.headers.get('Content-Type') === 'application/json'
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : null }
  }
  return { octopus, world, clock, list, ada, ben, cleo, dan, letter, draft, ask }
}

/** A server that takes deliveries, and answers as it is told. */
async function aReceiver() {
  const receiver = {
    status: 200,
    deliveries: [] as { body: Buffer; signature: string | undefined }[],
    url: '',
  }
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const signature = request.headers[signatureHeader.toLowerCase()]
    receiver.deliveries.push({ body: Buffer.concat(parts), signature: signature as string | undefined })
    response.writeHead(receiver.status).end('as told')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/emailoctopus`
  return receiver
}

describe('the stand-in, held against EmailOctopus’ OpenAPI document', () => {
  it('finds the known mistakes of the document, and no more of them', () => {
    expect(found).toEqual(mistakes.map(({ times }) => times))
  })

  it.each<Partial<Weather>>([
    {},
    { counts: 'array', end: 'missing', reportRows: 'event' },
    { end: 'no paging', neverAt: 'sent', occurredAt: 'latest' },
  ])('answers every list and every thing as documented: %j', async (weather) => {
    const { ask, list, ada, letter, draft } = await aStandIn({ weather })
    const md5 = createHash('md5').update('ada@example.com').digest('hex')
    const calls: [string, string][] = [
      ['/campaigns', '/campaigns'],
      ['/campaigns', '/campaigns?limit=1'],
      ['/campaigns/{campaign_id}', `/campaigns/${letter.id}`],
      ['/campaigns/{campaign_id}', `/campaigns/${draft.id}`],
      ['/campaigns/{campaign_id}/reports/summary', `/campaigns/${letter.id}/reports/summary`],
      ['/campaigns/{campaign_id}/reports/links', `/campaigns/${letter.id}/reports/links`],
      ...reportStatuses.map((status): [string, string] => [
        '/campaigns/{campaign_id}/reports',
        `/campaigns/${letter.id}/reports?status=${status}&limit=1`,
      ]),
      ['/lists', '/lists'],
      ['/lists/{list_id}', `/lists/${list.id}`],
      ['/lists/{list_id}/tags', `/lists/${list.id}/tags?limit=1`],
      ['/lists/{list_id}/contacts', `/lists/${list.id}/contacts?status=unsubscribed&limit=1`],
      ['/lists/{list_id}/contacts', `/lists/${list.id}/contacts?status=pending`],
      ['/lists/{list_id}/contacts/{contact_id}', `/lists/${list.id}/contacts/${ada.id}`],
      ['/lists/{list_id}/contacts/{contact_id}', `/lists/${list.id}/contacts/${md5}`],
    ]
    for (const [path, url] of calls) {
      const { status, body } = await ask(url)
      expect([url, status]).toEqual([url, 200])
      expectValid(body, path, 200)
      if ('data' in body) expect(body.data.length, url).toBeGreaterThan(0)
    }
  })

  it('would be found out', async () => {
    const { ask, letter } = await aStandIn()
    const summary = (await ask(`/campaigns/${letter.id}/reports/summary`)).body
    const path = '/campaigns/{campaign_id}/reports/summary'
    for (const odd of [
      { ...summary, sent: '3' },
      { ...summary, delivered: 3 },
      { ...summary, opened: undefined },
      { ...summary, bounced: 2 },
    ])
      expect(() => expectValid(JSON.parse(JSON.stringify(odd)), path, 200)).toThrow()
  })

  it('refuses as documented', async () => {
    const { ask, octopus, list, letter, world } = await aStandIn({ weather: { invalid: 400 } })
    const theirs = world.newId()
    world.foreign.add(theirs)
    const refusals: [number, string, string, Parameters<typeof ask>[1]?][] = [
      [401, '/lists', '/lists', { key: '' }],
      [401, '/campaigns', '/campaigns', { key: 'another' }],
      [401, '/lists', '/lists', { key: octopus.legacyKeys[0]! }],
      [403, '/lists/{list_id}', `/lists/${theirs}`],
      [403, '/campaigns/{campaign_id}/reports', `/campaigns/${theirs}/reports?status=sent`],
      [404, '/campaigns/{campaign_id}', `/campaigns/${world.newId()}`],
      [404, '/lists/{list_id}/contacts', `/lists/${world.newId()}/contacts`],
      [404, '/lists/{list_id}/contacts/{contact_id}', `/lists/${list.id}/contacts/nobody`],
      [400, '/campaigns', '/campaigns?limit=101'],
      [400, '/lists', '/lists?limit=0'],
      [400, '/lists', '/lists?starting_after=nonsense'],
      [400, '/campaigns/{campaign_id}/reports', `/campaigns/${letter.id}/reports`],
      [400, '/campaigns/{campaign_id}/reports', `/campaigns/${letter.id}/reports?status=seen`],
      [400, '/lists/{list_id}/contacts', `/lists/${list.id}/contacts?status=bounced`],
      [
        400,
        '/lists/{list_id}/contacts',
        `/lists/${list.id}/contacts?created_at.gte=2026-08-01T00:00:00+00:00`,
      ],
    ]
    for (const [expected, path, url, options] of refusals) {
      const { status, body, headers } = await ask(url, options)
      expect([url, status, body.status]).toEqual([url, expected, expected])
      expect(headers.get('Content-Type')).toBe('application/json')
      expectValid(body, path, status)
    }
    octopus.weather.invalid = 422
    expect((await ask('/campaigns?limit=101')).body).toEqual({
      title: 'An error occurred.',
      detail: 'Unprocessable content.',
      status: 422,
      type: 'https://emailoctopus.com/api-documentation/v2#unprocessable-content',
      errors: [{ detail: 'This value should be between 1 and 100.', parameter: 'limit' }],
    })
    expect((await ask('/lists', { method: 'POST' })).status).toBe(405)
    expect((await ask('/automations')).status).toBe(404)
  })

  it('is asked by our client only in documented words', async () => {
    const { octopus, client, world } = await anEmailOctopus()
    const list = world.addList({ name: 'Weekly letter' })
    for (let number = 0; number < 120; number++)
      world.addContact(list, { email: `reader${number}@example.com`, tags: ['vip'] })
    const letter = world.addCampaign({ subject: 'Letter', lists: [list] })
    await client.checkKey()
    await everything(client.campaigns())
    await client.campaign(letter.id)
    await client.summary(letter.id)
    await everything(client.links(letter.id))
    for (const status of reportStatuses) await everything(client.contactReport(letter.id, status))
    await everything(client.lists())
    await client.list(list.id)
    await everything(client.contacts(list.id, { status: 'subscribed', updatedSince: 0, tag: 'vip' }))
    await client.contact(list.id, createHash('md5').update('reader7@example.com').digest('hex'))

    expect(octopus.requests.length).toBeGreaterThan(18)
    for (const request of octopus.requests) {
      const path = Object.keys(document.paths)
        .filter((template) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(request.path))
        .sort((one, other) => one.split('{').length - other.split('{').length)[0]!
      const operation = document.paths[path]?.[request.method.toLowerCase()]
      expect(operation, `${request.method} ${request.path}`).toBeDefined()
      const parameters: { in: string; name: string; required: boolean; schema: Schema }[] =
        operation.parameters ?? []
      for (const { name, required } of parameters.filter((parameter) => parameter.in === 'query'))
        if (required) expect(request.query.has(name), `${request.path} without ${name}`).toBe(true)
      for (const [name, text] of request.query) {
        const parameter = parameters.find((each) => each.in === 'query' && each.name === name)
        expect(parameter, `${path}?${name}`).toBeDefined()
        const value = parameter!.schema.type === 'integer' ? Number(text) : text
        expect(ajv.validate(parameter!.schema, value), `${name}=${text}`).toBe(true)
      }
      expect(request.headers['content-type']).toBeUndefined()
    }
  })
})

describe('the stand-in', () => {
  it('shows subscribed contacts unless it is told a status', async () => {
    const { ask, list, dan } = await aStandIn()
    const ids = async (query: string) =>
      (await ask(`/lists/${list.id}/contacts${query}`)).body.data.map(({ id }: { id: string }) => id)
    expect(await ids('')).toEqual([])
    expect(await ids('?status=unsubscribed')).toHaveLength(3)
    expect(await ids('?status=pending')).toEqual([dan.id])
    expect((await ask(`/lists/${list.id}`)).body.counts).toEqual({
      pending: 1,
      subscribed: 0,
      unsubscribed: 3,
    })
  })

  it('counts what happens to a campaign, and can tell otherwise', async () => {
    const { ask, world, letter, ada } = await aStandIn()
    const summary = async () => (await ask(`/campaigns/${letter.id}/reports/summary`)).body
    world.open(letter, ada)
    const counted = {
      id: letter.id,
      sent: 3,
      bounced: { hard: 1, soft: 1 },
      opened: { total: 2, unique: 1 },
      clicked: { total: 1, unique: 1 },
      complained: 1,
      unsubscribed: 1,
    }
    expect(await summary()).toEqual(counted)
    world.tell(letter, { opened: { total: 1, unique: 0 } })
    expect(await summary()).toEqual({ ...counted, opened: { total: 1, unique: 0 } })
    world.forgetReports(letter)
    expect(await summary()).toMatchObject({ sent: 0, clicked: { total: 0, unique: 0 } })
    expect((await ask(`/campaigns/${letter.id}/reports?status=sent`)).body.data).toEqual([])
  })

  it('reports one row for each contact or for each event, the first or the latest', async () => {
    const { ask, octopus, world, letter, ada, clock } = await aStandIn()
    world.open(letter, ada, { at: clock.now() + 60_000 })
    const opened = async () =>
      (await ask(`/campaigns/${letter.id}/reports?status=opened`)).body.data.map(
        (row: { occurred_at: string }) => row.occurred_at,
      )
    expect(await opened()).toEqual(['2026-11-21T10:00:00+00:00'])
    octopus.weather.occurredAt = 'latest'
    expect(await opened()).toEqual(['2026-11-21T10:01:00+00:00'])
    octopus.weather.reportRows = 'event'
    expect(await opened()).toEqual(['2026-11-21T10:00:00+00:00', '2026-11-21T10:01:00+00:00'])
  })

  it('names a deleted contact by its id alone, and knows nothing of a deleted list', async () => {
    const { ask, world, list, ada, letter } = await aStandIn()
    world.deleteContact(ada)
    expect((await ask(`/campaigns/${letter.id}/reports?status=opened`)).body.data).toEqual([
      { contact_id: ada.id, contact_email_address: null, occurred_at: '2026-11-21T10:00:00+00:00' },
    ])
    expect((await ask(`/lists/${list.id}/contacts/${ada.id}`)).status).toBe(404)
    world.deleteList(list)
    expect((await ask(`/lists/${list.id}`)).status).toBe(404)
    expect((await ask(`/lists/${list.id}/contacts`)).status).toBe(404)
    expect((await ask(`/campaigns/${letter.id}`)).body.to).toEqual([list.id])
  })

  it('refuses, as its bucket does, what goes beyond it, and keeps count of that', async () => {
    const { ask, octopus, clock } = await aStandIn({ weather: { limit: { capacity: 3, perSecond: 2 } } })
    const statuses = async (count: number) => {
      const all: number[] = []
      for (let call = 0; call < count; call++) all.push((await ask('/lists')).status)
      return all
    }
    expect(await statuses(4)).toEqual([200, 200, 200, 429])
    await clock.pass(1000)
    expect(await statuses(3)).toEqual([200, 200, 429])
    expect(octopus.refusals).toHaveLength(2)
    octopus.weather.block = 60_000
    expect(await statuses(1)).toEqual([429])
    await clock.pass(59_000)
    expect(await statuses(1)).toEqual([429])
    await clock.pass(1000)
    expect((await ask('/lists')).headers.get('X-RateLimiting-Remaining')).toBe('2')
  })

  it.each([
    ['seconds', 'X-RateLimit-Retry-After', '1'],
    ['epoch', 'X-RateLimit-Retry-After', String(Date.UTC(2026, 10, 21, 10) / 1000 + 1)],
    ['plain', 'Retry-After', '1'],
    ['none', 'Retry-After', null],
  ] as const)('says in %s when to come back', async (retryAfter, header, value) => {
    const { ask } = await aStandIn({ weather: { limit: { capacity: 1, perSecond: 10 }, retryAfter } })
    await ask('/lists')
    const { status, body, headers } = await ask('/lists')
    expect([status, body.type]).toEqual([
      429,
      'https://emailoctopus.com/api-documentation/v2#too-many-requests',
    ])
    expect(headers.get(header)).toBe(value)
  })

  it('fails at random, the same in each run', async () => {
    const statuses = async () => {
      const { ask } = await aStandIn({ weather: { faults: 0.5 } })
      const all: number[] = []
      for (let call = 0; call < 40; call++) all.push((await ask('/lists')).status)
      return all
    }
    const run = await statuses()
    expect([...new Set(run)].sort()).toEqual([200, 500, 502, 503, 504])
    expect(await statuses()).toEqual(run)
  })

  it('delivers what happens in signed arrays of a thousand events at the most, and again what was refused', async () => {
    const { octopus, world, list, letter, ada, dan } = await aStandIn()
    const receiver = await aReceiver()
    octopus.addWebhook({ url: receiver.url, secret: 'secret' })
    await octopus.deliverNews()
    expect(receiver.deliveries).toEqual([]) // nothing that happened before

    const opened = world.open(letter, ada)
    world.updateContact(dan, { status: 'subscribed' })
    await octopus.deliverNews()
    const { body, signature } = receiver.deliveries[0]!
    expect(verifySignature({ header: signature, body, key: 'secret' })).toBe(true)
    const common = { list_id: list.id, occurred_at: '2026-11-21T10:00:00+00:00' }
    expect(JSON.parse(body.toString())).toEqual([
      {
        id: opened.id,
        type: 'contact.opened',
        contact_id: ada.id,
        contact_email_address: 'Ada@example.com',
        campaign_id: letter.id,
        ...common,
      },
      {
        id: expect.any(String),
        type: 'contact.updated',
        contact_id: dan.id,
        contact_email_address: 'dan@example.com',
        contact_fields: {},
        contact_tags: [],
        contact_status: 'SUBSCRIBED',
        ...common,
      },
    ])

    receiver.status = 500
    for (let number = 0; number < 1500; number++) world.open(letter, ada)
    await octopus.deliverNews()
    receiver.status = 200
    await octopus.retryFailed()
    await octopus.retryFailed()
    const lengths = receiver.deliveries.map((delivery) => JSON.parse(delivery.body.toString()).length)
    expect(lengths).toEqual([2, 1000, 500, 1000, 500])
    expect(receiver.deliveries[3]!.body).toEqual(receiver.deliveries[1]!.body)
    octopus.addWebhook({ url: receiver.url, secret: 'secret', types: ['contact.deleted'] })
    expect(() => octopus.addWebhook({ url: receiver.url, secret: '' })).toThrow('two endpoints')
  })

  it('holds a big account, whose past it tells to no webhook', async () => {
    const clock = handClock()
    const world = new EmailOctopusWorld({ now: clock.now })
    const list = world.addList({ name: 'Everybody' })
    const past = clock.now() - 400 * 86_400_000
    world.silently(() => {
      for (let number = 0; number < 50_000; number++)
        world.addContact(list, { email: `reader${number}@example.com`, at: past + number })
      const recipients = [...list.contacts]
      for (let number = 0; number < 200; number++) {
        const campaign = world.addCampaign({
          subject: `Letter ${number}`,
          lists: [list],
          recipients,
          at: past,
        })
        for (let reader = number % 50; reader < 50_000; reader += 50)
          world.open(campaign, recipients[reader]!)
      }
    })
    expect(world.happenings).toEqual([])
    const octopus = await startEmailOctopus({ world, now: clock.now })
    onTestFinished(() => octopus.close())
    const client = new EmailOctopusClient({ key: octopus.key, baseUrl: octopus.url, limit: null })
    const contacts = new Set<string>()
    for await (const { items } of client.contacts(list.id, { status: 'subscribed', ahead: true }))
      for (const { id } of items) contacts.add(id)
    expect(contacts.size).toBe(50_000)
    const campaigns = await everything(client.campaigns())
    expect(campaigns).toHaveLength(200)
    expect((await client.summary(campaigns[0]!.id))!.uniqueOpens).toBe(1000)
    expect(await everything(client.contactReport(campaigns[0]!.id, 'opened'))).toHaveLength(1000)
  })
})
