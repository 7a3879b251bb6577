import type Sqlite from 'better-sqlite3'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Kysely,
  SqliteAdapter,
  SqliteDriver,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/**
 * SQLite for Kysely with what its own dialect lacks: statements are prepared once for each text, a transaction takes
 * the write lock when it begins (so it never fails half-way for want of it), a rollback after SQLite has already
 * rolled back (disk full) is no error of its own, and a migration happens wholly or not at all.
 */
export class SqliteFileDialect implements Dialect {
  readonly #file: Sqlite.Database

  constructor(file: Sqlite.Database) {
    this.#file = file
  }
  createDriver() {
    return new FileDriver(this.#file)
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
const rollback = CompiledQuery.raw('rollback')

class FileDriver extends SqliteDriver {
  readonly #file: Sqlite.Database

  constructor(file: Sqlite.Database) {
    super({ database: rememberingStatements(file) as never })
    this.#file = file
  }
  override async beginTransaction(connection: DatabaseConnection) {
    await connection.executeQuery(begin)
  }
  override async rollbackTransaction(connection: DatabaseConnection) {
    if (this.#file.inTransaction) await connection.executeQuery(rollback)
  }
}

/** Preparing costs more than running. Texts made on the fly must not pile up, so all are let go when they are many. */
function rememberingStatements(file: Sqlite.Database) {
  const statements = new Map<string, Sqlite.Statement>()
  return {
    prepare(text: string) {
      let statement = statements.get(text)
      if (!statement) {
        statement = file.prepare(text)
        if (statements.size >= 500) statements.clear()
        statements.set(text, statement)
      }
      return statement
    },
    close: () => file.close(),
  }
}
