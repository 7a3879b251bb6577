import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from '../accounts/terminal.js'
import { ConfigError, environment, readConfig } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import { DatabaseRefused, migrate } from '../database/migrate.js'
import { openDatabase } from '../database/open.js'
import { finishSwap, isSwapUnderWay } from '../operations/restore-swap.js'
import { makeDataFolder } from '../secret.js'

/** Milliseconds a command waits for the server, or another command, to let go of the write lock. */
const patience = 30_000

/**
 * The installation that `DATA_DIR` names, for a command that works on its data, beside a running server or without.
 * @param create makes it when there is none, as a first start would
 * @throws ConfigError when there is none
 */
export async function openInstallation({ create = false }: { create?: boolean } = {}) {
  const config = readConfig(environment())
  const path = join(config.DATA_DIR, 'throughline.db')
  process.umask(0o077) // a database that a command makes is as private as one that the server makes
  if (create && !config.EXPECT_EXISTING_DATA) makeDataFolder(config.DATA_DIR)
  else if (!existsSync(path) && !isSwapUnderWay(config.DATA_DIR))
    throw new ConfigError(
      `DATA_DIR must be a folder with data; ${config.DATA_DIR} has none. Run npm start first.`,
    )
  const unlock = lockDataFolder(config.DATA_DIR)
  if (unlock) finishSwap(config.DATA_DIR)
  else if (isSwapUnderWay(config.DATA_DIR))
    throw new ConfigError('A restore is under way. Try again when it is done.')
  unlock?.()
  // A server that is running archives the log, and no other connection may bring it back into the database.
  const db = openDatabase(path, { patience, isArchived: unlock === null })
  const copy = await migrate(db, { dataDir: config.DATA_DIR, now: Date.now })
  if (copy) console.log(`A copy was made before the migration: ${copy}`)
  return { config, db, path }
}

/** Runs a command: what an operator can put right ends it with one sentence, anything else with its stack. */
export async function command(program: () => Promise<void>) {
  try {
    await program()
  } catch (error) {
    const isPlain = [ConfigError, DatabaseRefused, Refusal].some((kind) => error instanceof kind)
    console.error(isPlain ? (error as Error).message : error)
    process.exitCode = 1
  }
}
