import { type Kysely, sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import type { Period } from '../../src/reports/definition.js'
import { testApp } from '../support/app.js'
import { aContact, aList, anEngagement } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { anEngagedMailing, aReportedMailing } from '../support/mailings.js'
import { aPerson } from '../support/person.js'
import { anOffer, aPromo, aVariation, tellClick, tellImpression } from '../support/promos.js'
import { aReportOf, everySection, figureOf, rendered, sectionOf, tableOn } from '../support/reports.js'

// Each number is read off the page, and counted once more from the facts by a query that has nothing in common with ours.

const hour = 3_600_000
const day = 24 * hour

async function asked<Row>(db: Kysely<never>, query: ReturnType<typeof sql<Row>>) {
  return (await query.execute(db)).rows
}
const dates = (from: string, to: string): Period => ({ kind: 'dates', days: 30, from, to })

describe('list growth', () => {
  it.each([
    ['days', 'the last 30 days', { kind: 'days', days: 30, from: '', to: '' } as Period],
    ['weeks', 'the days from one Wednesday to another, long ago', dates('2026-03-11', '2026-07-15')],
    ['months', 'the days from the middle of a month to that of another', dates('2024-05-17', '2026-09-20')],
  ])('by %s is of %s and of no day more', async (_unit, _words, period) => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const now = app.clock.now()
    for (let index = 0; index < 120; index++) {
      const { id } = await aContact(app, { email: `reader${index}@fernmail.example` })
      // Spread over three years, the latest thickest; every third has left again.
      const ago = Math.round(1_100 * ((index + 1) / 120) ** 2) * day + (index % 24) * hour
      const joined = now - ago
      const left = index % 3 === 0 ? joined + Math.round(ago / 3) : null
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: list.id,
          contact_id: id,
          status: left === null ? 'subscribed' : 'unsubscribed',
          subscribed_at: joined,
          unsubscribed_at: left,
        })
        .execute()
      await app.db
        .insertInto('subscription_changes')
        .values([
          { list_id: list.id, contact_id: id, changed_at: joined, status: 'subscribed' },
          ...(left === null
            ? []
            : [{ list_id: list.id, contact_id: id, changed_at: left, status: 'unsubscribed' }]),
        ])
        .execute()
    }
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      period,
      sections: everySection,
    })

    const { rendering, page } = await rendered(app, http, report.id)

    const changed = async (status: string, from: string, to: string) => {
      const [row] = await asked<{ people: number }>(
        app.db as never,
        sql`select count(*) as people from subscription_changes
            where status = ${status} and date(changed_at / 1000, 'unixepoch') between ${from} and ${to}`,
      )
      return row!.people
    }
    const subscribersAt = async (to: string) =>
      (await changed('subscribed', '1970-01-01', to)) - (await changed('unsubscribed', '1970-01-01', to))
    const { from, to } = rendering.data.period
    const [joined, left] = [await changed('subscribed', from, to), await changed('unsubscribed', from, to)]
    expect(joined).toBeGreaterThan(5)
    expect(left).toBeGreaterThan(1)
    const before = (await subscribersAt(to)) - joined + left
    const [line] = tableOn(page, 'Lists')
    expect(line!.slice(0, 4)).toEqual(['Slow Mornings', joined, left, left / before])
    expect(line![4]).toBe(await subscribersAt(to))
    expect(page).toContain(`${joined} joined and ${left} left`)
    const dayBefore = (on: string, days: number) =>
      new Date(Date.parse(on) - days * day).toISOString().slice(0, 10)
    const length = (Date.parse(to) - Date.parse(from)) / day + 1
    const earlier = [dayBefore(from, length), dayBefore(from, 1)] as const
    const isHeld = (await subscribersAt(dayBefore(earlier[0], 1))) > 0
    const tiles = rendering.data.verdict!.tiles
    for (const [id, figure, status] of [
      ['joined', joined, 'subscribed'],
      ['left', left, 'unsubscribed'],
    ] as const) {
      expect(figureOf(page, `tile-${id}`)).toBe(String(figure))
      expect(tiles.find((tile) => tile.id === id)!.own, id).toBe(
        isHeld ? await changed(status, ...earlier) : null,
      )
    }
    expect(page.includes('as many days before')).toBe(isHeld)
    const net = joined - left
    expect(rendering.data.verdict!.lead).toBe(
      `${before + net} subscribers${to === '2026-11-21' ? '' : ' at the end'}, ${Math.abs(net)} ${net > 0 ? 'more' : 'fewer'} than at the beginning.`,
    )

    const { table } = sectionOf(rendering, 'growth').charts[0]!
    const starts = table.rows.map(({ cells }) => String(cells[0]))
    const points = tableOn(page, table.caption)
    expect(points).toHaveLength(starts.length)
    expect(starts[0]).toBe(from)
    for (const [place, start] of starts.entries()) {
      const next = starts[place + 1]
      const end = next === undefined ? to : new Date(Date.parse(next) - day).toISOString().slice(0, 10)
      expect(points[place]!.slice(1), start).toEqual([
        await changed('subscribed', start, end),
        await changed('unsubscribed', start, end),
        await subscribersAt(end),
      ])
    }
  })
})

