import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { dayLength } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { reachedStatuses, type SubscriptionStatus } from './subscriptions.js'

/** A list as its provider describes it. */
export interface ListFacts {
  id: number
  name: string
  provider: string
  /** null where the provider does not say. */
  doubleOptIn: boolean | null
  /** The provider's own counts of its contacts; null where it does not say. */
  told: { pending: number | null; subscribed: number | null; unsubscribed: number | null }
  /** When it was made at the provider, and last changed there. */
  madeAt: number | null
  updatedAt: number | null
  /** As of when all its contacts have been read; null before that. */
  walkedAt: number | null
  /** When the provider was first found to know it no more; null as long as it does. */
  goneAt: number | null
}

export interface List extends ListFacts {
  /** How many are on it now, mail that is paused included. */
  subscribed: number
  /** Everybody who is or was on it. */
  people: number
  /** Of those on it now, how many opened, clicked or replied in the last {@link engagedDays}. */
  active: number
  fields: number
  /** The provider's own tags of it. */
  tags: number
}

/** So many days back somebody must have done something to be engaged. */
export const engagedDays = 90

/** Engagement of a list = its subscribers who did something in the last 90 days ÷ its subscribers; null without any. */
export const engagementRate = ({ active, subscribed }: Pick<List, 'active' | 'subscribed'>) =>
  subscribed === 0 ? null : active / subscribed

const readLists = (db: Db | Readers) =>
  db
    .selectFrom('lists')
    .select(['id', 'name', 'provider', 'double_opt_in', 'pending', 'subscribed', 'unsubscribed'])
    .select(['made_at', 'updated_at', 'walked_at', 'gone_at'])

type ListRow = Awaited<ReturnType<ReturnType<typeof readLists>['executeTakeFirstOrThrow']>>

const factsOf = (row: ListRow): ListFacts => ({
  id: row.id,
  name: row.name,
  provider: row.provider,
  doubleOptIn: row.double_opt_in === null ? null : row.double_opt_in === 1,
  told: { pending: row.pending, subscribed: row.subscribed, unsubscribed: row.unsubscribed },
  madeAt: row.made_at,
  updatedAt: row.updated_at,
  walkedAt: row.walked_at,
  goneAt: row.gone_at,
})

