import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  align,
  type Curve,
  dailyAverages,
  dailyIncrements,
  increments,
  movingAverage,
  sample,
  usualBand,
} from '../../src/mailings/curves.js'
import { type Column, columnOf, known } from '../../src/mailings/statistics.js'

type Maybe = number | null

const hour = 3_600_000
const sentAt = Date.UTC(2026, 2, 20, 9)
const column = (...values: Maybe[]) => columnOf(values, (value) => value)
const plain = (values: Column) => [...values].map(known)

/** @param points hours since sending, and the count then */
function curve(points: [number, Maybe][], given: Partial<Curve> = {}): Curve {
  const start = given.sentAt ?? sentAt
  return {
    sentAt: start,
    at: columnOf(points, ([after]) => start + after * hour),
    count: columnOf(points, ([, count]) => count),
    until: start + 1_000 * hour,
    delivered: 100,
    ...given,
  }
}

describe('increments', () => {
  it('says what each snapshot added, and calls a lower one a correction', () => {
    const { increment, isCorrection } = increments(column(10, 25, 22, 22, 30))
    expect(plain(increment)).toEqual([10, 15, -3, 0, 8])
    expect([...isCorrection]).toEqual([0, 0, 1, 0, 0])
  })
  it('compares with the last one known', () => {
    const { increment, isCorrection } = increments(column(null, 10, null, 7))
    expect(plain(increment)).toEqual([null, 10, null, -3])
    expect([...isCorrection]).toEqual([0, 0, 0, 1])
  })
  it('has none of no snapshot', () => {
    expect(plain(increments(column()).increment)).toEqual([])
  })
  it('adds up to the last count', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(1e6), { freq: 5 }), { maxLength: 40 }), (counts) => {
        const { increment, isCorrection } = increments(column(...counts))
        const added = plain(increment)
        expect(added.reduce<number>((sum, value) => sum + (value ?? 0), 0)).toBe(
          counts.findLast((count) => count !== null) ?? 0,
        )
        expect(added.map((value) => Number(value !== null && value < 0))).toEqual([...isCorrection])
      }),
    )
  })
})

describe('sampling', () => {
  it('takes the last snapshot at or before', () => {
    const opens = curve([
      [1, 10],
      [6, 40],
      [24, 60],
    ])
    expect(plain(sample(opens, column(1, 2, 5.99, 6, 23, 24, 500)))).toEqual([10, 10, 10, 40, 40, 60, 60])
  })
  it('is zero at the sending, and unknown until somebody looks', () => {
    expect(plain(sample(curve([[3, 10]]), column(0, 1, 2.9, 3)))).toEqual([0, null, null, 10])
  })
  it('is unknown after the provider was last asked', () => {
    const young = curve([[1, 10]], { until: sentAt + 5 * hour })
    expect(plain(sample(young, column(4, 5, 5.1, 6)))).toEqual([10, 10, null, null])
  })
  it('goes on from the last known where a snapshot did not say', () => {
    expect(
      plain(
        sample(
          curve([
            [1, null],
            [2, 7],
            [3, null],
          ]),
          column(1, 2, 3),
        ),
      ),
    ).toEqual([null, 7, 7])
  })
  it('takes the later of two at one instant, and one from before the sending', () => {
    expect(
      plain(
        sample(
          curve([
            [-1, 2],
            [1, 5],
            [1, 6],
          ]),
          column(0, 1),
        ),
      ),
    ).toEqual([2, 6])
  })
  it('of no snapshot at all knows the sending alone', () => {
    expect(plain(sample(curve([]), column(0, 1)))).toEqual([0, null])
  })
  it('agrees with looking through all snapshots for each hour', () => {
    const points = fc
      .array(fc.tuple(fc.nat(50), fc.option(fc.nat(100), { freq: 5 })), { maxLength: 30 })
      .map((list) => list.toSorted(([a], [b]) => a - b))
    const asked = fc.array(fc.nat(60), { maxLength: 20 }).map((list) => list.toSorted((a, b) => a - b))
    fc.assert(
      fc.property(points, asked, fc.nat(60), (list, hours, until) => {
        const expected = hours.map((at) => {
          if (at > until) return null
          const last = list.filter(([after, count]) => after <= at && count !== null).at(-1)
          return last ? last[1] : at === 0 ? 0 : null
        })
        const given = curve(list, { until: sentAt + until * hour })
        expect(plain(sample(given, column(...hours)))).toEqual(expected)
      }),
    )
  })
})

