import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { formErrors } from '../../src/web/forms.js'
import { testApp } from '../support/app.js'
import { aBrowser, anAccount, aPerson, goodPassword, tokenIn } from './people.js'

const refusal = 'This form is too old or comes from another site. Load the page again.'

describe('a change without the session’s token', () => {
  it('is refused, as a page, a part and JSON', async () => {
    const app = await testApp()
    const { agent } = await aPerson(app)
    const page = await agent.post('/settings').type('form').send({ full_name: 'Eve', email: '' }).expect(403)
    expect(page.text).toContain(refusal)
    const part = await agent
      .post('/settings')
      .set('HX-Request', 'true')
      .type('form')
      .send({ _csrf: 'x' })
      .expect(403)
    expect(part.headers['hx-retarget']).toBe('#flash')
    expect(part.text).toContain(refusal)
    await agent.post('/logout').type('form').send({}).expect(403)
    await agent.delete('/settings').expect(403)
    const { full_name } = await app.db.selectFrom('accounts').select('full_name').executeTakeFirstOrThrow()
    expect(full_name).toBe('Ada Lindqvist')
  })

  it('is refused with the token of another session', async () => {
    const app = await testApp()
    const { agent } = await aPerson(app)
    const stranger = tokenIn((await app.http.get('/login')).text)
    expect(stranger).toMatch(/^[0-9a-f]{64}$/)
    await agent.post('/settings').type('form').send({ _csrf: stranger, full_name: 'Eve' }).expect(403)
    await agent.post('/settings').type('form').send(`_csrf=${stranger}&_csrf=${stranger}`).expect(403)
  })

  it('passes with the token in the header, as htmx sends it', async () => {
    const app = await testApp()
    const { agent, get } = await aPerson(app)
    const token = tokenIn((await get('/settings')).text)
    await agent
      .post('/settings')
      .set('X-CSRF-Token', token)
      .type('form')
      .send({ full_name: 'Eve' })
      .expect(303)
  })

  it('shows the login again, with the name that was typed', async () => {
    const app = await testApp()
    await anAccount(app)
    const browser = aBrowser(app)
    const answer = await browser.agent
      .post('/login')
      .type('form')
      .send({ username: 'ada', password: goodPassword })
      .expect(403)
    expect(answer.text).toContain('value="ada"')
    const again = await browser.agent
      .post('/login')
      .type('form')
      .send({ _csrf: tokenIn(answer.text), username: 'ada', password: goodPassword })
    expect(again.status).toBe(303)
  })
})

describe('headers', () => {
  it('allow our own files and nothing inline, and leave plain http whole', async () => {
    const app = await testApp()
    await anAccount(app)
    const { headers } = await app.http.get('/login').expect(200)
    expect(headers['content-security-policy']).toBe(
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self';font-src 'self';connect-src 'self';" +
        "form-action 'self';base-uri 'none';frame-ancestors 'none'",
    )
    expect(headers['strict-transport-security']).toBeUndefined()
    expect(headers['cross-origin-opener-policy']).toBeUndefined()
    expect(headers['origin-agent-cluster']).toBeUndefined()
    expect(headers['x-frame-options']).toBe('DENY')
    expect(headers['x-content-type-options']).toBe('nosniff')
    expect(headers['referrer-policy']).toBe('same-origin')
  })

  it('keep to https where BASE_URL is https', async () => {
    const { http } = await testApp({ env: { BASE_URL: 'https://track.example.com' } })
    const { headers } = await http.get('/setup')
    expect(headers['strict-transport-security']).toBe('max-age=31536000')
    expect(headers['cross-origin-opener-policy']).toBe('same-origin')
  })

  it('keep pages of an account out of caches on the way', async () => {
    const { get } = await aPerson(await testApp())
    expect((await get('/settings')).headers['cache-control']).toBe('private, no-cache')
  })
})

describe('formErrors', () => {
  it('tells one sentence for each field, and which is first', () => {
    const form = z.object({
      name: z.string().min(3, 'Longer.').regex(/^x/, 'Begin with x.'),
      age: z.number('A number.'),
    })
    expect(formErrors(form.safeParse({ name: 'a', age: 'b' }).error!)).toEqual({
      name: 'Longer.',
      age: 'A number.',
      first: 'name',
    })
    expect(formErrors(z.object({}).safeParse(null).error!)).toMatchObject({
      first: 'form',
    })
  })
})
