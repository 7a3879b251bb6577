import { sql } from 'kysely'
import { wholeParts } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import { type Calendar, dayLength } from '../web/calendar.js'
import type { Whose } from './engagement-over-time.js'
import { mostPeriods, periodsOf, type Range, startOfPeriod, type Unit } from './periods.js'
import { reachedStatuses } from './subscriptions.js'

export interface GrowthPoint {
  /** The first day of the period. */
  on: string
  /** The instant at which it begins. */
  at: number
  /** Subscriptions that began, or began again. */
  joined: number
  /** Subscriptions that ended: unsubscribed, complained, bounced or removed. */
  left: number
  /** Subscriptions at the end of the period. */
  subscribed: number
  /** See {@link churnRate}. */
  churn: number | null
}
export interface Growth {
  unit: Unit
  points: GrowthPoint[]
  /** Over all periods together. */
  joined: number
  left: number
  churn: number | null
  /** Now. */
  subscribed: number
}

/** Churn = subscriptions that ended ÷ subscriptions at the beginning; null where there was none. */
const churnRate = (left: number, subscribedBefore: number) =>
  subscribedBefore > 0 ? left / subscribedBefore : null

/** Every time zone's offset is a multiple of this: a day begins with one. */
const quarter = 900_000

/**
 * How a list, or all lists together, grew. A change counts where mail began to go out to somebody, or stopped;
 * pausing is neither. With a tag, of those alone who have it today.
 */
export async function growthOverTime(
  readers: Readers,
  calendar: Calendar,
  { range, by, now, ...whose }: Whose & { range: Range; by: Unit; now: number },
): Promise<Growth> {
  const today = calendar.dayOf(now)
  const since =
    range === 'all' ? 0 : calendar.startOf(startOfPeriod(calendar.shift(today, 1 - Number(range)), by))
  const [slots, subscribed] = await Promise.all([
    changesIn(readers, whose, since),
    subscribedNow(readers, whose),
  ])
  const days = slots.map(({ slot, ...changes }) => ({ ...changes, on: calendar.dayOf(slot * quarter) }))
  const earliest = days.reduce((first, { on }) => (on < first ? on : first), today)
  const { unit, starts } = periodsOf(calendar, { range, by, today, earliest })
  const found = new Map<string, { joined: number; left: number }>()
  for (const { on, joined, left } of days) {
    const start = startOfPeriod(on, unit)
    const sum = found.get(start) ?? { joined: 0, left: 0 }
    found.set(start, { joined: sum.joined + joined, left: sum.left + left })
  }
  // What is known for sure is how many there are now: the past is told from there, backwards.
  let after = subscribed
  const points = starts
    .toReversed()
    .map((on): GrowthPoint => {
      const { joined, left } = found.get(on) ?? { joined: 0, left: 0 }
      const end = after
      after = end - joined + left
      return { on, at: calendar.startOf(on), joined, left, subscribed: end, churn: churnRate(left, after) }
    })
    .toReversed()
  const sum = (what: 'joined' | 'left') => points.reduce((total, point) => total + point[what], 0)
  return {
    unit,
    points,
    joined: sum('joined'),
    left: sum('left'),
    churn: churnRate(sum('left'), after),
    subscribed,
  }
}

/** Days (`YYYY-MM-DD`), both included. */
interface Days {
  from: string
  to: string
}
interface GrowthWithin extends Pick<Growth, 'unit' | 'points' | 'joined' | 'left' | 'churn'> {
  /** Subscriptions when it began. */
  began: number
}

/**
 * How a list grew over some spells of days, each by days, or by those weeks or months of which they are a part: what came
 * before the first day and after the last is in none of its numbers but the beginning.
 */
export async function growthWithin(
  readers: Readers,
  calendar: Calendar,
  { spells, list }: { spells: Days[]; list: number },
): Promise<GrowthWithin[]> {
  const whose = { tag: 0, list }
  const since = Math.min(...spells.map(({ from }) => calendar.startOf(from)))
  const [slots, subscribed] = await Promise.all([
    changesIn(readers, whose, since),
    subscribedNow(readers, whose),
  ])
  const changes = slots.map(({ slot, ...change }) => ({ on: calendar.dayOf(slot * quarter), ...change }))
  return spells.map((spell) => growthOf(calendar, spell, changes, subscribed))
}

