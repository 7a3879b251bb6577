import { generateSync } from 'otplib'
import { describe, expect, it } from 'vitest'
import { userCommand } from '../../src/accounts/terminal.js'
import { aFolder, stoppedClock, type TestApp, testApp } from '../support/app.js'
import { aBrowser, aPerson, goodPassword, tokenIn } from './people.js'

const page = '/settings/two-factor'
const minute = 60_000
const secretIn = (html: string) => /<code>([A-Z2-7]{16,})<\/code>/.exec(html)?.[1] ?? ''
const codesIn = (html: string) => html.match(/\b[a-z0-9]{4}(?:-[a-z0-9]{4}){3}\b/g) ?? []
const codeAt = (secret: string, at: number) => generateSync({ secret, epoch: Math.floor(at / 1000) })

/** A person with two-factor login, their secret and their recovery codes. */
async function withTwoFactors(app: TestApp) {
  const person = await aPerson(app)
  await person.send(page, { begin_password: goodPassword })
  const secret = secretIn((await person.get(page)).text)
  const on = await person.send(`${page}/confirmation`, { code: codeAt(secret, app.clock.at) }, { from: page })
  if (on.status !== 201) throw new Error(`Turning it on answered ${on.status}.`)
  app.clock.pass(minute) // the code of then is used up
  return { ...person, secret, codes: codesIn(on.text) }
}

/** The password is given; what the next page asks for is up to the test. */
async function halfway(app: TestApp, fields: Record<string, string> = {}) {
  const browser = aBrowser(app)
  const answer = await browser.logIn(fields)
  expect(answer.headers.location).toBe('/login/code')
  const give = (code: string) => browser.send('/login/code', { code }, { from: '/login/code' })
  return { ...browser, give, cookies: String(answer.headers['set-cookie']) }
}