describe('a promo', () => {
  it('has the impressions, clicks, rates and days that its facts have, machines left out', async () => {
    const app = await testApp({ env: { PROMO_CLICKS_PER_MINUTE: '0' } })
    const { http } = await aPerson(app, { remember: true })
    const offer = await anOffer(app)
    const texts = [
      await aVariation(app, offer.id, { headline: 'Lies flat' }),
      await aVariation(app, offer.id, { headline: 'Sewn by hand' }),
    ]
    const shown = [
      [0, 1, 800],
      [1, 1, 700],
      [0, 2, 500],
    ] as const
    for (const [issue, [text, placements, delivered]] of shown.entries()) {
      const mailing = await aReportedMailing(app, {
        name: `Issue ${issue}`,
        sentAt: app.clock.now() - hour,
        delivered,
      })
      const { provider_id } = await app.db
        .selectFrom('mailings')
        .select('provider_id')
        .where('id', '=', mailing.id)
        .executeTakeFirstOrThrow()
      const variation_id = texts[text]!.id
      await tellImpression(app, {
        offer_id: offer.id,
        variation_id,
        newsletter_send_id: provider_id,
        placements,
      }).expect(204)
      for (let click = 0; click < 20 + 25 * text + 3 * issue; click++)
        await tellClick(app, { variation_id, ip_hash: `${issue} ${click}` }).expect(204)
      await tellClick(app, { variation_id, ip_hash: `${issue} 0` }).expect(204)
      await tellClick(app, { variation_id, ip_hash: `bot ${issue}`, user_agent: 'Googlebot/2.1' }).expect(204)
      app.clock.pass(2 * day)
    }
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [offer.id] },
      sections: everySection,
    })

    const { rendering, page } = await rendered(app, http, report.id)

    const facts = await asked<{ id: number; impressions: number; clicks: number }>(
      app.db as never,
      sql`select t.id,
            (select sum(i.placements * r.deliveries) from promo_impressions i
               join promo_sends s on s.id = i.send_id join mailing_reports r on r.mailing_id = s.mailing_id
              where i.variation_id = t.id) as impressions,
            (select count(*) from promo_clicks c
              where c.variation_id = t.id and c.verdict < 2 and c.repeated = 0) as clicks
          from promo_text_variations t order by t.id`,
    )
    expect(facts.map(({ impressions }) => impressions)).toEqual([1_800, 700])
    const rows = tableOn(page, `Texts of ${offer.name}, the highest CTR first`)
    expect(rows.map(([name]) => name)).toEqual(['Sewn by hand', 'Lies flat'])
    const believed = beliefsOf(facts)
    for (const [place, at] of [1, 0].entries()) {
      const { impressions, clicks } = facts[at]!
      expect(rows[place]!.slice(1, 4)).toEqual([impressions, clicks, clicks / impressions])
      const interval = sectionOf(rendering, 'variations').tables[0]!.rows[place]!.cells[4] as Interval
      expect(interval.low).toBeCloseTo(believed[at]!.low, 4)
      expect(interval.high).toBeCloseTo(believed[at]!.high, 4)
      expect(rows[place]![5]).toBeCloseTo(believed[at]!.best, 3)
    }
    const sum = {
      impressions: facts[0]!.impressions + facts[1]!.impressions,
      clicks: facts[0]!.clicks + facts[1]!.clicks,
    }
    expect(Number(figureOf(page, 'tile-impressions'))).toBe(sum.impressions)
    expect(Number(figureOf(page, 'tile-offer-clicks'))).toBe(sum.clicks)
    expect(Number(figureOf(page, 'tile-ctr'))).toBeCloseTo(sum.clicks / sum.impressions, 12)
    expect(Number(figureOf(page, 'tile-issues'))).toBe(3)
    expect(page).toContain('3 machine clicks left out')

    const { rows: days } = sectionOf(rendering, 'daily').charts[0]!.table
    const onPage = tableOn(page, 'By day')
    for (const [place, { cells }] of days.entries()) {
      const [told] = await asked<{ impressions: number; clicks: number }>(
        app.db as never,
        sql`select
              (select coalesce(sum(placements), 0) from promo_impressions
                where date(happened_at / 1000, 'unixepoch') = ${cells[0]}) as impressions,
              (select count(*) from promo_clicks where verdict < 2 and repeated = 0
                and date(happened_at / 1000, 'unixepoch') = ${cells[0]}) as clicks`,
      )
      expect(onPage[place]!.slice(1), String(cells[0])).toEqual([told!.impressions, told!.clicks])
    }
    expect(onPage.reduce((all, row) => all + Number(row[2]), 0)).toBe(sum.clicks)
  })
})
type Interval = { low: number; high: number }

