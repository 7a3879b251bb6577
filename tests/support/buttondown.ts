import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  ButtondownWorld,
  type Happening,
  seededRandom,
  storedTypes,
  type WorldEmail,
  type WorldEvent,
  type WorldSubscriber,
  type WorldTag,
} from './buttondown-world.js'

// A stand-in for Buttondown on loopback, which behaves as its documents say. Where they are silent or contradict each
// other, a switch in `Weather` or `Shape` makes it behave either way.

/** How the service behaves; change it at any time. */
export interface Weather {
  /** Requests a minute, counted in windows of one minute; null for no limit, and then no headers that tell one. */
  limit: number | null
  /** `Retry-After` of a 429 as seconds or as an HTTP date. */
  retryAfter: 'seconds' | 'date'
  /** Share of requests, from 0 to 1, that end in a random 500, 502, 503 or 504. */
  faults: number
  /** Milliseconds before each answer. */
  slow: number
  /** Origin that `next` links lead to instead of our own. */
  nextOrigin: string | null
  /** How a page after the last is answered. */
  beyond: 'empty' | 404
  /** How timestamps end. */
  zone: 'Z' | '+00:00' | ''
  /** The spelling of page views before July 2025. */
  oldPageViews: boolean
  /** First parts of paths, such as `webhooks`, that the key lacks the permission for. */
  forbidden: string[]
  /** Are deliveries of the test button signed? */
  signsTests: boolean
}

/** How a delivery looks. */
export interface Shape {
  /** How the envelope's `id` is spelled, if it is there. */
  id: 'typeid' | 'uuid' | 'none'
  /** How ids in `data` are spelled. */
  ids: 'uuid' | 'typeid'
  newsletter: boolean
  /** Is the mailing named? (Events about an email name it always.) */
  email: boolean
  /** Where url, address and the like are. */
  metadata: 'none' | 'flat' | 'nested'
}

/** What is known from the field: no mailing, no metadata, UUIDs in `data`. */
export const usualShape: Shape = {
  id: 'typeid',
  ids: 'uuid',
  newsletter: true,
  email: false,
  metadata: 'none',
}

export interface StandInWebhook {
  id: string
  at: number
  status: 'enabled' | 'disabled'
  eventTypes: string[]
  url: string
  description: string
  signingKey: string
  attempts: StandInAttempt[]
  /** Events in a row that failed. */
  failures: number
}

interface StandInAttempt {
  id: string
  at: number
  happening: Happening
  status: 'successful' | 'failed'
  error: string | null
  count: number
  completedAt: number
  duration: number
}

export interface StandInRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  body: unknown
}

export interface StandInOptions {
  key?: string
  now?: () => number
  seed?: number
  /** Rows on a page of subscribers, emails, newsletters and webhooks. */
  pageLength?: number
  /** The version that holds when a request names none. */
  pinnedVersion?: string
  port?: number
  world?: ButtondownWorld
  weather?: Partial<Weather>
}

const crockford = '0123456789abcdefghjkmnpqrstvwxyz'

/** A UUID as a TypeID: its 128 bits as 26 digits of Crockford's base32. */
export function typeId(prefix: string, uuid: string) {
  const plain = BigInt(`0x${uuid.replaceAll('-', '')}`)
    .toString(32)
    .padStart(26, '0')
  let suffix = ''
  for (const digit of plain) suffix += crockford[Number.parseInt(digit, 32)]
  return `${prefix}_${suffix}`
}

