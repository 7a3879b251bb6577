import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'

/** How far a run has come, stage by stage; `of` is null as long as nobody knows. */
export interface Progress {
  stage: string
  stages: Record<string, { done: number; of: number | null }>
  /** When this process began with the stage, and how much was done of it by then; null before that. */
  since: { at: number; done: number } | null
  /** Requests sent to the provider. */
  requests: number
  /** How many more may go out at once; null where nobody tells. */
  remaining: number | null
}

/** A sync as pages and the terminal show it. */
export interface Run {
  id: number
  provider: string
  kind: string
  state: Row<'sync_runs'>['state']
  askedBy: string
  startedAt: number
  seenAt: number
  endedAt: number | null
  checkpoint: Record<string, unknown>
  progress: Progress
  /** What it changed, by name: how many. */
  changes: Record<string, number>
  error: string | null
}

const noProgress: Progress = { stage: '', stages: {}, since: null, requests: 0, remaining: null }

const runOf = (row: Row<'sync_runs'>): Run => ({
  id: row.id,
  provider: row.provider,
  kind: row.kind,
  state: row.state,
  askedBy: row.asked_by,
  startedAt: row.started_at,
  seenAt: row.seen_at,
  endedAt: row.ended_at,
  checkpoint: JSON.parse(row.checkpoint),
  progress: { ...noProgress, ...JSON.parse(row.progress) },
  changes: JSON.parse(row.changes),
  error: row.error,
})

/** The run that waits or is under way; there is at most one of a provider. */
export async function currentRun(db: Db, provider: string): Promise<Run | null> {
  const row = await db
    .selectFrom('sync_runs')
    .selectAll()
    .where('provider', '=', provider)
    .where('state', 'in', ['waiting', 'running'])
    .orderBy('started_at', 'desc')
    .executeTakeFirst()
  return row ? runOf(row) : null
}

/** @returns null where there is no run of this id */
export async function findRun(db: Db, id: number): Promise<Run | null> {
  const row = await db.selectFrom('sync_runs').selectAll().where('id', '=', id).executeTakeFirst()
  return row ? runOf(row) : null
}

