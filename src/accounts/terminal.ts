import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import { writeAudit } from './audit.js'
import { activateAccount, changePassword, createAccount, deactivateAccount } from './commands.js'
import { TokenForm, Username } from './forms.js'
import { passwordComplaint } from './passwords.js'
import { findLogin, listAccounts, listTokens } from './queries.js'
import { createToken, revokeToken } from './tokens.js'
import { turnOffTwoFactor } from './two-factor.js'

/** A terminal: what is printed, and where a password comes from. */
interface Terminal {
  db: Db
  now: () => number
  say: (line: string) => void
  /** Asks for a new password, twice where somebody types it. */
  askPassword: () => Promise<string>
}

/** What the operator can put right, in one sentence. */
export class Refusal extends Error {}

const userUsage = `Usage:
  npm run user -- create NAME       makes an account; asks for its password
  npm run user -- password NAME     sets a new password and ends the account's sessions
  npm run user -- deactivate NAME   keeps the account from logging in
  npm run user -- activate NAME     lets it log in again
  npm run user -- two-factor-off NAME  lets it log in with its password alone
  npm run user -- list              shows all accounts
A password can also be piped in: npm run user -- create NAME < password.txt`

/**
 * `npm run user`: accounts from a terminal.
 * @throws Refusal
 */
export async function userCommand([verb, given, ...rest]: string[], terminal: Terminal) {
  const { db, now, say } = terminal
  if (verb === 'list' && given === undefined) return listToTerminal(terminal)
  const verbs: Record<string, (username: string) => Promise<void>> = {
    async create(username) {
      if (await findLogin(db, username)) throw new Refusal(`There is already an account named ${username}.`)
      await createAccount(
        db,
        { username, password: await askGood(username, terminal) },
        { by: null, at: now() },
      )
      say(`${username} can log in now.`)
    },
    async password(username) {
      const { id, active } = await getLogin(db, username)
      await changePassword(db, id, await askGood(username, terminal), { keep: null })
      say(`The password of ${username} is changed, and their sessions have ended.`)
      if (!active)
        say(`The account is deactivated. To let it log in again: npm run user -- activate ${username}`)
    },
    async deactivate(username) {
      const { id, active } = await getLogin(db, username)
      if (!active) return say(`${username} is deactivated already.`)
      await deactivateAccount(db, id)
      say(`${username} can no longer log in, and their sessions have ended.`)
    },
    async activate(username) {
      const { id } = await getLogin(db, username)
      await activateAccount(db, id)
      say(`${username} can log in.`)
    },
    async 'two-factor-off'(username) {
      const { id } = await getLogin(db, username)
      if (!(await turnOffTwoFactor(db, id))) return say(`${username} has no two-factor login.`)
      say(`The password of ${username} alone lets them in. Two-factor login can be turned on again there.`)
    },
  }
  const act = Object.hasOwn(verbs, verb ?? '') ? verbs[verb!] : undefined
  if (!act || given === undefined || rest.length > 0) throw new Refusal(userUsage)
  const name = Username.safeParse(given)
  if (!name.success) throw new Refusal(name.error.issues[0]!.message)
  await inOneSentence(() => act(name.data))
  await writeAudit(db, {
    at: now(),
    action: verb === 'two-factor-off' ? 'two_factor_off' : verb === 'password' ? 'password' : 'account',
    actor: 'a terminal',
    subject: `${verb} ${name.data}`,
  })
}

async function getLogin(db: Db, username: string) {
  const login = await findLogin(db, username)
  if (!login) throw new Refusal(`There is no account named ${username}. To see all: npm run user -- list`)
  return login
}

async function askGood(username: string, { askPassword }: Terminal) {
  const password = await askPassword()
  const complaint = passwordComplaint(password, { username })
  if (complaint) throw new Refusal(complaint)
  return password
}

async function listToTerminal({ db, say }: Terminal) {
  const people = await listAccounts(db)
  if (people.length === 0) return say('There is no account yet. To make one: npm run user -- create NAME')
  say(
    table([
      ['NAME', 'FULL NAME', 'STATE', 'LAST LOGIN', 'MADE BY'],
      ...people.map((person) => [
        person.username,
        person.full_name,
        person.active ? 'active' : 'deactivated',
        instant(person.last_login_at),
        person.made_by ?? '',
      ]),
    ]),
  )
}

const tokenUsage = `Usage:
  npm run token -- create NAME   makes an API token and prints it once
  npm run token -- list          shows all tokens that work
  npm run token -- revoke ID     ends one`

/**
 * `npm run token`: API tokens from a terminal.
 * @throws Refusal
 */
export async function tokenCommand(
  [verb, given, ...rest]: string[],
  { db, now, say }: Omit<Terminal, 'askPassword'>,
) {
  const noteToken = (subject: string) =>
    writeAudit(db, { at: now(), action: 'token', actor: 'a terminal', subject })
  if (verb === 'create' && given !== undefined) {
    // A name of several words needs no quotes.
    const form = TokenForm.safeParse({ name: [given, ...rest].join(' ') })
    if (!form.success) throw new Refusal(form.error.issues[0]!.message)
    const { token } = await createToken(db, form.data.name, { by: null, at: now() })
    await noteToken(`create ${form.data.name}`)
    return say(token)
  }
  if (verb === 'list' && given === undefined) {
    const tokens = await listTokens(db, { revokedSince: now() })
    if (tokens.length === 0) return say('There is no API token. To make one: npm run token -- create NAME')
    return say(
      table([
        ['ID', 'FOR', 'ENDS IN', 'MADE', 'LAST USED'],
        ...tokens.map((token) => [
          String(token.id),
          token.name,
          token.ending,
          instant(token.created_at),
          instant(token.last_used_at),
        ]),
      ]),
    )
  }
  if (verb === 'revoke' && given !== undefined && /^\d{1,15}$/.test(given) && rest.length === 0)
    return inOneSentence(async () => {
      const name = await revokeToken(db, Number(given), now())
      await noteToken(`revoke ${name}`)
      say(`The token "${name}" no longer works.`)
    })
  throw new Refusal(tokenUsage)
}

async function inOneSentence(act: () => Promise<void>) {
  try {
    await act()
  } catch (error) {
    throw error instanceof HttpError ? new Refusal(error.message) : error
  }
}

const instant = (at: number | null) =>
  at === null ? 'never' : `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`

function table(rows: string[][]) {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
