import type * as z from 'zod'
import {
  ApiCaller,
  type Call,
  type CallOptions,
  type Errand,
  jsonOrNull,
  type Manners,
  notTheApi,
  readRows,
  retryAfter,
} from '../api-caller.js'
import { type Clock, realClock } from '../clock.js'
import { ProviderError } from '../provider-error.js'
import { TokenBucket } from '../token-bucket.js'
import { AnswerCache } from './answer-cache.js'
import {
  type Campaign,
  CampaignAnswer,
  ContactAnswer,
  ErrorAnswer,
  LinkAnswer,
  ListAnswer,
  type OctopusList,
  PageAnswer,
  ReportContactAnswer,
  SummaryAnswer,
} from './answers.js'

export type {
  Campaign,
  FieldValue,
  ListField,
  OctopusContact,
  OctopusList,
  ReportContact,
  ReportLink,
  Summary,
} from './answers.js'

const emailOctopusApi = 'https://api.emailoctopus.com'

/** What a contact report may be about. */
export const reportStatuses = [
  'sent',
  'opened',
  'not-opened',
  'clicked',
  'not-clicked',
  'bounced',
  'complained',
  'unsubscribed',
] as const
export type ReportStatus = (typeof reportStatuses)[number]

/** What contacts of a list are. Each is a walk of its own: without one, the API shows those who are subscribed. */
export const contactStatuses = ['subscribed', 'unsubscribed', 'pending'] as const
export type ContactStatus = (typeof contactStatuses)[number]

export interface EmailOctopusOptions {
  key: string
  /** Where the API is. */
  baseUrl?: string
  /** The vendor's own limit: tokens that it saves up, and that come back each second. Null for none. */
  limit?: { capacity: number; perSecond: number } | null
  /** The most often that one request is sent. */
  tries?: number
  /** Milliseconds that one try may take, its answer's body included. */
  timeout?: number
  /** Milliseconds that are waited at the most when EmailOctopus says when to come back, whatever it says. */
  longestWait?: number
  clock?: Clock
  /** From 0 to 1, for the jitter. */
  random?: () => number
}

export interface PageOptions extends CallOptions {
  /** The cursor of an earlier page: the walk begins after that page. */
  startAfter?: string | null
  /** Each page is asked for while whoever walks them works on the one before. */
  ahead?: boolean
}

export interface ContactOptions extends PageOptions {
  status: ContactStatus
  /** UTC milliseconds: only those that changed then or later. */
  updatedSince?: number
  /** Only those with this tag. */
  tag?: string
}

/** One page of a list, in no documented order. */
export interface Page<Item> {
  items: Item[]
  /** Hand it on as `startAfter` to begin with the next page; null after the last. */
  cursor: string | null
  /** Rows of this page that could not be read, and are not among its items. */
  unreadable: number
}

const campaigns = { doing: 'read the campaigns', thing: 'campaign' }
const reports = { doing: 'read the report of a campaign', thing: 'campaign' }
const lists = { doing: 'read the lists', thing: 'list' }
const contacts = { doing: 'read the contacts of a list', thing: 'list' }

/** Rows on a page, at the most. */
const pageLength = '100'

/**
 * EmailOctopus' REST API, version 2; it is only read. Every method rejects with a ProviderError whose message people may
 * read, or with the reason of the signal that ended it. The key is held in private fields, so that printing a client
 * does not print it.
 *
 * Reports of campaigns that have none answer null, or no items: what the API says for drafts, and where tracking is
 * off, is not documented, so that every refusal but that of the key means it.
 */
export class EmailOctopusClient {
  readonly #options: EmailOctopusOptions
  readonly #api: ApiCaller
  readonly #limit: Limit
  #cache: AnswerCache | null = null

