import { createHash } from 'node:crypto'
import { adder } from '../database/adder.js'
import { compiled, compiledRows } from '../database/compiled.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, Row } from '../database/schema.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { dayLength, hourLength, quarterLength } from '../web/calendar.js'
import { type EngagementKind, engagementKinds, engagementNumber } from './engagement-kinds.js'
import { counts } from './engagement-verdict.js'
import { countEngagement, engagementColumns, isDeed, noEngagements, receptionOf } from './receptions.js'

/** What removed engagements of one contact with one mailing had come to. */
export type SealedReception = Row<'sealed_receptions'>

/** Which engagements go: of people and mailings that have only such. */
export interface Settled {
  /** They happened before this instant. */
  before: number
  /** They were recorded up to this id: long enough ago that all that is told with them has been told. */
  upTo: number
}

/** Whoever has more engagements with one mailing keeps them: they would be too many for one transaction. */
export const mostOfOne = 100
/** By these a sync tells why somebody is no longer on a list. */
const staying = (['bounced', 'rejected', 'complained', 'unsubscribed'] as const).map(engagementNumber)
/** An engagement goes no sooner than so long (milliseconds) after it was recorded. */
export const settling = 7 * dayLength

const sealedSetting = 'engagements_sealed_before'
const recordedSetting = 'engagements_recorded'

/** Every engagement that was removed, or is being removed, happened before this instant; 0 where none is. */
async function engagementsSealedBefore(db: Db | Readers): Promise<number> {
  return Number((await readSetting(db, sealedSetting)) ?? 0)
}

/** The same; 0 as long as none has gone. */
export async function engagementsRemovedBefore(db: Db | Readers): Promise<number> {
  const any = await db.selectFrom('sealed_receptions').select('contact_id').limit(1).executeTakeFirst()
  return any ? engagementsSealedBefore(db) : 0
}

/** Known before the first one goes. */
export async function noteSealing(db: Db, before: number) {
  await writeSetting(db, sealedSetting, String(Math.max(before, await engagementsSealedBefore(db))))
}

/** Notes up to which engagement all are recorded by now. To be called once a day. */
export async function noteRecorded(db: Db, now: number) {
  const { id } = await db
    .selectFrom('engagements')
    .select(({ fn }) => fn.max<number | null>('id').as('id'))
    .executeTakeFirstOrThrow()
  const notes = await recordedNotes(db)
  const isOld = ({ at }: Note) => at <= now - settling
  // Of those that are old enough the last one tells all that the others do.
  const kept = [...notes.filter(isOld).slice(-1), ...notes.filter((note) => !isOld(note))]
  const last = kept.at(-1)
  if (!last || now - last.at >= dayLength / 2) kept.push({ at: now, id: id ?? 0 })
  await writeSetting(db, recordedSetting, JSON.stringify(kept))
}
interface Note {
  at: number
  id: number
}
const recordedNotes = async (db: Db): Promise<Note[]> =>
  JSON.parse((await readSetting(db, recordedSetting)) ?? '[]')

/** The last engagement that was recorded long enough ago; 0 where nobody can tell yet. */
export async function recordedLongAgo(db: Db, now: number): Promise<number> {
  return (await recordedNotes(db)).findLast(({ at }) => at <= now - settling)?.id ?? 0
}

/** One contact and one mailing, all of whose engagements go. */
export interface Going {
  /** The first of them. */
  id: number
  /** When the oldest of them happened. */
  at: number
  /** How many they are. */
  rows: number
}

/** So many engagements are looked at in one go. */
const looked = 2_000

