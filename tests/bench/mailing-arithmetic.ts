import { op, rolling, table } from 'arquero'
import { dailyAverages } from '../../src/mailings/curves.js'
import {
  type Column,
  type MailingColumns,
  type RateName,
  summariseRate,
  summariseRateByGroup,
} from '../../src/mailings/statistics.js'
import { median } from './ingestion.js'
import { check } from './report.js'

export interface ArithmeticSize {
  mailings: number
  /** Of each mailing, one a day. */
  snapshots: number
}

/** What is reckoned with: mailings, the list of each, and their snapshots, sorted by mailing and then by time. */
interface Given {
  mailings: MailingColumns
  list: Int32Array
  lists: number
  sentAt: Column
  until: Column
  snapshots: { mailing: Int32Array; at: Column; opens: Column; clicks: Column }
  days: number
}

const day = 86_400_000

/**
 * Mailings of the last years, the same each time. One of fifty has no report, so that all of it is unknown; one of fifty
 * came back altogether, so that nothing was delivered; one snapshot of two hundred takes some of the count back.
 */
function make({ mailings: rows, snapshots: days }: ArithmeticSize): Given {
  let state = 4
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 4_294_967_296
  }
  const empty = (length = rows) => new Float64Array(length)
  const mailings: MailingColumns = {
    sent: empty(),
    delivered: empty(),
    opened: empty(),
    clicked: empty(),
    bounced: empty(),
    unsubscribed: empty(),
    complained: empty(),
  }
  const lists = Math.max(2, Math.round(rows / 500))
  const list = new Int32Array(rows)
  const [sentAt, until] = [empty(), empty()]
  const snapshots = {
    mailing: new Int32Array(rows * days),
    at: empty(rows * days),
    opens: empty(rows * days),
    clicks: empty(rows * days),
  }
  for (let row = 0; row < rows; row++) {
    const sent = 20 + Math.floor(random() * 20_000)
    const bounced = random() < 0.02 ? sent : Math.floor(sent * random() * 0.05)
    const delivered = sent - bounced
    const opened = Math.floor(delivered * (0.1 + random() * 0.6))
    const clicked = Math.floor(opened * random() * 0.3)
    const unsubscribed = Math.floor(delivered * random() * 0.01)
    const told = { sent, delivered, opened, clicked, bounced, unsubscribed, complained: 0 }
    const isUnknown = random() < 0.02
    for (const name of Object.keys(mailings) as (keyof MailingColumns)[])
      mailings[name][row] = isUnknown ? Number.NaN : told[name]
    list[row] = Math.floor(random() * lists)
    sentAt[row] = Date.UTC(2021, 0, 1) + Math.floor(random() * 2_000) * day + Math.floor(random() * day)
    until[row] = sentAt[row]! + days * day
    let [opens, clicks] = [0, 0]
    for (let age = 0; age < days; age++) {
      const index = row * days + age
      const isCorrection = random() < 0.005
      opens += isCorrection ? -Math.floor(opens * 0.1) : Math.floor(((delivered - opens) * random()) / 5)
      clicks += isCorrection ? -Math.floor(clicks * 0.1) : Math.floor(((opened - clicks) * random()) / 20)
      snapshots.mailing[index] = row
      snapshots.at[index] = sentAt[row]! + age * day + Math.floor((0.05 + random() * 0.9) * day)
      snapshots.opens[index] = opens
      snapshots.clicks[index] = clicks
    }
  }
  return { mailings, list, lists, sentAt, until, snapshots, days }
}

/** The three parts of the calculation. */
export const steps = {
  averages: 'mean, median, deviation, pooled rate of four rates',
  byList: 'the averages of each list',
  moving: 'moving averages of daily opens and clicks of each mailing',
} as const
export type Step = keyof typeof steps
const stepNames = Object.keys(steps) as Step[]

/** Named columns of results, NaN or undefined where there is none. */
type Results = Record<string, ArrayLike<number | null | undefined>>
/** Its steps, to be taken in this order: a later one may use what an earlier one made. */
type Calculation = (given: Given) => Record<Step, () => Results>

const rateNames = ['open', 'click', 'bounce', 'unsubscribe'] as const satisfies RateName[]

const ours: Calculation = ({ mailings, list, lists, snapshots, sentAt, until, days }) => ({
  averages() {
    const results: Results = {}
    for (const rate of rateNames) {
      const { mean, median, deviation, pooled } = summariseRate(mailings, rate)
      results[rate] = [mean, median, deviation, pooled]
    }
    return results
  },
  byList() {
    const results: Results = {}
    for (const rate of rateNames) {
      const { mean, pooled } = summariseRateByGroup(mailings, rate, list, lists)
      results[`${rate}, mean`] = mean
      results[`${rate}, pooled`] = pooled
    }
    return results
  },
  moving() {
    const average = (count: Column) => dailyAverages(snapshots, count, { sentAt, until }, days)
    return { opens: average(snapshots.opens), clicks: average(snapshots.clicks) }
  },
})

type MailingRow = Record<keyof MailingColumns, number>
interface SnapshotRow {
  opens: number
  clicks: number
  newOpens: number
  newClicks: number
}
const pooled = {
  open: (d: MailingRow) => op.sum(d.opened) / op.sum(d.delivered),
  click: (d: MailingRow) => op.sum(d.clicked) / op.sum(d.delivered),
  bounce: (d: MailingRow) => op.sum(d.bounced) / op.sum(d.sent),
  unsubscribe: (d: MailingRow) => op.sum(d.unsubscribed) / op.sum(d.delivered),
}