/** The id behind any of its spellings; written apart from the code under test. */
function uuidOf(text: string) {
  const end = text.lastIndexOf('_')
  const rest = text.slice(end + 1).toLowerCase()
  if (rest.length !== 26 || end < 0) return rest
  let number = 0n
  for (const digit of rest) {
    const value = crockford.indexOf(digit)
    if (value < 0) return rest
    number = number * 32n + BigInt(value)
  }
  const hex = number.toString(16).padStart(32, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** What ends a request other than by an answer of its own. */
class Refusal {
  constructor(
    readonly status: number,
    readonly body: object,
  ) {}
}
const coded = (status: number, code: string, detail: string) =>
  new Refusal(status, { code, detail, metadata: {} })
const unprocessable = (type: string, loc: string[], msg: string) =>
  new Refusal(422, { detail: [{ type, loc, msg }] })
const notFound = () => coded(404, 'not_found', 'Not found.')

const webhookFields = ['url', 'event_types', 'status', 'description', 'signing_key']
const emailOrderings = ['creation_date', '-creation_date', 'publish_date', '-publish_date']

/** Starts a stand-in; close it when done. */
export async function startButtondown(options: StandInOptions = {}) {
  const standIn = new ButtondownStandIn(options)
  await standIn.listen(options.port ?? 0)
  return standIn
}

export class ButtondownStandIn {
  readonly key: string
  readonly world: ButtondownWorld
  readonly weather: Weather
  readonly webhooks: StandInWebhook[] = []
  /** Every request so far, refused ones too. */
  readonly requests: StandInRequest[] = []
  /** The base URL, as BUTTONDOWN_API_URL wants it. */
  url = ''
  readonly #now: () => number
  readonly #pageLength: number
  readonly #pinnedVersion: string
  readonly #random: () => number
  readonly #server
  readonly #once = new Map<string, { status: number; body: unknown }>()
  readonly #watchers = new Set<() => void>()
  #window = { start: 0, used: 0 }
  #told = 0
  #held: Promise<void> | null = null

  constructor({
    key = 'stand-in-key-0001',
    now = Date.now,
    seed = 1,
    pageLength = 50,
    pinnedVersion = '2025-06-01',
    world = new ButtondownWorld({ now, seed }),
    weather = {},
  }: StandInOptions) {
    this.key = key
    this.world = world
    this.weather = {
      limit: null,
      retryAfter: 'seconds',
      faults: 0,
      slow: 0,
      nextOrigin: null,
      beyond: 'empty',
      zone: 'Z',
      oldPageViews: false,
      forbidden: [],
      signsTests: false,
      ...weather,
    }
    this.#now = now
    this.#pageLength = pageLength
    this.#pinnedVersion = pinnedVersion
    this.#random = seededRandom(seed + 1)
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error) => {
        console.error(error)
        response.destroy()
      })
    })
  }

  async listen(port: number) {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async close() {
    this.#server.closeAllConnections()
    this.#server.close()
    if (this.#server.listening) await once(this.#server, 'close')
  }

  /**
   * Lets requests wait without an answer.
   * @returns what lets them go on
   */
  hold() {
    let release = () => {}
    this.#held = new Promise((resolve) => {
      release = () => {
        this.#held = null
        resolve()
      }
    })
    return release
  }

  /** Resolves as soon as so many requests have come in all. */
  async arrived(count: number) {
    while (this.requests.length < count)
      await new Promise<void>((resolve) => {
        const look = () => {
          this.#watchers.delete(look)
          resolve()
        }
        this.#watchers.add(look)
      })
  }

  /**
   * Delivers to one address, whatever is registered.
   * @param key signing key; an empty one leaves the signature out
   */
  async deliverTo(
    url: string,
    happening: Happening,
    { key = '', shape = usualShape as Partial<Shape> } = {},
  ) {
    const body = this.body(happening, shape)
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.signature(body, key) },
      body,
      redirect: 'manual',
    })
    return { status: response.status, text: await response.text() }
  }

  /** The bytes of a delivery. */
  body(happening: Happening, shape: Partial<Shape> = {}) {
    const form = { ...usualShape, ...shape }
    const spell = (prefix: string, id: string, spelling: 'typeid' | 'uuid') =>
      spelling === 'uuid' ? id : typeId(prefix, id)
    const aboutEmail = happening.type.startsWith('email.')
    return JSON.stringify({
      ...(form.id === 'none' ? {} : { id: spell('ext_evt', happening.id, form.id) }),
      event_type: happening.type,
      data: {
        ...(form.newsletter ? { newsletter: this.world.newsletter.id } : {}),
        ...(happening.subscriber ? { subscriber: spell('sub', happening.subscriber, form.ids) } : {}),
        ...(happening.email && (form.email || aboutEmail)
          ? { email: spell('em', happening.email, form.ids) }
          : {}),
        ...(form.metadata === 'flat' ? happening.metadata : {}),
        ...(form.metadata === 'nested' ? { metadata: happening.metadata } : {}),
      },
    })
  }

  signature(body: string, key: string): Record<string, string> {
    if (key === '') return {}
    return { 'X-Buttondown-Signature': `sha256=${createHmac('sha256', key).update(body).digest('hex')}` }
  }

  /**
   * Delivers what has happened since the last time to every enabled webhook that wants it, one after the other. Five
   * events in a row that fail switch a webhook off.
   */
  async deliverNews(shape: Partial<Shape> = {}) {
    for (; this.#told < this.world.happenings.length; this.#told++) {
      const happening = this.world.happenings[this.#told]!
      for (const webhook of this.webhooks)
        if (webhook.status === 'enabled' && webhook.eventTypes.includes(happening.type))
          await this.#attempt(webhook, happening, shape)
    }
  }

  /** Tries again what failed, as Buttondown does every five minutes or so, up to five times. */
  async retryFailed(shape: Partial<Shape> = {}) {
    for (const webhook of this.webhooks)
      for (const attempt of [...webhook.attempts])
        if (attempt.status === 'failed' && attempt.count < 6 && webhook.status === 'enabled')
          await this.#attempt(webhook, attempt.happening, shape, attempt)
  }

  /** Takes everything so far as told, so that the next delivery tells only what comes. */
  skipNews() {
    this.#told = this.world.happenings.length
  }

  async #attempt(
    webhook: StandInWebhook,
    happening: Happening,
    shape: Partial<Shape>,
    earlier?: StandInAttempt,
    key = webhook.signingKey,
  ) {
    const start = this.#now()
    const { status, text } = await this.deliverTo(webhook.url, happening, { key, shape }).catch((error) => ({
      status: 0,
      text: String(error.cause?.code ?? error.message),
    }))
    const good = status >= 200 && status < 300
    const attempt = earlier ?? {
      id: this.world.newId(),
      at: start,
      happening,
      status: 'failed',
      error: null,
      count: 0,
      completedAt: start,
      duration: 0,
    }
    attempt.status = good ? 'successful' : 'failed'
    attempt.error = good ? null : `${status}: ${text.slice(0, 200)}`
    attempt.count++
    attempt.completedAt = this.#now()
    attempt.duration = this.#now() - start
    if (!earlier) webhook.attempts.unshift(attempt)
    if (good) webhook.failures = 0
    else if (!earlier && ++webhook.failures >= 5) webhook.status = 'disabled'
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '/', 'http://stand-in')
    const text = await readAll(request)
    const logged: StandInRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text,
    }
    this.requests.push(logged)
    for (const look of [...this.#watchers]) look()
    const headers: Record<string, string> = {}
    const { status, body } = await this.#outcome(logged, text, headers).catch((error) => {
      if (error instanceof Refusal) return error
      throw error
    })

    response.writeHead(status, {
      ...headers,
      Date: new Date(this.#now()).toUTCString(),
      ...(body === null ? {} : { 'Content-Type': status >= 500 ? 'text/html' : 'application/json' }),
    })
    response.end(body === null ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  }

  async #outcome(
    request: StandInRequest,
    text: string,
    headers: Record<string, string>,
  ): Promise<{ status: number; body: unknown }> {
    if (this.#held) await this.#held
    if (this.weather.slow > 0) await new Promise((resolve) => setTimeout(resolve, this.weather.slow))
    const parts = request.path.split('/').slice(1)
    if (parts[0] !== 'v1') throw notFound()
    if (parts[1] === 'ping') return { status: 200, body: {} }
    this.#limit(headers)
    if (this.#random() < this.weather.faults) {
      const status = [500, 502, 503, 504][Math.floor(this.#random() * 4)]!
      return { status, body: '<html><body>Something went wrong.</body></html>' }
    }
    const authorization = request.headers.authorization
    if (!authorization) throw coded(401, 'authentication_missing', 'No API key was given.')
    if (authorization !== `Token ${this.key}`)
      throw coded(401, 'authentication_invalid', 'The API key is not valid.')
    if (this.weather.forbidden.includes(parts[1]!))
      throw coded(403, 'permission_denied', 'This API key lacks the permission.')
    const once = request.headers['x-idempotency-key']
    if (typeof once === 'string' && this.#once.has(once)) return this.#once.get(once)!
    const outcome = await this.#route(request, text, parts.slice(1).map(decodeURIComponent), headers)
    if (typeof once === 'string') this.#once.set(once, outcome)
    return outcome
  }

  #limit(headers: Record<string, string>) {
    const { limit } = this.weather
    if (limit === null) return
    const now = this.#now()
    if (now >= this.#window.start + 60_000) this.#window = { start: now, used: 0 }
    this.#window.used++
    const reset = Math.ceil((this.#window.start + 60_000) / 1000)
    headers['X-RateLimit-Limit'] = String(limit)
    headers['X-RateLimit-Remaining'] = String(Math.max(0, limit - this.#window.used))
    headers['X-RateLimit-Reset'] = String(reset)
    if (this.#window.used <= limit) return
    headers['Retry-After'] =
      this.weather.retryAfter === 'date'
        ? new Date(reset * 1000).toUTCString()
        : String(Math.max(1, reset - Math.floor(now / 1000)))
    throw coded(429, 'rate_limited', 'Too many requests.')
  }

  async #route(
    request: StandInRequest,
    text: string,
    [room, id, part]: string[],
    headers: Record<string, string>,
  ): Promise<{ status: number; body: unknown }> {
    const asked = new Asked(request, this.#pinnedVersion)
    const { method, query } = request
    const list = <Row>(
      rows: readonly Row[],
      write: (row: Row) => string,
      size = this.#pageLength,
      back = false,
    ) => ({
      status: 200,
      body: this.#page(request, headers, rows, write, size, back),
    })
    const json = (write: (row: never) => object) => (row: unknown) => JSON.stringify(write(row as never))
    if (room === 'webhooks') return this.#webhooksRoute(request, text, id, part, list)
    if (method !== 'GET')
      throw coded(405, 'method_not_allowed', 'The stand-in does not know this method here.')

    if (room === 'accounts' && id === 'me')
      return { status: 200, body: { username: 'long-line', email_address: 'author@example.com' } }
    if (room === 'newsletters' && id === undefined)
      return list(
        [this.world.newsletter],
        json(() => this.#newsletter()),
      )
    if (room === 'tags' && id === undefined)
      return list(
        this.world.tags.rows,
        json((tag: WorldTag) => this.#tag(tag, asked)),
        asked.pageSize(100, 1000),
      )

    if (room === 'subscribers' && id === undefined) {
      const ordering = query.get('ordering') ?? '-creation_date'
      if (!/^-?(creation_date|open_rate|click_rate|undeliverability_date)$/.test(ordering))
        throw coded(400, 'invalid_ordering', 'That ordering is not supported.')
      const rows = this.#filtered(this.world.subscribers.rows, asked)
      return list(
        rows,
        json((row: WorldSubscriber) => this.#subscriber(row, asked)),
        undefined,
        ordering === '-creation_date',
      )
    }
    if (room === 'subscribers' && part === undefined) {
      const row = id!.includes('@') ? this.world.subscriberByAddress(id!) : this.world.subscriber(uuidOf(id!))
      if (!row) throw notFound()
      return { status: 200, body: this.#subscriber(row, asked) }
    }

    if (room === 'emails' && id === undefined) {
      const ordering = query.get('ordering') ?? 'creation_date'
      if (!emailOrderings.includes(ordering))
        throw unprocessable('enum', ['query', 'ordering'], 'Input should be …')
      const excluded = query.getAll('excluded_fields').includes('body')
      const wanted = query.getAll('status')
      const rows = this.world.emails.rows.filter(({ status }) => {
        if (wanted.length > 0) return wanted.includes(status)
        return asked.version >= '2025-06-01' || status === 'sent' || status === 'in_flight'
      })
      if (ordering.endsWith('publish_date'))
        rows.sort((one, other) => (one.publishedAt ?? 0) - (other.publishedAt ?? 0))
      const write = json((row: WorldEmail) => this.#email(row, asked, excluded))
      return list(rows, write, undefined, ordering.startsWith('-'))
    }
    if (room === 'emails') {
      const row = this.world.email(uuidOf(id!))
      if (!row || (part !== undefined && part !== 'analytics')) throw notFound()
      return { status: 200, body: part ? this.#analytics(row) : this.#email(row, asked, false) }
    }

    if (room === 'events' && id === undefined) {
      const ordering = query.get('ordering') ?? '-creation_date'
      if (!/^-?creation_date$/.test(ordering))
        throw unprocessable('enum', ['query', 'ordering'], 'Input should be …')
      const type = query.get('event_type') ?? undefined
      if (type !== undefined && !storedTypes.some((known) => known === type))
        throw unprocessable('enum', ['query', 'event_type'], 'Input should be one of the known types.')
      const [email, subscriber] = [query.get('email_id'), query.get('subscriber_id')]
      const rows = this.world.listEvents({
        type,
        email: email === null ? undefined : uuidOf(email),
        subscriber: subscriber === null ? undefined : uuidOf(subscriber),
      })
      const write = (row: WorldEvent) => this.#eventJson(row, asked)
      return list(rows, write, asked.pageSize(500, 5000), ordering === '-creation_date')
    }
    if (room === 'events' && part === undefined) {
      const row = this.world.event(uuidOf(id!))
      if (!row) throw notFound()
      return { status: 200, body: this.#eventJson(row, asked) }
    }
    throw notFound()
  }

  #page<Row>(
    request: StandInRequest,
    headers: Record<string, string>,
    rows: readonly Row[],
    write: (row: Row) => string,
    size: number,
    back: boolean,
  ) {
    const text = request.query.get('page') ?? '1'
    const page = Number(text)
    if (!Number.isSafeInteger(page) || page < 1)
      throw unprocessable(
        'greater_than_equal',
        ['query', 'page'],
        'Input should be greater than or equal to 1',
      )
    const pages = Math.max(1, Math.ceil(rows.length / size))
    if (page > pages && this.weather.beyond === 404) throw notFound()
    const start = (page - 1) * size
    const part = back
      ? rows.slice(Math.max(0, rows.length - start - size), Math.max(0, rows.length - start)).reverse()
      : rows.slice(start, start + size)
    const link = (to: number) => {
      const query = new URLSearchParams(request.query)
      query.set('page', String(to))
      return `${this.weather.nextOrigin ?? new URL(this.url).origin}${request.path}?${query}`
    }
    const next = page < pages ? link(page + 1) : null
    const previous = page > 1 ? link(page - 1) : null
    const links = [next && `<${next}>; rel="next"`, previous && `<${previous}>; rel="prev"`].filter(Boolean)
    if (links.length > 0) headers.Link = links.join(', ')
    const around = JSON.stringify({ next, previous, count: rows.length })
    return `{"results":[${part.map(write).join(',')}],${around.slice(1)}`
  }

  #filtered(rows: readonly WorldSubscriber[], { query }: Asked) {
    const [types, without, tags, ids] = ['type', '-type', 'tag', 'ids'].map((name) => query.getAll(name)) as [
      string[],
      string[],
      string[],
      string[],
    ]
    const part = query.get('email_address')?.toLowerCase()
    if (part === undefined && types.length + without.length + tags.length + ids.length === 0) return rows
    const wanted = new Set(ids.map(uuidOf))
    return rows.filter(
      (row) =>
        (types.length === 0 || types.includes(row.type)) &&
        !without.includes(row.type) &&
        tags.every((tag) => row.tags.includes(tag)) &&
        (wanted.size === 0 || wanted.has(row.id)) &&
        (part === undefined || row.email.toLowerCase().includes(part)),
    )
  }

  async #webhooksRoute(
    { method, query }: StandInRequest,
    text: string,
    id: string | undefined,
    part: string | undefined,
    list: <Row>(rows: readonly Row[], write: (row: Row) => string) => { status: number; body: unknown },
  ): Promise<{ status: number; body: unknown }> {
    if (id === undefined) {
      if (method === 'POST') {
        const webhook = {
          id: this.world.newId(),
          at: this.#now(),
          attempts: [],
          failures: 0,
          ...this.#webhookInput(text),
        }
        this.webhooks.push(webhook)
        return { status: 201, body: this.#webhook(webhook) }
      }
      const status = query.get('status')
      const rows = this.webhooks.filter((webhook) => status === null || webhook.status === status)
      return list(rows, (webhook) => JSON.stringify(this.#webhook(webhook)))
    }
    const webhook = this.webhooks.find((other) => other.id === uuidOf(id))
    if (!webhook) throw notFound()
    if (part === 'test' && method === 'POST') {
      const type = query.get('event_type') ?? webhook.eventTypes[0]
      if (!type) throw coded(400, 'invalid', 'The webhook has no event types.')
      const made: Happening = {
        id: this.world.newId(),
        at: this.#now(),
        type,
        subscriber: this.world.newId(),
        email: this.world.newId(),
        metadata: {},
      }
      await this.#attempt(webhook, made, {}, undefined, this.weather.signsTests ? webhook.signingKey : '')
      return { status: 204, body: null }
    }
    if (part === 'attempts' && method === 'GET') {
      const status = query.get('status')
      const rows = webhook.attempts.filter((attempt) => status === null || attempt.status === status)
      return list(rows, (attempt) => JSON.stringify(this.#attemptRow(attempt)))
    }
    if (part !== undefined) throw notFound()
    // The same schema as for a new one: whatever is left out falls back to its default.
    if (method === 'PATCH') {
      Object.assign(webhook, this.#webhookInput(text))
      if (webhook.status === 'enabled') webhook.failures = 0
    }
    if (method === 'DELETE') {
      this.webhooks.splice(this.webhooks.indexOf(webhook), 1)
      return { status: 204, body: null }
    }
    return { status: 200, body: this.#webhook(webhook) }
  }

  #webhookInput(text: string) {
    let input: Record<string, unknown>
    try {
      input = JSON.parse(text)
    } catch {
      throw new Refusal(400, { detail: 'Cannot parse request body' })
    }
    for (const field of Object.keys(input))
      if (!webhookFields.includes(field))
        throw unprocessable('extra_forbidden', ['body', 'payload', field], 'Extra inputs are not permitted')
    const { url, event_types: types, status = 'enabled', description = '', signing_key: key = '' } = input
    if (typeof url !== 'string' || url.length > 2000 || !URL.canParse(url))
      throw unprocessable('url_parsing', ['body', 'payload', 'url'], 'Input should be a valid URL')
    if (!Array.isArray(types))
      throw unprocessable('missing', ['body', 'payload', 'event_types'], 'Field required')
    for (const type of types)
      if (!/^[a-z_]+(\.[a-z_]+)+$/.test(String(type)))
        throw unprocessable('enum', ['body', 'payload', 'event_types'], 'Input should be a known event type')
    if (status !== 'enabled' && status !== 'disabled')
      throw unprocessable('enum', ['body', 'payload', 'status'], "Input should be 'enabled' or 'disabled'")
    if (typeof key !== 'string' || key.length > 255)
      throw unprocessable(
        'string_too_long',
        ['body', 'payload', 'signing_key'],
        `String should have at most 255 characters: ${key}`,
      )
    return {
      url,
      eventTypes: types as string[],
      status,
      description: String(description),
      signingKey: key,
    } as const
  }

  // How each thing is written.

  #moment(at: number): string
  #moment(at: number | null): string | null
  #moment(at: number | null) {
    return at === null ? null : new Date(at).toISOString().replace('Z', `000${this.weather.zone}`)
  }

  #newsletter() {
    const { id, name, username, testMode, features } = this.world.newsletter
    return {
      id,
      creation_date: this.#moment(Date.UTC(2020, 0, 1)),
      api_key: '00000000-0000-4000-8000-00000000feed',
      name,
      username,
      description: '',
      test_mode: testMode,
      enabled_features: features,
      timezone: 'Etc/UTC',
    }
  }

  #subscriber(row: WorldSubscriber, asked: Asked) {
    const rate = (count: number) => (row.delivered === 0 ? null : Math.min(1, count / row.delivered))
    return {
      id: asked.id('sub', row.id),
      creation_date: this.#moment(row.at),
      email_address: row.email,
      type: row.type,
      source: row.source,
      tags: row.tags,
      metadata: row.metadata,
      notes: row.notes,
      avatar_url: null,
      country: row.country,
      ip_address: row.ipAddress,
      secondary_id: row.number,
      referral_code: row.id.slice(0, 6),
      referrer_url: '',
      utm_campaign: '',
      utm_medium: '',
      utm_source: '',
      last_open_date: this.#moment(row.lastOpenAt),
      last_click_date: this.#moment(row.lastClickAt),
      delivered_count: row.delivered,
      open_count: row.opened,
      clicked_count: row.clicked,
      open_rate: rate(row.opened),
      click_rate: rate(row.clicked),
      bounce_date: this.#moment(row.bouncedAt),
      bounce_reason: row.bounceReason,
      undeliverability_date: this.#moment(row.undeliverableAt),
      undeliverability_reason: row.undeliverabilityReason,
      unsubscription_date: this.#moment(row.unsubscribedAt),
      unsubscription_reason: row.unsubscriptionReason ?? '',
      transitions: row.transitions.map(({ at, type }) => ({ date: this.#moment(at), type })),
      email_transitions: row.emailTransitions.map(({ at, from, to }) => ({
        date: this.#moment(at),
        old_email_address: from,
        new_email_address: to,
      })),
      firewall_reasons: [],
      risk_score: null,
    }
  }

  #email(row: WorldEmail, asked: Asked, withoutBody: boolean) {
    const slug = row.subject.toLowerCase().replace(/[^a-z0-9]+/g, '-')
    return {
      id: asked.id('em', row.id),
      creation_date: this.#moment(row.at),
      modification_date: this.#moment(row.modifiedAt),
      publish_date: this.#moment(row.publishedAt),
      subject: row.subject,
      status: row.status,
      source: row.source,
      slug,
      secondary_id: row.number,
      absolute_url: `https://buttondown.com/${this.world.newsletter.username}/archive/${slug}/`,
      canonical_url: '',
      // The schema wants a body even where it was excluded.
      body: withoutBody ? '' : row.body,
      description: '',
      image: '',
      metadata: {},
      filters: { filters: [], groups: [], predicate: 'and' },
      archival_mode: 'enabled',
      commenting_mode: 'enabled',
      email_type: 'public',
      featured: false,
      attachments: [],
      related_email_ids: [],
      callouts: [],
      template: null,
      suppression_reason: null,
      should_trigger_pay_per_email_billing: false,
      analytics: row.status === 'sent' ? this.#analytics(row) : null,
    }
  }

  #analytics({ counts, told }: WorldEmail) {
    const sum = (codes: Map<string, number>) => [...codes.values()].reduce((total, count) => total + count, 0)
    const breakdown = (codes: Map<string, number>) => [...codes].map(([code, count]) => ({ code, count }))
    const [temporary, permanent] = [sum(counts.bounced), sum(counts.rejected)]
    const gap = this.weather.oldPageViews ? '__' : '_'
    return {
      recipients: counts.deliveries + temporary + permanent,
      deliveries: counts.deliveries,
      opens: counts.openers.size,
      clicks: counts.clickers.size,
      temporary_failures: temporary,
      permanent_failures: permanent,
      unsubscriptions: counts.unsubscriptions,
      complaints: counts.complaints,
      survey_responses: 0,
      webmentions: 0,
      [`page_views${gap}lifetime`]: 140,
      [`page_views${gap}30`]: 60,
      [`page_views${gap}7`]: 12,
      subscriptions: 0,
      paid_subscriptions: 0,
      replies: counts.replies,
      comments: 0,
      social_mentions: 0,
      temporary_failure_breakdown: breakdown(counts.bounced),
      permanent_failure_breakdown: breakdown(counts.rejected),
      ...told,
    }
  }

  #tag(row: WorldTag, asked: Asked) {
    return {
      id: asked.id('sub_tag', row.id),
      creation_date: this.#moment(row.at),
      name: row.name,
      color: row.color,
      description: row.description,
      public_description: null,
      subscriber_editable: false,
      secondary_id: row.number,
    }
  }

  #eventJson(row: WorldEvent, asked: Asked) {
    const expanded = asked.query.getAll('expand').includes('subscriber')
    const style = `${asked.typeIds} ${this.weather.zone}`
    const kept = expanded ? undefined : row.json.get(style)
    if (kept !== undefined) return kept
    const subscriber = row.subscriber === null ? undefined : this.world.subscriber(row.subscriber)
    const json = JSON.stringify({
      id: asked.id('ext_evt', row.id),
      creation_date: this.#moment(row.at),
      event_type: row.type,
      subscriber_id: row.subscriber === null ? null : asked.id('sub', row.subscriber),
      email_id: row.email === null ? null : asked.id('em', row.email),
      automation_id: null,
      metadata: row.metadata,
      subscriber: expanded && subscriber ? this.#subscriber(subscriber, asked) : null,
      email: null,
      automation: null,
    })
    if (!expanded) row.json.set(style, json)
    return json
  }

  #webhook(webhook: StandInWebhook) {
    return {
      id: webhook.id,
      creation_date: this.#moment(webhook.at),
      status: webhook.status,
      event_types: webhook.eventTypes,
      url: webhook.url,
      description: webhook.description,
      signing_key: webhook.signingKey,
    }
  }

  #attemptRow(attempt: StandInAttempt) {
    return {
      id: attempt.id,
      creation_date: this.#moment(attempt.at),
      status: attempt.status,
      event_type: attempt.happening.type,
      error_message: attempt.error,
      attempt_count: attempt.count,
      completion_date: this.#moment(attempt.completedAt),
      duration_ms: attempt.duration,
    }
  }
}

/** What a request asks for beside its path. */
class Asked {
  readonly query: URLSearchParams
  readonly version: string

  constructor(request: StandInRequest, pinnedVersion: string) {
    this.query = request.query
    this.version = String(request.headers['x-api-version'] ?? pinnedVersion)
    if (!/^\d{4}-\d\d-\d\d$/.test(this.version)) throw coded(400, 'invalid_version', 'No such version.')
  }

  /** Since 2026-01-01 ids are TypeIDs. */
  get typeIds() {
    return this.version >= '2026-01-01'
  }

  id(prefix: string, uuid: string) {
    return this.typeIds ? typeId(prefix, uuid) : uuid
  }

  pageSize(usual: number, most: number) {
    const text = this.query.get('page_size')
    if (text === null) return usual
    const size = Number(text)
    if (Number.isSafeInteger(size) && size >= 1 && size <= most) return size
    throw unprocessable('less_than_equal', ['query', 'page_size'], `Input should be from 1 to ${most}`)
  }
}

async function readAll(request: IncomingMessage) {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  return Buffer.concat(parts).toString()
}
