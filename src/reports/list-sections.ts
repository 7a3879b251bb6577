import { readCohorts } from '../audience/cohorts.js'
import { everybody } from '../audience/contact-filter.js'
import { conditionsOf, contactRows, listContacts } from '../audience/contact-list.js'
import { type GrowthPoint, growthWithin } from '../audience/growth.js'
import { engagedOf, engagementRate, listSizes, listSizesAt } from '../audience/lists.js'
import { isAmong } from '../database/expressions.js'
import { type Section, section } from './data.js'
import type { Making } from './mailing-sections.js'
import { spellsOf } from './spells.js'
import type { Named } from './subjects.js'
import { capital, quoted } from './words.js'

export interface ListNumbers extends Named {
  /** The period is over: sizes and engagement are of its end, and not of now. */
  isOver: boolean
  subscribed: number
  /** See `engagementRate` (src/audience/lists.ts): a share of one. */
  engagement: number | null
  joined: number
  left: number
  /** Ended ÷ subscribed at the beginning, over the period: a share of one. */
  churn: number | null
  /** The same over as many days before; null where nobody was subscribed when those began. */
  before: { joined: number; left: number } | null
  /** Subscriptions when the period began. */
  began: number
  /** How many subscribers are engaged. */
  active: number
  /** What engagement was made of when the period began; null where nobody asked for it, or nothing had been sent yet. */
  then: { active: number; subscribed: number } | null
  unit: 'day' | 'week' | 'month'
  /** Only those of the period. */
  points: GrowthPoint[]
}

/**
 * The lists in numbers, as the page of a list shows them; growth over the days of the period.
 * @param withPast who was engaged when the period began is told too, which takes a look at each subscription
 */
export async function readListNumbers(
  { readers, calendar, now, found }: Making,
  { withPast }: { withPast: boolean },
): Promise<ListNumbers[]> {
  const { period, before: earlier } = spellsOf(found.period, { calendar, now })
  const begins = calendar.startOf(period.from)
  const ends = calendar.startOf(calendar.shift(period.to, 1))
  const isOver = ends <= now
  // Nobody can have done anything before the first mailing: that is no time in which nobody was engaged.
  const hasPast = withPast && (await wasMailedBefore(readers, begins))
  return Promise.all(
    found.lists.map(async ({ id, name }) => {
      const [[growth, before], sizes, then] = await Promise.all([
        growthWithin(readers, calendar, { spells: [period, earlier], list: id }),
        isOver ? listSizesAt({ readers, calendar }, id, ends) : listSizes({ readers, calendar, now }, id),
        hasPast ? listSizesAt({ readers, calendar }, id, begins) : null,
      ])
      const hadSome = before!.began > 0
      return {
        id,
        name,
        isOver,
        // As the last point of the line has it.
        subscribed: (isOver ? growth!.points.at(-1)?.subscribed : undefined) ?? sizes.subscribed,
        engagement: engagementRate(sizes, { machines: false }),
        ...growth!,
        before: hadSome ? { joined: before!.joined, left: before!.left } : null,
        active: engagedOf(sizes, { machines: false }),
        then,
      }
    }),
  )
}

async function wasMailedBefore(readers: Making['readers'], at: number) {
  const one = await readers
    .selectFrom('mailings')
    .select('id')
    .where('sent_at', '<', at)
    .limit(1)
    .executeTakeFirst()
  return one !== undefined
}

/** Who joined and who left in the period; null where the report is about no list. */
export function growthSection(lists: readonly ListNumbers[], { f }: Pick<Making, 'f'>): Section | null {
  if (lists.length === 0) return null
  const [joined, left] = [
    lists.reduce((total, list) => total + list.joined, 0),
    lists.reduce((total, list) => total + list.left, 0),
  ]
  const heading =
    joined + left === 0
      ? 'Nobody joined and nobody left'
      : `${f.number(joined)} joined and ${f.number(left)} left`
  return section('growth', heading, {
    charts: lists
      .filter(({ points }) => points.length > 1)
      .map(({ name, points, unit }) => {
        const label = (on: string) => (unit === 'month' ? f.month(on) : f.shortDay(on))
        const step = Math.max(1, Math.ceil(points.length / 6))
        return {
          story: `Subscribers of ${name} by ${unit}: ${f.number(points.at(-1)!.subscribed)} at the end, ${f.number(points[0]!.subscribed)} after the first.`,
          as: 'number' as const,
          x: points.map((_, index) => index),
          ticks: points.flatMap(({ on }, index) =>
            index % step === 0 ? [{ x: index, label: label(on) }] : [],
          ),
          lines: [
            {
              label: lists.length > 1 ? `Subscribers of ${name}` : 'Subscribers',
              look: 'main' as const,
              values: points.map(({ subscribed }) => subscribed),
            },
          ],
          table: {
            caption: `${name}, by ${unit}`,
            columns: [
              { label: capital(unit), as: 'day' as const },
              { label: 'Joined', as: 'number' as const },
              { label: 'Left', as: 'number' as const },
              { label: 'Subscribers', as: 'number' as const },
            ],
            rows: points.map((point) => ({
              cells: [point.on, point.joined, point.left, point.subscribed],
            })),
          },
        }
      }),
    tables: [
      {
        caption: 'Lists',
        columns: [
          { label: 'List', as: 'text' },
          { label: 'Joined', as: 'number' },
          { label: 'Left', as: 'number' },
          { label: 'Churn', as: 'share2' },
          { label: 'Subscribers', as: 'number' },
          { label: 'Engaged', as: 'share1' },
        ],
        rows: lists.map(({ name, joined, left, churn, subscribed, engagement }) => ({
          cells: [name, joined, left, churn, subscribed, engagement],
        })),
      },
    ],
    notes: [
      `Subscribers and engaged are as of ${lists.some(({ isOver }) => isOver) ? 'its end' : 'now'}; joined, left and churn are of the period.`,
    ],
  })
}

