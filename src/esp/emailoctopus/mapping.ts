import { normaliseEmail } from '../../audience/contacts.js'
import type { EngagementKind } from '../../audience/engagement-kinds.js'
import type { ListFact } from '../../audience/list-book.js'
import { isReached, type SubscriptionStatus } from '../../audience/subscriptions.js'
import type { ReportNumbers } from '../../database/schema.js'
import type { LinkReportFact, MailingFact, ReportFact } from '../../mailings/record.js'
import type { Campaign, OctopusContact, OctopusList, ReportLink, Summary } from './answers.js'
import type { ReportStatus } from './client.js'

export const provider = 'emailoctopus'

/** EmailOctopus' words to ours; a word we never heard gets mail, as far as we know. */
const statuses: Record<string, SubscriptionStatus> = {
  pending: 'unconfirmed',
  unsubscribed: 'unsubscribed',
  // Webhooks alone tell of these two.
  bounced: 'bounced',
  complained: 'complained',
}
export const statusOf = (word: string): SubscriptionStatus => statuses[word] ?? 'subscribed'

/**
 * The word of webhooks, in their capitals, for somebody who has left: unlike the REST API they have other words for a
 * bounce and a complaint. A subscription keeps it, as what a webhook says outranks what is concluded from reports.
 */
export const leftByWebhook = 'UNSUBSCRIBED'

/**
 * What is known of somebody whom EmailOctopus calls unsubscribed, from reports and webhooks, since they were last known
 * to be subscribed: when each happened last, or null.
 */
export interface Evidence {
  complained: number | null
  unsubscribed: number | null
  bounced: number | null
  /** An open or a click: mail had come through. */
  reached: number | null
}

/**
 * The REST API has one word for all who get no more mail, and a hard bounce is among them (a soft one is not). Only who
 * opted out or complained did so of their own will; who bounced and did neither was taken off, unless mail came
 * through after that.
 */
export function whyLeft({ complained, unsubscribed, bounced, reached }: Evidence) {
  if (complained !== null) return 'complained'
  if (unsubscribed !== null || bounced === null) return 'unsubscribed'
  return bounced > (reached ?? 0) ? 'bounced' : 'unsubscribed'
}

/** Under these tags EmailOctopus has the names in every list, unless somebody took the fields away. */
export function nameOf(fields: OctopusContact['fields']): string {
  const part = (tag: string) => (typeof fields[tag] === 'string' ? (fields[tag] as string).trim() : '')
  return [part('FirstName'), part('LastName')].filter(Boolean).join(' ') || part('Name')
}

/** The spelling of a contact's address in our tables; null for one that was deleted. */
export const emailOf = ({ email }: { email: string | null }) =>
  email === null ? null : normaliseEmail(email)

/** Tags belong to one list each: what one list no longer has, another may go on having. */
export const tagOriginOf = (listId: number) => `${provider}:${listId}`

/** When a contact began: as told, else with what is known of them. */
export const begunAt = (contact: OctopusContact, seenAt: number) =>
  contact.createdAt ?? contact.updatedAt ?? seenAt

export const listFact = (list: OctopusList, seenAt: number): ListFact => ({
  provider,
  providerId: list.id,
  name: list.name || 'EmailOctopus',
  doubleOptIn: list.doubleOptIn,
  fields: list.fields,
  tags: list.tags,
  counts: list.counts,
  madeAt: list.createdAt,
  updatedAt: list.updatedAt,
  seenAt,
})

/** @param told.listIds our numbers of its lists */
export const mailingFact = (
  campaign: Campaign,
  { listIds, seenAt, syncedBy }: { listIds: number[]; seenAt: number; syncedBy: string | null },
): MailingFact => ({
  provider,
  providerId: campaign.id,
  listIds,
  name: campaign.name || campaign.subject,
  subject: campaign.subject,
  fromName: campaign.fromName,
  fromAddress: campaign.fromEmail,
  status: campaign.status,
  madeAt: campaign.createdAt,
  sentAt: campaign.sentAt !== null && campaign.sentAt <= seenAt ? campaign.sentAt : null,
  url: '',
  html: campaign.html,
  syncedBy,
  seenAt,
})

/**
 * There is no number of deliveries: delivered is sent less both kinds of bounces.
 * @param before what is known already: it stands in for what a summary lacks
 */
export const reportFact = (
  summary: Summary,
  { before, checkedAt }: { before: Partial<ReportNumbers>; checkedAt: number },
): ReportFact => ({
  recipients: summary.sent,
  deliveries: deliveredOf(
    summary.sent ?? before.recipients ?? null,
    (summary.hardBounces ?? before.permanent_failures ?? 0) +
      (summary.softBounces ?? before.temporary_failures ?? 0),
  ),
  opens: summary.opens,
  unique_opens: summary.uniqueOpens,
  clicks: summary.clicks,
  unique_clicks: summary.uniqueClicks,
  temporary_failures: summary.softBounces,
  permanent_failures: summary.hardBounces,
  unsubscriptions: summary.unsubscribes,
  complaints: summary.complaints,
  replies: null,
  checkedAt,
})

const deliveredOf = (sent: number | null, bounced: number) =>
  sent === null ? null : Math.max(0, sent - bounced)

export const linkFact = ({ url, clicks, uniqueClicks }: ReportLink): LinkReportFact => ({
  url,
  clicks: clicks ?? 0,
  uniqueClicks: uniqueClicks ?? 0,
})

/** What being in a report means. Who is in one of the two negative ones was sent the campaign, at no told instant. */
export const kindOfReport: Record<ReportStatus, EngagementKind> = {
  sent: 'sent',
  opened: 'opened',
  clicked: 'clicked',
  bounced: 'bounced',
  complained: 'complained',
  unsubscribed: 'unsubscribed',
  'not-opened': 'sent',
  'not-clicked': 'sent',
}

/** Is this a report of those who did not do something? */
export const isNegative = (status: ReportStatus) => status === 'not-opened' || status === 'not-clicked'

/** What a webhook's event is, where it is about a campaign. */
export const kindOfEvent: Record<string, EngagementKind> = {
  'contact.opened': 'opened',
  'contact.clicked': 'clicked',
  'contact.bounced': 'bounced',
  'contact.complained': 'complained',
  'contact.unsubscribed': 'unsubscribed',
}

/** What an event says of the subscription by itself. A bounce may be a soft one, which changes nothing. */
export const statusOfEvent: Record<string, SubscriptionStatus> = {
  'contact.complained': 'complained',
  'contact.unsubscribed': 'unsubscribed',
}

export const leftAt = (status: SubscriptionStatus, at: number | null) =>
  isReached(status) || status === 'unconfirmed' ? null : at
