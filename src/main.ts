import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { type AddressInfo, isIP } from 'node:net'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import type { Logger } from 'pino'
import { createAccountFromConfig } from './accounts/setup.js'
import { createApp } from './app.js'
import { rebuildEngagementDays } from './audience/rebuild.js'
import { countsTimeZone, rebuildDays } from './campaigns/rebuild.js'
import { type Config, ConfigError, environment, readConfig } from './config.js'
import { startArchive } from './database/archive.js'
import { lockDataFolder } from './database/lock.js'
import { DatabaseRefused, migrate } from './database/migrate.js'
import { openDatabase } from './database/open.js'
import { openReaders } from './database/readers.js'
import { readSetting } from './database/settings.js'
import { Ledger } from './ledger/ledger.js'
import { openLog, say } from './log.js'
import { makePrivateFolder } from './operations/backup-files.js'
import { removeBrokenOff } from './operations/restore.js'
import { finishSwap, isSwapUnderWay } from './operations/restore-swap.js'
import { segmentFolder } from './operations/segments.js'
import { rebuildPromoDays } from './promos/rebuild.js'
import { makeDataFolder } from './secret.js'
import { calendar } from './web/calendar.js'
import { httpServer } from './web/server.js'

/** Milliseconds from the signal to the end, come what may: hosts kill after ten seconds. */
const longestShutdown = 9_000

/**
 * Under a small limit (`--max-old-space-size`) V8 looks for garbage as soon as the heap has grown by a third, several times
 * a second at busy doors. The limit stays what it is; between two searches the heap may grow by six tenths.
 */
const heapGrowth = '--heap-growing-percent=60'

async function start() {
  setFlagsFromString(heapGrowth)
  const ended = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  process.umask(0o077) // what this process writes is its owner's alone
  const config = readConfig(environment())
  const log = openLog(config)
  const path = join(config.DATA_DIR, 'throughline.db')
  const holdsData = (existsSync(path) && statSync(path).size > 0) || isSwapUnderWay(config.DATA_DIR)
  if (config.EXPECT_EXISTING_DATA && !holdsData)
    throw new ConfigError(
      `DATA_DIR must be a folder with data, since EXPECT_EXISTING_DATA=1 says so; ${config.DATA_DIR} has none.`,
    )
  makeDataFolder(config.DATA_DIR)
  const unlock = lockDataFolder(config.DATA_DIR)
  if (!unlock)
    throw new ConfigError(
      `DATA_DIR must be a folder of this server's own; another one is already running on ${config.DATA_DIR}.`,
    )

  if (finishSwap(config.DATA_DIR)) log.warn('a restore that was broken off was brought to its end')
  const db = openDatabase(path, { isArchived: true })
  const now = Date.now
  const copy = await migrate(db, { dataDir: config.DATA_DIR, now })
  if (copy) log.info({ copy }, 'backup made before the migration')
  const days = calendar(config.TIME_ZONE)
  if ((await readSetting(db, countsTimeZone)) !== config.TIME_ZONE) {
    await db.transaction().execute(async (tx) => {
      await rebuildDays(tx, days)
      await rebuildEngagementDays(tx, days)
      await rebuildPromoDays(tx, days)
    })
    log.info({ timeZone: config.TIME_ZONE }, 'days counted in the reporting time zone')
  }

  const admin = await createAccountFromConfig({ db, now }, config)
  if (admin) log.info({ account: admin }, 'first account made from ADMIN_USERNAME')

  const readers = openReaders(path)
  const ledger = new Ledger({ db })
  const {
    app,
    setup,
    jobs,
    remover,
    audience,
    buttondown,
    emailOctopus,
    scoring,
    promos,
    press,
    deliveries,
    faults,
    backups,
  } = await createApp({
    config,
    db,
    readers,
    ledger,
    log,
    now,
  })

  await promos.load()
  const server = httpServer(app)
  server.listen(config.PORT, config.HOST)
  await once(server, 'listening')
  log.info(
    { port: (server.address() as AddressInfo).port, host: config.HOST, url: config.BASE_URL },
    'listening',
  )
  warnOfPlainHttp(config, log)
  const link = await setup.address()
  if (link) say(`\nMake the first account here: ${link}\n`)
  void remover.run() // what a stop interrupted
  removeBrokenOff(config.DATA_DIR).catch((err) => log.error({ err }, 'what a restore left cannot be removed'))
  const imported = await audience.finishImports()
  if (imported > 0) log.info({ contacts: imported }, 'import finished that the last process began')
  const again = await audience.eraseAgain()
  if (again > 0) log.warn({ contacts: again }, 'erased again: the database is older than their erasure')
  // What was due while nothing ran does not wait for the next minute.
  deliveries.runDue().catch((error) => log.error({ err: error }, 'reports that were due failed'))
  makePrivateFolder(segmentFolder(backups.folder))
  const archive = startArchive({
    path,
    folder: segmentFolder(backups.folder),
    segmentEvery: config.BACKUP_SEGMENT_SECONDS * 1000,
    chainBegan(why) {
      log.info({ why }, 'a backup is made, from which the segments of the log go on')
      void jobsBegun
        .then(() => jobs.begin('back-up', ''))
        .catch((err) => log.error({ err }, 'no backup begun'))
    },
    trouble: (message) => log.error({ reason: message }, 'the log cannot be sealed'),
  })
  backups.use(archive)
  const jobsBegun = jobs.start()
  await Promise.race([jobsBegun, ended])

  const [signal] = await ended
  log.info({ signal }, 'shutting down')
  // An exit would wait for a thread that checks a large copy, which nothing interrupts; what was acknowledged is on disk.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), longestShutdown).unref()
  const closed = once(server, 'close')
  server.close() // no new connections; requests under way are answered
  server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'))
  // A connection that is kept alive, or a request that never comes to its end, would hold the end up.
  const sweep = setInterval(() => server.closeIdleConnections(), 50)
  setTimeout(() => server.closeAllConnections(), longestShutdown / 2).unref()
  await Promise.all([
    buttondown.stop(),
    emailOctopus.stop(),
    scoring.stop(),
    jobs.stop(),
    remover.stop(),
    deliveries.stop(),
    press.close(),
  ])
  await faults.keep(db).catch(() => {}) // the database may be what is at fault
  await ledger.close()
  await closed
  clearInterval(sweep)
  await promos.stop()
  await readers.destroy()
  await archive.stop()
  // The database stays open to the end: closing it would remove the log, from which the archive goes on at the next start.
  log.info('stopped')
  process.exit(0)
}

