import { type Request, type Response, Router } from 'express'
import type { Db } from '../database/open.js'
import { csrfToken, type FormErrors, formBodies, formErrors, isGenuine } from '../web/forms.js'
import { addressOf, writeAudit } from './audit.js'
import { noteLogin } from './commands.js'
import { LoginForm } from './forms.js'
import { accountOf, localPath } from './gate.js'
import { checkPassword } from './passwords.js'
import { findLogin, findPassword, hasAccounts } from './queries.js'
import {
  endSession,
  rememberedTime,
  renewSession,
  saveSession,
  sessionCookie,
  sessionHash,
  tell,
} from './sessions.js'
import type { LoginThrottle } from './throttle.js'
import type { TwoFactor } from './two-factor.js'

interface Deps {
  db: Db
  now: () => number
  throttle: LoginThrottle
  factor: TwoFactor
}

/** Milliseconds between the password and the code. */
const codeTime = 10 * 60_000

/**
 * /login, which strangers may see, and /login/code, where an account with two factors gives the second. They check
 * their own token, to show a form that is too old again as it was.
 */
export function loginPages({ db, now, throttle, factor }: Deps) {
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
    const address = addressOf(req)
    if (!correct || !account?.active) {
      // Written for names that nobody has too, so that time does not tell which exist; but not what was typed: some type
      // their password there.
      await writeAudit(db, { at: now(), action: 'login_refused', account, address, outcome: 'refused' })
      return show(res.status(422), {
        next,
        values,
        errors: { first: 'password', password: 'The name or the password is wrong.' },
      })
    }
    await throttle.forgive(attempt)
    if (await factor.isOn(account.id)) {
      await renewSession(req)
      req.session.halfway = {
        accountId: account.id,
        password: sessionHash(account.password_hash),
        remember: remember !== undefined,
        next,
        at: now(),
      }
      await saveSession(req)
      return res.redirect(303, '/login/code')
    }
    await logIn(req, { db, now, account, remember: remember !== undefined })
    await writeAudit(db, { at: now(), action: 'login', account, address })
    res.redirect(303, next)
  })

  /** Who has given the password of now within ten minutes, and nobody else. */
  async function halfway(req: Request) {
    const half = req.session.halfway
    if (!half || now() - half.at > codeTime || now() < half.at) return null
    const account = await findPassword(db, half.accountId)
    if (!account?.active || sessionHash(account.password_hash) !== half.password) return null
    return { account, remember: half.remember, next: localPath(half.next) }
  }

  routes.get('/login/code', async (req, res) => {
    if (res.locals.account) return res.redirect(303, '/')
    if (!(await halfway(req))) return res.redirect(303, '/login')
    showCode(res)
  })

  routes.post('/login/code', formBodies(), async (req, res) => {
    const half = await halfway(req)
    if (!half) return res.redirect(303, '/login')
    if (!isGenuine(req))
      return showCode(res.status(403), {
        notice: 'This form is too old or comes from another site. Try once more.',
      })
    const { account, remember, next } = half
    const typed = (req.body as Record<string, unknown> | undefined)?.code
    if (typeof typed !== 'string' || typed.trim() === '' || typed.length > 100)
      return showCode(res.status(422), { errors: { first: 'code', code: 'Write the code.' } })
    const attempt = await throttle.claim(account.username, req.ip ?? '')
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000)))
      return showCode(res.status(429), {
        notice: 'Too many wrong codes. One try every 30 seconds is looked at; wait a moment and try again.',
      })
    }
    const found = await factor.take(account.id, typed)
    const address = addressOf(req)
    if (found === 'wrong' || found === 'unreadable') {
      await writeAudit(db, { at: now(), action: 'code_refused', account, address, outcome: 'refused' })
      return showCode(res.status(422), { errors: { first: 'code', code: refusals[found] } })
    }
    await throttle.forgive(attempt)
    await logIn(req, { db, now, account, remember })
    await writeAudit(db, {
      at: now(),
      action: found === 'recovery code' ? 'recovery_code' : 'login',
      account,
      address,
    })
    if (found === 'recovery code') {
      const { codesLeft } = await factor.state(account.id)
      tell(
        req,
        `This recovery code is used up. ${codesLeft} left; Settings, Two-factor login makes new ones.`,
      )
    }
    res.redirect(303, next)
  })
  return routes
}

const refusals = {
  wrong: 'This code is wrong, too old, or was used already. Wait for the next one, or use a recovery code.',
  unreadable:
    'Codes cannot be checked: this database was restored without the secret of its installation. A recovery code works.',
}

/** The same for names that exist and for those that do not. */
const slowDown =
  'Too many wrong passwords. One try every 30 seconds is looked at; wait a moment and try again.'

/** Logging out is a change like any other, behind the login and with a token. */
export function logoutPages({ db, now }: Pick<Deps, 'db' | 'now'>) {
  const routes = Router()
  routes.post('/logout', async (req, res) => {
    await writeAudit(db, {
      at: now(),
      action: 'logout',
      account: accountOf(res),
      address: addressOf(req),
    })
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
  { db, now, account, remember }: Pick<Deps, 'db' | 'now'> & { account: { id: number }; remember: boolean },
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

function showCode(
  res: Response,
  { errors = { first: '' }, notice = '' }: { errors?: FormErrors; notice?: string } = {},
) {
  res.set('Cache-Control', 'no-store')
  res.render('accounts/login-code', { errors, notice, formToken: csrfToken(res.req) })
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
