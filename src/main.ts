import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import { createApp } from './app.js'
import { ConfigError, environment, readConfig } from './config.js'
import { DatabaseRefused, migrate } from './database/migrate.js'
import { openDatabase } from './database/open.js'
import { openReaders } from './database/readers.js'
import { Ledger } from './ledger/ledger.js'
import { makeDataFolder } from './secret.js'

async function start() {
  const config = readConfig(environment())
  const log = pino({ level: config.LOG_LEVEL })
  const path = join(config.DATA_DIR, 'throughline.db')
  if (config.EXPECT_EXISTING_DATA && !existsSync(path))
    throw new ConfigError(`DATA_DIR must be a folder with data, as EXPECT_EXISTING_DATA=1 says: ${config.DATA_DIR} has none.`)
  makeDataFolder(config.DATA_DIR)

  const db = openDatabase(path)
  const now = Date.now
  const copy = await migrate(db, { dataDir: config.DATA_DIR, now })
  if (copy) log.info({ copy }, 'backup made before the migration')
  const readers = openReaders(path)
  const ledger = new Ledger({ db })
  const { app } = createApp({ config, db, readers, ledger, log, now })

  const server = app.listen(config.PORT, config.HOST)
  await once(server, 'listening')
  log.info({ port: (server.address() as AddressInfo).port, host: config.HOST }, 'listening')

  await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  server.close()
  server.closeIdleConnections()
  await ledger.close()
  await readers.destroy()
  await db.destroy()
  process.exit(0)
}

start().catch((error) => {
  if (error instanceof ConfigError || error instanceof DatabaseRefused) console.error(error.message)
  else console.error(error)
  process.exit(1)
})
