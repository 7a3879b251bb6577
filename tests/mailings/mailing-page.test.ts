import { describe, expect, it } from 'vitest'
import type { EngagementKind } from '../../src/audience/engagement-kinds.js'
import { dayLength, hourLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

const sentAt = testStart - 2 * dayLength

async function aSentMailing(given: Parameters<typeof aMailing>[1] = {}) {
  const app = await testApp()
  const person = await aPerson(app)
  const mailing = await aMailing(app, { sent_at: sentAt, ...given })
  const path = `/mailings/${mailing.id}`
  let people = 0
  return {
    ...app,
    ...person,
    mailing,
    path,
    page: async (query = '') => (await person.http.get(path + query).expect(200)).text,
    /** Somebody who did all this, in this order, an hour after each other. */
    async reader(...did: (EngagementKind | { kind: EngagementKind; userAgent?: string; url?: string })[]) {
      const contact = await aContact(app, { email: `reader-${++people}@fernmail.example` })
      for (const [index, deed] of did.entries())
        await anEngagement(app, {
          contactId: contact.id,
          mailingId: mailing.id,
          happenedAt: sentAt + index * hourLength + 1000,
          ...(typeof deed === 'string' ? { kind: deed } : deed),
        })
      return contact
    },
    report: (numbers: Record<string, number>) =>
      app.db
        .insertInto('mailing_reports')
        .values({ mailing_id: mailing.id, checked_at: testStart - hourLength, ...numbers })
        .execute(),
  }
}

const value = (page: string, id: string) => new RegExp(`id="${id}" data-value="([^"]*)"`).exec(page)?.[1]
const named = (page: string) => [...page.matchAll(/>(reader-\d+)@/g)].map(([, name]) => name)

describe('a mailing', () => {
  it('that does not exist is not found', async () => {
    const { http } = await aSentMailing()
    await http.get('/mailings/77').expect(404)
    await http.get('/mailings/nonsense').expect(404)
  })

  it('leads from sending to the click, with its rates', async () => {
    const { reader, page } = await aSentMailing()
    await reader('sent', 'delivered')
    await reader('delivered', 'opened', 'opened')
    await reader('delivered', 'opened', { kind: 'clicked', url: 'https://paperboat.example/autumn' })
    await reader('opened', 'replied')
    await reader('bounced')
    await reader('delivered', 'unsubscribed')

    const text = await page()
    expect(
      ['people-sent', 'people-delivered', 'people-opened', 'people-clicked'].map((id) => value(text, id)),
    ).toEqual(['6', '5', '3', '1'])
    expect(value(text, 'open-rate')).toBe('0.6')
    expect(value(text, 'opens')).toBe('4')
    expect(value(text, 'click-rate')).toBe('0.2')
    expect(value(text, 'bounce-rate')).toMatch(/^0\.1666/)
    expect(value(text, 'unsubscribe-rate')).toBe('0.2')
    expect(value(text, 'reply-rate')).toBe('0.2')
    expect(text).toContain('Of 6 people 5 got it, 3 opened and 1 clicked')
    expect(text).toMatch(/href="\/audience\/activity\?mailing=\d+&amp;kind=opened"/)
  })

  it('has no rate to tell before anything is known of it', async () => {
    const { page } = await aSentMailing()
    const text = await page()
    expect(value(text, 'open-rate')).toBe('')
    expect(text).not.toContain('NaN')
    expect(text).toContain('No link was followed by a person yet.')
  })

  it('leaves proxies and machines out unless asked for, and says how many and what cannot be judged', async () => {
    const { reader, page } = await aSentMailing()
    await reader('delivered', 'opened')
    await reader('delivered', { kind: 'opened', userAgent: 'Mozilla/5.0' })
    await reader('delivered', { kind: 'clicked', userAgent: 'curl/8.0', url: 'https://a.example' })
    const text = await page()
    expect([value(text, 'people-opened'), value(text, 'people-clicked')]).toEqual(['1', '0'])
    expect(text).toContain('1 open by mail proxies</span>')
    expect(text).toContain('1 machine click</span> left out')
    const all = await page('?machines=1')
    expect([value(all, 'people-opened'), value(all, 'people-clicked')]).toEqual(['2', '1'])
    expect(all).toContain('kind=opened&amp;machines=1')
    expect(all).toContain('included')
    expect(all).toContain('a.example')
  })

  it('says that some of its people cannot be judged', async () => {
    const app = await aSentMailing()
    const { id } = await app.reader('delivered')
    const fact = { contactId: id, mailingId: app.mailing.id, kind: 'opened' as const }
    await anEngagement(app, { ...fact, os: null, browser: null })
    const text = await app.page()
    expect(text).toContain('1 person cannot be judged')
    expect(text).toContain('1 open</span> of those counted cannot be judged')
  })

  it('does not take missing tracking for missing interest', async () => {
    const { page, report } = await aSentMailing()
    await report({ recipients: 80, deliveries: 80, unique_opens: 0, unique_clicks: 0 })
    const text = await page()
    expect(text).toContain('Tracking may be off.')
    expect(value(text, 'open-rate')).toBe('')
    expect(value(text, 'people-delivered')).toBe('80')
  })

  it('takes the provider’s deliveries while events tell of fewer, and says so', async () => {
    const { page, reader, report } = await aSentMailing()
    await reader('opened')
    await report({ recipients: 100, deliveries: 90, unique_opens: 40, unique_clicks: 3 })
    const text = await page()
    expect(value(text, 'open-rate')).toMatch(/^0\.0111/)
    expect(text).toContain('Buttondown counts 90 deliveries')
  })

  it('refreshes its counts alone', async () => {
    const { http, path, part, reader } = await aSentMailing()
    const first = await part(`${path}/counts`).expect(200)
    expect(first.text).toContain('hx-trigger="every 10s, refresh"')
    expect(first.text).not.toContain('<html')
    const again = () =>
      part(`${path}/counts`).set('X-Refresh', '1').set('HX-PTag', String(first.headers['hx-ptag']))
    await again().expect(304)
    await reader('delivered', 'opened')
    expect(value((await again().expect(200)).text, 'people-opened')).toBe('1')
    expect((await http.get(`${path}/counts`).expect(200)).text).toContain('<html')
  })
})

describe('the curve of a mailing', () => {
  it('grows by the hour for three days, then by the day', async () => {
    const app = await aSentMailing()
    const { id } = await app.reader('delivered')
    const at = (milliseconds: number, kind: EngagementKind) =>
      anEngagement(app, { contactId: id, mailingId: app.mailing.id, kind, happenedAt: sentAt + milliseconds })
    await at(-500, 'opened')
    await at(30 * 60_000, 'opened')
    await at(90 * 60_000, 'clicked')
    await at(30 * hourLength, 'opened')
    const rows = (page: string) => {
      const table = /aria-label="Opens and clicks since sending"[\s\S]*?<\/table>/.exec(page)![0]
      return [...table.matchAll(/<tr><th scope="row">.*?<\/tr>/g)].map(([row]) =>
        [...row.matchAll(/data-value="(\d+)"/g)].map(([, figure]) => Number(figure)),
      )
    }
    const hours = rows(await app.page())
    // Sent two days ago: the beginning and 48 hours.
    expect(hours).toHaveLength(49)
    expect(hours[0]).toEqual([0, 0, 0, 0])
    expect(hours[1]).toEqual([2, 0, 2, 0])
    expect(hours[2]).toEqual([2, 1, 0, 1])
    expect(hours[31]).toEqual([3, 1, 1, 0])
    expect(hours.at(-1)).toEqual([3, 1, 0, 0])
    expect(rows(await app.page('?span=30d'))).toEqual([
      [0, 0, 0, 0],
      [2, 1, 2, 1],
      [3, 1, 1, 0],
    ])
  })
})

describe('the links of a mailing', () => {
  it('stand with their clicks and people, the most clicked first', async () => {
    const { reader, page } = await aSentMailing()
    const click = (url: string) => ({ kind: 'clicked' as const, url })
    await reader(click('https://a.example/one'), click('https://b.example/two'))
    await reader(click('https://b.example/two'), click('https://b.example/two'))
    const text = await page()
    const links = /id="links"[\s\S]*?<\/table>/.exec(text)![0]
    const rows = [
      ...links.matchAll(/href="(https:[^"]*)"[\s\S]*?data-value="(\d+)"[\s\S]*?data-value="(\d+)"/g),
    ]
    expect(rows.map(([, ...row]) => row)).toEqual([
      ['https://b.example/two', '3', '2'],
      ['https://a.example/one', '1', '1'],
    ])
  })
})

