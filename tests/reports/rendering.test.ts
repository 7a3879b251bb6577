import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { archive } from '../../src/reports/archive.js'
import { definitionOf } from '../../src/reports/definition.js'
import { testApp } from '../support/app.js'
import { aContact, aList, aMailing, tagAll } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aMailedYear, anEngagedMailing, aReport, aReportedMailing } from '../support/mailings.js'
import { aPartner, aPng, aProject } from '../support/partners.js'
import { aPerson } from '../support/person.js'
import {
  addTenThousandLinks,
  aReportOf,
  everySection,
  figureOf,
  rendered,
  sectionOf,
  tableOn,
} from '../support/reports.js'

const hour = 3_600_000
const day = 24 * hour

describe('the numbers of a report', () => {
  it('are those of the page of a mailing, to the digit', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const { theirs, ours } = await aMailedYear(app)
    for (const mailing of [theirs.at(-1)!, ours.at(-1)!]) {
      const report = await aReportOf(app, { subjects: { mailings: [mailing.id] } })

      const answer = await send(`/reports/${report.id}/renderings`, {}).expect(303)
      const page = await http.get(answer.headers.location!).expect(200)
      const own = await http.get(`/mailings/${mailing.id}`).expect(200)

      for (const id of ['open-rate', 'click-rate', 'click-to-open', 'bounce-rate', 'unsubscribe-rate']) {
        expect(figureOf(page.text, `tile-${id}`), id).toBe(figureOf(own.text, id))
        const usual = figureOf(own.text, `${id}-usual`)
        if (usual) expect(page.text, `${id} before`).toContain(`data-value="${usual}"`)
      }
      const said = (text: string) => /id="open-rate"[^>]*>([^<]*)</.exec(text)?.[1]
      expect(page.text).toContain(`>${said(own.text)}</dd>`)
    }
  })

  it('are those of the page of a campaign, and of its domains', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const campaign = await aCampaign(app)
    for (const [event, email, domain] of [
      ['email_click', 'ada', 'news.fernweh.example'],
      ['email_click', 'ben', 'news.fernweh.example'],
      ['email_click', 'ben', 'news.fernweh.example'],
      ['landing_click', 'ben', 'news.fernweh.example'],
      ['conversion', 'ben', 'news.fernweh.example'],
      ['email_click', 'cleo', 'kindling.example'],
      ['conversion', 'dora', 'kindling.example'],
    ] as const)
      await anEvent(app, { cid: campaign.id, event, email: `${email}@fernmail.example`, domain })
    await anEvent(app, { cid: campaign.id, email: 'bot@fernmail.example', ua: 'Googlebot/2.1' })
    const report = await aReportOf(app, { subjects: { campaigns: [campaign.id] } })

    const { rendering, page } = await rendered(app, http, report.id)
    const own = await http.get(`/campaign/${campaign.id}`).expect(200)

    const [counts] = await app.db.selectFrom('campaign_counts').selectAll().execute()
    expect(figureOf(page, 'tile-email-clicks')).toBe(String(counts!.email_clicks))
    expect(figureOf(page, 'tile-conversions')).toBe('2')
    expect(figureOf(page, 'tile-people-converted')).toBe('2')
    expect(figureOf(page, 'tile-conversion-rate')).toBe(String(2 / 4))
    expect(own.text).toContain('50.00%')
    expect(page).toContain('50.00%')
    const { tables } = sectionOf(rendering, 'domains')
    expect(tables[0]!.rows.map(({ cells }) => cells.slice(0, 5))).toEqual([
      ['news.fernweh.example', 3, 1, 1, 1 / 3],
      ['kindling.example', 1, 0, 1, 1],
    ])
    expect(tables[0]!.total).toEqual(['All of them', 4, 1, 2, 0.5, null])
    const quality = sectionOf(rendering, 'quality').tables[0]!.rows
    expect(quality.at(-1)!.cells.slice(0, 2)).toEqual(['Tracker events by machines', 1])
    expect(sectionOf(rendering, 'method').paragraphs.join(' ')).toContain('1 conversion had no earlier click')
  })

  it('of a part of the time are counted from the events of its days', async () => {
    const app = await testApp()
    const { http } = await aPerson(app, { remember: true })
    const campaign = await aCampaign(app)
    await anEvent(app, { cid: campaign.id, email: 'ada@fernmail.example' })
    app.clock.pass(3 * day)
    await anEvent(app, { cid: campaign.id, email: 'ada@fernmail.example' })
    await anEvent(app, { cid: campaign.id, email: 'ben@fernmail.example' })
    const report = await aReportOf(app, {
      subjects: { campaigns: [campaign.id] },
      period: { kind: 'days', days: 1, from: '', to: '' },
    })

    const { page } = await rendered(app, http, report.id)

    expect(figureOf(page, 'tile-email-clicks')).toBe('2')
    expect(page).toContain('24 November 2026')
    expect(page).not.toContain('21 November 2026 to')
  })

  it('of several mailings are of all their people together, beside the partner’s own average before', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const now = app.clock.now()
    const project = await aProject(app)
    const other = await aProject(app, { partner_id: (await aPartner(app, { name: 'Kunsthaus Nord' })).id })
    const list = await aList(app)
    const send = async (name: string, days: number, delivered: number, open: number, into = project) => {
      const mailing = await aReportedMailing(app, {
        name,
        sentAt: now - days * day,
        lists: [list.id],
        delivered,
        open,
        click: open / 10,
      })
      await app.db
        .insertInto('project_ties')
        .values({ kind: 'mailing', thing_id: mailing.id, project_id: into.id, tied_at: now })
        .execute()
      return mailing
    }
    await send('Theirs, which no average may hold', 60, 5_000, 0.9, other)
    await send('Before', 50, 1_000, 0.2)
    await send('And before', 45, 1_000, 0.4)
    const one = await send('One', 30, 1_000, 0.3)
    const two = await send('Two', 20, 3_000, 0.5)
    const report = await aReportOf(app, {
      partner: project.partner_id,
      subjects: { mailings: [one.id, two.id] },
      sections: everySection,
    })

    const { rendering, page } = await rendered(app, http, report.id)

    const tile = (id: string) => rendering.data.verdict!.tiles.find((each) => each.id === id)!
    expect(tile('delivered').value).toBe(4_000)
    expect(tile('open-rate').value).toBeCloseTo(1_800 / 4_000, 10)
    expect(tile('open-rate').own).toBeCloseTo(0.3, 10)
    expect(sectionOf(rendering, 'last-five').tables[0]!.rows.map(({ cells }) => cells[0])).toEqual([
      'And before',
      'Before',
    ])
    expect(page).not.toContain('which no average may hold')
    expect(page).toContain('2 mailings of yours before')
  })

  it('narrowed to a tag are counted for those contacts alone', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const people: number[] = []
    for (let index = 0; index < 10; index++)
      people.push((await aContact(app, { email: `reader${index}@fernmail.example` })).id)
    const mailing = await anEngagedMailing(app, {
      name: 'Issue 7',
      sentAt: app.clock.now() - 5 * day,
      list: list.id,
      people,
      opened: 6,
      clicked: 3,
    })
    await tagAll(app, 'press', [people[0]!, people[4]!, people[8]!])
    const report = await aReportOf(app, {
      subjects: { mailings: [mailing.id] },
      narrowing: { tag: 'press', segment: 0, list: 0, field: '', value: '' },
    })

    const { page, rendering } = await rendered(app, http, report.id)

    expect(sectionOf(rendering, 'funnel').funnel!.steps.map(({ count }) => count)).toEqual([3, 2, 1])
    expect(page).toContain('Narrowed to the tag press: 3 contacts today.')
    expect(sectionOf(rendering, 'links').tables[0]!.rows[0]!.cells.slice(1)).toEqual([1, 1, 1])
    expect(page).not.toContain('cannot be told of some contacts alone')
  })

  it('narrowed to a segment or to a field of a list are counted for those contacts alone', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const people: number[] = []
    for (let index = 0; index < 10; index++) {
      const { id } = await aContact(app, {
        email: `reader${index}@fernmail.example`,
        source: index < 4 ? 'import' : 'buttondown',
      })
      people.push(id)
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: list.id,
          contact_id: id,
          status: 'subscribed',
          fields: JSON.stringify({ Country: index % 2 === 0 ? 'Portugal' : 'Norway' }),
        })
        .execute()
    }
    const mailing = await anEngagedMailing(app, {
      name: 'Issue 7',
      sentAt: app.clock.now() - 5 * day,
      list: list.id,
      people,
      opened: 6,
      clicked: 3,
    })
    const segmentOf = async (name: string, query: string) =>
      (
        await app.db
          .insertInto('segments')
          .values({ name, query, created_at: app.clock.now() })
          .returning('id')
          .executeTakeFirstOrThrow()
      ).id
    const segment = await segmentOf('Imported', 'source=import')
    const nobody = { tag: '', segment: 0, list: 0, field: '', value: '' }
    const counts = async (narrowing: Partial<typeof nobody>) => {
      const report = await aReportOf(app, {
        subjects: { mailings: [mailing.id] },
        narrowing: { ...nobody, ...narrowing },
      })
      const { rendering, page } = await rendered(app, http, report.id)
      return [
        /Narrowed to ([^:<]+)/.exec(page)?.[1],
        ...sectionOf(rendering, 'funnel').funnel!.steps.map(({ count }) => count),
      ]
    }
    const portugal = { list: list.id, field: 'Country', value: 'Portugal' }
    expect(await counts({ segment })).toEqual(['the segment Imported', 4, 4, 3])
    expect(await counts(portugal)).toEqual(['Country = Portugal', 5, 3, 2])
    expect(await counts({ ...portugal, segment })).toEqual([
      'the segment Imported and Country = Portugal',
      2,
      2,
      2,
    ])
    // Any of two tags, and one that all must have.
    await tagAll(app, 'press', people.slice(0, 2))
    await tagAll(app, 'testers', people.slice(2, 5))
    await tagAll(app, 'club', [people[1]!, people[4]!, people[9]!])
    const either = await segmentOf('Testers and press', 'tag=testers&tag=press&tags=any')
    expect((await counts({ segment: either }))[1]).toBe(5)
    expect(await counts({ segment: either, tag: 'club' })).toEqual([
      'the tag club and the segment Testers and press',
      2,
      2,
      1,
    ])
  })

  it('say nothing where there is nothing, and never zero for unknown', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const campaign = await aCampaign(app)
    const list = await aList(app)
    const unsent = await aMailing(app, { name: 'Sent to nobody yet' })
    for (const subjects of [
      {},
      { campaigns: [campaign.id] },
      { lists: [list.id] },
      { mailings: [unsent.id] },
    ]) {
      const report = await aReportOf(app, { subjects, sections: everySection })
      const { page } = await rendered(app, http, report.id)
      expect(page).not.toMatch(/NaN|undefined|Infinity|null/)
      expect(page).toMatch(/nothing|Nothing|0 subscribers/)
    }
  })

  it('draw no curve of a mailing whose clicks are known in one sum alone', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const now = app.clock.now()
    const old = await aMailing(app, { sent_at: now - 60 * day, provider: 'emailoctopus' })
    await aReport(app, old.id, {
      at: now,
      recipients: 500,
      deliveries: 500,
      unique_opens: 200,
      unique_clicks: 40,
    })
    const told = await aReportedMailing(app, { name: 'Told by the hour', sentAt: now - 30 * day })

    const curves: boolean[] = []
    for (const mailing of [old, told]) {
      const report = await aReportOf(app, { subjects: { mailings: [mailing.id] } })
      const { rendering, page } = await rendered(app, http, report.id)
      expect(page).toContain('Click rate')
      curves.push(rendering.data.sections.some(({ name }) => name === 'curve'))
    }
    expect(curves).toEqual([false, true])
  })

  it('say what one point says', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const { id } = await aContact(app)
    const mailing = await anEngagedMailing(app, {
      name: 'To one',
      sentAt: app.clock.now() - hour,
      list: list.id,
      people: [id],
      opened: 1,
      clicked: 0,
    })
    const campaign = await aCampaign(app)
    await anEvent(app, { cid: campaign.id })
    const report = await aReportOf(app, {
      subjects: { mailings: [mailing.id], campaigns: [campaign.id], lists: [list.id] },
      sections: everySection,
    })

    const { page, rendering } = await rendered(app, http, report.id)

    expect(sectionOf(rendering, 'funnel').funnel!.steps.map(({ count }) => count)).toEqual([1, 1, 0, 0, 0])
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })
})

