import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import { definitionOf, type ReportDefinition, templateParts } from './definition.js'

interface Made {
  /** The account that asks for it. */
  by: number | null
  /** Milliseconds. */
  now: number
}

const rowOf = (definition: ReportDefinition) => ({
  title: definition.title,
  template: definition.template,
  partner_id: definition.partner,
  definition: JSON.stringify(definition),
})

export const createReport = (
  db: Db,
  definition: ReportDefinition,
  { by, now }: Made,
): Promise<{ id: number }> =>
  db
    .insertInto('reports')
    .values({ ...rowOf(definition), created_at: now, created_by: by, changed_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()

/** Saves what somebody changed of a report. With another clock its schedules begin anew: nothing before is due by it. */
export async function editReport(
  db: Db,
  report: { id: number; definition: string },
  definition: ReportDefinition,
  now: number,
) {
  const isOtherClock = definitionOf(report.definition).timeZone !== definition.timeZone
  await db.transaction().execute(async (tx) => {
    await tx
      .updateTable('reports')
      .set({ ...rowOf(definition), changed_at: now })
      .where('id', '=', report.id)
      .execute()
    if (isOtherClock)
      await tx
        .updateTable('report_schedules')
        .set({ since_at: now })
        .where('report_id', '=', report.id)
        .execute()
  })
}

/** Puts a report out of sight, or back. Its renderings and links stay. @param at milliseconds; null brings it back */
export async function setReportArchived(db: Db, id: number, at: number | null) {
  await db.updateTable('reports').set({ archived_at: at }).where('id', '=', id).execute()
}

/**
 * Deletes a report that was never rendered. What was rendered is an archive, and stays.
 * @throws HttpError 409
 */
export async function deleteReport(db: Db, id: number) {
  await db.transaction().execute(async (tx) => {
    const { renderings } = await tx
      .selectFrom('report_renderings')
      .select(({ fn }) => fn.countAll<number>().as('renderings'))
      .where('report_id', '=', id)
      .executeTakeFirstOrThrow()
    if (renderings > 0)
      throw new HttpError(409, 'This report was rendered, and what it said is kept. Archive it instead.')
    await tx.deleteFrom('report_links').where('report_id', '=', id).execute()
    await tx.deleteFrom('reports').where('id', '=', id).execute()
  })
}

/**
 * Keeps the choices of a report as a template.
 * @returns null where another template has this name
 */
export async function saveTemplate(
  db: Db,
  name: string,
  definition: ReportDefinition,
  { by, now }: Made,
): Promise<{ id: number } | null> {
  try {
    return await db
      .insertInto('report_templates')
      .values({
        name,
        template: definition.template,
        definition: JSON.stringify(templateParts(definition)),
        created_at: now,
        created_by: by,
      })
      .returning('id')
      .executeTakeFirstOrThrow()
  } catch (error) {
    if (isDuplicate(error)) return null
    throw error
  }
}

/** Deletes a template. Reports that were made of it stay as they are. */
export async function deleteTemplate(db: Db, id: number) {
  await db.deleteFrom('report_templates').where('id', '=', id).execute()
}