describe('the people behind the numbers', () => {
  it('stand in groups that are as large as they say', async () => {
    const { reader, page, path, part } = await aSentMailing()
    await reader('delivered', 'opened')
    await reader('delivered')
    await reader('sent')
    await reader('bounced')
    await reader('delivered', { kind: 'opened', userAgent: 'Mozilla/5.0' })
    await reader('deferred')
    const sizes = (text: string) =>
      Object.fromEntries<number>(
        [...text.matchAll(/who=([\w-]+)[^>]*>[^<]*<span class="count" data-value="(\d+)"/g)].map(
          ([, group, size]) => [String(group), Number(size)],
        ),
      )
    const text = await page()
    expect(sizes(text)).toMatchObject({ opened: 1, 'not-opened': 3, bounced: 1, delivered: 4 })
    expect(named(text)).toEqual(['reader-1'])
    expect(sizes(await page('?machines=1'))).toMatchObject({ opened: 2, 'not-opened': 2 })
    for (const machines of ['', '&machines=1'])
      for (const [group, size] of Object.entries(sizes(await page(`?x=1${machines}`))))
        expect(named(await page(`?who=${group}${machines}`)), group).toHaveLength(size)

    const tab = await part(`${path}/people?who=bounced`).expect(200)
    expect(named(tab.text)).toEqual(['reader-4'])
    expect(tab.headers['hx-push-url']).toBe(`${path}?who=bounced`)
  })

  it('come in pages by key, and the erased without a name', async () => {
    const { reader, page, part, path, audience } = await aSentMailing()
    for (let index = 0; index < 53; index++) await reader('opened')
    const last = await reader('opened')
    await audience.erase(last.id)
    const first = await page()
    expect(first).toContain('An erased person')
    expect(named(first)).toHaveLength(49)
    expect(first).toMatch(/<span data-value="50">50<\/span> of <span data-value="54">54 people/)
    const next = /id="more-people" href="[^"]*" hx-get="([^"]*)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const more = (await part(next).expect(200)).text
    expect(named(more)).toEqual(['reader-4', 'reader-3', 'reader-2', 'reader-1'])
    expect(more).toContain('<hx-partial hx-target="#people-foot"')
    expect(more).not.toContain('id="more-people"')
    expect(path).toBeTruthy()
  })
})

describe('what leads on from a mailing', () => {
  it('names its list', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const { id } = await aMailing(app, { list_id: list.id })
    expect((await http.get(`/mailings/${id}`).expect(200)).text).toContain(`href="/lists/${list.id}"`)
  })
})
