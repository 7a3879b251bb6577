import type { Request } from 'express'
import type { Db } from '../database/open.js'

/** What is written down, and how people read it. */
export const auditActions = {
  login: 'Logged in',
  login_refused: 'Login refused: wrong name or password',
  code_refused: 'Login refused: wrong code',
  recovery_code: 'Logged in with a recovery code',
  access_token: 'Got an access token',
  logout: 'Logged out',
  two_factor_on: 'Turned two-factor login on',
  two_factor_off: 'Turned two-factor login off',
  recovery_codes: 'Made new recovery codes',
  password: 'Changed a password',
  account: 'Changed who can log in',
  session: 'Ended sessions',
  token: 'Made or revoked an API token',
  export: 'Exported',
  erasure: 'Erased a contact',
  deletion: 'Deleted',
  settings: 'Changed settings',
  provider: 'Changed a provider’s keys or webhook',
  operations: 'Ran or cancelled a job',
} as const
export type AuditAction = keyof typeof auditActions

interface Entry {
  at: number
  action: AuditAction
  /** Whose account it is, where it is known. */
  account?: { id: number; username: string } | null
  /** What did it where no account did: `API token Newsletter script`, `a terminal`. */
  actor?: string
  address?: string
  /** What it was done to, such as a path. No e-mail address, no key. */
  subject?: string
  outcome?: 'begun' | 'done' | 'refused'
}

/** Writes down who did what. @returns the entry's id */
export async function writeAudit(
  db: Db,
  { at, action, account, actor, address = '', subject = '', outcome = 'done' }: Entry,
): Promise<number> {
  const { id } = await db
    .insertInto('audit_log')
    .values({
      happened_at: at,
      account_id: account?.id ?? null,
      actor: (actor ?? account?.username ?? '').slice(0, 200),
      address,
      action,
      subject: subject.slice(0, 200),
      outcome,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** Says how it ended. */
export async function settleAudit(db: Db, id: number, outcome: 'done' | 'refused') {
  await db.updateTable('audit_log').set({ outcome }).where('id', '=', id).execute()
}

/** It came to nothing that anybody needs to know of, such as a form with a slip in it. */
export async function dropAudit(db: Db, id: number) {
  await db.deleteFrom('audit_log').where('id', '=', id).execute()
}

/** From where a request comes. */
export const addressOf = (req: Request) => req.ip ?? ''
