import * as z from 'zod'
import type { EngagementKind } from '../../audience/engagement-kinds.js'
import type { SubscriptionStatus } from '../../audience/subscriptions.js'
import { instant } from '../lenient.js'
import { canonicalId } from './ids.js'

export const provider = 'buttondown'

/** A webhook's request: one object with a type and open-ended data. The id came into it in June 2026. */
const Envelope = z.object({
  // Empty is left out.
  id: z
    .string()
    .max(200)
    .nullish()
    .transform((id) => id || undefined),
  event_type: z.string().min(1).max(200),
  data: z.record(z.string(), z.unknown()),
})
export type Envelope = z.infer<typeof Envelope>

/** @returns null for what is no delivery */
export function envelopeIn(body: Uint8Array): Envelope | null {
  try {
    return Envelope.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)))
  } catch {
    return null
  }
}

/** What a subscriber did, or what was done to them, with an email. */
const engagements: Record<string, EngagementKind> = {
  'subscriber.sent': 'sent',
  'subscriber.delivered': 'delivered',
  'subscriber.deferred': 'deferred',
  'subscriber.bounced': 'bounced',
  'subscriber.rejected': 'rejected',
  'subscriber.opened': 'opened',
  'subscriber.clicked': 'clicked',
  'subscriber.replied': 'replied',
  'subscriber.complained': 'complained',
  'subscriber.unsubscribed': 'unsubscribed',
  'subscriber.commented': 'commented',
}

/** After these a subscriber is not what they were. */
const lifecycle = new Set([
  'subscriber.created',
  'subscriber.confirmed',
  'subscriber.updated',
  'subscriber.deleted',
  'subscriber.changed_email',
  'subscriber.tags.changed',
  'subscriber.type.changed',
  'subscriber.paused',
  'subscriber.resumed',
  'subscriber.paid',
  'subscriber.churned',
  'subscriber.trial_started',
  'subscriber.trial_ended',
  'subscriber.referred',
  'subscriber.referred.paid',
  'subscriber.responded_to_survey',
  'subscriber.viewed_checkout_page',
  'subscriber.unsubscribed',
  'subscriber.bounced',
  'subscriber.rejected',
  'subscriber.complained',
])

/** What such a delivery says of the subscription by itself, where nobody can be asked. */
const saidStatus: Record<string, SubscriptionStatus> = {
  'subscriber.created': 'unconfirmed',
  'subscriber.confirmed': 'subscribed',
  'subscriber.unsubscribed': 'unsubscribed',
  'subscriber.complained': 'complained',
  'subscriber.deleted': 'removed',
  'subscriber.paused': 'paused',
  'subscriber.resumed': 'subscribed',
}

const emails = new Set([
  'email.created',
  'email.send.started',
  'email.sent',
  'email.status.changed',
  'email.updated',
  'email.deleted',
])

/** Every type that is read; the others are kept as they came. */
export const readTypes: readonly string[] = [
  ...new Set([...Object.keys(engagements), ...lifecycle, ...emails]),
]
export const isRead = (type: string) => readTypes.includes(type)

/** The types that `GET /v1/events` knows too. */
const inEventStore = new Set([
  'bounced',
  'clicked',
  'complained',
  'delivered',
  'opened',
  'rejected',
  'replied',
  'unsubscribed',
])

/** A delivery as we understand it. */
export interface Reading {
  eventType: string
  /** The event's id in its canonical spelling; null when the delivery has none, or one that is no id. */
  eventId: string | null
  subscriberId: string | null
  emailId: string | null
  newsletterId: string | null
  engagement: EngagementKind | null
  /** Is there something new to learn of the subscriber? */
  changesSubscriber: boolean
  isDeletion: boolean
  status: SubscriptionStatus | null
  changesEmail: boolean
  /** Can `GET /v1/events/{id}` tell the rest? */
  isInEventStore: boolean
  /** The instant, if the delivery tells one. */
  at: number | null
  url: string | null
  address: string | null
  userAgent: string | null
  os: string | null
  browser: string | null
  metadata: Record<string, unknown> | null
}

/**
 * Reads a delivery. Nobody has published what exactly is inside `data`, so each detail is looked for in all places where
 * the documents and public handlers have it: flat, under `metadata`, or inside a nested object.
 */
export function read({ id, event_type: eventType, data }: Envelope): Reading {
  const inner = isObject(data.metadata) ? data.metadata : {}
  const text = (...names: string[]) => {
    for (const name of names)
      for (const source of [data, inner])
        if (typeof source[name] === 'string' && source[name] !== '') return source[name]
    return null
  }
  const idOf = (name: string) => {
    const value = data[name] ?? data[`${name}_id`]
    const given = isObject(value) ? value.id : value
    return typeof given === 'string' ? canonicalId(given) : null
  }
  const kind = engagements[eventType] ?? null
  const when = text('creation_date', 'timestamp', 'occurred_at', 'date')
  return {
    eventType,
    eventId: id === undefined ? null : canonicalId(id),
    subscriberId: idOf('subscriber'),
    emailId: idOf('email'),
    newsletterId: idOf('newsletter'),
    engagement: kind,
    changesSubscriber: lifecycle.has(eventType),
    isDeletion: eventType === 'subscriber.deleted',
    status: saidStatus[eventType] ?? null,
    changesEmail: emails.has(eventType),
    isInEventStore: kind !== null && inEventStore.has(kind),
    at: when === null ? null : instant(when),
    url: text('url', 'link'),
    address: text('ip_address', 'ip'),
    userAgent: text('user_agent'),
    os: text('os'),
    browser: text('browser'),
    metadata: rest(inner),
  }
}

/** What has a place of its own is not kept twice; least of all an internet address, which may not be kept at all. */
function rest(inner: Record<string, unknown>): Record<string, unknown> | null {
  const own = new Set(['url', 'link', 'ip_address', 'ip', 'user_agent', 'os', 'browser'])
  const left = Object.entries(inner).filter(([name]) => !own.has(name))
  return left.length > 0 ? Object.fromEntries(left) : null
}

/** The delivery without internet addresses; null where it has none. */
export function withoutAddresses(body: Uint8Array): Buffer | null {
  const text = Buffer.from(body).toString('utf8')
  const cut = text.replace(/("(?:ip_address|ip)"\s*:\s*)"[^"]*"/g, '$1""')
  return cut === text ? null : Buffer.from(cut)
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
