import type { Request, Response } from 'express'
import type { Logger } from 'pino'
import { requestId, routeLabel } from '../web/request-log.js'

/** Doors through which programs come by the thousand, and files that every page brings along. */
const isDoor = (req: Request) =>
  /^\/(api\/event|api\/v1\/promo|webhooks|go|static|healthz|readyz|metrics)\b/i.test(req.originalUrl)

/**
 * One line for each request: its id, the route and not the address, so that no e-mail address, key or parameter gets
 * into a log.
 * @param which `pages` leaves out the doors for programs, `none` all
 * @returns null where nothing is to be logged, so that nobody pays for it
 */
export function requestLines({ log, which }: { log: Logger; which: 'all' | 'pages' | 'none' }) {
  if (which === 'none' || !log.isLevelEnabled('info')) return null
  return (req: Request, res: Response, milliseconds: number) => {
    if (which === 'pages' && isDoor(req)) return
    log.info(
      {
        request: requestId(res),
        method: req.method,
        route: routeLabel(req),
        // Whoever goes before the answer is there leaves none.
        status: res.headersSent ? res.statusCode : null,
        ms: Math.round(milliseconds * 10) / 10,
      },
      'request',
    )
  }
}
