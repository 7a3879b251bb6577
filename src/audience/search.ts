import { setImmediate as letOthersIn } from 'node:timers/promises'
import { sql } from 'kysely'
import { isBusy } from '../database/errors.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { normaliseEmail } from './contacts.js'

/** The last contact that the index knows. */
const indexedSetting = 'contact_search_up_to'
const chunkSize = 200
/** Milliseconds of one run: it comes every second, and the doors must not feel it. */
const budget = 50

/**
 * Keeps the index of address parts behind the contacts: the doors pay nothing for it, and whoever searches looks at
 * the newest contacts, which are not in it yet, one by one. A run takes in what it can in a twentieth of a second.
 */
export function searchIndex({ db }: { db: Db }) {
  return {
    /** @returns how many contacts were indexed */
    async run(): Promise<number> {
      let indexed = 0
      const start = performance.now()
      while (performance.now() - start < budget && (await isBehind(db))) {
        try {
          indexed += await db.transaction().execute(indexChunk)
        } catch (error) {
          if (isBusy(error)) return indexed // another process writes; the next run comes in a second
          throw error
        }
        // Events that came in meanwhile go first.
        await letOthersIn()
      }
      return indexed
    },
  }
}

const indexedUpTo = async (db: Db) => Number((await readSetting(db, indexedSetting)) ?? 0)

/** Asked first, since a transaction that writes nothing still holds the others up. */
async function isBehind(db: Db) {
  const changed = await db.selectFrom('contacts_to_index').select('contact_id').limit(1).executeTakeFirst()
  if (changed) return true
  const newest = await db
    .selectFrom('contacts')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  return (newest?.id ?? 0) > (await indexedUpTo(db))
}

async function indexChunk(tx: Db): Promise<number> {
  const upTo = await indexedUpTo(tx)
  const changed = await tx
    .selectFrom('contacts_to_index')
    .leftJoin('contacts', 'contacts.id', 'contact_id')
    .select(['contact_id', 'contacts.id', 'email', 'name_folded', 'erased_at'])
    .limit(chunkSize)
    .execute()
  for (const { contact_id, id, email, name_folded, erased_at } of changed) {
    if (contact_id > upTo) continue // its turn has not come
    await removeFromSearch(tx, contact_id)
    if (id !== null && erased_at === null) await addToSearch(tx, [{ id, words: `${email} ${name_folded}` }])
  }
  await tx
    .deleteFrom('contacts_to_index')
    .where(({ ref }) =>
      isAmong(
        ref('contact_id'),
        changed.map(({ contact_id }) => contact_id),
      ),
    )
    .execute()
  const contacts = await tx
    .selectFrom('contacts')
    .select(['id', 'email', 'name_folded', 'erased_at'])
    .where('id', '>', upTo)
    .orderBy('id')
    .limit(chunkSize)
    .execute()
  if (contacts.length === 0) return changed.length
  const named = contacts.filter(({ erased_at }) => erased_at === null)
  if (named.length > 0)
    await addToSearch(
      tx,
      named.map(({ id, email, name_folded }) => ({ id, words: `${email} ${name_folded}` })),
    )
  await writeSetting(tx, indexedSetting, String(contacts[contacts.length - 1]!.id))
  return changed.length + contacts.length
}

async function addToSearch(tx: Db, contacts: { id: number; words: string }[]) {
  const values = sql.join(contacts.map(({ id, words }) => sql`(${id}, ${words})`))
  await sql`insert into contact_search (rowid, words) values ${values}`.execute(tx)
}

/** Nobody finds this contact by a part of what it was called. */
export async function removeFromSearch(tx: Db, contact: number) {
  await sql`delete from contact_search where rowid = ${contact}`.execute(tx)
}

/** The address or the name of this contact is another one now. */
export async function indexAgain(tx: Db, contact_id: number) {
  await tx
    .insertInto('contacts_to_index')
    .values({ contact_id })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** What somebody typed to find an address by, in the spelling that addresses have. */
export const searchTerm = (text: string) => normaliseEmail(text).slice(0, 255)

/**
 * All contacts whose address, or name, holds this part.
 * @param term see {@link searchTerm}
 * @param limit of contacts that are looked at
 * @param names look at names too
 * @returns their ids; null where there are more to look at, or where the index cannot help: it knows parts of three
 *   characters
 */
export async function findContacts(
  readers: Readers,
  term: string,
  limit: number,
  { names = true }: { names?: boolean } = {},
): Promise<number[] | null> {
  const match = trigramsOf(term)
  if (match === null) return null
  const candidates = await sql<{ id: number }>`
    select rowid as id from contact_search where contact_search match ${match} limit ${limit + 1}`.execute(
    readers,
  )
  if (candidates.rows.length > limit) return null
  const isFound = names
    ? sql`(instr(email, ${term}) > 0 or instr(name_folded, ${nameTerm(term)}) > 0)`
    : sql`instr(email, ${term}) > 0`
  const { rows } = await sql<{ id: number }>`
    select id from contacts
    where id in (select value from json_each(${JSON.stringify(candidates.rows.map(({ id }) => id))}))
      and ${isFound}
    union
    select id from contacts where id in (select contact_id from contacts_to_index) and ${isFound}
    union
    select id from contacts
    where id > coalesce((select cast(value as integer) from settings where name = ${indexedSetting}), 0)
      and ${isFound}
    limit ${limit + 1}`.execute(readers)
  return rows.length > limit ? null : rows.map(({ id }) => id)
}

/** In an address a space is a `+`, in a name it is a space. */
export const nameTerm = (term: string) => term.replaceAll('+', ' ')

/**
 * The index holds no positions, so it knows no phrases: an address that holds the term holds all its trigrams.
 * @returns the FTS5 expression, or null for a term of fewer than three characters
 */
function trigramsOf(term: string): string | null {
  const letters = [...term]
  const trigrams = new Set<string>()
  for (let index = 0; index + 3 <= letters.length; index++) {
    const part = letters.slice(index, index + 3).join('')
    // A name has a space where an address would have a plus: such a part can be in neither's index.
    if (!part.includes('+')) trigrams.add(part)
  }
  return trigrams.size === 0
    ? null
    : [...trigrams].map((part) => `"${part.replaceAll('"', '""')}"`).join(' AND ')
}
