import fc from 'fast-check'
import { expect, it } from 'vitest'
import { destroyOldClickSalts, keptReferrer, keptUserAgent } from '../../src/promos/click-traces.js'
import { stoppedClock, testApp } from '../support/app.js'
import { aMailing } from '../support/audience.js'
import { firefox, iphone } from '../support/builders.js'
import { aPromo, countsOf, tellClick, tellImpression } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'

it('agree with a recount after any sequence of facts', async () => {
  const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0', PROMO_IMPRESSIONS_PER_MINUTE: '0' } })
  const promos = [await aPromo(app, { texts: 2 }), await aPromo(app, { texts: 1 })]
  const step = fc.record({
    what: fc.constantFrom('impression', 'click', 'go', 'go nowhere'),
    promo: fc.nat(1),
    text: fc.nat(1),
    send: fc.option(fc.nat(3)),
    placements: fc.integer({ min: 1, max: 3 }),
    reader: fc.option(fc.nat(2)),
    agent: fc.constantFrom(firefox, iphone, 'curl/8', ''),
    pause: fc.constantFrom(0, 1, 400_000, 3_600_000, 30 * 86_400_000),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      for (const { what, promo, text, send, placements, reader, agent, pause } of steps) {
        app.clock.pass(pause)
        const { offer, ids } = promos[promo]!
        const variation_id = ids[text % ids.length]!
        if (what === 'impression')
          await tellImpression(app, {
            offer_id: offer.id,
            variation_id,
            placements,
            ...(send === null ? {} : { newsletter_send_id: `issue-${send}` }),
          }).expect(204)
        else if (what === 'click')
          await tellClick(app, {
            variation_id,
            user_agent: agent,
            ...(reader === null ? {} : { ip_address: `203.0.113.${reader}` }),
          }).expect(204)
        else
          await app.http
            .get(`/go/${offer.slug}${what === 'go' ? `?promo_var=${variation_id}` : ''}`)
            .set('User-Agent', agent)
            .expect(302)
      }
      await app.promos.settled()
      await expectCountsToHold(app.db)
    }),
    { numRuns: 12, seed: 4 },
  )
})

it('give a click to the issue that showed its text last', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  const show = (newsletter_send_id: string) =>
    tellImpression(app, { offer_id: offer.id, variation_id: ids[0], newsletter_send_id }).expect(204)
  const click = (ip_hash: string) => tellClick(app, { variation_id: ids[0], ip_hash }).expect(204)
  await click('before any')
  await show('one')
  app.clock.pass(1000)
  await click('after one')
  app.clock.pass(1000)
  await show('two')
  await click('after two')
  // A click that was told late belongs to the time when it happened.
  app.clock.at -= 500
  await click('between')
  const sends = await app.db
    .selectFrom('promo_clicks')
    .leftJoin('promo_sends', 'promo_sends.id', 'send_id')
    .select('key')
    .orderBy('promo_clicks.id')
    .execute()
  expect(sends.map(({ key }) => key)).toEqual([null, 'one', 'two', 'one'])
  await expectCountsToHold(app.db)
})

it('keep less of a click when the switch is off', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  await app.db.insertInto('settings').values({ name: 'promo_click_metadata', value: '0' }).execute()
  await app.promos.settingsChanged()
  const click = {
    variation_id: ids[0],
    ip_address: '203.0.113.7',
    user_agent: firefox,
    referrer: 'newsletter',
  }
  await tellClick(app, click).expect(204)
  await tellClick(app, { ...click, user_agent: 'curl/8' }).expect(204)
  await tellClick(app, { variation_id: ids[0] }).expect(204)
  await app.http.get(`/go/${offer.slug}`).set('User-Agent', 'SecretBrowser/1').expect(302)
  await app.promos.settled()
  expect(await app.db.selectFrom('user_agents').selectAll().execute()).toEqual([])
  const rows = await app.db.selectFrom('promo_clicks').selectAll().execute()
  for (const row of rows)
    expect(row).toMatchObject({ address: null, user_agent_id: null, device: null, referrer: '' })
  expect(await countsOf(app, ids[0]!)).toMatchObject({ clicks: 2, machine_clicks: 1 })
  await expectCountsToHold(app.db)
})

it('hash addresses under a salt that changes each month and is destroyed', async () => {
  const clock = stoppedClock(Date.UTC(2026, 9, 31, 23, 59))
  const app = await testApp({ clock })
  const { ids } = await aPromo(app)
  const click = async () => {
    await tellClick(app, { variation_id: ids[0], ip_address: '203.0.113.7' }).expect(204)
    return (
      await app.db
        .selectFrom('promo_clicks')
        .select('address')
        .orderBy('id', 'desc')
        .executeTakeFirstOrThrow()
    ).address
  }
  const october = await click()
  expect(await click()).toBe(october)
  clock.pass(60_000)
  expect(await click()).not.toBe(october)
  const months = async () =>
    (
      await app.db
        .selectFrom('salts')
        .select('month')
        .where('purpose', '=', 'promo_clicks')
        .orderBy('month')
        .execute()
    ).map(({ month }) => month)
  expect(await months()).toEqual(['2026-10', '2026-11'])
  for (let month = 0; month < 2; month++) {
    clock.pass(31 * 86_400_000)
    await click()
  }
  expect(await months()).toEqual(['2026-12', '2027-01'])
  await destroyOldClickSalts(app.db, clock.at + 60 * 86_400_000)
  expect(await months()).toEqual([])
})

