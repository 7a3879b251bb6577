import { describe, expect, it } from 'vitest'
import { longestLogo } from '../../src/partners/logo.js'
import { testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'
import { aPartner, aPng, aProject } from '../support/partners.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  /** A form with a file, as a browser sends it: the token stands before the file. */
  const upload = (path: string, fields: Record<string, string>, file?: Buffer, token = person.token) => {
    const request = person.http.post(path).field('_csrf', token)
    for (const [name, value] of Object.entries(fields)) request.field(name, value)
    return file ? request.attach('logo', file, { filename: 'logo.png', contentType: 'image/png' }) : request
  }
  return {
    ...app,
    ...person,
    upload,
    page: async (path = '/partners') => (await person.http.get(path).expect(200)).text,
    partners: () =>
      app.db.selectFrom('partners').select(['id', 'name', 'colour', 'emails', 'address']).execute(),
  }
}

const rowOf = (page: string, id: number) =>
  new RegExp(`<tr id="partner-${id}">[\\s\\S]*?</tr>`).exec(page)?.[0].replace(/\s+/g, ' ') ?? ''

describe('the partners', () => {
  it('say what to do as long as there is none', async () => {
    const { page } = await aRoom()
    const text = await page()
    expect(text).toContain('Keep together what belongs together')
    expect(text).toContain('href="/partners/create"')
    expect(text).toContain('<a href="/partners">Partners</a>')
  })

  it('stand by name with their projects, what is tied to them, and where reports go', async () => {
    const room = await aRoom()
    const late = await aPartner(room, { name: 'paperboat', emails: 'a@b.example\nc@d.example\ne@f.example' })
    const early = await aPartner(room, { name: 'Northwind', colour: '#f0b400' })
    const [one, two, gone] = [
      await aProject(room, { partner_id: early.id, name: 'Autumn' }),
      await aProject(room, { partner_id: early.id, name: 'Spring' }),
      await aProject(room, { partner_id: early.id, name: 'Last year', archived_at: 1 }),
    ]
    for (const project of [one, two, gone]) {
      const { id } = await aCampaign(room)
      await room.send('/projects/ties', { kind: 'campaign', thing: String(id), project: String(one.id) })
      if (project === gone)
        await room.db
          .updateTable('project_ties')
          .set({ project_id: gone.id })
          .where('thing_id', '=', id)
          .execute()
    }
    const page = await room.page()
    expect(page.indexOf('>Northwind<')).toBeLessThan(page.indexOf('>paperboat<'))
    const row = rowOf(page, early.id)
    expect(row).toContain('<td class="num tell" data-value="2">2')
    expect(row).toContain('3 campaigns')
    expect(row).toContain('fill="#977000"')
    expect(rowOf(page, late.id)).toContain('nothing yet')
    expect(rowOf(page, late.id)).toContain('a@b.example and 2 more')
  })

  it('are nobody’s business who has not logged in', async () => {
    const app = await testApp()
    const { id } = await aPartner(app)
    for (const path of ['/partners', `/partners/${id}`, `/partners/${id}/logo`])
      await app.http.get(path).expect(303)
    await app.http.post('/partners').field('name', 'x').attach('logo', aPng(), 'logo.png').expect(303)
    expect(await app.db.selectFrom('partners').select('name').execute()).toEqual([{ name: 'Northwind' }])
  })
})

