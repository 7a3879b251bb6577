import type { Counting } from '../audience/counting.js'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { firstOpenOrClick, hoursKept } from '../audience/sealing.js'
import { wholeParts } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import { dayLength, hourLength } from '../web/calendar.js'
import { type Curve, dailyIncrements, increments, movingAverage } from './curves.js'
import { type Column, columnOf, known } from './statistics.js'

export const spans = ['72h', '30d'] as const
/** So long after sending: the first three days by the hour, or a month by the day. */
export type Span = (typeof spans)[number]
export const spanLengths: Record<Span, number> = { '72h': 72 * hourLength, '30d': 30 * dayLength }

const slotsOf = {
  '72h': { length: hourLength, count: 72, unit: 'hour' },
  '30d': { length: dayLength, count: 30, unit: 'day' },
} as const

export interface MailingPoint {
  /** The instant at which the hour or day after sending ends, or now where it still runs. */
  at: number
  /** How many hours or days after sending that is. */
  after: number
  /** Up to this instant. */
  opens: number
  clicks: number
  /** In this hour or day alone. */
  newOpens: number
  newClicks: number
}
export interface MailingSeries {
  unit: 'hour' | 'day'
  /** When it was sent; where nobody said so, the first open or click. null: nothing happened. */
  start: number | null
  points: MailingPoint[]
}

const [opened, clicked] = [engagementNumber('opened'), engagementNumber('clicked')]

/** The opens and clicks of a mailing in each hour of its first thirty days. */
export interface MailingHours {
  /** When it was sent; where nobody said so, the first open or click. null: nothing happened. */
  start: number | null
  opens: number[]
  clicks: number[]
}

/** It looks at every open and click of these days: remember the answer for a while. */
export async function readMailingHours(
  readers: Readers,
  mailing: { id: number; sent_at: number | null },
  { machines }: Counting,
): Promise<MailingHours> {
  const opens = Array.from({ length: hoursKept }, () => 0)
  const clicks = Array.from({ length: hoursKept }, () => 0)
  const start = mailing.sent_at ?? (await firstOpenOrClick(readers, mailing.id))
  if (start === null) return { start, opens, clicks }
  const rows = await readers
    .selectFrom('engagements')
    .where('mailing_id', '=', mailing.id)
    .where('kind', 'in', [opened, clicked])
    .where('happened_at', '<', start + hoursKept * hourLength)
    .$if(!machines, (query) => query.where('verdict', '<', 2))
    .select((eb) => [
      'kind',
      wholeParts(eb.parens(eb(eb.ref('happened_at'), '-', start)), hourLength).as('slot'),
      eb.fn.countAll<number>().as('events'),
    ])
    .groupBy(['kind', 'slot'])
    .execute()
  // Clocks differ: what seems to have come before it was sent came at once.
  for (const { kind, slot, events } of rows) (kind === opened ? opens : clicks)[Math.max(slot, 0)]! += events
  const removed = await readers
    .selectFrom('sealed_mailing_hours')
    .selectAll()
    .where('mailing_id', '=', mailing.id)
    .execute()
  for (const row of removed) {
    opens[row.hour]! += row.opens + (machines ? row.machine_opens : 0)
    clicks[row.hour]! += row.clicks + (machines ? row.machine_clicks : 0)
  }
  return { start, opens, clicks }
}

/** How opens and clicks of a mailing grew since it was sent, up to now. */
export function seriesOf({ start, ...hours }: MailingHours, span: Span, now: number): MailingSeries {
  const { length, count, unit } = slotsOf[span]
  if (start === null || start > now) return { unit, start, points: [] }
  const each = length / hourLength
  const sum = (what: 'opens' | 'clicks', slot: number) =>
    hours[what].slice(slot * each, (slot + 1) * each).reduce((total, events) => total + events, 0)
  const points: MailingPoint[] = [{ at: start, after: 0, opens: 0, clicks: 0, newOpens: 0, newClicks: 0 }]
  for (let slot = 0; slot < count && start + slot * length < now; slot++) {
    const before = points.at(-1)!
    const [newOpens, newClicks] = [sum('opens', slot), sum('clicks', slot)]
    points.push({
      at: Math.min(start + (slot + 1) * length, now),
      after: slot + 1,
      opens: before.opens + newOpens,
      clicks: before.clicks + newClicks,
      newOpens,
      newClicks,
    })
  }
  return { unit, start, points }
}

