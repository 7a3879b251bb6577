import type { NextFunction, Request, Response } from 'express'
import type { Logger } from 'pino'
import { isUnavailable } from '../database/errors.js'
import { wantsFragment, wantsJson } from './render.js'
import { requestId, routeLabel } from './request-log.js'

/** An error that people read: a status and one or two plain sentences. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly title = 'This did not work',
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}
export class NotFound extends HttpError {
  constructor(message: string) {
    super(404, message, 'The line ends here')
  }
}

/** Refuses what asks for no path, such as `GET *`: whatever stands behind may take a path for granted. */
export function onlyPaths(req: Request, _res: Response, next: NextFunction) {
  next(req.path.startsWith('/') ? undefined : new HttpError(400, 'This is no address of a page.'))
}

/** Nothing answered before: the address does not exist. */
export function notFound(req: Request) {
  throw new NotFound(`There is nothing at ${(req.baseUrl + req.path).slice(0, 100)}.`)
}

/**
 * The one place that tells an error. A page stays where it is when only a part of it was asked for; a fault of ours
 * says sorry in public and keeps its stack for the log, under the id that both show.
 */
export function errorHandler(
  log: Logger,
  { faulty }: { faulty?: (error: unknown, route: string) => void } = {},
) {
  // Express knows an error handler by its four parameters.
  return (error: unknown, req: Request, res: Response, _next: NextFunction) => {
    const request = requestId(res)
    const { status, title, message } = publicStory(error)
    if (status >= 500) {
      const route = routeLabel(req)
      log.error({ request, err: error, method: req.method, route }, 'request failed')
      if (status === 500) faulty?.(error, route)
    }
    if (res.headersSent) return void res.destroy()
    res.status(status).set('Cache-Control', 'no-store')
    if (status === 503) res.set('Retry-After', '5')
    if (wantsJson(req)) return void res.json({ error: codeOf(status), message, request })
    if (wantsFragment(req)) {
      res.set({ 'HX-Retarget': '#flash', 'HX-Reswap': 'innerHTML' })
      return void res.render('errors/_flash', { status, title, message, request })
    }
    res.render('errors/page', { status, title, message, request })
  }
}

function publicStory(error: unknown): { status: number; title: string; message: string } {
  if (error instanceof HttpError) return error
  const { status, type } = error as { status?: number; type?: string }
  if (isUnavailable(error))
    return {
      status: 503,
      title: 'The database is busy',
      message: 'It cannot be used at the moment. Nothing is lost; try again in a few seconds.',
    }
  if (status === 413) return { status, title: 'Too much at once', message: 'What was sent is too long.' }
  if (type === 'entity.parse.failed')
    return { status: 400, title: 'Not readable', message: 'The body is no valid JSON.' }
  if (status && status >= 400 && status < 500)
    return { status, title: 'Not readable', message: 'This request cannot be read.' }
  return {
    status: 500,
    title: 'Sorry, this is our fault',
    message: 'Something went wrong on our side. The log of the server knows more, under the number below.',
  }
}

const codes: Record<number, string> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  422: 'validation_error',
  429: 'too_many_requests',
  503: 'unavailable',
}
const codeOf = (status: number) => codes[status] ?? (status < 500 ? 'bad_request' : 'internal_error')
