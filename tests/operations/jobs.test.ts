import { pino } from 'pino'
import { expect, it, vi } from 'vitest'
import { startJobs } from '../../src/operations/jobs.js'

it('runs each job at its time, never twice at once, and waits for the last', async () => {
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
    { log: pino({ level: 'silent' }), timeZone: 'UTC' },
  )
  await vi.waitUntil(() => failures >= 2, { timeout: 20_000 })
  expect(runs).toBe(1)
  let stopped = false
  const stop = jobs.stop().then(() => {
    stopped = true
  })
  await Promise.resolve()
  expect(stopped).toBe(false)
  finish()
  await stop
})
