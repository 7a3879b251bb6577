import { wholeParts } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import { dayLength, hourLength } from '../web/calendar.js'
import type { Curve } from './curves.js'
import type { ListedMailing } from './mailing-list.js'
import { numberOf } from './mailing-numbers.js'
import type { Span } from './mailing-series.js'
import type { Mailing } from './queries.js'
import { columnOf } from './statistics.js'

/** So many mailings can be told apart side by side. */
export const fewest = 2
export const most = 8

/** The hours since sending at which curves are looked at. */
export const hoursOf: Record<Span, Float64Array> = {
  '72h': Float64Array.from({ length: 73 }, (_, hour) => hour),
  '30d': Float64Array.from({ length: 121 }, (_, index) => index * 6),
}
/** How long curves are read. */
const longest = 30 * dayLength
/** Some providers are asked hourly for a month; more than this of one mailing is nobody's schedule. */
const mostSnapshots = 2_000

/** How unique people who opened and clicked grew since a mailing was sent. */
export interface PeopleCurves {
  opened: Curve
  clicked: Curve
}

/**
 * The curves of one mailing, by the numbers that drive its rates: from the provider's snapshots where those are its own,
 * else from who first opened and clicked when. The latter looks at everybody who got the mailing: remember the answer for
 * a while.
 * @returns null where nobody told when it was sent, or tracking may be off
 */
export async function readPeopleCurves(
  readers: Readers,
  mailing: Mailing,
  { now }: { now: number },
): Promise<PeopleCurves | null> {
  const sentAt = mailing.sent_at
  if (sentAt === null || mailing.untracked) return null
  const delivered = mailing.people.delivered || Number.NaN
  if (mailing.basis === 'ours') {
    const grown = async (column: 'first_opened_at' | 'first_clicked_at'): Promise<Curve> => ({
      sentAt,
      delivered,
      until: now,
      ...(await firstDeeds(readers, mailing.id, { column, sentAt })),
    })
    const [opened, clicked] = await Promise.all([grown('first_opened_at'), grown('first_clicked_at')])
    return { opened, clicked }
  }
  const snapshots = await readers
    .selectFrom('mailing_snapshots')
    .select(['taken_at', 'unique_opens', 'unique_clicks'])
    .where('mailing_id', '=', mailing.id)
    .where('taken_at', '<=', sentAt + longest)
    .orderBy('taken_at')
    .orderBy('id')
    .limit(mostSnapshots)
    .execute()
  const told = (name: 'unique_opens' | 'unique_clicks'): Curve => ({
    sentAt,
    delivered,
    until: mailing.report?.checked_at ?? sentAt,
    at: columnOf(snapshots, ({ taken_at }) => taken_at),
    count: columnOf(snapshots, (snapshot) => snapshot[name]),
  })
  return { opened: told('unique_opens'), clicked: told('unique_clicks') }
}

/** People who had done it by the end of each hour since sending. */
async function firstDeeds(
  readers: Readers,
  mailing: number,
  { column, sentAt }: { column: 'first_opened_at' | 'first_clicked_at'; sentAt: number },
): Promise<Pick<Curve, 'at' | 'count'>> {
  const rows = await readers
    .selectFrom('receptions')
    .where('mailing_id', '=', mailing)
    .where(column, '<', sentAt + longest)
    .select((eb) => [
      wholeParts(eb.parens(eb(eb.ref(column).$notNull(), '-', sentAt)), hourLength).as('hour'),
      eb.fn.countAll<number>().as('people'),
    ])
    .groupBy('hour')
    .orderBy('hour')
    .execute()
  let sum = 0
  const points = rows.map(({ hour, people }) => {
    sum += people
    // Clocks differ: what seems to have come before it was sent came at once.
    return { at: sentAt + (Math.max(hour, 0) + 1) * hourLength, count: sum }
  })
  const all = [{ at: sentAt, count: 0 }, ...points]
  return { at: columnOf(all, ({ at }) => at), count: columnOf(all, ({ count }) => count) }
}

/**
 * The last mailings that went to the same list (or, where it went to none, from the same provider to none) before this
 * one; the newest first. @param all the newest first
 */
export function lastBefore(all: readonly ListedMailing[], mailing: ListedMailing, count: number) {
  const lists = new Set(mailing.lists.map(({ id }) => id))
  const isAlike = ({ provider, lists: others }: ListedMailing) =>
    lists.size > 0
      ? others.some(({ id }) => lists.has(id))
      : others.length === 0 && provider === mailing.provider
  const before = mailing.sent_at ?? Number.POSITIVE_INFINITY
  return all
    .filter(
      (other) =>
        other.id !== mailing.id &&
        other.sent_at !== null &&
        (other.sent_at < before || (other.sent_at === before && other.id < mailing.id)) &&
        (numberOf(other, 'delivered') ?? 0) > 0 &&
        isAlike(other),
    )
    .slice(0, count)
}
