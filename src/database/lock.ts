import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { isBusy } from './errors.js'

/**
 * Takes a data folder for this process alone, until it ends, however it ends: a lock that the system itself takes
 * back is never left behind.
 * @returns a function that gives it back; null when another server holds it
 */
export function lockDataFolder(dataDir: string): (() => void) | null {
  const lock = new Sqlite(join(dataDir, 'server.lock'), { timeout: 0 })
  try {
    lock.pragma('journal_mode = memory')
    lock.exec('begin exclusive')
    return () => lock.close()
  } catch (error) {
    lock.close()
    if (isBusy(error)) return null
    throw error
  }
}
