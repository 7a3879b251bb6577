import type { Db } from '../database/open.js'
import type { EngagementCounts } from '../database/schema.js'
import { NotFound } from '../web/errors.js'
import { filterOf } from './contact-filter.js'
import { type Counting, clicksOf, opensOf } from './counting.js'
import { engagementColumns, noEngagements } from './receptions.js'
import { ours } from './tag-book.js'

export interface Tag extends EngagementCounts {
  id: number
  name: string
  description: string
  /** The provider that keeps it; null for one of ours. */
  provider: string | null
  created_at: number
  /** How many contacts have it. */
  contacts: number
  /** Of the contacts that have a score; null where none has. */
  averageScore: number | null
}

export const tagSorts = {
  size: 'desc',
  name: 'asc',
  score: 'desc',
  opens: 'desc',
  clicks: 'desc',
} as const
export type TagSort = keyof typeof tagSorts

const names = new Intl.Collator('en', { sensitivity: 'base', numeric: true })

/** All tags with the sums over their contacts, those that nobody has as well. No value goes last, equals by name. */
export async function listTags(
  db: Db,
  { machines, sort = 'size', order }: Counting & { sort?: TagSort; order?: 'asc' | 'desc' },
): Promise<Tag[]> {
  const rows = (await readTags(db).execute()).map(withAverage)
  const sign = (order ?? tagSorts[sort]) === 'asc' ? 1 : -1
  const value = (tag: Tag) =>
    ({
      size: tag.contacts,
      score: tag.averageScore,
      opens: opensOf(tag, { machines }),
      clicks: clicksOf(tag, { machines }),
      name: null,
    })[sort]
  return rows.sort((one, other) => {
    const byName = names.compare(one.name, other.name)
    if (sort === 'name') return sign * byName
    const [left, right] = [value(one), value(other)]
    if (left === right) return byName
    if (left === null || right === null) return left === null ? 1 : -1
    return sign * (left - right)
  })
}

/** @throws NotFound when there is no tag with this number */
export async function getTag(db: Db, id: string | number): Promise<Tag> {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await readTags(db).where('tags.id', '=', Number(text)).executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no tag ${text.slice(0, 40)}.`)
  return withAverage(row)
}

/** Providers from whom some contacts have this tag. */
export async function originsOf(db: Db, tag: number) {
  const rows = await db
    .selectFrom('contact_tags')
    .select('origin')
    .distinct()
    .where('tag_id', '=', tag)
    .where('origin', '<>', ours)
    .execute()
  return rows.map(({ origin }) => origin)
}

const readTags = (db: Db) =>
  db
    .selectFrom('tags')
    .leftJoin('tag_counts', 'tag_counts.tag_id', 'tags.id')
    .select(['tags.id', 'name', 'description', 'provider', 'created_at'])
    .select(['contacts', 'scored', 'score_sum', ...engagementColumns])

type TagRow = Awaited<ReturnType<ReturnType<typeof readTags>['executeTakeFirstOrThrow']>>

function withAverage({ contacts, scored, score_sum, ...row }: TagRow): Tag {
  const counts = { ...noEngagements }
  for (const column of engagementColumns) counts[column] = row[column] ?? 0
  return {
    ...row,
    ...counts,
    contacts: contacts ?? 0,
    averageScore: scored ? (score_sum ?? 0) / scored : null,
  }
}

/** The saved segments whose filter names this tag. */
export async function segmentsWith(
  db: Db,
  tagName: string,
): Promise<{ id: number; name: string; query: string }[]> {
  const wanted = tagName.toLowerCase()
  const segments = await db.selectFrom('segments').select(['id', 'name', 'query']).orderBy('name').execute()
  return segments.filter(({ query }) => {
    const { tag, not } = filterOf(query)
    return [...tag, ...not].some((name) => name.toLowerCase() === wanted)
  })
}