describe('the time zone of a report', () => {
  it('is that of the moments it names; its days stay those of the pages, and it says so', async () => {
    const app = await testApp({ env: { TIME_ZONE: 'Europe/Berlin' } })
    const { http } = await aPerson(app)
    const campaign = await aCampaign(app)
    // 23:30 UTC is the day after in Berlin; in Honolulu it is early in the afternoon.
    app.clock.at = Date.UTC(2026, 10, 20, 23, 30)
    await anEvent(app, { cid: campaign.id })
    const of = async (timeZone: string, method = true) => {
      const report = await aReportOf(app, {
        subjects: { campaigns: [campaign.id] },
        timeZone,
        sections: everySection.map(({ name }) => ({ name, on: name !== 'method' || method })),
      })
      const { at, page } = await rendered(app, http, report.id)
      return { page, csv: (await http.get(`${at}/data.csv`)).text }
    }
    const away = await of('Pacific/Honolulu')
    expect(away.page).toMatch(/<header class="report-head">[\s\S]*20 November 2026, 13:30 Pacific\/Honolulu/)
    expect(away.page).toContain('data as of 20 November 2026, 13:30 Pacific/Honolulu')
    const counted = 'Days, and the hours of the week, are counted in the time zone Europe/Berlin.'
    expect(away.page).toContain(`Time zone Pacific/Honolulu. ${counted}`)
    expect(away.page).toMatch(/<h2[^>]*>21 November 2026 brought the most clicks: 1</)
    expect(away.csv).toContain('Time zone,Europe/Berlin')
    expect((await of('Pacific/Honolulu', false)).page).toContain(counted)

    const home = await of('')
    expect(home.page).toContain('data as of 21 November 2026, 00:30 Europe/Berlin')
    expect(home.page).not.toContain(counted)
    const { report_id } = await app.db
      .selectFrom('report_renderings')
      .select('report_id')
      .orderBy('id', 'desc')
      .executeTakeFirstOrThrow()
    expect((await http.get(`/reports/${report_id}/edit`)).text).toContain(
      '<option value="">Europe/Berlin, as everywhere</option>',
    )
  })
})

