import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

async function anApi() {
  const app = await testApp()
  const { token } = await createToken(app.db, 'test', { by: null, at: app.clock.now() })
  return {
    ...app,
    ask: (path: string) => app.http.get(`/api/v1${path}`).set('Authorization', `Bearer ${token}`),
    read: async (path: string) =>
      (await app.http.get(`/api/v1${path}`).set('Authorization', `Bearer ${token}`).expect(200)).body,
  }
}

describe('the API of the audience', () => {
  it('asks for a token', async () => {
    const { http } = await testApp()
    for (const path of ['contacts', 'contacts/1', 'tags', 'lists', 'engagement'])
      await http.get(`/api/v1/${path}`).expect(401)
  })

  it('answers on an empty installation', async () => {
    const { read, ask } = await anApi()
    expect(await read('/contacts?tag=press&active=30')).toEqual({ contacts: [], count: 0, next: null })
    expect(await read('/tags')).toEqual({ tags: [] })
    expect(await read('/lists')).toEqual({ lists: [] })
    const { unit, periods, time_zone } = await read('/engagement?range=365&by=week')
    expect([unit, time_zone]).toEqual(['week', 'UTC'])
    expect(periods).toHaveLength(53)
    expect(periods.at(-1)).toMatchObject({ begins_on: '2026-11-16', opens: 0, active_people: 0, churn: null })
    await ask('/contacts/1').expect(404)
  })

  it('says what is wrong with a query, field by field', async () => {
    const { ask } = await anApi()
    const wrong = async (path: string) => (await ask(path).expect(400)).body.details
    expect(await wrong('/contacts?score=200&bnad=new')).toEqual({
      score: 'The score is a number from 0 to 100.',
      bnad: 'There is no such field.',
    })
    expect(await wrong('/contacts?status=gone')).toHaveProperty('status')
    expect(await wrong('/engagement?range=7')).toHaveProperty('range')
    expect(await wrong('/engagement?tag=nobody')).toEqual({ tag: 'There is no tag nobody.' })
    expect(await wrong('/engagement?list=9')).toEqual({ list: 'There is no list 9.' })
  })
})

describe('contacts', () => {
  it('are nobody where they shall be on a list and on none', async () => {
    const app = await anApi()
    const { id: contact_id } = await aContact(app)
    const { id: list_id } = await aList(app)
    const on = { list_id, contact_id, status: 'subscribed', subscribed_at: testStart, seen_at: testStart }
    await app.db
      .insertInto('subscriptions')
      .values(on as never)
      .execute()
    await app.db.updateTable('contacts').set({ status: 'subscribed' }).execute()
    expect((await app.read(`/contacts?list=${list_id}`)).count).toBe(1)
    expect(await app.read(`/contacts?list=${list_id}&status=none`)).toEqual({
      contacts: [],
      count: 0,
      next: null,
    })
  })

  it('come with the filters and the numbers of the page', async () => {
    const app = await anApi()
    const ada = await aContact(app, { email: 'ada@fernmail.example', name: 'Ada' })
    const ben = await aContact(app, { email: 'ben@posteo.example' })
    await app.audience.retag({ contacts: [ada.id, ben.id], add: ['press'], remove: [] })
    await app.audience.retag({ contacts: [ada.id], add: ['radio'], remove: [] })
    const { id: mailingId } = await aMailing(app)
    await anEngagement(app, { contactId: ada.id, mailingId, kind: 'opened' })
    await anEngagement(app, {
      contactId: ada.id,
      mailingId,
      kind: 'opened',
      happenedAt: testStart - 60_000,
      userAgent: 'Mozilla/5.0',
    })

    const names = async (query: string) =>
      (await app.read(`/contacts?${query}`)).contacts.map(
        ({ email }: { email: string }) => email.split('@')[0],
      )
    expect(await names('sort=name')).toEqual(['ada', 'ben'])
    expect(await names('sort=name&order=desc')).toEqual(['ben', 'ada'])
    expect(await names('tag=press&tag=radio')).toEqual(['ada'])
    expect(await names('tag=press&tag=radio&tags=any&sort=name')).toEqual(['ada', 'ben'])
    expect(await names('not=radio')).toEqual(['ben'])
    expect(await names('domain=posteo.example')).toEqual(['ben'])
    expect(await names('q=AD')).toEqual(['ada'])

    const { contacts, count, next } = await app.read('/contacts?sort=name&limit=1')
    expect([count, next]).toEqual([2, ada.id])
    expect(contacts[0]).toMatchObject({
      id: ada.id,
      name: 'Ada',
      opens: 1,
      proxy_opens: 1,
      mailings: 1,
      tags: ['press', 'radio'],
      last_active_at: new Date(testStart).toISOString(),
    })
    expect((await app.read('/contacts?sort=name&limit=1&machines=1')).contacts[0].opens).toBe(2)
    expect((await app.read(`/contacts?sort=name&limit=1&after=${next}`)).contacts[0].id).toBe(ben.id)
  })

  it('are read one by one with notes and subscriptions; the erased are not there', async () => {
    const app = await anApi()
    const { id } = await aContact(app, { notes: 'Met in Bergen' })
    const list = await aList(app)
    await app.db
      .insertInto('subscriptions')
      .values({ list_id: list.id, contact_id: id, status: 'paused', subscribed_at: testStart })
      .execute()
    expect(await app.read(`/contacts/${id}`)).toMatchObject({
      notes: 'Met in Bergen',
      subscriptions: [{ list, status: 'paused', subscribed_at: new Date(testStart).toISOString() }],
    })
    await app.audience.erase(id)
    await app.ask(`/contacts/${id}`).expect(404)
    await app.ask('/contacts/x').expect(404)
  })
})

