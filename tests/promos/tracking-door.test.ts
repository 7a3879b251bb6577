import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { firefox } from '../support/builders.js'
import { aPromo, countsOf, tellClick, tellImpression } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'

const none = { impressions: 0, clicks: 0, repeated_clicks: 0, machine_clicks: 0 }

describe('track-impression', () => {
  it('counts a text once for each issue, as often as it stands there', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app, { texts: 2 })
    const told = { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'issue-112', placements: 2 }
    await tellImpression(app, told).expect(204, '')
    await tellImpression(app, told).expect(204)
    await tellImpression(app, { ...told, newsletter_send_id: 'issue-113', placements: undefined }).expect(204)
    await tellImpression(app, { ...told, variation_id: ids[1] }).expect(204)
    await tellImpression(app, { offer_id: String(offer.id), variation_id: ids[1] }).expect(204)
    await tellImpression(app, { offer_id: offer.id, variation_id: ids[1], newsletter_send_id: '' }).expect(
      204,
    )
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, impressions: 3 })
    expect(await countsOf(app, ids[1]!)).toEqual({ ...none, impressions: 4 })
    await expectCountsToHold(app.db)
  })

  it('says what is wrong, and counts nothing', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    const other = await aPromo(app)
    const wrong = async (body: object, details: object) => {
      const answer = await tellImpression(app, body).expect(400)
      expect(answer.body).toEqual({ error: 'validation_error', details })
    }
    await wrong({ offer_id: 999, variation_id: 42 }, { offer_id: 'Offer ID 999 does not exist' })
    await wrong(
      { offer_id: offer.id, variation_id: 999 },
      { variation_id: 'Variation ID 999 does not exist' },
    )
    await wrong(
      { offer_id: offer.id, variation_id: other.ids[0] },
      {
        variation_id: `Variation ID ${other.ids[0]} does not belong to offer ${offer.id}, but to offer ${other.offer.id}`,
      },
    )
    await wrong({}, { offer_id: 'The offer_id is missing.', variation_id: 'The variation_id is missing.' })
    await wrong(
      { offer_id: 'four', variation_id: [] },
      {
        offer_id: 'The offer_id is the number of an offer, not "four".',
        variation_id: 'The variation_id is the number of a variation.',
      },
    )
    const right = { offer_id: offer.id, variation_id: ids[0] }
    for (const placements of [0, 1.5, 101, 'many'])
      await wrong(
        { ...right, placements },
        { placements: 'The placements are a whole number from 1 to 100.' },
      )
    await wrong(
      { ...right, newsletter_send_id: 'for ada@fernmail.example' },
      { newsletter_send_id: 'The newsletter_send_id must not hold an e-mail address.' },
    )
    await wrong(
      { ...right, newsletter_send_id: 'x'.repeat(201) },
      { newsletter_send_id: 'The newsletter_send_id is longer than 200 characters.' },
    )
    await wrong(
      { ...right, newsletter_send_id: {} },
      { newsletter_send_id: 'The newsletter_send_id is text.' },
    )
    await wrong([], { body: 'The body is a JSON object.' })
    const post = () => app.http.post('/api/v1/promo/track-impression')
    const unreadable = async (body: string, status: number, sentence: string, type = 'application/json') => {
      const answer = await post().set('Content-Type', type).send(body).expect(status)
      expect(answer.body).toEqual({ error: 'validation_error', details: { body: sentence } })
    }
    await unreadable('{"offer_id":', 400, 'The body is no valid JSON.')
    await unreadable(`{"x":"${'x'.repeat(70_000)}"}`, 413, 'The body is longer than 64 KiB.')
    const packed = await post().set('Content-Encoding', 'zip').send('{}').expect(415)
    expect(packed.body.details).toEqual({ body: 'The body cannot be read.' })
    expect(await countsOf(app, ids[0]!)).toBeUndefined()
  })

  it('reads a body in whatever way it comes', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    const body = JSON.stringify({ offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'Über' })
    const server = app.app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const send = (headers: Record<string, string>, parts: (string | Buffer)[]) =>
      new Promise<number>((answered, failed) => {
        const asking = request(
          { port, host: '127.0.0.1', method: 'POST', path: '/api/v1/promo/track-impression', headers },
          (answer) => {
            answer.resume()
            answered(answer.statusCode!)
          },
        )
        asking.on('error', failed)
        for (const part of parts) asking.write(part)
        asking.end()
      })
    const told = (bytes: Buffer, type = 'application/json', coded: Record<string, string> = {}) =>
      send({ 'Content-Type': type, 'Content-Length': String(bytes.length), ...coded }, [bytes])
    const plain = Buffer.from(body)
    const ways = [
      told(plain),
      told(plain, 'text/plain;charset=UTF-8'),
      told(plain, 'application/json; charset="utf-8"'),
      told(Buffer.from(`\ufeff${body}`)),
      told(Buffer.from(body, 'utf16le'), 'application/json; charset=utf-16'),
      told(gzipSync(plain), 'application/json', { 'Content-Encoding': 'gzip' }),
      send({ 'Content-Type': 'application/json' }, [body.slice(0, 20), body.slice(20)]),
      send({ 'Content-Length': String(plain.length) }, [plain.subarray(0, 75), plain.subarray(75)]),
    ]
    expect(await Promise.all(ways)).toEqual(ways.map(() => 204))
    // The same issue each time, letter for letter.
    expect(await app.db.selectFrom('promo_sends').select('key').execute()).toEqual([{ key: 'Über' }])
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, impressions: 1 })

    // Whoever goes away in the middle has told nothing.
    const line = connect(port, '127.0.0.1')
    line.write(
      `POST /api/v1/promo/track-impression HTTP/1.1\r\nHost: x\r\nContent-Length: ${plain.length}\r\n\r\n{"offer`,
    )
    await once(line, 'connect')
    const [coming] = (await once(server, 'request')) as [IncomingMessage]
    line.destroy()
    await new Promise((gone) => coming.once('close', gone))
    server.close()
    server.closeAllConnections()
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, impressions: 1 })
  })

  it('waits for the offers to be read when it is asked first after a start', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    await app.stop()
    const told = { offer_id: offer.id, variation_id: ids[0] }
    const one = await testApp({ dataDir: app.dataDir })
    await tellImpression(one, told).expect(204)
    await one.stop()
    const two = await testApp({ dataDir: app.dataDir })
    await tellClick(two, told).expect(204)
    expect(await countsOf(two, ids[0]!)).toEqual({ ...none, impressions: 1, clicks: 1 })
  })

  it('sets no cookie, is open to every origin, and goes by POST', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    const told = await tellImpression(app, { offer_id: offer.id, variation_id: ids[0] }).expect(204)
    expect(told.headers['set-cookie']).toBeUndefined()
    expect(told.headers['access-control-allow-origin']).toBe('*')
    const asked = await app.http.options('/api/v1/promo/track-impression').expect(204)
    expect(asked.headers['access-control-allow-methods']).toBe('GET, POST')
    const got = await app.http.get('/api/v1/promo/track-click').expect(405)
    expect(got.headers.allow).toBe('POST, OPTIONS')
  })

  it('takes so many a minute from an address, as the settings say', async () => {
    const app = await testApp({
      env: { PROMO_IMPRESSIONS_PER_MINUTE: '2', PROMO_CLICKS_PER_MINUTE: '0', TRUST_PROXY: '1' },
    })
    const { offer, ids } = await aPromo(app)
    const tell = (from: string) =>
      tellImpression(app, { offer_id: offer.id, variation_id: ids[0] }).set('X-Forwarded-For', from)
    app.clock.pass(15_000)
    await tell('203.0.113.7').expect(204)
    await tell('203.0.113.7').expect(204)
    const refused = await tell('203.0.113.7').expect(429)
    expect(refused.headers['retry-after']).toBe('45')
    expect(refused.body.error).toBe('too_many_requests')
    await tell('203.0.113.8').expect(204)
    // A household has many addresses of IPv6.
    await tell('2001:db8:1:2::1').expect(204)
    await tell('2001:db8:1:2::2').expect(204)
    await tell('2001:db8:1:2::3').expect(429)
    app.clock.pass(45_000)
    await tell('203.0.113.7').expect(204)
    for (let click = 0; click < 5; click++) await tellClick(app, { variation_id: ids[0] }).expect(204)
  })
})

