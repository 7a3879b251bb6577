import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import type { Tile } from '../../src/reports/data.js'
import type { Period } from '../../src/reports/definition.js'
import { type TestApp, testApp } from '../support/app.js'
import { aContact, aList, anEngagement, tagAll } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { anEngagedMailing, aReportedMailing } from '../support/mailings.js'
import { aProject } from '../support/partners.js'
import { aPerson } from '../support/person.js'
import { anOffer, aVariation, tellClick, tellImpression } from '../support/promos.js'
import { aReportOf, everySection, figureOf, rendered, sectionOf } from '../support/reports.js'

// What each tile is held against is read off the page, and found once more in the facts by a query of its own.

const hour = 3_600_000
const day = 24 * hour
const days = (count: number): Period => ({ kind: 'days', days: count, from: '', to: '' })

type Rendered = Awaited<ReturnType<typeof rendered>>
const tilesOf = ({ rendering }: Rendered) => rendering.data.verdict!.tiles
const tile = (rendering: Rendered, id: string): Tile => tilesOf(rendering).find((each) => each.id === id)!

/** What a tile on a page says of before: its raw number and the arrow; undefined where it says nothing. */
function beforeOn({ page }: Rendered, id: string) {
  const [, after] = page.split(`id="tile-${id}"`)
  const [own] = after!.split('</div>')
  const raw = /data-value="([^"]*)">[^<]* before</.exec(own!)?.[1]
  return raw === undefined ? undefined : { own: Number(raw), way: /[↑↓]/.exec(own!)?.[0] ?? 'same' }
}

/** Each tile of the page has this value, this before and this benchmark, and there are no others. */
function expectTiles(
  rendering: Rendered,
  expected: Record<string, { value: number; own: number | null; field?: number }>,
) {
  expect(tilesOf(rendering).map(({ id }) => id)).toEqual(Object.keys(expected))
  for (const [id, { value, own, field }] of Object.entries(expected)) {
    expect(Number(figureOf(rendering.page, `tile-${id}`)), id).toBeCloseTo(value, 10)
    const before = beforeOn(rendering, id)
    if (own === null) expect(before, id).toBeUndefined()
    else {
      expect(before!.own, `${id} before`).toBeCloseTo(own, 10)
      const way = Math.abs(value - own) < 1e-9 ? 'same' : value > own ? '↑' : '↓'
      expect(before!.way, id).toBe(way)
    }
    expect(tile(rendering, id).field?.share ?? null, `${id}, benchmark`).toBe(field ?? null)
  }
}

async function asked<Row>({ db }: Pick<TestApp, 'db'>, query: ReturnType<typeof sql<Row>>) {
  return (await query.execute(db)).rows
}

/** Figures of the industry as somebody writes them on their page, in per cent; those that are not given are empty. */
async function writeFigures(
  send: (path: string, form: Record<string, string>) => PromiseLike<{ status: number }>,
  given: Record<string, string>,
) {
  const form: Record<string, string> = {}
  for (const rate of [
    ...['open', 'click', 'clickToOpen', 'bounce', 'unsubscribe', 'complaint'],
    ...['landing', 'conversion', 'engaged', 'ctr'],
  ]) {
    form[`${rate}_percent`] = given[rate] ?? ''
    form[`${rate}_source`] = given[rate] ? `Guild of ${rate}` : ''
    form[`${rate}_as_of`] = given[rate] ? '2026-05' : ''
  }
  expect((await send('/settings/benchmarks', form)).status).toBe(303)
}

async function tie(app: Pick<TestApp, 'db' | 'clock'>, kind: string, thing_id: number, project_id: number) {
  await app.db
    .insertInto('project_ties')
    .values({ kind, thing_id, project_id, tied_at: app.clock.now() })
    .execute()
}

