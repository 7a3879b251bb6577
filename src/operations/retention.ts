import * as z from 'zod'
import {
  engagementSealer,
  noteRecorded,
  noteSealing,
  recordedLongAgo,
  type Settled,
  settledReceptions,
} from '../audience/sealing.js'
import { settledSetting } from '../campaigns/record.js'
import { sealEvents } from '../campaigns/sealing.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { whenFree } from '../database/when-free.js'
import type { Recorder } from '../ledger/ledger.js'
import { superfluousSnapshots } from '../mailings/snapshot-thinning.js'
import { type SealedPromoFacts, sealPromoFacts } from '../promos/sealing.js'
import { dayLength } from '../web/calendar.js'
import { number } from '../web/formats.js'

/** The most rows of one fact of the ledger: what is written with it waits for them no longer than for a handful of events. */
const batch = 100
/** Rows of the first fact of each kind: nobody knows yet how long they take. */
const firstBatch = 10
/** Milliseconds that the rows of one fact should take at the most; where they take longer, the next ones are fewer. */
const share = 6
/** Rows that are looked for at once. */
const looked = 2_000

const days = z.coerce
  .number('Write a number of days from 0 to 3650; 0 keeps it for good.')
  .int('Write a whole number of days.')
  .min(0, 'Write a number of days from 0 to 3650; 0 keeps it for good.')
  .max(3650, 'Write a number of days from 0 to 3650; 0 keeps it for good.')
/** @param least days in which it is still needed, and @param why */
const daysFrom = (least: number, why: string) =>
  days.refine((count) => count === 0 || count >= least, `Write at least ${least} days, or 0: ${why}`)

/** For how many days each kind is kept; 0 keeps it for good. */
export const RetentionForm = z.object({
  traces_days: days.default(90),
  inbox_days: days.default(30),
  audit_days: days.default(365),
  jobs_days: daysFrom(7, 'what failed in the last week should be seen.').default(365),
  promos_days: daysFrom(60, 'until then repeated clicks are still told by their address.').default(0),
  events_days: daysFrom(730, 'until then landings and conversions weigh in scores.').default(0),
  engagements_days: daysFrom(
    365,
    'until then people still come back to a mailing, and providers complete what they told.',
  ).default(0),
  snapshots_days: daysFrom(90, 'until then mailings are compared by the hour.').default(0),
})
export type Retention = z.output<typeof RetentionForm>

export async function readRetention(db: Db): Promise<Retention> {
  const kept = await readSetting(db, 'retention')
  return RetentionForm.parse(kept ? JSON.parse(kept) : {})
}
export const saveRetention = (db: Db, retention: Retention) =>
  writeSetting(db, 'retention', JSON.stringify(retention))

/** Until when (milliseconds) the traces of events are removed: nobody can judge those anew. 0 where none are. */
export async function tracesRemovedBefore(db: Db): Promise<number> {
  return Number((await readSetting(db, 'traces_removed_before')) ?? 0)
}

export interface Gone {
  rows: number
  milliseconds: number
}

/** Where internet addresses and user agents of readers stand, beside what is counted. */
const tracesOf = ['events', 'promo_clicks', 'engagements'] as const
type Traced = (typeof tracesOf)[number]
const sealed = ['promo_impressions', 'promo_clicks'] as const satisfies SealedPromoFacts[]
type Sealed = SealedPromoFacts | 'events'
const dropped = ['inbox', 'audit_log', 'job_runs', 'mailing_snapshots'] as const

/** What becomes of rows: their traces go, they go and are sealed into what counts start from, or they just go. */
export type Removal =
  | { what: 'traces'; from: Traced; ids: number[] }
  | { what: 'sealed'; from: Sealed; ids: number[] }
  | { what: 'engagements'; ids: number[]; settled: Settled }
  | { what: 'rows'; from: (typeof dropped)[number]; ids: number[] }

/**
 * Takes what is too old out of the rows, a few at a time. What counts stand on stays, or is sealed in the same
 * transaction, so that a recount is the same.
 * @returns how many rows went, and the milliseconds that it took
 */