/** All that may go, page by page, some of them empty; what a page held may be gone when the next one is asked for. */
export async function* settledReceptions(readers: Readers, settled: Settled): AsyncGenerator<Going[]> {
  if (settled.upTo === 0) return
  const kinds = engagementKinds.map(engagementNumber).filter((kind) => !staying.includes(kind))
  for (const kind of kinds)
    for (let after = { at: 0, id: 0 }; ; ) {
      const page = readers
        .selectFrom('engagements')
        .where('kind', '=', kind)
        .where('happened_at', '<', settled.before)
        .where('id', '<=', settled.upTo)
        .where(({ eb, refTuple, tuple }) => eb(refTuple('happened_at', 'id'), '>', tuple(after.at, after.id)))
        .orderBy('happened_at')
        .orderBy('id')
        .limit(looked)
      const rows = await page.select(['id', 'happened_at']).execute()
      const last = rows.at(-1)
      if (!last) break
      const receptions = await readers
        .selectFrom((from) =>
          from
            .selectFrom(page.select(['contact_id', 'mailing_id']).as('looked'))
            .select(['contact_id', 'mailing_id'])
            .distinct()
            .as('pair'),
        )
        .innerJoin('engagements', (join) =>
          join
            .onRef('engagements.contact_id', '=', 'pair.contact_id')
            .onRef('engagements.mailing_id', '=', 'pair.mailing_id'),
        )
        .select(({ fn, eb }) => [
          fn.min('id').as('id'),
          fn.max('id').as('last_id'),
          fn.min('happened_at').as('at'),
          fn.max('happened_at').as('last_at'),
          fn.min('exact').as('exact'),
          fn.countAll<number>().as('rows'),
          fn.max<0 | 1>(eb.case().when('kind', 'in', staying).then(1).else(0).end()).as('stays'),
        ])
        .groupBy(['pair.contact_id', 'pair.mailing_id'])
        .orderBy('at')
        .orderBy('id')
        .execute()
      // Several kinds lead to all that belongs together: it goes where its first one is met.
      const met = new Set(rows.map(({ id }) => id))
      const going = receptions.filter(
        (one) =>
          met.has(one.id) &&
          one.last_id <= settled.upTo &&
          one.last_at < settled.before &&
          one.exact === 1 &&
          one.stays === 0 &&
          one.rows <= mostOfOne,
      )
      yield going.map(({ id, at, rows: count }) => ({ id, at, rows: count }))
      if (rows.length < looked) break
      after = { at: last.happened_at, id: last.id }
    }
}

const mostBytes = 8
const hashOf = (...parts: (string | number)[]) =>
  createHash('sha256').update(parts.join(' ')).digest().subarray(0, mostBytes)
const minuteLength = 60_000

/** By this an engagement is known whose provider calls it by an id. @returns 8 bytes of SHA-256 */
export const markOfId = (provider: string, providerId: string) => hashOf('id', provider, providerId)

/**
 * By this one is known where one of two tellings lacks the id: by the minute, which may be wrong for somebody who does
 * the same within it again, and tells it late and for the first time.
 */
export const markOfMoment = (
  { provider, contact, mailing, kind, hasId }: Moment & { mailing: number },
  at: number,
) => hashOf('at', provider, contact, mailing, kind, Number(hasId), Math.floor(at / minuteLength))

interface Moment {
  provider: string
  contact: number
  kind: number
  hasId: boolean
}

/** The instants, one in each minute, from one to another. */
export function minutesOf(from: number, until: number): number[] {
  const first = Math.floor(from / minuteLength)
  const count = Math.floor(until / minuteLength) - first + 1
  return Array.from({ length: count }, (_, index) => (first + index) * minuteLength)
}

