import Sqlite from 'better-sqlite3'
import express from 'express'
import supertest from 'supertest'
import { describe, expect, it } from 'vitest'
import { createToken, requireToken, revokeToken } from '../../src/accounts/tokens.js'
import { testApp } from '../support/app.js'
import { aPerson } from './people.js'

/** A door of its own, so that the tests do not lean on what the API has to say. */
async function aDoor() {
  const app = await testApp()
  const door = express()
  door.get('/api/v1/me', requireToken({ db: app.db, now: app.clock.now }), (_req, res) =>
    res.json(res.locals.token),
  )
  const ask = (authorization?: string) => {
    const request = supertest(door).get('/api/v1/me')
    return authorization === undefined ? request : request.set('Authorization', authorization)
  }
  return { ...app, ask }
}

describe('API tokens', () => {
  it('open the API, by their hash alone', async () => {
    const { db, clock, ask } = await aDoor()
    const { token, id } = await createToken(db, 'Newsletter script', { by: null, at: clock.at })
    expect(token).toMatch(/^tl_[\w-]{43}$/)
    await ask(`Bearer ${token}`).expect(200, { id, name: 'Newsletter script' })
    await ask(`bearer  ${token}`).expect(200)
    const row = await db.selectFrom('api_tokens').selectAll().executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toContain(token)
    expect(row.ending).toBe(token.slice(-4))
  })

  it('are asked for in JSON', async () => {
    const { ask } = await aDoor()
    for (const authorization of [undefined, '', 'Bearer', 'Basic dGw6dGw=', 'Bearer tl_none', 'Bearer a b']) {
      const { status, body, headers } = await ask(authorization)
      expect(status).toBe(401)
      expect(body).toEqual({ error: 'unauthorized', message: expect.any(String) })
      expect(headers['www-authenticate']).toMatch(/^Bearer /)
    }
  })

  it('note their last use at most once a minute', async () => {
    const { db, clock, ask } = await aDoor()
    const { token } = await createToken(db, 'Script', { by: null, at: clock.at })
    const used = async () =>
      (await db.selectFrom('api_tokens').select('last_used_at').executeTakeFirst())?.last_used_at
    const start = clock.at
    await ask(`Bearer ${token}`)
    clock.pass(59_999)
    await ask(`Bearer ${token}`)
    expect(await used()).toBe(start)
    clock.pass(1)
    await ask(`Bearer ${token}`)
    expect(await used()).toBe(clock.at)
  })

  it('open the API while another process holds the write lock', async () => {
    const { db, clock, http, path } = await testApp()
    const { token } = await createToken(db, 'Script', { by: null, at: clock.at })
    const lock = new Sqlite(path)
    lock.exec('begin immediate')
    await http.get('/api/v1/campaigns').set('Authorization', `Bearer ${token}`).expect(200)
    lock.close()
  })

  it('end when they are revoked, once', async () => {
    const { db, clock, ask } = await aDoor()
    const { token, id } = await createToken(db, 'Script', { by: null, at: clock.at })
    expect(await revokeToken(db, id, clock.at)).toBe('Script')
    await ask(`Bearer ${token}`).expect(401)
    await expect(revokeToken(db, id, clock.at)).rejects.toThrow('There is no API token 1 that still works.')
  })

  it('are shown once on their page, listed, and revoked there', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    expect((await get('/settings/tokens')).text).toContain('There is none yet.')
    const made = await send('/settings/tokens', { name: 'Newsletter script' })
    expect(made.status).toBe(201)
    expect(made.headers['cache-control']).toBe('no-store')
    const token = /tl_[\w-]{43}/.exec(made.text)![0]
    const page = await get('/settings/tokens')
    expect(page.text).not.toContain(token)
    expect(page.text).toContain('Newsletter script')
    expect(page.text).toContain(`…${token.slice(-4)}`)
    expect((await send('/settings/tokens', { name: ' ' })).text).toContain('Say what the token is for.')

    expect((await send('/settings/tokens/1/revocation')).status).toBe(303)
    expect((await get('/settings/tokens')).text).toContain('Revoked')
    expect((await send('/settings/tokens/1/revocation')).status).toBe(404)
    app.clock.pass(31 * 24 * 3600_000)
  })
})
