import * as z from 'zod'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { Recorder } from '../ledger/ledger.js'

/** Milliseconds. */
const day = 86_400_000
/** Rows of one fact of the ledger: what is written with it waits for them no longer than for a handful of events. */
const batch = 100
/** Rows that are looked for at once. */
const looked = 2_000

const days = z.coerce
  .number('Write a number of days from 0 to 3650; 0 keeps it for good.')
  .int('Write a whole number of days.')
  .min(0, 'Write a number of days from 0 to 3650; 0 keeps it for good.')
  .max(3650, 'Write a number of days from 0 to 3650; 0 keeps it for good.')

/** For how many days each kind is kept; 0 keeps it for good. */
export const RetentionForm = z.object({
  traces_days: days.default(90),
  inbox_days: days.default(30),
  audit_days: days.default(365),
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

/** Where internet addresses and user agents of readers stand, beside what is counted. */
const tracesOf = ['events', 'promo_clicks'] as const
type Traced = (typeof tracesOf)[number]

/** Rows of which something goes. */
export type Removal = { from: Traced | 'inbox' | 'audit_log'; ids: number[] }

/**
 * Takes what is too old out of the rows, a few at a time. Of facts only the traces go: what counts stand on (kind, time,
 * contact, device, country, verdict) stays, so that a recount is the same.
 */
export function retentionRecorder(): Recorder<Removal, void> {
  return {
    async record(tx, { from, ids }) {
      if (from === 'inbox')
        await tx
          .deleteFrom('inbox')
          .where(({ ref }) => isAmong(ref('id'), ids))
          .execute()
      else if (from === 'audit_log')
        await tx
          .deleteFrom('audit_log')
          .where(({ ref }) => isAmong(ref('id'), ids))
          .execute()
      else
        await tx
          .updateTable(from)
          .set({ address: null, user_agent_id: null })
          .where(({ ref }) => isAmong(ref('id'), ids))
          .execute()
    },
  }
}

interface Needs {
  db: Db
  readers: Readers
  remove: (removal: Removal) => Promise<void>
  /** Whose deliveries lie in the inbox. */
  providers: string[]
  now: () => number
}

export function retention({ db, readers, remove, providers, now }: Needs) {
  const cursorOf = async (table: Traced) => Number((await readSetting(db, `retention_${table}`)) ?? 0)

  /** Rows are numbered in the order in which they came: those that are old enough are the next ones, up to the first that is not. */
  async function nextTraced(table: Traced, { after, before }: { after: number; before: number }) {
    const rows = await readers
      .selectFrom(table)
      .select(['id', 'happened_at'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(looked)
      .execute()
    const young = rows.findIndex(({ happened_at }) => happened_at >= before)
    return (young < 0 ? rows : rows.slice(0, young)).map(({ id }) => id)
  }
  /** Failed ones stay: what they tell is not yet recorded. */
  const nextDeliveries = (provider: string, before: number) =>
    readers
      .selectFrom('inbox')
      .select('id')
      .where('provider', '=', provider)
      .where('received_at', '<', before)
      .where('state', 'in', ['done', 'kept'])
      .orderBy('received_at')
      .limit(looked)
      .execute()
  const nextEntries = (before: number) =>
    readers
      .selectFrom('audit_log')
      .select('id')
      .where('happened_at', '<', before)
      .orderBy('happened_at')
      .limit(looked)
      .execute()

  async function removeAll(from: Removal['from'], ids: number[]) {
    for (let at = 0; at < ids.length; at += batch) await remove({ from, ids: ids.slice(at, at + batch) })
    return ids.length
  }

  async function removeTraces(table: Traced, before: number) {
    let removed = 0
    for (;;) {
      const ids = await nextTraced(table, { after: await cursorOf(table), before })
      if (ids.length === 0) return removed
      removed += await removeAll(table, ids)
      await writeSetting(db, `retention_${table}`, String(ids.at(-1)))
    }
  }

  async function removeWhile(from: 'inbox' | 'audit_log', next: () => Promise<{ id: number }[]>) {
    let removed = 0
    for (;;) {
      const rows = await next()
      if (rows.length === 0) return removed
      removed += await removeAll(
        from,
        rows.map(({ id }) => id),
      )
    }
  }

  /** Counts what is before the first young row. */
  async function countTraced(table: Traced, before: number) {
    const after = await cursorOf(table)
    const young = await readers
      .selectFrom(table)
      .select('id')
      .where('id', '>', after)
      .where('happened_at', '>=', before)
      .orderBy('id')
      .limit(1)
      .executeTakeFirst()
    const { count } = await readers
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('id', '>', after)
      .$if(young !== undefined, (query) => query.where('id', '<', young!.id))
      .executeTakeFirstOrThrow()
    return count
  }

  const horizons = async () => {
    const kept = await readRetention(db)
    const before = (count: number) => (count === 0 ? null : now() - count * day)
    return {
      traces: before(kept.traces_days),
      inbox: before(kept.inbox_days),
      audit: before(kept.audit_days),
    }
  }

  return {
    /** How many rows the next run would change or remove, by kind. */
    async wouldGo(): Promise<{ traces: number; inbox: number; audit: number }> {
      const { traces, inbox, audit } = await horizons()
      const count = async (rows: Promise<unknown[]>[]) =>
        (await Promise.all(rows)).reduce((sum, each) => sum + each.length, 0)
      return {
        traces:
          traces === null
            ? 0
            : (await Promise.all(tracesOf.map((table) => countTraced(table, traces)))).reduce(
                (a, b) => a + b,
                0,
              ),
        inbox: inbox === null ? 0 : await count(providers.map((provider) => oldDeliveries(provider, inbox))),
        audit: audit === null ? 0 : await count([oldEntries(audit)]),
      }

      function oldDeliveries(provider: string, before: number) {
        return readers
          .selectFrom('inbox')
          .select('id')
          .where('provider', '=', provider)
          .where('received_at', '<', before)
          .where('state', 'in', ['done', 'kept'])
          .limit(mostCounted)
          .execute()
      }
      function oldEntries(before: number) {
        return readers
          .selectFrom('audit_log')
          .select('id')
          .where('happened_at', '<', before)
          .limit(mostCounted)
          .execute()
      }
    },

    /** Removes what is too old. @returns how many rows, by kind */
    async run(): Promise<{ traces: number; inbox: number; audit: number }> {
      const { traces, inbox, audit } = await horizons()
      const removed = { traces: 0, inbox: 0, audit: 0 }
      if (traces !== null) {
        // Known before the first one goes: an event without its traces must not be judged anew as somebody unknown.
        const until = Math.max(traces, await tracesRemovedBefore(db))
        await writeSetting(db, 'traces_removed_before', String(until))
        for (const table of tracesOf) removed.traces += await removeTraces(table, traces)
      }
      if (inbox !== null)
        for (const provider of providers)
          removed.inbox += await removeWhile('inbox', () => nextDeliveries(provider, inbox))
      if (audit !== null) removed.audit = await removeWhile('audit_log', () => nextEntries(audit))
      return removed
    },
  }
}
export type RetentionKeeper = ReturnType<typeof retention>

/** Beyond this nobody counts: it is "so many or more". */
export const mostCounted = 100_000