/** What the recorder of engagements asks of those that are removed. */
export function sealedBook(db: Db) {
  const query = {
    reception: compiled<{ contact_id: number; mailing_id: number }, SealedReception>((value) =>
      db
        .selectFrom('sealed_receptions')
        .selectAll()
        .where('contact_id', '=', value('contact_id'))
        .where('mailing_id', '=', value('mailing_id')),
    ),
    mark: compiled<{ mark: Uint8Array }, { mark: Uint8Array }>((value) =>
      db.selectFrom('engagement_marks').select('mark').where('mark', '=', value('mark')),
    ),
    mailings: compiled<{ contact_id: number }, { mailing_id: number }>((value) =>
      db.selectFrom('sealed_receptions').select('mailing_id').where('contact_id', '=', value('contact_id')),
    ),
    former: compiled<{ into_id: number }, { from_id: number }>((value) =>
      db.selectFrom('contact_merges').select('from_id').where('into_id', '=', value('into_id')),
    ),
  }
  let before: number | null = null
  const has = async (tx: Db, mark: Uint8Array) => (await query.mark(tx, { mark })).rows.length > 0

  return {
    /** A transaction begins: more may be removed by now. */
    forget() {
      before = null
    },
    /** @returns before when all that was removed happened; 0 where nothing was */
    async before(tx: Db): Promise<number> {
      before ??= await engagementsSealedBefore(tx)
      return before
    },
    async reception(tx: Db, contact_id: number, mailing_id: number): Promise<SealedReception | null> {
      if ((await this.before(tx)) === 0) return null
      return (await query.reception(tx, { contact_id, mailing_id })).rows[0] ?? null
    },
    hasId: (tx: Db, provider: string, providerId: string) => has(tx, markOfId(provider, providerId)),
    /**
     * Was one removed in one of these minutes, of the contact, or of one who was merged into it?
     * @param about where nobody told the mailing (null), it may be any
     */
    async hasMoment(tx: Db, about: Moment & { mailing: number | null }, minutes: number[]): Promise<boolean> {
      const { contact, mailing } = about
      const former = (await query.former(tx, { into_id: contact })).rows
      const mailings =
        mailing === null
          ? (await query.mailings(tx, { contact_id: contact })).rows.map((row) => row.mailing_id)
          : [mailing]
      for (const contact of [about.contact, ...former.map(({ from_id }) => from_id)])
        for (const mailing of mailings)
          for (const at of minutes)
            if (await has(tx, markOfMoment({ ...about, contact, mailing }, at))) return true
      return false
    },
  }
}

const sums = ['engagements', ...engagementColumns] as const
const earliest = ['sent_at', 'delivered_at', 'arrived_at', 'first_opened_at', 'first_clicked_at'] as const
const latest = [
  'last_opened_at',
  'last_clicked_at',
  'last_active_at',
  'machine_last_active_at',
  'settled_until',
] as const

function writers(db: Db) {
  return {
    receptions: adder(db, 'sealed_receptions', ['contact_id', 'mailing_id'], { sums, earliest, latest }),
    contactQuarters: adder(db, 'sealed_contact_quarters', ['contact_id', 'quarter_at'], {
      sums: engagementColumns,
    }),
    mailingQuarters: adder(db, 'sealed_mailing_quarters', ['mailing_id', 'quarter_at'], {
      sums: engagementColumns,
    }),
    hours: adder(db, 'sealed_mailing_hours', ['mailing_id', 'hour'], {
      sums: ['opens', 'machine_opens', 'clicks', 'machine_clicks'],
    }),
    links: adder(db, 'sealed_mailing_links', ['mailing_id', 'link_id'], {
      sums: ['clicks', 'machine_clicks', 'people', 'all_people'],
    }),
    places: adder(db, 'sealed_mailing_places', ['mailing_id', 'country', 'os'], { sums: ['clicks'] }),
    mailings: adder(db, 'sealed_mailings', ['mailing_id'], {
      sums: [],
      earliest: ['first_at'],
      latest: ['last_at'],
    }),
    marks: compiledRows<Row<'engagement_marks'>>(['mark'], (rows) =>
      db
        .insertInto('engagement_marks')
        .values(rows)
        .onConflict((conflict) => conflict.doNothing()),
    ),
  }
}

/** So long after its sending the hours of a mailing are told one by one. */
export const hoursKept = 30 * 24
const [opened, clicked] = [engagementNumber('opened'), engagementNumber('clicked')]

type Removed = Pick<
  Row<'engagements'>,
  'id' | 'contact_id' | 'kind' | 'happened_at' | 'exact' | 'provider' | 'provider_id' | 'link_id'
> &
  Pick<Row<'engagements'>, 'country' | 'os' | 'verdict' | 'reasons'> & { mailing_id: number }

