import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeRecipient } from '../../src/campaigns/recipes.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, firefox } from '../support/builders.js'
import { aSite } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

interface Landing {
  /** More attributes of the script. */
  script?: string
  /** Where the snippet is loaded from, when it is not the site. */
  from?: string
  /** Runs before anything on the page. */
  before?: string
  links?: string
}

/** A landing page on a host of its own, with a reader who has just opened a window. */
async function aReader({ script = '', from, before = '', links }: Landing = {}) {
  const site = await aSite()
  const campaign = await aCampaign(site)
  const other = await aCampaign(site, { name: 'Winter Warmers' })
  const server = createServer((req, res) => {
    res.setHeader('content-type', 'text/html')
    if (req.url!.startsWith('/offer')) return res.end('<h1>The offer</h1>')
    const src = `${from ?? site.origin}/static/t.js`
    const { id } = req.url!.startsWith('/winter') ? other : campaign
    res.end(`<!doctype html><title>Landing</title>
      ${links ?? '<a id="order" href="/offer?a=%20b#top" data-offer><b>Order</b></a> <a id="other" href="/offer">Other</a>'}
      <script async src="${src}" data-campaign="${id}" ${script}></script>`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  // The page's host is another one than the tracker's, as in life.
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`

  const context = await browser.createBrowserContext()
  onTestFinished(() => context.close())
  const page = await context.newPage()
  await page.setUserAgent({ userAgent: firefox })
  if (before) await page.evaluateOnNewDocument(before)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))

  const events = () =>
    site.db
      .selectFrom('events')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .innerJoin('sending_domains', 'sending_domains.id', 'domain_id')
      .select(['campaign_id', 'kind', 'email', 'sending_domains.name as domain', 'caller_id', 'extra'])
      .orderBy('events.id')
      .execute()
  const until = (count: number) => expect.poll(async () => (await events()).length).toBe(count)
  const link = (email = 'ada@fernmail.example', more = '') =>
    `${origin}/?cid=${campaign.id}&e=${encodeRecipient(email)}${more}`
  return {
    site,
    campaign,
    other,
    origin,
    page,
    events,
    until,
    link,
    faults,
    visit: (url: string) => page.goto(url),
  }
}

describe('the snippet on a landing page', () => {
  it('reports an arrival and the way to the offer, and hands a sub-id on', async () => {
    const { page, visit, link, until, events, site, campaign, faults } = await aReader()

    await visit(link('süß+ada@fernmail.example', '&utm=%20x&flag#part'))
    await until(1)
    expect(new URL(page.url()).search + new URL(page.url()).hash).toBe('?utm=%20x&flag#part')
    await Promise.all([page.waitForNavigation(), page.click('#order b')])
    await until(2)

    const [arrival, landing] = await events()
    expect(arrival).toMatchObject({
      kind: 1,
      email: 'süß+ada@fernmail.example',
      domain: 'localhost',
      extra: null,
    })
    expect(landing).toMatchObject({
      kind: 2,
      email: 'süß+ada@fernmail.example',
      domain: 'localhost',
      extra: null,
    })
    const offer = new URL(page.url())
    expect(offer.search + offer.hash).toBe(`?a=%20b&sub=${arrival!.caller_id}#top`)
    await site.http
      .get('/api/event')
      .query({ cid: campaign.id, event: 'conversion', sub: arrival!.caller_id!, eid: 'order-1' })
      .expect(200)
    expect((await events()).at(-1)).toMatchObject({ kind: 3, email: 'süß+ada@fernmail.example' })
    expect(faults).toEqual([])
    expect(await page.cookies()).toEqual([])
  })

  it('counts one arrival through reload, back, and further pages, and another one anew', async () => {
    const { page, visit, link, until, events, origin } = await aReader()

    await visit(link())
    await until(1)
    await page.reload()
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(2)
    await page.goBack()
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(3)
    await visit(`${origin}/further`)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(4)
    await visit(link())
    await until(5)

    const kinds = (await events()).map(({ kind }) => kind)
    expect(kinds).toEqual([1, 2, 2, 2, 1])
    expect(
      new Set((await events()).filter(({ kind }) => kind === 1).map(({ caller_id }) => caller_id)).size,
    ).toBe(2)
  })

  it('keeps two campaigns in one tab apart', async () => {
    const { page, visit, link, origin, until, events, campaign, other } = await aReader()

    await visit(link())
    await until(1)
    await visit(`${origin}/winter`)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    expect(new URL(page.url()).search).toBe('?a=%20b')
    await visit(`${origin}/further`)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(2)
    await visit(`${origin}/winter?e=${encodeRecipient('ben@fernmail.example')}`)
    await until(3)

    expect((await events()).map(({ campaign_id, kind }) => [campaign_id, kind])).toEqual([
      [campaign.id, 1],
      [campaign.id, 2],
      [other.id, 1],
    ])
  })

  it('keeps the state a page has put into its history', async () => {
    const { page, visit, link, until } = await aReader({ before: 'history.replaceState({ mine: 7 }, "")' })

    await visit(link())
    await until(1)

    expect(await page.evaluate('history.state.mine')).toBe(7)
    expect(new URL(page.url()).search).toBe('')
  })

  it('takes the recipient from the page, and follows other links without a word', async () => {
    const { page, visit, until, events, origin } = await aReader({
      script: 'data-email="eve@fernmail.example" data-sub="aff"',
    })

    await visit(`${origin}/?e=5&cid=a`)
    await until(1)
    expect(new URL(page.url()).search).toBe('?e=5&cid=a')
    await Promise.all([page.waitForNavigation(), page.click('#other')])
    expect(new URL(page.url()).search).toBe('')
    await page.goBack()
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(2)

    expect(new URL(page.url()).searchParams.get('aff')).toBe((await events())[0]!.caller_id)
    expect((await events()).map(({ kind, email }) => [kind, email])).toEqual([
      [1, 'eve@fernmail.example'],
      [2, 'eve@fernmail.example'],
    ])
  })

  it('says the write key', async () => {
    const { site, campaign, visit, link, until } = await aReader({ script: 'data-key="open-sesame"' })
    await site.db.updateTable('campaigns').set({ needs_key: 1 }).where('id', '=', campaign.id).execute()

    await visit(link())

    await until(1)
  })

  it.each([
    ['is missing', 'Navigator.prototype.sendBeacon = undefined'],
    ['refuses', 'Navigator.prototype.sendBeacon = () => false'],
    ['throws', 'Navigator.prototype.sendBeacon = () => { throw new Error("blocked") }'],
  ])('reports where sendBeacon %s', async (_name, before) => {
    const { page, visit, link, until, faults } = await aReader({ before })

    await visit(link())
    await until(1)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(2)

    expect(faults).toEqual([])
  })

  it('lets the reader go on where nothing works', async () => {
    const { page, visit, link, events, faults } = await aReader({
      from: 'http://127.0.0.1:9',
      before:
        'delete window.sessionStorage; History.prototype.replaceState = () => { throw new Error("no") }',
    })

    await visit(link())
    await Promise.all([page.waitForNavigation(), page.click('#order')])

    expect(await page.$eval('h1', (title) => title.textContent)).toBe('The offer')
    expect(await events()).toEqual([])
    expect(faults).toEqual([])
  })

  it('reports and throws nothing where history and storage are forbidden', async () => {
    const { page, visit, link, until, faults } = await aReader({
      before: `History.prototype.replaceState = () => { throw new Error('no') }
        Object.defineProperty(window, 'sessionStorage', { get() { throw new Error('no') } })`,
    })

    await visit(link())
    await until(1)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    await until(2)

    expect(faults).toEqual([])
  })

  it('stays silent where nobody is named', async () => {
    const { page, visit, origin, link, until, events } = await aReader()

    await visit(`${origin}/?e=bm9ib2R5&x=1`)
    await Promise.all([page.waitForNavigation(), page.click('#order')])
    expect(new URL(page.url()).search).toBe('?a=%20b')
    await visit(link())
    await until(1)

    expect((await events())[0]).toMatchObject({ kind: 1, email: 'ada@fernmail.example' })
  })

  it('waits until a page rendered ahead is looked at', async () => {
    const { page, visit, link, until, events } = await aReader({
      before:
        'let ahead = true; Object.defineProperty(document, "prerendering", { get: () => ahead, configurable: true }); window.look = () => { ahead = false; document.dispatchEvent(new Event("prerenderingchange")) }',
    })

    await visit(link())
    expect(new URL(page.url()).searchParams.has('e')).toBe(true)
    expect(await events()).toEqual([])
    await page.evaluate('look()')

    await until(1)
    expect(new URL(page.url()).search).toBe('')
  })
})
