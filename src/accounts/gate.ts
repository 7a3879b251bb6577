import type { NextFunction, Request, Response } from 'express'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import { csrfToken } from '../web/forms.js'
import { wantsFragment, wantsJson } from '../web/render.js'
import { type Account, findActiveAccount } from './queries.js'

/** Who this request comes from. Only for what stands behind `onlyLoggedIn`. */
export const accountOf = (res: Response) => res.locals.account as Account

/**
 * Learns who is there, and lays out what every page may show: account (or null), csrf, flash, now, baseUrl.
 * It refuses nobody.
 */
export function recognise({ db, now, baseUrl }: { db: Db; now: () => number; baseUrl: string }) {
  return async (req: Request, res: Response, next: NextFunction) => {
    const { accountId } = req.session
    const account = accountId === undefined ? null : ((await findActiveAccount(db, accountId)) ?? null)
    let flash: string | undefined
    Object.assign(res.locals, { account, now: now(), baseUrl, lastEventAt: null })
    Object.defineProperties(res.locals, {
      // Made when a page prints it: a stranger who looks at a public page starts no session.
      csrf: { enumerable: true, get: () => (account && req.session ? csrfToken(req) : '') },
      // Said once, on the next whole page: a part that refreshes itself must not swallow it.
      flash: {
        enumerable: true,
        get() {
          if (flash === undefined) {
            const here = req.session && !wantsFragment(req)
            flash = (here && req.session.flash) || ''
            if (here && flash) delete req.session.flash
          }
          return flash
        },
      },
    })
    // What an account sees is for its own eyes, and for no cache on the way.
    if (account) res.set('Cache-Control', 'private, no-cache')
    next()
  }
}

/**
 * From here on everybody has logged in. What is open to strangers on purpose stands before this in src/app.ts.
 * The login page is never swapped into a part of another page: htmx loads the whole page again, and that leads there.
 */
export function onlyLoggedIn(req: Request, res: Response, next: NextFunction) {
  if (res.locals.account) return next()
  const reading = req.method === 'GET' || req.method === 'HEAD'
  if (req.get('HX-Request')) {
    res.status(401).set('Cache-Control', 'no-store')
    if (wantsFragment(req) && reading) res.set('HX-Refresh', 'true')
    else res.set('HX-Redirect', loginAddress(reading ? req.originalUrl : pathOfPage(req)))
    return void res.end()
  }
  if (wantsJson(req))
    throw new HttpError(401, 'Log in first, or use an API token under /api/v1.', 'Log in first')
  res.set('Cache-Control', 'no-store')
  res.redirect(303, loginAddress(reading ? req.originalUrl : pathOfPage(req)))
}

const loginAddress = (next: string) => (next === '/' ? '/login' : `/login?next=${encodeURIComponent(next)}`)

/** The page from which a change was sent; its form is where the person wants to be again. */
function pathOfPage(req: Request) {
  const page = req.get('HX-Current-URL') ?? req.get('Referer')
  if (!page || !URL.canParse(page)) return '/'
  const { host, pathname, search } = new URL(page)
  return host === req.get('Host') ? localPath(`${pathname}${search}`) : '/'
}

/** Where to go after the login: an address of ours, and never another site (`//evil.example`, `/\evil.example`). */
export function localPath(text: unknown): string {
  if (typeof text !== 'string' || text.length > 2000 || !/^\/(?![/\\])/.test(text)) return '/'
  if (!URL.canParse(text, 'http://here.invalid')) return '/'
  const { origin, pathname, search, hash } = new URL(text, 'http://here.invalid')
  // The parsed path once more: dots and tabs are gone by now, and may have left two slashes in front.
  if (
    origin !== 'http://here.invalid' ||
    /^\/[/\\]/.test(pathname) ||
    /^\/(login|setup|logout)\b/.test(pathname)
  )
    return '/'
  return `${pathname}${search}${hash}`
}
