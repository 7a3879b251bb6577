import { Writable } from 'node:stream'
import { sql } from 'kysely'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { growthOf, noteSize } from '../../src/operations/disk.js'
import { aPerson, goodPassword } from '../accounts/people.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const day = 86_400_000
const scrape = 'a token for the scraper'.replaceAll(' ', '-')

describe('/metrics', () => {
  it('is for who brings METRICS_TOKEN or an API token', async () => {
    const app = await testApp({ env: { METRICS_TOKEN: scrape } })
    await app.http.get('/metrics').expect(401)
    await app.http.get('/metrics').set('Authorization', 'Bearer another-token-altogether').expect(401)
    await app.http.get('/metrics').set('Authorization', `Bearer ${scrape}`).expect(200)
    const { token } = await createToken(app.db, 'Prometheus', { by: null, at: app.clock.at })
    await app.http.get('/metrics').set('Authorization', `Bearer ${token}`).expect(200)
    const without = await testApp()
    await without.http.get('/metrics').set('Authorization', 'Bearer undefined').expect(401)
  })

  it('tells requests by route, facts, refusals and sizes, and nobody’s address', async () => {
    const app = await testApp({ env: { METRICS_TOKEN: scrape } })
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid, email: 'bo@fernmail.example' })
    await anEvent(app, { cid })
    await app.http
      .get('/api/event')
      .query({ cid: 99, event: 'email_click', email: 'x@y.example', domain: 'a.example' })
    const { get } = await aPerson(app)
    await get(`/campaign/${cid}`).expect(200)
    await get('/somebody@fernmail.example').expect(404)
    await app.http.get('/API/event').expect(400)
    const { text, headers } = await app.http.get('/metrics').set('Authorization', `Bearer ${scrape}`)
    expect(headers['content-type']).toContain('text/plain; version=0.0.4')
    const value = (name: string) =>
      Number(
        text
          .split('\n')
          .find((line) => line.startsWith(`${name} `))
          ?.split(' ')
          .at(-1),
      )
    expect(value('throughline_http_requests_total{method="GET",route="/api/event",status="2xx"}')).toBe(2)
    expect(value('throughline_http_requests_total{method="GET",route="/api/event",status="4xx"}')).toBe(2)
    expect(value('throughline_http_requests_total{method="GET",route="/campaign/:id",status="2xx"}')).toBe(1)
    expect(value('throughline_http_request_duration_seconds_count{method="GET",route="/campaign/:id"}')).toBe(
      1,
    )
    expect(
      value('throughline_http_request_duration_seconds_bucket{method="GET",route="/campaign/:id",le="+Inf"}'),
    ).toBe(1)
    expect(value('throughline_ledger_facts_total')).toBe(2)
    expect(value('throughline_ledger_queue_depth')).toBe(0)
    expect(value('throughline_ledger_commit_duration_seconds_count')).toBe(
      value('throughline_ledger_batches_total'),
    )
    expect(value('throughline_facts_refused_total{reason="field_cid"}')).toBe(2)
    expect(value('throughline_database_bytes')).toBeGreaterThan(100_000)
    expect(value('throughline_database_wal_bytes')).toBeGreaterThan(0)
    expect(text).not.toMatch(/@|fernmail/)
    expect(text).not.toContain(scrape)
  })

  it('tells the lag of webhooks and the age of syncs of providers that are connected', async () => {
    const env = { METRICS_TOKEN: scrape, BUTTONDOWN_API_KEY: 'key' }
    const app = await testApp({ env })
    const at = app.clock.at
    const delivery = { provider: 'buttondown', event_type: 'subscriber.opened', body: null, contact_id: null }
    await app.db
      .insertInto('inbox')
      .values({
        ...delivery,
        key: 'a',
        state: 'done',
        received_at: at - 5000,
        settled_at: at - 3000,
        try_at: null,
        reason: null,
      })
      .execute()
    await app.db
      .insertInto('sync_runs')
      .values({
        provider: 'buttondown',
        kind: 'full',
        state: 'failed',
        started_at: at - 9000,
        seen_at: at,
        ended_at: at - 1000,
        error: 'no',
      })
      .execute()
    const { text } = await app.http.get('/metrics').set('Authorization', `Bearer ${scrape}`)
    expect(text).toContain('throughline_webhook_lag_seconds{provider="buttondown"} 2')
    expect(text).toContain('throughline_webhook_last_delivery_age_seconds{provider="buttondown"} 5')
    expect(text).toContain('throughline_sync_failing{provider="buttondown"} 1')
    expect(text).not.toContain('throughline_sync_age_seconds{')
    expect(text).not.toContain('emailoctopus"')
    const { get } = await aPerson(app)
    const page = await get('/operations').expect(200)
    expect(page.text).toContain('Its last sync failed.')
    expect(page.text).toContain('100.00%')
  })
})

