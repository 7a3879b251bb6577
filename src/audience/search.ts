import { sql } from 'kysely'
import { isBusy } from '../database/errors.js'
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
        await new Promise((resolve) => setImmediate(resolve))
      }
      return indexed
    },
  }
}

const indexedUpTo = async (db: Db) => Number((await readSetting(db, indexedSetting)) ?? 0)

/** Asked first, since a transaction that writes nothing still holds the others up. */
async function isBehind(db: Db) {
  const newest = await db
    .selectFrom('contacts')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  return (newest?.id ?? 0) > (await indexedUpTo(db))
}

async function indexChunk(tx: Db): Promise<number> {
  const upTo = await indexedUpTo(tx)
  const contacts = await tx
    .selectFrom('contacts')
    .select(['id', 'email'])
    .where('id', '>', upTo)
    .orderBy('id')
    .limit(chunkSize)
    .execute()
  if (contacts.length === 0) return 0
  const values = sql.join(contacts.map(({ id, email }) => sql`(${id}, ${email})`))
  await sql`insert into contact_search (rowid, email) values ${values}`.execute(tx)
  await writeSetting(tx, indexedSetting, String(contacts[contacts.length - 1]!.id))
  return contacts.length
}

/** What somebody typed to find an address by, in the spelling that addresses have. */
export const searchTerm = (text: string) => normaliseEmail(text).slice(0, 255)

/**
 * All contacts whose address holds this part.
 * @param term see {@link searchTerm}
 * @param limit of contacts that are looked at
 * @returns their ids; null where there are more to look at, or where the index cannot help: it knows parts of three
 *   characters
 */
export async function findContacts(readers: Readers, term: string, limit: number): Promise<number[] | null> {
  const match = trigramsOf(term)
  if (match === null) return null
  const candidates = await sql<{ id: number }>`
    select rowid as id from contact_search where contact_search match ${match} limit ${limit + 1}`.execute(
    readers,
  )
  if (candidates.rows.length > limit) return null
  const { rows } = await sql<{ id: number }>`
    select id from contacts
    where id in (select value from json_each(${JSON.stringify(candidates.rows.map(({ id }) => id))}))
      and instr(email, ${term}) > 0
    union
    select id from contacts
    where id > coalesce((select cast(value as integer) from settings where name = ${indexedSetting}), 0)
      and instr(email, ${term}) > 0
    limit ${limit + 1}`.execute(readers)
  return rows.length > limit ? null : rows.map(({ id }) => id)
}

/**
 * The index holds no positions, so it knows no phrases: an address that holds the term holds all its trigrams.
 * @returns the FTS5 expression, or null for a term of fewer than three characters
 */
function trigramsOf(term: string): string | null {
  const letters = [...term]
  const trigrams = new Set<string>()
  for (let index = 0; index + 3 <= letters.length; index++)
    trigrams.add(letters.slice(index, index + 3).join(''))
  return trigrams.size === 0
    ? null
    : [...trigrams].map((part) => `"${part.replaceAll('"', '""')}"`).join(' AND ')
}
