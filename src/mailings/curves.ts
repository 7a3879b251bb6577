import { dayLength, hourLength } from '../web/calendar.js'
import { type Column, quantile } from './statistics.js'

/**
 * How a count of one mailing grew, as its snapshots tell. The count is cumulative: everything up to that instant.
 * Instants are UTC milliseconds, and days here are spells of 24 hours since the mailing was sent; no calendar and no
 * change of the clocks comes into it.
 */
export interface Curve {
  sentAt: number
  /** When each snapshot was taken, ascending. */
  at: Column
  /** The count at each snapshot; NaN where it did not say. It may go down: then the provider corrected itself. */
  count: Column
  /** The last instant at which the provider was asked. No snapshot since the last means that nothing changed up to here. */
  until: number
  /** Unique people who got the mailing, of whom the count is a share; NaN where nobody knows. */
  delivered: number
}

/** What each snapshot added. */
export interface Increments {
  /**
   * The count − the last one known before; the first is all since the sending. NaN where the snapshot did not say.
   * Negative where a snapshot is lower than the one before: a correction, by so much.
   */
  increment: Column
  /** 1 where the increment is a correction, else 0. */
  isCorrection: Uint8Array
}

/** @param count cumulative counts of one mailing, in the order of time */
export function increments(count: Column): Increments {
  const increment = new Float64Array(count.length)
  const isCorrection = new Uint8Array(count.length)
  let last = 0
  for (let index = 0; index < count.length; index++) {
    const added = count[index]! - last
    increment[index] = added
    if (Number.isNaN(added)) continue
    last += added
    if (added < 0) isCorrection[index] = 1
  }
  return { increment, isCorrection }
}

/**
 * The count at each of these hours since sending: that of the last snapshot at or before, as steps go. Zero at the sending
 * itself. NaN between the sending and the first snapshot (nobody looked), and after `until` (it is yet to come).
 * @param hours ascending; parts of an hour and hours before the sending may be asked for
 */
export function sample({ sentAt, at, count, until }: Curve, hours: Column): Column {
  const sampled = new Float64Array(hours.length)
  sampleRun({ at, count, from: 0, to: at.length, sentAt, until }, hours, sampled)
  return sampled
}

/** The snapshots of one mailing among those of all: rows `from` up to but not including `to`. */
interface Run {
  at: Column
  count: Column
  from: number
  to: number
  sentAt: number
  until: number
}

function sampleRun({ at, count, from, to, sentAt, until }: Run, hours: Column, sampled: Column) {
  let [next, last] = [from, Number.NaN]
  for (let index = 0; index < hours.length; index++) {
    const instant = sentAt + hours[index]! * hourLength
    for (; next < to && at[next]! <= instant; next++) if (!Number.isNaN(count[next]!)) last = count[next]!
    if (instant > until) sampled[index] = Number.NaN
    else sampled[index] = instant <= sentAt && Number.isNaN(last) ? 0 : last
  }
}

/** The count as a share of one of those delivered; NaN throughout where nothing was delivered or nobody knows. */
function shares(counts: Column, delivered: number): Column {
  return counts.map((count) => (delivered > 0 ? count / delivered : Number.NaN))
}

/**
 * Several mailings side by side, each from its own sending.
 * @param as the counts themselves, or shares of one of the delivered, in which large and small ones can be compared
 * @returns a column for each curve, with a row for each of the hours
 */
export function align(curves: readonly Curve[], hours: Column, as: 'count' | 'share'): Column[] {
  return curves.map((curve) => {
    const counts = sample(curve, hours)
    return as === 'count' ? counts : shares(counts, curve.delivered)
  })
}

/** What is usual of a list at each hour since sending, as shares of one of the delivered; NaN where no mailing tells. */
export interface Band {
  hours: Column
  median: Column
  /** The 10th and the 90th percentile: four mailings of five lie between. */
  low: Column
  high: Column
  /** How many mailings each hour is told by: young ones have not come so far, of old ones the first hours are missing. */
  mailings: Column
}

/**
 * The usual band of a list.
 * @param curves of the list's mailings, in any order. Without a known number of delivered one tells nothing, and is not
 *   among the last.
 * @param before only mailings sent before this instant count, so that none is compared with itself
 * @param last so many of them, the latest sent
 */
