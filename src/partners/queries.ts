import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'
import type { KindName, TiedKinds } from './kinds.js'
import { countTies } from './ties.js'

/** A partner: who reports are for, and how they look. */
export interface Partner {
  id: number
  name: string
  /** `#rrggbb`, or empty. A report darkens it, see `inkOf`. */
  colour: string
  /** Where reports go. */
  emails: string[]
  /** As it stands on paper, in lines. */
  address: string
  hasLogo: boolean
  created_at: number
  archived_at: number | null
}

/** Everything but the logo's bytes. */
const readPartners = (db: Db | Readers) =>
  db
    .selectFrom('partners')
    .select(['id', 'name', 'colour', 'emails', 'address', 'logo_type', 'created_at', 'archived_at'])

type PartnerRow = Awaited<ReturnType<ReturnType<typeof readPartners>['executeTakeFirstOrThrow']>>

const partnerOf = ({ logo_type, emails, ...row }: PartnerRow): Partner => ({
  ...row,
  emails: emails === '' ? [] : emails.split('\n'),
  hasLogo: logo_type !== null,
})

const idOf = (text: string) => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : 0)

/** @throws NotFound when there is no partner with this number */
export async function getPartner(db: Db | Readers, id: string | number): Promise<Partner> {
  const row = await readPartners(db)
    .where('id', '=', idOf(String(id)))
    .executeTakeFirst()
  if (!row) throw new NotFound(`There is no partner ${String(id).slice(0, 40)}.`)
  return partnerOf(row)
}

/** All partners by name, the archived ones too. */
export async function listPartners(db: Db | Readers): Promise<Partner[]> {
  return (await readPartners(db).orderBy('name').execute()).map(partnerOf)
}

/** The logo as it was uploaded; null where there is none. */
export async function findLogo(db: Db | Readers, id: string | number) {
  const row = await db
    .selectFrom('partners')
    .select(['name', 'logo', 'logo_type'])
    .where('id', '=', idOf(String(id)))
    .executeTakeFirst()
  return row?.logo && row.logo_type ? { name: row.name, bytes: row.logo, type: row.logo_type } : null
}

/** A project with how much of each kind is tied to it. */
export interface ProjectLine {
  id: number
  partner_id: number
  name: string
  created_at: number
  archived_at: number | null
  ties: Partial<Record<KindName, number>>
}

/** Projects by name, the archived ones too. @param partner of one partner alone */
export async function listProjects(
  db: Db | Readers,
  kinds: TiedKinds,
  { partner }: { partner?: number } = {},
): Promise<ProjectLine[]> {
  const [projects, ties] = await Promise.all([
    db
      .selectFrom('projects')
      .select(['id', 'partner_id', 'name', 'created_at', 'archived_at'])
      .$if(partner !== undefined, (some) => some.where('partner_id', '=', partner!))
      .orderBy('name')
      .execute(),
    countTies(db, kinds),
  ])
  return projects.map((project) => ({ ...project, ties: ties(project.id) }))
}

/** How many things are tied to all these projects together, by kind. */
export function sumOfTies(projects: Pick<ProjectLine, 'ties'>[]): Partial<Record<KindName, number>> {
  const sum: Partial<Record<KindName, number>> = {}
  for (const { ties } of projects)
    for (const [kind, things] of Object.entries(ties) as [KindName, number][])
      sum[kind] = (sum[kind] ?? 0) + things
  return sum
}