/** Takes engagements out of the rows, and keeps what they come to and the marks by which they are known. */
export function engagementSealer(db: Db) {
  const write = writers(db)
  const sentAt = compiled<{ mailing_id: number }, { sent_at: number | null }>((value) =>
    db.selectFrom('mailings').select('sent_at').where('id', '=', value('mailing_id')),
  )

  /**
   * No count changes. Who has something new with a mailing, or nothing left of it, is left alone.
   * @returns how many engagements went
   * @param ids of engagements; all that the same people have to do with the same mailings goes with them
   */
  async function seal(tx: Db, ids: number[], settled: Settled) {
    const rows = await tx
      .selectFrom((from) =>
        from
          .selectFrom('engagements')
          .select(['contact_id', 'mailing_id'])
          .distinct()
          .where(({ ref }) => isAmong(ref('id'), ids))
          .as('pair'),
      )
      .innerJoin('engagements', (join) =>
        join
          .onRef('engagements.contact_id', '=', 'pair.contact_id')
          .onRef('engagements.mailing_id', '=', 'pair.mailing_id'),
      )
      .select(['engagements.id', 'engagements.contact_id', 'kind', 'happened_at', 'exact', 'provider'])
      .select(['provider_id', 'link_id', 'country', 'os', 'verdict', 'reasons'])
      .select(({ ref }) => ref('engagements.mailing_id').$notNull().as('mailing_id'))
      .execute()
    const receptions = groupsOf(rows, (row) => `${row.contact_id} ${row.mailing_id}`).filter((all) =>
      maySeal(all, settled),
    )
    const going = receptions.flat()
    if (going.length === 0) return 0
    await write.receptions(tx, receptions.map(sealedOf))
    const deeds = going.filter(({ kind }) => isDeed(kind))
    await write.contactQuarters(tx, quartersOf(deeds, 'contact_id') as Row<'sealed_contact_quarters'>[])
    await write.mailingQuarters(tx, quartersOf(deeds, 'mailing_id') as Row<'sealed_mailing_quarters'>[])
    await sealMailings(tx, deeds)
    await write.links(tx, linksOf(deeds))
    await write.places(tx, placesOf(deeds))
    await write.marks(tx, marksOf(going))
    await tx
      .deleteFrom('engagements')
      .where(({ ref }) =>
        isAmong(
          ref('id'),
          going.map(({ id }) => id),
        ),
      )
      .execute()
    return going.length
  }

  /** By the hour since it was sent; where nobody said when that was, since its first open or click, which may go. */
  async function sealMailings(tx: Db, deeds: Removed[]) {
    for (const ofMailing of groupsOf(deeds, (row) => String(row.mailing_id))) {
      const { mailing_id } = ofMailing[0]!
      const { sent_at } = (await sentAt(tx, { mailing_id })).rows[0]!
      const first_at = sent_at === null ? await firstOpenOrClick(tx, mailing_id) : null
      const last_at = Math.max(...ofMailing.map(({ happened_at }) => happened_at))
      await write.mailings(tx, [{ mailing_id, first_at, last_at }])
      const start = sent_at ?? first_at
      if (start !== null) await write.hours(tx, hoursOf(ofMailing, start))
    }
  }

  return {
    seal,
    /** From now on nobody knows which link was followed. */
    async forgetLink(tx: Db, link: number) {
      const rows = await tx
        .deleteFrom('sealed_mailing_links')
        .where('link_id', '=', link)
        .returningAll()
        .execute()
      await write.links(
        tx,
        rows.map((row) => ({ ...row, link_id: 0 })),
      )
    },
    /** Two contacts are one person. */
    async move(tx: Db, from: number, into: number) {
      const [receptions, quarters] = [await sealedReceptionsOf(tx, from), await quartersOfContact(tx, from)]
      const named = <Sealed extends { contact_id: number }>(rows: Sealed[]) =>
        rows.map((row) => ({ ...row, contact_id: into }))
      await write.receptions(tx, named(receptions))
      await write.contactQuarters(tx, named(quarters))
      for (const table of ['sealed_receptions', 'sealed_contact_quarters'] as const)
        await tx.deleteFrom(table).where('contact_id', '=', from).execute()
      await tx.updateTable('contact_merges').set({ into_id: into }).where('into_id', '=', from).execute()
      await tx.insertInto('contact_merges').values({ from_id: from, into_id: into }).execute()
      return { receptions, quarters }
    },
  }
}

