import { nextPeriod, startOfPeriod } from '../audience/periods.js'
import { type Calendar, dayLength } from '../web/calendar.js'
import { isIn } from './mailing-filter.js'
import type { ListedMailing } from './mailing-list.js'
import { isUntold, type NumberName, numberOf } from './mailing-numbers.js'
import type { Mailing } from './queries.js'
import {
  bestAndWorst,
  betterRate,
  type Column,
  columnOf,
  known,
  type MailingColumns,
  type Placed,
  type RateName,
  type RateSummary,
  rateParts,
  rates,
  summariseRate,
  summariseRateByGroup,
  take,
  type Window,
} from './statistics.js'

export const totalNames = ['sent', 'delivered', 'opened', 'clicked', 'unsubscribed'] as const
export type TotalName = (typeof totalNames)[number]
export const rateNames = Object.keys(rateParts) as RateName[]
/** What each rate is called among the numbers of one mailing, in addresses and in JSON. */
export const rateFields: Record<RateName, NumberName> = {
  open: 'open_rate',
  click: 'click_rate',
  clickToOpen: 'click_to_open',
  bounce: 'bounce_rate',
  unsubscribe: 'unsubscribe_rate',
  complaint: 'complaint_rate',
}

/** The best or the worst mailing by a rate. */
export interface Outlier {
  mailing: Pick<ListedMailing, 'id' | 'name' | 'basis' | 'provider'>
  /** A share of one. */
  value: number
}

/** Many mailings in a few numbers. */
export interface Summary {
  mailings: number
  /** Unique people of each mailing, summed up: who got two of them counts twice. */
  totals: Record<TotalName, number>
  rates: Record<RateName, RateSummary & { best: Outlier | null; worst: Outlier | null }>
  /** By whose numbers, of those that have any. */
  basis: { ours: number; provider: number }
}

/** The sum of what is known; zero where nothing is. */
const total = (column: Column) => column.reduce((sum, value) => sum + (known(value) ?? 0), 0)

/** The people of mailings as columns. What tracking does not tell is unknown: it takes part in no rate. */
export function columnsOfMailings(mailings: readonly Mailing[]): MailingColumns {
  const column = (name: NumberName) => columnOf(mailings, (mailing) => numberOf(mailing, name))
  return {
    sent: column('sent_to'),
    delivered: column('delivered'),
    opened: column('opened'),
    clicked: column('clicked'),
    bounced: column('bounced'),
    unsubscribed: column('unsubscribed'),
    complained: column('complained'),
  }
}

/** Mailings beside the columns of their numbers, read once however often they are summed up. */
export interface Book {
  mailings: readonly ListedMailing[]
  columns: MailingColumns
}
export const bookOf = (mailings: readonly ListedMailing[]): Book => ({
  mailings,
  columns: columnsOfMailings(mailings),
})

/** Those that were sent in a window. */
export function sentWithin({ mailings, columns }: Book, window: Parameters<typeof isIn>[1]): Book {
  const rows: number[] = []
  for (const [row, { sent_at }] of mailings.entries()) if (isIn(sent_at, window)) rows.push(row)
  const names = Object.keys(columns) as (keyof MailingColumns)[]
  return {
    mailings: rows.map((row) => mailings[row]!),
    columns: Object.fromEntries(names.map((name) => [name, take(columns[name], rows)])) as Record<
      keyof MailingColumns,
      Column
    >,
  }
}

/** Averages, deviations and pooled rates are defined in statistics.ts. */
export function summarise({ mailings, columns }: Book): Summary {
  const counted = mailings.filter((mailing) => !isUntold(mailing))
  const provider = counted.filter(({ basis }) => basis === 'provider').length
  return {
    mailings: mailings.length,
    totals: Object.fromEntries(totalNames.map((name) => [name, total(columns[name])])) as Summary['totals'],
    rates: Object.fromEntries(
      rateNames.map((name) => {
        const [part, whole] = rateParts[name]
        const found = bestAndWorst(rates(columns[part], columns[whole]), betterRate[name])
        const outlier = (placed: Placed): Outlier => ({
          mailing: mailings[placed.row]!,
          value: placed.value,
        })
        return [
          name,
          {
            ...summariseRate(columns, name),
            best: found && outlier(found.best),
            worst: found && outlier(found.worst),
          },
        ]
      }),
    ) as Summary['rates'],
    basis: { ours: counted.length - provider, provider },
  }
}

export const seriesUnits = ['week', 'month'] as const
export type SeriesUnit = (typeof seriesUnits)[number]

