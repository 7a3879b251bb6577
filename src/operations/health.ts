import { Router } from 'express'
import * as z from 'zod'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { Operation } from '../web/openapi.js'

interface Needs {
  db: Db
  now: () => number
}

/** Milliseconds: how long an answer holds. Trouble is looked at again sooner, since somebody waits for its end. */
const goodFor = 10_000
const badFor = 1_000

/**
 * `GET /healthz`: 200 when the database can be read and written, else 503. Writing is tried at most every ten seconds
 * (every second while it fails), however often somebody asks, so that strangers cannot keep the disk busy.
 */
export function healthDoor({ db, now }: Needs) {
  const door = Router()
  let last: { at: number; problem: Promise<string | null>; holds: number } | null = null

  async function problemNow(): Promise<string | null> {
    try {
      await writeSetting(db, 'health_checked_at', String(now()))
      await readSetting(db, 'health_checked_at')
      return null
    } catch (error) {
      return (error as { code?: string }).code ?? 'unknown'
    }
  }
  door.get('/healthz', async (_req, res) => {
    if (!last || now() - last.at >= last.holds || now() < last.at) {
      const asked = { at: now(), problem: problemNow(), holds: goodFor }
      last = asked
      if (await asked.problem) asked.holds = badFor
    }
    const problem = await last.problem
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
]
