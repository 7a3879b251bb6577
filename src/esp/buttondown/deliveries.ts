import type { Logger } from 'pino'
import type { Db } from '../../database/open.js'
import type { Row } from '../../database/schema.js'
import { LedgerFull, LedgerUnavailable } from '../../ledger/ledger.js'
import { type DeliveryOutcome, dueDeliveries } from '../inbox.js'
import { ProviderError } from '../provider-error.js'
import type { ButtondownClient } from './client.js'
import { type ToldEvent, toldByStore } from './mapping.js'
import { Envelope, provider, type Reading, read } from './reading.js'
import type { ButtondownFact, ButtondownReceipt } from './record.js'

interface Needs {
  db: Db
  record: (fact: ButtondownFact) => Promise<ButtondownReceipt>
  /** null as long as there is no key. */
  api: () => Promise<ButtondownClient | null>
  listId: () => Promise<number>
  now: () => number
  log: Logger
}

/** Milliseconds from one try to the next; after the last the delivery has failed. */
export const tryAgainAfter = [60_000, 300_000, 1_800_000, 7_200_000, 21_600_000]
const batchSize = 200
/** So many details are asked for one by one; more are found by walking through the newest events. */
const fewDetails = 5
const sweepPages = 20
/** Milliseconds before the oldest delivery in which its event is looked for. */
const sweepBefore = 3_600_000

type Delivery = Pick<Row<'inbox'>, 'id' | 'received_at' | 'tries'>
interface Job extends Delivery {
  reading: Reading
  contact: number | null
  /** What stood in the way, if anything did. */
  problem: string | null
  /** Settled already, in the transaction that recorded it. */
  settled: boolean
}

/**
 * Reads the inbox: records what deliveries tell, asks Buttondown for what they lack, and settles them. Whatever stops it
 * in between, nothing is recorded twice and nothing is left out.
 */
