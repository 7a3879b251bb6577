import { change } from '../web/changes.js'
import type { Benchmarks } from './benchmarks.js'
import type { Rates } from './metrics.js'
import type { Mailing } from './queries.js'
import { betterRate, type RateName } from './statistics.js'

/** How each rate is called and told: with its formula, and where the glossary says more. */
const shownRates: {
  rate: RateName
  id: string
  label: string
  formula: string
  glossary: string
  decimals: number
}[] = [
  {
    rate: 'open',
    id: 'open-rate',
    label: 'Open rate',
    formula: 'People who opened ÷ delivered',
    glossary: 'open-rate',
    decimals: 1,
  },
  {
    rate: 'click',
    id: 'click-rate',
    label: 'Click rate',
    formula: 'People who clicked ÷ delivered',
    glossary: 'click-rate',
    decimals: 1,
  },
  {
    rate: 'clickToOpen',
    id: 'click-to-open',
    label: 'Click-to-open',
    formula: 'People who clicked ÷ people who opened',
    glossary: 'click-to-open',
    decimals: 1,
  },
  {
    rate: 'bounce',
    id: 'bounce-rate',
    label: 'Bounced',
    formula: 'Bounced ÷ sent',
    glossary: 'bounce-rate',
    decimals: 2,
  },
  {
    rate: 'unsubscribe',
    id: 'unsubscribe-rate',
    label: 'Unsubscribed',
    formula: 'People who unsubscribed ÷ delivered',
    glossary: 'unsubscribe-rate',
    decimals: 2,
  },
  {
    rate: 'complaint',
    id: 'complaint-rate',
    label: 'Complained',
    formula: 'People who complained ÷ delivered',
    glossary: 'unsubscribe-rate',
    decimals: 2,
  },
]

/** How a rate differs from another, good or bad as the rate has it. */
const against = (rate: RateName, now: number | null, other: number | null) =>
  change(now, other, { as: 'points', good: betterRate[rate] === 'higher' ? 'up' : 'down' })

/** The rates of a mailing beside the average of those before it. */
export const rateTiles = ({ rates }: Pick<Mailing, 'rates'>, usual: Rates) =>
  shownRates.map((shown) => ({
    ...shown,
    value: rates[shown.rate],
    usual: usual[shown.rate],
    change: against(shown.rate, rates[shown.rate], usual[shown.rate]),
  }))

/** The same, and the figures of the industry that people keep, each with its source and date. */
export const comparisons = (
  mailing: Pick<Mailing, 'rates'>,
  usual: Rates,
  benchmarks: Benchmarks<RateName>,
) =>
  rateTiles(mailing, usual).map((tile) => {
    const benchmark = benchmarks[tile.rate]
    return {
      ...tile,
      benchmark,
      benchmarkChange: against(tile.rate, tile.value, benchmark?.share ?? null),
    }
  })
