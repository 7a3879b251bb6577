import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { deliveredOf } from '../mailings/metrics.js'
import type { Calendar } from '../web/calendar.js'
import { dayLength } from '../web/calendar.js'
import { clicksOf, countColumns } from './metrics.js'
import type { ImpressionMeaning } from './settings.js'
import type { Evidence } from './verdict.js'

/** What learning and verdicts may believe of one text. */
export interface TextEvidence extends Evidence {
  /** It was shown in issues of which nobody knows how many got them: these are left out, with their clicks. */
  pending: boolean
}

interface Wish {
  offerIds: number[]
  meaning: ImpressionMeaning
  /** Facts lose half their weight in so many days, by offer; null or none: they keep it. */
  halfLives?: ReadonlyMap<number, number | null>
  /** The first day that counts; null: all of them. */
  since?: string | null
  /** The day before which facts end; null: they do not. */
  until?: string | null
  /** Whether anybody wants to know in how many issues texts were; else they are said to have been in none. */
  withIssues?: boolean
  /** Clicks of machines and repeated ones are taken too: to be looked at, and not to be believed. */
  everything?: boolean
  calendar: Calendar
  now: number
}

/**
 * What is known of the texts of some offers.
 *
 * Once per issue: an impression stands for everybody to whom the issue's mailing was delivered, placements times. Issues
 * whose mailing is not known, or of which no delivery is known yet, tell nothing: neither their impressions nor the clicks
 * on them are taken. Once per message: impressions and clicks are taken as they were reported.
 * @returns texts of which nothing is known are missing
 */
export async function readEvidence(db: Db | Readers, wish: Wish): Promise<Map<number, TextEvidence>> {
  if (wish.offerIds.length === 0) return new Map()
  return wish.meaning === 'issue' ? byIssue(db, wish) : byMessage(db, wish)
}

/** What is left of the weight of a fact. */
const faded = (age: number, halfLife: number | null) =>
  halfLife === null ? 1 : 0.5 ** (Math.max(0, age) / (halfLife * dayLength))

async function byIssue(
  db: Db | Readers,
  { offerIds, halfLives, since, until, everything = false, calendar, now }: Wish,
) {
  const from = since ? calendar.startOf(since) : 0
  const to = until ? calendar.startOf(until) : Number.MAX_SAFE_INTEGER
  const [rows, reported] = await Promise.all([
    db
      .selectFrom('promo_text_variations as texts')
      .innerJoin('promo_send_counts as counts', 'counts.variation_id', 'texts.id')
      .innerJoin('promo_sends as sends', 'sends.id', 'counts.send_id')
      .leftJoin('mailing_counts as mailed', 'mailed.mailing_id', 'sends.mailing_id')
      .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'sends.mailing_id')
      .select(['texts.id', 'texts.offer_id', 'sends.first_at'])
      .select(countColumns.map((name) => `counts.${name}` as const))
      .select(['mailed.people_sent', 'mailed.people_bounced', 'reports.deliveries', 'sends.delivered'])
      .where('texts.offer_id', 'in', offerIds)
      .where('sends.first_at', '>=', from)
      .where('sends.first_at', '<', to)
      .execute(),
    db
      .selectFrom('promo_text_variations as texts')
      .innerJoin('promo_variation_counts as counts', 'counts.variation_id', 'texts.id')
      .select(['texts.id', 'counts.impressions'])
      .where('texts.offer_id', 'in', offerIds)
      .execute(),
  ])
  const found = new Map<number, TextEvidence>()
  const inSends = new Map<number, number>()
  for (const row of rows) {
    const text = evidenceIn(found, row.id)
    inSends.set(row.id, (inSends.get(row.id) ?? 0) + row.impressions)
    const delivered = audienceOf(row)
    if (delivered === 0) {
      if (row.impressions > 0) text.pending = true
      continue
    }
    const weight = faded(now - row.first_at, halfLives?.get(row.offer_id) ?? null)
    text.impressions += row.impressions * delivered * weight
    text.clicks += clicksOf(row, everything) * weight
    if (row.impressions > 0) text.issues += 1
  }
  // Impressions that named no issue have no audience either.
  for (const { id, impressions } of reported)
    if (!since && !until && impressions > (inSends.get(id) ?? 0)) evidenceIn(found, id).pending = true
  return found
}

