import { describe, expect, it } from 'vitest'
import { listRuns } from '../../src/operations/job-runs.js'
import {
  type Kind,
  type Retention,
  readRetention,
  retentionRecorder,
  saveRetention,
  tracesRemovedBefore,
} from '../../src/operations/retention.js'
import { rebuildPromoCounts, rebuildPromoDays } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'
import { aPerson } from '../accounts/people.js'
import { type TestApp, testApp } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { aCampaign, anEvent, firefox, iphone } from '../support/builders.js'
import { holdLock } from '../support/lock.js'
import { aPromo, countsOf, tellClick, tellImpression } from '../support/promos.js'
import { countsIn, expectCountsToHold } from '../support/recount.js'

const day = 86_400_000
const hour = 3_600_000

const nothing: Record<Kind, number> = {
  traces: 0,
  inbox: 0,
  audit: 0,
  jobs: 0,
  promos: 0,
  events: 0,
  engagements: 0,
  snapshots: 0,
}

/** How many rows the next run would take. */
const wouldGo = async ({ retention }: TestApp) =>
  Object.fromEntries(Object.entries(await retention.wouldGo()).map(([kind, { rows }]) => [kind, rows]))

const keep = async ({ db }: TestApp, days: Partial<Retention>) =>
  saveRetention(db, { ...(await readRetention(db)), ...days })

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
    expect(await wouldGo(app)).toEqual({ ...nothing, traces: 6 })
    expect((await app.retention.wouldGo()).traces.from).toBe(app.clock.at - 100 * day)

    expect(await app.retention.run()).toEqual({ ...nothing, traces: 6 })

    expect(await tracesOf(app, 'events')).toEqual([false, false, false, false, false, true])
    expect(await clicks()).toEqual([{ ...oldClick!, address: null, user_agent_id: null }, youngClick])
    expect(await facts()).toEqual(before)
    expect(before.map(({ verdict }) => verdict)).toContain(2)
    await expectCountsToHold(app.db)
    expect(await tracesRemovedBefore(app.db)).toBe(app.clock.at - 90 * day)
    expect(await wouldGo(app)).toEqual(nothing)
    expect((await app.retention.run()).traces).toBe(0)
  })

  it('takes the traces of what came after a clock that was ahead', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    const tell = (name: string) => anEvent(app, { cid, email: `${name}@fernmail.example` })
    await tell('before')
    app.clock.pass(1000 * day)
    await tell('ahead')
    app.clock.pass(-1000 * day)
    await tell('after')
    app.clock.pass(100 * day)
    expect(await wouldGo(app)).toEqual({ ...nothing, traces: 2 })
    expect(await app.retention.run()).toEqual({ ...nothing, traces: 2 })
    expect(await tracesOf(app, 'events')).toEqual([false, true, false])
    // What was looked at once is passed over, and the one ahead goes in its time.
    expect(await wouldGo(app)).toEqual(nothing)
    app.clock.pass(1000 * day)
    await app.jobs.perform('remove-what-is-old')
    expect(await tracesOf(app, 'events')).toEqual([false, false, false])
    expect((await listRuns(app.db, 'remove-what-is-old', { limit: 1 }))[0]!.result).toMatch(
      /^Removed: addresses and user agents of events, opens and clicks 1[,.]/,
    )
  })

  it('waits while something else holds the database', async () => {
    const app = await testApp()
    const { id: cid } = await aCampaign(app)
    await anEvent(app, { cid })
    app.clock.pass(100 * day)
    const unlock = holdLock(app.path)
    setTimeout(unlock, 400)
    expect(await app.retention.run()).toEqual({ ...nothing, traces: 1 })
    expect(await wouldGo(app)).toEqual(nothing)
  })

  it('takes read deliveries, and leaves those that could not be read', async () => {
    const app = await testApp()
    const old = app.clock.at - 31 * day
    await aDelivery(app, 'a', old, 'done')
    await aDelivery(app, 'b', old, 'kept')
    await aDelivery(app, 'c', old, 'failed')
    await aDelivery(app, 'd', old, 'waiting')
    await aDelivery(app, 'e', app.clock.at - 29 * day, 'done')
    expect((await app.retention.wouldGo()).inbox).toEqual({ rows: 2, from: old, isMore: false })
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
    expect(app.ledger.tally.written).toBeGreaterThanOrEqual(25)
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
    expect(await app.retention.run()).toEqual(nothing)
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
    const recorder = retentionRecorder(app.db)
    await recorder.record(app.db, { what: 'traces', from: 'events', ids: [first!.id] })
    expect((await app.retention.run()).traces).toBe(2)
    expect(await tracesOf(app, 'events')).toEqual([false, false, false])
    await expectCountsToHold(app.db)
  })
})

