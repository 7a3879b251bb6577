// `npm run demo`: a lively installation in a data folder of its own, for looking around. Every start makes it anew,
// relative to today.
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ConfigError, environment, projectRoot, readConfig } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import { openDatabase } from '../database/open.js'
import { inboxRecorder } from '../esp/inbox.js'
import { Ledger } from '../ledger/ledger.js'
import { makeDataFolder } from '../secret.js'
import { guest, makeDemo } from './demo/make.js'
import { dice } from './demo/readers.js'
import { deliveryOf, type Told } from './demo/record-provider.js'
import { stories } from './demo/stories.js'
import { trickle } from './demo/trickle.js'
import { command } from './installation.js'

const seed = 20_261_121
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

  process.umask(0o077) // what it makes is its owner's alone, as a server's is
  makeDataFolder(dataDir)
  const unlock = lockDataFolder(dataDir)
  if (!unlock) throw new ConfigError(`A demo is already running on ${dataDir}.`)

  console.log('Making up four months of campaigns, and a newsletter with its readers.')
  const now = Date.now()
  const made = await makeDemo({ dataDir, now, timeZone: config.TIME_ZONE, seed })
  const { campaigns, events, subscribers, engagements, promos } = made
  const took = ((Date.now() - now) / 1000).toFixed(1)
  const number = (count: number) => count.toLocaleString('en')
  console.log(
    `${campaigns.length} campaigns with ${number(events)} events, and ${number(subscribers.length)} subscribers with ` +
      `${number(engagements)} more, and ${number(promos.clicks)} clicks on promos are ready after ${took} s.`,
  )

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
  const deliver = openInbox(join(dataDir, 'throughline.db'))
  await trickle({ ...made, stories, dice: dice(now), deliver, now: Date.now, origin })
})

/** Deliveries lie in the inbox as if the webhook had let them in, for which there is no key here; the server reads them. */
function openInbox(path: string) {
  const db = openDatabase(path)
  const receive = new Ledger({ db }).register(inboxRecorder(db, null))
  return (told: Told) => receive(deliveryOf(told, Date.now())).catch(() => null) // shutting down
}

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