/** How many got an issue: what its mailing delivered, else what somebody said by hand; 0 when nobody knows. */
export const audienceOf = (send: {
  people_sent: number | null
  people_bounced: number | null
  deliveries: number | null
  delivered: number | null
}): number =>
  deliveredOf(
    { people_sent: send.people_sent ?? 0, people_bounced: send.people_bounced ?? 0 },
    { deliveries: send.deliveries },
  ) ||
  (send.delivered ?? 0)

/**
 * Changes with what is known of how many got the issues that are tied to mailings: for who remembers what follows from it.
 * The issues whose number was given by hand change by hand alone.
 */
export async function readAudienceMark(db: Db | Readers): Promise<string> {
  const known = await db
    .selectFrom('promo_sends as sends')
    .leftJoin('mailing_counts as mailed', 'mailed.mailing_id', 'sends.mailing_id')
    .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'sends.mailing_id')
    .select(({ fn }) => [
      fn.countAll().as('issues'),
      fn.sum('mailed.people_sent').as('sent'),
      fn.sum('mailed.people_bounced').as('bounced'),
      fn.sum('reports.deliveries').as('deliveries'),
    ])
    .where('sends.mailing_id', 'is not', null)
    .executeTakeFirstOrThrow()
  return JSON.stringify(known)
}

async function byMessage(
  db: Db | Readers,
  { offerIds, halfLives, since, until, withIssues = true, calendar, now }: Wish,
) {
  const fades = since || until || [...(halfLives?.values() ?? [])].some((halfLife) => halfLife !== null)
  const [rows, issues, days] = await Promise.all([
    fades
      ? db
          .selectFrom('promo_days')
          .select(['variation_id', 'offer_id', 'impressions', 'clicks', 'day_on'])
          .where('offer_id', 'in', offerIds)
          .where('variation_id', '>', 0)
          .$if(Boolean(since), (query) => query.where('day_on', '>=', since!))
          .$if(Boolean(until), (query) => query.where('day_on', '<', until!))
          .execute()
      : db
          .selectFrom('promo_text_variations as texts')
          .innerJoin('promo_variation_counts as counts', 'counts.variation_id', 'texts.id')
          .select(['texts.id as variation_id', 'texts.offer_id', 'counts.impressions', 'counts.clicks'])
          .where('texts.offer_id', 'in', offerIds)
          .execute()
          .then((counted) => counted.map((row) => ({ ...row, day_on: '' }))),
    withIssues ? issuesOf(db, offerIds) : new Map<number, number>(),
    withIssues ? daysOf(db, offerIds) : new Map<number, number>(),
  ])
  const found = new Map<number, TextEvidence>()
  for (const row of rows) {
    const text = evidenceIn(found, row.variation_id)
    const age = row.day_on === '' ? 0 : now - calendar.startOf(row.day_on) - dayLength / 2
    const weight = faded(age, halfLives?.get(row.offer_id) ?? null)
    text.impressions += row.impressions * weight
    text.clicks += row.clicks * weight
  }
  // Who names no issues sends one a day.
  for (const [id, text] of found) text.issues = issues.get(id) ?? days.get(id) ?? 0
  return found
}

async function issuesOf(db: Db | Readers, offerIds: number[]) {
  const rows = await db
    .selectFrom('promo_text_variations as texts')
    .innerJoin('promo_send_counts as counts', 'counts.variation_id', 'texts.id')
    .select(({ fn }) => ['texts.id', fn.countAll<number>().as('issues')])
    .where('texts.offer_id', 'in', offerIds)
    .where('counts.impressions', '>', 0)
    .groupBy('texts.id')
    .execute()
  return new Map(rows.map((row) => [row.id, row.issues]))
}

async function daysOf(db: Db | Readers, offerIds: number[]) {
  const rows = await db
    .selectFrom('promo_days')
    .select(({ fn }) => ['variation_id', fn.countAll<number>().as('days')])
    .where('offer_id', 'in', offerIds)
    .where('impressions', '>', 0)
    .groupBy('variation_id')
    .execute()
  return new Map(rows.map((row) => [row.variation_id, row.days]))
}

function evidenceIn(found: Map<number, TextEvidence>, variationId: number): TextEvidence {
  let text = found.get(variationId)
  if (!text) {
    text = { variationId, impressions: 0, clicks: 0, issues: 0, pending: false }
    found.set(variationId, text)
  }
  return text
}
