import type { Counting } from '../audience/counting.js'
import { engagementColumns, receptionColumns } from '../audience/receptions.js'
import { asJsonRows } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, ReceptionCounts, Row } from '../database/schema.js'
import { boundsInUnit, type MailingChoice } from './mailing-filter.js'
import { isUntold, numberOf } from './mailing-numbers.js'
import { type Mailing, mailingFrom } from './queries.js'
import { reportNumbers } from './record.js'

export interface Project {
  id: number
  name: string
  partner: string
}

/** A mailing in the list of all: with every list it went to, and the projects it belongs to. */
export interface ListedMailing extends Mailing {
  subject: string
  from_name: string
  from_address: string
  lists: { id: number; name: string }[]
  /** That it is tied to itself, else those of its lists. */
  projects: Project[]
  /** When it was sent, else made or first heard of: what puts mailings in order of time. */
  age_at: number
}

const facts = [
  'id',
  'provider',
  'name',
  'subject',
  'from_name',
  'from_address',
  'status',
  'sent_at',
  'made_at',
  'created_at',
  'url',
  'list_id',
] as const
type Facts = Pick<Row<'mailings'>, (typeof facts)[number]>

/** What was made of what was read last, and of what: most of the time nothing of it has changed when it is asked for again. */
const remembered = new WeakMap<Db | Readers, { told: (string | boolean)[]; mailings: ListedMailing[] }>()

/**
 * All mailings there are, drafts as well, the newest first. They are as many as somebody has written, some thousands,
 * and are read from counts and reports alone: whatever is asked of them is answered here, in memory.
 */
export async function listAllMailings(
  db: Db | Readers,
  { machines }: Counting,
): Promise<readonly ListedMailing[]> {
  const [rows, sentTo, lists, ties, projects] = await Promise.all([
    jsonOf(
      db
        .selectFrom('mailings')
        .leftJoin('mailing_counts as counts', 'counts.mailing_id', 'mailings.id')
        .leftJoin('mailing_reports as reports', 'reports.mailing_id', 'mailings.id')
        .select(({ ref }) =>
          asJsonRows([
            ...facts.map((column) => ref(`mailings.${column}`)),
            ref('counts.mailing_id'),
            ref('counts.last_at'),
            ...engagementColumns.map((column) => ref(`counts.${column}`)),
            ...receptionColumns.map((column) => ref(`counts.${column}`)),
            ref('reports.checked_at'),
            ...reportNumbers.map((column) => ref(`reports.${column}`)),
          ]).as('json'),
        ),
    ),
    jsonOf(
      db
        .selectFrom('mailing_lists')
        .select(({ ref }) => asJsonRows([ref('mailing_id'), ref('list_id')]).as('json')),
    ),
    db.selectFrom('lists').select(['id', 'name']).orderBy('name').execute(),
    db
      .selectFrom('project_ties')
      .select(['kind', 'thing_id', 'project_id'])
      .where('kind', 'in', ['mailing', 'list'])
      .execute(),
    db
      .selectFrom('projects')
      .innerJoin('partners', 'partners.id', 'projects.partner_id')
      .select(['projects.id', 'projects.name', 'partners.name as partner'])
      .execute(),
  ])
  const told = [rows, sentTo, JSON.stringify([lists, ties, projects]), machines]
  const before = remembered.get(db)
  if (before && told.every((part, index) => part === before.told[index])) return before.mailings
  const mailings = madeOf({ rows, sentTo, lists, ties, projects }, { machines })
  remembered.set(db, { told, mailings })
  return mailings
}

interface Told {
  /** JSON: an array of columns for each mailing, and pairs of a mailing and a list. */
  rows: string
  sentTo: string
  /** By name. */
  lists: { id: number; name: string }[]
  ties: { kind: string; thing_id: number; project_id: number }[]
  projects: Project[]
}

