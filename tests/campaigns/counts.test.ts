import fc from 'fast-check'
import { expect, it } from 'vitest'
import { rebuildCounts } from '../../src/campaigns/rebuild.js'
import type { Db } from '../../src/database/open.js'
import { campaignCountTables } from '../../src/operations/proof.js'
import { calendar } from '../../src/web/calendar.js'
import { testApp } from '../support/app.js'
import { aCampaign, firefox } from '../support/builders.js'

/** All counts as text, without rows that have gone back to nothing. */
async function countsIn(db: Db) {
  const all: Record<string, string[]> = {}
  for (const table of campaignCountTables) {
    const rows = await db.selectFrom(table).selectAll().execute()
    all[table] = rows
      .filter((row) => table !== 'journey_counts' || (row as { journeys: number }).journeys !== 0)
      .map((row) => JSON.stringify(row))
      .sort()
  }
  return all
}

/** A recount so plain that it can be checked by eye: what the pages say, straight from the facts. */
async function plainRecount(db: Db) {
  const events = await db.selectFrom('events').selectAll().orderBy('id').execute()
  const people = (kind: number, machines: boolean) =>
    new Set(
      events
        .filter((e) => e.kind === kind && (machines || e.verdict < 2))
        .map((e) => `${e.campaign_id} ${e.contact_id}`),
    ).size
  const number = (kind: number, machine: boolean) =>
    events.filter((e) => e.kind === kind && (e.verdict === 2) === machine).length
  const orphans = events.filter(
    (e) =>
      e.kind === 3 &&
      e.verdict < 2 &&
      !events.some(
        (c) =>
          c.id < e.id &&
          c.kind < 3 &&
          c.verdict < 2 &&
          c.contact_id === e.contact_id &&
          c.campaign_id === e.campaign_id,
      ),
  ).length
  return {
    email_clicks: number(1, false),
    landing_clicks: number(2, false),
    conversions: number(3, false),
    machine_email_clicks: number(1, true),
    machine_landing_clicks: number(2, true),
    machine_conversions: number(3, true),
    people_email_clicks: people(1, false),
    people_landing_clicks: people(2, false),
    people_conversions: people(3, false),
    all_people_email_clicks: people(1, true),
    all_people_landing_clicks: people(2, true),
    all_people_conversions: people(3, true),
    orphans,
  }
}

async function totals(db: Db) {
  const sum: Record<string, number> = {}
  for (const { campaign_id, last_at, ...row } of await db.selectFrom('campaign_counts').selectAll().execute())
    for (const [name, value] of Object.entries(row)) sum[name] = (sum[name] ?? 0) + value
  return sum
}

const step = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      campaign: fc.integer({ min: 0, max: 1 }),
      event: fc.constantFrom('email_click', 'landing_click', 'conversion'),
      email: fc.constantFrom('ada@a.example', 'ben@b.example', 'cy@c.example'),
      domain: fc.constantFrom('one.example', 'two.example'),
      eid: fc.option(fc.integer({ min: 1, max: 8 }).map(String), { nil: undefined }),
      link: fc.option(fc.constantFrom('hero', 'footer', 'top'), { nil: undefined }),
      ua: fc.constantFrom(firefox, firefox, firefox, 'Googlebot/2.1'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      by: fc.constantFrom(1, 500, 4_000, 3_600_000, -2_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('judge' as const),
      id: fc.integer({ min: 1, max: 30 }),
      reasons: fc.integer({ min: 0, max: 15 }),
    }),
  },
)

it('counts equal the facts after any sequence of events, duplicates and new verdicts', async () => {
  const app = await testApp({ env: { TIME_ZONE: 'Asia/Kathmandu' } })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      for (const table of [...campaignCountTables, 'events', 'campaign_offers', 'campaigns'] as const)
        await app.db.deleteFrom(table).execute()
      const campaigns = [await aCampaign(app), await aCampaign(app)]
      const first = await app.db
        .selectFrom('sqlite_sequence' as never)
        .select('seq' as never)
        .where('name' as never, '=', 'events' as never)
        .executeTakeFirst()
      const offset = Number((first as { seq?: number } | undefined)?.seq ?? 0)
      let arriving: PromiseLike<unknown>[] = []
      const arrived = async () => {
        await Promise.all(arriving)
        arriving = []
      }
      for (const now of steps) {
        if (now.do === 'event') {
          const { do: _, campaign, ...query } = now
          arriving.push(
            app.http
              .get('/api/event')
              .query(JSON.parse(JSON.stringify({ ...query, cid: campaigns[campaign]!.id })))
              .expect(200)
              .then(() => undefined),
          )
          continue
        }
        await arrived()
        if (now.do === 'pass') app.clock.pass(now.by)
        else if (now.do === 'settle') {
          app.clock.pass(600_001)
          await app.settling.run()
        } else await app.settle({ changes: [{ id: offset + now.id, reasons: now.reasons }], upTo: offset })
      }
      await arrived()

      expect({ ...(await plainRecount(app.db)), ...(await totals(app.db)) }).toEqual(
        await plainRecount(app.db),
      )
      const kept = await countsIn(app.db)
      await rebuildCounts(app.db, calendar('Asia/Kathmandu'))
      expect(kept).toEqual(await countsIn(app.db))
    }),
    { numRuns: 60 },
  )
}, 400_000)