describe('two-factor login', () => {
  it('is on once a code has confirmed it, and not before', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    expect((await send(page, { begin_password: 'not the right one' })).text).toContain(
      'This is not your password.',
    )
    expect(secretIn((await get(page)).text)).toBe('')
    await send(page, { begin_password: goodPassword })
    const waiting = (await get(page)).text
    const secret = secretIn(waiting)
    expect(secret).not.toBe('')
    expect(waiting).toMatch(/<svg [^>]*viewBox="0 0 \d+ \d+"/)
    expect(waiting).not.toContain('style=')
    expect((await aBrowser(app).logIn()).headers.location).toBe('/')

    const wrong = await send(`${page}/confirmation`, { code: '000000' }, { from: page })
    expect(wrong.status).toBe(422)
    expect(wrong.text).toContain('value="000000"')
    const on = await send(`${page}/confirmation`, { code: codeAt(secret, app.clock.at) }, { from: page })
    expect(on.status).toBe(201)
    expect(on.headers['cache-control']).toContain('no-store')
    expect(new Set(codesIn(on.text)).size).toBe(10)
    const after = (await get(page)).text
    expect(codesIn(after)).toEqual([])
    expect(after).not.toContain(secret)
    expect((await aBrowser(app).logIn()).headers.location).toBe('/login/code')
  })

  it('has to be confirmed within an hour', async () => {
    const app = await testApp()
    const { send, get, logIn } = await aPerson(app)
    await send(page, { begin_password: goodPassword })
    const secret = secretIn((await get(page)).text)
    app.clock.pass(60 * minute + 1)
    await logIn()
    expect((await get(page)).text).not.toContain(secret)
    const late = await send(`${page}/confirmation`, { code: codeAt(secret, app.clock.at) }, { from: page })
    expect(late.status).toBe(422)
  })

  it('ends the sessions and access tokens that came in with the password alone', async () => {
    const app = await testApp()
    const ada = await aPerson(app)
    const other = aBrowser(app)
    await other.logIn()
    const { body } = await app.http
      .post('/api/v1/auth/token')
      .send({ username: 'ada', password: goodPassword })
      .expect(200)
    await ada.send(page, { begin_password: goodPassword })
    const secret = secretIn((await ada.get(page)).text)
    await ada.send(`${page}/confirmation`, { code: codeAt(secret, app.clock.at) }, { from: page })
    await ada.get('/settings').expect(200)
    await other.get('/settings').expect(303)
    await app.http.post('/api/v1/auth/revoke').set('Authorization', `Bearer ${body.token}`).expect(401)
  })

  it('lets in with password and code, remembers, and leads to where the person wanted to go', async () => {
    const app = await testApp()
    const { secret } = await withTwoFactors(app)
    const { give, get, cookies } = await halfway(app, { next: '/settings/people', remember: '1' })
    const half = /throughline=s%3A([^.]+)\./.exec(cookies)?.[1]
    await get('/settings').expect(303)
    await get('/').expect(303)
    const answer = await give(codeAt(secret, app.clock.at).replace(/(...)/, '$1 '))
    expect(answer.headers.location).toBe('/settings/people')
    expect(String(answer.headers['set-cookie'])).toMatch(/Expires=/)
    expect(half).toBeTruthy()
    expect(String(answer.headers['set-cookie'])).not.toContain(half)
    await get('/settings').expect(200)
  })

  it('takes each code once, and none that is older than the last', async () => {
    const app = await testApp()
    const { secret } = await withTwoFactors(app)
    const code = codeAt(secret, app.clock.at)
    const first = await halfway(app)
    expect((await first.give(code)).status).toBe(303)
    const second = await halfway(app)
    expect((await second.give(code)).status).toBe(422)
    expect((await second.give(codeAt(secret, app.clock.at - 30_000))).status).toBe(422)
    expect((await second.give(codeAt(secret, app.clock.at + 30_000))).status).toBe(303)
    const third = await halfway(app)
    expect((await third.give(codeAt(secret, app.clock.at + 61_000))).status).toBe(422)
  })

  it('takes a recovery code once, however it is typed', async () => {
    const app = await testApp()
    const { codes } = await withTwoFactors(app)
    const first = await halfway(app)
    expect((await first.give(` ${codes[3]!.toUpperCase().replaceAll('-', ' ')}`)).status).toBe(303)
    expect((await first.get('/settings')).text).toContain('9 left')
    const second = await halfway(app)
    expect((await second.give(codes[3]!)).status).toBe(422)
    expect((await second.give(codes[4]!)).status).toBe(303)
    const dump = JSON.stringify(await app.db.selectFrom('recovery_codes').selectAll().execute())
    for (const code of codes) expect(dump).not.toContain(code.slice(0, 9))
  })

  it('takes two tries of one recovery code at once for one', async () => {
    const app = await testApp()
    const { codes } = await withTwoFactors(app)
    const browsers = [await halfway(app), await halfway(app)]
    const answers = await Promise.all(browsers.map(({ give }) => give(codes[0]!)))
    expect(answers.map(({ status }) => status).sort()).toEqual([303, 422])
  })

  it('gives nothing to whoever has only the code, and forgets the password after ten minutes', async () => {
    const app = await testApp()
    const { secret } = await withTwoFactors(app)
    const stranger = aBrowser(app)
    await stranger.get('/login/code').expect(303).expect('Location', '/login')
    const direct = await stranger.send(
      '/login/code',
      { code: codeAt(secret, app.clock.at) },
      { from: '/login' },
    )
    expect(direct.headers.location).toBe('/login')
    const late = await halfway(app)
    app.clock.pass(10 * minute + 1)
    const answer = await late.send('/login/code', { code: codeAt(secret, app.clock.at) }, { from: '/login' })
    expect(answer.headers.location).toBe('/login')
    await late.get('/settings').expect(303)
  })

  it('forgets the password when it changes meanwhile', async () => {
    const app = await testApp()
    const { secret, send } = await withTwoFactors(app)
    const half = await halfway(app)
    const form = tokenIn((await half.get('/login/code')).text)
    await send('/settings/password', {
      current_password: goodPassword,
      new_password: 'lanterns over the water',
    })
    const answer = await half.agent
      .post('/login/code')
      .type('form')
      .send({ _csrf: form, code: codeAt(secret, app.clock.at) })
    expect(answer.headers.location).toBe('/login')
  })

  it('asks programs for the code as well', async () => {
    const app = await testApp()
    const { secret, codes } = await withTwoFactors(app)
    const ask = (more: object) =>
      app.http.post('/api/v1/auth/token').send({ username: 'ada', password: goodPassword, ...more })
    expect((await ask({}).expect(401)).body.error).toBe('code_required')
    await ask({ code: '123456' }).expect(401)
    await ask({ code: 5 }).expect(400)
    const code = codeAt(secret, app.clock.at)
    await ask({ code }).expect(200)
    await ask({ code }).expect(401)
    await ask({ code: codes[0] }).expect(200)
  })

  it('slows the guessing of codes down as it does that of passwords', async () => {
    const app = await testApp()
    const { secret } = await withTwoFactors(app)
    const { give } = await halfway(app)
    for (let tries = 0; tries < 10; tries++) expect((await give('000000')).status).toBe(422)
    const slow = await give(codeAt(secret, app.clock.at))
    expect(slow.status).toBe(429)
    expect(slow.headers['retry-after']).toBe('30')
    app.clock.pass(30_000)
    expect((await give(codeAt(secret, app.clock.at))).status).toBe(303)
  })

  it('is turned off with the password alone in a session, and from a terminal', async () => {
    const app = await testApp()
    const { send, codes } = await withTwoFactors(app)
    expect((await send(`${page}/removal`, { off_password: 'no' })).status).toBe(422)
    const fresh = await send(`${page}/recovery-codes`, { renew_password: goodPassword })
    expect(fresh.status).toBe(201)
    const half = await halfway(app)
    expect((await half.give(codes[0]!)).status).toBe(422)
    expect((await half.give(codesIn(fresh.text)[0]!)).status).toBe(303)
    const said: string[] = []
    const run = (line: string) =>
      userCommand(line.split(' '), {
        db: app.db,
        now: app.clock.now,
        say: (text) => void said.push(text),
        askPassword: async () => goodPassword,
      })
    await run('two-factor-off ada')
    expect(said[0]).toContain('The password of ada alone lets them in.')
    expect((await aBrowser(app).logIn()).headers.location).toBe('/')
    await run('two-factor-off ada')
    expect(said[1]).toBe('ada has no two-factor login.')
  })

  it('goes on with recovery codes where the secret of the installation is lost', async () => {
    const dataDir = aFolder()
    const clock = stoppedClock()
    const first = await testApp({ dataDir, clock })
    const { secret, codes } = await withTwoFactors(first)
    await first.stop()
    const { rm } = await import('node:fs/promises')
    await rm(`${dataDir}/secret`)
    const second = await testApp({ dataDir, clock })
    const { give } = await halfway(second)
    expect((await give(codeAt(secret, clock.at))).text).toContain('restored without the secret')
    expect((await give(codes[0]!)).status).toBe(303)
  })

  it('keeps the secret sealed', async () => {
    const app = await testApp()
    const { secret } = await withTwoFactors(app)
    expect(JSON.stringify(await app.db.selectFrom('two_factors').selectAll().execute())).not.toContain(secret)
  })
})
