import { CompiledQuery } from 'kysely'
import { commitAhead } from '../database/commit-ahead.js'
import { isUnavailable } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'

/**
 * What a recorder throws when it refuses a fact before it has written anything: its neighbours need not be written
 * once more for its sake.
 */
export class FactRefused extends Error {}

/** How one kind of fact enters the ledger. */
export interface Recorder<Fact, Receipt> {
  /** A transaction begins: what was gathered for an earlier one is void. */
  begin?(): void
  /** Writes the fact inside the running transaction. Whatever it throws refuses this fact alone. */
  record(tx: Db, fact: Fact): Promise<Receipt>
  /** Once for each transaction, after its facts: the place to write counts gathered on the way. */
  finish?(tx: Db): Promise<void>
  /** Rows were rolled back, of one fact or of all: forget what was remembered of them, such as their ids. */
  forget?(): void
}

/** The queue is full: nothing was taken, the caller may come back. */
export class LedgerFull extends HttpError {
  constructor() {
    super(503, 'Too many events are waiting to be written.', 'One moment')
  }
}
/** The facts could not be written (locked, disk full, shutting down): nothing of this one was kept. */
export class LedgerUnavailable extends HttpError {
  constructor(message = 'The database cannot be written at the moment.', options?: ErrorOptions) {
    super(503, message, 'The database is busy', options)
  }
}

/** Is nothing wrong with the fact itself, and the queue only full or the database busy? Then it can be written later. */
export const isDatabaseBusy = (error: unknown) =>
  error instanceof LedgerFull || error instanceof LedgerUnavailable || isUnavailable(error)

interface Waiting {
  recorder: Recorder<unknown, unknown>
  patient: boolean
  rest: number
  fact: unknown
  resolve: (receipt: unknown) => void
  reject: (error: unknown) => void
}
type Outcome = { receipt: unknown } | { error: unknown }
/** What was committed, and the wait until the disk has it. */
interface Written {
  outcomes: Outcome[]
  onDisk: Promise<void>
}

/** What a ledger has done since the start: plain numbers, counted by batch and not by fact. */
class LedgerTally {
  written = 0
  /** By a recorder, such as a campaign that was deleted meanwhile. */
  refused = 0
  /** Because the queue was full. */
  full = 0
  /** Because the database could not be written. */
  unavailable = 0
  batches = 0
  largestBatch = 0
  /** Milliseconds of all transactions until the disk had them, and of the longest. */
  commitTime = 0
  longestCommit = 0
  /** Batches by the milliseconds of their transaction: at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, and more. */
  readonly commits = new Uint32Array(commitBounds.length + 1)
  /** Facts written in each of the last sixty minutes, by the minute since the start. */
  readonly #minutes = new Uint32Array(60)
  #minute = 0

  note(outcomes: Outcome[], milliseconds: number) {
    let refused = 0
    let unavailable = 0
    for (const outcome of outcomes)
      if ('error' in outcome) outcome.error instanceof LedgerUnavailable ? unavailable++ : refused++
    const written = outcomes.length - refused - unavailable
    this.refused += refused
    this.unavailable += unavailable
    this.written += written
    this.batches++
    this.largestBatch = Math.max(this.largestBatch, outcomes.length)
    this.commitTime += milliseconds
    this.longestCommit = Math.max(this.longestCommit, milliseconds)
    const bucket = commitBounds.findIndex((bound) => milliseconds <= bound)
    this.commits[bucket < 0 ? commitBounds.length : bucket]!++
    this.#turn()
    this.#minutes[this.#minute % 60]! += written
  }

