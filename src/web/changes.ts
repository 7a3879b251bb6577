import { number, percent } from './formats.js'

/** How a figure compares with the one before it, in words and signs for a page. */
export interface Change {
  /** Which way it went. */
  way: 'up' | 'down' | 'same'
  /** Whether that is good news. */
  tone: 'good' | 'bad' | 'plain'
  /** 12.4%, 0.12 pt, 2: the size without its sign. */
  size: string
  /** The same as a raw number with its sign: 0.124 for 12.4% more, −0.0012 for 0.12 pt less. */
  value: number
}

interface Options {
  /** `ratio` says per cent of what was before, `amount` the bare difference, `points` the difference of two rates. */
  as: 'ratio' | 'amount' | 'points'
  /** The direction that is good news: more bounces are bad. */
  good?: 'up' | 'down' | 'neither'
}

/** @returns null when one of the two has no value: nothing can be said then */
export function change(
  now: number | null,
  before: number | null,
  { as, good = 'up' }: Options,
): Change | null {
  if (now === null || before === null) return null
  const size = sizeOf(Math.abs(now - before), before, as)
  // From nothing, no ratio can be told.
  const value = as === 'ratio' && before !== 0 ? (now - before) / before : now - before
  if (now === before || /^0(\.0+)?( pt|%)?$/.test(size))
    return { way: 'same', tone: 'plain', size: '', value }
  const way = now > before ? 'up' : 'down'
  return { way, tone: good === 'neither' ? 'plain' : way === good ? 'good' : 'bad', size, value }
}

function sizeOf(difference: number, before: number, as: Options['as']) {
  if (as === 'points') return `${(difference * 100).toFixed(2)} pt`
  if (as === 'amount' || before === 0) return number(difference)
  const ratio = difference / before
  return ratio >= 10 ? `${number(ratio * 100)}%` : percent(ratio, 1)
}
