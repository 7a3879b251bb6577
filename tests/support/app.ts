import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import supertest from 'supertest'
import { onTestFinished } from 'vitest'
import { createApp } from '../../src/app.js'
import { readConfig } from '../../src/config.js'
import { migrate } from '../../src/database/migrate.js'
import { openDatabase } from '../../src/database/open.js'
import { openReaders } from '../../src/database/readers.js'
import { Ledger } from '../../src/ledger/ledger.js'

/** Saturday 21 November 2026, 10:00 UTC: when every test begins. */
export const testStart = Date.UTC(2026, 10, 21, 10)

/** A clock that moves only when told to. */
export function stoppedClock(at = testStart) {
  const clock = {
    at,
    now: () => clock.at,
    /** Moves on by so many milliseconds. */
    pass(milliseconds: number) {
      clock.at += milliseconds
    },
  }
  return clock
}

/** An empty folder that is gone when the test is over. */
export function aFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface Options {
  /** Another start on the same data, as after a restart. */
  dataDir?: string
  env?: Record<string, string>
  clock?: ReturnType<typeof stoppedClock>
  ledger?: { capacity?: number; batch?: number }
  /** Milliseconds to wait for a lock that somebody else holds. */
  patience?: number
  log?: Logger
}

/** An empty database after all migrations: made once for all tests of a file, which begin with copies of it. */
let making: Promise<string> | undefined
function migrated() {
  making ??= (async () => {
    const folder = mkdtempSync(join(tmpdir(), 'throughline-empty-'))
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
    const path = join(folder, 'throughline.db')
    const db = openDatabase(path)
    await migrate(db, { dataDir: folder, now: () => testStart })
    await db.destroy()
    return path
  })()
  return making
}

/** A fresh application on a real SQLite file with real migrations and a stopped clock. */
export async function testApp({
  dataDir = aFolder(),
  env = {},
  clock = stoppedClock(),
  ledger: ledgerOptions = {},
  patience,
  log = pino({ level: 'silent' }),
}: Options = {}) {
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent', ...env })
  const path = join(dataDir, 'throughline.db')
  if (!existsSync(path)) copyFileSync(await migrated(), path)
  const db = openDatabase(path, patience === undefined ? {} : { patience })
  await migrate(db, { dataDir, now: clock.now })
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db, ...ledgerOptions })
  const parts = await createApp({ config, db, readers, ledger, log, now: clock.now })
  let stopped = false
  async function stop() {
    if (stopped) return
    stopped = true
    await Promise.all([
      parts.remover.stop(),
      parts.buttondown.stop(),
      parts.emailOctopus.stop(),
      parts.scoring.stop(),
      parts.jobs.stop(),
      parts.deliveries.stop(),
      parts.press.close(),
    ])
    await ledger.close()
    await parts.promos.stop()
    await readers.destroy()
    await db.destroy()
  }
  onTestFinished(stop)
  return { ...parts, config, db, readers, ledger, clock, dataDir, path, stop, http: supertest(parts.app) }
}
export type TestApp = Awaited<ReturnType<typeof testApp>>
