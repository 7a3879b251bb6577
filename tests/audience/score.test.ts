import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bands } from '../../src/audience/contact-filter.js'
import {
  bandMeanings,
  bandOf,
  type DeedKind,
  deedPoints,
  type ScoredMailing,
  type ScoredReception,
  scoreArithmetic,
  scoreAverage,
  scoredMailings,
  scoreOf,
  scoreSums,
} from '../../src/audience/score.js'

const day = 86_400_000
const now = Date.UTC(2026, 10, 21, 10)
const average = 0.288

const mailing = (
  mailingId: number,
  ageDays: number,
  kind: DeedKind | null = null,
  after = 3_600_000,
): ScoredMailing => {
  const deliveredAt = now - ageDays * day
  return { mailingId, deliveredAt, deeds: kind === null ? [] : [{ kind, at: deliveredAt + after }] }
}
const reception = (given: Partial<ScoredReception> = {}): ScoredReception => ({
  mailing_id: 1,
  delivered_at: now - day,
  first_opened_at: null,
  first_clicked_at: null,
  replies: 0,
  last_active_at: null,
  ...given,
})
const arithmetic = (
  mailings: ScoredMailing[],
  given: Partial<{ average: number; lastActiveAt: number | null }> = {},
) => scoreArithmetic({ mailings, average, lastActiveAt: now - day, now, ...given })

describe('worked by hand', () => {
  it('shows the arithmetic of the example: points and their full measure, halved every 60 days', () => {
    const { lines, prior } = arithmetic([
      mailing(112, 3, 'converted'),
      mailing(111, 10, 'clicked'),
      mailing(110, 17, 'clicked'),
      mailing(108, 31, 'landed'),
      mailing(107, 38, 'opened'),
      mailing(106, 45, 'clicked'),
      mailing(105, 52, 'opened'),
    ])
    expect(
      lines.map(({ mailingId, best, points, of }) => [mailingId, best, +points.toFixed(1), +of.toFixed(1)]),
    ).toEqual([
      [112, 'converted', 14.5, 4.8],
      [111, 'clicked', 4.5, 4.5],
      [110, 'clicked', 4.1, 4.1],
      [108, 'landed', 4.2, 3.5],
      [107, 'opened', 0.6, 3.2],
      [106, 'clicked', 3, 3],
      [105, 'opened', 0.5, 2.7],
    ])
    expect([+prior.points.toFixed(1), prior.of]).toEqual([7.2, 25])
    // 53.8 of 75.4, everybody's average among them
    expect(scoreOf({ points: 53.8 - 7.2, of: 75.4 - 25, mailings: 18 }, average)).toBeCloseTo(71.35, 1)
  })

  it('halves after 60 days and quarters after 120', () => {
    // P = 5 + 2.5 + 0.25, W = 5 + 2.5 + 1.25
    const sums = scoreSums(
      [mailing(1, 0, 'clicked'), mailing(2, 60, 'clicked'), mailing(3, 120, 'opened')],
      now,
    )
    expect(sums.points).toBeCloseTo(7.75)
    expect(sums.of).toBeCloseTo(8.75)
    expect(scoreOf(sums, 0.2)).toBeCloseTo((100 * (7.75 + 5)) / (8.75 + 25))
  })

  it('takes the best event of a mailing and no other', () => {
    const one = mailing(1, 0)
    one.deeds = [
      { kind: 'opened', at: now },
      { kind: 'replied', at: now + 2 },
      { kind: 'clicked', at: now + 1 },
    ]
    expect(scoreSums([one], now)).toEqual({ points: 8, of: 5, mailings: 1 })
    expect(arithmetic([one]).lines[0]).toMatchObject({ best: 'replied', at: now + 2, points: 8, of: 5 })
  })

  it('caps at a hundred, and gives no age to a mailing of the future', () => {
    expect(scoreOf(scoreSums([mailing(1, 0, 'converted'), mailing(2, 0, 'converted')], now), 1)).toBe(100)
    expect(scoreSums([mailing(1, -10, 'clicked')], now)).toEqual({ points: 5, of: 5, mailings: 1 })
  })

  it('pools the average over everybody, at most one', () => {
    expect(scoreAverage({ points: 0, of: 0 })).toBe(0)
    expect(scoreAverage({ points: 2, of: 10 })).toBe(0.2)
    expect(scoreAverage({ points: 30, of: 10 })).toBe(1)
  })
})