describe('/readyz', () => {
  it('says a word for each thing to strangers, and nothing else', async () => {
    const { http } = await testApp()
    await http
      .get('/readyz')
      .expect(200, { status: 'ok', database: 'ok', queue: 'ok', disk: 'ok', jobs: 'ok' })
  })

  it('answers 503 while something is not well, and looks again after a second', async () => {
    const { http, operations, clock } = await testApp()
    let isWell = false
    operations.enter({ ready: { name: 'tea', isWell: async () => isWell } })
    operations.enter({ ready: { name: 'broken', isWell: async () => Promise.reject(new Error('no')) } })
    const { body } = await http.get('/readyz').expect(503)
    expect(body).toEqual({
      status: 'unavailable',
      database: 'ok',
      queue: 'ok',
      disk: 'ok',
      jobs: 'ok',
      tea: 'unavailable',
      broken: 'unavailable',
    })
    isWell = true
    expect((await http.get('/readyz').expect(503)).body.tea).toBe('unavailable')
    clock.pass(1000)
    expect((await http.get('/readyz').expect(503)).body.tea).toBe('ok')
  })
})

describe('the page Operations', () => {
  it('shows what goes on, what was refused, and what rooms tell of themselves', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid })
    await app.http.get('/api/event').query({ cid: 'x' }).expect(400)
    app.operations.enter({
      lines: async () => [
        { name: 'Backups', at: app.clock.at - 3_600_000, words: 'The last one is proven.', isWell: true },
      ],
    })
    const { get } = await aPerson(app)
    for (let times = 0; times < 3; times++) await get('/settings').expect(200)
    const { text } = await get('/operations').expect(200)
    expect(text).toMatch(/Facts written[\s\S]*?>1</)
    expect(text).toContain('Event: cid was wrong')
    expect(text).toContain('The last one is proven.')
    expect(text).toContain('GET /settings')
    const part = await get('/operations').set('HX-Request', 'true').expect(200)
    expect(part.text).toContain('id="health"')
    expect(part.text).not.toContain('<html')
  })

  it('calls the disk low below the threshold of the alert', async () => {
    const app = await testApp()
    const { get, send } = await aPerson(app)
    const from = '/operations/alerts'
    for (const [disk_percent, isLow] of [
      ['100', true],
      ['0.1', false],
    ] as const) {
      const form = { disk_percent, error_percent: '5', backup_hours: '26', recipients: '', webhook: '' }
      expect((await send(from, form, { from })).status).toBe(303)
      expect((await get('/operations').expect(200)).text.includes(', that is low')).toBe(isLow)
    }
  })

  it('groups faults of ours by what they say, without what makes each one different', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    await sql`create trigger broken before insert on audit_log when new.action = 'export' begin select raise(abort, 'no row 17 for bo@fernmail.example'); end`.execute(
      app.db,
    )
    await get('/audience/export.csv').expect(500)
    await get('/audience/export.csv').expect(500)
    await app.faults.keep(app.db)
    await get('/audience/export.csv').expect(500)
    await app.faults.keep(app.db)
    const rows = await app.db.selectFrom('error_groups').selectAll().execute()
    expect(rows).toMatchObject([{ times: 3, message: 'SqliteError: no row 0 for …' }])
    expect((await get('/operations')).text).toContain('no row 0 for …')
    app.clock.pass(31 * day)
    await app.faults.keep(app.db)
    expect(await app.db.selectFrom('error_groups').selectAll().execute()).toEqual([])
  })

  it('says when the disk is full at the rate of the last thirty days', async () => {
    const { db, clock, path } = await testApp()
    const disk = { free: 1000, size: 5000 }
    const grown = () => growthOf(db, { bytes: 2000, disk, now: clock.at })
    expect(await grown()).toBeNull()
    await db
      .insertInto('database_sizes')
      .values({ day_on: new Date(clock.at - 10 * day).toISOString().slice(0, 10), bytes: 1000, log_bytes: 0 })
      .execute()
    expect(await grown()).toEqual({ perDay: 100, days: 10, fullAt: clock.at + 10 * day })
    expect(await growthOf(db, { bytes: 900, disk, now: clock.at })).toMatchObject({
      perDay: -10,
      fullAt: null,
    })
    await noteSize(db, { path, today: '2026-11-21' })
    await noteSize(db, { path, today: '2026-11-21' })
    const sizes = await db.selectFrom('database_sizes').selectAll().orderBy('day_on').execute()
    expect(sizes.map(({ bytes }) => bytes > 0)).toEqual([true, true])
  })
})

