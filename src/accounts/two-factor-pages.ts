import { type Request, type Response, Router } from 'express'
import { toString as qrCode } from 'qrcode'
import type { Db } from '../database/open.js'
import type { FormErrors } from '../web/forms.js'
import { addressOf, writeAudit } from './audit.js'
import { endSessions } from './commands.js'
import { accountOf } from './gate.js'
import { checkPassword } from './passwords.js'
import { findLogin } from './queries.js'
import { tell } from './sessions.js'
import type { LoginThrottle } from './throttle.js'
import type { TwoFactor } from './two-factor.js'

interface Needs {
  db: Db
  now: () => number
  throttle: LoginThrottle
  factor: TwoFactor
  /** Renders a page of the settings. */
  show: (res: Response, path: string, data: object) => void
}

const page = '/settings/two-factor'
const noErrors = { first: '' }

/**
 * /settings/two-factor: turn it on (a picture to scan, then a code that proves it was), make new recovery codes, turn it
 * off. Each begins with the password, since a session that somebody left open must neither lock its owner out nor let
 * another in.
 */
export function twoFactorPages({ db, now, throttle, factor, show }: Needs) {
  const routes = Router()

  async function showPage(
    res: Response,
    given: { codes?: string[]; errors?: FormErrors; asked?: string; values?: object } = {},
  ) {
    const account = accountOf(res)
    const state = await factor.state(account.id)
    const waiting = await factor.waiting(account.id, account.username)
    const picture = waiting && (await qrCode(waiting.address, { type: 'svg', margin: 2 }))
    res.set('Cache-Control', 'no-store')
    show(res, page, {
      ...state,
      waiting,
      picture,
      codes: null,
      asked: '',
      values: {},
      errors: noErrors,
      ...given,
    })
  }

  /** @returns whether the password is right; else the page is shown again, with a sentence at the form that asked */
  async function passwordIsRight(req: Request, res: Response, asked: string) {
    const { username } = accountOf(res)
    const field = `${asked}_password`
    const typed = (req.body as Record<string, unknown> | undefined)?.[field]
    const refuse = async (sentence: string, status = 422) => {
      await showPage(res.status(status), { asked, errors: { first: field, [field]: sentence } })
      return false
    }
    if (typeof typed !== 'string' || typed === '') return refuse('Write your password.')
    const attempt = await throttle.claim(username, null)
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000)))
      return refuse('Too many wrong passwords. Wait half a minute and try again.', 429)
    }
    const login = await findLogin(db, username)
    if (!(await checkPassword(login?.password_hash, typed))) return refuse('This is not your password.')
    await throttle.forgive(attempt)
    return true
  }
  const note = (req: Request, res: Response, action: 'two_factor_on' | 'two_factor_off' | 'recovery_codes') =>
    writeAudit(db, { at: now(), action, account: accountOf(res), address: addressOf(req) })

  routes.get(page, (_req, res) => showPage(res))

  routes.post(page, async (req, res) => {
    if (!(await passwordIsRight(req, res, 'begin'))) return
    await factor.begin(accountOf(res).id)
    res.redirect(303, page)
  })

  routes.post(`${page}/confirmation`, async (req, res) => {
    const { id, username } = accountOf(res)
    const typed = String((req.body as Record<string, unknown> | undefined)?.code ?? '').slice(0, 100)
    const refuse = (sentence: string, status = 422) =>
      showPage(res.status(status), {
        asked: 'confirm',
        values: { code: typed },
        errors: { first: 'code', code: sentence },
      })
    const attempt = await throttle.claim(username, null)
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000)))
      return refuse('Too many wrong codes. Wait half a minute and try again.', 429)
    }
    const codes = await factor.confirm(id, typed)
    if (!codes)
      return refuse(
        'This is not the code of now. Write the six digits that the authenticator shows; if they are, set the clock of the phone.',
      )
    await throttle.forgive(attempt)
    // Whoever logged in with the password alone has to come in anew.
    await endSessions(db, id, { keep: req.sessionID })
    await db.deleteFrom('access_tokens').where('account_id', '=', id).execute()
    await note(req, res, 'two_factor_on')
    // Shown in this very answer, and kept nowhere.
    await showPage(res.status(201), { codes })
  })

  routes.post(`${page}/recovery-codes`, async (req, res) => {
    const { id } = accountOf(res)
    if (!(await passwordIsRight(req, res, 'renew'))) return
    if (!(await factor.isOn(id))) return res.redirect(303, page)
    const codes = await factor.newRecoveryCodes(id)
    await note(req, res, 'recovery_codes')
    await showPage(res.status(201), { codes })
  })

  routes.post(`${page}/removal`, async (req, res) => {
    if (!(await passwordIsRight(req, res, 'off'))) return
    if (await factor.turnOff(accountOf(res).id)) await note(req, res, 'two_factor_off')
    tell(req, 'Two-factor login is off. Your password alone lets you in.')
    res.redirect(303, page)
  })
  return routes
}