describe('the archive', () => {
  it('says a year later what it said, whatever changed since', async () => {
    const app = await testApp()
    const { http } = await aPerson(app, { remember: true })
    const project = await aProject(app)
    await app.db
      .updateTable('partners')
      .set({ logo: aPng(), logo_type: 'image/png', colour: '#b23a1d' })
      .execute()
    const mailing = await aReportedMailing(app, { name: 'One', sentAt: app.clock.now() - 20 * day })
    await app.db
      .insertInto('project_ties')
      .values({ kind: 'mailing', thing_id: mailing.id, project_id: project.id, tied_at: 0 })
      .execute()
    const report = await aReportOf(app, {
      partner: project.partner_id,
      subjects: { project: project.id },
      sections: everySection,
    })
    const { at, page, rendering } = await rendered(app, http, report.id)
    const csv = (await http.get(`${at}/data.csv`).expect(200)).text
    const { html } = await app.reports.documentOf(rendering)

    app.clock.pass(365 * day)
    await app.db.updateTable('mailings').set({ name: 'Another name' }).execute()
    await app.db.updateTable('mailing_reports').set({ unique_opens: 1, deliveries: 5 }).execute()
    await app.db
      .updateTable('partners')
      .set({ name: 'Renamed', colour: '#000000', logo: null, logo_type: null })
      .execute()
    await app.db.deleteFrom('project_ties').execute()
    await app.db.updateTable('reports').set({ title: 'Renamed', definition: '{}' }).execute()

    const again = await app.reports.rendering(rendering.id)
    expect((await app.reports.documentOf(again)).html).toBe(html)
    expect(app.reports.csvOf(again)).toBe(csv)
    expect(html).toContain('data:image/png;base64,')
    expect(page).toContain('Northwind')
    expect(html).toContain('--partner: #b23a1d')
  })

  it('cannot be edited', async () => {
    const app = await testApp()
    const report = await aReportOf(app)
    const { id } = await app.reports.render(report.id, {})
    await expect(
      app.db.updateTable('report_renderings').set({ data: '{}' }).where('id', '=', id).execute(),
    ).rejects.toThrow(/archived as it was/)
  })

  it('numbers renderings of a report from 1, and keeps the report while it has some', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const report = await aReportOf(app)
    await rendered(app, http, report.id)
    const { rendering } = await rendered(app, http, report.id)
    expect(rendering.number).toBe(2)
    const refused = await send(`/reports/${report.id}/deletion`, {}).expect(409)
    expect(refused.text).toContain('Archive it instead')
    expect((await http.get(`/reports/${report.id}`)).text).toContain('TL-2026-002')
  })
})

