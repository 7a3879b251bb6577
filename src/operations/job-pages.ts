import { type Request, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { render } from '../web/render.js'
import { lastRuns, linesOf, listRuns, type Run } from './job-runs.js'
import type { Job, Jobs } from './jobs.js'
import { scheduleInWords } from './schedule.js'

interface Needs {
  db: Db
  jobs: Jobs
  now: () => number
}

/** Which older runs to show, and which page a button stands on. Nonsense falls back to the first. */
const Filter = z.object({ before: z.coerce.number().int().min(1).optional().catch(undefined) })
const From = z.object({ from: z.enum(['list', 'job', 'backups']).catch('list') })

const runsShown = 20

/** `/operations/jobs`: what happens by the clock, how it went, and buttons to run and to cancel. */
export function jobPages({ db, jobs, now }: Needs) {
  const routes = Router()

  routes.get('/operations/jobs', async (_req, res) => {
    const all = jobs.list()
    const last = await lastRuns(
      db,
      all.map(({ name }) => name),
    )
    const lines = all.map((job) => jobLine(job, last.get(job.name)))
    const isBusy = lines.some(({ current }) => current !== null)
    render(
      res,
      { page: 'operations/jobs', fragment: 'operations/_jobs' },
      { room: '', tab: 'jobs', jobs: lines, isBusy, now: now() },
    )
  })

  routes.get('/operations/jobs/:name', async (req, res) => {
    const job = jobs.get(req.params.name)
    const { before } = Filter.parse(req.query)
    const found = await listRuns(db, job.name, { limit: runsShown + 1, before })
    const runs = found.slice(0, runsShown)
    const [last] = before === undefined ? runs : await listRuns(db, job.name, { limit: 1 })
    const lines =
      runs.length > 0
        ? await linesOf(
            db,
            runs.map(({ id }) => id),
          )
        : new Map()
    render(
      res,
      { page: 'operations/job', fragment: 'operations/_job' },
      {
        room: '',
        tab: 'jobs',
        job: jobLine(job, last),
        runs: runs.map((run) => ({ ...runLine(run), lines: lines.get(run.id) ?? [] })),
        older: found.length > runsShown ? runs.at(-1)!.id : null,
        before: before ?? null,
        now: now(),
      },
    )
  })

  routes.post('/operations/jobs/:name', async (req, res) => {
    const { isNew } = await jobs.begin(req.params.name, accountOf(res).username)
    if (!isNew) tell(req, 'It is under way already.')
    res.redirect(303, pageAfter(req))
  })

  // Cancelling is a thing of its own, so a plain POST is verb enough.
  routes.post('/operations/jobs/:name/cancellation', async (req, res) => {
    const isCancelled = await jobs.cancel(req.params.name)
    tell(req, isCancelled ? 'It is told to stop.' : 'It had ended already.')
    res.redirect(303, pageAfter(req))
  })

  /** A job as a line of the table tells it. */
  function jobLine(job: Job & { isFrequent: boolean }, last: Run | undefined) {
    const { failures, retry_at } = jobs.stateOf(job.name)
    const sum = jobs.sumOf(job.name)
    // What is summed up here is newer than what is written of it.
    const ended = sum && (!last || sum.startedAt >= last.startedAt) ? { ...last, ...sum } : last
    const current = last && (last.state === 'running' || last.state === 'waiting') ? last : null
    return {
      name: job.name,
      title: job.title,
      what: job.what,
      schedule: scheduleInWords(job.schedule),
      isFrequent: job.isFrequent,
      nextAt: job.isFrequent ? null : jobs.nextAt(job.name),
      retryAt: retry_at,
      failures,
      current: current && { ...runLine(current), isHere: jobs.runningSince(job.name) !== null },
      state: ended?.state ?? null,
      error: ended?.error ?? null,
      result: (!sum && ended && 'result' in ended && ended.result) || '',
      lastAt: ended ? (ended.endedAt ?? ended.startedAt) : null,
    }
  }
  return routes
}

/** A run as pages show it. */
function runLine(run: Run) {
  const { done, of } = run.progress
  return {
    ...run,
    took: run.endedAt === null || run.runs > 1 ? null : run.endedAt - run.startedAt,
    /** Of the whole, in per cent; null while nobody knows. */
    share: of ? Math.min(100, Math.round((done / of) * 1000) / 10) : null,
  }
}

function pageAfter(req: Request) {
  const { from } = From.parse(req.body ?? {})
  if (from === 'backups') return '/operations/backups'
  if (from === 'job') return `/operations/jobs/${encodeURIComponent(String(req.params.name))}`
  return '/operations/jobs'
}
