import { Router } from 'express'
import * as z from 'zod'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { ErrorAnswer } from '../web/json-api.js'
import type { Operation } from '../web/openapi.js'
import type { OperationsFacts } from './facts.js'

interface Needs {
  db: Db
  now: () => number
  facts: OperationsFacts
}

/** Milliseconds: how long an answer holds. Trouble is looked at again sooner, since somebody waits for its end. */
const goodFor = 10_000
const badFor = 1_000

/**
 * `GET /healthz`: 200 when the database can be read and written, else 503. Writing is tried at most every ten seconds
 * (every second while it fails), however often somebody asks, so that strangers cannot keep the disk busy.
 */
export function healthDoor({ db, now, facts }: Needs) {
  const door = Router()
  let last: { at: number; problem: Promise<string | null>; holds: number } | null = null
  let lastReady: { at: number; told: Promise<Record<string, boolean>>; holds: number } | null = null

  async function problemNow(): Promise<string | null> {
    try {
      await writeSetting(db, 'health_checked_at', String(now()))
      await readSetting(db, 'health_checked_at')
      return null
    } catch (error) {
      return (error as { code?: string }).code ?? 'unknown'
    }
  }
  const isOver = (known: { at: number; holds: number }) => now() - known.at >= known.holds || now() < known.at

  /** What is wrong with the database, as of ten seconds ago at most. */
  async function problemOfLate(): Promise<string | null> {
    if (!last || isOver(last)) {
      const asked = { at: now(), problem: problemNow(), holds: goodFor }
      last = asked
      if (await asked.problem) asked.holds = badFor
    }
    return last.problem
  }
  async function readinessNow() {
    const [problem, rooms] = await Promise.all([problemOfLate(), facts.readiness()])
    return { database: problem === null, ...rooms }
  }

  // Open to strangers: a word for each thing, and nothing else.
  door.get('/readyz', async (_req, res) => {
    if (!lastReady || isOver(lastReady)) {
      const asked = { at: now(), told: readinessNow(), holds: goodFor }
      lastReady = asked
      if (!Object.values(await asked.told).every(Boolean)) asked.holds = badFor
    }
    const told = await lastReady.told
    const isReady = Object.values(told).every(Boolean)
    const words = Object.entries(told).map(([name, isWell]) => [name, isWell ? 'ok' : 'unavailable'])
    res.set('Cache-Control', 'no-store').status(isReady ? 200 : 503)
    res.json({ status: isReady ? 'ok' : 'unavailable', ...Object.fromEntries(words) })
  })
  door.get('/healthz', async (_req, res) => {
    const problem = await problemOfLate()
    res.set('Cache-Control', 'no-store')
    if (problem) res.status(503).json({ status: 'unavailable', database: problem })
    else res.json({ status: 'ok', database: 'ok' })
  })
  return door
}

/** The same for the description of the API. */
export const healthOperations: Operation[] = [
  {
    method: 'get',
    path: '/healthz',
    id: 'getHealth',
    tag: 'Operations',
    summary: 'Ask whether it runs',
    description:
      'For monitors and load balancers: can the database be read and written? An answer holds for up to ten seconds, and for one while there is trouble.',
    answers: {
      200: {
        description: 'The database can be read and written.',
        schema: z.object({ status: z.literal('ok'), database: z.literal('ok') }),
        example: { status: 'ok', database: 'ok' },
      },
      503: {
        description: 'It cannot.',
        schema: z.object({
          status: z.literal('unavailable'),
          database: z.string().meta({ description: 'The code of the trouble.' }),
        }),
        example: { status: 'unavailable', database: 'SQLITE_FULL' },
      },
    },
    open: true,
    sample: { path: '/healthz' },
  },
  {
    method: 'get',
    path: '/readyz',
    id: 'getReadiness',
    tag: 'Operations',
    summary: 'Ask whether it is ready for work',
    description:
      'The same and more: the disk, the queue of facts, and whatever else has to be well, a word for each. An answer holds for up to ten seconds, and for one while there is trouble.',
    answers: {
      200: {
        description: 'Everything is well.',
        schema: z.object({ status: z.literal('ok') }).catchall(z.enum(['ok', 'unavailable'])),
        example: { status: 'ok', database: 'ok', queue: 'ok', disk: 'ok' },
      },
      503: {
        description: 'Something is not.',
        schema: z.object({ status: z.literal('unavailable') }).catchall(z.enum(['ok', 'unavailable'])),
        example: { status: 'unavailable', database: 'ok', queue: 'ok', disk: 'unavailable' },
      },
    },
    open: true,
    sample: { path: '/readyz' },
  },
  {
    method: 'get',
    path: '/metrics',
    id: 'getMetrics',
    tag: 'Operations',
    summary: 'Figures for Prometheus',
    description:
      'Requests and their latency by route, the ledger’s queue, batches and commits, refused facts by reason, webhooks, syncs, the database and its disk. With an API token or `METRICS_TOKEN` as bearer.',
    answers: {
      200: { description: 'Text in the format of Prometheus, version 0.0.4.' },
      401: { description: 'Neither token.', schema: ErrorAnswer },
    },
    sample: { path: '/metrics' },
  },
]
