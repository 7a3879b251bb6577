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
  /** Has anything been counted of it? */
  hasCounts: boolean
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
    .select(['counts.last_at', 'counts.mailing_id as counted', 'reports.checked_at'])
    .select(engagementColumns.map((column) => `counts.${column}` as const))
    .select(receptionColumns.map((column) => `counts.${column}` as const))
    .select(reportNumbers.map((column) => `reports.${column} as report_${column}` as const))

type MailingRow = Awaited<ReturnType<ReturnType<typeof readMailings>['executeTakeFirstOrThrow']>>

/** A row of {@link readMailings} as pages and programs tell of it. */
export function mailingOf(row: MailingRow, counting: Counting): Mailing {
  const counts = { ...noEngagements }
  for (const column of engagementColumns) counts[column] = row[column] ?? 0
  const receptions = {} as ReceptionCounts
  for (const column of receptionColumns) receptions[column] = row[column] ?? 0
  const report = row.checked_at === null ? null : { ...noNumbers, checked_at: row.checked_at }
  if (report) for (const column of reportNumbers) report[column] = row[`report_${column}`]
  const list = row.list_id === null ? null : { id: row.list_id, name: row.list ?? '' }
  const { last_at } = row
  return mailingFrom(
    row,
    { list, counts, receptions, report, last_at, hasCounts: row.counted !== null },
    counting,
  )
}

/** What is told of a mailing and counted of it, as pages and programs tell of it. */
export function mailingFrom(
  {
    id,
    name,
    provider,
    status,
    sent_at,
    url,
  }: Pick<MailingRow, 'id' | 'name' | 'provider' | 'status' | 'sent_at' | 'url'>,
  {
    list,
    counts,
    receptions,
    report,
    last_at,
    hasCounts,
  }: Pick<Mailing, 'list' | 'counts' | 'receptions' | 'report' | 'last_at' | 'hasCounts'>,
  counting: Counting,
): Mailing {
  const basis = basisOf(counts, report)
  const people = peopleOfMailing(receptions, report, { machines: counting.machines, basis })
  const untracked = trackingMayBeOff(receptions, report)
  return {
    id,
    name: name || `Mailing ${id}`,
    provider,
    status,
    sent_at,
    url,
    list,
    counts,
    people,
    hasCounts,
    receptions,
    report,
    basis,
    opens: basis === 'provider' ? (report!.opens ?? people.opened) : opensOf(counts, counting),
    clicks: basis === 'provider' ? (report!.clicks ?? people.clicked) : clicksOf(counts, counting),
    rates: ratesOf(people, { untracked }),
    untracked,
    last_at,
  }
}

/** @throws NotFound when there is no mailing with this number */
export async function getMailing(db: Db, id: string | number, counting: Counting): Promise<Mailing> {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await readMailings(db).where('mailings.id', '=', Number(text)).executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no mailing ${text.slice(0, 40)}.`)
  return mailingOf(row, counting)
}

/**
 * What a provider said of a mailing, whenever one of its numbers had changed; the oldest first.
 * @param options.after the snapshot that the page before ended with
 */
export async function listSnapshots(
  db: Db | Readers,
  mailing: number,
  { after = 0, limit }: { after?: number; limit: number },
) {
  const own = db.selectFrom('mailing_snapshots').where('mailing_id', '=', mailing)
  const [rows, { count }] = await Promise.all([
    own
      .select(['id', 'taken_at', 'is_lower', ...reportNumbers])
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit + 1)
      .execute(),
    own.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow(),
  ])
  const page = rows.slice(0, limit)
  return { rows: page, count, next: rows.length > limit ? page.at(-1)!.id : null }
}
