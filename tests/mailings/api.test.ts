import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'

async function anApi() {
  const app = await testApp()
  const { token } = await createToken(app.db, 'test', { by: null, at: app.clock.now() })
  const ask = (path: string) => app.http.get(`/api/v1${path}`).set('Authorization', `Bearer ${token}`)
  return { ...app, ask, read: async (path: string) => (await ask(path).expect(200)).body }
}

describe('the API of mailings', () => {
  it('answers on an empty installation, to those with a token', async () => {
    const { http, read, ask } = await anApi()
    await http.get('/api/v1/mailings').expect(401)
    expect(await read('/mailings?sort=open_rate')).toEqual({ mailings: [], count: 0, next: null })
    await ask('/mailings/112').expect(404)
    expect((await ask('/mailings?sort=fame').expect(400)).body.details).toHaveProperty('sort')
  })

  it('tells the numbers of the page, rates in per cent', async () => {
    const app = await anApi()
    const { id } = await aMailing(app, { name: 'Issue 112', sent_at: testStart - dayLength })
    for (const email of ['a@x.example', 'b@x.example', 'c@x.example']) {
      const contact = await aContact(app, { email })
      await anEngagement(app, { contactId: contact.id, mailingId: id, kind: 'delivered' })
      if (email.startsWith('a'))
        await anEngagement(app, {
          contactId: contact.id,
          mailingId: id,
          kind: 'clicked',
          url: 'https://a.example',
        })
      else if (email.startsWith('b'))
        await anEngagement(app, {
          contactId: contact.id,
          mailingId: id,
          kind: 'opened',
          userAgent: 'Mozilla/5.0',
        })
    }
    const mailing = await app.read(`/mailings/${id}`)
    expect(mailing).toMatchObject({
      name: 'Issue 112',
      people: { sent: 3, delivered: 3, opened: 0, clicked: 1 },
      opens: 0,
      proxy_opens: 1,
      clicks: 1,
      open_rate: 0,
      click_rate: 33.33,
      click_to_open: null,
      tracking_may_be_off: false,
      links: [{ url: 'https://a.example', clicks: 1, people: 1, machine_clicks: 0 }],
    })
    expect(await app.read(`/mailings/${id}?machines=1`)).toMatchObject({
      people: { opened: 1 },
      opens: 1,
      open_rate: 33.33,
      click_to_open: 100,
    })
  })

  it('lists mailings page by page', async () => {
    const app = await anApi()
    for (let issue = 1; issue <= 3; issue++)
      await aMailing(app, { name: `Issue ${issue}`, sent_at: testStart - issue * dayLength })
    const first = await app.read('/mailings?limit=2')
    expect(first.mailings.map(({ name }: { name: string }) => name)).toEqual(['Issue 1', 'Issue 2'])
    expect(first.count).toBe(3)
    const second = await app.read(`/mailings?limit=2&after=${first.next}`)
    expect(second.mailings.map(({ name }: { name: string }) => name)).toEqual(['Issue 3'])
    expect(second.next).toBeNull()
    expect((await app.read('/mailings?q=issue 2')).count).toBe(1)
  })
})

describe('the glossary', () => {
  it('defines each word once, though several rooms enter theirs', async () => {
    const { audienceChapters } = await import('../../src/audience/glossary.js')
    const { campaignChapters } = await import('../../src/campaigns/glossary.js')
    const { mailingChapters } = await import('../../src/mailings/glossary.js')
    const chapters = [...campaignChapters, ...audienceChapters, ...mailingChapters]
    const ids = chapters.flatMap(({ id, definitions }) => [
      id,
      ...definitions.map((definition) => definition.id),
    ])
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([])
    const text = JSON.stringify(chapters)
    expect(text).not.toMatch(/undefined|NaN/)
  })
})
