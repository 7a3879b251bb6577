import { rmSync } from 'node:fs'
import { type RawBuilder, sql } from 'kysely'
import type { Db } from './open.js'
import type { Tables } from './schema.js'

/** What of a table is compared. */
export interface Compared {
  table: keyof Tables
  /** The columns by which a row is known, and then no `id` beside them is compared; the primary key where none are named. */
  by?: string[]
  /** The columns that are compared; all others where none are named. */
  only?: string[]
  /** A row that counts nothing says something all the same, as soon as it names an instant. */
  instantsSay?: boolean
}

type Value = number | string | null
/** A row that is not what it was; null stands for no row at all. */
export interface RowDifference {
  key: Record<string, Value>
  before: Record<string, Value> | null
  after: Record<string, Value> | null
}

interface Columns {
  keys: string[]
  values: { name: string; isReal: boolean }[]
  types: Map<string, string>
  /** A row in which all of these are nought, or nothing, equals no row. */
  saying: string[]
}

/** A sum of fractions comes out differently by a hair in another order. */
const hair = 0.001

const all = (conditions: RawBuilder<unknown>[]) => sql`(${sql.join(conditions, sql` and `)})`
const any = (conditions: RawBuilder<unknown>[]) => sql`(${sql.join(conditions, sql` or `)})`

/**
 * Keeps the rows of tables as they are in a file beside the database, so that it can be told which of them become others.
 * Nothing is read into memory: SQLite goes through both in the order of their keys.
 * @param db one whose file nobody else writes
 */
export async function keepRows(db: Db, tables: Compared[]) {
  const { rows: files } = await sql<{ file: string }>`
    select file from pragma_database_list where name = 'main'`.execute(db)
  const file = `${files[0]!.file}-kept`
  rmSync(file, { force: true }) // what an interrupted comparison left
  await sql`attach database ${file} as kept`.execute(db)
  await sql`pragma kept.journal_mode = off`.execute(db)
  await sql`pragma kept.synchronous = off`.execute(db)
  const kept = new Map<keyof Tables, Columns>()
  for (const compared of tables) {
    const columns = await columnsOf(db, compared)
    kept.set(compared.table, columns)
    const table = sql.id('kept', compared.table)
    const keys = sql.join(columns.keys.map((name) => sql.id(name)))
    const names = [...columns.keys, ...columns.values.map(({ name }) => name)]
    // Of the same types as in the original: else no key of one could be looked up in the other.
    const typed = names.map((name) => sql`${sql.id(name)} ${sql.raw(columns.types.get(name)!)}`)
    await sql`create table ${table} (${sql.join(typed)}, primary key (${keys})) without rowid`.execute(db)
    const list = sql.join(names.map((name) => sql.id(name)))
    await sql`insert into ${table} (${list}) select ${list} from ${sql.id('main', compared.table)} order by ${keys}`.execute(
      db,
    )
  }

  return {
    /**
     * Which rows of a table are others than they were, in the order of their keys.
     * @param most how many of them are named
     * @returns how many there are of those that say something, and the first
     */
    async differences(table: keyof Tables, most: number): Promise<{ rows: number; first: RowDifference[] }> {
      const columns = kept.get(table)!
      const found = differing(table, columns)
      const { rows } = await sql<Record<string, Value>>`select * from (${found}) limit ${most}`.execute(db)
      if (rows.length < most)
        return { rows: rows.length, first: rows.map((row) => differenceOf(row, columns)) }
      const counted = await sql<{ rows: number }>`select count(*) as rows from (${found})`.execute(db)
      return { rows: counted.rows[0]!.rows, first: rows.map((row) => differenceOf(row, columns)) }
    },
    /** Lets go of what was kept. */
    async drop() {
      await sql`detach database kept`.execute(db)
      rmSync(file, { force: true })
    },
  }
}

async function columnsOf(db: Db, { table, by, only, instantsSay }: Compared): Promise<Columns> {
  const { rows } = await sql<{ name: string; type: string; pk: number }>`
    select name, type, pk from pragma_table_info(${table}) order by pk, cid`.execute(db)
  const keys = by ?? rows.filter(({ pk }) => pk > 0).map(({ name }) => name)
  const values = rows.filter(
    ({ name, pk }) => pk === 0 && !keys.includes(name) && (only === undefined || only.includes(name)),
  )
  const isInstant = (name: string) => /_(at|on)$/.test(name)
  return {
    keys,
    types: new Map(rows.map(({ name, type }) => [name, type])),
    values: values.map(({ name, type }) => ({ name, isReal: /real/i.test(type) })),
    saying: values.filter(({ name }) => instantsSay || !isInstant(name)).map(({ name }) => name),
  }
}

/** Of both, row by row: those that were and are others or gone, then those that were not there. */
function differing(table: keyof Tables, { keys, values, saying }: Columns) {
  const [before, after] = [sql.id('kept', table), sql.id('main', table)]
  const says = (of: string) => any(saying.map((name) => sql`coalesce(${sql.id(of, name)}, 0) <> 0`))
  const isOther = ({ name, isReal }: Columns['values'][number]) =>
    isReal
      ? sql`abs(coalesce(b.${sql.id(name)}, 0) - coalesce(a.${sql.id(name)}, 0)) > ${sql.lit(hair)}`
      : sql`b.${sql.id(name)} is not a.${sql.id(name)}`
  const isSame = all(keys.map((name) => sql`a.${sql.id(name)} = b.${sql.id(name)}`))
  const columns = (key: 'a' | 'b') => [
    ...keys.map((name, place) => sql`${sql.id(key, name)} as ${sql.id(`key_${place}`)}`),
    ...['b', 'a'].flatMap((of) => [
      sql`${sql.id(of, keys[0]!)} is not null as ${sql.id(`${of}_is`)}`,
      ...values.map(({ name }, place) => sql`${sql.id(of, name)} as ${sql.id(`${of}_${place}`)}`),
    ]),
  ]
  return sql`
    select ${sql.join(columns('b'))} from ${before} as b left join ${after} as a on ${isSame}
    where (${says('b')} or ${says('a')}) and ${any(values.map(isOther))}
    union all
    select ${sql.join(columns('a'))} from ${after} as a left join ${before} as b on ${isSame}
    where b.${sql.id(keys[0]!)} is null and ${says('a')}`
}

function differenceOf(row: Record<string, Value>, { keys, values }: Columns): RowDifference {
  const side = (of: 'a' | 'b') =>
    row[`${of}_is`] === 0
      ? null
      : Object.fromEntries(values.map(({ name }, place) => [name, row[`${of}_${place}`]!]))
  return {
    key: Object.fromEntries(keys.map((name, place) => [name, row[`key_${place}`]!])),
    before: side('b'),
    after: side('a'),
  }
}