/** Newest first. */
export async function listRuns(db: Db, provider: string, limit: number): Promise<Run[]> {
  const rows = await db
    .selectFrom('sync_runs')
    .selectAll()
    .where('provider', '=', provider)
    .orderBy('started_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(runOf)
}

/** The one that was asked for last, whatever became of it. */
export const lastRun = async (db: Db, provider: string): Promise<Run | null> =>
  (await listRuns(db, provider, 1))[0] ?? null

/** The last run that came to its end. */
export async function lastDoneRun(db: Db, provider: string, kinds: string[]): Promise<Run | null> {
  const row = await db
    .selectFrom('sync_runs')
    .selectAll()
    .where('provider', '=', provider)
    .where('kind', 'in', kinds)
    .where('state', '=', 'done')
    .orderBy('started_at', 'desc')
    .executeTakeFirst()
  return row ? runOf(row) : null
}

/** What all runs of a kind have brought together, by name: one that was interrupted counts with those that went on. */
export async function changesOfAll(db: Db, provider: string, kind: string): Promise<Run['changes']> {
  const rows = await db
    .selectFrom('sync_runs')
    .select('changes')
    .where('provider', '=', provider)
    .where('kind', '=', kind)
    .execute()
  const sums: Run['changes'] = {}
  for (const { changes } of rows)
    for (const [name, count] of Object.entries(JSON.parse(changes) as Run['changes']))
      sums[name] = (sums[name] ?? 0) + count
  return sums
}

/** What each kind of run brings, the least first: `first` is everything. */
const kindsByExtent = ['nightly', 'manual', 'first']

const bringsMore = (one: string, other: string) => kindsByExtent.indexOf(one) > kindsByExtent.indexOf(other)

/**
 * Asks for a run. Where one waits or is under way, that is the answer; if it would bring less than what is asked for
 * now, it is raised to that, and goes through once more where it has begun.
 * @param checkpoint where to begin, as an earlier run that did not end left it
 */
export async function askForRun(
  db: Db,
  run: {
    provider: string
    kind: string
    askedBy: string
    now: number
    checkpoint?: Record<string, unknown>
    /** How far that earlier run had come. */
    stages?: Progress['stages']
  },
): Promise<{ run: Run; isNew: boolean }> {
  return db.transaction().execute(async (tx) => {
    const current = await currentRun(tx, run.provider)
    if (current && !bringsMore(run.kind, current.kind)) return { run: current, isNew: false }
    if (current) {
      const raised = await tx
        .updateTable('sync_runs')
        .set({ kind: run.kind, asked_by: run.askedBy, checkpoint: '{}' })
        .where('id', '=', current.id)
        .returningAll()
        .executeTakeFirstOrThrow()
      return { run: runOf(raised), isNew: false }
    }
    const row = await tx
      .insertInto('sync_runs')
      .values({
        provider: run.provider,
        kind: run.kind,
        state: 'waiting',
        asked_by: run.askedBy,
        started_at: run.now,
        seen_at: run.now,
        checkpoint: JSON.stringify(run.checkpoint ?? {}),
        progress: JSON.stringify({ stages: run.stages ?? {} }),
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    return { run: runOf(row), isNew: true }
  })
}

/** A run that was under way when the process ended goes on from its checkpoint. @returns how many there are */
export async function resumeRuns(db: Db, provider: string): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set({ state: 'waiting' })
    .where('provider', '=', provider)
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}

/** Has nobody cancelled it? */
export async function isUnderWay(db: Db, id: number): Promise<boolean> {
  const run = await db
    .selectFrom('sync_runs')
    .select('id')
    .where('id', '=', id)
    .where('state', 'in', ['waiting', 'running'])
    .executeTakeFirst()
  return run !== undefined
}

/**
 * Where a run has been raised meanwhile to one that brings more, its checkpoint stays at the beginning.
 * @returns false when it was cancelled meanwhile
 */
export async function keepRun(
  db: Db,
  {
    id,
    kind,
    checkpoint,
    progress,
    changes,
  }: Pick<Run, 'id' | 'kind' | 'checkpoint' | 'progress' | 'changes'>,
  now: number,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set(({ eb, ref }) => ({
      state: 'running' as const,
      seen_at: now,
      checkpoint: eb
        .case()
        .when('kind', '=', kind)
        .then(JSON.stringify(checkpoint))
        .else(ref('checkpoint'))
        .end(),
      progress: JSON.stringify(progress),
      changes: JSON.stringify(changes),
    }))
    .where('id', '=', id)
    .where('state', 'in', ['waiting', 'running'])
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows) > 0
}

/**
 * @param end.kind ends it only if it is still of this kind, and has not been raised meanwhile
 * @returns false when it was raised, or has ended before
 */
export async function endRun(
  db: Db,
  id: number,
  {
    state,
    error,
    now,
    kind,
  }: { state: 'done' | 'failed' | 'cancelled'; error: string | null; now: number; kind?: string },
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set({ state, error, ended_at: now, seen_at: now })
    .where('id', '=', id)
    .where('state', 'in', ['waiting', 'running'])
    .$if(kind !== undefined, (query) => query.where('kind', '=', kind!))
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows) > 0
}

/** What could not be fetched, though the rest of the run went on. */
export async function addFailure(
  db: Db,
  failure: { run_id: number; provider: string; what: string; why: string; failed_at: number },
) {
  await db
    .insertInto('sync_failures')
    .values({ ...failure, settled_at: null })
    .execute()
}

/** Nobody wants to see these any more. @param id null for all */
export async function forgetFailures(
  db: Db,
  provider: string,
  { id, now }: { id: number | null; now: number },
) {
  await db
    .updateTable('sync_failures')
    .set({ settled_at: now })
    .where('provider', '=', provider)
    .where('settled_at', 'is', null)
    .$if(id !== null, (query) => query.where('id', '=', id!))
    .execute()
}

/** What had failed by this name has gone well since. */
export async function forgetFailuresOf(
  db: Db,
  provider: string,
  { what, now }: { what: string; now: number },
) {
  await db
    .updateTable('sync_failures')
    .set({ settled_at: now })
    .where('provider', '=', provider)
    .where('what', '=', what)
    .where('settled_at', 'is', null)
    .execute()
}

/** Failures that nobody has settled, newest first. */
export const listFailures = (db: Db, provider: string, limit: number) =>
  db
    .selectFrom('sync_failures')
    .selectAll()
    .where('provider', '=', provider)
    .where('settled_at', 'is', null)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()

/** How many failures nobody has settled, counted up to 1,000. */
export async function countOpenFailures(db: Db, provider: string) {
  const rows = await db
    .selectFrom('sync_failures')
    .select('id')
    .where('provider', '=', provider)
    .where('settled_at', 'is', null)
    .limit(1_001)
    .execute()
  return { count: Math.min(rows.length, 1_000), isMore: rows.length > 1_000 }
}

/** How many of these runs' failures nobody has settled. */
export const countFailures = (db: Db, runs: number[]) =>
  db
    .selectFrom('sync_failures')
    .select(({ fn }) => ['run_id', fn.countAll<number>().as('count')])
    .where('run_id', 'in', runs)
    .where('settled_at', 'is', null)
    .groupBy('run_id')
    .execute()
