import Sqlite from 'better-sqlite3'

/** Holds the write lock of a database as another process would. @returns a function that gives it back */
export function holdLock(path: string) {
  const other = new Sqlite(path, { timeout: 0 })
  other.exec('begin immediate')
  return () => {
    other.exec('rollback')
    other.close()
  }
}