describe('a partner', () => {
  it('is made with all that a report will print, each thing in its one spelling', async () => {
    const room = await aRoom()
    const fields = {
      name: '  Northwind ',
      colour: '#F0B400',
      emails: 'Ada@Northwind.example\r\n\r\n ben@bücher.example , ada@northwind.EXAMPLE',
      address: ' Northwind Press\r\n12 Harbour Row \r\n',
    }
    const made = await room.upload('/partners', fields, aPng()).expect(303)
    const [partner] = await room.partners()
    expect(partner).toEqual({
      id: expect.any(Number),
      name: 'Northwind',
      colour: '#f0b400',
      emails: 'ada@northwind.example\nben@bücher.example',
      address: 'Northwind Press\n12 Harbour Row',
    })
    expect(made.headers.location).toBe(`/partners/${partner!.id}`)

    const page = await room.page(made.headers.location)
    expect(page).toContain('#f0b400 is too pale to be read on white. Reports print #977000, at 4.5:1.')
    expect(page).toContain('ben@bücher.example')
    expect(page).toContain('Northwind Press\n12 Harbour Row')
    expect(page).toContain(`src="/partners/${partner!.id}/logo"`)
    expect(page).toContain('There is no project yet.')
  })

  it('needs no more than a name', async () => {
    const room = await aRoom()
    await room.upload('/partners', { name: 'Northwind', colour: '', emails: '', address: '' }).expect(303)
    // And a program without a file may send a plain form.
    await room.send('/partners', { name: 'Paperboat' }).expect(303)
    expect((await room.partners()).map(({ name, colour, emails }) => [name, colour, emails])).toEqual([
      ['Northwind', '', ''],
      ['Paperboat', '', ''],
    ])
  })

  it.each([
    [{ name: ' ' }, 'Give the partner a name.'],
    [{ name: 'x'.repeat(81) }, 'Keep the name under 81 letters.'],
    [{ colour: 'blue' }, 'Write the colour as # and six digits'],
    [{ emails: 'ada@x.example\nben at x.example' }, 'Line 2 holds no e-mail address: “ben at x.example”.'],
    [{ emails: 'Ada <ada@x.example>' }, 'Write only ada@x.example.'],
    [{ emails: 'ada@localhost' }, 'Line 1 holds no e-mail address'],
    [
      { emails: Array.from({ length: 51 }, (_, i) => `p${i}@x.example`).join('\n') },
      'These are 51 addresses.',
    ],
    [{ address: 'x'.repeat(1001) }, 'Keep the postal address under 1,001 letters.'],
  ])('is refused with a sentence for %j, and what was typed stays', async (wrong, sentence) => {
    const room = await aRoom()
    const typed = {
      name: 'Northwind',
      colour: '#123456',
      emails: 'ada@x.example',
      address: 'Row & Co',
      ...wrong,
    }
    const { text } = await room.upload('/partners', typed).expect(422)
    expect(text).toContain(sentence)
    expect(text).toContain('aria-invalid="true"')
    expect(text).toContain('autofocus')
    const inPage = (value: string) =>
      value.trim().replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    for (const value of Object.values(typed)) expect(text).toContain(inPage(value))
    expect(await room.partners()).toEqual([])
  })

  it('is told apart from another by more than the case of its name', async () => {
    const room = await aRoom()
    await aPartner(room, { name: 'Northwind' })
    const other = await aPartner(room, { name: 'Paperboat' })
    const refused = await room.send('/partners', { name: 'NORTHWIND', address: 'kept' }).expect(422)
    expect(refused.text).toContain('There is a partner NORTHWIND already.')
    expect(refused.text).toContain('kept')
    await room.send(`/partners/${other.id}`, { name: 'northwind' }).expect(422)
    await room.send(`/partners/${other.id}`, { name: 'PAPERBOAT' }).expect(303)
  })

  it('takes the colour that was changed: the typed one, else the picked one', async () => {
    const room = await aRoom()
    const { id } = await aPartner(room, { colour: '#112233' })
    const shown = { name: 'Northwind', colour_before: '#112233', picker_before: '#112233' }
    const colourAfter = async (fields: { colour: string; picker: string }) => {
      await room.send(`/partners/${id}`, { ...shown, ...fields }).expect(303)
      return (await room.partners())[0]!.colour
    }
    expect(await colourAfter({ colour: '#112233', picker: '#445566' })).toBe('#445566')
    expect(await colourAfter({ colour: '#778899', picker: '#112233' })).toBe('#778899')
    expect(await colourAfter({ colour: '#778899', picker: '#445566' })).toBe('#778899')
    expect(await colourAfter({ colour: '', picker: '#112233' })).toBe('')
  })

  it('shows how a colour will look while it is typed', async () => {
    const { part, http } = await aRoom()
    const { text } = await part('/partners/colour?colour=%23f0b400').expect(200)
    expect(text).toContain('fill="#977000"')
    expect(text).not.toContain('<html')
    expect((await part('/partners/colour?colour=blu').expect(200)).text).toContain('Without a colour')
    await http.get('/partners/colour?colour=%23f0b400').expect(303)
  })

  it('is archived and restored', async () => {
    const room = await aRoom()
    const { id } = await aPartner(room)
    const project = await aProject(room, { partner_id: id })
    await room.send(`/partners/${id}/archiving`, { archived: '1' }).expect(303)
    expect(await room.page()).toContain('All partners are archived')
    expect(await room.page(`/projects/${project.id}`)).toContain('Its partner is archived')
    await room.send(`/partners/${id}/archiving`, { archived: '0' }).expect(303)
    expect(await room.page()).not.toContain('rchived')
  })

  it('is deleted only where nothing is tied to its projects', async () => {
    const room = await aRoom()
    const { id } = await aPartner(room)
    const project = await aProject(room, { partner_id: id })
    const campaign = await aCampaign(room)
    const tied = { kind: 'campaign', thing: String(campaign.id) }
    await room.send('/projects/ties', { ...tied, project: String(project.id) }).expect(303)

    expect(await room.page(`/partners/${id}`)).not.toContain('/deletion')
    const refused = await room.send(`/partners/${id}/deletion`, {}).expect(409)
    expect(refused.text).toContain('1 thing is tied to it.')
    expect((await room.partners()).length).toBe(1)

    await room.send('/projects/ties', { ...tied, project: '' }).expect(303)
    expect(await room.page(`/partners/${id}`)).toContain('/deletion')
    await room.send(`/partners/${id}/deletion`, {}).expect(303)
    expect(await room.partners()).toEqual([])
    await room.http.get(`/projects/${project.id}`).expect(404)
  })

  it.each(['9', '0', '1.5', 'x', '99999999999999999999'])('is not there: %s', async (id) => {
    const room = await aRoom()
    expect((await room.http.get(`/partners/${id}`).expect(404)).text).toContain(
      `There is no partner ${id.slice(0, 40)}.`,
    )
    await room.http.get(`/partners/${id}/logo`).expect(404)
    await room.send(`/partners/${id}`, { name: 'x' }).expect(404)
    await room.send(`/partners/${id}/projects`, { name: 'x' }).expect(404)
    await room.send(`/partners/${id}/deletion`, {}).expect(404)
  })
})

