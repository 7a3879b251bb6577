import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clickRate, openRate } from '../../src/mailings/metrics.js'
import {
  bestAndWorst,
  betterRate,
  type Column,
  columnOf,
  deviation,
  known,
  type MailingColumns,
  mean,
  median,
  pooledRate,
  quantile,
  type RateName,
  rateParts,
  rates,
  summariseRate,
  summariseRateByGroup,
  take,
  trend,
  trendOf,
  windowBefore,
} from '../../src/mailings/statistics.js'

type Maybe = number | null

const column = (...values: Maybe[]) => columnOf(values, (value) => value)
const plain = (values: Column) => [...values].map(known)

/** Equal to 1e-9, of their size where they are large. */
function expectClose(actual: Maybe, expected: Maybe) {
  if (actual === null || expected === null) {
    expect(actual).toBe(expected)
    return
  }
  const scale = Math.max(1, Math.abs(actual), Math.abs(expected))
  expect(Math.abs(actual - expected) / scale).toBeLessThanOrEqual(1e-9)
}

const number = fc.double({ min: -1e6, max: 1e6, noNaN: true })
const values = fc.array(fc.option(number, { freq: 6 }), { maxLength: 60 })
const someValues = values.filter((list) => list.some((value) => value !== null))
/** Few different values, so that many are equal. */
const counts = fc.array(fc.option(fc.nat(5), { freq: 6 }), { minLength: 1, maxLength: 60 })

/** The same once more, as slowly and plainly as can be. */
const naive = {
  known: (list: readonly Maybe[]) => list.filter((value) => value !== null),
  sorted: (list: readonly Maybe[]) => naive.known(list).toSorted((a, b) => a - b),
  sum: (list: readonly number[]) => list.reduce((total, value) => total + value, 0),
  mean(list: readonly Maybe[]) {
    const all = naive.known(list)
    return all.length === 0 ? null : naive.sum(all) / all.length
  },
  median(list: readonly Maybe[]) {
    const all = naive.sorted(list)
    if (all.length === 0) return null
    const half = Math.floor(all.length / 2)
    return all.length % 2 === 1 ? all[half]! : (all[half - 1]! + all[half]!) / 2
  },
  deviation(list: readonly Maybe[]) {
    const all = naive.known(list)
    const centre = naive.mean(all)
    if (centre === null) return null
    return Math.sqrt(naive.mean(all.map((value) => (value - centre) ** 2))!)
  },
  quantile(list: readonly Maybe[], part: number) {
    const all = naive.sorted(list)
    if (all.length === 0) return null
    const position = part * (all.length - 1)
    const [below, above] = [all[Math.floor(position)]!, all[Math.ceil(position)]!]
    return below * (1 - (position % 1)) + above * (position % 1)
  },
}

const statistics = { mean, median, deviation, p10: (of: Column) => quantile(of, 0.1) }
const plainly = {
  mean: naive.mean,
  median: naive.median,
  deviation: naive.deviation,
  p10: (list: readonly Maybe[]) => naive.quantile(list, 0.1),
}
const names = ['mean', 'median', 'deviation', 'p10'] as const

describe('worked by hand', () => {
  it('takes the mean, the median and the population’s deviation', () => {
    const column_ = column(2, 4, 4, 4, 5, 5, 7, 9)
    expect(mean(column_)).toBe(5)
    expect(median(column_)).toBe(4.5)
    expect(deviation(column_)).toBe(2)
  })
  it('takes the one in the middle of an odd count, whatever the order', () => {
    expect(median(column(9, 1, 5))).toBe(5)
    expect(median(column(5, 9, 1, null, 7, 3))).toBe(5)
  })
  it('lays a straight line between two values', () => {
    expect(quantile(column(10, 20, 30, 40, 50), 0.1)).toBe(14)
    expect(quantile(column(10, 20, 30, 40, 50), 0.9)).toBe(46)
    expect(quantile(column(50, 10, 30), 0)).toBe(10)
    expect(quantile(column(50, 10, 30), 1)).toBe(50)
  })
  it('has one value for its own mean and median, with no deviation', () => {
    expect(names.map((name) => statistics[name](column(0.37)))).toEqual([0.37, 0.37, 0, 0.37])
    expect(names.map((name) => statistics[name](column(null, 0.37, null)))).toEqual([0.37, 0.37, 0, 0.37])
  })
  it('says nothing of nothing, and nothing of what is unknown', () => {
    expect(names.map((name) => statistics[name](column()))).toEqual([null, null, null, null])
    expect(names.map((name) => statistics[name](column(null, null)))).toEqual([null, null, null, null])
  })
  it('keeps its digits where the values are large and the spread is small', () => {
    expect(deviation(column(1e9 + 4, 1e9 + 7, 1e9 + 13, 1e9 + 16))).toBeCloseTo(Math.sqrt(22.5), 12)
  })
  it('has exactly the value for the mean of what is all the same', () => {
    const same = column(0.1, 0.1, 0.1)
    expect([mean(same), deviation(same)]).toEqual([0.1, 0])
  })
  it('finds the median of values that rise and then fall, which misleads a choice of pivots', () => {
    const size = 40_001
    const pipe = Float64Array.from({ length: size }, (_, index) => Math.min(index, size - 1 - index))
    expect(median(pipe)).toBe(10_000)
    expect(median(pipe.toSorted())).toBe(10_000)
    expect(median(pipe.toSorted().reverse())).toBe(10_000)
  })
  it('leaves the column as it was', () => {
    const given = column(3, 1, null, 2)
    median(given)
    expect(plain(given)).toEqual([3, 1, null, 2])
  })
})

