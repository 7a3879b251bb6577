import { sql } from 'kysely'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { EngagementCounts, Row, Tables } from '../database/schema.js'
import { type Calendar, hourLength } from '../web/calendar.js'
import {
  type CountedEngagement,
  countEngagement,
  deedNumbers,
  engagementColumns,
  isActive,
  isDeed,
  noEngagements,
  peopleOf,
  type Reception,
  receptionColumns,
} from './receptions.js'

interface ContactChange extends EngagementCounts {
  contact_id: number
  mailings: number
  last_active_at: number | null
  machine_last_active_at: number | null
  /** A last deed was taken back: the instants have to be looked up anew. */
  again: boolean
}

/**
 * Gathers what the facts of one transaction change in the counts of the audience, and writes it once at its end.
 *
 * A fact may fail after it has gathered something: what it gathered waits until {@link keep} says that it stands.
 */
export class EngagementChanges {
  readonly #calendar: Calendar
  readonly #write: ReturnType<typeof writers>
  #waiting: (() => void)[] = []
  #mailings = new Map<number, Omit<Row<'mailing_counts'>, 'last_at'>>()
  #hours = new Map<string, Row<'engagement_hours'>>()
  #days = new Map<string, Row<'engagement_days'>>()
  #contacts = new Map<number, ContactChange>()
  #contactDays = new Map<string, Row<'contact_days'>>()

  constructor(db: Db, calendar: Calendar) {
    this.#calendar = calendar
    this.#write = writers(db)
  }

