import { gzipSync } from 'node:zlib'
import Sqlite from 'better-sqlite3'
import fc from 'fast-check'
import { sql } from 'kysely'
import supertest from 'supertest'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type TestApp, testApp, testStart } from '../support/app.js'
import { aCampaign, anEvent, firefox, iphone } from '../support/builders.js'

const good = { event: 'email_click', email: 'ada@fernmail.example', domain: 'news.fernweh.example' }
const eventsOf = ({ db }: TestApp) => db.selectFrom('events').selectAll().orderBy('id').execute()
const contactsOf = async ({ db }: TestApp) =>
  (await db.selectFrom('contacts').select('email').orderBy('id').execute()).map((contact) => contact.email)
const domainsOf = async ({ db }: TestApp) =>
  (await db.selectFrom('sending_domains').select('name').orderBy('id').execute()).map((domain) => domain.name)

async function withCampaign(
  given: Parameters<typeof aCampaign>[1] = {},
  options: Parameters<typeof testApp>[0] = {},
) {
  const app = await testApp(options)
  const { id } = await aCampaign(app, given)
  return { ...app, cid: id }
}

describe('the event door', () => {
  it('records an event and answers with its id', async () => {
    const app = await withCampaign()
    const answer = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, utm_content: 'hero' })
      .expect(200)
    expect(answer.body).toEqual({ status: 'ok', event_id: 1 })
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'access-control-allow-origin': '*' })
    expect(answer.headers).not.toHaveProperty('set-cookie')
    expect(answer.headers).not.toHaveProperty('access-control-allow-credentials')
    expect(await eventsOf(app)).toMatchObject([
      {
        id: 1,
        campaign_id: app.cid,
        kind: 1,
        happened_at: testStart,
        extra: '{"utm_content":"hero"}',
        verdict: 0,
      },
    ])
  })

  it('says what is wrong with every field at once', async () => {
    const app = await withCampaign()
    const { body } = await app.http
      .get('/api/event')
      .query({ cid: 99, event: 'click', email: 'nobody', ip: 'x' })
      .expect(400)
    expect(body).toEqual({
      error: 'validation_error',
      details: {
        cid: 'Campaign 99 does not exist.',
        event: 'The event is email_click, landing_click or conversion.',
        email: 'The email is no address: it has one @ with something on both sides.',
        domain: 'The domain is missing.',
        ip: 'The ip is no internet address: "x".',
      },
    })
    const empty = await app.http.get('/api/event').expect(400)
    expect(Object.keys(empty.body.details).sort()).toEqual(['cid', 'domain', 'email', 'event'])
    expect(empty.body.details.cid).toBe('The cid is missing.')
  })

  it.each([
    '{email}',
    '{{ subscriber.email }}',
    '%EMAIL%',
    '*|EMAIL|*',
    '[email]',
    '<email>',
    '$' + '{email}',
  ])('says so when %s was not replaced', async (email) => {
    const app = await withCampaign()
    const { body } = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, email })
      .expect(400)
    expect(body.details).toEqual({
      email: `The placeholder ${email} was not replaced by your mailing tool.`,
    })
  })

  it('keeps one spelling of an address', async () => {
    const app = await withCampaign()
    for (const email of [
      'Ada@Fernmail.example',
      '%20ada@fernmail.example%20',
      'ada+news@fernmail.example',
      'ada%2Bnews@fernmail.example',
    ])
      await app.http
        .get(`/api/event?cid=${app.cid}&event=email_click&domain=a.example&email=${email}`)
        .expect(200)
    expect(await contactsOf(app)).toEqual(['ada@fernmail.example', 'ada+news@fernmail.example'])
    const long = `${'a'.repeat(244)}@b.example`
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, email: `x${long.slice(0, 254)}x` })
      .expect(400)
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, email: long })
      .expect(200)
  })

  it.each([
    ['News.Fernweh.Example', 'news.fernweh.example'],
    [' https://news.fernweh.example:8443/a?b#c ', 'news.fernweh.example'],
    ['//news.fernweh.example/x', 'news.fernweh.example'],
    ['news.fernweh.example:8080/path', 'news.fernweh.example'],
    ['news.fernweh.example.', 'news.fernweh.example'],
    ['bücher-post.example', 'xn--bcher-post-9db.example'],
    ['BÜCHER-POST.example', 'xn--bcher-post-9db.example'],
    ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
    ['localhost', 'localhost'],
    ['192.0.2.1', '192.0.2.1'],
    ['http://[2001:db8::1]/', '2001:db8::1'],
    ['2001:db8::1:22', '2001:db8::1:22'],
    ['::1', '::1'],
    [
      `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
      `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}`,
    ],
  ])('reads the domain %s as %s', async (domain, host) => {
    const app = await withCampaign()
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, domain })
      .expect(200)
    expect(await domainsOf(app)).toEqual([host])
  })

  it.each([
    'no host',
    '1.2.3',
    '-a.example',
    'a..example',
    'https://',
    `${'a'.repeat(64)}.example`,
    `${'a.'.repeat(127)}example`,
    'a_b!.example',
  ])('refuses the domain %s', async (domain) => {
    const app = await withCampaign()
    const { body } = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, domain })
      .expect(400)
    expect(body.details).toEqual({ domain: 'The domain is no valid host name, such as news.example.com.' })
  })

  it('counts the same eid of a campaign once', async () => {
    const app = await withCampaign()
    const other = await aCampaign(app)
    const first = await anEvent(app, { cid: app.cid, eid: 'order-1' })
    expect(await anEvent(app, { cid: app.cid, eid: 'order-1', event: 'conversion' })).toBe(first)
    expect(await anEvent(app, { cid: other.id, eid: 'order-1' })).not.toBe(first)
    const together = await Promise.all([1, 2, 3].map(() => anEvent(app, { cid: app.cid, eid: 'order-2' })))
    expect(new Set(together).size).toBe(1)
    expect(await eventsOf(app)).toHaveLength(3)
  })

  it('takes the eid of an earlier event as sub in place of an address', async () => {
    const app = await withCampaign()
    await anEvent(app, { cid: app.cid, eid: 'arrival-7' })
    await app.http
      .get('/api/event')
      .query({ cid: app.cid, event: 'conversion', sub: 'arrival-7', eid: 'order-7' })
      .expect(200)
    await app.http
      .get('/api/event')
      .query({ cid: app.cid, event: 'conversion', sub: 'arrival-7', domain: 'shop.example' })
      .expect(200)
    const [click, sale, other] = await eventsOf(app)
    expect(sale).toMatchObject({ contact_id: click!.contact_id, domain_id: click!.domain_id, kind: 3 })
    expect(other).toMatchObject({ contact_id: click!.contact_id, kind: 3 })
    expect(other!.domain_id).not.toBe(click!.domain_id)
    const { body } = await app.http
      .get('/api/event')
      .query({ cid: app.cid, event: 'conversion', sub: 'arrival-8' })
      .expect(400)
    expect(body.details.sub).toBe(
      `No event of campaign ${app.cid} has the eid "arrival-8", so nobody knows whose this is.`,
    )
  })

  it('takes from the event that sub names what is left out, be it the address or the domain', async () => {
    const app = await withCampaign()
    await anEvent(app, { cid: app.cid, eid: 'arrival-7' })
    await app.http
      .get('/api/event')
      .query({ cid: app.cid, event: 'conversion', sub: 'arrival-7', email: 'bob@fernmail.example' })
      .expect(200)
    const [click, sale] = await eventsOf(app)
    expect(sale!.domain_id).toBe(click!.domain_id)
    expect(sale!.contact_id).not.toBe(click!.contact_id)
    await app.http
      .get('/api/event')
      .query({ cid: app.cid, event: 'conversion', sub: 'arrival-8', email: 'bob@fernmail.example' })
      .expect(400)
  })

  it('keeps extra parameters whatever they are called', async () => {
    const app = await withCampaign()
    await app.http
      .get('/api/event?constructor=a&toString=b&__proto__=c')
      .query({ ...good, cid: app.cid })
      .expect(200)
    const [event] = await eventsOf(app)
    expect(event!.extra).toBe('{"constructor":"a","toString":"b","__proto__":"c"}')
  })

  it.each(['cid', 'x'])('refuses a body of brackets, in %s', async (name) => {
    const app = await withCampaign()
    const brackets = '['.repeat(20_000) + ']'.repeat(20_000)
    const { body } = await app.http
      .post('/api/event')
      .type('json')
      .send(`{"${name}":${brackets}}`)
      .expect(400)
    expect(body.details).toEqual({ body: 'The body has more than 100 levels.' })
  })

  it('judges and stores what a server passes for its recipient, and nothing of its own', async () => {
    const app = await withCampaign()
    await anEvent(app, { cid: app.cid, ip: '81.2.69.142', ua: iphone, link: 'hero' })
    const [event] = await eventsOf(app)
    expect(event).toMatchObject({ country: 'GB', device: 'mobile', link: 'hero' })
    expect(event!.address).not.toContain('81.2')
    await app.http
      .get('/api/event')
      .set('User-Agent', firefox)
      .query({ ...good, cid: app.cid, ip: '81.2.69.142' })
      .expect(200)
    expect((await eventsOf(app))[1]).toMatchObject({ user_agent_id: null, country: 'GB' })
  })

  it.each([
    ['raw', '81.2.69.142'],
    ['none', null],
  ])('keeps addresses %s when the setting says so', async (privacy, kept) => {
    const app = await withCampaign()
    await app.db.insertInto('settings').values({ name: 'address_privacy', value: privacy }).execute()
    await anEvent(app, { cid: app.cid, ip: '81.2.69.142' })
    expect((await eventsOf(app))[0]).toMatchObject({ address: kept, country: 'GB' })
  })

  it('hashes addresses under a salt that changes each month, and destroys the salt before the last', async () => {
    const app = await withCampaign()
    for (let month = 0; month < 4; month++) {
      await anEvent(app, { cid: app.cid })
      await anEvent(app, { cid: app.cid })
      app.clock.pass(31 * 24 * 3_600_000)
    }
    const hashes = (await eventsOf(app)).map((event) => event.address)
    expect(new Set(hashes).size).toBe(4)
    expect(hashes[0]).toBe(hashes[1])
    const salts = await app.db.selectFrom('salts').select('month').execute()
    expect(salts.map((salt) => salt.month)).toEqual(['2027-01', '2027-02'])
    await app.jobs.perform('destroy-address-salts')
    expect(await app.db.selectFrom('salts').select('month').execute()).toEqual([{ month: '2027-02' }])
    const again = await testApp({ dataDir: app.dataDir, clock: app.clock })
    app.clock.pass(-31 * 24 * 3_600_000)
    await anEvent(again, { cid: app.cid })
    expect((await eventsOf(again))[8]!.address).toBe(hashes[7])
  })

  it('does not believe a forged X-Forwarded-For, unless told to trust the proxy', async () => {
    const plain = await withCampaign()
    const browser = (app: TestApp & { cid: number }) =>
      app.http
        .get('/api/event')
        .set({ 'User-Agent': firefox, 'X-Forwarded-For': '81.2.69.142' })
        .query({ ...good, cid: app.cid })
    await browser(plain).expect(200)
    expect((await eventsOf(plain))[0]).toMatchObject({ country: null })
    const behind = await withCampaign({}, { env: { TRUST_PROXY: '1' } })
    await browser(behind).expect(200)
    expect((await eventsOf(behind))[0]).toMatchObject({ country: 'GB' })
  })

  it.each([
    'GuzzleHttp/7',
    'Stripe/1.0 (+https://stripe.example)',
    'Everflow',
    'RestSharp/110.2',
    'HTTP-Tiny/0.088',
  ])('takes %s for a shop that reports, not for the buyer', async (agent) => {
    const app = await withCampaign()
    await app.http
      .get('/api/event')
      .set('User-Agent', agent)
      .query({ ...good, cid: app.cid, event: 'conversion' })
      .expect(200)
    expect((await eventsOf(app))[0]).toMatchObject({ verdict: 0, user_agent_id: null, address: null })
  })

  it.each(['facebookexternalhit/1.1', 'Googlebot-Image/1.0', 'WhatsApp/2.23.20.0'])(
    'takes %s for a crawler that followed a link',
    async (agent) => {
      const app = await withCampaign()
      await app.http
        .get('/api/event')
        .set('User-Agent', agent)
        .query({ ...good, cid: app.cid })
        .expect(200)
      expect((await eventsOf(app))[0]).toMatchObject({ verdict: 2 })
    },
  )

  it('takes the address of a reader as proxies pass it on', async () => {
    const app = await withCampaign()
    for (const ip of ['81.2.69.142', '::ffff:81.2.69.142', '81.2.69.142:5544', '81.2.69.142, 10.0.0.1'])
      await anEvent(app, { cid: app.cid, ip })
    const addresses = (await eventsOf(app)).map((event) => event.address)
    expect(new Set(addresses).size).toBe(1)
  })

  it('keeps a sub, a key and a nothing that mean something to somebody else', async () => {
    const app = await withCampaign()
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, sub: '{sub}', key: 'zz' })
      .expect(200)
    await app.http
      .post('/api/event')
      .send({ ...good, cid: app.cid, coupon: null })
      .expect(200)
    expect((await eventsOf(app)).map((event) => event.extra)).toEqual([
      '{"sub":"{sub}","key":"zz"}',
      '{"coupon":null}',
    ])
  })

  it('asks for the write key where a campaign wants it', async () => {
    const app = await withCampaign({ needs_key: 1 })
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid })
      .expect(403)
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, key: 'open-sesamf' })
      .expect(403)
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, key: 'open-sesame' })
      .expect(200)
    expect((await eventsOf(app))[0]!.extra).toBe(null)
  })

  it('keeps at most 50 extra parameters and 8 KiB of them', async () => {
    const app = await withCampaign()
    const extra = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'y']))
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, ...extra(50) })
      .expect(200)
    const many = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, ...extra(51) })
      .expect(400)
    expect(many.body.details.extra).toBe('There are 51 extra parameters; 50 are kept at most.')
    const long = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, x: 'y'.repeat(8200) })
      .expect(400)
    expect(long.body.details.extra).toBe('The extra parameters are longer than 8 KiB together.')
  })

  it('says what is wrong beside a repeated parameter, and beside one it cannot read', async () => {
    const app = await withCampaign()
    const twice = await app.http.get(`/api/event?cid=1&cid=2&event=a&event=b`).expect(400)
    expect(Object.keys(twice.body.details).sort()).toEqual(['cid', 'domain', 'email', 'event'])
    const unreadable = await app.http.get(`/api/event?cid=${app.cid}&a=%FF`).expect(400)
    expect(Object.keys(unreadable.body.details).sort()).toEqual(['domain', 'email', 'event', 'query'])
  })

  it('refuses a field that a JSON body has twice, or that stands in the address too', async () => {
    const app = await withCampaign()
    const body = `{"cid":${app.cid},"event":"email_click","event":"conversion","email":"a@a.example","domain":"a.example","x":{"event":1}}`
    const send = (path: string, text: string) =>
      app.http.post(path).set('Content-Type', 'application/json').send(text).expect(400)
    expect((await send('/api/event', body)).body.details).toEqual({
      event: 'The parameter event is given twice.',
    })
    const beside = await send(`/api/event?cid=${app.cid}`, JSON.stringify({ ...good, cid: app.cid }))
    expect(beside.body.details).toEqual({ cid: 'The parameter cid is given twice.' })
  })

  it.each(['%EMAIL%', '%email%', '%%emailaddr%%'])('knows %s as it really arrives', async (email) => {
    const app = await withCampaign()
    const { body } = await app.http
      .get(`/api/event?cid=${app.cid}&event=email_click&domain=a.example&email=${email}`)
      .expect(400)
    expect(body.details).toEqual({ email: `The placeholder ${email} was not replaced by your mailing tool.` })
  })

  it('knows a placeholder inside an address, and one for the user agent', async () => {
    const app = await withCampaign()
    const { body } = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, domain: 'https://{domain}/', ua: '{ua}' })
      .expect(400)
    expect(body.details).toEqual({
      domain: 'The placeholder {domain} was not replaced by your mailing tool.',
      ua: 'The placeholder {ua} was not replaced by your mailing tool.',
    })
  })

  it('refuses repeated parameters and what is no UTF-8', async () => {
    const app = await withCampaign()
    const twice = await app.http
      .get(`/api/event?cid=${app.cid}&event=conversion&event=conversion&a=1`)
      .expect(400)
    expect(twice.body.details.event).toBe('The parameter event is given twice.')
    expect((await app.http.get(`/api/event?a=1&a=2`).expect(400)).body.details.extra).toBe(
      'The parameter a is given twice.',
    )
    expect((await app.http.get(`/api/event?cid=%FF`).expect(400)).body.details.query).toBe(
      'A parameter is not valid UTF-8 in percent-encoding.',
    )
  })

  describe('by POST', () => {
    it.each([
      ['application/json', (body: object) => JSON.stringify(body)],
      ['text/plain;charset=UTF-8', (body: object) => JSON.stringify(body)],
      [
        'application/x-www-form-urlencoded',
        (body: object) => new URLSearchParams(body as Record<string, string>).toString(),
      ],
    ])('takes %s', async (type, write) => {
      const app = await withCampaign()
      await app.http
        .post('/api/event')
        .set('Content-Type', type)
        .send(write({ ...good, cid: app.cid, order: 'A 1' }))
        .expect(200)
      expect((await eventsOf(app))[0]).toMatchObject({ kind: 1, extra: '{"order":"A 1"}' })
    })

    it('takes the query of a POST without a body, and leaves out null', async () => {
      const app = await withCampaign()
      await app.http
        .post('/api/event')
        .query({ ...good, cid: app.cid })
        .expect(200)
      await app.http
        .post('/api/event')
        .send({ ...good, cid: app.cid, eid: null, x: { deep: [1] } })
        .expect(200)
      expect((await eventsOf(app))[1]).toMatchObject({ caller_id: null, extra: '{"x":{"deep":[1]}}' })
    })

    it.each([
      ['{"cid":', 'The body is no valid JSON.', 400],
      ['[1]', 'The body is a JSON object with the parameters as its fields.', 400],
      [Buffer.from([0x7b, 0xff]), 'The body is not valid UTF-8.', 400],
      ['x'.repeat(65 * 1024), 'The body is longer than 64 KiB.', 413],
    ])('refuses %.20s', async (body, sentence, status) => {
      const app = await withCampaign()
      const answer = await app.http
        .post('/api/event')
        .set('Content-Type', 'application/json')
        .serialize((x) => x as never)
        .send(body as never)
        .expect(status as number)
      expect(answer.body.details).toEqual({ body: sentence })
    })

    it('refuses an encoding it does not know and a bomb', async () => {
      const app = await withCampaign()
      const send = (encoding: string, body: Buffer) =>
        app.http
          .post('/api/event')
          .set({ 'Content-Type': 'application/json', 'Content-Encoding': encoding })
          .serialize((x) => x as never)
          .send(body as never)
      await send('snappy', Buffer.from('{}')).expect(415)
      await send('gzip', gzipSync(Buffer.alloc(10_000_000))).expect(413)
      await send('gzip', Buffer.from('no gzip')).expect(400)
    })
  })

  it('records nothing for HEAD, OPTIONS, prefetches and other methods', async () => {
    const app = await withCampaign()
    const query = { ...good, cid: app.cid }
    await app.http.head('/api/event').query(query).expect(204)
    const options = await app.http.options('/api/event').query(query).expect(204)
    expect(options.headers['access-control-allow-methods']).toBe('GET, POST')
    for (const header of ['Sec-Purpose', 'Purpose', 'X-Moz'])
      await app.http.get('/api/event').set(header, 'prefetch').query(query).expect(204)
    await app.http.get('/api/event').set('Sec-Purpose', 'prefetch;prerender').query(query).expect(204)
    await app.http.get('/api/event').set('Purpose', 'preview').query(query).expect(204)
    await app.http.delete('/api/event').query(query).expect(405).expect('Allow', 'GET, POST, HEAD, OPTIONS')
    expect(await eventsOf(app)).toEqual([])
  })

  it('answers 503 with Retry-After when the queue is full, and keeps what it has taken', async () => {
    const app = await withCampaign({}, { ledger: { capacity: 2 } })
    await app.http.get('/api/event').query({ cid: app.cid }) // so that the campaign is known from memory
    const lock = new Sqlite(app.path)
    lock.exec('begin immediate')
    const send = (eid: string) => app.http.get('/api/event').query({ ...good, cid: app.cid, eid })
    const taken = [send('one'), send('two')].map((request) => request.then((answer) => answer))
    await vi.waitUntil(() => app.ledger.depth === 2)
    const refused = await send('three').expect(503).expect('Retry-After', '5')
    expect(refused.body).toEqual({
      error: 'unavailable',
      message: 'Too many events are waiting to be written. Send the event again in a few seconds.',
    })
    lock.exec('rollback')
    lock.close()
    expect((await Promise.all(taken)).map((answer) => answer.status)).toEqual([200, 200])
    expect(await eventsOf(app)).toHaveLength(2)
  })

  it('answers 503 while the database is locked, and records what comes later', async () => {
    const app = await withCampaign({}, { patience: 20 })
    await app.http.get('/api/event').query({ cid: app.cid })
    const lock = new Sqlite(app.path)
    lock.exec('begin immediate')
    const { body } = await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid })
      .expect(503)
    expect(body.message).toBe(
      'The database cannot be written at the moment. Send the event again in a few seconds.',
    )
    lock.exec('rollback')
    lock.close()
    await anEvent(app, { cid: app.cid })
    expect(await eventsOf(app)).toHaveLength(1)
  })

  it('answers 503 while the disk is full, and records what comes later', async () => {
    const app = await withCampaign()
    const { page_count } = (await sql<{ page_count: number }>`pragma page_count`.execute(app.db)).rows[0]!
    await sql.raw(`pragma max_page_count = ${page_count}`).execute(app.db)
    const refused = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        app.http.get('/api/event').query({ ...good, cid: app.cid, x: 'y'.repeat(7000), eid: `e${i}` }),
      ),
    )
    const answers = refused.map((answer) => answer.status)
    expect(answers).toContain(503)
    expect(answers.every((status) => status === 503 || status === 200)).toBe(true)
    await sql.raw('pragma max_page_count = 1000000').execute(app.db)
    await anEvent(app, { cid: app.cid })
    expect(await eventsOf(app)).toHaveLength(answers.filter((status) => status === 200).length + 1)
  })

  it("remembers what it refused, without anybody's address", async () => {
    const app = await withCampaign()
    await app.http
      .get('/api/event')
      .query({ ...good, cid: app.cid, event: 'click', key: 'geheim' })
      .expect(400)
    await app.http
      .get('/api/event')
      .set('User-Agent', firefox)
      .query({ cid: 34, email: '{email}' })
      .expect(400)
    const kept = app.refusals.listFor(app.cid, { since: 0, exists: (cid) => cid === app.cid })
    expect(kept).toHaveLength(2)
    expect(kept[1]).toMatchObject({ cid: app.cid, from: 'news.fernweh.example' })
    expect(kept[1]!.request).toContain('event=click&email=…&domain=news.fernweh.example')
    expect(JSON.stringify(kept)).not.toMatch(/ada@|geheim/)
    expect(kept[0]!.reasons).toContain('Campaign 34 does not exist.')
    expect(app.refusals.listFor(app.cid, { since: testStart + 1, exists: () => true })).toEqual([])
    expect(app.refusals.total).toBe(2)
  })
})

describe('anything at all', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', 'constructor', 'cid', '%', '%E0%A4%A'),
  )
  const servers: { close: () => void }[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) server.close()
  })

  it('is never a 5xx and never costs a neighbour', async () => {
    const app = await withCampaign()
    const server = app.app.listen(0, '127.0.0.1')
    servers.push(server)
    const http = supertest(server)
    let recorded = 0
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          method: fc.constantFrom('get', 'post', 'put', 'delete', 'patch', 'head', 'options'),
          header: fc.record({
            name: fc.constantFrom(
              'Accept',
              'Origin',
              'Cookie',
              'X-Forwarded-For',
              'Sec-Purpose',
              'Range',
              'X-Anything',
            ),
            value: fc.stringMatching(/^[\x21-\x7e][\x20-\x7e]{0,60}$/),
          }),
          query: fc.oneof(
            text.map((raw) => encodeURI(raw.toWellFormed()).replaceAll('#', '%23')),
            fc.dictionary(text, text).map((object) => new URLSearchParams(object).toString()),
            fc.stringMatching(/^[\w%&=+;,.~!*'()-]{0,60}$/),
          ),
          type: fc.constantFrom(
            'application/json',
            'text/plain',
            'application/x-www-form-urlencoded',
            'multipart/form-data',
            'x',
          ),
          agent: fc.stringMatching(/^[\x20-\x7e]{0,60}$/),
          body: fc.oneof(
            fc.json(),
            text,
            fc.dictionary(text, fc.anything({ maxDepth: 2 })).map((value) => {
              try {
                return JSON.stringify(value)
              } catch {
                return ''
              }
            }),
            fc
              .record({
                ...Object.fromEntries(Object.keys(good).map((name) => [name, fc.anything()])),
                cid: fc.anything(),
              })
              .map((value) => {
                try {
                  return JSON.stringify({ ...good, ...value })
                } catch {
                  return ''
                }
              }),
          ),
        }),
        async ({ method, query, type, agent, body, header }) => {
          const odd = http[method as 'get'](`/api/event?${query}`).set({
            'User-Agent': agent,
            'Content-Type': type,
            [header.name]: header.value,
          })
          const [answer, neighbour] = await Promise.all([
            /get|head|options/.test(method) ? odd : odd.serialize((x) => x as never).send(body as never),
            http.get('/api/event').query({ ...good, cid: app.cid, event: 'landing_click' }),
          ])
          expect(answer.status).toBeLessThan(500)
          expect(answer.body).toBeTypeOf('object')
          expect(neighbour.status).toBe(200)
          recorded++
        },
      ),
      { numRuns: 300 },
    )
    const { count } = await app.db
      .selectFrom('events')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('kind', '=', 2)
      .executeTakeFirstOrThrow()
    expect(count).toBeGreaterThanOrEqual(recorded)
  }, 400_000)
})