describe('the tiles of campaigns', () => {
  /** Five campaigns of a partner, each a day after the other, with more and more of everything. */
  async function fiveCampaigns() {
    const app = await testApp()
    const person = await aPerson(app, { remember: true })
    const project = await aProject(app)
    const ids: number[] = []
    for (let index = 0; index < 5; index++) {
      const campaign = await aCampaign(app, { name: `Campaign ${index}` })
      await tie(app, 'campaign', campaign.id, project.id)
      const tell = (event: string, reader: number) =>
        anEvent(app, { cid: campaign.id, event, email: `reader${reader}@fernmail.example` })
      for (let reader = 0; reader <= 2 + index; reader++) {
        await tell('email_click', reader)
        if (reader % 2 === 0) await tell('landing_click', reader)
        if (reader % 3 === 0) await tell('conversion', reader)
      }
      await tell('conversion', 0)
      await anEvent(app, { cid: campaign.id, email: 'bot@fernmail.example', ua: 'Googlebot/2.1' })
      ids.push(campaign.id)
      app.clock.pass(day)
    }
    const facts = await asked<Facts>(
      app,
      sql`select campaign_id as id, sum(kind = 1) as clicks, sum(kind = 2) as landed, sum(kind = 3) as conversions,
            count(distinct case when kind = 3 then contact_id end) as converted
          from events where verdict < 2 group by campaign_id order by campaign_id`,
    )
    return { ...app, ...person, project, ids, facts }
  }
  interface Facts {
    id: number
    clicks: number
    landed: number
    conversions: number
    converted: number
  }
  const mean = (rows: Facts[], read: (row: Facts) => number) =>
    rows.reduce((sum, row) => sum + read(row), 0) / rows.length
  const total = (rows: Facts[], read: (row: Facts) => number) => rows.length * mean(rows, read)

  it.each([
    ['campaign', 1],
    ['campaign', 2],
    ['custom', 3],
  ] as const)(
    'stand, on a report of the template %s about %i of them, beside as many of the others',
    async (template, many) => {
      const app = await fiveCampaigns()
      await writeFigures(app.send, { landing: '52', conversion: '4.5', open: '40' })
      const [earlier, these] = [app.facts.slice(0, 5 - many), app.facts.slice(5 - many)]
      const report = await aReportOf(app, {
        template,
        partner: app.project.partner_id,
        subjects: { campaigns: these.map(({ id }) => id) },
        sections: everySection,
      })

      const found = await rendered(app, app.http, report.id)

      const counted = (read: (row: Facts) => number) => ({
        value: total(these, read),
        own: many * mean(earlier, read),
      })
      const rated = (read: (row: Facts) => number, field: number) => ({
        value: total(these, read) / total(these, ({ clicks }) => clicks),
        own: mean(earlier, (row) => read(row) / row.clicks),
        field,
      })
      expectTiles(found, {
        'email-clicks': counted(({ clicks }) => clicks),
        'landing-clicks': counted(({ landed }) => landed),
        'landing-rate': rated(({ landed }) => landed, 0.52),
        conversions: counted(({ conversions }) => conversions),
        'people-converted': counted(({ converted }) => converted),
        'conversion-rate': rated(({ conversions }) => conversions, 0.045),
      })
      const number = ['two', 'three', 'four'][3 - many]
      const times = ['', ', counts times two', ', counts times three'][many - 1]
      const words = `${number} campaigns of yours before, on average`
      expect(found.rendering.data.verdict!.own).toBe(`${words}${times}`)
      expect(found.page).toContain(`${words}${times}</span>`)
      expect(found.rendering.data.verdict!.field).toBe(
        'Guild of landing, 2026-05; Guild of conversion, 2026-05',
      )

      const method = sectionOf(found.rendering, 'method').paragraphs.join(' ')
      expect(method).toContain(
        'Benchmark: Landing rate 52.00% (Guild of landing, 2026-05); Conv. rate 4.50% (Guild of conversion, 2026-05).',
      )
      const csv = (await app.http.get(`${found.at}/data.csv`).expect(200)).text
      const before = many * mean(earlier, ({ landed }) => landed)
      const round = (value: number) => Math.round(value * 100) / 100
      expect(csv).toContain(
        `Landing clicks,${total(these, ({ landed }) => landed)},,${round(before)},"${words}${many > 1 ? `, times ${many}` : ''}",,`,
      )
      expect(csv).toMatch(/\nConv\. rate,[\d.]+,%,[\d.]+,"[^"]*",4\.5,"Guild of conversion, 2026-05"\n/)
    },
  )

  it('have no counts before where a part of the time is told, and nothing where some contacts alone are', async () => {
    const app = await fiveCampaigns()
    const about = { partner: app.project.partner_id, subjects: { campaigns: app.ids.slice(-1) } }
    const part = await aReportOf(app, { ...about, period: days(1) })
    const found = await rendered(app, app.http, part.id)
    const held = tilesOf(found).flatMap(({ id, own }) => (own === null ? [] : [id]))
    expect(held).toEqual(['landing-rate', 'conversion-rate'].filter((id) => tile(found, id).own !== null))
    expect(held).toContain('conversion-rate')

    const { id: tag } = await app.db
      .insertInto('tags')
      .values({ name: 'press', created_at: app.clock.now() })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { id: reader } = await app.db.selectFrom('contacts').select('id').limit(1).executeTakeFirstOrThrow()
    await app.db
      .insertInto('contact_tags')
      .values({ contact_id: reader, tag_id: tag, origin: 'ours', added_at: 0 })
      .execute()
    const narrow = await aReportOf(app, {
      ...about,
      narrowing: { tag: 'press', segment: 0, list: 0, field: '', value: '' },
    })
    const narrowed = await rendered(app, app.http, narrow.id)
    expect(tilesOf(narrowed)).toHaveLength(6)
    for (const { own } of tilesOf(narrowed)) expect(own).toBeNull()
    expect(narrowed.rendering.data.verdict!.own).toBe('')
  })

  it('have nothing before and no benchmark where there is none', async () => {
    const app = await fiveCampaigns()
    const report = await aReportOf(app, {
      partner: app.project.partner_id,
      subjects: { campaigns: app.ids.slice(0, 1) },
    })
    const found = await rendered(app, app.http, report.id)
    for (const { id, own, ownOf, field } of tilesOf(found)) {
      expect([own, ownOf, field], id).toEqual([null, null, null])
      expect(beforeOn(found, id)).toBeUndefined()
    }
    expect(found.rendering.data.verdict).toMatchObject({ own: '', field: '' })
    expect(found.page).not.toContain('class="against"')
    expect(sectionOf(found.rendering, 'method').paragraphs.join(' ')).not.toContain('Benchmark')
  })
})

