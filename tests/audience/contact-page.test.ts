import { describe, expect, it } from 'vitest'
import { noEngagements } from '../../src/audience/receptions.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'
import { aContact, aList, aMailing, anEngagement } from './rows.js'

async function ada() {
  const app = await testApp()
  const person = await aPerson(app)
  const id = await aContact(app, {
    name: 'Ada Okonkwo',
    status: 'subscribed',
    score: 71.2,
    score_before: 62,
    band: 'champion',
    mailings: 18,
    opens: 24,
    proxy_opens: 3,
    clicks: 19,
  })
  return { ...app, ...person, site: app.http, id }
}

describe('the page of a contact', () => {
  it('tells name, address, status and figures', async () => {
    const { http, id } = await ada()
    const page = await http.get(`/audience/${id}`).expect(200)
    expect(page.text).toContain('<h1 class="anywhere">Ada Okonkwo</h1>')
    expect(page.text).toContain('ada@fernmail.example')
    expect(page.text).toMatch(/status--good">Subscribed/)
    expect(page.text).toMatch(/data-value="71.2">71<[\s\S]*champion[\s\S]*↑<\/span> 9/)
    expect(page.text).toContain('24 opens')
    expect(page.text).toContain('3 opens by mail proxies</span> left out')
    const machines = await http.get(`/audience/${id}?machines=1`).expect(200)
    expect(machines.text).toContain('27 opens')
  })

  it('merges what all rooms know into one line, by day, and shows one room alone when asked', async () => {
    const app = await ada()
    const { http, id, clock } = app
    const mailing_id = await aMailing(app)
    await anEngagement(app, {
      contact_id: id,
      mailing_id,
      kind: 'clicked',
      happened_at: clock.at - 86_400_000,
    })
    const campaign = await aCampaign(app)
    await anEvent({ http: app.site }, { cid: campaign.id })

    const page = await http.get(`/audience/${id}`).expect(200)

    expect(page.text).toMatch(
      /Today[\s\S]*Arrived from the mailing of Autumn Reading List[\s\S]*Yesterday[\s\S]*Clicked in Issue 112/,
    )
    expect(page.text).toMatch(/>2<\/span> of <span data-value="2">2 moments/)
    expect((await http.get(`/audience/${id}?show=campaigns`)).text).not.toContain('Clicked in Issue 112')
    expect((await http.get(`/audience/${id}?show=audience`)).text).not.toContain('Arrived from the mailing')
  })

  it('leaves machines out, says how many, and shows them by one switch', async () => {
    const app = await ada()
    await anEngagement(app, { contact_id: app.id, kind: 'opened', verdict: 3 })
    const page = await app.http.get(`/audience/${app.id}`).expect(200)
    expect(page.text).not.toContain('moment--machine')
    expect(page.text).toContain('<span data-value="1">1</span> by machines and proxies left out')
    expect((await app.http.get(`/audience/${app.id}?machines=1`)).text).toContain('moment--machine')
  })

  it('loads more without losing or repeating a moment, and without naming a day twice', async () => {
    const app = await ada()
    for (let index = 0; index < 130; index++)
      await anEngagement(app, { contact_id: app.id, kind: 'opened', happened_at: app.clock.at - (index % 2) })
    const first = await app.http.get(`/audience/${app.id}`).expect(200)
    const momentsIn = (text: string) => text.match(/class="moment /g)?.length ?? 0
    let seen = momentsIn(first.text)
    let next = moreIn(first.text)
    while (next) {
      const part: { text: string } = await app.part(next).expect(200)
      expect(part.text).not.toContain('timeline__day')
      seen += momentsIn(part.text)
      next = moreIn(part.text)
    }
    expect(seen).toBe(130)
  })

  it('shows the arithmetic of the score, and leads to the events that made it', async () => {
    const app = await ada()
    const mailing = await aMailing(app, 'Issue 112')
    const at = app.clock.now()
    await app.db
      .insertInto('receptions')
      .values({
        ...noEngagements,
        contact_id: app.id,
        mailing_id: mailing,
        delivered_at: at - 60 * 86_400_000,
        clicks: 1,
        bounced: 0,
        complained: 0,
        unsubscribed: 0,
        first_clicked_at: at - 60 * 86_400_000,
      })
      .execute()

    const page = await app.http.get(`/audience/${app.id}`).expect(200)

    // A click of sixty days ago is worth half its 5 points, over half of 5; nobody has an average yet, of 25.
    expect(page.text).toMatch(
      /Issue 112<\/a> <span class="quiet">clicked 5, 60 days<\/span>[\s\S]*>2\.5<[\s\S]*>2\.5</,
    )
    expect(page.text).toContain('2.5 ÷ 27.5 = 0.09')
    expect(page.text).toContain('How the 9 came about')
    expect(page.text).toContain('The ranking still says 71')
    expect(page.text).toContain(`/audience/activity?contact=${app.id}&amp;mailing=${mailing}&amp;kind=all`)
  })

  it('adds and removes tags of ours, and leaves those of a provider to the provider', async () => {
    const app = await ada()
    const { id, http, send, db } = app
    await send(`/audience/${id}/tags`, { tag: ' press ' }).expect(303)
    expect((await http.get(`/audience/${id}`)).text).toContain('value="press"')
    const { id: tag_id } = await db
      .insertInto('tags')
      .values({ name: 'buyer', created_at: 0 })
      .returning('id')
      .executeTakeFirstOrThrow()
    await db
      .insertInto('contact_tags')
      .values({ contact_id: id, tag_id, origin: 'buttondown', added_at: 0 })
      .execute()
    const page = await http.get(`/audience/${id}`).expect(200)
    expect(page.text).toContain('kept by Buttondown')
    expect(page.text).toContain('Remove<span class="visually-hidden"> the tag press')
    expect(page.text).not.toContain('the tag buyer</span>')

    await send(`/audience/${id}/tags/remove`, { tag: 'buyer' }).expect(409)
    await send(`/audience/${id}/tags/remove`, { tag: 'nothing' }).expect(404)
    await send(`/audience/${id}/tags/remove`, { tag: 'press' }).expect(303)
    expect((await http.get(`/audience/${id}`)).text).not.toContain('the tag press')

    const wrong = await send(`/audience/${id}/tags`, { tag: '  ' }).expect(422)
    expect(wrong.text).toContain('Give the tag a name.')
  })

  it('shows lists with status, source and instants', async () => {
    const app = await ada()
    const list_id = await aList(app)
    await app.db
      .insertInto('subscriptions')
      .values({
        list_id,
        contact_id: app.id,
        status: 'subscribed',
        source: 'form',
        subscribed_at: Date.UTC(2026, 6, 24),
      })
      .execute()
    const page = await app.http.get(`/audience/${app.id}`).expect(200)
    expect(page.text).toMatch(
      /Slow Mornings<\/a><\/dt>[\s\S]*Subscribed[\s\S]*24 Jul 2026[\s\S]*Buttondown, form/,
    )
  })

  it('keeps notes, and never loses what was typed', async () => {
    const app = await ada()
    const { id, http, send } = app
    const wasIn = (text: string) => /name="was" value="([^"]+)"/.exec(text)![1]!
    const first = wasIn((await http.get(`/audience/${id}`)).text)
    await send(`/audience/${id}/notes`, { notes: 'Met at the fair.\r\nLikes tea.', was: first }).expect(303)
    expect((await http.get(`/audience/${id}`)).text).toContain('Met at the fair.\nLikes tea.</textarea>')

    const tooLong = await send(`/audience/${id}/notes`, { notes: 'x'.repeat(20_001), was: first }).expect(422)
    expect(tooLong.text).toContain('x'.repeat(20_001))

    const clash = await send(`/audience/${id}/notes`, { notes: 'Wants paper.', was: first }).expect(409)
    expect(clash.text).toContain('Wants paper.</textarea>')
    expect(clash.text).toContain('Somebody else changed the notes meanwhile.')
    await send(`/audience/${id}/notes`, { notes: 'Wants paper.', was: wasIn(clash.text) }).expect(303)
  })

  it('exports all that every room knows as JSON', async () => {
    const app = await ada()
    await anEngagement(app, { contact_id: app.id, kind: 'opened' })
    const { body, headers } = await app.http.get(`/audience/${app.id}/export.json`).expect(200)
    expect(headers['content-disposition']).toBe(`attachment; filename="contact-${app.id}-2026-11-21.json"`)
    expect(body).toMatchObject({
      audience: { contact: { name: 'Ada Okonkwo' }, engagements: [{ kind: 'opened' }] },
      campaigns: { events: [] },
    })
  })

  it('says what erasing does, asks once more, and then knows nobody', async () => {
    const { id, http, send, db } = await ada()
    const page = await http.get(`/audience/${id}/erase`).expect(200)
    expect(page.text).toContain('Whoever subscribes afresh does come back')
    await send(`/audience/${id}/erase`, {}).expect(422)
    expect((await send(`/audience/${id}/erase`, { sure: '1' }).expect(303)).headers.location).toBe(
      '/audience',
    )

    expect((await http.get(`/audience/${id}`).expect(410)).text).toContain(
      'This person was erased on 21 Nov 2026.',
    )
    await http.get(`/audience/${id}/export.json`).expect(410)
    await send(`/audience/${id}/notes`, { notes: 'x', was: '' }).expect(410)
    const row = await db.selectFrom('contacts').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(JSON.stringify(row)).not.toMatch(/ada|okonkwo/i)
  })

  it('is not there for whom nobody knows', async () => {
    const { http } = await ada()
    expect((await http.get('/audience/999').expect(404)).text).toContain('There is no contact 999.')
    await http.get('/audience/0').expect(404)
  })
})

const moreIn = (text: string) => /id="load-more" href="([^"#]+)/.exec(text)?.[1]?.replaceAll('&amp;', '&')
