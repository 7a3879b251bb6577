import { type Beta, credibleInterval, curveOf, meanOf } from './posterior.js'

/** The inks of the ramp: what is best has the densest. */
export const inkOf = (place: number) => Math.max(2, 5 - place)

/** Rates on one scale, as shares of one. */
export interface Scale {
  from: number
  to: number
  ticks: { x: string; label: string }[]
}

const percentOf = (share: number) => `${Math.round(share * 1_000) / 10}%`

/** A scale on which all of these beliefs have room, with round marks. */
export function scaleOf(betas: readonly Beta[]): Scale {
  const intervals = betas.map((beta) => credibleInterval(beta, 0.99))
  const low = Math.min(...intervals.map(([from]) => from))
  const high = Math.max(...intervals.map(([, to]) => to))
  const step = stepOf(high - low)
  const from = Math.max(0, Math.floor(low / step) * step)
  const to = Math.min(1, Math.ceil(high / step) * step)
  const decimals = step < 0.01 ? (step < 0.001 ? 2 : 1) : 0
  const ticks = []
  for (let at = from + step; at < to - step / 2; at += step)
    ticks.push({ x: percentOf((at - from) / (to - from)), label: `${(at * 100).toFixed(decimals)}%` })
  return { from, to, ticks }
}
/** 1, 2 or 5 of some power of ten, so that there are four to eight. */
function stepOf(span: number) {
  const rough = Math.max(span, 1e-5) / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  return ([1, 2, 5].find((each) => each * power >= rough) ?? 10) * power
}

const steps = 80

/** A belief as a hill in a box of 100 × 100, and its interval as a line below: for a row of a table. */
export function hillOf(beta: Beta, { from, to }: Scale) {
  const curve = curveOf(beta, from, to, steps)
  const top = Math.max(...curve)
  const [low, high] = credibleInterval(beta)
  const place = (rate: number) => percentOf((Math.min(to, Math.max(from, rate)) - from) / (to - from))
  const points = curve.map(
    (value, step) => `${short((step / steps) * 100)} ${short(100 - (value / top) * 100)}`,
  )
  return {
    path: `M0 100L${points.join(' ')}L100 100Z`,
    low,
    high,
    mean: meanOf(beta),
    x1: place(low),
    x2: place(high),
    cx: place(meanOf(beta)),
  }
}

/** Beliefs beside each other in a box of 1000 × 200, all on one scale of height too. */
export function curvesOf(betas: readonly { id: number; beta: Beta }[], { from, to }: Scale) {
  const curves = betas.map(({ beta }) => curveOf(beta, from, to, steps * 2))
  const top = Math.max(...curves.flat())
  return curves.map((curve, index) => {
    const points = curve.map(
      (value, step) => `${short((step / (steps * 2)) * 1000)} ${short(200 - (value / top) * 190)}`,
    )
    const peak = curve.indexOf(Math.max(...curve))
    return {
      id: betas[index]!.id,
      line: `M${points.join(' ')}`,
      area: `M0 200L${points.join(' ')}L1000 200Z`,
      x: percentOf(peak / (steps * 2)),
      y: short(24 + 168 * (1 - (curve[peak]! / top) * 0.95) - 6),
    }
  })
}

/** Shares that fill a box of 1000 × 200, one band above the other; the first lies on top. @param shares of two days at least */
export function bandsOf(shares: readonly (readonly number[])[]) {
  const days = shares[0]?.length ?? 0
  const place = (share: number, day: number) => `${short((day / (days - 1)) * 1000)} ${short(share * 200)}`
  const above = Array.from({ length: days }, () => 0)
  return shares.map((band) => {
    const top = above.map(place)
    for (const [day, share] of band.entries()) above[day]! += share
    const bottom = above.map(place)
    return { area: `M${top.join(' ')} ${bottom.reverse().join(' ')}Z`, edge: `M${top.join(' ')}` }
  })
}

const short = (value: number) => String(Math.round(value * 10) / 10)
