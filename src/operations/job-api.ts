import * as z from 'zod'
import type { Db } from '../database/open.js'
import { Instant, instant, instantOrNull, JsonApi, notThere, usualAnswers } from '../web/json-api.js'
import { lastRuns, type Run } from './job-runs.js'
import type { Jobs } from './jobs.js'

const group = 'Operations'
const Path = z.object({ name: z.string().max(60) })

const states = ['waiting', 'running', 'done', 'failed', 'cancelled', 'interrupted', 'died'] as const
const RunAnswer = z.object({
  id: z.int(),
  state: z.enum(states).meta({
    description:
      'interrupted: the server was stopped, and the next start runs it again; died: the process was killed.',
  }),
  asked_by: z.string().meta({ description: 'Empty for the clock.' }),
  runs: z.int().meta({ description: 'A job that comes every few minutes has one entry for an hour.' }),
  started_at: Instant,
  ended_at: Instant.nullable(),
  result: z.string().meta({ description: 'What it did; may be empty.' }),
  error: z.string().nullable(),
})
const JobAnswer = z.object({
  name: z.string(),
  title: z.string(),
  schedule: z.string().meta({ description: 'A cron expression, in the reporting time zone.' }),
  next_at: Instant.nullable(),
  last_run: RunAnswer.nullable(),
})
const BegunAnswer = z.object({
  job: z.string(),
  is_new: z.boolean().meta({ description: 'false: it was under way already, and this is that run.' }),
  run: RunAnswer,
})

const exampleRun = {
  id: 1204,
  state: 'running' as const,
  asked_by: 'API token host',
  runs: 1,
  started_at: '2026-11-21T02:30:00.000Z',
  ended_at: null,
  result: '',
  error: null,
}
const exampleJob = {
  name: 'back-up',
  title: 'Back up the database',
  schedule: '30 2 * * *',
  next_at: '2026-11-22T02:30:00.000Z',
  last_run: { ...exampleRun, state: 'done' as const, ended_at: '2026-11-21T02:30:09.000Z' },
}

/** `GET /api/v1/jobs` and `POST /api/v1/jobs/{name}`: for hosts that sleep between requests and have a clock of their own. */
export function jobApi({ db, jobs }: { db: Db; jobs: Jobs }) {
  const api = new JsonApi({ under: '/api/v1' })

  api.add(
    {
      method: 'get',
      path: '/api/v1/jobs',
      id: 'listJobs',
      tag: group,
      sample: { path: '/api/v1/jobs' },
      summary: 'List the jobs',
      query: z.strictObject({}),
      answers: {
        200: {
          description: 'All jobs, with when each comes next and how its last run ended.',
          schema: z.object({ jobs: z.array(JobAnswer) }),
          example: { jobs: [exampleJob] },
        },
        ...usualAnswers,
      },
    },
    async () => {
      const all = jobs.list()
      const last = await lastRuns(
        db,
        all.map(({ name }) => name),
      )
      return {
        jobs: all.map(({ name, title, schedule }) => {
          const run = last.get(name)
          const next_at = instantOrNull(jobs.nextAt(name))
          return { name, title, schedule, next_at, last_run: run ? runAnswer(run) : null }
        }),
      }
    },
  )

  api.add(
    {
      method: 'post',
      path: '/api/v1/jobs/{name}',
      id: 'runJob',
      tag: group,
      sample: { path: '/api/v1/jobs/check-database' },
      summary: 'Run a job now',
      description:
        'For hosts that put the server to sleep between requests and have a scheduler of their own. The answer comes at once; ask `GET /api/v1/jobs` how the run went. A job that is under way is not begun a second time.',
      params: Path,
      answers: {
        202: {
          description: 'The run has begun, or was under way already.',
          schema: BegunAnswer,
          example: { job: 'back-up', is_new: true, run: exampleRun },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params }, res) => {
      const { name: token } = res.locals.token as { name: string }
      const { run, isNew } = await jobs.begin(params.name, `API token ${token}`)
      res.status(202)
      return { job: params.name, is_new: isNew, run: runAnswer(run) }
    },
  )

  return { routes: api.close(), operations: api.operations }
}

const runAnswer = (run: Run) => ({
  id: run.id,
  state: run.state,
  asked_by: run.askedBy,
  runs: run.runs,
  started_at: instant(run.startedAt),
  ended_at: instantOrNull(run.endedAt),
  result: run.result,
  error: run.error,
})
