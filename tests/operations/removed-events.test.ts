import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deleteCampaign } from '../../src/campaigns/commands.js'
import { rebuildCounts, rebuildDays } from '../../src/campaigns/rebuild.js'
import { campaignCountTables } from '../../src/operations/proof.js'
import { type Retention, readRetention, saveRetention } from '../../src/operations/retention.js'
import { calendar } from '../../src/web/calendar.js'
import { aPerson } from '../accounts/people.js'
import { stoppedClock, type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent, firefox, iphone } from '../support/builders.js'
import { countsIn, expectCountsToHold } from '../support/recount.js'

const day = 86_400_000

const keep = async ({ db }: TestApp, days: Partial<Retention>) =>
  saveRetention(db, { ...(await readRetention(db)), ...days })

/** The counts of campaigns, all of them. */
async function campaignCounts({ db }: TestApp) {
  const counts = await countsIn(db)
  return campaignCountTables.map((table) => counts[table])
}

/** Four years of a campaign: people who come back on another domain, convert with and without a click, and machines. */
async function fourYears() {
  const app = await testApp()
  const { id: cid } = await aCampaign(app)
  for (let quarter = 0; quarter < 16; quarter++) {
    for (let reader = 0; reader < 4; reader++) {
      const who = { cid, email: `reader${reader}@fernmail.example`, ua: reader % 2 ? iphone : firefox }
      const domain = quarter % 3 === 2 ? 'offers.fernweh.example' : 'news.fernweh.example'
      if (reader > 0) await anEvent(app, { ...who, domain })
      if (reader === 2) await anEvent(app, { ...who, domain, event: 'landing_click' })
      if (quarter === 3) await anEvent(app, { ...who, domain, event: 'conversion' })
    }
    await anEvent(app, { cid, email: 'scanner@fernmail.example', ua: 'Googlebot/2.1' })
    app.clock.pass(91 * day)
    await app.settling.run()
  }
  const person = await aPerson(app)
  const read = async (path: string) =>
    (await person.get(path).expect(200)).text.replaceAll(/\b[0-9a-f]{64}\b/g, '')
  const contact = async (email: string) =>
    (await app.db.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirstOrThrow()).id
  return { app, cid, person, read, contact }
}