  /** @param shared the limit that others keep to as well, and what sends the requests of a client that this one is a view of */
  constructor(options: EmailOctopusOptions, shared: { api?: ApiCaller; limit: Limit } | null = null) {
    const { key, baseUrl = emailOctopusApi, limit = { capacity: 100, perSecond: 10 } } = options
    const { tries = 6, timeout = 20_000, longestWait = 90_000, clock = realClock, random } = options
    this.#options = options
    this.#limit = shared?.limit ?? new Limit(limit, clock)
    this.#api =
      shared?.api ??
      new ApiCaller(
        {
          key,
          baseUrl,
          bucket: this.#limit.bucket,
          tries,
          timeout,
          longestWait,
          longestBackoff: 60_000,
          clock,
          random,
        },
        manners(this.#limit, longestWait),
      )
  }

  /**
   * The same client for the length of one run: what it has read of lists and campaigns it does not ask for again (their
   * reports and contacts it does). It shares the limit with this one. What it answers twice is the same object.
   */
  cached() {
    const view = new EmailOctopusClient(this.#options, { api: this.#api, limit: this.#limit })
    view.#cache = new AnswerCache()
    return view
  }

  /** Requests that may go out at once: as EmailOctopus told last, and no more than we let out. Null until it tells, where there is no limit. */
  get remaining() {
    return this.#limit.remaining
  }

  /** Is this the key of an account? @throws ProviderError if it is not, or if nobody can say */
  async checkKey(options?: CallOptions) {
    const url = this.#api.url('/lists', [['limit', '1']])
    await this.#api.one(PageAnswer, { url, errand: { ...lists, doing: 'try the key' }, ...options })
  }

  /** Campaigns of every status, drafts in the middle, each with its HTML. */
  campaigns(options?: PageOptions) {
    return this.#pages('/campaigns', {}, CampaignAnswer, { errand: campaigns, keep: sizeOfCampaign }, options)
  }

  async campaign(id: string, options?: CallOptions): Promise<Campaign> {
    return this.#one(
      `/campaigns/${encodeURIComponent(id)}`,
      id,
      CampaignAnswer,
      campaigns,
      sizeOfCampaign,
      options,
    )
  }

  /** EmailOctopus' own counts; null when there are none. */
  async summary(id: string, options?: CallOptions) {
    const url = this.#api.url(`/campaigns/${encodeURIComponent(id)}/reports/summary`)
    const answer = await this.#report({ url, errand: reports, ...options })
    return answer === null ? null : this.#api.read(SummaryAnswer, answer, reports)
  }

  /** Clicks by address, in one page as far as is documented. */
  links(id: string, options?: PageOptions) {
    const path = `/campaigns/${encodeURIComponent(id)}/reports/links`
    return this.#pages(path, null, LinkAnswer, { errand: reports, report: true }, options)
  }

  /** Who received, opened, clicked and so on. There is no filter by time: it is always everybody. */
  contactReport(id: string, status: ReportStatus, options?: PageOptions) {
    const path = `/campaigns/${encodeURIComponent(id)}/reports`
    return this.#pages(path, { status }, ReportContactAnswer, { errand: reports, report: true }, options)
  }

  lists(options?: PageOptions) {
    return this.#pages('/lists', {}, ListAnswer, { errand: lists, keep: sizeOfList }, options)
  }

  async list(id: string, options?: CallOptions): Promise<OctopusList> {
    return this.#one(`/lists/${encodeURIComponent(id)}`, id, ListAnswer, lists, sizeOfList, options)
  }

  /** Contacts of one status. A list that is deleted meanwhile ends the walk with `not-found`. */
  contacts(listId: string, { status, updatedSince, tag, ...options }: ContactOptions) {
    const query = {
      status,
      ...(tag === undefined ? {} : { tag }),
      // Whole seconds, with a Z: the form that clients are known to work with.
      ...(updatedSince === undefined
        ? {}
        : { 'last_updated_at.gte': new Date(updatedSince).toISOString().replace(/\.\d+Z$/, 'Z') }),
    }
    const path = `/lists/${encodeURIComponent(listId)}/contacts`
    return this.#pages(path, query, ContactAnswer, { errand: contacts }, options)
  }

  /** @param idOrMd5 the contact's id, or the MD5 of its address in lower case */
  async contact(listId: string, idOrMd5: string, options?: CallOptions) {
    const path = `/lists/${encodeURIComponent(listId)}/contacts/${encodeURIComponent(idOrMd5)}`
    const errand = { ...contacts, thing: 'contact' }
    return this.#api.one(ContactAnswer, { url: this.#api.url(path), errand, ...options })
  }

  async #one<Row extends z.ZodType<{ id: string }>>(
    path: string,
    id: string,
    row: Row,
    errand: Errand,
    size: (item: z.output<Row>) => number,
    options?: CallOptions,
  ): Promise<z.output<Row>> {
    const url = this.#api.url(path)
    const kept = this.#cache?.item<z.output<Row>>(errand.thing, id)
    if (kept) return kept
    const item = await this.#api.one(row, { url, errand, ...options })
    this.#cache?.keep(errand.thing, url, { items: [item], cursor: null, unreadable: 0 }, size)
    return item
  }

