import { describe, expect, it } from 'vitest'
import { createAccountFromConfig } from '../../src/accounts/setup.js'
import { testApp } from '../support/app.js'
import { aBrowser, goodPassword, tokenIn } from './people.js'

const first = { username: 'Maren', full_name: 'Maren Vik', password: goodPassword }

describe('the first start', () => {
  it('makes one account through the link, and logs it in', async () => {
    const app = await testApp({ env: { BASE_URL: 'http://tracker.example:3000' } })
    const link = new URL((await app.setup.address())!)
    expect(link.origin).toBe('http://tracker.example:3000')
    const browser = aBrowser(app)
    await browser.get('/login').expect(303).expect('Location', '/setup')
    const page = await browser.get(link.pathname + link.search).expect(200)
    const fields = { ...first, token: link.searchParams.get('token')!, _csrf: tokenIn(page.text) }
    await browser.agent.post('/setup').type('form').send(fields).expect(303).expect('Location', '/')
    const settings = await browser.get('/settings').expect(200)
    expect(settings.text).toContain('Maren Vik')

    expect(await app.setup.address()).toBeNull()
    await browser
      .get(link.pathname + link.search)
      .expect(303)
      .expect('Location', '/login')
    await aBrowser(app)
      .agent.post('/setup')
      .type('form')
      .send({ ...fields, username: 'eve' })
      .expect(303)
    const names = await app.db.selectFrom('accounts').select('username').execute()
    expect(names).toEqual([{ username: 'maren' }])
  })

  it('says how to get the link to whoever comes without it', async () => {
    const app = await testApp()
    for (const path of ['/setup', '/setup?token=guess', '/setup?token=a&token=b']) {
      const { text } = await app.http.get(path).expect(403)
      expect(text).toContain('npm run user -- create NAME')
    }
    await app.http
      .post('/setup')
      .type('form')
      .send({ ...first, token: 'guess' })
      .expect(403)
    expect(await app.db.selectFrom('accounts').selectAll().execute()).toEqual([])
  })

  it('keeps what was typed when the password is too easy, or the form too old', async () => {
    const app = await testApp()
    const { searchParams } = new URL((await app.setup.address())!)
    const token = searchParams.get('token')!
    const browser = aBrowser(app)
    const page = await browser.get(`/setup?token=${token}`)
    const send = (fields: object) =>
      browser.agent
        .post('/setup')
        .type('form')
        .send({ ...first, token, ...fields })
    const easy = await send({ _csrf: tokenIn(page.text), password: 'Password2026!' }).expect(422)
    expect(easy.text).toContain('among the first that others would guess')
    expect(easy.text).toContain('value="Maren"')
    expect(easy.text).not.toContain('Password2026!')
    const old = await send({ _csrf: 'old' }).expect(403)
    expect(old.text).toContain('This form is too old')
    expect(old.text).toContain('value="Maren Vik"')
  })

  it('makes the account of the environment when there is none', async () => {
    const { db, clock } = await testApp()
    const deps = { db, now: clock.now }
    const env = { ADMIN_USERNAME: 'Root.Person', ADMIN_PASSWORD: goodPassword }
    expect(await createAccountFromConfig(deps, {})).toBeNull()
    await expect(createAccountFromConfig(deps, { ...env, ADMIN_PASSWORD: 'short' })).rejects.toThrow(
      'ADMIN_PASSWORD cannot be used. The password needs at least 10 characters.',
    )
    await expect(createAccountFromConfig(deps, { ...env, ADMIN_USERNAME: 'two words' })).rejects.toThrow(
      /^ADMIN_USERNAME cannot be used\. /,
    )
    expect(await createAccountFromConfig(deps, env)).toBe('root.person')
    expect(await createAccountFromConfig(deps, { ...env, ADMIN_USERNAME: 'another' })).toBeNull()
  })
})
