import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, randomUUID } from 'node:crypto'
import { json, type NextFunction, type Request, type Response, Router } from 'express'
import { jwtVerify, SignJWT } from 'jose'
import * as z from 'zod'
import type { Db } from '../database/open.js'
import { ErrorAnswer, InvalidAnswer } from '../web/json-api.js'
import type { Operation } from '../web/openapi.js'
import { addressOf, writeAudit } from './audit.js'
import { checkPassword } from './passwords.js'
import { findLogin } from './queries.js'
import type { LoginThrottle } from './throttle.js'
import { requireToken } from './tokens.js'
import type { TwoFactor } from './two-factor.js'

const accessTokenAlgorithms = ['HS256', 'EdDSA'] as const
export type AccessTokenAlgorithm = (typeof accessTokenAlgorithms)[number]

/** Seconds for which an access token holds. */
const accessTokenLife = 3600

interface Needs {
  db: Db
  now: () => number
  /** The installation's secret: the keys are derived from it. */
  secret: string
  algorithm: AccessTokenAlgorithm
}

/**
 * Access tokens for programs that log in with a name and a password: JWTs (RFC 7519), signed with HS256 or EdDSA. Each is
 * on record by its id, so that it can be revoked; a token that is not on record holds for nothing.
 */
export function accessTokens({ db, now, secret, algorithm }: Needs) {
  const { sign, verify } = keysOf(secret, algorithm)

  return {
    async issue(account: number): Promise<string> {
      const at = Math.floor(now() / 1000)
      const id = randomUUID()
      await db.deleteFrom('access_tokens').where('expires_at', '<', now()).execute()
      await db
        .insertInto('access_tokens')
        .values({
          id,
          account_id: account,
          issued_at: at * 1000,
          expires_at: (at + accessTokenLife) * 1000,
          revoked_at: null,
        })
        .execute()
      return new SignJWT()
        .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
        .setIssuer('throughline')
        .setSubject(String(account))
        .setJti(id)
        .setIssuedAt(at)
        .setExpirationTime(at + accessTokenLife)
        .sign(sign)
    },
    /** @returns the token's id and whose it is; null for one that is forged, too old, revoked, or of a closed account */
    async find(token: string): Promise<{ id: string; account: number } | null> {
      let id: string
      try {
        const { payload } = await jwtVerify(token, verify, {
          algorithms: [algorithm],
          issuer: 'throughline',
          requiredClaims: ['jti', 'exp', 'sub'],
          currentDate: new Date(now()),
        })
        id = payload.jti!
      } catch {
        return null
      }
      const row = await db
        .selectFrom('access_tokens')
        .innerJoin('accounts', 'accounts.id', 'access_tokens.account_id')
        .select(['access_tokens.id', 'accounts.id as account'])
        .where('access_tokens.id', '=', id)
        .where('access_tokens.revoked_at', 'is', null)
        .where('accounts.active', '=', 1)
        .executeTakeFirst()
      return row ?? null
    },
    async revoke(id: string) {
      await db.updateTable('access_tokens').set({ revoked_at: now() }).where('id', '=', id).execute()
    },
  }
}
export type AccessTokens = ReturnType<typeof accessTokens>

/** How many of an account hold now. */
export async function countAccessTokens(db: Db, account: number, now: number): Promise<number> {
  const { tokens } = await db
    .selectFrom('access_tokens')
    .select(({ fn }) => fn.countAll<number>().as('tokens'))
    .where('account_id', '=', account)
    .where('expires_at', '>', now)
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow()
  return tokens
}

/** Ends all of an account's. */
export async function revokeAccessTokens(db: Db, account: number) {
  await db.deleteFrom('access_tokens').where('account_id', '=', account).execute()
}

/** PKCS #8 (RFC 8410) around the 32 bytes that an Ed25519 key is made from. */
const ed25519 = Buffer.from('302e020100300506032b657004220420', 'hex')

function keysOf(
  secret: string,
  algorithm: AccessTokenAlgorithm,
): { sign: KeyObject | Uint8Array; verify: KeyObject | Uint8Array } {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', `throughline access tokens ${algorithm}`, 32))
  if (algorithm === 'HS256') return { sign: seed, verify: seed }
  const key = createPrivateKey({ key: Buffer.concat([ed25519, seed]), format: 'der', type: 'pkcs8' })
  return { sign: key, verify: createPublicKey(key) }
}

/**
 * Lets in who brings an access token or an API token, both as `Authorization: Bearer …`; the others get a 401 in JSON.
 */
export function requireAnyToken({ db, now, tokens }: { db: Db; now: () => number; tokens: AccessTokens }) {
  const otherwise = requireToken({ db, now })
  return async (req: Request, res: Response, next: NextFunction) => {
    const given = bearerOf(req)
    const found = given.includes('.') ? await tokens.find(given) : null
    return found ? next() : otherwise(req, res, next)
  }
}
const bearerOf = (req: Request) => /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '')?.[1] ?? ''

