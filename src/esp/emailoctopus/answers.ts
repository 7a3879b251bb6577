import * as z from 'zod'
import { listOf, OptionalInstant, OptionalNumber, OptionalText, Text } from '../lenient.js'

// What EmailOctopus' answers mean to us, written by hand, since its OpenAPI document has types that are none. Instants
// are UTC milliseconds, statuses are in lower case whatever their case was. What an answer lacks is null.

/** One campaign at EmailOctopus, which we call a mailing. */
export interface Campaign {
  id: string
  /** `draft`, `sending`, `sent`, `error`; others may appear. */
  status: string
  /** Internal; readers see the subject. */
  name: string
  subject: string
  /** Ids of the lists it went to. Tags and segments are not told. */
  listIds: string[]
  fromName: string
  fromEmail: string
  /** In full, merge tags and all; null when the answer has none. */
  html: string | null
  createdAt: number | null
  /** Null for drafts. */
  sentAt: number | null
}

/** EmailOctopus' own counts of one campaign. There is no `delivered`: it is `sent` without the bounces. */
export interface Summary {
  sent: number | null
  hardBounces: number | null
  softBounces: number | null
  opens: number | null
  uniqueOpens: number | null
  clicks: number | null
  uniqueClicks: number | null
  complaints: number | null
  unsubscribes: number | null
}

/** Clicks on one address in a campaign. There is no id, and the same address may come twice. */
export interface ReportLink {
  url: string
  clicks: number | null
  uniqueClicks: number | null
}

/** One contact in a report, in which a contact may come more than once. */
export interface ReportContact {
  contactId: string
  /** Null for a contact that was deleted since. */
  email: string | null
  /** Null where nothing happened (`not-opened`, `not-clicked`), or where it is not told. */
  at: number | null
}

export interface ListField {
  /** For people. */
  label: string
  /** Under this key contacts have their value. */
  tag: string
  /** `text`, `number`, `date`, `choice_single`, `choice_multiple`; others may appear. */
  type: string
  /** Of the two choice types; empty for the others. */
  choices: string[]
  fallback: string | null
}

export interface OctopusList {
  id: string
  name: string
  doubleOptIn: boolean
  fields: ListField[]
  tags: string[]
  counts: { pending: number | null; subscribed: number | null; unsubscribed: number | null }
  createdAt: number | null
  updatedAt: number | null
}

export type FieldValue = string | number | boolean | string[]

/** A person on one list. The same person on two lists is two of these, with two ids. */
export interface OctopusContact {
  id: string
  /** Null for a contact that was deleted. */
  email: string | null
  /** Values by the field's tag; those without a value are left out. */
  fields: Record<string, FieldValue>
  tags: string[]
  /** `pending`, `subscribed`, `unsubscribed`. A hard bounce makes `unsubscribed` too. */
  status: string
  createdAt: number | null
  updatedAt: number | null
}

const Id = z.string().min(1)
const Status = Text.transform((status) => status.toLowerCase())

/** An object; PHP writes an empty one as `[]`. */
const Fields = z
  .record(z.string(), z.unknown())
  .nullish()
  .catch(null)
  .transform((fields) => {
    const known: [string, FieldValue][] = []
    for (const [tag, value] of Object.entries(fields ?? {}))
      if (Array.isArray(value)) known.push([tag, value.filter((choice) => typeof choice === 'string')])
      else if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
        known.push([tag, value])
    return Object.fromEntries(known)
  })

export const CampaignAnswer = z
  .object({
    id: Id,
    status: Status,
    name: Text,
    subject: Text,
    to: listOf(Id),
    from: z.object({ name: Text, email_address: Text }).nullish().catch(null),
    content: z.object({ html: OptionalText }).nullish().catch(null),
    created_at: OptionalInstant,
    sent_at: OptionalInstant,
  })
  .transform(
    (row): Campaign => ({
      id: row.id,
      status: row.status,
      name: row.name,
      subject: row.subject,
      listIds: row.to,
      fromName: row.from?.name ?? '',
      fromEmail: row.from?.email_address ?? '',
      html: row.content?.html ?? null,
      createdAt: row.created_at,
      sentAt: row.sent_at,
    }),
  )

const TotalAndUnique = z.object({ total: OptionalNumber, unique: OptionalNumber }).nullish().catch(null)

