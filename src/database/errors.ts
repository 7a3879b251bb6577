/** The result code of SQLite behind an error, such as `SQLITE_BUSY`, or the empty string. */
export function sqliteCode(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : ''
}

/** Another process holds the lock: worth trying again in a moment. */
export const isBusy = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error))

/** The database itself cannot be used now (locked, disk full, read-only, broken): no fault of the statement. */
export const isUnavailable = (error: unknown) =>
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|NOMEM)/.test(sqliteCode(error))

/** A unique index refused a row: what was to be new exists already. */
export const isDuplicate = (error: unknown) =>
  /^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)/.test(sqliteCode(error))

/** A foreign key refused: a row that others refer to was to go, or a row that it refers to is not there. */
export const isReferred = (error: unknown) => sqliteCode(error) === 'SQLITE_CONSTRAINT_FOREIGNKEY'
