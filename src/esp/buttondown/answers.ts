import * as z from 'zod'
import { instant, listOf, OptionalInstant, OptionalNumber, OptionalText, Text } from '../lenient.js'
import { canonicalId } from './ids.js'

// What Buttondown's answers mean to us. They are read leniently: its documents and its answers have differed before, so
// unknown fields and values pass, and a missing field is null. Only what a row cannot do without is asked for.

/** One subscriber of a newsletter. Instants are UTC milliseconds. */
export interface Subscriber {
  id: string
  email: string
  /** `regular`, `unactivated`, `unsubscribed` and others; new ones appear. */
  type: string
  /** `embedded_form`, `import` and others. */
  source: string
  /** Names, not ids. */
  tags: string[]
  /** What the newsletter keeps of the person; names live here, under whatever key it uses. */
  metadata: Record<string, unknown>
  notes: string
  /** ISO alpha-2, from the address of the sign-up. */
  country: string | null
  ipAddress: string | null
  referrerUrl: string | null
  createdAt: number
  lastOpenAt: number | null
  lastClickAt: number | null
  /** The three counts are Buttondown's, cached there, and lag. */
  deliveredCount: number | null
  openCount: number | null
  clickCount: number | null
  unsubscribedAt: number | null
  unsubscriptionReason: string | null
  bouncedAt: number | null
  bounceReason: string | null
  undeliverableAt: number | null
  undeliverabilityReason: string | null
  /** Earlier types, oldest first: the source for the moment of confirmation. */
  transitions: { at: number; type: string }[]
  /** Earlier addresses, oldest first. */
  emailTransitions: { at: number; from: string | null; to: string }[]
}

/** One email, which we call a mailing, without its body. */
export interface Email {
  id: string
  subject: string
  /** `draft`, `scheduled`, `in_flight`, `sent` and others. */
  status: string
  source: string
  /** Its page in the archive. */
  url: string | null
  slug: string | null
  createdAt: number
  modifiedAt: number | null
  /** In the future for a scheduled one. */
  publishedAt: number | null
  /** Null until it is sent. */
  analytics: EmailAnalytics | null
}

/** Buttondown's own counts of one email, cached there. Opens and clicks are unique; what it does not tell is null. */
export interface EmailAnalytics {
  recipients: number | null
  deliveries: number | null
  opens: number | null
  clicks: number | null
  temporaryFailures: number | null
  permanentFailures: number | null
  unsubscriptions: number | null
  complaints: number | null
  replies: number | null
  comments: number
  pageViews: number
  pageViews30Days: number
  pageViews7Days: number
}

/** One row of Buttondown's event store. */
export interface ButtondownEvent {
  id: string
  /** Without the `subscriber.` of webhooks: `opened`, `clicked`, `delivered`, `bounced` and others. */
  type: string
  at: number
  subscriberId: string | null
  emailId: string | null
  automationId: string | null
  /** Any of `url`, `code`, `ip_address`, `os`, `browser`; on replies also `from`, `subject`, `html`, `text`. */
  metadata: Record<string, string>
}

export interface ButtondownTag {
  id: string
  name: string
  /** Hex, such as `#0069FF`. */
  color: string | null
  description: string | null
  createdAt: number
}

/** A newsletter, without the API key that Buttondown's answer holds. */
export interface Newsletter {
  id: string
  name: string
  username: string
  /** All mail goes to the author while this is on, and the counts are the author's. */
  testMode: boolean
  /** May hold `tracking` and `webhooks`. */
  enabledFeatures: string[]
}

export interface Account {
  username: string
  email: string
}

/** A registered webhook, without its signing key. */
export interface Webhook {
  id: string
  /** `enabled` or `disabled`. */
  status: string
  eventTypes: string[]
  url: string
  description: string
  /** Whose signing key it has: `none` means that deliveries come unsigned. */
  signing: 'none' | 'ours' | 'other'
  createdAt: number
}

/** One try of Buttondown to deliver to a webhook. */
export interface WebhookAttempt {
  id: string
  /** `unattempted`, `successful` or `failed`. */
  status: string
  eventType: string | null
  /** Status and the beginning of our own answer. */
  error: string | null
  attempts: number
  createdAt: number
  completedAt: number | null
  /** Milliseconds that our answer took. */
  duration: number | null
}