it('hold no address of anybody, whatever is told', async () => {
  expect(keptReferrer('https://mail.example/inbox?who=ada@fernmail.example')).toBe('mail.example')
  expect(keptReferrer('newsletter?id=7')).toBe('newsletter')
  expect(keptReferrer('newsletter?u=ada@fernmail.example')).toBe('newsletter')
  expect(keptReferrer('issue 2026-11-21')).toBe('issue 2026-11-21')
  expect(keptReferrer('https://v1-2-3.shop1000.example/')).toBe('v1-2-3.shop1000.example')
  expect(keptReferrer(' e-mail, Tuesday ')).toBe('')
  expect(keptReferrer('e-mail Tuesday')).toBe('e-mail Tuesday')
  for (const text of [
    'ada@fernmail.example',
    'ada%40fernmail.example',
    '203.0.113.7',
    'from 203.0.113.7',
    'https://203.0.113.7/x',
    'https://203.0.113.7.nip.io/x',
    'https://ip-203-0-113-7.ec2.example/',
    'https://0xcb007107/',
    'http://[2001:db8::1]/',
    'https://ada%40fern.mail.example.%40x/',
    'https://not a url',
    'user 1234567',
    '',
    'x'.repeat(90),
  ])
    expect(keptReferrer(text)).toBe('')
  expect(keptUserAgent('Feedbot/1.0 (+mailto:bot@feeds.example) x')).toBe('Feedbot/1.0 x')
  expect(
    keptUserAgent('Proxy/1.0 (203.0.113.7; for 2001:db8::1, 10.0.0.1:8080; a::b::c) http://10.0.0.2/x'),
  ).toBe('Proxy/1.0 (; for , :8080; a::b::c) http:///x')
  const versions = 'Mozilla/5.0 (X11; Linux; rv:109.0) Chrome/124.0.0.0 Instagram 315.0.0.29.109 v1.2.3.4'
  expect(keptUserAgent(` ${versions} `)).toBe(versions)

  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  await tellImpression(app, { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'one' }).expect(
    204,
  )
  const secret = 'ada@fernmail.example'
  await tellClick(app, {
    variation_id: ids[0],
    ip_address: '198.51.100.23',
    referrer: `https://mail.example/?${secret}`,
    user_agent: `Reader (${secret}; 198.51.100.23)`,
  }).expect(204)
  await tellClick(app, { variation_id: ids[0], referrer: 'of 198.51.100.23' }).expect(204)
  for (const label of ['198.51.100.23', 'for 198.51.100.23,', '[2001:db8::1]']) {
    const sentence = (field: string) => ({ [field]: `The ${field} must not hold an internet address.` })
    const told = { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: label }
    const refused = await tellImpression(app, told).expect(400)
    expect(refused.body.details).toEqual(sentence('newsletter_send_id'))
    const select = app.http.get('/api/v1/promo/select-random').query({ newsletter: label })
    expect((await select.expect(400)).body.details).toEqual(sentence('newsletter'))
  }
  const timed = { offer_id: offer.id, variation_id: ids[0], newsletter_send_id: 'at::10:00:00.000Z, v1.2.3' }
  await tellImpression(app, timed).expect(204)
  for (const table of ['promo_clicks', 'promo_impressions', 'promo_sends', 'user_agents'] as const) {
    const text = JSON.stringify(await app.db.selectFrom(table).selectAll().execute())
    expect(text).not.toContain(secret)
    expect(text).not.toContain('198.51.100.23')
  }
})

it('tie issues to mailings by the provider’s id, in whatever spelling and order', async () => {
  const app = await testApp()
  const { offer, ids } = await aPromo(app)
  const mailing = await aMailing(app)
  const uuid = '3f0c1f9e-54d1-4a42-9d42-0c6d4c1e7a01'
  await app.db.updateTable('mailings').set({ provider_id: uuid }).where('id', '=', mailing.id).execute()
  const show = (newsletter_send_id: string) =>
    tellImpression(app, { offer_id: offer.id, variation_id: ids[0], newsletter_send_id }).expect(204)
  await show(`em_${uuid.toUpperCase()}`)
  await show('later')
  const ties = () =>
    app.db.selectFrom('promo_sends').select(['mailing_id', 'tied_by']).orderBy('id').execute()
  expect(await ties()).toEqual([
    { mailing_id: mailing.id, tied_by: 'provider' },
    { mailing_id: null, tied_by: null },
  ])
  await app.promos.lookAgain()
  expect((await ties())[1]).toEqual({ mailing_id: null, tied_by: null })
  const other = await aMailing(app)
  await app.db.updateTable('mailings').set({ provider_id: 'later' }).where('id', '=', other.id).execute()
  await app.promos.lookAgain()
  await app.promos.lookAgain()
  expect((await ties())[1]).toEqual({ mailing_id: other.id, tied_by: 'provider' })
})
