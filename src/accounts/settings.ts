import { type Request, type Response, Router } from 'express'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { countAccessTokens, revokeAccessTokens } from './access-tokens.js'
import {
  activateAccount,
  changePassword,
  changeProfile,
  createAccount,
  deactivateAccount,
  endOneSession,
  endSessions,
  NameTaken,
} from './commands.js'
import { deviceWords } from './device-words.js'
import { AccountForm, PasswordForm, ProfileForm, TokenForm } from './forms.js'
import { accountOf } from './gate.js'
import { checkPassword } from './passwords.js'
import { findLogin, listAccounts, listSessions, listTokens } from './queries.js'
import { idleTime, sessionHash, tell } from './sessions.js'
import type { LoginThrottle } from './throttle.js'
import { createToken, revokeToken } from './tokens.js'
import type { TwoFactor } from './two-factor.js'
import { twoFactorPages } from './two-factor-pages.js'

/** What a higher room adds to the settings: a page of its own at /settings/<id>, with one form. */
export interface SettingsSection {
  id: string
  title: string
  /**
   * The template of the form's fields; it gets what `load` returns, or what was typed instead, and the same once more as
   * `values`; and `errors`.
   */
  fragment: string
  /** Other buttons beside [Save], which send the same form with a field of their own. */
  actions?: { name: string; value: string; label: string }[]
  /** What the template shows beside the fields, which a form sent back does not replace. */
  about?(): Promise<Record<string, unknown>>
  /** What each field of the form holds, by its name. */
  load(): Promise<Record<string, unknown>>
  /** Takes the form: a sentence that says what holds now, or what is wrong with it. */
  save(form: unknown): Promise<{ told: string } | { errors: FormErrors }>
}

interface Deps {
  db: Db
  now: () => number
  throttle: LoginThrottle
  factor: TwoFactor
  sections: SettingsSection[]
}

const noErrors = { first: '' }
const day = 24 * 3600_000

