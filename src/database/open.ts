import Sqlite from 'better-sqlite3'
import { Kysely } from 'kysely'
import { SqliteFileDialect } from './dialect.js'
import { LogOnDisk, waitedFor } from './log-on-disk.js'
import type { Tables } from './schema.js'

export type Db = Kysely<Tables>

/** Milliseconds that whoever writes waits for a lock that another process or thread holds. */
const usualPatience = 2_000

/**
 * Opens the file that holds everything, creating it when missing.
 *
 * A commit is answered once the disk has it (log-on-disk.ts): what a door acknowledged survives a power cut.
 * @param patience milliseconds to wait for another process's write lock; others use the connection meanwhile
 * @param isArchived an archive seals the log (archive.ts): this connection must never bring it back into the database
 * @param isMadeAnew what breaks is thrown away: nothing waits for the disk
 */
export function openDatabase(
  path: string,
  {
    patience = usualPatience,
    isArchived = false,
    isMadeAnew = false,
  }: { patience?: number; isArchived?: boolean; isMadeAnew?: boolean } = {},
): Db {
  const file = new Sqlite(path, { timeout: patience })
  // A commit writes whole pages to the log and waits for the disk. Facts are small and change pages in many places,
  // so small pages halve what it waits for. Only a new file heeds this.
  file.pragma('page_size = 2048')
  // A disk that several machines share may have no write-ahead log: SQLite then waits for it itself.
  const hasLog = file.pragma('journal_mode = wal', { simple: true }) === 'wal'
  file.pragma(`synchronous = ${isMadeAnew ? 'off' : hasLog ? 'normal' : 'full'}`)
  file.pragma('foreign_keys = on')
  // What is erased is overwritten where it stood, as far as that needs no further write.
  file.pragma('secure_delete = fast')
  file.pragma('cache_size = -24000')
  file.pragma(`wal_autocheckpoint = ${isArchived ? 0 : 16_000}`)
  // From here on it is not SQLite that waits: the whole process would stand still meanwhile.
  file.pragma('busy_timeout = 0')
  const disk = hasLog && !isMadeAnew ? new LogOnDisk(path) : waitedFor
  return new Kysely<Tables>({ dialect: new SqliteFileDialect(file, disk, patience) })
}
