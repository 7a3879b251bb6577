/** Days and hours as the reporting time zone sees them. */
export interface Calendar {
  readonly timeZone: string
  /** The day, `YYYY-MM-DD`, on which an instant falls. */
  dayOf(instant: number): string
  /** The instant at which a day begins. */
  startOf(day: string): number
  /** The day so many days later (or, negative, earlier). */
  shift(day: string, days: number): string
}

export const hourLength = 3_600_000
export const dayLength = 24 * hourLength
/** As {@link weekdayOf} numbers them, from 1 on. */
export const weekdays = [
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
  'Sunday',
] as const
/** Which day of the week a day (`YYYY-MM-DD`) is: 1 is Monday, 7 is Sunday. */
export const weekdayOf = (day: string) => ((new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7) + 1
/** The Monday, `YYYY-MM-DD`, of the week in which a day falls. */
export const mondayOf = (day: string) =>
  new Date(Date.parse(`${day}T00:00:00Z`) - (weekdayOf(day) - 1) * dayLength).toISOString().slice(0, 10)
/** Every zone's offset is a multiple of this, so neither a day nor an hour changes within one. */
export const quarterLength = 900_000
const quarter = quarterLength

/** @param timeZone an IANA name, such as `Europe/Berlin` */
export function calendar(timeZone: string): Calendar {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  })
  const days = new Map<number, string>()
  function dayOf(instant: number) {
    const slot = Math.floor(instant / quarter)
    let day = days.get(slot)
    if (day === undefined) {
      day = format.format(slot * quarter)
      if (days.size > 5_000) days.clear()
      days.set(slot, day)
    }
    return day
  }
  function startOf(day: string) {
    // Zones lie between 12 hours behind and 14 ahead of UTC; walk in quarters from before to the first that fits.
    const noon = Date.parse(`${day}T12:00:00Z`)
    let low = Math.floor((noon - 27 * hourLength) / quarter)
    let high = Math.floor((noon + 15 * hourLength) / quarter)
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (dayOf(middle * quarter) < day) low = middle + 1
      else high = middle
    }
    return low * quarter
  }
  const shift = (day: string, by: number) =>
    new Date(Date.parse(`${day}T00:00:00Z`) + by * dayLength).toISOString().slice(0, 10)
  return { timeZone, dayOf, startOf, shift }
}
