import { describe, expect, it } from 'vitest'
import { dayLength } from '../../src/web/calendar.js'
import { type TestApp, testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact, aList } from './rows.js'

const day = dayLength

/** The names of the rows, in their order. */
const namesIn = (page: string) =>
  [...page.matchAll(/class="row-link" href="\/audience\/\d+">([^<]*)</g)].map(([, name]) => name)

/** Four people who differ in everything that can be asked for. */
async function aRoom() {
  const app = await testApp()
  const at = app.clock.now()
  const ada = await aContact(app, {
    email: 'ada@fernmail.example',
    name: 'Ada Okonkwo',
    name_folded: 'ada okonkwo',
    status: 'subscribed',
    source: 'buttondown',
    score: 71.4,
    score_before: 62.2,
    band: 'champion',
    mailings: 20,
    opens: 24,
    proxy_opens: 6,
    machine_opens: 2,
    unjudged_opens: 3,
    clicks: 19,
    machine_clicks: 4,
    last_active_at: at - 2 * day,
    machine_last_active_at: at - 1 * day,
    subscribed_at: at - 100 * day,
  })
  const ben = await aContact(app, {
    email: 'ben@posteo.example',
    status: 'unsubscribed',
    source: 'csv',
    score: 12,
    score_before: 20,
    band: 'fading',
    opens: 3,
    clicks: 1,
    last_active_at: at - 80 * day,
    machine_last_active_at: at - 3 * day,
    subscribed_at: at - 400 * day,
  })
  const cleo = await aContact(app, {
    email: 'cleo@sub.fernmail.example',
    name: 'Cleo',
    name_folded: 'cleo',
    status: 'subscribed',
    score: 40,
    score_before: 40,
    band: 'active',
    opens: 30,
    last_active_at: at - 10 * day,
  })
  const dora = await aContact(app, { email: 'dora@inboxly.example', source: 'tracker' })
  await aContact(app, { email: 'erased:5', erased_at: at, score: 99, band: 'champion', proxy_opens: 50 })
  await app.audience.retag({ contacts: [ada, ben], add: ['buyer'], remove: [] })
  await app.audience.retag({ contacts: [ada, cleo], add: ['reader'], remove: [] })
  const list = await aList(app, 'Slow Mornings')
  await app.db
    .insertInto('subscriptions')
    .values([
      { list_id: list, contact_id: ada, status: 'subscribed', subscribed_at: at },
      { list_id: list, contact_id: ben, status: 'unsubscribed', subscribed_at: at },
    ])
    .execute()
  const person = await aPerson(app)
  return { ...app, ...person, ids: { ada, ben, cleo, dora }, list }
}

async function shown({ http }: Awaited<ReturnType<typeof aPerson>>, query: string) {
  const page = await http.get(`/audience${query}`).expect(200)
  return namesIn(page.text)
}

describe('the ranking', () => {
  it('shows everybody who was not erased, the highest score first, those without one last', async () => {
    const room = await aRoom()
    const { text } = await room.http.get('/audience').expect(200)
    expect(namesIn(text)).toEqual(['Ada Okonkwo', 'Cleo', 'ben@posteo.example', 'dora@inboxly.example'])
    expect(text).not.toContain('erased:5')
    expect(text).toContain('<span data-value="4">4 contacts</span>')
  })

  it('tells score, band, trend, and what is left out beside opens and clicks', async () => {
    const { http, ids } = await aRoom()
    const { text } = await http.get('/audience').expect(200)
    const row = text.slice(
      text.indexOf(`id="contact-${ids.ada}"`),
      text.indexOf('</tr>', text.indexOf(`id="contact-${ids.ada}"`)),
    )
    expect(row).toContain('data-value="71"')
    expect(row).toContain('champion')
    expect(row).toContain('trend--up')
    expect(row).toContain('9<span class="visually-hidden"> points up in 30 days')
    expect(row).toContain(
      'data-value="24" title="6 by mail proxies left out, 2 by machines left out, 3 cannot be judged"',
    )
    expect(row).toContain(`href="/audience/${ids.ada}#score"`)
    expect(text).toContain('Left out of these 4: 6 opens by mail proxies, 6 by machines')
    expect(text).toMatch(/3 cannot be judged/)
  })

  it('counts machines and proxies too when asked to', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?machines=1').expect(200)
    expect(text).toContain('data-label="Opens" data-value="32"')
    expect(text).toContain('data-label="Clicks" data-value="23"')
    expect(text).toContain('Counted of these 4: 6 opens by mail proxies')
  })

  it('gives the sizes of the bands, erased people left out', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?band=champion').expect(200)
    expect(text).toContain('href="/audience?band=champion"')
    expect(text).toMatch(/aria-current="true">Champion <span data-value="1">1</)
    expect(text).toMatch(/Everyone <span data-value="4">4</)
    expect(text).toMatch(/No score yet <span data-value="1">1</)
    expect(namesIn(text)).toEqual(['Ada Okonkwo'])
  })

  it('is the same page to htmx, without its frame', async () => {
    const { http, part } = await aRoom()
    const page = await http.get('/audience?score=30').expect(200)
    const fragment = await part('/audience?score=30').expect(200)
    expect(fragment.text).not.toContain('<html')
    expect(page.text).toContain(fragment.text.trim())
  })
})

