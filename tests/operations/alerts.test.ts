import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AlertForm } from '../../src/operations/alert-settings.js'
import { waitAfter } from '../../src/operations/alerts.js'
import type { Trouble } from '../../src/operations/facts.js'
import { watcher } from '../../src/operations/watch.js'
import { installationSecret, sealer } from '../../src/secret.js'
import { aPerson } from '../accounts/people.js'
import { aFolder, testApp } from '../support/app.js'
import { holdLock } from '../support/lock.js'

const page = '/operations/alerts'
const minute = 60_000
const thresholds = { disk_percent: '10', error_percent: '5', backup_hours: '26' }

/** A chat tool at the network, which answers what it is told to. */
async function aChat() {
  const chat = { heard: [] as Record<string, string>[], answer: 200, headers: {} as Record<string, string> }
  const server = createServer((req, res) => {
    let body = ''
    req.on('data', (data) => {
      body += data
    })
    req.on('end', () => {
      chat.heard.push(JSON.parse(body))
      res.writeHead(chat.answer, chat.headers).end('thanks')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return Object.assign(chat, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/secret-of-the-room`,
  })
}

/** An application that tells a chat tool of what the test calls trouble. */
async function watched(options: Parameters<typeof testApp>[0] = {}) {
  const app = await testApp(options)
  const chat = await aChat()
  const troubles: Trouble[] = []
  app.operations.enter({ troubles: async () => troubles })
  const person = await aPerson(app)
  const saved = await person.send(page, { ...thresholds, recipients: '', webhook: chat.url }, { from: page })
  if (saved.status !== 303) throw new Error(`Saving answered ${saved.status}.`)
  const pass = async (minutes: number) => {
    for (let each = 0; each < minutes; each++) {
      app.clock.pass(minute)
      await app.alerts.look()
    }
  }
  /** No mail server is known, so that the letter fails and the webhook does not. */
  const tellSomebodyWhoCannotBeReached = () =>
    person.send(
      page,
      { ...thresholds, recipients: 'ops@fernmail.example', webhook: chat.url },
      { from: page },
    )
  return { app, chat, troubles, person, pass, tellSomebodyWhoCannotBeReached }
}
const late = { name: 'backup late', sentence: 'The last backup is 30 hours old.' }

describe('an alert', () => {
  it('tells of trouble also while the database cannot be written, once, and notes it afterwards', async () => {
    const { app, chat, troubles, pass } = await watched({ patience: 10 })
    const giveBack = holdLock(app.path)
    troubles.push({ name: 'database', sentence: 'The database cannot be written.' })
    await pass(3)
    expect(chat.heard.map(({ state, text }) => [state, text])).toEqual([
      ['trouble', expect.stringContaining('The database cannot be written.\nSince 2026-11-21 10:01 UTC')],
    ])
    expect(await app.alerts.list()).toMatchObject([{ name: 'database' }])
    giveBack()
    troubles.pop()
    await pass(1)
    expect(await app.db.selectFrom('alert_states').select('name').execute()).toEqual([{ name: 'database' }])
    await pass(6)
    expect(chat.heard.map(({ state }) => state)).toEqual(['trouble', 'over'])
    expect(await app.db.selectFrom('alert_states').selectAll().execute()).toEqual([])
  })

  it('is told once, and once when it is over', async () => {
    const { chat, troubles, pass } = await watched()
    await pass(2)
    expect(chat.heard).toEqual([])
    troubles.push(late)
    await pass(30)
    expect(chat.heard).toMatchObject([{ alert: 'backup late', state: 'trouble' }])
    expect(chat.heard[0]!.text).toContain('The last backup is 30 hours old.')
    expect(chat.heard[0]!.content).toBe(chat.heard[0]!.text)
    troubles.pop()
    await pass(30)
    expect(chat.heard.map(({ state }) => state)).toEqual(['trouble', 'over'])
    troubles.push(late)
    await pass(1)
    expect(chat.heard).toHaveLength(3)
  })

  it('that comes and goes within five minutes is one', async () => {
    const { chat, troubles, pass } = await watched()
    for (let times = 0; times < 5; times++) {
      troubles.push(late)
      await pass(1)
      troubles.pop()
      await pass(3)
    }
    expect(chat.heard.map(({ state }) => state)).toEqual(['trouble'])
    await pass(10)
    expect(chat.heard.map(({ state }) => state)).toEqual(['trouble', 'over'])
  })

  it('is told after a failure again, ever more seldom, and the page says why it was not', async () => {
    const { app, chat, troubles, person, pass } = await watched()
    chat.answer = 503
    troubles.push(late)
    await pass(8)
    expect(chat.heard).toHaveLength(4)
    expect((await person.get(page)).text).toContain('The webhook answered 503.')
    chat.answer = 204
    await pass(10)
    expect(chat.heard).toHaveLength(5)
    expect(await app.db.selectFrom('alert_states').selectAll().execute()).toMatchObject([
      { told_at: expect.any(Number), failure: '' },
    ])
    expect([0, 1, 2, 6, 7].map((attempts) => waitAfter(attempts) / minute)).toEqual([0, 1, 3, 63, 123])
  })

  it('reaches each recipient once, though another one fails', async () => {
    const { app, chat, troubles, pass, tellSomebodyWhoCannotBeReached } = await watched()
    await tellSomebodyWhoCannotBeReached()
    troubles.push(late)
    await pass(10)
    expect(chat.heard).toHaveLength(1)
    const [state] = await app.db.selectFrom('alert_states').selectAll().execute()
    expect(state).toMatchObject({ told_at: null, told_to: '["webhook"]' })
    expect(state!.attempts).toBeGreaterThan(1)
  })

  it('is over for whoever was told of it, though another one never was', async () => {
    const { app, chat, troubles, pass, tellSomebodyWhoCannotBeReached } = await watched()
    await tellSomebodyWhoCannotBeReached()
    troubles.push(late)
    await pass(5)
    troubles.pop()
    await pass(20)
    expect(chat.heard.map(({ state }) => state)).toEqual(['trouble', 'over'])
    expect(await app.db.selectFrom('alert_states').selectAll().execute()).toEqual([])
  })

  it('that nobody was told of is forgotten when it is over', async () => {
    const { app, chat, troubles, person, pass } = await watched()
    await person.send(page, { ...thresholds, recipients: '', webhook: '' }, { from: page })
    troubles.push(late)
    await pass(2)
    expect((await person.get(page)).text).toContain('Nobody is to be told.')
    troubles.pop()
    await pass(7)
    expect(await app.db.selectFrom('alert_states').selectAll().execute()).toEqual([])
    expect(chat.heard).toEqual([])
  })
})

describe('what is watched', () => {
  const settings = AlertForm.parse({})
  const noTally = { full: 0, unavailable: 0 }

  async function aWatch() {
    const { db, clock, dataDir } = await testApp()
    const world = {
      free: 50,
      statuses: { all: 0, faults: 0 },
      tally: { ...noTally },
      isSilent: false,
      connected: true,
    }
    const look = watcher({
      db,
      dataDir,
      now: clock.now,
      ledger: {
        get tally() {
          return world.tally as never
        },
      },
      traffic: { statuses: () => ({ ...world.statuses }) },
      disk: async () => ({ free: world.free, size: 100 }),
      providers: [
        {
          provider: 'buttondown',
          name: 'Buttondown',
          isConnected: async () => world.connected,
          silence: async () => ({ lastAt: 1, usualGap: 1, isSilent: world.isSilent }),
        },
      ],
    })
    const names = async () => (await look(settings)).map(({ name }) => name)
    return { db, clock, world, names }
  }

  it('is the disk, from its threshold on', async () => {
    const { world, names } = await aWatch()
    world.free = 10
    expect(await names()).toEqual([])
    world.free = 9
    expect(await names()).toEqual(['disk'])
  })

  it('is the rate of faults within ten minutes, of twenty requests at least', async () => {
    const { world, names, clock } = await aWatch()
    await names()
    world.statuses = { all: 19, faults: 19 }
    expect(await names()).toEqual([])
    world.statuses = { all: 200, faults: 10 }
    expect(await names()).toEqual(['error rate'])
    world.statuses = { all: 400, faults: 10 }
    expect(await names()).toEqual([])
    world.statuses = { all: 440, faults: 30 }
    expect(await names()).toEqual(['error rate'])
    clock.pass(11 * minute)
    expect(await names()).toEqual([])
  })

  it('is a queue that refuses', async () => {
    const { world, names, clock } = await aWatch()
    world.tally.full = 3
    await names()
    world.tally.unavailable = 1
    expect(await names()).toEqual(['queue refusing'])
    clock.pass(11 * minute)
    expect(await names()).toEqual([])
  })

  it('is a webhook that fell silent and a sync that fails, of providers that are connected', async () => {
    const { db, clock, world, names } = await aWatch()
    world.isSilent = true
    const run = { provider: 'buttondown', kind: 'full', started_at: 1, seen_at: 1, error: null }
    await db
      .insertInto('sync_runs')
      .values({ ...run, state: 'failed', ended_at: clock.at })
      .execute()
    expect(await names()).toEqual(['webhook of Buttondown', 'sync with Buttondown'])
    await db
      .insertInto('sync_runs')
      .values({ ...run, state: 'done', ended_at: clock.at })
      .execute()
    world.isSilent = false
    expect(await names()).toEqual([])
    world.isSilent = true
    world.connected = false
    expect(await names()).toEqual([])
  })
})

describe('the page Alerts', () => {
  it('says of each recipient of a test whether it was reached', async () => {
    const { chat, person } = await watched()
    await person.send(`${page}/test`, {}, { from: page })
    expect(chat.heard).toMatchObject([{ alert: 'test', state: 'test' }])
    expect((await person.get(page)).text).toMatch(/Reached: the webhook at 127\.0\.0\.1:\d+\./)
    chat.answer = 302
    chat.headers = { Location: chat.url }
    await person.send(`${page}/test`, {}, { from: page })
    expect((await person.get(page)).text).toContain('The webhook answered 302.')
    expect(chat.heard).toHaveLength(2)
    await person.send(page, { ...thresholds, recipients: '', webhook: '' }, { from: page })
    await person.send(`${page}/test`, {}, { from: page })
    expect((await person.get(page)).text).toContain('Nobody is to be told.')
  })

  it.each([
    ['webhook', 'ftp://chat.example/x'],
    ['webhook', 'javascript:alert(1)'],
    ['webhook', 'https://user:secret@chat.example/x'],
    ['webhook', 'chat.example/x'],
    ['recipients', 'not an address'],
    ['disk_percent', '0'],
    ['error_percent', 'many'],
    ['backup_hours', '9999'],
  ])('refuses a %s like %j, and keeps what was typed', async (field, value) => {
    const app = await testApp()
    const { send } = await aPerson(app)
    const answer = await send(
      page,
      { ...thresholds, recipients: 'ops@fernmail.example', webhook: '', [field]: value },
      { from: page },
    )
    expect(answer.status).toBe(422)
    expect(answer.text).toContain(`id="${field}-error"`)
    expect(answer.text).toContain(value.split(' ')[0])
    expect(await app.db.selectFrom('settings').selectAll().where('name', '=', 'alerts').execute()).toEqual([])
  })

  it('calls it wrong where the address of the webhook was sealed under a secret that is gone', async () => {
    const { app, person, pass } = await watched()
    const other = sealer(installationSecret(aFolder()))
    await app.db
      .updateTable('settings')
      .set({ value: other.seal('https://chat.example/hook') })
      .where('name', '=', 'alerts_webhook')
      .execute()
    await pass(1)
    const { text } = await person.get(page)
    expect(text).toContain('sealed under another secret and cannot be read')
    expect(text).toContain('until then nobody is told there')
    await person.send(`${page}/test`, {}, { from: page })
    expect((await person.get(page)).text).toContain('The webhook was not: The address')
  })

  it('keeps the address of the webhook sealed', async () => {
    const { app, chat } = await watched()
    expect(JSON.stringify(await app.db.selectFrom('settings').selectAll().execute())).not.toContain(
      'secret-of-the-room',
    )
    expect(chat.url).toContain('secret-of-the-room')
  })
})
