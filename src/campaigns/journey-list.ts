import { domainToUnicode } from 'node:url'
import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely'
import { findContacts } from '../audience/search.js'
import { holds, isAmong, unindexed } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Row, Tables } from '../database/schema.js'
import { type EventKind, kindNumber } from './kinds.js'
import type { Counting } from './statistics.js'

/** What journeys can be filtered by: an event that happened, or a way that was not finished. */
export const journeyEvents = [
  'email_click',
  'landing_click',
  'conversion',
  'not_landed',
  'not_converted',
] as const
export type JourneyEvent = (typeof journeyEvents)[number]

export interface JourneyFilter extends Counting {
  /** One sending domain; null for all. */
  domainId: number | null
  event: JourneyEvent | null
  /** Part of an address as `searchTerm` spells it; empty for everybody. */
  email: string
}

export interface JourneyRow extends Row<'journeys'> {
  email: string
  /** The sending domain in ASCII, and as people read it. */
  domain: string
  domainName: string
}

export interface JourneyPage {
  rows: JourneyRow[]
  /** How many journeys the filter lets through; at least so many where `exact` is false. */
  count: number
  exact: boolean
  hasMore: boolean
}

/** Where a page of journeys begins: after the journey with this id; `offset` alone skips so many. */
export interface Place {
  offset?: number
  after?: number | null
  limit?: number
}

/** Up to so many journeys are read through for a part of an address, newest first; it takes some 20 ms. */
const walkLength = 10_000
/** So many are read through before the index of addresses is asked: a part that many have fills a page at once. */
const firstSteps = 2_000
/** Looking up the journeys of so many contacts costs less than walking. */
const fewContacts = 3_000
/** More contacts than this that may have a part of an address are not looked at one by one. */
const manyContacts = 20_000

/**
 * Journeys of a campaign, newest first: by the id of their first event, which never changes, so that nothing is shown
 * twice or left out when events arrive between two pages. A journey is one person on one sending domain.
 *
 * Counts come from `journey_counts`; rows are read by worker threads, since a rare filter may have to walk far.
 */
export async function listJourneys(
  { db, readers }: { db: Db; readers: Readers },
  campaignId: number,
  filter: JourneyFilter,
  place: Place = {},
): Promise<JourneyPage> {
  const limit = place.limit ?? 50
  const count = await countJourneys(db, campaignId, filter)
  if (count === 0) return { rows: [], count, exact: true, hasMore: false }
  if (filter.email !== '') return searchJourneys(readers, campaignId, filter, { ...place, limit }, count)
  // The first page need not walk on to the end for a row that is not there.
  const wanted = place.after || place.offset ? limit + 1 : Math.min(limit + 1, count)
  const rows = await journeys(readers, campaignId, filter, place).limit(wanted).execute()
  return pageOf(rows, limit, { count, exact: true })
}

/** How many journeys a domain and an event let through (`email` is not looked at), from the counts. */
async function countJourneys(
  db: Db,
  campaignId: number,
  { domainId, event, machines }: Omit<JourneyFilter, 'email'>,
): Promise<number> {
  const { journeys } = await db
    .selectFrom('journey_counts')
    .select(({ fn }) => fn.coalesce(fn.sum<number>('journeys'), sql<number>`0`).as('journeys'))
    .where('campaign_id', '=', campaignId)
    .where('machines', '=', machines ? 1 : 0)
    .where('shape', 'in', shapesWith(event))
    .$if(domainId !== null, (query) => query.where('domain_id', '=', domainId!))
    .executeTakeFirstOrThrow()
  return journeys
}

/** Journeys with their addresses and domains; whoever reads them says which. */
const journeyRows = (readers: Readers) =>
  readers
    .selectFrom('journeys')
    .innerJoin('contacts', 'contacts.id', 'journeys.contact_id')
    .innerJoin('sending_domains', 'sending_domains.id', 'journeys.domain_id')
    .selectAll('journeys')
    .select(['contacts.email', 'sending_domains.name as domain'])