function madeOf({ rows, sentTo, lists, ties, projects }: Told, counting: Counting): ListedMailing[] {
  const listOf = new Map(lists.map((list) => [list.id, list]))
  const listsOf = groupLists(JSON.parse(sentTo), lists)
  const projectOf = new Map(projects.map((project) => [project.id, project]))
  const tiedTo = (kind: string) =>
    new Map(
      ties.flatMap((tie) => {
        const project = tie.kind === kind ? projectOf.get(tie.project_id) : undefined
        return project ? [[tie.thing_id, project] as const] : []
      }),
    )
  const [ofMailing, ofList] = [tiedTo('mailing'), tiedTo('list')]

  return (JSON.parse(rows) as Values[])
    .map((values) => {
      const { told, counted } = piecesOf(values)
      const list = told.list_id === null ? null : (listOf.get(told.list_id) ?? null)
      const went = listsOf.get(told.id) ?? (list ? [list] : [])
      const own = ofMailing.get(told.id)
      const listed = mailingFrom(told, { list, ...counted }, counting) as ListedMailing
      listed.subject = told.subject
      listed.from_name = told.from_name
      listed.from_address = told.from_address
      listed.lists = went
      listed.projects = own ? [own] : ofList.size === 0 ? [] : projectsOf(went, ofList)
      listed.age_at = told.sent_at ?? told.made_at ?? told.created_at
      return listed
    })
    .sort((one, other) => other.age_at - one.age_at || other.id - one.id)
}

type Values = (number | string | null)[]

/** Thousands of rows come out of a reading thread as one text. */
async function jsonOf(query: { executeTakeFirstOrThrow: () => Promise<{ json: string }> }) {
  return (await query.executeTakeFirstOrThrow()).json
}

/**
 * What the columns of {@link listAllMailings} hold, in their order, which a test keeps. Written out: of some thousand
 * mailings on each visit, loops over names would cost more than everything else.
 */
function piecesOf(values: Values) {
  const number = (at: number) => values[at] as number | null
  const count = (at: number) => (values[at] as number | null) ?? 0
  const counts: EngagementCounts = {
    opens: count(14),
    proxy_opens: count(15),
    machine_opens: count(16),
    unjudged_opens: count(17),
    clicks: count(18),
    machine_clicks: count(19),
    unjudged_clicks: count(20),
    replies: count(21),
  }
  const receptions: ReceptionCounts = {
    people_sent: count(22),
    people_delivered: count(23),
    people_opened: count(24),
    people_clicked: count(25),
    all_people_opened: count(26),
    all_people_clicked: count(27),
    unjudged_people_opened: count(28),
    unjudged_people_clicked: count(29),
    people_replied: count(30),
    people_bounced: count(31),
    people_complained: count(32),
    people_unsubscribed: count(33),
  }
  const checked_at = number(34)
  const report: Mailing['report'] =
    checked_at === null
      ? null
      : {
          recipients: number(35),
          deliveries: number(36),
          opens: number(37),
          unique_opens: number(38),
          clicks: number(39),
          unique_clicks: number(40),
          temporary_failures: number(41),
          permanent_failures: number(42),
          unsubscriptions: number(43),
          complaints: number(44),
          replies: number(45),
          checked_at,
        }
  const told: Facts = {
    id: values[0] as number,
    provider: values[1] as string,
    name: values[2] as string,
    subject: values[3] as string,
    from_name: values[4] as string,
    from_address: values[5] as string,
    status: values[6] as string,
    sent_at: number(7),
    made_at: number(8),
    created_at: values[9] as number,
    url: values[10] as string,
    list_id: number(11),
  }
  return {
    told,
    counted: { counts, receptions, report, last_at: number(13), hasCounts: values[12] !== null },
  }
}

