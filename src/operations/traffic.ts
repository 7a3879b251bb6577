import type { Request, Response } from 'express'
import { routeLabel } from '../web/request-log.js'

/** Upper bounds of the histogram in milliseconds. */
export const bounds = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000]
/** Beyond so many routes of a kind they are one: no caller can make the list grow without end. */
const mostRoutes = 1000

/** What one route has done since the start. */
export interface RouteTraffic {
  method: string
  route: string
  /** How many were answered by class of status: 2xx, 3xx, 4xx, 5xx at 2 to 5. */
  statuses: Uint32Array
  /** How many took at most so long, for each bound; not summed up. The last are those beyond all. */
  buckets: Uint32Array
  milliseconds: number
  slowest: number
}

/**
 * Counts requests by route. A request costs one look into a map and a few additions: nothing is allocated but for the
 * first of a route.
 */
export class Traffic {
  readonly #byRoute = new Map<unknown, Map<string, RouteTraffic>>()
  readonly #all = new Map<string, RouteTraffic>()

  readonly note = (req: Request, res: Response, milliseconds: number) => {
    const traffic = this.#of(req)
    let bucket = 0
    while (bucket < bounds.length && milliseconds > bounds[bucket]!) bucket++
    traffic.statuses[Math.min(5, Math.max(1, Math.floor(res.statusCode / 100)))]!++
    traffic.buckets[bucket]!++
    traffic.milliseconds += milliseconds
    if (milliseconds > traffic.slowest) traffic.slowest = milliseconds
  }

  list(): RouteTraffic[] {
    return [...this.#all.values()]
  }

  /** Of all routes together, by class of status, since the start. */
  statuses(): { all: number; faults: number } {
    let all = 0
    let faults = 0
    for (const { statuses } of this.#all.values()) {
      for (const count of statuses) all += count
      faults += statuses[5]!
    }
    return { all, faults }
  }

  #of(req: Request): RouteTraffic {
    const key: unknown = req.route ?? req.baseUrl
    const known = this.#byRoute.get(key)?.get(req.method)
    if (known) return known
    const label = this.#all.size < mostRoutes ? routeLabel(req) : 'other'
    const method = methods.has(req.method) ? req.method : 'other'
    let traffic = this.#all.get(`${method} ${label}`)
    if (!traffic) {
      traffic = {
        method,
        route: label,
        statuses: new Uint32Array(6),
        buckets: new Uint32Array(bounds.length + 1),
        milliseconds: 0,
        slowest: 0,
      }
      this.#all.set(`${method} ${label}`, traffic)
    }
    // Spelled in whatever case, a mount is the same one, and is found by its label the next time.
    if (req.route || req.baseUrl === req.baseUrl.toLowerCase()) {
      const ofRoute = this.#byRoute.get(key) ?? new Map<string, RouteTraffic>()
      if (methods.has(req.method)) ofRoute.set(req.method, traffic)
      this.#byRoute.set(key, ofRoute)
    }
    return traffic
  }
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** About how long, in milliseconds, this share of a route's requests took at most: the bound of its bucket. */
export function quantile({ buckets, slowest }: RouteTraffic, share: number): number {
  const all = buckets.reduce((sum, count) => sum + count, 0)
  let seen = 0
  for (const [index, count] of buckets.entries()) {
    seen += count
    if (seen >= all * share) return Math.min(bounds[index] ?? slowest, slowest)
  }
  return slowest
}
