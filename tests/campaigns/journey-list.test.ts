import { describe, expect, it } from 'vitest'
import { searchIndex, searchTerm } from '../../src/audience/search.js'
import {
  type JourneyEvent,
  type JourneyFilter,
  listEventsOf,
  listJourneys,
} from '../../src/campaigns/journey-list.js'
import { type TestApp, testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const everybody: JourneyFilter = { domainId: null, event: null, email: '', machines: false }

async function aCrowd(app: TestApp, people: string[], { cid }: { cid: number }) {
  for (const email of people) await anEvent(app, { cid, email })
}
const emails = (page: { rows: { email: string }[] }) => page.rows.map((row) => row.email)
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `p${from + index}@x.example`)

describe('the list of journeys', () => {
  it('is newest first, a row for each person and domain, and counts rows', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await anEvent(app, { cid: id, email: 'ada@x.example', domain: 'one.example' })
    await anEvent(app, { cid: id, email: 'bob@x.example', domain: 'one.example' })
    await anEvent(app, { cid: id, email: 'ada@x.example', domain: 'two.example' })

    const page = await listJourneys(app, id, everybody)

    expect(page.rows.map((row) => [row.email, row.domain])).toEqual([
      ['ada@x.example', 'two.example'],
      ['bob@x.example', 'one.example'],
      ['ada@x.example', 'one.example'],
    ])
    expect(page).toMatchObject({ count: 3, exact: true, hasMore: false })
  })

  it('goes on where it stopped when events arrive in between', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await aCrowd(app, numbered(1, 7), { cid: id })

    const first = await listJourneys(app, id, everybody, { limit: 3 })
    await aCrowd(app, [...numbered(8, 9), 'p2@x.example', 'p6@x.example'], { cid: id })
    const second = await listJourneys(app, id, everybody, {
      limit: 3,
      offset: 3,
      after: first.rows.at(-1)!.id,
    })
    const third = await listJourneys(app, id, everybody, {
      limit: 3,
      offset: 6,
      after: second.rows.at(-1)!.id,
    })

    expect([...emails(first), ...emails(second), ...emails(third)]).toEqual(numbered(1, 7).reverse())
    expect([first.hasMore, second.hasMore, third.hasMore]).toEqual([true, true, false])
    expect(third.count).toBe(9)
  })

  it('skips as many as an offset alone says', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await aCrowd(app, numbered(1, 5), { cid: id })
    expect(emails(await listJourneys(app, id, everybody, { offset: 3 }))).toEqual([
      'p2@x.example',
      'p1@x.example',
    ])
    const searched = await listJourneys(app, id, { ...everybody, email: 'x.ex' }, { offset: 3 })
    expect(emails(searched)).toEqual(['p2@x.example', 'p1@x.example'])
  })

  it('lets through what a filter says, and counts the same without looking at a row', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    const other = await aCampaign(app)
    const come = async (email: string, events: string[], more: Record<string, string> = {}) => {
      for (const event of events) await anEvent(app, { cid: id, email, event, ip: '', ...more })
      app.clock.pass(60_000)
    }
    await come('clicked@x.example', ['email_click'])
    await come('landed@x.example', ['landing_click'])
    await come('bought@x.example', ['landing_click', 'conversion'])
    await come('orphan@x.example', ['conversion'])
    await come('scanner@x.example', ['landing_click'], { ua: 'curl/8.5.0' })
    await come('elsewhere@x.example', ['email_click'], { domain: 'two.example' })
    await anEvent(app, { cid: other.id, email: 'stranger@x.example' })

    const found = async (filter: Partial<JourneyFilter>) => {
      const page = await listJourneys(app, id, { ...everybody, ...filter })
      expect(page.count).toBe(page.rows.length)
      return emails(page).map((email) => email.split('@')[0])
    }
    const byEvent = (event: JourneyEvent, machines = false) => found({ event, machines })
    const domain = await app.db
      .selectFrom('sending_domains')
      .select('id')
      .where('name', '=', 'two.example')
      .executeTakeFirstOrThrow()

    expect(await byEvent('email_click')).toEqual(['elsewhere', 'clicked'])
    expect(await byEvent('landing_click')).toEqual(['bought', 'landed'])
    expect(await byEvent('landing_click', true)).toEqual(['scanner', 'bought', 'landed'])
    expect(await byEvent('conversion')).toEqual(['orphan', 'bought'])
    expect(await byEvent('conversion', true)).toEqual(['orphan', 'bought'])
    expect(await byEvent('email_click', true)).toEqual(['elsewhere', 'clicked'])
    expect(await byEvent('not_landed')).toEqual(['elsewhere', 'clicked'])
    expect(await byEvent('not_landed', true)).toEqual(['elsewhere', 'clicked'])
    expect(await byEvent('not_converted')).toEqual(['landed'])
    expect(await byEvent('not_converted', true)).toEqual(['scanner', 'landed'])
    expect(await found({ domainId: domain.id })).toEqual(['elsewhere'])
    expect(await found({ domainId: domain.id, event: 'landing_click' })).toEqual([])
    expect(await found({})).not.toContain('scanner')
    expect(await found({ machines: true })).toContain('scanner')
  })
})

