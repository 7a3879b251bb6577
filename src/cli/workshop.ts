import { pino } from 'pino'
import { createApp } from '../app.js'
import { lockDataFolder } from '../database/lock.js'
import { openReaders } from '../database/readers.js'
import { Ledger } from '../ledger/ledger.js'
import { openInstallation } from './installation.js'

/**
 * The whole installation with its jobs, for a command that runs one of them. Where a server is running, `isServed`: it
 * performs what is asked for. Where none is, this process does, and none can start until `close`.
 */
export async function openWorkshop() {
  const { config, db, path } = await openInstallation()
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  // What fails here without a sentence of its own is told with its stack, and never on standard output.
  const log = pino({ level: 'fatal' }, pino.destination({ fd: 2, sync: true }))
  const app = await createApp({ config, db, readers, ledger, log, now: Date.now })
  const unlock = lockDataFolder(config.DATA_DIR)
  if (unlock) await app.jobs.takeOver()
  return {
    ...app,
    config,
    db,
    isServed: unlock === null,
    async close() {
      await app.jobs.stop()
      // The threads of the readers keep a command alive that has failed.
      await Promise.all([
        app.buttondown.stop(),
        app.emailOctopus.stop(),
        app.scoring.stop(),
        app.remover.stop(),
        app.deliveries.stop(),
      ])
      await app.press.close() // a browser that printed a report would keep the command alive
      await ledger.close()
      await app.promos.stop()
      await readers.destroy()
      await db.destroy()
      unlock?.()
    },
  }
}
export type Workshop = Awaited<ReturnType<typeof openWorkshop>>
