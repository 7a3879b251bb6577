import type { Expression, ExpressionBuilder, SqlBool } from 'kysely'
import { endsIn, greaterOf, holds, isAmong, unindexed } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { Row, Tables } from '../database/schema.js'
import { dayLength } from '../web/calendar.js'
import { type Band, bands, type ContactFilter, partsInForce } from './contact-filter.js'
import { findContacts, nameTerm, searchTerm } from './search.js'

interface Needs {
  readers: Readers
  /** Now, in milliseconds: what `active` and `quiet` are counted from. */
  now: number
}

export interface ContactRow
  extends Pick<
    Row<'contacts'>,
    | 'id'
    | 'email'
    | 'name'
    | 'source'
    | 'status'
    | 'created_at'
    | 'subscribed_at'
    | 'mailings'
    | 'score'
    | 'score_before'
    | 'band'
    | 'opens'
    | 'proxy_opens'
    | 'machine_opens'
    | 'unjudged_opens'
    | 'clicks'
    | 'machine_clicks'
    | 'unjudged_clicks'
    | 'replies'
    | 'last_active_at'
    | 'machine_last_active_at'
  > {
  /** Points that the score rose by in thirty days, or (negative) fell; null where there is nothing to compare with. */
  trend: number | null
  tags: string[]
}

/** A filter whose tags and part of a name were looked up: what a query can say without asking again. */
export interface Conditions {
  filter: ContactFilter
  now: number
  /** Ids of the tags; null where one of those that are wanted does not exist. */
  tags: number[] | null
  not: number[]
  /** Who may match `q`; null where each is looked at. */
  found: number[] | null
}

/** More contacts than this are not looked up by the part of a name they have: reading through all is no slower. */
const manyContacts = 5_000

/** Looks up what a filter names. One filter may serve several queries. */
export async function conditionsOf({ readers, now }: Needs, filter: ContactFilter): Promise<Conditions> {
  const [tags, found] = await Promise.all([
    tagIds(readers, [...filter.tag, ...filter.not]),
    filter.q === '' ? null : findContacts(readers, searchTerm(filter.q), manyContacts),
  ])
  const known = (names: string[]) =>
    names.map((name) => tags.get(name.toLowerCase())).filter((id) => id !== undefined)
  const wanted = known(filter.tag)
  const missing = filter.tags === 'any' ? wanted.length === 0 : wanted.length < filter.tag.length
  return {
    filter,
    now,
    tags: filter.tag.length > 0 && missing ? null : wanted,
    not: known(filter.not),
    found,
  }
}

async function tagIds(readers: Readers, names: string[]) {
  if (names.length === 0) return new Map<string, number>()
  const rows = await readers.selectFrom('tags').select(['id', 'name']).where('name', 'in', names).execute()
  return new Map(rows.map(({ id, name }) => [name.toLowerCase(), id]))
}

type Columns = ExpressionBuilder<Tables, 'contacts'>

/**
 * The conditions of a filter on the columns of `contacts`, for every query that reads them.
 * @param few says that a query looks at few contacts: then tags and lists are looked up for each, not read as a whole
 */
export function letThrough(
  eb: Columns,
  { filter, now, tags, not, found }: Conditions,
  { few = false }: { few?: boolean } = {},
): Expression<SqlBool> {
  const conditions: Expression<SqlBool>[] = [eb('contacts.erased_at', 'is', null)]
  const say = (condition: Expression<SqlBool>) => conditions.push(condition)
  const id = () => eb.ref('contacts.id')

  const tagged = (wanted: number[]) => {
    const rows = eb.selectFrom('contact_tags').select('contact_id').where('tag_id', 'in', wanted)
    return few ? eb.exists(rows.whereRef('contact_id', '=', 'contacts.id')) : eb('contacts.id', 'in', rows)
  }
  if (tags === null) say(eb.lit(false) as unknown as Expression<SqlBool>)
  else if (filter.tags === 'any' && tags.length > 1) say(tagged(tags))
  else for (const tag of tags) say(tagged([tag]))
  for (const tag of not) say(eb.not(tagged([tag])))

  const { status } = filter
  if (filter.list) {
    const members = eb
      .selectFrom('subscriptions')
      .select('contact_id')
      .where('list_id', '=', filter.list)
      .$if(status !== '' && status !== 'none', (query) => query.where('subscriptions.status', '=', status))
    say(
      few ? eb.exists(members.whereRef('contact_id', '=', 'contacts.id')) : eb('contacts.id', 'in', members),
    )
  } else if (status !== '' && status !== 'none') say(eb('contacts.status', '=', status))
  // Whoever is on a list is not on no list: with one, this lets nobody through.
  if (status === 'none') say(eb('contacts.status', 'is', null))

  if (filter.band === 'none') say(eb('contacts.band', 'is', null))
  else if (filter.band !== '') say(eb('contacts.band', '=', filter.band))
  if (filter.source !== '') say(eb('contacts.source', '=', filter.source))
  if (filter.score > 0) say(eb('contacts.score', '>=', filter.score))

  const last = lastActivity(eb, filter)
  if (filter.active) say(eb(last, '>=', now - filter.active * dayLength))
  if (filter.quiet) say(eb.or([eb(last, 'is', null), eb(last, '<', now - filter.quiet * dayLength)]))
  if (filter.domain !== '') say(endsIn(eb.ref('contacts.email'), `@${filter.domain}`))

  if (filter.q !== '') {
    if (found) say(isAmong(id(), found))
    else
      say(
        eb.or([
          holds(eb.ref('contacts.email'), searchTerm(filter.q)),
          holds(eb.ref('contacts.name_folded'), nameTerm(searchTerm(filter.q))),
        ]),
      )
  }
  return eb.and(conditions)
}