/** @param changes from the first day of the spell on, up to now @param subscribed now */
function growthOf(
  calendar: Calendar,
  { from, to }: Days,
  changes: { on: string; joined: number; left: number }[],
  subscribed: number,
): GrowthWithin {
  const length = (Date.parse(to) - Date.parse(from)) / dayLength + 1
  const unit: Unit = length <= 92 ? 'day' : length <= 366 ? 'week' : 'month'
  const found = new Map<string, { joined: number; left: number }>()
  let after = subscribed
  for (const { on, joined, left } of changes) {
    if (on > to) after += left - joined
    else if (on >= from) {
      const start = startOfPeriod(on, unit)
      const sum = found.get(start) ?? { joined: 0, left: 0 }
      found.set(start, { joined: sum.joined + joined, left: sum.left + left })
    }
  }
  const starts: string[] = []
  // Told backwards from the last: a first day of long ago is a mistake of somebody's, and must not make it endless.
  for (
    let start = startOfPeriod(to, unit);
    start >= startOfPeriod(from, unit) && starts.length < mostPeriods;
    start = startOfPeriod(calendar.shift(start, -1), unit)
  )
    starts.push(start)
  const points = starts.map((start): GrowthPoint => {
    const { joined, left } = found.get(start) ?? { joined: 0, left: 0 }
    const end = after
    after = end - joined + left
    const on = start < from ? from : start
    return { on, at: calendar.startOf(on), joined, left, subscribed: end, churn: churnRate(left, after) }
  })
  points.reverse()
  const sum = (what: 'joined' | 'left') => points.reduce((total, point) => total + point[what], 0)
  return {
    unit,
    points,
    joined: sum('joined'),
    left: sum('left'),
    churn: churnRate(sum('left'), after),
    began: after,
  }
}

/** Beginnings and ends by quarters of an hour since 1970. */
async function changesIn(readers: Readers, { tag, list }: Whose, since: number) {
  const before = sql<string | null>`lag(status) over (partition by list_id, contact_id order by changed_at)`
  const rows = await readers
    .selectFrom((from) =>
      from
        .selectFrom('subscription_changes')
        .select(['changed_at', 'status', before.as('before')])
        .$if(list > 0, (query) => query.where('list_id', '=', list))
        .$if(tag > 0, (query) =>
          query.where('contact_id', 'in', (eb) =>
            eb.selectFrom('contact_tags').select('contact_id').where('tag_id', '=', tag),
          ),
        )
        .as('changes'),
    )
    .select((eb) => {
      const was = eb.and([eb('before', 'is not', null), eb('before', 'in', reachedStatuses)])
      const is = eb('status', 'in', reachedStatuses)
      const many = (condition: typeof is) =>
        eb.fn.sum<number>(eb.case().when(condition).then(1).else(0).end())
      return [
        wholeParts(eb.ref('changed_at'), quarter).as('slot'),
        many(eb.and([is, eb.not(was)])).as('joined'),
        many(eb.and([was, eb.not(is)])).as('left'),
      ]
    })
    .where('changed_at', '>=', since)
    .groupBy('slot')
    .execute()
  return rows.filter(({ joined, left }) => joined + left > 0)
}

async function subscribedNow(readers: Readers, { tag, list }: Whose) {
  const { subscriptions } = await readers
    .selectFrom('subscriptions')
    .select(({ fn }) => fn.countAll<number>().as('subscriptions'))
    .where('status', 'in', reachedStatuses)
    .$if(list > 0, (query) => query.where('list_id', '=', list))
    .$if(tag > 0, (query) =>
      query.where('contact_id', 'in', (eb) =>
        eb.selectFrom('contact_tags').select('contact_id').where('tag_id', '=', tag),
      ),
    )
    .executeTakeFirstOrThrow()
  return subscriptions
}
