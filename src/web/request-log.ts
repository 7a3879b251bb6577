import { randomBytes } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'

/** Of this process, so that numbers of two runs are told apart in one log. */
const run = randomBytes(3).toString('hex')
let count = 0

const idKey = Symbol('request id')
const startKey = Symbol('start')
type Watched = Response & { [idKey]?: string; [startKey]?: number }

/** What the log calls a request, and what an error page shows: made when it is first asked for. */
export function requestId(res: Response): string {
  const watched = res as Watched
  watched[idKey] ??= `${run}-${(++count).toString(36)}`
  return watched[idKey]
}

/**
 * The pattern of the route that answered, such as `/campaign/:id`, never the address itself: that may hold an e-mail
 * address or a key. What no route answered is known by where it was mounted, such as `/api/event`.
 */
export function routeLabel(req: Request): string {
  const path: unknown = req.route?.path
  const first = Array.isArray(path) ? path[0] : path
  return (
    `${req.baseUrl.toLowerCase()}${typeof first === 'string' && first !== '/' ? first : ''}` ||
    (path ? '/' : 'none')
  )
}

/**
 * Calls this once for each request when it is answered, or its caller has gone, with the milliseconds that it took. Doors
 * pay for a timestamp and one shared listener.
 */
export function watchRequests(answered: (req: Request, res: Response, milliseconds: number) => void) {
  function closed(this: Watched) {
    answered(this.req as Request, this, performance.now() - this[startKey]!)
  }
  return (_req: Request, res: Response, next: NextFunction) => {
    const watched = res as Watched
    watched[startKey] = performance.now()
    watched.on('close', closed)
    next()
  }
}