describe('whatever the values', () => {
  it('agrees with the plain calculation', () => {
    fc.assert(
      fc.property(fc.oneof(values, counts), (list) => {
        for (const name of names) expectClose(statistics[name](column(...list)), plainly[name](list))
      }),
    )
  })
  it('agrees with it at every quantile', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, part) => {
        expectClose(quantile(column(...list), part), naive.quantile(list, part))
      }),
    )
  })
  it('lies between the least and the greatest', () => {
    fc.assert(
      fc.property(someValues, (list) => {
        const sorted = naive.sorted(list)
        const [least, greatest] = [sorted[0]!, sorted.at(-1)!]
        for (const name of ['mean', 'median', 'p10'] as const) {
          const value = statistics[name](column(...list))!
          expect(value).toBeGreaterThanOrEqual(least - 1e-9)
          expect(value).toBeLessThanOrEqual(greatest + 1e-9)
        }
        const spread = deviation(column(...list))!
        expect(spread).toBeGreaterThanOrEqual(0)
        expect(spread).toBeLessThanOrEqual((greatest - least) / 2 + 1e-9)
      }),
    )
  })
  it('does not depend on the order', () => {
    const shuffled = values.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    )
    fc.assert(
      fc.property(shuffled, ([list, other]) => {
        for (const name of names)
          expectClose(statistics[name](column(...list)), statistics[name](column(...other)))
      }),
    )
  })
  it('moves with the values, and stretches with them', () => {
    fc.assert(
      fc.property(someValues, number, fc.double({ min: 0.01, max: 100, noNaN: true }), (list, by, times) => {
        const changed = column(...list.map((value) => (value === null ? null : value * times + by)))
        for (const name of names) {
          const before = statistics[name](column(...list))!
          const expected = name === 'deviation' ? before * times : before * times + by
          // Of values of up to 1e8, the last of sixteen digits is 1e-8.
          expect(Math.abs(statistics[name](changed)! - expected)).toBeLessThanOrEqual(1e-6)
        }
      }),
    )
  })
  it('takes no notice of what is unknown', () => {
    fc.assert(
      fc.property(values, (list) => {
        for (const name of names)
          expect(statistics[name](column(...list))).toBe(statistics[name](column(...naive.known(list))))
      }),
    )
  })
})

describe('rates', () => {
  it('has no rate where nothing was delivered, or nobody knows', () => {
    const opened = column(5, 0, 3, null, 0)
    const delivered = column(10, 0, null, 10, 10)
    expect(plain(rates(opened, delivered))).toEqual([0.5, null, null, null, 0])
  })
  it('takes all people together for the pooled rate', () => {
    expect(pooledRate(column(10, 1, 7, null), column(20, 1_000, 0, 500))).toBe(11 / 1_020)
    expect(pooledRate(column(), column())).toBe(null)
    expect(pooledRate(column(3, null), column(0, 10))).toBe(null)
  })
  it('pools rates into one between the least and the greatest of them', () => {
    const mailing = fc.record({ part: fc.option(fc.nat(1_000), { freq: 8 }), whole: fc.nat(1_000) })
    fc.assert(
      fc.property(fc.array(mailing, { maxLength: 40 }), (list) => {
        const parts = columnOf(list, ({ part }) => part)
        const wholes = columnOf(list, ({ whole }) => whole)
        const single = rates(parts, wholes)
        const pooled = pooledRate(parts, wholes)
        const rated = list.filter(({ part, whole }) => part !== null && whole > 0)
        const sum = (of: 'part' | 'whole') => naive.sum(rated.map((row) => row[of]!))
        expectClose(pooled, rated.length === 0 ? null : sum('part') / sum('whole'))
        if (pooled === null) return
        expect(pooled).toBeGreaterThanOrEqual(quantile(single, 0)! - 1e-12)
        expect(pooled).toBeLessThanOrEqual(quantile(single, 1)! + 1e-12)
      }),
    )
  })

  const four: MailingColumns = {
    sent: column(100, 1_010, 0, 20),
    delivered: column(90, 1_000, 0, null),
    opened: column(45, 200, 0, 5),
    clicked: column(9, 50, 0, 2),
    bounced: column(10, 10, 0, 1),
    unsubscribed: column(0, 1, 0, 0),
    complained: column(0, 0, 0, 0),
  }
  it('sums a rate up: what has none is left out, and counted', () => {
    const open = summariseRate(four, 'open')
    expect(open).toMatchObject({ mailings: 2, without: 2, pooled: 245 / 1_090 })
    expectClose(open.mean, 0.35)
    expectClose(open.median, 0.35)
    expectClose(open.deviation, 0.15)
    expect(summariseRate(four, 'bounce')).toMatchObject({ mailings: 3, without: 1, pooled: 21 / 1_130 })
    expect(summariseRate(four, 'clickToOpen')).toMatchObject({ mailings: 3, without: 1, pooled: 61 / 250 })
  })
  it('says null of no mailing at all', () => {
    const none = Object.fromEntries(Object.keys(four).map((name) => [name, column()]))
    expect(summariseRate(none as unknown as MailingColumns, 'open')).toEqual({
      mailings: 0,
      without: 0,
      mean: null,
      pooled: null,
      median: null,
      deviation: null,
    })
  })
  it('is the same rate as that of a single mailing', () => {
    const single = { opened: 45, clicked: 9, delivered: 90 }
    expect(plain(rates(four.opened, four.delivered))[0]).toBe(openRate(single))
    expect(plain(rates(four.clicked, four.delivered))[0]).toBe(clickRate(single))
  })
  it('averages in each list as it would average the list alone', () => {
    const row = fc.record({ list: fc.integer({ min: -1, max: 4 }), people: fc.nat(50), part: fc.nat(50) })
    const names = Object.keys(rateParts) as RateName[]
    fc.assert(
      fc.property(fc.array(row, { maxLength: 50 }), fc.constantFrom(...names), (rows, rate) => {
        const [part, whole] = rateParts[rate]
        const columns = (of: typeof rows): MailingColumns => ({
          ...four,
          [part]: columnOf(of, (it) => it.part),
          [whole]: columnOf(of, (it) => it.people),
        })
        const group = Int32Array.from(rows, ({ list }) => list)
        const grouped = summariseRateByGroup(columns(rows), rate, group, 5)
        for (let list = 0; list < 5; list++) {
          const alone = summariseRate(columns(rows.filter((it) => it.list === list)), rate)
          expect(grouped.mailings[list]).toBe(alone.mailings)
          expectClose(known(grouped.mean[list]), alone.mean)
          expectClose(known(grouped.pooled[list]), alone.pooled)
        }
      }),
    )
  })
})

