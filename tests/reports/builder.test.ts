import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aList } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aReportedMailing } from '../support/mailings.js'
import { aPartner, aProject } from '../support/partners.js'
import { aPerson } from '../support/person.js'
import { aReportOf } from '../support/reports.js'

const day = 86_400_000

async function aTiedProject(app: Awaited<ReturnType<typeof testApp>>, partner: string, mailingName: string) {
  const { id: partner_id } = await aPartner(app, { name: partner })
  const project = await aProject(app, { name: `Autumn of ${partner}`, partner_id })
  const mailing = await aReportedMailing(app, {
    name: mailingName,
    sentAt: app.clock.now() - 20 * day,
    delivered: 777,
  })
  await app.db
    .insertInto('project_ties')
    .values({ kind: 'mailing', thing_id: mailing.id, project_id: project.id, tied_at: 0 })
    .execute()
  return { partner_id, project, mailing }
}

describe('the builder', () => {
  it('makes a report of a project in one form: its title, its partner, its things', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const { project } = await aTiedProject(app, 'Paperboat', 'Letter to readers')
    const choose = await http.get(`/reports/new?project=${project.id}`).expect(200)
    expect(choose.text).toContain(`/reports/new?project=${project.id}&amp;template=campaign`)
    const form = await http.get(`/reports/new?project=${project.id}&template=campaign`).expect(200)
    expect(form.text).toContain('value="Autumn of Paperboat"')
    expect(form.text).toContain('data-value="777"')

    const saved = await send('/reports', {
      template: 'campaign',
      project: String(project.id),
      do: 'render',
    }).expect(303)

    expect(saved.headers.location).toBe('/reports/1/renderings/1')
    const page = (await http.get('/reports/1/renderings/1').expect(200)).text
    expect(page).toContain('Autumn of Paperboat')
    expect(page).toContain('Letter to readers')
    expect((await http.get('/reports')).text).toMatch(
      /Autumn of Paperboat[\s\S]*Paperboat[\s\S]*Campaign summary/,
    )
  })

  it('asks again with all that was typed, and one sentence for each wrong field', async () => {
    const app = await testApp()
    const { send } = await aPerson(app)
    const answer = await send('/reports', {
      template: 'campaign',
      title: '',
      commentary: 'Mine <b>',
      period: 'dates',
      from: '2026-11-20',
      to: '2026-02-30',
    }).expect(422)
    expect(answer.text).toContain('Give the report a title.')
    expect(answer.text).toContain('Write the day as 2026-11-20.')
    expect(answer.text).toContain('Mine &lt;b&gt;')
    expect(answer.text).toContain('value="2026-02-30"')
    expect((await app.db.selectFrom('reports').selectAll().execute()).length).toBe(0)
    const swapped = await send('/reports', {
      title: 'x',
      period: 'dates',
      from: '2026-11-20',
      to: '2026-11-01',
    }).expect(422)
    expect(swapped.text).toContain('Swap them.')
    const noMonth = await send('/reports', { title: 'x', period: 'dates', from: '2026-13-45' }).expect(422)
    expect(noMonth.text).toContain('Write the day as 2026-11-20.')
    expect(noMonth.text).toContain('value="2026-13-45"')
    for (const days of ['0', '4000', '1.5', 'abc']) {
      const refused = await send('/reports', { title: 'x', period: 'days', days }).expect(422)
      expect(refused.text).toMatch(new RegExp(`name="days" value="${days}"`))
    }
    // Half of a narrowing would be none.
    for (const [half, told] of [
      [{ field: 'Country', value: 'Portugal' }, 'Choose the list that has the field.'],
      [{ field_list: '1', value: 'Portugal' }, 'Say which field of the list it is, or choose no field.'],
    ] as const) {
      const refused = await send('/reports', { title: 'x', commentary: 'Mine', ...half }).expect(422)
      expect(refused.text).toContain(told)
      expect(refused.text).toContain('value="Portugal"')
      expect(refused.text).toContain('Mine')
    }
    const list = await aList(app)
    await app.db
      .insertInto('list_fields')
      .values({ list_id: list.id, tag: 'Country', label: 'Country', type: 'text', position: 1 })
      .execute()
    for (const [unknown, told] of [
      [{ tag: 'no such tag' }, 'No contact has the tag no such tag.'],
      [
        { field_list: String(list.id), field: 'country', value: 'Portugal' },
        'Nobody on this list has a field of this name. It has Country.',
      ],
    ] as const) {
      const refused = await send('/reports', { title: 'x', commentary: 'Mine', ...unknown }).expect(422)
      expect(refused.text).toContain(told)
      expect(refused.text).toContain('Mine')
    }
    await send('/reports', {
      title: 'x',
      field_list: String(list.id),
      field: 'Country',
      value: 'Portugal',
    }).expect(303)
    for (const time_zone of ['Mars/Olympus', '+05:07']) {
      const nowhere = await send('/reports', { title: 'x', time_zone }).expect(422)
      expect(nowhere.text).toContain('Choose a time zone, such as Europe/Berlin.')
    }
  })

  it('lets nothing of another partner in, unless that is switched on', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const mine = await aTiedProject(app, 'Paperboat', 'Mine')
    const theirs = await aTiedProject(app, 'Kunsthaus Nord', 'Theirs alone')
    const fields = {
      template: 'campaign',
      title: 'Mixed',
      partner: String(mine.partner_id),
      project: String(mine.project.id),
      mailing: String(theirs.mailing.id),
    }

    const refused = await send('/reports', { ...fields, do: 'save' }).expect(422)
    expect(refused.text).toContain('Theirs alone belongs to another partner.')
    const other = await send('/reports', {
      ...fields,
      mailing: '',
      project: String(theirs.project.id),
    }).expect(422)
    expect(other.text).toContain('is another partner’s.')

    // Chosen while it was free, and tied to somebody else since.
    const report = await aReportOf(app, {
      partner: mine.partner_id,
      subjects: { mailings: [mine.mailing.id, theirs.mailing.id] },
    })
    const left = await app.reports.render(report.id, {})
    expect(JSON.stringify(left.data)).not.toContain('Theirs alone')
    expect(left.data.notes.join()).toContain(
      '1 thing that was chosen belongs to another partner and is left out.',
    )

    await send('/reports', { ...fields, with_others: '1', do: 'render' }).expect(303)
    const page = (await http.get('/reports/2/renderings/1').expect(200)).text
    expect(page).toContain('Theirs alone')
  })

  it('moves a section without JavaScript, and saves the order', async () => {
    const app = await testApp()
    const { http, token } = await aPerson(app)
    const order = (text: string) => [...text.matchAll(/name="order" value="([^"]+)"/g)].map((hit) => hit[1])
    const begin = order((await http.get('/reports/new?template=custom')).text)
    expect(begin.slice(0, 5)).toEqual(['verdict', 'funnel', 'offers', 'commentary', 'method'])
    const body = new URLSearchParams({ template: 'custom', title: 'Mine', do: 'up:method' })
    for (const name of begin) body.append('order', name!)
    for (const name of ['verdict', 'method']) body.append('on', name)
    body.append('_csrf', token)
    const moved = await http.post('/reports').type('form').send(body.toString()).expect(200)
    expect(order(moved.text).slice(0, 5)).toEqual(['verdict', 'funnel', 'offers', 'method', 'commentary'])
    expect(moved.text).toMatch(/value="method" checked/)
    expect(moved.text).not.toMatch(/value="commentary" checked/)
    expect((await app.db.selectFrom('reports').selectAll().execute()).length).toBe(0)
  })

  it('renders the sections that are on, in the order that was chosen, and no other', async () => {
    const app = await testApp()
    const { http, token } = await aPerson(app)
    const { project } = await aTiedProject(app, 'Paperboat', 'Letter')
    const body = new URLSearchParams({ template: 'campaign', title: 'Mine', project: String(project.id) })
    for (const name of ['appendix', 'verdict', 'method', 'quality', 'mailings', 'funnel'])
      body.append('order', name)
    for (const name of ['mailings', 'verdict', 'method', 'appendix']) body.append('on', name)
    body.append('do', 'render')
    body.append('_csrf', token)
    const { headers } = await http.post('/reports').type('form').send(body.toString()).expect(303)
    const page = (await http.get(headers.location!).expect(200)).text
    expect(page).toContain('class="report-tiles"')
    expect([...page.matchAll(/<h2 id="s\d+">([^<]+)</g)].map(([, heading]) => heading)).toEqual([
      'Appendix',
      'Method',
      'One mailing went out',
    ])
  })

  it('shows the preview as a part of the page, and archives nothing', async () => {
    const app = await testApp()
    const person = await aPerson(app)
    const { project } = await aTiedProject(app, 'Paperboat', 'Letter')
    const part = await person
      .send('/reports/preview', { template: 'campaign', title: 'Draft', project: String(project.id) })
      .set('HX-Request', 'true')
      .expect(200)
    expect(part.text).toContain('id="preview"')
    expect(part.text).toContain('data-value="777"')
    expect(part.text).not.toContain('<!doctype')
    expect((await app.db.selectFrom('report_renderings').selectAll().execute()).length).toBe(0)
  })

  it('drafts the commentary where somebody wants to edit it', async () => {
    const app = await testApp()
    const { send } = await aPerson(app)
    const campaign = await aCampaign(app)
    await anEvent(app, { cid: campaign.id, event: 'conversion' })
    const page = await send('/reports', {
      template: 'campaign',
      title: 'Mine',
      campaign: String(campaign.id),
      do: 'draft:commentary',
    }).expect(200)
    expect(page.text).toMatch(/<textarea[^>]*id="commentary"[^>]*>1 conversion had no earlier click\./)
    // What somebody wrote already stays above it.
    const written = await send('/reports', {
      template: 'campaign',
      title: 'Mine',
      campaign: String(campaign.id),
      commentary: 'My own words.',
      do: 'draft:commentary',
    }).expect(200)
    expect(written.text).toMatch(/id="commentary"[^>]*>My own words\.\s+1 conversion had no earlier click\./)
  })

  it('tells whoever saves over somebody else’s words, and keeps both until they save once more', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const { id } = await aReportOf(app, {})
    const seenIn = (page: string) => /name="seen" value="(\d+)"/.exec(page)![1]!
    const [mine, theirs] = [
      seenIn((await http.get(`/reports/${id}/edit`)).text),
      seenIn((await http.get(`/reports/${id}/edit`)).text),
    ]
    const form = { template: 'campaign', title: 'Autumn' }
    const kept = async () =>
      (await app.db.selectFrom('reports').select('definition').executeTakeFirstOrThrow()).definition
    app.clock.pass(1_000)
    await send(`/reports/${id}`, { ...form, commentary: 'Their words.', seen: theirs }).expect(303)
    app.clock.pass(1_000)
    const told = await send(`/reports/${id}`, { ...form, commentary: 'My words.', seen: mine }).expect(422)
    expect(told.text).toContain('Somebody saved this report while you wrote.')
    expect(told.text).toMatch(/id="commentary"[^>]*>My words\./)
    expect(await kept()).toContain('Their words.')
    await send(`/reports/${id}`, { ...form, commentary: 'My words.', seen: seenIn(told.text) }).expect(303)
    expect(await kept()).toContain('My words.')
  })

  it('keeps a report’s choices as a template, and offers it', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const report = await aReportOf(app, {
      locale: 'de-DE',
      timeZone: 'Asia/Kathmandu',
      paper: 'Letter',
      template: 'engagement',
    })
    await send(`/reports/${report.id}/template`, { name: 'Quarterly' }).expect(303)
    const twice = await send(`/reports/${report.id}/template`, { name: 'quarterly' }).expect(422)
    expect(twice.text).toContain('There is a template quarterly already.')
    expect((await http.get('/reports/new')).text).toContain('Quarterly')
    const form = (await http.get('/reports/new?own=1').expect(200)).text
    expect(form).toMatch(/value="de-DE" selected/)
    expect(form).toMatch(/value="Letter" selected/)
    expect(form).toContain('<option selected>Asia/Kathmandu</option>')
    expect(form).not.toContain('value="Autumn Reading List"')
    await send('/reports/templates/1/deletion', {}).expect(303)
    expect((await http.get('/reports/new')).text).not.toContain('Quarterly')
    await http.get('/reports/new?own=1').expect(404)
  })

  it('copies a report, and puts one out of sight and back', async () => {
    const app = await testApp()
    const { http, send } = await aPerson(app)
    const report = await aReportOf(app)
    const copy = await send(`/reports/${report.id}/duplicate`, {}).expect(303)
    expect(copy.headers.location).toBe('/reports/2/edit')
    expect((await http.get('/reports/2/edit')).text).toContain('value="Autumn Reading List (copy)"')
    await send('/reports/2/archiving', { archived: '1' }).expect(303)
    expect((await http.get('/reports')).text).toMatch(/1 archived report[\s\S]*\(copy\)/)
    await send('/reports/2/archiving', { archived: '0' }).expect(303)
    expect((await http.get('/reports')).text).not.toContain('archived report')
    await send('/reports/2/deletion', {}).expect(303)
    await http.get('/reports/2').expect(404)
    await http.get('/reports/nonsense').expect(404)
  })
})