/** When somebody did something last, machines and proxies with them if they are asked for. No index is looked up by it. */
const lastActivity = (eb: Columns, { machines }: Pick<ContactFilter, 'machines'>) =>
  machines
    ? greaterOf(eb.ref('contacts.last_active_at'), eb.ref('contacts.machine_last_active_at'))
    : (unindexed(eb.ref('contacts.last_active_at') as Expression<number>) as Expression<number | null>)

/** What the contacts are put in order by. */
function sortValue(eb: Columns, filter: Pick<ContactFilter, 'sort' | 'machines'>) {
  const { machines } = filter
  switch (filter.sort) {
    case 'score':
      return eb.ref('contacts.score')
    case 'trend':
      return eb('contacts.score', '-', eb.ref('contacts.score_before'))
    case 'name':
      return eb
        .case()
        .when('contacts.name_folded', '=', '')
        .then(eb.ref('contacts.email'))
        .else(eb.ref('contacts.name_folded'))
        .end()
    case 'opens':
      return machines
        ? eb(eb('contacts.opens', '+', eb.ref('contacts.proxy_opens')), '+', eb.ref('contacts.machine_opens'))
        : eb.ref('contacts.opens')
    case 'clicks':
      return machines
        ? eb('contacts.clicks', '+', eb.ref('contacts.machine_clicks'))
        : eb.ref('contacts.clicks')
    case 'last':
      return lastActivity(eb, filter)
    case 'since':
      return eb.ref('contacts.subscribed_at')
  }
}

/** Everybody but those who were erased: all of them, by band, and those without a score yet (`none`). */
export type BandSizes = Record<'everyone' | 'none' | Band, number>

/** Counted in indexes alone, about 5 ms for 100,000 contacts. */
export async function bandSizes(readers: Readers): Promise<BandSizes> {
  const [all, inBands, erased] = await Promise.all([
    readers
      .selectFrom('contacts')
      .select(({ fn }) => fn.countAll<number>().as('contacts'))
      .executeTakeFirstOrThrow(),
    readers
      .selectFrom('contacts')
      .select(({ fn }) => ['band', fn.countAll<number>().as('contacts')])
      .where('band', 'is not', null)
      .groupBy('band')
      .execute(),
    readers.selectFrom('contacts').select('band').where('erased_at', 'is not', null).execute(),
  ])
  const sizes: BandSizes = {
    everyone: all.contacts - erased.length,
    none: 0,
    champion: 0,
    active: 0,
    passive: 0,
    fading: 0,
    dormant: 0,
    new: 0,
  }
  for (const { band, contacts } of inBands) sizes[band as Band] += contacts
  for (const { band } of erased) if (band !== null) sizes[band as Band] -= 1
  sizes.none = bands.reduce((rest, band) => rest - sizes[band], sizes.everyone)
  return sizes
}

/** How many contacts a filter lets through: in indexes alone where it names bands or tags only, else by a scan. */
export async function countContacts(readers: Readers, conditions: Conditions): Promise<number> {
  const { filter } = conditions
  const parts = partsInForce(filter)
  if (parts.every((part) => part === 'band')) return (await bandSizes(readers))[filter.band || 'everyone']
  if (parts.every((part) => part === 'tag' || part === 'not')) return countTagged(readers, conditions)
  const { contacts } = await readers
    .selectFrom('contacts')
    .where((eb) => letThrough(eb, conditions))
    .select(({ fn }) => fn.countAll<number>().as('contacts'))
    .executeTakeFirstOrThrow()
  return contacts
}

