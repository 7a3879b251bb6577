import { createHash } from 'node:crypto'
import type { Db } from '../database/open.js'
import { dayLength } from '../web/calendar.js'

/** Kinds that are told apart; beyond, the rest are one. */
const mostKinds = 200

/** Faults of ours, grouped: gathered in memory, kept by a job, so that a flood of them writes little. */
export class Faults {
  #gathered = new Map<
    string,
    { message: string; route: string; times: number; first: number; last: number }
  >()
  readonly #now: () => number

  constructor({ now }: { now: () => number }) {
    this.#now = now
  }

  readonly add = (error: unknown, route: string) => {
    const message = wordsOf(error)
    const at = this.#now()
    let fingerprint = fingerprintOf(message, route)
    if (!this.#gathered.has(fingerprint) && this.#gathered.size >= mostKinds) fingerprint = 'other'
    const known = this.#gathered.get(fingerprint)
    if (known) Object.assign(known, { times: known.times + 1, last: at })
    else this.#gathered.set(fingerprint, { message, route, times: 1, first: at, last: at })
  }

  /** Writes down what was gathered, and forgets what is older than thirty days. */
  async keep(db: Db) {
    const gathered = this.#gathered
    this.#gathered = new Map()
    for (const [fingerprint, { message, route, times, first, last }] of gathered)
      await db
        .insertInto('error_groups')
        .values({ fingerprint, message, route, times, first_at: first, last_at: last })
        .onConflict((conflict) =>
          conflict.column('fingerprint').doUpdateSet(({ eb, ref }) => ({
            times: eb(ref('error_groups.times'), '+', times),
            last_at: last,
          })),
        )
        .execute()
    await db
      .deleteFrom('error_groups')
      .where('last_at', '<', this.#now() - 30 * dayLength)
      .execute()
  }
}

/** The last ones of a week. */
export const listFaults = (db: Db, { since }: { since: number }) =>
  db
    .selectFrom('error_groups')
    .selectAll()
    .where('last_at', '>=', since)
    .orderBy('last_at', 'desc')
    .limit(20)
    .execute()

/** What it says, without what makes each one different, and without anybody's address. */
function wordsOf(error: unknown) {
  const { name = 'Error', message = String(error) } = (error ?? {}) as Partial<Error>
  return `${name}: ${message}`
    .replace(/\S*@\S*/g, '…')
    .replace(/(["'`“])[^"'`”]{1,200}["'`”]/g, '$1…$1')
    .replace(/\b(?:tl_)?[A-Za-z0-9_-]{20,}\b/g, '…')
    .replace(/\d+/g, '0')
    .slice(0, 300)
}

const fingerprintOf = (message: string, route: string) =>
  createHash('sha256').update(`${route}\n${message}`).digest('hex').slice(0, 32)
