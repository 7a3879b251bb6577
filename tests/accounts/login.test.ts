import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { aFolder, stoppedClock, testApp } from '../support/app.js'
import { aBrowser, anAccount, aPerson, goodPassword, tokenIn } from './people.js'

const minute = 60_000
const refresh = { 'HX-Request': 'true', 'X-Refresh': '1' }
const idOf = (cookies: unknown) => /throughline=s%3A([^.]+)\./.exec(String(cookies))?.[1]

describe('logging in', () => {
  it('leads to where the person wanted to go, with a new session id', async () => {
    const app = await testApp()
    await anAccount(app)
    const browser = aBrowser(app)
    await browser
      .get('/settings/people?x=1')
      .expect(303)
      .expect('Location', '/login?next=%2Fsettings%2Fpeople%3Fx%3D1')
    const page = await browser.get('/login?next=%2Fsettings%2Fpeople%3Fx%3D1').expect(200)
    const before = idOf(page.headers['set-cookie'])
    const answer = await browser.agent
      .post('/login')
      .type('form')
      .send({
        _csrf: tokenIn(page.text),
        next: '/settings/people?x=1',
        username: ' ADA ',
        password: goodPassword,
      })
    expect(answer.status).toBe(303)
    expect(answer.headers.location).toBe('/settings/people?x=1')
    expect(before).toBeTruthy()
    expect(idOf(answer.headers['set-cookie'])).not.toBe(before)
    await browser.get('/settings').expect(200)
    await browser.get('/login').expect(303).expect('Location', '/')
    const { last_login_at } = await app.db.selectFrom('accounts').selectAll().executeTakeFirstOrThrow()
    expect(last_login_at).toBe(app.clock.at)
  })

  it.each([
    '//evil.example',
    '/\\evil.example',
    'https://evil.example/',
    '/\t/evil.example',
    '/.//evil.example',
    'javascript:alert(1)',
    '/login',
  ])('goes home rather than to %j', async (next) => {
    const app = await testApp()
    await anAccount(app)
    const answer = await aBrowser(app).logIn({ next })
    expect(answer.headers.location).toBe('/')
  })

  it('takes under a second', async () => {
    const app = await testApp()
    await anAccount(app)
    const browser = aBrowser(app)
    const start = performance.now()
    await browser.logIn()
    expect(performance.now() - start).toBeLessThan(1000)
  })

  it('says the same of a wrong password, an unknown name and an account that is not active', async () => {
    const app = await testApp()
    await anAccount(app)
    await anAccount(app, { username: 'gone', active: 0 })
    const browser = aBrowser(app)
    const answers = [
      await browser.logIn({ password: 'not the right one' }),
      await browser.logIn({ username: 'nobody' }),
      await browser.logIn({ username: 'gone' }),
    ]
    for (const answer of answers) {
      expect(answer.status).toBe(422)
      expect(answer.text).toContain('The name or the password is wrong.')
      expect(answer.text).not.toContain(goodPassword)
    }
    expect(answers[1]!.text).toContain('value="nobody"')
  })

  it('asks for what is missing', async () => {
    const app = await testApp()
    await anAccount(app)
    const answer = await aBrowser(app).logIn({ username: '', password: '' })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('Write your name.')
    expect(answer.text).toContain('Write your password.')
  })

  it('ends with a logout, after which the cookie opens nothing', async () => {
    const app = await testApp()
    const { agent, send } = await aPerson(app)
    await agent.get('/logout').expect(404)
    await agent.get('/settings').expect(200)
    const answer = await send('/logout')
    expect(answer.headers.location).toBe('/login')
    await agent.get('/settings').expect(303)
    const rows = await app.db.selectFrom('sessions').selectAll().where('account_id', 'is not', null).execute()
    expect(rows).toEqual([])
  })
})