describe('track-click', () => {
  const click = {
    user_agent: firefox,
    ip_address: '203.0.113.7',
    referrer: 'https://mail.example/inbox?user=ada',
  }

  it('looks up the offer, keeps a hash of the address and no query', async () => {
    const app = await testApp()
    const { offer, ids } = await aPromo(app)
    await tellClick(app, { variation_id: ids[0], ...click }).expect(204, '')
    const row = await app.db.selectFrom('promo_clicks').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({
      offer_id: offer.id,
      variation_id: ids[0],
      referrer: 'mail.example',
      device: 'desktop',
      verdict: 0,
      repeated: 0,
    })
    expect(row.address).toMatch(/^[0-9a-f]{64}$/)
    await tellClick(app, { variation_id: ids[0], ip_hash: 'b1946ac92492d2347c6235b4d2611184' }).expect(204)
    const hashed = await app.db
      .selectFrom('promo_clicks')
      .selectAll()
      .orderBy('id', 'desc')
      .executeTakeFirstOrThrow()
    expect(hashed.address).toMatch(/^[0-9a-f]{64}$/)
    expect(hashed).toMatchObject({ user_agent_id: null, device: null, referrer: '', verdict: 0 })
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, clicks: 2 })
    await expectCountsToHold(app.db)
  })

  it('counts the same address on the same text once in ten minutes', async () => {
    const app = await testApp()
    const { ids } = await aPromo(app, { texts: 2 })
    const tell = (variation_id: number, ip_address = '203.0.113.7') =>
      tellClick(app, { variation_id, ip_address, user_agent: firefox }).expect(204)
    await tell(ids[0]!)
    app.clock.pass(600_000)
    await tell(ids[0]!)
    app.clock.pass(600_001)
    await tell(ids[0]!)
    await tell(ids[0]!, '203.0.113.8')
    await tell(ids[1]!)
    await tell(ids[1]!, '203.0.113.7, 10.0.0.1')
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, clicks: 3, repeated_clicks: 1 })
    expect(await countsOf(app, ids[1]!)).toEqual({ ...none, clicks: 1, repeated_clicks: 1 })
    await expectCountsToHold(app.db)
  })

  it('reads addresses as proxies write them, and counts a click whose address cannot be read', async () => {
    const app = await testApp()
    const { ids } = await aPromo(app)
    const tell = (ip_address: string) => tellClick(app, { variation_id: ids[0], ip_address }).expect(204)
    for (const same of ['203.0.113.7', '203.0.113.7:443', '::ffff:203.0.113.7, 10.0.0.1']) await tell(same)
    for (const same of ['2001:DB8::1', '[2001:db8::1]', '[2001:db8::1]:443']) await tell(same)
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, clicks: 2, repeated_clicks: 4 })
    for (const nobody of ['unknown', '_hidden', 'ada@fernmail.example']) await tell(nobody)
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, clicks: 5, repeated_clicks: 4 })
    const unread = app.db.selectFrom('promo_clicks').selectAll().where('address', 'is', null)
    expect(await unread.execute()).toHaveLength(3)
  })

  it('leaves out scanners, and the reader who comes after one counts', async () => {
    const app = await testApp()
    const { ids } = await aPromo(app)
    const tell = (more: object) =>
      tellClick(app, { variation_id: ids[0], ip_address: '203.0.113.7', ...more }).expect(204)
    await tell({ user_agent: 'curl/8.5.0' })
    await tell({ user_agent: firefox })
    await tell({ user_agent: firefox, ip_address: '148.163.128.9' }) // Proofpoint
    await tell({ user_agent: firefox, ip_address: '18.130.0.1' }) // a data centre: suspected, and counted
    expect(await countsOf(app, ids[0]!)).toEqual({ ...none, clicks: 2, machine_clicks: 2 })
    const verdicts = await app.db.selectFrom('promo_clicks').select('verdict').orderBy('id').execute()
    expect(verdicts.map(({ verdict }) => verdict)).toEqual([2, 0, 2, 1])
    await expectCountsToHold(app.db)
  })

  it('says what is wrong', async () => {
    const app = await testApp()
    const { ids } = await aPromo(app)
    const wrong = async (body: object, details: object) => {
      const answer = await tellClick(app, body).expect(400)
      expect(answer.body).toEqual({ error: 'validation_error', details })
    }
    await wrong({ variation_id: 999 }, { variation_id: 'Variation ID 999 does not exist' })
    await wrong({}, { variation_id: 'The variation_id is missing.' })
    await wrong({ variation_id: ids[0], ip_address: 7 }, { ip_address: 'The ip_address is text.' })
    await wrong({ variation_id: ids[0], user_agent: 7 }, { user_agent: 'The user_agent is text.' })
    await wrong(
      { variation_id: ids[0], ip_hash: 'x'.repeat(257) },
      { ip_hash: 'The ip_hash is longer than 256 characters.' },
    )
    await wrong({ variation_id: ids[0], ip_hash: 7 }, { ip_hash: 'The ip_hash is text.' })
    const long = `https://mail.example/${'x'.repeat(9_000)}`
    await tellClick(app, { variation_id: ids[0], referrer: long, user_agent: long }).expect(204)
    const kept = await app.db.selectFrom('promo_clicks').select('referrer').execute()
    expect(kept).toEqual([{ referrer: 'mail.example' }])
  })
})

it('counts a hundred impressions and fifty clicks at once', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  await Promise.all([
    ...Array.from({ length: 100 }, (_, issue) =>
      tellImpression(app, {
        offer_id: offer.id,
        variation_id: ids[0],
        newsletter_send_id: `issue-${issue}`,
      }).expect(204),
    ),
    ...Array.from({ length: 50 }, (_, reader) =>
      tellClick(app, { variation_id: ids[0], user_agent: firefox, ip_address: `203.0.113.${reader}` }).expect(
        204,
      ),
    ),
  ])
  expect(await countsOf(app, ids[0]!)).toEqual({ ...none, impressions: 100, clicks: 50 })
  await expectCountsToHold(app.db)
})
