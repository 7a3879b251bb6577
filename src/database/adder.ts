import { sql } from 'kysely'
import { compiledRows } from './compiled.js'
import type { Db } from './open.js'
import type { Row, Tables } from './schema.js'

/** What is to become of the columns of a count that was there before. */
interface Columns {
  /** Numbers that are added to those that are there. */
  sums: readonly string[]
  /** Instants of which the earlier one stays, or the later one; null yields to whatever is there. */
  earliest?: readonly string[]
  latest?: readonly string[]
}

/**
 * Adds counts to a table of counts, which is how the ledger's rooms write what a transaction changed.
 * @param keys the columns that tell one count from another, as the table's primary key has them
 * @returns a function that writes the rows of a transaction, several by one statement
 */
export function adder<Name extends keyof Tables & string, Counts extends object = Row<Name>>(
  db: Db,
  table: Name,
  keys: readonly (keyof NoInfer<Counts> & string)[],
  { sums, earliest = [], latest = [] }: Columns,
): (tx: Db, rows: Iterable<Counts>) => Promise<void> {
  const old = (column: string) => sql.ref(`${table}.${column}`)
  const added = (column: string) => sql.ref(`excluded.${column}`)
  const widest = (fn: 'min' | 'max') => (column: string) => [
    column,
    sql`${sql.raw(fn)}(coalesce(${old(column)}, ${added(column)}), coalesce(${added(column)}, ${old(column)}))`,
  ]
  const changes = Object.fromEntries([
    ...sums.map((column) => [column, sql`${old(column)} + ${added(column)}`]),
    ...earliest.map(widest('min')),
    ...latest.map(widest('max')),
  ])
  return compiledRows<Counts>(
    [...keys, ...sums, ...earliest, ...latest] as (keyof Counts & string)[],
    (rows) =>
      db
        .insertInto(table as 'tag_counts')
        .values(rows as never)
        .onConflict((conflict) => conflict.columns(keys as never).doUpdateSet(changes as never)),
  )
}