/** The provider's own numbers of one mailing, as often as one of them had changed. */
export interface MailingHistory {
  points: HistoryPoint[]
  /** Cumulative opens and clicks, for {@link dailyIncrements} and its kin. Without an instant of sending there is none. */
  curves: { opens: Curve; clicks: Curve } | null
}
export interface HistoryPoint {
  at: number
  /** Milliseconds since it was sent; null where nobody told when that was. */
  since: number | null
  /** null where the provider did not say. */
  opens: number | null
  clicks: number | null
  opened: number | null
  clicked: number | null
  /** Since the snapshot before; negative where the provider corrected itself. */
  newOpens: number | null
  newClicks: number | null
  /** One of the provider's numbers went down. */
  isLower: boolean
}

/** A mailing has some hundred snapshots in its life; of one that has more, these are the first. */
const mostSnapshots = 2_000

/** @param checkedAt when the provider was last asked: what has not changed since the last snapshot still holds then */
export async function readHistory(
  readers: Readers,
  mailing: { id: number; sent_at: number | null },
  { checkedAt, delivered }: { checkedAt: number; delivered: number },
): Promise<MailingHistory> {
  const rows = await readers
    .selectFrom('mailing_snapshots')
    .select(['taken_at', 'opens', 'unique_opens', 'clicks', 'unique_clicks', 'is_lower'])
    .where('mailing_id', '=', mailing.id)
    .orderBy('taken_at')
    .limit(mostSnapshots)
    .execute()
  const { sent_at } = mailing
  // Some providers tell of people alone.
  const opens = columnOf(rows, (row) => row.opens ?? row.unique_opens)
  const clicks = columnOf(rows, (row) => row.clicks ?? row.unique_clicks)
  const [newOpens, newClicks] = [increments(opens).increment, increments(clicks).increment]
  const at = columnOf(rows, (row) => row.taken_at)
  const curve = (count: Column): Curve => ({ sentAt: sent_at ?? 0, at, count, until: checkedAt, delivered })
  return {
    points: rows.map((row, index) => ({
      at: row.taken_at,
      since: sent_at === null ? null : row.taken_at - sent_at,
      opens: known(opens[index]),
      clicks: known(clicks[index]),
      opened: row.unique_opens,
      clicked: row.unique_clicks,
      newOpens: known(newOpens[index]),
      newClicks: known(newClicks[index]),
      isLower: row.is_lower === 1,
    })),
    curves: sent_at === null ? null : { opens: curve(opens), clicks: curve(clicks) },
  }
}

/** What one day since the sending added, a spell of 24 hours; and the moving average of the seven days up to it. */
export interface DayPoint {
  /** The instant at which the day ends. */
  at: number
  /** 1 is the first. */
  day: number
  /** null where nobody looked early enough to tell. Negative where the provider's corrections outweigh what came. */
  newOpens: number | null
  newClicks: number | null
  opensAverage: number | null
  clicksAverage: number | null
}

const shownDays = 30

/** Day by day, as far as days are over. @param days what each of the first days added; NaN where that is unknown */
function daysOf(sentAt: number, days: { opens: Column; clicks: Column }, until: number): DayPoint[] {
  const [opensAverage, clicksAverage] = [movingAverage(days.opens), movingAverage(days.clicks)]
  const over = Math.max(0, Math.min(days.opens.length, Math.floor((until - sentAt) / dayLength)))
  return Array.from({ length: over }, (_, index) => ({
    at: sentAt + (index + 1) * dayLength,
    day: index + 1,
    newOpens: known(days.opens[index]),
    newClicks: known(days.clicks[index]),
    opensAverage: known(opensAverage[index]),
    clicksAverage: known(clicksAverage[index]),
  }))
}

/** Day by day as the provider's snapshots tell it. */
export const daysOfHistory = ({ opens, clicks }: NonNullable<MailingHistory['curves']>) =>
  daysOf(
    opens.sentAt,
    { opens: dailyIncrements(opens, shownDays), clicks: dailyIncrements(clicks, shownDays) },
    opens.until,
  )

/** Day by day as events tell it. @param points by the day */
export const daysOfSeries = ({ start, points }: MailingSeries, now: number) =>
  start === null
    ? []
    : daysOf(
        start,
        {
          opens: columnOf(points.slice(1), ({ newOpens }) => newOpens),
          clicks: columnOf(points.slice(1), ({ newClicks }) => newClicks),
        },
        now,
      )
