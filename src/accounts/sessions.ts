import { createHash } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import session, { type SessionData } from 'express-session'
import { LRUCache } from 'lru-cache'
import type { Db } from '../database/open.js'
import { isRefresh } from '../web/render.js'

declare module 'express-session' {
  interface SessionData {
    accountId: number
    /** Chosen at login: the session lasts 30 days and does not idle out. */
    remember: boolean
    /** A sentence for the next page. */
    flash: string
    /** Who has given the password, and not yet the code. It opens nothing. */
    halfway: { accountId: number; password: string; remember: boolean; next: string; at: number }
  }
}

export const sessionCookie = 'throughline'

const minute = 60_000
/** Without a sign of life for so long, a session ends. */
export const idleTime = 30 * minute
/** From the login, with "remember me". */
export const rememberedTime = 30 * 24 * 60 * minute
/** A sign of life reaches the disk at most so often. */
const seenStep = minute
/** A login page that was opened yesterday still has its token. */
const anonymousTime = 24 * 60 * minute
const cleaningStep = 60 * minute

/** How the database knows a session: whoever reads a copy of it cannot take a session over. */
export const sessionHash = (id: string) => createHash('sha256').update(id).digest('hex')

interface Deps {
  db: Db
  now: () => number
}

/**
 * Sessions of people, in the table `sessions`. Machine doors stand before it and have none.
 * @param secret signs the cookie
 */
export function sessions({ db, now, secret, baseUrl }: Deps & { secret: string; baseUrl: string }) {
  const https = baseUrl.startsWith('https:')
  const store = new SessionTable({ db, now })
  const middleware = session({
    store,
    secret,
    name: sessionCookie,
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', secure: https, path: '/' },
  })
  store.noticeNewSessions()
  return (req: Request, res: Response, next: NextFunction) => {
    // Behind a proxy the last stretch is plain http, and express-session would keep its Secure cookie to itself.
    // The operator says in BASE_URL that people come by https.
    if (https) Object.defineProperty(req, 'secure', { value: true, configurable: true })
    middleware(req, res, next)
  }
}

/** The clean-up after the last browser tab: sessions that can never be used again. */
async function removeEndedSessions(db: Db, at: number) {
  await db.deleteFrom('sessions').where('expires_at', '<=', at).execute()
}

type Live = session.Session & Partial<SessionData> & { req?: Request }

class SessionTable extends session.Store {
  readonly #db: Db
  readonly #now: () => number
  /** Signs of life that are newer than the disk knows, by session hash. */
  readonly #seen = new LRUCache<string, { at: number; stored: number }>({ max: 10_000 })
  /** Made in this request: only these may be inserted, or a session revoked meanwhile would come back. */
  readonly #fresh = new WeakSet<object>()
  #cleanedAt = 0

  constructor({ db, now }: Deps) {
    super()
    this.#db = db
    this.#now = now
  }

  /** express-session puts `generate` on the store; a wrapper around it tells new sessions from known ones. */
  noticeNewSessions() {
    const store = this as unknown as { generate: (req: Request) => void }
    const generate = store.generate
    store.generate = (req) => {
      generate(req)
      this.#fresh.add(req.session)
    }
  }

  override get(id: string, done: (error: unknown, data?: SessionData | null) => void) {
    this.#find(id).then((data) => done(null, data), done)
  }
  override set(id: string, data: SessionData, done?: (error?: unknown) => void) {
    this.#save(id, data as Live).then(() => done?.(), done)
  }
  override touch(id: string, data: SessionData, done?: () => void) {
    // A sign of life that cannot be written is no reason to fail the page.
    this.#touch(id, data as Live).then(
      () => done?.(),
      () => done?.(),
    )
  }
  override destroy(id: string, done?: (error?: unknown) => void) {
    const hash = sessionHash(id)
    this.#seen.delete(hash)
    this.#db
      .deleteFrom('sessions')
      .where('id_hash', '=', hash)
      .execute()
      .then(() => done?.(), done)
  }

  async #find(id: string) {
    const hash = sessionHash(id)
    const row = await this.#db
      .selectFrom('sessions')
      .select(['data', 'seen_at', 'expires_at'])
      .where('id_hash', '=', hash)
      .executeTakeFirst()
    const now = this.#now()
    if (!row || row.expires_at <= now) return null
    const data = JSON.parse(row.data) as SessionData
    const seen = this.#seen.get(hash) ?? { at: row.seen_at, stored: row.seen_at }
    this.#seen.set(hash, seen)
    if (idlesOut(data) && seen.at + idleTime <= now) return null
    return data
  }

  async #save(id: string, live: Live) {
    const now = this.#now()
    const { req } = live
    const about = { id_hash: sessionHash(id), account_id: live.accountId ?? null, data: JSON.stringify(live) }
    const alive = { seen_at: now, expires_at: endOf(live, now) }
    if (this.#fresh.has(live)) {
      if (now - this.#cleanedAt >= cleaningStep) {
        this.#cleanedAt = now
        await removeEndedSessions(this.#db, now)
      }
      await this.#db
        .insertInto('sessions')
        .values({
          ...about,
          ...alive,
          created_at: now,
          address: req?.ip ?? '',
          user_agent: (req?.get('User-Agent') ?? '').slice(0, 512),
        })
        .onConflict((conflict) => conflict.column('id_hash').doUpdateSet({ ...about, ...alive }))
        .execute()
      this.#seen.set(about.id_hash, { at: now, stored: now })
      return
    }
    const prolonged = !(req && isRefresh(req)) && idlesOut(live)
    await this.#db
      .updateTable('sessions')
      .set({ ...about, ...(prolonged ? alive : {}) })
      .where('id_hash', '=', about.id_hash)
      .execute()
    if (prolonged) this.#seen.set(about.id_hash, { at: now, stored: now })
  }

  async #touch(id: string, live: Live) {
    if (live.req && isRefresh(live.req)) return
    const hash = sessionHash(id)
    const now = this.#now()
    const seen = this.#seen.get(hash) ?? { at: now, stored: 0 }
    this.#seen.set(hash, { ...seen, at: now })
    if (now - seen.stored < seenStep) return
    this.#seen.set(hash, { at: now, stored: now })
    await this.#db
      .updateTable('sessions')
      .set({ seen_at: now, ...(idlesOut(live) ? { expires_at: endOf(live, now) } : {}) })
      .where('id_hash', '=', hash)
      .execute()
  }
}

const idlesOut = (data: Partial<SessionData>) => data.accountId !== undefined && !data.remember

/** When the row may go. An idle session lasts a step longer there, since its last sign of life may not be written. */
function endOf(data: Partial<SessionData>, now: number) {
  if (data.accountId === undefined) return now + anonymousTime
  return now + (data.remember ? rememberedTime : idleTime + seenStep)
}

/** Says one sentence on the next page that this person sees. */
export function tell(req: Request, sentence: string) {
  req.session.flash = sentence
}

/** A session of somebody's own making is worth nothing: at login it gets a new id. */
export function renewSession(req: Request): Promise<void> {
  return new Promise((resolve, reject) =>
    req.session.regenerate((error) => (error ? reject(error) : resolve())),
  )
}
export function saveSession(req: Request): Promise<void> {
  return new Promise((resolve, reject) => req.session.save((error) => (error ? reject(error) : resolve())))
}
export function endSession(req: Request): Promise<void> {
  return new Promise((resolve, reject) => req.session.destroy((error) => (error ? reject(error) : resolve())))
}
