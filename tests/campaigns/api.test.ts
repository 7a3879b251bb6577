import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { campaignApi } from '../../src/campaigns/api.js'
import { campaignDirectory } from '../../src/campaigns/directory.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

async function setUp() {
  const app = await testApp()
  const { token } = await createToken(app.db, 'reports', { by: null, at: app.clock.now() })
  const { operations } = campaignApi({ ...app, directory: campaignDirectory(app.db), now: app.clock.now })
  const authorised = <T extends { set(name: string, value: string): T }>(request: T) =>
    request.set('Authorization', `Bearer ${token}`)
  const get = (path: string) => authorised(app.http.get(`/api/v1${path}`))
  const send = (method: 'post' | 'patch', path: string, body: object) =>
    authorised(app.http[method](`/api/v1${path}`)).send(body)
  /** An answer must be what its own description says, and nothing more. */
  const described = (id: string, status: number, body: unknown) => {
    const { schema } = operations.find((operation) => operation.id === id)!.answers[status]!
    expect(schema!.parse(body)).toEqual(body)
  }
  return { ...app, get, send, authorised, described }
}

describe('who may ask', () => {
  it('wants a token, for whatever stands under /api/v1, and sets no cookie', async () => {
    const { http, get } = await setUp()

    for (const path of ['/campaigns', '/campaigns/1/stats', '/nothing']) {
      const answer = await http.get(`/api/v1${path}`).expect(401)
      expect(answer.body.error).toBe('unauthorized')
      expect(answer.headers['www-authenticate']).toContain('Bearer')
    }
    await http.get('/api/v1/campaigns').set('Authorization', 'Bearer tl_wrong').expect(401)
    const answer = await get('/campaigns').expect(200)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.headers['cache-control']).toBe('no-store')
  })

  it('says in JSON what is not there, or not that way', async () => {
    const { get, authorised, http } = await setUp()

    for (const path of [
      '/campaigns/7',
      '/campaigns/x',
      '/campaigns/7/stats',
      '/campaigns/7/journeys',
      '/campaigns/7/events',
      '/nothing',
    ])
      expect((await get(path).expect(404)).body).toMatchObject({
        error: 'not_found',
        message: expect.any(String),
      })
    const answer = await authorised(http.delete('/api/v1/campaigns/7')).expect(405)
    expect(answer.headers.allow).toBe('GET, PATCH')
    expect(answer.body.error).toBe('method_not_allowed')
  })
})

