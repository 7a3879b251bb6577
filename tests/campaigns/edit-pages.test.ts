import { describe, expect, it } from 'vitest'
import { dayLength } from '../../src/web/calendar.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

async function home() {
  const app = await testApp()
  return { ...app, person: await aPerson(app) }
}

/** The names of the listed campaigns, from the first row to the last. */
const listed = (page: string) => [...page.matchAll(/class="row-link"[^>]*>([^<]*)</g)].map(([, name]) => name)

/** What an event was, so many days ago. */
async function anEventAgo(
  app: Awaited<ReturnType<typeof testApp>>,
  days: number,
  event: { cid: number; event?: string; email?: string },
) {
  const at = app.clock.at
  app.clock.at = at - days * dayLength
  await anEvent(app, event)
  app.clock.at = at
}

describe('making a campaign', () => {
  const good = { name: ' Autumn ', offer_url: 'https://paperboat.example/autumn' }

  it('leads to the campaign', async () => {
    const { person, db } = await home()
    await person.send('/campaigns', good).expect(303).expect('Location', '/campaign/1')
    expect(await db.selectFrom('campaigns').select(['name', 'needs_key', 'created_by']).execute()).toEqual([
      { name: 'Autumn', needs_key: 0, created_by: 1 },
    ])
  })

  it('leads htmx there without loading the page anew', async () => {
    const { person } = await home()
    const { text } = await person
      .send('/campaigns', good)
      .set('HX-Request', 'true')
      .expect(200)
      .expect('HX-Location', '/campaign/1')
    expect(text).toBe('')
  })

  it('says beside the field what is wrong, keeps what was typed, and makes nothing', async () => {
    const { person, db } = await home()
    const wrong = { name: 'Winter & "more"', offer_url: 'shop.example/winter' }

    const page = await person.send('/campaigns', wrong).expect(422)
    const part = await person.send('/campaigns', wrong).set('HX-Request', 'true').expect(422)

    expect(page.text).toContain(part.text.trim())
    expect(part.text).toContain('value="Winter &amp; &quot;more&quot;"')
    expect(part.text).toContain('value="shop.example/winter"')
    expect(part.text).toContain('Did you mean https://shop.example/winter?')
    expect(part.text).toMatch(/id="offer_url"[^>]*aria-invalid="true" autofocus/)
    expect(part.text.match(/autofocus/g)).toHaveLength(1)
    expect(await db.selectFrom('campaigns').select('id').execute()).toEqual([])
  })

  it.each(['javascript:alert(1)', 'ftp://x.example/', 'data:text/html,x', 'https://', 'http:x y'])(
    'takes no offer like %s',
    async (offer_url) => {
      const { person } = await home()
      await person.send('/campaigns', { name: 'x', offer_url }).expect(422)
    },
  )

  it('refuses a form without the token', async () => {
    const { person } = await home()
    await person.send('/campaigns', { ...good, _csrf: 'x' }).expect(403)
  })

  it('copes with a form that repeats its fields, or has none', async () => {
    const { person } = await home()
    const odd = `_csrf=${person.token}&name=a&name=b&offer_url=https://a.example`
    await person.http.post('/campaigns').type('form').send(odd).expect(422)
    await person.send('/campaigns', {}).expect(422)
  })
})

