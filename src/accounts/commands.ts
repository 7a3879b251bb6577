import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { HttpError, NotFound } from '../web/errors.js'
import { hashPassword } from './passwords.js'
import { sessionHash } from './sessions.js'

/** Two accounts cannot share a name. */
export class NameTaken extends HttpError {
  constructor(username: string) {
    super(409, `There is already an account named ${username}.`, 'This name is taken')
  }
}

/** Somebody has to be able to log in. */
export class LastAccount extends HttpError {
  constructor() {
    super(409, 'The last active account stays. Add another one first.', 'The last one stays')
  }
}

interface NewAccount {
  username: string
  full_name?: string
  email?: string
  password: string
}

/**
 * @param by the account that makes it; null for the first, and from a terminal
 * @throws NameTaken
 */
export async function createAccount(
  db: Db,
  { username, full_name = '', email = '', password }: NewAccount,
  { by, at }: { by: number | null; at: number },
) {
  const password_hash = await hashPassword(password)
  return insertAccount(db, { username, full_name, email, password_hash }, { by, at })
}

/** @returns the account, or null when another one was there first. */
export async function createFirstAccount(
  db: Db,
  { username, full_name = '', email = '', password }: NewAccount,
  at: number,
) {
  const password_hash = await hashPassword(password)
  return db.transaction().execute(async (tx) => {
    if (await tx.selectFrom('accounts').select('id').limit(1).executeTakeFirst()) return null
    return insertAccount(tx, { username, full_name, email, password_hash }, { by: null, at })
  })
}

async function insertAccount(
  db: Db,
  account: { username: string; full_name: string; email: string; password_hash: string },
  { by, at }: { by: number | null; at: number },
) {
  try {
    return await db
      .insertInto('accounts')
      .values({ ...account, active: 1, created_at: at, created_by: by })
      .returning(['id', 'username'])
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isDuplicate(error)) throw new NameTaken(account.username)
    throw error
  }
}

export async function changeProfile(
  db: Db,
  id: number,
  { full_name, email }: { full_name: string; email: string },
) {
  await db.updateTable('accounts').set({ full_name, email }).where('id', '=', id).execute()
}

/**
 * Sets a password and ends the account's sessions, since whoever knew the old one may hold one.
 * @param keep the id of the session that stays: the one the change comes from
 */
export async function changePassword(
  db: Db,
  id: number,
  password: string,
  { keep }: { keep: string | null },
) {
  const password_hash = await hashPassword(password)
  await db.transaction().execute(async (tx) => {
    await tx.updateTable('accounts').set({ password_hash }).where('id', '=', id).execute()
    await tx.deleteFrom('access_tokens').where('account_id', '=', id).execute()
    await endSessions(tx, id, { keep })
  })
}

/** @throws NotFound, LastAccount */
export async function deactivateAccount(db: Db, id: number) {
  return db.transaction().execute(async (tx) => {
    const { username } = await getAccount(tx, id)
    const others = await tx
      .selectFrom('accounts')
      .select('id')
      .where('active', '=', 1)
      .where('id', '!=', id)
      .limit(1)
      .executeTakeFirst()
    if (!others) throw new LastAccount()
    await tx.updateTable('accounts').set({ active: 0 }).where('id', '=', id).execute()
    await tx.deleteFrom('access_tokens').where('account_id', '=', id).execute()
    await endSessions(tx, id, { keep: null })
    return username
  })
}

/** @throws NotFound */
export async function activateAccount(db: Db, id: number) {
  const { username } = await getAccount(db, id)
  await db.updateTable('accounts').set({ active: 1 }).where('id', '=', id).execute()
  return username
}

function getAccount(db: Db, id: number) {
  return db
    .selectFrom('accounts')
    .select(['id', 'username'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow(() => new NotFound(`There is no account ${id}.`))
}

export async function noteLogin(db: Db, id: number, at: number) {
  await db.updateTable('accounts').set({ last_login_at: at }).where('id', '=', id).execute()
}

/** Ends the sessions of an account. @returns how many */
export async function endSessions(
  db: Db,
  accountId: number,
  { keep }: { keep: string | null },
): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('sessions')
    .where('account_id', '=', accountId)
    .$if(keep !== null, (query) => query.where('id_hash', '!=', sessionHash(keep!)))
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

/** Ends one session of an account, by the hash of its id. @throws NotFound */
export async function endOneSession(db: Db, accountId: number, idHash: string) {
  const { numDeletedRows } = await db
    .deleteFrom('sessions')
    .where('account_id', '=', accountId)
    .where('id_hash', '=', idHash)
    .executeTakeFirstOrThrow()
  if (numDeletedRows === 0n) throw new NotFound('This session has already ended.')
}
