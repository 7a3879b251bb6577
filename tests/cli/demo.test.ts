import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createAccount } from '../../src/accounts/commands.js'
import { openCountries } from '../../src/audience/countries.js'
import { rebuildCounts } from '../../src/campaigns/rebuild.js'
import { judge } from '../../src/campaigns/verdict.js'
import { guest, makeDemo } from '../../src/cli/demo/make.js'
import { dice, inviteReaders } from '../../src/cli/demo/readers.js'
import { recordCampaigns } from '../../src/cli/demo/record.js'
import { stories } from '../../src/cli/demo/stories.js'
import { trickle } from '../../src/cli/demo/trickle.js'
import { calendar } from '../../src/web/calendar.js'
import { aFolder, type TestApp, testApp, testStart } from '../support/app.js'

const timeZone = 'Europe/Berlin'
const wish = { now: testStart, timeZone, seed: 7 }

async function aDemo() {
  const dataDir = aFolder()
  const made = await makeDemo({ dataDir, ...wish })
  return { ...(await testApp({ dataDir, env: { TIME_ZONE: timeZone } })), made }
}

const eventsOf = ({ db }: Pick<TestApp, 'db'>) => db.selectFrom('events').selectAll().orderBy('id').execute()

/**
 * Addresses are kept under keys that chance makes and nobody can make again. What is left to compare is which events
 * share one.
 */
async function comparable(app: Pick<TestApp, 'db'>) {
  const known = new Map<string | null, number>([[null, 0]])
  return (await eventsOf(app)).map(({ address, ...event }) => {
    if (!known.has(address)) known.set(address, known.size)
    return JSON.stringify({ ...event, address: known.get(address) })
  })
}

/** Every count that a page reads, in an order that does not hang on who wrote it. */
async function countsOf({ db }: Pick<TestApp, 'db'>) {
  const tables = [
    'journeys',
    'campaign_counts',
    'domain_counts',
    'journey_counts',
    'campaign_hours',
    'campaign_days',
  ] as const
  const counts: Record<string, string[]> = {}
  for (const table of tables) {
    const rows = await db.selectFrom(table).selectAll().execute()
    counts[table] = rows.map((row) => JSON.stringify(row)).sort()
  }
  return counts
}

it('makes data that the door itself could have made', async () => {
  const app = await aDemo()
  const { db, made } = app
  const events = await eventsOf(app)
  expect(made.campaigns).toHaveLength(stories.length)
  expect(events).toHaveLength(made.events)
  expect(events.filter(({ happened_at }) => happened_at > testStart)).toEqual([])
  expect(events.filter(({ verdict, reasons }) => verdict !== judge(reasons))).toEqual([])
  expect(new Set(events.map(({ verdict }) => verdict))).toEqual(new Set([0, 1, 2]))
  const people = await db.selectFrom('accounts').select('username').execute()
  expect(people).toEqual([{ username: guest.username }])

  const kept = await countsOf(app)
  for (const rows of Object.values(kept)) expect(rows.length).toBeGreaterThan(0)
  await rebuildCounts(db, calendar(timeZone))
  expect(await countsOf(app)).toEqual(kept)

  // Judged again from the facts alone, nothing is found to be otherwise.
  await db.updateTable('settings').set({ value: '0' }).where('name', '=', 'settled_event_id').execute()
  expect(await app.settling.run()).toBeGreaterThan(0.99 * made.events)
  expect(await eventsOf(app)).toEqual(events)
  expect(await countsOf(app)).toEqual(kept)
})

it('makes the same data for the same seed and instant, in place of what was there', async () => {
  const one = await aDemo()
  const events = await comparable(one)
  const campaigns = await one.db.selectFrom('campaigns').selectAll().execute()
  await one.db.insertInto('contacts').values({ email: 'left@over.example', created_at: 1 }).execute()
  const counts = await countsOf(one)
  await one.stop()

  const made = await makeDemo({ dataDir: one.dataDir, ...wish })
  const other = await testApp({ dataDir: one.dataDir })
  expect(made).toEqual(one.made)
  expect(await comparable(other)).toEqual(events)
  expect(await countsOf(other)).toEqual(counts)
  expect(await other.db.selectFrom('campaigns').selectAll().execute()).toEqual(campaigns)
  const left = await other.db
    .selectFrom('contacts')
    .where('email', '=', 'left@over.example')
    .selectAll()
    .execute()
  expect(left).toEqual([])
})

it('goes on telling events through the door', async () => {
  const app = await testApp()
  const { db, clock } = app
  const countryOf = openCountries()
  const readers = inviteReaders(dice(7), countryOf)
  const { id } = await createAccount(db, guest, { by: null, at: clock.now() })
  const needs = { db, countryOf, calendar: calendar(timeZone), account: id, now: clock.now() }
  const campaigns = await recordCampaigns(stories, needs)
  const server = app.app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asleep: { milliseconds: number; wake: (value?: unknown) => void }[] = []
  const sleep = (milliseconds: number) =>
    new Promise((wake) => {
      asleep.push({ milliseconds, wake })
    })
  const sleepers = (count: number) => vi.waitUntil(() => asleep.length === count, { timeout: 20_000 })
  const told = () =>
    db
      .selectFrom('events')
      .select(['campaign_id', 'contact_id', 'domain_id', 'kind', 'happened_at', 'address'])
      .orderBy('id')
      .execute()

  // Everybody goes all the way. It never ends, as it would not in a demo.
  void trickle({ stories, campaigns, readers, dice: { ...dice(7), chance: () => true }, origin, sleep })
  await sleepers(2)
  // The first to sleep is the one who sends visitors, for seconds; the second is the visitor, who reads.
  const [next, reading] = asleep
  expect(next!.milliseconds).toBeGreaterThanOrEqual(4_000)
  const empty = campaigns.at(-1)!
  expect(app.refusals.listFor(empty, { since: 0, exists: () => true })).toHaveLength(1)
  expect((await told()).map(({ kind }) => kind)).toEqual([1])
  reading!.wake()
  await sleepers(3)
  asleep[2]!.wake()
  await vi.waitUntil(async () => (await told()).length === 3, { timeout: 20_000 })

  const [click, landing, conversion] = await told()
  expect(click!.address).not.toBeNull()
  expect(landing).toEqual({ ...click, kind: 2 })
  expect(conversion).toMatchObject({ contact_id: click!.contact_id, domain_id: click!.domain_id, kind: 3 })

  next!.wake()
  await sleepers(5)
  expect((await told()).map(({ kind }) => kind)).toEqual([1, 2, 3, 1])
})