describe('retention of mailings', () => {
  it('takes addresses and user agents from old opens, whenever they were told, and judges later ones as before', async () => {
    const app = await testApp()
    const { id: contactId } = await aContact(app)
    const { id: mailingId } = await aMailing(app)
    const about = { contactId, mailingId, address: '203.0.113.9', userAgent: firefox }
    const start = app.clock.at
    await anEngagement(app, {
      ...about,
      kind: 'delivered',
      happenedAt: start,
      userAgent: null,
      address: null,
    })
    await anEngagement(app, { ...about, kind: 'opened', happenedAt: start + hour })
    await anEngagement(app, {
      ...about,
      kind: 'clicked',
      happenedAt: start + hour,
      url: 'https://a.example/',
    })
    app.clock.pass(95 * day)
    await anEngagement(app, { ...about, kind: 'opened', happenedAt: app.clock.at - day })
    // Told last, and older than the one before it.
    await anEngagement(app, { ...about, kind: 'opened', happenedAt: start + 2 * hour })
    const rows = () =>
      app.db
        .selectFrom('engagements')
        .select(['kind', 'happened_at', 'link_id', 'country', 'verdict', 'reasons'])
        .orderBy('id')
        .execute()
    const traced = async () =>
      (
        await app.db.selectFrom('engagements').select(['address', 'user_agent_id']).orderBy('id').execute()
      ).map(({ address, user_agent_id }) => address !== null || user_agent_id !== null)
    const [before, counts] = [await rows(), await countsIn(app.db)]
    expect(await traced()).toEqual([false, true, true, true, true])
    expect(await wouldGo(app)).toEqual({ ...nothing, traces: 3 })

    expect(await app.retention.run()).toEqual({ ...nothing, traces: 3 })

    expect(await traced()).toEqual([false, false, false, true, false])
    expect(await rows()).toEqual(before)
    expect(await countsIn(app.db)).toEqual(counts)
    await anEngagement(app, {
      ...about,
      kind: 'clicked',
      happenedAt: app.clock.at,
      url: 'https://b.example/',
    })
    expect((await rows()).slice(0, -1)).toEqual(before)
    await expectCountsToHold(app.db)
    expect(await wouldGo(app)).toEqual(nothing)
  })

  it('leaves one snapshot for each day after the third, and pages say the same of the days', async () => {
    const app = await testApp()
    const { get } = await aPerson(app)
    const sentAt = app.clock.at - 200 * day
    const { id } = await aMailing(app, { provider: 'emailoctopus', sent_at: sentAt })
    const told = async (hours: number, people: number, isLower: 0 | 1 = 0) =>
      app.db
        .insertInto('mailing_snapshots')
        .values({ mailing_id: id, taken_at: sentAt + hours * hour, is_lower: isLower, ...numbers(people) })
        .execute()
    const numbers = (people: number) => ({
      recipients: 100,
      deliveries: 100,
      opens: people * 2,
      unique_opens: people,
      clicks: people,
      unique_clicks: people,
      permanent_failures: 0,
      temporary_failures: 0,
      unsubscriptions: 0,
      complaints: 0,
      replies: null,
    })
    for (const [hours, people] of [
      [1, 10],
      [5, 20],
      [71, 30],
      [72, 31],
      [73, 32],
      [80, 40],
      [96, 41],
      [97, 42],
      [110, 60],
      [199 * 24, 70],
      [199 * 24 + 1, 71],
    ] as const)
      await told(hours, people)
    await told(100, 39, 1)
    await app.db
      .insertInto('mailing_reports')
      .values({ mailing_id: id, checked_at: app.clock.at, ...numbers(71) })
      .execute()
    const days = async () =>
      /aria-label="Opens and clicks by day since sending"[\s\S]*?<\/table>/.exec(
        (await get(`/mailings/${id}?span=30d`).expect(200)).text,
      )![0]
    const before = await days()
    expect(await wouldGo(app)).toEqual(nothing)
    await keep(app, { snapshots_days: 90 })
    expect((await app.retention.wouldGo()).snapshots).toEqual({
      rows: 3,
      from: sentAt + 73 * hour,
      isMore: false,
    })

    expect(await app.retention.run()).toEqual({ ...nothing, snapshots: 3 })

    const left = await app.db.selectFrom('mailing_snapshots').select('taken_at').orderBy('taken_at').execute()
    expect(left.map(({ taken_at }) => (taken_at - sentAt) / hour)).toEqual([
      1, 5, 71, 72, 96, 100, 110, 4776, 4777,
    ])
    expect(await days()).toBe(before)
    expect(await wouldGo(app)).toEqual(nothing)
  })
})

