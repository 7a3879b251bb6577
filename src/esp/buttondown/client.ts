import type * as z from 'zod'
import {
  ApiCaller,
  type Call,
  type CallOptions,
  type Errand,
  jsonOrNull,
  type Manners,
  readRows,
} from '../api-caller.js'
import { type Clock, realClock } from '../clock.js'
import { ProviderError } from '../provider-error.js'
import { TokenBucket } from '../token-bucket.js'
import {
  AccountAnswer,
  AnalyticsAnswer,
  AttemptAnswer,
  EmailAnswer,
  ErrorAnswer,
  EventAnswer,
  NewsletterAnswer,
  PageAnswer,
  SubscriberAnswer,
  TagAnswer,
  webhookAnswer,
} from './answers.js'

export type {
  Account,
  ButtondownEvent,
  ButtondownTag,
  Email,
  EmailAnalytics,
  Newsletter,
  Subscriber,
  Webhook,
  WebhookAttempt,
} from './answers.js'

const buttondownApi = 'https://api.buttondown.com/v1'

/** Without it, a setting in the user's dashboard would change the shape of the answers. */
const apiVersion = '2026-04-01'

export interface ButtondownOptions {
  key: string
  /** Where the API is, with its `/v1`. */
  baseUrl?: string
  /** Requests that may go out in any 60 seconds; null for as many as there are. */
  perMinute?: number | null
  /** The most often that one request is sent. */
  tries?: number
  /** Milliseconds that one try may take, its answer's body included. */
  timeout?: number
  /** Milliseconds that are waited at the most when Buttondown says when to come back; if it says longer, the call fails. */
  longestWait?: number
  clock?: Clock
  /** From 0 to 1, for the jitter. */
  random?: () => number
}

export interface PageOptions extends CallOptions {
  /** The page to begin with; 1 unless told. */
  startPage?: number
  /** Each page is asked for while whoever walks them works on the one before. */
  ahead?: boolean
}

export interface EventOptions extends PageOptions {
  /** Ascending unless told: rows that come in while pages are walked then come at the end, and shift nothing. */
  ordering?: 'creation_date' | '-creation_date'
  /** 1 to 5000; 1000 unless told, as reading one page of 5000 holds up everything else for some 50 ms. */
  pageSize?: number
  type?: string
  emailId?: string
  subscriberId?: string
}

/** One page of a list. */
export interface Page<Item> {
  items: Item[]
  /** From 1. */
  page: number
  /** Number of the next page; null after the last. */
  next: number | null
  /** Rows in the whole list, as Buttondown counts them at this moment. */
  count: number
  /** Rows of this page that could not be read, and are not among its items. */
  unreadable: number
}

/** A webhook in full. Buttondown's PATCH replaces the whole object, so nothing may be left out. */
export interface WebhookInput {
  url: string
  eventTypes: readonly string[]
  status: 'enabled' | 'disabled'
  description: string
  signingKey: string
}

/**
 * Buttondown's REST API. Every method rejects with a ProviderError whose message people may read, or with the reason of
 * the signal that ended it. Ids come in canonical form (see canonicalId) and go out in any. The key is held in a private
 * field, so that printing a client does not print it.
 */
export class ButtondownClient {
  readonly #api: ApiCaller

