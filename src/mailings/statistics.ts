import { share } from '../web/shares.js'

/**
 * A column of numbers, one for each mailing or snapshot. NaN stands for what is unknown; nothing here reads it as zero,
 * and a function that answers with one number says null for it. The values themselves are finite.
 */
export type Column = Float64Array

/** What of each row, in a column; null and undefined are unknown. */
export function columnOf<R>(rows: readonly R[], read: (row: R) => number | null | undefined): Column {
  const column = new Float64Array(rows.length)
  for (let row = 0; row < rows.length; row++) column[row] = read(rows[row]!) ?? Number.NaN
  return column
}

/** The values at these rows, in their order. */
export function take(column: Column, rows: ArrayLike<number>): Column {
  const taken = new Float64Array(rows.length)
  for (let index = 0; index < rows.length; index++) taken[index] = column[rows[index]!]!
  return taken
}

/** A number of a column as everybody else reads it: null where it is unknown. */
export const known = (value: number | undefined): number | null =>
  value === undefined || Number.isNaN(value) ? null : value

/** What is known of a column, in a copy. */
function knownOf(column: Column): Column {
  const values = new Float64Array(column.length)
  let count = 0
  for (let row = 0; row < column.length; row++) {
    const value = column[row]!
    if (!Number.isNaN(value)) values[count++] = value
  }
  return values.subarray(0, count)
}

/** The arithmetic mean, Σx ÷ n, of what is known, each value weighing the same; null where nothing is. Unit of the column. */
export function mean(column: Column): number | null {
  let origin = Number.NaN
  let [sum, count] = [0, 0]
  for (let row = 0; row < column.length; row++) {
    const value = column[row]!
    if (Number.isNaN(value)) continue
    if (count === 0) origin = value
    // Distances from the first value are summed: what is all the same then has exactly that as its mean.
    sum += value - origin
    count++
  }
  return count === 0 ? null : origin + sum / count
}

/**
 * The standard deviation of the population, √(Σ(x − mean)² ÷ n), of what is known: these are all mailings there are, not a
 * sample of them. Zero for one value, null for none. Unit of the column. Two passes, which lose no digits where the mean
 * is large and the spread small (Chan, Golub, LeVeque: Algorithms for computing the sample variance, 1983).
 */
export function deviation(column: Column): number | null {
  const centre = mean(column)
  if (centre === null) return null
  let [squares, count] = [0, 0]
  for (let row = 0; row < column.length; row++) {
    const distance = column[row]! - centre
    if (Number.isNaN(distance)) continue
    squares += distance * distance
    count++
  }
  return Math.sqrt(squares / count)
}

/**
 * The value below which a share of what is known lies, with a straight line between the two nearest values; null where
 * nothing is known. Unit of the column. Definition 7 of Hyndman and Fan (Sample quantiles in statistical packages, 1996),
 * which spreadsheets call PERCENTILE.INC.
 * @param part from 0 (the least) to 1 (the greatest)
 */
export function quantile(column: Column, part: number): number | null {
  const values = knownOf(column)
  if (values.length === 0) return null
  const position = (values.length - 1) * part
  const rank = Math.floor(position)
  const value = select(values, rank)
  if (rank === position) return value
  let next = Number.POSITIVE_INFINITY
  for (let index = rank + 1; index < values.length; index++) if (values[index]! < next) next = values[index]!
  return value + (next - value) * (position - rank)
}

/** The middle value of what is known; of an even count the mean of the two in the middle. null where nothing is known. */
export const median = (column: Column) => quantile(column, 0.5)

/**
 * The value of a rank (0: the least), found by parting the values around a pivot until the rank stands alone (Hoare's
 * FIND, 1961). It moves the values: afterwards none before the rank is greater, and none after it less.
 */
