import { sql } from 'kysely'
import { adder } from '../database/adder.js'
import { compiled, compiledRows } from '../database/compiled.js'
import { greaterOf } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { EngagementCounts, Row } from '../database/schema.js'
import { type Calendar, quarterLength } from '../web/calendar.js'
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
  #quarters = new Map<string, Row<'engagement_quarters'>>()
  #days = new Map<string, Row<'engagement_days'>>()
  #contacts = new Map<number, ContactChange>()
  #contactDays = new Map<string, Row<'contact_days'>>()

  constructor(db: Db, calendar: Calendar) {
    this.#calendar = calendar
    this.#write = writers(db)
  }

  clear() {
    this.#waiting = []
    for (const changes of [this.#mailings, this.#quarters, this.#days, this.#contacts, this.#contactDays])
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
      const quarter_at = Math.floor(row.happened_at / quarterLength) * quarterLength
      const day_on = this.#calendar.dayOf(row.happened_at)
      const quarter = entry(this.#quarters, `${list} ${quarter_at}`, () => ({
        list_id: list,
        quarter_at,
        ...noEngagements,
      }))
      countEngagement(quarter, row, by)
      const day = entry(this.#days, `${list} ${day_on}`, () => ({ list_id: list, day_on, ...noEngagements }))
      countEngagement(day, row, by)
      countEngagement(this.#contactDay(row.contact_id, day_on), row, by)
    })
  }

  /** What removed engagements of a contact in a quarter of an hour had come to is another's from now on. */
  moved({ contact_id: from, quarter_at, ...counts }: Row<'sealed_contact_quarters'>, into: number) {
    this.#waiting.push(() => {
      const day_on = this.#calendar.dayOf(quarter_at)
      for (const [contact_id, by] of [
        [from, -1],
        [into, 1],
      ] as const) {
        const own = this.#contactDay(contact_id, day_on)
        for (const column of engagementColumns) own[column] += by * counts[column]
      }
    })
  }

  #contactDay(contact_id: number, day_on: string) {
    return entry(this.#contactDays, `${contact_id} ${day_on}`, () => ({
      contact_id,
      day_on,
      ...noEngagements,
    }))
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
    const write = this.#write
    await write.mailings(tx, this.#mailings.values())
    for (const mailing_id of this.#mailings.keys()) {
      let last_at: number | null = null
      for (const kind of deedNumbers)
        last_at = latest(last_at, (await write.lastDeed(tx, { mailing_id, kind })).rows[0]?.at)
      await write.setLastDeed(tx, { mailing_id, last_at })
    }
    await write.quarters(tx, this.#quarters.values())
    await write.days(tx, this.#days.values())
    await this.#writeContacts(tx)
    await this.#writeContactDays(tx)
    this.clear()
  }

  async #writeContacts(tx: Db) {
    const write = this.#write
    const tags = new Map<number, Row<'tag_counts'>>()
    for (const { again, ...change } of this.#contacts.values()) {
      const { contact_id } = change
      await write.contact(tx, change)
      if (again) {
        const last = (await write.lastDeeds(tx, { contact_id })).rows[0]!
        await write.setLastDeeds(tx, { contact_id, ...last })
      }
      if (!engagementColumns.some((column) => change[column] !== 0)) continue
      for (const { tag_id } of (await write.tagsOf(tx, { contact_id })).rows) {
        const tag = entry(tags, tag_id, () => ({ tag_id, ...nothingOfTag, ...noEngagements }))
        for (const column of engagementColumns) tag[column] += change[column]
      }
    }
    await write.tags(tx, tags.values())
    await write.toScore(
      tx,
      Array.from(this.#contacts.keys(), (contact_id) => ({ contact_id })),
    )
  }

  /** People become active on a day, or no longer were: that takes a look at what they had done before. */
  async #writeContactDays(tx: Db) {
    const active = new Map<string, Row<'active_days'>>()
    const kept: Row<'contact_days'>[] = []
    for (const change of this.#contactDays.values()) {
      if (!engagementColumns.some((column) => change[column] !== 0)) continue
      const { contact_id, day_on } = change
      const before = (await this.#write.contactDay(tx, { contact_id, day_on })).rows[0]
      const after = { ...change }
      if (before) for (const column of engagementColumns) after[column] += before[column]
      const day = entry(active, day_on, () => ({ day_on, people: 0, all_people: 0 }))
      day.people += Number(isActive(after)) - Number(before ? isActive(before) : false)
      day.all_people +=
        Number(isActive(after, { machines: true })) -
        Number(before ? isActive(before, { machines: true }) : false)
      if (engagementColumns.every((column) => after[column] === 0))
        await this.#write.dropContactDay(tx, { contact_id, day_on })
      else kept.push(after)
    }
    await this.#write.putContactDays(tx, kept)
    await this.#write.activeDays(
      tx,
      [...active.values()].filter(({ people, all_people }) => people !== 0 || all_people !== 0),
    )
  }
}

const nobody = Object.fromEntries(receptionColumns.map((column) => [column, 0])) as Record<
  (typeof receptionColumns)[number],
  number
>
const nothingOfTag = { contacts: 0, scored: 0, score_sum: 0 }
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
  adder(db, 'tag_counts', ['tag_id'], {
    sums: ['contacts', 'scored', 'score_sum', ...engagementColumns],
  })

function writers(db: Db) {
  type Day = { contact_id: number; day_on: string }
  type LastDeeds = { last_active_at: number | null; machine_last_active_at: number | null }
  return {
    mailings: adder<'mailing_counts', Omit<Row<'mailing_counts'>, 'last_at'>>(
      db,
      'mailing_counts',
      ['mailing_id'],
      { sums: [...engagementColumns, ...receptionColumns] },
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
        // Of what is removed the last is known, too.
        .set(({ selectFrom }) => ({
          last_at: selectFrom('sealed_mailings')
            .select((eb) =>
              greaterOf(sql<number | null>`${value('last_at')}`, eb.fn.max<number | null>('last_at')).as(
                'at',
              ),
            )
            .whereRef('sealed_mailings.mailing_id', '=', 'mailing_counts.mailing_id'),
        }))
        .where('mailing_id', '=', value('mailing_id')),
    ),
    quarters: adder(db, 'engagement_quarters', ['list_id', 'quarter_at'], { sums: engagementColumns }),
    days: adder(db, 'engagement_days', ['list_id', 'day_on'], { sums: engagementColumns }),
    activeDays: adder(db, 'active_days', ['day_on'], { sums: ['people', 'all_people'] }),
    tags: tagAdder(db),
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
          last_active_at: greaterOf(ref('last_active_at') as never, sql`${value('last_active_at')}`),
          machine_last_active_at: greaterOf(
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
    toScore: compiledRows<{ contact_id: number }>(['contact_id'], (rows) =>
      db
        .insertInto('contacts_to_score')
        .values(rows)
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
    putContactDays: compiledRows<Row<'contact_days'>>(
      ['contact_id', 'day_on', ...engagementColumns],
      (rows) =>
        db
          .insertInto('contact_days')
          .values(rows)
          .onConflict((conflict) =>
            conflict
              .columns(['contact_id', 'day_on'])
              .doUpdateSet(({ ref }) =>
                Object.fromEntries(engagementColumns.map((column) => [column, ref(`excluded.${column}`)])),
              ),
          ),
    ),
    dropContactDay: compiled<Day>((value) =>
      db
        .deleteFrom('contact_days')
        .where('contact_id', '=', value('contact_id'))
        .where('day_on', '=', value('day_on')),
    ),
  }
}
