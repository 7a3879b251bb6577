import * as z from 'zod'
import { type Calendar, dayLength } from '../web/calendar.js'
import { one } from '../web/forms.js'
import { type NumberName, numberKinds, numberNames } from './mailing-numbers.js'
import type { Window } from './statistics.js'

/** What mailings can be put in order by, each with the direction people mean when they ask for it. */
export const mailingSorts = {
  sent: 'desc',
  name: 'asc',
  basis: 'asc',
  ...(Object.fromEntries(numberNames.map((name) => [name, 'desc'])) as Record<NumberName, 'desc'>),
} as const
export type MailingSort = keyof typeof mailingSorts
type Direction = 'asc' | 'desc'
const sortNames = Object.keys(mailingSorts) as MailingSort[]

/** Days up to today; 0: of all time. */
export const dayRanges = [30, 90, 365, 0] as const
/** What changes are measured over where the numbers are of all time. */
const usualDays = 90

/** Bounds of numbers, in their own unit: people, events, or per cent. */
export type Bounds = Partial<Record<NumberName, number>>

/** What chooses mailings, what puts them in order, and whether machines count. */
export interface MailingChoice {
  /** Part of the name or of the subject. */
  q: string
  /** Sent within so many days up to today; 0: whenever. */
  days: number
  /** Sent on this day (`YYYY-MM-DD`) or later; empty: whenever. It and `to` go before `days`. */
  from: string
  to: string
  /** As the provider calls it; empty: whatever was sent; `all`: drafts as well. */
  status: string
  provider: string
  /** Id of one of the lists it went to; 0: all. */
  list: number
  /** The address it came from. */
  sender: string
  /** Id of a project; 0: all. */
  project: number
  /** Whose numbers drive its rates. */
  basis: '' | 'ours' | 'provider'
  atLeast: Bounds
  atMost: Bounds
  machines: boolean
  sort: MailingSort
  order: Direction
}

const text = (most: number) =>
  one(
    z
      .string()
      .trim()
      .transform((value) => [...value].slice(0, most).join(''))
      .catch(''),
  )
const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
/** Is it a day that the calendar has? */
export const isDay = (value: string) =>
  /^\d{4}-\d{2}-\d{2}$/.test(value) &&
  !Number.isNaN(Date.parse(value)) &&
  new Date(value).toISOString().startsWith(value)
const day = one(z.string().refine(isDay).catch(''))
/** What a number can be bounded by. An empty field says nothing, which is not zero. */
const bound = one(z.string().trim().min(1).transform(Number).pipe(z.number().min(0).max(1e12)).optional())
const boundOrNone = bound.catch(undefined)

export const boundFields = numberNames.flatMap((name) => [`${name}_min`, `${name}_max`] as const)

/** `open_rate_min`, `bounced_max` and so on as bounds. */
export function boundsOf(said: Record<string, unknown>): { atLeast: Bounds; atMost: Bounds } {
  const side = (end: 'min' | 'max') =>
    Object.fromEntries(
      numberNames.flatMap((name) => {
        const value = said[`${name}_${end}`]
        return typeof value === 'number' ? [[name, value]] : []
      }),
    ) as Bounds
  return { atLeast: side('min'), atMost: side('max') }
}

/** What [+ Filter] can ask for, in this order. */
export const adding = ['dates', 'status', 'provider', 'list', 'sender', 'project', 'basis', 'number'] as const
export type Adding = (typeof adding)[number]

/** What an address may say about mailings. A filter never fails: nonsense falls back to the default. */
export const MailingFilter = z
  .object({
    q: text(200),
    days: one(z.literal(['30', '90', '365']).transform(Number).catch(0)),
    from: day,
    to: day,
    status: text(40),
    provider: text(40),
    list: id,
    sender: text(255).transform((value) => value.toLowerCase()),
    project: id,
    basis: one(z.enum(['ours', 'provider', '']).catch('')),
    ...Object.fromEntries(boundFields.map((name) => [name, boundOrNone])),
    /** What the form of [+ Filter] says of a number. */
    number: one(z.enum([...numberNames, '']).catch('')),
    bound: one(z.enum(['min', 'max']).catch('min')),
    value: boundOrNone,
    machines: one(z.enum(['0', '1']).catch('0')).transform((value) => value === '1'),
    /** Weeks or months in the series; empty: what suits its length. */
    by: one(z.enum(['week', 'month', '']).catch('')),
    sort: one(z.string().catch('')),
    order: one(z.enum(['asc', 'desc', '']).catch('')),
    /** The mailing that the page before ended with, and how many stand above. */
    after: id,
    offset: id,
    add: one(z.enum([...adding, '']).catch('')),
  })
  .transform(({ sort, order, number, bound, value, from, to, days, ...rest }) => {
    // One word says both, so that one <select> can: "clicks", or "clicks-asc" for the unusual way round.
    const [name, way] = sort.split('-')
    const by = sortNames.find((known) => known === name) ?? 'sent'
    const asked = way === 'asc' || way === 'desc' ? way : order || mailingSorts[by]
    const { atLeast, atMost } = boundsOf(rest as Record<string, unknown>)
    if (number && value !== undefined) (bound === 'min' ? atLeast : atMost)[number] = value
    const isBackwards = from !== '' && to !== '' && from > to
    const { q, status, provider, list, sender, project, basis, machines, after, offset, add } = rest
    return {
      q,
      days: from || to ? 0 : days,
      from: isBackwards ? to : from,
      to: isBackwards ? from : to,
      status,
      provider,
      list,
      sender,
      project,
      basis,
      atLeast,
      atMost,
      machines,
      by: rest.by,
      sort: by,
      order: asked as Direction,
      after,
      offset,
      add,
    }
  })