describe('personal data', () => {
  it('is off unless it is switched on, and leaves the archive when somebody is erased', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const ada = await aContact(app, { name: 'Ada Byron' })
    const ben = await aContact(app, { name: 'Ben Okri', email: 'ben@fernmail.example' })
    for (const { id } of [ada, ben])
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: list.id,
          contact_id: id,
          status: 'subscribed',
          subscribed_at: app.clock.now() - day,
        })
        .execute()
    await sql`update contacts set score = 80, band = 'champion', opens = 7, clicks = 3`.execute(app.db)
    const off = await aReportOf(app, { template: 'list', subjects: { lists: [list.id] } })
    expect((await rendered(app, http, off.id)).page).not.toMatch(/Ada Byron|ada@fernmail/)

    const on = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      sections: everySection,
    })
    const { at, page } = await rendered(app, http, on.id)
    expect(page).toContain('Ada Byron')
    expect(page).toContain('Personal data')

    await app.audience.erase(ada.id)

    const after = (await http.get(at).expect(200)).text
    expect(after).not.toMatch(/Ada Byron|ada@fernmail/)
    expect(after).toContain('erased since')
    expect(after).toContain('Ben Okri')
    expect(JSON.stringify(await app.db.selectFrom('report_renderings').selectAll().execute())).not.toContain(
      'Ada',
    )
  })

  it('of whoever is erased while the report is computed is not archived', async () => {
    const app = await testApp()
    const list = await aList(app)
    const ada = await aContact(app, { name: 'Ada Byron' })
    const ben = await aContact(app, { name: 'Ben Okri', email: 'ben@fernmail.example' })
    for (const contact_id of [ada.id, ben.id])
      await app.db
        .insertInto('subscriptions')
        .values({ list_id: list.id, contact_id, status: 'subscribed', subscribed_at: 1 })
        .execute()
    await sql`update contacts set score = 80, band = 'champion', opens = 7, clicks = 3`.execute(app.db)
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      sections: everySection,
    })
    const row = await app.db.selectFrom('reports').selectAll().executeTakeFirstOrThrow()
    const computed = await app.reports.compute(definitionOf(row.definition))
    expect(computed.people.map(({ name }) => name).sort()).toEqual(['Ada Byron', 'Ben Okri'])
    await app.audience.erase(ada.id)
    await archive(app.db, report.id, computed, { at: app.clock.now(), by: null })
    expect(await app.db.selectFrom('report_people').select('name').execute()).toEqual([{ name: 'Ben Okri' }])
  })

  it('of a narrowed report is that of its contacts, however many others score higher', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const list = await aList(app)
    const ids: number[] = []
    for (let index = 0; index < 80; index++) {
      const { id } = await aContact(app, { email: `reader${index}@fernmail.example` })
      ids.push(id)
      const row = { list_id: list.id, contact_id: id, status: 'subscribed' }
      await app.db.insertInto('subscriptions').values(row).execute()
    }
    await sql`update contacts set score = 100 - id, band = 'active'`.execute(app.db)
    await tagAll(app, 'press', ids.slice(70, 73))
    const report = await aReportOf(app, {
      template: 'list',
      subjects: { lists: [list.id] },
      narrowing: { tag: 'press', segment: 0, list: 0, field: '', value: '' },
      sections: everySection,
    })
    const { page } = await rendered(app, http, report.id)
    expect(page).toContain('The 3 most engaged contacts')
    expect(tableOn(page, 'Most engaged contacts').map(([who]) => who)).toEqual(
      [70, 71, 72].map((index) => `reader${index}@fernmail.example`),
    )
  })

  it('is said of in the builder', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const page = (await http.get('/reports/new?template=campaign').expect(200)).text
    expect(page).toMatch(/name="on" value="engaged">[\s\S]{0,120}personal data/)
    expect(page).toMatch(/with_others" value="1"> /)
  })
})

