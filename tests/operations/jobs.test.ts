import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import { expect, it, vi } from 'vitest'
import { startJobs } from '../../src/operations/jobs.js'

it('runs each job at its time, never twice at once, and waits for the last', async () => {
  const logged: { job: string; msg: string; err: { message: string } }[] = []
  let runs = 0
  let failures = 0
  let finish = () => {}
  const jobs = startJobs(
    [
      {
        name: 'slow',
        when: '* * * * * *',
        run: () => {
          runs++
          return new Promise<void>((resolve) => {
            finish = resolve
          })
        },
      },
      {
        name: 'failing',
        when: '* * * * * *',
        run: async () => {
          failures++
          throw new Error('Not today.')
        },
      },
    ],
    { log: pino({ level: 'error' }, { write: (line) => logged.push(JSON.parse(line)) }), timeZone: 'UTC' },
  )
  await vi.waitUntil(() => failures >= 2, { timeout: 20_000 })
  expect(runs).toBe(1)
  let stopped = false
  const stop = jobs.stop().then(() => {
    stopped = true
  })
  for (let turns = 0; turns < 20; turns++) await nextTurn()
  expect(stopped).toBe(false)
  finish()
  await stop
  expect(runs).toBe(1)
  expect(logged.length).toBe(failures)
  expect(logged[0]).toMatchObject({ job: 'failing', msg: 'job failed', err: { message: 'Not today.' } })
})

it('runs a job again once it is done', async () => {
  let runs = 0
  const run = async () => {
    runs++
  }
  const jobs = startJobs([{ name: 'quick', when: '* * * * * *', run }], {
    log: pino({ level: 'silent' }),
    timeZone: 'UTC',
  })
  await vi.waitUntil(() => runs >= 2, { timeout: 20_000 })
  await jobs.stop()
})
