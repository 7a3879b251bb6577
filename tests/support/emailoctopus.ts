import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seededRandom } from './buttondown-world.js'
import {
  EmailOctopusWorld,
  type Facts,
  type Happening,
  type HappeningType,
  type WorldCampaign,
  type WorldContact,
  type WorldList,
} from './emailoctopus-world.js'

// A stand-in for EmailOctopus' API v2 on loopback, which behaves as its documents say. Where they are silent or
// contradict each other, a switch in `Weather` makes it behave either way.

/** How the service behaves; change it at any time. */
export interface Weather {
  /** The bucket: tokens that it saves up, and that come back each second. Null for no limit. */
  limit: { capacity: number; perSecond: number } | null
  /** Milliseconds for which everything is refused once the limit was exceeded. */
  block: number
  /** How a 429 says when to come back: X-RateLimit-Retry-After in either unit, Retry-After, or not at all. */
  retryAfter: 'seconds' | 'epoch' | 'plain' | 'none'
  /** Is X-RateLimiting-Remaining told? */
  tellsRemaining: boolean
  /** Share of requests, from 0 to 1, that end in a random 500, 502, 503 or 504. */
  faults: number
  /** Requests whose path holds this end in a 503; none when it is empty. */
  broken: string
  /** And so do those whose path holds one of these. */
  brokenToo: string[]
  /** Milliseconds before each answer. */
  slow: number
  /** What `paging` is on the last page. */
  end: 'null' | 'missing' | 'no paging' | 'null paging' | 'array' | 'object' | 'no url'
  /** Origin that `next` links lead to instead of our own. */
  nextOrigin: string | null
  /** `counts` of a list as clients know it, or as the document says. */
  counts: 'object' | 'array'
  /** `fields` of a contact without any. */
  emptyFields: 'object' | 'array'
  /** Of the statuses of contacts and campaigns. */
  statusCase: 'lower' | 'upper'
  /** Reports about drafts: all zero, or refused. */
  draftReports: 'empty' | 400 | 404 | 422
  /** `sent_at` of a draft. */
  draftSentAt: 'null' | 'missing'
  /** A report has one row for each contact, or one for each event. */
  reportRows: 'contact' | 'event'
  /** Which of several events the one row of a contact tells. */
  occurredAt: 'first' | 'latest'
  /** `occurred_at` where nothing happened. */
  neverAt: 'null' | 'sent'
  /** What is refused as wrong input is refused so. */
  invalid: 400 | 422
}

export interface StandInRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
}

/** An endpoint as somebody made it in the dashboard. */
export interface StandInWebhook {
  url: string
  secret: string
  types: HappeningType[]
  /** Batches that were refused, to be sent again. */
  failed: Happening[][]
  /** How many happenings it has been told. */
  told: number
}

export interface StandInOptions {
  key?: string
  now?: () => number
  seed?: number
  port?: number
  world?: EmailOctopusWorld
  weather?: Partial<Weather>
}

export const happeningTypes: HappeningType[] = [
  'contact.created',
  'contact.updated',
  'contact.deleted',
  'contact.unsubscribed',
  'contact.bounced',
  'contact.complained',
  'contact.opened',
  'contact.clicked',
]

const reportStatuses = [
  'bounced',
  'clicked',
  'complained',
  'opened',
  'sent',
  'unsubscribed',
  'not-opened',
  'not-clicked',
]

/** What ends a request other than by an answer of its own. */
class Refusal {
  readonly body: object
  constructor(
    readonly status: number,
    type: string,
    detail: string,
    errors?: { detail: string; parameter: string }[],
  ) {
    this.body = {
      title: 'An error occurred.',
      detail,
      status,
      ...(errors ? { errors } : {}),
      type: `https://emailoctopus.com/api-documentation/v2#${type}`,
    }
  }
}
const notFound = () => new Refusal(404, 'not-found', 'Resource not found.')

