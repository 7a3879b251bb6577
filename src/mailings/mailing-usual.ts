import { LRUCache } from 'lru-cache'
import type { Counting } from '../audience/counting.js'
import { isAmong, wholeParts } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { dayLength, hourLength } from '../web/calendar.js'
import { align, type Band, type Curve, usualBand } from './curves.js'
import type { Basis, Rates } from './metrics.js'
import { type Mailing, mailingOf, readMailings } from './queries.js'
import { columnOf, mean } from './statistics.js'

/** So many mailings of a list tell what is usual of it. */
export const usualMailings = 20
/** Fewer do not make a band. */
export const leastForBand = 5

/** So many mailings are counted while a page waits. */
const fewToCount = 3

/** More are not looked at, to find {@link usualMailings} whose numbers are of the same kind. */
const mostLookedAt = 100

/**
 * The mailings that went to a list of this one's before it, the latest first, at most {@link usualMailings}. Those whose
 * numbers are somebody else's are left out: a provider's opens hold machines that ours do not.
 */
export async function mailingsBefore(
  db: Db,
  mailing: Pick<Mailing, 'id' | 'sent_at' | 'basis'>,
  counting: Counting,
): Promise<Mailing[]> {
  const { id, sent_at, basis } = mailing
  if (sent_at === null) return []
  const rows = await readMailings(db)
    // Only these are read with their counts; to put all mailings of the list in order their instants are enough.
    .where('mailings.id', 'in', (eb) =>
      eb
        .selectFrom('mailings as others')
        .select('others.id')
        .where('others.id', 'in', (of) =>
          of
            .selectFrom('mailing_lists as alike')
            .innerJoin('mailing_lists as own', 'own.list_id', 'alike.list_id')
            .select('alike.mailing_id')
            .where('own.mailing_id', '=', id),
        )
        .where('others.id', '<>', id)
        .where('others.sent_at', '<', sent_at)
        .orderBy('others.sent_at', 'desc')
        .orderBy('others.id', 'desc')
        .limit(mostLookedAt),
    )
    .orderBy('mailings.sent_at', 'desc')
    .orderBy('mailings.id', 'desc')
    .execute()
  return rows
    .map((row) => mailingOf(row, counting))
    .filter((other) => other.basis === basis && other.people.delivered > 0)
    .slice(0, usualMailings)
}

/** Each rate's average over mailings: the unweighted mean of those that have it; null where none has. */
export function usualRates(mailings: Mailing[]): Rates {
  const of = (name: keyof Rates) => mean(columnOf(mailings, ({ rates }) => rates[name]))
  return {
    delivery: of('delivery'),
    open: of('open'),
    click: of('click'),
    clickToOpen: of('clickToOpen'),
    bounce: of('bounce'),
    unsubscribe: of('unsubscribe'),
    complaint: of('complaint'),
    reply: of('reply'),
  }
}

export type Drawn = 'opens' | 'clicks'

/** The share of the delivered who opened (or clicked), hour by hour, beside what is usual. Shares of one; NaN: unknown. */
export interface AgainstUsual {
  hours: Float64Array
  own: Float64Array
  band: Band
}

/** Hours of the chart: each of the first three days, or two a day for a month. */
const hoursOf = (span: '72h' | '30d') =>
  span === '72h'
    ? Float64Array.from({ length: 73 }, (_, hour) => hour)
    : Float64Array.from({ length: 61 }, (_, half) => half * 12)

type CurveOf = Pick<Mailing, 'id' | 'sent_at' | 'basis' | 'report' | 'people' | 'receptions'>

/** What a curve hangs on: as long as that is the same, so is the curve. */
const keyOf = ({ id, basis, report, receptions }: CurveOf, drawn: Drawn) =>
  basis === 'ours'
    ? `${id} ${drawn} ${drawn === 'opens' ? receptions.people_opened : receptions.people_clicked}`
    : `${id} ${drawn} of ${report?.checked_at}`

/**
 * How people who opened or clicked grew, of several mailings at once. By our numbers machines and mail proxies are always
 * left out here. What was found is remembered until the counts of the mailing have changed.
 */