describe('what counts', () => {
  it('reads receptions, and leaves out what was not delivered or belongs to no mailing', () => {
    expect(
      scoredMailings([
        reception({ mailing_id: 0, first_clicked_at: now }),
        reception({ mailing_id: 1, delivered_at: null }),
        reception({ mailing_id: 2, first_opened_at: 7, first_clicked_at: 8, replies: 2, last_active_at: 9 }),
        reception({ mailing_id: 3, replies: 1 }),
      ]),
    ).toEqual([
      {
        mailingId: 2,
        deliveredAt: now - day,
        deeds: [
          { kind: 'opened', at: 7 },
          { kind: 'clicked', at: 8 },
          { kind: 'replied', at: 9 },
        ],
      },
      { mailingId: 3, deliveredAt: now - day, deeds: [{ kind: 'replied', at: now - day }] },
    ])
  })

  it('counts a landing for the last mailing before it, within thirty days', () => {
    const receptions = [40, 10, 5].map((age, index) =>
      reception({ mailing_id: index + 1, delivered_at: now - age * day }),
    )
    const whose = (at: number, kind: 'landing' | 'conversion' = 'landing') =>
      scoredMailings(receptions, [{ at, kind }])
        .filter(({ deeds }) => deeds.length > 0)
        .map(({ mailingId, deeds }) => [mailingId, deeds[0]!.kind])
    expect(whose(now, 'conversion')).toEqual([[3, 'converted']])
    expect(whose(now - 5 * day)).toEqual([[3, 'landed']])
    expect(whose(now - 5 * day - 1)).toEqual([[2, 'landed']])
    expect(whose(now - 10 * day - 1)).toEqual([[1, 'landed']])
    expect(whose(now + 25 * day)).toEqual([[3, 'landed']])
    expect(whose(now + 25 * day + 1)).toEqual([])
    expect(whose(now - 41 * day)).toEqual([])
  })

  it('counts for the later of two mailings delivered at once', () => {
    const both = [reception({ mailing_id: 9 }), reception({ mailing_id: 4 })]
    for (const receptions of [both, both.toReversed()])
      expect(
        scoredMailings(receptions, [{ at: now, kind: 'landing' }]).find((one) => one.deeds.length > 0),
      ).toMatchObject({ mailingId: 9 })
  })
})

describe('the band', () => {
  const band = (score: number | null, mailings = 5, lastActiveAt: number | null = now) =>
    bandOf(score, { mailings, lastActiveAt, now })

  it('asks for new, then dormant, then the score', () => {
    expect(band(null)).toBeNull()
    expect(band(99, 4, null)).toBe('new')
    expect(band(99, 5, null)).toBe('dormant')
    expect(band(99, 5, now - 90 * day - 1)).toBe('dormant')
    expect(band(99, 5, now - 90 * day)).toBe('champion')
    expect([60, 59.99, 35, 34.99, 15, 14.99, 0].map((score) => band(score))).toEqual([
      'champion',
      'active',
      'active',
      'passive',
      'passive',
      'fading',
      'fading',
    ])
  })

  it('has words for each', () => {
    expect(Object.keys(bandMeanings).sort()).toEqual([...bands].sort())
  })
})

describe('the trend', () => {
  it('is null with fewer than five mailings thirty days ago', () => {
    const four = [1, 31, 32, 33, 34].map((age) => mailing(age, age, 'clicked'))
    expect(arithmetic(four)).toMatchObject({ before: null, trend: null })
    expect(arithmetic([...four, mailing(99, 35)]).before).not.toBeNull()
  })

  it('leaves out what came later, and takes ages as of then', () => {
    const old = [30, 37, 44, 51, 58].map((age) => mailing(age, age, 'opened'))
    old[0]!.deeds.push({ kind: 'converted', at: now - 29 * day })
    const { before, trend, score } = arithmetic([...old, mailing(1, 1, 'converted')])
    const thenAges = [0, 7, 14, 21, 28].map((age) => mailing(age, age, 'opened', 0))
    thenAges[0]!.deeds = [] // opened an hour later than thirty days ago
    expect(before).toBeCloseTo(scoreOf(scoreSums(thenAges, now), average)!)
    expect(trend).toBeCloseTo(score! - before!)
  })
})