describe('campaigns', () => {
  it('are created, read and changed', async () => {
    const { get, send, described, db } = await setUp()

    const made = await send('post', '/campaigns', {
      name: ' Winter ',
      offer_url: 'https://shop.example/',
    }).expect(201)
    described('createCampaign', 201, made.body)
    expect(made.headers.location).toBe(`/api/v1/campaigns/${made.body.id}`)
    expect(made.body).toMatchObject({
      name: 'Winter',
      needs_key: false,
      archived_at: null,
      conversion_rate: null,
    })

    const path = `/campaigns/${made.body.id}`
    const changed = await send('patch', path, {
      offer_url: 'https://shop.example/b',
      needs_key: true,
      archived: true,
    }).expect(200)
    described('updateCampaign', 200, changed.body)
    expect(changed.body).toMatchObject({
      name: 'Winter',
      offer_url: 'https://shop.example/b',
      needs_key: true,
      archived_at: '2026-11-21T10:00:00.000Z',
    })
    expect((await send('patch', path, { archived: false }).expect(200)).body).toMatchObject({
      needs_key: true,
      archived_at: null,
    })
    const read = await get(path).expect(200)
    described('getCampaign', 200, read.body)
    expect(read.body.offer_url).toBe('https://shop.example/b')
    expect(await db.selectFrom('campaign_offers').selectAll().execute()).toHaveLength(1)
  })

  it('change for the event door at once', async () => {
    const { send, http, ...app } = await setUp()
    const { id } = await aCampaign(app)
    await anEvent({ http }, { cid: id })

    await send('patch', `/campaigns/${id}`, { needs_key: true }).expect(200)

    await http
      .get('/api/event')
      .query({ cid: id, event: 'email_click', email: 'a@b.example', domain: 'c.example' })
      .expect(403)
  })

  it('are refused with a sentence for each wrong field', async () => {
    const { send, authorised, http, ...app } = await setUp()
    const { id } = await aCampaign(app)

    expect(
      (
        await send('post', '/campaigns', { offer_url: 'shop.example', needs_key: 'yes', offer: 1 }).expect(
          422,
        )
      ).body,
    ).toEqual({
      error: 'validation_error',
      details: {
        name: 'Give the campaign a name.',
        offer_url: expect.stringContaining('The offer URL starts with https://'),
        needs_key: 'The needs_key is true or false.',
        offer: 'There is no such field.',
      },
    })
    expect((await send('patch', `/campaigns/${id}`, {}).expect(422)).body.details).toEqual({
      body: 'Say at least one field to change.',
    })
    expect((await send('patch', `/campaigns/${id}`, { name: '' }).expect(422)).body.details).toHaveProperty(
      'name',
    )
    await send('patch', '/campaigns/99', { name: 'X' }).expect(404)

    const raw = (body: string) => authorised(http.post('/api/v1/campaigns')).type('json').send(body)
    expect((await raw('{"name":').expect(400)).body).toEqual({
      error: 'validation_error',
      details: { body: 'The body is no valid JSON.' },
    })
    expect((await raw('[1]').expect(400)).body.details).toEqual({ body: 'The body is a JSON object.' })
    expect((await raw('7').expect(400)).body.details).toEqual({ body: 'The body is a JSON object.' })
    expect((await raw(`{"name":"${'x'.repeat(110_000)}"}`).expect(413)).body.error).toBe('too_large')
    await authorised(http.post('/api/v1/campaigns')).expect(422)
    await raw('{}').set('Content-Encoding', 'nonsense').expect(400)
  })

  it('are listed newest first, by state, by part of their name or offer, and in pages', async () => {
    const { get, described, ...app } = await setUp()
    for (const name of ['One', 'Two', 'Three'])
      await aCampaign(app, { name, offer_url: `https://${name}.example/` })
    const gone = await aCampaign(app, { name: 'Gone', archived_at: app.clock.now() })
    const names = async (query: string) => {
      const { body } = await get(`/campaigns${query}`).expect(200)
      described('listCampaigns', 200, body)
      return body.campaigns.map(({ name }: { name: string }) => name)
    }

    expect(await names('')).toEqual(['Three', 'Two', 'One'])
    expect(await names('?state=archived')).toEqual(['Gone'])
    expect(await names('?state=all&q=O')).toEqual(['Gone', 'Two', 'One'])
    expect(await names('?q=three.EX')).toEqual(['Three'])
    const first = (await get('/campaigns?state=all&limit=2').expect(200)).body
    expect(first.campaigns[0].id).toBe(gone.id)
    expect(await names(`?state=all&limit=2&after=${first.next}`)).toEqual(['Two', 'One'])
    expect((await get('/campaigns?limit=3').expect(200)).body.next).toBeNull()
  })

  it('say what is wrong with a query', async () => {
    const { get } = await setUp()

    expect((await get('/campaigns?state=old&limit=501&after=x').expect(400)).body).toEqual({
      error: 'validation_error',
      details: {
        state: 'The state is active, archived or all.',
        limit: 'The limit is a number from 1 to 500.',
        after: 'The after is an id.',
      },
    })
  })
})

async function withEvents() {
  const app = await setUp()
  const { id: cid } = await aCampaign(app)
  const shop = { cid, domain: 'shop.fernweh.example' }
  await anEvent(app, { cid, eid: 'visit-1', link: 'hero', utm: 'x' })
  app.clock.pass(60_000)
  await anEvent(app, { cid, event: 'landing_click' })
  await anEvent(app, { cid, email: 'eve@fernmail.example' })
  await anEvent(app, { cid, email: 'eve@fernmail.example' })
  await anEvent(app, { cid, event: 'conversion', eid: 'order-1' })
  await anEvent(app, { ...shop, event: 'conversion', email: 'orphan@fernmail.example' })
  await anEvent(app, { cid, email: 'scanner@fernmail.example', ua: 'Googlebot/2.1' })
  return { ...app, cid, path: `/campaigns/${cid}` }
}

describe('the numbers of a campaign', () => {
  it('are rates in per cent, people, machines beside, and domains', async () => {
    const { get, described, path } = await withEvents()

    const { body } = await get(`${path}/stats`).expect(200)

    described('getCampaignStats', 200, body)
    expect(body).toEqual({
      email_clicks: 3,
      landing_clicks: 1,
      conversions: 2,
      conversion_rate: 66.67,
      unique: { email_clicks: 2, landing_clicks: 1, conversions: 2, conversion_rate: 100 },
      orphan_conversions: 1,
      machine: { email_clicks: 1, landing_clicks: 0, conversions: 0, share: 14.29 },
      domains: [
        {
          domain: 'news.fernweh.example',
          email_clicks: 3,
          landing_clicks: 1,
          conversions: 1,
          conversion_rate: 33.33,
          machine_events: 1,
          silent: false,
          last_event_at: '2026-11-21T10:01:00.000Z',
        },
        {
          domain: 'shop.fernweh.example',
          email_clicks: 0,
          landing_clicks: 0,
          conversions: 1,
          conversion_rate: null,
          machine_events: 0,
          silent: false,
          last_event_at: '2026-11-21T10:01:00.000Z',
        },
      ],
    })
  })

  it('count machines in when asked to', async () => {
    const { get, path } = await withEvents()

    const { body } = await get(`${path}/stats?machines=1`).expect(200)

    expect(body).toMatchObject({ email_clicks: 4, unique: { email_clicks: 3 }, machine: { share: 14.29 } })
    await get(`${path}/stats?machines=yes`).expect(400)
  })

  it('are null where there is nothing to divide by', async () => {
    const { get, described, ...app } = await setUp()
    const { id } = await aCampaign(app)

    const { body } = await get(`/campaigns/${id}/stats`).expect(200)

    described('getCampaignStats', 200, body)
    expect(body).toMatchObject({
      email_clicks: 0,
      conversion_rate: null,
      unique: { conversion_rate: null },
      machine: { share: null },
      domains: [],
    })
  })
})

