import { parse } from 'csv-parse/sync'
import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact, aList } from './rows.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  const rowsOf = (text: string) => parse(text, { bom: true, columns: true }) as Record<string, string>[]
  async function read(query = '') {
    const answer = await person.http.get(`/audience/export.csv${query}`).buffer(true).expect(200)
    return { answer, rows: rowsOf(answer.text) }
  }
  return { ...app, ...person, read, rowsOf }
}

describe('the export of contacts', () => {
  it('tells all that the page knows, as UTF-8 that spreadsheets understand', async () => {
    const room = await aRoom()
    const at = room.clock.now()
    const id = await aContact(room, {
      email: 'zoë@fernmail.example',
      name: 'Zoë',
      status: 'subscribed',
      score: 71.456,
      band: 'champion',
      opens: 24,
      proxy_opens: 6,
      unjudged_clicks: 1,
      last_active_at: at,
      subscribed_at: at,
      notes: 'Met in Ghent,\n"very kind"',
    })
    await room.audience.retag({ contacts: [id], add: ['buyer', 'a reader'], remove: [] })
    const list_id = await aList(room, 'Slow Mornings')
    await room.db
      .insertInto('subscriptions')
      .values({ list_id, contact_id: id, status: 'subscribed' })
      .execute()
    const { answer, rows } = await room.read()
    expect(answer.text.startsWith('\uFEFFid,email,')).toBe(true)
    expect(answer.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(answer.headers['content-disposition']).toBe('attachment; filename="contacts-2026-11-21.csv"')
    expect(rows).toEqual([
      expect.objectContaining({
        id: String(id),
        email: 'zoë@fernmail.example',
        name: 'Zoë',
        status: 'subscribed',
        score: '71.46',
        score_30_days_before: '',
        band: 'champion',
        opens: '24',
        opens_by_mail_proxies: '6',
        clicks_not_judged: '1',
        last_activity: '2026-11-21T10:00:00.000Z',
        subscribed: '2026-11-21T10:00:00.000Z',
        source: 'buttondown',
        lists: 'Slow Mornings',
        tags: 'a reader, buyer',
        notes: 'Met in Ghent,\n"very kind"',
      }),
    ])
  })

  it('heeds the filter, and leaves out who was erased', async () => {
    const room = await aRoom()
    await aContact(room, { email: 'ada@x.example', score: 70 })
    await aContact(room, { email: 'ben@x.example', score: 10 })
    await aContact(room, { email: 'erased:3', score: 90, erased_at: 1 })
    expect((await room.read('?score=35')).rows.map(({ email }) => email)).toEqual(['ada@x.example'])
    expect((await room.read('?sort=name')).rows).toHaveLength(2)
    expect((await room.read('?after=1')).rows).toHaveLength(2)
  })

  it('is safe against formulas', async () => {
    const room = await aRoom()
    await aContact(room, { email: '=cmd|calc@x.example', name: '+1', notes: '@sum' })
    const id = await aContact(room, { email: 'b@x.example' })
    await room.audience.retag({ contacts: [id], add: ['-tag'], remove: [] })
    const { rows } = await room.read()
    expect(rows[0]).toMatchObject({ email: "'=cmd|calc@x.example", name: "'+1", notes: "'@sum" })
    expect(rows[1]).toMatchObject({ tags: "'-tag" })
  })

  it('goes over many pages, everybody once', async () => {
    const room = await aRoom()
    const contacts = Array.from({ length: 2_300 }, (_, index) => ({
      email: `r${index}@x.example`,
      created_at: 1,
    }))
    for (let from = 0; from < contacts.length; from += 300)
      await room.db
        .insertInto('contacts')
        .values(contacts.slice(from, from + 300))
        .execute()
    const { rows } = await room.read('?quiet=1')
    expect(new Set(rows.map(({ email }) => email)).size).toBe(2_300)
    expect(rows).toHaveLength(2_300)
  })

  it('tells of those that were chosen, or of all of the filter', async () => {
    const room = await aRoom()
    const ada = await aContact(room, { email: 'ada@x.example', score: 70 })
    await aContact(room, { email: 'ben@x.example', score: 50 })
    await aContact(room, { email: 'cleo@x.example', score: 10 })
    const some = await room
      .send('/audience/export.csv', { id: String(ada), filter: '' })
      .buffer(true)
      .expect(200)
    expect(room.rowsOf(some.text).map(({ email }) => email)).toEqual(['ada@x.example'])
    const all = await room
      .send('/audience/export.csv', { id: String(ada), all: '1', filter: 'score=35' })
      .buffer(true)
      .expect(200)
    expect(room.rowsOf(all.text).map(({ email }) => email)).toEqual(['ada@x.example', 'ben@x.example'])
  })
})
