import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import supertest from 'supertest'
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest'
import { createAccount } from '../../src/accounts/commands.js'
import { bands } from '../../src/audience/contact-filter.js'
import { openCountries } from '../../src/audience/countries.js'
import { judgeReception } from '../../src/audience/engagement-verdict.js'
import { rebuildAudienceCounts } from '../../src/audience/rebuild.js'
import { subscriptionStatuses } from '../../src/audience/subscriptions.js'
import { rebuildCounts } from '../../src/campaigns/rebuild.js'
import { judge } from '../../src/campaigns/verdict.js'
import { guest, makeDemo } from '../../src/cli/demo/make.js'
import { newsletter } from '../../src/cli/demo/newsletter.js'
import { dice, inviteReaders } from '../../src/cli/demo/readers.js'
import { recordCampaigns } from '../../src/cli/demo/record.js'
import { deliveryOf } from '../../src/cli/demo/record-provider.js'
import { stories } from '../../src/cli/demo/stories.js'
import { trickle } from '../../src/cli/demo/trickle.js'
import { inboxRecorder } from '../../src/esp/inbox.js'
import { countTables } from '../../src/operations/proof.js'
import { readLogo } from '../../src/partners/logo.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'
import { aFolder, type TestApp, testApp, testStart } from '../support/app.js'

const timeZone = 'Europe/Berlin'
const wish = { now: testStart, timeZone, seed: 7 }

// Made once, and copied: it takes seconds.
const original = mkdtempSync(join(tmpdir(), 'throughline-demo-'))
let made: Awaited<ReturnType<typeof makeDemo>>
beforeAll(async () => {
  made = await makeDemo({ dataDir: original, ...wish })
})
afterAll(() => rmSync(original, { recursive: true, force: true }))

async function aDemo() {
  const dataDir = aFolder()
  cpSync(original, dataDir, { recursive: true })
  return { ...(await testApp({ dataDir, env: { TIME_ZONE: timeZone } })), made }
}

const eventsOf = ({ db }: Pick<TestApp, 'db'>) => db.selectFrom('events').selectAll().orderBy('id').execute()
const engagementsOf = ({ db }: Pick<TestApp, 'db'>) =>
  db.selectFrom('engagements').selectAll().orderBy('id').execute()

/**
 * Addresses are kept under keys that chance makes and nobody can make again. What is left to compare is which events
 * share one.
 */
async function comparable(app: Pick<TestApp, 'db'>) {
  const known = new Map<string | null, number>([[null, 0]])
  return [...(await eventsOf(app)), ...(await engagementsOf(app))].map(({ address, ...event }) => {
    if (!known.has(address)) known.set(address, known.size)
    return JSON.stringify({ ...event, address: known.get(address) })
  })
}

/** Every count that a page reads, in an order that does not hang on who wrote it. */
async function countsOf({ db }: Pick<TestApp, 'db'>) {
  const counts: Record<string, string[]> = {}
  for (const table of [...countTables, 'contacts'] as const) {
    const rows: object[] = await db.selectFrom(table).selectAll().execute()
    counts[table] = rows.map((row) => JSON.stringify(row, hundredths)).sort()
  }
  return counts
}

/** Sums of scores differ in their last digits by the order in which they are added. */
const hundredths = (_name: string, value: unknown) =>
  typeof value === 'number' ? Math.round(value * 100) / 100 : value

/** Thousands of rows that differ would take minutes to print. @returns the tables that differ, with the first row */
const different = (one: Record<string, string[]>, other: Record<string, string[]>) =>
  Object.keys(one).flatMap((table) => {
    const index = one[table]!.findIndex((row, at) => row !== other[table]![at])
    return index < 0 && one[table]!.length === other[table]!.length
      ? []
      : [{ table, one: one[table]![index], other: other[table]![index] }]
  })

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
  await rebuildAudienceCounts(db, calendar(timeZone))
  await rebuildPromoCounts(db, calendar(timeZone))
  await app.scoring.runAll() // knows what the tracker saw, too
  expect(different(await countsOf(app), kept)).toEqual([])

  // Judged again from the facts alone, nothing is found to be otherwise.
  await db.updateTable('settings').set({ value: '0' }).where('name', '=', 'settled_event_id').execute()
  expect(await app.settling.run()).toBeGreaterThan(0.99 * made.events)
  expect(await eventsOf(app)).toEqual(events)
  expect(different(await countsOf(app), kept)).toEqual([])
})

