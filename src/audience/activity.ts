import { type ExpressionBuilder, sql } from 'kysely'
import { holds, isAmong, unindexed } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, Tables } from '../database/schema.js'
import { type EngagementKind, engagementNumber } from './engagement-kinds.js'
import { engagementColumns } from './receptions.js'
import { findContacts, nameTerm } from './search.js'

export interface ActivityFilter {
  /** Part of a name or an address as `searchTerm` spells it, or the id of a contact; empty for everybody. */
  contact: string
  /** 0: all. */
  mailing: number
  tag: number
  kinds: EngagementKind[]
  /** Verdicts that are let through, as numbers. */
  verdicts: number[]
}

/** Behind which engagement a page begins: newest first, so those that are older. */
export interface Place {
  at: number
  id: number
}

export interface ActivityRow {
  id: number
  kind: number
  happened_at: number
  exact: 0 | 1
  verdict: number
  reasons: number
  os: string | null
  browser: string | null
  contact_id: number
  email: string
  name: string
  /** Set: the person is gone, the fact goes on counting. */
  erased_at: number | null
  mailing_id: number | null
  mailing: string | null
  url: string | null
}

export interface ActivityPage {
  rows: ActivityRow[]
  /** Where to go on; null at the end. */
  next: Place | null
  /** The engagements looked at were too many: those behind `next` may match as well, though the page is not full. */
  isCut: boolean
}

/** Up to so many engagements are looked at for one page; it takes some 30 ms. */
export const walkLength = 20_000
/** More contacts than this are not looked up one by one. */
const fewContacts = 2_000

type Columns = ExpressionBuilder<Tables, 'engagements'>

/**
 * Engagements, newest first. Two ways lead there: the few contacts that the filter names are looked up with all they
 * did; else the engagements of each kind are walked back from the newest, at most {@link walkLength} of them.
 * Where the walk ends before the page is full, `isCut` says so and `next` goes on.
 */