const quartersOfContact = (tx: Db, contact: number) =>
  tx.selectFrom('sealed_contact_quarters').selectAll().where('contact_id', '=', contact).execute()

/** What is kept of a contact's removed engagements, by mailing. */
export const sealedReceptionsOf = (db: Db | Readers, contact: number): Promise<SealedReception[]> =>
  db
    .selectFrom('sealed_receptions')
    .selectAll()
    .where('contact_id', '=', contact)
    .orderBy('mailing_id')
    .execute()

/** Did the contact have such an engagement with the mailing that is removed by now? */
export async function wasSealed(
  db: Db,
  { contact_id, mailing_id, kind }: { contact_id: number; mailing_id: number; kind: EngagementKind },
): Promise<boolean> {
  const sealed = await db
    .selectFrom('sealed_receptions')
    .select(['sent_at', 'delivered_at', 'last_opened_at', 'last_clicked_at'])
    .where('contact_id', '=', contact_id)
    .where('mailing_id', '=', mailing_id)
    .executeTakeFirst()
  const known: Partial<Record<EngagementKind, number | null | undefined>> = {
    sent: sealed?.sent_at,
    delivered: sealed?.delivered_at,
    opened: sealed?.last_opened_at,
    clicked: sealed?.last_clicked_at,
  }
  return known[kind] != null
}

/** When a contact last opened or clicked a mailing of a list that is removed by now; null where they did not after `since`. */
export async function lastSealedDeed(
  db: Db,
  { contact_id, list_id, since }: { contact_id: number; list_id: number; since: number },
): Promise<number | null> {
  const { opened_at, clicked_at } = await db
    .selectFrom('sealed_receptions')
    .innerJoin('mailing_lists', 'mailing_lists.mailing_id', 'sealed_receptions.mailing_id')
    .select(({ fn }) => [
      fn.max<number | null>('last_opened_at').as('opened_at'),
      fn.max<number | null>('last_clicked_at').as('clicked_at'),
    ])
    .where('contact_id', '=', contact_id)
    .where('list_id', '=', list_id)
    .executeTakeFirstOrThrow()
  const last = extreme(Math.max, [opened_at, clicked_at])
  return last !== null && last > since ? last : null
}

/** The first open or click of a mailing, removed ones included; null where there is none. */
export async function firstOpenOrClick(db: Db | Readers, mailing: number): Promise<number | null> {
  // Each stands at the beginning of an index.
  const first = (kind: number) =>
    db
      .selectFrom('engagements')
      .select(({ fn }) => fn.min<number | null>('happened_at').as('at'))
      .where('mailing_id', '=', mailing)
      .where('kind', '=', kind)
      .executeTakeFirstOrThrow()
  const sealed = await db
    .selectFrom('sealed_mailings')
    .select('first_at')
    .where('mailing_id', '=', mailing)
    .executeTakeFirst()
  const [open, click] = [await first(opened), await first(clicked)]
  return extreme(Math.min, [open.at, click.at, sealed?.first_at ?? null])
}

const maySeal = (rows: Removed[], { before, upTo }: Settled) =>
  rows.length <= mostOfOne &&
  rows.every(
    ({ id, happened_at, exact, kind }) =>
      id <= upTo && happened_at < before && exact === 1 && !staying.includes(kind),
  )

function sealedOf(rows: Removed[]): SealedReception {
  const { contact_id, mailing_id } = rows[0]!
  const { bounced: _, complained: __, unsubscribed: ___, ...reception } = receptionOf(rows, rows[0]!)!
  const instants = (are: (row: Removed) => boolean) => rows.filter(are).map(({ happened_at }) => happened_at)
  const [sent, delivered, deferred] = (['sent', 'delivered', 'deferred'] as const).map(engagementNumber)
  return {
    ...reception,
    contact_id,
    mailing_id,
    engagements: rows.length,
    delivered_at: extreme(
      Math.min,
      instants(({ kind }) => kind === delivered),
    ),
    arrived_at: extreme(
      Math.min,
      instants(({ kind }) => ![sent, delivered, deferred].includes(kind)),
    ),
    last_opened_at: extreme(
      Math.max,
      instants(({ kind }) => kind === opened),
    ),
    last_clicked_at: extreme(
      Math.max,
      instants(({ kind }) => kind === clicked),
    ),
    settled_until: Math.max(...rows.map(({ happened_at }) => happened_at)),
  }
}

