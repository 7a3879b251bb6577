import { sql } from 'kysely'
import type { Db } from './open.js'
import type { Readers } from './readers.js'

/** Lets SQLite look again at how large tables and indexes are, where that has changed much (`pragma optimize`). */
export async function refreshStatistics(db: Db) {
  // Bounded, so that no event waits long: SQLite looks at this many rows of each index.
  await sql`pragma analysis_limit = 200`.execute(db)
  await sql`pragma optimize`.execute(db)
}

/** Every table, by name; SQLite's own and those behind a search index are left out. */
export async function tableNames(db: Db | Readers): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from pragma_table_list
    where schema = 'main' and type in ('table', 'virtual') and name not like 'sqlite_%'
    order by name`.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * Reads every page of a table and its indexes and looks whether they fit together (`pragma integrity_check`).
 * @returns what is wrong, at most twenty findings; empty where nothing is
 */
export async function checkTable(readers: Readers, table: string): Promise<string[]> {
  const { rows } = await sql<{ found: string }>`
    select integrity_check as found from pragma_integrity_check(${table}) limit 20`.execute(readers)
  return rows.map(({ found }) => found).filter((found) => found !== 'ok')
}

/** Rows that refer to rows which are not there. @returns how many of which table, as sentences */
export async function checkReferences(readers: Readers): Promise<string[]> {
  const { rows } = await sql<{ name: string; rows: number }>`
    select "table" as name, count(*) as rows from pragma_foreign_key_check group by "table"`.execute(readers)
  return rows.map(({ name, rows }) => `${rows} rows of ${name} refer to nothing`)
}
