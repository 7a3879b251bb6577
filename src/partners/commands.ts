import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import { plural } from '../web/formats.js'
import type { PartnerForm } from './forms.js'
import type { Logo } from './logo.js'

/** There is one of that name already; names differ by more than their case. */
export class NameTaken extends Error {}

/** What becomes of the logo: another one, none (`null`), or the one that is there (`undefined`). */
type NewLogo = Logo | null | undefined

const rowOf = ({ emails, ...form }: PartnerForm, logo: NewLogo) => ({
  ...form,
  emails: emails.join('\n'),
  ...(logo === undefined ? {} : { logo: logo?.bytes ?? null, logo_type: logo?.type ?? null }),
})

/**
 * @param by the account that made it
 * @param now milliseconds
 * @throws NameTaken
 */
export async function createPartner(
  db: Db,
  form: PartnerForm,
  logo: NewLogo,
  { by, now }: { by: number; now: number },
): Promise<{ id: number }> {
  return whereFree(() =>
    db
      .insertInto('partners')
      .values({ ...rowOf(form, logo), created_at: now, created_by: by })
      .returning('id')
      .executeTakeFirstOrThrow(),
  )
}

/** @throws NameTaken */
export async function editPartner(db: Db, id: number, form: PartnerForm, logo: NewLogo) {
  await whereFree(() => db.updateTable('partners').set(rowOf(form, logo)).where('id', '=', id).execute())
}

/**
 * Puts a partner or a project out of sight, or back: its things stay tied, and nothing new is tied to it.
 * @param at when, in milliseconds; null brings it back
 */
export async function setArchived(db: Db, table: 'partners' | 'projects', id: number, at: number | null) {
  await db
    .updateTable(table)
    .set({ archived_at: at })
    .where('id', '=', id)
    .where('archived_at', at === null ? 'is not' : 'is', null)
    .execute()
}

/** @throws NameTaken where the partner has a project of that name */
export async function createProject(
  db: Db,
  { partnerId, name }: { partnerId: number; name: string },
  { by, now }: { by: number; now: number },
): Promise<{ id: number }> {
  return whereFree(() =>
    db
      .insertInto('projects')
      .values({ partner_id: partnerId, name, created_at: now, created_by: by })
      .returning('id')
      .executeTakeFirstOrThrow(),
  )
}

/** @throws NameTaken where the partner has another project of that name */
export async function renameProject(db: Db, id: number, name: string) {
  await whereFree(() => db.updateTable('projects').set({ name }).where('id', '=', id).execute())
}

/**
 * Deletes a project that nothing is tied to.
 * @throws HttpError 409 when something is
 */
export async function deleteProject(db: Db, id: number) {
  await db.transaction().execute(async (tx) => {
    await onlyUntied(tx, [id])
    await tx.deleteFrom('projects').where('id', '=', id).execute()
  })
}

/**
 * Deletes a partner with its projects, where nothing is tied to any of them.
 * @throws HttpError 409 when something is
 */
export async function deletePartner(db: Db, id: number) {
  await db.transaction().execute(async (tx) => {
    const projects = await tx.selectFrom('projects').select('id').where('partner_id', '=', id).execute()
    await onlyUntied(
      tx,
      projects.map((project) => project.id),
    )
    await tx.deleteFrom('projects').where('partner_id', '=', id).execute()
    await tx.deleteFrom('partners').where('id', '=', id).execute()
  })
}

async function onlyUntied(tx: Db, projects: number[]) {
  if (projects.length === 0) return
  const { things } = await tx
    .selectFrom('project_ties')
    .where('project_id', 'in', projects)
    .select(({ fn }) => fn.countAll<number>().as('things'))
    .executeTakeFirstOrThrow()
  if (things === 0) return
  throw new HttpError(
    409,
    `${plural(things, 'thing is', 'things are')} tied to it. Untie ${things === 1 ? 'it' : 'them'} first, or archive it: that loses nothing.`,
  )
}

async function whereFree<Result>(write: () => Promise<Result>): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    if (isDuplicate(error)) throw new NameTaken()
    throw error
  }
}