/** A row of a list, and where it stands in the order that cursors tell. */
interface Row<Item> {
  at: number
  id: string
  /** Tells apart what has the same instant and id. */
  nth: number
  item: Item
}

/** Starts a stand-in; close it when done. */
export async function startEmailOctopus(options: StandInOptions = {}) {
  const standIn = new EmailOctopusStandIn(options)
  await standIn.listen(options.port ?? 0)
  return standIn
}

export class EmailOctopusStandIn {
  readonly key: string
  /** Keys from before v2: they are refused as if they were none. */
  readonly legacyKeys = ['00000000-0000-4000-8000-00001e9ac700']
  readonly world: EmailOctopusWorld
  readonly weather: Weather
  readonly webhooks: StandInWebhook[] = []
  /** Every request so far, refused ones too. */
  readonly requests: StandInRequest[] = []
  /** Requests beyond the bucket; none, if somebody keeps to the limit. */
  readonly refusals: StandInRequest[] = []
  /** The base URL, as EMAILOCTOPUS_API_URL wants it. */
  url = ''
  readonly #now: () => number
  readonly #random: () => number
  readonly #server
  readonly #watchers = new Set<() => void>()
  readonly #views = new Map<string, { version: number; rows: Row<unknown>[] }>()
  #bucket: { level: number; filledAt: number } | null = null
  #blockedUntil = 0
  #held: Promise<void> | null = null

