import { csrfSync } from 'csrf-sync'
import express, { type NextFunction, type Request, type Response } from 'express'
import * as z from 'zod'
import { HttpError } from './errors.js'

/** Reads what a form sends, as plain fields. */
export const formBodies = () => express.urlencoded({ extended: false, limit: '256kb', parameterLimit: 200 })

const csrf = csrfSync({
  size: 32,
  getTokenFromRequest: (req) =>
    req.get('X-CSRF-Token') ?? (req.body as { _csrf?: string } | undefined)?._csrf,
})

/** The session's token, made when it is first asked for: it goes into `_csrf` of a form or into `X-CSRF-Token`. */
export const csrfToken = (req: Request) => csrf.generateToken(req)

/** Does this change carry the session's token, so that no other site can have made it? */
export const isGenuine = (req: Request) => csrf.isRequestValid(req)

/** Refuses every change that does not come from a page of ours. */
export function onlyGenuine(req: Request, _res: Response, next: NextFunction) {
  if (/^(GET|HEAD|OPTIONS)$/.test(req.method) || isGenuine(req)) return next()
  throw new HttpError(
    403,
    'This form is too old or comes from another site. Load the page again.',
    'Not from this page',
  )
}

/** One sentence for each wrong field, and the name of the first, which gets the focus. */
export type FormErrors = { first: string } & Record<string, string>

/** What zod found, as forms show it. A field that is wrong in several ways is told its first. */
export function formErrors(error: z.ZodError): FormErrors {
  const errors: Record<string, string> = {}
  for (const { path, message } of error.issues) errors[String(path[0] ?? 'form')] ??= message
  return { ...errors, first: Object.keys(errors)[0] ?? 'form' }
}

/** A field of a form or an address. The last one wins where it is said twice: the hidden "no" before the box that is checked. */
export const one = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (Array.isArray(value) ? value.at(-1) : value), type)
