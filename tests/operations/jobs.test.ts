import Sqlite from 'better-sqlite3'
import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { findRun, linesOf, listRuns } from '../../src/operations/job-runs.js'
import type { Job, JobRun } from '../../src/operations/jobs.js'
import { scheduleInWords } from '../../src/operations/schedule.js'
import { stoppedClock, type TestApp, testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'

const minute = 60_000
const day = 24 * 60 * minute

const patience = { timeout: 20_000 }

/** A job that the test ends by hand. */
function heldJob(given: Partial<Job> = {}) {
  const runs: { run: JobRun; finish: (result?: string) => void; fail: (error: Error) => void }[] = []
  const job: Job = {
    name: 'hold',
    title: 'Hold still',
    what: 'Waits until it is told.',
    schedule: '30 2 * * *',
    run: (run) =>
      new Promise<string | undefined>((resolve, reject) => {
        runs.push({ run, finish: resolve, fail: reject })
        run.signal.addEventListener('abort', () => reject(run.signal.reason))
      }),
    ...given,
  }
  return { job, runs, begun: (count = 1) => vi.waitUntil(() => runs.length >= count, patience) }
}

const ended = (app: TestApp, name: string, state: string) =>
  vi.waitUntil(async () => (await listRuns(app.db, name, { limit: 1 }))[0]?.state === state, patience)

/** What operations tells of a job that goes on failing. */
const troublesOf = async ({ operations }: TestApp, job: string) =>
  (await operations.troubles()).flatMap(({ name, sentence }) => (name === `job ${job}` ? [sentence] : []))

describe('a run', () => {
  it('is kept with its outcome, progress and lines, and never runs twice at once', async () => {
    const app = await testApp()
    const { job, runs, begun } = heldJob()
    app.jobs.enter(job)
    const first = await app.jobs.begin('hold', 'maren')
    await begun()
    const again = await app.jobs.begin('hold', 'ada')
    expect(again).toMatchObject({ isNew: false, run: { id: first.run.id } })
    await app.jobs.look()
    expect(runs.length).toBe(1)
    runs[0]!.run.progress(3, 8, 'Holding')
    runs[0]!.run.log('Three are held.')
    app.clock.pass(5_000)
    runs[0]!.finish('Held 8.')
    await ended(app, 'hold', 'done')
    expect(await findRun(app.db, first.run.id)).toMatchObject({
      askedBy: 'maren',
      result: 'Held 8.',
      error: null,
      startedAt: app.clock.at - 5_000,
      endedAt: app.clock.at,
      progress: { done: 3, of: 8, words: 'Holding' },
    })
    const lines = await linesOf(app.db, [first.run.id])
    expect(lines.get(first.run.id)).toEqual([{ at: app.clock.at - 5_000, line: 'Three are held.' }])
  })

  it('that is cancelled ends so, whether it waits or is under way', async () => {
    const app = await testApp()
    const { job, begun } = heldJob()
    app.jobs.enter(job)
    expect(await app.jobs.cancel('hold')).toBe(false)
    await app.jobs.ask('hold', 'maren') // as a terminal does
    expect(await app.jobs.cancel('hold')).toBe(true)
    await ended(app, 'hold', 'cancelled')
    await app.jobs.begin('hold', 'maren')
    await begun()
    expect(await app.jobs.cancel('hold')).toBe(true)
    await ended(app, 'hold', 'cancelled')
    expect(await listRuns(app.db, 'hold', { limit: 9 })).toHaveLength(2)
  })

  it('that died with the process is told at the next start, and tried again', async () => {
    const clock = stoppedClock()
    const killed = await testApp({ clock })
    const { job, begun } = heldJob()
    killed.jobs.enter(job)
    await killed.jobs.begin('hold', '')
    await begun()
    // Another process takes the folder over, as it can only where the first one is gone.
    const next = await testApp({ dataDir: killed.dataDir, clock })
    const held = heldJob()
    next.jobs.enter(held.job)
    await next.jobs.takeOver()
    expect((await listRuns(next.db, 'hold', { limit: 1 }))[0]).toMatchObject({
      state: 'died',
      error: 'The process ended while it ran.',
    })
    await next.jobs.look()
    expect(held.runs.length).toBe(0)
    clock.pass(minute)
    await next.jobs.look()
    await held.begun()
    held.runs[0]!.finish()
    await ended(next, 'hold', 'done')
  })

  /** The server after one that was stopped while the job ran. */
  async function aRestart() {
    const clock = stoppedClock()
    const first = await testApp({ clock })
    const { job, begun } = heldJob()
    first.jobs.enter(job)
    await first.jobs.begin('hold', '')
    await begun()
    await first.stop()
    const next = await testApp({ dataDir: first.dataDir, clock })
    const held = heldJob()
    next.jobs.enter(held.job)
    await next.jobs.takeOver()
    return { next, held, clock }
  }

  it('that is cancelled while it is tried again is not tried once more', async () => {
    const { next, held, clock } = await aRestart()
    await next.jobs.look()
    await held.begun()
    expect(await next.jobs.cancel('hold')).toBe(true)
    await ended(next, 'hold', 'cancelled')
    await expect.poll(() => next.jobs.stateOf('hold').retry_at).toBeNull()
    clock.pass(minute)
    await next.jobs.look()
    expect(held.runs).toHaveLength(1)
    expect((await listRuns(next.db, 'hold', { limit: 9 })).map(({ state }) => state)).toEqual([
      'cancelled',
      'interrupted',
    ])
  })

  it('that a stop interrupts goes on at the next start', async () => {
    const { next, held } = await aRestart()
    expect((await listRuns(next.db, 'hold', { limit: 1 }))[0]?.state).toBe('interrupted')
    await next.jobs.look()
    await held.begun()
    held.runs[0]!.finish()
    await ended(next, 'hold', 'done')
    await next.jobs.look()
    expect(held.runs.length).toBe(1)
  })
})

describe('what fails', () => {
  it('is tried again after one, five and fifteen minutes, then told once, and once when it is well', async () => {
    const app = await testApp()
    let works = false
    let tries = 0
    const run = async () => {
      tries++
      if (!works) throw new Error('The disk is full.')
    }
    app.jobs.enter({ ...heldJob().job, run })
    const told = () => troublesOf(app, 'hold')
    await expect(app.jobs.perform('hold')).rejects.toThrow('The disk is full.')
    const since = app.clock.at
    for (const [index, wait] of [1, 5, 15].entries()) {
      app.clock.pass(wait * minute - 1)
      await app.jobs.look()
      expect(tries).toBe(index + 1)
      expect(await told()).toEqual([])
      app.clock.pass(1)
      await app.jobs.look()
      await vi.waitUntil(() => app.jobs.stateOf('hold').failures === index + 2, patience)
    }
    await vi.waitUntil(async () => (await told()).length > 0, patience)
    expect(await told()).toEqual([
      expect.stringContaining('has failed 4 times in a row. The last time: The disk is full.'),
    ])
    expect(app.jobs.stateOf('hold').failing_since).toBe(since)
    app.clock.pass(day)
    await app.jobs.look()
    expect(tries).toBe(4) // until the clock says so
    await expect(app.jobs.perform('hold')).rejects.toThrow()
    expect(await told()).toHaveLength(1)
    works = true
    await app.jobs.perform('hold', 'maren')
    expect(await told()).toEqual([])
    expect(app.jobs.stateOf('hold')).toMatchObject({ failures: 0, retry_at: null, alarmed_at: null })
  })

  it('for somebody who asked for it is not tried again', async () => {
    const app = await testApp()
    app.jobs.enter({ ...heldJob().job, run: () => Promise.reject(new Error('No.')) })
    await expect(app.jobs.perform('hold', 'maren')).rejects.toThrow('No.')
    expect(app.jobs.stateOf('hold')).toMatchObject({ failures: 0, retry_at: null })
  })
})

describe('the clock', () => {
  it('sums up by the hour what comes often, and tells when that goes on failing', async () => {
    const app = await testApp()
    let works = true
    let runs = 0
    app.jobs.enter({
      ...heldJob().job,
      name: 'tick',
      schedule: '* * * * * *',
      run: async () => {
        runs++
        if (!works) throw new Error('Not today.')
      },
    })
    const told = () => troublesOf(app, 'tick')
    await app.jobs.start()
    await vi.waitUntil(() => runs >= 2, patience)
    works = false
    await vi.waitUntil(() => app.jobs.stateOf('tick').failures > 0, patience)
    expect(await told()).toEqual([])
    app.clock.pass(5 * minute)
    await vi.waitUntil(async () => (await told()).length > 0, patience)
    await app.jobs.stop()
    const kept = await listRuns(app.db, 'tick', { limit: 9 })
    expect(kept.map(({ state, error }) => [state, error])).toEqual([
      ['failed', 'Not today.'],
      ['done', null],
    ])
    expect(kept[0]!.runs + kept[1]!.runs).toBe(runs)
    expect(await told()).toHaveLength(1)
  })

  it('notes what comes often once the database is free, where somebody else holds it meanwhile', async () => {
    const lines: string[] = []
    const app = await testApp({
      log: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
    })
    const other = new Sqlite(app.path)
    let runs = 0
    app.jobs.enter({
      ...heldJob().job,
      name: 'tick',
      schedule: '* * * * * *',
      run: async () => {
        if (++runs === 1) other.exec('begin immediate')
      },
    })
    await app.jobs.start()
    await vi.waitUntil(() => app.jobs.sumOf('tick') !== null, patience)
    expect(await listRuns(app.db, 'tick', { limit: 9 })).toEqual([])
    other.exec('rollback')
    await vi.waitUntil(async () => (await listRuns(app.db, 'tick', { limit: 9 })).length > 0, patience)
    await app.jobs.stop()
    other.close()
    expect(lines.filter((line) => line.includes('"tick"'))).toEqual([])
  })

  it('catches up once on what was missed while nothing ran', async () => {
    const clock = stoppedClock(Date.now())
    const first = await testApp({ clock })
    first.jobs.enter(heldJob().job)
    await first.jobs.start()
    await first.stop()
    clock.pass(3 * day)
    const next = await testApp({ dataDir: first.dataDir, clock })
    const { job, runs, begun } = heldJob()
    next.jobs.enter(job)
    await next.jobs.start()
    await begun()
    runs[0]!.finish()
    await ended(next, 'hold', 'done')
    expect(await listRuns(next.db, 'hold', { limit: 9 })).toHaveLength(1)
  })

  it('is told in words', () => {
    expect(
      [
        '* * * * * *',
        '2-59/5 * * * * *',
        '30 * * * * *',
        '*/5 * * * *',
        '25 * * * *',
        '15 2 * * *',
        '20 5 * * 6',
        '0 6 1 * *',
        '0 6 * 1 *',
      ].map(scheduleInWords),
    ).toEqual([
      'every second',
      'every 5 seconds',
      'every minute',
      'every 5 minutes',
      'every hour, 25 minutes past',
      'every day at 02:15',
      'every Saturday at 05:20',
      'on day 1 of every month at 06:00',
      'by 0 6 * 1 *',
    ])
  })
})

describe('/operations/jobs', () => {
  it('shows each job, runs one, shows how far it is, and cancels it', async () => {
    const app = await testApp()
    const { job, runs, begun } = heldJob()
    app.jobs.enter(job)
    const person = await aPerson(app)
    const empty = await person.http.get('/operations/jobs').expect(200)
    expect(empty.text).toContain('Settle verdicts')
    expect(empty.text).toContain('Hold still')
    await person.send('/operations/jobs/hold', { from: 'job' }).expect(303)
    await begun()
    runs[0]!.run.progress(1, 4, 'Holding <one>')
    runs[0]!.run.log('Held <b>one</b>.')
    await vi.waitUntil(
      async () => /Holding/.test((await person.part('/operations/jobs/hold')).text),
      patience,
    )
    const part = await person.part('/operations/jobs/hold').expect(200)
    const page = await person.http.get('/operations/jobs/hold').expect(200)
    expect(page.text).toContain('It is running')
    expect(page.text).toContain('Holding &lt;one&gt;')
    expect(page.text).toContain('Held &lt;b&gt;one&lt;/b&gt;.')
    expect(part.text).toContain('value="25"')
    await person.send('/operations/jobs/hold/cancellation', {}).expect(303)
    await ended(app, 'hold', 'cancelled')
    expect((await person.http.get('/operations/jobs/hold')).text).toContain('Cancelled')
    await person.http.get('/operations/jobs/nothing').expect(404)
    await person.send('/operations/jobs/nothing', {}).expect(404)
  })

  it('leaves the page as it is where nothing has changed', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    const first = await person.part('/operations/jobs').expect(200)
    await person
      .part('/operations/jobs')
      .set({ 'X-Refresh': '1', 'HX-PTag': first.get('HX-PTag')! })
      .expect(304)
  })
})