/** Beta posteriors over the pooled prior worth 50 impressions, summed up slice by slice. */
function beliefsOf(texts: readonly { impressions: number; clicks: number }[]) {
  const slices = 200_000
  const all = texts.reduce((sum, text) => sum + text.impressions, 0)
  const rate = (texts.reduce((sum, text) => sum + text.clicks, 0) + 1) / (all + 50)
  const densities = texts.map(({ impressions, clicks }) => {
    const [a, b] = [50 * rate + clicks, 50 * (1 - rate) + impressions - clicks]
    const top = (a - 1) / (a + b - 2)
    const height = (x: number) => (a - 1) * Math.log(x / top) + (b - 1) * Math.log((1 - x) / (1 - top))
    const heights = Array.from({ length: slices }, (_, slice) => Math.exp(height((slice + 0.5) / slices)))
    const whole = heights.reduce((sum, value) => sum + value, 0)
    return heights.map((value) => value / whole)
  })
  const below = densities.map((density) => {
    let sum = 0
    return density.map((value) => (sum += value))
  })
  return densities.map((density, text) => ({
    low: below[text]!.findIndex((share) => share >= 0.025) / slices,
    high: below[text]!.findIndex((share) => share >= 0.975) / slices,
    best: density.reduce(
      (sum, value, slice) =>
        sum + value * below.reduce((all, other, at) => (at === text ? all : all * other[slice]!), 1),
      0,
    ),
  }))
}

