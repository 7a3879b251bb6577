import { type Calendar, dayLength } from '../web/calendar.js'

/** Days (`YYYY-MM-DD`), both included. */
interface Spell {
  from: string
  to: string
}

/** The days of a period that have come by now, and as many days before them. */
export function spellsOf(
  { from, to }: Spell,
  { calendar, now }: { calendar: Calendar; now: number },
): { period: Spell; before: Spell } {
  const today = calendar.dayOf(now)
  const last = to < today ? to : today
  const days = (Date.parse(last) - Date.parse(from)) / dayLength + 1
  return {
    period: { from, to: last },
    before: { from: calendar.shift(from, -days), to: calendar.shift(from, -1) },
  }
}