describe('journeys', () => {
  it('are listed with counts and first times, newest first, in pages', async () => {
    const { get, described, path } = await withEvents()

    const { body } = await get(`${path}/journeys?limit=2`).expect(200)

    described('listJourneys', 200, body)
    expect(body).toMatchObject({ count: 3, count_is_exact: true, next: expect.any(Number) })
    const rest = (await get(`${path}/journeys?limit=2&after=${body.next}`).expect(200)).body
    expect(rest.next).toBeNull()
    expect([...body.journeys, ...rest.journeys].map(({ email }) => email)).toEqual([
      'orphan@fernmail.example',
      'eve@fernmail.example',
      'ada@fernmail.example',
    ])
    expect(rest.journeys[0]).toMatchObject({
      domain: 'news.fernweh.example',
      email_clicks: 1,
      landing_clicks: 1,
      conversions: 1,
      machine_events: 0,
      first_email_click_at: '2026-11-21T10:00:00.000Z',
      first_landing_click_at: '2026-11-21T10:01:00.000Z',
      last_event_at: '2026-11-21T10:01:00.000Z',
    })
  })

  it('are filtered', async () => {
    const { get, path, described } = await withEvents()
    const emails = async (query: string) => {
      const { body } = await get(`${path}/journeys?${query}`).expect(200)
      described('listJourneys', 200, body)
      return body.journeys.map(({ email }: { email: string }) => email.split('@')[0])
    }

    expect(await emails('domain=SHOP.fernweh.example')).toEqual(['orphan'])
    expect(await emails('domain=never.heard.example')).toEqual([])
    expect(await emails('domain=%20')).toEqual([])
    expect(await emails('event=not_landed')).toEqual(['eve'])
    expect(await emails('email=A@FERN')).toEqual(['ada'])
    expect(await emails('machines=1&event=email_click')).toEqual(['scanner', 'eve', 'ada'])
    await get(`${path}/journeys?event=bought&limit=501`).expect(400)
  })
})

describe('events', () => {
  it('are listed oldest first with everything that is known, and go on from an id', async () => {
    const { get, described, path, ...app } = await withEvents()

    const { body } = await get(`${path}/events?limit=2`).expect(200)

    described('listEvents', 200, body)
    expect(body.events[0]).toEqual({
      id: 1,
      event: 'email_click',
      email: 'ada@fernmail.example',
      domain: 'news.fernweh.example',
      happened_at: '2026-11-21T10:00:00.000Z',
      eid: 'visit-1',
      link: 'hero',
      country: null,
      device: 'desktop',
      verdict: 'person',
      reasons: [],
      extra: { utm: 'x' },
    })
    expect(body.next).toBe(2)
    const rest = (await get(`${path}/events?after=2`).expect(200)).body
    expect(rest).toMatchObject({ events: [{ id: 3 }, { id: 4 }, { id: 5 }, { id: 6 }], next: null })
    await anEvent(app, { cid: app.cid, event: 'landing_click', email: 'eve@fernmail.example' })
    expect((await get(`${path}/events?after=7`).expect(200)).body.events).toMatchObject([
      { id: 8, event: 'landing_click' },
    ])
  })

  it('are filtered, and show machines on request with the reason', async () => {
    const { get, path } = await withEvents()
    const ids = async (query: string) =>
      (await get(`${path}/events?${query}`).expect(200)).body.events.map(({ id }: { id: number }) => id)

    expect(await ids('event=conversion')).toEqual([5, 6])
    expect(await ids('domain=shop.fernweh.example')).toEqual([6])
    expect(await ids('domain=nowhere.example')).toEqual([])
    expect(await ids('email=EVE@fernmail.example')).toEqual([3, 4])
    expect(await ids('email=eve')).toEqual([])
    expect(await ids('email=scanner@fernmail.example')).toEqual([])
    const { body } = await get(`${path}/events?machines=1&after=6`).expect(200)
    expect(body.events).toMatchObject([
      { verdict: 'machine', reasons: ['the user agent is a bot or an HTTP library'], device: null },
    ])
    await get(`${path}/events?limit=1001`).expect(400)
  })
})