export const SummaryAnswer = z
  .object({
    sent: OptionalNumber,
    bounced: z.object({ hard: OptionalNumber, soft: OptionalNumber }).nullish().catch(null),
    opened: TotalAndUnique,
    clicked: TotalAndUnique,
    complained: OptionalNumber,
    unsubscribed: OptionalNumber,
  })
  .transform(
    (row): Summary => ({
      sent: row.sent,
      hardBounces: row.bounced?.hard ?? null,
      softBounces: row.bounced?.soft ?? null,
      opens: row.opened?.total ?? null,
      uniqueOpens: row.opened?.unique ?? null,
      clicks: row.clicked?.total ?? null,
      uniqueClicks: row.clicked?.unique ?? null,
      complaints: row.complained,
      unsubscribes: row.unsubscribed,
    }),
  )

export const LinkAnswer = z
  .object({ url: z.string().min(1), clicked_total: OptionalNumber, clicked_unique: OptionalNumber })
  .transform(
    (row): ReportLink => ({ url: row.url, clicks: row.clicked_total, uniqueClicks: row.clicked_unique }),
  )

export const ReportContactAnswer = z
  .object({ contact_id: Id, contact_email_address: OptionalText, occurred_at: OptionalInstant })
  .transform(
    (row): ReportContact => ({
      contactId: row.contact_id,
      email: row.contact_email_address || null,
      at: row.occurred_at,
    }),
  )

const FieldAnswer = z
  .object({
    label: Text,
    tag: z.string().min(1),
    type: Status,
    choices: listOf(z.string()),
    fallback: OptionalText,
  })
  .transform((row): ListField => ({ ...row, label: row.label || row.tag }))

/** One object as clients know it, or the list of objects that the document promises. */
const Counts = z
  .union([z.array(z.unknown()), z.record(z.string(), z.unknown())])
  .nullish()
  .catch(null)
  .transform((given) => {
    const merged: Record<string, unknown> = Object.assign({}, ...(Array.isArray(given) ? given : [given]))
    const count = (name: string) => (typeof merged[name] === 'number' ? merged[name] : null)
    return {
      pending: count('pending'),
      subscribed: count('subscribed'),
      unsubscribed: count('unsubscribed'),
    }
  })

export const ListAnswer = z
  .object({
    id: Id,
    name: Text,
    double_opt_in: z.boolean().nullish().catch(null),
    fields: listOf(FieldAnswer),
    tags: listOf(z.string().min(1)),
    counts: Counts,
    created_at: OptionalInstant,
    last_updated_at: OptionalInstant,
  })
  .transform(
    (row): OctopusList => ({
      id: row.id,
      name: row.name,
      doubleOptIn: row.double_opt_in ?? false,
      fields: row.fields,
      tags: row.tags,
      counts: row.counts,
      createdAt: row.created_at,
      updatedAt: row.last_updated_at,
    }),
  )

export const ContactAnswer = z
  .object({
    id: Id,
    email_address: OptionalText,
    fields: Fields,
    tags: listOf(z.string().min(1)),
    status: Status,
    created_at: OptionalInstant,
    last_updated_at: OptionalInstant,
  })
  .transform(
    (row): OctopusContact => ({
      id: row.id,
      email: row.email_address || null,
      fields: row.fields,
      tags: row.tags,
      status: row.status,
      createdAt: row.created_at,
      updatedAt: row.last_updated_at,
    }),
  )

const Next = z.object({ next: z.object({ url: z.string().min(1), starting_after: OptionalText }) })

/**
 * The shell of every list. Rows are read one by one, so that one odd row does not hide the rest. The documents do not say
 * what `paging` is on the last page: without a `next` that has a `url`, whatever else there is, that page was the last.
 */
export const PageAnswer = z
  .object({ data: z.array(z.unknown()), paging: z.unknown().optional() })
  .transform((answer) => {
    const parsed = Next.safeParse(answer.paging)
    return { rows: answer.data, next: parsed.success ? parsed.data.next : null }
  })

/** RFC 7807, with a list of what is wrong after a 422. */
export const ErrorAnswer = z.object({
  detail: OptionalText,
  errors: listOf(z.object({ detail: Text, pointer: OptionalText, parameter: OptionalText })),
})