/** Who has some tags and has not some others. Whoever was erased has none. */
async function countTagged(readers: Readers, { filter, tags, not }: Conditions): Promise<number> {
  if (tags === null) return 0
  const tagged = (wanted: number[]) =>
    readers
      .selectFrom('contact_tags')
      .select(({ fn }) => fn.count<number>('contact_id').distinct().as('contacts'))
      .where('tag_id', 'in', wanted)
  if (tags.length === 0) {
    const { contacts } = await tagged(not).executeTakeFirstOrThrow()
    return (await bandSizes(readers)).everyone - contacts
  }
  const [first, ...others] = filter.tags === 'any' ? [tags] : tags.map((tag) => [tag])
  let query = tagged(first!)
  const having = (wanted: number[]) =>
    readers.selectFrom('contact_tags').select('contact_id').where('tag_id', 'in', wanted)
  for (const other of others) query = query.where('contact_id', 'in', having(other))
  if (not.length > 0) query = query.where('contact_id', 'not in', having(not))
  return (await query.executeTakeFirstOrThrow()).contacts
}

/** How many contacts each of several filters lets through, in one scan. */
export async function sizesOf(readers: Readers, filters: Conditions[]): Promise<number[]> {
  if (filters.length === 0) return []
  const row: Record<string, number> = await readers
    .selectFrom('contacts')
    .select(({ eb, fn, lit }) =>
      filters.map((conditions, index) =>
        fn
          .coalesce(fn.sum<number>(eb.case().when(letThrough(eb, conditions)).then(1).else(0).end()), lit(0))
          .as(`filter_${index}`),
      ),
    )
    .executeTakeFirstOrThrow()
  return filters.map((_, index) => row[`filter_${index}`]!)
}

export interface ContactPage {
  rows: ContactRow[]
  /** The contact after which the next page begins; null on the last one. */
  next: number | null
}

/**
 * One page of contacts in the order of the filter, those without a value last, equals newest first. It begins after
 * the contact that `after` names, wherever that one stands by now.
 */
export async function listContacts(
  readers: Readers,
  conditions: Conditions,
  { limit = 50 }: { limit?: number } = {},
): Promise<ContactPage> {
  const ids = await idsInOrder(readers, conditions, limit + 1)
  const rows = await contactRows(readers, ids.slice(0, limit))
  return { rows, next: ids.length > limit ? ids[limit - 1]! : null }
}

/** Looks up these contacts, in this order. Those who are gone, or were erased, are left out. */
export async function contactRows(readers: Readers, ids: number[]): Promise<ContactRow[]> {
  if (ids.length === 0) return []
  const [contacts, tags] = await Promise.all([
    readers
      .selectFrom('contacts')
      .select(['id', 'email', 'name', 'source', 'status', 'created_at', 'subscribed_at', 'mailings'])
      .select(['score', 'score_before', 'band', 'opens', 'proxy_opens', 'machine_opens', 'unjudged_opens'])
      .select(['clicks', 'machine_clicks', 'unjudged_clicks', 'replies'])
      .select(['last_active_at', 'machine_last_active_at'])
      .where(({ ref }) => isAmong(ref('id'), ids))
      .where('erased_at', 'is', null)
      .execute(),
    readers
      .selectFrom('contact_tags')
      .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
      .select(['contact_id', 'name'])
      .distinct()
      .where(({ ref }) => isAmong(ref('contact_id'), ids))
      .orderBy('name')
      .execute(),
  ])
  const tagsOf = new Map<number, string[]>()
  for (const { contact_id, name } of tags) tagsOf.set(contact_id, [...(tagsOf.get(contact_id) ?? []), name])
  const byId = new Map(contacts.map((contact) => [contact.id, contact]))
  return ids.flatMap((id) => {
    const contact = byId.get(id)
    if (!contact) return []
    const { score, score_before } = contact
    const trend =
      score === null || score_before === null ? null : Math.round(score) - Math.round(score_before)
    return [{ ...contact, trend, tags: tagsOf.get(id) ?? [] }]
  })
}