  constructor({
    key,
    baseUrl = buttondownApi,
    perMinute = 600,
    tries = 6,
    timeout = 20_000,
    longestWait = 120_000,
    clock = realClock,
    random,
  }: ButtondownOptions) {
    // A tenth at once and nine tenths spread over the minute: no 60 seconds see more than the limit.
    const bucket =
      perMinute === null
        ? null
        : new TokenBucket({ capacity: Math.max(1, perMinute / 10), perSecond: (perMinute * 0.9) / 60, clock })
    this.#api = new ApiCaller(
      { key, baseUrl, bucket, tries, timeout, longestWait, clock, random },
      manners(bucket),
    )
  }

  /** Whose key this is. A limited key may answer `missing-permission`, which means that the key itself is right. */
  async account(options?: CallOptions) {
    const errand = { doing: 'read the account', thing: 'account' }
    return this.#one('/accounts/me', AccountAnswer, errand, options)
  }

  async newsletters(options?: CallOptions) {
    const errand = { doing: 'read the newsletters', thing: 'newsletter' }
    return this.#all('/newsletters', {}, NewsletterAnswer, errand, options)
  }

  /** Subscribers of every type, oldest first, page by page; Buttondown decides how long a page is. */
  subscribers(options?: PageOptions) {
    const errand = { doing: 'read the subscribers', thing: 'subscriber' }
    return this.#pages('/subscribers', { ordering: 'creation_date' }, SubscriberAnswer, errand, options)
  }

  async subscriber(idOrEmail: string, options?: CallOptions) {
    const errand = { doing: 'read the subscribers', thing: 'subscriber' }
    return this.#one(`/subscribers/${encodeURIComponent(idOrEmail)}`, SubscriberAnswer, errand, options)
  }

  /** Emails of every status, drafts too, oldest first, without their bodies. */
  emails(options?: PageOptions) {
    const errand = { doing: 'read the emails', thing: 'email' }
    const query = { ordering: 'creation_date', excluded_fields: 'body' }
    return this.#pages('/emails', query, EmailAnswer, errand, options)
  }

  async email(id: string, options?: CallOptions) {
    const errand = { doing: 'read the emails', thing: 'email' }
    return this.#one(`/emails/${encodeURIComponent(id)}`, EmailAnswer, errand, options)
  }

  async emailAnalytics(id: string, options?: CallOptions) {
    const errand = { doing: 'read the counts of an email', thing: 'email' }
    return this.#one(`/emails/${encodeURIComponent(id)}/analytics`, AnalyticsAnswer, errand, options)
  }

  async tags(options?: CallOptions) {
    return this.#all(
      '/tags',
      { page_size: '1000' },
      TagAnswer,
      { doing: 'read the tags', thing: 'tag' },
      options,
    )
  }

  /** Buttondown's event store, page by page. */
  events({
    ordering = 'creation_date',
    pageSize = 1000,
    type,
    emailId,
    subscriberId,
    ...options
  }: EventOptions = {}) {
    const query = {
      ordering,
      page_size: String(pageSize),
      ...(type === undefined ? {} : { event_type: type }),
      ...(emailId === undefined ? {} : { email_id: emailId }),
      ...(subscriberId === undefined ? {} : { subscriber_id: subscriberId }),
    }
    return this.#pages('/events', query, EventAnswer, { doing: 'read the events', thing: 'event' }, options)
  }

  async event(id: string, options?: CallOptions) {
    const errand = { doing: 'read the events', thing: 'event' }
    return this.#one(`/events/${encodeURIComponent(id)}`, EventAnswer, errand, options)
  }

  /** @param ours our signing key, to learn which webhooks have it */
  async webhooks(ours: string | null = null, options?: CallOptions) {
    const errand = { doing: 'read the webhooks', thing: 'webhook', secretive: true }
    return this.#all('/webhooks', {}, webhookAnswer(ours), errand, options)
  }

  /** @param ours our signing key, to learn whether the webhook has it */
  async webhook(id: string, ours: string | null = null, options?: CallOptions) {
    const errand = { doing: 'read the webhooks', thing: 'webhook', secretive: true }
    return this.#one(`/webhooks/${encodeURIComponent(id)}`, webhookAnswer(ours), errand, options)
  }

  async createWebhook(input: WebhookInput, options?: CallOptions) {
    return this.#writeWebhook('POST', '/webhooks', input, options)
  }

  async updateWebhook(id: string, input: WebhookInput, options?: CallOptions) {
    return this.#writeWebhook('PATCH', `/webhooks/${encodeURIComponent(id)}`, input, options)
  }

  /** Asks Buttondown to send a delivery with made-up ids, which may come unsigned. */
  async testWebhook(id: string, { type, ...options }: CallOptions & { type?: string } = {}) {
    await this.#api.call({
      method: 'POST',
      url: this.#api.url(
        `/webhooks/${encodeURIComponent(id)}/test`,
        type === undefined ? [] : [['event_type', type]],
      ),
      errand: { doing: 'test a webhook', thing: 'webhook', secretive: true },
      ...options,
    })
  }

  /** Deliveries tried lately, on the first page of Buttondown's list. */
  async attempts(id: string, options?: CallOptions) {
    const errand = { doing: 'read the deliveries of a webhook', thing: 'webhook', secretive: true }
    const path = `/webhooks/${encodeURIComponent(id)}/attempts`
    for await (const page of this.#pages(path, {}, AttemptAnswer, errand, options)) return page.items
    return []
  }

  async #writeWebhook(method: 'POST' | 'PATCH', path: string, input: WebhookInput, options?: CallOptions) {
    const errand = { doing: 'register webhooks', thing: 'webhook' }
    return this.#api.one(webhookAnswer(input.signingKey), {
      method,
      url: this.#api.url(path),
      body: {
        url: input.url,
        event_types: input.eventTypes,
        status: input.status,
        description: input.description,
        signing_key: input.signingKey,
      },
      secret: input.signingKey,
      errand,
      ...options,
    })
  }

  async #one<Row extends z.ZodType>(path: string, row: Row, errand: Errand, options?: CallOptions) {
    return this.#api.one(row, { url: this.#api.url(path), errand, ...options })
  }

  async #all<Row extends z.ZodType>(
    path: string,
    query: Record<string, string>,
    row: Row,
    errand: Errand,
    options?: CallOptions,
  ) {
    const rows: z.output<Row>[] = []
    for await (const page of this.#pages(path, query, row, errand, options)) rows.push(...page.items)
    return rows
  }

  #pages<Row extends z.ZodType>(
    path: string,
    query: Record<string, string>,
    row: Row,
    errand: Errand,
    { startPage = 1, ahead = false, ...options }: PageOptions = {},
  ): AsyncGenerator<Page<z.output<Row>>, void, undefined> {
    const first = Object.entries(startPage > 1 ? { ...query, page: String(startPage) } : query)
    return this.#api.walk(
      { url: this.#api.url(path, first), number: startPage },
      {
        ahead,
        ask: ({ url, number }) => this.#page({ url, errand, ...options }, number),
        read: async (answer, { url, number }) => {
          const page = this.#api.read(PageAnswer, answer, errand)
          const items = await readRows(row, page.results)
          const link = page.next === null || page.next === '' ? null : this.#api.sameHost(page.next, url)
          const next = link === null ? null : { url: link, number: pageNumber(link, number + 1) }
          const count = page.count ?? page.results.length
          const unreadable = page.results.length - items.length
          return { page: { items, page: number, next: next?.number ?? null, count, unreadable }, next }
        },
      },
    )
  }

  /** A page after the last is answered by an empty list or by 404; both mean that the walk is over. */
  async #page(call: Call, number: number) {
    try {
      return await this.#api.call(call)
    } catch (error) {
      if (number > 1 && error instanceof ProviderError && error.kind === 'not-found') return null
      throw error
    }
  }
}

