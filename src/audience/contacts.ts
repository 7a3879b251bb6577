import { LRUCache } from 'lru-cache'
import * as z from 'zod'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { ErasureBook } from './erasures.js'

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

/** A name as people are searched by it. */
export const foldName = (name: string) => name.normalize().trim().toLowerCase()

/**
 * Finds the one row of a person, or makes it. A person has one row under all addresses they ever had; whoever was
 * erased goes on counting in a row that has none.
 */
export function contactBook({ db, erasures }: { db: Db; erasures: ErasureBook }) {
  const known = new LRUCache<string, number>({ max: 20_000 })
  let anyAliases: boolean | null = null
  const select = compiled<{ email: string }, { id: number }>((value) =>
    db.selectFrom('contacts').select('id').where('email', '=', value('email')),
  )
  const alias = compiled<{ email: string }, { id: number }>((value) =>
    db.selectFrom('contact_aliases').select('contact_id as id').where('email', '=', value('email')),
  )
  type New = { email: string; at: number; source: string; name: string; name_folded: string }
  const insert = compiled<New, { id: number }>((value) =>
    db
      .insertInto('contacts')
      .values({
        email: value('email'),
        created_at: value('at'),
        source: value('source'),
        name: value('name'),
        name_folded: value('name_folded'),
      })
      .returning('id'),
  )

  /** Installations that know neither pay for neither. */
  async function byAnotherName(tx: Db, email: string): Promise<number | null> {
    anyAliases ??=
      (await tx.selectFrom('contact_aliases').select('email').limit(1).executeTakeFirst()) !== undefined
    const former = anyAliases ? (await alias(tx, { email })).rows[0]?.id : undefined
    return former ?? (await erasures.find(tx, email))?.contact_id ?? null
  }

  async function find(tx: Db, email: string): Promise<number | null> {
    const remembered = known.get(email)
    if (remembered !== undefined) return remembered
    const id = (await select(tx, { email })).rows[0]?.id ?? (await byAnotherName(tx, email))
    if (id !== null) known.set(email, id)
    return id
  }

  return {
    isErased: erasures.isErased,
    /** @param email in its one spelling, see {@link normaliseEmail}. @returns null for a stranger */
    find,
    /**
     * @param at when the person was first heard of
     * @param source who told of them: `tracker`, a provider, `csv`
     * @param name of somebody who is new; whoever is known keeps theirs
     */
    async findOrAdd(
      tx: Db,
      email: string,
      at: number,
      source = 'tracker',
      name = '',
    ): Promise<{ id: number; isNew: boolean }> {
      const found = await find(tx, email)
      if (found !== null) return { id: found, isNew: false }
      const { id } = (await insert(tx, { email, at, source, name, name_folded: foldName(name) })).rows[0]!
      known.set(email, id)
      return { id, isNew: true }
    },
    /** After a rollback, and after an address has changed hands. */
    forget() {
      known.clear()
      anyAliases = null
      erasures.forget()
    },
  }
}
export type ContactBook = ReturnType<typeof contactBook>
