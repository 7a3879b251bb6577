import { setMaxListeners } from 'node:events'
import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import { ProviderError } from './provider-error.js'
import { Cancelled, RunUnderWay } from './run-under-way.js'
import { askForRun, currentRun, endRun, findRun, keepRun, lastDoneRun, type Run, resumeRuns } from './runs.js'

/**
 * `first` brings everything; `nightly` and `manual` bring what is new, and what the webhook missed, `manual` without
 * regard to what a schedule would spare.
 */
export type RunKind = 'first' | 'nightly' | 'manual'

interface Needs<Checkpoint extends object> {
  db: Db
  provider: string
  /** As people call it. */
  name: string
  /** Walks through all that the provider has, from the run's checkpoint on. */
  walk: (run: RunUnderWay<Checkpoint>) => Promise<void>
  /** Everything is in: scores are due. */
  ended: () => Promise<void>
  now: () => number
  log: Logger
}

/** The runs of one provider, one at a time: asked for, performed, cancelled, and gone on with after a crash. */
export function providerSyncs<Checkpoint extends object>({
  db,
  provider,
  name,
  walk,
  ended,
  now,
  log,
}: Needs<Checkpoint>) {
  let stopping: AbortController | null = null
  let performing: Promise<void> | null = null
  let underWay: RunUnderWay<Checkpoint> | null = null
  let stopped = false
  let begun = false

  /** @param waiting perhaps with a checkpoint */
  async function perform(waiting: Run) {
    stopping = new AbortController()
    const { signal } = stopping
    setMaxListeners(0, signal) // each item of a chunk that waits for the database listens to it
    const begin = (run: Run) => {
      underWay = new RunUnderWay<Checkpoint>(run, { db, log, now, stopping: stopping! })
      return underWay
    }
    let run = begin(waiting)
    try {
      if (!(await keepRun(db, waiting, now()))) return
      await walk(run)
      await run.keepLast()
      while (!(await endRun(db, run.id, { state: 'done', error: null, now: now(), kind: run.kind }))) {
        const raised = await currentRun(db, provider)
        if (raised?.id !== run.id) return // it was cancelled
        run = begin(raised)
        await walk(run)
        await run.keepLast()
      }
      log.info({ run: run.id, kind: run.kind, ...run.changes }, `synced with ${name}`)
      await ended()
    } catch (error) {
      if (error instanceof Cancelled) return
      // The process ends: the run goes on from its checkpoint at the next start.
      if (signal.aborted) return void (await run.keepLast())
      const reason =
        error instanceof ProviderError
          ? error.message
          : 'Something went wrong here; the log has the details. What came in until then is kept.'
      if (!(error instanceof ProviderError)) log.error({ err: error, run: run.id }, 'sync failed')
      // Also where the database took nothing, it has to be told: a run that stands as under way would hold up all others.
      await run.steadfastly(() => run.keepLast())
      await run.steadfastly(() => endRun(db, run.id, { state: 'failed', error: reason, now: now() }))
    }
  }

  /** Starts the run that waits, if one does: one at a time. @returns when it has ended */
  async function performWaiting(): Promise<void> {
    if (performing || stopped) return performing ?? undefined
    if (!begun) {
      begun = true
      await resumeRuns(db, provider) // what the last process left under way
    }
    const run = await currentRun(db, provider)
    // Somebody else may have started it meanwhile.
    if (performing || stopped || run?.state !== 'waiting') return performing ?? undefined
    performing = perform(run).finally(() => {
      performing = null
    })
    return performing
  }

  /** Everything the first time, and what is new after that. */
  async function ask(askedBy: string, kind?: RunKind) {
    const last = await lastDoneRun(db, provider, ['first'])
    const unfinished = last ? null : await unfinishedFirst()
    return askForRun(db, {
      provider,
      kind: last ? (kind ?? 'manual') : 'first',
      askedBy,
      now: now(),
      ...unfinished,
    })
  }

  /** A first sync that failed or was cancelled goes on where it was. */
  async function unfinishedFirst() {
    const row = await db
      .selectFrom('sync_runs')
      .select('id')
      .where('provider', '=', provider)
      .where('kind', '=', 'first')
      .orderBy('id', 'desc')
      .executeTakeFirst()
    const run = row && (await findRun(db, row.id))
    return run ? { checkpoint: run.checkpoint, stages: run.progress.stages } : null
  }

  return {
    ask,
    performWaiting,
    /** Starts at once what is asked for, unless one runs already. */
    async start(askedBy: string, kind?: RunKind) {
      const asked = await ask(askedBy, kind)
      if (asked.isNew) void performWaiting().catch((error) => log.error({ err: error }, 'sync failed'))
      return asked.run
    },
    /** By the clock, and to its end. */
    async scheduled(askedBy: string) {
      await ask(askedBy, 'nightly')
      await performWaiting()
    },
    /** Ends the run that waits or is under way, and breaks off its request. */
    async cancel() {
      const run = await currentRun(db, provider)
      if (!run) return
      if (underWay?.id === run.id) await underWay.keepLast()
      await endRun(db, run.id, { state: 'cancelled', error: null, now: now() })
      const ended = await findRun(db, run.id)
      if (ended?.state === 'cancelled') stopping?.abort()
    },
    /** No new run; the one under way ends soon, and goes on at the next start. */
    async stop() {
      stopped = true
      stopping?.abort()
      await performing?.catch(() => {})
    },
  }
}
