import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { describe, expect, it, onTestFinished } from 'vitest'
import { verifySignature } from '../../../src/esp/signature.js'
import { type Shape, type StandInOptions, startButtondown, typeId } from '../../support/buttondown.js'
import { storedTypes } from '../../support/buttondown-world.js'
import { aButtondown, everything } from './stand-in.js'

const document = JSON.parse(
  readFileSync(new URL('../../support/buttondown-openapi.json', import.meta.url), 'utf8'),
)
const ajv = new Ajv2020({ strict: false, allErrors: true })
addFormats.default(ajv)
ajv.addFormat('ipvanyaddress', true)
ajv.addFormat('binary', true)
ajv.addSchema(document, 'buttondown')

const pointer = (...parts: (string | number)[]) =>
  parts
    .map((part) => `/${encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))}`)
    .join('')

/** Holds a value against a place in the OpenAPI document. */
function expectValid(value: unknown, ...place: (string | number)[]) {
  const validate = ajv.getSchema(`buttondown#${pointer(...place)}`)
  expect(validate, place.join(' ')).toBeTypeOf('function')
  validate!(value)
  expect(ajv.errorsText(validate!.errors), JSON.stringify(value).slice(0, 2000)).toBe('No errors')
}

/** A stand-in with a little of everything, and a way to ask it as any client would. */
async function aStandIn(options: StandInOptions = {}) {
  const buttondown = await startButtondown(options)
  onTestFinished(() => buttondown.close())
  const { world } = buttondown
  const ada = world.addSubscriber({
    email: 'ada@example.com',
    tags: ['beta'],
    metadata: { first_name: 'Ada' },
  })
  const ben = world.addSubscriber({ email: 'ben@example.com', type: 'unactivated' })
  world.confirm(ben)
  world.changeEmail(ben, 'benjamin@example.com')
  world.addTag({ name: 'beta', description: 'Early readers' })
  const letter = world.addEmail({ subject: 'Letter one' })
  world.addEmail({ subject: 'Letter two', status: 'draft' })
  for (const subscriber of [ada, ben]) world.addEvent({ type: 'delivered', subscriber, email: letter })
  world.addEvent({ type: 'opened', subscriber: ada, email: letter, metadata: { ip_address: '203.0.113.9' } })
  world.addEvent({
    type: 'clicked',
    subscriber: ada,
    email: letter,
    metadata: { url: 'https://example.com/' },
  })
  world.addEvent({ type: 'bounced', subscriber: ben, email: letter, metadata: { code: 'transient' } })
  world.addEvent({ type: 'rejected', subscriber: ben, email: letter, metadata: { code: 'hard_bounce' } })
  world.unsubscribe(ada, { email: letter, reason: 'Too many' })

  async function ask(
    path: string,
    {
      method = 'GET',
      key = buttondown.key,
      version = '2026-04-01',
      body,
    }: Record<string, string | undefined> = {},
  ) {
    const response = await fetch(buttondown.url + path, {
      method,
      headers: {
        ...(key ? { Authorization: `Token ${key}` } : {}),
        ...(version ? { 'X-API-Version': version } : {}),
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = await response.text()
    const json = response.headers.get('Content-Type') === 'application/json'
    return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : null }
  }
  return { buttondown, world, ada, ben, letter, ask }
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
    const signature = request.headers['x-buttondown-signature']
    receiver.deliveries.push({ body: Buffer.concat(parts), signature: signature as string | undefined })
    response.writeHead(receiver.status).end('as told')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/buttondown`
  return receiver
}

describe('the stand-in, held against Buttondown’s OpenAPI document', () => {
  it('answers every list and every thing as documented', async () => {
    const { ask, ada, letter, world } = await aStandIn()
    const event = world.events.rows[0]!
    const calls: [string, string][] = [
      ['/ping', '/ping'],
      ['/accounts/me', '/accounts/me'],
      ['/newsletters', '/newsletters'],
      ['/subscribers', '/subscribers'],
      ['/subscribers/{id_or_email}', `/subscribers/${ada.id}`],
      ['/subscribers/{id_or_email}', '/subscribers/ada%40example.com'],
      ['/emails', '/emails'],
      ['/emails', '/emails?excluded_fields=body'],
      ['/emails/{id}', `/emails/${letter.id}`],
      ['/emails/{id}/analytics', `/emails/${letter.id}/analytics`],
      ['/tags', '/tags'],
      ['/events', '/events'],
      ['/events', '/events?expand=subscriber'],
      ['/events/{id}', `/events/${event.id}`],
    ]
    for (const [path, url] of calls) {
      const { status, body } = await ask(url)
      expect([url, status]).toEqual([url, 200])
      expectValid(body, 'paths', path, 'get', 'responses', 200, 'content', 'application/json', 'schema')
      if (path !== '/ping' && !path.includes('{') && path !== '/accounts/me')
        expect(body.results.length, url).toBeGreaterThan(0)
    }
  })

  it('would be found out', () => {
    const place = ['components', 'schemas', 'EmailEvent']
    const event = {
      id: 'ext_evt_1',
      creation_date: '2026-08-20T06:01:02Z',
      metadata: {},
      event_type: 'opened',
    }
    expectValid(event, ...place)
    expect(() => expectValid({ ...event, creation_date: 'yesterday' }, ...place)).toThrow()
    expect(() => expectValid({ ...event, event_type: 'seen' }, ...place)).toThrow()
    expect(() => expectValid({ ...event, metadata: { url: 1 } }, ...place)).toThrow()
  })

  it('answers timestamps with an offset too', async () => {
    const { ask } = await aStandIn({ weather: { zone: '+00:00' } })
    const { body } = await ask('/events')
    expect(body.results[0].creation_date).toMatch(/\.\d{6}\+00:00$/)
    expectValid(body, 'paths', '/events', 'get', 'responses', 200, 'content', 'application/json', 'schema')
  })

  it('registers, changes, tests and removes webhooks as documented', async () => {
    const { ask } = await aStandIn()
    const receiver = await aReceiver()
    const schema = ['content', 'application/json', 'schema']
    const input = { url: receiver.url, event_types: ['subscriber.opened'], signing_key: 'secret' }
    const created = await ask('/webhooks', { method: 'POST', body: JSON.stringify(input) })
    expect(created.status).toBe(201)
    expectValid(created.body, 'paths', '/webhooks', 'post', 'responses', 201, ...schema)
    expect(created.body.signing_key).toBe('secret')
    const { id } = created.body

    expect(await ask(`/webhooks/${id}/test`, { method: 'POST' })).toMatchObject({ status: 204, body: null })
    expect(receiver.deliveries).toHaveLength(1)
    expect(receiver.deliveries[0]!.signature).toBeUndefined()

    for (const [path, url] of [
      ['/webhooks', '/webhooks?status=enabled'],
      ['/webhooks/{id}', `/webhooks/${id}`],
      ['/webhooks/{id}/attempts', `/webhooks/${id}/attempts`],
    ] as const) {
      const { status, body } = await ask(url)
      expect(status).toBe(200)
      expectValid(body, 'paths', path, 'get', 'responses', 200, ...schema)
    }

    const { signing_key: _, ...without } = { ...input, status: 'disabled' }
    const patched = await ask(`/webhooks/${id}`, { method: 'PATCH', body: JSON.stringify(without) })
    expectValid(patched.body, 'paths', '/webhooks/{id}', 'patch', 'responses', 200, ...schema)
    expect(patched.body).toMatchObject({ status: 'disabled', signing_key: '' })
    expect((await ask(`/webhooks/${id}`, { method: 'PATCH', body: '{"status":"enabled"}' })).status).toBe(422)

    expect((await ask(`/webhooks/${id}`, { method: 'DELETE' })).status).toBe(204)
    expect((await ask(`/webhooks/${id}`)).status).toBe(404)
  })

  it('refuses as documented', async () => {
    const { ask, buttondown } = await aStandIn({ weather: { limit: 10 } })
    const refusals: [number, string, string, string, Parameters<typeof ask>[1]?][] = [
      [401, 'get', '/accounts/me', '/accounts/me', { key: '' }],
      [401, 'get', '/accounts/me', '/accounts/me', { key: 'another' }],
      [404, 'get', '/subscribers/{id_or_email}', '/subscribers/nobody%40example.com'],
      [404, 'get', '/events/{id}', '/events/em_evt_0k28edc3fw896bp4mrhc535z5k'],
      [400, 'get', '/subscribers', '/subscribers?ordering=shoe_size'],
      [422, 'get', '/emails', '/emails?ordering=shoe_size'],
      [422, 'get', '/tags', '/tags?page_size=1001'],
      [400, 'post', '/webhooks', '/webhooks', { method: 'POST', body: 'no JSON' }],
      [422, 'post', '/webhooks', '/webhooks', { method: 'POST', body: '{"foo":1}' }],
    ]
    const codes: unknown[] = []
    for (const [expected, method, path, url, options] of refusals) {
      const { status, body } = await ask(url, options)
      expect([url, status]).toEqual([url, expected])
      expectValid(body, 'paths', path, method, 'responses', status, 'content', 'application/json', 'schema')
      codes.push(body.code)
    }
    expect(codes.slice(0, 5)).toEqual([
      'authentication_missing',
      'authentication_invalid',
      'not_found',
      'not_found',
      'invalid_ordering',
    ])
    buttondown.weather.forbidden = ['events']
    const forbidden = await ask('/events')
    expect(forbidden.status).toBe(403)
    const { status, body, headers } = await ask('/events')
    expect(status).toBe(429)
    expectValid(body, 'paths', '/events', 'get', 'responses', 429, 'content', 'application/json', 'schema')
    expect(Number(headers.get('Retry-After'))).toBeGreaterThan(0)
    expect(headers.get('X-RateLimit-Limit')).toBe('10')
    expect(headers.get('X-RateLimit-Remaining')).toBe('0')
    expect(Number(headers.get('X-RateLimit-Reset'))).toBeGreaterThan(Date.now() / 1000)
    for (const query of ['page=0', 'page_size=5001', 'page_size=0', 'event_type=sent', 'ordering=id'])
      expect((await aStandIn().then((other) => other.ask(`/events?${query}`))).status).toBe(422)
  })

  it('delivers bodies as documented, whatever their shape', async () => {
    const { buttondown, world } = await aStandIn()
    const shapes: Partial<Shape>[] = [
      {},
      { id: 'uuid', ids: 'typeid', email: true },
      { email: true, metadata: 'flat' },
      { newsletter: false, metadata: 'nested' },
    ]
    for (const shape of shapes)
      for (const happening of world.happenings)
        expectValid(JSON.parse(buttondown.body(happening, shape)), 'components', 'schemas', 'WebhookEvent')
    const types = document.components.schemas.ExternalEventType.enum
    expect(types).toHaveLength(82)
    for (const type of storedTypes) expect(types).toContain(`subscriber.${type}`)
    expect([...storedTypes].sort()).toEqual(document.components.schemas.EmailEventType.enum)
  })

  it('is asked by our client only in documented words', async () => {
    const { buttondown, client, world } = await aButtondown({ pageLength: 1 })
    const receiver = await aReceiver()
    const ada = world.addSubscriber({ email: 'ada@example.com' })
    world.addSubscriber({ email: 'ben@example.com' })
    const letter = world.addEmail({ subject: 'Letter' })
    world.addEmail({ subject: 'Another letter' })
    const event = world.addEvent({ type: 'opened', subscriber: ada, email: letter })
    world.addEvent({ type: 'opened', subscriber: ada, email: letter })
    await client.account()
    await client.newsletters()
    await everything(client.subscribers())
    await client.subscriber(ada.email)
    await everything(client.emails())
    await client.email(letter.id)
    await client.emailAnalytics(letter.id)
    await client.tags()
    await everything(client.events({ pageSize: 1, type: 'opened', emailId: letter.id, subscriberId: ada.id }))
    await client.event(event.id)
    const input = {
      url: receiver.url,
      eventTypes: ['subscriber.opened'],
      status: 'enabled',
      description: 'Throughline',
      signingKey: 'secret',
    } as const
    const webhook = await client.createWebhook(input)
    await client.updateWebhook(webhook.id, input)
    await client.testWebhook(webhook.id, { type: 'subscriber.opened' })
    await client.attempts(webhook.id)
    await client.webhooks()
    await client.webhook(webhook.id)

    expect(buttondown.requests.length).toBeGreaterThan(18)
    const paths = Object.keys(document.paths)
    for (const request of buttondown.requests) {
      const path = paths
        .filter((template) =>
          new RegExp(`^/v1${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(request.path),
        )
        .sort((one, other) => one.split('{').length - other.split('{').length)[0]!
      const operation = document.paths[path]?.[request.method.toLowerCase()]
      expect(operation, `${request.method} ${request.path}`).toBeDefined()
      for (const [name, text] of request.query) {
        const parameters: { in: string; name: string; schema: { type?: string } }[] = operation.parameters
        const index = parameters.findIndex((parameter) => parameter.in === 'query' && parameter.name === name)
        expect(index, `${path}?${name}`).toBeGreaterThanOrEqual(0)
        const type = parameters[index]!.schema.type
        const value = type === 'integer' ? Number(text) : type === 'array' ? [text] : text
        const place = ['paths', path, request.method.toLowerCase(), 'parameters', index, 'schema']
        expectValid(value, ...place)
      }
      if (request.body !== '')
        expectValid(JSON.parse(String(request.body)), 'components', 'schemas', 'WebhookInput')
      expect(request.headers['x-api-version']).toBe('2026-04-01')
    }
  })
})