describe('a session', () => {
  it('idles out after 30 minutes, counted from the last page', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    app.clock.pass(29 * minute)
    await get('/settings').expect(200)
    app.clock.pass(30_000)
    await get('/settings').expect(200) // not written, and counts all the same
    app.clock.pass(30 * minute - 1)
    await get('/settings').expect(200)
    app.clock.pass(30 * minute)
    const answer = await get('/settings').expect(303)
    expect(answer.headers.location).toBe('/login?next=%2Fsettings')
    const page = await get('/login?next=%2Fsettings')
    expect(page.text).toContain('Your session has ended.')
    expect((await get('/login')).text).not.toContain('Your session has ended.')
  })

  it('is not kept alive by a page that refreshes itself', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    for (let passed = 0; passed < 29; passed++) {
      app.clock.pass(minute)
      await get('/settings').set(refresh).expect(200)
    }
    app.clock.pass(minute)
    const answer = await get('/settings').set(refresh).expect(401)
    expect(answer.headers['hx-refresh']).toBe('true')
    expect(answer.text).toBe('')
  })

  it('sends what htmx wanted to change to the login, and back to the page of the form', async () => {
    const app = await testApp()
    const { http } = app
    const answer = await http
      .post('/campaigns')
      .set({
        'HX-Request': 'true',
        'HX-Current-URL': 'http://tracker.example/create?a=1',
        Host: 'tracker.example',
      })
      .expect(401)
    expect(answer.headers['hx-redirect']).toBe('/login?next=%2Fcreate%3Fa%3D1')
    await http
      .post('/campaigns')
      .set({ Referer: 'http://evil.example/create', Accept: 'text/html' })
      .expect(303)
      .expect('Location', '/login')
    await http
      .get('/settings')
      .set({ 'HX-Request': 'true', 'HX-Boosted': 'true' })
      .expect(401)
      .expect('HX-Redirect', '/login?next=%2Fsettings')
  })

  it('lasts 30 days with "remember me", and then ends', async () => {
    const app = await testApp()
    await anAccount(app)
    const browser = aBrowser(app)
    const answer = await browser.logIn({ remember: '1' })
    expect(String(answer.headers['set-cookie'])).toMatch(/Expires=/)
    app.clock.pass(15 * 24 * 60 * minute)
    await browser.get('/settings').expect(200)
    app.clock.pass(15 * 24 * 60 * minute - 1)
    await browser.get('/settings').expect(200)
    app.clock.pass(1)
    await browser.get('/settings').expect(303)
  })

  it('survives a restart', async () => {
    const dataDir = aFolder()
    const clock = stoppedClock()
    const first = await testApp({ dataDir, clock })
    await anAccount(first)
    const { headers } = await aBrowser(first).logIn()
    await first.stop()
    const second = await testApp({ dataDir, clock })
    await second.http.get('/settings').set('Cookie', String(headers['set-cookie'])).expect(200)
  })

  it('is written at most once a minute', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    const seen = async () =>
      (
        await app.db
          .selectFrom('sessions')
          .select('seen_at')
          .where('account_id', 'is not', null)
          .executeTakeFirstOrThrow()
      ).seen_at
    const start = app.clock.at
    await get('/settings')
    app.clock.pass(59_000)
    await get('/settings')
    expect(await seen()).toBe(start)
    app.clock.pass(1_000)
    await get('/settings')
    expect(await seen()).toBe(app.clock.at)
  })

  it('stands in the table by its hash alone, and is cleaned up when it is over', async () => {
    const app = await testApp()
    await anAccount(app)
    const { headers } = await aBrowser(app).logIn()
    const id = idOf(headers['set-cookie'])!
    expect(id.length).toBeGreaterThan(20)
    const dump = JSON.stringify(await app.db.selectFrom('sessions').selectAll().execute())
    expect(dump).not.toContain(id)
    app.clock.pass(25 * 60 * minute)
    await aBrowser(app).get('/login')
    expect(await app.db.selectFrom('sessions').select('account_id').execute()).toEqual([{ account_id: null }])
  })

  it('does not come back when it was ended while one of its requests ran', async () => {
    const app = await testApp()
    const { agent, get } = await aPerson(app)
    const page = await get('/settings')
    // Saving the profile leaves a sentence for the next page in the session, which this trigger has ended by then.
    await sql`create trigger gone after update of email on accounts begin delete from sessions; end`.execute(
      app.db,
    )
    await agent
      .post('/settings')
      .type('form')
      .send({ _csrf: tokenIn(page.text), email: '' })
      .expect(303)
    expect(await app.db.selectFrom('sessions').selectAll().execute()).toEqual([])
    await get('/settings').expect(303)
  })
})

describe('the cookie', () => {
  it('is HttpOnly and SameSite=Lax, and not Secure on plain http', async () => {
    const app = await testApp()
    await anAccount(app)
    const { headers } = await aBrowser(app).logIn()
    const cookie = String(headers['set-cookie'])
    expect(cookie).toMatch(/^throughline=/)
    expect(cookie).toContain('HttpOnly')
    expect(cookie).toContain('SameSite=Lax')
    expect(cookie).not.toContain('Secure')
    expect(cookie).not.toContain('Expires')
  })

  it('is Secure when BASE_URL is https, also behind a proxy that nobody told us of', async () => {
    const app = await testApp({ env: { BASE_URL: 'https://track.example.com' } })
    await anAccount(app)
    const { headers } = await app.http.get('/login')
    expect(String(headers['set-cookie'])).toContain('Secure')
  })

  it('is not given to machines, nor to strangers that are only sent to the login', async () => {
    const app = await testApp()
    for (const path of ['/healthz', '/api/event', '/static/icon.svg', '/', '/no/such/page']) {
      const { headers } = await app.http.get(path)
      expect(headers['set-cookie'], path).toBeUndefined()
    }
    expect(await app.db.selectFrom('sessions').selectAll().execute()).toEqual([])
  })
})

describe('strangers', () => {
  it('see the login page and little else', async () => {
    const app = await testApp()
    await anAccount(app)
    const ask = (path: string) => app.http.get(path).set('Accept', 'text/html')
    await ask('/').expect(303).expect('Location', '/login')
    await ask('/campaign/1').expect(303)
    await ask('/no/such/page').expect(303)
    await ask('/settings').expect(303)
    await ask('/static/none.css').expect(404)
    await app.http.get('/healthz').expect(200)
    const { status, body } = await app.http.get('/api/nothing')
    expect([401, 404]).toContain(status)
    expect(body).toMatchObject({ error: expect.any(String) })
  })
})
