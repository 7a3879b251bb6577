import type { Counting } from '../audience/counting.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { boundsInUnit, type MailingChoice } from './mailing-filter.js'
import { isUntold, numberOf } from './mailing-numbers.js'
import { type Mailing, mailingOf, readMailings } from './queries.js'

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

/**
 * All mailings there are, drafts as well, the newest first. They are as many as somebody has written, some thousands,
 * and are read from counts and reports alone: whatever is asked of them is answered here, in memory.
 */
export async function listAllMailings(db: Db | Readers, counting: Counting): Promise<ListedMailing[]> {
  const [rows, sentTo, lists, ties, projects] = await Promise.all([
    readMailings(db)
      .select(['mailings.subject', 'mailings.from_name', 'mailings.from_address', 'mailings.made_at'])
      .execute(),
    db.selectFrom('mailing_lists').select(['mailing_id', 'list_id']).execute(),
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
  const listIds = new Map<number, Set<number>>()
  for (const { mailing_id, list_id } of sentTo)
    listIds.set(mailing_id, (listIds.get(mailing_id) ?? new Set()).add(list_id))
  const projectOf = new Map(projects.map((project) => [project.id, project]))
  const tied = new Map(ties.map((tie) => [`${tie.kind} ${tie.thing_id}`, projectOf.get(tie.project_id)]))

  return rows
    .map((row): ListedMailing => {
      const mailing = mailingOf(row, counting)
      const ids = listIds.get(row.id) ?? new Set(row.list_id === null ? [] : [row.list_id])
      const own = tied.get(`mailing ${row.id}`)
      const through = own ? [own] : [...ids].map((id) => tied.get(`list ${id}`))
      return Object.assign(mailing, {
        subject: row.subject,
        from_name: row.from_name,
        from_address: row.from_address,
        lists: ids.size === 0 ? [] : lists.filter(({ id }) => ids.has(id)),
        projects: [...new Set(through)].filter((project) => project !== undefined),
        age_at: row.sent_at ?? row.made_at ?? row.created_at,
      })
    })
    .sort((one, other) => other.age_at - one.age_at || other.id - one.id)
}

/**
 * Those of the mailings that a filter lets through, whenever they were sent: the dates are {@link isIn}'s. A number that
 * a mailing does not have keeps no bound.
 */
export function chosenMailings(mailings: ListedMailing[], choice: MailingChoice): ListedMailing[] {
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
