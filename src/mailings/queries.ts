import { type Counting, clicksOf, opensOf } from '../audience/counting.js'
import { engagementColumns, noEngagements, receptionColumns } from '../audience/receptions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, ReceptionCounts } from '../database/schema.js'
import { NotFound } from '../web/errors.js'
import {
  type Basis,
  basisOf,
  type MailingPeople,
  peopleOfMailing,
  type Rates,
  type Report,
  ratesOf,
  trackingMayBeOff,
} from './metrics.js'
import { noNumbers, reportNumbers } from './record.js'

/** What a page says of a mailing, in numbers. */
export interface MailingNumbers {
  /** Events, as the tables count them. */
  counts: EngagementCounts
  people: MailingPeople
  /** The same people as events tell of them, whatever the provider reports. */
  receptions: ReceptionCounts
  /** The provider's own numbers, and as of when; null when it told none. */
  report: (Report & { checked_at: number }) | null
  /** Whose numbers `people`, `opens`, `clicks` and `rates` are. */
  basis: Basis
  /** Opens and clicks, as events. */
  opens: number
  clicks: number
  rates: Rates
  /** See {@link trackingMayBeOff}. */
  untracked: boolean
  last_at: number | null
}

export interface Mailing extends MailingNumbers {
  id: number
  /** The subject; where only its id is known, "Mailing 12". */
  name: string
  provider: string
  status: string
  list: { id: number; name: string } | null
  sent_at: number | null
  url: string
}

/** Mailings with their counts and the provider's report; whoever reads them says which. */
export const readMailings = (db: Db | Readers) =>
  db
    .selectFrom('mailings')
    .leftJoin('lists', 'lists.id', 'mailings.list_id')
    .leftJoin('mailing_counts as counts', 'counts.mailing_id', 'mailings.id')
    .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'mailings.id')
    .select(['mailings.id', 'mailings.name', 'mailings.provider', 'mailings.status', 'mailings.sent_at'])
    .select(['mailings.url', 'mailings.created_at', 'mailings.list_id', 'lists.name as list'])
    .select(['counts.last_at', 'reports.checked_at'])
    .select(engagementColumns.map((column) => `counts.${column}` as const))
    .select(receptionColumns.map((column) => `counts.${column}` as const))
    .select(reportNumbers.map((column) => `reports.${column} as report_${column}` as const))

type MailingRow = Awaited<ReturnType<ReturnType<typeof readMailings>['executeTakeFirstOrThrow']>>

/** A row of {@link readMailings} as pages and programs tell of it. */
export function mailingOf(row: MailingRow, counting: Counting): Mailing {
  const { id, name, provider, status, sent_at, url, list, list_id } = row
  return {
    id,
    name: name || `Mailing ${id}`,
    provider,
    status,
    sent_at,
    url,
    list: list_id === null ? null : { id: list_id, name: list ?? '' },
    ...numbersOf(row, counting),
  }
}

/** The numbers of a row of {@link readMailings}; nothing at all is zero. */
function numbersOf(row: MailingRow, counting: Counting): MailingNumbers {
  const counts = { ...noEngagements }
  for (const column of engagementColumns) counts[column] = row[column] ?? 0
  const receptions = {} as ReceptionCounts
  for (const column of receptionColumns) receptions[column] = row[column] ?? 0
  const report = row.checked_at === null ? null : { ...noNumbers, checked_at: row.checked_at }
  if (report) for (const column of reportNumbers) report[column] = row[`report_${column}`]
  const basis = basisOf(counts, report)
  const people = peopleOfMailing(receptions, report, { ...counting, basis })
  const untracked = trackingMayBeOff(receptions, report)
  return {
    counts,
    people,
    receptions,
    report,
    basis,
    opens: basis === 'provider' ? (report!.opens ?? people.opened) : opensOf(counts, counting),
    clicks: basis === 'provider' ? (report!.clicks ?? people.clicked) : clicksOf(counts, counting),
    rates: ratesOf(people, { untracked }),
    untracked,
    last_at: row.last_at,
  }
}

