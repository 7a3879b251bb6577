import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  return {
    ...app,
    ...person,
    page: async (path = '/audience/tags') => (await person.http.get(path).expect(200)).text,
    idOf: async (name: string) =>
      (await app.db.selectFrom('tags').select('id').where('name', '=', name).executeTakeFirst())?.id ?? 0,
    /** A tag that a provider keeps. */
    aTheirTag: async (name: string) =>
      (
        await app.db
          .insertInto('tags')
          .values({ name, provider: 'buttondown', provider_id: name, created_at: app.clock.now() })
          .returning('id')
          .executeTakeFirstOrThrow()
      ).id,
  }
}

const rowOf = (page: string, id: number) =>
  new RegExp(`<tr id="tag-${id}">[\\s\\S]*?</tr>`).exec(page)?.[0].replace(/\s+/g, ' ') ?? ''

/** What a row says of opens and of clicks. */
const cellsOf = (row: string) =>
  ['Opens', 'Clicks'].map(
    (label) => new RegExp(`<td class="num rest" data-label="${label}".*?</td>`).exec(row)?.[0] ?? '',
  )

describe('the tags', () => {
  it('say what to do as long as there is none', async () => {
    const { page } = await aRoom()
    expect(await page()).toContain('There is no tag yet.')
  })

  it('stand with their size, average score, opens and clicks, and lead to their contacts', async () => {
    const room = await aRoom()
    const { id } = await aContact(room)
    await room.audience.retag({ contacts: [id], add: ['Press & radio'], remove: [] })
    const { id: mailingId } = await aMailing(room)
    await anEngagement(room, { contactId: id, mailingId, kind: 'opened' })
    await anEngagement(room, { contactId: id, mailingId, kind: 'clicked', url: 'https://a.example' })
    await anEngagement(room, { contactId: id, mailingId, kind: 'opened', userAgent: 'Mozilla/5.0' })
    await room.db.updateTable('tag_counts').set({ scored: 1, score_sum: 41.6 }).execute()

    const tag = await room.idOf('Press & radio')
    const row = rowOf(await room.page(), tag)
    expect(row).toContain('href="/audience?tag=Press+%26+radio"')
    expect(row).toContain('<td class="num tell" data-value="1">')
    expect(row).toContain('data-label="Average score" data-value="42"')
    expect(row).toContain('data-label="Opens" data-value="1"')
    expect(row).toContain('1 by mail proxies')
    expect(row).toContain('data-label="Clicks" data-value="1"')
    expect(row).toContain('>Ours<')

    const all = rowOf(await room.page('/audience/tags?machines=1'), tag)
    expect(all).toContain('data-label="Opens" data-value="2"')
    expect(all).not.toContain('by mail proxies')
  })

  it('say what of their opens and clicks is left out, and what cannot be judged', async () => {
    const room = await aRoom()
    const { id: contactId } = await aContact(room)
    await room.audience.retag({ contacts: [contactId], add: ['press'], remove: [] })
    const { id: mailingId } = await aMailing(room)
    const nothing = { os: null, browser: null }
    const link = { kind: 'clicked', url: 'https://a.example' } as const
    await anEngagement(room, { contactId, mailingId, kind: 'opened', ...nothing })
    await anEngagement(room, { contactId, mailingId, ...link, ...nothing })
    const robot = { contactId, mailingId, userAgent: 'curl/8.5.0' }
    await anEngagement(room, { ...robot, kind: 'opened' })
    await anEngagement(room, { ...robot, kind: 'opened', happenedAt: room.clock.now() + 9_000 })
    await anEngagement(room, { ...robot, ...link })

    const tag = await room.idOf('press')
    const [opens, clicks] = cellsOf(rowOf(await room.page(), tag))
    expect(opens).toContain('data-label="Opens" data-value="1"')
    expect(opens).toContain('<span class="under" data-value="2">2 by machines</span>')
    expect(opens).toContain('<span class="under" data-value="1">1 cannot be judged</span>')
    expect(clicks).toContain('data-label="Clicks" data-value="1"')
    expect(clicks).toContain('1 by machines')
    expect(clicks).toContain('1 cannot be judged')

    const [allOpens, allClicks] = cellsOf(rowOf(await room.page('/audience/tags?machines=1'), tag))
    expect(allOpens).toContain('data-label="Opens" data-value="3"')
    expect(allClicks).toContain('data-label="Clicks" data-value="2"')
    for (const cell of [allOpens, allClicks]) {
      expect(cell).not.toContain('by machines')
      expect(cell).toContain('1 cannot be judged')
    }
  })

  it('are listed though nobody has them, and say who keeps them', async () => {
    const room = await aRoom()
    const id = await room.aTheirTag('founder')
    const row = rowOf(await room.page(), id)
    expect(row).toContain('<td class="num tell" data-value="0">')
    expect(row).toContain('>Buttondown<')
    expect(row).toContain('data-value=""')
  })

  it('are put in any order', async () => {
    const room = await aRoom()
    await room.send('/audience/tags', { name: 'b' }).expect(303)
    await room.send('/audience/tags', { name: 'a' }).expect(303)
    const { id } = await aContact(room)
    await room.audience.retag({ contacts: [id], add: ['b'], remove: [] })
    const order = (page: string) =>
      [...page.matchAll(/href="\/audience\?tag=(\w+)"/g)].map(([, name]) => name)
    expect(order(await room.page())).toEqual(['b', 'a'])
    expect(order(await room.page('/audience/tags?sort=name'))).toEqual(['a', 'b'])
    expect(order(await room.page('/audience/tags?sort=name&order=desc'))).toEqual(['b', 'a'])
    expect(order(await room.page('/audience/tags?sort=nonsense'))).toEqual(['b', 'a'])
  })
})