/** @throws NotFound when there is no list with this number */
export async function getList(db: Db | Readers, id: number | string): Promise<ListFacts> {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await readLists(db).where('id', '=', Number(text)).executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no list ${text.slice(0, 40)}.`)
  return factsOf(row)
}

/**
 * All lists, the largest first; those that are gone at their provider last. It looks at every subscription: remember the
 * answer for a while.
 * @param now milliseconds
 */
export async function listLists(readers: Readers, now: number): Promise<List[]> {
  const [lists, counts, active, fields, tags] = await Promise.all([
    readLists(readers).orderBy('name').execute(),
    readers
      .selectFrom('subscriptions')
      .select(({ fn }) => ['list_id', 'status', fn.countAll<number>().as('people')])
      .groupBy(['list_id', 'status'])
      .execute(),
    readers
      .selectFrom('subscriptions')
      .innerJoin('contacts', 'contacts.id', 'subscriptions.contact_id')
      .select(({ fn }) => ['list_id', fn.countAll<number>().as('people')])
      .where('subscriptions.status', 'in', reachedStatuses)
      .where('contacts.last_active_at', '>=', now - engagedDays * dayLength)
      .groupBy('list_id')
      .execute(),
    readers
      .selectFrom('list_fields')
      .select(({ fn }) => ['list_id', fn.countAll<number>().as('count')])
      .groupBy('list_id')
      .execute(),
    readers
      .selectFrom('list_tags')
      .select(({ fn }) => ['list_id', fn.countAll<number>().as('count')])
      .groupBy('list_id')
      .execute(),
  ])
  const reached: string[] = reachedStatuses
  return lists
    .map((row): List => {
      const of = <Counted extends { list_id: number }>(rows: Counted[]) =>
        rows.filter(({ list_id }) => list_id === row.id)
      const sum = (rows: { people: number }[]) => rows.reduce((total, { people }) => total + people, 0)
      return {
        ...factsOf(row),
        subscribed: sum(of(counts).filter(({ status }) => reached.includes(status))),
        people: sum(of(counts)),
        active: sum(of(active)),
        fields: of(fields)[0]?.count ?? 0,
        tags: of(tags)[0]?.count ?? 0,
      }
    })
    .sort(
      (one, other) =>
        Number(one.goneAt !== null) - Number(other.goneAt !== null) || other.subscribed - one.subscribed,
    )
}

/** How many stand to a list in which way, and how many of its subscribers are engaged. */
export async function listSizes(readers: Readers, list: number, now: number) {
  const [rows, { people: active }] = await Promise.all([
    readers
      .selectFrom('subscriptions')
      .select(({ fn }) => ['status', fn.countAll<number>().as('people')])
      .where('list_id', '=', list)
      .groupBy('status')
      .execute(),
    readers
      .selectFrom('subscriptions')
      .innerJoin('contacts', 'contacts.id', 'subscriptions.contact_id')
      .select(({ fn }) => fn.countAll<number>().as('people'))
      .where('list_id', '=', list)
      .where('subscriptions.status', 'in', reachedStatuses)
      .where('contacts.last_active_at', '>=', now - engagedDays * dayLength)
      .executeTakeFirstOrThrow(),
  ])
  const byStatus = new Map(rows.map(({ status, people }) => [status, people]))
  const of = (status: SubscriptionStatus) => byStatus.get(status) ?? 0
  return { byStatus, subscribed: reachedStatuses.reduce((sum, status) => sum + of(status), 0), active }
}

export interface ListField {
  /** What merge tags call it. */
  tag: string
  label: string
  type: string
  /** What can be chosen from; empty for a field of free text. */
  choices: string[]
  fallback: string | null
}

/** The fields of a list in the provider's order. */
export async function listFields(db: Db | Readers, list: number): Promise<ListField[]> {
  const rows = await db
    .selectFrom('list_fields')
    .select(['tag', 'label', 'type', 'choices', 'fallback'])
    .where('list_id', '=', list)
    .orderBy('position')
    .orderBy('tag')
    .execute()
  return rows.map((row) => ({ ...row, choices: JSON.parse(row.choices) as string[] }))
}

/** The provider's own tags of a list, by name, each with how many contacts of ours on the list have it. */
export async function listOwnTags(readers: Readers, list: number) {
  const rows = await readers.selectFrom('list_tags').select('name').where('list_id', '=', list).execute()
  const names = rows.map(({ name }) => name).sort((one, other) => one.localeCompare(other, 'en'))
  if (names.length === 0) return []
  const tags = await readers.selectFrom('tags').select(['id', 'name']).where('name', 'in', names).execute()
  const counts = await readers
    .selectFrom('contact_tags')
    .select(({ fn }) => ['tag_id', fn.count<number>('contact_tags.contact_id').distinct().as('contacts')])
    .where((eb) =>
      isAmong(
        eb.ref('tag_id'),
        tags.map(({ id }) => id),
      ),
    )
    .where('contact_tags.contact_id', 'in', (eb) =>
      eb.selectFrom('subscriptions').select('subscriptions.contact_id').where('list_id', '=', list),
    )
    .groupBy('tag_id')
    .execute()
  return names.map((name) => {
    const tag = tags.find((known) => known.name.toLowerCase() === name.toLowerCase())
    return { name, contacts: counts.find(({ tag_id }) => tag_id === tag?.id)?.contacts ?? 0 }
  })
}

export interface ListSnapshot {
  id: number
  at: number
  pending: number | null
  subscribed: number | null
  unsubscribed: number | null
}

/**
 * What the provider said of a list's size, whenever it had changed, oldest first.
 * @param options.since only from this instant on, and what held then; `limit` is of the latest
 */
export async function listSnapshots(
  readers: Readers,
  list: number,
  { since, limit }: { since: number; limit: number },
): Promise<ListSnapshot[]> {
  const read = () =>
    readers
      .selectFrom('list_snapshots')
      .select(['id', 'taken_at as at', 'pending', 'subscribed', 'unsubscribed'])
      .where('list_id', '=', list)
  const [before, rows] = await Promise.all([
    read()
      .where('taken_at', '<', since)
      .orderBy('taken_at', 'desc')
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst(),
    read()
      .where('taken_at', '>=', since)
      .orderBy('taken_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .execute(),
  ])
  rows.reverse()
  return before && rows.length < limit ? [{ ...before, at: since }, ...rows] : rows
}