export type MailingFilter = z.infer<typeof MailingFilter>

export const sortWord = (sort: MailingSort, order: Direction) =>
  order === mailingSorts[sort] ? sort : `${sort}-${order}`

/** The fields of an address that says this filter; what is as usual is left out. */
export function fieldsOf(filter: MailingFilter): [name: string, value: string][] {
  const fields: [string, string | number][] = [
    ['q', filter.q],
    ['days', filter.days],
    ['from', filter.from],
    ['to', filter.to],
    ['status', filter.status],
    ['provider', filter.provider],
    ['list', filter.list],
    ['sender', filter.sender],
    ['project', filter.project],
    ['basis', filter.basis],
    ['machines', filter.machines ? 1 : 0],
    ['by', filter.by],
    ['after', filter.after],
    ['offset', filter.offset],
  ]
  const said = fields.filter(([, value]) => value !== '' && value !== 0)
  for (const name of numberNames) {
    // A bound of zero says something: "at most 0 bounced".
    if (filter.atLeast[name] !== undefined) said.push([`${name}_min`, filter.atLeast[name]])
    if (filter.atMost[name] !== undefined) said.push([`${name}_max`, filter.atMost[name]])
  }
  const word = sortWord(filter.sort, filter.order)
  if (word !== 'sent') said.push(['sort', word])
  return said.map(([name, value]) => [name, String(value)])
}

/** The address of a page with this filter; a changed filter begins with its first page again. */
export function mailingsAddress(
  filter: MailingFilter,
  changes: Partial<MailingFilter> = {},
  path = '/mailings',
) {
  const query = new URLSearchParams(fieldsOf({ ...filter, after: 0, offset: 0, ...changes })).toString()
  return query ? `${path}?${query}` : path
}

/** Does anything but the dates leave a mailing out? */
export const everyMailing = MailingFilter.parse({})

/** What a bound says in the unit of its number: per cent as a share of one. */
const inUnit = (name: NumberName, value: number) => (numberKinds[name].unit === 'share' ? value / 100 : value)
export const boundsInUnit = (bounds: Bounds): [NumberName, number][] =>
  (Object.entries(bounds) as [NumberName, number][]).map(([name, value]) => [name, inUnit(name, value)])

/** Which mailings are meant by their date, and over what their changes are measured. */
export interface Spell {
  /** From an instant on, up to but not including another; null: no end on that side. */
  from: number | null
  until: number | null
  /** The window that changes are measured over, and the one before it. */
  now: Window
  before: Window
  /** How long both are. */
  days: number
  /** Are the numbers of that window, and not of a longer time? */
  isWhole: boolean
}

/**
 * Days are whole in the reporting time zone, today as far as it has come; the window before ends at the same hour, so
 * that a morning is not compared with a whole day.
 */
export function spellOf(
  { days, from, to }: Pick<MailingChoice, 'days' | 'from' | 'to'>,
  { calendar, now }: { calendar: Calendar; now: number },
): Spell {
  const today = calendar.dayOf(now)
  const until = to ? calendar.startOf(calendar.shift(to, 1)) : null
  const last = to && to < today ? to : today
  const isWhole = from !== '' || days > 0
  const wanted = from || calendar.shift(last, 1 - (days || usualDays))
  const first = wanted < last ? wanted : last
  const length = Math.round((Date.parse(last) - Date.parse(first)) / dayLength) + 1
  const end = last === today ? now + 1 : calendar.startOf(calendar.shift(last, 1))
  return {
    from: isWhole ? calendar.startOf(wanted) : null,
    until,
    now: { from: calendar.startOf(first), until: end },
    before: {
      from: calendar.startOf(calendar.shift(first, -length)),
      until: calendar.startOf(calendar.shift(last, -length)) + (end - calendar.startOf(last)),
    },
    days: length,
    isWhole,
  }
}

export const isIn = (at: number | null, { from, until }: { from: number | null; until: number | null }) =>
  (from === null && until === null) ||
  (at !== null && (from === null || at >= from) && (until === null || at < until))
