import { createHash, randomBytes } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import { isUnavailable } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
/** A token's last use reaches the disk at most so often, in milliseconds. */
const usedStep = 60_000

/**
 * Makes a token for machines. It is random enough (256 bits) that a plain SHA-256 keeps it, and cannot be shown again.
 * @returns the token itself, `tl_…`, and its id
 */
export async function createToken(db: Db, name: string, { by, at }: { by: number | null; at: number }) {
  const token = `tl_${randomBytes(32).toString('base64url')}`
  const { id } = await db
    .insertInto('api_tokens')
    .values({ name, token_hash: hashOf(token), ending: token.slice(-4), created_at: at, created_by: by })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { id, name, token }
}

/** @throws NotFound when there is none, or it is revoked already */
export async function revokeToken(db: Db, id: number, at: number) {
  const { name } = await db
    .updateTable('api_tokens')
    .set({ revoked_at: at })
    .where('id', '=', id)
    .where('revoked_at', 'is', null)
    .returning('name')
    .executeTakeFirstOrThrow(() => new NotFound(`There is no API token ${id} that still works.`))
  return name
}

/**
 * Lets machines in that say `Authorization: Bearer tl_…`; the others get a 401 in JSON. What follows finds the
 * token's id and name in `res.locals.token`.
 */
export function requireToken({ db, now }: { db: Db; now: () => number }) {
  return async (req: Request, res: Response, next: NextFunction) => {
    const given = /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '')?.[1]
    const token = given && (await findToken(db, given))
    if (!token) {
      const message = given
        ? 'This API token does not exist or is revoked.'
        : 'Say who you are: Authorization: Bearer and an API token. Settings has a page that makes one.'
      res.status(401).set({
        'WWW-Authenticate': `Bearer realm="Throughline"${given ? ', error="invalid_token"' : ''}`,
        'Cache-Control': 'no-store',
      })
      return void res.json({ error: 'unauthorized', message })
    }
    const at = now()
    if (token.last_used_at === null || at - token.last_used_at >= usedStep) await noteUse(db, token.id, at)
    res.locals.token = { id: token.id, name: token.name }
    next()
  }
}

/** While another process holds the write lock there is still everything to read. */
async function noteUse(db: Db, id: number, at: number) {
  try {
    await db.updateTable('api_tokens').set({ last_used_at: at }).where('id', '=', id).execute()
  } catch (error) {
    if (!isUnavailable(error)) throw error
  }
}

function findToken(db: Db, token: string) {
  return db
    .selectFrom('api_tokens')
    .select(['id', 'name', 'last_used_at'])
    .where('token_hash', '=', hashOf(token))
    .where('revoked_at', 'is', null)
    .executeTakeFirst()
}
