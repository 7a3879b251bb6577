import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { betaDraw, chance } from '../../src/promos/chance.js'
import {
  type Beta,
  comparisonOf,
  credibleInterval,
  curveOf,
  expectedLoss,
  isSameInPractice,
  meanOf,
  pooledPrior,
  posteriorOf,
  probabilityOfBest,
} from '../../src/promos/posterior.js'

/** ln of the beta function, from factorials: exact enough for whole parameters. */
const logFactorials = [0]
for (let n = 1; n < 30_000; n++) logFactorials.push(logFactorials[n - 1]! + Math.log(n))
const logBeta = (a: number, b: number) =>
  logFactorials[a - 1]! + logFactorials[b - 1]! - logFactorials[a + b - 1]!

/** P(second > first) for whole parameters, in closed form (Evan Miller, 2013). */
function exactly(first: Beta, second: Beta) {
  let sum = 0
  for (let i = 0; i < second.a; i++)
    sum += Math.exp(
      logBeta(first.a + i, first.b + second.b) -
        Math.log(second.b + i) -
        logBeta(1 + i, second.b) -
        logBeta(first.a, first.b),
    )
  return sum
}

const arm = fc
  .tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 9_000 }))
  .map(([a, b]) => ({ a, b }))

describe('the probability of being best', () => {
  it('agrees with exact integration for two arms', () => {
    fc.assert(
      fc.property(arm, arm, (one, other) => {
        const [first, second] = probabilityOfBest([one, other])
        expect(Math.abs(second! - exactly(one, other))).toBeLessThan(0.005)
        expect(first! + second!).toBeCloseTo(1, 9)
      }),
      { numRuns: 300, seed: 5 },
    )
  })

  it('is shared out between all arms, and evenly between equal ones', () => {
    fc.assert(
      fc.property(fc.array(arm, { minLength: 1, maxLength: 8 }), (arms) => {
        const { best, loss } = comparisonOf(arms)
        expect(best.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9)
        for (const share of [...best, ...loss]) expect(share).toBeGreaterThanOrEqual(0)
      }),
      { numRuns: 60, seed: 6 },
    )
    for (const share of probabilityOfBest(Array.from({ length: 5 }, () => ({ a: 20, b: 980 }))))
      expect(share).toBeCloseTo(0.2, 4)
    expect(comparisonOf([{ a: 3, b: 4 }])).toEqual({ best: [1], loss: [0] })
  })

  it('agrees with draws where arms are as different as they can be', () => {
    const arms = [
      { a: 0.05, b: 49.95 },
      { a: 1, b: 50 },
      { a: 3_000, b: 150_000 },
    ]
    const random = chance(7)
    const wins = arms.map(() => 0)
    let lost = 0
    for (let draw = 0; draw < 60_000; draw++) {
      const rates = arms.map((each) => betaDraw(random, each))
      wins[rates.indexOf(Math.max(...rates))]!++
      lost += Math.max(...rates) - rates[2]!
    }
    const shares = probabilityOfBest(arms)
    for (const [place, share] of shares.entries()) expect(share).toBeCloseTo(wins[place]! / 60_000, 1)
    expect(expectedLoss(arms)[2]! / (lost / 60_000)).toBeCloseTo(1, 1)
  })
})

describe('beliefs', () => {
  it('have the mean that they should, and an interval around it', () => {
    fc.assert(
      fc.property(arm, (beta) => {
        const [low, high] = credibleInterval(beta)
        expect(low).toBeGreaterThanOrEqual(0)
        expect(high).toBeLessThanOrEqual(1)
        expect(low).toBeLessThan(high)
        const [narrowLow, narrowHigh] = credibleInterval(beta, 0.5)
        expect(narrowLow).toBeGreaterThan(low)
        expect(narrowHigh).toBeLessThan(high)
      }),
      { numRuns: 200, seed: 8 },
    )
    // As tables of the beta distribution have it.
    const [low, high] = credibleInterval({ a: 15.5, b: 45.5 })
    expect(low).toBeCloseTo(0.15394, 4)
    expect(high).toBeCloseTo(0.36952, 4)
  })

  it('begin with what all texts together have, worth 50 impressions', () => {
    const prior = pooledPrior([
      { impressions: 900, clicks: 30 },
      { impressions: 100, clicks: 10 },
    ])
    expect(prior.a + prior.b).toBeCloseTo(50, 9)
    expect(meanOf(prior)).toBeCloseTo(41 / 1050, 9)
    expect(meanOf(pooledPrior([]))).toBeCloseTo(0.02, 9)
    expect(posteriorOf({ a: 1, b: 49 }, { impressions: 100, clicks: 3 })).toEqual({ a: 4, b: 146 })
    // More clicks than impressions: what cannot be must not make a belief that is none.
    expect(posteriorOf({ a: 1, b: 49 }, { impressions: 1, clicks: 3 })).toEqual({ a: 4, b: 49 })
  })

  it('are the same in practice when they are narrow and near', () => {
    expect(isSameInPractice({ a: 6_000, b: 294_000 }, { a: 6_050, b: 293_950 })).toBe(true)
    expect(isSameInPractice({ a: 60, b: 2_940 }, { a: 60, b: 2_940 })).toBe(false)
    expect(isSameInPractice({ a: 6_000, b: 294_000 }, { a: 7_000, b: 293_000 })).toBe(false)
  })

  it('are drawn as hills with their top at the mode', () => {
    const curve = curveOf({ a: 21, b: 981 }, 0, 0.05, 100)
    expect(curve.indexOf(Math.max(...curve))).toBe(40)
    expect(curveOf({ a: 0.5, b: 0.5 }, 0, 1, 4).every(Number.isFinite)).toBe(true)
  })
})
