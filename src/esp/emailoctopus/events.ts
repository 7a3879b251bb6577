import { hash } from 'node:crypto'
import * as z from 'zod'
import { OptionalInstant, OptionalText } from '../lenient.js'

/** The eight types that EmailOctopus documents. */
const eventTypes = [
  'contact.created',
  'contact.updated',
  'contact.deleted',
  'contact.unsubscribed',
  'contact.bounced',
  'contact.complained',
  'contact.opened',
  'contact.clicked',
] as const

/** An event of a webhook's array. What it lacks is null. */
export interface OctopusEvent {
  id: string | null
  type: string
  listId: string | null
  contactId: string | null
  email: string | null
  campaignId: string | null
  at: number | null
  fields: Record<string, unknown> | null
  tags: string[] | null
  /** In lower case. Here `bounced` and `complained` are words too. */
  status: string | null
}

const Event = z
  .object({
    id: OptionalText,
    type: z.string().min(1).max(100),
    list_id: OptionalText,
    contact_id: OptionalText,
    contact_email_address: OptionalText,
    campaign_id: OptionalText,
    occurred_at: OptionalInstant,
    // PHP writes an empty object as [].
    contact_fields: z.record(z.string(), z.unknown()).nullish().catch(null),
    contact_tags: z.array(z.string()).nullish().catch(null),
    contact_status: OptionalText,
  })
  .transform(
    (row): OctopusEvent => ({
      id: row.id || null,
      type: row.type,
      listId: row.list_id || null,
      contactId: row.contact_id || null,
      email: row.contact_email_address || null,
      campaignId: row.campaign_id || null,
      at: row.occurred_at,
      fields: row.contact_fields ?? null,
      tags: row.contact_tags ?? null,
      status: row.contact_status?.toLowerCase() || null,
    }),
  )

/** The most events of one delivery, as documented. */
export const mostEvents = 1_000

/** @returns the elements of a delivery's array, unread; null when the body is no JSON array */
export function elementsIn(body: Uint8Array): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
    return Array.isArray(parsed) ? parsed : null
  } catch {
    return null
  }
}

/** @returns null for what is no event */
export function eventIn(element: unknown): OctopusEvent | null {
  const parsed = Event.safeParse(element)
  return parsed.success ? parsed.data : null
}

/** What makes an event the same one when it is sent again: its id, else what it says. */
export const keyOf = (event: OctopusEvent | null, text: string) =>
  event?.id ? event.id.toLowerCase() : hash('sha256', text)

/** Is it of a type that is read, and about somebody? The others are kept as they came. */
export const isRead = (event: OctopusEvent | null): event is OctopusEvent & { contactId: string } =>
  event !== null && event.contactId !== null && eventTypes.some((type) => type === event.type)
