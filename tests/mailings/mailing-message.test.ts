import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aMailing } from '../support/audience.js'
import { aPerson } from '../support/person.js'

const html =
  '<p style="color:red">Hello</p><script>alert(1)</script><img src="https://tracker.example/pixel.gif"><form action="/logout"></form>'

async function aMessage() {
  const app = await testApp()
  const person = await aPerson(app)
  const { id } = await aMailing(app, {})
  await app.db.insertInto('mailing_contents').values({ mailing_id: id, html }).execute()
  return { ...app, ...person, id, path: `/mailings/${id}` }
}
const policy = (headers: Record<string, string>) => headers['content-security-policy']!.split(';')

describe('the message of a mailing', () => {
  it('stands alone in a document that can do nothing and fetches nothing', async () => {
    const { http, path } = await aMessage()
    const { headers, text } = await http.get(`${path}/message`).expect(200)
    expect(text).toBe(html)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(policy(headers)).toEqual([
      'sandbox',
      "default-src 'none'",
      'img-src data:',
      "style-src 'unsafe-inline'",
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'self'",
    ])
    expect(headers['referrer-policy']).toBe('no-referrer')
    expect(headers['set-cookie']).toBeUndefined()
  })

  it('fetches pictures from elsewhere only where that is asked for', async () => {
    const { http, path } = await aMessage()
    const { headers } = await http.get(`${path}/message?images=1`).expect(200)
    expect(policy(headers)).toContain('img-src data: https:')
    const page = (await http.get(path).expect(200)).text
    expect(page).toContain(`src="${path}/message"`)
    expect(page).toContain(`href="${path}?images=1#message"`)
    const asked = (await http.get(`${path}?images=1`).expect(200)).text
    expect(asked).toContain(`src="${path}/message?images=1"`)
    // Whatever else is looked at then, pictures are not asked for again.
    expect(asked.match(/images=1/g)).toHaveLength(2)
  })

  it('lies in a frame of its own page, and no other page may hold one', async () => {
    const { http, path } = await aMessage()
    const page = await http.get(path).expect(200)
    expect(page.text).toMatch(/<iframe[^>]* sandbox [^>]*title="The message “Issue 112”"/)
    expect(policy(page.headers)).toContain("frame-src 'self'")
    expect(policy(page.headers)).toContain("frame-ancestors 'none'")
    expect(page.text).not.toContain('alert(1)')
    expect(policy((await http.get('/mailings').expect(200)).headers)).not.toContain("frame-src 'self'")
  })

  it('is not there where none is kept, and is nothing for strangers', async () => {
    const { http, ...app } = await aMessage()
    const { id } = await aMailing(app, {})
    await http.get(`/mailings/${id}/message`).expect(404)
    await http.get('/mailings/999/message').expect(404)
    const page = await http.get(`/mailings/${id}`).expect(200)
    expect(page.text).not.toContain('<iframe')
    expect(policy(page.headers)).not.toContain("frame-src 'self'")
    const { default: supertest } = await import('supertest')
    await supertest(app.app).get(`${app.path}/message`).expect(303)
  })
})
