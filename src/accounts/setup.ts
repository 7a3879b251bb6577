import { randomBytes, timingSafeEqual } from 'node:crypto'
import { type Response, Router } from 'express'
import { ConfigError } from '../config.js'
import type { Db } from '../database/open.js'
import { csrfToken, formBodies, formErrors, isGenuine } from '../web/forms.js'
import { addressOf, writeAudit } from './audit.js'
import { createFirstAccount } from './commands.js'
import { AccountForm } from './forms.js'
import { logIn } from './login.js'
import { hasAccounts } from './queries.js'

interface Deps {
  db: Db
  now: () => number
}

/**
 * The first account is made by whoever can read what the server prints: the link lives in this process, works once,
 * and is another one after the next start.
 */
export function setupLink({ db, baseUrl }: { db: Db; baseUrl: string }) {
  const token = randomBytes(24).toString('base64url')
  const expected = Buffer.from(token)
  return {
    /** The link to print, or null when somebody can log in already. */
    async address() {
      return (await hasAccounts(db)) ? null : `${baseUrl}/setup?token=${token}`
    },
    opens(given: unknown): given is string {
      const bytes = Buffer.from(typeof given === 'string' ? given : '')
      return bytes.length === expected.length && timingSafeEqual(bytes, expected)
    },
  }
}
export type SetupLink = ReturnType<typeof setupLink>

/** The page behind the link. Once there is an account it leads to the login. */
export function setupPages({ db, now, link }: Deps & { link: SetupLink }) {
  const routes = Router()

  routes.use('/setup', async (_req, res, next) => {
    res.set('Cache-Control', 'no-store')
    if (await hasAccounts(db)) return res.redirect(303, '/login')
    next()
  })
  routes.get('/setup', (req, res) => {
    const { token } = req.query
    if (!link.opens(token)) return void res.status(403).render('accounts/setup-closed')
    show(res, { token })
  })
  routes.post('/setup', formBodies(), async (req, res) => {
    const values = (req.body ?? {}) as Record<string, unknown>
    const { token } = values
    if (!link.opens(token)) return void res.status(403).render('accounts/setup-closed')
    if (!isGenuine(req))
      return show(res.status(403), {
        token,
        values,
        notice: 'This form is too old or comes from another site. Try once more.',
      })
    const form = AccountForm.safeParse(values)
    if (!form.success) return show(res.status(422), { token, values, errors: formErrors(form.error) })
    const account = await createFirstAccount(db, form.data, now())
    if (!account) return res.redirect(303, '/login')
    await logIn(req, { db, now, account, remember: false })
    await writeAudit(db, {
      at: now(),
      action: 'account',
      account,
      address: addressOf(req),
      subject: 'the first account, by the setup link',
    })
    res.redirect(303, '/')
  })
  return routes
}

function show(
  res: Response,
  {
    token,
    values = {},
    errors = { first: '' },
    notice = '',
  }: {
    token: string
    values?: object
    errors?: object
    notice?: string
  },
) {
  res.render('accounts/setup', { token, values, errors, notice, formToken: csrfToken(res.req) })
}

/**
 * `ADMIN_USERNAME` and `ADMIN_PASSWORD` make the first account where nobody is there to open a link. They do nothing
 * once there is one.
 * @returns the name of the account, or null when none was made
 * @throws ConfigError with one sentence that names the variable
 */
export async function createAccountFromConfig(
  { db, now }: Deps,
  {
    ADMIN_USERNAME,
    ADMIN_PASSWORD,
  }: { ADMIN_USERNAME?: string | undefined; ADMIN_PASSWORD?: string | undefined },
): Promise<string | null> {
  if (!ADMIN_USERNAME || !ADMIN_PASSWORD || (await hasAccounts(db))) return null
  const form = AccountForm.safeParse({ username: ADMIN_USERNAME, password: ADMIN_PASSWORD })
  if (!form.success) {
    const { path, message } = form.error.issues[0]!
    throw new ConfigError(
      `${path[0] === 'password' ? 'ADMIN_PASSWORD' : 'ADMIN_USERNAME'} cannot be used. ${message}`,
    )
  }
  const account = await createFirstAccount(db, form.data, now())
  if (!account) return null
  await writeAudit(db, {
    at: now(),
    action: 'account',
    actor: 'the environment',
    subject: `create ${account.username}`,
  })
  return account.username
}