function warnOfPlainHttp(config: Config, log: Logger) {
  const { protocol, hostname } = new URL(config.BASE_URL)
  const isHere =
    hostname === 'localhost' || hostname === '[::1]' || (isIP(hostname) && hostname.startsWith('127.'))
  if (protocol === 'https:' || isHere) return
  log.warn(
    { url: config.BASE_URL },
    'plain http beyond this machine: passwords and addresses travel readable. Put a reverse proxy with TLS in front.',
  )
}

start().catch((error) => {
  console.error(
    error instanceof ConfigError || error instanceof DatabaseRefused ? error.message : plainly(error),
  )
  process.exit(1)
})

/** What an operator can put right, as a sentence that names the variable; else the error with its stack. */
function plainly(error: NodeJS.ErrnoException & { port?: number; address?: string }) {
  const { code = '', syscall } = error
  if (code === 'EADDRINUSE')
    return `PORT must be a free port; another program already listens on ${error.port}.`
  if (code === 'EACCES' && syscall === 'listen')
    return 'PORT must be a port this user may listen on, such as 3000.'
  if (syscall === 'listen' || syscall === 'getaddrinfo')
    return `HOST must be an address of this machine, such as 127.0.0.1 or 0.0.0.0 (${error.message}).`
  if (code === 'SQLITE_NOTADB')
    return 'DATA_DIR must hold a database of Throughline; its throughline.db is none.'
  if (/^(EACCES|EROFS|ENOTDIR|ENOENT|EEXIST|EPERM|SQLITE_CANTOPEN|SQLITE_READONLY)/.test(code))
    return `DATA_DIR must be a folder that this user can write (${error.message}).`
  return error
}