describe('the tiles of mailings', () => {
  it.each(['engagement', 'campaign'] as const)(
    'stand, on a report of the template %s, beside the average of those before',
    async (template) => {
      const app = await testApp()
      const { http, send } = await aPerson(app)
      await writeFigures(send, { open: '40', clickToOpen: '6', bounce: '1', ctr: '2' })
      const project = await aProject(app)
      const mailings = []
      for (let issue = 0; issue < 6; issue++) {
        const mailing = await aReportedMailing(app, {
          name: `Issue ${issue}`,
          sentAt: app.clock.now() - (60 - 5 * issue) * day,
          delivered: 1_000 + 100 * issue * issue,
          open: 0.2 + issue / 20,
          click: 0.02 + (issue % 3) / 100,
        })
        await tie(app, 'mailing', mailing.id, project.id)
        mailings.push(mailing)
      }
      const report = await aReportOf(app, {
        template,
        partner: project.partner_id,
        subjects: { mailings: mailings.slice(-2).map(({ id }) => id) },
      })

      const found = await rendered(app, http, report.id)

      const of = async (those: ReturnType<typeof sql>) =>
        (
          await asked<Record<string, number>>(
            app,
            sql`select sum(deliveries) as delivered, avg(deliveries) as one,
                  1.0 * sum(unique_opens) / sum(deliveries) as open, avg(1.0 * unique_opens / deliveries) as open_one,
                  1.0 * sum(unique_clicks) / sum(deliveries) as click, avg(1.0 * unique_clicks / deliveries) as click_one,
                  1.0 * sum(unique_clicks) / sum(unique_opens) as cto, avg(1.0 * unique_clicks / unique_opens) as cto_one,
                  1.0 * sum(unsubscriptions) / sum(deliveries) as unsub, avg(1.0 * unsubscriptions / deliveries) as unsub_one,
                  1.0 * sum(permanent_failures + temporary_failures) / sum(recipients) as bounce,
                  avg(1.0 * (permanent_failures + temporary_failures) / recipients) as bounce_one
                from mailing_reports where mailing_id in (select id from mailings order by sent_at ${those})`,
          )
        )[0]!
      const [now, then] = [await of(sql`desc limit 2`), await of(sql`limit 4`)]
      expectTiles(found, {
        delivered: { value: now.delivered!, own: 2 * then.one! },
        'open-rate': { value: now.open!, own: then.open_one!, field: 0.4 },
        'click-rate': { value: now.click!, own: then.click_one! },
        'click-to-open': { value: now.cto!, own: then.cto_one!, field: 0.06 },
        'unsubscribe-rate': { value: now.unsub!, own: then.unsub_one! },
        'bounce-rate': { value: now.bounce!, own: then.bounce_one!, field: 0.01 },
      })
      expect(found.rendering.data.verdict!.own).toBe(
        '4 mailings of yours before, on average, counts times two',
      )
      // What no tile shows is not said to be a benchmark of it.
      expect(sectionOf(found.rendering, 'method').paragraphs.join(' ')).not.toContain('Guild of ctr')
    },
  )
})