export function usualBand(
  curves: readonly Curve[],
  { hours, before, last }: { hours: Column; before: number; last: number },
): Band {
  const chosen = curves
    .filter(({ sentAt, delivered }) => sentAt < before && delivered > 0)
    .sort((a, b) => b.sentAt - a.sentAt)
    .slice(0, last)
  const aligned = align(chosen, hours, 'share')
  const empty = () => new Float64Array(hours.length)
  const band: Band = { hours, median: empty(), low: empty(), high: empty(), mailings: empty() }
  const values = new Float64Array(chosen.length)
  for (let hour = 0; hour < hours.length; hour++) {
    for (let index = 0; index < chosen.length; index++) values[index] = aligned[index]![hour]!
    band.median[hour] = quantile(values, 0.5) ?? Number.NaN
    band.low[hour] = quantile(values, 0.1) ?? Number.NaN
    band.high[hour] = quantile(values, 0.9) ?? Number.NaN
    band.mailings[hour] = values.reduce((count, value) => count + (Number.isNaN(value) ? 0 : 1), 0)
  }
  return band
}

/** The days of a moving average. */
export const averagedDays = 7

/**
 * The moving average: for each day the mean of its value and those of the days just before, seven in all. Of the first
 * days it is that of the days so far, and what is unknown is left out of the seven; NaN where all are. Unit of the values.
 * @param values one for each day, without gaps
 */
export function movingAverage(values: Column, days = averagedDays): Column {
  const averages = new Float64Array(values.length)
  averageRun(values, days, averages, 0)
  return averages
}

/** Seven values are summed anew each day: a sum that is carried along would carry its rounding along as well. */
function averageRun(values: Column, days: number, averages: Column, offset: number) {
  for (let day = 0; day < values.length; day++) {
    let [sum, count] = [0, 0]
    for (let index = Math.max(0, day - days + 1); index <= day; index++) {
      const value = values[index]!
      if (Number.isNaN(value)) continue
      sum += value
      count++
    }
    averages[offset + day] = sum / count
  }
}

/** 0, 24, 48 … hours since sending: where each of so many days begins, and the last one ends. */
const dayBounds = (days: number) =>
  Float64Array.from({ length: days + 1 }, (_, day) => (day * dayLength) / hourLength)

/**
 * What each of the first days since sending added: the count at its end − that at its beginning. Negative where corrections
 * outweigh what came. NaN where either is unknown; a day that is not over has no increment yet.
 * @param days how many
 */
export function dailyIncrements(curve: Curve, days: number): Column {
  const bounds = sample(curve, dayBounds(days))
  const daily = new Float64Array(days)
  differences(bounds, daily)
  return daily
}

function differences(bounds: Column, daily: Column) {
  for (let day = 0; day < daily.length; day++) daily[day] = bounds[day + 1]! - bounds[day]!
}

/** Snapshots of many mailings, sorted by mailing and then by time. */
export interface SnapshotColumns {
  /** The row, from 0, at which the mailing stands in the columns of mailings. */
  mailing: Int32Array
  /** UTC milliseconds. */
  at: Column
}

/**
 * The moving average of daily increments of many mailings at once: what {@link movingAverage} says of
 * {@link dailyIncrements}, for each of them.
 * @param count the cumulative count at each snapshot
 * @param mailings when each was sent, and when the provider was last asked about it
 * @returns one mailing after the other: day d (from 0) of the mailing in row m stands at m × days + d
 */
export function dailyAverages(
  { mailing, at }: SnapshotColumns,
  count: Column,
  { sentAt, until }: { sentAt: Column; until: Column },
  days: number,
): Column {
  const hours = dayBounds(days)
  const averages = new Float64Array(sentAt.length * days)
  const bounds = new Float64Array(days + 1)
  const daily = new Float64Array(days)
  let to = 0
  for (let row = 0; row < sentAt.length; row++) {
    const from = to
    while (to < mailing.length && mailing[to] === row) to++
    sampleRun({ at, count, from, to, sentAt: sentAt[row]!, until: until[row]! }, hours, bounds)
    differences(bounds, daily)
    averageRun(daily, averagedDays, averages, row * days)
  }
  return averages
}
