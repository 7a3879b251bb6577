import type { Compilable, CompiledQuery, DatabaseConnection, QueryResult } from 'kysely'
import type { Db } from './open.js'

class Placeholder {
  constructor(readonly name: string) {}
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
    const query = { ...template, parameters: values } as CompiledQuery<Row>
    if (!tx.isTransaction) return tx.executeQuery<Row>(query)
    // No promise more than the connection's own: they cost as much as a small query.
    const connection = connections.get(tx)
    return connection
      ? connection.executeQuery<Row>(query)
      : connectionOf(tx).then((lent) => lent.executeQuery<Row>(query))
  }
}

/**
 * A transaction holds one connection from begin to end. Kysely lends it anew for each query, through as many promises
 * as cost a small query's own time again; here it is asked once. A transaction must not be used after its end.
 */
const connections = new WeakMap<Db, DatabaseConnection>()

async function connectionOf(tx: Db) {
  const connection = await tx.getExecutor().provideConnection(async (lent) => lent)
  connections.set(tx, connection)
  return connection
}
