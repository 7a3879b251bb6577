import { createHash } from 'node:crypto'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { HttpError, NotFound } from '../web/errors.js'
import type { Computed } from './compute.js'
import type { ReportData } from './data.js'

/** What a report said at an instant: it is archived once, and read ever after. */
export interface Rendering {
  id: number
  reportId: number
  /** 1 is the report's first. */
  number: number
  /** As it stands in the running lines and in the name of a file: TL-2026-047. */
  reference: string
  title: string
  renderedAt: number
  madeBy: 'hand' | 'schedule'
  data: ReportData
  /** Whom it names, by their place. Whoever was erased since is not among them. */
  people: Map<number, { name: string; email: string }>
  hasLogo: boolean
}

/** Of which year it is, and which of all renderings. */
const referenceOf = ({ id, rendered_at }: { id: number; rendered_at: number }) =>
  `TL-${new Date(rendered_at).getUTCFullYear()}-${String(id).padStart(3, '0')}`

/**
 * Archives what was computed, with the logo as it is today.
 * @param by who asked for it: an account, or null for a schedule
 * @throws NotFound where the report is gone
 */
export async function archive(
  db: Db,
  reportId: number,
  { data, logo, people }: Computed,
  { at, by }: { at: number; by: number | null },
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const report = await tx.selectFrom('reports').select('id').where('id', '=', reportId).executeTakeFirst()
    if (!report) throw new NotFound(`There is no report ${reportId}.`)
    const picture = logo && createHash('sha256').update(logo.bytes).digest('base64url')
    if (logo && picture)
      await tx
        .insertInto('report_pictures')
        .values({ hash: picture, type: logo.type, bytes: logo.bytes })
        .onConflict((conflict) => conflict.column('hash').doNothing())
        .execute()
    const { last } = await tx
      .selectFrom('report_renderings')
      .select(({ fn }) => fn.max<number | null>('number').as('last'))
      .where('report_id', '=', reportId)
      .executeTakeFirstOrThrow()
    const { id } = await tx
      .insertInto('report_renderings')
      .values({
        report_id: reportId,
        number: (last ?? 0) + 1,
        title: data.title,
        rendered_at: at,
        made_by: by === null ? 'schedule' : 'hand',
        account_id: by,
        picture,
        data: JSON.stringify(data),
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const named = await stillNamed(tx, people)
    if (named.length > 0)
      await tx
        .insertInto('report_people')
        .values(named.map((person) => ({ rendering_id: id, ...person })))
        .execute()
    return id
  })
}

/** Without whoever was erased while the report was computed. */
async function stillNamed(tx: Db, people: Computed['people']) {
  if (people.length === 0) return []
  const kept = await tx
    .selectFrom('contacts')
    .select('id')
    .where(({ ref }) =>
      isAmong(
        ref('id'),
        people.map(({ contact_id }) => contact_id),
      ),
    )
    .where('erased_at', 'is', null)
    .execute()
  return people.filter(({ contact_id }) => kept.some(({ id }) => id === contact_id))
}

const columns = ['id', 'report_id', 'number', 'title', 'rendered_at', 'made_by', 'picture', 'data'] as const

/** @throws NotFound */
export async function getRendering(
  db: Db | Readers,
  which: { id: number } | { report: number; number: string | number },
): Promise<Rendering> {
  const number = 'id' in which ? '' : String(which.number)
  const row =
    'id' in which || /^[1-9]\d{0,8}$/.test(number)
      ? await db
          .selectFrom('report_renderings')
          .select(columns)
          .$if('id' in which, (query) => query.where('id', '=', (which as { id: number }).id))
          .$if('report' in which, (query) =>
            query
              .where('report_id', '=', (which as { report: number }).report)
              .where('number', '=', Number(number)),
          )
          .executeTakeFirst()
      : undefined
  if (!row) throw new NotFound('There is no such rendering of this report.')
  const data = JSON.parse(row.data) as ReportData
  if (data.version !== 1)
    throw new HttpError(500, 'This rendering was archived by a newer version of Throughline.')
  const people = await db
    .selectFrom('report_people')
    .select(['place', 'name', 'email'])
    .where('rendering_id', '=', row.id)
    .execute()
  return {
    id: row.id,
    reportId: row.report_id,
    number: row.number,
    reference: referenceOf(row),
    title: row.title,
    renderedAt: row.rendered_at,
    madeBy: row.made_by,
    data,
    people: new Map(people.map(({ place, ...person }) => [place, person])),
    hasLogo: row.picture !== null,
  }
}

/** The newest rendering of a report; undefined before its first. */
export async function findNewest(db: Db | Readers, report: number): Promise<{ id: number } | undefined> {
  return db
    .selectFrom('report_renderings')
    .select('id')
    .where('report_id', '=', report)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/** All renderings of a report without their data, the newest first. */
export async function listRenderings(db: Db | Readers, report: number, { limit = 100 } = {}) {
  const rows = await db
    .selectFrom('report_renderings')
    .leftJoin('accounts', 'accounts.id', 'report_renderings.account_id')
    .select(['report_renderings.id', 'number', 'title', 'rendered_at', 'made_by', 'accounts.username'])
    .where('report_id', '=', report)
    .orderBy('number', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, reference: referenceOf(row) }))
}

/** The logo as it stood on a rendering; null for none. */
export async function findPicture(db: Db | Readers, rendering: number) {
  const row = await db
    .selectFrom('report_renderings')
    .innerJoin('report_pictures', 'report_pictures.hash', 'report_renderings.picture')
    .select(['type', 'bytes', 'hash'])
    .where('report_renderings.id', '=', rendering)
    .executeTakeFirst()
  return row ? { ...row, bytes: Buffer.from(row.bytes) } : null
}
