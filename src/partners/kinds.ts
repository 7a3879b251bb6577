import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { HttpError } from '../web/errors.js'

/** The kinds of things that can belong to a project. */
export type KindName = 'campaign' | 'mailing' | 'list' | 'offer'

/** One thing of a kind, as the pages of projects show it. */
export interface Thing {
  id: number
  name: string
  /** Its own page. */
  href: string
  /** A second fact beside the name, in a few words: where it comes from, when it was sent. May be empty. */
  note: string
}

/** What a room tells of its things, so that they can be tied to a project. */
export interface TiedKind {
  kind: KindName
  /** Many of them, as a heading: "Campaigns". One of them is called by its kind. */
  title: string
  /** Those of these ids that are there, in any order. */
  find(db: Db | Readers, ids: number[]): Promise<Thing[]>
  /**
   * Those with this text in their name, in whatever case, the newest first; all of them for an empty text.
   * @param limit at most so many
   */
  search(db: Db | Readers, text: string, limit: number): Promise<Thing[]>
}

/**
 * A kind made of one way to read its things.
 * @param read the newest first: those of these ids, or all of them where no ids are given
 */
export function tiedKind({
  kind,
  title,
  read,
}: {
  kind: KindName
  title: string
  read: (db: Db | Readers, ids?: number[]) => Promise<Thing[]>
}): TiedKind {
  return {
    kind,
    title,
    find: read,
    async search(db, text, limit) {
      const wanted = text.toLowerCase()
      const things = await read(db)
      return things.filter(({ name }) => name.toLowerCase().includes(wanted)).slice(0, limit)
    },
  }
}

/**
 * The kinds that have entered themselves. This room stands below those that own the things and imports none of them.
 * A room that deletes a thing for good calls `untie` (ties.ts) in the same transaction.
 */
export class TiedKinds {
  readonly #kinds: TiedKind[] = []

  enter(kind: TiedKind) {
    this.#kinds.push(kind)
  }
  get all(): readonly TiedKind[] {
    return this.#kinds
  }
  /** @throws HttpError 422 for a kind that nobody entered */
  get(name: string): TiedKind {
    const found = this.#kinds.find(({ kind }) => kind === name)
    if (found) return found
    const names = this.#kinds.map(({ kind }) => kind).join(', ')
    throw new HttpError(
      422,
      `Nothing of the kind “${name.slice(0, 40)}” can be tied to a project, only: ${names}.`,
    )
  }
}