describe('events that are removed', () => {
  it('stay in every count, on the pages, and in a recount', async () => {
    const { app, cid, read, contact } = await fourYears()
    const reader = await contact('reader2@fernmail.example')
    const pages = [`/campaign/${cid}`, `/campaign/${cid}?machines=1`, `/campaign/${cid}/journeys.csv`, '/']
    const readAll = () => Promise.all(pages.map(read))
    const tile = async () =>
      /Conversions<\/[\s\S]{0,400}/.exec(await read(`/audience/${reader}`))![0].slice(0, 300)
    const [counts, before, conversions] = [await campaignCounts(app), await readAll(), await tile()]
    await app.retention.run()
    await keep(app, { events_days: 730 })
    const { events } = await app.retention.wouldGo()
    expect(events.from).toBe(app.clock.at - 16 * 91 * day)
    const all = await app.db.selectFrom('events').selectAll().execute()

    expect((await app.retention.run()).events).toBe(events.rows)

    const left = await app.db.selectFrom('events').selectAll().execute()
    expect(left).toEqual(all.filter(({ happened_at }) => happened_at >= app.clock.at - 730 * day))
    expect(events.rows).toBe(all.length - left.length)
    expect(left.length).toBeGreaterThan(10)
    expect(events.rows).toBeGreaterThan(30)
    expect(await campaignCounts(app)).toEqual(counts)
    expect(await readAll()).toEqual(before)
    expect(await tile()).toBe(conversions)
    await rebuildCounts(app.db, calendar('UTC'))
    expect(await campaignCounts(app)).toEqual(counts)
    expect(await readAll()).toEqual(before)
    expect((await app.retention.wouldGo()).events).toEqual({ rows: 0, from: null, isMore: false })
  })

  it('are still what a later event comes after', async () => {
    const { app, cid } = await fourYears()
    await keep(app, { events_days: 730 })
    app.clock.pass(3000 * day)
    await app.retention.run()
    expect(await app.db.selectFrom('events').selectAll().execute()).toEqual([])
    const orphans = async () =>
      (await app.db.selectFrom('campaign_counts').select('orphans').executeTakeFirstOrThrow()).orphans
    const before = await orphans()
    await anEvent(app, { cid, email: 'reader1@fernmail.example', event: 'conversion' })
    expect(await orphans()).toBe(before)
    await anEvent(app, { cid, email: 'reader0@fernmail.example', event: 'conversion' })
    expect(await orphans()).toBe(before + 1)
    // Three links at once: what was counted already turns out to be a machine's, and the person is counted anew.
    for (const link of ['a', 'b', 'c', 'd'])
      await anEvent(app, { cid, email: 'reader3@fernmail.example', link })
    await expectCountsToHold(app.db)
  })

  it('are counted for whom a contact was merged into, and for nobody who was erased', async () => {
    const { app, person, contact } = await fourYears()
    const [from, into] = [
      await contact('reader1@fernmail.example'),
      await contact('reader2@fernmail.example'),
    ]
    await keep(app, { events_days: 730 })
    await app.retention.run()
    const sums = async () =>
      app.db
        .selectFrom('campaign_counts')
        .select(['email_clicks', 'landing_clicks', 'conversions', 'machine_email_clicks'])
        .executeTakeFirstOrThrow()
    const before = await sums()
    await app.audience.mergeContacts({ from, into })
    expect(await sums()).toEqual(before)
    await expectCountsToHold(app.db)
    const told = JSON.stringify((await person.get(`/audience/${into}/export.json`).expect(200)).body)
    expect(told).toContain('"removed_events":[{"campaign":"Autumn Reading List"')
    await person.send(`/audience/${into}/erase`, { sure: '1' }, { from: `/audience/${into}/erase` })
    const erased = await app.db
      .selectFrom('contacts')
      .select('email')
      .where('id', '=', into)
      .executeTakeFirstOrThrow()
    expect(erased.email).toBe(`erased:${into}`)
    expect(await sums()).toEqual(before)
    await expectCountsToHold(app.db)
  })

  it('leave nothing behind when their campaign is deleted, and fall into the days of another time zone', async () => {
    const { app, cid } = await fourYears()
    const nepal = calendar('Asia/Kathmandu')
    await rebuildDays(app.db, nepal)
    const { campaign_days } = await countsIn(app.db)
    await rebuildDays(app.db, calendar('UTC'))
    await keep(app, { events_days: 730 })
    await app.retention.run()
    await rebuildDays(app.db, nepal)
    expect((await countsIn(app.db)).campaign_days).toEqual(campaign_days)

    await deleteCampaign(app.db, cid, app.clock.at)
    await app.remover.run()
    for (const table of ['events', 'journeys', 'sealed_journeys', 'sealed_events', 'sealed_places'] as const)
      expect(await app.db.selectFrom(table).selectAll().execute()).toEqual([])
  })

  it('change no count, whatever is told before and after', async () => {
    const step = fc.record({
      event: fc.constantFrom('email_click', 'landing_click', 'conversion'),
      reader: fc.nat(2),
      domain: fc.nat(1),
      agent: fc.constantFrom(firefox, firefox, 'Googlebot/2.1'),
      link: fc.constantFrom('', 'a', 'b', 'c'),
      pause: fc.constantFrom(0, 0, 1_000, 900_000, 200 * day, 900 * day),
      removes: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async (steps) => {
        const clock = stoppedClock()
        const [one, other] = [await testApp({ clock }), await testApp({ clock })]
        const apps = [one, other]
        await keep(one, { events_days: 730 })
        const { id: cid } = await aCampaign(one)
        await aCampaign(other)
        for (const { event, reader, domain, agent, link, pause, removes } of steps) {
          for (const app of apps) {
            const told = { cid, event, email: `r${reader}@fernmail.example`, ua: agent }
            await anEvent(app, { ...told, domain: `news${domain}.example`, ...(link ? { link } : {}) })
          }
          clock.pass(pause)
          for (const app of apps) if (pause >= 900_000) await app.settling.run()
          if (removes) await one.retention.run()
        }
        await one.retention.run()
        expect(await campaignCounts(one)).toEqual(await campaignCounts(other))
        await expectCountsToHold(one.db)
      }),
      { numRuns: 8, seed: 7 },
    )
  })
})
