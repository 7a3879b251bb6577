import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { HttpError, NotFound } from '../web/errors.js'
import { plural } from '../web/formats.js'
import type { KindName, Thing, TiedKind, TiedKinds } from './kinds.js'

/** A project as the page of a thing names it. */
export interface ProjectName {
  id: number
  name: string
  partner: { id: number; name: string }
  /** It, or its partner, is out of sight: nothing new is tied to it. */
  isArchived: boolean
}

const readProjects = (db: Db | Readers) =>
  db
    .selectFrom('projects')
    .innerJoin('partners', 'partners.id', 'projects.partner_id')
    .select(['projects.id', 'projects.name', 'partner_id', 'partners.name as partner'])
    .select(['projects.archived_at', 'partners.archived_at as partner_archived_at'])

type ProjectRow = Awaited<ReturnType<ReturnType<typeof readProjects>['executeTakeFirstOrThrow']>>

const named = ({ id, name, partner_id, partner, ...row }: ProjectRow): ProjectName => ({
  id,
  name,
  partner: { id: partner_id, name: partner },
  isArchived: row.archived_at !== null || row.partner_archived_at !== null,
})

/** Autumn 2026 · Northwind */
export const fullName = ({ name, partner }: Pick<ProjectName, 'name' | 'partner'>) =>
  `${name} · ${partner.name}`

/** The project that a thing belongs to; null where it belongs to none. */
export async function projectOf(db: Db | Readers, kind: KindName, id: number): Promise<ProjectName | null> {
  const row = await readProjects(db)
    .innerJoin('project_ties', 'project_ties.project_id', 'projects.id')
    .where('kind', '=', kind)
    .where('thing_id', '=', id)
    .executeTakeFirst()
  return row ? named(row) : null
}

/** The same for several things of a kind, by their ids. */
export async function projectsOf(db: Db | Readers, kind: KindName, ids: number[]) {
  const rows = await readProjects(db)
    .innerJoin('project_ties', 'project_ties.project_id', 'projects.id')
    .select('thing_id')
    .where('kind', '=', kind)
    .where((eb) => isAmong(eb.ref('thing_id'), ids))
    .execute()
  return new Map(rows.map(({ thing_id, ...row }) => [thing_id, named(row)]))
}

/** Partners with the projects that something can be tied to, both by name: what a form offers. */
export async function projectChoices(
  db: Db | Readers,
): Promise<{ partner: string; projects: { id: number; name: string }[] }[]> {
  const rows = await readProjects(db)
    .where('projects.archived_at', 'is', null)
    .where('partners.archived_at', 'is', null)
    .orderBy('partners.name')
    .orderBy('projects.name')
    .execute()
  const choices: { partner: string; projects: { id: number; name: string }[] }[] = []
  for (const { id, name, partner } of rows) {
    if (choices.at(-1)?.partner !== partner) choices.push({ partner, projects: [] })
    choices.at(-1)!.projects.push({ id, name })
  }
  return choices
}

/** @throws NotFound when there is no project with this number */
export async function getProject(db: Db | Readers, id: string | number): Promise<ProjectName> {
  const text = String(id)
  const row = /^[1-9]\d{0,14}$/.test(text)
    ? await readProjects(db).where('projects.id', '=', Number(text)).executeTakeFirst()
    : undefined
  if (!row) throw new NotFound(`There is no project ${text.slice(0, 40)}.`)
  return named(row)
}

export interface Tied {
  thing: Thing
  from: ProjectName | null
  into: ProjectName | null
}

/**
 * Ties a thing to a project, takes it from another where it belonged to one, or unties it. Tied to the project it is in,
 * nothing changes.
 * @param projectId null to untie
 * @param now milliseconds
 * @returns the thing, and where it was before
 * @throws HttpError 422 for an unknown kind, NotFound for a thing or a project that is not there, HttpError 409 for a
 * project that is archived
 */