function select(values: Column, rank: number): number {
  let [low, high] = [0, values.length - 1]
  // Pivots that keep missing the middle would make it quadratic; a sort is never worse than n log n.
  let patience = 2 * Math.ceil(Math.log2(values.length + 1))
  while (low < high) {
    if (patience-- === 0) {
      values.subarray(low, high + 1).sort()
      break
    }
    const pivot = values[(low + high) >>> 1]!
    let [left, right] = [low, high]
    while (left <= right) {
      while (values[left]! < pivot) left++
      while (values[right]! > pivot) right--
      if (left > right) break
      const value = values[left]!
      values[left++] = values[right]!
      values[right--] = value
    }
    if (right < rank) low = left
    if (rank < left) high = right
  }
  return values[rank]!
}

/**
 * Part ÷ whole of each row, as a share of one. Where the part is unknown, or the whole is unknown or zero, there is no
 * rate, which is not a rate of zero.
 */
export function rates(parts: Column, wholes: Column): Column {
  const column = new Float64Array(parts.length)
  for (let row = 0; row < parts.length; row++)
    column[row] = wholes[row]! > 0 ? parts[row]! / wholes[row]! : Number.NaN
  return column
}

/**
 * The pooled rate, Σ parts ÷ Σ wholes, as a share of one: that of all people taken together, where a large mailing weighs
 * more than a small one. Over the rows that have a rate of their own; null where none has.
 */
export function pooledRate(parts: Column, wholes: Column): number | null {
  let [part, whole] = [0, 0]
  for (let row = 0; row < parts.length; row++) {
    if (!(wholes[row]! > 0) || Number.isNaN(parts[row]!)) continue
    part += parts[row]!
    whole += wholes[row]!
  }
  return share(part, whole)
}

/** A value and the row in which it stands. */
export interface Placed {
  row: number
  value: number
}

/**
 * The row with the best and the one with the worst value; of equal ones the first. null where nothing is known.
 * @param better which is better: of opens the higher, of bounces the lower
 */
export function bestAndWorst(
  column: Column,
  better: 'higher' | 'lower',
): { best: Placed; worst: Placed } | null {
  let [highest, lowest] = [-1, -1]
  for (let row = 0; row < column.length; row++) {
    const value = column[row]!
    if (Number.isNaN(value)) continue
    if (highest === -1 || value > column[highest]!) highest = row
    if (lowest === -1 || value < column[lowest]!) lowest = row
  }
  if (highest === -1) return null
  const placed = (row: number): Placed => ({ row, value: column[row]! })
  const [best, worst] = better === 'higher' ? [highest, lowest] : [lowest, highest]
  return { best: placed(best), worst: placed(worst) }
}

/** Unique people of each mailing, a row for each; the order of rows is the caller's. */
export interface MailingColumns {
  sent: Column
  delivered: Column
  opened: Column
  clicked: Column
  bounced: Column
  unsubscribed: Column
  complained: Column
}

/** Of what each rate is a part, and of what whole; as src/mailings/metrics.ts defines them for one mailing. */
export const rateParts = {
  open: ['opened', 'delivered'],
  click: ['clicked', 'delivered'],
  clickToOpen: ['clicked', 'opened'],
  bounce: ['bounced', 'sent'],
  unsubscribe: ['unsubscribed', 'delivered'],
  complaint: ['complained', 'delivered'],
} as const satisfies Record<string, [keyof MailingColumns, keyof MailingColumns]>
export type RateName = keyof typeof rateParts

/** Which is better of each rate. */
export const betterRate: Record<RateName, 'higher' | 'lower'> = {
  open: 'higher',
  click: 'higher',
  clickToOpen: 'higher',
  bounce: 'lower',
  unsubscribe: 'lower',
  complaint: 'lower',
}

