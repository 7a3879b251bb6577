import { createHmac } from 'node:crypto'
import { describe, expect, it, vi } from 'vitest'
import { settledSetting } from '../src/campaigns/record.js'
import { readSetting } from '../src/database/settings.js'
import { listRuns } from '../src/operations/job-runs.js'
import type { Job } from '../src/operations/jobs.js'
import { aConnectedApp, signingKey } from './esp/buttondown/connected.js'
import { aFolder, testApp, testStart } from './support/app.js'
import { aCampaign, anEvent, firefox } from './support/builders.js'
import { holdLock } from './support/lock.js'
import { aMovedClock } from './support/moved-clock.js'
import { aPerson } from './support/person.js'
import { expectCountsToHold } from './support/recount.js'
import { troubleNames, troubles } from './support/troubles.js'

// What must not be lost when something goes wrong around the process: what is told to the event door and to the inbox of
// a webhook, verdicts, runs of jobs, sessions. What becomes of promos stands in tests/promos/chaos.test.ts, and what a kill
// does in tests/process.

const second = 1_000
const minute = 60 * second
const hour = 60 * minute

describe.each(troubleNames)('while the database is %s', (trouble) => {
  it('the event door refuses what it cannot keep, keeps what it acknowledged, and goes on afterwards', async () => {
    const app = await testApp({ patience: 10 })
    const { id: cid } = await aCampaign(app)
    const tell = async (eid: string) => {
      const answer = await app.http.get('/api/event').query({
        cid,
        eid,
        event: 'email_click',
        email: `${eid}-${'x'.repeat(40)}@fernmail.example`,
        domain: 'news.fernweh.example',
        ip: '203.0.113.7',
        ua: firefox,
        note: 'y'.repeat(3_000), // it fits into no page that is begun
      })
      if (answer.status !== 503) expect(answer.status).toBe(200)
      else expect(answer.headers['retry-after']).toBe('5')
      return answer.status === 200
    }
    const kept = async () =>
      (await app.db.selectFrom('events').select('caller_id').orderBy('id').execute()).map(
        (row) => row.caller_id,
      )
    const acknowledged: string[] = []
    const refused: string[] = []
    const tellAll = async (names: string[]) => {
      for (const name of names) ((await tell(name)) ? acknowledged : refused).push(name)
    }
    await tellAll(['before-1', 'before-2'])
    const repair = await troubles[trouble](app)
    await tellAll(Array.from({ length: 8 }, (_, index) => `during-${index}`))
    expect(refused.length).toBeGreaterThan(0)
    expect(await kept()).toEqual(acknowledged)

    await repair()
    const again = refused.splice(0)
    await tellAll([...again, 'after'])
    expect(refused).toEqual([])
    await tell('before-1') // told again after all
    expect((await kept()).sort()).toEqual([...acknowledged].sort())
    expect(acknowledged).toHaveLength(11)
    await expectCountsToHold(app.db)
  })

  it('the inbox refuses what it cannot keep, keeps what it acknowledged, and takes again what comes again once', async () => {
    const app = await testApp({
      env: { BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey },
      patience: 10,
    })
    const deliver = async (number: number) => {
      const id = `5eed0000-0000-4000-8000-${String(number).padStart(12, '0')}`
      const body = JSON.stringify({
        id,
        event_type: 'form.submitted',
        data: { note: 'y'.repeat(3_000) }, // it fits into no page that is begun
      })
      const signature = createHmac('sha256', signingKey).update(body).digest('hex')
      const answer = await app.http
        .post('/webhooks/buttondown')
        .set({ 'Content-Type': 'application/json', 'X-Buttondown-Signature': `sha256=${signature}` })
        .send(body)
      if (answer.status !== 503) expect(answer.status).toBe(200)
      else expect(answer.headers['retry-after']).toBe('5')
      ;(answer.status === 200 ? acknowledged : refused).push(id)
      return number
    }
    const acknowledged: string[] = []
    const refused: string[] = []
    const kept = async () =>
      (await app.db.selectFrom('inbox').select('key').orderBy('id').execute()).map(({ key }) => key)
    for (const number of [1, 2]) await deliver(number)
    const repair = await troubles[trouble](app)
    for (let number = 3; number <= 10; number++) await deliver(number)
    expect(refused.length).toBeGreaterThan(0)
    expect(await kept()).toEqual(acknowledged)

    await repair()
    for (const id of refused.splice(0)) await deliver(Number(id.slice(-12)))
    expect(refused).toEqual([])
    await deliver(1) // sent again after all
    acknowledged.pop()
    expect((await kept()).sort()).toEqual([...acknowledged].sort())
    expect(acknowledged).toHaveLength(10)
  })
})

it('a form that is sent while somebody holds the lock for a moment is saved, and pages are shown meanwhile', async () => {
  const app = await testApp()
  const person = await aPerson(app)
  const giveBack = holdLock(app.path)
  const sent = person.send('/partners', { name: 'Fernweh' }).expect(303).then()
  for (let time = 0; time < 5; time++) await person.http.get('/partners').expect(200)
  expect(await app.db.selectFrom('partners').select('name').execute()).toEqual([])
  giveBack()
  await sent
  expect(await app.db.selectFrom('partners').select('name').execute()).toEqual([{ name: 'Fernweh' }])
})