describe('a tag of ours', () => {
  it('is made, described and renamed, and segments follow its name', async () => {
    const room = await aRoom()
    await room.send('/audience/tags', { name: ' press ', description: 'Who writes' }).expect(303)
    expect(await room.page()).toContain('Who writes')
    const id = await room.idOf('press')
    await room.db
      .insertInto('segments')
      .values({ name: 'Warm press', query: 'tag=Press&not=press&score=35', created_at: 0, created_by: null })
      .execute()
    expect(await room.page(`/audience/tags/${id}`)).toContain('Warm press')

    await room.send(`/audience/tags/${id}`, { name: 'journalists', description: '' }).expect(303)
    expect(await room.idOf('journalists')).toBe(id)
    const segment = await room.db.selectFrom('segments').select('query').executeTakeFirstOrThrow()
    expect(segment.query).toBe('tag=journalists&not=journalists&score=35')
  })

  it('is refused without a name, or with one that is taken, and what was typed stays', async () => {
    const room = await aRoom()
    const empty = await room.send('/audience/tags', { name: ' ', description: 'kept' }).expect(422)
    expect(empty.text).toContain('Give the tag a name.')
    expect(empty.text).toContain('value="kept"')

    await room.send('/audience/tags', { name: 'press' }).expect(303)
    const twice = await room.send('/audience/tags', { name: 'PRESS' }).expect(422)
    expect(twice.text).toContain('There is a tag PRESS already.')
    await room.send('/audience/tags', { name: 'radio' }).expect(303)
    const renamed = await room
      .send(`/audience/tags/${await room.idOf('radio')}`, { name: 'press', description: '' })
      .expect(422)
    expect(renamed.text).toContain('There is a tag press already.')
  })

  it('is merged into another: its contacts get that one, counts and segments follow', async () => {
    const room = await aRoom()
    const one = await aContact(room, { email: 'one@a.example' })
    const both = await aContact(room, { email: 'both@a.example' })
    await room.audience.retag({ contacts: [one.id, both.id], add: ['press'], remove: [] })
    await room.audience.retag({ contacts: [both.id], add: ['radio'], remove: [] })
    await room.db
      .insertInto('segments')
      .values({ name: 'Press', query: 'tag=press', created_at: 0, created_by: null })
      .execute()
    const [from, into] = [await room.idOf('press'), await room.idOf('radio')]

    expect((await room.send(`/audience/tags/${from}/merge`, { into: '' }).expect(422)).text).toContain(
      'Choose the tag to merge into.',
    )
    await room.send(`/audience/tags/${from}/merge`, { into: String(from) }).expect(422)
    await room.send(`/audience/tags/${from}/merge`, { into: String(into) }).expect(303)

    expect(await room.idOf('press')).toBe(0)
    expect(rowOf(await room.page(), into)).toContain('<td class="num tell" data-value="2">')
    const segment = await room.db.selectFrom('segments').select('query').executeTakeFirstOrThrow()
    expect(segment.query).toBe('tag=radio')
  })

  it('is deleted after saying what is lost', async () => {
    const room = await aRoom()
    const { id } = await aContact(room)
    await room.audience.retag({ contacts: [id], add: ['press'], remove: [] })
    const tag = await room.idOf('press')
    expect(await room.page(`/audience/tags/${tag}/delete`)).toContain('1 contact</strong> lose')
    expect((await room.send(`/audience/tags/${tag}/delete`, {}).expect(422)).text).toContain(
      'Tick this first.',
    )
    await room.send(`/audience/tags/${tag}/delete`, { sure: '1' }).expect(303)
    expect(await room.idOf('press')).toBe(0)
    expect(await room.db.selectFrom('contact_tags').selectAll().execute()).toEqual([])
    await room.http.get(`/audience/tags/${tag}`).expect(404)
  })
})

describe('a tag that a provider keeps', () => {
  it('can be described here; everything else is done there', async () => {
    const room = await aRoom()
    const id = await room.aTheirTag('founder')
    const page = await room.page(`/audience/tags/${id}`)
    expect(page).toContain('Buttondown keeps this tag.')
    expect(page).not.toContain('Delete…')
    expect(page).not.toContain('name="name"')

    await room.send(`/audience/tags/${id}`, { name: 'mine now', description: 'Pays' }).expect(303)
    expect(await room.db.selectFrom('tags').select(['name', 'description']).executeTakeFirst()).toEqual({
      name: 'founder',
      description: 'Pays',
    })
    await room.http.get(`/audience/tags/${id}/delete`).expect(409)
    await room.send(`/audience/tags/${id}/delete`, { sure: '1' }).expect(409)
    await room.send(`/audience/tags/${id}/merge`, { into: '1' }).expect(409)
  })
})
