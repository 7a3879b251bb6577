import { Router } from 'express'
import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import { bytes } from '../web/formats.js'
import { render } from '../web/render.js'
import type { Backups } from './backups.js'
import { listRuns } from './job-runs.js'
import type { Jobs } from './jobs.js'
import type { Stretch } from './restorable.js'
import { lastProvenRestore } from './restore-check.js'
import { scheduleInWords } from './schedule.js'

interface Needs {
  db: Db
  jobs: Jobs
  backups: Backups
  config: Config
  now: () => number
}

/** `/operations/backups`: which backups there are, whether the last one was restored, and how to restore one. */
export function backupPages({ db, jobs, backups, config, now }: Needs) {
  const routes = Router()
  routes.get('/operations/backups', async (_req, res) => {
    const [[lastRun], proven] = await Promise.all([
      listRuns(db, 'back-up', { limit: 1 }),
      lastProvenRestore(db),
    ])
    const all = backups.list()
    const { spans, stretch } = await backups.spans(all)
    const isRunning = lastRun?.state === 'running' || lastRun?.state === 'waiting'
    render(
      res,
      { page: 'operations/backups', fragment: 'operations/_backups' },
      {
        room: '',
        tab: 'backups',
        backups: all.map(({ name, madeAt, manifest }) => ({
          name,
          madeAt,
          size: bytes(manifest.bytes),
          databaseSize: bytes(manifest.database_bytes),
          bytes: manifest.bytes,
          facts: manifest.facts,
          hasSecret: 'secret' in manifest.companions,
          span: spanInWords(spans.get(name)),
        })),
        stretch: spanInWords(stretch),
        folder: backups.folder,
        remote: backups.remote && { title: backups.remote.title, isSealed: backups.remote.isSealed },
        keeping: await backups.keeping(),
        schedule: scheduleInWords(jobs.get('back-up').schedule),
        nextAt: jobs.nextAt('back-up'),
        run: isRunning ? lastRun : null,
        share: isRunning && lastRun.progress.of ? (lastRun.progress.done / lastRun.progress.of) * 100 : null,
        failed: lastRun?.state === 'failed' || lastRun?.state === 'died' ? lastRun.error : null,
        proven,
        hasSecrets: config.BACKUP_INCLUDE_SECRETS,
        now: now(),
      },
    )
  })
  return routes
}

const spanInWords = (span: Stretch | null | undefined) =>
  span ? { from: span.from, to: span.to, segments: span.segments, size: bytes(span.bytes) } : null
