import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import { isDatabaseBusy } from '../ledger/ledger.js'
import { pause, realClock } from './clock.js'
import { addFailure, isUnderWay, keepRun, type Run } from './runs.js'

/** Facts that wait for one commit: a door waits for no more than these. */
const chunkSize = 100

/** Milliseconds from one note of how far a run is to the next: each waits for the disk, and a crash costs what came since. */
const keepEvery = 250

/** A run stops here because somebody asked for it. */
export class Cancelled extends Error {}

interface Needs {
  db: Db
  log: Logger
  now: () => number
  stopping: AbortController
}

/**
 * A sync while it is under way: what it has brought in and how far it is, kept where a crash finds it again. Whatever
 * walks through a provider's lists does so through this.
 */
export class RunUnderWay<Checkpoint extends object> {
  readonly id: number
  readonly kind: string
  readonly askedBy: string
  readonly startedAt: number
  readonly signal: AbortSignal
  /** Where to go on; it counts once it is kept. */
  checkpoint: Checkpoint
  readonly #provider: string
  readonly #progress: Run['progress']
  readonly #changes: Run['changes']
  readonly #needs: Needs
  #keptAt = Number.NEGATIVE_INFINITY

  constructor(run: Run, needs: Needs) {
    this.id = run.id
    this.kind = run.kind
    this.askedBy = run.askedBy
    this.startedAt = run.startedAt
    this.checkpoint = run.checkpoint as Checkpoint
    this.signal = needs.stopping.signal
    this.#provider = run.provider
    this.#progress = { ...run.progress, stages: { ...run.progress.stages } }
    this.#changes = { ...run.changes }
    this.#needs = needs
  }

  get changes(): Readonly<Run['changes']> {
    return this.#changes
  }
  /** How much of a stage was done when it was kept last. */
  doneOf = (stage: string) => this.#progress.stages[stage]?.done ?? 0

  /** A stage begins, or goes on after an interruption. */
  async begin(stage: string, checkpoint: Checkpoint) {
    this.checkpoint = checkpoint
    this.#progress.stage = stage
    this.#progress.since = { at: this.#needs.now(), done: this.doneOf(stage) }
    await this.#keepNow()
  }
  /** Counts what was changed, by name. */
  add(name: string, count = 1) {
    if (count !== 0) this.#changes[name] = (this.#changes[name] ?? 0) + count
  }
  progress(stage: string, done: number, of: number | null) {
    this.#progress.stages[stage] = { done, of }
  }
  /** A request was sent to the provider. */
  requested(count = 1) {
    this.#progress.requests += count
  }
  /** How many requests may go out at once, where the provider tells. */
  remaining(count: number | null) {
    this.#progress.remaining = count
  }

  /** Keeps how far it is, unless that was done a moment ago. @throws Cancelled when somebody has cancelled it meanwhile */
  async keep() {
    this.signal.throwIfAborted()
    if (performance.now() - this.#keptAt >= keepEvery) return this.#keepNow()
    if (!(await isUnderWay(this.#needs.db, this.id))) this.#breakOff()
  }
  async #keepNow() {
    if (!(await this.steadfastly(() => this.keepLast()))) this.#breakOff()
  }
  #breakOff() {
    this.#needs.stopping.abort()
    throw new Cancelled()
  }

  /**
   * Keeps how far it is, whatever was kept a moment ago: the run ends here, or the process does.
   * @returns false when somebody has cancelled it meanwhile
   */
  async keepLast(): Promise<boolean> {
    const { db, now } = this.#needs
    this.#keptAt = performance.now()
    const { id, kind, checkpoint } = this
    const run = { id, kind, checkpoint: { ...checkpoint } as Record<string, unknown> }
    return keepRun(db, { ...run, progress: this.#progress, changes: this.#changes }, now())
  }

  /**
   * Records several at a time: those that wait together are committed together, and the doors in between. A row that
   * the database refuses is listed, and the others go on.
   * @param name what a failure of this item is listed as
   */
  async inChunks<Item, Result>(
    items: Item[],
    name: (item: Item) => string,
    take: (item: Item) => Promise<Result>,
  ): Promise<Result[]> {
    const results: Result[] = []
    for (let from = 0; from < items.length; from += chunkSize) {
      const chunk = await Promise.all(
        items.slice(from, from + chunkSize).map(async (item) => {
          try {
            return [await this.steadfastly(() => take(item))]
          } catch (error) {
            if (this.signal.aborted || isDatabaseBusy(error)) throw error
            this.#needs.log.error({ err: error, what: name(item) }, 'not brought in')
            await this.listOnce(name(item), 'It cannot be recorded as it is; the log has the details.')
            return []
          }
        }),
      )
      results.push(...chunk.flat())
    }
    return results
  }

  /** While the database is busy with something else a run waits, for a minute at the most. */
  async steadfastly<Result>(take: () => Promise<Result>): Promise<Result> {
    for (let tries = 1; ; tries++) {
      try {
        return await take()
      } catch (error) {
        if (!isDatabaseBusy(error) || tries >= 30) throw error
        await pause(realClock, 2_000, this.signal)
      }
    }
  }

  /** What could not be brought in, though the run went on; it is listed once. */
  async listOnce(what: string, why: string) {
    const { db, now } = this.#needs
    const known = await db
      .selectFrom('sync_failures')
      .select('id')
      .where('provider', '=', this.#provider)
      .where('what', '=', what)
      .executeTakeFirst()
    if (known) return
    await this.list(what, why, now())
  }

  /** The same, however often it happens: in this run it is listed once. */
  async list(what: string, why: string, at = this.#needs.now()) {
    const { db } = this.#needs
    await addFailure(db, { run_id: this.id, provider: this.#provider, what, why, failed_at: at })
  }

  /** Rows of a page that could not be read are counted, and named in the log. */
  unreadable(rows: number, where: object) {
    if (rows === 0) return
    this.add('unreadable', rows)
    this.#needs.log.warn({ provider: this.#provider, rows, ...where }, 'rows that cannot be read')
  }
}