describe('the stand-in', () => {
  it('spells ids as the version says, and takes either spelling', async () => {
    const { ask, ada } = await aStandIn()
    const subscriber = async (id: string, version: string) =>
      (await ask(`/subscribers/${id}`, { version })).body.id
    const spelled = typeId('sub', ada.id)
    for (const id of [ada.id, spelled, `sub_${ada.id}`]) {
      expect(await subscriber(id, '2026-04-01')).toBe(spelled)
      expect(await subscriber(id, '2025-06-01')).toBe(ada.id)
      expect(await subscriber(id, '')).toBe(ada.id)
    }
    const { body } = await ask(`/events?subscriber_id=${spelled}&event_type=opened`)
    expect(body.results).toHaveLength(1)
    expect((await ask('/emails', { version: '2025-05-19' })).body.count).toBe(1)
    expect((await ask('/emails')).body.count).toBe(2)
  })

  it('has pages that shift while rows come in', async () => {
    const { ask, world, ada, letter } = await aStandIn()
    const ids = (answer: { body: { results: { id: string }[] } }) => answer.body.results.map(({ id }) => id)
    const first = await ask('/events?page_size=2')
    world.addEvent({ type: 'opened', subscriber: ada, email: letter })
    const second = await ask('/events?page_size=2&page=2')
    expect(ids(second)).toContain(ids(first)[1])
    expect(second.headers.get('Link')).toMatch(/page=3>; rel="next".*page=1>; rel="prev"/)

    const count = world.events.rows.length
    const back: string[] = []
    for (let page = 1; page <= Math.ceil(count / 3); page++)
      back.push(...ids(await ask(`/events?page_size=3&page=${page}`)))
    const forth = ids(await ask('/events?ordering=creation_date&page_size=5000'))
    expect(back.reverse()).toEqual(forth)
    expect(forth).toHaveLength(count)
    expect((await ask('/events?page=99')).body).toMatchObject({ results: [], next: null, count })
  })

  it('puts an event that is told late where its time belongs', async () => {
    const { ask, world, ada, letter } = await aStandIn()
    const late = world.addEvent({ type: 'opened', subscriber: ada, email: letter, at: 0 })
    const { body } = await ask('/events?ordering=creation_date&page_size=1')
    expect(body.results[0].id).toBe(typeId('ext_evt', late.id))
  })

  it('counts what happens to a mailing, and can tell otherwise', async () => {
    const { ask, world, letter } = await aStandIn()
    const analytics = async () => (await ask(`/emails/${letter.id}/analytics`)).body
    expect(await analytics()).toMatchObject({
      recipients: 4,
      deliveries: 2,
      opens: 1,
      clicks: 1,
      temporary_failures: 1,
      permanent_failures: 1,
      unsubscriptions: 1,
      permanent_failure_breakdown: [{ code: 'hard_bounce', count: 1 }],
    })
    world.tell(letter, { opens: 7 })
    expect((await analytics()).opens).toBe(7)
  })

  it('fails at random, the same in each run', async () => {
    const statuses = async () => {
      const { ask } = await aStandIn({ weather: { faults: 0.5 } })
      const all: number[] = []
      for (let call = 0; call < 40; call++) all.push((await ask('/accounts/me')).status)
      return all
    }
    const run = await statuses()
    expect([...new Set(run)].sort()).toEqual([200, 500, 502, 503, 504])
    expect(await statuses()).toEqual(run)
  })

  it('delivers what happens to those who registered, signed, and switches a failing webhook off', async () => {
    const { ask, buttondown, world, ada, letter } = await aStandIn()
    const receiver = await aReceiver()
    const input = { url: receiver.url, event_types: ['subscriber.opened'], signing_key: 'secret' }
    const { id } = (await ask('/webhooks', { method: 'POST', body: JSON.stringify(input) })).body
    buttondown.skipNews()
    const open = () => world.addEvent({ type: 'opened', subscriber: ada, email: letter })

    const opened = open()
    world.setTags(ada, ['beta', 'vip'])
    await buttondown.deliverNews({ email: true })
    const { body, signature } = receiver.deliveries[0]!
    expect(receiver.deliveries).toHaveLength(1)
    expect(verifySignature({ header: signature, body, key: 'secret' })).toBe(true)
    expect(JSON.parse(body.toString())).toEqual({
      id: typeId('ext_evt', opened.id),
      event_type: 'subscriber.opened',
      data: { newsletter: world.newsletter.id, subscriber: ada.id, email: letter.id },
    })

    receiver.status = 302
    open()
    await buttondown.deliverNews()
    await buttondown.retryFailed()
    expect(receiver.deliveries[2]!.body).toEqual(receiver.deliveries[1]!.body)
    receiver.status = 500
    for (let failure = 0; failure < 5; failure++) open()
    await buttondown.deliverNews()
    expect((await ask(`/webhooks/${id}`)).body.status).toBe('disabled')
    const { results } = (await ask(`/webhooks/${id}/attempts?status=failed`)).body
    expect(results[0]).toMatchObject({ event_type: 'subscriber.opened', error_message: '500: as told' })
    expect(results.at(-1)).toMatchObject({ attempt_count: 2 })
    const before = receiver.deliveries.length
    open()
    await buttondown.deliverNews()
    expect(receiver.deliveries).toHaveLength(before)
  })
})