describe('cohorts', () => {
  it('are those who joined in a month, and who of them did something in each month since', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const join = async (name: string, at: number) => {
      const { id } = await aContact(app, { email: `${name}@fernmail.example` })
      await app.db
        .insertInto('subscriptions')
        .values({ list_id: list.id, contact_id: id, status: 'subscribed', subscribed_at: at })
        .execute()
      return id
    }
    const [august, september, october] = [7, 8, 9].map((month) => Date.UTC(2026, month, 12, 9))
    const people = {
      ada: await join('ada', august!),
      ben: await join('ben', august!),
      cleo: await join('cleo', august!),
      dora: await join('dora', september!),
      emil: await join('emil', october!),
      finn: await join('finn', october!),
      // Longer ago than the table goes back.
      gerd: await join('gerd', Date.UTC(2025, 2, 1)),
    }
    const mailing = await aReportedMailing(app, { name: 'One', sentAt: august!, lists: [list.id] })
    const did = (contactId: number, happenedAt: number, more: object = {}) =>
      anEngagement(app, { contactId, mailingId: mailing.id, kind: 'opened', happenedAt, ...more })
    await did(people.ada, august! + day)
    await did(people.ada, september!)
    await did(people.ada, october!, { kind: 'clicked' })
    await did(people.ada, app.clock.now() - day)
    await did(people.ben, september!, { kind: 'replied' })
    await did(people.ben, app.clock.now() - 2 * day)
    // Nobody opened these: a mail proxy, and a bot.
    await did(people.cleo, september!, { userAgent: 'Mozilla/5.0' })
    await did(people.cleo, october!, { kind: 'clicked', userAgent: 'curl/8.5.0' })
    await did(people.dora, september! + 1)
    await did(people.emil, october! + 2 * day, { kind: 'clicked' })
    await did(people.gerd, october!)
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      sections: everySection,
    })

    const { page } = await rendered(app, http, report.id)

    const joined = await asked<{ month: string; people: number }>(
      app.db as never,
      sql`select strftime('%Y-%m', subscribed_at / 1000, 'unixepoch') as month, count(*) as people
          from subscriptions where subscribed_at >= ${Date.UTC(2025, 11, 1)} group by month order by month`,
    )
    expect(joined.map(({ people }) => people)).toEqual([3, 1, 2])
    const active = async (cohort: string, month: string) => {
      const [row] = await asked<{ people: number }>(
        app.db as never,
        sql`select count(distinct e.contact_id) as people from engagements e
            join subscriptions s on s.contact_id = e.contact_id
            where strftime('%Y-%m', s.subscribed_at / 1000, 'unixepoch') = ${cohort}
              and strftime('%Y-%m', e.happened_at / 1000, 'unixepoch') = ${month}
              and e.kind in (6, 7, 8) and e.verdict < 2`,
      )
      return row!.people
    }
    const rows = tableOn(page, 'Slow Mornings: active in the month of joining and in those after')
    expect(rows).toHaveLength(joined.length)
    const months = ['2026-08', '2026-09', '2026-10', '2026-11']
    for (const [place, { month, people }] of joined.entries()) {
      expect(rows[place]![1]).toBe(people)
      for (let after = 0; after < 6; after++) {
        const at = months[months.indexOf(month) + after]
        expect(rows[place]![2 + after], `${month} +${after}`).toBe(
          at === undefined ? null : (await active(month, at)) / people,
        )
      }
    }
    // August is the only one that is three months old: Ada and Ben of three.
    expect(page).toContain('67% are still active three months after joining')
  })
})

