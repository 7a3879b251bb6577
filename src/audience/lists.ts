import type { Expression, SqlBool } from 'kysely'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type Calendar, dayLength } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import type { Counting } from './counting.js'
import { engagementVerdict } from './engagement-verdict.js'
import { deedNumbers } from './receptions.js'
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

/** Of those on a list now, how many did something in the last {@link engagedDays}. */
export interface Engaged {
  /** They opened, clicked or replied themselves. */
  active: number
  /** Further ones, for whom only machines and mail proxies did. */
  machineActive: number
  /** Of the active ones: those of whom nothing is known in that time but what cannot be judged. */
  unjudgedActive: number
}

export interface List extends ListFacts, Engaged {
  /** How many are on it now, mail that is paused included. */
  subscribed: number
  /** Everybody who is or was on it. */
  people: number
  fields: number
  /** The provider's own tags of it. */
  tags: number
}

/** So many days back somebody must have done something to be engaged. */
export const engagedDays = 90

/** How many of a list's subscribers are engaged; with `machines` those too for whom machines and proxies did something. */
export const engagedOf = (
  { active, machineActive }: Pick<Engaged, 'active' | 'machineActive'>,
  { machines }: Counting,
) => active + (machines ? machineActive : 0)

/** Engagement of a list = its engaged subscribers ÷ its subscribers, see {@link engagedOf}; null without any. */
export const engagementRate = (
  list: Pick<List, 'active' | 'machineActive' | 'subscribed'>,
  counting: Counting,
) => (list.subscribed === 0 ? null : engagedOf(list, counting) / list.subscribed)

interface Needs {
  readers: Readers
  calendar: Calendar
  /** Milliseconds since 1970. */
  now: number
}

/** Whoever did something lately of the subscribers of all lists, list by list. */
function readEngaged({ readers, calendar, now }: Needs) {
  const since = now - engagedDays * dayLength
  return readers
    .selectFrom('subscriptions')
    .innerJoin('contacts', 'contacts.id', 'subscriptions.contact_id')
    .select((eb) => {
      const acted = eb('contacts.last_active_at', '>=', since)
      const someUnjudged = eb(eb('unjudged_opens', '+', eb.ref('unjudged_clicks')), '>', 0)
      const judged = eb.exists(
        eb
          .selectFrom('contact_days')
          .select('contact_days.day_on')
          .whereRef('contact_days.contact_id', '=', 'contacts.id')
          .where('contact_days.day_on', '>=', calendar.dayOf(since))
          .where((of) =>
            of.or([
              of('contact_days.opens', '>', of.ref('contact_days.unjudged_opens')),
              of('contact_days.clicks', '>', of.ref('contact_days.unjudged_clicks')),
              of('contact_days.replies', '>', 0),
            ]),
          ),
      )
      const people = (are: Expression<SqlBool>) =>
        eb.fn.coalesce(eb.fn.sum<number>(eb.case().when(are).then(1).else(0).end()), eb.lit(0))
      return [
        'subscriptions.list_id',
        people(acted).as('active'),
        // Nothing is compared with null, so that whoever never acted counts as well.
        people(eb.not(eb.fn.coalesce(acted, eb.lit(false) as never))).as('machine_active'),
        people(eb.and([acted, someUnjudged, eb.not(judged)])).as('unjudged_active'),
      ]
    })
    .where('subscriptions.status', 'in', reachedStatuses)
    .where(({ eb, or }) =>
      or([eb('contacts.last_active_at', '>=', since), eb('contacts.machine_last_active_at', '>=', since)]),
    )
    .groupBy('subscriptions.list_id')
}

const engagedIn = (
  row: { active: number; machine_active: number; unjudged_active: number } | undefined,
): Engaged => ({
  active: row?.active ?? 0,
  machineActive: row?.machine_active ?? 0,
  unjudgedActive: row?.unjudged_active ?? 0,
})

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
 */