/** One journey with its address and domain; undefined when it is not of this campaign. */
export async function findJourney(
  readers: Readers,
  campaignId: number,
  id: number,
): Promise<JourneyRow | undefined> {
  const row = await journeyRows(readers)
    .where('journeys.id', '=', id)
    .where('campaign_id', '=', campaignId)
    .executeTakeFirst()
  return row && withName(row)
}

/** How far a person came: bits 1 clicked, 2 landed, 4 converted. */
const shapesWith = (event: JourneyEvent | null) =>
  [1, 2, 3, 4, 5, 6, 7].filter((shape) => {
    if (event === null) return true
    if (event === 'not_landed') return shape & 1 && !(shape & 2)
    if (event === 'not_converted') return shape & 2 && !(shape & 4)
    return shape & (1 << (kindNumber(event as EventKind) - 1))
  })

type Columns = ExpressionBuilder<Tables, 'journeys'>

/** The conditions of a filter on the columns of `journeys`, for every query that reads them. */
export function letThrough(eb: Columns, { domainId, event, machines }: Omit<JourneyFilter, 'email'>) {
  const conditions: Expression<SqlBool>[] = []
  // An index holds those who landed, another those who converted: both are shorter than one by domain.
  const rare = !machines && (event === 'landing_click' || event === 'conversion' || event === 'not_converted')
  if (domainId !== null)
    conditions.push(
      rare
        ? eb(unindexed(eb.ref('journeys.domain_id')), '=', domainId)
        : eb('journeys.domain_id', '=', domainId),
    )
  if (!machines) conditions.push(eb('journeys.last_at', 'is not', null))

  type Step = 'email_clicks' | 'landing_clicks' | 'conversions'
  const did = (step: Step) =>
    machines
      ? eb.or([eb(`journeys.${step}`, '>', 0), eb(`journeys.machine_${step}`, '>', 0)])
      : eb(`journeys.${step}`, '>', 0)
  const didNot = (step: Step) =>
    machines
      ? eb.and([eb(`journeys.${step}`, '=', 0), eb(`journeys.machine_${step}`, '=', 0)])
      : eb(`journeys.${step}`, '=', 0)
  if (event === 'email_click') conditions.push(did('email_clicks'))
  if (event === 'landing_click') conditions.push(did('landing_clicks'))
  if (event === 'conversion') conditions.push(did('conversions'))
  if (event === 'not_landed') conditions.push(did('email_clicks'), didNot('landing_clicks'))
  if (event === 'not_converted') conditions.push(did('landing_clicks'), didNot('conversions'))
  return eb.and(conditions)
}

function journeys(readers: Readers, campaignId: number, filter: JourneyFilter, { after, offset }: Place) {
  return journeyRows(readers)
    .where('campaign_id', '=', campaignId)
    .where((eb) => letThrough(eb as unknown as Columns, filter))
    .$if(Boolean(after), (query) => query.where('journeys.id', '<', after!))
    .$if(!after && Boolean(offset), (query) => query.offset(offset!))
    .orderBy('journeys.id', 'desc')
}

/**
 * Three ways to the same answer, and the cheapest is taken: reading through a small campaign; walking back from the
 * newest journey, where the part is so common that a page fills soon; or looking up the few contacts with that part.
 * Where there are many and a longer walk finds too little, all contacts with that part are looked up after all.
 */