  constructor({
    key = 'eo_stand-in-key-0001',
    now = Date.now,
    seed = 1,
    world = new EmailOctopusWorld({ now, seed }),
    weather = {},
  }: StandInOptions) {
    this.key = key
    this.world = world
    this.weather = {
      limit: null,
      block: 0,
      retryAfter: 'seconds',
      tellsRemaining: true,
      faults: 0,
      broken: '',
      brokenToo: [],
      slow: 0,
      end: 'null',
      nextOrigin: null,
      counts: 'object',
      emptyFields: 'object',
      statusCase: 'lower',
      draftReports: 'empty',
      draftSentAt: 'null',
      reportRows: 'contact',
      occurredAt: 'first',
      neverAt: 'null',
      invalid: 422,
      ...weather,
    }
    this.#now = now
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
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
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

  /** Makes an endpoint, as people do in the dashboard: two at the most. It hears of what happens from now on. */
  addWebhook({
    url,
    secret,
    types = happeningTypes,
  }: {
    url: string
    secret: string
    types?: HappeningType[]
  }) {
    if (this.webhooks.length >= 2) throw new Error('A team has two endpoints at the most.')
    const webhook: StandInWebhook = { url, secret, types, failed: [], told: this.world.happenings.length }
    this.webhooks.push(webhook)
    return webhook
  }

  /** Delivers what has happened since the last time to every endpoint, in arrays of 1000 events at the most. */
  async deliverNews() {
    for (const webhook of this.webhooks) {
      const news = this.world.happenings
        .slice(webhook.told)
        .filter(({ type }) => webhook.types.includes(type))
      webhook.told = this.world.happenings.length
      for (let first = 0; first < news.length; first += 1000)
        await this.#deliver(webhook, news.slice(first, first + 1000))
    }
  }

  /** Sends again what was refused: whole batches, with the same ids. */
  async retryFailed() {
    for (const webhook of this.webhooks)
      for (const batch of webhook.failed.splice(0)) await this.#deliver(webhook, batch)
  }

  /**
   * Delivers to one address, whatever is registered.
   * @param events happenings, or the bytes themselves
   * @param secret an empty one leaves the signature out
   */
  async deliverTo(url: string, events: Happening[] | string, { secret = '' } = {}) {
    const body = typeof events === 'string' ? events : this.body(events)
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...this.signature(body, secret) },
      body,
      redirect: 'manual',
    })
    return { status: response.status, text: await response.text() }
  }

  /** The bytes of a delivery. */
  body(events: Happening[]) {
    return JSON.stringify(
      events.map((event) => ({
        id: event.id,
        type: event.type,
        list_id: event.listId,
        contact_id: event.contactId,
        contact_email_address: event.email,
        ...(event.contact
          ? {
              contact_fields: event.contact.fields,
              contact_tags: event.contact.tags,
              contact_status: event.contact.status,
            }
          : {}),
        ...(event.campaignId === null ? {} : { campaign_id: event.campaignId }),
        occurred_at: moment(event.at),
      })),
    )
  }

  signature(body: string, secret: string): Record<string, string> {
    if (secret === '') return {}
    return { 'EmailOctopus-Signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` }
  }

  async #deliver(webhook: StandInWebhook, batch: Happening[]) {
    const { status } = await this.deliverTo(webhook.url, batch, { secret: webhook.secret }).catch(() => ({
      status: 0,
    }))
    if (status < 200 || status > 299) webhook.failed.push(batch)
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '/', 'http://stand-in')
    request.resume()
    const logged: StandInRequest = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
    }
    this.requests.push(logged)
    for (const look of [...this.#watchers]) look()
    const headers: Record<string, string> = {}
    const { status, body } = await this.#outcome(logged, headers).catch((error) => {
      if (error instanceof Refusal) return error
      throw error
    })
    response.writeHead(status, {
      ...headers,
      Date: new Date(this.#now()).toUTCString(),
      'Content-Type': typeof body === 'string' ? 'text/html' : 'application/json',
    })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }

  async #outcome(request: StandInRequest, headers: Record<string, string>) {
    if (this.#held) await this.#held
    if (this.weather.slow > 0) await new Promise((resolve) => setTimeout(resolve, this.weather.slow))
    const authorization = request.headers.authorization ?? ''
    // Its own limit is not told to those whom it does not know.
    if (authorization !== `Bearer ${this.key}`) throw new Refusal(401, 'unauthorized', 'Invalid key.')
    this.#limit(request, headers)
    if (this.#random() < this.weather.faults) {
      const status = [500, 502, 503, 504][Math.floor(this.#random() * 4)]!
      if (status === 500) throw new Refusal(500, 'internal-error', 'Internal server error.')
      return { status, body: '<html><body>Something went wrong.</body></html>' }
    }
    const { broken, brokenToo } = this.weather
    if ([broken, ...brokenToo].some((part) => part !== '' && request.path.includes(part)))
      return { status: 503, body: '<html><body>Not now.</body></html>' }
    return { status: 200, body: this.#route(request) as unknown }
  }

  #limit(request: StandInRequest, headers: Record<string, string>) {
    const { limit, retryAfter, block, tellsRemaining } = this.weather
    if (limit === null) return
    const now = this.#now()
    this.#bucket ??= { level: limit.capacity, filledAt: now }
    const refilled = ((now - this.#bucket.filledAt) / 1000) * limit.perSecond
    this.#bucket = { level: Math.min(limit.capacity, this.#bucket.level + refilled), filledAt: now }
    const within = this.#bucket.level >= 1 - 1e-9 && now >= this.#blockedUntil
    if (within) this.#bucket.level -= 1
    if (tellsRemaining)
      headers['X-RateLimiting-Remaining'] = String(Math.max(0, Math.floor(this.#bucket.level)))
    if (within) return
    this.refusals.push(request)
    if (now >= this.#blockedUntil) this.#blockedUntil = now + block
    const wait = Math.max(this.#blockedUntil - now, ((1 - this.#bucket.level) / limit.perSecond) * 1000)
    const seconds = Math.max(1, Math.ceil(wait / 1000))
    if (retryAfter === 'seconds') headers['X-RateLimit-Retry-After'] = String(seconds)
    if (retryAfter === 'epoch') headers['X-RateLimit-Retry-After'] = String(Math.ceil(now / 1000) + seconds)
    if (retryAfter === 'plain') headers['Retry-After'] = String(seconds)
    throw new Refusal(429, 'too-many-requests', 'Too many requests.')
  }

  #route(request: StandInRequest) {
    if (request.method !== 'GET') throw new Refusal(405, 'method-not-allowed', 'Method not allowed.')
    const [room, id, part, rest, ...more] = request.path.split('/').slice(1).map(decodeURIComponent)
    if (more.length > 0) throw notFound()
    if (id !== undefined && this.world.foreign.has(id))
      throw new Refusal(403, 'access-denied', 'Access denied.')
    if (room === 'campaigns') {
      if (id === undefined) return this.#campaigns(request)
      const campaign = this.world.campaigns.get(id)
      if (!campaign) throw notFound()
      if (part === undefined) return this.#campaign(campaign)
      if (part === 'reports') return this.#report(request, campaign, rest)
    }
    if (room === 'lists') {
      if (id === undefined) return this.#lists(request)
      const list = this.world.lists.get(id)
      if (!list) throw notFound()
      if (part === undefined) return this.#list(list)
      if (part === 'tags' && rest === undefined)
        return this.#page(
          request,
          list.tags.map((tag) => ({ at: 0, id: tag, nth: 0, item: tag })).sort(inOrder),
          (tag) => ({ tag }),
        )
      if (part === 'contacts' && rest === undefined) return this.#contacts(request, list)
      if (part === 'contacts') {
        const contact = this.world.contact(list, rest!)
        if (!contact) throw notFound()
        return this.#contact(contact)
      }
    }
    throw notFound()
  }

  // By id, which is no order that means anything: drafts are in the middle.

  #campaigns(request: StandInRequest) {
    const rows = [...this.world.campaigns.values()].map((item) => ({ at: 0, id: item.id, nth: 0, item }))
    return this.#page(request, rows.sort(inOrder), (campaign) => this.#campaign(campaign))
  }

  #lists(request: StandInRequest) {
    const rows = [...this.world.lists.values()].map((item) => ({ at: 0, id: item.id, nth: 0, item }))
    return this.#page(request, rows.sort(inOrder), (list) => this.#list(list))
  }

  #contacts(request: StandInRequest, list: WorldList) {
    const { query } = request
    const status = query.get('status') ?? 'subscribed'
    if (!['subscribed', 'unsubscribed', 'pending'].includes(status))
      throw this.#invalid('status', 'The value you selected is not a valid choice.')
    const tag = query.get('tag')
    const [createdFrom, createdTo, updatedFrom, updatedTo] = [
      'created_at.gte',
      'created_at.lte',
      'last_updated_at.gte',
      'last_updated_at.lte',
    ].map((name) => this.#instant(query, name)) as [number | null, ...(number | null)[]]
    const within = (at: number, from: number | null | undefined, to: number | null | undefined) => {
      const second = Math.floor(at / 1000) * 1000 // as it is told
      return second >= (from ?? Number.NEGATIVE_INFINITY) && second <= (to ?? Number.POSITIVE_INFINITY)
    }
    const wanted = JSON.stringify([list.id, status, tag, createdFrom, createdTo, updatedFrom, updatedTo])
    const rows = this.#view(`contacts ${wanted}`, list.version, () =>
      list.contacts
        .filter(
          (contact) =>
            contact.status === status &&
            (tag === null || contact.tags.includes(tag)) &&
            within(contact.at, createdFrom, createdTo) &&
            within(contact.updatedAt, updatedFrom, updatedTo),
        )
        .map((item) => ({ at: item.at, id: item.id, nth: 0, item })),
    )
    return this.#page(request, rows, (contact: WorldContact) => this.#contact(contact))
  }

  #report(request: StandInRequest, campaign: WorldCampaign, part: string | undefined) {
    const { draftReports, reportRows, occurredAt, neverAt } = this.weather
    const refused = campaign.status === 'draft' && draftReports !== 'empty' ? draftReports : null
    if (refused === 404) throw notFound()
    if (campaign.refusesReports)
      throw new Refusal(422, 'unprocessable-content', 'The campaign has no reports.')
    if (refused) throw new Refusal(refused, 'bad-request', 'The campaign has not been sent.')
    if (part === 'summary') return { id: campaign.id, ...this.world.summary(campaign) }
    if (part === 'links')
      return {
        data: [...campaign.links].map(([url, clicks]) => ({
          url,
          clicked_total: clicks.total,
          clicked_unique: clicks.people.size,
        })),
      }
    if (part !== undefined) throw notFound()
    const status = request.query.get('status') ?? ''
    if (!reportStatuses.includes(status))
      throw this.#invalid('status', 'The value you selected is not a valid choice.')
    const key = `report ${campaign.id} ${status} ${reportRows} ${occurredAt}`
    const rows = this.#view(key, campaign.version, () => reportOf(campaign, status, reportRows, occurredAt))
    const never = status.startsWith('not-') && neverAt === 'null'
    const page = this.#page(request, rows, (contact: WorldContact, at) => ({
      contact_id: contact.id,
      contact_email_address: contact.deleted ? null : contact.email,
      occurred_at: never ? null : moment(at),
    }))
    return { status: this.#status(status), ...page }
  }

  #page<Item>(request: StandInRequest, rows: Row<Item>[], write: (item: Item, at: number) => object) {
    const { query } = request
    const limit = Number(query.get('limit') ?? 100)
    if (!Number.isInteger(limit) || limit < 1 || limit > 100)
      throw this.#invalid('limit', 'This value should be between 1 and 100.')
    const cursor = query.get('starting_after')
    const start = cursor === null ? 0 : startOf(rows, this.#cursor(cursor))
    const part = rows.slice(start, start + limit)
    const last = part.at(-1)
    const more = start + limit < rows.length && last
    return {
      data: part.map(({ item, at }) => write(item, at)),
      ...(more ? { paging: { next: this.#next(request, last) } } : this.#end()),
    }
  }

  #next({ path, query }: StandInRequest, { at, id, nth }: Row<unknown>) {
    const cursor = Buffer.from(JSON.stringify([at, id, nth])).toString('base64url')
    const next = new URLSearchParams(query)
    next.set('starting_after', cursor)
    return { url: `${this.weather.nextOrigin ?? this.url}${path}?${next}`, starting_after: cursor }
  }

  #end(): object {
    return {
      null: { paging: { next: null } },
      missing: { paging: {} },
      'no paging': {},
      'null paging': { paging: null },
      array: { paging: [] },
      object: { paging: { next: {} } },
      'no url': { paging: { next: { url: null, starting_after: null } } },
    }[this.weather.end]
  }

  #cursor(text: string): [number, string, number] {
    try {
      const [at, id, nth] = JSON.parse(Buffer.from(text, 'base64url').toString())
      if (typeof at === 'number' && typeof id === 'string' && typeof nth === 'number') return [at, id, nth]
    } catch {}
    throw this.#invalid('starting_after', 'This value is not valid.')
  }

  /** A `+` that was not encoded is a blank here, and so no timestamp. */
  #instant(query: URLSearchParams, name: string) {
    const text = query.get(name)
    if (text === null) return null
    const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text)
      ? Date.parse(text)
      : Number.NaN
    if (Number.isNaN(at)) throw this.#invalid(name, 'This value is not a valid date.')
    return at
  }

  #invalid(parameter: string, detail: string) {
    return this.weather.invalid === 400
      ? new Refusal(400, 'bad-request', 'Bad request.', [{ detail, parameter }])
      : new Refusal(422, 'unprocessable-content', 'Unprocessable content.', [{ detail, parameter }])
  }

  /** Rows in the order of their cursors, kept while nothing changes: a walk asks for them page by page. */
  #view<Item>(key: string, version: number, build: () => Row<Item>[]) {
    const kept = this.#views.get(key)
    if (kept?.version === version) return kept.rows as Row<Item>[]
    const rows = build().sort(inOrder)
    this.#views.delete(key)
    this.#views.set(key, { version, rows })
    if (this.#views.size > 24) this.#views.delete(this.#views.keys().next().value!)
    return rows
  }

  // How each thing is written.

  #status(status: string) {
    return this.weather.statusCase === 'upper' ? status.toUpperCase() : status
  }

  #campaign(row: WorldCampaign) {
    return {
      id: row.id,
      status: this.#status(row.status),
      name: row.name,
      subject: row.subject,
      to: row.listIds,
      from: { name: row.fromName, email_address: row.fromEmail },
      content: { html: row.html },
      created_at: moment(row.at),
      ...(row.sentAt !== null
        ? { sent_at: moment(row.sentAt) }
        : this.weather.draftSentAt === 'null'
          ? { sent_at: null }
          : {}),
    }
  }

  #list(row: WorldList) {
    return {
      id: row.id,
      name: row.name,
      double_opt_in: row.doubleOptIn,
      fields: row.fields.map((field) => ({ fallback: null, ...field })),
      tags: row.tags,
      counts: this.weather.counts === 'array' ? [row.counts] : row.counts,
      created_at: moment(row.at),
      last_updated_at: moment(row.updatedAt),
    }
  }

  #contact(row: WorldContact) {
    return {
      id: row.id,
      email_address: row.email,
      fields: this.weather.emptyFields === 'array' && Object.keys(row.fields).length === 0 ? [] : row.fields,
      tags: row.tags,
      status: this.#status(row.status),
      created_at: moment(row.at),
      last_updated_at: moment(row.updatedAt),
    }
  }
}

