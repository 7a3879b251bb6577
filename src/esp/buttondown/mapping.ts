import { normaliseEmail } from '../../audience/contacts.js'
import { type EngagementKind, engagementKinds } from '../../audience/engagement-kinds.js'
import type { SubscriberFact } from '../../audience/people.js'
import { isReached, type SubscriptionStatus } from '../../audience/subscriptions.js'
import type { MailingFact, ReportFact } from '../../mailings/record.js'
import type { ButtondownEvent, Email, EmailAnalytics, Subscriber } from './answers.js'
import { provider } from './reading.js'

/** Buttondown's words to ours. Those that pay, or no longer do, get at least some mail; a word we never heard does too. */
const statuses: Record<string, SubscriptionStatus> = {
  paused: 'paused',
  unactivated: 'unconfirmed',
  unsubscribed: 'unsubscribed',
  complained: 'complained',
  undeliverable: 'bounced',
  malformed: 'bounced',
  removed: 'removed',
  blocked: 'removed',
  spammy: 'removed',
  disabled: 'removed',
}
export const statusOf = (type: string): SubscriptionStatus => statuses[type] ?? 'subscribed'

/** What Buttondown says of a subscriber. @param seenAt when it was asked */
export function subscriberFact(
  subscriber: Subscriber,
  { listId, seenAt }: { listId: number; seenAt: number },
): SubscriberFact {
  const status = statusOf(subscriber.type)
  const changes = changesOf(subscriber, status)
  const first = changes.find((change) => isReached(change.status))
  const last = changes.findLast((change) => change.status === status)
  return {
    provider,
    providerId: subscriber.id,
    listId,
    email: normaliseEmail(subscriber.email),
    name: nameOf(subscriber.metadata),
    status,
    providerStatus: subscriber.type,
    source: subscriber.source,
    subscribedAt: first?.at ?? subscriber.createdAt,
    unsubscribedAt:
      isReached(status) || status === 'unconfirmed' ? null : (subscriber.unsubscribedAt ?? last?.at ?? null),
    changes,
    tags: subscriber.tags,
    seenAt,
  }
}

/** What became of the subscription, oldest first: the history of its type, and what stands in fields of its own. */
function changesOf(subscriber: Subscriber, status: SubscriptionStatus): SubscriberFact['changes'] {
  const changes: SubscriberFact['changes'] = subscriber.transitions.map(({ at, type }) => ({
    at,
    status: statusOf(type),
  }))
  const told = (wanted: SubscriptionStatus) => changes.some((change) => change.status === wanted)
  if (subscriber.unsubscribedAt !== null && !told('unsubscribed'))
    changes.push({ at: subscriber.unsubscribedAt, status: 'unsubscribed' })
  if (subscriber.undeliverableAt !== null && !told('bounced'))
    changes.push({ at: subscriber.undeliverableAt, status: 'bounced' })
  // Whoever has confirmed was waiting before; whoever never had to was subscribed from the start.
  const confirmed = changes.some((change) => change.status === 'subscribed')
  const begun = confirmed || status === 'unconfirmed' ? 'unconfirmed' : 'subscribed'
  if (!changes.some(({ at }) => at <= subscriber.createdAt))
    changes.push({ at: subscriber.createdAt, status: begun })
  return changes
    .sort((one, other) => one.at - other.at)
    .filter((change, index, all) => index === 0 || change.status !== all[index - 1]!.status)
}

/** Names live in the metadata, under the keys that the newsletter uses. */
function nameOf(metadata: Record<string, unknown>): string {
  const part = (name: string) => (typeof metadata[name] === 'string' ? (metadata[name] as string).trim() : '')
  return [part('first_name'), part('last_name')].filter(Boolean).join(' ') || part('name')
}

/** What Buttondown says of an email. */
export const mailingFact = (
  email: Email,
  { listId, seenAt }: { listId: number; seenAt: number },
): MailingFact => ({
  provider,
  providerId: email.id,
  listIds: [listId],
  name: email.subject,
  subject: email.subject,
  fromName: '',
  fromAddress: '',
  status: email.status,
  madeAt: null,
  // A scheduled one has its day in the future.
  sentAt: email.publishedAt !== null && email.publishedAt <= seenAt ? email.publishedAt : null,
  url: email.url ?? '',
  html: null,
  syncedBy: null,
  seenAt,
})

/** Buttondown describes its opens and clicks as unique. */
export const reportFact = (analytics: EmailAnalytics, checkedAt: number): ReportFact => ({
  recipients: analytics.recipients,
  deliveries: analytics.deliveries,
  opens: null,
  unique_opens: analytics.opens,
  clicks: null,
  unique_clicks: analytics.clicks,
  temporary_failures: analytics.temporaryFailures,
  permanent_failures: analytics.permanentFailures,
  unsubscriptions: analytics.unsubscriptions,
  complaints: analytics.complaints,
  replies: analytics.replies,
  checkedAt,
})

/** An engagement as Buttondown tells it; whose and of which mailing is told in Buttondown's ids. */
export interface ToldEvent {
  eventId: string | null
  kind: EngagementKind
  subscriberId: string
  emailId: string | null
  at: number
  /** Is `at` the instant of the event itself? */
  exact: boolean
  url: string | null
  address: string | null
  userAgent: string | null
  os: string | null
  browser: string | null
  metadata: Record<string, unknown> | null
}

/** A row of the event store. @returns null for one that is about no subscriber, or of a kind that we do not know */
export function toldByStore(event: ButtondownEvent): ToldEvent | null {
  const kind = engagementKinds.find((known) => known === event.type)
  if (!kind || event.subscriberId === null) return null
  const { url, ip_address, os, browser, ...rest } = event.metadata
  return {
    eventId: event.id,
    kind,
    subscriberId: event.subscriberId,
    emailId: event.emailId,
    at: event.at,
    exact: true,
    url: url || null,
    address: ip_address || null,
    userAgent: null,
    os: os || null,
    browser: browser || null,
    metadata: Object.keys(rest).length > 0 ? rest : null,
  }
}
