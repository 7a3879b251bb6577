import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { CompiledQuery } from 'kysely'
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

/**
 * How long a connection stands still, and the whole process with it, while another process holds the write lock.
 * @param milliseconds 0: it is told at once
 */
export const waitForLock = (milliseconds: number) =>
  CompiledQuery.raw(`pragma busy_timeout = ${milliseconds}`)
