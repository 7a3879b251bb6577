import type { Audience } from '../../audience/audience.js'
import { type SubscriptionFact, Unknown } from '../../audience/people.js'
import type { Db } from '../../database/open.js'
import type { Recorder } from '../../ledger/ledger.js'
import { mailingBook } from '../../mailings/record.js'
import { forgetErased } from '../deliveries-room.js'
import { type DeliveryOutcome, deliverySettler } from '../inbox.js'
import type { ButtondownTag, Email, EmailAnalytics, Subscriber } from './answers.js'
import { mailingFact, reportFact, subscriberFact, type ToldEvent } from './mapping.js'
import { provider } from './reading.js'

/** What may come in from Buttondown, through whatever door; and what became of the deliveries that told it. */
export type ButtondownFact = { settle?: DeliveryOutcome[] } & (
  | { do: 'event'; event: ToldEvent; listId: number }
  | { do: 'subscriber'; subscriber: Subscriber; listId: number; seenAt: number }
  | { do: 'subscription'; change: Omit<SubscriptionFact, 'provider'> }
  | { do: 'email'; email: Email; analytics: EmailAnalytics | null; listId: number; seenAt: number }
  | { do: 'tag'; tag: ButtondownTag; seenAt: number }
  | { do: 'settle' }
)

export interface ButtondownReceipt {
  contact: number | null
  /** The subscriber is a stranger: nothing was recorded, and no delivery settled. */
  stranger: boolean
  /** It was known before; what was new in it was added. */
  repeated: boolean
  /** Nothing of an event is missing any more. */
  whole: boolean
}

const nothing: ButtondownReceipt = { contact: null, stranger: false, repeated: false, whole: false }

/** The recorder of Buttondown: its words become ours inside one transaction with what they settle. */
export function buttondownRecorder({ db, audience }: { db: Db; audience: Audience }) {
  const { engagements, people, erasures } = audience
  const mailings = mailingBook(db)
  const settle = deliverySettler(db)

  async function record(tx: Db, fact: ButtondownFact): Promise<ButtondownReceipt> {
    const receipt = await engagements.counted(() => take(tx, fact))
    if (!receipt.stranger)
      for (const outcome of fact.settle ?? []) {
        const contact = outcome.contact ?? receipt.contact
        await settle(tx, { ...outcome, contact })
        if (contact === null && outcome.reason !== null) await forgetErased(tx, erasures, outcome.id)
      }
    return receipt
  }

  async function take(tx: Db, fact: ButtondownFact): Promise<ButtondownReceipt> {
    switch (fact.do) {
      case 'event':
        return event(tx, fact.event, fact.listId)
      case 'subscriber': {
        const known = await people.byIdentity(tx, provider, fact.subscriber.id)
        const contact = await people.subscriber(tx, subscriberFact(fact.subscriber, fact))
        return { ...nothing, contact, repeated: known !== null }
      }
      case 'subscription':
        try {
          const contact = await people.subscription(tx, { provider, ...fact.change })
          return { ...nothing, contact, repeated: true }
        } catch (error) {
          if (error instanceof Unknown) return { ...nothing, stranger: true }
          throw error
        }
      case 'email': {
        const { id, isNew } = await mailings.put(tx, mailingFact(fact.email, fact))
        if (fact.analytics) await mailings.putReport(tx, id, reportFact(fact.analytics, fact.seenAt))
        return { ...nothing, repeated: !isNew }
      }
      case 'tag':
        await people.tags.followProvider(tx, {
          provider,
          providerId: fact.tag.id,
          name: fact.tag.name,
          description: fact.tag.description ?? '',
          at: fact.seenAt,
        })
        return nothing
      case 'settle':
        return nothing
    }
  }

  async function event(tx: Db, told: ToldEvent, listId: number): Promise<ButtondownReceipt> {
    const known = await people.byIdentity(tx, provider, told.subscriberId)
    if (!known) return { ...nothing, stranger: true }
    const contactId = known.contact_id
    const mailingId =
      told.emailId === null
        ? null
        : await mailings.findOrAdd(tx, { provider, providerId: told.emailId, listIds: [listId], at: told.at })
    const { eventId, kind, at, exact, url, address, userAgent, os, browser, metadata } = told
    const { repeated, whole } = await engagements.record(tx, {
      provider,
      providerId: eventId,
      contactId,
      mailingId,
      kind,
      happenedAt: at,
      exact,
      url,
      address,
      userAgent,
      os,
      browser,
      metadata,
    })
    return { ...nothing, contact: contactId, repeated, whole }
  }

  return { record, forget: () => mailings.forget() } satisfies Recorder<ButtondownFact, ButtondownReceipt>
}