  /** @param query null where the API documents no parameters at all, not even `limit` */
  #pages<Row extends z.ZodType>(
    path: string,
    query: Record<string, string> | null,
    row: Row,
    {
      errand,
      report = false,
      keep,
    }: { errand: Errand; report?: boolean; keep?: (item: z.output<Row>) => number },
    { startAfter = null, ahead = false, ...options }: PageOptions = {},
  ): AsyncGenerator<Page<z.output<Row>>, void, undefined> {
    // Not as the link says, but as asked: the cursor is the same, and the filters stay.
    const place = (cursor: string | null) => ({
      cursor,
      url: this.#api.url(path, [
        ...(query === null ? [] : Object.entries({ ...query, limit: pageLength })),
        ...(cursor === null ? [] : [['starting_after', cursor] as [string, string]]),
      ]),
    })
    const ask = async ({ url, cursor }: { url: string; cursor: string | null }) => {
      const kept = keep && this.#cache?.page<z.output<Row>>(url)
      if (kept) return kept
      const call = { url, errand, ...options }
      // A page in the middle that is refused is a failure: with no more said, half a report would look like all of it.
      const mayLack = report && cursor === null
      const answer = await (mayLack ? this.#report(call) : this.#api.call(call))
      if (mayLack && answer === null) return null
      const { rows, next } = this.#api.read(PageAnswer, answer, errand)
      const items = await readRows(row, rows)
      const page = { items, cursor: this.#cursor(next, url), unreadable: rows.length - items.length }
      if (keep) this.#cache?.keep(errand.thing, url, page, keep)
      return page
    }
    const read = async (page: Page<z.output<Row>>) => ({
      page,
      next: page.cursor === null ? null : place(page.cursor),
    })
    return this.#api.walk(place(startAfter), { ask, read, ahead })
  }

  /** @throws ProviderError when the link leads to another host, or holds no cursor */
  #cursor(next: { url: string; starting_after: string | null } | null, url: string) {
    if (next === null) return null
    const link = this.#api.sameHost(next.url, url)
    const cursor = next.starting_after || new URL(link).searchParams.get('starting_after')
    if (cursor) return cursor
    throw new ProviderError('invalid', 'EmailOctopus’s link to the next page holds no cursor.')
  }

  /** A report that the API refuses to give is one that it does not have. */
  async #report(call: Call) {
    try {
      return await this.#api.call(call)
    } catch (error) {
      if (error instanceof ProviderError && noReport.has(error.status ?? 0)) return null
      throw error
    }
  }
}

/** Said of a draft, of a campaign without tracking, of one that is gone. */
const noReport = new Set([400, 403, 404, 405, 409, 410, 422])

/** Characters, more or less. */
const sizeOfCampaign = ({ html, subject, name }: Campaign) =>
  500 + (html?.length ?? 0) + subject.length + name.length
const sizeOfList = ({ fields, tags }: OctopusList) => 500 + 200 * fields.length + 30 * tags.length

/**
 * The vendor's token bucket as we keep to it: a twentieth less than it allows, as requests that leave in order may arrive
 * closer together. It begins nearly empty, since what was sent before a restart still counts there.
 */
export class Limit {
  readonly bucket: TokenBucket | null
  #told: number | null = null

  constructor(limit: { capacity: number; perSecond: number } | null, clock: Clock) {
    this.bucket =
      limit &&
      new TokenBucket({
        capacity: Math.max(1, limit.capacity * 0.95),
        perSecond: limit.perSecond * 0.95,
        level: limit.capacity * 0.1,
        clock,
      })
  }

  tell(remaining: number) {
    this.#told = remaining
    this.bucket?.lower(remaining)
  }

  get remaining() {
    return this.bucket ? this.bucket.level : this.#told
  }
}

const manners = (limit: Limit, longestWait: number): Manners => ({
  provider: 'EmailOctopus',
  headers: ({ key }) => ({ Authorization: `Bearer ${key}` }),
  learn(headers) {
    // Its two headers are spelled differently, in the documents too.
    const told = headers.get('X-RateLimiting-Remaining') ?? headers.get('X-RateLimit-Remaining') ?? ''
    if (/^\d{1,9}$/.test(told.trim())) limit.tell(Number(told))
  },
  retryIn(headers, now) {
    const text = headers.get('X-RateLimit-Retry-After')?.trim() ?? ''
    const told = /^\d+(\.\d+)?$/.test(text) ? Number(text) : null
    if (told === null) {
      const plain = retryAfter(headers, now)
      return plain === null ? null : Math.min(longestWait, plain)
    }
    // Its unit is not documented. No wait is 30 years long.
    const wait = told > 1e9 ? told * 1000 - now : told * 1000
    return Math.min(longestWait, Math.max(0, Math.ceil(wait)))
  },
  // Whoever exceeds the limit is blocked for up to a minute.
  unsaidRest: (attempt) => Math.min(60_000, 4000 * 2 ** (attempt - 1)),
  refusal({ status, text, errand }) {
    if (status === 401)
      return new ProviderError(
        'refused-key',
        'The key was refused: keys made before October 2024 do not work with this API. Make a new one at EmailOctopus, under Integrations & APIs.',
        status,
      )
    // What is not JSON comes from somewhere before the API, and its status says nothing about what was asked for.
    if (jsonOrNull(text) === null) return notTheApi('EmailOctopus', null)
    if (status === 403)
      return new ProviderError(
        'missing-permission',
        `EmailOctopus says that this ${errand.thing} belongs to another account than the key.`,
        status,
      )
    return null
  },
  reason(text) {
    const parsed = ErrorAnswer.safeParse(jsonOrNull(text))
    if (!parsed.success) return ''
    const { detail, errors } = parsed.data
    const each = errors.map((error) =>
      [error.parameter ?? error.pointer, error.detail].filter(Boolean).join(': '),
    )
    return each.length > 0 ? each.join('; ') : (detail ?? '')
  },
})