describe('what people write', () => {
  const nasty = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>{{ 7*7 }}</style><style>*{}`

  it('is text, wherever it stands', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const partner = await aPartner(app, { name: nasty.slice(0, 80) })
    const list = await aList(app, { name: nasty })
    const mailing = await aReportedMailing(app, {
      name: nasty,
      sentAt: app.clock.now() - 5 * day,
      lists: [list.id],
    })
    await app.db
      .insertInto('mailing_link_reports')
      .values(
        ['javascript:alert(3)', 'data:text/html,x', 'file:///etc/passwd', `https://x.example/"><script>`].map(
          (url, clicks) => ({
            mailing_id: mailing.id,
            url,
            clicks: clicks + 1,
            unique_clicks: 1,
            checked_at: 1,
          }),
        ),
      )
      .execute()
    const campaign = await aCampaign(app, { name: nasty.slice(0, 80) })
    const report = await aReportOf(app, {
      title: nasty,
      subtitle: nasty,
      preparedBy: nasty,
      verdict: nasty,
      commentary: `${nasty}\nurl(file:///etc/passwd)`,
      nextSteps: nasty,
      partner: partner.id,
      subjects: { mailings: [mailing.id], campaigns: [campaign.id], lists: [list.id] },
      sections: everySection,
    })

    const { rendering, page, at } = await rendered(app, http, report.id)
    const { html } = await app.reports.documentOf(rendering)
    const look = (await http.get(`${at}/look.css`).expect(200)).text

    for (const text of [page, html]) {
      expect(text).not.toMatch(/<script|<img src=x|onerror=alert\(2\)>/)
      expect(text).not.toMatch(/href="(javascript|data|file):/)
      expect(text).toContain('&lt;script&gt;')
      expect(text).toContain('{{ 7*7 }}')
    }
    expect(html.match(/<style>/g)).toHaveLength(1)
    expect(html.match(/<\/style>/g)).toHaveLength(1)
    expect(look).not.toMatch(/<|url\(|\{\{/)
    expect(look.match(/content: "(?:[^"\\]|\\[0-9a-f]+ )*"/g)!.length).toBeGreaterThan(1)
  })

  it('is written from right to left, in any script, and however long', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const mailing = await aReportedMailing(app, {
      name: '秋の読書リスト 📚',
      sentAt: app.clock.now() - 5 * day,
    })
    const report = await aReportOf(app, {
      title: `قائمة القراءة ${'ä'.repeat(140)}`,
      commentary: 'שלום 👩‍👩‍👧‍👦',
      subjects: { mailings: [mailing.id] },
      locale: 'de-DE',
    })
    const { page, at } = await rendered(app, http, report.id)
    expect(page).toMatch(/<h1 dir="auto">قائمة/)
    expect(page).toContain('秋の読書リスト 📚')
    expect(page).toContain('👩‍👩‍👧‍👦')
    const csv = await http.get(`${at}/data.csv`).expect(200)
    expect(csv.headers['content-disposition']).toMatch(/filename="[\x20-\x7e]*"; filename\*=UTF-8''%D9/)
  })

  it('is no formula in a spreadsheet', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const mailing = await aReportedMailing(app, {
      name: '=HYPERLINK("x")',
      sentAt: app.clock.now() - 5 * day,
    })
    const report = await aReportOf(app, { subjects: { mailings: [mailing.id] } })
    const { at } = await rendered(app, http, report.id)
    expect((await http.get(`${at}/data.csv`)).text).toContain(`"'=HYPERLINK(""x"")"`)
  })

  it('has numbers and dates in the language that was chosen, with the same digits', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const mailing = await aReportedMailing(app, {
      name: 'One',
      sentAt: app.clock.now() - 20 * day,
      delivered: 12_480,
      open: 0.4368,
    })
    const of = async (locale: string) => {
      const report = await aReportOf(app, { subjects: { mailings: [mailing.id] }, locale })
      return (await rendered(app, http, report.id)).page
    }
    expect(await of('en-US')).toMatch(/>12,480<[\s\S]*>43\.7%</)
    const german = await of('de-DE')
    expect(german).toMatch(/>12\.480<[\s\S]*>43,7\u00a0%</)
    expect(german).toContain('1. November 2026')
  })
})

it('10,000 links of a mailing are summed up, and the report stays short', async () => {
  const app = await testApp()
  const { http } = await aPerson(app)
  const mailing = await aReportedMailing(app, { name: 'One', sentAt: app.clock.now() - 5 * day })
  await addTenThousandLinks(app, mailing.id)
  const report = await aReportOf(app, { subjects: { mailings: [mailing.id] } })
  const { rendering, page } = await rendered(app, http, report.id)
  expect(sectionOf(rendering, 'links').tables[0]!.rows).toHaveLength(10)
  expect(page).toContain('9,990 more links are not shown here.')
  // A share of all clicks, those on links that are not shown among them: 10,000 of 1 + 2 + … + 10,000.
  expect(sectionOf(rendering, 'links').tables[0]!.rows[0]!.cells[3]).toBeCloseTo(10_000 / 50_005_000, 12)
})
