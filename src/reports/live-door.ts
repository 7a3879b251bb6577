import express, { type NextFunction, type Request, type Response, Router } from 'express'
import { checkPassword } from '../accounts/passwords.js'
import { loginThrottle } from '../accounts/throttle.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { HttpError, NotFound } from '../web/errors.js'
import { duration } from '../web/formats.js'
import { findNewest, findPicture, getRendering, type Rendering } from './archive.js'
import { drawReport } from './drawing.js'
import { countView, findLink, stateOf } from './live-links.js'
import { pictureHeaders } from './report-pages.js'
import { lookOf, titleOf } from './reports.js'

declare module 'express-session' {
  interface SessionData {
    /** Live links whose password this browser gave: `id:created_at` of each. */
    reportLinks: string[]
  }
}

interface Needs {
  db: Db
  /** Keys the counting of wrong passwords. */
  secret: string
  now: () => number
}

/**
 * `/r/:token`: a report for whoever has its address, read-only. It is kept by nobody on the way, found by no search engine,
 * and tells its address to no other site. Mount it before the gate.
 */
export function liveDoor({ db, secret, now }: Needs) {
  const routes = Router()
  // Wrong passwords of a link slow down nobody's login.
  const throttle = loginThrottle({ db, now, secret: `${secret} live links` })

  routes.use('/r', (_req: Request, res: Response, next: NextFunction) => {
    res.set({
      'Cache-Control': 'no-store',
      'X-Robots-Tag': 'noindex, nofollow, noarchive',
      'Referrer-Policy': 'no-referrer',
    })
    next()
  })

  /** The link, where it still holds. @throws NotFound, or HttpError 410 */
  async function openLink(token: string) {
    const link = await findLink(db, token)
    if (!link)
      throw new NotFound('There is no report at this address. A letter may have gone astray on the way.')
    const state = stateOf(link, now())
    if (state === 'revoked')
      throw new HttpError(
        410,
        'This link was taken back. Ask whoever sent it for a new one.',
        'Link taken back',
      )
    if (state === 'expired')
      throw new HttpError(410, 'This link has expired. Ask whoever sent it for a new one.', 'Link expired')
    return link
  }

  async function renderingOf(link: Row<'report_links'>): Promise<Rendering> {
    const id = link.rendering_id ?? (await findNewest(db, link.report_id))?.id
    if (id === undefined)
      throw new NotFound('This report was not rendered yet. Look again later, the address stays the same.')
    return getRendering(db, { id })
  }

  const keyOf = ({ id, created_at }: Row<'report_links'>) => `${id}:${created_at}`
  const mayRead = (req: Request, link: Row<'report_links'>) =>
    link.password_hash === null || (req.session.reportLinks ?? []).includes(keyOf(link))

  const askPassword = (res: Response, status: number, error: string) =>
    res.status(status).render('reports/live-password', { error })

  routes.get('/r/:token', async (req, res) => {
    const { token } = req.params
    const link = await openLink(token)
    if (!mayRead(req, link)) return askPassword(res, 200, '')
    const rendering = await renderingOf(link)
    await countView(db, link.id, now())
    const here = `/r/${token}`
    res.render('reports/live', {
      ...drawReport(rendering),
      reference: rendering.reference,
      logo: rendering.hasLogo ? `${here}/logo` : '',
      isPrint: false,
      title: titleOf(rendering),
      here,
    })
  })

  routes.post('/r/:token', express.urlencoded({ extended: false, limit: '4kb' }), async (req, res) => {
    const link = await openLink(String(req.params.token))
    if (link.password_hash === null) return res.redirect(303, `/r/${req.params.token}`)
    const typed = (req.body as { password?: unknown } | undefined)?.password
    const password = typeof typed === 'string' ? typed.slice(0, 200) : ''
    if (password === '') return askPassword(res, 422, 'Type the password that came with the link.')
    const claimed = await throttle.claim(`link ${link.id}`, req.ip ?? null)
    if ('wait' in claimed) {
      res.set('Retry-After', String(Math.ceil(claimed.wait / 1000)))
      return askPassword(res, 429, `Too many wrong passwords. Try again in ${duration(claimed.wait)}.`)
    }
    if (!(await checkPassword(link.password_hash, password)))
      return askPassword(res, 422, 'This is not the password of this report.')
    await throttle.forgive(claimed)
    req.session.reportLinks = [...(req.session.reportLinks ?? []).slice(-20), keyOf(link)]
    res.redirect(303, `/r/${req.params.token}`)
  })

  routes.get('/r/:token/look.css', async (req, res) => {
    const link = await openLink(req.params.token)
    if (!mayRead(req, link)) throw new HttpError(403, 'This report needs its password first.')
    res.type('css').send(lookOf(await renderingOf(link)))
  })

  routes.get('/r/:token/logo', async (req, res) => {
    const link = await openLink(req.params.token)
    if (!mayRead(req, link)) throw new HttpError(403, 'This report needs its password first.')
    const picture = await findPicture(db, (await renderingOf(link)).id)
    if (!picture) throw new NotFound('This report has no logo.')
    res.set({ ...pictureHeaders(picture), 'Cache-Control': 'no-store' }).send(picture.bytes)
  })

  return routes
}
