import { describe, expect, it } from 'vitest'
import { reason } from '../../src/campaigns/verdict.js'
import { readSetting } from '../../src/database/settings.js'
import { type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const reasonsOf = async ({ db }: TestApp) =>
  (await db.selectFrom('events').select('reasons').orderBy('id').execute()).map((event) => event.reasons)
const settled = async ({ db }: TestApp) => Number((await readSetting(db, 'settled_event_id')) ?? 0)
const tenMinutes = 600_000

/** As if the rules had been others when the events came in. */
const forget = (app: TestApp, reasons = 0) =>
  app.db
    .updateTable('events')
    .set({ reasons, verdict: reasons & (reason.agent | reason.burst) ? 2 : reasons ? 1 : 0 })
    .execute()

describe('settling', () => {
  it('waits ten minutes', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    app.clock.pass(tenMinutes - 1)
    expect(await app.settling.run()).toBe(0)
    expect(await settled(app)).toBe(0)
    app.clock.pass(1)
    expect(await app.settling.run()).toBe(1)
    expect(await settled(app)).toBe(1)
    expect(await app.settling.run()).toBe(0)
  })

  it('finds each reason again from the facts alone', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id, ua: 'Googlebot/2.1', email: 'bot@a.example' })
    for (const link of ['hero', 'footer', 'top'])
      await anEvent(app, { cid: id, link, email: 'burst@a.example' })
    await anEvent(app, { cid: id, email: 'hasty@a.example' })
    app.clock.pass(799)
    await anEvent(app, { cid: id, event: 'landing_click', email: 'hasty@a.example' })
    await anEvent(app, { cid: id, event: 'landing_click', email: 'calm@a.example' })
    const judged = await reasonsOf(app)
    expect(judged).toEqual([reason.agent, reason.burst, reason.burst, reason.burst, 0, reason.haste, 0])

    await forget(app)
    app.clock.pass(tenMinutes)
    await app.settling.run()
    expect(await reasonsOf(app)).toEqual(judged)
  })

  it('takes a reason away that does not hold', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    await app.settle({ changes: [{ id: 1, reasons: reason.burst }], upTo: 0 })
    expect(await app.db.selectFrom('campaign_counts').select('email_clicks').executeTakeFirst()).toEqual({
      email_clicks: 0,
    })
    app.clock.pass(tenMinutes)
    await app.settling.run()
    expect(await reasonsOf(app)).toEqual([0])
    expect(await app.db.selectFrom('campaign_counts').select('email_clicks').executeTakeFirst()).toEqual({
      email_clicks: 1,
    })
  })

  it('judges the rate of an address across a restart', async () => {
    const first = await testApp()
    const { id } = await aCampaign(first)
    for (let i = 0; i < 40; i++) await anEvent(first, { cid: id, email: `r${i}@a.example` })
    first.clock.pass(30_000)
    for (let i = 40; i < 62; i++) await anEvent(first, { cid: id, email: `r${i}@a.example` })
    await forget(first)
    first.clock.pass(tenMinutes - 10_000) // the first forty are due, the others not yet
    expect(await first.settling.run()).toBe(40)
    await first.stop()

    const second = await testApp({ dataDir: first.dataDir, clock: first.clock })
    second.clock.pass(10_000)
    expect(await second.settling.run()).toBe(22)
    expect((await reasonsOf(second)).filter((reasons) => reasons === reason.rate)).toHaveLength(2)
  })

  it('keeps what it can no longer judge', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    await app.db
      .updateTable('events')
      .set({ user_agent_id: null, address: null, reasons: reason.agent | reason.rate, verdict: 2 })
      .execute()
    app.clock.pass(tenMinutes)
    await app.settling.run()
    expect(await reasonsOf(app)).toEqual([reason.agent | reason.rate])
  })

  it('is not held up by an event from a clock that was wrong', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    app.clock.pass(365 * 24 * 3_600_000)
    await anEvent(app, { cid: id })
    app.clock.pass(-365 * 24 * 3_600_000)
    await anEvent(app, { cid: id })
    app.clock.pass(tenMinutes)
    expect(await app.settling.run()).toBe(2)
  })

  it('adds a reason to a machine that had another already', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    for (const link of ['hero', 'footer', 'top']) await anEvent(app, { cid: id, link, ua: 'Googlebot/2.1' })
    const judged = await reasonsOf(app)
    expect(judged).toEqual(Array(3).fill(reason.agent | reason.burst))
    await forget(app, reason.agent)
    app.clock.pass(tenMinutes)
    await app.settling.run()
    expect(await reasonsOf(app)).toEqual(judged)
    const counts = await app.db.selectFrom('campaign_counts').selectAll().executeTakeFirstOrThrow()
    expect(counts).toMatchObject({ email_clicks: 0, machine_email_clicks: 3 })
  })

  it('passes over an event whose campaign is gone', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    await app.settle({ changes: [{ id: 99, reasons: reason.burst }], upTo: 0 })
    expect(await reasonsOf(app)).toEqual([0])
  })

  it('joins a run that is under way', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    app.clock.pass(tenMinutes)
    expect(await Promise.all([app.settling.run(), app.settling.run()])).toEqual([1, 1])
  })
})
