import cron, { type ScheduledTask } from 'node-cron'
import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import { whenFree } from '../database/when-free.js'
import { hourLength } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import {
  askForRun,
  beginRun,
  buryRuns,
  currentRun,
  type Ending,
  endRun,
  findRun,
  type JobState,
  keepJobState,
  keepRun,
  keepSum,
  lastRuns,
  listJobStates,
  type Progress,
  type Run,
  type Sum,
  waitingRuns,
} from './job-runs.js'
import { isFrequent } from './schedule.js'

/** What a job is given while it runs. */
export interface JobRun {
  /** Aborted when somebody cancels the run, or the process ends: stop soon, and throw what `throwIfAborted` throws. */
  signal: AbortSignal
  /** How far it is. @param of null as long as nobody knows @param words what it does just now */
  progress(done: number, of?: number | null, words?: string): void
  /** A sentence for whoever looks at the run. */
  log(line: string): void
}

/** Something that happens by the clock, or when somebody asks for it. */
export interface Job {
  /** As in addresses and on the command line: `back-up`. It stays the same for good. */
  name: string
  /** A verb and its object: "Back up the database". */
  title: string
  /** One or two sentences. */
  what: string
  /** A cron expression of five fields, or six with seconds first; in the reporting time zone. */
  schedule: string
  /** What it returns, where it is a text, is a sentence that says what it did. */
  run(run: JobRun): Promise<unknown>
}

interface Needs {
  db: Db
  log: Logger
  now: () => number
  timeZone: string
}

/** Milliseconds after which a failed run is tried again: the first, the second, the third time. */
const retryAfter = [60_000, 5 * 60_000, 15 * 60_000]
/** Milliseconds for which a job that comes every few seconds or minutes may fail before somebody is told. */
const failsFor = 5 * 60_000
/** Milliseconds from one look at what waits to the next. */
const lookEvery = 1_000
/** Milliseconds by which a clock may go back before that is one that was put right, and schedules are looked up anew. */
const leap = 2_000
/** Milliseconds that a clock may have gone back and a run that was made by it still counts for the same instant. */
const sameInstants = 3 * hourLength
/** A job with a row for each run comes every quarter of an hour at the most. */
const mostInstants = 13
const second = 1_000
/** Milliseconds between two writings of a sum of runs, and of a run's progress. */
const sumEvery = 5 * 60_000
const keepEvery = 1_000
/** Lines of one run that are kept. */
const mostLines = 500
const longestLine = 1_000

const ending = new Error('The process ends.')
const cancelled = new Error('Somebody cancelled it.')

interface UnderWay {
  stopping: AbortController
  startedAt: number
  done: Promise<void>
}

/**
 * What happens by the clock, from one table. One run of a job at a time: a run that waits or is under way is a row, and
 * only the process that holds the data folder performs runs (the server, or a command while there is none). Where the
 * server runs, a command asks by leaving a row that waits.
 *
 * Runs of a job that comes every few seconds or minutes are summed up by the hour; all others have a row each, with
 * progress and lines. A run that fails is tried again after one, five and fifteen minutes; from then on its
 * state says since when (`alarmed_at`), until it is well. A run that was missed while nothing ran is caught up once.
 */
export class Jobs {
  readonly #needs: Needs
  readonly #jobs = new Map<string, Job & { isFrequent: boolean }>()
  readonly #underWay = new Map<string, UnderWay>()
  readonly #states = new Map<string, JobState>()
  readonly #sums = new Map<string, { id: number | null; keptAt: number; sum: Sum }>()
  /** They are never started, and tell the instants of each schedule (see `#beat`). */
  readonly #tasks = new Map<string, ScheduledTask>()
  /** When each job comes next. */
  readonly #dueAt = new Map<string, number>()
  /** When each job came last by the clock: of the seldom ones alone. */
  readonly #cameAt = new Map<string, number>()
  #timer: NodeJS.Timeout | null = null
  #beatTimer: NodeJS.Timeout | null = null
  #beatAt = 0
  #looking: Promise<void> | null = null
  #stopped = false

  constructor(needs: Needs) {
    this.#needs = needs
  }

