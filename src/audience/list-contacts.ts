import { isAmong, jsonHolds } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import type { ListFilter } from './list-view.js'

/** What a field of a contact can hold, as the provider told it. */
export type FieldValue = string | number | boolean | null | (string | number)[]

/** A contact as one list knows it. */
export interface ListContact {
  id: number
  email: string
  name: string
  status: string
  source: string
  subscribedAt: number | null
  unsubscribedAt: number | null
  /** 0 to 100; null without a delivered mailing. */
  score: number | null
  lastActiveAt: number | null
  /** When machines or mail proxies did something for them last. */
  machineLastActiveAt: number | null
  tags: string[]
  /** By the tags of the list's fields. */
  fields: Record<string, FieldValue>
}

/** A filter of one list's contacts whose tag was looked up. */
export interface ListConditions {
  list: number
  filter: ListFilter
  /** null: whichever. 0: there is no tag of this name, so nobody has it. */
  tag: number | null
  /** Instants; from the first on, and before the other. */
  from: number | null
  until: number | null
}

/** Looks up what a filter names. One filter may serve several queries. */
export async function listConditions(
  readers: Readers,
  calendar: Calendar,
  list: number,
  filter: ListFilter,
): Promise<ListConditions> {
  const { tag, from, until } = filter
  const known =
    tag === ''
      ? undefined
      : await readers.selectFrom('tags').select('id').where('name', '=', tag).executeTakeFirst()
  return {
    list,
    filter,
    tag: tag === '' ? null : (known?.id ?? 0),
    from: from === '' ? null : calendar.startOf(from),
    until: until === '' ? null : calendar.startOf(calendar.shift(until, 1)),
  }
}

/** The subscriptions that a filter lets through, but those of erased people. */
const letThrough = (readers: Readers, { list, filter, tag, from, until }: ListConditions) =>
  readers
    .selectFrom('subscriptions')
    .innerJoin('contacts', 'contacts.id', 'subscriptions.contact_id')
    .where('subscriptions.list_id', '=', list)
    .where('contacts.erased_at', 'is', null)
    .$if(filter.status !== '', (query) => query.where('subscriptions.status', '=', filter.status))
    .$if(from !== null, (query) => query.where('subscriptions.subscribed_at', '>=', from))
    .$if(until !== null, (query) => query.where('subscriptions.subscribed_at', '<', until))
    .$if(tag !== null, (query) =>
      query.where((eb) =>
        eb.exists(
          eb
            .selectFrom('contact_tags')
            .select('contact_tags.contact_id')
            .whereRef('contact_tags.contact_id', '=', 'subscriptions.contact_id')
            .where('contact_tags.tag_id', '=', tag),
        ),
      ),
    )
    .where((eb) =>
      eb.and(filter.fields.map(({ tag, value }) => jsonHolds(eb.ref('subscriptions.fields'), tag, value))),
    )

export interface ListContactPage {
  rows: ListContact[]
  /** Where the next page begins: after this contact; null on the last. */
  next: Place | null
}
interface Place {
  id: number
  /** When it came. */
  at: number | null
}

/**
 * The contacts of a list, who came last first; those of whom nobody told when they came are at the end. The list's
 * subscriptions are walked through in the order of an index: a page of a rare filter looks at all of them.
 * @param options.after the place that the page before told, or its contact alone; null or 0 for the first
 */
export async function listContactsOf(
  readers: Readers,
  conditions: ListConditions,
  { after = null, limit = 50 }: { after?: Place | number | null; limit?: number } = {},
): Promise<ListContactPage> {
  const place = typeof after === 'number' ? await placeOf(readers, conditions.list, after) : after
  const wanted = limit + 1
  const rows = () =>
    letThrough(readers, conditions)
      .select(['subscriptions.contact_id as id', 'contacts.email', 'contacts.name'])
      .select(['subscriptions.status', 'subscriptions.source', 'subscriptions.fields'])
      .select(['subscriptions.subscribed_at', 'subscriptions.unsubscribed_at'])
      .select(['contacts.score', 'contacts.last_active_at', 'contacts.machine_last_active_at'])
      .orderBy('subscriptions.subscribed_at', 'desc')
      .orderBy('subscriptions.contact_id', 'desc')
  const dated =
    place?.at === null
      ? []
      : await rows()
          .where('subscriptions.subscribed_at', 'is not', null)
          .$if(place !== null, (query) =>
            query
              .where('subscriptions.subscribed_at', '<=', place!.at)
              .where(({ eb, or }) =>
                or([
                  eb('subscriptions.subscribed_at', '<', place!.at),
                  eb('subscriptions.contact_id', '<', place!.id),
                ]),
              ),
          )
          .limit(wanted)
          .execute()
  const undated =
    dated.length === wanted
      ? []
      : await rows()
          .where('subscriptions.subscribed_at', 'is', null)
          .$if(place?.at === null, (query) => query.where('subscriptions.contact_id', '<', place!.id))
          .limit(wanted - dated.length)
          .execute()
  const found = [...dated, ...undated]
  const page = found.slice(0, limit)
  const tags = await tagsOf(
    readers,
    page.map(({ id }) => id),
  )
  return {
    rows: page.map((row) => ({
      id: row.id,
      email: row.email,
      name: row.name,
      status: row.status,
      source: row.source,
      subscribedAt: row.subscribed_at,
      unsubscribedAt: row.unsubscribed_at,
      score: row.score === null ? null : Math.round(row.score),
      lastActiveAt: row.last_active_at,
      machineLastActiveAt: row.machine_last_active_at,
      tags: tags.get(row.id) ?? [],
      fields: row.fields === null ? {} : (JSON.parse(row.fields) as ListContact['fields']),
    })),
    next: found.length > limit ? { id: page.at(-1)!.id, at: page.at(-1)!.subscribed_at } : null,
  }
}

/** When the contact came that the page before ended with; where it has left meanwhile, the pages begin anew. */
async function placeOf(readers: Readers, list: number, contact: number): Promise<Place | null> {
  if (contact === 0) return null
  const row = await readers
    .selectFrom('subscriptions')
    .select(['contact_id as id', 'subscribed_at as at'])
    .where('list_id', '=', list)
    .where('contact_id', '=', contact)
    .executeTakeFirst()
  return row ?? null
}

async function tagsOf(readers: Readers, contacts: number[]) {
  const rows = await readers
    .selectFrom('contact_tags')
    .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
    .select(['contact_id', 'name'])
    .distinct()
    .where(({ ref }) => isAmong(ref('contact_id'), contacts))
    .orderBy('name')
    .execute()
  const tags = new Map<number, string[]>()
  for (const { contact_id, name } of rows) tags.set(contact_id, [...(tags.get(contact_id) ?? []), name])
  return tags
}

/** How many a filter lets through. It looks at every subscription of the list: remember the answer for a while. */
export async function countContactsOf(readers: Readers, conditions: ListConditions): Promise<number> {
  const { contacts } = await letThrough(readers, conditions)
    .select(({ fn }) => fn.countAll<number>().as('contacts'))
    .executeTakeFirstOrThrow()
  return contacts
}

/** A value of a field as a page or a table writes it. */
export const fieldWords = (value: FieldValue | undefined) =>
  value === null || value === undefined ? '' : Array.isArray(value) ? value.join(', ') : String(value)