/** What follows none of the known spellings stays as it came: ids of newsletters and webhooks may be anything. */
const Id = z.string().min(1).transform(canonicalOrSame)
function canonicalOrSame(id: string) {
  return canonicalId(id) ?? id
}
const OptionalId = Id.nullish().catch(null).transform(orNull)

const Instant = z.string().transform((text, context) => {
  const at = instant(text)
  if (at !== null) return at
  context.addIssue('a timestamp')
  return z.NEVER
})
const Count = OptionalNumber.transform((number) => number ?? 0)

function orNull<T>(value: T | null | undefined) {
  return value ?? null
}

const Metadata = z
  .record(z.string(), z.unknown())
  .nullish()
  .catch(null)
  .transform((value) => value ?? {})

export const AccountAnswer = z
  .object({ username: Text, email_address: Text })
  .transform((row): Account => ({ username: row.username, email: row.email_address }))

export const NewsletterAnswer = z
  .object({
    id: Id,
    name: Text,
    username: Text,
    test_mode: z.boolean().nullish().catch(null),
    enabled_features: listOf(z.string()),
  })
  .transform(
    (row): Newsletter => ({
      id: row.id,
      name: row.name,
      username: row.username,
      testMode: row.test_mode ?? false,
      enabledFeatures: row.enabled_features,
    }),
  )

export const SubscriberAnswer = z
  .object({
    id: Id,
    creation_date: Instant,
    email_address: z.string().min(1),
    type: Text,
    source: Text,
    tags: listOf(z.string()),
    metadata: Metadata,
    notes: Text,
    country: OptionalText,
    ip_address: OptionalText,
    referrer_url: OptionalText,
    last_open_date: OptionalInstant,
    last_click_date: OptionalInstant,
    delivered_count: OptionalNumber,
    open_count: OptionalNumber,
    clicked_count: OptionalNumber,
    unsubscription_date: OptionalInstant,
    unsubscription_reason: OptionalText,
    bounce_date: OptionalInstant,
    bounce_reason: OptionalText,
    undeliverability_date: OptionalInstant,
    undeliverability_reason: OptionalText,
    transitions: listOf(z.object({ date: Instant, type: z.string() })),
    email_transitions: listOf(
      z.object({ date: Instant, old_email_address: OptionalText, new_email_address: z.string() }),
    ),
  })
  .transform(
    (row): Subscriber => ({
      id: row.id,
      email: row.email_address,
      type: row.type,
      source: row.source,
      tags: row.tags,
      metadata: row.metadata,
      notes: row.notes,
      country: row.country || null,
      ipAddress: row.ip_address || null,
      referrerUrl: row.referrer_url || null,
      createdAt: row.creation_date,
      lastOpenAt: row.last_open_date,
      lastClickAt: row.last_click_date,
      deliveredCount: row.delivered_count,
      openCount: row.open_count,
      clickCount: row.clicked_count,
      unsubscribedAt: row.unsubscription_date,
      unsubscriptionReason: row.unsubscription_reason || null,
      bouncedAt: row.bounce_date,
      bounceReason: row.bounce_reason,
      undeliverableAt: row.undeliverability_date,
      undeliverabilityReason: row.undeliverability_reason,
      transitions: row.transitions
        .map(({ date, type }) => ({ at: date, type }))
        .sort((one, other) => one.at - other.at),
      emailTransitions: row.email_transitions
        .map((change) => ({ at: change.date, from: change.old_email_address, to: change.new_email_address }))
        .sort((one, other) => one.at - other.at),
    }),
  )

/** A recorded answer of March 2025 spells the page views with two underscores. */
export const AnalyticsAnswer = z
  .object({
    recipients: OptionalNumber,
    deliveries: OptionalNumber,
    opens: OptionalNumber,
    clicks: OptionalNumber,
    temporary_failures: OptionalNumber,
    permanent_failures: OptionalNumber,
    unsubscriptions: OptionalNumber,
    complaints: OptionalNumber,
    replies: OptionalNumber,
    comments: Count,
    page_views_lifetime: OptionalNumber,
    page_views_30: OptionalNumber,
    page_views_7: OptionalNumber,
    page_views__lifetime: OptionalNumber,
    page_views__30: OptionalNumber,
    page_views__7: OptionalNumber,
  })
  .transform(
    (row): EmailAnalytics => ({
      recipients: row.recipients,
      deliveries: row.deliveries,
      opens: row.opens,
      clicks: row.clicks,
      temporaryFailures: row.temporary_failures,
      permanentFailures: row.permanent_failures,
      unsubscriptions: row.unsubscriptions,
      complaints: row.complaints,
      replies: row.replies,
      comments: row.comments,
      pageViews: row.page_views_lifetime ?? row.page_views__lifetime ?? 0,
      pageViews30Days: row.page_views_30 ?? row.page_views__30 ?? 0,
      pageViews7Days: row.page_views_7 ?? row.page_views__7 ?? 0,
    }),
  )

