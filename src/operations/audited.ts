import type { NextFunction, Request, Response } from 'express'
import { type AuditAction, addressOf, dropAudit, settleAudit, writeAudit } from '../accounts/audit.js'
import type { Account } from '../accounts/queries.js'
import type { Db } from '../database/open.js'

/** What is written down, by method and path; the first that fits. Logins write themselves down (src/accounts/login.ts). */
const audited: { method: string; path: RegExp; action: AuditAction }[] = [
  { method: 'GET', path: /^\/(?!static\/).*\.(csv|json|pdf)$/, action: 'export' },
  { method: 'POST', path: /\/export\.csv$/, action: 'export' },
  // A live link and a letter bring a report to whoever has no account.
  { method: 'POST', path: /^\/reports\/[^/]+\/(links|renderings\/[^/]+\/send)$/, action: 'export' },
  { method: 'POST', path: /^\/reports\/[^/]+\/deliveries\/[^/]+\/sending$/, action: 'export' },
  // So does a schedule, again and again.
  { method: 'POST', path: /^\/reports\/[^/]+\/schedules(\/[^/]+)?$/, action: 'export' },
  { method: 'POST', path: /^\/audience\/[^/]+\/erase$/, action: 'erasure' },
  { method: 'POST', path: /\/(delete|deletion)$/, action: 'deletion' },
  { method: 'DELETE', path: /^\//, action: 'deletion' },
  { method: 'POST', path: /^\/settings\/password$/, action: 'password' },
  { method: 'POST', path: /^\/settings\/people\b/, action: 'account' },
  { method: 'POST', path: /^\/settings\/sessions\b/, action: 'session' },
  { method: 'POST', path: /^\/settings\/(tokens|access-tokens)\b/, action: 'token' },
  // Two-factor login writes itself down.
  { method: 'POST', path: /^\/settings(?!\/two-factor)(\/|$)/, action: 'settings' },
  { method: 'POST', path: /^\/operations\/(alerts|privacy)$/, action: 'settings' },
  { method: 'POST', path: /^\/providers\//, action: 'provider' },
  { method: 'POST', path: /^\/(operations|api\/v1\/jobs)\//, action: 'operations' },
]

/**
 * A path is known as Express knows it: in capitals or with a slash at its end it is the same.
 * @returns what a request is written down as; null for one that is not
 */
export function auditedAs(method: string, path: string): AuditAction | null {
  const known = path.toLowerCase().replace(/(?<=.)\/+$/, '')
  return audited.find((entry) => entry.method === method && entry.path.test(known))?.action ?? null
}

/**
 * Writes down who exports, erases, deletes and changes settings, before it happens: what cannot be written down does
 * not happen (503). How it ended follows; a form that was only asked for again is forgotten.
 */
export function auditing({ db, now }: { db: Db; now: () => number }) {
  return async (req: Request, res: Response, next: NextFunction) => {
    // Below a mount, the path alone lacks its beginning.
    const path = req.baseUrl + req.path
    const action = auditedAs(req.method, path)
    if (!action) return next()
    const account = (res.locals.account ?? null) as Account | null
    const token = res.locals.token as { name: string } | undefined
    const id = await writeAudit(db, {
      at: now(),
      action,
      account,
      ...(account ? {} : { actor: token ? `API token ${token.name}` : '' }),
      address: addressOf(req),
      subject: withoutAddresses(path),
      outcome: 'begun',
    })
    // Of what its caller broke off, such as an export half-way, a part has gone out.
    res.once('close', () => {
      const settled =
        res.statusCode === 422 || res.statusCode === 404
          ? dropAudit(db, id)
          : settleAudit(db, id, res.statusCode < 400 ? 'done' : 'refused')
      // It stays "begun" where the database cannot be written, which is true.
      settled.catch(() => {})
    })
    next()
  }
}

/** A path may hold whatever somebody types into the address bar. */
const withoutAddresses = (path: string) => path.replace(/[^/]*(@|%40)[^/]*/gi, '…')
