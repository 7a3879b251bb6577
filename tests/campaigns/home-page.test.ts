import { describe, expect, it } from 'vitest'
import { dayLength } from '../../src/web/calendar.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

async function home() {
  const app = await testApp()
  return { ...app, person: await aPerson(app) }
}

/** The names of the listed campaigns, from the first row to the last. */
const listed = (page: string) => [...page.matchAll(/class="row-link"[^>]*>([^<]*)</g)].map(([, name]) => name)
const figure = (page: string, id: string) => new RegExp(`id="${id}"[^>]*data-value="([^"]*)"`).exec(page)?.[1]

/** What an event was, so many days ago. */
async function anEventAgo(
  app: Awaited<ReturnType<typeof testApp>>,
  days: number,
  event: { cid: number; event?: string; email?: string },
) {
  const at = app.clock.at
  app.clock.at = at - days * dayLength
  await anEvent(app, event)
  app.clock.at = at
}

describe('the home page', () => {
  it('leads to the first campaign when there is none', async () => {
    const { person } = await home()

    const { text } = await person.http.get('/').expect(200)

    expect(text).toContain('<title>Your Campaigns')
    expect(text).toContain('href="/create"')
    expect(text).toContain('<mark>http://localhost:3000</mark>/api/event?cid=1')
    expect(text).toContain('npm run demo')
    expect(text).toContain('No events yet')
  })

  it('asks strangers to log in', async () => {
    const { http } = await testApp()
    await http.get('/').expect(303).expect('Location', '/login')
  })

  it('shows each campaign with its clicks, conversions and rate of all time', async () => {
    const app = await home()
    const { id } = await aCampaign(app, { name: 'Autumn', offer_url: 'https://www.paperboat.example/autumn' })
    await anEventAgo(app, 200, { cid: id })
    await anEvent(app, { cid: id, email: 'bob@fernmail.example' })
    await anEvent(app, { cid: id, event: 'conversion' })

    const { text } = await app.person.http.get('/').expect(200)

    expect(listed(text)).toEqual(['Autumn'])
    expect(text).toContain('<span class="beside">paperboat.example')
    expect(figure(text, `clicks-${id}`)).toBe('2')
    expect(figure(text, `conv-${id}`)).toBe('1')
    expect(figure(text, `rate-${id}`)).toBe('0.5')
    expect(figure(text, 'clicks')).toBe('2')
    expect(figure(text, 'conversions')).toBe('1')
    expect(figure(text, 'rate')).toBe('0.5')
    expect(figure(text, 'campaigns')).toBe('1')
    expect(text).toContain('Last event </span><time datetime="2026-11-21T10:00:00.000Z"')
  })

  it('has no rate where nobody clicked', async () => {
    const app = await home()
    const { id } = await aCampaign(app)

    const { text } = await app.person.http.get('/')

    expect(figure(text, `rate-${id}`)).toBe('')
    expect(figure(text, 'rate')).toBe('')
    expect(text).toContain('no events yet')
  })

  it('counts a period when one is picked, against the one before it', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    await anEventAgo(app, 20, { cid: id })
    await anEventAgo(app, 10, { cid: id })
    await anEventAgo(app, 6, { cid: id, email: 'bob@fernmail.example' })
    await anEvent(app, { cid: id, email: 'cleo@fernmail.example' })

    const { text } = await app.person.http.get('/?days=7').expect(200)

    expect(figure(text, 'clicks')).toBe('2')
    expect(figure(text, `clicks-${id}`)).toBe('2')
    expect(text).toMatch(
      /id="clicks"[\s\S]*?data-value="1"[^>]*>[\s\S]*?100\.0%[\s\S]*?data-value="1">1 before/,
    )
    expect(text).toContain('role="status"><span data-value="1">1 campaign</span></p>')
    expect(text).toContain('aria-current="true">7 days</a>')
  })

  it('compares a morning with the same morning, not with a whole day', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    await anEventAgo(app, 7 - 0.25, { cid: id }) // six hours after the span before it ends
    await anEvent(app, { cid: id, email: 'bob@fernmail.example' })

    const { text } = await app.person.http.get('/?days=7')

    expect(text).toMatch(/id="clicks"[\s\S]*?0 before/)
  })

  it('answers htmx with the very part of the page that changes', async () => {
    const app = await home()
    await aCampaign(app)

    const page = await app.person.http.get('/?sort=name')
    const part = await app.person.part('/?sort=name').expect(200)

    expect(page.text).toContain(part.text.trim())
    expect(part.text).toContain('hx-trigger="every 30s, refresh"')
  })

  it('answers 304 to a refresh while nothing has changed, and never to a click on a filter', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    const first = await app.person.part('/').set('X-Refresh', '1').expect(200)
    const tag = first.get('HX-PTag')!

    await app.person.part('/').set({ 'X-Refresh': '1', 'HX-PTag': tag }).expect(304)
    await app.person.part('/').set('HX-PTag', tag).expect(200)
    await anEvent(app, { cid: id })
    await app.person.part('/').set({ 'X-Refresh': '1', 'HX-PTag': tag }).expect(200)
  })

  it('gives the whole page to the back button and to what replaces the body', async () => {
    const app = await home()
    for (const header of [{ 'HX-History-Restore-Request': 'true' }, { 'HX-Request-Type': 'full' }])
      expect((await app.person.part('/').set(header)).text).toContain('<!doctype html>')
  })

  it('puts a tidy address in the place of what the form says', async () => {
    const app = await home()
    await aCampaign(app)
    const search = await app.person.part('/?q=autumn&sort=id')
    expect(search.get('HX-Replace-Url')).toBe('/?q=autumn')
    expect((await app.person.part('/?q=autumn')).get('HX-Replace-Url')).toBeUndefined()
  })

  it('finds campaigns by name and by offer, in whatever case', async () => {
    const app = await home()
    await aCampaign(app, { name: 'Émigré type', offer_url: 'https://letterform.example/' })
    await aCampaign(app, { name: 'Night trains', offer_url: 'https://nachtzug.example/' })
    const find = async (q: string) => listed((await app.person.http.get('/').query({ q })).text)

    expect(await find('éMIGRÉ')).toEqual(['Émigré type'])
    expect(await find('NACHTZUG')).toEqual(['Night trains'])
    expect(await find('100%')).toEqual([])
  })

  it('says so when nothing matches, with a way out, and repeats no markup', async () => {
    const app = await home()
    await aCampaign(app)
    const { text } = await app.person.http.get('/').query({ q: '<b>x' }).expect(200)
    expect(text).toContain('No active campaign matches “&lt;b&gt;x”')
    expect(text).toContain('Show all active campaigns')
    expect(text).not.toContain('<b>x')
  })

  it('sorts by any column, both ways, those without a value last', async () => {
    const app = await home()
    const a = await aCampaign(app, { name: 'b10' })
    app.clock.pass(1000)
    const b = await aCampaign(app, { name: 'B9' })
    app.clock.pass(1000)
    await aCampaign(app, { name: 'a' })
    await anEvent(app, { cid: a.id })
    await anEvent(app, { cid: b.id, email: 'one@fernmail.example' })
    await anEvent(app, { cid: b.id, email: 'two@fernmail.example' })
    await anEvent(app, { cid: a.id, event: 'conversion' })
    const order = async (query: string) => listed((await app.person.http.get(`/?${query}`)).text).join(' ')

    expect(await order('')).toBe('a B9 b10')
    expect(await order('sort=id-asc')).toBe('b10 B9 a')
    expect(await order('sort=name')).toBe('a B9 b10')
    expect(await order('sort=name-desc')).toBe('b10 B9 a')
    expect(await order('sort=clicks')).toBe('B9 b10 a')
    expect(await order('sort=clicks&order=asc')).toBe('a b10 B9')
    expect(await order('sort=conv')).toBe('b10 a B9')
    expect(await order('sort=rate')).toBe('b10 B9 a')
    expect(await order('sort=rate-asc')).toBe('B9 b10 a')
    expect(await order('sort=created-asc')).toBe('b10 B9 a')
    expect(await order('sort=%00&days=lots&state=x&show=1')).toBe('a B9 b10')
    const { text } = await app.person.http.get('/?sort=clicks')
    expect(text).toMatch(/<th[^>]*aria-sort="descending"><a class="sort" href="\/\?sort=clicks-asc"/)
    expect(text.match(/aria-sort/g)).toHaveLength(1)
  })

  it('keeps archived campaigns behind the filter, and sums what it lists', async () => {
    const app = await home()
    const active = await aCampaign(app, { name: 'Active' })
    const archived = await aCampaign(app, { name: 'Archived', archived_at: app.clock.now() })
    await anEvent(app, { cid: active.id })
    await anEvent(app, { cid: archived.id })
    const look = async (query: string) => {
      const { text } = await app.person.http.get(query)
      return { names: listed(text), clicks: figure(text, 'clicks') }
    }
    expect(await look('/')).toEqual({ names: ['Active'], clicks: '1' })
    expect(await look('/?state=archived')).toEqual({ names: ['Archived'], clicks: '1' })
    expect(await look('/?state=all')).toEqual({ names: ['Archived', 'Active'], clicks: '2' })
    expect((await app.person.http.get('/')).text).toContain(
      'Archived <span class="quiet" data-value="1">1</span>',
    )
  })

  it('shows a hundred at once, and all when asked', async () => {
    const app = await home()
    for (let n = 0; n < 102; n++) await aCampaign(app)
    expect(listed((await app.person.http.get('/')).text)).toHaveLength(100)
    expect((await app.person.http.get('/')).text).toContain('Show all 102')
    expect(listed((await app.person.http.get('/?show=all')).text)).toHaveLength(102)
  })
})

describe('the last event', () => {
  it('is told as a part, and forgets deleted campaigns', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    app.clock.pass(4000)
    expect((await app.person.part('/last-event')).text).toContain('4 s ago')
    await app.db.updateTable('campaigns').set({ deleted_at: 1 }).execute()
    expect((await app.person.part('/last-event')).text).toContain('No events yet')
  })
})
