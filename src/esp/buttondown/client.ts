import { randomUUID } from 'node:crypto'
import type * as z from 'zod'
import { type Clock, pause, realClock } from '../clock.js'
import { ProviderError } from '../provider-error.js'
import { type Priority, TokenBucket } from '../token-bucket.js'
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

export const buttondownApi = 'https://api.buttondown.com/v1'

/** Without it, a setting in the user's dashboard would change the shape of the answers. */
export const apiVersion = '2026-04-01'

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

export interface CallOptions {
  signal?: AbortSignal
  /** `urgent` calls overtake `patient` ones where the rate limit makes them wait. */
  priority?: Priority
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

/** What a call is about, in the words of its errors. */
interface Errand {
  /** "read the subscribers" */
  doing: string
  /** "subscriber" */
  thing: string
  /** Nothing of the answer is quoted: it may hold a signing key that we do not know, and so could not take out. */
  secretive?: boolean
}

interface Call extends CallOptions {
  method?: 'GET' | 'POST' | 'PATCH'
  url: string
  body?: object
  errand: Errand
  /** What must not appear in an error, besides the key. */
  secret?: string
}

const firstBackoff = 500
const longestBackoff = 30_000

/**
 * Buttondown's REST API. Every method rejects with a ProviderError whose message people may read, or with the reason of
 * the signal that ended it. Ids come in canonical form (see canonicalId) and go out in any. The key is held in a private
 * field, so that printing a client does not print it.
 */
export class ButtondownClient {
  readonly #key: string
  readonly #base: string
  readonly #origin: string
  readonly #bucket: TokenBucket | null
  readonly #tries: number
  readonly #timeout: number
  readonly #longestWait: number
  readonly #clock: Clock
  readonly #random: () => number

  constructor({
    key,
    baseUrl = buttondownApi,
    perMinute = 600,
    tries = 6,
    timeout = 20_000,
    longestWait = 120_000,
    clock = realClock,
    random = Math.random,
  }: ButtondownOptions) {
    this.#key = key.trim()
    this.#base = baseUrl.replace(/\/+$/, '')
    this.#origin = new URL(this.#base).origin
    // A tenth at once and nine tenths spread over the minute: no 60 seconds see more than the limit.
    this.#bucket =
      perMinute === null
        ? null
        : new TokenBucket({ capacity: Math.max(1, perMinute / 10), perSecond: (perMinute * 0.9) / 60, clock })
    this.#tries = tries
    this.#timeout = timeout
    this.#longestWait = longestWait
    this.#clock = clock
    this.#random = random
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
    const query = type === undefined ? '' : `?event_type=${encodeURIComponent(type)}`
    await this.#call({
      method: 'POST',
      url: `${this.#base}/webhooks/${encodeURIComponent(id)}/test${query}`,
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
    const answer = await this.#call({
      method,
      url: this.#base + path,
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
    return read(webhookAnswer(input.signingKey), answer, errand)
  }

  async #one<Row extends z.ZodType>(path: string, row: Row, errand: Errand, options?: CallOptions) {
    return read(row, await this.#call({ url: this.#base + path, errand, ...options }), errand)
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

  async *#pages<Row extends z.ZodType>(
    path: string,
    query: Record<string, string>,
    row: Row,
    errand: Errand,
    { startPage = 1, ahead = false, ...options }: PageOptions = {},
  ): AsyncGenerator<Page<z.output<Row>>, void, undefined> {
    const first = new URLSearchParams(query)
    if (startPage > 1) first.set('page', String(startPage))
    let url = `${this.#base}${path}${first.size > 0 ? `?${first}` : ''}`
    let number = startPage
    let asked: Promise<unknown> | null = null
    const walked = new Set<string>()
    for (;;) {
      walked.add(url)
      const answer = await (asked ?? this.#page({ url, errand, ...options }, number))
      if (!answer) return
      const page = read(PageAnswer, answer, errand)
      const items: z.output<Row>[] = []
      for (const [index, value] of page.results.entries()) {
        if (index > 0 && index % readAtOnce === 0) await letOthersIn()
        const parsed = row.safeParse(value)
        if (parsed.success) items.push(parsed.data)
      }
      const next = page.next === null || page.next === '' ? null : this.#sameHost(page.next, url)
      if (next !== null && walked.has(next))
        throw new ProviderError('invalid', 'The pages of Buttondown’s answer run in a circle.')
      const nextNumber = next === null ? null : pageNumber(next, number + 1)
      asked = null
      if (ahead && next !== null && nextNumber !== null) {
        asked = this.#page({ url: next, errand, ...options }, nextNumber)
        asked.catch(() => {}) // told where it is waited for, if the walk goes so far
      }
      yield {
        items,
        page: number,
        next: nextNumber,
        count: page.count ?? page.results.length,
        unreadable: page.results.length - items.length,
      }
      if (next === null || nextNumber === null) return
      url = next
      number = nextNumber
    }
  }

  /** A page after the last is answered by an empty list or by 404; both mean that the walk is over. */
  async #page(call: Call, number: number) {
    try {
      return await this.#call(call)
    } catch (error) {
      if (number > 1 && error instanceof ProviderError && error.kind === 'not-found') return null
      throw error
    }
  }