describe('side by side', () => {
  it('aligns mailings at their sending, as counts or as shares of the delivered', () => {
    const spring = curve([[1, 50]], { delivered: 200 })
    const autumn = curve([[2, 30]], { sentAt: Date.UTC(2026, 9, 24, 22), delivered: 100 })
    const hours = column(0, 1, 2)
    expect(align([spring, autumn], hours, 'count').map(plain)).toEqual([
      [0, 50, 50],
      [0, null, 30],
    ])
    expect(align([spring, autumn], hours, 'share').map(plain)).toEqual([
      [0, 0.25, 0.25],
      [0, null, 0.3],
    ])
  })
  it('has no shares where nothing was delivered, or nobody knows', () => {
    const none = curve([[1, 0]], { delivered: 0 })
    const unknown = curve([[1, 5]], { delivered: Number.NaN })
    expect(align([none, unknown], column(0, 1), 'share').map(plain)).toEqual([
      [null, null],
      [null, null],
    ])
  })
})

describe('usual band', () => {
  const sent = (days: number) => sentAt - days * 24 * hour
  /** Sent so many days ago; of a hundred, so many had opened after an hour. */
  const earlier = (days: number, opened: number, given: Partial<Curve> = {}) =>
    curve([[1, opened]], { sentAt: sent(days), ...given })
  const band = (curves: Curve[], last = 20) => {
    const { median, low, high, mailings } = usualBand(curves, {
      hours: column(0, 1, 2),
      before: sentAt,
      last,
    })
    return { median: plain(median), low: plain(low), high: plain(high), mailings: plain(mailings) }
  }

  it('is the median and the 10th and 90th percentile at each hour', () => {
    const shares = [10, 50, 30, 20, 40]
    const { median, low, high, mailings } = band(shares.map((opened, index) => earlier(index + 1, opened)))
    expect(median).toEqual([0, 0.3, 0.3])
    expect(low[1]).toBeCloseTo(0.14, 12)
    expect(high[1]).toBeCloseTo(0.46, 12)
    expect(mailings).toEqual([5, 5, 5])
  })
  it('takes the last sent before, whatever their order, and never the mailing itself', () => {
    const curves = [
      earlier(3, 90),
      earlier(1, 20),
      curve([[1, 99]]),
      earlier(2, 40),
      curve([[1, 99]], { sentAt: sent(-1) }),
    ]
    expect(band(curves, 2)).toMatchObject({ median: [0, expect.closeTo(0.3, 12), expect.closeTo(0.3, 12)] })
    expect(band(curves, 2).mailings).toEqual([2, 2, 2])
  })
  it('does without those that nobody got: they take no place among the last', () => {
    const curves = [earlier(1, 0, { delivered: 0 }), earlier(2, 9, { delivered: Number.NaN }), earlier(3, 20)]
    expect(band(curves, 1)).toMatchObject({ median: [0, 0.2, 0.2], mailings: [1, 1, 1] })
  })
  it('is told at each hour by those that have come so far', () => {
    const young = earlier(1, 10, { until: sent(1) + hour })
    expect(band([young, earlier(2, 30)])).toMatchObject({
      median: [0, 0.2, 0.3],
      mailings: [2, 2, 1],
    })
  })
  it('is unknown where no mailing tells', () => {
    const nothing = [null, null, null]
    expect(band([])).toEqual({ median: nothing, low: nothing, high: nothing, mailings: [0, 0, 0] })
  })
  it('holds the median between low and high', () => {
    const opened = fc.array(fc.nat(100), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(opened, (list) => {
        const { median, low, high } = band(list.map((opens, index) => earlier(index + 1, opens)))
        for (const index of [0, 1, 2]) {
          expect(low[index]).toBeLessThanOrEqual(median[index]!)
          expect(median[index]).toBeLessThanOrEqual(high[index]!)
        }
      }),
    )
  })
})

