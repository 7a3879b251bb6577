// `npm run demo`: a lively installation in a data folder of its own, for looking around. Every start makes it anew,
// relative to today.
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createAccount } from '../accounts/commands.js'
import { openCountries } from '../audience/countries.js'
import { ConfigError, environment, projectRoot, readConfig } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import { migrate } from '../database/migrate.js'
import { openDatabase } from '../database/open.js'
import { makeDataFolder } from '../secret.js'
import { calendar } from '../web/calendar.js'
import { tellHistory } from './demo/history.js'
import { dice, inviteReaders } from './demo/readers.js'
import { recordCampaigns, recordHistory } from './demo/record.js'
import { stories } from './demo/stories.js'
import { trickle } from './demo/trickle.js'
import { command } from './installation.js'

const seed = 20_261_121
/** Known to everybody, which is why the demo listens to this machine alone. */
const guest = { username: 'maren', full_name: 'Maren', password: 'paper boats at noon' }
const host = '127.0.0.1'

await command(async () => {
  const given = environment()
  // What belongs to the real installation has no place here. An empty variable counts as not set.
  const env = { ...given, HOST: host, BASE_URL: '', TRUST_PROXY: '', ADMIN_USERNAME: '', ADMIN_PASSWORD: '' }
  const config = readConfig({ ...env, EXPECT_EXISTING_DATA: '' })
  const dataDir = given.DEMO_DATA_DIR
    ? resolve(projectRoot, given.DEMO_DATA_DIR)
    : join(config.DATA_DIR, 'demo')
  await mustBeFree(config.PORT)

  makeDataFolder(dataDir)
  const unlock = lockDataFolder(dataDir)
  if (!unlock) throw new ConfigError(`A demo is already running on ${dataDir}.`)

  console.log('Making up four months of campaigns.')
  const now = Date.now()
  for (const name of ['throughline.db', 'throughline.db-wal', 'throughline.db-shm'])
    rmSync(join(dataDir, name), { force: true })
  const db = openDatabase(join(dataDir, 'throughline.db'))
  await migrate(db, { dataDir, now: () => now })

  const countryOf = openCountries()
  const luck = dice(seed)
  const readers = inviteReaders(luck, countryOf)
  const account = await createAccount(db, guest, { by: null, at: now - 120 * 86_400_000 })
  const needs = { db, countryOf, calendar: calendar(config.TIME_ZONE), account: account.id, now }
  const campaigns = await recordCampaigns(stories, needs)
  const happenings = tellHistory(stories, readers, luck, now)
  await recordHistory(happenings, campaigns, needs)
  await db.destroy()
  const events = happenings.length.toLocaleString('en')
  const took = ((Date.now() - now) / 1000).toFixed(1)
  console.log(`${stories.length} campaigns with ${events} events are ready after ${took} s.`)

  const origin = `http://${host}:${config.PORT}`
  Object.assign(process.env, env, {
    DATA_DIR: dataDir,
    EXPECT_EXISTING_DATA: '',
    LOG_LEVEL: given.LOG_LEVEL ?? 'warn',
  })
  unlock()
  await import('../main.js')
  while (!(await fetch(`${origin}/healthz`).catch(() => null))) await pause(50)
  console.log(`
Open http://localhost:${config.PORT} and log in as ${guest.username} with the password "${guest.password}".
A few events a minute go on coming in. Press Ctrl-C to stop; the next start begins afresh.
`)
  await trickle({ stories, campaigns, readers, dice: dice(now), origin })
})

/** Before anything is thrown away: a demo that already runs keeps its data. */
function mustBeFree(port: number) {
  return new Promise<void>((free, fail) => {
    const probe = createServer()
    probe.once('error', () =>
      fail(new ConfigError(`PORT must be a free port; something already listens on ${port}.`)),
    )
    probe.listen(port, host, () => probe.close(() => free()))
  })
}