describe('the hours of the week', () => {
  it('are those of each click in the time zone of the installation, machines left out', async () => {
    const app = await testApp({ env: { TIME_ZONE: 'Europe/Berlin' } })
    const { http } = await aPerson(app)
    const people: number[] = []
    for (let index = 0; index < 12; index++)
      people.push((await aContact(app, { email: `reader${index}@fernmail.example` })).id)
    const mailings = []
    for (const [issue, clicked] of [12, 7].entries())
      mailings.push(
        await anEngagedMailing(app, {
          name: `Issue ${issue}`,
          sentAt: app.clock.now() - (9 - issue) * day - 7 * hour,
          people,
          opened: 12,
          clicked,
        }),
      )
    await anEngagement(app, {
      contactId: people[0]!,
      mailingId: mailings[0]!.id,
      kind: 'clicked',
      happenedAt: app.clock.now() - 3 * day,
      userAgent: 'curl/8.5.0',
    })
    const report = await aReportOf(app, {
      template: 'engagement',
      timeZone: 'Asia/Tokyo',
      subjects: { mailings: mailings.map(({ id }) => id) },
    })

    const { page } = await rendered(app, http, report.id)

    // Winter time all along: an hour ahead of UTC. Monday is 0.
    const facts = await asked<{ weekday: number; hour: number; clicks: number }>(
      app.db as never,
      sql`select (cast(strftime('%w', happened_at / 1000 + 3600, 'unixepoch') as integer) + 6) % 7 as weekday,
            cast(strftime('%H', happened_at / 1000 + 3600, 'unixepoch') as integer) as hour, count(*) as clicks
          from engagements where kind = 7 and verdict < 2 group by 1, 2 order by clicks desc, weekday, hour`,
    )
    const expected = Array.from({ length: 24 }, () => Array.from({ length: 7 }, () => 0))
    for (const { weekday, hour, clicks } of facts) expected[hour]![weekday] = clicks
    expect(tableOn(page, 'By weekday and hour').map((row) => row.slice(1))).toEqual(expected)
    const all = facts.reduce((sum, { clicks }) => sum + clicks, 0)
    expect(all).toBe(19)
    expect(page).toContain(`${facts[0]!.clicks} of ${all} clicks`)
    expect(page).toContain('Time zone Europe/Berlin.')
  })
})

describe('days that are many', () => {
  it('are summed up by weeks, and by months, and each says of which year it is', async () => {
    const app = await testApp()
    const campaign = await aCampaign(app)
    const { offer, ids } = await aPromo(app)
    for (let month = 0; month < 40; month++) {
      for (let click = 0; click <= month % 7; click++) {
        await anEvent(app, { cid: campaign.id, email: `reader${click}@fernmail.example` })
        await tellClick(app, { variation_id: ids[0]!, ip_hash: `${month} ${click}` }).expect(204)
      }
      app.clock.pass(30 * day + 7 * hour)
    }
    const { http } = await aPerson(app)
    for (const [subjects, template, table] of [
      [{ campaigns: [campaign.id] }, 'campaign', 'events'],
      [{ offers: [offer.id] }, 'promo', 'promo_clicks'],
    ] as const)
      for (const [from, unit] of [
        ['2027-12-15', 'week'],
        ['2026-11-21', 'week'],
        ['1999-01-01', 'month'],
        ['0001-01-01', 'month'],
      ] as const) {
        const report = await aReportOf(app, {
          template,
          subjects: { ...subjects } as object,
          period: dates(from, ''),
          sections: everySection,
        })
        const { rendering, page } = await rendered(app, http, report.id)

        const facts = await asked<{ start: string; clicks: number }>(
          app.db as never,
          sql`select ${
            unit === 'week'
              ? sql`date(happened_at / 1000, 'unixepoch', '-6 days', 'weekday 1')`
              : sql`date(happened_at / 1000, 'unixepoch', 'start of month')`
          } as start, count(*) as clicks from ${sql.table(table)}
            where date(happened_at / 1000, 'unixepoch') >= ${from} group by 1 order by 1`,
        )
        const { rows } = sectionOf(rendering, 'daily').charts[0]!.table
        const place = table === 'events' ? 1 : 2
        const told = rows.filter(({ cells }) => cells[place] !== 0)
        expect(told.map(({ cells }) => [cells[0], cells[place]])).toEqual(
          facts.map(({ start, clicks }) => [start < from ? from : start, clicks]),
        )
        expect(rows.length).toBeLessThanOrEqual(400)
        // The last one is not over yet: its line would fall for no reason.
        const [clicks] = sectionOf(rendering, 'daily').charts[0]!.lines
        expect(clicks!.values).toEqual([...rows.slice(0, -1).map(({ cells }) => cells[place]), null])
        expect(rows[0]!.cells[0]! >= from).toBe(true)
        expect(tableOn(page, `By ${unit}`).map((row) => row[place])).toEqual(
          rows.map(({ cells }) => cells[place]),
        )
        expect(tableOn(page, `By ${unit}`).at(-1)![0]).toMatch(/^\d+ [A-Z][a-z]{2} 20\d\d$/)
      }
  })
})
