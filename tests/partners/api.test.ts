import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { testApp } from '../support/app.js'
import { aMailing } from '../support/audience.js'
import { aCampaign } from '../support/builders.js'
import { aPartner, aProject } from '../support/partners.js'

async function anApi() {
  const app = await testApp()
  const { token } = await createToken(app.db, 'test', { by: null, at: app.clock.now() })
  const authorization = `Bearer ${token}`
  const ask = (path: string) => app.http.get(`/api/v1${path}`).set('Authorization', authorization)
  return {
    ...app,
    ask,
    read: async (path: string) => (await ask(path).expect(200)).body,
    tie: (body: object) => app.http.post('/api/v1/ties').set('Authorization', authorization).send(body),
  }
}

describe('the API of partners and projects', () => {
  it('answers on an empty installation, to those with a token', async () => {
    const { http, read, ask } = await anApi()
    for (const path of ['/partners', '/projects']) await http.get(`/api/v1${path}`).expect(401)
    await http.post('/api/v1/ties').send({}).expect(401)
    expect(await read('/partners')).toEqual({ partners: [], next: null })
    expect(await read('/projects')).toEqual({ projects: [], next: null })
    for (const path of ['/partners/1', '/projects/1', '/partners/x']) await ask(path).expect(404)
    expect((await ask('/projects?partner=x').expect(400)).body.details).toHaveProperty('partner')
    expect((await ask('/partners?nonsense=1').expect(400)).body.details).toHaveProperty('nonsense')
  })

  it('tells a partner with the colour that reports print', async () => {
    const api = await anApi()
    const { id } = await aPartner(api, { colour: '#f0b400', emails: 'a@x.example\nb@x.example' })
    const plain = await aPartner(api, { name: 'Plain' })
    expect(await api.read(`/partners/${id}`)).toEqual({
      id,
      name: 'Northwind',
      colour: '#f0b400',
      ink: '#977000',
      emails: ['a@x.example', 'b@x.example'],
      address: '',
      has_logo: false,
      created_at: '2026-11-21T10:00:00.000Z',
      archived_at: null,
    })
    expect(await api.read(`/partners/${plain.id}`)).toMatchObject({ colour: null, ink: null, emails: [] })
  })

  it('pages by id, and lists the archived ones when asked', async () => {
    const api = await anApi()
    const a = await aPartner(api, { name: 'z' })
    const b = await aPartner(api, { name: 'y' })
    const c = await aPartner(api, { name: 'x', archived_at: 1 })
    const ids = async (query: string) => {
      const { partners, next } = await api.read(`/partners?${query}`)
      return [partners.map(({ id }: { id: number }) => id), next]
    }
    expect(await ids('')).toEqual([[a.id, b.id], null])
    expect(await ids('archived=1')).toEqual([[a.id, b.id, c.id], null])
    expect(await ids('limit=1')).toEqual([[a.id], a.id])
    expect(await ids(`limit=1&after=${a.id}`)).toEqual([[b.id], null])
  })

  it('ties, moves and unties, and tells projects with their ties', async () => {
    const api = await anApi()
    const first = await aProject(api)
    const second = await aProject(api, {
      name: 'Spring',
      partner_id: (await aPartner(api, { name: 'P' })).id,
    })
    const [campaign, mailing] = [await aCampaign(api), await aMailing(api)]
    const wanted = { kind: 'campaign', id: campaign.id }
    expect((await api.tie({ ...wanted, project: first.id }).expect(200)).body).toEqual({
      ...wanted,
      name: 'Autumn Reading List',
      project: first.id,
      project_before: null,
    })
    await api.tie({ kind: 'mailing', id: mailing.id, project: first.id }).expect(200)

    const project = await api.read(`/projects/${first.id}`)
    expect(project).toEqual({
      id: first.id,
      name: 'Autumn 2026',
      partner: { id: first.partner_id, name: 'Northwind' },
      ties: { campaign: 1, mailing: 1 },
      created_at: '2026-11-21T10:00:00.000Z',
      archived_at: null,
      things: [
        { ...wanted, name: 'Autumn Reading List', tied_at: '2026-11-21T10:00:00.000Z' },
        { kind: 'mailing', id: mailing.id, name: 'Issue 112', tied_at: '2026-11-21T10:00:00.000Z' },
      ],
    })
    const { things, ...line } = project
    expect(things).toHaveLength(2)
    expect((await api.read(`/projects?partner=${first.partner_id}`)).projects).toEqual([line])
    expect((await api.read('/projects')).projects).toHaveLength(2)

    const moved = await api.tie({ ...wanted, project: second.id }).expect(200)
    expect(moved.body).toMatchObject({ project: second.id, project_before: first.id })
    const untied = await api.tie({ ...wanted, project: null }).expect(200)
    expect(untied.body).toMatchObject({ project: null, project_before: second.id })
    expect((await api.read(`/projects/${second.id}`)).ties).toEqual({})
  })

  it('refuses with a sentence what cannot be tied', async () => {
    const api = await anApi()
    const { id: campaign } = await aCampaign(api)
    const archived = await aProject(api, { archived_at: 1 })
    const details = async (body: object) => (await api.tie(body).expect(422)).body.details
    expect(await details({ kind: 'offer', id: 1, project: 1 })).toEqual({
      kind: 'The kind is one of: campaign, mailing, list.',
    })
    expect(Object.keys(await details({ kind: 'campaign' }))).toEqual(['id', 'project'])
    expect(await details({ kind: 'campaign', id: '1', project: 0 })).toHaveProperty('project')
    await api.tie({ kind: 'campaign', id: 99, project: null }).expect(404)
    await api.tie({ kind: 'campaign', id: campaign, project: 99 }).expect(404)
    const refused = await api.tie({ kind: 'campaign', id: campaign, project: archived.id }).expect(409)
    expect(refused.body.message).toContain('is archived')
  })
})