describe('retention of what operators look at', () => {
  it('takes old runs of jobs with what they said, and none that is under way', async () => {
    const app = await testApp()
    const { db, clock } = app
    const aRun = async (startedAt: number, state: 'done' | 'failed' | 'running') => {
      const { id } = await db
        .insertInto('job_runs')
        .values({ job: 'x', state, started_at: startedAt, ended_at: startedAt, error: null })
        .returning('id')
        .executeTakeFirstOrThrow()
      await db
        .insertInto('job_lines')
        .values([1, 2].map((number) => ({ run_id: id, number, said_at: startedAt, line: 'So far.' })))
        .execute()
      return id
    }
    const old = clock.at - 366 * day
    await aRun(old, 'done')
    await aRun(old, 'failed')
    const kept = [await aRun(old, 'running'), await aRun(clock.at - 364 * day, 'done')]
    expect((await app.retention.wouldGo()).jobs).toEqual({ rows: 2, from: old, isMore: false })
    expect(await app.retention.run()).toEqual({ ...nothing, jobs: 2 })
    const runs = await db.selectFrom('job_runs').select('id').orderBy('id').execute()
    expect(runs.map(({ id }) => id)).toEqual(kept)
    const lines = await db.selectFrom('job_lines').select('run_id').distinct().orderBy('run_id').execute()
    expect(lines.map(({ run_id }) => run_id)).toEqual(kept)
  })
})

