import { describe, expect, it } from 'vitest'
import { AddressRates, burstsAmong, judge, reason, reasonsInWords } from '../../src/campaigns/verdict.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent, firefox } from '../support/builders.js'

const verdictsOf = async ({ db }: Awaited<ReturnType<typeof testApp>>) =>
  (await db.selectFrom('events').select(['id', 'verdict', 'reasons']).orderBy('id').execute()).map(
    ({ verdict, reasons }) => [['person', 'suspected', 'machine'][verdict], reasons],
  )

describe('a verdict', () => {
  it('needs two suspicions, or one certainty', () => {
    expect(judge(0)).toBe(0)
    expect(judge(reason.rate)).toBe(1)
    expect(judge(reason.haste)).toBe(1)
    expect(judge(reason.rate | reason.haste)).toBe(2)
    expect(judge(reason.agent)).toBe(2)
    expect(judge(reason.burst)).toBe(2)
  })

  it('tells its reasons in words', () => {
    expect(reasonsInWords(reason.agent | reason.rate)).toEqual([
      'the user agent is a bot or an HTTP library',
      'more than 60 events a minute from this address',
    ])
    expect(reasonsInWords(0)).toEqual([])
  })
})

describe('the user agent', () => {
  it.each([
    ['Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)'],
    ['python-requests/2.32.0'],
    ['curl/8.5.0'],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/143.0.0.0 Safari/537.36',
    ],
  ])('of a recipient that is a program makes a machine: %s', async (ua) => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id, ua })
    expect(await verdictsOf(app)).toEqual([['machine', reason.agent]])
  })

  it.each([['curl/8.5.0'], ['PHP/8.3'], ['python-requests/2.32.0'], ['node'], ['']])(
    'of a server that reports for its recipients is neither judged nor stored: "%s"',
    async (agent) => {
      const app = await testApp()
      const { id } = await aCampaign(app)
      await app.http
        .get('/api/event')
        .set('User-Agent', agent)
        .query({
          cid: id,
          event: 'email_click',
          email: 'ada@fernmail.example',
          domain: 'news.fernweh.example',
        })
        .expect(200)
      const event = await app.db.selectFrom('events').selectAll().executeTakeFirstOrThrow()
      expect(event).toMatchObject({
        verdict: 0,
        user_agent_id: null,
        address: null,
        device: null,
        country: null,
      })
    },
  )

  it('of a browser that reports for itself is stored and judged, and so is its address', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    const query = {
      cid: id,
      event: 'email_click',
      email: 'ada@fernmail.example',
      domain: 'news.fernweh.example',
    }
    await app.http.get('/api/event').set('User-Agent', firefox).query(query).expect(200)
    await app.http.get('/api/event').set('User-Agent', 'Googlebot/2.1').query(query).expect(200)
    const events = await app.db.selectFrom('events').selectAll().orderBy('id').execute()
    expect(events[0]).toMatchObject({ verdict: 0, device: 'desktop' })
    expect(events[0]!.address).toMatch(/^[\w-]{22}$/)
    expect(events[1]).toMatchObject({ verdict: 2, device: null })
  })
})