/** Second precision, with a numeric offset. */
const moment = (at: number) => `${new Date(at).toISOString().slice(0, 19)}+00:00`

function inOrder(one: Row<unknown>, other: Row<unknown>) {
  return one.at - other.at || (one.id < other.id ? -1 : one.id > other.id ? 1 : one.nth - other.nth)
}

/** Index of the first row behind a cursor, whether the row that it names is still there or not. */
function startOf(rows: Row<unknown>[], [at, id, nth]: [number, string, number]) {
  let [low, high] = [0, rows.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (inOrder(rows[middle]!, { at, id, nth, item: null }) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

function reportOf(
  campaign: WorldCampaign,
  status: string,
  reportRows: Weather['reportRows'],
  occurredAt: Weather['occurredAt'],
): Row<WorldContact>[] {
  const { recipients, sentAt } = campaign
  const missing = { 'not-opened': campaign.opened, 'not-clicked': campaign.clicked }[status]
  if (status === 'sent' || missing)
    return recipients.flatMap((item, index) =>
      missing?.people.has(item) ? [] : [{ at: (sentAt ?? 0) + index * 20, id: item.id, nth: 0, item }],
    )
  const kinds: Facts[] = {
    opened: [campaign.opened],
    clicked: [campaign.clicked],
    bounced: [campaign.hardBounced, campaign.softBounced],
    complained: [campaign.complained],
    unsubscribed: [campaign.unsubscribed],
  }[status]!
  const events = kinds.flatMap(({ who, at }) =>
    who.map((item, nth) => ({ at: at[nth]!, id: item.id, nth, item })),
  )
  if (reportRows === 'event') return events
  const rows = new Map<WorldContact, Row<WorldContact>>()
  for (const event of events) {
    const row = rows.get(event.item)
    const sooner = !row || (occurredAt === 'first' ? event.at < row.at : event.at > row.at)
    if (sooner) rows.set(event.item, { ...event, nth: 0 })
  }
  return [...rows.values()]
}
