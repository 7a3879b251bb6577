import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { stoppedClock, type TestApp, testApp, testStart } from '../support/app.js'
import { aMailing } from '../support/audience.js'
import { aPerson } from '../support/person.js'
import { anOffer, aPromo, aVariation, tellClick, tellImpression } from '../support/promos.js'

const path = '/api/v1/promo/analytics'
const account = { username: 'maren', password: 'a quiet harbour at dawn' }

async function bearer(app: TestApp) {
  const { token } = await createToken(app.db, 'a script', { by: null, at: app.clock.now() })
  return (query: object = {}) => app.http.get(path).query(query).set('Authorization', `Bearer ${token}`)
}
const show = (app: TestApp, offer_id: number, variation_id: number, more: object = {}) =>
  tellImpression(app, { offer_id, variation_id, ...more }).expect(204)
const clicks = async (app: TestApp, variation_id: number, count: number) => {
  for (let click = 0; click < count; click++)
    await tellClick(app, { variation_id, ip_hash: `${variation_id} ${app.clock.at} ${click}` }).expect(204)
}

describe('analytics', () => {
  it('has the shape that was promised', async () => {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0' } })
    const ask = await bearer(app)
    const offer = await anOffer(app)
    const [a, b, c] = [
      await aVariation(app, offer.id, { text: 'x'.repeat(100) }),
      await aVariation(app, offer.id, { headline: 'Best', tone: 'exciting' }),
      await aVariation(app, offer.id),
    ]
    await app.db
      .insertInto('settings')
      .values({ name: 'promo_impression_meaning', value: 'message' })
      .execute()
    await app.promos.settingsChanged()
    await show(app, offer.id, a.id, { placements: 90 })
    await show(app, offer.id, b.id, { placements: 60 })
    await clicks(app, a.id, 8)
    await clicks(app, b.id, 15)
    await clicks(app, c.id, 1)
    const { body } = await ask({ include_timeline: 'true' }).expect(200)
    expect(body.summary).toEqual({
      total_impressions: 150,
      total_clicks: 24,
      overall_ctr: 16,
      date_range: { start: '2026-10-22', end: '2026-11-21', days: 30 },
    })
    expect(body.offers).toEqual([
      {
        offer_id: offer.id,
        offer_name: 'Bindery notebooks',
        offer_type: 'affiliate',
        impressions: 150,
        clicks: 24,
        ctr: 16,
        best_variation_id: b.id,
      },
    ])
    expect(
      body.variations.map(({ variation_id, ctr }: { variation_id: number; ctr: number }) => [
        variation_id,
        ctr,
      ]),
    ).toEqual([
      [b.id, 25],
      [a.id, 8.89],
      [c.id, null],
    ])
    expect(body.variations[0]).toMatchObject({
      text_preview: 'Best',
      cta_text: 'See the notebooks',
      tone: 'exciting',
      impressions: 60,
      clicks: 15,
    })
    expect(body.variations[1].text_preview).toHaveLength(80)
    // One text was clicked and never shown: nothing can be compared.
    expect(body.variations[0]).toMatchObject({ prob_best: null, interval: null, verdict: null })
    await show(app, offer.id, c.id, { placements: 100 })
    const judged = (await ask().expect(200)).body
    expect(judged.timeline).toBeUndefined()
    expect(judged.variations[0].prob_best).toBeGreaterThan(0.95)
    expect(judged.variations[0].verdict).toBe('leaning')
    const [low, high] = judged.variations[0].interval
    expect(low).toBeLessThan(25)
    expect(high).toBeGreaterThan(20)
    expect(judged.variations[1].verdict).toBeNull()
    expect((await ask({ include_variations: 'false' }).expect(200)).body.variations).toBeUndefined()
    expect(body.timeline).toHaveLength(31)
    expect(body.timeline.at(-1)).toEqual({ date: '2026-11-21', impressions: 150, clicks: 24, ctr: 16 })
    expect(body.timeline[0]).toEqual({ date: '2026-10-22', impressions: 0, clicks: 0, ctr: null })
  })

  it('can be narrowed, and says what is wrong', async () => {
    const app = await testApp()
    const ask = await bearer(app)
    const [one, other] = [await aPromo(app, { texts: 2 }), await aPromo(app)]
    await show(app, one.offer.id, one.ids[0]!)
    await show(app, other.offer.id, other.ids[0]!)
    expect((await ask({ offer_id: one.offer.id }).expect(200)).body.summary.total_impressions).toBe(1)
    expect((await ask({ variation_id: other.ids[0] }).expect(200)).body.offers).toHaveLength(1)
    expect((await ask({ days: 'all' }).expect(200)).body.summary).toMatchObject({
      total_impressions: 2,
      date_range: { start: '2026-11-21', days: 0 },
    })
    const wrong = async (query: object, details: object) =>
      expect((await ask(query).expect(400)).body.details).toEqual(details)
    await wrong({ days: '14' }, { days: 'The days are 7, 30, 90, 365 or all.' })
    await wrong({ offer_id: 99 }, { offer_id: 'Offer ID 99 does not exist' })
    await wrong({ variation_id: 99 }, { variation_id: 'Variation ID 99 does not exist' })
    await wrong({ include_timeline: 'maybe' }, { include_timeline: 'Say true or false.' })
    await app.http.post(path).expect(405)
  })

  it('tells the interval of a text without a rival, and of one that is retired', async () => {
    const app = await testApp()
    const ask = await bearer(app)
    await app.db
      .insertInto('settings')
      .values({ name: 'promo_impression_meaning', value: 'message' })
      .execute()
    await app.promos.settingsChanged()
    const { offer, ids } = await aPromo(app, { texts: 1 })
    const retired = await aVariation(app, offer.id, { archived_at: 1 })
    const unseen = await aVariation(app, offer.id, { archived_at: 1 })
    for (const id of [ids[0]!, retired.id]) await show(app, offer.id, id, { placements: 50 })
    await clicks(app, ids[0]!, 8)
    await clicks(app, retired.id, 4)
    await clicks(app, unseen.id, 1)
    const { variations } = (await ask().expect(200)).body
    const [lone, old, never] = variations
    for (const [told, rate] of [
      [lone, 16],
      [old, 8],
    ]) {
      expect(told).toMatchObject({ ctr: rate, prob_best: null, verdict: null })
      expect(told.interval[0]).toBeLessThan(rate)
      expect(told.interval[1]).toBeGreaterThan(rate)
    }
    expect(never).toMatchObject({ variation_id: unseen.id, ctr: null, interval: null })
  })

  it('has days of the reporting time zone, over the edges of years, months and summer time', async () => {
    const clock = stoppedClock(Date.UTC(2026, 9, 24, 21, 59)) // 23:59 in Berlin; the next day has 25 hours
    const app = await testApp({ clock, env: { TIME_ZONE: 'Europe/Berlin' } })
    const ask = await bearer(app)
    const { offer, ids } = await aPromo(app)
    const timeline = async (days: string) => {
      const { body } = await ask({ days, include_timeline: 'true' }).expect(200)
      return (body.timeline as { date: string; impressions: number }[]).filter(
        ({ impressions }) => impressions > 0,
      )
    }
    await show(app, offer.id, ids[0]!)
    clock.pass(60_000)
    for (let hour = 0; hour < 25; hour++) {
      await show(app, offer.id, ids[0]!)
      clock.pass(3_600_000)
    }
    await show(app, offer.id, ids[0]!) // midnight of the 26th
    expect(await timeline('7')).toMatchObject([
      { date: '2026-10-24', impressions: 1 },
      { date: '2026-10-25', impressions: 25 },
      { date: '2026-10-26', impressions: 1 },
    ])
    clock.at = Date.UTC(2026, 11, 31, 22, 59)
    await show(app, offer.id, ids[0]!)
    clock.pass(60_000)
    await show(app, offer.id, ids[0]!)
    expect((await timeline('7')).map(({ date }) => date)).toEqual(['2026-12-31', '2027-01-01'])
    clock.at = Date.UTC(2027, 1, 28, 23)
    await show(app, offer.id, ids[0]!)
    expect((await timeline('90')).map(({ date }) => date)).toEqual(['2026-12-31', '2027-01-01', '2027-03-01'])
    const { body } = await ask({ days: 'all', include_timeline: 'true' }).expect(200)
    expect(body.summary.date_range).toEqual({ start: '2026-10-24', end: '2027-03-01', days: 128 })
    expect(body.timeline).toHaveLength(129)
    clock.at = Date.UTC(2028, 2, 1, 12)
    const leap = (await ask({ days: '7', include_timeline: 'true' }).expect(200)).body.timeline
    expect(leap.map(({ date }: { date: string }) => date)).toContain('2028-02-29')
  })

  it('is remembered, and never longer than until the next change', async () => {
    const app = await testApp()
    const ask = await bearer(app)
    const { offer, ids } = await aPromo(app)
    const total = async () => (await ask().expect(200)).body.summary.total_impressions
    await show(app, offer.id, ids[0]!)
    expect(await total()).toBe(1)
    await app.db.updateTable('promo_days').set({ impressions: 70 }).execute()
    expect(await total()).toBe(1)
    app.clock.pass(300_000)
    expect(await total()).toBe(70)
    await show(app, offer.id, ids[0]!)
    expect(await total()).toBe(71)
  })

  it('compares once per issue what was delivered, and nothing while that is not known', async () => {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0' } })
    const ask = await bearer(app)
    const { offer, ids } = await aPromo(app, { texts: 2 })
    const judged = async () => (await ask().expect(200)).body.variations
    for (const [place, id] of ids.entries()) {
      await show(app, offer.id, id, { newsletter_send_id: `issue-${place}` })
      await clicks(app, id, 3 - place)
    }
    expect((await judged())[0]).toMatchObject({
      impressions: 1,
      clicks: 3,
      ctr: 300,
      prob_best: null,
      interval: null,
      verdict: null,
    })
    expect((await judged())[0].interval).toBeNull()
    for (const place of [0, 1]) {
      const mailing = await aMailing(app)
      await app.db
        .insertInto('mailing_reports')
        .values({ mailing_id: mailing.id, deliveries: 100, checked_at: testStart })
        .execute()
      await app.db
        .updateTable('promo_sends')
        .set({ mailing_id: mailing.id, tied_by: 'hand' })
        .where('key', '=', `issue-${place}`)
        .execute()
    }
    const [first] = await judged()
    // As reported, beside what is believed of the hundred who got it.
    expect(first).toMatchObject({
      impressions: 1,
      clicks: 3,
      ctr: 300,
      verdict: expect.stringMatching(/^about \d+ more issues$/),
    })
    expect(first.interval[1]).toBeLessThan(10)
    // More are known to have got the issues: nothing else has changed, and no time has passed.
    await app.db.updateTable('mailing_reports').set({ deliveries: 10_000 }).execute()
    expect((await judged())[0].interval[1]).toBeLessThan(1)
    await app.db.updateTable('mailing_reports').set({ deliveries: 100 }).execute()
    await app.promos.lookAgain()
    expect(app.promos.directory.text(ids[0]!)).toMatchObject({
      evidence: { impressions: 100, clicks: 3 },
      pending: false,
    })
  })
})