/** Some readers who came to a list at an instant. @returns their ids */
async function joinedAt(app: TestApp, list_id: number, changed_at: number, count: number) {
  const ids: number[] = []
  for (let index = 0; index < count; index++) {
    const { id } = await aContact(app, { email: `reader${index}@fernmail.example` })
    const row = { list_id, contact_id: id, status: 'subscribed' }
    await app.db.insertInto('subscriptions').values(row).execute()
    await app.db
      .insertInto('subscription_changes')
      .values({ ...row, changed_at })
      .execute()
    ids.push(id)
  }
  return ids
}

describe('everything', () => {
  it('of a list begins with the first who came, and of an offer with its first impression', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const offer = await anOffer(app)
    const text = await aVariation(app, offer.id)
    await joinedAt(app, list.id, Date.UTC(2025, 2, 4, 12), 3)
    const end = app.clock.now()
    app.clock.at = end - 40 * day
    await tellImpression(app, { offer_id: offer.id, variation_id: text.id }).expect(204)
    app.clock.at = end
    const all: Period = { kind: 'all', days: 30, from: '', to: '' }
    const periodOf = async (subjects: { lists?: number[]; offers?: number[] }) => {
      const report = await aReportOf(app, { template: 'custom', subjects, period: all })
      return (await rendered(app, http, report.id)).rendering.data.period
    }
    expect(await periodOf({ lists: [list.id] })).toEqual({ from: '2025-03-04', to: '2026-11-21' })
    expect(await periodOf({ offers: [offer.id] })).toEqual({ from: '2026-10-12', to: '2026-11-21' })
    expect((await periodOf({ lists: [list.id], offers: [offer.id] })).from).toBe('2025-03-04')
  })
})

