import type { Db } from '../database/open.js'
import { hourLength } from '../web/calendar.js'
import type { AlertSettings } from './alert-settings.js'
import type { Backups } from './backups.js'
import type { OperationsRoom } from './facts.js'
import { listJobStates, listRuns } from './job-runs.js'
import type { Jobs } from './jobs.js'
import { lastProvenRestore } from './restore-check.js'

/** Jobs that go on failing. One that failed once and is about to be tried again is no trouble yet. */
export function jobFacts({ db, jobs }: { db: Db; jobs: Jobs }): OperationsRoom {
  const failing = async () => (await listJobStates(db)).filter(({ alarmed_at }) => alarmed_at !== null)
  const titleOf = (name: string) => jobs.list().find((job) => job.name === name)?.title ?? name
  return {
    ready: { name: 'jobs', isWell: async () => (await failing()).length === 0 },
    async metrics() {
      const states = await listJobStates(db)
      return [
        {
          name: 'throughline_job_failures',
          help: 'Failures in a row, by job; 0 once it has come to a good end.',
          type: 'gauge',
          values: states.map(({ name, failures }) => ({ labels: { job: name }, value: failures })),
        },
      ]
    },
    async lines() {
      return (await failing()).map(({ name, failing_since }) => ({
        name: titleOf(name),
        at: failing_since,
        words: 'fails again and again since',
        href: `/operations/jobs/${name}`,
        isWell: false,
      }))
    },
    async troubles() {
      return Promise.all(
        (await failing()).map(async ({ name, failures }) => {
          const [last] = await listRuns(db, name, { limit: 1 })
          const sentence = `“${titleOf(name)}” has failed ${failures} times in a row.`
          return {
            name: `job ${name}`,
            sentence: last?.error ? `${sentence} The last time: ${last.error}` : sentence,
          }
        }),
      )
    },
  }
}

interface BackupNeeds {
  db: Db
  backups: Backups
  settings: { read(): Promise<AlertSettings> }
  /** Before it nobody can have expected a backup of this process. */
  startedAt: number
  now: () => number
}

/** The last backup, and the last restore that was proven. */
export function backupFacts({ db, backups, settings, startedAt, now }: BackupNeeds): OperationsRoom {
  const isLate = async () => {
    const { backup_hours } = await settings.read()
    return now() - (backups.last()?.madeAt ?? startedAt) > backup_hours * hourLength
  }
  return {
    async metrics() {
      const last = backups.last()
      return [
        {
          name: 'throughline_last_backup_seconds',
          help: 'When the last backup was made, in seconds since 1970.',
          type: 'gauge',
          values: last ? [{ value: last.madeAt / 1000 }] : [],
        },
      ]
    },
    async lines() {
      const proven = await lastProvenRestore(db)
      const last = backups.last()
      return [
        {
          name: 'Last backup',
          at: last?.madeAt ?? null,
          words: last ? 'made' : 'none yet',
          href: '/operations/backups',
          isWell: !(await isLate()),
        },
        {
          name: 'Last proven restore',
          at: proven?.at ?? null,
          words: proven ? 'proven' : 'none yet, one is tried every week',
          href: '/operations/jobs/try-restore',
          isWell: true,
        },
      ]
    },
    async troubles() {
      if (!(await isLate())) return []
      const last = backups.last()
      return [
        {
          name: 'backup late',
          sentence: last
            ? `The last backup was made ${Math.floor((now() - last.madeAt) / hourLength)} hours ago.`
            : 'There is no backup yet.',
        },
      ]
    },
  }
}
