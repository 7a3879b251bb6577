import cron from 'node-cron'
import type { Logger } from 'pino'

export interface Job {
  name: string
  /** A cron expression of five fields, or six with seconds first; in the reporting time zone. */
  when: string
  run: () => Promise<unknown>
}

/**
 * Starts what happens by the clock. A job never runs twice at once; one that fails is logged and tried again at its
 * next time.
 * @returns `stop`, which starts no new run and waits for those under way
 */
export function startJobs(jobs: Job[], { log, timeZone }: { log: Logger; timeZone: string }) {
  const running = new Map<string, Promise<void>>()
  const tasks = jobs.map(({ name, when, run }) =>
    cron.schedule(
      when,
      () => {
        if (running.has(name)) return
        const done = run()
          .then(
            () => log.debug({ job: name }, 'job done'),
            (error) => log.error({ job: name, err: error }, 'job failed'),
          )
          .finally(() => running.delete(name))
        running.set(name, done)
      },
      { name, timezone: timeZone },
    ),
  )
  return {
    async stop() {
      await Promise.all(tasks.map((task) => task.destroy()))
      await Promise.all(running.values())
    },
  }
}
