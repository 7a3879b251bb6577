/** Numbers from 0 up to 1, the same for the same seed. */
export type Random = () => number

/**
 * Chance that can be had again: the same seed gives the same numbers (Mulberry32, Tommy Ettinger, 2017).
 * @param seed a whole number from 0 to 2³² − 1
 */
export function chance(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A draw from the standard normal distribution (Marsaglia's polar method, 1964). */
function normalDraw(random: Random): number {
  for (;;) {
    const one = 2 * random() - 1
    const other = 2 * random() - 1
    const square = one * one + other * other
    if (square > 0 && square < 1) return one * Math.sqrt((-2 * Math.log(square)) / square)
  }
}

/** A draw from a gamma distribution of scale 1 (Marsaglia and Tsang, 2000). @param shape above 0 */
function gammaDraw(random: Random, shape: number): number {
  if (shape < 1) return gammaDraw(random, shape + 1) * random() ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const deviation = normalDraw(random)
    const v = (1 + c * deviation) ** 3
    if (v > 0 && Math.log(random()) < 0.5 * deviation * deviation + d - d * v + d * Math.log(v)) return d * v
  }
}

/** A draw from a beta distribution: the share that one of two gamma draws has of both. */
export function betaDraw(random: Random, { a, b }: { a: number; b: number }): number {
  const [one, other] = [gammaDraw(random, a), gammaDraw(random, b)]
  return one + other === 0 ? 0 : one / (one + other)
}

/**
 * Draws a place by weight.
 * @param weights not negative, and not all zero
 */
export function weightedDraw(random: Random, weights: readonly number[]): number {
  let total = 0
  for (const weight of weights) total += weight
  let rest = random() * total
  let last = 0
  for (let place = 0; place < weights.length; place++) {
    if (weights[place] === 0) continue
    last = place
    rest -= weights[place]!
    if (rest < 0) break
  }
  return last
}