describe('the tiles of lists', () => {
  it('stand beside what was when the period began, and beside as many days before', async () => {
    const app = await testApp({ env: { TIME_ZONE: 'Europe/Berlin' } })
    const { http, send } = await aPerson(app)
    await writeFigures(send, { engaged: '38', open: '40' })
    const list = await aList(app)
    // The period begins on 12 November, at 23:00 UTC of the day before; 90 days of 24 hours earlier it was summer time.
    const began = Date.UTC(2026, 10, 11, 23)
    const since = began - 90 * day
    const join = async (name: string, changes: [number, string][], isTold = true) => {
      const { id } = await aContact(app, { email: `${name}@fernmail.example` })
      await app.db
        .insertInto('subscriptions')
        .values({ list_id: list.id, contact_id: id, status: changes.at(-1)![1] })
        .execute()
      if (isTold)
        await app.db
          .insertInto('subscription_changes')
          .values(
            changes.map(([changed_at, status]) => ({ list_id: list.id, contact_id: id, changed_at, status })),
          )
          .execute()
      return id
    }
    const on: [number, string] = [began - 200 * day, 'subscribed']
    const people = {
      always: await join('always', [on]),
      // Nobody told when: as in the growth of the list, it was always so.
      untold: await join('untold', [on], false),
      left: await join('left', [on, [began + day, 'unsubscribed']]),
      leftBefore: await join('left-before', [on, [began - day, 'unsubscribed']]),
      back: await join('back', [on, [began - 3 * day, 'unsubscribed'], [began + 2 * day, 'subscribed']]),
      paused: await join('paused', [on, [began - 9 * day, 'paused']]),
      joined: await join('joined', [[began + hour, 'subscribed']]),
      joinedJustBefore: await join('just-before', [[began - 1, 'subscribed']]),
      early: await join('early', [on]),
      late: await join('late', [on]),
      machine: await join('machine', [on]),
      waiting: await join('waiting', [[began - day, 'unconfirmed']]),
    }
    const mailing = await aReportedMailing(app, {
      name: 'Issue 1',
      sentAt: began - 100 * day,
      lists: [list.id],
      delivered: 10,
    })
    const did = (contactId: number, happenedAt: number, more: object = {}) =>
      anEngagement(app, { contactId, mailingId: mailing.id, kind: 'opened', happenedAt, ...more })
    await did(people.always, began - 5 * day)
    await did(people.left, began - 80 * day, { kind: 'replied' })
    await did(people.leftBefore, began - 2 * day)
    await did(people.back, began - 4 * day)
    await did(people.joined, began - 4 * day)
    // An hour apart, on the same day of Berlin, which is within the 90 days in part alone.
    await did(people.early, since - 30 * 60_000)
    await did(people.late, since + 30 * 60_000, { kind: 'clicked' })
    await did(people.paused, began, { kind: 'clicked' })
    await did(people.machine, began - 5 * day, { userAgent: 'Mozilla/5.0' })
    await did(people.waiting, began - 5 * day)
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      period: days(10),
      sections: everySection,
    })

    const found = await rendered(app, http, report.id)

    expect(found.rendering.data.period.from).toBe('2026-11-12')
    const statusAt = (at: number) => sql`coalesce(
      (select c.status from subscription_changes c where c.contact_id = s.contact_id and c.changed_at < ${at}
        order by c.changed_at desc limit 1),
      case when s.contact_id not in (select contact_id from subscription_changes) then s.status end)`
    const at = async (instant: number) => {
      const [row] = await asked<{ people: number; engaged: number }>(
        app,
        sql`select count(*) as people, sum(exists (select 1 from engagements e where e.contact_id = s.contact_id
              and e.kind in (6, 7, 8) and e.verdict < 2
              and e.happened_at >= ${instant - 90 * day} and e.happened_at < ${instant})) as engaged
            from subscriptions s where ${statusAt(instant)} in ('subscribed', 'paused')`,
      )
      return row!
    }
    const [then, now] = [await at(began), await at(app.clock.now() + 1)]
    expect([then.people, then.engaged]).toEqual([8, 3])
    const changed = async (status: string, from: number, until: number) => {
      const [row] = await asked<{ changes: number }>(
        app,
        sql`select count(*) as changes from subscription_changes
            where status = ${status} and changed_at >= ${from} and changed_at < ${until}`,
      )
      return row!.changes
    }
    const end = began + 10 * day
    expectTiles(found, {
      subscribers: { value: now.people, own: then.people },
      joined: {
        value: await changed('subscribed', began, end),
        own: await changed('subscribed', began - 10 * day, began),
      },
      left: {
        value: await changed('unsubscribed', began, end),
        own: await changed('unsubscribed', began - 10 * day, began),
      },
      engagement: { value: now.engaged / now.people, own: then.engaged / then.people, field: 0.38 },
    })
    expect(found.rendering.data.verdict!.own).toBe(
      'Subscribers, Engaged: when the period began; Joined, Left: as many days before',
    )
    expect(found.rendering.data.verdict!.field).toBe('Guild of engaged, 2026-05')
  })

  it('have nothing before where nobody was on the list yet', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const { id } = await aContact(app)
    await app.db
      .insertInto('subscriptions')
      .values({ list_id: list.id, contact_id: id, status: 'subscribed' })
      .execute()
    await app.db
      .insertInto('subscription_changes')
      .values({
        list_id: list.id,
        contact_id: id,
        changed_at: app.clock.now() - 3 * day,
        status: 'subscribed',
      })
      .execute()
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      period: days(10),
    })
    const found = await rendered(app, http, report.id)
    expectTiles(found, {
      subscribers: { value: 1, own: null },
      joined: { value: 1, own: null },
      left: { value: 0, own: null },
      engagement: { value: 0, own: null },
    })
    expect(found.rendering.data.verdict!.own).toBe('')
  })

  it('have nobody engaged before where nothing had been sent yet, which nobody could answer', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const began = Date.UTC(2026, 10, 12)
    const readers = await joinedAt(app, list.id, began - 20 * day, 4)
    await anEngagedMailing(app, {
      name: 'Issue 1',
      sentAt: began + day,
      list: list.id,
      people: readers,
      opened: 3,
      clicked: 0,
    })
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      period: days(10),
    })
    const found = await rendered(app, http, report.id)
    expect(beforeOn(found, 'subscribers')!.own).toBe(4)
    expect(tile(found, 'engagement')).toMatchObject({ value: 0.75, own: null })
  })

  it('are those of its mailings where it is narrowed to some contacts', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const readers = await joinedAt(app, list.id, Date.UTC(2026, 10, 1), 6)
    await anEngagedMailing(app, {
      name: 'Issue 1',
      sentAt: Date.UTC(2026, 10, 15),
      list: list.id,
      people: readers,
      opened: 3,
      clicked: 1,
    })
    await tagAll(app, 'press', readers.slice(2, 4))
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      narrowing: { tag: 'press', segment: 0, list: 0, field: '', value: '' },
      sections: everySection,
    })
    const found = await rendered(app, http, report.id)
    expect(tilesOf(found).map(({ id, value }) => [id, value])).toEqual([
      ['delivered', 2],
      ['open-rate', 0.5],
      ['click-rate', 0],
      ['click-to-open', 0],
      ['unsubscribe-rate', 0],
      ['bounce-rate', 0],
    ])
    expect(found.page).not.toContain('of everybody')
    expect(found.page).not.toContain('subscriptions ended')
  })

  it('of several lists are of all of them together', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const lists = [await aList(app), await aList(app, { name: 'Paperboat, all customers' })]
    const began = Date.UTC(2026, 10, 12)
    const readers: number[] = []
    for (let index = 0; index < 9; index++) {
      const { id } = await aContact(app, { email: `reader${index}@fernmail.example` })
      readers.push(id)
      const list_id = lists[index % 3 === 0 ? 0 : 1]!.id
      await app.db
        .insertInto('subscriptions')
        .values({ list_id, contact_id: id, status: 'subscribed' })
        .execute()
      await app.db
        .insertInto('subscription_changes')
        .values({ list_id, contact_id: id, changed_at: began + (index - 7) * day, status: 'subscribed' })
        .execute()
    }
    await anEngagedMailing(app, {
      name: 'Issue 1',
      sentAt: began - 3 * day,
      people: readers,
      opened: 4,
      clicked: 0,
    })
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: lists.map(({ id }) => id) },
      period: days(10),
    })
    const found = await rendered(app, http, report.id)
    // Seven of nine were there when it began, four of those had opened by then.
    expect(beforeOn(found, 'subscribers')!.own).toBe(7)
    expect(beforeOn(found, 'engagement')!.own).toBeCloseTo(4 / 7, 12)
    expect(tile(found, 'engagement').value).toBeCloseTo(4 / 9, 12)
  })
})