const manners = (bucket: TokenBucket | null): Manners => ({
  provider: 'Buttondown',
  headers: ({ key, once }) => ({
    Authorization: `Token ${key}`,
    'X-API-Version': apiVersion,
    ...(once ? { 'X-Idempotency-Key': once } : {}),
  }),
  learn(headers, now) {
    const remaining = headers.get('X-RateLimit-Remaining')
    const reset = headers.get('X-RateLimit-Reset')
    if (remaining === null || reset === null) return
    bucket?.learn({ remaining: Number(remaining), resetIn: Number(reset) * 1000 - now })
  },
  refusal({ status, errand }) {
    if (status === 401)
      return new ProviderError(
        'refused-key',
        'Buttondown refuses the API key. Copy it once more from the settings of Buttondown.',
        status,
      )
    if (status === 403)
      return new ProviderError(
        'missing-permission',
        `This API key may not ${errand.doing}. Give it the permission in Buttondown, or use the primary key.`,
        status,
      )
    return null
  },
  reason(text) {
    const parsed = ErrorAnswer.safeParse(jsonOrNull(text))
    if (!parsed.success || parsed.data.detail === null) return ''
    const { detail } = parsed.data
    if (typeof detail === 'string') return detail
    return detail.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ')
  },
})

function pageNumber(url: string, otherwise: number) {
  const page = Number(new URL(url).searchParams.get('page') ?? Number.NaN)
  return Number.isSafeInteger(page) && page > 0 ? page : otherwise
}
