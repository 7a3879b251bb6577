import type { KyselyPlugin } from 'kysely'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { campaignRemover, deleteCampaign, editCampaign } from '../../src/campaigns/commands.js'
import { OverviewFilter, readOverview } from '../../src/campaigns/overview.js'
import { getCampaign, listOffers } from '../../src/campaigns/queries.js'
import { openDatabase } from '../../src/database/open.js'
import { campaignCountTables } from '../../src/operations/proof.js'
import { calendar } from '../../src/web/calendar.js'
import { type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const facts = ['events', ...campaignCountTables, 'campaign_offers', 'campaigns'] as const

/** How many rows each table still has of a campaign. */
async function rowsOf({ db }: Pick<TestApp, 'db'>, id: number) {
  const rows: Record<string, number> = {}
  for (const table of facts) {
    const { n } = await db
      .selectFrom(table)
      .where((table === 'campaigns' ? 'campaigns.id' : `${table}.campaign_id`) as never, '=', id as never)
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    if (n > 0) rows[table] = n
  }
  return rows
}

async function aBusyCampaign(app: TestApp, events: number) {
  const { id } = await aCampaign(app)
  await Promise.all(
    Array.from({ length: events }, (_, n) =>
      anEvent(app, {
        cid: id,
        email: `reader${n}@fernmail.example`,
        domain: `d${n % 300}.example`,
        ip: `203.0.113.${n % 200}`,
      }),
    ),
  )
  return id
}

/** Counts the queries that a connection runs. */
function counting(db: TestApp['db']) {
  let queries = 0
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      queries++
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { db: db.withPlugin(plugin), queries: () => queries }
}

describe('removing a deleted campaign', () => {
  it('takes all its facts and counts, and nothing of its neighbour', async () => {
    const app = await testApp()
    const neighbour = await aBusyCampaign(app, 3)
    const id = await aBusyCampaign(app, 250)
    const before = await rowsOf(app, neighbour)
    await deleteCampaign(app.db, id, app.clock.now())

    await app.remover.run()

    expect(await rowsOf(app, id)).toEqual({})
    expect(await rowsOf(app, neighbour)).toEqual(before)
  })

  it('is taken up again after a stop', async () => {
    const app = await testApp()
    const id = await aBusyCampaign(app, 250)
    await deleteCampaign(app.db, id, app.clock.now())
    const log = pino({ level: 'silent' })
    const interrupted = campaignRemover({ db: app.db, log })
    const running = interrupted.run()
    while ((await rowsOf(app, id)).events === 250) await new Promise(setImmediate)
    await interrupted.stop()
    await running
    const left = await rowsOf(app, id)
    expect(left.campaigns).toBe(1)
    expect(left.events).toBeLessThan(250)
    expect(left.events).toBeGreaterThan(0)

    await campaignRemover({ db: app.db, log }).run()

    expect(await rowsOf(app, id)).toEqual({})
  })

  it('lets events of others in while it runs', async () => {
    const app = await testApp()
    const neighbour = await aBusyCampaign(app, 1)
    const id = await aBusyCampaign(app, 250)
    await deleteCampaign(app.db, id, app.clock.now())

    const removal = app.remover.run()
    let answered = 0
    for (let n = 0; n < 20; n++)
      answered += (await anEvent(app, { cid: neighbour, eid: `e${n}` })) > 0 ? 1 : 0
    await removal

    expect(answered).toBe(20)
    expect((await rowsOf(app, neighbour)).events).toBe(21)
    expect(await rowsOf(app, id)).toEqual({})
  })

  it('goes on when an event came in behind it', async () => {
    const app = await testApp()
    const id = await aBusyCampaign(app, 1)
    await deleteCampaign(app.db, id, app.clock.now())
    const event = await app.db.selectFrom('events').selectAll().executeTakeFirstOrThrow()
    const other = openDatabase(app.path)
    // Just as the campaign itself is to go, an event that had been waiting in the ledger is written.
    let late = true
    const plugin: KyselyPlugin = {
      transformQuery({ node }) {
        return node
      },
      async transformResult({ result }) {
        const { n } = await other
          .selectFrom('campaign_counts')
          .select(({ fn }) => fn.countAll<number>().as('n'))
          .executeTakeFirstOrThrow()
        if (late && n === 0) {
          late = false
          await other
            .insertInto('events')
            .values({ ...event, id: event.id + 1000 })
            .execute()
        }
        return result
      },
    }

    await campaignRemover({ db: app.db.withPlugin(plugin), log: pino({ level: 'silent' }) }).run()

    await other.destroy()
    expect(late).toBe(false)
    expect(await rowsOf(app, id)).toEqual({})
  })

  it('runs once when asked twice, and picks up what was deleted meanwhile', async () => {
    const app = await testApp()
    const first = await aBusyCampaign(app, 5)
    const second = await aBusyCampaign(app, 5)
    await deleteCampaign(app.db, first, 1)
    const running = app.remover.run()
    await deleteCampaign(app.db, second, 1)
    expect(app.remover.run()).toBe(running)
    await running
    expect(await rowsOf(app, first)).toEqual({})
    expect(await rowsOf(app, second)).toEqual({})
  })
})

describe('the history of an offer', () => {
  it('gets an entry only for another URL', async () => {
    const app = await testApp()
    const { id, offer_url } = await aCampaign(app)
    const form = { name: 'Other name', offer_url, needs_key: false }
    await editCampaign(app.db, id, form, 5)
    expect(await listOffers(app.db, id)).toHaveLength(1)
    const later = app.clock.now() + 1
    await editCampaign(app.db, id, { ...form, offer_url: 'https://a.example/' }, later)
    await editCampaign(app.db, id, { ...form, offer_url: 'https://b.example/' }, later)
    expect((await listOffers(app.db, id)).map((offer) => offer.offer_url)).toEqual([
      'https://b.example/',
      offer_url,
    ])
    await expect(getCampaign(app.db, 99)).rejects.toThrow('There is no campaign 99.')
  })
})

describe('the overview', () => {
  it('costs as many queries for twenty campaigns as for one', async () => {
    const app = await testApp()
    const cost = async () => {
      const { db, queries } = counting(app.db)
      await readOverview(db, OverviewFilter.parse({}), { calendar: calendar('UTC'), now: app.clock.now() })
      return queries()
    }
    await aCampaign(app)
    const one = await cost()
    for (let n = 1; n < 20; n++) await aCampaign(app)
    expect(await cost()).toBe(one)
  })

  it('reads counts alone', async () => {
    const app = await testApp()
    const id = await aBusyCampaign(app, 5)
    const read = (days: string) =>
      readOverview(app.db, OverviewFilter.parse({ days }), {
        calendar: calendar('UTC'),
        now: app.clock.now(),
      })
    const before = [await read(''), await read('30')]
    expect(before.map(({ headlines }) => headlines.clicks.value)).toEqual([5, 5])
    await app.db.deleteFrom('journeys').where('campaign_id', '=', id).execute()
    await app.db.deleteFrom('events').where('campaign_id', '=', id).execute()
    expect([await read(''), await read('30')]).toEqual(before)
  })

  it('sums the days of the reporting time zone', async () => {
    const app = await testApp({ env: { TIME_ZONE: 'Pacific/Auckland' } })
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id })
    const auckland = calendar('Pacific/Auckland')
    const { headlines, lines } = await readOverview(app.db, OverviewFilter.parse({ days: '7' }), {
      calendar: auckland,
      now: app.clock.now(),
    })
    expect(headlines.clicks.byDay.at(-1)).toBe(1)
    expect(lines[0]!.clicksByDay).toEqual([0, 0, 0, 0, 0, 0, 1])
  })
})