describe('a burst', () => {
  const clicks = (...given: [link: string, at: number][]) =>
    given.map(([link, happened_at], index) => ({ id: index + 1, campaign_id: 1, link, happened_at }))

  it('is three different links within ten seconds', () => {
    expect([...burstsAmong(clicks(['a', 0], ['b', 4_000], ['c', 10_000]))]).toEqual([1, 2, 3])
    expect([...burstsAmong(clicks(['a', 0], ['b', 4_000], ['c', 10_001]))]).toEqual([])
    expect([...burstsAmong(clicks(['a', 0], ['b', 1], ['a', 2], ['b', 3]))]).toEqual([])
    expect([
      ...burstsAmong(clicks(['a', 0], ['a', 9_000], ['b', 9_500], ['c', 9_900], ['c', 30_000])),
    ]).toEqual([1, 2, 3, 4])
    expect([...burstsAmong(clicks(['a', 0], ['a', 1], ['b', 10_001], ['c', 10_001]))]).toEqual([2, 3, 4])
  })

  it('marks all of its clicks, those already stored too, across campaigns', async () => {
    const app = await testApp()
    const one = await aCampaign(app)
    const two = await aCampaign(app, { name: 'Winter Warmers' })
    await anEvent(app, { cid: one.id, link: 'hero' })
    app.clock.pass(3_000)
    await anEvent(app, { cid: one.id, link: 'footer' })
    expect(await verdictsOf(app)).toEqual([
      ['person', 0],
      ['person', 0],
    ])
    app.clock.pass(3_000)
    await anEvent(app, { cid: two.id, link: 'hero' })
    expect(await verdictsOf(app)).toEqual([
      ['machine', reason.burst],
      ['machine', reason.burst],
      ['machine', reason.burst],
    ])
    const counts = await app.db.selectFrom('campaign_counts').selectAll().orderBy('campaign_id').execute()
    expect(counts[0]).toMatchObject({ email_clicks: 0, machine_email_clicks: 2, people_email_clicks: 0 })
    expect(counts[1]).toMatchObject({ email_clicks: 0, machine_email_clicks: 1, all_people_email_clicks: 1 })
  })

  it('is not the same link three times, nor another recipient', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    for (let i = 0; i < 3; i++) await anEvent(app, { cid: id, link: 'hero' })
    await anEvent(app, { cid: id, link: 'footer' })
    await anEvent(app, { cid: id, link: 'top', email: 'ben@posteo.example' })
    expect((await verdictsOf(app)).every(([verdict]) => verdict === 'person')).toBe(true)
  })
})

describe('the rate of an address', () => {
  it('is exceeded by the sixty-first event in a minute', () => {
    const rates = new AddressRates()
    for (let i = 0; i < 60; i++) {
      expect(rates.exceeds('a', i * 100)).toBe(false)
      rates.add('a', i * 100)
    }
    expect(rates.exceeds('a', 59_999)).toBe(true)
    expect(rates.exceeds('a', 60_000)).toBe(false)
    expect(rates.exceeds('b', 59_999)).toBe(false)
  })

  it('is forgotten of those who have been quiet longest, where more come than can be kept', () => {
    const rates = new AddressRates({ addresses: 2 })
    for (let i = 0; i < 60; i++) rates.add('a', i)
    rates.add('b', 60)
    expect(rates.exceeds('a', 61)).toBe(true)
    rates.add('c', 62)
    rates.add('d', 63)
    expect(rates.exceeds('a', 64)).toBe(false)
  })

  it('makes the event suspected, which still counts', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    for (let i = 0; i < 61; i++) await anEvent(app, { cid: id, email: `reader${i}@fernmail.example` })
    const verdicts = await verdictsOf(app)
    expect(verdicts[59]).toEqual(['person', 0])
    expect(verdicts[60]).toEqual(['suspected', reason.rate])
    const counts = await app.db.selectFrom('campaign_counts').selectAll().executeTakeFirstOrThrow()
    expect(counts.email_clicks).toBe(61)
  })
})

describe('haste', () => {
  it.each([
    [799, 'suspected'],
    [800, 'person'],
  ])('a landing click %i ms after the email click: %s', async (delay, verdict) => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    app.clock.pass(delay as number)
    await anEvent(app, { cid: id, event: 'landing_click' })
    expect((await verdictsOf(app))[1]![0]).toBe(verdict)
  })

  it('is judged within a campaign', async () => {
    const app = await testApp()
    const one = await aCampaign(app)
    const two = await aCampaign(app)
    await anEvent(app, { cid: one.id })
    await anEvent(app, { cid: two.id, event: 'landing_click' })
    expect((await verdictsOf(app))[1]).toEqual(['person', 0])
  })

  it('and too many from one address are two suspicions: a machine', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    for (let i = 0; i < 61; i++) await anEvent(app, { cid: id, email: `reader${i}@fernmail.example` })
    await anEvent(app, { cid: id, event: 'landing_click', email: 'reader0@fernmail.example' })
    expect((await verdictsOf(app))[61]).toEqual(['machine', reason.rate | reason.haste])
  })
})
