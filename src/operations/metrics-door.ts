import { createHash, timingSafeEqual } from 'node:crypto'
import { type NextFunction, type Request, type Response, Router } from 'express'
import { type Metric as Known, Registry } from 'prom-client'
import { requireToken } from '../accounts/tokens.js'
import type { Db } from '../database/open.js'
import type { Metric, OperationsFacts } from './facts.js'

interface Needs {
  db: Db
  now: () => number
  facts: OperationsFacts
  /** `METRICS_TOKEN`. */
  token: string | undefined
}

/**
 * `GET /metrics` for Prometheus, as text, version 0.0.4: for `METRICS_TOKEN` or an API token, as
 * `Authorization: Bearer …`.
 */
export function metricsDoor({ db, now, facts, token }: Needs) {
  const door = Router()
  const otherwise = requireToken({ db, now })

  function allowed(req: Request, res: Response, next: NextFunction) {
    const given = /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '')?.[1]
    return token !== undefined && given !== undefined && isSame(given, token)
      ? next()
      : otherwise(req, res, next)
  }
  door.get('/metrics', allowed, async (_req, res) => {
    res.set('Cache-Control', 'no-store').type(Registry.PROMETHEUS_CONTENT_TYPE)
    res.send(await metricsText(await facts.metrics()))
  })
  return door
}

/** Prometheus' text of these; those that have no value are left out. */
async function metricsText(metrics: Metric[]): Promise<string> {
  const registry = new Registry()
  // The registry asks each for its values and writes them: ours were counted elsewhere, at no cost to the doors.
  for (const metric of metrics)
    if (metric.values.length > 0)
      registry.registerMetric({ ...metric, get: async () => metric } as unknown as Known)
  return registry.metrics()
}

const digest = (text: string) => createHash('sha256').update(text).digest()
const isSame = (one: string, other: string) => timingSafeEqual(digest(one), digest(other))
