import { Router } from 'express'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'

interface Needs {
  db: Db
  now: () => number
}

/**
 * `GET /healthz`: 200 when the database can be read and written, else 503. Writing is tried at most every ten seconds,
 * however often somebody asks, so that strangers cannot keep the disk busy.
 */
export function healthDoor({ db, now }: Needs) {
  const door = Router()
  let last: { at: number; problem: string | null } | null = null

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
    if (!last || last.problem || now() - last.at >= 10_000 || now() < last.at)
      last = { at: now(), problem: await problemNow() }
    res.set('Cache-Control', 'no-store')
    if (last.problem) res.status(503).json({ status: 'unavailable', database: last.problem })
    else res.json({ status: 'ok', database: 'ok' })
  })
  return door
}
