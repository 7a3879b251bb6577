import type { Compilable, CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type { Db } from './open.js'

class Placeholder {
  constructor(
    readonly name: string,
    readonly row = 0,
  ) {}
}

/**
 * A query that is built and compiled once and then only gets new values: what the hot paths use, since building
 * a query costs more than running it.
 *
 * @param build gets `value('name')` wherever a parameter stands; it has the type of that parameter.
 * @returns a function that runs the query on a connection or transaction with the parameters by name.
 */
export function compiled<Parameters extends object, Row = never>(
  build: (value: <Name extends keyof Parameters & string>(name: Name) => Parameters[Name]) => Compilable,
) {
  const template = build((name) => new Placeholder(name) as never).compile()
  const slots = template.parameters.map((value) => (value instanceof Placeholder ? value.name : null))
  return (tx: Db, parameters: Parameters): Promise<QueryResult<Row>> => {
    const values = slots.map((name, index) =>
      name === null ? template.parameters[index] : (parameters as Record<string, unknown>)[name],
    )
    return run<Row>(tx, { ...template, parameters: values } as CompiledQuery<Row>)
  }
}

/** How many rows one statement takes: eight halve what a row costs, and more than eight save nothing. */
const mostRows = 8

/**
 * The same for a query that takes rows: many by one statement, which costs half of what a statement for each does.
 * @param build gets as many rows as the statement is to take, with placeholders for values in the given columns
 * @returns a function that runs the query for all rows, in their order
 */
export function compiledRows<Row extends object>(
  columns: readonly (keyof Row & string)[],
  build: (rows: Row[]) => Compilable,
) {
  const templates: { template: CompiledQuery; slots: readonly Placeholder[] }[] = []
  function ofSize(size: number) {
    const rows = Array.from({ length: size }, (_, row) =>
      Object.fromEntries(columns.map((column) => [column, new Placeholder(column, row)])),
    )
    const template = build(rows as Row[]).compile()
    return { template, slots: template.parameters as Placeholder[] }
  }
  return async (tx: Db, all: Iterable<Row>): Promise<void> => {
    const rows = [...all] as Record<string, unknown>[]
    for (let from = 0; from < rows.length; from += mostRows) {
      const size = Math.min(mostRows, rows.length - from)
      templates[size] ??= ofSize(size)
      const { template, slots } = templates[size]
      const parameters = slots.map(({ row, name }) => rows[from + row]![name])
      await run(tx, { ...template, parameters })
    }
  }
}

function run<Row>(tx: Db, query: CompiledQuery<Row>): Promise<QueryResult<Row>> {
  if (!tx.isTransaction) return tx.executeQuery<Row>(query)
  // No promise more than the connection's own: they cost as much as a small query.
  const connection = connections.get(tx)
  return connection
    ? connection.executeQuery<Row>(query)
    : connectionOf(tx).then((lent) => lent.executeQuery<Row>(query))
}

/**
 * A transaction holds one connection from begin to end. Kysely lends it anew for each query, through as many promises
 * as cost a small query's own time again; here it is asked once. A transaction must not be used after its end.
 */
const connections = new WeakMap<Db, DatabaseConnection>()

export async function connectionOf(tx: Db) {
  const connection = await tx.getExecutor().provideConnection(async (lent) => lent)
  connections.set(tx, connection)
  return connection
}
