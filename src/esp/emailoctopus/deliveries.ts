import type { Logger } from 'pino'
import type { Db } from '../../database/open.js'
import { type InboxJob, inboxReading, outcomeOf, unrecorded } from '../inbox-reading.js'
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

interface Job extends InboxJob {
  event: OctopusEvent & { contactId: string }
}

/**
 * Reads the inbox: records what events tell, and asks EmailOctopus for a campaign or contact that nobody has described
 * yet. An event is recorded and settled in one transaction, and by its id it is known again.
 */
export function octopusDeliveryReader({ db, record, api, now, log }: Needs) {
  const { run, stop, attempt, ask, urgent } = inboxReading<Job>({
    db,
    provider,
    jobOf({ id, received_at, tries, body }) {
      const event = body === null ? null : eventOf(body)
      return event && { id, received_at, tries, event, problem: null }
    },
    async read(jobs) {
      await meetCampaigns(jobs)
      await meetContacts(jobs)
      await Promise.all(jobs.map(readOne))
    },
    settle: (settle) => record({ do: 'settle', settle }),
    now,
    log,
  })

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
    const settled = (circumstances: { isFinal?: boolean } = {}) => [
      outcomeOf(job, { at: now(), ...circumstances }),
    ]
    await attempt([job], async () => {
      const { event, received_at: receivedAt } = job
      const receipt = await record({ do: 'event', event, receivedAt, settle: settled() })
      if (!receipt.nobody) return
      job.problem = nobodyKnown
      await record({ do: 'settle', settle: settled({ isFinal: true }) })
    })
    // It was not settled with what it tells, as the database did not take that.
    if (job.problem === unrecorded) await record({ do: 'settle', settle: settled() })
  }

  return { run, stop }
}

const noKey =
  'Nobody knows this campaign yet: there is no API key for EmailOctopus to ask with, or it has not been synced.'
const nobodyKnown = 'It does not tell whom it is about.'

function eventOf(body: Uint8Array) {
  const event = eventIn(JSON.parse(Buffer.from(body).toString('utf8')))
  return isRead(event) ? event : null
}

function nullIfUnknown(error: unknown) {
  if (error instanceof ProviderError && (error.kind === 'not-found' || error.kind === 'missing-permission'))
    return null
  throw error
}
