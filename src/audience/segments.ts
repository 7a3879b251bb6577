import * as z from 'zod'
import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'
import { filterOf, queryOf } from './contact-filter.js'
import { conditionsOf, sizesOf } from './contact-list.js'

/** What a person may call a segment. */
export const SegmentForm = z.object({
  name: z
    .string('Give the segment a name.')
    .trim()
    .min(1, 'Give the segment a name.')
    .max(80, 'Keep the name under 80 letters.'),
})

export interface Segment {
  id: number
  name: string
  /** The filter as {@link queryOf} spells it. */
  query: string
}

/** In the order of their names. */
export async function listSegments(db: Db): Promise<Segment[]> {
  const segments = await db.selectFrom('segments').select(['id', 'name', 'query']).orderBy('name').execute()
  // In today's spelling, whatever it was when the segment was saved: pages compare it with their own.
  return segments.map((segment) => ({ ...segment, query: queryOf(filterOf(segment.query)) }))
}

export async function getSegment(db: Db, id: string): Promise<Segment> {
  const segment = /^\d{1,15}$/.test(id)
    ? await db
        .selectFrom('segments')
        .select(['id', 'name', 'query'])
        .where('id', '=', Number(id))
        .executeTakeFirst()
    : undefined
  if (!segment) throw new NotFound(`No segment ${id.slice(0, 20)}.`)
  return segment
}

/** @returns the segment, or null where another one has this name */
export async function saveSegment(
  db: Db,
  { name, query }: { name: string; query: string },
  { by, now }: { by: number | null; now: number },
): Promise<{ id: number } | null> {
  return unlessTaken(() =>
    db
      .insertInto('segments')
      .values({ name, query, created_at: now, created_by: by })
      .returning('id')
      .executeTakeFirstOrThrow(),
  )
}

/** @returns null where another one has this name */
export async function renameSegment(db: Db, id: number, name: string) {
  return unlessTaken(() => db.updateTable('segments').set({ name }).where('id', '=', id).executeTakeFirst())
}

export async function deleteSegment(db: Db, id: number) {
  await db.deleteFrom('segments').where('id', '=', id).execute()
}

async function unlessTaken<Result>(change: () => Promise<Result>): Promise<Result | null> {
  try {
    return await change()
  } catch (error) {
    if (isDuplicate(error)) return null
    throw error
  }
}

/** How old a size may be, in milliseconds: counting all segments is a scan of the contacts. */
const freshness = 60_000
/** So many segments are counted in one scan. */
const atOnce = 20

/** How many contacts are in each segment, counted at most once a minute. */
export function segmentSizes({ readers, now }: { readers: Readers; now: () => number }) {
  const sizes = new Map<string, { contacts: number; at: number }>()
  return {
    /** @returns sizes by the segments' queries */
    async of(segments: Pick<Segment, 'query'>[]): Promise<Map<string, number>> {
      const at = now()
      for (const [query, size] of sizes) if (at - size.at >= freshness) sizes.delete(query)
      const wanted = new Set(segments.map(({ query }) => query))
      const missing = [...wanted].filter((query) => !sizes.has(query))
      for (let from = 0; from < missing.length; from += atOnce) {
        const some = missing.slice(from, from + atOnce)
        const conditions = await Promise.all(
          some.map((query) => conditionsOf({ readers, now: at }, filterOf(query))),
        )
        const counted = await sizesOf(readers, conditions)
        for (const [index, query] of some.entries()) sizes.set(query, { contacts: counted[index]!, at })
      }
      return new Map([...wanted].map((query) => [query, sizes.get(query)?.contacts ?? 0]))
    },
    /** After a change that somebody waits to see. */
    forget: () => sizes.clear(),
  }
}
export type SegmentSizes = ReturnType<typeof segmentSizes>