describe('best and worst', () => {
  it('names the rows; of equal ones the first', () => {
    const rate = column(null, 0.2, 0.5, 0.1, 0.5, 0.1)
    const highest = { row: 2, value: 0.5 }
    const lowest = { row: 3, value: 0.1 }
    expect(bestAndWorst(rate, 'higher')).toEqual({ best: highest, worst: lowest })
    expect(bestAndWorst(rate, betterRate.bounce)).toEqual({ best: lowest, worst: highest })
  })
  it('has the only one for both, and none among nothing', () => {
    const only = { row: 1, value: 0 }
    expect(bestAndWorst(column(null, 0), 'higher')).toEqual({ best: only, worst: only })
    expect(bestAndWorst(column(null), 'higher')).toBe(null)
    expect(bestAndWorst(column(), 'higher')).toBe(null)
  })
  it('finds the greatest and the least', () => {
    fc.assert(
      fc.property(someValues, (list) => {
        const sorted = naive.sorted(list)
        const { best, worst } = bestAndWorst(column(...list), 'higher')!
        expect([worst.value, best.value]).toEqual([sorted[0], sorted.at(-1)])
        expect([list[worst.row], list[best.row]]).toEqual([worst.value, best.value])
      }),
    )
  })
})

describe('trend', () => {
  it('says the difference, and what share of the earlier it is', () => {
    expect(trend(0.3, 0.25)).toEqual({ absolute: 0.3 - 0.25, relative: (0.3 - 0.25) / 0.25 })
    expect(trend(5, 0)).toEqual({ absolute: 5, relative: null })
    expect(trend(0, 0)).toEqual({ absolute: 0, relative: null })
  })
  it('is none where there is nothing to compare', () => {
    expect([trend(null, 1), trend(1, null), trend(null, null)]).toEqual([null, null, null])
  })
  it('compares a window with the one before; its end belongs to the next', () => {
    const sentAt = column(0, 10, 19, 20, 29, 30, null)
    const opens = column(1, 2, 4, 8, 16, 32, 64)
    const sum = (rows: readonly number[]) => naive.sum(plain(take(opens, rows)) as number[])
    expect(windowBefore({ from: 20, until: 30 })).toEqual({ from: 10, until: 20 })
    expect(trendOf(sentAt, { from: 20, until: 30 }, sum)).toEqual({
      now: 24,
      before: 6,
      trend: { absolute: 18, relative: 3 },
    })
  })
  it('compares with another window where one is named, as months of two lengths need', () => {
    const sentAt = column(5, 10, 19, 20, 29)
    const count = (rows: readonly number[]) => rows.length
    const { before } = trendOf(sentAt, { from: 20, until: 30 }, count, { from: 0, until: 20 })
    expect(before).toBe(3)
  })
  it('has no trend of an average where no mailing was sent before', () => {
    const rate = column(0.4)
    const average = (rows: readonly number[]) => mean(take(rate, rows))
    expect(trendOf(column(25), { from: 20, until: 30 }, average)).toEqual({
      now: 0.4,
      before: null,
      trend: null,
    })
  })
})