/** /settings: one page each for my account, people, sessions, API tokens, and what other rooms add. */
export function settingsPages({ db, now, throttle, factor, sections }: Deps) {
  const routes = Router()
  const tabs = [
    { path: '/settings', title: 'My account' },
    { path: '/settings/two-factor', title: 'Two-factor login' },
    { path: '/settings/people', title: 'People' },
    { path: '/settings/sessions', title: 'Sessions' },
    { path: '/settings/tokens', title: 'API tokens' },
    ...sections.map(({ id, title }) => ({ path: `/settings/${id}`, title })),
  ]
  const show = (res: Response, path: string, data: object) =>
    res.render(`accounts/${pageOf(path)}`, { room: '', tabs, path, ...data })

  // My account
  const showMine = (
    res: Response,
    given: { values?: object; errors?: object; passwordErrors?: object } = {},
  ) =>
    show(res, '/settings', { values: accountOf(res), errors: noErrors, passwordErrors: noErrors, ...given })

  routes.get('/settings', (_req, res) => showMine(res))
  routes.post('/settings', async (req, res) => {
    const form = ProfileForm.safeParse(req.body)
    if (!form.success) return showMine(res.status(422), { values: req.body, errors: formErrors(form.error) })
    await changeProfile(db, accountOf(res).id, form.data)
    tell(req, 'Your account is saved.')
    res.redirect(303, '/settings')
  })
  routes.post('/settings/password', async (req, res) => {
    const { id, username } = accountOf(res)
    const refuse = (passwordErrors: FormErrors, status = 422) =>
      showMine(res.status(status), { passwordErrors })
    const form = PasswordForm(username).safeParse(req.body)
    if (!form.success) return refuse(formErrors(form.error))
    const { current_password, new_password } = form.data
    // A session that somebody left open must not be a place to guess the password either.
    const attempt = await throttle.claim(username, null)
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000)))
      const sentence = 'Too many wrong passwords. Wait half a minute and try again.'
      return refuse({ first: 'current_password', current_password: sentence }, 429)
    }
    const login = await findLogin(db, username)
    if (!(await checkPassword(login?.password_hash, current_password)))
      return refuse({ first: 'current_password', current_password: 'This is not the password you have now.' })
    await throttle.forgive(attempt)
    await changePassword(db, id, new_password, { keep: req.sessionID })
    tell(req, 'Your password is changed. Your other sessions have ended.')
    res.redirect(303, '/settings')
  })

  routes.use(twoFactorPages({ db, now, throttle, factor, show }))

  // People
  const showPeople = async (res: Response, given: { values?: object; errors?: object } = {}) => {
    const people = await listAccounts(db)
    const active = people.filter((person) => person.active).length
    show(res, '/settings/people', { people, active, values: {}, errors: noErrors, ...given })
  }
  routes.get('/settings/people', (_req, res) => showPeople(res))
  routes.post('/settings/people', async (req, res) => {
    const refuse = (errors: FormErrors) => showPeople(res.status(422), { values: req.body, errors })
    const form = AccountForm.safeParse(req.body)
    if (!form.success) return refuse(formErrors(form.error))
    try {
      await createAccount(db, form.data, { by: accountOf(res).id, at: now() })
    } catch (error) {
      if (!(error instanceof NameTaken)) throw error
      return refuse({ first: 'username', username: error.message })
    }
    tell(
      req,
      `${form.data.username} can log in now. Tell them the password in person; they can change it here.`,
    )
    res.redirect(303, '/settings/people')
  })
  routes.post('/settings/people/:id/deactivation', async (req, res) => {
    const id = wholeNumber(req)
    const username = await deactivateAccount(db, id)
    if (id === accountOf(res).id) return res.redirect(303, '/login')
    tell(
      req,
      `${username} can no longer log in. API tokens that they made still work; revoke those you no longer want.`,
    )
    res.redirect(303, '/settings/people')
  })
  routes.post('/settings/people/:id/activation', async (req, res) => {
    tell(req, `${await activateAccount(db, wholeNumber(req))} can log in again.`)
    res.redirect(303, '/settings/people')
  })

  // Sessions
  routes.get('/settings/sessions', async (req, res) => {
    const at = now()
    const mine = sessionHash(req.sessionID)
    const rows = await listSessions(db, accountOf(res).id, { now: at })
    const sessions = rows
      .map((row) => ({
        ...row,
        here: row.id_hash === mine,
        device: deviceWords(row.user_agent),
        // Only a remembered session ends so long after its last sign of life.
        remembered: row.expires_at - row.seen_at > 2 * idleTime,
      }))
      .sort((a, b) => Number(b.here) - Number(a.here))
    show(res, '/settings/sessions', { sessions, others: sessions.filter(({ here }) => !here).length })
  })
  routes.post('/settings/sessions/revocation', async (req, res) => {
    const id = String((req.body as { id?: unknown } | undefined)?.id ?? '')
    await endOneSession(db, accountOf(res).id, id)
    if (id !== sessionHash(req.sessionID)) tell(req, 'The session has ended.')
    res.redirect(303, '/settings/sessions')
  })
  routes.post('/settings/sessions/others', async (req, res) => {
    const ended = await endSessions(db, accountOf(res).id, { keep: req.sessionID })
    tell(req, ended === 1 ? 'One other session has ended.' : `${ended} other sessions have ended.`)
    res.redirect(303, '/settings/sessions')
  })

  // API tokens
  const showTokens = async (
    res: Response,
    given: { made?: object; values?: object; errors?: object } = {},
  ) => {
    const tokens = await listTokens(db, { revokedSince: now() - 30 * day })
    const accessTokens = await countAccessTokens(db, accountOf(res).id, now())
    show(res, '/settings/tokens', {
      tokens,
      accessTokens,
      made: null,
      values: {},
      errors: noErrors,
      ...given,
    })
  }
  routes.get('/settings/tokens', (_req, res) => showTokens(res))
  routes.post('/settings/tokens', async (req, res) => {
    const form = TokenForm.safeParse(req.body)
    if (!form.success)
      return showTokens(res.status(422), { values: req.body, errors: formErrors(form.error) })
    const made = await createToken(db, form.data.name, { by: accountOf(res).id, at: now() })
    // Shown in this very answer, and kept nowhere: a redirect would have to carry it along.
    res.set('Cache-Control', 'no-store')
    await showTokens(res.status(201), { made })
  })
  routes.post('/settings/tokens/:id/revocation', async (req, res) => {
    tell(req, `The API token “${await revokeToken(db, wholeNumber(req), now())}” no longer works.`)
    res.redirect(303, '/settings/tokens')
  })

  routes.post('/settings/access-tokens/revocation', async (req, res) => {
    await revokeAccessTokens(db, accountOf(res).id)
    tell(req, 'Your access tokens no longer work.')
    res.redirect(303, '/settings/tokens')
  })

  // What other rooms add
  for (const section of sections) {
    const path = `/settings/${section.id}`
    const showSection = async (res: Response, given: object = {}) => {
      const values = { ...(await section.load()), ...given }
      show(res, path, { section, errors: noErrors, ...values, values, ...(await section.about?.()) })
    }
    routes.get(path, (_req, res) => showSection(res))
    routes.post(path, async (req, res) => {
      const form: Record<string, unknown> = req.body ?? {}
      const saved = await section.save(form)
      if ('errors' in saved) {
        const fields = Object.keys(await section.load())
        const typed = Object.fromEntries(fields.map((name) => [name, form[name] ?? '']))
        return showSection(res.status(422), { ...typed, errors: saved.errors })
      }
      tell(req, saved.told)
      res.redirect(303, path)
    })
  }
  return routes
}

const ownPages = new Map([
  ['/settings', 'mine'],
  ['/settings/two-factor', 'two-factor'],
  ['/settings/people', 'people'],
  ['/settings/sessions', 'sessions'],
  ['/settings/tokens', 'tokens'],
])
const pageOf = (path: string) => ownPages.get(path) ?? 'section'

function wholeNumber(req: Request) {
  const { id } = req.params
  if (typeof id !== 'string' || !/^\d{1,15}$/.test(id))
    throw new NotFound(`There is nothing at ${req.path.slice(0, 100)}.`)
  return Number(id)
}
