import { setTimeout as pause } from 'node:timers/promises'
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
import { isBusy } from './errors.js'
import type { Disk } from './log-on-disk.js'

/**
 * SQLite for Kysely with what its own dialect lacks: statements are prepared once for each text, a transaction takes
 * the write lock when it begins (so it never fails half-way for want of it), a rollback after SQLite has already
 * rolled back (disk full) is no error of its own, a migration happens wholly or not at all, and the disk and locks of
 * others are waited for without standing still.
 */
export class SqliteFileDialect implements Dialect {
  readonly #file: Sqlite.Database
  readonly #disk: Disk
  readonly #patience: number

  /** @param patience milliseconds to wait for a lock that somebody else holds; SQLite itself must not wait */
  constructor(file: Sqlite.Database, disk: Disk, patience: number) {
    this.#file = file
    this.#disk = disk
    this.#patience = patience
  }
  createDriver() {
    return new FileDriver(this.#file, this.#disk, this.#patience)
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

/** Milliseconds between two looks whether a lock is free. */
const longestMoment = 50

class FileDriver extends SqliteDriver {
  readonly #file: Sqlite.Database
  readonly #disk: Disk
  readonly #connection: FileConnection

  constructor(file: Sqlite.Database, disk: Disk, patience: number) {
    super({ database: file as never })
    this.#file = file
    this.#disk = disk
    this.#connection = new FileConnection(file, disk, (waited) => this.#stepAside(waited, patience))
  }
  /** Lends the connection to others for a moment, such as to those who only read. @returns false: that was all the patience */
  async #stepAside(waited: number, patience: number) {
    const moment = Math.min(Math.max(1, waited), longestMoment, patience - waited)
    if (moment <= 0) return false
    await super.releaseConnection()
    await pause(moment)
    await super.acquireConnection()
    return true
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
  readonly #stepAside: (waited: number) => Promise<boolean>
  readonly #statements = new Map<string, Sqlite.Statement>()

  /** @param stepAside waits a moment, after so many milliseconds; false: no more */
  constructor(file: Sqlite.Database, disk: Disk, stepAside: (waited: number) => Promise<boolean>) {
    this.#file = file
    this.#disk = disk
    this.#stepAside = stepAside
  }

  executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    try {
      return this.#execute(query)
    } catch (error) {
      // Whoever is in a transaction has the lock: what is busy then will not be free for waiting.
      if (!isBusy(error) || this.#file.inTransaction) throw error
      return this.#whenFree(query, error)
    }
  }

  async #whenFree<Row>(query: CompiledQuery, error: unknown): Promise<QueryResult<Row>> {
    const from = performance.now()
    while (await this.#stepAside(performance.now() - from)) {
      try {
        return await this.#execute(query)
      } catch (again) {
        if (!isBusy(again)) throw again
      }
    }
    throw error
  }

  #execute<Row>({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
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
