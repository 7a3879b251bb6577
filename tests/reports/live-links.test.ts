import supertest from 'supertest'
import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aReportOf } from '../support/reports.js'

const day = 86_400_000
const password = 'nine green bottles'

async function aLinkedReport(fields: Record<string, string> = {}) {
  const app = await testApp({ env: { BASE_URL: 'http://reports.example' } })
  const person = await aPerson(app, { remember: true })
  const report = await aReportOf(app)
  await app.reports.render(report.id, {})
  await person
    .send(`/reports/${report.id}/links`, { days: '7', password: '', rendering: '0', ...fields })
    .expect(303)
  const page = (await person.http.get(`/reports/${report.id}`).expect(200)).text
  const path = /href="http:\/\/reports\.example(\/r\/[\w-]{43})"/.exec(page)![1]!
  return { ...app, person, report, path, stranger: supertest.agent(app.app) }
}

describe('a live link', () => {
  it('shows the report to a stranger, who can change nothing, and to no search engine', async () => {
    const { stranger, path, person, report, db } = await aLinkedReport()
    const page = await stranger.get(path).expect(200)
    expect(page.text).toContain('Autumn Reading List')
    expect(page.text).not.toMatch(/<form|<script|<button/)
    expect(page.headers['cache-control']).toBe('no-store')
    expect(page.headers['x-robots-tag']).toContain('noindex')
    expect(page.headers['referrer-policy']).toBe('no-referrer')
    expect(page.headers['set-cookie']).toBeUndefined()
    expect(page.text).toContain('<meta name="robots" content="noindex, nofollow">')
    expect((await stranger.get(`${path}/look.css`).expect(200)).text).toContain('--partner')
    expect((await person.http.get(`/reports/${report.id}`)).text).toContain('1 view')
    // Who has a copy of the database has no address.
    const token = path.slice('/r/'.length)
    expect(JSON.stringify(await db.selectFrom('report_links').selectAll().execute())).not.toContain(token)
  })

  it('opens nothing else, and no other address opens it', async () => {
    const { stranger, path, report } = await aLinkedReport()
    await stranger.get(`/reports/${report.id}`).expect(303)
    await stranger.get(`/reports/${report.id}/renderings/1/data.csv`).expect(303)
    const changed = `${path.slice(0, -1)}${path.endsWith('A') ? 'B' : 'A'}`
    await stranger.get(changed).expect(404)
    await stranger.get('/r/x').expect(404)
    await stranger.get(`${changed}/look.css`).expect(404)
  })

  it('ends when it expires, and when it is taken back', async () => {
    const { stranger, path, clock, person, report } = await aLinkedReport()
    clock.pass(7 * day - 1)
    await stranger.get(path).expect(200)
    clock.pass(1)
    const expired = await stranger.get(path).expect(410)
    expect(expired.text).toContain('This link has expired.')
    expect(expired.text).not.toContain('Autumn Reading List')
    await stranger.get(`${path}/look.css`).expect(410)
    expect((await person.http.get(`/reports/${report.id}`)).text).not.toContain(path)

    await person.send(`/reports/${report.id}/links`, { days: '7' }).expect(303)
    const page = (await person.http.get(`/reports/${report.id}`)).text
    const second = /href="http:\/\/reports\.example(\/r\/[\w-]{43})"/.exec(page)![1]!
    await stranger.get(second).expect(200)
    await person.send(`/reports/${report.id}/links/2/revoking`, {}).expect(303)
    expect((await stranger.get(second).expect(410)).text).toContain('This link was taken back.')
    await person.send(`/reports/${report.id}/links/99/revoking`, {}).expect(404)
  })

  it('with a password shows nothing before it, and slows down who guesses', async () => {
    const { stranger, path, app, db, clock } = await aLinkedReport({ password })
    const asked = await stranger.get(path).expect(200)
    expect(asked.text).toContain('This report has a password')
    expect(asked.text).not.toContain('Autumn Reading List')
    await stranger.get(`${path}/look.css`).expect(403)
    await stranger.get(`${path}/logo`).expect(403)
    const { password_hash } = await db.selectFrom('report_links').selectAll().executeTakeFirstOrThrow()
    expect(password_hash).toMatch(/^\$argon2id\$/)
    const guess = (text: string, agent = stranger) => agent.post(path).type('form').send({ password: text })
    expect((await guess('').expect(422)).text).toContain('Type the password')

    await guess(password).expect(303)
    expect((await stranger.get(path).expect(200)).text).toContain('Autumn Reading List')
    // Another browser has to give it too.
    const other = supertest.agent(app)
    expect((await other.get(path)).text).not.toContain('Autumn Reading List')

    for (let wrong = 0; wrong < 10; wrong++) await guess('wrong', other).expect(422)
    const slowed = await guess(password, other).expect(429)
    expect(slowed.text).toContain('Too many wrong passwords.')
    expect(Number(slowed.headers['retry-after'])).toBeGreaterThan(0)
    clock.pass(31_000)
    await guess(password, other).expect(303)
    // Guessing here slows down nobody's login.
    await other.get('/login').expect(200)
  })

  it('shows the newest rendering, or the one it was made for', async () => {
    const { stranger, path, person, report, db, reports } = await aLinkedReport()
    await person.send(`/reports/${report.id}/links`, { days: '30', rendering: '1' }).expect(303)
    const page = (await person.http.get(`/reports/${report.id}`)).text
    const [pinned] = [...page.matchAll(/href="http:\/\/reports\.example(\/r\/[\w-]{43})"/g)].map(
      (hit) => hit[1]!,
    )
    await db
      .updateTable('reports')
      .set({ definition: JSON.stringify({ ...report.definition, title: 'Winter' }) })
      .execute()
    await reports.render(report.id, {})
    expect((await stranger.get(path)).text).toContain('Winter')
    expect((await stranger.get(pinned!)).text).toContain('Autumn Reading List')
  })

  it('is refused a short password and an odd length of time, and keeps no password in the page', async () => {
    const { person, report } = await aLinkedReport()
    const short = await person
      .send(`/reports/${report.id}/links`, { days: '7', password: 'short' })
      .expect(422)
    expect(short.text).toContain('A password has 8 letters at least.')
    expect(short.text).not.toContain('value="short"')
    await person.send(`/reports/${report.id}/links`, { days: '8' }).expect(422)
    await person.send(`/reports/${report.id}/links`, { days: '7', rendering: '9' }).expect(404)
  })
})