  /** The key travels with every request, so a link to elsewhere is never followed. */
  #sameHost(next: string, from: string) {
    const url = URL.canParse(next, from) ? new URL(next, from) : null
    if (url && url.origin === this.#origin && url.username === '' && url.password === '') return url.href
    throw new ProviderError(
      'invalid',
      'Buttondown’s answer leads to another host for its next page. The API key is not sent there.',
    )
  }

  /**
   * Sends one request, as often as it takes and is allowed.
   * @returns the parsed body, or null when there is none
   */
  async #call(call: Call): Promise<unknown> {
    // fetch would refuse such a key with an error that quotes it.
    if (!/^[\x21-\x7e]+$/.test(this.#key))
      throw new ProviderError(
        'refused-key',
        this.#key === ''
          ? 'There is no API key for Buttondown yet.'
          : 'This is not an API key of Buttondown.',
      )
    // The same for every try: a webhook whose answer was lost is not made twice.
    const once = call.method === 'POST' ? randomUUID() : null
    for (let attempt = 1; ; attempt++) {
      await this.#bucket?.take({ priority: call.priority, signal: call.signal })
      const answer = await this.#try(call, once)
      if (!(answer instanceof ProviderError)) return answer.body
      const retryIn = answer.retryIn ?? 0
      if (answer.kind === 'rate') this.#bucket?.close(Math.min(retryIn, this.#longestWait))
      if (!answer.passes || attempt >= this.#tries || retryIn > this.#longestWait) throw answer
      const backoff = this.#random() * Math.min(longestBackoff, firstBackoff * 2 ** (attempt - 1))
      await pause(this.#clock, Math.max(retryIn, backoff), call.signal)
    }
  }

  async #try(call: Call, once: string | null): Promise<{ body: unknown } | ProviderError> {
    const { signal } = call
    signal?.throwIfAborted()
    // Not AbortSignal.any: it keeps what it made for as long as a backfill's signal lives.
    const ending = new AbortController()
    const stop = () => ending.abort()
    signal?.addEventListener('abort', stop, { once: true })
    let late = false
    const cancel = this.#clock.after(this.#timeout, () => {
      late = true
      ending.abort()
    })
    try {
      const response = await fetch(call.url, {
        method: call.method ?? 'GET',
        headers: {
          Authorization: `Token ${this.#key}`,
          'X-API-Version': apiVersion,
          Accept: 'application/json',
          'User-Agent': 'Throughline',
          ...(call.body ? { 'Content-Type': 'application/json' } : {}),
          ...(once ? { 'X-Idempotency-Key': once } : {}),
        },
        ...(call.body ? { body: JSON.stringify(call.body) } : {}),
        redirect: 'manual',
        signal: ending.signal,
      })
      this.#learn(response)
      const text = await response.text()
      if (!response.ok) return this.#refusal(call, response, text)
      if (text === '') return { body: null }
      try {
        return { body: JSON.parse(text) }
      } catch {
        return new ProviderError(
          'invalid',
          'What answers is not Buttondown’s API. Look at its address in the settings.',
          response.status,
        )
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (late) {
        const seconds = Math.round(this.#timeout / 1000)
        return new ProviderError('unavailable', `Buttondown gave no answer within ${seconds} seconds.`)
      }
      // The error itself may quote the request, so only its code is passed on.
      const { code } = ((error as Error).cause ?? {}) as { code?: unknown }
      const reason = typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code) ? ` (${code})` : ''
      return new ProviderError('unavailable', `Buttondown cannot be reached${reason}.`)
    } finally {
      cancel()
      signal?.removeEventListener('abort', stop)
    }
  }

  #learn({ headers }: Response) {
    const remaining = headers.get('X-RateLimit-Remaining')
    const reset = headers.get('X-RateLimit-Reset')
    if (remaining === null || reset === null) return
    this.#bucket?.learn({
      remaining: Number(remaining),
      resetIn: Number(reset) * 1000 - this.#serverTime(headers),
    })
  }

  /** Their clock where they tell it, since theirs and ours may differ. */
  #serverTime(headers: Headers) {
    const told = Date.parse(headers.get('Date') ?? '')
    return Number.isNaN(told) ? this.#clock.now() : told
  }

  #refusal(call: Call, { status, headers }: Response, text: string): ProviderError {
    const retryIn = retryAfter(headers.get('Retry-After'), this.#serverTime(headers))
    if (status === 401)
      return new ProviderError(
        'refused-key',
        'Buttondown refuses the API key. Copy it once more from the settings of Buttondown.',
        status,
      )
    if (status === 403)
      return new ProviderError(
        'missing-permission',
        `This API key may not ${call.errand.doing}. Give it the permission in Buttondown, or use the primary key.`,
        status,
      )
    if (status === 404)
      return new ProviderError('not-found', `Buttondown does not know this ${call.errand.thing}.`, status)
    if (status === 429) {
      const wait = retryIn === null ? '' : ` It asks to wait ${inWords(retryIn)}.`
      return new ProviderError(
        'rate',
        `Buttondown takes no more requests at the moment.${wait}`,
        status,
        retryIn,
      )
    }
    if (status === 408 || status >= 500)
      return new ProviderError(
        'unavailable',
        `Buttondown has a fault at the moment (HTTP ${status}). Trying again later helps as a rule.`,
        status,
        retryIn,
      )
    if (status >= 300 && status < 400)
      return new ProviderError(
        'invalid',
        'The API’s address leads elsewhere, and the API key is not sent there. Look at the address in the settings.',
        status,
      )
    const reason = call.errand.secretive ? '' : reasonOf(text, [this.#key, call.secret])
    return new ProviderError(
      'invalid',
      `Buttondown does not accept the request to ${call.errand.doing} (HTTP ${status})${reason ? `: ${reason}` : '.'}`,
      status,
    )
  }
}

/** Rows that are looked at in one go, about a millisecond: doors answer in between. */
const readAtOnce = 50
const letOthersIn = () => new Promise((resolve) => setImmediate(resolve))

function read<Row extends z.ZodType>(row: Row, answer: unknown, { doing }: Errand): z.output<Row> {
  const parsed = row.safeParse(answer)
  if (parsed.success) return parsed.data
  // Paths name fields; the issues' own words could one day quote a value.
  const field = parsed.error.issues[0]?.path.join('.')
  throw new ProviderError(
    'invalid',
    `Buttondown’s answer to the request to ${doing} is not what its documents say${field ? ` (${field})` : ''}.`,
  )
}

function pageNumber(url: string, otherwise: number) {
  const page = Number(new URL(url).searchParams.get('page') ?? Number.NaN)
  return Number.isSafeInteger(page) && page > 0 ? page : otherwise
}

/**
 * @param header Retry-After: seconds, or an HTTP date
 * @returns milliseconds; null when there is none, or none that can be read
 */
function retryAfter(header: string | null, now: number) {
  const text = header?.trim() ?? ''
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

function inWords(milliseconds: number) {
  const seconds = Math.ceil(milliseconds / 1000)
  if (seconds < 120) return `${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
  return `${Math.ceil(seconds / 60)} minutes`
}

/** What Buttondown says against a request, as one short line without secrets. */
function reasonOf(text: string, secrets: (string | undefined)[]) {
  const parsed = ErrorAnswer.safeParse(jsonOrNull(text))
  if (!parsed.success || parsed.data.detail === null) return ''
  const { detail } = parsed.data
  const told =
    typeof detail === 'string' ? detail : detail.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('; ')
  let line = told.replace(/\s+/g, ' ').trim()
  for (const secret of secrets) if (secret) line = line.replaceAll(secret, '…')
  return line.length > 300 ? `${line.slice(0, 299)}…` : line
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
