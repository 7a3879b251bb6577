import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'

/** @throws NotFound when there is no report with this number */
export async function getReport(db: Db | Readers, id: number | string) {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await db
        .selectFrom('reports')
        .leftJoin('partners', 'partners.id', 'reports.partner_id')
        .selectAll('reports')
        .select('partners.name as partner')
        .where('reports.id', '=', Number(text))
        .executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no report ${text.slice(0, 40)}.`)
  return row
}
export type Report = Awaited<ReturnType<typeof getReport>>

/** All reports with their last rendering, the last changed or rendered first; those out of sight last. */
export async function listReports(db: Db | Readers) {
  const rows = await db
    .selectFrom('reports')
    .leftJoin('partners', 'partners.id', 'reports.partner_id')
    .leftJoin(
      (from) =>
        from
          .selectFrom('report_renderings')
          .select(({ fn }) => [
            'report_id',
            fn.max('rendered_at').as('rendered_at'),
            fn.max('number').as('renderings'),
          ])
          .groupBy('report_id')
          .as('last'),
      (join) => join.onRef('last.report_id', '=', 'reports.id'),
    )
    .select(['reports.id', 'reports.title', 'reports.template', 'reports.changed_at', 'reports.archived_at'])
    .select(['partners.id as partner_id', 'partners.name as partner', 'last.rendered_at', 'last.renderings'])
    .execute()
  const age = (row: (typeof rows)[number]) => Math.max(row.changed_at, row.rendered_at ?? 0)
  return rows.sort(
    (one, other) =>
      Number(one.archived_at !== null) - Number(other.archived_at !== null) ||
      age(other) - age(one) ||
      other.id - one.id,
  )
}

/** Templates that people made, by name. */
export const listOwnTemplates = (db: Db | Readers) =>
  db.selectFrom('report_templates').select(['id', 'name', 'template', 'definition']).orderBy('name').execute()
