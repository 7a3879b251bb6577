import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { lastDoneRun, listRuns } from '../../src/esp/runs.js'
import { aFolder, stoppedClock, testApp } from '../support/app.js'
import { type ButtondownStandIn, startButtondown } from '../support/buttondown.js'
import type { Happening } from '../support/buttondown-world.js'
import { expectCountsToHold } from '../support/recount.js'

const signingKey = 'local-test-signing-key-001'
const rounds = 6
const people = 60
const issues = 40
const hour = 3_600_000

/** A newsletter whose backfill takes long enough to be killed in. */
async function aNewsletter() {
  const standIn = await startButtondown({ pageLength: 100, weather: { slow: 5 } })
  onTestFinished(() => standIn.close())
  const { world } = standIn
  const start = Date.now() - 2 * hour
  const subscribers = Array.from({ length: people }, (_, index) =>
    world.addSubscriber({ email: `reader${index}@fernmail.example`, at: start - hour, tags: ['beta'] }),
  )
  for (let issue = 0; issue < issues; issue++) {
    const email = world.addEmail({ subject: `Issue ${issue}`, at: start })
    for (const [index, subscriber] of subscribers.entries()) {
      const at = start + issue * 60_000 + index
      world.addEvent({ type: 'delivered', subscriber, email, at })
      world.addEvent({ type: 'opened', subscriber, email, at: at + 30_000 })
      if (index % 4 === 0)
        world.addEvent({
          type: 'clicked',
          subscriber,
          email,
          at: at + 45_000,
          metadata: { url: `https://bindery.example/${issue}` },
        })
      // Only webhooks tell of this one: what a crash loses here, no sync brings back.
      if (index % 2 === 0) world.happen('subscriber.sent', { subscriber, email, at })
    }
  }
  return { standIn, told: world.happenings.filter(({ type }) => type.startsWith('subscriber.')) }
}

/** Starts the real process and waits until it listens. */
async function aServer(env: Record<string, string>) {
  const server = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: projectRoot,
    env: { ...process.env, NODE_ENV: 'production', PORT: '0', LOG_LEVEL: 'info', BASE_URL: '', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void server.kill('SIGKILL'))
  for await (const line of createInterface(server.stdout)) {
    const port = /"port":(\d+).*"msg":"listening"/.exec(line)?.[1]
    if (port) return { server, port: Number(port) }
  }
  throw new Error('The server ended before it listened.')
}

/** @returns whether it was acknowledged; null when the connection broke */
function deliver(port: number, agent: Agent, standIn: ButtondownStandIn, happening: Happening) {
  const body = standIn.body(happening, { email: true, metadata: 'nested' })
  return new Promise<boolean | null>((resolve) => {
    const sent = request(
      {
        port,
        host: '127.0.0.1',
        agent,
        method: 'POST',
        path: '/webhooks/buttondown',
        headers: { 'Content-Type': 'application/json', ...standIn.signature(body, signingKey) },
      },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode === 200))
        response.on('error', () => resolve(null))
      },
    )
    sent.on('error', () => resolve(null))
    sent.end(body)
  })
}

it('keeps every acknowledged delivery once and finishes its backfill, whenever it is killed', async () => {
  const { standIn, told } = await aNewsletter()
  const dataDir = aFolder()
  const env = {
    DATA_DIR: dataDir,
    BUTTONDOWN_API_URL: standIn.url,
    BUTTONDOWN_API_KEY: standIn.key,
    BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey,
    BUTTONDOWN_REQUESTS_PER_MINUTE: '0',
  }
  const before = await testApp({ dataDir, env, clock: stoppedClock(Date.now()) })
  await before.buttondown.sync.ask('the test')
  await before.stop()

  const acknowledged = new Set<string>()
  let next = 0
  for (let round = 0; round < rounds; round++) {
    const { server, port } = await aServer(env)
    const agent = new Agent({ keepAlive: true })
    let alive = true
    const kill = () => {
      alive = false
      server.kill('SIGKILL')
    }
    // In the middle of the traffic, whenever that is: counted in what it did, not in milliseconds.
    if (round % 2 === 1)
      void standIn.arrived(standIn.requests.length + 4 + Math.floor(Math.random() * 14)).then(kill)
    let left = 50 + Math.floor(Math.random() * (round % 2 === 0 ? 1_200 : 3_000))
    const connection = async () => {
      while (alive) {
        // Buttondown tries again what was not acknowledged, and now and then what was.
        const happening = told[next++ % told.length]!
        const answer = await deliver(port, agent, standIn, happening)
        if (answer === null) return
        if (answer) acknowledged.add(happening.id)
        if (--left === 0) kill()
      }
    }
    await Promise.all(Array.from({ length: 6 }, connection))
    agent.destroy()
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }

  standIn.weather.slow = 0
  // Late enough that whatever waits for another try is due.
  const app = await testApp({ dataDir, env, clock: stoppedClock(Date.now() + 12 * hour) })
  await app.buttondown.sync.performWaiting()
  await app.buttondown.deliveries.run()

  expect(acknowledged.size).toBeGreaterThan(300)
  const inbox = await app.db.selectFrom('inbox').select(['key', 'event_type', 'state', 'reason']).execute()
  const keys = new Set(inbox.map(({ key }) => key))
  expect(keys.size).toBe(inbox.length)
  for (const id of acknowledged) expect(keys).toContain(id)
  expect(inbox.filter(({ state }) => state !== 'done')).toEqual([])

  expect(await lastDoneRun(app.db, 'buttondown', ['first'])).not.toBeNull()
  expect((await listRuns(app.db, 'buttondown', 5)).length).toBe(1)
  expect((await app.db.selectFrom('contacts').select('id').execute()).length).toBe(people)
  expect((await app.db.selectFrom('mailings').select('id').execute()).length).toBe(issues)
  const engagements = await app.db
    .selectFrom('engagements')
    .select(['provider_id', 'kind', 'exact'])
    .execute()
  expect(new Set(engagements.map((row) => row.provider_id)).size).toBe(engagements.length)
  const sent = inbox.filter((row) => row.event_type === 'subscriber.sent').length
  expect(engagements.length).toBe(standIn.world.events.rows.length + sent)
  expect(engagements.filter(({ exact }) => exact === 0).length).toBe(sent)
  // A server that came to the end of its backfill has scored everybody, twelve hours before now.
  await expectCountsToHold(app.db, { score: () => app.scoring.runAll() })
}, 400_000)
