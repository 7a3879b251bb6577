import type { Logger } from 'pino'
import type { Db } from '../../database/open.js'
import type { Row } from '../../database/schema.js'
import { type DeliveryOutcome, dueDeliveries, isDatabaseBusy, tryAgainAfter } from '../inbox.js'
import { ProviderError } from '../provider-error.js'
import type { EmailOctopusClient } from './client.js'
import { eventIn, isRead, type OctopusEvent } from './events.js'
import { kindOfEvent, provider } from './mapping.js'
import type { OctopusFact, OctopusReceipt } from './record.js'

interface Needs {
  db: Db
  record: (fact: OctopusFact) => Promise<OctopusReceipt>
  /** null as long as there is no key. */
  api: () => Promise<EmailOctopusClient | null>
  now: () => number
  log: Logger
}

const batchSize = 200

type Delivery = Pick<Row<'inbox'>, 'id' | 'received_at' | 'tries'>
interface Job extends Delivery {
  event: OctopusEvent & { contactId: string }
  /** What stood in the way, if anything did. */
  problem: string | null
}

/**
 * Reads the inbox: records what events tell, and asks EmailOctopus for a campaign or contact that nobody has described
 * yet. An event is recorded and settled in one transaction, and by its id it is known again.
 */
export function octopusDeliveryReader({ db, record, api, now, log }: Needs) {
  let running: Promise<void> | null = null
  let stopping: AbortController | null = null
  let isAskedFor = false
  /** What stands in the way of all that is asked of EmailOctopus until all that is due is read; null for nothing. */
  let trouble: string | null = null

  async function readAll() {
    while (isAskedFor) {
      isAskedFor = false
      trouble = null
      for (;;) {
        const due = await dueDeliveries(db, provider, { now: now(), limit: batchSize })
        if (due.length === 0 || stopping?.signal.aborted) break
        const jobs = due.flatMap(({ id, received_at, tries, body }): Job[] => {
          const event = body === null ? null : eventOf(body)
          return event ? [{ id, received_at, tries, event, problem: null }] : []
        })
        const blank = due.filter(({ id }) => !jobs.some((job) => job.id === id))
        if (blank.length > 0)
          await record({
            do: 'settle',
            settle: blank.map(({ id }) => outcome({ id, problem: null, tries: 0 })),
          })
        await meetCampaigns(jobs)
        await meetContacts(jobs)
        await Promise.all(jobs.map(readOne))
      }
    }
  }

  /** Asks for the campaigns of which nobody has heard: an event whose campaign EmailOctopus does not know stands without. */
  async function meetCampaigns(jobs: Job[]) {
    const unknown = new Map<string, Job[]>()
    for (const job of jobs) {
      const { campaignId, type } = job.event
      if (campaignId !== null && kindOfEvent[type] !== undefined)
        unknown.set(campaignId, [...(unknown.get(campaignId) ?? []), job])
    }
    if (unknown.size === 0) return
    const known = await db
      .selectFrom('mailings')
      .select('provider_id')
      .where('provider', '=', provider)
      .where('provider_id', 'in', [...unknown.keys()])
      .execute()
    for (const { provider_id } of known) unknown.delete(provider_id)
    const client = unknown.size > 0 ? await api() : null
    for (const [id, about] of unknown) {
      if (!client) {
        for (const job of about) job.problem = noKey
        continue
      }
      await attempt(about, async () => {
        const seenAt = now()
        const campaign = await ask(() => client.campaign(id, urgent())).catch(nullIfUnknown)
        if (campaign) await record({ do: 'campaign', campaign, seenAt, syncedBy: null })
      })
    }
  }

  /** Asks for contacts that were made or changed where the event does not say how they stand. */
  async function meetContacts(jobs: Job[]) {
    for (const job of jobs) {
      const { type, status, listId, contactId } = job.event
      if (!(type === 'contact.created' || type === 'contact.updated') || status !== null || listId === null)
        continue
      const client = await api()
      // What the event does say is recorded all the same, and the next sync brings the rest.
      if (!client) continue
      await attempt([job], async () => {
        const seenAt = now()
        const contact = await ask(() => client.contact(listId, contactId, urgent())).catch(nullIfUnknown)
        const list = await db
          .selectFrom('lists')
          .select('id')
          .where('provider', '=', provider)
          .where('provider_id', '=', listId)
          .executeTakeFirst()
        if (contact && list) await record({ do: 'contact', contact, listId: list.id, seenAt })
      })
    }
  }

  async function readOne(job: Job) {
    await attempt([job], async () => {
      const { event, received_at: receivedAt } = job
      const receipt = await record({ do: 'event', event, receivedAt, settle: [outcome(job)] })
      if (receipt.nobody)
        await record({ do: 'settle', settle: [outcome({ ...job, problem: nobodyKnown, final: true })] })
    })
    // It was not settled with what it tells, as the database did not take that.
    if (job.problem === unrecorded) await record({ do: 'settle', settle: [outcome(job)] })
  }

  /** What goes wrong with some deliveries must not keep the others from being read: they wait, and the others go on. */
  async function attempt(jobs: Job[], work: () => Promise<void>) {
    try {
      await work()
    } catch (error) {
      if (stopping?.signal.aborted || isDatabaseBusy(error)) throw error
      const told = error instanceof ProviderError ? error : null
      if (told && (told.passes || told.kind === 'refused-key')) trouble = told.message
      if (!told) log.error({ err: error }, 'delivery not read')
      for (const job of jobs) job.problem = told?.message ?? unrecorded
    }
  }

  /** Asks EmailOctopus, unless it has been found out of reach: each call tries for minutes before it gives up. */
  async function ask<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    if (trouble !== null) throw new ProviderError('unavailable', trouble)
    return call()
  }

  const urgent = () => ({ priority: 'urgent' as const, signal: stopping?.signal })

  /** @param job.final trying again would tell nothing new */
  function outcome({
    id,
    problem,
    tries,
    final = false,
  }: Pick<Job, 'id' | 'problem' | 'tries'> & { final?: boolean }): DeliveryOutcome {
    const at = now()
    const pause = final ? undefined : tryAgainAfter[tries]
    if (problem === null)
      return { id, state: 'done', contact: null, reason: null, tryAt: null, tried: true, at }
    return {
      id,
      state: pause === undefined ? 'failed' : 'waiting',
      contact: null,
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
    /** Breaks off what is asked of EmailOctopus; what is not settled waits for the next start. */
    async stop() {
      stopping ??= new AbortController()
      stopping.abort()
      await running?.catch(() => {})
    },
  }
}

const noKey =
  'Nobody knows this campaign yet: there is no API key for EmailOctopus to ask with, or it has not been synced.'
const nobodyKnown = 'It does not tell whom it is about.'
const unrecorded = 'Something went wrong here; the log has the details.'

function eventOf(body: Uint8Array) {
  const event = eventIn(JSON.parse(Buffer.from(body).toString('utf8')))
  return isRead(event) ? event : null
}

function nullIfUnknown(error: unknown) {
  if (error instanceof ProviderError && (error.kind === 'not-found' || error.kind === 'missing-permission'))
    return null
  throw error
}