describe('each filter', () => {
  it.each([
    ['?q=okonk', ['Ada Okonkwo']],
    ['?q=ada+okonkwo', ['Ada Okonkwo']],
    ['?q=MAIL.ex', ['Ada Okonkwo', 'Cleo']],
    ['?q=co', []],
    ['?tag=buyer', ['Ada Okonkwo', 'ben@posteo.example']],
    ['?tag=BUYER', ['Ada Okonkwo', 'ben@posteo.example']],
    ['?tag=buyer&tag=reader', ['Ada Okonkwo']],
    ['?tag=buyer&tag=reader&tags=any', ['Ada Okonkwo', 'Cleo', 'ben@posteo.example']],
    ['?tag=nobody-has-it', []],
    ['?tag=buyer&tag=nobody-has-it&tags=any', ['Ada Okonkwo', 'ben@posteo.example']],
    ['?not=buyer', ['Cleo', 'dora@inboxly.example']],
    ['?tag=reader&not=buyer', ['Cleo']],
    ['?status=subscribed', ['Ada Okonkwo', 'Cleo']],
    ['?status=none', ['dora@inboxly.example']],
    ['?list=1', ['Ada Okonkwo', 'ben@posteo.example']],
    ['?list=1&status=unsubscribed', ['ben@posteo.example']],
    ['?list=1&status=none', []],
    ['?band=none', ['dora@inboxly.example']],
    ['?source=csv', ['ben@posteo.example']],
    ['?score=40', ['Ada Okonkwo', 'Cleo']],
    ['?active=30', ['Ada Okonkwo', 'Cleo']],
    ['?active=5&machines=1', ['Ada Okonkwo', 'ben@posteo.example']],
    ['?quiet=30', ['ben@posteo.example', 'dora@inboxly.example']],
    ['?domain=fernmail.example', ['Ada Okonkwo']],
  ])('%s', async (query, expected) => {
    expect(await shown(await aRoom(), query)).toEqual(expected)
  })

  it('finds by name and address through the index too', async () => {
    const room = await aRoom()
    await room.jobs.perform('index-contacts')
    expect(await shown(room, '?q=okonk')).toEqual(['Ada Okonkwo'])
    expect(await shown(room, '?q=fernmail')).toEqual(['Ada Okonkwo', 'Cleo'])
  })

  it('shows as a chip with its own way out', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?tag=buyer&score=10&not=x&sort=name').expect(200)
    expect(text).toContain('score<b>10 or more</b><a href="/audience?tag=buyer&amp;not=x&amp;sort=name"')
    expect(text).toContain('aria-label="Remove the filter: tag is not x"')
  })

  it('can be added without a script', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?tag=buyer&add=band').expect(200)
    const form = text.slice(text.indexOf('aria-label="Add a filter"'))
    expect(form).toContain('<input type="hidden" name="tag" value="buyer">')
    expect(form).toContain('<select class="input" id="adding" name="band" autofocus>')
    for (const name of ['tag', 'not', 'list', 'status', 'source', 'score', 'active', 'quiet', 'domain'])
      await http.get(`/audience?add=${name}`).expect(200)
  })

  it('says so where nobody matches, with a way out', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?q=zzz').expect(200)
    expect(text).toContain('Nobody matches')
    expect(text).toContain('href="/audience"')
  })
})