describe('tags, lists and engagement', () => {
  it('tell the same numbers as their pages', async () => {
    const app = await anApi()
    const { id } = await aContact(app)
    const list = await aList(app)
    await app.audience.retag({ contacts: [id], add: ['press'], remove: [] })
    await app.db
      .insertInto('subscriptions')
      .values({
        list_id: list.id,
        contact_id: id,
        status: 'subscribed',
        subscribed_at: testStart - 50 * dayLength,
      })
      .execute()
    await app.db
      .insertInto('subscription_changes')
      .values({
        list_id: list.id,
        contact_id: id,
        status: 'subscribed',
        changed_at: testStart - 50 * dayLength,
      })
      .execute()
    const { id: mailingId } = await aMailing(app)
    await anEngagement(app, { contactId: id, mailingId, kind: 'opened' })
    await anEngagement(app, { contactId: id, mailingId, kind: 'clicked', userAgent: 'curl/8' })
    await app.db.updateTable('tag_counts').set({ scored: 1, score_sum: 33.4 }).execute()

    expect((await app.read('/tags')).tags).toEqual([
      expect.objectContaining({
        name: 'press',
        provider: null,
        contacts: 1,
        average_score: 33,
        opens: 1,
        clicks: 0,
        machine_clicks: 1,
      }),
    ])
    expect((await app.read('/tags?machines=1')).tags[0].clicks).toBe(1)
    expect((await app.read('/lists')).lists).toEqual([
      {
        id: list.id,
        name: list.name,
        provider: 'buttondown',
        double_opt_in: null,
        subscribed: 1,
        engaged: 1,
        engaged_by_machines: 0,
        engaged_unjudged: 0,
        engagement_rate: 100,
        joined: 0,
        left: 0,
        churn: 0,
        provider_counts: { pending: null, subscribed: null, unsubscribed: null },
        created_at: null,
        updated_at: null,
        gone_at: null,
      },
    ])
    const { unit, periods } = await app.read(`/engagement?range=all&tag=press&list=${list.id}`)
    expect(unit).toBe('month')
    // It begins with the subscription, though the first open came later.
    expect(periods).toEqual([
      expect.objectContaining({ begins_on: '2026-10-01', joined: 1, opens: 0, subscribed: 1 }),
      expect.objectContaining({
        begins_on: '2026-11-01',
        opens: 1,
        clicks: 0,
        active_people: 1,
        subscribed: 1,
      }),
    ])

    const { http } = await aPerson(app)
    const page = (await http.get('/audience/over-time?range=all').expect(200)).text
    expect(page).toContain('id="opens" data-value="1"')
  })
})
