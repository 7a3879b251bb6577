import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'

/** One thing that happened, on a contact's timeline. */
export interface Moment {
  at: number
  /** Tells moments of the same millisecond apart, and is the key of a page: `engagement:12`. */
  id: string
  /** What happened, as a short sentence in plain text: "Clicked in Issue 112". `href` is where it leads. */
  what: string
  /** A second line: the link, the domain, the source. */
  detail: string
  /** The word at the end of the line: clicked, opened, landed, €36.00. */
  word: string
  /** How far along the way to the sale, as the ramp of the design has it: 1 sent, 2 opened, 3 clicked, 4 landed, 5 converted. */
  step: 1 | 2 | 3 | 4 | 5 | null
  /** `machine` is drawn as a ghost; `ours` is what was done to the contact rather than by it. */
  kind: 'theirs' | 'ours' | 'machine'
  /** Where to look further, if anywhere. */
  href: string | null
}

/**
 * The order of a timeline: newest first; those of one millisecond by their ids, the higher number first. Each room
 * answers in this order, so that a page can go on behind any moment.
 */
export const byTime = (one: Pick<Moment, 'at' | 'id'>, other: Pick<Moment, 'at' | 'id'>) =>
  other.at - one.at || ids.compare(other.id, one.id)
const ids = new Intl.Collator('en', { numeric: true })

/** What a room has of a contact, as numbers. */
export interface Overview {
  /** How many moments its timeline has, those of machines and proxies left out. */
  moments: number
  /** How many machines and proxies add. */
  machines: number
  /** How many of these are removed: the counts are all that is left of them. */
  removed?: { moments: number; machines: number }
  /** Figures beside those of the mailings. `note` is a short remark below, followed by how long ago `noteAt` was. */
  tiles: { label: string; value: number; note: string; noteAt: number | null }[]
}

/** A deed of a person, outside mailings, that counts for the score. */
export interface Signal {
  contact_id: number
  at: number
  kind: 'landing' | 'conversion'
}

/**
 * What a room that knows something about contacts tells the others. `audience` stands below them all and imports none:
 * they enter themselves.
 */
export interface ContactRoom {
  /** Unique, and the key of its part of an export: `audience`, `campaigns`. */
  name: string
  /** How the page of a contact calls its part of the timeline: "Campaigns". */
  title?: string
  overview?(db: Db | Readers, contact: number, count: { machines: boolean }): Promise<Overview>
  /**
   * Moments of a contact, in the order of {@link byTime}.
   * @param before only those before this instant (exclusive), or all
   * @param limit at most so many
   * @param machines those of machines and proxies too
   */
  timeline?(
    db: Db | Readers,
    contact: number,
    page: { before: number; limit: number; machines: boolean },
  ): Promise<Moment[]>
  /** All that is stored about a contact, as it goes into the export, under the room's name. */
  export?(db: Db | Readers, contact: number): Promise<object>
  /**
   * Takes away all that tells who it was, inside the ledger's transaction; facts and counts stay.
   * @param names the addresses and identities that the contact had
   */
  erase?(tx: Db, contact: number, names: string[]): Promise<void>
  /** Moves all facts of one contact to another and counts both anew, inside the ledger's transaction. */
  merge?(tx: Db, from: number, into: number): Promise<void>
  /** Deeds that count for the score. @param contacts ids, from (inclusive) and to (exclusive), or a list */
  signals?(db: Db | Readers, contacts: { from: number; to: number } | number[]): Promise<Signal[]>
  /**
   * Contacts that did something after this mark of the room's own.
   * @returns their ids and the new mark; called until it brings no more
   */
  active?(db: Db, after: number): Promise<{ contacts: number[]; upTo: number }>
}

/** The rooms that have entered themselves. */
export class ContactRooms {
  readonly #rooms: ContactRoom[] = []

  enter(room: ContactRoom) {
    this.#rooms.push(room)
  }
  get all(): readonly ContactRoom[] {
    return this.#rooms
  }
}
