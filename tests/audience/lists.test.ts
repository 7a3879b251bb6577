import { describe, expect, it } from 'vitest'
import { createToken } from '../../src/accounts/tokens.js'
import type { SubscriptionStatus } from '../../src/audience/subscriptions.js'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

/** An app whose subscribers are told as a provider does: with all that became of them, and when. */
async function subscribers() {
  const app = await testApp()
  const { http } = await aPerson(app)
  let people = 0
  return {
    ...app,
    http,
    async subscriber(listId: number, ...changes: [daysAgo: number, status: SubscriptionStatus][]) {
      const email = `reader-${++people}@fernmail.example`
      const told = changes.map(([daysAgo, status]) => ({ at: testStart - daysAgo * dayLength, status }))
      const last = told.at(-1)!
      const { contact } = await app.audience.write({
        do: 'subscriber',
        subscriber: {
          provider: 'buttondown',
          providerId: email,
          listId,
          email,
          name: '',
          status: last.status,
          providerStatus: '',
          source: 'api',
          subscribedAt: told[0]!.at,
          unsubscribedAt: last.status === 'unsubscribed' ? last.at : null,
          changes: told,
          tags: null,
          seenAt: testStart,
        },
      })
      return contact!
    },
  }
}

describe('the lists', () => {
  it('say where lists come from as long as there is none', async () => {
    const { http } = await subscribers()
    expect((await http.get('/lists').expect(200)).text).toContain('connect Buttondown')
  })

  it('stand with who is on them now, and how they grew in thirty days', async () => {
    const app = await subscribers()
    const { id } = await aList(app, { name: 'Slow Mornings' })
    for (let reader = 0; reader < 4; reader++) await app.subscriber(id, [100, 'subscribed'])
    await app.subscriber(id, [3, 'subscribed'])
    await app.subscriber(id, [200, 'subscribed'], [5, 'unsubscribed'])
    await app.subscriber(id, [200, 'subscribed'], [150, 'unsubscribed'])
    // Paused and back again is neither growth nor churn; somebody who came back has joined once more.
    await app.subscriber(id, [90, 'subscribed'], [20, 'paused'], [10, 'subscribed'])
    await app.subscriber(id, [200, 'subscribed'], [150, 'unsubscribed'], [2, 'subscribed'])

    const page = (await app.http.get('/lists').expect(200)).text
    const row = new RegExp(`<tr id="list-${id}">[\\s\\S]*?</tr>`).exec(page)![0]
    expect(row).toContain(`href="/lists/${id}"`)
    expect(row).toContain(`href="/audience/over-time?list=${id}"`)
    expect(row).toContain('>Buttondown<')
    expect(row).toContain('class="num tell" data-value="7"')
    expect(row).toContain('data-label="Joined" data-value="2"')
    expect(row).toContain('data-label="Left" data-value="1"')
    // Six were there thirty days ago, and one of them left.
    expect(row).toMatch(/data-label="Churn" data-value="0\.1666/)
    expect(row).toContain('from 6 to 7')
  })
})

describe('engagement of a list', () => {
  it('leaves machines out and says how many, counts them in when asked to, and says what cannot be judged', async () => {
    const app = await subscribers()
    const { id } = await aList(app)
    const recent = testStart - 5 * dayLength
    const reader = () => app.subscriber(id, [100, 'subscribed'])
    const mailing = await aMailing(app, { list_id: id, sent_at: recent })
    const opens = (contactId: number, rest: object = {}) =>
      anEngagement(app, { contactId, mailingId: mailing.id, kind: 'opened', happenedAt: recent, ...rest })
    const [ada, ben, cleo, dan, eve, fay] = [
      await reader(),
      await reader(),
      await reader(),
      await reader(),
      await reader(),
      await reader(),
    ]
    const nothing = { os: null, browser: null }
    const robot = { userAgent: 'curl/8.5.0' }
    await opens(ada)
    await opens(ada, { ...nothing, happenedAt: recent + 5_000 })
    await opens(ben, nothing)
    // What could be judged is too long ago.
    await opens(cleo, { happenedAt: testStart - 95 * dayLength })
    await opens(cleo, nothing)
    await opens(dan, robot)
    await opens(eve, { ...robot, happenedAt: testStart - 95 * dayLength })
    await opens(ben, { ...robot, happenedAt: recent + 5_000 })
    await anEngagement(app, { contactId: fay, kind: 'replied', happenedAt: recent, ...nothing })
    await app.scoring.run()

    const row = async (query = '') => {
      const { text } = await app.http.get(`/lists${query}`).expect(200)
      return new RegExp(`<tr id="list-${id}">[\\s\\S]*?</tr>`).exec(text)![0]
    }
    const people = await row()
    expect(people).toContain(`data-label="Engaged" data-value="${4 / 6}"`)
    expect(people).toContain('without 1 by machines')
    expect(people).toContain('2 cannot be judged')
    const all = await row('?machines=1')
    expect(all).toContain(`data-label="Engaged" data-value="${5 / 6}"`)
    expect(all).toContain('with 1 by machines')
    expect(all).toContain('2 cannot be judged')
    expect(all).toContain(`href="/lists/${id}?machines=1"`)

    const page = async (query = '') => (await app.http.get(`/lists/${id}${query}`).expect(200)).text
    const one = await page()
    expect(one).toContain(`id="engaged" data-value="${4 / 6}"`)
    expect(one).toContain('id="engaged-machines" data-value="1">1 by machines left out<')
    expect(one).toContain('id="engaged-unjudged" data-value="2">2 cannot be judged<')
    expect(one).toContain(`href="/lists/${id}?machines=1#size"`)
    expect(one).toContain('3 opens by machines</span> left out')
    const whole = await page('?machines=1')
    expect(whole).toContain(`id="engaged" data-value="${5 / 6}"`)
    expect(whole).toContain('1 by machines included')
    expect(whole).toContain('<input type="hidden" name="machines" value="1">')
    const lastOf = (text: string) =>
      new RegExp(`<tr id="contact-${dan}">[\\s\\S]*?</tr>`).exec(text)![0].includes('5 days ago</time>')
    expect([lastOf(one), lastOf(whole)]).toEqual([false, true])

    const { token } = await createToken(app.db, 'test', { by: null, at: testStart })
    const ask = async (path: string) =>
      (await app.http.get(`/api/v1/lists${path}`).set('Authorization', `Bearer ${token}`).expect(200)).body
    const beside = { engaged_by_machines: 1, engaged_unjudged: 2 }
    expect((await ask('')).lists).toMatchObject([{ engaged: 4, engagement_rate: 66.67, ...beside }])
    expect((await ask('?machines=1')).lists).toMatchObject([
      { engaged: 5, engagement_rate: 83.33, ...beside },
    ])
    expect(await ask(`/${id}`)).toMatchObject({ engaged: 4, ...beside })
    expect(await ask(`/${id}?machines=1`)).toMatchObject({ engaged: 5, ...beside })
  })
})

describe('the old address of the lists', () => {
  it('leads to the new one for good', async () => {
    const { http } = await subscribers()
    const { headers } = await http.get('/audience/lists').expect(301)
    expect(headers.location).toBe('/lists')
  })
})

describe('a list', () => {
  /** A list with fields, of whose contacts each has told something of themselves. */
  async function aToldList() {
    const app = await subscribers()
    const list = await aList(app, { name: 'Slow Mornings' })
    const { id } = list
    await app.db
      .insertInto('list_fields')
      .values([
        {
          list_id: id,
          tag: 'City',
          label: 'Home town',
          type: 'text',
          choices: '[]',
          fallback: 'somewhere',
          position: 1,
        },
        { list_id: id, tag: 'Age', label: 'Age', type: 'number', choices: '[]', position: 2 },
        {
          list_id: id,
          tag: 'Likes',
          label: 'Likes',
          type: 'choice_multiple',
          choices: '["tea","rain, snow"]',
          position: 3,
        },
      ])
      .execute()
    const told = async (email: string, fields: object | null, days: number, status = 'subscribed') => {
      const { id: contact } = await aContact(app, { email })
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: id,
          contact_id: contact,
          status,
          fields: fields && JSON.stringify(fields),
          subscribed_at: testStart - days * dayLength,
        })
        .execute()
      return contact
    }
    const ada = await told('ada@a.example', { City: 'Oslo', Age: 40, Likes: ['tea', 'rain, snow'] }, 3)
    const ben = await told('ben@a.example', { City: 'oslo', Age: 7.5, Likes: 'tea' }, 10)
    const cleo = await told('cleo@a.example', { City: '40', Age: null, Likes: [] }, 20, 'unsubscribed')
    const dan = await told('dan@a.example', null, 40)
    await app.audience.retag({ contacts: [ada, dan], add: ['press'], remove: [] })
    const other = await aList(app, { name: 'Other' })
    const away = await aContact(app, { email: 'away@a.example' })
    await app.db
      .insertInto('subscriptions')
      .values({ list_id: other.id, contact_id: away.id, status: 'subscribed', fields: '{"City":"Oslo"}' })
      .execute()
    const path = `/lists/${id}`
    const page = async (query = '') => (await app.http.get(path + query).expect(200)).text
    return { ...app, id, path, page, people: { ada, ben, cleo, dan } }
  }
  const shown = (page: string) =>
    [...page.matchAll(/<tr id="contact-\d+">\s*<th[^>]*><a[^>]*>(\w+)@/g)].map(([, name]) => name)

  it('that does not exist is not found', async () => {
    const { http } = await subscribers()
    for (const id of ['9', 'x', '9/contacts', '9/contacts.csv']) await http.get(`/lists/${id}`).expect(404)
  })

  it('stands with its fields, who came last first', async () => {
    const { page } = await aToldList()
    const text = await page()
    expect(shown(text)).toEqual(['ada', 'ben', 'cleo', 'dan'])
    expect(text).toMatch(/Home town<\/th><td><code>City<\/code><\/td><td>text<\/td><td>somewhere/)
    expect(text).toContain('tea, rain, snow')
    expect(text).toContain('id="subscribed" data-value="3"')
    expect(text).toContain('id="matching" data-value="4"')
  })

  const filters: [query: string, names: string[]][] = [
    ['?status=unsubscribed', ['cleo']],
    ['?tag=press', ['ada', 'dan']],
    ['?tag=PRESS', ['ada', 'dan']],
    ['?tag=nobody-has-it', []],
    ['?from=2026-11-11', ['ada', 'ben']],
    ['?until=2026-11-11', ['ben', 'cleo', 'dan']],
    ['?from=2026-11-01&until=2026-11-11', ['ben', 'cleo']],
    ['?field=City&value=Oslo', ['ada', 'ben']],
    // A number is found as such, and a text that looks like one as a text.
    ['?field=Age&value=40', ['ada']],
    ['?field=Age&value=7.50', ['ben']],
    ['?field=City&value=40', ['cleo']],
    // One of several choices, whole.
    ['?field=Likes&value=tea', ['ada', 'ben']],
    ['?field=Likes&value=rain, snow', ['ada']],
    ['?field=Likes&value=rain', []],
    ['?field=City&value=Oslo&field=Likes&value=rain, snow', ['ada']],
    ['?field=Nothing&value=Oslo', []],
    ['?field=Ci"ty&value=Oslo', []],
    // What says nothing filters nothing.
    ['?field=City&value=', ['ada', 'ben', 'cleo', 'dan']],
    ['?from=2026-02-30&status=nonsense', ['ada', 'ben', 'cleo', 'dan']],
    ["?field=City&value=' or 1=1 --", []],
  ]

  it('lets through what its filter says, on the page and in the CSV', async () => {
    const { page, http, path } = await aToldList()
    for (const [query, names] of filters) {
      const text = await page(query)
      expect(shown(text), query).toEqual(names)
      expect(text, query).toContain(`id="matching" data-value="${names.length}"`)
      const csv = (await http.get(`${path}/contacts.csv${query}`).expect(200)).text
      expect(
        [...csv.matchAll(/^\d+,(\w+)@/gm)].map(([, name]) => name),
        query,
      ).toEqual(names)
    }
  })

  it('gives the same as CSV, with a column for each field', async () => {
    const { http, path, people, db } = await aToldList()
    await db.updateTable('contacts').set({ name: '=1+1' }).where('id', '=', people.ben).execute()
    const { text, headers } = await http.get(`${path}/contacts.csv?field=Likes&value=tea`).expect(200)
    expect(headers['content-disposition']).toContain('attachment; filename="list-')
    const [head, ada, ben] = text.split('\n')
    expect(head).toBe(
      '\uFEFFcontact_id,email,name,status,source,subscribed,unsubscribed,score,last_activity,tags,field.City,field.Age,field.Likes',
    )
    expect(ada).toContain('press,Oslo,40,"tea, rain, snow"')
    expect(ben).toContain("'=1+1")
  })

  it('goes on by key where a page ends, those of whom nobody told when they came last', async () => {
    const app = await aToldList()
    for (let reader = 0; reader < 60; reader++) {
      const { id } = await aContact(app, { email: `reader${reader}@a.example` })
      await app.db
        .insertInto('subscriptions')
        .values({
          list_id: app.id,
          contact_id: id,
          status: 'subscribed',
          subscribed_at: reader < 55 ? testStart - 30 * dayLength : null,
        })
        .execute()
    }
    const first = await app.page()
    expect(shown(first)).toHaveLength(50)
    const next = /id="more-contacts" href="[^"]*" hx-get="([^"]*)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const more = (await app.http.get(next).set('HX-Request', 'true').expect(200)).text
    expect(more).toContain('<hx-partial hx-target="#list-contacts-foot"')
    expect(shown(more).slice(-6)).toEqual(['dan', 'reader59', 'reader58', 'reader57', 'reader56', 'reader55'])
    expect(new Set([...shown(first), ...shown(more)]).size).toBe(64)
    const csv = (await app.http.get(`${app.path}/contacts.csv`).expect(200)).text
    expect(csv.trim().split('\n')).toHaveLength(65)
  })

  it('leaves out who was erased', async () => {
    const { page, audience, people, http, path } = await aToldList()
    await audience.erase(people.ada)
    expect(shown(await page())).toEqual(['ben', 'cleo', 'dan'])
    expect((await http.get(`${path}/contacts.csv`).expect(200)).text).not.toContain('erased')
  })

  it('answers htmx with its contacts alone, under an address that leaves out what is as usual', async () => {
    const { http, path } = await aToldList()
    const { text, headers } = await http
      .get(`${path}?status=&tag=press&from=&until=&field=&value=`)
      .set('HX-Request', 'true')
      .expect(200)
    expect(text).not.toContain('<html')
    expect(shown(text)).toEqual(['ada', 'dan'])
    expect(headers['hx-replace-url']).toBe(`${path}?tag=press`)
  })

  it('tells what its provider counts, when it had changed, and that it is gone there', async () => {
    const app = await aToldList()
    await app.db
      .insertInto('list_snapshots')
      .values([
        { list_id: app.id, taken_at: testStart - 200 * dayLength, subscribed: 10, unsubscribed: 1 },
        { list_id: app.id, taken_at: testStart - 20 * dayLength, subscribed: 12, unsubscribed: 1 },
        { list_id: app.id, taken_at: testStart - 10 * dayLength, subscribed: 11, unsubscribed: null },
      ])
      .execute()
    await app.db
      .updateTable('lists')
      .set({ subscribed: 11, double_opt_in: 1, gone_at: testStart - dayLength })
      .where('id', '=', app.id)
      .execute()
    const text = await app.page()
    const rows = /aria-label="What Buttondown counted"[\s\S]*?<\/table>/.exec(text)![0]
    const counts = [...rows.matchAll(/<tr><th scope="row">.*?<\/tr>/g)].map(([row]) =>
      [...row.matchAll(/data-value="(\d*)"/g)].map(([, count]) => count),
    )
    // What held when the range began, and each change since.
    expect(counts).toEqual([
      ['10', '1'],
      ['12', '1'],
      ['11', ''],
    ])
    expect(text).toContain('11 by Buttondown’s count')
    expect(text).toContain('Buttondown no longer knows this list.')
    expect(text).toContain('Double opt-in')
    expect((await app.http.get('/lists').expect(200)).text).toContain('gone there')
  })

  it('names the mailings that went to it, with their averages', async () => {
    const app = await aToldList()
    const { id: mailingId } = await aMailing(app, { list_id: app.id, name: 'Issue 7' })
    const { ada, ben } = app.people
    for (const contactId of [ada, ben]) await anEngagement(app, { contactId, mailingId, kind: 'delivered' })
    await anEngagement(app, { contactId: ada, mailingId, kind: 'opened' })
    const text = await app.page()
    expect(text).toContain(`href="/mailings/${mailingId}">Issue 7</a>`)
    expect(text).toContain('id="average-open" data-value="0.5"')
    expect(text).toContain('<span id="average-whose">by our own numbers</span>')
    expect(text).toMatch(/id="engaged" data-value="0\.33/)
    expect(text).toContain(`href="/mailings/heatmap?list=${app.id}"`)
    expect(text).toContain('Project: ')
  })
})

describe('lists for programs', () => {
  it('come with what the provider counts, their fields and tags, and their history by pages', async () => {
    const app = await testApp()
    const { token } = await createToken(app.db, 'test', { by: null, at: app.clock.now() })
    const ask = (path: string) => app.http.get(`/api/v1${path}`).set('Authorization', `Bearer ${token}`)
    const { id } = await aList(app)
    await app.db.updateTable('lists').set({ subscribed: 7, double_opt_in: 0, made_at: testStart }).execute()
    await app.db
      .insertInto('list_fields')
      .values({ list_id: id, tag: 'City', label: 'Town', type: 'text', fallback: null, position: 1 })
      .execute()
    await app.db.insertInto('list_tags').values({ list_id: id, name: 'press' }).execute()
    const { id: contact } = await aContact(app)
    await app.audience.retag({ contacts: [contact], add: ['press'], remove: [] })
    await app.db
      .insertInto('subscriptions')
      .values({ list_id: id, contact_id: contact, status: 'subscribed' })
      .execute()
    for (const subscribed of [5, 6, 7])
      await app.db
        .insertInto('list_snapshots')
        .values({ list_id: id, taken_at: testStart + subscribed, subscribed, pending: null, unsubscribed: 1 })
        .execute()

    expect((await ask(`/lists/${id}`).expect(200)).body).toMatchObject({
      id,
      double_opt_in: false,
      subscribed: 1,
      provider_counts: { subscribed: 7, pending: null, unsubscribed: null },
      created_at: new Date(testStart).toISOString(),
      fields: [{ tag: 'City', label: 'Town', type: 'text', choices: [], fallback: null }],
      tags: [{ name: 'press', contacts: 1 }],
    })
    const first = (await ask(`/lists/${id}/snapshots?limit=2`).expect(200)).body
    expect(first.snapshots.map(({ subscribed }: { subscribed: number }) => subscribed)).toEqual([5, 6])
    const rest = (await ask(`/lists/${id}/snapshots?after=${first.next}`).expect(200)).body
    expect(rest).toMatchObject({ snapshots: [{ subscribed: 7, pending: null, unsubscribed: 1 }], next: null })
    await ask('/lists/77').expect(404)
    await ask('/lists/77/snapshots').expect(404)
    await ask(`/lists/${id}/snapshots?limit=0`).expect(400)
  })
})
