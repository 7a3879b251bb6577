import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aList, aMailing } from '../support/audience.js'
import { aCampaign } from '../support/builders.js'
import { aPartner, aProject } from '../support/partners.js'
import { aPerson } from '../support/person.js'
import { anOffer } from '../support/promos.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  return {
    ...app,
    ...person,
    page: async (path: string) => (await person.http.get(path).expect(200)).text,
    /** Through the form of any page. @returns where it leads, and what the next page says */
    async tie(kind: string, thing: number, project: number | '', back?: string) {
      const fields = { kind, thing: String(thing), project: String(project) }
      const { headers } = await person
        .send('/projects/ties', back === undefined ? fields : { ...fields, back })
        .expect(303)
      const { text } = await person.http.get('/partners').expect(200)
      return { leadsTo: headers.location, told: /<p class="notice">(.*?)<\/p>/.exec(text)?.[1] }
    },
    ties: () =>
      app.db
        .selectFrom('project_ties')
        .select(['kind', 'thing_id', 'project_id', 'tied_at'])
        .orderBy('kind')
        .execute(),
  }
}

const plain = (html: string) => html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')

describe('a project', () => {
  it('is made at its partner, once under each name', async () => {
    const room = await aRoom()
    const { id } = await aPartner(room)
    const other = await aPartner(room, { name: 'Paperboat' })
    const made = await room.send(`/partners/${id}/projects`, { name: ' Autumn 2026 ' }).expect(303)
    expect(made.headers.location).toMatch(/^\/projects\/\d+$/)
    expect(await room.page(made.headers.location!)).toContain('Nothing belongs to it yet')
    expect(await room.page(`/partners/${id}`)).toContain('>Autumn 2026<')

    const twice = await room.send(`/partners/${id}/projects`, { name: 'autumn 2026' }).expect(422)
    expect(twice.text).toContain('Northwind has a project autumn 2026 already.')
    expect(twice.text).toContain('value="autumn 2026"')
    expect((await room.send(`/partners/${id}/projects`, { name: ' ' }).expect(422)).text).toContain(
      'Give the project a name.',
    )
    await room.send(`/partners/${other.id}/projects`, { name: 'Autumn 2026' }).expect(303)
  })

  it('is renamed', async () => {
    const room = await aRoom()
    const project = await aProject(room)
    await aProject(room, { name: 'Spring', partner_id: project.partner_id })
    await room.send(`/projects/${project.id}`, { name: 'Autumn' }).expect(303)
    expect(await room.page(`/projects/${project.id}`)).toContain('<h1 class="anywhere">Autumn</h1>')
    const taken = await room.send(`/projects/${project.id}`, { name: 'SPRING' }).expect(422)
    expect(taken.text).toContain('Northwind has another project SPRING already.')
    expect((await room.send(`/projects/${project.id}`, { name: '' }).expect(422)).text).toContain(
      'Give the project a name.',
    )
  })

  it('is archived: its things stay, nothing new comes, and it can be restored', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    const [inside, outside] = [await aCampaign(room), await aCampaign(room, { name: 'Other' })]
    await room.tie('campaign', inside.id, id)
    await room.send(`/projects/${id}/archiving`, { archived: '1' }).expect(303)

    const page = await room.page(`/projects/${id}`)
    expect(page).toContain('Autumn Reading List')
    expect(page).not.toContain('Tie something')
    const fields = { kind: 'campaign', thing: String(outside.id), project: String(id) }
    const refused = await room.send('/projects/ties', fields).expect(409)
    expect(refused.text).toContain('Autumn 2026 · Northwind is archived. Restore it first')
    // What is in it is not lost from the form of its own page, and saving that form changes nothing.
    const edit = await room.page(`/campaign/${inside.id}/edit`)
    expect(edit).toContain(`<option value="${id}" selected>Autumn 2026 · Northwind</option>`)
    await room.tie('campaign', inside.id, id)
    expect(await room.page(`/campaign/${outside.id}/edit`)).not.toContain(`<option value="${id}"`)

    await room.send(`/projects/${id}/archiving`, { archived: '0' }).expect(303)
    await room.tie('campaign', outside.id, id)
    expect((await room.ties()).map(({ thing_id }) => thing_id)).toEqual([inside.id, outside.id])
  })

  it('is deleted only when nothing is tied to it', async () => {
    const room = await aRoom()
    const { id, partner_id } = await aProject(room)
    const campaign = await aCampaign(room)
    await room.tie('campaign', campaign.id, id)
    expect(await room.page(`/projects/${id}`)).not.toContain('/deletion')
    await room.send(`/projects/${id}/deletion`, {}).expect(409)
    await room.tie('campaign', campaign.id, '')
    const gone = await room.send(`/projects/${id}/deletion`, {}).expect(303)
    expect(gone.headers.location).toBe(`/partners/${partner_id}`)
    await room.http.get(`/projects/${id}`).expect(404)
  })

  it.each(['9', '0', 'x', '1.5', '99999999999999999999'])('is not there: %s', async (id) => {
    const room = await aRoom()
    expect((await room.http.get(`/projects/${id}`).expect(404)).text).toContain('There is no project')
    for (const path of ['', '/archiving', '/deletion'])
      await room.send(`/projects/${id}${path}`, { name: 'x' }).expect(404)
  })

  it('is found at its partner by whoever cuts the address short', async () => {
    const { http } = await aRoom()
    expect((await http.get('/projects').expect(303)).headers.location).toBe('/partners')
  })
})

