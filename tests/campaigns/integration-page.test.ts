import { parse } from 'node:querystring'
import { describe, expect, it } from 'vitest'
import { encodeRecipient } from '../../src/campaigns/recipes.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

async function setUp({
  env = {},
  ...campaign
}: { env?: Record<string, string> } & Parameters<typeof aCampaign>[1] = {}) {
  const app = await testApp({ env })
  const { id } = await aCampaign(app, campaign)
  const person = await aPerson(app)
  const path = `/campaign/${id}/integration`
  return { ...app, id, path, ...person, stranger: app.http }
}

/** What Copy would put on the clipboard. */
const codeOf = (page: string, id: string) =>
  new RegExp(`<code id="${id}">([\\s\\S]*?)</code>`)
    .exec(page)![1]!
    .replace(/<[^>]+>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')

describe('the integration page', () => {
  it('fills in the campaign, and marks what it filled in', async () => {
    const { http, path, id } = await setUp({ env: { BASE_URL: 'http://track.example' } })

    const page = (await http.get(path).expect(200)).text

    expect(codeOf(page, 'arrival-browser')).toBe(
      `<script async src="http://track.example/static/t.js"
        data-campaign="${id}"></script>

<!-- Marks the link that leads to the offer. It is never delayed. -->
<a href="https://paperboat.example/autumn" data-offer>Order</a>
`,
    )
    expect(page).toContain(`data-campaign=&quot;<mark>${id}</mark>&quot;`)
    expect(codeOf(page, 'link-example')).toBe(
      `https://example1.com/?cid=${id}&e=${encodeRecipient('anna@example.com')}`,
    )
    expect(codeOf(page, 'postback-sub')).toBe(
      `http://track.example/api/event?cid=${id}&event=conversion&sub={sub}&eid={order_id}`,
    )
    expect(page).not.toContain('data-key')
  })

  it.each(['browser', 'php', 'node', 'python', 'curl'])(
    'shows %s by an address of its own',
    async (language) => {
      const { http, path } = await setUp()

      const page = (await http.get(`${path}?in=${language}`).expect(200)).text

      expect(page).toContain(`href="${path}?in=${language}" aria-current="true"`)
      expect(codeOf(page, `arrival-${language}`)).toContain('http://localhost:3000')
      expect(page.includes(`id="link-${language}"`)).toBe(language !== 'browser')
      for (const [, id] of page.matchAll(/data-copy="#([\w-]+)"/g)) expect(page).toContain(`id="${id}"`)
    },
  )

  it('falls back to the browser for a language it does not speak', async () => {
    const { http, path } = await setUp()

    expect((await http.get(`${path}?in=cobol`).expect(200)).text).toContain('id="arrival-browser"')
  })

  it('carries the write key where the campaign asks for it', async () => {
    const { http, path } = await setUp({ needs_key: 1 })

    const page = (await http.get(path).expect(200)).text

    expect(codeOf(page, 'arrival-browser')).toContain('data-key="open-sesame"')
    expect(codeOf(page, 'postback-email')).toContain('&key=open-sesame&')
    expect(page).toContain('This campaign asks for its write key')
  })

  it('links to the page that reported last', async () => {
    const { http, path, id, ...app } = await setUp()
    await anEvent({ http: app.stranger }, { cid: id, domain: 'news.fernweh.example' })

    expect(codeOf((await http.get(path)).text, 'link-example')).toMatch(
      /^https:\/\/news\.fernweh\.example\/\?cid=/,
    )
  })

  it('tells what BASE_URL is worth', async () => {
    const local = await setUp()
    expect((await local.http.get(local.path)).text).toContain('Only this machine reaches it')
    const plain = await setUp({ env: { BASE_URL: 'http://track.example' } })
    const page = (await plain.http.get(plain.path).set('Host', '192.0.2.7:3000')).text
    expect(page).toContain('over plain http')
    expect(page).toContain('You see this page at <code>http://192.0.2.7:3000</code>')
  })

  it('is for those who have logged in, and only for campaigns there are', async () => {
    const { http, path, stranger } = await setUp()

    await stranger.get(path).expect(303)
    await stranger.get(`${path}/waiting`).expect(303)
    await http.get('/campaign/99/integration').expect(404)
    await http.get('/campaign/x/integration/waiting').expect(404)
  })
})

describe('the panel', () => {
  it('waits, tells why requests were refused, and says when the first event has come', async () => {
    const { part, http, path, id, clock, stranger } = await setUp()
    const waiting = `${path}/waiting`
    const quiet = (await part(waiting).expect(200)).text
    expect(quiet).toContain('Waiting for the first event')
    expect(quiet).toContain('hx-trigger="every 2s, refresh"')
    expect(quiet).toContain('Somebody knocks')

    await stranger
      .get('/api/event')
      .query({ cid: id + 10, event: 'email_click', email: 'a@b.example', domain: 'go.example' })
    const refused = (await part(waiting)).text
    expect(refused).toContain('Somebody knocked')
    expect(refused).toContain(`Campaign ${id + 10} does not exist. This one is ${id}.`)
    expect(refused).toContain('<hx-partial hx-target="#refused"')
    expect(refused).not.toContain('a@b.example')

    await anEvent({ http: stranger }, { cid: id, domain: 'news.fernweh.example' })
    const come = (await part(waiting)).text
    expect(come).toContain('The first event has come')
    expect(come).toContain('On news.fernweh.example')
    expect(come).toContain('hx-trigger="every 10s, refresh"')
    expect((await http.get(path)).text).toContain('The first event has come')

    clock.pass(3_600_001)
    expect((await part(waiting)).text).not.toContain('does not exist')
  })

  it('answers 304 while nothing changes', async () => {
    const { part, path } = await setUp()
    const refresh = () => part(`${path}/waiting`).set({ Host: 'localhost:3000', 'X-Refresh': '1' })
    const first = await refresh().expect(200)

    await refresh().set('HX-PTag', first.headers['hx-ptag']!).expect(304)
  })

  it('leaves out what is meant for another campaign, and shows the newest ten', async () => {
    const { http, path, id, stranger, ...app } = await setUp()
    const other = await aCampaign(app)
    await stranger.get('/api/event').query({ cid: other.id, event: 'nonsense' })
    expect((await http.get(path)).text).toContain('None.')
    for (let i = 0; i < 12; i++) await stranger.get('/api/event').query({ cid: id, event: `click-${i}` })

    const page = (await http.get(path)).text

    expect(page).toContain('12 requests in the last hour, all refused')
    expect(page).toContain('The newest 10 of 12.')
    expect(page).toContain('event=click-11')
    expect(page).not.toContain('event=click-1&')
    expect(page).not.toContain('nonsense')
  })

  it('records a test event that says what it is, key or not', async () => {
    const { send, http, path, db } = await setUp({ needs_key: 1 })

    const answer = await send(`${path}/test-event`, { in: 'node' }).expect(303)

    expect(answer.headers.location).toBe(`${path}?in=node`)
    const page = (await http.get(path)).text
    expect(page).toContain('A test event is recorded: an email click of test@example.com on localhost.')
    expect(page).toContain('1 event so far')
    const event = await db.selectFrom('events').selectAll().executeTakeFirstOrThrow()
    expect(event).toMatchObject({
      kind: 1,
      extra: '{"test":"1"}',
      verdict: 0,
      address: null,
      user_agent_id: null,
    })
  })

  it('says so when a test event cannot be recorded', async () => {
    const { send, path, ledger, db } = await setUp()
    await ledger.close()
    const answer = await send(`${path}/test-event`, {}).expect(503)
    expect(answer.text).toContain('Throughline is shutting down.')
    expect(answer.headers['retry-after']).toBe('5')
    expect(await db.selectFrom('events').selectAll().execute()).toEqual([])
  })

  it('changes nothing without the token of the page', async () => {
    const { http, path, db } = await setUp()

    await http.post(`${path}/test-event`).type('form').send({}).expect(403)

    expect(await db.selectFrom('events').selectAll().execute()).toEqual([])
  })
})

describe('the link maker', () => {
  const list = [
    'Ada@Fernmail.example',
    '',
    'nobody',
    'Eve <eve@fernmail.example>',
    '7;"bob@fernmail.example";Bob',
    'a b@c.example',
  ].join('\r\n')

  it('makes a link for each address and names the lines it cannot read', async () => {
    const { send, path, id, db } = await setUp()

    const page = (
      await send(`${path}/links`, { landing_url: 'https://example1.com/?x=1', addresses: list }).expect(200)
    ).text

    const made = /id="made"[^>]*>\n([\s\S]*?)<\/textarea>/
      .exec(page)![1]!
      .replaceAll('&amp;', '&')
      .split('\n')
    expect(made.map((line) => line.split('\t')[0])).toEqual([
      'ada@fernmail.example',
      'eve@fernmail.example',
      'bob@fernmail.example',
    ])
    const link = new URL(made[0]!.split('\t')[1]!)
    expect(parse(link.search.slice(1))).toEqual({
      x: '1',
      cid: String(id),
      e: encodeRecipient('ada@fernmail.example'),
    })
    expect(page).toContain('Line 3: <code>nobody</code> There is no address in it.')
    expect(page).toContain('Line 6: <code>a b@c.example</code> The address has a space in it.')
    expect(page).toContain('Eve &lt;eve@fernmail.example&gt;')
    expect(await db.selectFrom('contacts').selectAll().execute()).toEqual([])
  })

  it('gives the same as CSV, in which no cell is a formula', async () => {
    const { send, path, id } = await setUp()

    const file = await send(`${path}/links`, {
      landing_url: 'https://example1.com/',
      addresses: '=cmd@fernmail.example\nnobody',
      as: 'csv',
    }).expect(200)

    expect(file.headers['content-type']).toBe('text/csv; charset=utf-8')
    expect(file.headers['content-disposition']).toBe(`attachment; filename=campaign-${id}-links.csv`)
    expect(file.text).toBe(
      `line,email,link,problem\n1,'=cmd@fernmail.example,https://example1.com/?cid=${id}&e=${encodeRecipient('=cmd@fernmail.example')},\n2,nobody,,There is no address in it.\n`,
    )
  })

  it('asks again, with reasons, and keeps what was typed', async () => {
    const { send, path } = await setUp()

    const wrong = (await send(`${path}/links`, { landing_url: 'example1.com', addresses: ' \n' }).expect(422))
      .text
    expect(wrong).toContain('The landing page starts with https:// or http://')
    expect(wrong).toContain('Paste at least one address.')
    expect(wrong).toContain('value="example1.com"')
    const taken = (
      await send(`${path}/links`, {
        landing_url: 'https://a.example/?cid=4',
        addresses: 'a@b.example',
      }).expect(422)
    ).text
    expect(taken).toContain('The links bring their own.')
    expect(taken).toContain('a@b.example</textarea>')
    await send(`${path}/links`, {}).expect(422)
  })

  it('takes a long list, and names the first bad lines of many', async () => {
    const { send, path } = await setUp()
    const people = Array.from({ length: 15_000 }, (_, i) => `reader-number-${i}@fernmail.example`)
    const addresses = [...people, ...Array.from({ length: 25 }, (_, i) => `bad ${i}`)].join('\n')

    const page = (
      await send(`${path}/links`, { landing_url: 'https://example1.com/', addresses }).expect(200)
    ).text

    expect(page).toContain('15,000 links')
    expect(page).toContain('25 lines without a link.')
    expect(page).toContain('And 5 more')
  })
})