export function deliveryReader({ db, record, api, listId, now, log }: Needs) {
  let running: Promise<void> | null = null
  let stopping: AbortController | null = null

  async function readDue() {
    for (;;) {
      const due = await dueDeliveries(db, provider, { now: now(), limit: batchSize })
      if (due.length === 0 || stopping?.signal.aborted) return
      const jobs = due.flatMap((row): Job[] => {
        const reading = readingOf(row.body)
        if (!reading) return []
        const { id, received_at, tries } = row
        return [{ id, received_at, tries, reading, contact: null, problem: null, settled: false }]
      })
      const blank = due.filter(({ id }) => !jobs.some((job) => job.id === id))
      if (blank.length > 0) await record({ do: 'settle', settle: blank.map(({ id }) => unread(id)) })
      await readTogether(jobs)
    }
  }

  async function readTogether(jobs: Job[]) {
    const list = await listId()
    const client = await api()
    const strangers = await recordEvents(jobs, list)
    await askForSubscribers(jobs, strangers, client, list)
    await recordEvents(
      strangers.filter(({ problem }) => problem === null),
      list,
    )
    await askForEmails(jobs, client, list)
    await askForDetails(jobs, client, list)
    await record({ do: 'settle', settle: jobs.filter(({ settled }) => !settled).map(outcomeOf) })
  }

  /** @returns the deliveries whose subscriber nobody knows */
  async function recordEvents(jobs: Job[], list: number): Promise<Job[]> {
    const strangers: Job[] = []
    await Promise.all(
      jobs.map(async (job) => {
        const event = toldByDelivery(job)
        if (!event) return
        // Without an id the same event would not be known again, so it is settled by what records it.
        const settle = event.eventId === null && !job.reading.changesSubscriber ? [outcomeOf(job)] : undefined
        const receipt = await record({ do: 'event', event, listId: list, settle })
        if (receipt.stranger) strangers.push(job)
        else job.settled = settle !== undefined
        job.contact = receipt.contact
      }),
    )
    return strangers
  }

  async function askForSubscribers(
    jobs: Job[],
    strangers: Job[],
    client: ButtondownClient | null,
    list: number,
  ) {
    const wanted = new Map<string, Job[]>()
    for (const job of jobs) {
      const { subscriberId, changesSubscriber } = job.reading
      if (subscriberId === null || job.settled || !(changesSubscriber || strangers.includes(job))) continue
      wanted.set(subscriberId, [...(wanted.get(subscriberId) ?? []), job])
    }
    for (const [id, about] of wanted) {
      if (client) await askForSubscriber(client, id, about, list)
      else for (const job of about) await takeAtItsWord(job, list)
    }
  }

  async function askForSubscriber(client: ButtondownClient, id: string, about: Job[], listId: number) {
    try {
      const seenAt = now()
      const subscriber = await client.subscriber(id, urgent())
      const { contact } = await record({ do: 'subscriber', subscriber, listId, seenAt })
      for (const job of about) job.contact = contact
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error
      if (error.kind === 'not-found' && about.some(({ reading }) => reading.isDeletion))
        for (const job of about) await takeAtItsWord(job, listId)
      else
        for (const job of about)
          job.problem =
            error.kind === 'not-found'
              ? 'Buttondown knows no such subscriber. Test deliveries have made-up ids.'
              : error.message
    }
  }

  /** Nobody can be asked, so what the delivery says of the subscription is all there is. */
  async function takeAtItsWord(job: Job, listId: number) {
    const { reading, received_at } = job
    const { subscriberId, status, at } = reading
    if (status === null) {
      if (job.contact === null && reading.engagement !== null) job.problem = unknownSubscriber
      return
    }
    const receipt = await record({
      do: 'subscription',
      change: { providerId: subscriberId!, listId, status, at: at ?? received_at, exact: at !== null },
    })
    if (!receipt.stranger) job.contact = receipt.contact
    // Who was never known here and is gone there needs no row.
    else if (!reading.isDeletion) job.problem = unknownSubscriber
  }

  async function askForEmails(jobs: Job[], client: ButtondownClient | null, listId: number) {
    const ids = new Map<string, Job[]>()
    for (const job of jobs) {
      const { emailId, changesEmail } = job.reading
      if (changesEmail && emailId !== null) ids.set(emailId, [...(ids.get(emailId) ?? []), job])
    }
    if (!client) return
    for (const [id, about] of ids)
      try {
        const seenAt = now()
        const email = await client.email(id, urgent())
        await record({ do: 'email', email, analytics: email.analytics, listId, seenAt })
      } catch (error) {
        if (!(error instanceof ProviderError)) throw error
        const isGone = error.kind === 'not-found'
        for (const job of about)
          if (!(isGone && job.reading.eventType === 'email.deleted')) job.problem = error.message
      }
  }

  /** When it happened, in which mailing, which link: what a delivery lacks stands in Buttondown's event store. */
  async function askForDetails(jobs: Job[], client: ButtondownClient | null, list: number) {
    const lacking = new Map<string, Job>()
    if (client)
      for (const job of jobs)
        if (job.problem === null && !job.settled && lacksDetails(job.reading))
          lacking.set(job.reading.eventId!, job)
    if (lacking.size === 0) return
    const oldest = Math.min(...[...lacking.values()].map(({ received_at }) => received_at)) - sweepBefore
    try {
      if (lacking.size <= fewDetails) {
        for (const id of [...lacking.keys()]) {
          const event = await client!.event(id, urgent()).catch(nullIfNotFound)
          if (event) await complete(lacking, toldByStore({ ...event, id }), list)
        }
      } else {
        let pages = 0
        for await (const { items } of client!.events({
          ordering: '-creation_date',
          pageSize: 500,
          ...urgent(),
        })) {
          const found = items.filter(({ id }) => lacking.has(id))
          await Promise.all(found.map((event) => complete(lacking, toldByStore(event), list)))
          const last = items[items.length - 1]
          if (lacking.size === 0 || ++pages >= sweepPages || !last || last.at < oldest) break
        }
      }
      for (const job of lacking.values())
        job.problem = 'Buttondown does not know this event. What the delivery told of it is kept.'
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error
      for (const job of lacking.values()) job.problem = error.message
    }
  }

  async function complete(lacking: Map<string, Job>, event: ToldEvent | null, listId: number) {
    if (!event) return
    const receipt = await record({ do: 'event', event, listId })
    if (receipt.stranger) return
    lacking.delete(event.eventId!)
  }

  /** Whom it was about was erased meanwhile, and the delivery with them. */
  const unread = (id: number): DeliveryOutcome => ({
    id,
    state: 'done',
    contact: null,
    reason: null,
    tryAt: null,
    tried: false,
    at: now(),
  })

  const urgent = () => ({ priority: 'urgent' as const, signal: stopping?.signal })

  function outcomeOf({ id, contact, problem, tries }: Job): DeliveryOutcome {
    const at = now()
    if (problem === null) return { id, state: 'done', contact, reason: null, tryAt: null, tried: true, at }
    const pause = tryAgainAfter[tries]
    return {
      id,
      state: pause === undefined ? 'failed' : 'waiting',
      contact,
      reason: problem,
      tryAt: pause === undefined ? null : at + pause,
      tried: true,
      at,
    }
  }

  return {
    /** Reads all that is due; a call while one runs joins it. */
    run(): Promise<void> {
      stopping ??= new AbortController()
      running ??= readDue()
        .catch((error) => {
          if (stopping?.signal.aborted) return
          // The database is busy, or full: the deliveries are safe, and are read at the next call.
          if (error instanceof LedgerFull || error instanceof LedgerUnavailable)
            return log.warn({ reason: error.message }, 'deliveries not read')
          throw error
        })
        .finally(() => {
          running = null
        })
      return running
    },
    /** Breaks off what is asked of Buttondown; what is not settled waits for the next start. */
    async stop() {
      stopping ??= new AbortController()
      stopping.abort()
      await running?.catch(() => {})
    },
  }
}

const unknownSubscriber =
  'Nobody knows who this subscriber is: there is no API key for Buttondown to ask with, or it has not been synced.'

function readingOf(body: Uint8Array | null): Reading | null {
  return body === null ? null : read(Envelope.parse(JSON.parse(Buffer.from(body).toString('utf8'))))
}

/** A delivery tells of most events only that there was one. */
const lacksDetails = ({ eventId, isInEventStore, at, emailId, engagement, url }: Reading) =>
  eventId !== null &&
  isInEventStore &&
  (at === null || emailId === null || (engagement === 'clicked' && url === null))

function toldByDelivery({ reading, received_at }: Job): ToldEvent | null {
  const { engagement, subscriberId, at } = reading
  if (engagement === null || subscriberId === null) return null
  const { eventId, emailId, url, address, userAgent, os, browser, metadata } = reading
  return {
    eventId,
    kind: engagement,
    subscriberId,
    emailId,
    at: at ?? received_at,
    exact: at !== null,
    url,
    address,
    userAgent,
    os,
    browser,
    metadata,
  }
}

function nullIfNotFound(error: unknown) {
  if (error instanceof ProviderError && error.kind === 'not-found') return null
  throw error
}
