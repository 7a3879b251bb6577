import type { Db } from '../../database/open.js'
import type { ReportNumbers } from '../../database/schema.js'
import { bouncesOf } from '../../mailings/metrics.js'
import { type ReportStatus, reportStatuses } from './client.js'
import { isNegative, provider } from './mapping.js'

const hour = 3_600_000
const day = 24 * hour

/**
 * Milliseconds after which the numbers of a mailing are asked for again: they move less the older it is.
 * @param age milliseconds since it was sent
 */
function pauseAtAge(age: number): number {
  if (age < day) return hour
  if (age < 3 * day) return 6 * hour
  if (age < 30 * day) return day
  return 7 * day
}

/** Schedules run some minutes early or late; a mailing does not wait another round for that. */
const slack = 5 * 60_000

/** Only these have numbers. */
const numbered = ['sent', 'sending']

export interface DueMailing {
  id: number
  providerId: string
  name: string
  sentAt: number | null
}

/**
 * Mailings whose numbers are due at an instant, newest first.
 * @param options.since all of which the numbers were not asked for since this instant, whatever their age; null: those
 *   that are due by their age
 */
export async function dueSummaries(
  db: Db,
  { now, since }: { now: number; since: number | null },
): Promise<DueMailing[]> {
  const rows = await db
    .selectFrom('mailings')
    .leftJoin('mailing_reports', 'mailing_reports.mailing_id', 'mailings.id')
    .leftJoin('contact_report_walks as refused', (join) =>
      join.onRef('refused.mailing_id', '=', 'mailings.id').on('refused.status', '=', 'summary'),
    )
    .select([
      'mailings.id',
      'provider_id',
      'name',
      'sent_at',
      'checked_at',
      'refused.walked_at as refused_at',
    ])
    .where('provider', '=', provider)
    .where('mailings.status', 'in', numbered)
    .orderBy('sent_at', 'desc')
    .orderBy('mailings.id', 'desc')
    .execute()
  return rows
    .filter(({ sent_at, checked_at, refused_at }) => {
      if (checked_at === null && refused_at === null) return true
      const askedAt = Math.max(checked_at ?? 0, refused_at ?? 0)
      if (since !== null) return askedAt < since
      return askedAt + pauseAtAge(now - (sent_at ?? now)) - slack <= now
    })
    .map(({ id, provider_id, name, sent_at }) => ({ id, providerId: provider_id, name, sentAt: sent_at }))
}

/** What a report's counter says; null where EmailOctopus does not count that. */
function counterOf(status: ReportStatus | 'links', numbers: ReportNumbers): number | null {
  switch (status) {
    case 'sent':
      return numbers.recipients
    case 'opened':
      return numbers.opens ?? numbers.unique_opens
    case 'clicked':
    case 'links':
      return numbers.clicks ?? numbers.unique_clicks
    case 'bounced':
      return bouncesOf(numbers)
    case 'complained':
      return numbers.complaints
    case 'unsubscribed':
      return numbers.unsubscriptions
    case 'not-opened':
    case 'not-clicked':
      return null
  }
}

export interface DueReport<Status> extends DueMailing {
  status: Status
  /** What the counter behind it says now; -1 where nobody counts. */
  counted: number
}

/** The links of mailings whose clicks have moved since their links were read. */
export const dueLinks = (db: Db) => dueReports(db, ['links'])

/** Reports of contacts whose counter has moved since they were read, newest mailing first. */
export const dueContactReports = (db: Db) =>
  dueReports(
    db,
    reportStatuses.filter((status) => !isNegative(status)),
  )

async function dueReports<Status extends ReportStatus | 'links'>(
  db: Db,
  statuses: Status[],
): Promise<DueReport<Status>[]> {
  const mailings = await db
    .selectFrom('mailings')
    .innerJoin('mailing_reports as reports', 'reports.mailing_id', 'mailings.id')
    .selectAll('reports')
    .select(['mailings.id', 'provider_id', 'name', 'sent_at'])
    .where('provider', '=', provider)
    .where('status', 'in', numbered)
    .orderBy('sent_at', 'desc')
    .orderBy('mailings.id', 'desc')
    .execute()
  const walks = new Map<string, number>()
  for (const { mailing_id, status, counted } of await db
    .selectFrom('contact_report_walks')
    .select(['mailing_id', 'status', 'counted'])
    .where('status', 'in', statuses)
    .execute())
    walks.set(`${mailing_id} ${status}`, counted)
  return mailings.flatMap((row) =>
    statuses.flatMap((status): DueReport<Status>[] => {
      const counted = counterOf(status, row) ?? -1
      // Nobody is in it, or nobody has come since.
      if (counted === 0 || walks.get(`${row.id} ${status}`) === counted) return []
      return [
        { id: row.id, providerId: row.provider_id, name: row.name, sentAt: row.sent_at, status, counted },
      ]
    }),
  )
}

/**
 * Mailings of which the positive reports do not account for everybody whom EmailOctopus says it was sent to: the two
 * negative ones name those who are missing.
 */
export async function dueNegativeReports(db: Db): Promise<DueReport<ReportStatus>[]> {
  const rows = await db
    .selectFrom('mailings')
    .innerJoin('mailing_reports as reports', 'reports.mailing_id', 'mailings.id')
    .leftJoin('mailing_counts as counts', 'counts.mailing_id', 'mailings.id')
    .leftJoin('contact_report_walks as walks', (join) =>
      join.onRef('walks.mailing_id', '=', 'mailings.id').on('walks.status', '=', 'not-clicked'),
    )
    .select(['mailings.id', 'provider_id', 'name', 'sent_at', 'recipients', 'people_sent', 'counted'])
    .where('provider', '=', provider)
    .where('mailings.status', 'in', numbered)
    .orderBy('sent_at', 'desc')
    .orderBy('mailings.id', 'desc')
    .execute()
  return rows
    .filter(
      ({ recipients, people_sent, counted }) =>
        recipients !== null && (people_sent ?? 0) < recipients && counted !== recipients,
    )
    .flatMap(({ id, provider_id, name, sent_at, recipients }) =>
      (['not-opened', 'not-clicked'] as const).map((status) => ({
        id,
        providerId: provider_id,
        name,
        sentAt: sent_at,
        status,
        counted: recipients!,
      })),
    )
}