export const EmailAnswer = z
  .object({
    id: Id,
    creation_date: Instant,
    subject: Text,
    status: Text,
    source: Text,
    absolute_url: OptionalText,
    slug: OptionalText,
    modification_date: OptionalInstant,
    publish_date: OptionalInstant,
    analytics: AnalyticsAnswer.nullish().catch(null).transform(orNull),
  })
  .transform(
    (row): Email => ({
      id: row.id,
      subject: row.subject,
      status: row.status,
      source: row.source,
      url: row.absolute_url || null,
      slug: row.slug || null,
      createdAt: row.creation_date,
      modifiedAt: row.modification_date,
      publishedAt: row.publish_date,
      analytics: row.analytics,
    }),
  )

export const EventAnswer = z
  .object({
    id: Id,
    creation_date: Instant,
    event_type: z.string().min(1),
    subscriber_id: OptionalId,
    email_id: OptionalId,
    automation_id: OptionalId,
    metadata: Metadata,
  })
  .transform(
    (row): ButtondownEvent => ({
      id: row.id,
      type: row.event_type,
      at: row.creation_date,
      subscriberId: row.subscriber_id,
      emailId: row.email_id,
      automationId: row.automation_id,
      metadata: asStrings(row.metadata),
    }),
  )

function asStrings(metadata: Record<string, unknown>) {
  const strings: [string, string][] = []
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value === 'string') strings.push([key, value])
    else if (value !== null && value !== undefined) strings.push([key, JSON.stringify(value)])
  }
  return Object.fromEntries(strings)
}

export const TagAnswer = z
  .object({
    id: Id,
    creation_date: Instant,
    name: z.string().min(1),
    color: OptionalText,
    description: OptionalText,
    public_description: OptionalText,
  })
  .transform(
    (row): ButtondownTag => ({
      id: row.id,
      name: row.name,
      color: row.color || null,
      description: row.description || row.public_description || null,
      createdAt: row.creation_date,
    }),
  )

/** @param ours our signing key, to tell whether the webhook has it; the one it has is not kept */
export const webhookAnswer = (ours: string | null) =>
  z
    .object({
      id: Id,
      creation_date: Instant,
      status: Text,
      event_types: listOf(z.string()),
      url: Text,
      description: Text,
      signing_key: Text,
    })
    .transform(
      (row): Webhook => ({
        id: row.id,
        status: row.status,
        eventTypes: row.event_types,
        url: row.url,
        description: row.description,
        signing: row.signing_key === '' ? 'none' : row.signing_key === ours ? 'ours' : 'other',
        createdAt: row.creation_date,
      }),
    )

export const AttemptAnswer = z
  .object({
    id: Id,
    creation_date: Instant,
    status: Text,
    event_type: OptionalText,
    error_message: OptionalText,
    attempt_count: Count,
    completion_date: OptionalInstant,
    duration_ms: OptionalNumber,
  })
  .transform(
    (row): WebhookAttempt => ({
      id: row.id,
      status: row.status,
      eventType: row.event_type,
      error: row.error_message,
      attempts: row.attempt_count,
      createdAt: row.creation_date,
      completedAt: row.completion_date,
      duration: row.duration_ms,
    }),
  )

/** The shell of every list. Rows are read one by one, so that one odd row does not hide the rest. */
export const PageAnswer = z.object({
  results: z.array(z.unknown()),
  next: OptionalText,
  count: OptionalNumber,
})

/** `detail` is a sentence, or after a 422 a list. */
export const ErrorAnswer = z.object({
  code: OptionalText,
  detail: z
    .union([z.string(), listOf(z.object({ loc: listOf(z.union([z.string(), z.number()])), msg: Text }))])
    .nullish()
    .catch(null)
    .transform(orNull),
})
