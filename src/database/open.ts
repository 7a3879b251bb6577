import Sqlite from 'better-sqlite3'
import { Kysely } from 'kysely'
import { SqliteFileDialect } from './dialect.js'
import type { Tables } from './schema.js'

export type Db = Kysely<Tables>

/**
 * Opens the file that holds everything, creating it when missing.
 *
 * `synchronous=FULL` makes a commit wait for the disk: what a door acknowledged survives a power cut.
 * @param patience milliseconds to wait, blocking, for another process's write lock. The server keeps this
 *   short, since nothing else runs meanwhile; the ledger tries again by itself.
 */
export function openDatabase(path: string, { patience = 50 }: { patience?: number } = {}): Db {
  const file = new Sqlite(path, { timeout: patience })
  file.pragma('journal_mode = wal')
  file.pragma('synchronous = full')
  file.pragma('foreign_keys = on')
  file.pragma('cache_size = -48000')
  file.pragma('temp_store = memory')
  // 16 MB of log between two checkpoints instead of 4: pages that every batch changes are copied back less often. More
  // would make the one commit that does it wait too long.
  file.pragma('wal_autocheckpoint = 4000')
  return new Kysely<Tables>({ dialect: new SqliteFileDialect(file) })
}