describe('/api/v1/jobs', () => {
  it('lists jobs and begins with one, for whoever has a token', async () => {
    const app = await testApp()
    const { job, runs, begun } = heldJob()
    app.jobs.enter(job)
    const { token } = await createToken(app.db, 'host', { by: null, at: app.clock.at })
    await app.http.post('/api/v1/jobs/hold').expect(401)
    const as = { Authorization: `Bearer ${token}` }
    const begunRun = await app.http.post('/api/v1/jobs/hold').set(as).expect(202)
    expect(begunRun.body).toMatchObject({ job: 'hold', is_new: true, run: { asked_by: 'API token host' } })
    await begun()
    const again = await app.http.post('/api/v1/jobs/hold').set(as).expect(202)
    expect(again.body).toMatchObject({ is_new: false, run: { id: begunRun.body.run.id, state: 'running' } })
    runs[0]!.finish('Held.')
    await ended(app, 'hold', 'done')
    const { body } = await app.http.get('/api/v1/jobs').set(as).expect(200)
    expect(body.jobs.find(({ name }: Job) => name === 'hold')).toMatchObject({
      schedule: '30 2 * * *',
      last_run: { state: 'done', result: 'Held.' },
    })
    await app.http.post('/api/v1/jobs/nothing').set(as).expect(404)
  })
})

describe('the upkeep of the database', () => {
  it('reads every table', async () => {
    const app = await testApp()
    await app.jobs.perform('optimize-database')
    await app.jobs.perform('check-database')
    expect((await listRuns(app.db, 'check-database', { limit: 1 }))[0]!.result).toMatch(
      /^\d+ tables checked, nothing is wrong\.$/,
    )
  })
})
