/** A beta distribution: what is believed of a click-through rate. */
export interface Beta {
  a: number
  b: number
}
/** What has been seen of one text. */
export interface Seen {
  impressions: number
  clicks: number
}

/** How many impressions the pooled prior is worth. */
const priorWorth = 50

/**
 * What is believed of each text before its own clicks are looked at: the rate of all of them together, with the weight of
 * 50 impressions (empirical Bayes; Gelman et al., Bayesian Data Analysis, ch. 5). With nothing seen, that is 2 %.
 */
export function pooledPrior(texts: readonly Seen[]): Beta {
  const impressions = texts.reduce((sum, text) => sum + text.impressions, 0)
  const clicks = texts.reduce((sum, text) => sum + text.clicks, 0)
  const rate = Math.min(0.99, (clicks + 1) / (impressions + priorWorth))
  return { a: priorWorth * rate, b: priorWorth * (1 - rate) }
}

/** The beta-binomial posterior: the prior with the clicks and the impressions without one added to it. */
export const posteriorOf = (prior: Beta, { impressions, clicks }: Seen): Beta => ({
  a: prior.a + clicks,
  b: prior.b + Math.max(0, impressions - clicks),
})

export const meanOf = ({ a, b }: Beta) => a / (a + b)

/** ln Γ, to 15 digits (Lanczos, g = 7, nine terms). */
function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  let sum = 0.99999999999980993
  for (const [index, term] of lanczos.entries()) sum += term / (x + index)
  const t = x + 6.5
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum)
}
const lanczos = [
  676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
]

/** ψ and ψ′, the first two derivatives of ln Γ, by recurrence and their asymptotic series (Abramowitz and Stegun 6.3, 6.4). */
function polygamma(x: number): { first: number; second: number } {
  let [first, second, at] = [0, 0, x]
  for (; at < 8; at++) {
    first -= 1 / at
    second += 1 / (at * at)
  }
  const r = 1 / (at * at)
  first += Math.log(at) - 1 / (2 * at) - r * (1 / 12 - r * (1 / 120 - r / 252))
  second += 1 / at + r / 2 + (r / at) * (1 / 6 - r * (1 / 30 - r / 42))
  return { first, second }
}

/** Points for each distribution, over so many standard deviations to both sides: enough for a comparison, and for a quantile. */
const points = 120
const finePoints = 480
const reach = 9

/**
 * Distributions on one grid. The rate x is laid out by its logit t, where every beta density is smooth, also where it has
 * a pole at 0; each distribution brings points where it has its mass, so that wide and narrow ones are both resolved.
 */
class Grid {
  readonly x: Float64Array
  /** The logit of each point, and ln x and ln (1 − x) there, without losing digits near either end. */
  readonly #t: Float64Array
  readonly #logX: Float64Array
  readonly #logRest: Float64Array