/** The mailings of one week or month. Rates are shares of one; null where no mailing has one. */
export interface SeriesPoint {
  /** When it begins. */
  at: number
  mailings: number
  sent: number
  delivered: number
  /** The unweighted mean over the period's mailings, and that of their people taken together. */
  open: { mean: number | null; pooled: number | null }
  click: { mean: number | null; pooled: number | null }
}
export interface Series {
  unit: SeriesUnit
  points: SeriesPoint[]
}

/** A chart has only so many pixels, and a table only so many rows that somebody reads. */
const mostPeriods = 400
/** The longest time, in days, that is usually read by the week. */
const mostDaysByWeek = 400

/**
 * Sent and rates week by week or month by month, without gaps, from the first mailing (or the beginning of the range) to
 * the last or today. Weeks begin on Monday; the first and last may be cut by the range.
 * @param by empty: what suits the length
 */
export function seriesOf(
  book: Book,
  {
    calendar,
    from,
    until,
    by,
  }: { calendar: Calendar; from: number | null; until: number; by: SeriesUnit | '' },
): Series {
  const { mailings: sent, columns } = sentWithin(book, { from, until })
  const earliest = sent.reduce((least, { sent_at }) => Math.min(least, sent_at!), from ?? until - 1)
  const last = calendar.dayOf(until - 1)
  // A date of long ago is a mistake of somebody's; it must not make the page endless.
  const first = [calendar.dayOf(earliest), calendar.shift(last, -30 * mostPeriods)].sort().at(-1)!
  const days = (Date.parse(last) - Date.parse(first)) / dayLength
  const asked = by || (days > mostDaysByWeek ? 'month' : 'week')
  const unit = asked === 'week' && days / 7 > mostPeriods ? 'month' : asked
  const starts: string[] = []
  for (let start = startOfPeriod(first, unit); start <= last; start = nextPeriod(calendar, start, unit))
    starts.push(start)
  const slotOf = new Map(starts.map((start, slot) => [start, slot]))
  const slotsOfDays = new Map<string, number>()
  /** Many mailings share a day. */
  const slotOfDay = (day: string) => {
    const slot = slotsOfDays.get(day) ?? slotOf.get(startOfPeriod(day, unit)) ?? -1
    slotsOfDays.set(day, slot)
    return slot
  }
  const slots = Int32Array.from(sent, ({ sent_at }) => slotOfDay(calendar.dayOf(sent_at!)))
  const grouped = (name: RateName) => summariseRateByGroup(columns, name, slots, starts.length)
  const [open, click] = [grouped('open'), grouped('click')]
  const [count, sentTo, delivered] = [0, 0, 0].map(() => new Float64Array(starts.length)) as [
    Column,
    Column,
    Column,
  ]
  for (const [row, slot] of slots.entries()) {
    if (slot < 0) continue
    count[slot]!++
    sentTo[slot]! += known(columns.sent[row]) ?? 0
    delivered[slot]! += known(columns.delivered[row]) ?? 0
  }
  return {
    unit,
    points: starts.map((start, slot) => ({
      at: calendar.startOf(start),
      mailings: count[slot]!,
      sent: sentTo[slot]!,
      delivered: delivered[slot]!,
      open: { mean: known(open.mean[slot]), pooled: known(open.pooled[slot]) },
      click: { mean: known(click.mean[slot]), pooled: known(click.pooled[slot]) },
    })),
  }
}

/** So many parts of a window, for a picture the size of a word. */
const sparkParts = 12

/** A total in equal parts of a window, oldest first. */
export function totalByPart(
  mailings: readonly ListedMailing[],
  name: TotalName | 'mailings',
  { from, until }: Window,
): number[] {
  const parts = Array.from({ length: sparkParts }, () => 0)
  const number: NumberName | null = name === 'mailings' ? null : name === 'sent' ? 'sent_to' : name
  for (const mailing of mailings) {
    const at = mailing.sent_at
    if (at === null || at < from || at >= until) continue
    const part = Math.floor(((at - from) / (until - from)) * sparkParts)
    parts[part]! += number === null ? 1 : (numberOf(mailing, number) ?? 0)
  }
  return parts
}

/** The last mailings that have a rate of opens or clicks, the newest first. */
export const lastRated = (mailings: readonly ListedMailing[], count: number) =>
  mailings
    .filter((mailing) => mailing.sent_at !== null && (mailing.rates.open ?? mailing.rates.click) !== null)
    .slice(0, count)
