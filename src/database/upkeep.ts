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

/**
 * The newest moments that a database tells of, in milliseconds: of each table with rowids and each of the named columns that
 * it has, the largest among its last hundred rows.
 */
export async function newestMoments(db: Db, columns: readonly string[]): Promise<number[]> {
  const { rows } = await sql<{ name: string; column: string }>`
    select tables.name, columns.name as "column"
    from pragma_table_list as tables, pragma_table_info(tables.name) as columns
    where tables.schema = 'main' and tables.type = 'table' and not tables.wr
      and columns.name in (${sql.join(columns)})`.execute(db)
  const moments: number[] = []
  for (const { name, column } of rows) {
    const found = await sql<{ newest: number | null }>`
      select max(${sql.id(column)}) as newest
      from (select ${sql.id(column)} from ${sql.id(name)} order by rowid desc limit 100)`.execute(db)
    moments.push(found.rows[0]?.newest ?? 0)
  }
  return moments
}