  constructor(betas: readonly Beta[], points: number) {
    const places = new Float64Array(betas.length * (points + 1))
    let filled = 0
    for (const { a, b } of betas) {
      const [up, down] = [polygamma(a), polygamma(b)]
      const middle = up.first - down.first
      const deviation = Math.sqrt(up.second + down.second)
      for (let step = 0; step <= points; step++)
        places[filled++] = middle + deviation * reach * ((2 * step) / points - 1)
    }
    // Texts of which as much is known bring the same points: one width is nought there, and adds nothing.
    this.#t = places.sort()
    const size = this.#t.length
    this.x = new Float64Array(size)
    this.#logX = new Float64Array(size)
    this.#logRest = new Float64Array(size)
    for (let at = 0; at < size; at++) {
      const t = this.#t[at]!
      const soft = Math.log1p(Math.exp(-Math.abs(t)))
      this.#logX[at] = Math.min(t, 0) - soft
      this.#logRest[at] = -Math.max(t, 0) - soft
      this.x[at] = Math.exp(this.#logX[at]!)
    }
  }

  /** The density of a distribution in t at each point. */
  #density({ a, b }: Beta): Float64Array {
    const constant = logGamma(a + b) - logGamma(a) - logGamma(b)
    const density = new Float64Array(this.#t.length)
    for (let at = 0; at < density.length; at++)
      density[at] = Math.exp(constant + a * this.#logX[at]! + b * this.#logRest[at]!)
    return density
  }

  /** The share of a distribution below each point, and the share between each point and the one before. */
  spread(beta: Beta): { below: Float64Array; parts: Float64Array } {
    const density = this.#density(beta)
    const below = new Float64Array(density.length)
    const parts = new Float64Array(density.length)
    for (let at = 1; at < density.length; at++) {
      parts[at] = ((density[at]! + density[at - 1]!) / 2) * (this.#t[at]! - this.#t[at - 1]!)
      below[at] = below[at - 1]! + parts[at]!
    }
    // What the trapezoids miss is shared out, so that all of it is one.
    const all = below.at(-1)!
    for (let at = 0; at < density.length; at++) {
      below[at]! /= all
      parts[at]! /= all
    }
    return { below, parts }
  }
}

/**
 * The probability of each of these texts to be the best: ∫ f_i(x) ∏_{j≠i} F_j(x) dx, by the trapezoidal rule. Between two
 * arms it agrees with exact integration to 0.005 and better.
 */
export function probabilityOfBest(betas: readonly Beta[]): number[] {
  return comparisonOf(betas).best
}

/**
 * What choosing each text costs on average if another one is better: E[max(0, max_{j≠i} x_j − x_i)], as a share of one, which is
 * ∫ F_i(x) (1 − ∏_{j≠i} F_j(x)) dx.
 */
export function expectedLoss(betas: readonly Beta[]): number[] {
  return comparisonOf(betas).loss
}

export interface Comparison {
  /** The probability of each to be the best; they sum to one. */
  best: number[]
  /** See {@link expectedLoss}. */
  loss: number[]
}

/** @param each how many points each distribution brings: with fewer than usual the answer is rougher, and there sooner */
export function comparisonOf(betas: readonly Beta[], each = points): Comparison {
  if (betas.length < 2) return { best: betas.map(() => 1), loss: betas.map(() => 0) }
  const grid = new Grid(betas, each)
  const spreads = betas.map((beta) => grid.spread(beta))
  const size = grid.x.length
  const best: number[] = []
  const loss: number[] = []
  const others = new Float64Array(size)
  // Plain loops: a verdict that asks how many issues are left compares some twenty times.
  for (let index = 0; index < spreads.length; index++) {
    others.fill(1)
    for (let other = 0; other < spreads.length; other++) {
      if (other === index) continue
      const { below } = spreads[other]!
      for (let at = 0; at < size; at++) others[at]! *= below[at]!
    }
    const { below, parts } = spreads[index]!
    let [won, lost, costBefore] = [0, 0, below[0]! * (1 - others[0]!)]
    for (let at = 1; at < size; at++) {
      const cost = below[at]! * (1 - others[at]!)
      won += (parts[at]! * (others[at]! + others[at - 1]!)) / 2
      lost += ((cost + costBefore) / 2) * (grid.x[at]! - grid.x[at - 1]!)
      costBefore = cost
    }
    best.push(won)
    loss.push(lost)
  }
  const all = best.reduce((sum, share) => sum + share, 0)
  return { best: best.map((share) => share / all), loss }
}

/** The equal-tailed credible interval: so much of the belief lies within it, as shares of one. */
export function credibleInterval(beta: Beta, mass = 0.95): [low: number, high: number] {
  const grid = new Grid([beta], finePoints)
  const { below } = grid.spread(beta)
  const tail = (1 - mass) / 2
  return [quantile(grid.x, below, tail), quantile(grid.x, below, 1 - tail)]
}

function quantile(x: Float64Array, below: Float64Array, share: number): number {
  const at = firstAbove(below, share)
  if (at === 0) return x[0]!
  const part = (share - below[at - 1]!) / (below[at]! - below[at - 1]! || 1)
  return x[at - 1]! + part * (x[at]! - x[at - 1]!)
}

/** The first place whose value is at least this, in an ascending list; the last where there is none. */
function firstAbove(values: Float64Array, wanted: number) {
  let [low, high] = [0, values.length - 1]
  while (low < high) {
    const middle = (low + high) >> 1
    if (values[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}

/** The distribution of the ratio of two rates: the probability that one ÷ other is at most `r`. */
function ratioBelow(one: Beta, other: Beta): (r: number) => number {
  const [gridOne, gridOther] = [new Grid([one], points), new Grid([other], points)]
  const belowOne = gridOne.spread(one).below
  const { parts } = gridOther.spread(other)
  const share = (x: number) => {
    if (x <= gridOne.x[0]!) return 0
    if (x >= gridOne.x.at(-1)!) return 1
    const at = firstAbove(gridOne.x, x)
    const part = (x - gridOne.x[at - 1]!) / (gridOne.x[at]! - gridOne.x[at - 1]!)
    return belowOne[at - 1]! + part * (belowOne[at]! - belowOne[at - 1]!)
  }
  return (r) => {
    let sum = 0
    for (let at = 1; at < parts.length; at++)
      sum += parts[at]! * share((r * (gridOther.x[at]! + gridOther.x[at - 1]!)) / 2)
    return sum
  }
}

/** By how much two rates may differ and still be the same in practice: the region of practical equivalence. */
export const rope = 0.1

/**
 * Is there no practical difference? The 95 % interval of the relative difference (one ÷ other − 1) lies within ±10 %
 * (Kruschke, Bayesian estimation supersedes the t test, 2013).
 */
export function isSameInPractice(one: Beta, other: Beta): boolean {
  // An interval reaches some two deviations to each side: where one and a half lead out, none fits in. This spares most of
  // the work.
  const scatter = Math.sqrt(relativeVariance(one) + relativeVariance(other))
  if (Math.abs(meanOf(one) / meanOf(other) - 1) + 1.5 * scatter > rope) return false
  const below = ratioBelow(one, other)
  return below(1 - rope) < 0.025 && below(1 + rope) > 0.975
}

const relativeVariance = ({ a, b }: Beta) => b / (a * (a + b + 1))

/** The density of a belief at some places between two rates, highest first scaled to one: for drawing. */
export function curveOf({ a, b }: Beta, from: number, to: number, steps: number): number[] {
  const constant = logGamma(a + b) - logGamma(a) - logGamma(b)
  return Array.from({ length: steps + 1 }, (_, step) => {
    const x = Math.min(1 - 1e-9, Math.max(1e-9, from + ((to - from) * step) / steps))
    return Math.exp(constant + (a - 1) * Math.log(x) + (b - 1) * Math.log1p(-x))
  })
}
