import { setImmediate as letOthersIn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import { isDatabaseBusy } from '../ledger/ledger.js'
import { type DeliveryOutcome, type DueDelivery, dueDeliveries, tryAgainAfter } from './inbox.js'
import { ProviderError } from './provider-error.js'

/** A delivery that is being read. */
export interface InboxJob extends Pick<DueDelivery, 'id' | 'received_at' | 'tries'> {
  /** What stood in the way, as a sentence; null for nothing. */
  problem: string | null
}

interface Needs<Job extends InboxJob> {
  db: Db
  provider: string
  /** null where nothing is left to read, as whom it was about was erased meanwhile and the delivery with them. */
  jobOf: (delivery: DueDelivery) => Job | null
  /** Records what these tell, and settles them. */
  read: (jobs: Job[]) => Promise<void>
  settle: (outcomes: DeliveryOutcome[]) => Promise<unknown>
  now: () => number
  log: Logger
}

const batchSize = 200
/** Deliveries that are parsed in one go. */
const parsedAtOnce = 20

/**
 * Reads what is due in the inbox of a provider, a batch at a time and one reading at a time. Whatever stops it in
 * between, nothing is recorded twice and nothing is left out.
 */
export function inboxReading<Job extends InboxJob>({
  db,
  provider,
  jobOf,
  read,
  settle,
  now,
  log,
}: Needs<Job>) {
  let running: Promise<void> | null = null
  let stopping: AbortController | null = null
  let isAskedFor = false
  /** What stands in the way of all that is asked of the provider until all that is due is read; null for nothing. */
  let trouble: string | null = null

  async function readAll() {
    while (isAskedFor) {
      isAskedFor = false
      await readDue()
    }
  }

  async function readDue() {
    trouble = null
    for (;;) {
      const due = await dueDeliveries(db, provider, { now: now(), limit: batchSize })
      if (due.length === 0 || stopping?.signal.aborted) return
      const jobs: Job[] = []
      const blank: DeliveryOutcome[] = []
      for (const [index, delivery] of due.entries()) {
        if (index > 0 && index % parsedAtOnce === 0) await letOthersIn()
        const job = jobOf(delivery)
        if (job) jobs.push(job)
        else blank.push(outcomeOf({ ...delivery, problem: null }, { at: now(), tried: false }))
      }
      if (blank.length > 0) await settle(blank)
      await read(jobs)
    }
  }

  return {
    /** Reads all that is due; a call while one runs joins it, and finds read what had come by then. */
    run(): Promise<void> {
      stopping ??= new AbortController()
      isAskedFor = true
      running ??= readAll()
        .catch((error) => {
          if (stopping?.signal.aborted) return
          // The database is busy, or full: the deliveries are safe, and are read at the next call.
          if (!isDatabaseBusy(error)) throw error
          log.warn({ reason: (error as Error).message }, 'deliveries not read')
        })
        .finally(() => {
          running = null
        })
      return running
    },
    /** Breaks off what is asked of the provider; what is not settled waits for the next start. */
    async stop() {
      stopping ??= new AbortController()
      stopping.abort()
      await running?.catch(() => {})
    },

    /** Does work for some deliveries. What goes wrong with them must not keep the others from being read: they wait. */
    async attempt(jobs: { values(): Iterable<Job> }, work: () => Promise<void>) {
      try {
        await work()
      } catch (error) {
        if (stopping?.signal.aborted || isDatabaseBusy(error)) throw error
        const told = error instanceof ProviderError ? error : null
        if (told && (told.passes || told.kind === 'refused-key')) trouble = told.message
        if (!told) log.error({ err: error }, 'delivery not read')
        for (const job of jobs.values()) job.problem = told?.message ?? unrecorded
      }
    },
    /** Asks the provider, unless it has been found out of reach: each call tries for minutes before it gives up. */
    async ask<Answer>(call: () => Promise<Answer>): Promise<Answer> {
      if (trouble !== null) throw new ProviderError('unavailable', trouble)
      return call()
    },
    /** How the provider is asked for the sake of a delivery. */
    urgent: () => ({ priority: 'urgent' as const, signal: stopping?.signal }),
  }
}

/** What stood in the way of a delivery that the database did not take. */
export const unrecorded = 'Something went wrong here; the log has the details.'

interface Circumstances {
  at: number
  /** Whom it is about; null when nobody knows. */
  contact?: number | null
  /** Trying again would tell nothing new. */
  isFinal?: boolean
  tried?: boolean
  /** What is kept of it once it is done; nothing is changed where this is left out. */
  body?: Buffer
}

/** What becomes of a delivery that was read: done, or with a problem tried again after ever longer pauses, then given up. */
export function outcomeOf(
  { id, problem, tries }: Pick<InboxJob, 'id' | 'problem' | 'tries'>,
  { at, contact = null, isFinal = false, tried = true, body }: Circumstances,
): DeliveryOutcome {
  if (problem === null) return { id, state: 'done', contact, reason: null, tryAt: null, tried, at, body }
  const pause = isFinal ? undefined : tryAgainAfter[tries]
  const tryAt = pause === undefined ? null : at + pause
  return { id, state: tryAt === null ? 'failed' : 'waiting', contact, reason: problem, tryAt, tried, at }
}