describe('always', () => {
  const kinds = Object.keys(deedPoints) as DeedKind[]
  const someMailings = fc.array(
    fc.record({
      mailingId: fc.nat({ max: 1000 }),
      deliveredAt: fc.integer({ min: now - 900 * day, max: now + 2 * day }),
      deeds: fc.array(
        fc.record({
          kind: fc.constantFrom(...kinds),
          at: fc.integer({ min: now - 900 * day, max: now + 2 * day }),
        }),
        { maxLength: 4 },
      ),
    }),
    { maxLength: 30 },
  )
  const someAverage = fc.double({ min: 0, max: 1, noNaN: true })

  it('lies between 0 and 100, and is null without mailings alone', () => {
    fc.assert(
      fc.property(someMailings, someAverage, (mailings, average) => {
        const { score, before, band } = arithmetic(mailings, { average })
        for (const value of [score, before])
          if (value !== null) {
            expect(value).toBeGreaterThanOrEqual(0)
            expect(value).toBeLessThanOrEqual(100)
          }
        expect(score === null).toBe(mailings.length === 0)
        expect(band === null).toBe(mailings.length === 0)
      }),
    )
  })

  it('is never lowered by one more deed', () => {
    fc.assert(
      fc.property(
        someMailings.filter((mailings) => mailings.length > 0),
        someAverage,
        fc.nat(),
        fc.constantFrom(...kinds),
        (mailings, average, which, kind) => {
          const more = mailings.map((one, index) =>
            index === which % mailings.length ? { ...one, deeds: [...one.deeds, { kind, at: now }] } : one,
          )
          expect(arithmetic(more, { average }).score!).toBeGreaterThanOrEqual(
            arithmetic(mailings, { average }).score!,
          )
        },
      ),
    )
  })

  it('does not depend on the order of mailings and deeds', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.record({
            id: fc.nat({ max: 500 }),
            age: fc.nat({ max: 400 }),
            opened: fc.boolean(),
            replies: fc.nat({ max: 1 }),
          }),
          { selector: ({ id }) => id, maxLength: 15 },
        ),
        fc.array(fc.record({ age: fc.nat({ max: 400 }), kind: fc.constantFrom('landing', 'conversion') }), {
          maxLength: 8,
        }),
        someAverage,
        (receptions, signals, average) => {
          const rows = receptions.map(({ id, age, opened, replies }) =>
            reception({
              mailing_id: id + 1,
              delivered_at: now - age * day,
              first_opened_at: opened ? now - age * day + 1 : null,
              replies,
              last_active_at: opened ? now - age * day + 1 : null,
            }),
          )
          const told = signals.map(({ age, kind }) => ({
            at: now - age * day,
            kind: kind as 'landing' | 'conversion',
          }))
          const one = arithmetic(scoredMailings(rows, told), { average })
          const other = arithmetic(scoredMailings(rows.toReversed(), told.toReversed()), { average })
          expect(other.lines).toEqual(one.lines)
          expect(other.band).toBe(one.band)
          if (one.score !== null) expect(other.score).toBeCloseTo(one.score, 8)
          if (one.before !== null) expect(other.before).toBeCloseTo(one.before, 8)
        },
      ),
    )
  })

  it('adds up: the lines and the prior make the sum, and the sum makes the score', () => {
    fc.assert(
      fc.property(someMailings, someAverage, (mailings, average) => {
        const { lines, prior, sum, score } = arithmetic(mailings, { average })
        const total = (column: 'points' | 'of') =>
          lines.reduce((whole, line) => whole + line[column], prior[column])
        expect(total('points')).toBeCloseTo(sum.points, 8)
        expect(total('of')).toBeCloseTo(sum.of, 8)
        if (score !== null) expect(score).toBeCloseTo(Math.min(100, (100 * sum.points) / sum.of), 8)
      }),
    )
  })
})