export async function tie(
  db: Db,
  kinds: TiedKinds,
  { kind, thingId, projectId }: { kind: string; thingId: number; projectId: number | null },
  now: number,
): Promise<Tied> {
  const known = kinds.get(kind)
  return db.transaction().execute(async (tx) => {
    const [thing] = await known.find(tx, [thingId])
    if (!thing) throw new NotFound(`There is no ${known.kind} ${thingId}.`)
    const from = await projectOf(tx, known.kind, thingId)
    if (projectId === null) {
      await untie(tx, known.kind, thingId)
      return { thing, from, into: null }
    }
    const into = await getProject(tx, projectId)
    if (into.id === from?.id) return { thing, from, into }
    if (into.isArchived)
      throw new HttpError(409, `${fullName(into)} is archived. Restore it first, or choose another project.`)
    const changed = { project_id: into.id, tied_at: now }
    await tx
      .insertInto('project_ties')
      .values({ kind: known.kind, thing_id: thingId, ...changed })
      .onConflict((conflict) => conflict.columns(['kind', 'thing_id']).doUpdateSet(changed))
      .execute()
    return { thing, from, into }
  })
}

/** A sentence on what {@link tie} did. */
export function toldOfTie({ thing: { name }, from, into }: Tied) {
  if (!into)
    return from ? `${name} no longer belongs to ${fullName(from)}.` : `${name} belongs to no project.`
  if (from && from.id !== into.id) return `${name} moved from ${fullName(from)} to ${fullName(into)}.`
  return `${name} belongs to ${fullName(into)}.`
}

/** Takes the tie from a thing, for good: it was deleted, or belongs to nobody. */
export async function untie(db: Db, kind: KindName, id: number) {
  await db.deleteFrom('project_ties').where('kind', '=', kind).where('thing_id', '=', id).execute()
}

/** How much of each kind a project has, by the project's id. */
export async function countTies(
  db: Db | Readers,
  kinds: TiedKinds,
): Promise<(project: number) => Partial<Record<KindName, number>>> {
  const rows = await db
    .selectFrom('project_ties')
    .select(({ fn }) => ['project_id', 'kind', fn.countAll<number>().as('things')])
    .where(
      'kind',
      'in',
      kinds.all.map(({ kind }) => kind),
    )
    .groupBy(['project_id', 'kind'])
    .execute()
  const counts = new Map<number, Partial<Record<string, number>>>()
  for (const { project_id, kind, things } of rows)
    counts.set(project_id, { ...counts.get(project_id), [kind]: things })
  return (project) => counts.get(project) ?? {}
}

/** 3 mailings, 1 list: in the order in which the kinds entered. */
export const countsInWords = (counts: Partial<Record<KindName, number>>, kinds: TiedKinds) =>
  kinds.all
    .filter(({ kind }) => counts[kind])
    .map(({ kind, title }) => plural(counts[kind]!, kind, title.toLowerCase()))
    .join(', ')

/** What a project has of one kind, the last tied first. @returns at most `limit` of them, and how many there are */
export async function thingsOf(
  db: Db | Readers,
  kind: TiedKind,
  project: number,
  limit: number,
): Promise<{ things: (Thing & { tied_at: number })[]; count: number }> {
  const own = db.selectFrom('project_ties').where('project_id', '=', project).where('kind', '=', kind.kind)
  const [{ count }, ties] = await Promise.all([
    own.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow(),
    own
      .select(['thing_id', 'tied_at'])
      .orderBy('tied_at', 'desc')
      .orderBy('thing_id', 'desc')
      .limit(limit)
      .execute(),
  ])
  const found = await kind.find(
    db,
    ties.map(({ thing_id }) => thing_id),
  )
  const things = ties.flatMap(({ thing_id, tied_at }) => {
    const thing = found.find(({ id }) => id === thing_id)
    return thing ? [{ ...thing, tied_at }] : []
  })
  return { things, count }
}