  /** Facts written in each of the last minutes, at most sixty, the present one last. */
  perMinute(): number[] {
    this.#turn()
    const minutes = Math.min(60, this.#minute + 1)
    return Array.from(
      { length: minutes },
      (_, index) => this.#minutes[(this.#minute - minutes + 1 + index) % 60]!,
    )
  }

  #turn() {
    const minute = Math.floor(performance.now() / 60_000)
    if (minute - this.#minute >= 60) this.#minutes.fill(0)
    else for (let next = this.#minute + 1; next <= minute; next++) this.#minutes[next % 60] = 0
    this.#minute = minute
  }
}
export const commitBounds = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

interface Options {
  db: Db
  /** How many facts may wait at once. */
  capacity?: number
  /** The most facts of one transaction: it bounds how long the process is busy with one. */
  batch?: number
  /** Milliseconds that the patient facts of one transaction may take while doors are busy; one is always written. */
  patientShare?: number
}

/**
 * The one place that writes facts. All that arrive while a transaction runs go into the next one together, and
 * each caller is answered after the commit that holds its fact: one wait for the disk serves many.
 *
 * A transaction that fails is run once more with a savepoint around each fact, so that a bad fact is refused and
 * its neighbours stay.
 */
export class Ledger {
  readonly #db: Db
  readonly #capacity: number
  readonly #batch: number
  readonly #patientShare: number
  readonly #recorders = new Set<Recorder<never, unknown>>()
  /** What it has done since the start. */
  readonly tally = new LedgerTally()
  #queue: Waiting[] = []
  #patient: Waiting[] = []
  #inFlight = 0
  /** When the last fact arrived that somebody waits for. */
  #lastAtDoor = Number.NEGATIVE_INFINITY
  /** Until when patient facts leave the thread to the doors, as long as those are busy. */
  #restUntil = Number.NEGATIVE_INFINITY
  /** Ends the rest where nothing but patient facts waits: a door has something. */
  #endRest = () => {}
  #running: Promise<void> | null = null
  /** Committed, and not yet told: the disk is waited for. */
  readonly #unconfirmed = new Set<Promise<void>>()
  #closed = false

  constructor({ db, capacity = 10_000, batch = 500, patientShare = 3 }: Options) {
    this.#db = db
    this.#capacity = capacity
    this.#batch = batch
    this.#patientShare = patientShare
  }

  /** How many facts may wait at once. */
  get capacity() {
    return this.#capacity
  }
  /** How many facts are not yet on disk. */
  get depth() {
    return this.#waiting + this.#inFlight
  }
  get #waiting() {
    return this.#queue.length + this.#patient.length
  }

  /**
   * Enters a kind of fact.
   * @param patient nobody stands at a door for facts of this kind: they come after those that arrived by the same time,
   *   only so many of them go into one transaction that whoever comes meanwhile is served soon, and beside busy doors the
   *   next ones rest
   * @param rest for how long: this many times what the last of them took
   * @returns a function that takes one fact and answers once it is on disk, with what the recorder made of it.
   *   It rejects with LedgerFull, LedgerUnavailable, or what the recorder threw.
   */
  register<Fact, Receipt>(
    recorder: Recorder<Fact, Receipt>,
    { patient = false, rest = 1 }: { patient?: boolean; rest?: number } = {},
  ): (fact: Fact) => Promise<Receipt> {
    this.#recorders.add(recorder as Recorder<never, unknown>)
    const queue = () => (patient ? this.#patient : this.#queue)
    return (fact) =>
      new Promise<Receipt>((resolve, reject) => {
        if (this.#closed) return reject(new LedgerUnavailable('Throughline is shutting down.'))
        if (this.depth >= this.#capacity) {
          this.tally.full++
          return reject(new LedgerFull())
        }
        queue().push({ recorder, patient, rest, fact, resolve, reject } as unknown as Waiting)
        if (!patient) {
          this.#lastAtDoor = performance.now()
          this.#endRest()
        }
        this.#running ??= this.#run()
      })
  }

  /** Takes no more facts and answers when those already taken are on disk (or were refused). */
  async close() {
    this.#closed = true
    await this.#running
    await Promise.all(this.#unconfirmed)
  }

  async #run() {
    while (this.#waiting > 0) {
      await this.#gather()
      const isRested = this.#queue.length === 0 ? await this.#rest() : this.#restsFor() <= 0
      const patient = isRested ? this.#patient.splice(0, this.#batch) : []
      const batch = [...this.#queue.splice(0, this.#batch), ...patient]
      this.#inFlight += batch.length
      const began = performance.now()
      const written = await this.#write(batch)
      const unwritten = batch.splice(written.outcomes.length)
      this.#inFlight -= unwritten.length
      this.#patient.unshift(...unwritten)
      const now = performance.now()
      const times = patient.reduce((most, { rest }) => Math.max(most, rest), 0)
      if (times > 0) this.#restUntil = now + Math.min((now - began) * times, longestRest)
      // The next transaction need not wait until the disk has this one.
      const answering = this.#answer(batch, written, began).finally(() => this.#unconfirmed.delete(answering))
      this.#unconfirmed.add(answering)
    }
    this.#running = null
  }

  /** Milliseconds for which patient facts have to wait after the last of them, while doors are busy. */
  #restsFor() {
    const now = performance.now()
    return now - this.#lastAtDoor < doorRest ? this.#restUntil - now : 0
  }
  /** Waits until patient facts may be written. @returns false where a door has something before that */
  async #rest(): Promise<boolean> {
    const milliseconds = this.#restsFor()
    if (milliseconds <= 0 || this.#closed) return true
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds, true)
      this.#endRest = () => {
        clearTimeout(timer)
        resolve(false)
      }
    })
  }

  /** Tells the callers what became of their facts, once the disk has them. */
  async #answer(batch: Waiting[], { outcomes, onDisk }: Written, began: number) {
    const answers = await onDisk.then(
      () => outcomes,
      (error) => outcomes.map((outcome) => ('error' in outcome ? outcome : { error })),
    )
    this.tally.note(answers, performance.now() - began)
    this.#inFlight -= batch.length
    for (const [index, waiting] of batch.entries()) {
      const answer = answers[index]!
      if ('error' in answer) waiting.reject(answer.error)
      else waiting.resolve(answer.receipt)
    }
  }

  /**
   * Lets everything that has arrived by this turn of the event loop join the same transaction. Waiting for more turns makes
   * all callers wait for the disk together and then come back together: while it works, nobody else does.
   */
  #gather() {
    return new Promise(setImmediate)
  }

  /** @returns what became of the facts, in their order; where it is shorter, the rest has to wait for the next one */
  async #write(batch: Waiting[]): Promise<Written> {
    try {
      return await this.#writeTogether(batch).catch((error) => {
        if (isUnavailable(error)) throw error
        return this.#writeOneByOne(batch)
      })
    } catch (error) {
      const refusal = isUnavailable(error) ? new LedgerUnavailable(undefined, { cause: error }) : error
      return { outcomes: batch.map(() => ({ error: refusal })), onDisk: Promise.resolve() }
    }
  }

  /** The facts in their order, until the patient ones have had their share of time: more of it while no door is busy. */
  *#inTime(batch: Waiting[]) {
    let until: number | null = null
    for (const waiting of batch) {
      if (waiting.patient) {
        const now = performance.now()
        const isBusy = now - this.#lastAtDoor < doorRest
        until ??= now + this.#patientShare * (isBusy ? 1 : 12)
        if (now > until) return
      }
      yield waiting
    }
  }

  async #writeTogether(batch: Waiting[]) {
    return this.#transaction(async (tx) => {
      const outcomes: Outcome[] = []
      for (const { recorder, fact } of this.#inTime(batch)) {
        try {
          outcomes.push({ receipt: await recorder.record(tx, fact) })
        } catch (error) {
          if (!(error instanceof FactRefused)) throw error
          outcomes.push({ error })
        }
      }
      return outcomes
    })
  }

  async #writeOneByOne(batch: Waiting[]) {
    return this.#transaction(async (tx) => {
      const outcomes: Outcome[] = []
      for (const { recorder, fact } of this.#inTime(batch)) {
        await tx.executeQuery(savepoint)
        try {
          outcomes.push({ receipt: await recorder.record(tx, fact) })
        } catch (error) {
          if (isUnavailable(error)) throw error
          await tx.executeQuery(rollbackToSavepoint)
          // Recorders stand on each other: what one of them remembers may be a row that another one's fact made.
          for (const known of this.#recorders) known.forget?.()
          outcomes.push({ error })
        }
        await tx.executeQuery(releaseSavepoint)
      }
      return outcomes
    })
  }

  async #transaction(work: (tx: Db) => Promise<Outcome[]>): Promise<Written> {
    try {
      const { result, onDisk } = await commitAhead(this.#db, async (tx) => {
        for (const recorder of this.#recorders) recorder.begin?.()
        const outcomes = await work(tx)
        for (const recorder of this.#recorders) await recorder.finish?.(tx)
        return outcomes
      })
      return { outcomes: result, onDisk }
    } catch (error) {
      for (const recorder of this.#recorders) recorder.forget?.()
      throw error
    }
  }
}

/** Milliseconds after which a door at which nobody has been is at rest: callers who ask one thing after another take a few. */
const doorRest = 100
/** Milliseconds that patient facts leave to busy doors at the most, however long the last of them took. */
const longestRest = 50

const savepoint = CompiledQuery.raw('savepoint fact')
const rollbackToSavepoint = CompiledQuery.raw('rollback to fact')
const releaseSavepoint = CompiledQuery.raw('release fact')
