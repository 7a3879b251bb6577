import { type Calendar, weekdayOf, weekdays } from '../web/calendar.js'

// When a schedule is due. Pure arithmetic on the calendar of the reporting time zone: days and the clock as people there
// see them, daylight-saving changes included.

/** `day` is 1 (Monday) to 7 of a week, 1 to 31 of a month, or the days after a mailing was sent; `minute` is of the day. */
export interface Rule {
  kind: 'weekly' | 'monthly' | 'after-mailing'
  day: number
  minute: number
}

const quarter = 15 * 60_000

/** The minute of the day that the clock of a time zone shows. */
function clockOf(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })
  return (instant: number) => {
    const [hours, minutes] = format.format(instant).split(':').map(Number) as [number, number]
    return (hours % 24) * 60 + minutes
  }
}

/**
 * The instant at which the clock first shows a minute of a day. Where the clock leaps over it (in spring), the instant
 * of the leap; where it shows it twice (in autumn), the first time.
 * @param minute of the day, 0 to 1439
 */
export function instantOf(calendar: Calendar, day: string, minute: number): number {
  const clock = clockOf(calendar.timeZone)
  const end = calendar.startOf(calendar.shift(day, 1))
  for (let slot = calendar.startOf(day); slot < end; slot += quarter) {
    const shown = clock(slot)
    if (shown + 14 >= minute) return slot + Math.max(0, minute - shown) * 60_000
  }
  return end // a day whose clock leaps over its last minutes
}

const dayOfMonth = (day: string) => Number(day.slice(8))
const isLastOfMonth = (calendar: Calendar, day: string) => dayOfMonth(calendar.shift(day, 1)) === 1

/** Does a rule of the calendar fall on this day? The 31st of a shorter month is its last day. */
const fallsOn = (calendar: Calendar, { kind, day }: Rule, on: string) =>
  kind === 'weekly'
    ? weekdayOf(on) === day
    : dayOfMonth(on) === day || (dayOfMonth(on) < day && isLastOfMonth(calendar, on))

/** More days than lie between two times of any rule of the calendar. */
const farEnough = 33

/** When the mailings are due that were sent at these instants, the first first. */
const afterMailings = (calendar: Calendar, { day, minute }: Rule, sentAt: readonly number[]) =>
  sentAt
    .map((at) => instantOf(calendar, calendar.shift(calendar.dayOf(at), day), minute))
    .sort((one, other) => one - other)

/**
 * The last time that a rule was due, up to an instant.
 * @param sentAt when the mailings were sent that the rule is about
 * @returns milliseconds; null when it never was
 */
export function lastDue(
  calendar: Calendar,
  rule: Rule,
  { until, sentAt = [] }: { until: number; sentAt?: readonly number[] },
): number | null {
  if (rule.kind === 'after-mailing')
    return afterMailings(calendar, rule, sentAt).findLast((at) => at <= until) ?? null
  const today = calendar.dayOf(until)
  for (let back = 0; back <= farEnough; back++) {
    const on = calendar.shift(today, -back)
    if (!fallsOn(calendar, rule, on)) continue
    const at = instantOf(calendar, on, rule.minute)
    if (at <= until) return at
  }
  return null
}

/** The next time that a rule is due after an instant; null when that depends on a mailing nobody has sent yet. */
export function nextDue(
  calendar: Calendar,
  rule: Rule,
  { after, sentAt = [] }: { after: number; sentAt?: readonly number[] },
): number | null {
  if (rule.kind === 'after-mailing')
    return afterMailings(calendar, rule, sentAt).find((at) => at > after) ?? null
  const today = calendar.dayOf(after)
  for (let ahead = 0; ahead <= farEnough; ahead++) {
    const on = calendar.shift(today, ahead)
    if (!fallsOn(calendar, rule, on)) continue
    const at = instantOf(calendar, on, rule.minute)
    if (at > after) return at
  }
  return null
}

/** 08:30 */
export const clockWords = (minute: number) =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

/** Every Monday at 08:30 */
export function ruleWords({ kind, day, minute }: Rule): string {
  const at = `at ${clockWords(minute)}`
  if (kind === 'weekly') return `Every ${weekdays[day - 1]} ${at}`
  if (kind === 'after-mailing')
    return `${day === 1 ? 'The day' : `${day} days`} after a mailing was sent, ${at}`
  return day === 31 ? `The last day of each month ${at}` : `Day ${day} of each month ${at}`
}
