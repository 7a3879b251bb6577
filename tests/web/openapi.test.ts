import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { createToken } from '../../src/accounts/tokens.js'
import { campaignApi, eventOperations } from '../../src/campaigns/api.js'
import { campaignDirectory } from '../../src/campaigns/directory.js'
import { fieldLines, jsonSchema, type Operation } from '../../src/web/openapi.js'
import { testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'

interface Described {
  operationId: string
  summary: string
  security: object[]
  parameters?: { name: string; in: string; required: boolean; schema: object; description?: string }[]
  requestBody?: { content: Record<string, { schema: JsonSchema }> }
  responses: Record<
    string,
    { description: string; content?: Record<string, { schema: JsonSchema; example?: unknown }> }
  >
}
type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]
interface Layer {
  route?: { path: string | string[]; methods: Record<string, boolean> }
  handle?: { stack?: Layer[] }
}

/** Every route that the application has, as Express keeps it. */
function routesOf(stack: Layer[]): string[] {
  return stack.flatMap(({ route, handle }) => {
    if (route)
      return Object.keys(route.methods).flatMap((method) =>
        [route.path].flat().map((path) => `${method} ${String(path).replace(/:(\w+)/g, '{$1}')}`),
      )
    return handle?.stack ? routesOf(handle.stack) : []
  })
}

/** Whether strangers may ask. */
const openPaths = [
  '/api/event',
  '/healthz',
  '/go/{slug}',
  '/webhooks/buttondown',
  '/webhooks/emailoctopus',
  '/readyz',
  '/api/v1/auth/token',
  '/api/v1/promo/select-random',
  '/api/v1/promo/track-impression',
  '/api/v1/promo/track-click',
]
const isOpen = (path: string) => openPaths.includes(path)

interface Document {
  openapi: string
  paths: Record<string, Record<string, Described>>
}

async function read() {
  const { app, http } = await testApp()
  const answer = await http.get('/api/openapi.json').expect(200)
  const document = answer.body as Document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
  )
  const routes = routesOf((app as unknown as { router: { stack: Layer[] } }).router.stack)
  return { document, operations, routes, headers: answer.headers }
}

