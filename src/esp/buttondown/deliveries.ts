import { setImmediate as letOthersIn } from 'node:timers/promises'
import type { Logger } from 'pino'
import { addressPrivacy } from '../../audience/internet-addresses.js'
import type { Db } from '../../database/open.js'
import type { DeliveryOutcome } from '../inbox.js'
import { type InboxJob, inboxReading, outcomeOf } from '../inbox-reading.js'
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

/** So many details are asked for one by one; more are found by walking through the newest events. */
const fewDetails = 5
const sweepPages = 20
const settledAtOnce = 20
/** Milliseconds before the oldest delivery in which its event is looked for. */
const sweepBefore = 3_600_000

interface Job extends InboxJob {
  reading: Reading
  contact: number | null
  /** What it tells of an engagement is recorded. */
  told: boolean
  /** Nothing of that is missing. */
  whole: boolean
  /** Settled already, in the transaction that recorded it. */
  settled: boolean
  body: Uint8Array | null
}

/**
 * Reads the inbox: records what deliveries tell, asks Buttondown for what they lack, and settles them. Whatever stops it
 * in between, nothing is recorded twice and nothing is left out.
 */
export function deliveryReader({ db, record, api, listId, now, log }: Needs) {
  const { run, stop, attempt, ask, urgent } = inboxReading<Job>({
    db,
    provider,
    jobOf({ id, received_at, tries, body, contact_id: contact }) {
      const reading = readingOf(body)
      const state = { told: contact !== null, whole: false, problem: null, settled: false }
      return reading && { id, received_at, tries, reading, body, contact, ...state }
    },
    read: readTogether,
    settle: (settle) => record({ do: 'settle', settle }),
    now,
    log,
  })

  /** Does the privacy setting let internet addresses stay as they came? */
  let keepsAddresses = false

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
    await settleAll(jobs.filter(({ settled }) => !settled))
  }

  /** A few at a time: each of them is read once more for what may not stay of it, and written in three places. */
  async function settleAll(jobs: Job[]) {
    const chunks: DeliveryOutcome[][] = []
    for (let from = 0; from < jobs.length; from += settledAtOnce) {
      chunks.push(jobs.slice(from, from + settledAtOnce).map(settledAs))
      await letOthersIn()
    }
    await Promise.all(chunks.map((settle) => record({ do: 'settle', settle })))
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
    if (!job.reading.changesSubscriber) return { settle: [settledAs(job)], settled: true }
    const { id } = job
    const waits = { state: 'waiting', contact: null, reason: null, tryAt: now(), tried: false } as const
    return { settle: [{ id, ...waits, at: now() }], settled: false }
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
    for (const job of lacking.values()) job.problem ??= job.told ? unknownEvent : unknownEventOfNobody
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

  function settledAs(job: Job): DeliveryOutcome {
    const { reading, told } = job
    return outcomeOf(job, {
      at: now(),
      // By its contact the next try knows that an event without an id is recorded.
      contact: reading.engagement === null || reading.eventId !== null || told ? job.contact : null,
      isFinal: job.problem === tellsNobody,
      body: (!keepsAddresses && job.body && withoutAddresses(job.body)) || undefined,
    })
  }

  return { run, stop }
}

const unknownSubscriber =
  'Nobody knows who this subscriber is: there is no API key for Buttondown to ask with, or it has not been synced.'
const tellsNobody = 'It does not tell whom it is about.'
const unknownEvent = 'Buttondown does not know this event. What the delivery told of it is kept.'
const unknownEventOfNobody = 'It does not tell whom it is about, and Buttondown does not know this event.'
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
