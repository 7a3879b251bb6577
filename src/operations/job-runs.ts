import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'

/** How far a run is; `of` is null as long as nobody knows. */
export interface Progress {
  done: number
  of: number | null
  /** What it does just now, as people read it; may be empty. */
  words: string
}

/** A run as pages, programs and the terminal show it. Instants are milliseconds. */
export interface Run {
  id: number
  job: string
  state: Row<'job_runs'>['state']
  /** Empty for the clock. */
  askedBy: string
  /** More than one for a job that comes every few seconds or minutes. */
  runs: number
  startedAt: number
  endedAt: number | null
  progress: Progress
  result: string
  error: string | null
}

const noProgress: Progress = { done: 0, of: null, words: '' }

const runOf = (row: Row<'job_runs'>): Run => ({
  id: row.id,
  job: row.job,
  state: row.state,
  askedBy: row.asked_by,
  runs: row.runs,
  startedAt: row.started_at,
  endedAt: row.ended_at,
  progress: { ...noProgress, ...JSON.parse(row.progress) },
  result: row.result,
  error: row.error,
})

/** @returns null where there is no run of this id */
export async function findRun(db: Db, id: number): Promise<Run | null> {
  const row = await db.selectFrom('job_runs').selectAll().where('id', '=', id).executeTakeFirst()
  return row ? runOf(row) : null
}

/** The run of a job that waits or is under way; there is at most one. */
export async function currentRun(db: Db, job: string): Promise<Run | null> {
  const row = await db
    .selectFrom('job_runs')
    .selectAll()
    .where('job', '=', job)
    .where('state', 'in', ['waiting', 'running'])
    .executeTakeFirst()
  return row ? runOf(row) : null
}

/** Newest first. @param before an id: only older ones */
export async function listRuns(
  db: Db,
  job: string,
  { limit, before }: { limit: number; before?: number | undefined },
): Promise<Run[]> {
  const rows = await db
    .selectFrom('job_runs')
    .selectAll()
    .where('job', '=', job)
    .$if(before !== undefined, (query) => query.where('id', '<', before!))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map(runOf)
}

/** The newest run of each of these jobs, by its name. */
export async function lastRuns(db: Db, jobs: string[]): Promise<Map<string, Run>> {
  const last = await Promise.all(jobs.map((job) => listRuns(db, job, { limit: 1 })))
  return new Map(last.flatMap(([run]) => (run ? [[run.job, run] as const] : [])))
}

/** What runs said, by the run's id, in order. */
export async function linesOf(db: Db, runs: number[]): Promise<Map<number, { at: number; line: string }[]>> {
  const rows = await db
    .selectFrom('job_lines')
    .selectAll()
    .where('run_id', 'in', runs)
    .orderBy('run_id')
    .orderBy('number')
    .execute()
  const lines = new Map<number, { at: number; line: string }[]>()
  for (const { run_id, said_at, line } of rows) {
    const ofRun = lines.get(run_id) ?? []
    ofRun.push({ at: said_at, line })
    lines.set(run_id, ofRun)
  }
  return lines
}

/** Asks for a run. Where one waits or is under way, that is the answer. */
export async function askForRun(
  db: Db,
  { job, askedBy, now }: { job: string; askedBy: string; now: number },
): Promise<{ run: Run; isNew: boolean }> {
  return db.transaction().execute(async (tx) => {
    const current = await currentRun(tx, job)
    if (current) return { run: current, isNew: false }
    const row = await tx
      .insertInto('job_runs')
      .values({ job, state: 'waiting', asked_by: askedBy, started_at: now, ended_at: null, error: null })
      .returningAll()
      .executeTakeFirstOrThrow()
    return { run: runOf(row), isNew: true }
  })
}

/** The jobs for which somebody has asked, in the order in which they did. */
export async function waitingRuns(db: Db): Promise<Run[]> {
  const rows = await db
    .selectFrom('job_runs')
    .selectAll()
    .where('state', 'in', ['waiting', 'running']) // as the index has it
    .where('state', '=', 'waiting')
    .orderBy('id')
    .execute()
  return rows.map(runOf)
}

/** @returns false when it no longer waits: somebody has cancelled it */
export async function beginRun(db: Db, id: number, now: number): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('job_runs')
    .set({ state: 'running', started_at: now })
    .where('id', '=', id)
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows) > 0
}

/** Keeps how far a run is, and what it has said since the last time. @param said how many lines were kept before */
export async function keepRun(
  db: Db,
  id: number,
  { progress, lines, said }: { progress: Progress; lines: { at: number; line: string }[]; said: number },
) {
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('job_runs')
      .set({ progress: JSON.stringify(progress) })
      .where('id', '=', id)
      .execute()
    if (lines.length === 0) return
    const rows = lines.map(({ at, line }, index) => ({
      run_id: id,
      number: said + index + 1,
      said_at: at,
      line,
    }))
    await tx.insertInto('job_lines').values(rows).execute()
  })
}

export interface Ending {
  state: 'done' | 'failed' | 'cancelled' | 'interrupted'
  result: string
  error: string | null
}

/** Ends a run that waits or is under way; one that has ended stays as it is. @param now milliseconds */
export async function endRun(db: Db, id: number, { state, result, error }: Ending, now: number) {
  await db
    .updateTable('job_runs')
    .set({ state, result, error, ended_at: now })
    .where('id', '=', id)
    .where('state', 'in', ['waiting', 'running'])
    .execute()
}

/**
 * The runs that were under way when the process that performed them ended. Whoever asks holds the data folder alone,
 * so none of them can still go on.
 * @returns their jobs
 */
export async function buryRuns(db: Db, now: number): Promise<string[]> {
  const rows = await db
    .updateTable('job_runs')
    .set({ state: 'died', ended_at: now, error: 'The process ended while it ran.' })
    .where('state', '=', 'running')
    .returning('job')
    .execute()
  return rows.map(({ job }) => job)
}

/** Runs that ended alike, one row for an hour of them. */
export interface Sum {
  job: string
  state: 'done' | 'failed'
  error: string | null
  hour: number
  startedAt: number
  endedAt: number
  runs: number
}

/** @param id the row that the sum has already; null for a new one @returns the row's id */
export async function keepSum(db: Db, id: number | null, sum: Sum): Promise<number> {
  if (id !== null) {
    await db
      .updateTable('job_runs')
      .set({ runs: sum.runs, ended_at: sum.endedAt })
      .where('id', '=', id)
      .execute()
    return id
  }
  const { job, state, error, runs } = sum
  const row = await db
    .insertInto('job_runs')
    .values({ job, state, error, runs, started_at: sum.startedAt, ended_at: sum.endedAt })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

export type JobState = Row<'jobs'>

export const listJobStates = (db: Db): Promise<JobState[]> => db.selectFrom('jobs').selectAll().execute()

/** Writes down what is known of a job, in place of what was known. */
export async function keepJobState(db: Db, state: JobState) {
  const { name, ...values } = state
  await db
    .insertInto('jobs')
    .values(state)
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ name, ...values }))
    .execute()
}
