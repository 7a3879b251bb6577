import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { accessibilityFaults, aSite, aWindow, logIn, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const hour = 3_600_000
const day = 24 * hour

/** A list with fields, tags and history; mailings by the provider's numbers with a message, links, ties and a band. */
async function aToldSite() {
  const site = await aSite()
  const { db, audience } = site
  const now = Date.now()
  const list = await aList(site)
  await db
    .updateTable('lists')
    .set({ double_opt_in: 1, subscribed: 12_482, pending: 14, unsubscribed: 903, gone_at: now - day })
    .execute()
  await db
    .insertInto('list_fields')
    .values(
      [
        { tag: 'City', label: 'Home town', type: 'text', choices: '[]', fallback: 'somewhere', position: 1 },
        {
          tag: 'Likes',
          label: 'Likes',
          type: 'choice',
          choices: '["tea","rain"]',
          fallback: null,
          position: 2,
        },
      ].map((field) => ({ ...field, list_id: list.id })),
    )
    .execute()
  await db.insertInto('list_tags').values({ list_id: list.id, name: 'press' }).execute()
  for (const [days, subscribed] of [
    [60, 11_900],
    [30, 12_500],
    [10, 12_482],
  ] as const)
    await db
      .insertInto('list_snapshots')
      .values({ list_id: list.id, taken_at: now - days * day, subscribed, unsubscribed: 900, pending: 3 })
      .execute()
  const mailings: number[] = []
  for (let week = 6; week >= 0; week--) {
    const sent_at = now - week * 7 * day - 2 * day
    const { id: mailing_id } = await aMailing(site, {
      provider: 'emailoctopus',
      list_id: list.id,
      name: `Issue ${112 - week}, a rather long title that has to break somewhere`,
      sent_at,
    })
    mailings.push(mailing_id)
    const numbers = (opened: number) => ({
      recipients: 1000,
      deliveries: 990,
      opens: opened * 2,
      unique_opens: opened,
      clicks: opened,
      unique_clicks: Math.round(opened / 5),
    })
    for (const [hours, opened, is_lower] of [
      [1, 100, 0],
      [6, 300 + week * 10, 0],
      [12, 290, 1],
      [30, 400, 0],
    ] as const)
      await db
        .insertInto('mailing_snapshots')
        .values({ mailing_id, taken_at: sent_at + hours * hour, is_lower, ...numbers(opened) })
        .execute()
    await db
      .insertInto('mailing_reports')
      .values({ mailing_id, checked_at: now - hour, ...numbers(400) })
      .execute()
  }
  const mailing = mailings.at(-1)!
  await db
    .insertInto('mailing_contents')
    .values({
      mailing_id: mailing,
      html: '<h1 id="hello">Slow tools</h1><script>document.body.remove()</script><img src="https://tracker.example/x.gif" alt="">',
    })
    .execute()
  await db
    .insertInto('mailing_link_reports')
    .values({
      mailing_id: mailing,
      url: 'https://bindery.example/a/long/link/to/notebooks?with=a&query=that-goes-on',
      clicks: 400,
      unique_clicks: 80,
      checked_at: now,
    })
    .execute()
  const { id: campaign_id } = await aCampaign(site)
  await anEvent(site, { cid: campaign_id, event: 'landing_click', email: 'reader1@fernmail.example' })
  await db.updateTable('mailings').set({ campaign_id }).where('id', '=', mailing).execute()
  for (let index = 0; index < 4; index++) {
    const email = `reader${index}.with-a-long-name-of-its-own@fernmail.example`
    const { id: contact_id } = await aContact(site, { email, name: index % 2 ? `Reader ${index}` : '' })
    await db
      .insertInto('subscriptions')
      .values({
        list_id: list.id,
        contact_id,
        status: index === 3 ? 'unsubscribed' : 'subscribed',
        subscribed_at: now - index * day,
        fields: JSON.stringify({ City: index % 2 ? 'Oslo' : 'Bergen', Likes: ['tea'] }),
      })
      .execute()
    const about = { contactId: contact_id, mailingId: mailing, happenedAt: now - day }
    await anEngagement(site, { ...about, kind: 'opened', os: null, browser: null })
    await audience.retag({ contacts: [contact_id], add: ['press'], remove: [] })
  }
  return { site, mailing, list: list.id }
}

const pages = ({ mailing, list }: { mailing: number; list: number }) => [
  `/mailings/${mailing}`,
  `/mailings/${mailing}?span=30d&draw=clicks&images=1`,
  `/mailings/${mailing - 1}`,
  '/lists',
  `/lists/${list}`,
  `/lists/${list}?field=City&value=Oslo&tag=press&status=subscribed&range=all`,
  `/lists/${list}?tag=nobody-has-it`,
  `/mailings/heatmap?mailing=${mailing}&what=opens`,
  `/mailings/heatmap?list=${list}`,
]

describe('lists and mailings', () => {
  it.each(['light', 'dark'] as const)('pass axe and keep the console quiet, %s', async (scheme) => {
    const told = await aToldSite()
    const faults: string[] = []
    const window = await aWindow(browser, told.site, { scheme, width: scheme === 'dark' ? 360 : 1440 })
    await logIn(window)
    for (const path of pages(told)) {
      await window.visit(path)
      for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
      const complaints = window.complaints.splice(0)
      // Nobody keeps the picture that the message asks for, and its script is held back.
      for (const complaint of complaints)
        if (!/ERR_NAME_NOT_RESOLVED|Blocked script execution/.test(complaint))
          faults.push(`${path}: ${complaint}`)
    }
    expect(faults).toEqual([])
  })

  it.each([360, 768, 1440])('never scroll sideways at %i px', async (width) => {
    const told = await aToldSite()
    const window = await aWindow(browser, told.site, { width })
    await logIn(window)
    const faults: string[] = []
    for (const path of pages(told)) {
      await window.visit(path)
      if (await scrollsSideways(window.page)) faults.push(path)
    }
    expect(faults).toEqual([])
  })

  it('pass axe when there is nothing to show', async () => {
    const site = await aSite()
    const list = await aList(site)
    const { id } = await aMailing(site, { sent_at: Date.now() - hour })
    const { id: draft } = await aMailing(site, {
      status: 'draft',
      sent_at: null as never,
      created_at: Date.now(),
    })
    const window = await aWindow(browser, site, { width: 360 })
    await logIn(window)
    const faults: string[] = []
    for (const path of [`/lists/${list.id}`, '/mailings/heatmap', `/mailings/${id}`, `/mailings/${draft}`]) {
      await window.visit(path)
      for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
      if (await scrollsSideways(window.page)) faults.push(`${path} scrolls`)
    }
    expect([...faults, ...window.complaints]).toEqual([])
  })
})

describe('a mailing in the browser', () => {
  it('draws its curves and shows its message, which can do nothing', async () => {
    const { site, mailing } = await aToldSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    const { page, visit, complaints } = window
    await visit(`/mailings/${mailing}`)
    await page.waitForFunction("document.querySelectorAll('line-chart canvas').length === 3")
    expect(await page.$eval('#against-usual .chart__legend', (legend) => legend.textContent)).toMatch(
      /This mailing\s*40\.4%/,
    )

    await page.click('.message > summary')
    const frame = await page.waitForFrame((frame) => frame.url().endsWith('/message'))
    await frame.waitForSelector('#hello')
    // Its policy lets no script run in it, and no picture from elsewhere be fetched.
    expect(await frame.$eval('h1', (heading) => heading.textContent)).toBe('Slow tools')
    const told = complaints.join(' ')
    expect(told).toMatch(/script/i)
    expect(told).toMatch(/tracker\.example/)
    expect(told).not.toContain('ERR_NAME_NOT_RESOLVED')
  })

  it('fetches what is usual by itself where that has to be counted first', async () => {
    const site = await aSite()
    const list = await aList(site)
    const now = Date.now()
    const people: number[] = []
    for (const name of ['ada', 'ben']) people.push((await aContact(site, { email: `${name}@a.example` })).id)
    const ids: number[] = []
    for (let week = 5; week >= 0; week--) {
      const sent_at = now - week * 7 * day - 5 * hour
      const { id: mailingId } = await aMailing(site, { list_id: list.id, sent_at })
      ids.push(mailingId)
      for (const contactId of people)
        await anEngagement(site, { contactId, mailingId, kind: 'delivered', happenedAt: sent_at })
      await anEngagement(site, {
        contactId: people[0]!,
        mailingId,
        kind: 'opened',
        happenedAt: sent_at + hour / 2,
      })
    }
    const { page, visit, loads, complaints, ...window } = await aWindow(browser, site)
    await logIn({ page, visit, loads, complaints, ...window })
    await visit(`/mailings/${ids.at(-1)}`)
    const loaded = loads()
    await page.waitForSelector('#against-usual canvas')
    expect(await page.$eval('#usual-verdict', (line) => line.textContent)).toContain('50.0% opened')
    expect(loads()).toBe(loaded)
    expect(complaints).toEqual([])
  })
})

describe('a list in the browser', () => {
  it('narrows to what is filtered without a reload', async () => {
    const { site, list } = await aToldSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    const { page, visit, loads, complaints } = window
    await visit(`/lists/${list}`)
    const loaded = loads()
    await page.select('#list-contacts [name=field]:not([type=hidden])', 'City')
    await page.type('#list-contacts [name=value]:not([type=hidden])', 'oslo')
    await page.click('#list-contacts button[type=submit]')
    await page.waitForFunction("document.querySelector('#matching').dataset.value === '2'")
    expect(await page.$$eval('#list-contact-rows tr', (rows) => rows.length)).toBe(2)
    expect(await page.evaluate('location.search')).toBe('?field=City&value=oslo')
    expect(loads()).toBe(loaded)
    expect(complaints).toEqual([])
  })
})