describe('the tiles of promos', () => {
  async function anOfferInIssues(issues: { ago: number; delivered: number | null; clicks: number }[]) {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0' } })
    const person = await aPerson(app, { remember: true })
    const end = app.clock.now()
    const offer = await anOffer(app)
    const texts = [
      await aVariation(app, offer.id, { headline: 'Lies flat' }),
      await aVariation(app, offer.id, { headline: 'Sewn by hand' }),
    ]
    for (const [issue, { ago, delivered, clicks }] of issues.entries()) {
      app.clock.at = end - ago * day
      let key = `unknown ${issue}`
      if (delivered !== null) {
        const mailing = await aReportedMailing(app, {
          name: `Issue ${issue}`,
          sentAt: app.clock.now() - 2 * hour,
          delivered,
        })
        const { provider_id } = await app.db
          .selectFrom('mailings')
          .select('provider_id')
          .where('id', '=', mailing.id)
          .executeTakeFirstOrThrow()
        key = provider_id!
      }
      for (const { id } of texts)
        await tellImpression(app, {
          offer_id: offer.id,
          variation_id: id,
          newsletter_send_id: key,
        }).expect(204)
      for (let click = 0; click < clicks; click++)
        await tellClick(app, { variation_id: texts[click % 2]!.id, ip_hash: `${issue} ${click}` }).expect(204)
      await tellClick(app, {
        variation_id: texts[0]!.id,
        ip_hash: `bot ${issue}`,
        user_agent: 'Googlebot/2.1',
      }).expect(204)
    }
    app.clock.at = end
    return { ...app, ...person, offer }
  }

  it('stand beside the same offers over as many days before', async () => {
    const app = await anOfferInIssues([
      { ago: 25, delivered: 5_000, clicks: 40 },
      { ago: 18, delivered: 900, clicks: 20 },
      { ago: 12, delivered: 800, clicks: 25 },
      { ago: 8, delivered: 1_000, clicks: 31 },
      { ago: 5, delivered: 1_200, clicks: 28 },
      { ago: 2, delivered: 700, clicks: 30 },
    ])
    await writeFigures(app.send, { ctr: '1.25', landing: '50' })
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [app.offer.id] },
      period: days(10),
      sections: everySection,
    })

    const found = await rendered(app, app.http, report.id)

    const within = async (from: number, until: number) => {
      const [row] = await asked<{ impressions: number; issues: number; clicks: number }>(
        app,
        sql`select
              (select sum(i.placements * r.deliveries) from promo_impressions i
                 join promo_sends s on s.id = i.send_id join mailing_reports r on r.mailing_id = s.mailing_id
                where i.happened_at >= ${from} and i.happened_at < ${until}) as impressions,
              (select count(distinct send_id) from promo_impressions
                where happened_at >= ${from} and happened_at < ${until}) as issues,
              (select count(*) from promo_clicks where verdict < 2 and repeated = 0
                and happened_at >= ${from} and happened_at < ${until}) as clicks`,
      )
      return row!
    }
    const began = Date.parse(found.rendering.data.period.from)
    const [now, then] = [await within(began, began + 10 * day), await within(began - 10 * day, began)]
    expect([now.issues, then.issues]).toEqual([3, 2])
    expectTiles(found, {
      impressions: { value: now.impressions, own: then.impressions },
      'offer-clicks': { value: now.clicks, own: then.clicks },
      ctr: { value: now.clicks / now.impressions, own: then.clicks / then.impressions, field: 0.0125 },
      issues: { value: 3, own: 2 },
    })
    expect(found.rendering.data.verdict).toMatchObject({
      own: 'as many days before',
      field: 'Guild of ctr, 2026-05',
    })
    expect(sectionOf(found.rendering, 'method').paragraphs.join(' ')).toContain(
      'Benchmark: CTR 1.25% (Guild of ctr, 2026-05).',
    )
    const csv = (await app.http.get(`${found.at}/data.csv`).expect(200)).text
    expect(csv).toMatch(/\nCTR,[\d.]+,%,[\d.]+,as many days before,1\.25,"Guild of ctr, 2026-05"\n/)
  })

  it('leave a doubt to what is all but certain, in the words of the offer’s page', async () => {
    const app = await anOfferInIssues([{ ago: 2, delivered: 4_000, clicks: 0 }])
    for (let click = 0; click < 120; click++)
      await tellClick(app, { variation_id: 1, ip_hash: `reader ${click}` }).expect(204)
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [app.offer.id] },
      period: days(10),
      sections: everySection,
    })
    const { page, rendering, at } = await rendered(app, app.http, report.id)
    const best = sectionOf(rendering, 'variations').tables[0]!.rows.map(({ cells }) => cells[5])
    expect(best[0]).toBeGreaterThan(0.999)
    const onPage = (await app.http.get(`/promos/offers/${app.offer.id}`).expect(200)).text
    for (const words of ['over 99.9%', 'under 0.1%']) {
      expect(page).toContain(`${words}<`)
      expect(onPage).toContain(`${words}<`)
    }
    expect(rendering.data.verdict!.lead).toContain('over 99.9% probability')
    expect((await app.http.get(`${at}/data.csv`)).text).toMatch(/^Text,.*"?Best with, %"?\r?\n.*,100\r?$/m)
  })

  it('have nothing before where nothing was shown then', async () => {
    const app = await anOfferInIssues([{ ago: 2, delivered: 700, clicks: 30 }])
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [app.offer.id] },
      period: days(10),
    })
    const found = await rendered(app, app.http, report.id)
    for (const { id, own } of tilesOf(found)) expect(own, id).toBeNull()
    expect(found.rendering.data.verdict!.own).toBe('')
  })

  it('hold no impressions of readers against those of issues that nobody knows the readers of', async () => {
    const app = await anOfferInIssues([
      { ago: 15, delivered: null, clicks: 10 },
      { ago: 2, delivered: 700, clicks: 30 },
    ])
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [app.offer.id] },
      period: days(10),
    })
    const found = await rendered(app, app.http, report.id)
    expectTiles(found, {
      impressions: { value: 1_400, own: null },
      'offer-clicks': { value: 30, own: 10 },
      ctr: { value: 30 / 1_400, own: null },
      issues: { value: 1, own: 1 },
    })
  })
})