describe('the log', () => {
  /** What a logger at this level writes, line by line. */
  function aLog() {
    const lines: Record<string, unknown>[] = []
    const stream = new Writable({
      write(chunk, _encoding, done) {
        for (const line of String(chunk).trim().split('\n')) lines.push(JSON.parse(line))
        done()
      },
    })
    return { log: pino({ level: 'info' }, stream), lines, written: () => JSON.stringify(lines) }
  }

  it('has a line for each request, with an id and a route, and nothing that was asked for', async () => {
    const { log, lines, written } = aLog()
    const app = await testApp({ log, env: { LOG_REQUESTS: 'all' } })
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid, email: 'bo@fernmail.example', link: 'https://paperboat.example/secret' })
    await app.http.get('/bo@fernmail.example?token=tl_secret').set('Authorization', 'Bearer tl_secret')
    await app.http.post('/login').type('form').send({ username: 'bo', password: goodPassword })
    const requests = lines.filter(({ msg }) => msg === 'request')
    expect(requests).toMatchObject([
      { method: 'GET', route: '/api/event', status: 200 },
      { method: 'GET', route: 'none', status: 303 },
      { method: 'POST', route: '/login', status: 403 },
    ])
    expect(new Set(requests.map(({ request }) => request)).size).toBe(3)
    expect(written()).not.toMatch(/fernmail|paperboat|tl_secret|harbour/)
  })

  it('calls a fault by the id that the page shows', async () => {
    const { log, lines } = aLog()
    const app = await testApp({ log })
    const { get } = await aPerson(app)
    await sql`drop table audit_log`.execute(app.db)
    const { text } = await get('/operations/audit').expect(500)
    const failed = lines.find(({ msg }) => msg === 'request failed')!
    expect(failed.route).toBe('/operations/audit')
    expect(text).toContain(String(failed.request))
    expect(lines.at(-1)).toMatchObject({ msg: 'request', request: failed.request, status: 500 })
  })

  it.each([
    ['all', ['/api/event', '/healthz', '/login']],
    ['pages', ['/login']],
    ['none', []],
  ])('leaves out what LOG_REQUESTS=%s says', async (which, routes) => {
    const { log, lines } = aLog()
    const app = await testApp({ log, env: { LOG_REQUESTS: which } })
    await app.http.get('/api/event')
    await app.http.get('/healthz')
    await app.http.get('/login')
    const told = lines.filter(({ msg }) => msg === 'request').map(({ route }) => route)
    expect(told).toEqual(routes)
  })
})
