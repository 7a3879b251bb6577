import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chance, weightedDraw } from '../../src/promos/chance.js'
import { chooseAgain } from '../../src/promos/choices-page.js'
import { type Candidate, chooseText, OfferWheel, textRule } from '../../src/promos/selection.js'
import type { Strategy } from '../../src/promos/strategies.js'

const seen = (impressions = 0, clicks = 0) => ({ impressions, clicks })
const candidate = (id: number, given: Partial<Candidate> = {}): Candidate => ({
  id,
  weight: 1,
  evidence: seen(),
  pending: false,
  turns: 0,
  ...given,
})

/** χ² of what was drawn against what was meant; with so many degrees of freedom it is above this once in a thousand times. */
const limits = [0, 10.83, 13.82, 16.27, 18.47, 20.52]
function expectShares(drawn: Map<number, number>, meant: [number, number][]) {
  const total = [...drawn.values()].reduce((sum, count) => sum + count, 0)
  const whole = meant.reduce((sum, [, share]) => sum + share, 0)
  let square = 0
  for (const [id, share] of meant) {
    const wanted = (share / whole) * total
    if (wanted === 0) expect(drawn.get(id) ?? 0).toBe(0)
    else square += ((drawn.get(id) ?? 0) - wanted) ** 2 / wanted
  }
  expect(square).toBeLessThan(limits[meant.filter(([, share]) => share > 0).length - 1]!)
}
function draws(strategy: Strategy, texts: Candidate[], { times = 20_000, seed = 3 } = {}) {
  const random = chance(seed)
  const rule = textRule(strategy, texts)
  const drawn = new Map<number, number>()
  for (let draw = 0; draw < times; draw++) {
    const id = chooseText(rule, random)
    drawn.set(id, (drawn.get(id) ?? 0) + 1)
  }
  return drawn
}

describe('each strategy', () => {
  it('fixed: in proportion to the weights', () => {
    expectShares(
      draws('fixed', [
        candidate(1, { weight: 3 }),
        candidate(2, { weight: 1.5 }),
        candidate(3, { weight: 0.5 }),
      ]),
      [
        [1, 3],
        [2, 1.5],
        [3, 0.5],
      ],
    )
  })

  it('by CTR: in proportion to weight × (1 + CTR ÷ 100)', () => {
    const texts = [
      candidate(1, { evidence: seen(100, 40) }),
      candidate(2, { evidence: seen(100, 10), weight: 2 }),
      candidate(3),
    ]
    expectShares(draws('ctr', texts), [
      [1, 1.4],
      [2, 2.2],
      [3, 1],
    ])
  })

  it('test: whose turn it is, so that all are shown equally often', () => {
    const texts = [candidate(1), candidate(2, { turns: 1 }), candidate(3)]
    expectShares(draws('test', texts), [
      [1, 1],
      [2, 0],
      [3, 1],
    ])
    const random = chance(4)
    for (let issue = 0; issue < 299; issue++) {
      const id = chooseText(textRule('test', texts), random)
      texts.find((text) => text.id === id)!.turns++
    }
    expect(texts.map(({ turns }) => turns)).toEqual([100, 100, 100])
  })

  it('learn: newcomers first, evenly, but the others keep their floor', () => {
    const texts = [
      candidate(1, { evidence: seen(5_000, 100) }),
      candidate(2, { evidence: seen(99, 1) }),
      candidate(3),
    ]
    expectShares(draws('learn', texts), [
      [1, 0.05],
      [2, 0.475],
      [3, 0.475],
    ])
    const many = Array.from({ length: 40 }, (_, id) => candidate(id, { evidence: seen((id + 1) * 60, 1) }))
    for (const [, weight] of textRule('learn', many).texts) expect(weight).toBe(1 / 40)
  })

  it('learn: the better the more often, and none under its floor', () => {
    const texts = [
      candidate(1, { evidence: seen(4_000, 80) }),
      candidate(2, { evidence: seen(4_000, 84) }),
      candidate(3, { evidence: seen(4_000, 20) }),
    ]
    const rule = textRule('learn', texts)
    expect(rule).toMatchObject({ rule: 'beliefs', floor: 0.05 })
    const drawn = draws('learn', texts)
    expect(drawn.get(2)!).toBeGreaterThan(drawn.get(1)!)
    // Hopeless, so all it has is its floor.
    expect(drawn.get(3)! / 20_000).toBeCloseTo(0.05, 2)
    const many = Array.from({ length: 40 }, (_, id) => candidate(id, { evidence: seen(1_000, 20) }))
    expect(textRule('learn', many)).toMatchObject({ floor: 1 / 40 })
  })

  it('learn: keeps the weights while nobody knows how many readers there were', () => {
    const pending = [candidate(1, { weight: 3, pending: true }), candidate(2, { weight: 1 })]
    expect(textRule('learn', pending)).toEqual({
      rule: 'weights',
      texts: [
        [1, 3],
        [2, 1],
      ],
    })
    const impossible = [candidate(1, { evidence: seen(12, 90) }), candidate(2, { evidence: seen(12, 3) })]
    expect(textRule('learn', impossible).rule).toBe('weights')
    // One is known: the other, whose issue is not yet, is no newcomer any more.
    const half = [candidate(1, { evidence: seen(2_000, 40) }), candidate(2, { pending: true })]
    expect(textRule('learn', half).rule).toBe('beliefs')
  })
})

describe('a choice', () => {
  it('can be made again from its seed and its weights', () => {
    fc.assert(
      fc.property(
        fc.nat(2 ** 32 - 1),
        fc.array(fc.nat(50), { minLength: 1, maxLength: 6 }),
        (seed, weights) => {
          const offers = weights.map((weight, place): [number, number] => [place + 1, weight])
          const rule = textRule('learn', [
            candidate(8, { evidence: seen(900, 20) }),
            candidate(9, { evidence: seen(800, 25) }),
          ])
          const written = JSON.parse(JSON.stringify(rule))
          expect(chooseAgain(seed, offers, written)).toEqual(chooseAgain(seed, offers, rule))
        },
      ),
      { seed: 9 },
    )
  })

  it('draws offers by weight, and anyone where all weights are nought', () => {
    const wheel = new OfferWheel([
      { id: 1, weight: 0 },
      { id: 2, weight: 2 },
      { id: 3, weight: 6 },
    ])
    const random = chance(5)
    const drawn = new Map<number, number>()
    for (let draw = 0; draw < 20_000; draw++) {
      const id = wheel.ids[wheel.draw(random)]!
      drawn.set(id, (drawn.get(id) ?? 0) + 1)
    }
    expectShares(drawn, [
      [1, 0],
      [2, 2],
      [3, 6],
    ])
    expect([0, 1]).toContain(
      new OfferWheel([
        { id: 1, weight: 0 },
        { id: 2, weight: 0 },
      ]).draw(random),
    )
    // A draw of exactly the end of the scale does not fall off it.
    expect(weightedDraw(() => 1 - 2 ** -53, [1, 2, 0])).toBe(1)
  })
})