describe('when the clock is set an hour ahead, and back', () => {
  it('verdicts settle, and counts stay what the facts come to', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    const click = (reader: number, link: number) =>
      anEvent(app, { cid, email: `reader${reader}@fernmail.example`, link, ip: `203.0.113.${reader}` })
    const ids: number[] = []
    for (const leap of [0, hour, -hour, -hour, hour]) {
      app.clock.pass(leap)
      for (let link = 0; link < 3; link++) ids.push(await click(ids.length, link))
      app.clock.pass(second)
    }
    app.clock.pass(11 * minute)
    await app.settling.run()
    expect(await readSetting(app.db, settledSetting)).toBe(String(ids.at(-1)))
    // A burst is one whatever the clock said: six links of one letter within a second are no person.
    for (let link = 0; link < 6; link++) ids.push(await click(200, link))
    app.clock.pass(-hour)
    await app.settling.run() // an instant that is yet to come holds nobody up
    expect(await readSetting(app.db, settledSetting)).toBe(String(ids.at(-1)))
    const machines = await app.db.selectFrom('events').select('id').where('verdict', '=', 2).execute()
    expect(machines.map(({ id }) => id)).toEqual(ids.slice(-6))
    await expectCountsToHold(app.db)
  })

  it('what a provider delivered is read, though it came at an instant that is yet to come', async () => {
    const app = await aConnectedApp({ now: () => testStart })
    const ada = app.world.addSubscriber({ email: 'ada@fernmail.example', at: testStart - hour })
    app.clock.pass(hour)
    await app.deliver(app.world.addEvent({ type: 'opened', subscriber: ada, at: testStart })).expect(200)
    app.clock.pass(-hour)
    await app.read()
    expect(await app.db.selectFrom('inbox').select('state').execute()).toEqual([{ state: 'done' }])
  })

  it('what comes every second goes on, and what comes once a day neither runs twice nor stays out', async () => {
    const day = Date.UTC(2026, 10, 21)
    const clock = aMovedClock(day + 6 * hour + 50 * minute)
    const dataDir = aFolder()
    const job = (name: string, schedule: string, run: () => Promise<void>): Job => ({
      name,
      title: name,
      what: 'It counts.',
      schedule,
      run,
    })
    let [ticks, days] = [0, 0]
    async function begin() {
      const app = await testApp({ dataDir, clock })
      app.jobs.enter(
        job('tick', '* * * * * *', async () => void ticks++),
        job('each-day', '30 7 * * *', async () => void days++),
      )
      await app.jobs.start()
      return app
    }
    const someTicks = () => {
      const from = ticks
      return vi.waitUntil(() => ticks >= from + 2, { timeout: 30_000 })
    }
    let app = await begin()
    await someTicks()
    clock.set(day + 7 * hour + 50 * minute) // ahead, past the instant at which it comes
    await vi.waitUntil(() => days === 1, { timeout: 30_000 })
    await vi.waitUntil(async () => (await listRuns(app.db, 'each-day', { limit: 1 }))[0]?.state === 'done', {
      timeout: 30_000,
    })
    await someTicks()
    clock.set(day + 6 * hour + 50 * minute)
    await someTicks()
    clock.set(day + 7 * hour + 29 * minute + 58 * second)
    await vi.waitUntil(() => clock.now() > day + 7 * hour + 30 * minute + 2 * second, { timeout: 30_000 })
    await someTicks()
    expect(days).toBe(1)

    await app.stop()
    clock.set(day + 7 * hour + 29 * minute + 58 * second) // back again, and another process
    app = await begin()
    await vi.waitUntil(() => clock.now() > day + 7 * hour + 30 * minute + 2 * second, { timeout: 30_000 })
    await someTicks()
    expect(days).toBe(1)
    clock.set(day + 31 * hour + 29 * minute + 58 * second)
    await vi.waitUntil(() => days === 2, { timeout: 30_000 })
  })

  it('what failed is tried again, though it was to be at an instant that is yet to come', async () => {
    const app = await testApp()
    let tries = 0
    app.jobs.enter({
      name: 'fail',
      title: 'Fail',
      what: 'It fails.',
      schedule: '30 2 * * *',
      run: async () => {
        tries++
        throw new Error('Not now.')
      },
    })
    app.clock.pass(hour)
    await expect(app.jobs.perform('fail')).rejects.toThrow('Not now.')
    app.clock.pass(-hour)
    await app.jobs.look()
    await vi.waitUntil(() => tries === 2, { timeout: 30_000 })
  })

  it('people stay logged in', async () => {
    const app = await testApp()
    const remembered = await aPerson(app, { remember: true })
    for (const leap of [hour, -hour, -hour, hour]) {
      app.clock.pass(leap)
      await remembered.http.get('/').expect(200)
    }
  })

  it('who is not remembered stays so while it is back, and for thirty minutes as before', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    for (const leap of [-hour, 20 * minute, 20 * minute]) {
      app.clock.pass(leap)
      await person.http.get('/').expect(200)
    }
    // Ahead it is as if the hour had passed; put right before they come again, they stay.
    app.clock.pass(hour)
    app.clock.pass(-hour)
    await person.http.get('/').expect(200)
  })
})