describe('a tie', () => {
  it('puts campaigns, mailings, lists and offers on the page of their project, the last tied first', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    const campaigns = [await aCampaign(room), await aCampaign(room, { name: 'Winter Warmers' })]
    const mailing = await aMailing(room, { name: 'Issue 112', sent_at: Date.UTC(2026, 10, 17) })
    const list = await aList(room)
    const offer = await anOffer(room, { name: 'Winter tea', type: 'affiliate' })
    for (const campaign of campaigns) {
      await room.tie('campaign', campaign.id, id)
      room.clock.pass(60_000)
    }
    await room.tie('mailing', mailing.id, id)
    expect((await room.tie('list', list.id, id)).told).toBe(
      'Slow Mornings belongs to Autumn 2026 · Northwind.',
    )
    await room.tie('offer', offer.id, id)

    const page = await room.page(`/projects/${id}`)
    expect(page.indexOf('Winter Warmers')).toBeLessThan(page.indexOf('Autumn Reading List'))
    const text = plain(page)
    expect(text).toContain('Issue 112 Buttondown, sent 17 Nov 2026')
    expect(text).toContain('Slow Mornings Buttondown')
    expect(text).toContain('Winter tea affiliate')
    expect(page).toContain(`href="/mailings/${mailing.id}"`)
    expect(text).not.toContain('Nothing belongs to it yet')
    expect(plain(await room.page('/partners'))).toContain('2 campaigns, 1 mailing, 1 list, 1 offer')
  })

  it('is one for each thing: another project takes it away from the first, and says so', async () => {
    const room = await aRoom()
    const first = await aProject(room)
    const second = await aProject(room, { name: 'Spring', partner_id: first.partner_id })
    const { id } = await aCampaign(room)
    await room.tie('campaign', id, first.id)
    room.clock.pass(1000)
    expect((await room.tie('campaign', id, second.id)).told).toBe(
      'Autumn Reading List moved from Autumn 2026 · Northwind to Spring · Northwind.',
    )
    const moved = { kind: 'campaign', thing_id: id, project_id: second.id, tied_at: room.clock.now() }
    expect(await room.ties()).toEqual([moved])

    room.clock.pass(1000)
    await room.tie('campaign', id, second.id)
    expect(await room.ties()).toEqual([moved])
    expect((await room.tie('campaign', id, '')).told).toBe(
      'Autumn Reading List no longer belongs to Spring · Northwind.',
    )
    expect((await room.tie('campaign', id, '')).told).toBe('Autumn Reading List belongs to no project.')
    expect(await room.ties()).toEqual([])
  })

  it('tells things of one number but two kinds apart', async () => {
    const room = await aRoom()
    const { id: project } = await aProject(room)
    const [campaign, mailing] = [await aCampaign(room), await aMailing(room)]
    expect(campaign.id).toBe(mailing.id)
    await room.tie('campaign', campaign.id, project)
    await room.tie('mailing', mailing.id, project)
    await room.tie('campaign', campaign.id, '')
    expect((await room.ties()).map(({ kind }) => kind)).toEqual(['mailing'])
  })

  it('leads back to where the form stood, else to the thing, and never to another site', async () => {
    const room = await aRoom()
    const { id: project } = await aProject(room)
    const { id } = await aCampaign(room)
    const leadsTo = async (back?: string) => (await room.tie('campaign', id, project, back)).leadsTo
    expect(await leadsTo(`/projects/${project}?kind=mailing#find`)).toBe(
      `/projects/${project}?kind=mailing#find`,
    )
    expect(await leadsTo()).toBe(`/campaign/${id}`)
    for (const elsewhere of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:1'])
      expect(await leadsTo(elsewhere)).toBe('/')
  })

  it.each([
    [{ kind: 'contact', thing: '1', project: '1' }, 422, 'Nothing of the kind “contact” can be tied'],
    [{ kind: 'link', thing: '1', project: '1' }, 422, 'only: campaign, mailing, list, offer.'],
    [{ kind: 'campaign', thing: 'x', project: '1' }, 422, 'by its number'],
    [{ kind: 'campaign', thing: '9', project: '1' }, 404, 'There is no campaign 9.'],
    [{ kind: 'campaign', thing: '1', project: '9' }, 404, 'There is no project 9.'],
    [{ kind: 'campaign', thing: '1', project: 'x' }, 422, 'Choose a project from the list.'],
    [{ kind: 'campaign', thing: '1' }, 422, 'Choose a project.'],
    [{}, 422, 'Say what is to be tied.'],
  ])('is refused with a sentence for %j', async (fields, status, sentence) => {
    const room = await aRoom()
    await aProject(room)
    await aCampaign(room)
    const { text } = await room.send('/projects/ties', fields as Record<string, string>).expect(status)
    expect(text).toContain(sentence)
    expect(await room.ties()).toEqual([])
  })

  it('is not made from another site', async () => {
    const room = await aRoom()
    const { id: project } = await aProject(room)
    const { id } = await aCampaign(room)
    const fields = { kind: 'campaign', thing: String(id), project: String(project), _csrf: 'wrong' }
    await room.send('/projects/ties', fields).expect(403)
    expect(await room.ties()).toEqual([])
  })

  it('ends with its campaign', async () => {
    const room = await aRoom()
    const { id: project } = await aProject(room)
    const { id } = await aCampaign(room)
    const kept = await aMailing(room)
    await room.tie('campaign', id, project)
    await room.tie('mailing', kept.id, project)
    await room.send(`/campaign/${id}/delete`, { sure: '1' }).expect(303)
    expect((await room.ties()).map(({ kind }) => kind)).toEqual(['mailing'])
    await room
      .send('/projects/ties', { kind: 'campaign', thing: String(id), project: String(project) })
      .expect(404)
  })

  it('is made and changed on the edit page of a campaign', async () => {
    const room = await aRoom()
    const { id } = await aCampaign(room)
    const before = await room.page(`/campaign/${id}/edit`)
    expect(plain(before)).toContain('Project: none')
    expect(before).toContain('Projects belong to partners.')
    const project = await aProject(room)
    const fallow = await aPartner(room, { name: 'Fallow', archived_at: 1 })
    await aProject(room, { name: 'Unseen', partner_id: fallow.id })

    const offered = await room.page(`/campaign/${id}/edit`)
    expect(offered).toContain('<optgroup label="Northwind">')
    expect(offered).not.toContain('Unseen')
    const back = /name="back" value="([^"]+)"/.exec(offered)![1]!
    expect((await room.tie('campaign', id, project.id, back)).leadsTo).toBe(
      `/campaign/${id}/edit#project-title`,
    )
    const after = await room.page(`/campaign/${id}/edit`)
    expect(plain(after)).toContain('Project: Autumn 2026 · Northwind')
    expect(after).toContain(`<option value="${project.id}" selected>`)
  })
})

