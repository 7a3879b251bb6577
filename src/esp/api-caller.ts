import { randomUUID } from 'node:crypto'
import { setImmediate as letOthersIn } from 'node:timers/promises'
import type * as z from 'zod'
import { type Clock, pause, realClock } from './clock.js'
import { ProviderError } from './provider-error.js'
import type { Priority, TokenBucket } from './token-bucket.js'

export interface CallOptions {
  signal?: AbortSignal
  /** `urgent` calls overtake `patient` ones where the rate limit makes them wait. */
  priority?: Priority
}

/** What a call is about, in the words of its errors. */
export interface Errand {
  /** "read the subscribers" */
  doing: string
  /** "subscriber" */
  thing: string
  /** Nothing of the answer is quoted: it may hold a signing key that we do not know, and so could not take out. */
  secretive?: boolean
}

export interface Call extends CallOptions {
  method?: 'GET' | 'POST' | 'PATCH'
  url: string
  body?: object
  errand: Errand
  /** What must not appear in an error, besides the key. */
  secret?: string
}

/** An answer that is no success. */
export interface Refusal {
  status: number
  text: string
  errand: Errand
}

/** How one provider's API wants to be asked, and how it speaks. */
export interface Manners {
  /** As people know it: "Buttondown". */
  provider: string
  /** @param once the same for every try of one POST, so that what is made is made once; null for other methods */
  headers(request: { key: string; once: string | null }): Record<string, string>
  /** Hears of every answer what it says about the limit. @param now their clock where they tell it, else ours */
  learn?(headers: Headers, now: number): void
  /** Milliseconds after which it wants to be asked again; by Retry-After unless told. @param now as for `learn` */
  retryIn?(headers: Headers, now: number): number | null
  /** Milliseconds that nobody asks after a 429 that does not say how long; 0 unless told. @param attempt from 1 */
  unsaidRest?(attempt: number): number
  /** The error behind a refusal, where the provider has words of its own for it. */
  refusal(refused: Refusal): ProviderError | null
  /** What a refusal says against the request; empty when it says nothing that can be read. */
  reason(text: string): string
}

export interface CallerOptions {
  key: string
  baseUrl: string
  /** Null for as many requests as there are. */
  bucket: TokenBucket | null
  /** The most often that one request is sent. */
  tries: number
  /** Milliseconds that one try may take, its answer's body included. */
  timeout: number
  /** Milliseconds that are waited at the most when the provider says when to come back; if it says longer, the call fails. */
  longestWait: number
  /** Milliseconds between tries at the most, where the provider says nothing. */
  longestBackoff?: number
  clock?: Clock
  /** From 0 to 1, for the jitter. */
  random?: () => number
}

const firstBackoff = 500

/**
 * Sends requests to one provider's API: as its limit allows, again where that may help, never with the key to another
 * host. Every method rejects with a ProviderError whose message people may read, or with the reason of the signal that
 * ended it. The key is held in a private field, so that printing a caller does not print it.
 */
export class ApiCaller {
  readonly #key: string
  readonly #base: string
  readonly #origin: string
  readonly #bucket: TokenBucket | null
  readonly #tries: number
  readonly #timeout: number
  readonly #longestWait: number
  readonly #longestBackoff: number
  readonly #clock: Clock
  readonly #random: () => number
  readonly #manners: Manners

  constructor(
    {
      key,
      baseUrl,
      bucket,
      tries,
      timeout,
      longestWait,
      longestBackoff = 30_000,
      clock = realClock,
      random = Math.random,
    }: CallerOptions,
    manners: Manners,
  ) {
    this.#key = key.trim()
    this.#base = baseUrl.replace(/\/+$/, '')
    this.#origin = new URL(this.#base).origin
    this.#bucket = bucket
    this.#tries = tries
    this.#timeout = timeout
    this.#longestWait = longestWait
    this.#longestBackoff = longestBackoff
    this.#clock = clock
    this.#random = random
    this.#manners = manners
  }

  /** @param path with its slash, under the base URL */
  url(path: string, query: Iterable<[string, string]> = []) {
    const search = new URLSearchParams([...query])
    return `${this.#base}${path}${search.size > 0 ? `?${search}` : ''}`
  }

