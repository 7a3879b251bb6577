import type { ExpressionBuilder } from 'kysely'
import { startOfPeriod } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { Tables } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import type { Counting } from './counting.js'
import { contactChunks, didSomething, somethingHappened, type Whose } from './engagement-over-time.js'
import { nextPeriod, startOfPeriod as startIn } from './periods.js'

export interface Cohort {
  /** The first day of the month in which its people subscribed. */
  on: string
  /** The instant at which that month begins. */
  at: number
  people: number
  /**
   * How many of them opened, clicked or replied in the month of subscribing, in the month after, and so on up to the
   * month that runs.
   */
  active: number[]
  /** The same as shares of one; null where nobody subscribed. */
  shares: (number | null)[]
}

/** So many months back, the one that runs with them. */
export const cohortMonths = 12

/**
 * Who subscribed in which of the last twelve months, and how many of them were still active in each month since. A
 * person subscribes once: the first time of all, or (given a list) to that list. Remember the answer for a while.
 */
export async function readCohorts(
  readers: Readers,
  calendar: Calendar,
  { tag, list, machines, now }: Whose & Counting & { now: number },
): Promise<Cohort[]> {
  const thisMonth = startIn(calendar.dayOf(now), 'month')
  const months = [thisMonth]
  while (months.length < cohortMonths) months.unshift(startIn(calendar.shift(months[0]!, -1), 'month'))
  const beginnings = [...months, nextPeriod(calendar, thisMonth, 'month')].map((day) => calendar.startOf(day))

  const sizes = months.map(() => 0)
  const active = months.map(() => months.map(() => 0))
  for (const chunk of await contactChunks(readers)) {
    for (const { cohort, people } of await readSizes(readers, { tag, list }, chunk, beginnings))
      sizes[cohort]! += people
    const rows = await readActive(readers, { tag, list, machines }, chunk, beginnings, months[0]!)
    for (const { cohort, month, people } of rows) {
      const index = months.indexOf(month)
      if (index >= cohort) active[cohort]![index]! += people
    }
  }
  return months.map((on, cohort) => {
    const people = sizes[cohort]!
    const counts = active[cohort]!.slice(cohort)
    return {
      on,
      at: beginnings[cohort]!,
      people,
      active: counts,
      shares: counts.map((count) => (people === 0 ? null : count / people)),
    }
  })
}

type Chunk = { from: number; to: number }
type Columns = ExpressionBuilder<
  Tables & { subscriptions: Tables['subscriptions'] },
  'contacts' | 'subscriptions'
>

/** Contacts of a chunk who subscribed in one of these months. Without a list nobody's subscription is joined. */
const subscribers = (readers: Readers, { tag, list }: Whose, { from, to }: Chunk, beginnings: number[]) =>
  readers
    .selectFrom('contacts')
    .leftJoin('subscriptions', (join) =>
      join.onRef('subscriptions.contact_id', '=', 'contacts.id').on('subscriptions.list_id', '=', list),
    )
    .where('contacts.id', '>', from)
    .where('contacts.id', '<=', to)
    .where(instantOf(list), '>=', beginnings[0]!)
    .where(instantOf(list), '<', beginnings.at(-1)!)
    .$if(tag > 0, (query) => query.where('contacts.id', 'in', taggedIn(readers, tag, { from, to })))
const taggedIn = (readers: Readers, tag: number, { from, to }: Chunk) =>
  readers
    .selectFrom('contact_tags')
    .select('contact_tags.contact_id')
    .where('tag_id', '=', tag)
    .where('contact_tags.contact_id', '>', from)
    .where('contact_tags.contact_id', '<=', to)
/** When somebody subscribed: to this list, or for the first time of all. */
const instantOf = (list: number) => (list > 0 ? 'subscriptions.subscribed_at' : 'contacts.subscribed_at')

/** The month in which somebody subscribed, as its place among these. */
function cohortOf(eb: Columns, list: number, beginnings: number[]) {
  const ends = beginnings.slice(1)
  const place = ends
    .slice(1)
    .reduce(
      (builder, end, index) => builder.when(instantOf(list), '<', end).then(index + 1) as typeof builder,
      eb.case().when(instantOf(list), '<', ends[0]!).then<number>(0),
    )
  return place.else(-1).end()
}

const readSizes = (readers: Readers, whose: Whose, chunk: Chunk, beginnings: number[]) =>
  subscribers(readers, whose, chunk, beginnings)
    .select((eb) => [
      cohortOf(eb as never, whose.list, beginnings).as('cohort'),
      eb.fn.countAll<number>().as('people'),
    ])
    .groupBy('cohort')
    .execute()

/** In which months each person did something is found first: there are fewer of these than days, and no person twice. */
const readActive = (
  readers: Readers,
  { machines, ...whose }: Whose & Counting,
  chunk: Chunk,
  beginnings: number[],
  since: string,
) =>
  subscribers(readers, whose, chunk, beginnings)
    .innerJoin(
      (eb) =>
        eb
          .selectFrom('contact_days')
          .select(({ ref }) => ['contact_id', startOfPeriod(ref('day_on'), 'month').as('month')])
          .distinct()
          .where('contact_id', '>', chunk.from)
          .where('contact_id', '<=', chunk.to)
          .where('day_on', '>=', since)
          .where((eb) => (machines ? somethingHappened : didSomething)(eb as never))
          .$if(whose.tag > 0, (query) => query.where('contact_id', 'in', taggedIn(readers, whose.tag, chunk)))
          .as('done'),
      (join) => join.onRef('done.contact_id', '=', 'contacts.id'),
    )
    .select((eb) => [
      cohortOf(eb as never, whose.list, beginnings).as('cohort'),
      'done.month',
      eb.fn.countAll<number>().as('people'),
    ])
    .groupBy(['cohort', 'done.month'])
    .execute()