describe('access tokens', () => {
  const logIn = (app: TestApp, body: object = account) => app.http.post('/api/v1/auth/token').send(body)
  const askWith = (app: TestApp, token: string) => app.http.get(path).set('Authorization', `Bearer ${token}`)

  it.each(['HS256', 'EdDSA'])('are JWTs signed with %s that hold for an hour', async (algorithm) => {
    const app = await testApp({ env: { ACCESS_TOKEN_ALGORITHM: algorithm } })
    await aPerson(app)
    const { body, headers } = await logIn(app).expect(200)
    expect(body).toEqual({ token: expect.any(String), token_type: 'Bearer', expires_in: 3600 })
    expect(headers['cache-control']).toBe('no-store')
    expect(decodeProtectedHeader(body.token)).toEqual({ alg: algorithm, typ: 'JWT' })
    const claims = decodeJwt(body.token)
    expect(claims.exp! - claims.iat!).toBe(3600)
    await askWith(app, body.token).expect(200)
    app.clock.pass(3_600_000)
    expect((await askWith(app, body.token).expect(401)).body.error).toBe('unauthorized')
  })

  it('can be revoked, one or all, and end with the password', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    const token = async () => (await logIn(app).expect(200)).body.token as string
    const [one, two, three] = [await token(), await token(), await token()]
    await app.http.post('/api/v1/auth/revoke').set('Authorization', `Bearer ${one}`).expect(204)
    await app.http.post('/api/v1/auth/revoke').set('Authorization', `Bearer ${one}`).expect(401)
    await app.http.post('/api/v1/auth/revoke').expect(401)
    await askWith(app, one).expect(401)
    await askWith(app, two).expect(200)
    expect((await person.http.get('/settings/tokens').expect(200)).text).toContain('2 of them hold')
    await person.send('/settings/access-tokens/revocation', {}).expect(303)
    await askWith(app, two).expect(401)
    await askWith(app, three).expect(401)
    const four = await token()
    await person
      .send('/settings/password', {
        current_password: account.password,
        new_password: 'another harbour in the fog',
      })
      .expect(303)
    await askWith(app, four).expect(401)
  })

  it('are refused when forged, and asked for with care', async () => {
    const app = await testApp({ env: { PROMO_ANALYTICS_PER_MINUTE: '5' } })
    await aPerson(app)
    await app.http.get(path).expect(401)
    await askWith(app, 'tl_nonsense').expect(401)
    const forged = await new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer('throughline')
      .setSubject('1')
      .setJti('x')
      .setExpirationTime('1h')
      .sign(Buffer.alloc(32))
    await askWith(app, forged).expect(401)
    await askWith(app, `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.`).expect(401)
    await app.http.get(path).expect(401)
    expect((await app.http.get(path).expect(429)).headers['retry-after']).toBe('60')
    expect((await logIn(app, {}).expect(400)).body.details).toEqual({
      username: 'The username is missing.',
      password: 'The password is missing.',
    })
    expect((await logIn(app, { ...account, password: 'wrong' }).expect(401)).body.message).toBe(
      'The name or the password is wrong.',
    )
    await logIn(app, { username: 'nobody', password: 'wrong' }).expect(401)
    for (let guess = 0; guess < 10; guess++) await logIn(app, { ...account, password: `wrong ${guess}` })
    const slowed = await logIn(app).expect(429)
    expect(Number(slowed.headers['retry-after'])).toBeGreaterThan(0)
  })
})
