import { type Calendar, dayLength, mondayOf } from '../web/calendar.js'
import type { DateFormats } from '../web/formats.js'

export const units = ['day', 'week', 'month'] as const
/** Weeks begin on Monday. */
export type Unit = (typeof units)[number]

export const ranges = ['30', '90', '365', 'all'] as const
/** So many days up to today, or everything. */
export type Range = (typeof ranges)[number]

/** The units in which a range can be read, the usual one first. */
export const unitsOf = {
  '30': ['day', 'week'],
  '90': ['day', 'week', 'month'],
  '365': ['week', 'day', 'month'],
  all: ['month', 'week'],
} as const satisfies Record<Range, readonly Unit[]>

/** A chart has only so many pixels, and a table only so many rows that somebody reads. */
export const mostPeriods = 400

/** The first day of the week or month in which a day falls, or the day itself. */
export function startOfPeriod(day: string, unit: Unit): string {
  if (unit === 'day') return day
  if (unit === 'month') return `${day.slice(0, 7)}-01`
  return mondayOf(day)
}

/** The first day of the period after the one that begins on this day. */
export function nextPeriod(calendar: Calendar, start: string, unit: Unit): string {
  if (unit !== 'month') return calendar.shift(start, unit === 'day' ? 1 : 7)
  return startOfPeriod(calendar.shift(start, 31), 'month')
}

export interface Periods {
  unit: Unit
  /** The first day of each, the last of them running. */
  starts: string[]
}

/**
 * The periods of a range, without gaps, each of them whole but the one that runs: a range of 30 days by week begins
 * with the week in which its first day falls.
 * @param earliest the first day of which anything is known, for `all`
 */
export function periodsOf(
  calendar: Calendar,
  { range, by, today, earliest }: { range: Range; by: Unit; today: string; earliest: string },
): Periods {
  const first = range === 'all' ? earliest : calendar.shift(today, 1 - Number(range))
  const days = (Date.parse(today) - Date.parse(first)) / dayLength
  const unit = by === 'week' && days / 7 > mostPeriods ? 'month' : by
  const starts: string[] = []
  let start = startOfPeriod(first < today ? first : today, unit)
  // A date of long ago is a mistake of somebody's; it must not make the page endless.
  for (; start <= today && starts.length < 3 * mostPeriods; start = nextPeriod(calendar, start, unit))
    starts.push(start)
  return { unit, starts }
}

/** "Fri 20 Nov", "Week of 16 Nov 2026", "Nov 2026". */
export function periodName(dates: DateFormats, at: number, unit: Unit): string {
  if (unit === 'month') return dates.date(at).replace(/^\d+ /, '')
  return unit === 'week' ? `Week of ${dates.date(at)}` : dates.moment(at).replace(/, [\d:]+$/, '')
}
