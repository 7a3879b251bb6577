import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import { startOfPeriod as startOf } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, Tables } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import type { Counting } from './counting.js'
import { type Periods, periodsOf, type Range, startOfPeriod, type Unit } from './periods.js'
import { engagementColumns, noEngagements } from './receptions.js'

/** Whose engagement is looked at: the people with a tag, on a list (now or once), or everybody. */
export interface Whose {
  /** 0: whichever. */
  tag: number
  list: number
}

export interface EngagementPoint extends EngagementCounts {
  /** The first day of the period. */
  on: string
  /** The instant at which it begins. */
  at: number
  /** Unique people who opened, clicked or replied in the period; with machines, also those in whose name one did. */
  people: number
}

export interface EngagementSeries {
  unit: Unit
  points: EngagementPoint[]
}

/** Contacts that are looked at in one query: a worker thread is held for a fraction of a second at most. */
const chunk = 20_000

/**
 * Opens, clicks and active people by day, week or month in the reporting time zone, without gaps.
 *
 * Everybody's sums come from counts. The people of a week or month, and all of a tag or a list, are found by walking
 * through the days of the contacts, in chunks; remember the answer for a while.
 */
export async function engagementOverTime(
  readers: Readers,
  calendar: Calendar,
  { range, by, machines, now, ...whose }: Whose & Counting & { range: Range; by: Unit; now: number },
): Promise<EngagementSeries> {
  const periods = periodsOf(calendar, {
    range,
    by,
    today: calendar.dayOf(now),
    earliest: range === 'all' ? await firstDay(readers, calendar.dayOf(now)) : '',
  })
  const { unit, starts } = periods
  const found = new Map<string, Omit<EngagementPoint, 'on' | 'at'>>()
  const isEverybody = whose.tag === 0 && whose.list === 0
  if (isEverybody) await addSums(readers, periods, found)
  if (isEverybody && unit === 'day') await addPeopleOfDays(readers, periods, found, { machines })
  else await walkContacts(readers, periods, { ...whose, machines }, found, { sums: !isEverybody })
  return {
    unit,
    points: starts.map((on) => ({ on, at: calendar.startOf(on), ...(found.get(on) ?? nothing()) })),
  }
}

type Found = Map<string, Omit<EngagementPoint, 'on' | 'at'>>
const nothing = () => ({ ...noEngagements, people: 0 })

function pointOf(found: Found, on: string) {
  const point = found.get(on) ?? nothing()
  found.set(on, point)
  return point
}

/** The first day with an engagement; today where there is none. */
async function firstDay(readers: Readers, today: string) {
  const row = await readers
    .selectFrom('engagement_days')
    .select(({ fn }) => fn.min('day_on').as('day'))
    .executeTakeFirst()
  return row?.day ?? today
}

async function addSums(readers: Readers, { unit, starts }: Periods, found: Found) {
  const rows = await readers
    .selectFrom('engagement_days')
    .select(['day_on', ...engagementColumns])
    .where('day_on', '>=', starts[0]!)
    .execute()
  for (const row of rows) {
    const point = pointOf(found, startOfPeriod(row.day_on, unit))
    for (const column of engagementColumns) point[column] += row[column]
  }
}

async function addPeopleOfDays(readers: Readers, { starts }: Periods, found: Found, { machines }: Counting) {
  const rows = await readers
    .selectFrom('active_days')
    .select(['day_on', 'people', 'all_people'])
    .where('day_on', '>=', starts[0]!)
    .execute()
  for (const row of rows) {
    const point = pointOf(found, row.day_on)
    point.people = machines ? row.all_people : row.people
  }
}

type Columns = ExpressionBuilder<Tables, 'contact_days'>

/** Did a person do something on that day? */
export const didSomething = (eb: Columns) =>
  eb.or([
    eb('contact_days.opens', '>', 0),
    eb('contact_days.clicks', '>', 0),
    eb('contact_days.replies', '>', 0),
  ])
/** Did anybody, machines and mail proxies included? */
export const somethingHappened = (eb: Columns) =>
  eb.or([
    didSomething(eb),
    eb('contact_days.proxy_opens', '>', 0),
    eb('contact_days.machine_opens', '>', 0),
    eb('contact_days.machine_clicks', '>', 0),
  ])

/** Unique people of a group of days for whom this is so. */
const peopleWho = (eb: Columns, did: (eb: Columns) => Expression<SqlBool>) =>
  eb.fn.count<number>(eb.case().when(did(eb)).then(eb.ref('contact_id')).else(null).end()).distinct()

/**
 * Every contact is in one chunk alone, so that unique people may be summed. Read in the order of the table, which is
 * by contact: an index by day would look up each row.
 */
async function walkContacts(
  readers: Readers,
  { unit, starts }: Periods,
  { tag, list, machines }: Whose & Counting,
  found: Found,
  { sums }: { sums: boolean },
) {
  const isActive = machines ? somethingHappened : didSomething
  for (const { from, to } of await contactChunks(readers)) {
    const rows = await readers
      .selectFrom('contact_days')
      .where('contact_id', '>', from)
      .where('contact_id', '<=', to)
      .where('day_on', '>=', starts[0]!)
      .$if(tag > 0, (query) =>
        query.where('contact_id', 'in', (eb) =>
          eb
            .selectFrom('contact_tags')
            .select('contact_id')
            .where('tag_id', '=', tag)
            .where('contact_id', '>', from)
            .where('contact_id', '<=', to),
        ),
      )
      .$if(list > 0, (query) =>
        query.where('contact_id', 'in', (eb) =>
          eb
            .selectFrom('subscriptions')
            .select('contact_id')
            .where('list_id', '=', list)
            .where('contact_id', '>', from)
            .where('contact_id', '<=', to),
        ),
      )
      .select((eb) => [
        startOf(eb.ref('day_on'), unit).as('period'),
        peopleWho(eb as Columns, isActive).as('people'),
      ])
      // Where nothing is summed, only the days on which something was done need to be looked at.
      .$if(!sums, (query) => query.where((eb) => isActive(eb as Columns)))
      .$if(sums, (query) =>
        query.select(({ fn }) => engagementColumns.map((column) => fn.sum<number>(column).as(column))),
      )
      .groupBy('period')
      .execute()
    for (const row of rows as (Partial<EngagementCounts> & (typeof rows)[number])[]) {
      const point = pointOf(found, row.period)
      point.people += row.people
      if (sums) for (const column of engagementColumns) point[column] += row[column] ?? 0
    }
  }
}

/** All contacts in ranges of their ids: after `from`, up to and with `to`. */
export async function contactChunks(readers: Readers): Promise<{ from: number; to: number }[]> {
  const newest = await readers
    .selectFrom('contacts')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  return Array.from({ length: Math.ceil((newest?.id ?? 0) / chunk) }, (_, index) => ({
    from: index * chunk,
    to: (index + 1) * chunk,
  }))
}