describe('by the day', () => {
  it('says what each day since sending added', () => {
    const opens = curve([
      [1, 10],
      [20, 30],
      [24, 34],
      [30, 40],
      [80, 38],
    ])
    expect(plain(dailyIncrements(opens, 5))).toEqual([34, 6, 0, -2, 0])
  })
  it('knows no day that is not over, and none at whose beginning nobody looked', () => {
    const late = curve([[30, 40]], { until: sentAt + 80 * hour })
    expect(plain(dailyIncrements(late, 4))).toEqual([null, null, 0, null])
  })
  it('counts 24 hours to a day while the clocks change', () => {
    const points: [number, number][] = [
      [23.5, 10],
      [24, 11],
      [47.5, 20],
      [48, 22],
    ]
    // In Berlin the clocks went forward on 29 March 2026, back on 25 October, and neither in June.
    const starts = [Date.UTC(2026, 2, 28, 12), Date.UTC(2026, 9, 24, 12), Date.UTC(2026, 5, 1, 12)]
    for (const start of starts)
      expect(plain(dailyIncrements(curve(points, { sentAt: start }), 2))).toEqual([11, 11])
  })
  it('averages seven days, and fewer at the beginning', () => {
    expect(plain(movingAverage(column(7, 0, 14, 7, 7, 0, 14, 0, 7)))).toEqual([
      7,
      3.5,
      7,
      7,
      7,
      35 / 6,
      7,
      6,
      7,
    ])
    expect(plain(movingAverage(column(5)))).toEqual([5])
    expect(plain(movingAverage(column()))).toEqual([])
  })
  it('leaves unknown days out of the average', () => {
    expect(plain(movingAverage(column(null, 4, null, 8)))).toEqual([null, 4, 4, 6])
    expect(plain(movingAverage(column(null, null)))).toEqual([null, null])
    expect(plain(movingAverage(column(9, null, null), 2))).toEqual([9, 9, null])
  })

  const values = fc.array(fc.option(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { freq: 5 }))
  it('agrees with the mean of each window, and lies within it', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 10 }), (list, days) => {
        const averages = plain(movingAverage(column(...list), days))
        for (const day of list.keys()) {
          const window = list.slice(Math.max(0, day - days + 1), day + 1).filter((value) => value !== null)
          const average = averages[day]!
          if (window.length === 0) {
            expect(average).toBe(null)
            continue
          }
          const expected = window.reduce((sum, value) => sum + value, 0) / window.length
          expect(Math.abs(average - expected)).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(expected)))
          expect(average).toBeGreaterThanOrEqual(Math.min(...window) - 1e-9)
          expect(average).toBeLessThanOrEqual(Math.max(...window) + 1e-9)
        }
      }),
    )
  })
  it('averages many mailings at once as it does one by one', () => {
    const mailing = fc.record({
      points: fc
        .array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.option(fc.nat(500), { freq: 8 })))
        .map((list) => list.toSorted(([a], [b]) => a - b)),
      sent: fc.nat(1_000),
      known: fc.nat(500),
    })
    fc.assert(
      fc.property(fc.array(mailing, { maxLength: 8 }), fc.integer({ min: 1, max: 12 }), (mailings, days) => {
        const curves = mailings.map(({ points, sent, known: hours }) =>
          curve(points, { sentAt: sentAt + sent * hour, until: sentAt + (sent + hours) * hour }),
        )
        const rows = curves.flatMap(({ at, count }, row) =>
          [...at].map((instant, index) => ({ row, instant, count: count[index]! })),
        )
        const averages = dailyAverages(
          { mailing: Int32Array.from(rows, ({ row }) => row), at: columnOf(rows, ({ instant }) => instant) },
          columnOf(rows, ({ count }) => count),
          { sentAt: columnOf(curves, (one) => one.sentAt), until: columnOf(curves, (one) => one.until) },
          days,
        )
        expect(plain(averages)).toEqual(
          curves.flatMap((one) => plain(movingAverage(dailyIncrements(one, days)))),
        )
      }),
    )
  })
})
