import { type Request, type Response, Router } from 'express'
import type { Db } from '../database/open.js'
import { csrfToken, type FormErrors, formBodies, formErrors, isGenuine } from '../web/forms.js'
import { noteLogin } from './commands.js'
import { LoginForm } from './forms.js'
import { localPath } from './gate.js'
import { checkPassword } from './passwords.js'
import { findLogin, hasAccounts } from './queries.js'
import { endSession, rememberedTime, renewSession, saveSession, sessionCookie } from './sessions.js'
import type { LoginThrottle } from './throttle.js'

interface Deps {
  db: Db
  now: () => number
  throttle: LoginThrottle
}

/** /login, which strangers may see. It checks its own token, to show a form that is too old again as it was. */
export function loginPages({ db, now, throttle }: Deps) {
  const routes = Router()

  routes.get('/login', async (req, res) => {
    const next = localPath(req.query.next)
    if (res.locals.account) return res.redirect(303, next)
    if (!(await hasAccounts(db))) return res.redirect(303, '/setup')
    show(res, { next, notice: sessionIsOver(req) ? 'Your session has ended. Log in to go on.' : '' })
  })

  routes.post('/login', formBodies(), async (req, res) => {
    const values = (req.body ?? {}) as Record<string, unknown>
    const next = localPath(values.next)
    if (!isGenuine(req))
      return show(res.status(403), {
        next,
        values,
        notice: 'This form is too old or comes from another site. Try once more.',
      })
    const form = LoginForm.safeParse(values)
    if (!form.success) return show(res.status(422), { next, values, errors: formErrors(form.error) })

    const { username, password, remember } = form.data
    const attempt = await throttle.claim(username, req.ip ?? '')
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000)))
      return show(res.status(429), { next, values, notice: slowDown })
    }
    const account = await findLogin(db, username)
    const correct = await checkPassword(account?.password_hash, password)
    if (!correct || !account?.active)
      return show(res.status(422), {
        next,
        values,
        errors: { first: 'password', password: 'The name or the password is wrong.' },
      })
    await throttle.forgive(attempt)
    await logIn(req, { db, now, account, remember: remember !== undefined })
    res.redirect(303, next)
  })
  return routes
}

/** The same for names that exist and for those that do not. */
const slowDown =
  'Too many wrong passwords. One try every 30 seconds is looked at; wait a moment and try again.'

/** Logging out is a change like any other, behind the login and with a token. */
export function logoutPages() {
  const routes = Router()
  routes.post('/logout', async (req, res) => {
    await endSession(req)
    res.clearCookie(sessionCookie, { httpOnly: true, sameSite: 'lax', path: '/' })
    // What the browser kept of our pages goes too. Browsers heed this on https alone, and complain elsewhere.
    if (req.secure) res.set('Clear-Site-Data', '"cache"')
    res.redirect(303, '/login')
  })
  return routes
}

/** Gives the session a new id and an owner. */
export async function logIn(
  req: Request,
  { db, now, account, remember }: Omit<Deps, 'throttle'> & { account: { id: number }; remember: boolean },
) {
  await renewSession(req)
  req.session.accountId = account.id
  if (remember) {
    req.session.remember = true
    req.session.cookie.maxAge = rememberedTime
  }
  await saveSession(req)
  await noteLogin(db, account.id, now())
}

/** Did the browser send the cookie of a session that is no more? This request got a new one then. */
function sessionIsOver(req: Request) {
  const id = new RegExp(`(?:^|;\\s*)${sessionCookie}=s(?:%3A|:)([^.;]+)\\.`).exec(
    req.get('Cookie') ?? '',
  )?.[1]
  return id !== undefined && id !== req.sessionID
}

function show(
  res: Response,
  {
    next,
    values = {},
    errors = { first: '' },
    notice = '',
  }: {
    next: string
    values?: Record<string, unknown>
    errors?: FormErrors
    notice?: string
  },
) {
  res.set('Cache-Control', 'no-store')
  res.render('accounts/login', {
    next,
    username: typeof values.username === 'string' ? values.username.slice(0, 200) : '',
    remember: values.remember !== undefined,
    errors,
    notice,
    formToken: csrfToken(res.req),
  })
}
