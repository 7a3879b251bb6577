import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'

/**
 * The one spelling of an address: trimmed, lower-cased, in Unicode's composed form. A space inside is a `+` that
 * somebody forgot to encode (`anna+news@…` in a query string arrives as `anna news@…`).
 */
export const normaliseEmail = (text: string) => text.normalize().trim().toLowerCase().replaceAll(' ', '+')

/** An address as it may come in through any door, in its one spelling; at most 255 characters. */
export const EmailAddress = z
  .string('The email is text.')
  .transform(normaliseEmail)
  .pipe(
    z
      .string()
      .min(1, 'The email is missing.')
      .max(255, 'The email is longer than 255 characters.')
      .regex(
        /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u,
        'The email is no address: it has one @ with something on both sides.',
      ),
  )

/**
 * Finds the one row of a person, or makes it.
 * @returns functions for a recorder: `find` answers null for a stranger; `findOrAdd` tells whether the person is new;
 *   `forget` after a rollback.
 */
export function contactBook(db: Db) {
  const known = new LRUCache<string, number>({ max: 20_000 })
  const select = compiled<{ email: string }, { id: number }>((value) =>
    db.selectFrom('contacts').select('id').where('email', '=', value('email')),
  )
  const insert = compiled<{ email: string; at: number }, { id: number }>((value) =>
    db
      .insertInto('contacts')
      .values({ email: value('email'), created_at: value('at') })
      .returning('id'),
  )
  return {
    /** @param email in its one spelling, see {@link normaliseEmail} */
    async findOrAdd(tx: Db, email: string, at: number): Promise<{ id: number; isNew: boolean }> {
      const remembered = known.get(email)
      if (remembered !== undefined) return { id: remembered, isNew: false }
      const found = (await select(tx, { email })).rows[0]
      const id = found?.id ?? (await insert(tx, { email, at })).rows[0]!.id
      known.set(email, id)
      return { id, isNew: !found }
    },
    forget: () => known.clear(),
  }
}