describe('the search for part of an address', () => {
  it('finds it anywhere in the address, letter for letter', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await aCrowd(app, ['anna+news@x.example', '100%@x.example', 'a_b@x.example', 'axb@x.example'], {
      cid: id,
    })
    const found = async (text: string) =>
      emails(await listJourneys(app, id, { ...everybody, email: searchTerm(text) }))

    expect(await found(' ANNA ')).toEqual(['anna+news@x.example'])
    expect(await found('anna news')).toEqual(['anna+news@x.example'])
    expect(await found('%')).toEqual(['100%@x.example'])
    expect(await found('a_b')).toEqual(['a_b@x.example'])
    expect(await found('"')).toEqual([])
    expect(await found('x.example')).toHaveLength(4)
  })

  it('answers the same from the index in a large campaign, for those it knows and those it does not yet', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    await aLargeCampaign(app, id)
    await searchIndex(app).run()
    await aCrowd(app, ['needle-late@x.example'], { cid: id })
    const search = (text: string, place = {}) =>
      listJourneys(app, id, { ...everybody, email: searchTerm(text) }, place)

    // One run takes in only some.
    expect(emails(await search('needle'))).toEqual(['needle-late@x.example', 'needle-1@x.example'])
    expect(await search('needle')).toMatchObject({ count: 2, exact: true, hasMore: false })
    expect(emails(await search('eedle-1@'))).toEqual(['needle-1@x.example'])
    expect((await search('no-such')).count).toBe(0)

    const common = await search('person')
    expect(common).toMatchObject({ count: 50, exact: false, hasMore: true })
    const next = await search('person', { offset: 50, after: common.rows.at(-1)!.id })
    expect(next).toMatchObject({ count: 100, exact: false, hasMore: true })
    expect(new Set([...emails(common), ...emails(next)]).size).toBe(100)

    // Too short for the index, and too rare or too far back for the walk.
    expect(emails(await search('1@'))).toHaveLength(50)
    expect(emails(await search('q!'))).toEqual(['q!@x.example'])
    expect(await search('q!')).toMatchObject({ count: 1, exact: true })
    // Common among contacts, but only the oldest journeys are theirs.
    expect(await search('early-')).toMatchObject({ count: 4000, exact: true, hasMore: true })
  })
})

/** More journeys than a search reads through, written straight into the tables. */
async function aLargeCampaign({ db, clock }: TestApp, campaign_id: number) {
  const at = clock.now()
  const { id: domain_id } = await db
    .insertInto('sending_domains')
    .values({ name: 'one.example', created_at: at })
    .returning('id')
    .executeTakeFirstOrThrow()
  const people = [
    'needle-1@x.example',
    'q!@x.example',
    ...Array.from({ length: 4000 }, (_, index) => `early-${index}@x.example`),
    ...Array.from({ length: 11_000 }, (_, index) => `person-${index}@x.example`),
  ]
  for (let first = 0; first < people.length; first += 2_000) {
    const chunk = people.slice(first, first + 2_000)
    await db
      .insertInto('contacts')
      .values(chunk.map((email, index) => ({ id: first + index + 1, email, created_at: at })))
      .execute()
    await db
      .insertInto('journeys')
      .values(
        chunk.map((_, index) => ({
          id: first + index + 1,
          campaign_id,
          contact_id: first + index + 1,
          domain_id,
          email_clicks: 1,
          first_email_click_at: at,
          last_at: at,
        })) as never,
      )
      .execute()
  }
  await db
    .insertInto('events')
    .values({
      id: people.length,
      campaign_id,
      contact_id: 1,
      domain_id,
      kind: 1,
      happened_at: at,
      verdict: 0,
      reasons: 0,
    })
    .execute()
  for (const machines of [0, 1] as const)
    await db
      .insertInto('journey_counts')
      .values({ campaign_id, domain_id, machines, shape: 1, journeys: people.length })
      .execute()
}

describe("a person's events", () => {
  it('are the latest, in the order they happened, of this campaign alone', async () => {
    const app = await testApp()
    const { id } = await aCampaign(app)
    const other = await aCampaign(app)
    for (const link of ['one', 'two', 'three']) {
      await anEvent(app, { cid: id, link, domain: `${link}.example` })
      await anEvent(app, { cid: other.id, link: 'other' })
      app.clock.pass(60_000)
    }
    const [journey] = (await listJourneys(app, id, everybody)).rows
    const { events, hasMore } = await listEventsOf(app.readers, journey!, { limit: 2 })
    expect(events.map((event) => event.link)).toEqual(['two', 'three'])
    expect(hasMore).toBe(true)
  })
})
