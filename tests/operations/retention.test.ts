import { describe, expect, it } from 'vitest'
import { mostCounted, retentionRecorder, tracesRemovedBefore } from '../../src/operations/retention.js'
import { aPerson } from '../accounts/people.js'
import { type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent, iphone } from '../support/builders.js'
import { aPromo, tellClick } from '../support/promos.js'
import { expectCountsToHold } from '../support/recount.js'

const day = 86_400_000

const tracesOf = async ({ db }: TestApp, table: 'events') =>
  (await db.selectFrom(table).select(['address', 'user_agent_id']).orderBy('id').execute()).map(
    ({ address, user_agent_id }) => address !== null && user_agent_id !== null,
  )

async function aDelivery(
  { db }: TestApp,
  key: string,
  receivedAt: number,
  state: 'done' | 'kept' | 'failed' | 'waiting',
) {
  await db
    .insertInto('inbox')
    .values({
      provider: 'buttondown',
      event_type: 'x',
      key,
      body: Buffer.from('{}'),
      contact_id: null,
      state,
      received_at: receivedAt,
      settled_at: receivedAt,
      try_at: null,
      reason: null,
    })
    .execute()
}

describe('retention', () => {
  it('takes addresses and user agents from old facts, and every recount is the same', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    const { offer, ids } = await aPromo(app)
    const click = () =>
      tellClick(app, {
        offer_id: offer.id,
        variation_id: ids[0],
        ip: '203.0.113.9',
        user_agent: iphone,
      }).expect(204)
    for (let number = 0; number < 3; number++)
      await anEvent(app, { cid, email: `reader${number}@fernmail.example`, ua: iphone })
    await anEvent(app, { cid, event: 'landing_click' })
    await anEvent(app, { cid, email: 'scanner@fernmail.example', ua: 'Googlebot/2.1' })
    await click()
    app.clock.pass(80 * day)
    await app.settling.run()
    await anEvent(app, { cid, event: 'conversion' })
    await click()
    app.clock.pass(20 * day)
    const facts = async () =>
      app.db.selectFrom('events').select(['id', 'kind', 'device', 'country', 'verdict', 'reasons']).execute()
    const before = await facts()
    const clicks = () => app.db.selectFrom('promo_clicks').selectAll().orderBy('id').execute()
    const [oldClick, youngClick] = await clicks()
    expect(oldClick!.user_agent_id).not.toBeNull()
    expect(await app.retention.wouldGo()).toEqual({ traces: 6, inbox: 0, audit: 0 })

    expect(await app.retention.run()).toEqual({ traces: 6, inbox: 0, audit: 0 })

    expect(await tracesOf(app, 'events')).toEqual([false, false, false, false, false, true])
    expect(await clicks()).toEqual([{ ...oldClick!, address: null, user_agent_id: null }, youngClick])
    expect(await facts()).toEqual(before)
    expect(before.map(({ verdict }) => verdict)).toContain(2)
    await expectCountsToHold(app.db)
    expect(await tracesRemovedBefore(app.db)).toBe(app.clock.at - 90 * day)
    expect(await app.retention.wouldGo()).toEqual({ traces: 0, inbox: 0, audit: 0 })
    expect((await app.retention.run()).traces).toBe(0)
  })

  it('takes read deliveries, and leaves those that could not be read', async () => {
    const app = await testApp()
    const old = app.clock.at - 31 * day
    await aDelivery(app, 'a', old, 'done')
    await aDelivery(app, 'b', old, 'kept')
    await aDelivery(app, 'c', old, 'failed')
    await aDelivery(app, 'd', old, 'waiting')
    await aDelivery(app, 'e', app.clock.at - 29 * day, 'done')
    expect((await app.retention.wouldGo()).inbox).toBe(2)
    expect((await app.retention.run()).inbox).toBe(2)
    const left = await app.db.selectFrom('inbox').select('key').orderBy('key').execute()
    expect(left.map(({ key }) => key)).toEqual(['c', 'd', 'e'])
  })

  it('writes few rows at once, however many there are', async () => {
    const app = await testApp()
    const rows = Array.from({ length: 2500 }, (_, number) => ({
      happened_at: app.clock.at - 400 * day,
      account_id: null,
      action: 'export',
      subject: `/no-${number}.csv`,
      outcome: 'done' as const,
    }))
    for (let at = 0; at < rows.length; at += 500)
      await app.db
        .insertInto('audit_log')
        .values(rows.slice(at, at + 500))
        .execute()
    expect((await app.retention.run()).audit).toBe(2500)
    expect(app.ledger.tally.written).toBe(25)
    expect(mostCounted).toBeGreaterThan(2500)
  })

  it('keeps for good what says 0 days, and takes back nothing when more days are kept', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const page = '/operations/privacy'
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid, ua: iphone })
    await aDelivery(app, 'a', app.clock.at, 'done')
    await send(page, { traces_days: '0', inbox_days: '0', audit_days: '0' }, { from: page })
    app.clock.pass(4000 * day)
    expect(await app.retention.run()).toEqual({ traces: 0, inbox: 0, audit: 0 })
    expect(await tracesOf(app, 'events')).toEqual([true])
    expect(await tracesRemovedBefore(app.db)).toBe(0)
    expect((await get(page)).status).toBe(303) // the session has ended long ago
  })

  it('loses nothing when it is interrupted: the next run goes on', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    for (let number = 0; number < 3; number++)
      await anEvent(app, { cid, email: `r${number}@fernmail.example`, ua: iphone })
    app.clock.pass(100 * day)
    const [first] = await app.db.selectFrom('events').select('id').orderBy('id').execute()
    const recorder = retentionRecorder()
    await recorder.record(app.db, { from: 'events', ids: [first!.id] })
    expect((await app.retention.run()).traces).toBe(3)
    expect(await tracesOf(app, 'events')).toEqual([false, false, false])
    await expectCountsToHold(app.db)
  })
})

describe('the page Privacy', () => {
  it('says what is held, what would go, and takes the days', async () => {
    const app = await testApp()
    const { send, get } = await aPerson(app)
    const page = '/operations/privacy'
    await aDelivery(app, 'a', app.clock.at - 20 * day, 'done')
    const before = await get(page).expect(200)
    expect(before.text).toContain('contact_identities')
    expect(before.text).not.toContain('would-go')
    const wrong = await send(
      page,
      { traces_days: 'soon', inbox_days: '14', audit_days: '365' },
      { from: page },
    )
    expect(wrong.status).toBe(422)
    expect(wrong.text).toContain('value="soon"')
    expect(wrong.text).toContain('value="14"')
    await send(page, { traces_days: '60', inbox_days: '14', audit_days: '365' }, { from: page })
    const after = await get(`${page}?show=1`).expect(200)
    expect(after.text).toMatch(/Deliveries that go<\/dt><dd data-value="1">1/)
    expect(await app.db.selectFrom('inbox').selectAll().execute()).toHaveLength(1)
  })
})