it('a rendering that was archived before tiles said what they are held against still opens', async () => {
  const app = await testApp()
  const { http } = await aPerson(app)
  const list = await aList(app)
  for (const [issue, ago] of [30, 20, 10].entries())
    await aReportedMailing(app, {
      name: `Issue ${issue}`,
      sentAt: app.clock.now() - ago * day,
      lists: [list.id],
    })
  const { id: last } = await app.db
    .selectFrom('mailings')
    .select('id')
    .orderBy('sent_at', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow()
  const report = await aReportOf(app, { subjects: { mailings: [last] } })
  const now = await rendered(app, http, report.id)
  const data = structuredClone(now.rendering.data)
  for (const old of data.verdict!.tiles) delete old.ownOf
  await app.db
    .insertInto('report_renderings')
    .values({
      report_id: report.id,
      number: 2,
      title: data.title,
      rendered_at: data.renderedAt,
      made_by: 'hand',
      data: JSON.stringify(data),
    })
    .execute()

  const at = `/reports/${report.id}/renderings/2`
  const page = (await http.get(at).expect(200)).text
  const sheet = (text: string) => /<dl class="report-tiles">[\s\S]*?<\/dl>/.exec(text)![0]
  expect(sheet(page)).toBe(sheet(now.page))
  const csv = (await http.get(`${at}/data.csv`).expect(200)).text
  expect(csv).toMatch(/\nOpen rate,30,%,30,,40,/)
})

describe('the funnel of campaigns', () => {
  it.each([
    ['what landed', { clicks: 4, landed: 3, converted: 2 }, 'of landed', 2 / 3],
    ['what clicked, where nobody landed', { clicks: 4, landed: 0, converted: 2 }, 'of clicked', 2 / 4],
    ['what clicked, where fewer landed', { clicks: 4, landed: 1, converted: 2 }, 'of clicked', 2 / 4],
    ['nothing, where nothing else was told', { clicks: 0, landed: 0, converted: 2 }, 'by the tracker', null],
  ])('tells conversions as a part of %s', async (_words, steps, note, rate) => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const campaign = await aCampaign(app)
    for (const [event, people] of [
      ['email_click', steps.clicks],
      ['landing_click', steps.landed],
      ['conversion', steps.converted],
    ] as const)
      for (let reader = 0; reader < people; reader++)
        await anEvent(app, { cid: campaign.id, event, email: `reader${reader}@fernmail.example` })
    const report = await aReportOf(app, { subjects: { campaigns: [campaign.id] } })
    const { rendering, page } = await rendered(app, http, report.id)
    const converted = sectionOf(rendering, 'funnel').funnel!.steps.at(-1)!
    expect(converted).toMatchObject({ name: 'Converted', count: steps.converted, note, rate })
    expect(page).toMatch(
      rate === null
        ? /<p class="funnel__rate">by the tracker<\/p>\s*<\/li>\s*<\/ol>/
        : new RegExp(`<b data-value="${rate}">[^<]*</b> ${note}</p>`),
    )
  })
})
