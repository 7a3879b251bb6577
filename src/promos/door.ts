import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response } from 'express'
import { parseJson, plainBody } from '../web/plain-body.js'

/** A request that is wrong: one sentence for each field. */
export class PromoRefused extends Error {
  constructor(readonly details: Record<string, string>) {
    super(Object.values(details).join(' '))
  }
}

/** All doors of promos are open to every origin, without cookies. */
export const openToAll: RequestHandler = (req, res, next) => {
  res.setHeader('Access-Control-Allow-Origin', '*')
  if (req.method !== 'OPTIONS') return next()
  res.set({
    'Access-Control-Allow-Methods': 'GET, POST',
    'Access-Control-Allow-Headers': 'Authorization, Content-Type',
    'Access-Control-Max-Age': '86400',
  })
  res.status(204).end()
}

/** What a door tells of is kept nowhere on the way. (Answers to POST are not anyway, and those of 204 hold nothing.) */
export const keptNowhere: RequestHandler = (_req, res, next) => {
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('X-Content-Type-Options', 'nosniff')
  next()
}

const bodyLimit = 64 * 1024
export const jsonBody = plainBody(bodyLimit, parseJson, express.json({ limit: bodyLimit, type: () => true }))

/** @throws PromoRefused for what is no JSON object */
export function objectOf(body: unknown): object {
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  throw new PromoRefused({ body: 'The body is a JSON object.' })
}

export const refusals: ErrorRequestHandler = (error, _req: Request, res: Response, next) => {
  res.setHeader('X-Content-Type-Options', 'nosniff')
  if (error instanceof PromoRefused)
    return void res.status(400).json({ error: 'validation_error', details: error.details })
  const { type, status } = error as { type?: string; status?: number }
  if (!type || !status || status >= 500) return next(error)
  const body =
    type === 'entity.too.large'
      ? 'The body is longer than 64 KiB.'
      : type === 'entity.parse.failed'
        ? 'The body is no valid JSON.'
        : 'The body cannot be read.'
  res
    .status(status === 413 || status === 415 ? status : 400)
    .json({ error: 'validation_error', details: { body } })
}

/** Tells which methods a path knows. */
export const onlyBy =
  (...methods: string[]): RequestHandler =>
  (_req, res) => {
    res.set('Allow', [...methods, 'OPTIONS'].join(', ')).status(405)
    res.json({ error: 'method_not_allowed', message: `Here goes ${methods.join(' and ')}.` })
  }
