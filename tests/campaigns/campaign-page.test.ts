import { describe, expect, it } from 'vitest'
import { dayLength, hourLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

async function aPage(given: Parameters<typeof aCampaign>[1] = {}) {
  const app = await testApp()
  const campaign = await aCampaign(app, given)
  const { http, part } = await aPerson(app)
  const path = `/campaign/${campaign.id}`
  return {
    ...app,
    path,
    cid: campaign.id,
    http,
    event: (event: Record<string, string | number> = {}) =>
      anEvent(app, { cid: campaign.id, ip: '', ...event }),
    page: async (query = '') => (await http.get(path + query).expect(200)).text,
    part: async (rest: string) => (await part(path + rest).expect(200)).text,
    ask: part,
  }
}
const figure = (html: string, id: string) =>
  new RegExp(`id="${id}" data-value="([^"]*)">([^<]*)<`).exec(html)?.slice(1)
const addresses = (html: string) =>
  [...html.matchAll(/class="row-link"[^>]*>([^<]*)</g)].map(([, email]) => email)
const words = (html: string) => html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')

describe('the campaign page', () => {
  it.each([
    [5, '7 days'],
    [20, '30 days'],
    [60, '90 days'],
    [200, 'All'],
  ])('opens with a range in which something happened: after %i quiet days, %s', async (days, label) => {
    const { page, event, db } = await aPage()
    await event()
    await db
      .updateTable('campaign_counts')
      .set({ last_at: testStart - days * dayLength })
      .execute()
    expect(await page()).toMatch(new RegExp(`aria-current="true"[^>]*>${label}<`))
    expect(await page('?range=24h')).toMatch(/aria-current="true"[^>]*>24 h</)
  })

  it('holds every part just as htmx gets it', async () => {
    const { page, part, event } = await aPage()
    await event()
    await event({ event: 'conversion', email: 'orphan@x.example', domain: 'two.example' })
    for (const query of ['', '?machines=1&sort=rate&order=asc&range=30d&email=ada&event=email_click']) {
      const whole = await page(query)
      for (const name of ['stats', 'series', 'domains', 'users']) {
        // Around an include, blank lines differ.
        const tidy = (html: string) => html.replace(/\s+/g, ' ').trim()
        expect(tidy(whole)).toContain(tidy(await part(`/${name}${query}`)))
      }
    }
  })

  it('is not there for campaigns that are not', async () => {
    const { http, db, cid } = await aPage()
    const gone = await http.get('/campaign/412').expect(404)
    expect(gone.text).toContain(
      'There is no campaign 412. It may have been deleted, or a digit went astray on the way.',
    )
    for (const path of [
      '/campaign/x',
      '/campaign/0',
      '/campaign/1e3',
      '/campaign/9/stats',
      '/campaign/9/events.csv',
    ])
      await http.get(path).expect(404)
    await http.get(`/campaign/${cid}/users/77`).expect(404)
    await db.updateTable('campaigns').set({ deleted_at: testStart }).execute()
    await http.get(`/campaign/${cid}`).expect(404)
  })

  it('takes any nonsense in its address for the default', async () => {
    const { page, event, http, path } = await aPage()
    await event()
    const plain = addresses(await page())
    const nonsense =
      '?machines=maybe&range=1y&sort=%00&order=up&domain=..&event=x&offset=-1&after=NaN&open=1e99&compare='
    expect(addresses(await page(nonsense))).toEqual(plain)
    await http.get(`${path}?email=a&email=b&range=7d&range=30d`).expect(200)
    await http.get(`${path}/journeys.csv${nonsense}`).expect(200)
  })
})

describe('overall stats', () => {
  it('count events and people, and name conversions without a click', async () => {
    const { page, event, clock } = await aPage()
    await event({ email: 'ada@x.example' })
    await event({ email: 'ada@x.example' })
    await event({ email: 'bob@x.example' })
    clock.pass(60_000)
    await event({ email: 'ada@x.example', event: 'landing_click' })
    await event({ email: 'ada@x.example', event: 'conversion' })
    await event({ email: 'eve@x.example', event: 'conversion' })
    const html = await page()
    expect(figure(html, 'email-clicks')).toEqual(['3', '3'])
    expect(figure(html, 'landing-clicks')).toEqual(['1', '1'])
    expect(figure(html, 'conversions')).toEqual(['2', '2'])
    expect(figure(html, 'conversion-rate')).toEqual([String(2 / 3), '66.67%'])
    expect(words(html)).toContain('2 people, 1 without a click')
    expect(words(html)).toContain('100.00% of people')
  })

  it('have a dash where there is no rate, and a way on', async () => {
    const { page, cid } = await aPage()
    const html = await page()
    expect(figure(html, 'conversion-rate')).toEqual(['', '–'])
    expect(html).toContain(`href="/campaign/${cid}/integration">Put the link and the snippet in place`)
  })

  it('leave machines out until somebody asks for them', async () => {
    const { page, event } = await aPage()
    await event()
    await event({ email: 'bot@x.example', ua: 'curl/8.5.0' })
    const without = await page()
    expect(figure(without, 'email-clicks')).toEqual(['1', '1'])
    expect(words(without)).toContain('1 machine click left out, 50.0% of all events · show')
    expect(figure(without, 'machine-events')).toEqual(['1', '1 machine click'])
    expect(figure(without, 'machine-share')).toEqual(['0.5', '50.0%'])
    expect(addresses(without)).toHaveLength(1)
    const withThem = await page('?machines=1')
    expect(figure(withThem, 'email-clicks')).toEqual(['2', '2'])
    expect(words(withThem)).toContain('1 machine click included, 50.0% of all events · leave out')
    expect(addresses(withThem)).toHaveLength(2)
    expect(withThem).toContain('/stats?machines=1"')
  })

  it('name machine conversions too, also where there is nothing else', async () => {
    const { page, event } = await aPage()
    const bot = { email: 'bot@x.example', ua: 'curl/8.5.0' }
    await event({ ...bot, event: 'conversion' })
    expect(words(await page())).toContain('1 machine event left out, 100.0% of all events · show')
    await event({ ...bot, email: 'other@x.example', event: 'landing_click' })
    await event()
    expect(words(await page())).toContain('2 machine events left out, 66.7% of all events · show')
    expect(words(await page('?machines=1'))).toContain('2 machine events included, 66.7% of all events')
  })

  it('carry the raw value of every number', async () => {
    const { page, event } = await aPage()
    await event()
    await event({ event: 'landing_click', domain: 'two.example' })
    await event({ event: 'conversion', email: 'orphan@x.example' })
    const html = await page()
    for (const [id, value, shown] of [
      ['people-email-clicks', '1', '1 person'],
      ['people-landing-clicks', '1', '1 person'],
      ['people-conversions', '1', '1 person,'],
      ['orphans', '1', '1 without a click'],
      ['people-rate', '1', '100.00% of people'],
      ['funnel-email-clicks', '1', '1'],
      ['funnel-landing-clicks', '1', '1'],
      ['funnel-conversions', '1', '1'],
      ['funnel-domains', '2', '2 sending domains'],
      ['landing-rate', '1', '100.0%'],
      ['order-rate', '1', '100.0%'],
    ] as const)
      expect(figure(html, id), id).toEqual([value, shown])
    expect(html).toContain('<p data-value="2">2 sending domains</p>')
    expect(html).toContain('Showing <span data-value="3">3</span> of <span data-value="3">3 users</span>')
  })

  it('answer a refresh that brings nothing new with 304, and only a refresh', async () => {
    const { ask, path, event } = await aPage()
    await event()
    const first = await ask(`${path}/stats`).set('X-Refresh', '1').expect(200)
    const tag = first.headers['hx-ptag']!
    await ask(`${path}/stats`).set({ 'X-Refresh': '1', 'HX-PTag': tag }).expect(304)
    await ask(`${path}/stats`).set('HX-PTag', tag).expect(200)
    await event()
    await ask(`${path}/stats`).set({ 'X-Refresh': '1', 'HX-PTag': tag }).expect(200)
  })
})

describe('stats by domain', () => {
  const order = (html: string) =>
    [...html.matchAll(/<th class="lead" scope="row">([^<]*)</g)]
      .map(([, name]) => name)
      .filter((name) => name)

  it('are sorted by what the address says, with totals below and names in their own letters', async () => {
    const { part, event, page } = await aPage()
    await event({ domain: 'bücher.example' })
    await event({ domain: 'a.example' })
    await event({ domain: 'a.example' })
    await event({ domain: 'z.example', event: 'conversion', email: 'z@x.example' })
    expect(order(await part('/domains'))).toEqual(['a.example', 'bücher.example', 'z.example'])
    expect(order(await part('/domains?sort=domain&order=desc'))).toEqual([
      'z.example',
      'bücher.example',
      'a.example',
    ])
    const byRate = await part('/domains?sort=rate&order=asc')
    expect(order(byRate).at(-1)).toBe('z.example') // no email click, no rate
    expect(byRate).toMatch(/aria-sort="ascending"><a class="sort" id="sort-rate"/)
    expect(words(await page())).toContain('All domains 3 0 1 33.33%')
  })

  it('warn of a domain that has gone silent, unless the campaign is archived', async () => {
    const { part, event, clock, db } = await aPage()
    for (let index = 0; index < 20; index++) {
      clock.at = testStart - 6 * hourLength - (19 - index) * 240_000
      await event({ email: `p${index}@x.example` })
    }
    clock.at = testStart - 1
    expect(await part('/domains')).not.toContain('Silent')
    clock.pass(1)
    expect(words(await part('/domains'))).toContain('Silent since Sat 21 Nov, 04:00; usually every 4 min')
    await db.updateTable('campaigns').set({ archived_at: clock.now() }).execute()
    expect(await part('/domains')).not.toContain('Silent')
  })
})

describe('over time', () => {
  const rows = (html: string) =>
    [...html.matchAll(/<tr><th scope="row"><time datetime="([^"]*)">.*?<\/tr>/g)].map(([row, at]) => [
      at!,
      ...[...row.matchAll(/data-value="([^"]*)"/g)].map(([, value]) => Number(value)),
    ])

  it('shows hours of a week and days of longer, without gaps, beside the period before', async () => {
    const { part, event, clock } = await aPage()
    clock.at = testStart - 8 * dayLength
    await event()
    await event({ event: 'landing_click', email: 'b@x.example' })
    await event({ event: 'conversion', email: 'c@x.example' })
    clock.at = testStart - dayLength
    await event()
    await event({ event: 'landing_click' })
    clock.at = testStart
    await event()

    const week = await part('/series')
    expect(rows(week)).toHaveLength(168)
    expect(rows(week).at(-1)).toEqual(['2026-11-21T10:00:00.000Z', 1, 0, 0, 0, 0, 0])
    expect(rows(week).at(-25)).toEqual(['2026-11-20T10:00:00.000Z', 1, 1, 0, 1, 1, 1])
    for (const name of ['Email clicks', 'Landing clicks', 'Conversions'])
      expect(week).toMatch(
        new RegExp(`<th class="num" scope="col" data-series="before_\\w+">${name} 7 days before`),
      )
    expect(week).toMatch(
      /data-series="landing_clicks" data-value="0">0<\/strong><span class="key__before"><span data-series="before_landing_clicks" data-value="0">0<\/span> before/,
    )
    expect(rows(await part('/series?compare=0')).at(-25)).toEqual(['2026-11-20T10:00:00.000Z', 1, 1, 0])
    expect(rows(await part('/series?range=24h'))).toHaveLength(24)
    const month = rows(await part('/series?range=30d'))
    expect(month).toHaveLength(30)
    expect(month.at(-2)).toEqual(['2026-11-20T00:00:00.000Z', 1, 1, 0])
    expect(week).toContain(
      'aria-label="Clicks, landings and conversions in the last 7 days, by hour: 2 email clicks, 1 landing clicks and 0 conversions.',
    )
  })

  it('shows hours or days as somebody chooses, where both can be read', async () => {
    const { part, page, event, ask, path } = await aPage()
    await event()
    const units = (html: string) =>
      [...html.matchAll(/<a id="by-(\w+)" href="([^"]*)"( aria-current="true")?/g)].map(
        ([, unit, href, current]) => [unit, href!.replace(/^.*?(\?|#)/, '$1'), Boolean(current)],
      )
    expect(rows(await part('/series?range=7d&by=day'))).toHaveLength(7)
    expect(rows(await part('/series?range=30d&by=hour'))).toHaveLength(720)
    for (const [range, count] of [
      ['24h', 24],
      ['90d', 90],
      ['all', 7],
    ] as const)
      for (const by of ['hour', 'day']) {
        const html = await part(`/series?range=${range}&by=${by}`)
        expect(rows(html)).toHaveLength(count)
        expect(units(html)).toEqual([])
      }
    expect(units(await page('?range=7d'))).toEqual([
      ['hour', '?range=7d#time', true],
      ['day', '?range=7d&amp;by=day#time', false],
    ])
    expect(units(await page('?range=30d&by=hour'))).toEqual([
      ['hour', '?range=30d&amp;by=hour#time', true],
      ['day', '?range=30d#time', false],
    ])
    const answer = await ask(`${path}/series?by=`)
      .set('HX-Current-URL', `http://localhost:3000${path}?range=30d&by=hour`)
      .expect(200)
    expect(answer.headers['hx-push-url']).toBe(`${path}?range=30d`)
    expect(rows(answer.text)).toHaveLength(30)
  })

  it('gathers the whole past in units that can still be read', async () => {
    const { part, event, clock } = await aPage()
    clock.at = testStart - 3 * dayLength
    await event()
    clock.at = testStart
    expect(rows(await part('/series?range=all'))).toHaveLength(7)
    clock.at = testStart - 799 * dayLength
    await event()
    clock.at = testStart
    const weeks = rows(await part('/series?range=all'))
    expect(weeks.length).toBe(115)
    expect(weeks[0]).toEqual(['2024-09-09T00:00:00.000Z', 1, 0, 0])
    clock.at = testStart - 4_000 * dayLength
    await event()
    clock.at = testStart
    const months = rows(await part('/series?range=all'))
    expect(months.length).toBe(132)
    expect(months.reduce((sum, [, clicks]) => sum + Number(clicks), 0)).toBe(3)
  })
})

describe('user journeys', () => {
  it('load more without repeating or missing anybody while events arrive', async () => {
    const { event, page, part } = await aPage()
    for (let index = 1; index <= 70; index++) await event({ email: `p${index}@x.example` })
    const first = await page()
    expect(addresses(first)).toHaveLength(50)
    expect(words(first)).toContain('Showing 50 of 70 users Load more')
    const next = /id="load-more"[^>]*hx-get="([^"]*)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    expect(next).toMatch(/\/users\?offset=50&after=\d+$/)

    await event({ email: 'late@x.example' })
    await event({ email: 'p1@x.example' })
    const more = await part(next.replace(/^\/campaign\/\d+/, ''))

    const everybody = [...addresses(first), ...addresses(more)]
    expect(everybody).toEqual(Array.from({ length: 70 }, (_, index) => `p${70 - index}@x.example`))
    expect(more).toContain('<hx-partial hx-target="#journey-foot" hx-swap="outerHTML">')
    expect(words(more)).toContain('Showing 70 of 71 users 1 newer · Show from the top')
    const top = /id="from-the-top"[^>]*hx-get="([^"]*)"/.exec(more)![1]!.replace(/^\/campaign\/\d+/, '')
    expect(addresses(await part(top)).slice(0, 2)).toEqual(['late@x.example', 'p70@x.example'])
    expect(more).not.toContain('<html')

    // Without JavaScript the same link is a page of its own.
    const href = /id="load-more" href="([^"]*)#journeys"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const second = await page(href.replace(/^\/campaign\/\d+/, ''))
    expect(addresses(second)).toEqual(addresses(more))
    expect(words(second)).toContain('Showing 51 to 70 of 71 users 1 newer · Show from the top')
  })

  it('filter by domain, event and part of an address, and keep the filter in the address', async () => {
    const { event, part, page, ask, path } = await aPage()
    await event({ email: 'ada@x.example', domain: 'bücher.example' })
    await event({ email: 'bob@x.example', domain: 'two.example' })
    await event({ email: 'cleo@x.example', domain: 'two.example', event: 'landing_click' })
    expect(addresses(await part('/users?domain=bücher.example'))).toEqual(['ada@x.example'])
    expect(addresses(await part('/users?domain=two.example&event=landing_click'))).toEqual(['cleo@x.example'])
    expect(addresses(await part('/users?email=O'))).toEqual(['cleo@x.example', 'bob@x.example'])
    expect(words(await part('/users?email=nobody'))).toContain('Nobody matches. Show everybody')
    const chosen = await page('?domain=two.example&event=landing_click&email=cl')
    expect(chosen).toContain('<option value="two.example" selected>')
    expect(chosen).toContain('<option value="landing_click" selected>')
    expect(chosen).toContain('name="email" value="cl"')

    const answer = await ask(`${path}/users?range=24h&email=bob&domain=&event=`)
      .set('HX-Current-URL', `http://localhost:3000${path}?range=30d&event=landing_click&offset=50&after=2`)
      .expect(200)
    expect(addresses(answer.text)).toEqual(['bob@x.example'])
    expect(answer.headers['hx-push-url']).toBe(`${path}?range=30d&email=bob`)
    // The links to CSV elsewhere on the page follow.
    expect(answer.text).toContain('<hx-partial hx-target="#exports" hx-swap="outerHTML">')
    for (const table of ['events', 'journeys', 'domains'])
      expect(answer.text).toContain(`<a href="${path}/${table}.csv?range=30d&amp;email=bob">`)
  })

  it('open to what the person did, and close again', async () => {
    const { event, part, page, clock, http, path } = await aPage()
    const id = await event({ email: 'ada@x.example', link: 'hero', colour: 'blue <b>' })
    clock.pass(500)
    await event({ email: 'ada@x.example', event: 'landing_click', domain: 'two.example' })
    const open = await part(`/users/${id}`)
    expect(open).toContain('aria-expanded="true"')
    expect(words(open)).toMatch(/10:00:00 Email click link=hero · colour=blue &lt;b&gt; · desktop/)
    expect(words(open)).toContain(
      'Landing click on two.example desktop Suspected: the landing click came under 0.8 seconds after the email click',
    )
    expect(await part(`/users/${id}?close`)).toContain(
      `<hx-partial hx-target="#events-${id}" hx-swap="delete">`,
    )
    const whole = await page(`?open=${id}&email=nobody`)
    expect(addresses(whole)).toEqual(['ada@x.example'])
    expect(whole).toContain('class="journey-open"')
    expect((await http.get(`${path}/users/${id}`).expect(200)).text).toContain('class="journey-open"')
  })

  it('show when each step was first taken, and who was only a machine', async () => {
    const { event, page, clock } = await aPage()
    clock.at = testStart - hourLength
    await event({ email: 'ada@x.example' })
    clock.at = testStart
    await event({ email: 'ada@x.example', event: 'conversion' })
    await event({ email: 'bot@x.example', ua: 'curl/8.5.0' })
    const html = await page('?machines=1')
    expect(html).toContain('title="First Sat 21 Nov 2026, 09:00:00 UTC"')
    expect(html).toContain('title="By a machine"')
    expect(words(html)).toMatch(
      /ada@x\.example news\.fernweh\.example ✓ yes, first Sat 21 Nov, 09:00 ✗ no ✓ yes/,
    )
  })
})