describe('retention of promos', () => {
  /** Half a year of two offers: issues, impressions without one, clicks of people and machines, and repeated ones. */
  async function aHalfYear() {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0', PROMO_IMPRESSIONS_PER_MINUTE: '0' } })
    const promos = [await aPromo(app, { texts: 2 }), await aPromo(app)]
    for (let week = 0; week < 24; week += 2) {
      for (const { offer, ids } of promos)
        for (const variation_id of ids) {
          const shown = { offer_id: offer.id, variation_id }
          await tellImpression(app, { ...shown, newsletter_send_id: `issue-${week}` }).expect(204)
          await tellImpression(app, { ...shown, placements: 2 }).expect(204)
          for (const [reader, user_agent] of [iphone, firefox, 'Googlebot/2.1'].entries())
            await tellClick(app, { variation_id, ip_address: `203.0.113.${reader}`, user_agent }).expect(204)
        }
      await tellClick(app, { variation_id: promos[0]!.ids[0], ip_address: '203.0.113.0' }).expect(204)
      await app.http.get(`/go/${promos[1]!.offer.slug}`).set('User-Agent', firefox).expect(302)
      app.clock.pass(14 * day + 5 * hour)
    }
    await app.promos.settled()
    const person = await aPerson(app)
    const analytics = async () => {
      await app.promos.refresh()
      const { text } = await person.get(`/promos/offers/${promos[0]!.offer.id}?days=all`)
      return text.replaceAll(/name="_csrf" value="[^"]*"/g, '')
    }
    return { app, promos, analytics }
  }

  it('removes clicks and impressions, and every count, page and recount says the same', async () => {
    const { app, promos, analytics } = await aHalfYear()
    const [counts, page] = [await countsIn(app.db), await analytics()]
    expect(page).toContain('Bindery notebooks')
    await app.retention.run()
    await keep(app, { promos_days: 60 })
    const would = await wouldGo(app)
    const facts = async () => ({
      impressions: await app.db.selectFrom('promo_impressions').selectAll().execute(),
      clicks: await app.db.selectFrom('promo_clicks').selectAll().execute(),
    })
    const before = await facts()

    const removed = await app.retention.run()

    expect(removed).toEqual(would)
    const after = await facts()
    const horizon = app.clock.at - 60 * day
    expect(after.impressions).toEqual(
      before.impressions.filter((row) => row.send_id !== null || row.happened_at >= horizon),
    )
    expect(after.clicks).toEqual(before.clicks.filter((row) => row.happened_at >= horizon))
    expect(removed.promos).toBe(
      before.impressions.length + before.clicks.length - after.impressions.length - after.clicks.length,
    )
    expect(after.clicks.length).toBeGreaterThan(0)
    expect(removed.promos).toBeGreaterThan(60)
    expect(await countsIn(app.db)).toEqual(counts)
    expect(await analytics()).toBe(page)
    await rebuildPromoCounts(app.db, calendar('UTC'))
    expect(await countsIn(app.db)).toEqual(counts)
    expect(await analytics()).toBe(page)
    expect(await wouldGo(app)).toEqual(nothing)

    // What comes afterwards is told apart as it was: a repeated impression, and the issue of a click.
    const [text] = promos[0]!.ids
    const shown = { offer_id: promos[0]!.offer.id, variation_id: text }
    const known = await countsOf(app, text!)
    await tellImpression(app, { ...shown, newsletter_send_id: 'issue-0' }).expect(204)
    expect(await countsOf(app, text!)).toEqual(known)
    await tellClick(app, { variation_id: text, ip_hash: 'somebody' }).expect(204)
    const last = await app.db
      .selectFrom('promo_clicks')
      .innerJoin('promo_sends', 'promo_sends.id', 'send_id')
      .select('key')
      .orderBy('promo_clicks.id', 'desc')
      .executeTakeFirstOrThrow()
    expect(last.key).toBe('issue-22')
    await expectCountsToHold(app.db)
  })

  it('sorts what it removed into the days of another time zone, too', async () => {
    const { app } = await aHalfYear()
    const nepal = calendar('Asia/Kathmandu')
    await rebuildPromoDays(app.db, nepal)
    const counts = await countsIn(app.db)
    await rebuildPromoDays(app.db, calendar('UTC'))
    expect((await countsIn(app.db)).promo_days).not.toEqual(counts.promo_days)
    await keep(app, { promos_days: 60 })
    await app.retention.run()
    await rebuildPromoDays(app.db, nepal)
    expect(await countsIn(app.db)).toEqual(counts)
  })

  it('counts nothing twice and loses nothing when it is interrupted, or asked for the same rows again', async () => {
    const { app } = await aHalfYear()
    const counts = await countsIn(app.db)
    await keep(app, { promos_days: 60 })
    const rows = await app.db.selectFrom('promo_clicks').select('id').orderBy('id').limit(7).execute()
    const recorder = retentionRecorder(app.db)
    const ids = rows.map(({ id }) => id)
    const some = { what: 'sealed', from: 'promo_clicks', ids: ids.slice(0, 5) } as const
    await app.db.transaction().execute((tx) => recorder.record(tx, some))
    await app.db.transaction().execute((tx) => recorder.record(tx, some))
    const killed = app.db.transaction().execute(async (tx) => {
      await recorder.record(tx, { what: 'sealed', from: 'promo_clicks', ids })
      throw new Error('The process ended.')
    })
    await expect(killed).rejects.toThrow('The process ended.')
    await expectCountsToHold(app.db)
    const would = await wouldGo(app)
    expect(await app.retention.run()).toEqual(would)
    expect(await countsIn(app.db)).toEqual(counts)
    await expectCountsToHold(app.db)
  })

  it('waits as long as facts of promos wait for the database: a removed one would not be known again', async () => {
    const { app } = await aHalfYear()
    await keep(app, { promos_days: 60 })
    await app.promos.spool.append('{"kind":"nothing"}')
    expect(await wouldGo(app)).toMatchObject({ promos: 0 })
    expect(await app.retention.run()).toMatchObject({ promos: 0 })
    await app.promos.spool.drain(async () => {})
    expect((await app.retention.run()).promos).toBeGreaterThan(0)
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
    expect(after.text).toMatch(/Deliveries that go<\/dt><dd data-value="1">1, the oldest of 1 Nov/)
    const early = await send(
      page,
      { traces_days: '60', inbox_days: '14', audit_days: '365', jobs_days: '30', promos_days: '59' },
      { from: page },
    )
    expect(early.status).toBe(422)
    expect(early.text).toContain('Write at least 60 days, or 0: until then repeated clicks')
    expect(early.text).toContain('value="59"')
    expect(await readRetention(app.db)).toMatchObject({ traces_days: 60, jobs_days: 365, promos_days: 0 })
    expect(await app.db.selectFrom('inbox').selectAll().execute()).toHaveLength(1)
  })
})