it('makes a newsletter that its recorder could have made', async () => {
  const { db, made } = await aDemo()
  const engagements = await db
    .selectFrom('engagements')
    .leftJoin('links', 'links.id', 'link_id')
    .selectAll('engagements')
    .select('links.url as link')
    .orderBy('engagements.id')
    .execute()
  expect(engagements).toHaveLength(made.engagements)
  expect(engagements.filter(({ happened_at }) => happened_at > testStart)).toEqual([])
  const receptions = new Map<string, typeof engagements>()
  for (const row of engagements) {
    const key = `${row.contact_id} ${row.mailing_id}`
    receptions.set(key, [...(receptions.get(key) ?? []), row])
  }
  const misjudged = [...receptions.values()].flatMap((rows) =>
    judgeReception(rows, { canaryUrl: newsletter.canary }).filter(
      ({ reasons, verdict }, index) => rows[index]!.reasons !== reasons || rows[index]!.verdict !== verdict,
    ),
  )
  expect(misjudged).toEqual([])

  const distinct = async (table: 'contacts' | 'engagements' | 'inbox', column: string) =>
    new Set(
      (await db.selectFrom(table).select(db.dynamic.ref<string>(column)).distinct().execute()).flatMap(
        (row) => Object.values(row),
      ),
    )
  expect(await distinct('engagements', 'verdict')).toEqual(new Set([0, 1, 2, 3]))
  expect(await distinct('contacts', 'band')).toEqual(new Set([null, ...bands]))
  expect(await distinct('contacts', 'status')).toEqual(new Set([null, ...subscriptionStatuses]))
  expect(await distinct('contacts', 'source')).toEqual(new Set(['tracker', 'buttondown', 'csv']))
  expect(await distinct('inbox', 'state')).toEqual(new Set(['done', 'kept', 'failed', 'waiting']))
  expect(await db.selectFrom('contacts_to_score').selectAll().execute()).toEqual([])
  // No key of a provider is made up.
  const settings = await db.selectFrom('settings').select('name').execute()
  expect(settings.filter(({ name }) => name.includes('key'))).toEqual([])
})

it('has something to show on every page', async () => {
  const { app, db } = await aDemo()
  const http = supertest.agent(app)
  const login = await http.get('/login').expect(200)
  const _csrf = /name="_csrf" value="([^"]*)"/.exec(login.text)![1]
  const { username, password } = guest
  await http.post('/login').type('form').send({ username, password, _csrf }).expect(303)
  const page = async (path: string) => (await http.get(path).expect(200)).text

  const best = await db
    .selectFrom('contacts')
    .select(['id', 'email'])
    .where('notes', '<>', '')
    .orderBy('score', 'desc')
    .executeTakeFirstOrThrow()
  const mailing = await db
    .selectFrom('mailings')
    .select(['id', 'name'])
    .where('name', 'like', 'The moka pot%')
    .executeTakeFirstOrThrow()
  const tag = await db
    .selectFrom('tags')
    .select(['id', 'description'])
    .where('name', '=', 'coffee-club')
    .executeTakeFirstOrThrow()

  expect(await page('/audience')).toContain('Champions, here this month')
  expect(await page('/audience?band=champion')).toContain(best.email)
  expect(await page(`/audience/${best.id}`)).toContain(best.email)
  expect(await page('/audience/activity')).toContain('A short extra')
  const words = await page('/audience/words')
  for (const sentence of [/Replied to/, /The score rose from/, /The score fell from/, /Left Slow Mornings/])
    expect(words).toMatch(sentence)
  expect(await page('/audience/over-time')).toContain('Slow Mornings')
  expect(await page('/lists')).toMatch(/Slow Mornings[\s\S]*Press|Press[\s\S]*Slow Mornings/)
  expect(await page('/audience/tags')).toContain(tag.description)
  expect(await page(`/audience/tags/${tag.id}`)).toContain('coffee-club')
  expect(await page('/mailings')).toContain(mailing.name)
  expect(await page('/promos')).toMatch(/Bindery notebooks[\s\S]*winner|winner[\s\S]*Bindery notebooks/)
  expect(await page('/promos/offers/1')).toContain('Paper that keeps its promises')
  expect(await page('/promos/choices')).toContain('morning-letter')
  expect(await page('/promos/sends')).toContain('morning-')
  expect(await page('/promos/texts')).toContain('“calm”')
  expect(await page(`/mailings/${mailing.id}`)).toContain('/stories/moka')
  expect(await page('/mailings/ours-and-theirs')).toContain('only through a mail proxy')
  expect(await page('/providers/buttondown')).toContain('subscriber.opened')
  expect(await page('/providers/buttondown/sync')).toContain('HTTP 503')
  expect(await page('/providers/buttondown/failures')).toContain('made-up ids')
})

