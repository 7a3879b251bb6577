import type Sqlite from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import type { Disk } from './log-on-disk.js'

/**
 * SQLite for Kysely with what its own dialect lacks: statements are prepared once for each text, a transaction takes
 * the write lock when it begins (so it never fails half-way for want of it), a rollback after SQLite has already
 * rolled back (disk full) is no error of its own, a migration happens wholly or not at all, and the disk is waited for
 * without standing still.
 */
export class SqliteFileDialect implements Dialect {
  readonly #file: Sqlite.Database
  readonly #disk: Disk

  constructor(file: Sqlite.Database, disk: Disk) {
    this.#file = file
    this.#disk = disk
  }
  createDriver() {
    return new FileDriver(this.#file, this.#disk)
  }
  createQueryCompiler() {
    return new SqliteQueryCompiler()
  }
  createAdapter() {
    return new FileAdapter()
  }
  createIntrospector(db: Kysely<unknown>) {
    return new SqliteIntrospector(db)
  }
}

/** Kysely thinks that SQLite cannot change tables inside a transaction. It can. */
class FileAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl() {
    return true
  }
}

const begin = CompiledQuery.raw('begin immediate')
const commit = CompiledQuery.raw('commit')
const rollback = CompiledQuery.raw('rollback')

class FileDriver extends SqliteDriver {
  readonly #file: Sqlite.Database
  readonly #disk: Disk
  readonly #connection: FileConnection

  constructor(file: Sqlite.Database, disk: Disk) {
    super({ database: file as never })
    this.#file = file
    this.#disk = disk
    this.#connection = new FileConnection(file, disk)
  }
  override async acquireConnection() {
    await super.acquireConnection() // one after another
    return this.#connection
  }
  override async beginTransaction() {
    await this.#connection.executeQuery(begin)
    this.#connection.isAhead = false
  }
  override async commitTransaction() {
    await this.#connection.executeQuery(commit)
    if (!this.#connection.isAhead) await this.#disk.reach()
  }
  override async rollbackTransaction(connection: DatabaseConnection) {
    if (this.#file.inTransaction) await connection.executeQuery(rollback)
  }
  override async destroy() {
    await super.destroy()
    this.#disk.close()
  }
}

/** The one connection, which a transaction has for itself from its begin to its end. */
export class FileConnection implements DatabaseConnection {
  /** Whoever runs the present transaction waits for the disk by itself. */
  isAhead = false
  readonly #file: Sqlite.Database
  readonly #disk: Disk
  readonly #statements = new Map<string, Sqlite.Statement>()

  constructor(file: Sqlite.Database, disk: Disk) {
    this.#file = file
    this.#disk = disk
  }

  executeQuery<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
    const statement = this.#prepare(sql)
    const result = run<Row>(statement, parameters)
    // A transaction waits for the disk once, at its end; a statement outside of one is a transaction of its own.
    return statement.readonly || this.#file.inTransaction
      ? Promise.resolve(result)
      : this.#disk.reach().then(() => result)
  }

  /** @see Disk.reach */
  reachDisk() {
    return this.#disk.reach()
  }

  async *streamQuery<Row>({ sql, parameters }: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    for (const row of this.#prepare(sql).iterate(parameters)) yield { rows: [row as Row] }
  }

  /** Preparing costs more than running. Texts made on the fly must not pile up, so all are let go when they are many. */
  #prepare(text: string) {
    let statement = this.#statements.get(text)
    if (!statement) {
      statement = this.#file.prepare(text)
      if (this.#statements.size >= 500) this.#statements.clear()
      this.#statements.set(text, statement)
    }
    return statement
  }
}

function run<Row>(statement: Sqlite.Statement, parameters: readonly unknown[]): QueryResult<Row> {
  if (statement.reader) return { rows: statement.all(parameters) as Row[] }
  const { changes, lastInsertRowid } = statement.run(parameters)
  return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] }
}