/** The lists of each mailing, by name. @param lists in that order */
function groupLists(sentTo: [mailing: number, list: number][], lists: { id: number; name: string }[]) {
  const place = new Map(lists.map(({ id }, index) => [id, index]))
  const groups = new Map<number, typeof lists>()
  for (const [mailing, list] of sentTo.sort((one, other) => place.get(one[1])! - place.get(other[1])!)) {
    const group = groups.get(mailing)
    const found = lists[place.get(list)!]!
    if (group) group.push(found)
    else groups.set(mailing, [found])
  }
  return groups
}

const projectsOf = (lists: { id: number }[], ofList: Map<number, Project>) => [
  ...new Set(lists.map(({ id }) => ofList.get(id)).filter((project) => project !== undefined)),
]

/**
 * Those of the mailings that a filter lets through, whenever they were sent: the dates are {@link isIn}'s. A number that
 * a mailing does not have keeps no bound.
 */
export function chosenMailings(mailings: readonly ListedMailing[], choice: MailingChoice): ListedMailing[] {
  const wanted = choice.q.toLowerCase()
  const sender = choice.sender.toLowerCase()
  const [atLeast, atMost] = [boundsInUnit(choice.atLeast), boundsInUnit(choice.atMost)]
  const keeps = (mailing: ListedMailing) =>
    atLeast.every(([name, bound]) => (numberOf(mailing, name) ?? Number.NEGATIVE_INFINITY) >= bound) &&
    atMost.every(([name, bound]) => (numberOf(mailing, name) ?? Number.POSITIVE_INFINITY) <= bound)
  return mailings.filter(
    (mailing) =>
      (choice.status === 'all' ||
        (choice.status === '' ? wasSent(mailing) : mailing.status === choice.status)) &&
      (choice.provider === '' || mailing.provider === choice.provider) &&
      (choice.list === 0 || mailing.lists.some(({ id }) => id === choice.list)) &&
      (sender === '' || mailing.from_address.toLowerCase() === sender) &&
      (choice.project === 0 || mailing.projects.some(({ id }) => id === choice.project)) &&
      (choice.basis === '' || (!isUntold(mailing) && mailing.basis === choice.basis)) &&
      (wanted === '' ||
        mailing.name.toLowerCase().includes(wanted) ||
        mailing.subject.toLowerCase().includes(wanted)) &&
      keeps(mailing),
  )
}

/** It was sent, or something is known of its readers, so that it must have been. */
const wasSent = (mailing: ListedMailing) => mailing.sent_at !== null || mailing.hasCounts

const names = new Intl.Collator('en', { sensitivity: 'base', numeric: true })

/** In the order that is asked for. What has no value goes last, equals newest first. @param mailings the newest first */
export function inOrder(
  mailings: ListedMailing[],
  { sort, order }: Pick<MailingChoice, 'sort' | 'order'>,
): ListedMailing[] {
  const sign = order === 'asc' ? 1 : -1
  if (sort === 'sent') return order === 'desc' ? mailings : mailings.toReversed()
  if (sort === 'name') return mailings.toSorted((one, other) => sign * names.compare(one.name, other.name))
  if (sort === 'basis') return mailings.toSorted((one, other) => sign * names.compare(one.basis, other.basis))
  return mailings.toSorted((one, other) => {
    const [left, right] = [numberOf(one, sort), numberOf(other, sort)]
    if (left === right) return 0
    if (left === null || right === null) return left === null ? 1 : -1
    return sign * (left - right)
  })
}

export interface MailingPage {
  rows: ListedMailing[]
  /** How many the filter lets through. */
  count: number
  /** The mailing after which the next page begins; null on the last. */
  next: number | null
}

/** @param after the mailing that the page before ended with; 0 for the first page */
export function pageOf(
  mailings: ListedMailing[],
  { after = 0, limit = 50 }: { after?: number; limit?: number },
): MailingPage {
  const start = after === 0 ? 0 : mailings.findIndex(({ id }) => id === after) + 1
  const rows = mailings.slice(start, start + limit)
  const hasMore = mailings.length > start + rows.length
  return { rows, count: mailings.length, next: hasMore ? (rows.at(-1)?.id ?? null) : null }
}