describe('the order', () => {
  it.each([
    ['?sort=score-asc', ['ben@posteo.example', 'Cleo', 'Ada Okonkwo', 'dora@inboxly.example']],
    ['?sort=name', ['Ada Okonkwo', 'ben@posteo.example', 'Cleo', 'dora@inboxly.example']],
    ['?sort=trend', ['Ada Okonkwo', 'Cleo', 'ben@posteo.example', 'dora@inboxly.example']],
    ['?sort=opens', ['Cleo', 'Ada Okonkwo', 'ben@posteo.example', 'dora@inboxly.example']],
    ['?sort=opens&machines=1', ['Ada Okonkwo', 'Cleo', 'ben@posteo.example', 'dora@inboxly.example']],
    ['?sort=clicks-asc', ['dora@inboxly.example', 'Cleo', 'ben@posteo.example', 'Ada Okonkwo']],
    ['?sort=last', ['Ada Okonkwo', 'Cleo', 'ben@posteo.example', 'dora@inboxly.example']],
    ['?sort=last&machines=1', ['Ada Okonkwo', 'ben@posteo.example', 'Cleo', 'dora@inboxly.example']],
    ['?sort=since', ['Ada Okonkwo', 'ben@posteo.example', 'dora@inboxly.example', 'Cleo']],
  ])('%s', async (query, expected) => {
    expect(await shown(await aRoom(), query)).toEqual(expected)
  })

  it('is told by the head of the table', async () => {
    const { http } = await aRoom()
    const { text } = await http.get('/audience?sort=opens').expect(200)
    expect(text).toMatch(/aria-sort="descending"><a class="sort" href="\/audience\?sort=opens-asc"/)
  })
})

async function aCrowd(app: TestApp, size: number) {
  for (let index = 0; index < size; index++)
    await aContact(app, {
      email: `reader${String(index).padStart(3, '0')}@x.example`,
      // Many equals, and some without a score.
      ...(index % 10 === 0 ? {} : { score: index % 4, band: index % 2 ? 'fading' : 'new' }),
      opens: index % 3,
    })
}

describe('a long list', () => {
  it.each(['', 'band=new', 'sort=score-asc', 'sort=opens', 'sort=name-desc', 'q=reader', 'quiet=5'])(
    'comes page by page, nobody twice and nobody left out: %s',
    async (query) => {
      const app = await testApp()
      await aCrowd(app, 130)
      const { http } = await aPerson(app)
      const seen: (string | undefined)[] = []
      let address: string | undefined = query ? `/audience?${query}` : '/audience'
      while (address) {
        const { text }: { text: string } = await http.get(address).expect(200)
        seen.push(...namesIn(text))
        address = /id="load-more" href="([^"]*)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
      }
      const expected = query === 'band=new' ? 52 : 130
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen).toHaveLength(expected)
    },
  )

  it('loads more as htmx asks for it', async () => {
    const app = await testApp()
    await aCrowd(app, 70)
    const { http, part } = await aPerson(app)
    const { text } = await http.get('/audience?sort=name').expect(200)
    const next = /id="load-more"[^>]* hx-get="([^"]*)"/.exec(text)![1]!.replaceAll('&amp;', '&')
    const more = await part(next).expect(200)
    expect(namesIn(more.text)).toHaveLength(20)
    expect(more.text).toContain('Showing <span data-value="70">70</span> of')
    expect(more.text).not.toContain('id="load-more"')
  })

  it('refreshes itself only in the usual order, and answers 304 when nothing changed', async () => {
    const app = await testApp()
    await aCrowd(app, 3)
    const { http, part } = await aPerson(app)
    const page = await http.get('/audience').expect(200)
    expect(page.text).toContain('hx-get="/audience/ranking"')
    expect((await http.get('/audience?sort=name').expect(200)).text).not.toContain('/audience/ranking')
    expect((await http.get('/audience?score=1').expect(200)).text).not.toContain('/audience/ranking')

    const first = await part('/audience/ranking').set('X-Refresh', '1').expect(200)
    expect(page.text).toContain(first.text.trim())
    await part('/audience/ranking')
      .set('X-Refresh', '1')
      .set('HX-PTag', first.headers['hx-ptag']!)
      .expect(304)
    await aContact(app, { email: 'new@x.example', score: 90, band: 'champion' })
    const after = await part('/audience/ranking').set('X-Refresh', '1').expect(200)
    expect(namesIn(after.text)[0]).toBe('new@x.example')
    expect(after.text).toContain('of <span data-value="4">4 contacts</span>')
  })
})

