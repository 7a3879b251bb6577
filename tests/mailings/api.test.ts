import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aReportedMailing } from '../support/mailings.js'

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

describe('the API’s filters and sums', () => {
  async function someMailings() {
    const app = await anApi()
    const list = await aList(app)
    const report = (name: string, daysAgo: number, open: number) =>
      aReportedMailing(app, { name, sentAt: testStart - daysAgo * dayLength, open, lists: [list.id] })
    const mailings = [
      await report('Good', 12, 0.4),
      await report('Bad', 20, 0.1),
      await report('Old', 130, 0.25),
    ]
    const names = async (query: string) =>
      (await app.read(`/mailings?${query}`)).mailings.map(({ name }: { name: string }) => name)
    return { ...app, list, mailings, names }
  }

  it('are those of the page, each number with whose it is', async () => {
    const { names, list, read } = await someMailings()
    expect(await names(`list=${list.id}&open_rate_min=20`)).toEqual(['Good', 'Old'])
    expect(await names('days=30&sort=open_rate&order=asc')).toEqual(['Bad', 'Good'])
    expect(await names('from=2026-11-01&to=2026-11-05')).toEqual(['Bad'])
    expect(await names('sender=maren@paperboat.example&basis=ours')).toEqual([])
    expect((await read('/mailings?q=good')).mailings[0]).toMatchObject({
      basis: 'provider',
      delivered_basis: 'provider',
      status: 'sent',
      lists: [{ id: list.id, name: 'Slow Mornings' }],
      projects: [],
      from_address: 'maren@paperboat.example',
      open_rate: 40,
      people: { delivered: 1_000, bounced: 20 },
    })
  })

  it('refuse nonsense with a sentence for each field', async () => {
    const { ask } = await anApi()
    const { details } = (
      await ask(
        '/mailings?from=yesterday&open_rate_min=lots&bounced_max=-1&basis=theirs&days=31&colour=red',
      ).expect(400)
    ).body
    expect(details).toEqual({
      from: 'The from is a day, such as 2026-11-20.',
      open_rate_min: 'The open_rate_min is a rate in per cent from 0 on.',
      bounced_max: 'The bounced_max is a number from 0 on.',
      basis: expect.any(String),
      days: 'The days are 30, 90 or 365.',
      colour: 'There is no such field.',
    })
    expect((await ask('/mailings?from=2026-02-30').expect(400)).body.details).toHaveProperty('from')
    expect((await ask('/mailings?from=2026-11-02&to=2026-11-01').expect(400)).body.details).toEqual({
      to: 'The to is a day before the from.',
    })
  })

  it('sum up as the dashboard does', async () => {
    const { read, mailings } = await someMailings()
    const summary = await read('/mailings/summary?days=90')
    expect(summary).toMatchObject({
      mailings: 2,
      basis: { ours: 0, provider: 2 },
      totals: { sent: 2_040, delivered: 2_000, opened: 500 },
      rates: {
        open_rate: {
          mailings: 2,
          mean: 25,
          pooled: 25,
          median: 25,
          deviation: 15,
          best: { id: mailings[0]!.id, name: 'Good', value: 40, basis: 'provider' },
          worst: { id: mailings[1]!.id, value: 10 },
        },
      },
      changes: {
        days: 90,
        before: { mailings: 1, rates: { open_rate: { mean: 25, deviation: 0 } } },
        difference: {
          mailings: 1,
          totals: { opened: 250 },
          rates: { open_rate: { mean: 0, deviation: 15 } },
        },
      },
      series: { unit: 'week' },
    })
    expect(summary.series.points.filter(({ mailings }: { mailings: number }) => mailings > 0)).toHaveLength(2)
    const nothing = await read('/mailings/summary?q=nothing')
    expect(nothing.rates.open_rate).toMatchObject({ mailings: 0, mean: null, deviation: null, best: null })
  })

  it('tell every snapshot, page by page', async () => {
    const { read, mailings, ask } = await someMailings()
    const [good] = mailings
    const first = await read(`/mailings/${good!.id}/snapshots?limit=2`)
    expect(first).toMatchObject({ basis: 'provider', rates_basis: 'provider', count: 5 })
    expect(first.snapshots[0]).toMatchObject({
      taken_at: new Date(testStart - 12 * dayLength + 3_600_000).toISOString(),
      is_lower: false,
      unique_opens: 80,
      opens: 128,
      replies: null,
    })
    const rest = await read(`/mailings/${good!.id}/snapshots?after=${first.next}`)
    expect(rest.snapshots).toHaveLength(3)
    expect(rest.next).toBeNull()
    await ask('/mailings/4711/snapshots').expect(404)
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
