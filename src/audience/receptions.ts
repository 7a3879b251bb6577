import type { EngagementCounts, ReceptionCounts, Row } from '../database/schema.js'
import { engagementKind, engagementNumber } from './engagement-kinds.js'
import { counts, engagementVerdict, isUnjudged } from './engagement-verdict.js'

export type Reception = Row<'receptions'>

/** What a count needs to know of an engagement. */
export type CountedEngagement = Pick<
  Row<'engagements'>,
  'id' | 'contact_id' | 'mailing_id' | 'kind' | 'happened_at' | 'verdict' | 'reasons'
>

export const engagementColumns = [
  'opens',
  'proxy_opens',
  'machine_opens',
  'unjudged_opens',
  'clicks',
  'machine_clicks',
  'unjudged_clicks',
  'replies',
] as const satisfies (keyof EngagementCounts)[]

export const receptionColumns = [
  'people_sent',
  'people_delivered',
  'people_opened',
  'people_clicked',
  'all_people_opened',
  'all_people_clicked',
  'unjudged_people_opened',
  'unjudged_people_clicked',
  'people_replied',
  'people_bounced',
  'people_complained',
  'people_unsubscribed',
] as const satisfies (keyof ReceptionCounts)[]

export const noEngagements: Readonly<EngagementCounts> = {
  opens: 0,
  proxy_opens: 0,
  machine_opens: 0,
  unjudged_opens: 0,
  clicks: 0,
  machine_clicks: 0,
  unjudged_clicks: 0,
  replies: 0,
}

/** Adds one engagement to counts, or takes it away (-1). */
export function countEngagement(
  into: EngagementCounts,
  { kind, verdict, reasons }: Pick<CountedEngagement, 'kind' | 'verdict' | 'reasons'>,
  by = 1,
) {
  const name = engagementKind(kind)
  if (name === 'replied') into.replies += by
  if (name === 'opened') {
    if (verdict === engagementVerdict.proxy) into.proxy_opens += by
    else if (verdict === engagementVerdict.machine) into.machine_opens += by
    else {
      into.opens += by
      if (isUnjudged(reasons)) into.unjudged_opens += by
    }
  }
  if (name === 'clicked') {
    if (!counts(verdict)) into.machine_clicks += by
    else {
      into.clicks += by
      if (isUnjudged(reasons)) into.unjudged_clicks += by
    }
  }
}

/** The kinds in which somebody, or something, does something. Deliveries and bounces are done to people. */
export const deedNumbers = (['opened', 'clicked', 'replied'] as const).map(engagementNumber)
export const isDeed = (kind: number) => deedNumbers.includes(kind)

/** Was anything done by a person (or, with `machines`, by whomever)? */
export const isActive = (
  { opens, clicks, replies, proxy_opens, machine_opens, machine_clicks }: EngagementCounts,
  { machines = false } = {},
) => opens + clicks + replies + (machines ? proxy_opens + machine_opens + machine_clicks : 0) > 0

/**
 * What one contact did with one mailing, from all engagements of the two, in whatever order.
 * @param sealed what those that are removed had come to
 * @returns null when there are none
 */
export function receptionOf(
  engagements: CountedEngagement[],
  { contact_id, mailing_id }: { contact_id: number; mailing_id: number },
  sealed: Row<'sealed_receptions'> | null = null,
): Reception | null {
  if (engagements.length === 0 && sealed === null) return null
  const instants = (...kinds: string[]) =>
    engagements
      .filter(({ kind }) => kinds.includes(engagementKind(kind)))
      .map(({ happened_at }) => happened_at)
  const counted = (kind: string) =>
    engagements
      .filter((row) => engagementKind(row.kind) === kind && counts(row.verdict))
      .map(({ happened_at }) => happened_at)
  const deeds = engagements.filter(({ kind }) => isDeed(kind))
  // Nobody opens, clicks or answers what did not arrive, even if nobody told of the arrival.
  const arrived =
    earliest(instants('delivered'), sealed?.delivered_at) ??
    earliest(
      instants('opened', 'clicked', 'replied', 'complained', 'unsubscribed', 'commented'),
      sealed?.arrived_at,
    )
  const bounced = arrived === null && instants('bounced', 'rejected').length > 0
  const sent = earliest(instants('sent'), sealed?.sent_at)
  const reception: Reception = {
    contact_id,
    mailing_id,
    sent_at: sent,
    // Delivered is what was sent and did not bounce; some providers tell of nothing more.
    delivered_at: bounced ? null : (arrived ?? sent),
    ...countsOf(sealed),
    bounced: bounced ? 1 : 0,
    complained: instants('complained').length > 0 ? 1 : 0,
    unsubscribed: instants('unsubscribed').length > 0 ? 1 : 0,
    first_opened_at: earliest(counted('opened'), sealed?.first_opened_at),
    first_clicked_at: earliest(counted('clicked'), sealed?.first_clicked_at),
    last_active_at: latest(
      deeds.filter(({ verdict }) => counts(verdict)).map(({ happened_at }) => happened_at),
      sealed?.last_active_at,
    ),
    machine_last_active_at: latest(
      deeds.filter(({ verdict }) => !counts(verdict)).map(({ happened_at }) => happened_at),
      sealed?.machine_last_active_at,
    ),
  }
  for (const engagement of engagements) countEngagement(reception, engagement)
  return reception
}

const countsOf = (sealed: EngagementCounts | null): EngagementCounts =>
  Object.fromEntries(
    engagementColumns.map((column) => [column, sealed?.[column] ?? 0]),
  ) as unknown as EngagementCounts

/** @param known beside these; null or missing where nothing is */
const earliest = (instants: number[], known?: number | null) => extreme(Math.min, instants, known)
const latest = (instants: number[], known?: number | null) => extreme(Math.max, instants, known)
function extreme(pick: (...instants: number[]) => number, instants: number[], known?: number | null) {
  const all = known == null ? instants : [...instants, known]
  return all.length === 0 ? null : pick(...all)
}

/** What one reception adds to the counts of its mailing. */
export function peopleOf(reception: Reception | null): ReceptionCounts {
  const is = (truth: boolean | undefined) => Number(truth ?? false)
  const r = reception
  return {
    people_sent: is(r !== null && (r.sent_at !== null || r.delivered_at !== null || r.bounced === 1)),
    people_delivered: is(r !== null && r.delivered_at !== null),
    people_opened: is(r !== null && r.opens > 0),
    people_clicked: is(r !== null && r.clicks > 0),
    all_people_opened: is(r !== null && r.opens + r.proxy_opens + r.machine_opens > 0),
    all_people_clicked: is(r !== null && r.clicks + r.machine_clicks > 0),
    unjudged_people_opened: is(r !== null && r.opens > 0 && r.opens === r.unjudged_opens),
    unjudged_people_clicked: is(r !== null && r.clicks > 0 && r.clicks === r.unjudged_clicks),
    people_replied: is(r !== null && r.replies > 0),
    people_bounced: is(r?.bounced === 1),
    people_complained: is(r?.complained === 1),
    people_unsubscribed: is(r?.unsubscribed === 1),
  }
}