const Credentials = z.object({
  username: z
    .string('The username is missing.')
    .trim()
    .toLowerCase()
    .min(1, 'The username is missing.')
    .max(200),
  password: z.string('The password is missing.').min(1, 'The password is missing.').max(1000),
  code: z
    .string('The code is a text.')
    .max(100)
    .optional()
    .meta({ description: 'For accounts with two-factor login: the code of now, or a recovery code.' }),
})

/** `POST /api/v1/auth/token` gives out an access token, `POST /api/v1/auth/revoke` ends the one that it is called with. */
export function accessTokenDoor({
  tokens,
  db,
  throttle,
  factor,
  now,
}: {
  tokens: AccessTokens
  db: Db
  throttle: LoginThrottle
  factor: TwoFactor
  now: () => number
}) {
  const routes = Router()
  routes.use('/api/v1/auth', (_req, res, next) => {
    res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  routes.post('/api/v1/auth/token', json({ limit: '10kb', type: () => true }), async (req, res) => {
    const form = Credentials.safeParse(req.body ?? {})
    if (!form.success) {
      const details = Object.fromEntries(
        form.error.issues.map(({ path, message }) => [String(path[0] ?? 'body'), message]),
      )
      return void res.status(400).json({ error: 'validation_error', details })
    }
    const { username, password, code } = form.data
    const attempt = await throttle.claim(username, req.ip ?? '')
    if ('wait' in attempt) {
      res.set('Retry-After', String(Math.ceil(attempt.wait / 1000))).status(429)
      return void res.json({
        error: 'too_many_requests',
        message: 'Too many wrong passwords. One try every 30 seconds is looked at.',
      })
    }
    const account = await findLogin(db, username)
    const correct = await checkPassword(account?.password_hash, password)
    const address = addressOf(req)
    if (!correct || !account?.active) {
      await writeAudit(db, { at: now(), action: 'login_refused', account, address, outcome: 'refused' })
      return void res
        .status(401)
        .json({ error: 'unauthorized', message: 'The name or the password is wrong.' })
    }
    if (await factor.isOn(account.id)) {
      if (code === undefined) {
        await throttle.forgive(attempt)
        const message = 'This account has two-factor login. Send the code of now as code.'
        return void res.status(401).json({ error: 'code_required', message })
      }
      const found = await factor.take(account.id, code)
      if (found === 'wrong' || found === 'unreadable') {
        await writeAudit(db, { at: now(), action: 'code_refused', account, address, outcome: 'refused' })
        return void res
          .status(401)
          .json({ error: 'unauthorized', message: 'The code is wrong, too old, or was used already.' })
      }
    }
    await throttle.forgive(attempt)
    await writeAudit(db, { at: now(), action: 'access_token', account, address })
    res.json({ token: await tokens.issue(account.id), token_type: 'Bearer', expires_in: accessTokenLife })
  })
  routes.post('/api/v1/auth/revoke', async (req, res) => {
    const found = await tokens.find(bearerOf(req))
    if (!found)
      return void res
        .status(401)
        .json({ error: 'unauthorized', message: 'Call it with the access token that is to end.' })
    await tokens.revoke(found.id)
    res.status(204).end()
  })
  return routes
}

export const accessTokenOperations: Operation[] = [
  {
    method: 'post',
    path: '/api/v1/auth/token',
    id: 'createAccessToken',
    tag: 'Access tokens',
    summary: 'Log in, and get an access token',
    description: 'A JWT that holds for an hour, for `GET /api/v1/promo/analytics`.',
    open: true,
    body: { schema: Credentials, types: ['application/json'] },
    sample: { path: '/api/v1/auth/token', body: { username: 'maren', password: '…' } },
    answers: {
      200: {
        description: 'The token.',
        schema: z.object({ token: z.string(), token_type: z.literal('Bearer'), expires_in: z.int() }),
        example: { token: 'eyJhbGciOi…', token_type: 'Bearer', expires_in: accessTokenLife },
      },
      400: { description: 'A field is missing.', schema: InvalidAnswer },
      401: {
        description: 'The name, the password or the code is wrong, or a code is needed (`code_required`).',
        schema: ErrorAnswer,
      },
      429: {
        description: 'Too many wrong passwords; `Retry-After` says how long to wait.',
        schema: ErrorAnswer,
      },
    },
  },
  {
    method: 'post',
    path: '/api/v1/auth/revoke',
    id: 'revokeAccessToken',
    tag: 'Access tokens',
    summary: 'Revoke the access token that this is called with',
    sample: { path: '/api/v1/auth/revoke' },
    answers: {
      204: { description: 'It no longer holds.' },
      401: { description: 'It did not hold before either.', schema: ErrorAnswer },
    },
  },
]