describe('the logo of a partner', () => {
  const fields = { name: 'Northwind', colour: '', emails: '', address: '' }

  it('is served as a picture and nothing else, kept by the browser and looked at anew', async () => {
    const room = await aRoom()
    const made = await room.upload('/partners', fields, aPng()).expect(303)
    const address = `${made.headers.location}/logo`
    const { headers, body } = await room.http.get(address).expect(200)
    expect(body).toEqual(aPng())
    expect(headers).toMatchObject({
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'private, no-cache',
    })
    await room.http.get(address).set('If-None-Match', headers.etag!).expect(304)

    await room.upload(made.headers.location!, fields, aPng({ width: 9 })).expect(303)
    const { body: other } = await room.http.get(address).set('If-None-Match', headers.etag!).expect(200)
    expect(other).toEqual(aPng({ width: 9 }))
  })

  it('stays when the rest is changed, and goes when somebody says so', async () => {
    const room = await aRoom()
    const { headers } = await room.upload('/partners', fields, aPng()).expect(303)
    await room.upload(headers.location!, { ...fields, name: 'North' }).expect(303)
    await room.http.get(`${headers.location}/logo`).expect(200)
    await room.upload(headers.location!, { ...fields, remove_logo: '1' }).expect(303)
    await room.http.get(`${headers.location}/logo`).expect(404)
    expect(await room.page(headers.location)).not.toContain('<img')
  })

  it.each([
    ['an SVG that calls itself a PNG', Buffer.from('<svg onload="alert(1)"/>'), 'This is an SVG'],
    [
      'a page that calls itself a PNG',
      Buffer.from('<script>alert(1)</script>'),
      'This file is no PNG, JPEG or WebP.',
    ],
    ['a file that is too long', Buffer.concat([aPng(), Buffer.alloc(longestLogo)]), 'longer than 512 KB'],
  ])('is refused as %s, and what was typed stays', async (_name, file, sentence) => {
    const room = await aRoom()
    const { text } = await room
      .upload('/partners', { ...fields, address: '12 Harbour Row' }, file)
      .expect(422)
    expect(text).toContain(sentence)
    expect(text).toContain('value="Northwind"')
    expect(text).toContain('12 Harbour Row')
    expect(await room.partners()).toEqual([])
  })

  it('is kept while something else is wrong, since a browser forgets the file', async () => {
    const room = await aRoom()
    const { text } = await room.upload('/partners', { ...fields, name: '' }, aPng()).expect(422)
    expect(text).toContain('The picture you chose is kept')
    const kept = /name="logo_kept" value="([^"]+)"/.exec(text)![1]!
    const { headers } = await room.upload('/partners', { ...fields, logo_kept: kept }).expect(303)
    expect((await room.http.get(`${headers.location}/logo`).expect(200)).body).toEqual(aPng())

    const forged = Buffer.from('<svg/>').toString('base64')
    await room.upload('/partners', { ...fields, name: 'Other', logo_kept: forged }).expect(422)
  })

  it('of the longest kind is kept too', async () => {
    const room = await aRoom()
    const longest = Buffer.concat([aPng(), Buffer.alloc(longestLogo - aPng().length)])
    const { text } = await room.upload('/partners', { ...fields, name: '' }, longest).expect(422)
    const kept = /name="logo_kept" value="([^"]+)"/.exec(text)![1]!
    const { headers } = await room.upload('/partners', { ...fields, logo_kept: kept }).expect(303)
    expect((await room.http.get(`${headers.location}/logo`).expect(200)).body).toEqual(longest)
  })

  it('is not taken from another site', async () => {
    const room = await aRoom()
    await room.upload('/partners', fields, aPng(), 'wrong').expect(403)
    expect(await room.partners()).toEqual([])
  })

  it('comes alone', async () => {
    const room = await aRoom()
    const { text } = await room
      .upload('/partners', fields, aPng())
      .attach('logo', aPng(), 'second.png')
      .expect(422)
    expect(text).toContain('This upload cannot be read. Choose one picture.')
  })
})