  clear() {
    this.#waiting = []
    for (const changes of [this.#mailings, this.#hours, this.#days, this.#contacts, this.#contactDays])
      changes.clear()
  }
  /** A fact begins: what another one gathered before it failed is void. */
  begin() {
    this.#waiting = []
  }
  /** The fact stands. */
  keep() {
    for (const change of this.#waiting) change()
    this.#waiting = []
  }

  /** One engagement more (1), or one less (-1) of the verdict it had. @param list of its mailing, or 0 */
  engagement(row: CountedEngagement, list: number, by: 1 | -1) {
    if (!isDeed(row.kind)) return
    this.#waiting.push(() => {
      const hour_at = Math.floor(row.happened_at / hourLength) * hourLength
      const day_on = this.#calendar.dayOf(row.happened_at)
      const hour = entry(this.#hours, `${list} ${hour_at}`, () => ({
        list_id: list,
        hour_at,
        ...noEngagements,
      }))
      countEngagement(hour, row, by)
      const day = entry(this.#days, `${list} ${day_on}`, () => ({ list_id: list, day_on, ...noEngagements }))
      countEngagement(day, row, by)
      const { contact_id } = row
      const own = entry(this.#contactDays, `${contact_id} ${day_on}`, () => ({
        contact_id,
        day_on,
        ...noEngagements,
      }))
      countEngagement(own, row, by)
    })
  }

  /** What one contact did with one mailing, before and after. */
  reception(before: Reception | null, after: Reception | null) {
    const { contact_id, mailing_id } = (after ?? before)!
    this.#waiting.push(() => {
      const contact = entry(this.#contacts, contact_id, () => ({
        contact_id,
        ...noEngagements,
        mailings: 0,
        last_active_at: null as number | null,
        machine_last_active_at: null as number | null,
        again: false,
      }))
      const mailing =
        mailing_id === 0
          ? null
          : entry(this.#mailings, mailing_id, () => ({
              mailing_id,
              ...noEngagements,
              ...nobody,
            }))
      for (const column of engagementColumns) {
        const more = (after?.[column] ?? 0) - (before?.[column] ?? 0)
        contact[column] += more
        if (mailing) mailing[column] += more
      }
      if (mailing) {
        const [was, is] = [peopleOf(before), peopleOf(after)]
        for (const column of receptionColumns) mailing[column] += is[column] - was[column]
        contact.mailings += is.people_delivered - was.people_delivered
      }
      for (const column of ['last_active_at', 'machine_last_active_at'] as const) {
        if ((after?.[column] ?? 0) < (before?.[column] ?? 0)) contact.again = true
        contact[column] = latest(contact[column], after?.[column])
      }
    })
  }

  /** Adds all that was gathered to the tables. */
  async write(tx: Db) {
    for (const row of this.#mailings.values()) {
      await this.#write.mailing(tx, row)
      const { mailing_id } = row
      let last_at: number | null = null
      for (const kind of deedNumbers)
        last_at = latest(last_at, (await this.#write.lastDeed(tx, { mailing_id, kind })).rows[0]?.at)
      await this.#write.setLastDeed(tx, { mailing_id, last_at })
    }
    for (const row of this.#hours.values()) await this.#write.hour(tx, row)
    for (const row of this.#days.values()) await this.#write.day(tx, row)
    for (const change of this.#contacts.values()) await this.#writeContact(tx, change)
    await this.#writeContactDays(tx)
    this.clear()
  }

  async #writeContact(tx: Db, { again, ...change }: ContactChange) {
    const write = this.#write
    await write.contact(tx, change)
    if (again) {
      const { contact_id } = change
      const last = (await write.lastDeeds(tx, { contact_id })).rows[0]!
      await write.setLastDeeds(tx, { contact_id, ...last })
    }
    await write.toScore(tx, { contact_id: change.contact_id })
    if (!engagementColumns.some((column) => change[column] !== 0)) return
    for (const { tag_id } of (await write.tagsOf(tx, { contact_id: change.contact_id })).rows)
      await write.tag(tx, { ...nothingOfTag, ...only(change), tag_id })
  }

  /** People become active on a day, or no longer were: that takes a look at what they had done before. */
  async #writeContactDays(tx: Db) {
    const active = new Map<string, { people: number; all_people: number }>()
    for (const change of this.#contactDays.values()) {
      if (!engagementColumns.some((column) => change[column] !== 0)) continue
      const { contact_id, day_on } = change
      const before = (await this.#write.contactDay(tx, { contact_id, day_on })).rows[0]
      const after = { ...change }
      if (before) for (const column of engagementColumns) after[column] += before[column]
      const day = entry(active, day_on, () => ({ people: 0, all_people: 0 }))
      day.people += Number(isActive(after)) - Number(before ? isActive(before) : false)
      day.all_people +=
        Number(isActive(after, { machines: true })) -
        Number(before ? isActive(before, { machines: true }) : false)
      if (engagementColumns.every((column) => after[column] === 0))
        await this.#write.dropContactDay(tx, { contact_id, day_on })
      else await this.#write.putContactDay(tx, after)
    }
    for (const [day_on, { people, all_people }] of active)
      if (people !== 0 || all_people !== 0) await this.#write.activeDay(tx, { day_on, people, all_people })
  }
}

const nobody = Object.fromEntries(receptionColumns.map((column) => [column, 0])) as Record<
  (typeof receptionColumns)[number],
  number
>
const nothingOfTag = { contacts: 0, scored: 0, score_sum: 0 }
const only = (counts: EngagementCounts) =>
  Object.fromEntries(
    engagementColumns.map((column) => [column, counts[column]]),
  ) as unknown as EngagementCounts

const latest = (...instants: (number | null | undefined)[]) =>
  instants.reduce<number | null>(
    (last, at) => (at === null || at === undefined ? last : Math.max(last ?? at, at)),
    null,
  )

function entry<Key, Value>(changes: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = changes.get(key)
  if (value === undefined) {
    value = make()
    changes.set(key, value)
  }
  return value
}

/** Adds to the sums over a tag's contacts. */
export const tagAdder = (db: Db) =>
  adder(db, 'tag_counts', ['tag_id'], ['contacts', 'scored', 'score_sum', ...engagementColumns])

function adder<Name extends keyof Tables, Counts extends object = Row<Name>>(
  db: Db,
  table: Name,
  keys: (keyof Tables[Name] & string)[],
  sums: readonly string[],
) {
  const columns = [...keys, ...sums]
  return compiled<Counts>((value) =>
    db
      .insertInto(table as 'tag_counts')
      .values(Object.fromEntries(columns.map((column) => [column, value(column as never)])) as never)
      .onConflict((conflict) =>
        conflict
          .columns(keys as never)
          .doUpdateSet(
            Object.fromEntries([
              ...sums.map((column) => [
                column,
                sql`${sql.ref(`${table}.${column}`)} + ${sql.ref(`excluded.${column}`)}`,
              ]),
            ]) as never,
          ),
      ),
  )
}
const laterOf = (one: ReturnType<typeof sql.ref>, other: ReturnType<typeof sql.ref> | unknown) =>
  sql<number | null>`max(coalesce(${one}, ${other}), coalesce(${other}, ${one}))`

function writers(db: Db) {
  type Day = { contact_id: number; day_on: string }
  type LastDeeds = { last_active_at: number | null; machine_last_active_at: number | null }
  const dayColumns = Object.fromEntries(engagementColumns.map((column) => [column, 0])) as Record<
    keyof EngagementCounts,
    number
  >
  return {
    mailing: adder<'mailing_counts', Omit<Row<'mailing_counts'>, 'last_at'>>(
      db,
      'mailing_counts',
      ['mailing_id'],
      [...engagementColumns, ...receptionColumns],
    ),
    /** It stands at the end of the index. */
    lastDeed: compiled<{ mailing_id: number; kind: number }, { at: number | null }>((value) =>
      db
        .selectFrom('engagements')
        .select(({ fn }) => fn.max<number | null>('happened_at').as('at'))
        .where('mailing_id', '=', value('mailing_id'))
        .where('kind', '=', value('kind')),
    ),
    setLastDeed: compiled<{ mailing_id: number; last_at: number | null }>((value) =>
      db
        .updateTable('mailing_counts')
        .set({ last_at: value('last_at') })
        .where('mailing_id', '=', value('mailing_id')),
    ),
    hour: adder(db, 'engagement_hours', ['list_id', 'hour_at'], engagementColumns),
    day: adder(db, 'engagement_days', ['list_id', 'day_on'], engagementColumns),
    activeDay: adder(db, 'active_days', ['day_on'], ['people', 'all_people']),
    tag: tagAdder(db),
    contact: compiled<Omit<ContactChange, 'again'>>((value) =>
      db
        .updateTable('contacts')
        .set(({ ref }) => ({
          ...Object.fromEntries(
            [...engagementColumns, 'mailings' as const].map((column) => [
              column,
              sql`${sql.ref(column)} + ${value(column)}`,
            ]),
          ),
          last_active_at: laterOf(ref('last_active_at') as never, sql`${value('last_active_at')}`),
          machine_last_active_at: laterOf(
            ref('machine_last_active_at') as never,
            sql`${value('machine_last_active_at')}`,
          ),
        }))
        .where('id', '=', value('contact_id')),
    ),
    lastDeeds: compiled<{ contact_id: number }, LastDeeds>((value) =>
      db
        .selectFrom('receptions')
        .select(({ fn }) => [
          fn.max('last_active_at').as('last_active_at'),
          fn.max('machine_last_active_at').as('machine_last_active_at'),
        ])
        .where('contact_id', '=', value('contact_id')),
    ),
    setLastDeeds: compiled<LastDeeds & { contact_id: number }>((value) =>
      db
        .updateTable('contacts')
        .set({
          last_active_at: value('last_active_at'),
          machine_last_active_at: value('machine_last_active_at'),
        })
        .where('id', '=', value('contact_id')),
    ),
    toScore: compiled<{ contact_id: number }>((value) =>
      db
        .insertInto('contacts_to_score')
        .values({ contact_id: value('contact_id') })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    tagsOf: compiled<{ contact_id: number }, { tag_id: number }>((value) =>
      db.selectFrom('contact_tags').select('tag_id').distinct().where('contact_id', '=', value('contact_id')),
    ),
    contactDay: compiled<Day, Row<'contact_days'>>((value) =>
      db
        .selectFrom('contact_days')
        .selectAll()
        .where('contact_id', '=', value('contact_id'))
        .where('day_on', '=', value('day_on')),
    ),
    putContactDay: compiled<Row<'contact_days'>>((value) => {
      const columns = Object.fromEntries(
        Object.keys(dayColumns).map((column) => [column, value(column as keyof EngagementCounts)]),
      ) as unknown as EngagementCounts
      return db
        .insertInto('contact_days')
        .values({ contact_id: value('contact_id'), day_on: value('day_on'), ...columns })
        .onConflict((conflict) => conflict.columns(['contact_id', 'day_on']).doUpdateSet(columns))
    }),
    dropContactDay: compiled<Day>((value) =>
      db
        .deleteFrom('contact_days')
        .where('contact_id', '=', value('contact_id'))
        .where('day_on', '=', value('day_on')),
    ),
  }
}
