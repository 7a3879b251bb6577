import { parse } from 'csv-parse/sync'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { readRetention, saveRetention } from '../../src/operations/retention.js'
import { dayLength } from '../../src/web/calendar.js'
import { type TestApp, testApp } from '../support/app.js'
import {
  asked,
  csvRows,
  factsOfCampaign,
  factsOfMailings,
  factsOfReported,
  rawRows,
  type ToldTable,
} from '../support/facts.js'
import { aPerson } from '../support/person.js'
import { aReportOf, everySection, rendered, sectionOf, tableOn } from '../support/reports.js'
import { aReportedAutumn, aToldAutumn, aTrackedAutumn } from '../support/told-autumn.js'

// Each table of a report, those behind its pictures included, beside what the facts say.

type Report = Parameters<typeof aReportOf>[1]

/** The page and the CSV of a report of all there is, read by the captions of their tables. */
async function read(app: TestApp, report: Report, person = aPerson(app)) {
  const { http } = await person
  const { id } = await aReportOf(app, { sections: everySection, ...report })
  const { rendering, page, at } = await rendered(app, http, id)
  const csv: string[][] = parse((await http.get(`${at}/data.csv`).expect(200)).text, {
    relax_column_count: true,
    skip_empty_lines: false,
  })
  const inCsv = (caption: string) => {
    const head = csv.findIndex((row) => row[1] === caption) + 1
    if (head === 0) throw new Error(`The CSV has no table ${caption}.`)
    const end = csv.findIndex((row, place) => place > head && row.every((cell) => cell === ''))
    return csv.slice(head + 1, end < 0 ? csv.length : end)
  }
  const totalOf = (caption: string) =>
    rendering.data.sections.flatMap(({ tables }) => tables).find((table) => table.caption === caption)?.total
  /** Compares a table wherever it stands. A link has its whole address in the CSV. */
  const agrees = (told: ToldTable) => {
    expect(tableOn(page, told.caption), told.caption).toEqual(rawRows(told))
    expect(totalOf(told.caption), `${told.caption}, all`).toEqual(told.total)
    expect(
      inCsv(told.caption).map((row) => row.map((cell) => cell.replace(/^https:\/\//, ''))),
      `${told.caption}, CSV`,
    ).toEqual(csvRows(told))
  }
  return { rendering, page, agrees }
}

describe('a report of mailings', () => {
  it.each([
    ['the youngest among them', 5, 8],
    ['all of them grown', 5, 7],
  ])('says what their events say, %s', async (_words, first, end) => {
    const app = await testApp()
    const { issues } = await aToldAutumn(app)
    const these = issues.slice(first, end)
    const facts = await factsOfMailings(app, { these, earlier: issues.slice(0, first) })
    const { page, agrees } = await read(app, { template: 'custom', subjects: { mailings: these } })

    const named = (caption: string) => facts.printed.find((table) => table.caption === caption)!
    // There is some of everything, or it would prove nothing.
    expect(named('Countries, most clicks first').rows.at(-1)![0]).toBe('all others')
    expect(named('All links, most clicks first').rows.length).toBeGreaterThan(10)
    for (const [what, count] of named('Quality').rows) expect(count, String(what)).toBeGreaterThan(0)
    expect(facts.drawn[1]!.rows.length).toBe(end === 8 ? 2 : 9)
    for (const table of [...facts.printed, ...facts.drawn]) agrees(table)
    if (end === 8) expect(page).toContain('One mailing is younger than 72 hours and not in this picture.')
  })

  it('says what their provider says', async () => {
    const app = await testApp()
    const { issues } = await aReportedAutumn(app)
    const these = issues.slice(5)
    const facts = await factsOfReported(app, { these, earlier: issues.slice(0, 5) })
    const { page, agrees } = await read(app, { template: 'custom', subjects: { mailings: these } })

    for (const table of [...facts.printed, ...facts.drawn]) agrees(table)
    expect(page).toContain('Clicks as the provider reports them: machines are among them.')
  })
})

describe('a report of some contacts', () => {
  /** Everybody has a tag but these. Contacts are read in pages of 5,000: there are more, and readers on both sides. */
  async function tagged(app: TestApp, without: number[]) {
    const { id: tag_id } = await app.db
      .insertInto('tags')
      .values({ name: 'press', created_at: app.clock.now() })
      .returning('id')
      .executeTakeFirstOrThrow()
    await app.db
      .insertInto('contact_tags')
      .columns(['contact_id', 'tag_id', 'origin', 'added_at'])
      .expression((eb) =>
        eb
          .selectFrom('contacts')
          .select((eb) => [
            'id',
            eb.lit(tag_id).as('tag_id'),
            eb.val('ours').as('origin'),
            eb.lit(0).as('at'),
          ])
          .where('id', 'not in', without),
      )
      .execute()
    return { tag: 'press', segment: 0, list: 0, field: '', value: '' }
  }

  it('says of mailings what their events alone say', async () => {
    const app = await testApp()
    const { issues, people, list } = await aToldAutumn(app, { crowd: 5_000 })
    const isLeft = (_: number, index: number) => index % 3 === 1
    const narrowing = await tagged(app, people.filter(isLeft))
    const only = people.filter((id, index) => !isLeft(id, index))
    const these = issues.slice(5, 7)
    const facts = await factsOfMailings(app, { these, earlier: issues.slice(0, 5), only })
    const { page, agrees, rendering } = await read(app, {
      template: 'custom',
      subjects: { mailings: these, lists: [list.id] },
      // A list brings its mailings; those of the report are the ones of these days.
      period: { kind: 'dates', days: 30, from: '2026-11-03', to: '2026-11-14' },
      narrowing,
    })

    expect(page).toContain('Narrowed to the tag press: 5,013 contacts today.')
    expect(page).not.toContain('are removed by now')
    for (const table of [...facts.printed, ...facts.drawn]) agrees(table)
    const hours = await asked<{ hour: number; weekday: number; clicks: number }>(
      app,
      sql`select cast(strftime('%H', happened_at / 1000, 'unixepoch') as integer) as hour,
            (cast(strftime('%w', happened_at / 1000, 'unixepoch') as integer) + 6) % 7 as weekday,
            count(*) as clicks
          from engagements where kind = 7 and verdict < 2
            and mailing_id in (${sql.join(these)}) and contact_id in (${sql.join(only)}) group by 1, 2`,
    )
    const week = Array.from({ length: 24 }, () => Array.from({ length: 7 }, () => 0))
    for (const { hour, weekday, clicks } of hours) week[hour]![weekday] = clicks
    expect(tableOn(page, 'By weekday and hour').map((row) => row.slice(1))).toEqual(week)
    const names = rendering.data.sections.map(({ name }) => name)
    expect(names).not.toContain('growth')
    expect(names).not.toContain('cohort')
    expect(page).toContain(
      'List growth, cohorts and the days of offers cannot be told of some contacts alone',
    )
  })

  it('says what is missing of them once opens and clicks are removed', async () => {
    const app = await testApp()
    const { issues, people } = await aToldAutumn(app)
    const narrowing = await tagged(app, people.slice(0, 1))
    const about = { template: 'custom', subjects: { mailings: issues }, narrowing } as const
    await saveRetention(app.db, { ...(await readRetention(app.db)), engagements_days: 365 })
    await app.retention.run()
    app.clock.pass(400 * dayLength)
    const { engagements } = await app.retention.run()
    expect(engagements).toBeGreaterThan(0)
    const person = aPerson(app)
    const { page } = await read(app, about, person)
    expect(page).toMatch(/Opens and clicks up to .+ 2026 are removed by now, and missing among the links/)
    // Of everybody nothing is missing.
    const { page: everybody } = await read(app, { template: 'custom', subjects: about.subjects }, person)
    expect(everybody).not.toContain('are removed by now')
  })

  it('says of a tracker campaign what their events alone say', async () => {
    const app = await testApp()
    const campaign = await aTrackedAutumn(app)
    const contacts = (await app.db.selectFrom('contacts').select('id').orderBy('id').execute()).map(
      ({ id }) => id,
    )
    // The first who clicked is not among them: their hours begin with the first of their own.
    const without = contacts.filter((_, index) => index % 3 === 0)
    const narrowing = await tagged(app, without)
    const only = contacts.filter((id) => !without.includes(id))
    const facts = await factsOfCampaign(app, campaign, only)
    const { agrees, page } = await read(app, {
      template: 'custom',
      subjects: { campaigns: [campaign.id] },
      narrowing,
    })

    for (const table of [...facts.printed, ...facts.drawn]) agrees(table)
    expect(page).not.toContain('cannot be told of some contacts alone')
  })
})

describe('a report of a tracker campaign', () => {
  it('says what its events say', async () => {
    const app = await testApp()
    const campaign = await aTrackedAutumn(app)
    const facts = await factsOfCampaign(app, campaign)
    const { rendering, agrees } = await read(app, {
      template: 'custom',
      subjects: { campaigns: [campaign.id] },
    })

    for (const table of [...facts.printed, ...facts.drawn]) agrees(table)
    expect(facts.printed[1]!.rows).toHaveLength(9)
    expect(facts.printed[2]!.rows.map(([name]) => name).sort()).toEqual([
      'Desktop',
      'Mobile',
      'Tablet',
      'not known',
    ])
    expect(facts.domains).toHaveLength(3)
    expect(sectionOf(rendering, 'domains').tables[0]!.rows.map(({ cells }) => cells.slice(0, 5))).toEqual(
      facts.domains,
    )
  })
})