describe('the OpenAPI document', () => {
  it('is open to strangers, and says which version and where', async () => {
    const { document, headers } = await read()
    expect(document).toMatchObject({
      openapi: '3.1.1',
      info: { title: 'Throughline', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
      servers: [{ url: 'http://localhost:3000' }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    })
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers['set-cookie']).toBeUndefined()
  })

  it('has every route of the API, and none that is not there', async () => {
    const { operations, routes } = await read()
    const described = operations.map(({ name }) => name).sort()
    const served = routes.filter((route) => /^(get|post|put|patch|delete) \/api\/v1\//.test(route))

    expect(described.filter((name) => name.includes('/api/v1/'))).toEqual([...new Set(served)].sort())
    // The doors stand before the router of the API.
    expect(described.filter((name) => !name.includes('/api/v1/'))).toEqual([
      'get /api/event',
      'get /go/{slug}',
      'get /healthz',
      'get /metrics',
      'get /readyz',
      'get /webhooks/buttondown',
      'get /webhooks/emailoctopus',
      'post /api/event',
      'post /webhooks/buttondown',
      'post /webhooks/emailoctopus',
    ])
  })

  it('names each operation once, with what it answers and who may ask', async () => {
    const { operations } = await read()
    const ids = operations.map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { name, path, operation } of operations) {
      expect(operation.summary, name).toMatch(/^[A-Z]/)
      expect(operation.security, name).toEqual(isOpen(path) ? [] : [{ token: [] }])
      expect(
        Object.keys(operation.responses).some((status) => /^[23]/.test(status)),
        name,
      ).toBe(true)
      expect(
        Object.values(operation.responses).every(({ description }) => description),
        name,
      ).toBe(true)
      if (!isOpen(path)) expect(operation.responses).toHaveProperty('401')
    }
  })

  it('declares the parameters of each path, and each parameter once', async () => {
    const { operations } = await read()
    for (const { name, path, operation } of operations) {
      const parameters = operation.parameters ?? []
      const inPath = parameters.filter((parameter) => parameter.in === 'path')
      expect(
        inPath.map((parameter) => parameter.name),
        name,
      ).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, word]) => word))
      expect(inPath.every(({ required }) => required)).toBe(true)
      expect(new Set(parameters.map((parameter) => `${parameter.in} ${parameter.name}`)).size).toBe(
        parameters.length,
      )
      for (const { schema, name: parameter } of parameters)
        expect(Object.keys(schema), `${name} ${parameter}`).not.toEqual([])
    }
  })

  it('holds JSON Schemas that others can read, and examples that fit them', async () => {
    const { operations } = await read()
    let examples = 0
    for (const { operation } of operations) {
      for (const { schema } of Object.values(operation.requestBody?.content ?? {})) z.fromJSONSchema(schema)
      for (const { content } of Object.values(operation.responses))
        for (const { schema, example } of Object.values(content ?? {})) {
          const reader = z.fromJSONSchema(schema)
          if (example === undefined) continue
          expect(reader.parse(example)).toEqual(example)
          examples++
        }
    }
    expect(examples).toBeGreaterThan(7)
  })

  it('describes the event door by the schema that parses events', async () => {
    const { document } = await read()
    const { parameters } = document.paths['/api/event']!.get!
    expect(parameters!.filter(({ required }) => required).map(({ name }) => name)).toEqual(['cid', 'event'])
    expect(parameters).toContainEqual({
      name: 'event',
      in: 'query',
      required: true,
      description: 'What happened.',
      schema: { type: 'string', minLength: 1, enum: ['email_click', 'landing_click', 'conversion'] },
    })
    expect(Object.keys(document.paths['/api/event']!.post!.requestBody!.content)).toEqual([
      'application/json',
      'application/x-www-form-urlencoded',
      'text/plain',
    ])
  })

  it('says what the event door answers, and takes numbers where the door does', async () => {
    const app = await testApp()
    const { body: document } = await app.http.get('/api/openapi.json').expect(200)
    const { get, post } = (document as Document).paths['/api/event']!
    const { id } = await aCampaign(app)
    const event = {
      cid: id,
      event: 'email_click',
      email: 'a@b.example',
      domain: 'c.example',
      eid: 7,
      link: 1,
    }

    const schema = z.fromJSONSchema(post!.requestBody!.content['application/json']!.schema)
    expect(schema.safeParse(event).success).toBe(true)
    expect(schema.safeParse({ ...event, cid: String(id) }).success).toBe(true)
    expect(schema.safeParse({ ...event, cid: true }).success).toBe(false)
    await app.http.post('/api/event').send(event).expect(200)

    const packed = { 'Content-Encoding': 'compress', 'Content-Type': 'application/json' }
    const answers = [
      [get, await app.http.get('/api/event').set('Purpose', 'prefetch')],
      [get, await app.http.put('/api/event')],
      [post, await app.http.post('/api/event').set('Sec-Purpose', 'prefetch').send(event)],
      [post, await app.http.post('/api/event').send({ more: 'x'.repeat(70_000) })],
      [post, await app.http.post('/api/event').set(packed).send('{}')],
    ] as const
    expect(answers.map(([, { status }]) => status)).toEqual([204, 405, 204, 413, 415])
    for (const [described, { status, body }] of answers) {
      const told = described!.responses[status]!.content?.['application/json']?.schema
      expect(described!.responses, String(status)).toHaveProperty(String(status))
      if (told) expect(z.fromJSONSchema(told).safeParse(body).success, String(status)).toBe(true)
    }
    for (const { responses } of [get!, post!])
      expect(Object.keys(responses)).toEqual(expect.arrayContaining(['200', '400', '403', '431', '503']))
  })

  it('says of the webhooks whose signature they want, what they take and what they answer', async () => {
    const key = 'local-test-signing-key-001'
    const app = await testApp({
      env: { BUTTONDOWN_WEBHOOK_SIGNING_KEY: key, EMAILOCTOPUS_WEBHOOK_SECRET: key },
    })
    const { paths } = (await app.http.get('/api/openapi.json').expect(200)).body as Document
    const page = (await app.http.get('/docs').expect(200)).text
    for (const [provider, header, delivery] of [
      ['buttondown', 'X-Buttondown-Signature', { event_type: 'subscriber.opened', data: {} }],
      ['emailoctopus', 'EmailOctopus-Signature', [{ id: 'a', type: 'contact.opened' }]],
    ] as const) {
      const { get, post } = paths[`/webhooks/${provider}`]!
      expect(post!.parameters).toMatchObject([{ name: header, in: 'header', required: true }])
      expect(page).toContain(header)
      const schema = z.fromJSONSchema(post!.requestBody!.content['application/json']!.schema)
      expect(schema.safeParse(delivery).success).toBe(true)
      const send = (body: object | string, signature?: string) =>
        app.http
          .post(`/webhooks/${provider}`)
          .set('Content-Type', 'application/json')
          .set(signature === undefined ? {} : { [header]: signature })
          .send(body)
      const signed = (body: string) => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`
      const text = JSON.stringify(delivery)
      const told = [
        [get, await app.http.get(`/webhooks/${provider}`), 200],
        [post, await send(text, signed(text)), 200],
        [post, await send('{}', signed('{}')), 400],
        [post, await send(text), 401],
        [post, await send('x'.repeat(10 * 1024 * 1024 + 1), 'sha256=0'), 413],
      ] as const
      for (const [described, { status, body }, expected] of told) {
        expect(status, provider).toBe(expected)
        const answer = described!.responses[status]!.content!['application/json']!.schema
        expect(z.fromJSONSchema(answer).safeParse(body).success, `${provider} ${status}`).toBe(true)
      }
    }
    expect(page).toContain('[].type')
  })

  it('says of the redirect where it leads', async () => {
    const app = await testApp()
    const { paths } = (await app.http.get('/api/openapi.json').expect(200)).body as Document
    const { parameters, responses } = paths['/go/{slug}']!.get!
    expect(parameters!.map(({ name }) => name)).toEqual(['slug', 'promo_var'])
    expect(Object.keys(responses)).toEqual(['302', '404'])
    await app.http.get('/go/nowhere').expect(404)
  })

  it('says of health and of long bodies what they answer', async () => {
    const app = await testApp()
    const { paths } = (await app.http.get('/api/openapi.json').expect(200)).body as Document
    const { responses } = paths['/healthz']!.get!
    const health = z.fromJSONSchema(responses[200]!.content!['application/json']!.schema)
    expect(health.safeParse((await app.http.get('/healthz').expect(200)).body).success).toBe(true)
    expect(responses).toHaveProperty('503')

    const { token } = await createToken(app.db, 'test', { by: null, at: app.clock.now() })
    const { body } = await app.http
      .post('/api/v1/campaigns')
      .set('Authorization', `Bearer ${token}`)
      .send({ name: 'x'.repeat(110_000) })
      .expect(413)
    const tooLong = paths['/api/v1/campaigns']!.post!.responses[413]!.content!['application/json']!.schema
    expect(z.fromJSONSchema(tooLong).safeParse(body).success).toBe(true)
  })
})

describe('the readable page', () => {
  it('is open to strangers, and shows each operation', async () => {
    const app = await testApp()
    const { operations } = campaignApi({ ...app, directory: campaignDirectory(app.db), now: app.clock.now })

    const page = (await app.http.get('/docs').expect(200)).text

    for (const { id, path } of [...eventOperations, ...operations] as Operation[]) {
      expect(page).toContain(`id="${id}"`)
      expect(page).toContain(path)
      expect(page).toContain(`id="curl-${id}"`)
    }
    expect(page).toContain('unique.email_clicks')
    expect(page).toContain('domains[].silent')
  })
})

describe('the glossary', () => {
  it('is for those who have logged in', async () => {
    const { http } = await testApp()
    await http.get('/glossary').expect(303)
  })
})

describe('fields in words', () => {
  it('name types, inner fields and what must be there', () => {
    const schema = z.object({
      id: z.int().meta({ description: 'Number.' }),
      when: z.iso.datetime().nullable(),
      state: z.enum(['on', 'off']).optional(),
      kind: z.literal('a'),
      list: z.array(z.object({ x: z.number() })),
      words: z.array(z.string()),
      rest: z.array(z.boolean()),
      any: z.unknown(),
      inner: z.object({ y: z.boolean() }),
    })

    expect(fieldLines(schema, 'input').map(({ name, type, required }) => [name, type, required])).toEqual([
      ['id', 'integer', true],
      ['when', 'date-time or null', true],
      ['state', 'on, off', false],
      ['kind', 'a', true],
      ['list', 'list of objects', true],
      ['list[].x', 'number', true],
      ['words', 'list of strings', true],
      ['rest', 'list of values', true],
      ['any', 'any', true],
      ['inner', 'object', true],
      ['inner.y', 'boolean', true],
    ])
  })

  it('turn the example of zod into those of JSON Schema', () => {
    expect(jsonSchema(z.string().meta({ example: 'x' }), 'input')).toEqual({
      type: 'string',
      examples: ['x'],
    })
  })
})