export async function listLists(needs: Needs): Promise<List[]> {
  const { readers } = needs
  const [lists, counts, active, fields, tags] = await Promise.all([
    readLists(readers).orderBy('name').execute(),
    readers
      .selectFrom('subscriptions')
      .select(({ fn }) => ['list_id', 'status', fn.countAll<number>().as('people')])
      .groupBy(['list_id', 'status'])
      .execute(),
    readEngaged(needs).execute(),
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
        ...engagedIn(of(active)[0]),
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
export async function listSizes(needs: Needs, list: number) {
  const { readers } = needs
  const [rows, active] = await Promise.all([
    readers
      .selectFrom('subscriptions')
      .select(({ fn }) => ['status', fn.countAll<number>().as('people')])
      .where('list_id', '=', list)
      .groupBy('status')
      .execute(),
    readEngaged(needs).where('subscriptions.list_id', '=', list).executeTakeFirst(),
  ])
  const byStatus = new Map(rows.map(({ status, people }) => [status, people]))
  const of = (status: SubscriptionStatus) => byStatus.get(status) ?? 0
  return {
    byStatus,
    subscribed: reachedStatuses.reduce((sum, status) => sum + of(status), 0),
    ...engagedIn(active),
  }
}

/** So many subscriptions are looked at in one go. */
const pageOfThem = 20_000

/**
 * How many were on a list at an instant of the past, and how many of them were engaged then, by the rule of
 * {@link engagementRate} with machines left out. It is told by the changes of subscriptions and the days of contacts: whoever
 * has no change at all has always stood as now, as in the growth of the list (src/audience/growth.ts).
 *
 * It looks at each subscription of the list, a page of them at a time: not for a page that many people open. Machines are
 * left out: `machineActive` is nought.
 * @param at milliseconds
 */
export async function listSizesAt(
  { readers, calendar }: Pick<Needs, 'readers' | 'calendar'>,
  list: number,
  at: number,
): Promise<Pick<List, 'subscribed' | 'active' | 'machineActive'>> {
  const since = at - engagedDays * dayLength
  const firstDay = calendar.dayOf(since)
  // Where the clock was put on or back between the two, the window begins within a day.
  const firstWhole = calendar.startOf(firstDay) === since ? firstDay : calendar.shift(firstDay, 1)
  const sum = { subscribed: 0, active: 0, machineActive: 0 }
  let after: number | null = 0
  while (after !== null) {
    const page: number = after
    const row = await readers
      .selectFrom((from) =>
        from
          .selectFrom('subscriptions')
          .select((eb) => {
            const changes = () =>
              eb
                .selectFrom('subscription_changes as changes')
                .select('changes.status')
                .where('changes.list_id', '=', list)
                .whereRef('changes.contact_id', '=', 'subscriptions.contact_id')
            return [
              'contact_id',
              eb.fn
                .coalesce(
                  changes()
                    .where('changes.changed_at', '<', at)
                    .orderBy('changes.changed_at', 'desc')
                    .orderBy('changes.id', 'desc')
                    .limit(1),
                  // Who came later was not on it yet.
                  eb.case().when(eb.exists(changes())).then('').else(eb.ref('status')).end(),
                )
                .as('stood'),
            ]
          })
          .where('list_id', '=', list)
          .where('contact_id', '>', page)
          .orderBy('contact_id')
          .limit(pageOfThem)
          .as('some'),
      )
      .select((eb) => {
        const isOn = eb('stood', 'in', reachedStatuses)
        const wasActive = eb.or([
          eb.exists(
            eb
              .selectFrom('contact_days')
              .select('day_on')
              .whereRef('contact_days.contact_id', '=', 'some.contact_id')
              .where('day_on', '>=', firstWhole)
              .where('day_on', '<', calendar.dayOf(at))
              .where((of) => of.or([of('opens', '>', 0), of('clicks', '>', 0), of('replies', '>', 0)])),
          ),
          ...spansOf(since, firstWhole, at).map(([from, until]) =>
            eb.exists(
              eb
                .selectFrom('engagements')
                .select('engagements.id')
                .whereRef('engagements.contact_id', '=', 'some.contact_id')
                .where('happened_at', '>=', from)
                .where('happened_at', '<', until)
                .where('kind', 'in', deedNumbers)
                .where('verdict', '<', engagementVerdict.machine),
            ),
          ),
        ])
        const people = (are: Expression<SqlBool>) =>
          eb.fn.sum<number>(eb.case().when(are).then(1).else(0).end())
        return [
          eb.fn.countAll<number>().as('seen'),
          eb.fn.max('contact_id').as('last'),
          people(isOn).as('subscribed'),
          people(eb.and([isOn, wasActive])).as('active'),
        ]
      })
      .executeTakeFirstOrThrow()
    sum.subscribed += row.subscribed ?? 0
    sum.active += row.active ?? 0
    after = row.seen < pageOfThem ? null : row.last
  }
  return sum

  /** What of the window lies in days that are only a part of it. */
  function spansOf(since: number, firstWhole: string, at: number): [number, number][] {
    const [first, last] = [calendar.startOf(firstWhole), calendar.startOf(calendar.dayOf(at))]
    return [
      ...(since < first ? [[since, first] as [number, number]] : []),
      ...(last < at ? [[last, at] as [number, number]] : []),
    ]
  }
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