export function retentionRecorder(db: Db): Recorder<Removal, Gone> {
  const engagements = engagementSealer(db)
  async function remove(tx: Db, removal: Removal) {
    if (removal.what === 'engagements') return engagements.seal(tx, removal.ids, removal.settled)
    const { what, from, ids } = removal
    if (what === 'sealed') await (from === 'events' ? sealEvents(tx, ids) : sealPromoFacts(tx, from, ids))
    else if (what === 'rows')
      await tx
        .deleteFrom(from)
        .where(({ ref }) => isAmong(ref('id'), ids))
        .execute()
    else
      await tx
        .updateTable(from)
        .set({ address: null, user_agent_id: null })
        .where(({ ref }) => isAmong(ref('id'), ids))
        .execute()
    return ids.length
  }
  return {
    async record(tx, removal) {
      const began = performance.now()
      const rows = await remove(tx, removal)
      return { rows, milliseconds: performance.now() - began }
    },
  }
}

/** What goes by the number of days in the setting of the same name. */
export const kinds = [
  'traces',
  'inbox',
  'audit',
  'jobs',
  'promos',
  'events',
  'engagements',
  'snapshots',
] as const
export type Kind = (typeof kinds)[number]

/** Rows of which something goes, in the order in which they go; one may stand for `rows` that go with it. */
type Going = { id: number; at: number; rows?: number }[]
const rowsOf = (going: Going) => going.reduce((sum, { rows = 1 }) => sum + rows, 0)

interface Source {
  removal: (ids: number[]) => Removal
  /**
   * What goes of rows that are older than an instant, page by page; what the page before held may be gone by then, and of
   * some pages nothing goes.
   */
  pages: (before: number) => AsyncGenerator<Going>
  /** The last page has gone. */
  passed?: () => Promise<void>
}

interface Needs {
  db: Db
  readers: Readers
  remove: (removal: Removal) => Promise<Gone>
  /** Whose deliveries lie in the inbox. */
  providers: string[]
  /** Facts of promos wait outside of the database: what is there already must go on being known by them. */
  promosWait?: () => boolean
  now: () => number
}

