import type { Calendar } from './calendar.js'
import { dayLength, hourLength } from './calendar.js'
import { withDoubt } from './shares.js'

/** What stands where there is no value. */
export const noValue = '–'

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** 12,480; −512 with a sign as wide as a plus; an en dash for none. */
export const number = (value: number | null) =>
  value === null ? noValue : grouped.format(value).replace('-', '−')

/** A share of one as per cent: 0.0473 is "4.73%". An en dash for none. */
export const percent = (share: number | null, decimals = 2) =>
  share === null ? noValue : `${(share * 100).toFixed(decimals)}%`

/** A probability: 92.6%, "over 99.9%". @param share of one */
export function chance(share: number): string {
  const told = withDoubt(share)
  return `${told.words}${percent(told.share, 1)}`
}

/** 840 kB, 3.2 MB, 41 GB: an amount of data in units of a thousand. */
export function bytes(count: number) {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = count
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** Small numbers as a sentence has them, by their value. */
export const numberWords = [
  'no',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
]

/** A word with its number: 1 person, 2 people. */
export const plural = (count: number, one: string, many: string) =>
  `${number(count)} ${count === 1 ? one : many}`

/**
 * How dates read: relative under two weeks, then days; the exact instant always in the reporting time zone.
 * All instants are milliseconds.
 */
export function dateFormats({ timeZone }: Pick<Calendar, 'timeZone'>) {
  const known = formatsOfZones.get(timeZone) ?? formatsIn(timeZone)
  formatsOfZones.set(timeZone, known)
  return known
}

function formatsIn(timeZone: string) {
  const of = (options: Intl.DateTimeFormatOptions) => {
    const format = new Intl.DateTimeFormat('en-GB', { timeZone, ...options })
    // British English alone abbreviates September to four letters.
    return { format: (instant: number) => format.format(instant).replace('Sept', 'Sep') }
  }
  const day = of({ day: 'numeric', month: 'short' })
  const dayOfYear = of({ day: 'numeric', month: 'short', year: 'numeric' })
  const weekday = of({ weekday: 'short' })
  const clock = of({ hour: '2-digit', minute: '2-digit' })
  const seconds = of({ hour: '2-digit', minute: '2-digit', second: '2-digit' })
  const zone = timeZone === 'UTC' ? 'UTC' : timeZone

  const year = (instant: number) => new Date(instant).getUTCFullYear()
  const formats = {
    /** 16 Nov 2026 */
    date: (instant: number) => dayOfYear.format(instant),
    /** Fri 20 Nov, 14:32 */
    moment: (instant: number) =>
      `${weekday.format(instant)} ${day.format(instant)}, ${clock.format(instant)}`,
    /** Fri 20 Nov 2026, 14:32:04 UTC */
    exact: (instant: number) =>
      `${weekday.format(instant)} ${dayOfYear.format(instant)}, ${seconds.format(instant)} ${zone}`,
    /** 14:32:05 */
    clock: (instant: number) => seconds.format(instant),
    /** 4 s ago, 3 h ago, 2 days ago; after two weeks 16 Nov, with the year when it is another one. */
    ago(instant: number, now: number) {
      const past = now - instant
      if (past < 1000) return 'just now'
      if (past < 60_000) return `${Math.floor(past / 1000)} s ago`
      if (past < hourLength) return `${Math.floor(past / 60_000)} min ago`
      if (past < dayLength) return `${Math.floor(past / hourLength)} h ago`
      if (past < 2 * dayLength) return '1 day ago'
      if (past < 14 * dayLength) return `${Math.floor(past / dayLength)} days ago`
      return year(instant) === year(now) ? day.format(instant) : dayOfYear.format(instant)
    },
    iso: (instant: number) => new Date(instant).toISOString(),
  }
  return formats
}
export type DateFormats = ReturnType<typeof formatsIn>

/** Making the formats of a zone costs as much as thousands of dates. */
const formatsOfZones = new Map<string, DateFormats>()

/** 4 min, 3 h, 2 days: a length of time in its largest whole unit. */
export function duration(milliseconds: number) {
  if (milliseconds < 60_000) return `${Math.max(1, Math.round(milliseconds / 1000))} s`
  if (milliseconds < hourLength) return `${Math.round(milliseconds / 60_000)} min`
  if (milliseconds < 2 * dayLength) return `${Math.round(milliseconds / hourLength)} h`
  return `${Math.round(milliseconds / dayLength)} days`
}