async function searchJourneys(
  readers: Readers,
  campaignId: number,
  filter: JourneyFilter,
  place: Place & { limit: number },
  total: number,
): Promise<JourneyPage> {
  const matching = () =>
    readers
      .selectFrom('journeys')
      .select('journeys.id')
      .where('campaign_id', '=', campaignId)
      .where((eb) => letThrough(eb as unknown as Columns, filter))
  const everything = async (query: ReturnType<typeof matching>): Promise<JourneyPage> => {
    // Sorted afterwards: an index in this order would lead through the whole campaign.
    const ids = await query.orderBy(({ ref }) => unindexed(ref('journeys.id')), 'desc').execute()
    const rest = place.after ? ids.filter(({ id }) => id < place.after!) : ids.slice(place.offset ?? 0)
    const rows = await byIds(
      readers,
      rest.slice(0, place.limit).map(({ id }) => id),
    )
    return { rows, count: ids.length, exact: true, hasMore: rest.length > place.limit }
  }

  /** @returns null where so many of the newest journeys do not fill a page */
  async function walk(steps: number): Promise<JourneyPage | null> {
    const newest = matching()
      .$if(Boolean(place.after), (query) => query.where('journeys.id', '<', place.after!))
      .orderBy('journeys.id', 'desc')
      .limit(steps)
    const rows = await journeys(readers, campaignId, filter, {})
      .where('journeys.id', 'in', newest)
      .where(({ ref }) => holds(ref('contacts.email'), filter.email))
      .limit(place.limit + 1)
      .execute()
    if (rows.length <= place.limit) return null
    return pageOf(rows, place.limit, { count: (place.offset ?? 0) + place.limit, exact: false })
  }

  if (total <= walkLength)
    return everything(
      matching()
        .innerJoin('contacts', 'contacts.id', 'journeys.contact_id')
        .where(({ ref }) => holds(ref('contacts.email'), filter.email)) as never,
    )

  // Where only `offset` says how far to go, there is no place to walk on from.
  const canWalk = Boolean(place.after) || !place.offset
  const soon = canWalk ? await walk(firstSteps) : null
  if (soon) return soon
  const few = await findContacts(readers, filter.email, fewContacts, { names: false })
  if (few) return everything(matching().where(({ ref }) => isAmong(ref('journeys.contact_id'), few)))
  const later = canWalk ? await walk(walkLength) : null
  if (later) return later
  const contacts = await findContacts(readers, filter.email, manyContacts, { names: false })
  return everything(
    contacts
      ? matching().where(({ ref }) => isAmong(ref('journeys.contact_id'), contacts))
      : matching().where('journeys.contact_id', 'in', ({ selectFrom }) =>
          selectFrom('contacts')
            .select('contacts.id')
            .where(({ ref }) => holds(ref('contacts.email'), filter.email)),
        ),
  )
}

async function byIds(readers: Readers, ids: number[]) {
  if (ids.length === 0) return []
  const rows = await journeyRows(readers)
    .where(({ ref }) => isAmong(ref('journeys.id'), ids))
    .orderBy('journeys.id', 'desc')
    .execute()
  return rows.map(withName)
}

function pageOf(
  rows: Omit<JourneyRow, 'domainName'>[],
  limit: number,
  { count, exact }: { count: number; exact: boolean },
): JourneyPage {
  return { rows: rows.slice(0, limit).map(withName), count, exact, hasMore: rows.length > limit }
}

const withName = <Row extends { domain: string }>(row: Row) => ({
  ...row,
  domainName: domainToUnicode(row.domain) || row.domain,
})

export interface JourneyEventRow
  extends Pick<
    Row<'events'>,
    'id' | 'kind' | 'happened_at' | 'link' | 'extra' | 'country' | 'device' | 'verdict' | 'reasons'
  > {
  domainName: string
}

/** What a person did in a campaign, on whatever domain: the latest `limit` events in the order they happened. */
export async function listEventsOf(
  readers: Readers,
  { campaign_id, contact_id }: Pick<Row<'journeys'>, 'campaign_id' | 'contact_id'>,
  { limit = 200 }: { limit?: number } = {},
): Promise<{ events: JourneyEventRow[]; hasMore: boolean }> {
  const rows = await readers
    .selectFrom('events')
    .innerJoin('sending_domains', 'sending_domains.id', 'events.domain_id')
    .select(['events.id', 'kind', 'happened_at', 'link', 'extra', 'country', 'device', 'verdict', 'reasons'])
    .select('sending_domains.name as domain')
    .where('contact_id', '=', contact_id)
    .where((eb) => eb(unindexed(eb.ref('campaign_id')), '=', campaign_id))
    .orderBy('happened_at', 'desc')
    .orderBy('events.id', 'desc')
    .limit(limit + 1)
    .execute()
  return { events: rows.slice(0, limit).reverse().map(withName), hasMore: rows.length > limit }
}