export function retention({ db, readers, remove, providers, promosWait = () => false, now }: Needs) {
  /**
   * Rows are numbered in the order in which they came: those that are old enough are the next ones, up to the first that
   * is not. How far it has come is remembered.
   */
  function inOrder(
    table: 'events' | SealedPromoFacts,
    {
      setting,
      issuesStay = false,
      settledOnly = false,
    }: { setting: string; issuesStay?: boolean; settledOnly?: boolean },
  ): Omit<Source, 'removal'> {
    let reached = 0
    return {
      async *pages(before) {
        reached = Number((await readSetting(db, setting)) ?? 0)
        const settled = settledOnly ? Number((await readSetting(db, settledSetting)) ?? 0) : null
        for (;;) {
          const rows = await readers
            .selectFrom(table)
            .select(['id', 'happened_at as at'])
            .where('id', '>', reached)
            .$if(issuesStay, (query) => query.where('send_id', 'is', null))
            .$if(settled !== null, (query) => query.where('id', '<=', settled!))
            .orderBy('id')
            .limit(looked)
            .execute()
          const young = rows.findIndex(({ at }) => at >= before)
          const old = young < 0 ? rows : rows.slice(0, young)
          if (old.length === 0) return
          reached = old.at(-1)!.id
          yield old
        }
      },
      passed: () => whenFree(() => writeSetting(db, setting, String(reached))),
    }
  }

  /**
   * The traces of rows that are old enough. They come nearly in the order of time: what a clock ahead has dated into the
   * future, or was told late, holds nobody else's back. What is remembered is up to where none is left.
   */
  function tracedInOrder(table: 'events' | 'promo_clicks', setting: string): Omit<Source, 'removal'> {
    let free = 0
    return {
      async *pages(before) {
        free = Number((await readSetting(db, setting)) ?? 0)
        let reached = free
        let isFree = true
        for (;;) {
          const rows = await readers
            .selectFrom(table)
            .select(['id', 'happened_at as at'])
            .select(({ eb, or }) =>
              or([eb('address', 'is not', null), eb('user_agent_id', 'is not', null)]).as('traced'),
            )
            .where('id', '>', reached)
            .orderBy('id')
            .limit(looked)
            .execute()
          if (!rows.some(({ at }) => at < before)) return
          reached = rows.at(-1)!.id
          const young = rows.findIndex(({ at, traced }) => at >= before && traced)
          if (isFree) free = young < 0 ? reached : (rows[young - 1]?.id ?? free)
          isFree &&= young < 0
          yield rows.filter(({ at, traced }) => at < before && traced)
        }
      },
      passed: () => whenFree(() => writeSetting(db, setting, String(free))),
    }
  }

  /** Rows that are no more among those asked for once they have gone; they come in the order of time. */
  function byTime(
    read: (page: { before: number; after: { at: number; id: number } }) => Promise<Going>,
  ): Pick<Source, 'pages'> {
    return {
      async *pages(before) {
        let after = { at: 0, id: 0 }
        for (;;) {
          const rows = await read({ before, after })
          if (rows.length === 0) return
          yield rows
          after = rows.at(-1)!
        }
      },
    }
  }

  /** Of history that is fetched late, the traces are as old as what it tells: whatever still has some is looked at. */
  const tracedEngagements = byTime(({ before, after }) =>
    readers
      .selectFrom('engagements')
      .select(['id', 'happened_at as at'])
      .where(({ eb, or }) => or([eb('address', 'is not', null), eb('user_agent_id', 'is not', null)]))
      .where('happened_at', '<', before)
      .where(({ eb, refTuple, tuple }) => eb(refTuple('happened_at', 'id'), '>', tuple(after.at, after.id)))
      .orderBy('happened_at')
      .orderBy('id')
      .limit(looked)
      .execute(),
  )
  /** Failed ones stay: what they tell is not yet recorded. */
  const deliveriesOf = (provider: string) =>
    byTime(({ before, after }) =>
      readers
        .selectFrom('inbox')
        .select(['id', 'received_at as at'])
        .where('provider', '=', provider)
        .where('received_at', '<', before)
        .where('state', 'in', ['done', 'kept'])
        .where(({ eb, refTuple, tuple }) => eb(refTuple('received_at', 'id'), '>', tuple(after.at, after.id)))
        .orderBy('received_at')
        .orderBy('id')
        .limit(looked)
        .execute(),
    )
  const entries = byTime(({ before, after }) =>
    readers
      .selectFrom('audit_log')
      .select(['id', 'happened_at as at'])
      .where('happened_at', '<', before)
      .where(({ eb, refTuple, tuple }) => eb(refTuple('happened_at', 'id'), '>', tuple(after.at, after.id)))
      .orderBy('happened_at')
      .orderBy('id')
      .limit(looked)
      .execute(),
  )
  const jobRuns = byTime(({ before, after }) =>
    readers
      .selectFrom('job_runs')
      .select(['id', 'started_at as at'])
      .where('started_at', '<', before)
      .where('state', 'not in', ['waiting', 'running'])
      .where(({ eb, refTuple, tuple }) => eb(refTuple('started_at', 'id'), '>', tuple(after.at, after.id)))
      .orderBy('started_at')
      .orderBy('id')
      .limit(looked)
      .execute(),
  )

  /** All that somebody has to do with a mailing goes at once, since it was judged together. */
  function engagements(): Source {
    const settled: Settled = { before: 0, upTo: 0 }
    return {
      removal: (ids) => ({ what: 'engagements', ids, settled: { ...settled } }),
      async *pages(before) {
        Object.assign(settled, { before, upTo: await recordedLongAgo(db, now()) })
        yield* settledReceptions(readers, settled)
      },
    }
  }

  const traces = (from: Traced) => (ids: number[]) => ({ what: 'traces' as const, from, ids })
  const rows = (from: (typeof dropped)[number]) => (ids: number[]) => ({ what: 'rows' as const, from, ids })
  /** Anew for each run: what is looked at meanwhile has a horizon of its own. */
  const sourcesNow = (): Record<Kind, Source[]> => ({
    traces: [
      { removal: traces('events'), ...tracedInOrder('events', 'retention_events') },
      { removal: traces('promo_clicks'), ...tracedInOrder('promo_clicks', 'retention_promo_clicks') },
      { removal: traces('engagements'), ...tracedEngagements },
    ],
    inbox: providers.map((provider) => ({ removal: rows('inbox'), ...deliveriesOf(provider) })),
    audit: [{ removal: rows('audit_log'), ...entries }],
    jobs: [{ removal: rows('job_runs'), ...jobRuns }],
    // By an impression that names its issue a repeated one is known, and a click finds the issue: it is one row for each
    // text and issue, and stays.
    promos: sealed.map((from) => ({
      removal: (ids) => ({ what: 'sealed', from, ids }),
      ...inOrder(from, { setting: `sealed_${from}`, issuesStay: from === 'promo_impressions' }),
    })),
    // In the order of their ids, so that what is sealed of a person came before all that is left of them.
    events: [
      {
        removal: (ids) => ({ what: 'sealed', from: 'events', ids }),
        ...inOrder('events', { setting: 'sealed_events', settledOnly: true }),
      },
    ],
    engagements: [engagements()],
    snapshots: [
      { removal: rows('mailing_snapshots'), pages: (before) => superfluousSnapshots(readers, before) },
    ],
  })

  const horizons = async (): Promise<Record<Kind, number | null>> => {
    const kept = await readRetention(db)
    return ofEach((kind) => {
      const count = kept[`${kind}_days`]
      return count === 0 || (kind === 'promos' && promosWait()) ? null : now() - count * dayLength
    })
  }

  /** So many at once that a transaction is short: fewer as soon as they take long, on a slow disk or where rows are large. */
  async function removeFrom({ removal, pages, passed }: Source, before: number) {
    let removed = 0
    let atOnce = firstBatch
    for await (const going of pages(before)) {
      for (let at = 0; at < going.length; ) {
        let end = at + 1
        for (let rows = going[at]!.rows ?? 1; end < going.length; end++) {
          rows += going[end]!.rows ?? 1
          if (rows > atOnce) break
        }
        const gone = await remove(removal(going.slice(at, end).map(({ id }) => id)))
        removed += gone.rows
        at = end
        if (gone.milliseconds > share) atOnce = Math.max(1, Math.floor(atOnce / 2))
        else if (gone.milliseconds < share / 3) atOnce = Math.min(batch, atOnce * 2)
      }
      await passed?.()
    }
    return removed
  }

  return {
    /**
     * How many rows the next run would change or remove, by kind, and when the oldest of them is from; of each kind some
     * hundred thousand are looked at, and `isMore` says that there may be others.
     */
    async wouldGo(): Promise<Record<Kind, { rows: number; from: number | null; isMore: boolean }>> {
      const before = await horizons()
      const sources = sourcesNow()
      const would = ofEach(() => ({ rows: 0, from: null as number | null, isMore: false }))
      for (const kind of kinds) {
        const horizon = before[kind]
        if (horizon === null) continue
        const sum = would[kind]
        let looks = 0
        for (const { pages } of sources[kind])
          for await (const page of pages(horizon)) {
            sum.rows += rowsOf(page)
            for (const { at } of page) sum.from = Math.min(sum.from ?? at, at)
            sum.isMore = ++looks >= mostLooks
            if (sum.isMore) break
          }
      }
      return would
    },

    /** Removes what is too old. @returns how many rows, by kind */
    async run(): Promise<Record<Kind, number>> {
      const before = await horizons()
      const sources = sourcesNow()
      const removed = ofEach(() => 0)
      // Known before the first one goes: an event without its traces must not be judged anew as somebody unknown.
      // Nor one whose neighbours are removed.
      const unjudged = Math.max(before.traces ?? 0, before.events === null ? 0 : before.events + dayLength)
      if (unjudged > 0) {
        const until = Math.max(unjudged, await tracesRemovedBefore(db))
        await whenFree(() => writeSetting(db, 'traces_removed_before', String(until)))
      }
      const { engagements } = before
      if (engagements !== null) await whenFree(() => noteSealing(db, engagements))
      await whenFree(() => noteRecorded(db, now()))
      for (const kind of kinds) {
        const horizon = before[kind]
        if (horizon === null) continue
        for (const source of sources[kind]) removed[kind] += await removeFrom(source, horizon)
      }
      return removed
    },
  }
}
/** What went in one run, as the history of the job tells it. */
export function removedInWords(removed: Record<Kind, number>): string {
  const gone = kinds.filter((kind) => removed[kind] > 0)
  if (gone.length === 0) return 'Nothing was too old.'
  return `Removed: ${gone.map((kind) => `${goneWords[kind]} ${number(removed[kind])}`).join(', ')}.`
}
const goneWords: Record<Kind, string> = {
  traces: 'addresses and user agents of events, opens and clicks',
  inbox: 'deliveries that were read',
  audit: 'entries of the audit log',
  jobs: 'runs of jobs',
  promos: 'clicks and impressions of promos',
  events: 'events of campaigns',
  engagements: 'engagements with mailings',
  snapshots: 'snapshots of mailings',
}

export type RetentionKeeper = ReturnType<typeof retention>

const ofEach = <Value>(value: (kind: Kind) => Value) =>
  Object.fromEntries(kinds.map((kind) => [kind, value(kind)])) as Record<Kind, Value>

/** After so many pages nobody counts any more: it is "so many or more". */
const mostLooks = 50