export function curveBook({ readers, now }: { readers: Readers; now: () => number }) {
  const remembered = new LRUCache<string, Steps>({ max: 5_000 })

  /** Those whose people would have to be counted, which takes some milliseconds for each. */
  const uncounted = (mailings: CurveOf[], drawn: Drawn) =>
    mailings.filter(
      (mailing) =>
        mailing.sent_at !== null && mailing.basis === 'ours' && !remembered.has(keyOf(mailing, drawn)),
    )

  /** @param among contacts of whom alone the mailings tell, in pages of ids: nothing of theirs is remembered */
  async function curvesOf(
    mailings: CurveOf[],
    drawn: Drawn,
    among: readonly number[][] | null = null,
  ): Promise<Map<number, Curve>> {
    const sent = mailings.filter(({ sent_at }) => sent_at !== null)
    if (among !== null) return curvesFrom(sent, await countPeople(readers, sent, drawn, among))
    const missing = sent.filter((mailing) => !remembered.has(keyOf(mailing, drawn)))
    const of = (basis: Basis) => missing.filter((mailing) => mailing.basis === basis)
    const [ours, theirs] = await Promise.all([
      of('ours').length > 0 ? countPeople(readers, of('ours'), drawn) : new Map<number, Steps>(),
      of('provider').length > 0 ? readSnapshots(readers, of('provider'), drawn) : new Map<number, Steps>(),
    ])
    const found = new Map<number, Steps>()
    for (const mailing of sent) {
      const { id, basis } = mailing
      const told = remembered.get(keyOf(mailing, drawn)) ?? (basis === 'ours' ? ours : theirs).get(id) ?? []
      remembered.set(keyOf(mailing, drawn), told)
      found.set(id, told)
    }
    return curvesFrom(sent, found)
  }

  function curvesFrom(sent: CurveOf[], steps: Map<number, Steps>): Map<number, Curve> {
    const found = new Map<number, Curve>()
    for (const { id, basis, people, report, sent_at } of sent) {
      const sentAt = sent_at!
      const told = steps.get(id) ?? []
      // Where we count ourselves, nobody is known to have opened before the first who did.
      const all = basis === 'ours' ? [{ at: sentAt, count: 0 }, ...told] : told
      found.set(id, {
        sentAt,
        at: columnOf(all, ({ at }) => at),
        count: columnOf(all, ({ count }) => count),
        until: basis === 'ours' ? now() : (report?.checked_at ?? sentAt),
        delivered: people.delivered,
      })
    }
    return found
  }

  return {
    /** Of each mailing that says when it was sent, by its id. */
    curvesOf,
    /** Can {@link againstUsual} answer at once? Else it counts the people of several mailings first. */
    isReady: (mailings: CurveOf[], drawn: Drawn) => uncounted(mailings, drawn).length <= fewToCount,
    /** @param before what {@link mailingsBefore} found */
    async againstUsual(
      mailing: CurveOf,
      before: CurveOf[],
      { drawn, span }: { drawn: Drawn; span: '72h' | '30d' },
    ): Promise<AgainstUsual | null> {
      if (mailing.sent_at === null) return null
      const curves = await curvesOf([mailing, ...before], drawn)
      const own = curves.get(mailing.id)!
      const hours = hoursOf(span)
      return {
        hours,
        own: align([own], hours, 'share')[0]!,
        band: usualBand(
          before.map(({ id }) => curves.get(id)!),
          { hours, before: mailing.sent_at, last: usualMailings },
        ),
      }
    },
  }
}

type Steps = { at: number; count: number | null }[]

/** People by the hour in which they first opened or clicked, in the first thirty days. Counted in the mailing's receptions. */
async function countPeople(
  readers: Readers,
  mailings: CurveOf[],
  drawn: Drawn,
  among: readonly number[][] | null = null,
) {
  const column = drawn === 'opens' ? 'receptions.first_opened_at' : 'receptions.first_clicked_at'
  const curves = new Map<number, Steps>()
  // One query each, so that no reading thread is held for long.
  await Promise.all(
    mailings.map(async ({ id, sent_at }) => {
      const sentAt = sent_at!
      const hours = new Map<number, number>()
      for (const page of among ?? [null]) {
        const rows = await readers
          .selectFrom('receptions')
          .select((eb) => [
            wholeParts(eb.parens(eb(eb.ref(column).$notNull(), '-', sentAt)), hourLength).as('hour'),
            eb.fn.countAll<number>().as('people'),
          ])
          .where('mailing_id', '=', id)
          .where(column, '<', sentAt + 30 * dayLength)
          .$if(page !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), page!)))
          .groupBy('hour')
          .execute()
        for (const { hour, people } of rows) {
          // Clocks differ: what seems to have come before it was sent came in its first hour.
          const since = Math.max(0, hour)
          hours.set(since, (hours.get(since) ?? 0) + people)
        }
      }
      const steps: { at: number; count: number }[] = []
      for (const [hour, people] of [...hours].sort(([one], [other]) => one - other))
        steps.push({ at: sentAt + (hour + 1) * hourLength, count: (steps.at(-1)?.count ?? 0) + people })
      curves.set(id, steps)
    }),
  )
  return curves
}

async function readSnapshots(readers: Readers, mailings: CurveOf[], drawn: Drawn) {
  const rows = await readers
    .selectFrom('mailing_snapshots')
    .select([
      'mailing_id',
      'taken_at',
      drawn === 'opens' ? 'unique_opens as count' : 'unique_clicks as count',
    ])
    .where(
      'mailing_id',
      'in',
      mailings.map(({ id }) => id),
    )
    .orderBy('mailing_id')
    .orderBy('taken_at')
    .execute()
  const curves = new Map<number, Steps>()
  for (const { mailing_id, taken_at, count } of rows) {
    const steps = curves.get(mailing_id) ?? []
    steps.push({ at: taken_at, count })
    curves.set(mailing_id, steps)
  }
  return curves
}