/** As its guide would have it: columns handed over as they are, rates derived once, one rollup for all numbers. */
const arquero: Calculation = ({ mailings, list, snapshots }) => {
  let rated = table({ ...mailings, list })
  return {
    averages() {
      rated = rated.derive({
        open: (d: MailingRow) => (d.delivered > 0 ? d.opened / d.delivered : null),
        click: (d: MailingRow) => (d.delivered > 0 ? d.clicked / d.delivered : null),
        bounce: (d: MailingRow) => (d.sent > 0 ? d.bounced / d.sent : null),
        unsubscribe: (d: MailingRow) => (d.delivered > 0 ? d.unsubscribed / d.delivered : null),
      })
      const numbers = rateNames.flatMap((rate) => [
        [`${rate}_mean`, op.mean(rate)],
        [`${rate}_median`, op.median(rate)],
        [`${rate}_deviation`, op.stdevp(rate)],
        [`${rate}_pooled`, pooled[rate]],
      ])
      const row = rated.rollup(Object.fromEntries(numbers)).object() as Record<string, number>
      const four = ['mean', 'median', 'deviation', 'pooled']
      return Object.fromEntries(rateNames.map((rate) => [rate, four.map((name) => row[`${rate}_${name}`])]))
    },
    byList() {
      const numbers = rateNames.flatMap((rate) => [
        [`${rate}, mean`, op.mean(rate)],
        [`${rate}, pooled`, pooled[rate]],
      ])
      const lists = rated.groupby('list').rollup(Object.fromEntries(numbers)).orderby('list').reify()
      const names = lists.columnNames().filter((name) => name !== 'list')
      return Object.fromEntries(names.map((name) => [name, lists.array(name) as number[]]))
    },
    /** The snapshots are sorted, and one a day: what a day added is the difference from the row before. */
    moving() {
      const averages = table(snapshots)
        .groupby('mailing')
        .derive({
          newOpens: (d: SnapshotRow) => d.opens - op.lag(d.opens, 1, 0),
          newClicks: (d: SnapshotRow) => d.clicks - op.lag(d.clicks, 1, 0),
        })
        .derive({
          averageOpens: rolling((d: SnapshotRow) => op.mean(d.newOpens), [-6, 0]),
          averageClicks: rolling((d: SnapshotRow) => op.mean(d.newClicks), [-6, 0]),
        })
      return {
        opens: averages.array('averageOpens') as number[],
        clicks: averages.array('averageClicks') as number[],
      }
    },
  }
}

/**
 * The arithmetic of mailings, ours and written with arquero, in turns. The first turn of each warms it up; its results are
 * compared, and its time is not counted.
 * @returns milliseconds, medians over the rounds
 */
export function compareArithmetic(size: ArithmeticSize, rounds: number) {
  const given = make(size)
  const times = { ours: noTimes(), arquero: noTimes() }
  for (let round = 0; round <= rounds; round++) {
    const results = { ours: calculate(ours, given), arquero: calculate(arquero, given) }
    for (const step of stepNames) {
      if (round === 0) equal(step, results.ours[step].results, results.arquero[step].results)
      else
        for (const who of ['ours', 'arquero'] as const) times[who][step].push(results[who][step].milliseconds)
    }
  }
  return {
    ours: medians(times.ours, rounds),
    arquero: medians(times.arquero, rounds),
  }
}

const noTimes = (): Record<Step, number[]> => ({ averages: [], byList: [], moving: [] })

function calculate(calculation: Calculation, given: Given) {
  const taken = calculation(given)
  const timed = (step: Step) => {
    const from = performance.now()
    const results = taken[step]()
    return { results, milliseconds: performance.now() - from }
  }
  return { averages: timed('averages'), byList: timed('byList'), moving: timed('moving') }
}

function medians(times: Record<Step, number[]>, rounds: number) {
  const whole = Array.from({ length: rounds }, (_, round) =>
    stepNames.reduce((sum, step) => sum + times[step][round]!, 0),
  )
  return {
    averages: median(times.averages),
    byList: median(times.byList),
    moving: median(times.moving),
    whole: median(whole),
  }
}

/** To 1e-9, of their size where they are large; and unknown in the one is unknown in the other. */
function equal(step: Step, mine: Results, theirs: Results) {
  const names = Object.keys(mine).sort()
  check(names.join() === Object.keys(theirs).sort().join(), `${step}: the results have not the same names.`)
  for (const name of names) {
    const [left, right] = [mine[name]!, theirs[name]!]
    check(left.length === right.length, `${step}, ${name}: ${left.length} rows, and ${right.length}.`)
    let told = 0
    for (let row = 0; row < left.length; row++) {
      const [a, b] = [left[row] ?? Number.NaN, right[row] ?? Number.NaN]
      if (Number.isNaN(a) && Number.isNaN(b)) continue
      told++
      const isEqual = Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b))
      check(isEqual, `${step}, ${name}, row ${row}: ${a}, and arquero says ${b}.`)
    }
    check(told > 0, `${step}, ${name}: nothing was compared.`)
  }
}