describe('editing a campaign', () => {
  it('changes it, keeping the dates of its offers', async () => {
    const app = await home()
    app.clock.pass(-dayLength)
    const { id } = await aCampaign(app)
    app.clock.pass(dayLength)
    const form = { name: 'Winter', offer_url: 'https://paperboat.example/winter', needs_key: '1' }

    await app.person.send(`/campaign/${id}/edit`, form).expect(303).expect('Location', `/campaign/${id}`)

    const { text } = await app.person.http.get(`/campaign/${id}/edit`).expect(200)
    expect(text).toContain('value="Winter"')
    expect(text).toMatch(/name="needs_key" value="1" checked/)
    expect(text).toMatch(/example\/winter<[\s\S]*21 Nov 2026[\s\S]*example\/autumn<[\s\S]*20 Nov 2026/)
  })

  it('asks the door for the key from the next event on', async () => {
    const app = await home()
    const { id, name, offer_url } = await aCampaign(app)
    await anEvent(app, { cid: id })
    await app.person.send(`/campaign/${id}/edit`, { name, offer_url, needs_key: '1' }).expect(303)
    await app.http
      .get(`/api/event?cid=${id}&event=email_click&email=a@b.example&domain=c.example`)
      .expect(403)
    await anEvent(app, { cid: id, key: 'open-sesame' })

    await app.person.send(`/campaign/${id}/key`, {}).expect(303)

    const event = `/api/event?cid=${id}&event=email_click&email=a@b.example&domain=c.example`
    await app.http.get(`${event}&key=open-sesame`).expect(403)
    const { write_key } = await app.db.selectFrom('campaigns').select('write_key').executeTakeFirstOrThrow()
    expect(write_key).toMatch(/^[\w-]{24}$/)
    await app.http.get(`${event}&key=${write_key}`).expect(200)
  })

  it('says what is wrong and keeps what was typed', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    const form = { name: '', offer_url: 'https://typed.example/', needs_key: '1' }
    const { text } = await app.person.send(`/campaign/${id}/edit`, form).expect(422)
    expect(text).toContain('Give the campaign a name.')
    expect(text).toContain('value="https://typed.example/"')
    expect(text).toMatch(/name="needs_key" value="1" checked/)
  })

  it('archives and restores, and events still count', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    await app.person.send(`/campaign/${id}/archiving`, { archived: '1' }).expect(303)
    expect((await app.person.http.get('/?state=archived')).text).toContain(`href="/campaign/${id}"`)
    await anEvent(app, { cid: id })
    await app.person.send(`/campaign/${id}/archiving`, { archived: '0' }).expect(303)
    expect(listed((await app.person.http.get('/')).text)).toHaveLength(1)
  })

  it.each(['9', '0', '1.5', 'x', '99999999999999999999'])('knows no campaign %s', async (id) => {
    const app = await home()
    for (const page of ['edit', 'delete']) await app.person.http.get(`/campaign/${id}/${page}`).expect(404)
    for (const act of ['edit', 'delete', 'archiving', 'key'])
      await app.person
        .send(`/campaign/${id}/${act}`, { name: 'x', offer_url: 'https://x.example', sure: '1' })
        .expect(404)
  })
})

describe('deleting a campaign', () => {
  it('says first what will be lost, and wants a tick', async () => {
    const app = await home()
    const { id } = await aCampaign(app)
    await anEventAgo(app, 1, { cid: id })
    await anEvent(app, { cid: id })
    await anEvent(app, { cid: id, event: 'conversion', email: 'bob@fernmail.example' })

    const { text } = await app.person.http.get(`/campaign/${id}/delete`).expect(200)

    expect(text).toContain('3 events')
    expect(text).toContain('2 people')
    expect(text).toContain('2 days')
    const refused = await app.person.send(`/campaign/${id}/delete`, {}).expect(422)
    expect(refused.text).toContain('Tick this first.')
    await app.person.http.get(`/campaign/${id}/edit`).expect(200)
  })

  it('is gone at once for people and for the door, and for good soon after', async () => {
    const app = await home()
    const { id, name } = await aCampaign(app)
    await anEvent(app, { cid: id })

    await app.person.send(`/campaign/${id}/delete`, { sure: '1' }).expect(303).expect('Location', '/')

    expect((await app.person.http.get('/')).text).toContain(`Campaign ${id}, ${name}, is deleted.`)
    await app.person.http.get(`/campaign/${id}/edit`).expect(404)
    await app.http
      .get(`/api/event?cid=${id}&event=email_click&email=a@b.example&domain=c.example`)
      .expect(400)
    await app.remover.run()
    expect(await app.db.selectFrom('campaigns').select('id').execute()).toEqual([])
    expect(await app.db.selectFrom('events').select('id').execute()).toEqual([])
  })
})