function extreme(pick: (...instants: number[]) => number, instants: (number | null)[]): number | null {
  const known = instants.filter((at) => at !== null)
  return known.length === 0 ? null : pick(...known)
}

function quartersOf(deeds: Removed[], by: 'contact_id' | 'mailing_id') {
  const quarterOf = (at: number) => Math.floor(at / quarterLength) * quarterLength
  return groupsOf(deeds, (row) => `${row[by]} ${quarterOf(row.happened_at)}`).map((rows) => {
    const sum: EngagementCounts = { ...noEngagements }
    for (const row of rows) countEngagement(sum, row)
    return { [by]: rows[0]![by], quarter_at: quarterOf(rows[0]!.happened_at), ...sum }
  })
}

/** @param start when the mailing was sent: what seems to have come before came at once */
function hoursOf(deeds: Removed[], start: number): Row<'sealed_mailing_hours'>[] {
  const hourOf = (at: number) => Math.max(0, Math.trunc((at - start) / hourLength))
  const shown = deeds.filter(
    ({ kind, happened_at }) =>
      (kind === opened || kind === clicked) && happened_at < start + hoursKept * hourLength,
  )
  return groupsOf(shown, ({ happened_at }) => String(hourOf(happened_at))).map((rows) => {
    const many = (kind: number, byPeople: boolean) =>
      rows.filter((row) => row.kind === kind && counts(row.verdict) === byPeople).length
    return {
      mailing_id: rows[0]!.mailing_id,
      hour: hourOf(rows[0]!.happened_at),
      opens: many(opened, true),
      machine_opens: many(opened, false),
      clicks: many(clicked, true),
      machine_clicks: many(clicked, false),
    }
  })
}

const clicksOf = (deeds: Removed[]) => deeds.filter(({ kind }) => kind === clicked)

function linksOf(deeds: Removed[]): Row<'sealed_mailing_links'>[] {
  return groupsOf(clicksOf(deeds), ({ mailing_id, link_id }) => `${mailing_id} ${link_id}`).map((rows) => {
    const theirs = rows.filter(({ verdict }) => counts(verdict))
    const people = (all: Removed[]) => new Set(all.map(({ contact_id }) => contact_id)).size
    return {
      mailing_id: rows[0]!.mailing_id,
      link_id: rows[0]!.link_id ?? 0,
      clicks: theirs.length,
      machine_clicks: rows.length - theirs.length,
      people: people(theirs),
      all_people: people(rows),
    }
  })
}

function placesOf(deeds: Removed[]): Row<'sealed_mailing_places'>[] {
  const theirs = clicksOf(deeds).filter(({ verdict }) => counts(verdict))
  return groupsOf(theirs, ({ mailing_id, country, os }) => JSON.stringify([mailing_id, country, os])).map(
    (rows) => ({
      mailing_id: rows[0]!.mailing_id,
      country: rows[0]!.country ?? '',
      os: rows[0]!.os ?? '',
      clicks: rows.length,
    }),
  )
}

const marksOf = (rows: Removed[]) =>
  rows.flatMap(({ provider, provider_id, contact_id, mailing_id, kind, happened_at }) => {
    const about = {
      provider,
      contact: contact_id,
      mailing: mailing_id,
      kind,
      hasId: provider_id !== null,
    }
    const moment = { mark: markOfMoment(about, happened_at) }
    return provider_id === null ? [moment] : [moment, { mark: markOfId(provider, provider_id) }]
  })

function groupsOf<Item>(items: Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return [...groups.values()]
}
