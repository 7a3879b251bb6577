import type { Db } from '../database/open.js'

/** Somebody who can log in, as pages know them. */
export interface Account {
  id: number
  username: string
  full_name: string
  email: string
}

const shown = ['id', 'username', 'full_name', 'email'] as const

export function findActiveAccount(db: Db, id: number): Promise<Account | undefined> {
  return db
    .selectFrom('accounts')
    .select(shown)
    .where('id', '=', id)
    .where('active', '=', 1)
    .executeTakeFirst()
}

/** With what a login needs to know; active or not. */
export function findLogin(db: Db, username: string) {
  return db
    .selectFrom('accounts')
    .select(['id', 'username', 'full_name', 'active', 'password_hash'])
    .where('username', '=', username)
    .executeTakeFirst()
}

/** The same by its id. */
export function findPassword(db: Db, id: number) {
  return db
    .selectFrom('accounts')
    .select(['id', 'username', 'full_name', 'active', 'password_hash'])
    .where('id', '=', id)
    .executeTakeFirst()
}

export async function hasAccounts(db: Db): Promise<boolean> {
  return (await db.selectFrom('accounts').select('id').limit(1).executeTakeFirst()) !== undefined
}

/** Everybody who has or had a login, in the order of their names, with who made each. */
export function listAccounts(db: Db) {
  return db
    .selectFrom('accounts')
    .leftJoin('accounts as makers', 'makers.id', 'accounts.created_by')
    .leftJoin('two_factors', 'two_factors.account_id', 'accounts.id')
    .select([
      'two_factors.confirmed_at as two_factor_at',
      'accounts.id',
      'accounts.username',
      'accounts.full_name',
      'accounts.email',
      'accounts.active',
      'accounts.created_at',
      'accounts.last_login_at',
      'makers.username as made_by',
    ])
    .orderBy('accounts.username')
    .execute()
}

/** The live sessions of one account, the busiest first. */
export function listSessions(db: Db, accountId: number, { now }: { now: number }) {
  return db
    .selectFrom('sessions')
    .select(['id_hash', 'created_at', 'seen_at', 'expires_at', 'address', 'user_agent'])
    .where('account_id', '=', accountId)
    .where('expires_at', '>', now)
    .orderBy('seen_at', 'desc')
    .orderBy('id_hash')
    .execute()
}

/** All API tokens that still work, and those revoked since the instant; the newest first. */
export function listTokens(db: Db, { revokedSince }: { revokedSince: number }) {
  return db
    .selectFrom('api_tokens')
    .leftJoin('accounts as makers', 'makers.id', 'api_tokens.created_by')
    .select([
      'api_tokens.id',
      'api_tokens.name',
      'api_tokens.ending',
      'api_tokens.created_at',
      'api_tokens.last_used_at',
      'api_tokens.revoked_at',
      'makers.username as made_by',
    ])
    .where((where) => where.or([where('revoked_at', 'is', null), where('revoked_at', '>', revokedSince)]))
    .orderBy('api_tokens.id', 'desc')
    .execute()
}
