import { Router } from 'express'
import * as z from 'zod'
import { auditActions } from '../accounts/audit.js'
import type { Db } from '../database/open.js'
import { render } from '../web/render.js'

const pageSize = 100

const AuditFilter = z.object({
  action: z.enum(['', ...Object.keys(auditActions)]).catch(''),
  before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().catch(undefined),
})

/** A page of the audit log, the newest first, from before an entry on. */
async function listAudit(
  db: Db,
  { action, before, limit }: { action: string; before?: number | undefined; limit: number },
) {
  return db
    .selectFrom('audit_log')
    .selectAll()
    .$if(action !== '', (query) => query.where('action', '=', action))
    .$if(before !== undefined, (query) => query.where('id', '<', before!))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** /operations/audit: who logged in, exported, erased, deleted, and changed settings. */
export function auditPage({ db }: { db: Db }) {
  const routes = Router()
  routes.get('/operations/audit', async (req, res) => {
    const { action, before } = AuditFilter.parse(req.query)
    const found = await listAudit(db, { action, before, limit: pageSize + 1 })
    const entries = found.slice(0, pageSize).map((entry) => ({
      ...entry,
      words: auditActions[entry.action as keyof typeof auditActions] ?? entry.action,
    }))
    const last = found.length > pageSize ? entries.at(-1)!.id : null
    const more =
      last === null ? '' : `/operations/audit?${new URLSearchParams({ action, before: String(last) })}`
    render(
      res,
      { page: 'operations/audit', fragment: 'operations/_audit' },
      {
        room: 'operations',
        tab: 'audit',
        entries,
        action,
        actions: auditActions,
        more,
        before: before ?? null,
      },
    )
  })
  return routes
}