describe('before the first contact', () => {
  it('says what this will be and what to do next', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const { text } = await http.get('/audience').expect(200)
    expect(text).toContain('See who reads you')
    expect(text).toContain('href="/providers/buttondown">Connect Buttondown</a>')
    expect(text).toContain('href="/audience/import">Import CSV</a>')
    expect(text).toContain('hx-trigger="every 10s, refresh"')
  })

  it('says that a provider is being read', async () => {
    const app = await testApp()
    const at = app.clock.now()
    await app.db
      .insertInto('sync_runs')
      .values({ provider: 'buttondown', kind: 'first', state: 'running', started_at: at, seen_at: at })
      .execute()
    const { http } = await aPerson(app)
    expect((await http.get('/audience').expect(200)).text).toContain('Buttondown is being read.')
  })
})

describe('tagging', () => {
  const tagsOf = async ({ db }: Pick<TestApp, 'db'>, contact: number) =>
    (
      await db
        .selectFrom('contact_tags')
        .innerJoin('tags', 'tags.id', 'tag_id')
        .select('name')
        .where('contact_id', '=', contact)
        .orderBy('name')
        .execute()
    ).map(({ name }) => name)

  it('puts a tag on those that were chosen, and makes it where there is none', async () => {
    const { db, http, token, ids } = await aRoom()
    const answer = await http
      .post('/audience/tagging')
      .type('form')
      .send(`_csrf=${token}&filter=sort%3Dname&do=tag&tag=press&id=${ids.cleo}&id=${ids.dora}`)
      .expect(303)
    expect(answer.headers.location).toBe('/audience?sort=name')
    expect(await tagsOf({ db }, ids.cleo)).toEqual(['press', 'reader'])
    expect(await tagsOf({ db }, ids.dora)).toEqual(['press'])
    expect(await tagsOf({ db }, ids.ada)).toEqual(['buyer', 'reader'])
    expect((await http.get('/audience')).text).toContain('The tag press is on 2 contacts.')
  })

  it('takes a tag off all that the filter lets through', async () => {
    const { db, send, http, ids } = await aRoom()
    await send('/audience/tagging', { filter: 'tag=buyer', all: '1', do: 'untag', tag: 'Buyer' }).expect(303)
    expect(await tagsOf({ db }, ids.ada)).toEqual(['reader'])
    expect(await tagsOf({ db }, ids.ben)).toEqual([])
    expect((await http.get('/audience')).text).toContain('The tag Buyer is off 2 contacts.')
  })

  it('leaves what a provider keeps, and says so', async () => {
    const { db, send, http, ids, clock } = await aRoom()
    const { id } = await db
      .selectFrom('tags')
      .select('id')
      .where('name', '=', 'buyer')
      .executeTakeFirstOrThrow()
    await db
      .insertInto('contact_tags')
      .values({ contact_id: ids.ada, tag_id: id, origin: 'buttondown', added_at: clock.now() })
      .execute()
    await send('/audience/tagging', { filter: '', id: String(ids.ada), do: 'untag', tag: 'buyer' }).expect(
      303,
    )
    expect(await tagsOf({ db }, ids.ada)).toEqual(['buyer', 'reader'])
    expect((await http.get('/audience')).text).toContain('It is kept on 1 by Buttondown')
  })

  it('asks again for a tag, with the same contacts chosen', async () => {
    const { send, ids } = await aRoom()
    const answer = await send('/audience/tagging', {
      filter: 'score=10',
      id: String(ids.cleo),
      do: 'tag',
      tag: ' ',
    })
    expect(answer.status).toBe(422)
    expect(answer.text).toContain('Name a tag.')
    expect(answer.text).toMatch(new RegExp(`value="${ids.cleo}" form="selection"[^>]* checked`))
    expect(answer.text).toContain('score<b>10 or more</b>')
  })

  it('wants somebody to be chosen', async () => {
    const { send } = await aRoom()
    const answer = await send('/audience/tagging', { filter: '', do: 'tag', tag: 'press' }).expect(422)
    expect(answer.text).toContain('Choose some contacts first.')
  })

  it('takes a long selection', async () => {
    const app = await testApp()
    await aCrowd(app, 3)
    const { http, token } = await aPerson(app)
    const many = Array.from({ length: 1500 }, (_, index) => `id=${index + 1}`).join('&')
    await http
      .post('/audience/tagging')
      .type('form')
      .send(`_csrf=${token}&do=tag&tag=all&${many}`)
      .expect(303)
    expect(await tagsOf(app, 1)).toEqual(['all'])
  })
})
