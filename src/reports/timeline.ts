import { mostPeriods, startOfPeriod, type Unit } from '../audience/periods.js'
import { type Calendar, dayLength } from '../web/calendar.js'

/** Counts of a day, or of the week or month that begins on it. */
export type Dated<Name extends string> = { on: string } & Record<Name, number>

export interface Timeline<Name extends string> {
  unit: Unit
  /** Without gaps, the oldest first; the first begins with the period. */
  points: Dated<Name>[]
  /** The day with the most of the name that comes first; null where no day has any. */
  top: Dated<Name> | null
}

/**
 * What each day of a period brought, or, where a picture cannot hold so many, the weeks or months of which they are a part.
 * Of more months than that the last are told.
 * @param period days, both included
 * @param days those that brought something, each once, in any order
 */
export function timelineOf<Name extends string>(
  calendar: Calendar,
  { from, to }: { from: string; to: string },
  names: readonly [Name, ...Name[]],
  days: readonly Dated<Name>[],
): Timeline<Name> {
  const length = (Date.parse(to) - Date.parse(from)) / dayLength + 1
  const unit: Unit = length <= mostPeriods ? 'day' : length <= 7 * mostPeriods ? 'week' : 'month'
  const points = new Map<string, Dated<Name>>()
  // Backwards, since a first day of long ago is a mistake of somebody's and must not make it endless.
  for (
    let start = startOfPeriod(to, unit);
    start >= startOfPeriod(from, unit) && points.size < mostPeriods;
    start = startOfPeriod(calendar.shift(start, -1), unit)
  ) {
    const none = Object.fromEntries(names.map((name) => [name, 0]))
    points.set(start, { on: start < from ? from : start, ...none } as Dated<Name>)
  }
  let top: Dated<Name> | null = null
  for (const day of days) {
    const point = points.get(startOfPeriod(day.on, unit))
    if (!point || day.on < from || day.on > to) continue
    for (const name of names) (point as Record<Name, number>)[name] += day[name]
    const [first] = names
    if (day[first] > (top?.[first] ?? 0) || (top && day[first] === top[first] && day.on < top.on)) top = day
  }
  return { unit, points: [...points.values()].reverse(), top }
}

/**
 * What a line shows of the points of a timeline: no day, week or month that is not over yet, whose low number would look
 * like a fall; a single one is shown.
 * @param last the last day of the period
 */
export function lineOf<Point>(
  points: readonly Point[],
  read: (point: Point) => number,
  { last, today }: { last: string; today: string },
): (number | null)[] {
  const isRunning = last >= today && points.length > 1
  return points.map((point, index) => (isRunning && index === points.length - 1 ? null : read(point)))
}

/** Where the points of a timeline stand, in days since the first, and six of them by name. */
export function axisOf(
  { unit, points }: { unit: Unit; points: readonly { on: string }[] },
  f: { shortDay(day: string): string; month(day: string): string },
) {
  const at = (on: string) => (Date.parse(on) - Date.parse(points[0]!.on)) / dayLength
  const step = Math.max(1, Math.ceil(points.length / 6))
  return {
    x: points.map(({ on }) => at(on)),
    ticks: points.flatMap(({ on }, index) =>
      index % step === 0 ? [{ x: at(on), label: unit === 'day' ? f.shortDay(on) : f.month(on) }] : [],
    ),
  }
}