/** A rate over many mailings, in shares of one; everything but the counts is null where no mailing has this rate. */
export interface RateSummary {
  /** How many mailings have this rate: those it is of. */
  mailings: number
  /** How many have none, because the whole is zero or something is unknown. They are left out of everything here. */
  without: number
  /** The average: the unweighted mean over mailings, so that each weighs the same. */
  mean: number | null
  /** Of all people taken together, see {@link pooledRate}. */
  pooled: number | null
  median: number | null
  /** The population's, see {@link deviation}. */
  deviation: number | null
}

/** A rate over these mailings, summed up. */
export function summariseRate(columns: MailingColumns, rate: RateName): RateSummary {
  const [part, whole] = rateParts[rate]
  const column = rates(columns[part], columns[whole])
  let mailings = 0
  for (let row = 0; row < column.length; row++) if (!Number.isNaN(column[row]!)) mailings++
  return {
    mailings,
    without: column.length - mailings,
    mean: mean(column),
    pooled: pooledRate(columns[part], columns[whole]),
    median: median(column),
    deviation: deviation(column),
  }
}

/** A rate in each of several groups, a row for each group; NaN where no mailing of the group has this rate. */
export interface GroupedRate {
  /** How many mailings of the group have this rate. */
  mailings: Column
  /** The unweighted mean over the group's mailings. */
  mean: Column
  /** The group's people taken together. */
  pooled: Column
}

/**
 * A rate averaged in each list (or sender, or project).
 * @param group the group of each row, from 0; less than 0: in none. A mailing that went to two lists stands in two rows.
 * @param groups how many groups there are
 */
export function summariseRateByGroup(
  columns: MailingColumns,
  rate: RateName,
  group: Int32Array,
  groups: number,
): GroupedRate {
  const [parts, wholes] = [columns[rateParts[rate][0]], columns[rateParts[rate][1]]]
  const mailings = new Float64Array(groups)
  const [sums, partSums, wholeSums] = [mailings.slice(), mailings.slice(), mailings.slice()]
  for (let row = 0; row < group.length; row++) {
    const [at, part, whole] = [group[row]!, parts[row]!, wholes[row]!]
    if (at < 0 || !(whole > 0) || Number.isNaN(part)) continue
    mailings[at]!++
    sums[at]! += part / whole
    partSums[at]! += part
    wholeSums[at]! += whole
  }
  return { mailings, mean: rates(sums, mailings), pooled: rates(partSums, wholeSums) }
}

/** From an instant (UTC milliseconds) on, up to but not including another. */
export interface Window {
  from: number
  until: number
}

/** The window of the same length that ends where this one begins. */
export const windowBefore = ({ from, until }: Window): Window => ({
  from: from - (until - from),
  until: from,
})

/** How a number differs from the one it is compared with. */
export interface Trend {
  /** Now − before, in the unit of both: of two rates, a difference in shares of one (percentage points ÷ 100). */
  absolute: number
  /** (Now − before) ÷ before as a share of one; null where before was zero, which nothing is a multiple of. */
  relative: number | null
}

/** null where either number is unknown: then there is nothing to compare. */
export function trend(now: number | null, before: number | null): Trend | null {
  if (now === null || before === null) return null
  return { absolute: now - before, relative: share(now - before, before) }
}

/**
 * A statistic of the rows in a window against the same of those in the window before.
 * @param at the instant of each row; a row whose instant is unknown is in no window
 * @param statistic gets the rows of one window, as {@link take} likes them; null where it has nothing to say
 * @param before whole months differ in length and days in hours: say here which window is meant
 */
export function trendOf(
  at: Column,
  window: Window,
  statistic: (rows: readonly number[]) => number | null,
  before: Window = windowBefore(window),
): { now: number | null; before: number | null; trend: Trend | null } {
  const of = ({ from, until }: Window) => {
    const rows: number[] = []
    for (let row = 0; row < at.length; row++) if (at[row]! >= from && at[row]! < until) rows.push(row)
    return statistic(rows)
  }
  const [current, earlier] = [of(window), of(before)]
  return { now: current, before: earlier, trend: trend(current, earlier) }
}