it('goes on telling of the newsletter as its webhook would', async () => {
  const { app: _, db, made, ledger, buttondown, clock } = await aDemo()
  const receive = ledger.register(inboxRecorder(db, null))
  const last = made.engagements
  const asleep: (() => void)[] = []
  const sleep = () => new Promise<void>((wake) => asleep.push(wake))
  void trickle({
    ...made,
    stories,
    dice: { ...dice(7), chance: () => true },
    deliver: (told) => receive(deliveryOf(told, clock.now())),
    now: clock.now,
    // Nobody listens: this is not about the campaigns.
    origin: 'http://127.0.0.1:1',
    sleep,
  })
  const read = async () => {
    await buttondown.deliveries.run()
    return db
      .selectFrom('engagements')
      .select(['contact_id', 'kind', 'verdict', 'happened_at', 'mailing_id'])
      .where('id', '>', last)
      .where('happened_at', '=', clock.now())
      .orderBy('id')
      .execute()
  }
  await vi.waitUntil(async () => (await read()).length === 1, { timeout: 20_000 })
  const [open] = await read()
  expect(open).toMatchObject({ kind: 6, verdict: 0 })
  for (const wake of asleep.splice(0)) wake()
  await vi.waitUntil(async () => (await read()).some(({ kind }) => kind === 7), { timeout: 20_000 })
  const click = (await read()).find(({ kind }) => kind === 7)
  expect(click).toMatchObject({ contact_id: open!.contact_id, mailing_id: open!.mailing_id })
})

it('makes the same data for the same seed and instant, in place of what was there', async () => {
  const one = await aDemo()
  const events = await comparable(one)
  const campaigns = await one.db.selectFrom('campaigns').selectAll().execute()
  const counts = await countsOf(one)
  await one.db.insertInto('contacts').values({ email: 'left@over.example', created_at: 1 }).execute()
  await one.stop()

  expect(await makeDemo({ dataDir: one.dataDir, ...wish })).toEqual(one.made)
  const other = await testApp({ dataDir: one.dataDir })
  expect(await comparable(other)).toEqual(events)
  expect(different(await countsOf(other), counts)).toEqual([])
  expect(await other.db.selectFrom('campaigns').selectAll().execute()).toEqual(campaigns)
  const left = await other.db
    .selectFrom('contacts')
    .where('email', '=', 'left@over.example')
    .selectAll()
    .execute()
  expect(left).toEqual([])
}, 400_000)

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
  const nobody = { subscribers: [], issue: { id: '', links: [] }, deliver: async () => {}, now: clock.now }
  const certain = { ...dice(7), chance: () => true }
  void trickle({ ...nobody, stories, campaigns, readers, dice: certain, origin, sleep })
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

it('has reports, each rendered once, and one of them on a schedule', async () => {
  const { db, reports } = await aDemo()
  const rows = await db
    .selectFrom('report_renderings')
    .innerJoin('reports', 'reports.id', 'report_renderings.report_id')
    .select(['report_renderings.id', 'reports.title', 'template', 'number'])
    .orderBy('report_renderings.id')
    .execute()
  expect(rows.map(({ title, template, number }) => [title, template, number])).toEqual([
    ['Offers in Slow Mornings', 'promo', 1],
    ['The readers of Slow Mornings', 'list', 1],
    ['Autumn Reading List', 'campaign', 1],
  ])
  const offers = (await reports.rendering(rows[0]!.id)).data.sections.find(({ name }) => name === 'offers')
  expect(offers!.tables[0]!.rows).toHaveLength(4)
  const schedules = await db.selectFrom('report_schedules').select(['report_id', 'kind']).execute()
  expect(schedules).toEqual([{ report_id: 2, kind: 'monthly' }])
  const { data } = await reports.rendering(rows[2]!.id)
  expect(data.partner?.name).toBe('Paperboat')
  expect(data.verdict!.tiles).toHaveLength(6)
  for (const { value, own } of data.verdict!.tiles) {
    expect(value).toBeGreaterThan(0)
    expect(own).toBeGreaterThan(0)
  }
  expect(data.sections.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['curve', 'domains', 'method']),
  )
})

it('has partners whose projects own campaigns, mailings and the list', async () => {
  const { db } = await aDemo()
  const partners = await db
    .selectFrom('partners')
    .select(['name', 'colour', 'logo'])
    .orderBy('name')
    .execute()
  expect(partners.map(({ name, colour }) => [name, colour])).toEqual([
    ['Kunsthaus Nord', '#f2b705'],
    ['Paperboat', '#b23a1d'],
  ])
  for (const { logo } of partners) expect(readLogo(Buffer.from(logo!))).toMatchObject({ type: 'image/png' })
  const ties = await db
    .selectFrom('project_ties')
    .innerJoin('projects', 'projects.id', 'project_ties.project_id')
    .select(({ fn }) => ['projects.name', 'kind', fn.countAll<number>().as('things')])
    .groupBy(['projects.name', 'kind'])
    .execute()
  const count = (project: string, kind: string) =>
    ties.find((tie) => tie.name === project && tie.kind === kind)?.things ?? 0
  expect(count('Autumn reading', 'campaign')).toBe(1)
  expect(count('Autumn reading', 'mailing')).toBeGreaterThan(2)
  expect(count('Autumn reading', 'list')).toBe(1)
  expect(count('Summer sale', 'mailing')).toBeGreaterThan(2)
  expect(count('Friends of the house', 'campaign')).toBe(2)
})
