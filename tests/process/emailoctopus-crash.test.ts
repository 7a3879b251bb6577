import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { engagementKind } from '../../src/audience/engagement-kinds.js'
import { projectRoot } from '../../src/config.js'
import { lastDoneRun, listRuns } from '../../src/esp/runs.js'
import { aFolder, stoppedClock, testApp } from '../support/app.js'
import { startEmailOctopus } from '../support/emailoctopus.js'
import { expectCountsToHold } from '../support/recount.js'

const rounds = 3
const people = 120
const issues = 12
const hour = 3_600_000

/** An account whose first sync takes long enough to be killed in. */
async function anAccount() {
  const standIn = await startEmailOctopus({ weather: { slow: 8 } })
  onTestFinished(() => standIn.close())
  const { world } = standIn
  const start = Date.now() - 20 * 24 * hour
  const lists = ['Weekly letter', 'Northwind news'].map((name) => world.addList({ name, at: start }))
  for (const list of lists)
    for (let index = 0; index < people; index++)
      world.addContact(list, { email: `reader${index}@fernmail.example`, at: start, tags: ['beta'] })
  for (let issue = 0; issue < issues; issue++) {
    const list = lists[issue % 2]!
    const sentAt = start + issue * 24 * hour
    const campaign = world.addCampaign({ subject: `Issue ${issue}`, lists: [list], at: sentAt, sentAt })
    for (const [index, contact] of list.contacts.entries()) {
      if (index % 2 === 0) world.open(campaign, contact, { at: sentAt + (index + 1) * 60_000 })
      if (index % 7 === 0) world.click(campaign, contact, { at: sentAt + (index + 2) * 60_000 })
    }
  }
  return standIn
}

/** Starts the real process and waits until it listens. */
async function aServer(env: Record<string, string>) {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: projectRoot,
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', LOG_LEVEL: 'info', BASE_URL: '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  for await (const line of createInterface(server.stdout))
    if (line.includes('"msg":"listening"')) return server
  throw new Error('The server ended before it listened.')
}

it('finishes its first sync with no row doubled or missing, whenever it is killed', async () => {
  const standIn = await anAccount()
  const dataDir = aFolder()
  const env = {
    DATA_DIR: dataDir,
    EMAILOCTOPUS_API_URL: standIn.url,
    EMAILOCTOPUS_API_KEY: standIn.key,
    EMAILOCTOPUS_REQUESTS_PER_SECOND: '0',
  }
  const before = await testApp({ dataDir, env, clock: stoppedClock(Date.now()) })
  await before.emailOctopus.sync.ask('the test')
  await before.stop()

  for (let round = 0; round < rounds; round++) {
    const server = await aServer(env)
    // In the middle of the sync, counted in what it asked for, not in milliseconds.
    await standIn.arrived(standIn.requests.length + 3 + Math.floor(Math.random() * 12))
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }

  standIn.weather.slow = 0
  const app = await testApp({ dataDir, env, clock: stoppedClock(Date.now()) })
  await app.emailOctopus.sync.performWaiting()

  expect(await lastDoneRun(app.db, 'emailoctopus', ['first'])).not.toBeNull()
  expect((await listRuns(app.db, 'emailoctopus', 5)).length).toBe(1)
  expect((await app.db.selectFrom('contacts').select('id').execute()).length).toBe(people)
  expect((await app.db.selectFrom('subscriptions').select('id').execute()).length).toBe(2 * people)
  expect((await app.db.selectFrom('mailings').select('id').execute()).length).toBe(issues)
  expect((await app.db.selectFrom('mailing_snapshots').select('id').execute()).length).toBe(issues)
  const engagements = await app.db
    .selectFrom('engagements')
    .select(['contact_id', 'mailing_id', 'kind', 'happened_at'])
    .execute()
  const count = (kind: string) => engagements.filter((row) => engagementKind(row.kind) === kind).length
  expect(new Set(engagements.map((row) => Object.values(row).join(' '))).size).toBe(engagements.length)
  expect(count('sent')).toBe(issues * people)
  expect(count('opened')).toBe((issues * people) / 2)
  expect(count('clicked')).toBe(issues * Math.ceil(people / 7))
  await expectCountsToHold(app.db, { score: () => app.scoring.run() })
}, 400_000)
