import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aBrowser, anAccount, aPerson, goodPassword, tokenIn } from './people.js'

const another = 'lanterns over the water'
/** A form field as the page shows it again. */
const shows = (text: string, name: string, value: string) =>
  expect(text).toMatch(new RegExp(`name="${name}"[^>]*value="${value}"`))

describe('my account', () => {
  it('changes name and e-mail', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    await send('/settings', { full_name: ' Ada L. ', email: ' ada@example.com ' }).then(({ status }) =>
      expect(status).toBe(303),
    )
    const page = await get('/settings')
    expect(page.text).toContain('Your account is saved.')
    shows(page.text, 'full_name', 'Ada L.')
    shows(page.text, 'email', 'ada@example.com')
    expect((await get('/settings')).text).not.toContain('Your account is saved.')

    const wrong = await send('/settings', { full_name: 'Ada', email: 'nonsense' })
    expect(wrong.status).toBe(422)
    expect(wrong.text).toContain('Write an e-mail address such as ada@example.com')
    shows(wrong.text, 'email', 'nonsense')
  })

  it('changes the password, and ends the other sessions with it', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const elsewhere = aBrowser(app)
    await elsewhere.logIn()
    await elsewhere.get('/settings').expect(200)

    const wrong = await send('/settings/password', { current_password: 'no', new_password: another })
    expect(wrong.text).toContain('This is not the password you have now.')
    const easy = await send('/settings/password', {
      current_password: goodPassword,
      new_password: 'ada ada ada',
    })
    expect(easy.status).toBe(422)
    await elsewhere.get('/settings').expect(200)

    const done = await send('/settings/password', { current_password: goodPassword, new_password: another })
    expect(done.status).toBe(303)
    await get('/settings').expect(200)
    await elsewhere.get('/settings').expect(303)
    expect((await elsewhere.logIn()).status).toBe(422)
    expect((await elsewhere.logIn({ password: another })).status).toBe(303)
  })

  it('is no place to guess a password', async () => {
    const app = await testApp()
    const { agent, get } = await aPerson(app)
    const _csrf = tokenIn((await get('/settings')).text)
    const guess = () =>
      agent
        .post('/settings/password')
        .type('form')
        .send({ _csrf, current_password: 'no', new_password: another })
    for (let count = 0; count < 10; count++) await guess().expect(422)
    await guess().expect(429).expect('Retry-After', '30')
  })
})

describe('people', () => {
  it('are listed with who made them and when they last logged in', async () => {
    const app = await testApp()
    const { send, get, account } = await aPerson(app)
    const fields = { username: 'Bo', full_name: 'Bo Strand', email: '', password: another }
    expect((await send('/settings/people', fields)).status).toBe(303)
    const page = await get('/settings/people')
    expect(page.text).toContain('bo can log in now.')
    expect(page.text).toContain('Bo Strand')
    const bo = await app.db
      .selectFrom('accounts')
      .selectAll()
      .where('username', '=', 'bo')
      .executeTakeFirstOrThrow()
    expect(bo).toMatchObject({ created_by: account.id, active: 1, last_login_at: null })
    expect((await aBrowser(app).logIn({ username: 'bo', password: another })).status).toBe(303)

    const twice = await send('/settings/people', fields)
    expect(twice.status).toBe(422)
    expect(twice.text).toContain('There is already an account named bo.')
    shows(twice.text, 'full_name', 'Bo Strand')
    const empty = await send('/settings/people', { username: '', password: '' })
    expect(empty.text).toContain('Give a name to log in with.')
    expect(empty.text).toContain('Choose a password.')
  })

  it('who are deactivated are out at once, and may come back', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const { id } = await anAccount(app, { username: 'bo', full_name: '' })
    const bo = aBrowser(app)
    await bo.logIn({ username: 'bo' })
    await bo.get('/settings').expect(200)
    expect((await send(`/settings/people/${id}/deactivation`)).status).toBe(303)
    await bo.get('/settings').expect(303)
    expect((await bo.logIn({ username: 'bo' })).status).toBe(422)
    expect((await get('/settings/people')).text).toContain('Deactivated')
    await send(`/settings/people/${id}/activation`)
    expect((await bo.logIn({ username: 'bo' })).status).toBe(303)
  })

  it('keep one active account at least', async () => {
    const app = await testApp()
    const { send, get, account } = await aPerson(app)
    const { id } = await anAccount(app, { username: 'gone', active: 0 })
    const refused = await send(`/settings/people/${account.id}/deactivation`)
    expect(refused.status).toBe(409)
    expect(refused.text).toContain('The last active account stays.')
    await get('/settings').expect(200)
    await send(`/settings/people/${id}/activation`)
    const mine = await send(`/settings/people/${account.id}/deactivation`)
    expect(mine.headers.location).toBe('/login')
    await get('/settings').expect(303)
  })

  it('that do not exist are not found', async () => {
    const { send } = await aPerson(await testApp())
    expect((await send('/settings/people/99/deactivation')).status).toBe(404)
    expect((await send('/settings/people/99/activation')).status).toBe(404)
    expect((await send('/settings/people/ada/activation')).status).toBe(404)
  })
})

describe('sessions', () => {
  const iphone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1'

  it('are listed by device, and end one by one or all but this', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const phone = aBrowser(app, { userAgent: iphone })
    await phone.logIn({ remember: '1' })
    const unknown = aBrowser(app, { userAgent: '' })
    await unknown.logIn()
    const stranger = await anAccount(app, { username: 'bo' })
    const bo = aBrowser(app)
    await bo.logIn({ username: 'bo' })

    const page = await get('/settings/sessions')
    expect(page.text).toContain('Firefox on Linux')
    expect(page.text).toContain('Mobile Safari on iPhone')
    expect(page.text).toContain('An unknown device')
    expect(page.text.match(/This one/g)).toHaveLength(1)
    expect(page.text.match(/after 30 min without you/g)).toHaveLength(2)

    const sessionOf = (userAgent: string, id?: number) =>
      app.db
        .selectFrom('sessions')
        .select('id_hash')
        .where('user_agent', '=', userAgent)
        .where('account_id', 'is not', null)
        .$if(id !== undefined, (query) => query.where('account_id', '=', id!))
        .executeTakeFirstOrThrow()
    const { id_hash } = await sessionOf(iphone)
    expect((await send('/settings/sessions/revocation', { id: id_hash })).status).toBe(303)
    await phone.get('/settings').expect(303)
    expect((await send('/settings/sessions/revocation', { id: id_hash })).status).toBe(404)
    const others = await app.db
      .selectFrom('sessions')
      .select('id_hash')
      .where('account_id', '=', stranger.id)
      .executeTakeFirstOrThrow()
    expect((await send('/settings/sessions/revocation', { id: others.id_hash })).status).toBe(404)

    await phone.logIn()
    await send('/settings/sessions/others')
    expect((await get('/settings/sessions')).text).toContain('2 other sessions have ended.')
    await phone.get('/settings').expect(303)
    await unknown.get('/settings').expect(303)
    await bo.get('/settings').expect(200)
  })
})

describe('privacy', () => {
  it('is a page of the audience, and holds for the next event', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const page = await get('/settings/privacy').expect(200)
    expect(page.text).toMatch(/value="hashed" checked/)
    expect((await send('/settings/privacy', { address_privacy: 'all of it' })).status).toBe(422)
    expect((await send('/settings/privacy', { address_privacy: 'none' })).status).toBe(303)
    expect((await get('/settings/privacy')).text).toMatch(/value="none" checked/)
  })
})
