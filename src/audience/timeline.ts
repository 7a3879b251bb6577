import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { byTime, type ContactRoom, type Moment, type Overview } from './rooms.js'

/** The moment behind which a page begins. */
export type Key = Pick<Moment, 'at' | 'id'>

/**
 * The moments of a contact from several rooms in one order, newest first.
 * @param after the last moment of the page before; null for the first page
 * @returns at most `limit` moments, and the key of the next page; null at the end
 */
export async function readTimeline(
  readers: Db | Readers,
  rooms: readonly ContactRoom[],
  contact: number,
  { after, limit, machines }: { after: Key | null; limit: number; machines: boolean },
): Promise<{ moments: Moment[]; next: Key | null }> {
  const parts = await Promise.all(
    rooms.map(async (room) => (room.timeline ? momentsAfter(readers, room.timeline) : [])),
  )
  const merged = parts.flat().sort(byTime)
  const moments = merged.slice(0, limit)
  const last = moments.at(-1)
  return { moments, next: merged.length > limit && last ? { at: last.at, id: last.id } : null }

  /** Rooms know pages by the instant alone: where many moments share the key's, they are asked for more of them. */
  async function momentsAfter(db: Db | Readers, timeline: NonNullable<ContactRoom['timeline']>) {
    const before = after ? after.at + 1 : Number.MAX_SAFE_INTEGER
    for (let asked = limit + 1; ; asked *= 2) {
      const moments = await timeline(db, contact, { before, limit: asked, machines })
      const rest = after ? moments.filter((moment) => byTime(moment, after) > 0) : moments
      if (rest.length > limit || moments.length < asked) return rest
    }
  }
}

/** How many moments there are, and what else the rooms have to say in numbers. */
export async function readOverview(
  readers: Db | Readers,
  rooms: readonly ContactRoom[],
  contact: number,
  count: { machines: boolean },
): Promise<Required<Overview>> {
  const parts = await Promise.all(rooms.map((room) => room.overview?.(readers, contact, count)))
  const known = parts.filter((part) => part !== undefined)
  return {
    moments: known.reduce((sum, { moments }) => sum + moments, 0),
    machines: known.reduce((sum, { machines }) => sum + machines, 0),
    removed: {
      moments: known.reduce((sum, { removed }) => sum + (removed?.moments ?? 0), 0),
      machines: known.reduce((sum, { removed }) => sum + (removed?.machines ?? 0), 0),
    },
    tiles: known.flatMap(({ tiles }) => tiles),
  }
}
