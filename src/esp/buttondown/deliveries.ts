import type { Logger } from 'pino'
import { addressPrivacy } from '../../audience/internet-addresses.js'
import type { Db } from '../../database/open.js'
import type { Row } from '../../database/schema.js'
import { type DeliveryOutcome, dueDeliveries, isDatabaseBusy, tryAgainAfter } from '../inbox.js'
import { ProviderError } from '../provider-error.js'
import type { ButtondownClient } from './client.js'
import { type ToldEvent, toldByStore } from './mapping.js'
import { envelopeIn, provider, type Reading, read, withoutAddresses } from './reading.js'
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
  /** What it tells of an engagement is recorded. */
  told: boolean
  /** Nothing of that is missing. */
  whole: boolean
  /** What stood in the way, if anything did. */
  problem: string | null
  /** Settled already, in the transaction that recorded it. */
  settled: boolean
  body: Uint8Array | null
}

/**
 * Reads the inbox: records what deliveries tell, asks Buttondown for what they lack, and settles them. Whatever stops it
 * in between, nothing is recorded twice and nothing is left out.
 */
export function deliveryReader({ db, record, api, listId, now, log }: Needs) {
  let running: Promise<void> | null = null
  let stopping: AbortController | null = null
  let isAskedFor = false

  /** What stands in the way of all that is asked of Buttondown until all that is due is read; null for nothing. */
  let trouble: string | null = null

  async function readAll() {
    while (isAskedFor) {
      isAskedFor = false
      await readDue()
    }
  }

  /** Does the privacy setting let internet addresses stay as they came? */
  let keepsAddresses = false

  async function readDue() {
    trouble = null
    for (;;) {
      const due = await dueDeliveries(db, provider, { now: now(), limit: batchSize })
      if (due.length === 0 || stopping?.signal.aborted) return
      const jobs = due.flatMap((row): Job[] => {
        const reading = readingOf(row.body)
        if (!reading) return []
        const { id, received_at, tries, body, contact_id: contact } = row
        const told = contact !== null
        return [
          {
            id,
            received_at,
            tries,
            reading,
            body,
            contact,
            told,
            whole: false,
            problem: null,
            settled: false,
          },
        ]
      })
      const blank = due.filter(({ id }) => !jobs.some((job) => job.id === id))
      if (blank.length > 0) await record({ do: 'settle', settle: blank.map(({ id }) => unread(id)) })
      await readTogether(jobs)
    }
  }

  async function readTogether(jobs: Job[]) {
    keepsAddresses = (await addressPrivacy(db)) === 'raw'
    const list = await listId()
    const client = await api()
    if (client) await doubtMailings(jobs, client, list)
    const strangers = await recordEvents(jobs, list)
    await askForSubscribers(jobs, strangers, client, list)
    await recordEvents(
      strangers.filter(({ problem }) => problem === null),
      list,
    )
    await askForEmails(jobs, client, list)
    await askForDetails(jobs, client, list)
    for (const job of jobs)
      if (job.reading.engagement !== null && !job.told && job.contact === null) job.problem ??= tellsNobody
    await record({ do: 'settle', settle: jobs.filter(({ settled }) => !settled).map(outcomeOf) })
  }

  /** A mailing of which nobody has heard may be made up: it is believed once Buttondown knows it. */
  async function doubtMailings(jobs: Job[], client: ButtondownClient, listId: number) {
    const doubted = new Map<string, Job[]>()
    for (const job of jobs) {
      const { engagement, emailId } = job.reading
      if (engagement !== null && emailId !== null)
        doubted.set(emailId, [...(doubted.get(emailId) ?? []), job])
    }
    if (doubted.size === 0) return
    const known = await db
      .selectFrom('mailings')
      .select('provider_id')
      .where('provider', '=', provider)
      .where('provider_id', 'in', [...doubted.keys()])
      .execute()
    for (const { provider_id } of known) doubted.delete(provider_id)
    for (const [id, about] of doubted) {
      const withoutMailing = (job: Job) => Object.assign(job, { reading: { ...job.reading, emailId: null } })
      await attempt(about, async () => {
        const seenAt = now()
        const email = await ask(() => client.email(id, urgent())).catch(nullIfNotFound)
        if (email) await record({ do: 'email', email, analytics: email.analytics, listId, seenAt })
        else about.forEach(withoutMailing)
      })
      // Where nobody can say, it is recorded without, and completed by its id when it is tried again.
      for (const job of about) if (job.problem !== null && job.reading.eventId !== null) withoutMailing(job)
    }
  }

  /** @returns the deliveries whose subscriber nobody knows */
  async function recordEvents(jobs: Job[], list: number): Promise<Job[]> {
    const strangers: Job[] = []
    await Promise.all(
      jobs.map((job) =>
        attempt([job], async () => {
          const event = toldByDelivery(job)
          if (!event || (job.told && event.eventId === null)) return
          const { settle, settled } = settlingWith(job)
          const receipt = await record({ do: 'event', event, listId: list, settle })
          if (receipt.stranger) return void strangers.push(job)
          job.told = true
          job.whole = receipt.whole
          job.settled = settled
          job.contact = receipt.contact
        }),
      ),
    )
    return strangers
  }

  /**
   * Without an id the same event would not be known again: what records it settles its delivery, or notes whom it is
   * about where more has to be asked, by which the next try knows that it is recorded.
   */
  function settlingWith(job: Job): { settle?: DeliveryOutcome[]; settled: boolean } {
    if (job.reading.eventId !== null) return { settled: false }
    if (!job.reading.changesSubscriber) return { settle: [outcomeOf(job)], settled: true }
    const { id } = job
    const waits = { state: 'waiting', contact: null, reason: null, tryAt: now(), tried: false } as const
    return { settle: [{ id, ...waits, at: now() }], settled: false }
  }

  /** What goes wrong with some deliveries must not keep the others from being read: they wait, and the others go on. */
  async function attempt(jobs: { values(): Iterable<Job> }, work: () => Promise<void>) {
    try {
      await work()
    } catch (error) {
      if (stopping?.signal.aborted || isDatabaseBusy(error)) throw error
      const told = error instanceof ProviderError ? error : null
      if (told && (told.passes || told.kind === 'refused-key')) trouble = told.message
      if (!told) log.error({ err: error }, 'delivery not read')
      for (const job of jobs.values())
        job.problem = told?.message ?? 'Something went wrong here; the log has the details.'
    }
  }

  /** Asks Buttondown, unless it has been found out of reach: each call tries for minutes before it gives up. */
  async function ask<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    if (trouble !== null) throw new ProviderError('unavailable', trouble)
    return call()
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
    for (const [id, about] of wanted)
      await attempt(about, async () => {
        if (client) await askForSubscriber(client, id, about, list)
        else for (const job of about) await takeAtItsWord(job, list)
      })
  }

  async function askForSubscriber(client: ButtondownClient, id: string, about: Job[], listId: number) {
    const seenAt = now()
    const subscriber = await ask(() => client.subscriber(id, urgent())).catch(nullIfNotFound)
    if (subscriber) {
      const { contact } = await record({ do: 'subscriber', subscriber, listId, seenAt })
      for (const job of about) job.contact = contact
      return
    }
    // Whoever was known here and is not there any more was deleted, by this delivery or by one that is on its way.
    const deletion = about.find(({ reading }) => reading.isDeletion)
    const at = deletion ? (deletion.reading.at ?? deletion.received_at) : seenAt
    const exact = deletion ? deletion.reading.at !== null : false
    const { stranger, contact } = await record({
      do: 'subscription',
      change: { providerId: id, listId, status: 'removed', at, exact, gone: true },
    })
    for (const job of about)
      if (!stranger) job.contact = contact
      // Who was never known here and is gone there needs no row.
      else if (!job.reading.isDeletion) job.problem = madeUp
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
      await attempt(about, async () => {
        const seenAt = now()
        const email = await ask(() => client.email(id, urgent())).catch((error) => {
          if (about.some(({ reading }) => reading.eventType === 'email.deleted')) return nullIfNotFound(error)
          throw error
        })
        if (email) await record({ do: 'email', email, analytics: email.analytics, listId, seenAt })
      })
  }

  /** When it happened, in which mailing, which link: what a delivery lacks stands in Buttondown's event store. */
  async function askForDetails(jobs: Job[], client: ButtondownClient | null, list: number) {
    const lacking = new Map<string, Job>()
    if (client)
      for (const job of jobs)
        if (job.problem === null && !job.settled && !job.whole && mayBeAsked(job.reading))
          lacking.set(job.reading.eventId!, job)
    if (lacking.size === 0) return
    const take = (event: ToldEvent | null) => complete(lacking, event, client!, list)
    await attempt(lacking, async () => {
      const isMany = lacking.size > fewDetails
      if (isMany) await sweep(client!, lacking, take)
      for (const [id, { tries }] of [...lacking]) {
        // What the newest events do not hold yet may come a moment later; at the second look it is older than they are.
        if (isMany && tries === 0) continue
        const event = await ask(() => client!.event(id, urgent())).catch(nullIfNotFound)
        if (event) await take(toldByStore({ ...event, id }))
      }
    })
    for (const job of lacking.values())
      job.problem ??= 'Buttondown does not know this event. What the delivery told of it is kept.'
  }

  /** Walks through the newest events until all that are lacking are found, or could not be among the next. */
  async function sweep(
    client: ButtondownClient,
    lacking: Map<string, Job>,
    take: (event: ToldEvent | null) => Promise<void>,
  ) {
    const oldest = Math.min(...[...lacking.values()].map(({ received_at }) => received_at)) - sweepBefore
    const pages = await ask(async () =>
      client.events({ ordering: '-creation_date', pageSize: 500, ...urgent() }),
    )
    for await (const { items, page } of pages) {
      const found = items.filter(({ id }) => lacking.has(id))
      await Promise.all(found.map((event) => take(toldByStore(event))))
      const last = items[items.length - 1]
      if (lacking.size === 0 || page >= sweepPages || !last || last.at < oldest) return
    }
  }

  async function complete(
    lacking: Map<string, Job>,
    event: ToldEvent | null,
    client: ButtondownClient,
    listId: number,
  ) {
    if (!event) return
    const fact = { do: 'event', event, listId } as const
    let receipt = await record(fact)
    if (receipt.stranger) {
      const seenAt = now()
      const subscriber = await ask(() => client.subscriber(event.subscriberId, urgent())).catch(
        nullIfNotFound,
      )
      if (!subscriber) return
      await record({ do: 'subscriber', subscriber, listId, seenAt })
      receipt = await record(fact)
    }
    const job = lacking.get(event.eventId!)!
    Object.assign(job, { contact: receipt.contact, told: true })
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

  function outcomeOf({ id, reading, told, problem, tries, ...job }: Job): DeliveryOutcome {
    const at = now()
    // By its contact the next try knows that an event without an id is recorded.
    const contact = reading.engagement === null || reading.eventId !== null || told ? job.contact : null
    if (problem === null) {
      const body = (!keepsAddresses && job.body && withoutAddresses(job.body)) || undefined
      return { id, state: 'done', contact, reason: null, tryAt: null, tried: true, at, body }
    }
    const pause = problem === tellsNobody ? undefined : tryAgainAfter[tries]
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
const tellsNobody = 'It does not tell whom it is about.'
const madeUp = 'Buttondown knows no such subscriber. Test deliveries have made-up ids.'

/** @returns null where there is nothing to read */
function readingOf(body: Uint8Array | null): Reading | null {
  const envelope = body === null ? null : envelopeIn(body)
  return envelope && read(envelope)
}

/** A delivery tells of most events only that there was one; the event store knows more of some. */
const mayBeAsked = ({ eventId, isInEventStore }: Reading) => eventId !== null && isInEventStore

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