/** So many lists get a table of cohorts each. */
const mostCohorts = 3

/**
 * Of those who joined in each of the last twelve months, how many were active in each month since: of three lists at most.
 * null where the report is about no list.
 */
export async function cohortSection({ readers, calendar, now, found, f }: Making): Promise<Section | null> {
  if (found.lists.length === 0) return null
  const lists = found.lists.slice(0, mostCohorts)
  const all = await Promise.all(
    lists.map(({ id }) => readCohorts(readers, calendar, { tag: 0, list: id, machines: false, now })),
  )
  const told = all.map((cohorts) => cohorts.filter(({ people }) => people > 0))
  if (told.every((cohorts) => cohorts.length === 0))
    return section('cohort', 'Nobody subscribed in the last twelve months')
  const shown = 6
  const third = told
    .flat()
    .flatMap(({ people, active }) => (active[3] === undefined ? [] : [{ people, at: active[3] }]))
  const people = third.reduce((sum, each) => sum + each.people, 0)
  return section(
    'cohort',
    people > 0
      ? `${f.percent(third.reduce((sum, { at }) => sum + at, 0) / people, 0)} are still active three months after joining`
      : 'How many stay active after joining',
    {
      tables: told.map((cohorts, index) => ({
        caption: `${lists[index]!.name}: active in the month of joining and in those after`,
        columns: [
          { label: lists.length > 1 ? lists[index]!.name : 'Joined in', as: 'text' as const },
          { label: 'People', as: 'number' as const },
          ...Array.from({ length: shown }, (_, month) => ({
            label: month === 0 ? 'Same month' : `+${month}`,
            as: 'share0' as const,
          })),
        ],
        isNamed: lists.length > 1,
        rows: cohorts.map(({ on, people, shares }) => ({
          cells: [f.month(on), people, ...Array.from({ length: shown }, (_, month) => shares[month] ?? null)],
        })),
      })),
      notes: [
        'Active: opened, clicked or replied in that month, machines left out. The last month still runs.',
      ],
    },
  )
}

/** So many people are named. */
const namedPeople = 10

/** The highest scores on the report's lists. Who they are is told apart from the rest, see src/reports/archive.ts. */
export async function engagedSection({ readers, now, found, f }: Making) {
  if (found.lists.length === 0) return null
  const ofAll = async (list: number) => {
    const conditions = await conditionsOf({ readers, now }, { ...everybody, list, status: 'subscribed' })
    return (await listContacts(readers, conditions, { limit: namedPeople })).rows
  }
  const ofSome = async (list: number, among: number[]) => {
    const best = await readers
      .selectFrom('contacts')
      .innerJoin('subscriptions', 'subscriptions.contact_id', 'contacts.id')
      .select('contacts.id')
      .where('list_id', '=', list)
      .where('subscriptions.status', '=', 'subscribed')
      .where(({ ref }) => isAmong(ref('contacts.id'), among))
      .where('score', 'is not', null)
      .orderBy('score', 'desc')
      .orderBy('contacts.id')
      .limit(namedPeople)
      .execute()
    return contactRows(
      readers,
      best.map(({ id }) => id),
    )
  }
  const pages = await Promise.all(
    found.lists.flatMap(({ id }) =>
      found.contacts === null ? [ofAll(id)] : found.contacts.map((among) => ofSome(id, among)),
    ),
  )
  const unique = new Map(pages.flat().map((row) => [row.id, row]))
  const rows = [...unique.values()]
    .filter(({ score }) => score !== null)
    .sort((one, other) => other.score! - one.score! || one.id - other.id)
    .slice(0, namedPeople)
  if (rows.length === 0) return { section: section('engaged', 'Nobody has a score yet'), people: [] }
  return {
    section: section(
      'engaged',
      rows.length === 1 ? 'The most engaged contact' : `The ${f.number(rows.length)} most engaged contacts`,
      {
        people: rows.map(({ score, opens, clicks }, index) => ({
          place: index + 1,
          cells: [Math.round(score!), opens, clicks],
        })),
        notes: ['Personal data: names and addresses. Whoever is erased leaves this table too.'],
      },
    ),
    people: rows.map(({ id, name, email }, index) => ({ place: index + 1, contact_id: id, name, email })),
  }
}

/** A list in words, for the head of a report. */
export const listWords = (lists: readonly Named[]) => lists.map(({ name }) => `the list ${quoted(name)}`)
