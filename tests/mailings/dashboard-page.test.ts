import { describe, expect, it } from 'vitest'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  return {
    ...app,
    ...person,
    page: async (query = '') => (await person.http.get(`/mailings${query}`).expect(200)).text,
    mailing: (name: string, daysAgo: number) =>
      aMailing(app, { name, sent_at: testStart - daysAgo * dayLength }),
  }
}
const order = (page: string) =>
  [...page.matchAll(/<a class="row-link" href="\/mailings\/\d+[^"]*">([^<]*)</g)].map(([, name]) => name)

describe('the mailings', () => {
  it('lead to the provider as long as there is none', async () => {
    const { page } = await aRoom()
    expect(await page()).toContain('href="/providers/buttondown">Connect Buttondown')
  })

  it('stand newest first with their numbers, drafts left out', async () => {
    const room = await aRoom()
    await room.mailing('Issue 1', 9)
    const second = await room.mailing('Issue 2', 2)
    await room.db
      .insertInto('mailings')
      .values({
        provider: 'buttondown',
        provider_id: 'draft',
        name: 'A draft',
        status: 'draft',
        created_at: 0,
      })
      .execute()
    const { id } = await aContact(room)
    const deed = { contactId: id, mailingId: second.id }
    await anEngagement(room, { ...deed, kind: 'delivered' })
    await anEngagement(room, { ...deed, kind: 'opened' })
    await anEngagement(room, { ...deed, kind: 'opened', userAgent: 'Mozilla/5.0' })

    const page = await room.page()
    expect(order(page)).toEqual(['Issue 2', 'Issue 1'])
    const row = new RegExp(`<tr id="mailing-${second.id}">[\\s\\S]*?</tr>`).exec(page)![0]
    expect(row).toContain('data-label="Delivered" data-value="1"')
    expect(row).toContain('data-label="Opens" data-value="1"')
    expect(row).toContain('1 by mail proxies')
    expect(row).toContain('class="num tell" data-value="1">100.0%')
    expect(await room.page('?machines=1')).toContain('data-label="Opens" data-value="2"')
  })

  it('are searched and put in any order; what has no value goes last', async () => {
    const room = await aRoom()
    await room.mailing('Slow tools', 3)
    const loud = await room.mailing('Loud tools', 5)
    await room.mailing('Fast weeks', 1)
    const { id } = await aContact(room)
    await anEngagement(room, { contactId: id, mailingId: loud.id, kind: 'opened' })
    expect(order(await room.page('?q=TOOLS'))).toEqual(['Slow tools', 'Loud tools'])
    expect(order(await room.page('?sort=sent-asc'))).toEqual(['Loud tools', 'Slow tools', 'Fast weeks'])
    expect(order(await room.page('?sort=open_rate'))[0]).toBe('Loud tools')
    expect(order(await room.page('?sort=open_rate-asc'))[0]).toBe('Loud tools')
    expect(order(await room.page('?sort=name'))).toEqual(['Fast weeks', 'Loud tools', 'Slow tools'])
    expect(await room.page('?q=nothing')).toContain('No mailing has “nothing” in its subject')
    const part = await room.part('/mailings?q=slow&sort=sent').expect(200)
    expect(order(part.text)).toEqual(['Slow tools'])
    expect(part.headers['hx-replace-url']).toBe('/mailings?q=slow')
    expect(part.text).not.toContain('<html')
  })

  it('come in pages, and nothing twice when one is sent meanwhile', async () => {
    const room = await aRoom()
    for (let issue = 1; issue <= 53; issue++) await room.mailing(`Issue ${issue}`, 100 - issue)
    const first = await room.page()
    expect(order(first)).toHaveLength(50)
    await room.mailing('Issue 54', 0)
    const next = /id="load-more" href="([^"]*)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const more = (await room.part(next).expect(200)).text
    expect(order(more)).toEqual(['Issue 3', 'Issue 2', 'Issue 1'])
    expect(more).not.toContain('load-more')
    expect(order((await room.http.get(next).expect(200)).text)).toEqual(['Issue 3', 'Issue 2', 'Issue 1'])
  })
})

describe('ours and theirs', () => {
  it('says that no provider has reported yet', async () => {
    const { http } = await aRoom()
    expect((await http.get('/mailings/ours-and-theirs').expect(200)).text).toContain(
      'No provider has reported',
    )
  })

  it('stand side by side, with the difference explained, newest first', async () => {
    const room = await aRoom()
    const ids: number[] = []
    for (let issue = 1; issue <= 12; issue++) {
      const { id } = await room.mailing(`Issue ${issue}`, 20 - issue)
      ids.push(id)
      await room.db
        .insertInto('mailing_reports')
        .values({
          mailing_id: id,
          deliveries: 3,
          unique_opens: 2,
          unique_clicks: null,
          unsubscriptions: 0,
          checked_at: testStart,
        })
        .execute()
    }
    const newest = ids.at(-1)!
    const { id } = await aContact(room)
    await anEngagement(room, { contactId: id, mailingId: newest, kind: 'opened', userAgent: 'Mozilla/5.0' })

    const page = (await room.http.get('/mailings/ours-and-theirs').expect(200)).text
    const titles = (text: string) =>
      [...text.matchAll(/<h2 id="mailing-\d+"><a[^>]*>([^<]*)/g)].map(([, name]) => name)
    expect(titles(page)).toEqual([
      'Issue 12',
      'Issue 11',
      ...[10, 9, 8, 7, 6, 5, 4, 3].map((issue) => `Issue ${issue}`),
    ])
    const section = /id="mailing-\d+"><a[^>]*>Issue 12[\s\S]*?<\/section>/.exec(page)![0]
    const opened = />Opened<[\s\S]*?<\/tr>/.exec(section)![0]
    expect(opened).toContain('data-label="Theirs" data-value="2"')
    expect(opened).toContain('data-label="Ours" data-value="0"')
    expect(opened).toContain('data-value="-2"')
    expect(opened).toContain('1 person opened only through a mail proxy or a machine')
    expect(opened).toContain('1 has not come in as an event yet')
    expect(/>Clicked<[\s\S]*?<\/tr>/.exec(section)![0]).toContain('Buttondown does not report this.')

    const next = /href="(\/mailings\/ours-and-theirs\?after=\d+)"/.exec(page)![1]!
    expect(titles((await room.http.get(next).expect(200)).text)).toEqual(['Issue 2', 'Issue 1'])
  })
})
