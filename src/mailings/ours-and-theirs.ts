import { originName } from '../audience/origins.js'
import { engagementColumns, noEngagements, receptionColumns } from '../audience/receptions.js'
import type { Readers } from '../database/readers.js'
import type { ReceptionCounts } from '../database/schema.js'
import { type Comparison, explain, type Measure } from './differences.js'

export interface ComparedMailing {
  id: number
  name: string
  provider: string
  sent_at: number | null
  checked_at: number
  lines: {
    measure: Measure
    theirs: number | null
    ours: number
    /** Ours less theirs; null where the provider does not say. */
    difference: number | null
    why: string
  }[]
}

const reported = [
  'deliveries',
  'unique_opens',
  'unique_clicks',
  'temporary_failures',
  'permanent_failures',
  'unsubscriptions',
  'complaints',
  'replies',
] as const

/**
 * The numbers of providers beside ours, for each mailing of which a provider reports, newest first.
 * @param options.after the mailing that the page before ended with; 0 for the first
 */
export async function listComparisons(
  readers: Readers,
  { after, now, limit = 10 }: { after: number; now: number; limit?: number },
): Promise<{ mailings: ComparedMailing[]; next: number | null; count: number }> {
  const order = await readers
    .selectFrom('mailing_reports')
    .innerJoin('mailings', 'mailings.id', 'mailing_reports.mailing_id')
    .select('mailings.id')
    .orderBy('mailings.sent_at', (by) => by.desc().nullsLast())
    .orderBy('mailings.id', 'desc')
    .execute()
  const start = after === 0 ? 0 : order.findIndex(({ id }) => id === after) + 1
  const ids = order.slice(start, start + limit).map(({ id }) => id)
  if (ids.length === 0) return { mailings: [], next: null, count: order.length }
  const rows = await readers
    .selectFrom('mailings')
    .innerJoin('mailing_reports as reports', 'reports.mailing_id', 'mailings.id')
    .leftJoin('mailing_counts as counts', 'counts.mailing_id', 'mailings.id')
    .select(['mailings.id', 'name', 'provider', 'sent_at', 'checked_at'])
    .select(reported.map((column) => `reports.${column} as theirs_${column}` as const))
    .select(engagementColumns.map((column) => `counts.${column}` as const))
    .select(receptionColumns.map((column) => `counts.${column}` as const))
    .where('mailings.id', 'in', ids)
    .execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  const mailings = ids.flatMap((id): ComparedMailing[] => {
    const row = byId.get(id)
    if (!row) return []
    const counts = { ...noEngagements }
    for (const column of engagementColumns) counts[column] = row[column] ?? 0
    const people = {} as ReceptionCounts
    for (const column of receptionColumns) people[column] = row[column] ?? 0
    const { theirs_temporary_failures: soft, theirs_permanent_failures: hard } = row
    const plain = (measure: Measure, theirs: number | null, ours: number): Comparison => ({
      measure,
      theirs,
      ours,
      all: ours,
      events: ours,
    })
    const comparisons: Comparison[] = [
      plain('delivered', row.theirs_deliveries, people.people_sent - people.people_bounced),
      {
        measure: 'opened',
        theirs: row.theirs_unique_opens,
        ours: people.people_opened,
        all: people.all_people_opened,
        events: counts.opens,
      },
      {
        measure: 'clicked',
        theirs: row.theirs_unique_clicks,
        ours: people.people_clicked,
        all: people.all_people_clicked,
        events: counts.clicks,
      },
      plain(
        'bounced',
        soft === null && hard === null ? null : (soft ?? 0) + (hard ?? 0),
        people.people_bounced,
      ),
      plain('unsubscribed', row.theirs_unsubscriptions, people.people_unsubscribed),
      plain('complained', row.theirs_complaints, people.people_complained),
      plain('replied', row.theirs_replies, people.people_replied),
    ]
    const telling = { provider: originName(row.provider), checkedAgo: Math.max(0, now - row.checked_at) }
    return [
      {
        id: row.id,
        name: row.name || `Mailing ${row.id}`,
        provider: telling.provider,
        sent_at: row.sent_at,
        checked_at: row.checked_at,
        lines: comparisons.map((comparison) => ({
          measure: comparison.measure,
          theirs: comparison.theirs,
          ours: comparison.ours,
          difference: comparison.theirs === null ? null : comparison.ours - comparison.theirs,
          why: explain(comparison, telling),
        })),
      },
    ]
  })
  return {
    mailings,
    next: order.length > start + ids.length ? ids.at(-1)! : null,
    count: order.length,
  }
}