export async function listActivity(
  readers: Readers,
  filter: ActivityFilter,
  { before = null, limit = 50 }: { before?: Place | null; limit?: number } = {},
): Promise<ActivityPage> {
  const few = await fewOf(readers, filter)
  if (few?.length === 0 || filter.kinds.length === 0) return { rows: [], next: null, isCut: false }
  const through = (eb: Columns) =>
    eb.and([
      ...(filter.verdicts.length < 4 ? [eb('verdict', 'in', filter.verdicts)] : []),
      ...(before ? [isOlder(eb, before)] : []),
      ...(filter.mailing ? [eb('mailing_id', '=', filter.mailing)] : []),
      ...(filter.tag
        ? [
            eb.exists(
              eb
                .selectFrom('contact_tags')
                .select('tag_id')
                .whereRef('contact_tags.contact_id', '=', 'engagements.contact_id')
                .where('tag_id', '=', filter.tag),
            ),
          ]
        : []),
    ])

  if (few) {
    const found = await readers
      .selectFrom('engagements')
      .select(['id', 'happened_at'])
      .where(({ ref }) => isAmong(ref('contact_id'), few))
      // The index of kinds would lead through everybody's.
      .where((eb) => eb(unindexed(eb.ref('kind')), 'in', filter.kinds.map(engagementNumber)))
      .where((eb) => through(eb as Columns))
      .orderBy('happened_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit + 1)
      .execute()
    return page(readers, found, limit, null)
  }

  const steps = Math.floor(walkLength / filter.kinds.length)
  const kindsApart = filter.kinds.map(engagementNumber)
  const ofKind = (kind: number) =>
    readers
      .selectFrom('engagements')
      .select(['id', 'happened_at'])
      .where('kind', '=', kind)
      .$if(filter.mailing > 0, (query) => query.where('mailing_id', '=', filter.mailing))
      .$if(before !== null, (query) => query.where((eb) => isOlder(eb as Columns, before!)))
      .orderBy('happened_at', 'desc')
      .orderBy('id', 'desc')
  const ends = await Promise.all(
    kindsApart.map((kind) =>
      ofKind(kind)
        .limit(1)
        .offset(steps - 1)
        .executeTakeFirst(),
    ),
  )
  // Up to the newest of the ends everything was looked at.
  const end = ends.reduce<Place | null>((newest, row) => {
    if (!row) return newest
    const place = { at: row.happened_at, id: row.id }
    return newest && isNewer(newest, place) ? newest : place
  }, null)
  const found = await Promise.all(
    kindsApart.map((kind) =>
      ofKind(kind)
        .where((eb) => through(eb as Columns))
        .$if(end !== null, (query) =>
          query.where('happened_at', '>=', end!.at).where((eb) => eb.not(isOlder(eb as Columns, end!))),
        )
        .$if(filter.contact !== '', (query) =>
          query.where(({ exists, selectFrom }) =>
            exists(
              selectFrom('contacts')
                .select('contacts.id')
                .whereRef('contacts.id', '=', 'engagements.contact_id')
                .where(({ ref, or }) =>
                  or([
                    holds(ref('contacts.email'), filter.contact),
                    holds(ref('contacts.name_folded'), nameTerm(filter.contact)),
                  ]),
                ),
            ),
          ),
        )
        .limit(limit + 1)
        .execute(),
    ),
  )
  const merged = found.flat().sort((one, other) => other.happened_at - one.happened_at || other.id - one.id)
  return page(readers, merged, limit, end)
}

const isOlder = (eb: Columns, { at, id }: Place) =>
  eb.and([
    // Said twice: an index leads to the first, and the second tells those of one millisecond apart.
    eb('happened_at', '<=', at),
    eb(eb.refTuple('happened_at', 'id'), '<', eb.tuple(at, id)),
  ])
const isNewer = (one: Place, other: Place) => one.at > other.at || (one.at === other.at && one.id > other.id)

async function page(
  readers: Readers,
  found: { id: number; happened_at: number }[],
  limit: number,
  end: Place | null,
): Promise<ActivityPage> {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  const isFull = found.length > limit
  const rows = await rowsOf(
    readers,
    shown.map(({ id }) => id),
  )
  return {
    rows,
    next: isFull && last ? { at: last.happened_at, id: last.id } : end,
    isCut: !isFull && end !== null,
  }
}

function rowsOf(readers: Readers, ids: number[]): Promise<ActivityRow[]> {
  return readers
    .selectFrom('engagements')
    .innerJoin('contacts', 'contacts.id', 'engagements.contact_id')
    .leftJoin('mailings', 'mailings.id', 'engagements.mailing_id')
    .leftJoin('links', 'links.id', 'engagements.link_id')
    .select(['engagements.id', 'kind', 'happened_at', 'exact', 'verdict', 'reasons', 'os', 'browser'])
    .select([
      'contact_id',
      'email',
      'contacts.name',
      'erased_at',
      'mailing_id',
      'mailings.name as mailing',
      'links.url',
    ])
    .where(({ ref }) => isAmong(ref('engagements.id'), ids))
    .orderBy('happened_at', 'desc')
    .orderBy('engagements.id', 'desc')
    .execute()
}

/**
 * The contacts that a filter names, where they are few and have done little enough to be looked at one by one.
 * @returns their ids; null for everybody, or where walking is the better way
 */
async function fewOf(readers: Readers, { contact, tag }: ActivityFilter): Promise<number[] | null> {
  const ids = contact
    ? /^\d{1,15}$/.test(contact)
      ? [Number(contact)]
      : await findContacts(readers, contact, fewContacts)
    : tag
      ? await taggedWith(readers, tag)
      : null
  if (ids === null || ids.length === 0) return ids
  const { deeds } = await readers
    .selectFrom('contacts')
    .select(
      sql<number>`coalesce(sum(mailings + opens + proxy_opens + machine_opens + clicks + machine_clicks + replies), 0)`.as(
        'deeds',
      ),
    )
    .where(({ ref }) => isAmong(ref('id'), ids))
    .executeTakeFirstOrThrow()
  // One contact has an index of its own, whatever it did.
  return ids.length === 1 || deeds <= walkLength ? ids : null
}

async function taggedWith(readers: Readers, tag: number) {
  const rows = await readers
    .selectFrom('contact_tags')
    .select('contact_id')
    .distinct()
    .where('tag_id', '=', tag)
    .limit(fewContacts + 1)
    .execute()
  return rows.length > fewContacts ? null : rows.map((row) => row.contact_id)
}

/** Opens and clicks of a part of all engagements, from the counts; null where no count tells that part. */
export async function countActivity(readers: Readers, { contact, mailing, tag }: ActivityFilter) {
  const isOne = /^\d{1,15}$/.test(contact)
  if ([contact !== '', mailing > 0, tag > 0].filter(Boolean).length > 1 || (contact && !isOne)) return null
  const sums = sql<EngagementCounts>`${sql.join(
    engagementColumns.map((column) => sql`coalesce(sum(${sql.ref(column)}), 0) as ${sql.ref(column)}`),
  )}`
  const from = isOne
    ? sql`contacts where id = ${Number(contact)}`
    : tag
      ? sql`tag_counts where tag_id = ${tag}`
      : mailing
        ? sql`mailing_counts where mailing_id = ${mailing}`
        : sql`engagement_days`
  const { rows } = await sql<EngagementCounts>`select ${sums} from ${from}`.execute(readers)
  return rows[0]!
}
