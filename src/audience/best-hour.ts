import type { Readers } from '../database/readers.js'
import type { EngagementCounts } from '../database/schema.js'
import { type Calendar, dayLength, weekdays } from '../web/calendar.js'
import { type Counting, clicksOf, opensOf } from './counting.js'
import { engagementColumns } from './receptions.js'

/** So many days back, today left out: it has seen only some of its hours. */
export const heatDays = 90

export type QuarterCounts = EngagementCounts & { quarter_at: number }

export interface Heat {
  /** Events by weekday (Monday first) and hour of the day, both in the reporting time zone. */
  cells: number[][]
  total: number
  /** The slot with the most events; null without any. */
  best: Slot | null
  /** The second most; equals go by their place in the week. */
  second: Slot | null
  /** How probable it is that the best leads the second in the long run too, 0.5 to 1; null where it cannot be told. */
  sureness: number | null
}
export interface Slot {
  /** 0 is Monday. */
  weekday: number
  hour: number
  count: number
}

/** The counts of each quarter of an hour of the last {@link heatDays} days, of one list's mailings or (0) of all. */
export const quartersOf = (
  readers: Readers,
  calendar: Calendar,
  { list, now }: { list: number; now: number },
) => {
  const today = calendar.startOf(calendar.dayOf(now))
  return readers
    .selectFrom('engagement_quarters')
    .select(({ fn }) => [
      'quarter_at',
      ...engagementColumns.map((column) => fn.sum<number>(column).as(column)),
    ])
    .where('quarter_at', '>=', today - heatDays * dayLength)
    .where('quarter_at', '<', today)
    .$if(list > 0, (query) => query.where('list_id', '=', list))
    .groupBy('quarter_at')
    .execute()
}

/**
 * When people open or click, and how sure the best slot is.
 *
 * The events of one hour are no independent draws: a single mailing brings a wave. So the weeks are what is compared:
 * the difference between the best and the second slot, week by week, over its standard error, read as the normal
 * probability that it is above zero. Fewer than four weeks, or fewer than 100 events, tell nothing.
 */
export function heatOf(
  quarters: QuarterCounts[],
  calendar: Calendar,
  { what, machines, now }: Counting & { what: 'opens' | 'clicks'; now: number },
): Heat {
  const slotOf = slots(calendar.timeZone)
  const today = calendar.startOf(calendar.dayOf(now))
  const cells = weekdays.map(() => Array.from({ length: 24 }, () => 0))
  const weekly = new Map<string, number[]>()
  const weeks = Math.floor(heatDays / 7)
  let firstWeek = 0
  for (const row of quarters) {
    const count = what === 'opens' ? opensOf(row, { machines }) : clicksOf(row, { machines })
    if (count === 0) continue
    const { weekday, hour } = slotOf(row.quarter_at)
    cells[weekday]![hour]! += count
    const week = Math.floor((today - 1 - row.quarter_at) / (7 * dayLength))
    if (week < 0 || week >= weeks) continue
    firstWeek = Math.max(firstWeek, week + 1)
    const key = `${weekday} ${hour}`
    const counts = weekly.get(key) ?? Array.from({ length: weeks }, () => 0)
    counts[week]! += count
    weekly.set(key, counts)
  }
  const ranked = cells
    .flatMap((row, weekday) => row.map((count, hour) => ({ weekday, hour, count })))
    .filter(({ count }) => count > 0)
    .sort((one, other) => other.count - one.count)
  const [best = null, second = null] = ranked
  const total = ranked.reduce((sum, { count }) => sum + count, 0)
  const weeksOf = (slot: Slot) => (weekly.get(`${slot.weekday} ${slot.hour}`) ?? []).slice(0, firstWeek)
  const sureness = best && second && total >= 100 ? leadIsReal(weeksOf(best), weeksOf(second)) : null
  return { cells, total, best, second, sureness }
}

/** Which weekday and hour of the reporting time zone an instant falls in. */
function slots(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'long',
    hour: '2-digit',
    hourCycle: 'h23',
  })
  return (instant: number) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]))
    return { weekday: weekdays.indexOf(parts.weekday as never), hour: Number(parts.hour) }
  }
}

/** The probability that one row of weekly counts lies above the other in the long run; null where there are too few. */
export function leadIsReal(one: number[], other: number[]): number | null {
  const weeks = Math.min(one.length, other.length)
  if (weeks < 4) return null
  const differences = Array.from({ length: weeks }, (_, week) => one[week]! - other[week]!)
  const mean = differences.reduce((sum, difference) => sum + difference, 0) / weeks
  const variance = differences.reduce((sum, difference) => sum + (difference - mean) ** 2, 0) / (weeks - 1)
  if (variance === 0) return mean > 0 ? 1 : 0.5
  return Math.max(0.5, normal(mean / Math.sqrt(variance / weeks)))
}

/** The share of a normal distribution below so many standard deviations (Abramowitz and Stegun 26.2.17, to 1e-7). */
function normal(deviations: number) {
  const t = 1 / (1 + 0.2316419 * Math.abs(deviations))
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  const tail = (polynomial * Math.exp((-deviations * deviations) / 2)) / Math.sqrt(2 * Math.PI)
  return deviations > 0 ? 1 - tail : tail
}