describe('the search for things to tie', () => {
  it('finds those of a kind by a part of their name, in any case, the newest first', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    await aMailing(room, { name: 'Émile writes', sent_at: 1000 })
    await aMailing(room, { name: 'To ÉMILE', sent_at: 2000 })
    await aMailing(room, { name: 'Something else' })
    const page = await room.page(`/projects/${id}?kind=mailing&q=émile`)
    expect(page.indexOf('To ÉMILE')).toBeLessThan(page.indexOf('Émile writes'))
    expect(page).not.toContain('Something else')
    expect(page).toContain('<option value="mailing" selected>')
    expect(page).toContain(`name="back" value="/projects/${id}?kind=mailing&amp;q=%C3%A9mile#find"`)

    const part = await room.part(`/projects/${id}?kind=mailing&q=nobody`).expect(200)
    expect(part.text).toContain('No mailing has “nobody” in its name')
    expect(part.text).not.toContain('<html')
    expect(part.headers['hx-replace-url']).toBe(`/projects/${id}?kind=mailing&q=nobody`)
  })

  it('says what belongs where, and offers to tie or to move it', async () => {
    const room = await aRoom()
    const here = await aProject(room)
    const there = await aProject(room, { name: 'Spring', partner_id: here.partner_id })
    const names = ['Free', 'Here', 'Elsewhere']
    const [, mine, theirs] = await Promise.all(names.map((name) => aCampaign(room, { name })))
    await room.tie('campaign', mine!.id, here.id)
    await room.tie('campaign', theirs!.id, there.id)
    const { text } = await room.part(`/projects/${here.id}`).expect(200)
    const row = (name: string) =>
      plain(text.split('<tr').find((part) => part.includes(`>${name}</a>`)) ?? '').replace(/^[^>]*> ?/, '')
    expect(row('Free')).toContain('no project Tie Free')
    expect(row('Here')).toContain('this project')
    expect(row('Here')).not.toContain('Tie')
    expect(row('Elsewhere')).toContain('Spring · Northwind Move here Elsewhere')
  })

  it('shows twenty and says that there are more', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    for (let n = 1; n <= 21; n++) await aCampaign(room, { name: `Campaign no. ${n}` })
    const { text } = await room.part(`/projects/${id}`).expect(200)
    expect(text.match(/<tr id="found-/g)).toHaveLength(20)
    expect(text).toContain('These are the newest 20.')
    expect(text).not.toContain('>Campaign no. 1<')
    const narrowed = await room.part(`/projects/${id}?q=no.+1`).expect(200)
    expect(narrowed.text).toContain('>Campaign no. 1<')
    expect(narrowed.text).not.toContain('Write more of the name')
  })

  it('falls back where the address is nonsense', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    const page = await room.page(`/projects/${id}?kind=nonsense&show=x`)
    expect(page).toContain('There is no campaign yet')
  })

  it('does not find a campaign that was deleted', async () => {
    const room = await aRoom()
    const { id } = await aProject(room)
    const { id: campaign } = await aCampaign(room, { name: 'Gone' })
    await room.db.updateTable('campaigns').set({ deleted_at: 1 }).where('id', '=', campaign).execute()
    expect((await room.part(`/projects/${id}`).expect(200)).text).not.toContain('Gone')
  })
})

it('shows fifty of a kind, and more when asked', async () => {
  const room = await aRoom()
  const { id } = await aProject(room)
  for (let n = 1; n <= 52; n++) {
    const { id: thing_id } = await aMailing(room, { name: `Issue ${n}` })
    await room.db
      .insertInto('project_ties')
      .values({ kind: 'mailing', thing_id, project_id: id, tied_at: n })
      .execute()
  }
  const page = await room.page(`/projects/${id}`)
  expect(page.match(/<tr id="mailing-/g)).toHaveLength(50)
  expect(page).toContain('Showing 50 of 52')
  const all = await room.page(`/projects/${id}?show=100`)
  expect(all.match(/<tr id="mailing-/g)).toHaveLength(52)
  expect(all).not.toContain('Showing')
})