  /**
   * The key travels with every request, so a link to elsewhere is never followed.
   * @returns the link in full
   * @throws ProviderError if it leads to another host
   */
  sameHost(link: string, from: string) {
    const url = URL.canParse(link, from) ? new URL(link, from) : null
    if (url?.origin === this.#origin) return url.href
    throw new ProviderError(
      'invalid',
      `${this.#manners.provider}’s answer leads to another host for its next page. The API key is not sent there.`,
    )
  }

  /**
   * Sends one request, as often as it takes and is allowed.
   * @returns the parsed body, or null when there is none
   */
  async call(call: Call): Promise<unknown> {
    // fetch would refuse such a key with an error that quotes it.
    if (!/^[\x21-\x7e]+$/.test(this.#key))
      throw new ProviderError(
        'refused-key',
        this.#key === ''
          ? `There is no API key for ${this.#manners.provider} yet.`
          : `This is not an API key of ${this.#manners.provider}.`,
      )
    // The same for every try: a webhook whose answer was lost is not made twice.
    const once = call.method === 'POST' ? randomUUID() : null
    for (let attempt = 1; ; attempt++) {
      await this.#bucket?.take({ priority: call.priority, signal: call.signal })
      const answer = await this.#try(call, once)
      if (!(answer instanceof ProviderError)) return answer.body
      const unsaid = answer.kind === 'rate' ? (this.#manners.unsaidRest?.(attempt) ?? 0) : 0
      const retryIn = answer.retryIn ?? unsaid
      if (answer.kind === 'rate') this.#bucket?.close(Math.min(retryIn, this.#longestWait))
      if (!answer.passes || attempt >= this.#tries || retryIn > this.#longestWait) throw answer
      const backoff = this.#random() * Math.min(this.#longestBackoff, firstBackoff * 2 ** (attempt - 1))
      await pause(this.#clock, Math.max(retryIn, backoff), call.signal)
    }
  }

  /** Sends one request and reads its answer. */
  async one<Row extends z.ZodType>(row: Row, call: Call): Promise<z.output<Row>> {
    return this.read(row, await this.call(call), call.errand)
  }

  read<Row extends z.ZodType>(row: Row, answer: unknown, { doing }: Errand): z.output<Row> {
    const parsed = row.safeParse(answer)
    if (parsed.success) return parsed.data
    // Paths name fields; the issues' own words could one day quote a value.
    const field = parsed.error.issues[0]?.path.join('.')
    throw new ProviderError(
      'invalid',
      `${this.#manners.provider}’s answer to the request to ${doing} is not what its documents say${field ? ` (${field})` : ''}.`,
    )
  }

  /**
   * Walks from page to page.
   * @param ask gets one page; null when there is none, and the walk is over
   * @param read what to hand on of an answer, and where the next one is: null after the last
   * @param ahead each page is asked for while whoever walks them works on the one before
   */
  async *walk<Place extends { url: string }, Answer, Page>(
    first: Place,
    {
      ask,
      read,
      ahead,
    }: {
      ask(place: Place): Promise<Answer | null>
      read(answer: Answer, place: Place): Promise<{ page: Page; next: Place | null }>
      ahead: boolean
    },
  ): AsyncGenerator<Page, void, undefined> {
    let place = first
    let asked: Promise<Answer | null> | null = null
    const walked = new Set<string>()
    for (;;) {
      walked.add(place.url)
      const answer: Answer | null = await (asked ?? ask(place))
      if (answer === null) return
      const { page, next }: { page: Page; next: Place | null } = await read(answer, place)
      if (next !== null && walked.has(next.url))
        throw new ProviderError('invalid', `The pages of ${this.#manners.provider}’s answer run in a circle.`)
      asked = null
      if (ahead && next !== null) {
        asked = ask(next)
        asked.catch(() => {}) // told where it is waited for, if the walk goes so far
      }
      yield page
      if (next === null) return
      place = next
    }
  }

  async #try(call: Call, once: string | null): Promise<{ body: unknown } | ProviderError> {
    const { provider } = this.#manners
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
          Accept: 'application/json',
          'User-Agent': 'Throughline',
          ...(call.body ? { 'Content-Type': 'application/json' } : {}),
          ...this.#manners.headers({ key: this.#key, once }),
        },
        ...(call.body ? { body: JSON.stringify(call.body) } : {}),
        redirect: 'manual',
        signal: ending.signal,
      })
      this.#manners.learn?.(response.headers, this.#serverTime(response.headers))
      const text = await response.text()
      if (!response.ok) return this.#refusal(call, response, text)
      if (text === '') return { body: null }
      try {
        return { body: JSON.parse(text) }
      } catch {
        return notTheApi(provider, response.status)
      }
    } catch (error) {
      signal?.throwIfAborted()
      if (late) {
        const seconds = Math.round(this.#timeout / 1000)
        return new ProviderError('unavailable', `${provider} gave no answer within ${seconds} seconds.`)
      }
      // The error itself may quote the request, so only its code is passed on.
      const { code } = ((error as Error).cause ?? {}) as { code?: unknown }
      const reason = typeof code === 'string' && /^[A-Z_]{3,40}$/.test(code) ? ` (${code})` : ''
      return new ProviderError('unavailable', `${provider} cannot be reached${reason}.`)
    } finally {
      cancel()
      signal?.removeEventListener('abort', stop)
    }
  }

  /** Their clock where they tell it, since theirs and ours may differ. */
  #serverTime(headers: Headers) {
    const told = Date.parse(headers.get('Date') ?? '')
    return Number.isNaN(told) ? this.#clock.now() : told
  }

  #refusal({ errand, secret }: Call, { status, headers }: Response, text: string): ProviderError {
    const { provider, retryIn: said = retryAfter } = this.#manners
    const retryIn = said(headers, this.#serverTime(headers))
    if (status === 429) {
      const wait = retryIn === null ? '' : ` It asks to wait ${inWords(retryIn)}.`
      return new ProviderError(
        'rate',
        `${provider} takes no more requests at the moment.${wait}`,
        status,
        retryIn,
      )
    }
    if (status === 408 || status >= 500)
      return new ProviderError(
        'unavailable',
        `${provider} has a fault at the moment (HTTP ${status}). Trying again later helps as a rule.`,
        status,
        retryIn,
      )
    if (status >= 300 && status < 400)
      return new ProviderError(
        'invalid',
        'The API’s address leads elsewhere, and the API key is not sent there. Look at the address in the settings.',
        status,
      )
    const own = this.#manners.refusal({ status, text, errand })
    if (own) return own
    if (status === 404)
      return new ProviderError('not-found', `${provider} does not know this ${errand.thing}.`, status)
    const reason = errand.secretive ? '' : oneLine(this.#manners.reason(text), [this.#key, secret])
    return new ProviderError(
      'invalid',
      `${provider} does not accept the request to ${errand.doing} (HTTP ${status})${reason ? `: ${reason}` : '.'}`,
      status,
    )
  }
}

/** What came was no answer of the API at all. @param status null where it means nothing */
export function notTheApi(provider: string, status: number | null) {
  return new ProviderError(
    'invalid',
    `What answers is not ${provider}’s API. Look at its address in the settings.`,
    status,
  )
}

/** Rows that are looked at in one go, about a millisecond: doors answer in between. */
const readAtOnce = 50

/** Reads rows one by one, so that one odd row does not hide the rest. @returns those that could be read */
export async function readRows<Row extends z.ZodType>(row: Row, values: unknown[]) {
  const items: z.output<Row>[] = []
  for (const [index, value] of values.entries()) {
    if (index > 0 && index % readAtOnce === 0) await letOthersIn()
    const parsed = row.safeParse(value)
    if (parsed.success) items.push(parsed.data)
  }
  return items
}

/**
 * Reads Retry-After: seconds, or an HTTP date.
 * @returns milliseconds; null when there is none, or none that can be read
 */
export function retryAfter(headers: Headers, now: number) {
  const text = headers.get('Retry-After')?.trim() ?? ''
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1000)
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}

function inWords(milliseconds: number) {
  const seconds = Math.ceil(milliseconds / 1000)
  if (seconds < 120) return `${seconds} ${seconds === 1 ? 'second' : 'seconds'}`
  return `${Math.ceil(seconds / 60)} minutes`
}

/** What a provider says, as one short line without secrets. */
function oneLine(told: string, secrets: (string | undefined)[]) {
  let line = told.replace(/\s+/g, ' ').trim()
  for (const secret of secrets) if (secret) line = line.replaceAll(secret, '…')
  return line.length > 300 ? `${line.slice(0, 299)}…` : line
}

export function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
