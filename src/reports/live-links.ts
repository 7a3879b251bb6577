import { createHash, randomBytes } from 'node:crypto'
import * as z from 'zod'
import { hashPassword } from '../accounts/passwords.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Row } from '../database/schema.js'
import type { sealer } from '../secret.js'
import { dayLength } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'

type Seals = ReturnType<typeof sealer>

/** How long a link may hold: days. */
export const linkDays = [7, 30, 90, 365] as const
const shortestLinkPassword = 8

/** What a person may send to make a link. */
export const LinkForm = z.object({
  days: z
    .string('Say how long it holds.')
    .transform(Number)
    .pipe(z.literal([...linkDays], 'Choose how long it holds.')),
  password: z
    .string()
    .max(200, 'Keep the password under 200 letters.')
    .default('')
    .refine(
      (text) => text === '' || text.length >= shortestLinkPassword,
      `A password has ${shortestLinkPassword} letters at least. Leave it empty for none.`,
    ),
  /** The number of one rendering, or nothing for always the newest. */
  rendering: z.coerce.number().int().min(0).catch(0),
})
export type LinkForm = z.infer<typeof LinkForm>

/** How the database knows a token: whoever reads a copy of it can open no link. */
const tokenHash = (token: string) => createHash('sha256').update(token).digest('hex')
const addressOf = (baseUrl: string, token: string) => `${baseUrl.replace(/\/$/, '')}/r/${token}`

/**
 * Makes a link: 256 random bits in its address.
 * @param rendering the id of the one it shows; null: always the newest of the report
 * @returns the token
 */
export async function createLink(
  { db, seals }: { db: Db; seals: Seals },
  {
    report,
    rendering,
    days,
    password,
  }: { report: number; rendering: number | null; days: number; password: string },
  { by, now }: { by: number | null; now: number },
): Promise<string> {
  const token = randomBytes(32).toString('base64url')
  await db
    .insertInto('report_links')
    .values({
      report_id: report,
      rendering_id: rendering,
      token_hash: tokenHash(token),
      token_sealed: seals.seal(token),
      password_hash: password === '' ? null : await hashPassword(password),
      expires_at: now + days * dayLength,
      created_at: now,
      created_by: by,
    })
    .execute()
  return token
}

/** Ends a link at once. @throws NotFound where the report has no such link */
export async function revokeLink(db: Db, { report, id }: { report: number; id: string }, now: number) {
  const { numUpdatedRows } = await db
    .updateTable('report_links')
    .set((eb) => ({ revoked_at: eb.fn.coalesce('revoked_at', eb.val(now)) }))
    .where('report_id', '=', report)
    .where('id', '=', /^\d{1,15}$/.test(id) ? Number(id) : 0)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new NotFound('This report has no such link.')
}

export type LinkState = 'open' | 'expired' | 'revoked'
export const stateOf = (
  link: Pick<Row<'report_links'>, 'expires_at' | 'revoked_at'>,
  now: number,
): LinkState => (link.revoked_at !== null ? 'revoked' : link.expires_at <= now ? 'expired' : 'open')

/** The links of a report, the newest first, each with its address where this installation's secret can still read it. */
export async function listLinks(
  { db, seals, baseUrl }: { db: Db | Readers; seals: Seals; baseUrl: string },
  report: number,
  now: number,
) {
  const rows = await db
    .selectFrom('report_links')
    .leftJoin('report_renderings', 'report_renderings.id', 'report_links.rendering_id')
    .select(['report_links.id', 'token_sealed', 'password_hash', 'expires_at', 'report_links.created_at'])
    .select(['revoked_at', 'views', 'last_viewed_at', 'report_renderings.number'])
    .where('report_links.report_id', '=', report)
    .orderBy('report_links.id', 'desc')
    .limit(100)
    .execute()
  return rows.map(({ token_sealed, password_hash, ...row }) => {
    const token = seals.open(token_sealed)
    return {
      ...row,
      address: token === null ? null : addressOf(baseUrl, token),
      hasPassword: password_hash !== null,
      state: stateOf(row, now),
    }
  })
}

/** The link of a token, whatever its state; undefined for a token that was never given out. */
export async function findLink(db: Db | Readers, token: string): Promise<Row<'report_links'> | undefined> {
  if (!/^[\w-]{43}$/.test(token)) return undefined
  return db
    .selectFrom('report_links')
    .selectAll()
    .where('token_hash', '=', tokenHash(token))
    .executeTakeFirst()
}

/** Counts that somebody looked. */
export async function countView(db: Db, id: number, now: number) {
  await db
    .updateTable('report_links')
    .set((eb) => ({ views: eb('views', '+', 1), last_viewed_at: now }))
    .where('id', '=', id)
    .execute()
}