async function idsInOrder(readers: Readers, conditions: Conditions, limit: number): Promise<number[]> {
  const { filter } = conditions
  const parts = partsInForce(filter)
  const after = filter.after ? await placeOf(readers, filter) : null
  const byIndex = filter.sort === 'score' && filter.order === 'desc' && parts.every((part) => part === 'band')
  if (!byIndex || filter.band === 'none') return scanInOrder(readers, conditions, after, limit)

  // Nobody but a band, the best first: an index holds just that, and only the page itself is read.
  const scored =
    after && after.value === null
      ? []
      : await readers
          .selectFrom('contacts')
          .select('id')
          .where('erased_at', 'is', null)
          .where('score', 'is not', null)
          .$if(filter.band !== '', (query) => query.where('band', '=', filter.band))
          .$if(after !== null, (query) =>
            query
              .where('score', '<=', after!.value as number)
              .where(({ eb, or }) =>
                or([eb('score', '<', after!.value as number), eb('id', '<', after!.id)]),
              ),
          )
          .orderBy('score', 'desc')
          .orderBy('id', 'desc')
          .limit(limit)
          .execute()
  const ids = scored.map(({ id }) => id)
  if (ids.length === limit) return ids
  const unscored = await readers
    .selectFrom('contacts')
    .select('id')
    .where('erased_at', 'is', null)
    .where('score', 'is', null)
    .$if(filter.band !== '', (query) => query.where('band', '=', filter.band))
    .$if(after !== null && after.value === null, (query) => query.where('id', '<', after!.id))
    .orderBy('id', 'desc')
    .limit(limit - ids.length)
    .execute()
  return [...ids, ...unscored.map(({ id }) => id)]
}

interface Place {
  id: number
  value: number | string | null
}

/** Where the contact stands that the page before ended with; null when it is gone. */
async function placeOf(readers: Readers, filter: ContactFilter): Promise<Place | null> {
  const row = await readers
    .selectFrom('contacts')
    .select((eb) => ['id', eb.parens(sortValue(eb, filter) as never).as('value')])
    .where('id', '=', filter.after)
    .executeTakeFirst()
  return row ? { id: row.id, value: row.value as Place['value'] } : null
}

/** So many of the best are looked at before all are: most filters let a page of them through. */
const firstSteps = 2_000

async function scanInOrder(readers: Readers, conditions: Conditions, after: Place | null, limit: number) {
  const { filter } = conditions
  const down = filter.order === 'desc'
  const inOrder = ({ few }: { few: boolean }) =>
    readers
      .selectFrom('contacts')
      .select('contacts.id')
      .where((eb) => letThrough(eb, conditions, { few }))
      .$if(after !== null, (query) => query.where((eb) => comesAfter(eb, filter, after!)))
      .orderBy(
        (eb) => sortValue(eb, filter),
        (order) => (down ? order.desc() : order.asc()).nullsLast(),
      )
      .orderBy('contacts.id', 'desc')
      .limit(limit)
  if (filter.sort === 'score' && down && after?.value !== null) {
    const best = readers
      .selectFrom('contacts as best')
      .select('best.id')
      .where('best.score', 'is not', null)
      .$if(after !== null, (query) => query.where('best.score', '<=', after!.value as number))
      .orderBy('best.score', 'desc')
      .orderBy('best.id', 'desc')
      .limit(firstSteps)
    const rows = await inOrder({ few: true }).where('contacts.id', 'in', best).execute()
    if (rows.length === limit) return rows.map(({ id }) => id)
  }
  const rows = await inOrder({ few: false }).execute()
  return rows.map(({ id }) => id)
}

function comesAfter(eb: Columns, filter: ContactFilter, { id, value }: Place) {
  const own = sortValue(eb, filter) as Expression<number | null>
  const older = eb('contacts.id', '<', id)
  if (value === null) return eb.and([eb(own, 'is', null), older])
  const beyond = eb(own, filter.order === 'desc' ? '<' : '>', value as number)
  return eb.or([beyond, eb.and([eb(own, '=', value as number), older]), eb(own, 'is', null)])
}

/**
 * The ids of all whom a filter lets through, in pages of ascending ids. Each page looks at so many contacts, whether the
 * filter lets them through or not, so that no query runs long; whoever comes later is left out.
 */
export async function* contactIds(
  readers: Readers,
  conditions: Conditions,
  { pageLength = 5_000 }: { pageLength?: number } = {},
): AsyncGenerator<number[]> {
  const newest = await readers
    .selectFrom('contacts')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  const end = newest?.id ?? 0
  for (let from = 0; from < end; from += pageLength) {
    const rows = await readers
      .selectFrom('contacts')
      .select('contacts.id')
      .where('contacts.id', '>', from)
      .where('contacts.id', '<=', Math.min(from + pageLength, end))
      .where((eb) => letThrough(eb, conditions))
      .orderBy('contacts.id')
      .execute()
    if (rows.length > 0) yield rows.map(({ id }) => id)
  }
}
