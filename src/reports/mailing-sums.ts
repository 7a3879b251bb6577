import { columnsOfMailings } from '../mailings/dashboard.js'
import { numberOf } from '../mailings/mailing-numbers.js'
import type { Mailing } from '../mailings/queries.js'
import { columnOf, mean, pooledRate, type RateName, rateParts } from '../mailings/statistics.js'

/** Several mailings in a few numbers; unique people of each, so whoever got two of them counts twice. */
export interface MailingSums {
  mailings: number
  sent: number
  delivered: number
  /** null where tracking may be off in all of them. */
  opened: number | null
  clicked: number | null
  bounced: number
  unsubscribed: number
  complained: number
  replied: number
  /** Of all people taken together, as the dashboard of the mailings pools them; of one mailing its own rates. */
  rates: Record<RateName, number | null>
}

const rateNames = Object.keys(rateParts) as RateName[]

/** Sums mailings up; what is unknown of one is left out of that sum. */
export function sumsOf(mailings: readonly Mailing[]): MailingSums {
  const columns = columnsOfMailings(mailings)
  const total = (values: Float64Array) =>
    values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : value), 0)
  const orNone = (values: Float64Array) =>
    values.every((value) => Number.isNaN(value)) ? null : total(values)
  return {
    mailings: mailings.length,
    sent: total(columns.sent),
    delivered: total(columns.delivered),
    opened: orNone(columns.opened),
    clicked: orNone(columns.clicked),
    bounced: total(columns.bounced),
    unsubscribed: total(columns.unsubscribed),
    complained: total(columns.complained),
    replied: total(columnOf(mailings, (mailing) => numberOf(mailing, 'replied'))),
    rates: Object.fromEntries(
      rateNames.map((rate) => {
        const [part, whole] = rateParts[rate]
        return [rate, pooledRate(columns[part], columns[whole])]
      }),
    ) as Record<RateName, number | null>,
  }
}

/** Each rate's average over earlier mailings: the unweighted mean of those that have it, as on the page of a mailing. */
export const averagesOf = (mailings: readonly Mailing[]): Record<RateName, number | null> =>
  Object.fromEntries(
    rateNames.map((rate) => [rate, mean(columnOf(mailings, ({ rates }) => rates[rate]))]),
  ) as Record<RateName, number | null>