/** What the list of mailings can be ordered by, each with the direction people mean when they ask for it. */
export const mailingSorts = {
  sent: 'desc',
  name: 'asc',
  delivered: 'desc',
  opens: 'desc',
  open_rate: 'desc',
  clicks: 'desc',
  click_rate: 'desc',
  click_to_open: 'desc',
  unsubscribed: 'desc',
} as const
export type MailingSort = keyof typeof mailingSorts

export interface MailingFilter extends Counting {
  /** Part of the subject. */
  q: string
  /** 0: all. */
  list: number
  sort: MailingSort
  order: 'asc' | 'desc'
}

export interface MailingPage {
  rows: Mailing[]
  /** How many the filter lets through. */
  count: number
  /** The mailing after which the next page begins; null on the last. */
  next: number | null
}

const names = new Intl.Collator('en', { sensitivity: 'base', numeric: true })

/**
 * Mailings that were sent, or of which something is known. They are as many as somebody has written: all are read and
 * put in order here. What has no value goes last, equals newest first.
 */
export async function listMailings(
  db: Db | Readers,
  filter: MailingFilter,
  { after = 0, limit = 50 }: { after?: number; limit?: number } = {},
): Promise<MailingPage> {
  const rows = await readMailings(db)
    .where(({ eb, or }) =>
      or([eb('mailings.sent_at', 'is not', null), eb('counts.mailing_id', 'is not', null)]),
    )
    .$if(filter.list > 0, (query) => query.where('mailings.list_id', '=', filter.list))
    .execute()
  const wanted = filter.q.toLowerCase()
  const age = new Map(rows.map((row) => [row.id, row.sent_at ?? row.created_at]))
  const newest = (one: Mailing, other: Mailing) => age.get(other.id)! - age.get(one.id)! || other.id - one.id
  const sign = filter.order === 'asc' ? 1 : -1
  const found = rows
    .map((row) => mailingOf(row, filter))
    .filter(({ name }) => name.toLowerCase().includes(wanted))
    .sort((one, other) => {
      if (filter.sort === 'sent') return -sign * newest(one, other)
      if (filter.sort === 'name') return sign * names.compare(one.name, other.name) || newest(one, other)
      const [left, right] = [sortValue(one, filter.sort), sortValue(other, filter.sort)]
      if (left === right) return newest(one, other)
      if (left === null || right === null) return left === null ? 1 : -1
      return sign * (left - right)
    })
  const start = after === 0 ? 0 : found.findIndex(({ id }) => id === after) + 1
  const page = found.slice(start, start + limit)
  const hasMore = found.length > start + page.length
  return { rows: page, count: found.length, next: hasMore ? (page.at(-1)?.id ?? null) : null }
}

const sortValue = (mailing: Mailing, sort: Exclude<MailingSort, 'sent' | 'name'>) =>
  ({
    delivered: mailing.people.delivered,
    opens: mailing.opens,
    open_rate: mailing.rates.open,
    clicks: mailing.clicks,
    click_rate: mailing.rates.click,
    click_to_open: mailing.rates.clickToOpen,
    unsubscribed: mailing.people.unsubscribed,
  })[sort]

/** @throws NotFound when there is no mailing with this number */
export async function getMailing(db: Db, id: string | number, counting: Counting): Promise<Mailing> {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await readMailings(db).where('mailings.id', '=', Number(text)).executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no mailing ${text.slice(0, 40)}.`)
  return mailingOf(row, counting)
}

/** Is there a mailing that {@link listMailings} would show? */
export async function hasMailings(db: Db): Promise<boolean> {
  const row = await db
    .selectFrom('mailings')
    .leftJoin('mailing_counts', 'mailing_id', 'mailings.id')
    .select('id')
    .where(({ eb, or }) => or([eb('sent_at', 'is not', null), eb('mailing_id', 'is not', null)]))
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}