  /** Enters a job in the table. @throws Error where there is one of this name, or the schedule is none */
  enter(...jobs: Job[]) {
    for (const job of jobs) {
      if (this.#jobs.has(job.name)) throw new Error(`There are two jobs called ${job.name}.`)
      this.#jobs.set(job.name, { ...job, isFrequent: isFrequent(job.schedule, this.#needs.timeZone) })
    }
  }
  /** In the order in which they were entered. */
  list(): (Job & { isFrequent: boolean })[] {
    return [...this.#jobs.values()]
  }
  /** @throws NotFound */
  get(name: string) {
    const job = this.#jobs.get(name)
    if (!job) throw new NotFound(`There is no job called ${name.slice(0, 60)}.`)
    return job
  }

  /** Since when it runs in this process; null when it does not. */
  runningSince = (name: string): number | null => this.#underWay.get(name)?.startedAt ?? null
  /** When it comes next; null while no clock runs. */
  nextAt = (name: string): number | null => this.#dueAt.get(name) ?? null
  /** What is known of a job beside its runs. */
  stateOf(name: string): JobState {
    return this.#states.get(name) ?? stateless(name, this.get(name).schedule)
  }
  /** Of a job that comes often: the last sum as it stands, which may not be written yet. */
  sumOf = (name: string): Readonly<Sum> | null => this.#sums.get(name)?.sum ?? null

  /**
   * Takes the jobs over: runs that were under way when the last process ended have died, and what is known of each job is
   * read. Only for the process that holds the data folder.
   */
  async takeOver() {
    const { db, now, log } = this.#needs
    for (const state of await listJobStates(db)) this.#states.set(state.name, state)
    // The doors are open already: a database that somebody else holds must not end the process.
    const dead = await this.#steadily(() => buryRuns(db, now()), { patience: Number.POSITIVE_INFINITY })
    for (const name of dead) {
      log.warn({ job: name }, 'a run died with the process')
      const job = this.#jobs.get(name)
      if (job) await this.#failed(job)
    }
  }

  /** Starts the clock, and catches up on what was missed: each job once, one after another. */
  async start() {
    const { db, now, timeZone } = this.#needs
    await this.takeOver()
    if (this.#stopped) return
    const missed: Job[] = []
    const seldom = this.list().filter(({ isFrequent }) => !isFrequent)
    const last = await lastRuns(
      db,
      seldom.map(({ name }) => name),
    )
    for (const job of this.#jobs.values()) {
      this.#tasks.set(
        job.name,
        cron.createTask(job.schedule, () => {}, { timezone: timeZone }),
      )
      const run = last.get(job.name)
      if (run?.askedBy === '') this.#cameAt.set(job.name, run.startedAt)
      this.#planNext(job)
      if (job.isFrequent) continue
      const { schedule, next_at } = this.stateOf(job.name)
      if (schedule === job.schedule && next_at !== null && next_at <= now()) missed.push(job)
      await this.#keepNext(job)
    }
    void (async () => {
      for (const job of missed) await this.#perform(job).catch(() => {})
    })()
    this.#timer = setInterval(() => void this.look(), lookEvery)
    this.#beat()
  }

  /**
   * Once a second, as the clock strikes it: begins with what is due. A task of node-cron itself would wait for as long as
   * the clock was set back, also where it runs every second; and where the clock leaps ahead (or the machine slept) it
   * looks at each second that was left out, which stops everything for a second or two for each hour.
   */
  #beat() {
    if (this.#stopped) return
    const at = Date.now()
    const wentBack = at < this.#beatAt - leap
    this.#beatAt = at
    for (const job of this.#jobs.values()) {
      const isDue = (this.#dueAt.get(job.name) ?? at) <= at
      if (isDue && !job.isFrequent) this.#cameAt.set(job.name, at)
      if (isDue || wentBack) this.#planNext(job)
      if (isDue) this.#due(job)
      else if (wentBack) void this.#keepNext(job).catch(() => {})
    }
    if (wentBack) this.#needs.log.warn('the clock was set back, and schedules are looked up anew')
    this.#beatTimer = setTimeout(() => this.#beat(), second - (Date.now() % second))
  }

  /** What ran before the clock was set back has run for the instants that come again. */
  #planNext(job: Job & { isFrequent: boolean }) {
    const at = Date.now()
    const cameAt = this.#cameAt.get(job.name) ?? 0
    const isToCome = cameAt > at + leap && cameAt <= at + sameInstants
    const instants = this.#tasks.get(job.name)!.getNextRuns(isToCome ? mostInstants : 1)
    const next = instants.find((instant) => !isToCome || instant.getTime() > cameAt)
    this.#dueAt.set(job.name, (next ?? instants[0]!).getTime())
  }

  /** Looks for runs that somebody has asked for, or that are to be tried again. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error) => this.#needs.log.debug({ err: error }, 'jobs not looked at'))
      .finally(() => {
        this.#looking = null
      })
    return this.#looking
  }
  async #look() {
    const { now } = this.#needs
    await this.#takeWaiting()
    for (const [name, { retry_at }] of this.#states) {
      const job = this.#jobs.get(name)
      if (!job || job.isFrequent || this.#underWay.has(name)) continue
      // None waits longer than the last pause: where it seems to, the clock was set back meanwhile.
      const isRetryDue = retry_at !== null && (retry_at <= now() || retry_at > now() + retryAfter.at(-1)!)
      if (isRetryDue) await this.#begin(job)
    }
  }

  /** No new runs; those under way are told to end, and are waited for. They are run again at the next start. */
  async stop() {
    this.#stopped = true
    if (this.#timer) clearInterval(this.#timer)
    if (this.#beatTimer) clearTimeout(this.#beatTimer)
    await Promise.all([...this.#tasks.values()].map((task) => task.destroy()))
    for (const { stopping } of this.#underWay.values()) stopping.abort(ending)
    await this.#looking
    await Promise.all([...this.#underWay.values()].map(({ done }) => done))
    for (const name of this.#sums.keys())
      await this.#keepSum(name).catch((error) => this.#needs.log.debug({ err: error }, 'runs not summed up'))
  }

  /**
   * Asks for a run. This process begins with it where it performs runs; else the one that does will.
   * @param askedBy who, as pages tell it; empty for the clock
   * @returns the run that waits or is under way, which may be an earlier one
   * @throws NotFound for a job that does not exist
   */
  async ask(name: string, askedBy: string): Promise<{ run: Run; isNew: boolean }> {
    const job = this.get(name)
    return this.#steadily(() => askForRun(this.#needs.db, { job: job.name, askedBy, now: this.#needs.now() }))
  }

  /** Runs it here and to its end, after one that is under way. @throws Error with what a failed run said */
  async perform(name: string, askedBy = '') {
    await this.#perform(this.get(name), askedBy)
  }

  /** Asks for a run and begins with it, without waiting for its end. */
  async begin(name: string, askedBy: string) {
    const asked = await this.ask(name, askedBy)
    await this.look()
    return asked
  }

  /** Ends the run that waits or is under way. @returns false where there is none */
  async cancel(name: string): Promise<boolean> {
    const { db, now } = this.#needs
    this.get(name)
    const underWay = this.#underWay.get(name)
    if (underWay) {
      underWay.stopping.abort(cancelled)
      return true
    }
    const run = await currentRun(db, name)
    if (!run) return false
    await endRun(db, run.id, { state: 'cancelled', result: '', error: null }, now())
    return true
  }

  /** The clock says so. */
  #due(job: Job & { isFrequent: boolean }) {
    if (this.#stopped) return
    if (!job.isFrequent) return void this.#perform(job).catch(() => {})
    if (!this.#underWay.has(job.name)) void this.#runSummed(job)
  }

  async #begin(job: Job) {
    await this.ask(job.name, '')
    await this.#takeWaiting()
  }

  async #perform(job: Job, askedBy = '') {
    const { db } = this.#needs
    await this.#underWay.get(job.name)?.done
    const { id } = (await this.ask(job.name, askedBy)).run
    await this.#keepNext(job)
    for (;;) {
      await this.#takeWaiting()
      await this.#underWay.get(job.name)?.done
      const run = await findRun(db, id)
      if (run?.state === 'failed') throw new Error(run.error ?? '')
      if (run?.endedAt !== null || this.#stopped) return
    }
  }

  /** Begins with what waits. A job that is under way here keeps its row waiting until it is done. */
  async #takeWaiting() {
    const { db, now } = this.#needs
    for (const run of await waitingRuns(db)) {
      const job = this.#jobs.get(run.job)
      if (this.#stopped || this.#underWay.has(run.job)) continue
      const error = 'This version has no such job.'
      if (job) this.#track(job, (stopping) => this.#runKept(job, run, stopping))
      else await endRun(db, run.id, { state: 'failed', result: '', error }, now())
    }
  }

  #track(job: Job, work: (stopping: AbortController) => Promise<void>) {
    const stopping = new AbortController()
    const done = work(stopping)
      .catch((error) => this.#needs.log.error({ job: job.name, err: error }, 'run not recorded'))
      .finally(() => this.#underWay.delete(job.name))
    this.#underWay.set(job.name, { stopping, startedAt: this.#needs.now(), done })
    return done
  }

  /** A run with a row of its own. */
  async #runKept(job: Job & { isFrequent: boolean }, { id, askedBy }: Run, stopping: AbortController) {
    const { db, log, now } = this.#needs
    if (!(await this.#steadily(() => beginRun(db, id, now())))) return
    const paper = new Paper(now, (kept) => this.#steadily(() => keepRun(db, id, kept)))
    let end: Ending
    try {
      const result = await job.run({
        signal: stopping.signal,
        progress: (done, of = null, words = '') => paper.progress({ done, of, words }),
        log(line) {
          log.info({ job: job.name, run: id }, line)
          paper.log(line)
        },
      })
      end = { state: 'done', result: typeof result === 'string' ? result : '', error: null }
    } catch (error) {
      const { signal } = stopping
      if (signal.aborted)
        end = { state: signal.reason === ending ? 'interrupted' : 'cancelled', result: '', error: null }
      else {
        log.error({ job: job.name, run: id, err: error }, 'job failed')
        end = { state: 'failed', result: '', error: sentenceOf(error) }
      }
    }
    await paper.close()
    await this.#steadily(() => endRun(db, id, end, now()))
    if (end.state === 'done') await this.#succeeded(job)
    // A program that asks is a clock of somebody's; a person who asks sees what became of it.
    if (end.state === 'failed' && (askedBy === '' || askedBy.startsWith('API token ')))
      await this.#failed(job)
    // Whoever cancels a run that was tried again wants no further try.
    if (end.state === 'cancelled' && this.stateOf(job.name).retry_at !== null)
      await this.#keepState({ ...this.stateOf(job.name), retry_at: null })
    if (end.state === 'interrupted') await this.#keepState({ ...this.stateOf(job.name), retry_at: now() }) // the next start goes on
    if (end.state === 'done') log.debug({ job: job.name }, 'job done')
  }

  /** A run of a job that comes every few seconds or minutes. */
  #runSummed(job: Job & { isFrequent: boolean }) {
    const { log, now } = this.#needs
    return this.#track(job, async ({ signal }) => {
      const startedAt = now()
      let error: string | null = null
      try {
        await job.run({ signal, progress() {}, log: (line) => log.info({ job: job.name }, line) })
      } catch (thrown) {
        if (signal.aborted) return
        log.error({ job: job.name, err: thrown }, 'job failed')
        error = sentenceOf(thrown)
      }
      await this.#sumUp(job, { startedAt, error })
      if (error === null) await this.#succeeded(job)
      else await this.#failed(job)
    })
  }

  async #sumUp({ name }: Job, { startedAt, error }: { startedAt: number; error: string | null }) {
    const endedAt = this.#needs.now()
    const hour = Math.floor(endedAt / hourLength)
    const kept = this.#sums.get(name)
    const isAlike = kept && kept.sum.hour === hour && kept.sum.error === error
    if (kept && isAlike) kept.sum = { ...kept.sum, endedAt, runs: kept.sum.runs + 1 }
    else {
      if (kept) await this.#steadily(() => this.#keepSum(name))
      const state = error === null ? 'done' : 'failed'
      const sum: Sum = { job: name, state, error, hour, startedAt, endedAt, runs: 1 }
      this.#sums.set(name, { id: null, keptAt: Number.NEGATIVE_INFINITY, sum })
    }
    const { keptAt } = this.#sums.get(name)!
    if (endedAt - keptAt >= sumEvery || endedAt < keptAt) await this.#steadily(() => this.#keepSum(name))
  }
  async #keepSum(name: string) {
    const kept = this.#sums.get(name)
    if (!kept) return
    kept.id = await keepSum(this.#needs.db, kept.id, kept.sum)
    kept.keptAt = kept.sum.endedAt
  }

  async #succeeded(job: Job) {
    const state = this.stateOf(job.name)
    if (state.failures === 0 && state.retry_at === null) return
    await this.#keepState({
      ...state,
      failures: 0,
      failing_since: null,
      retry_at: null,
      alarmed_at: null,
    })
  }

  async #failed(job: Job & { isFrequent: boolean }) {
    const at = this.#needs.now()
    const state = this.stateOf(job.name)
    const failures = state.failures + 1
    const since = state.failing_since ?? at
    const wait = retryAfter[state.failures]
    const isSerious = job.isFrequent ? at - since >= failsFor : wait === undefined
    const isNews = isSerious && state.alarmed_at === null
    const next: JobState = {
      ...state,
      failures,
      failing_since: since,
      retry_at: job.isFrequent || wait === undefined ? null : at + wait,
      alarmed_at: isNews ? at : state.alarmed_at,
    }
    // A job that comes every second is not written down at every failure.
    if (job.isFrequent && !isNews && state.failures > 0) this.#states.set(job.name, next)
    else await this.#keepState(next)
  }

  async #keepNext(job: Job & { isFrequent?: boolean }) {
    const next_at = this.nextAt(job.name)
    const state = this.stateOf(job.name)
    if (next_at === null || job.isFrequent) return
    if (state.next_at !== next_at || state.schedule !== job.schedule)
      await this.#keepState({ ...state, schedule: job.schedule, next_at })
  }
  async #keepState(state: JobState) {
    this.#states.set(state.name, state)
    await this.#steadily(() => keepJobState(this.#needs.db, state))
  }

  /** @param patience for how many tries; once the jobs have stopped, for 50 */
  #steadily<Result>(note: () => Promise<Result>, { patience = 50 } = {}): Promise<Result> {
    return whenFree(note, (tries) => tries < (this.#stopped ? 50 : patience))
  }
}

const stateless = (name: string, schedule: string): JobState => ({
  name,
  schedule,
  next_at: null,
  retry_at: null,
  failures: 0,
  failing_since: null,
  alarmed_at: null,
})

function sentenceOf(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
  return line.slice(0, longestLine) || 'It failed without a word.'
}

/** What a run has said and how far it is, written at most once a second, and whole at its end. */
class Paper {
  #progress: Progress = { done: 0, of: null, words: '' }
  #lines: { at: number; line: string }[] = []
  #said = 0
  #dirty = false
  #keeping: Promise<unknown> = Promise.resolve()
  readonly #timer: NodeJS.Timeout
  readonly #now: () => number
  readonly #keep: (kept: Parameters<typeof keepRun>[2]) => Promise<unknown>

  constructor(now: () => number, keep: (kept: Parameters<typeof keepRun>[2]) => Promise<unknown>) {
    this.#now = now
    this.#keep = keep
    this.#timer = setInterval(() => this.#write(), keepEvery)
    this.#timer.unref()
  }
  progress(progress: Progress) {
    this.#progress = progress
    this.#dirty = true
  }
  log(line: string) {
    const number = this.#said + this.#lines.length
    if (number >= mostLines) return
    const isLast = number === mostLines - 1
    this.#lines.push({
      at: this.#now(),
      line: isLast ? 'There is more; the log of the server has it.' : line.slice(0, longestLine),
    })
    this.#dirty = true
  }
  #write() {
    if (!this.#dirty) return
    this.#dirty = false
    const kept = { progress: this.#progress, lines: this.#lines, said: this.#said }
    this.#said += this.#lines.length
    this.#lines = []
    this.#keeping = this.#keeping.then(() => this.#keep(kept)).catch(() => {})
  }
  async close() {
    clearInterval(this.#timer)
    this.#write()
    await this.#keeping
  }
}
