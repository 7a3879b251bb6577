import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aSite, aWindow, logIn, owner, type Site, type Window } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const figure = ({ page }: Window, selector: string) =>
  page.$eval(selector, (part) => part.getAttribute('data-value'))
const text = ({ page }: Window, selector: string) =>
  page.$eval(selector, (part) => part.textContent?.trim() ?? '')
const rows = ({ page }: Window) =>
  page.$$eval('#journey-rows tr:not(.journey-open) th', (cells) =>
    cells.map((cell) => cell.textContent?.trim()),
  )

/** Waits until the page shows it, as a person would. */
const until = ({ page }: Window, condition: string) => page.waitForFunction(condition)

async function withPeople(site: Site, people: number) {
  const { id: cid } = await aCampaign(site)
  for (let i = 1; i <= people; i++) {
    const domain = i % 3 ? 'news.fernweh.example' : 'letters.paperboat.example'
    await anEvent(site, { cid, email: `reader${i}@fernmail.example`, domain, ip: `203.0.113.${i}` })
    if (i % 10 === 0)
      await anEvent(site, { cid, event: 'conversion', email: `reader${i}@fernmail.example`, domain })
  }
  return cid
}

describe('with JavaScript', () => {
  it('makes a campaign and watches it fill, without a reload, without losing the place', async () => {
    const site = await aSite()
    const window = await aWindow(browser, site, { height: 500 })
    const { page } = window
    await logIn(window)
    await page.waitForSelector('.empty')
    await Promise.all([page.waitForNavigation(), page.click('a[href="/create"]')])

    await page.type('[name=name]', 'Autumn Reading List')
    await page.type('[name=offer_url]', 'paperboat.example/autumn')
    const loads = window.loads()
    await page.click('#create button[type=submit]')
    await page.waitForSelector('#offer_url-error')
    expect(await text(window, '#offer_url-error')).toContain('Did you mean https://paperboat.example/autumn?')
    expect(await page.$eval('[name=name]', (input) => (input as unknown as { value: string }).value)).toBe(
      'Autumn Reading List',
    )
    expect(await page.evaluate('document.activeElement.name')).toBe('offer_url')
    expect(window.loads()).toBe(loads)

    await page.evaluate(
      'document.querySelector("[name=offer_url]").value = "https://paperboat.example/autumn"',
    )
    await page.click('#create button[type=submit]')
    await until(window, 'location.pathname === "/campaign/1" && document.querySelector("#email-clicks")')
    expect(await text(window, 'h1')).toBe('Autumn Reading List')
    expect(await figure(window, '#email-clicks')).toBe('0')
    expect(await text(window, '#conversion-rate')).toBe('–')

    // Somebody is typing far down the page while the numbers change above.
    await page.focus('[name=email]')
    await page.keyboard.type('ad')
    await page.evaluate('document.querySelector("[name=email]").setSelectionRange(1, 2)')
    const scroll = await page.evaluate('Math.round(scrollY)')
    const settled = window.loads()
    await anEvent(site, { cid: 1 })
    await anEvent(site, {
      cid: 1,
      event: 'conversion',
      email: 'ben@posteo.example',
      domain: 'bücher-post.example',
    })
    await until(window, 'document.querySelector("#email-clicks").dataset.value === "1"')
    await until(
      window,
      'document.querySelector("#domains-table, #domain-stats, [id^=domain]").textContent.includes("bücher-post.example")',
    )
    expect(await text(window, '#conversion-rate')).toBe('100.00%')
    expect(window.loads()).toBe(settled)
    expect(await page.evaluate('document.activeElement.name')).toBe('email')
    expect(
      await page.evaluate('document.activeElement.value.slice(document.activeElement.selectionStart)'),
    ).toBe('d')
    expect(
      Math.abs(((await page.evaluate('Math.round(scrollY)')) as number) - (scroll as number)),
    ).toBeLessThan(400)
    expect(window.complaints).toEqual([])
  })

  it('narrows the journeys as somebody types, and loads more while events arrive', async () => {
    const site = await aSite()
    const cid = await withPeople(site, 60)
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${cid}`)
    expect(await text(window, '#journey-foot')).toContain('Showing 50 of 60 users')
    expect((await rows(window))[0]).toContain('reader60@')
    const loads = window.loads()

    // Two newcomers between two loads: nobody is shown twice, nobody is left out.
    await anEvent(site, { cid, email: 'late1@fernmail.example' })
    await anEvent(site, { cid, email: 'reader3@fernmail.example', domain: 'letters.paperboat.example' })
    await page.click('#load-more')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 60')
    const shown = await rows(window)
    expect(new Set(shown).size).toBe(60)
    for (let i = 1; i <= 60; i++) expect(shown.some((row) => row?.includes(`reader${i}@`))).toBe(true)
    expect(await page.$('#load-more')).toBe(null)
    expect(await text(window, '#journey-foot')).toContain('1 newer · Show from the top')
    await page.click('#from-the-top')
    await until(window, 'document.querySelector("#journey-rows tr th").textContent.includes("late1@")')
    expect(await rows(window)).toHaveLength(50)

    await page.type('[name=email]', 'reader1')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 11')
    await page.select('[name=event]', 'conversion')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 1')
    expect(await rows(window)).toEqual([expect.stringContaining('reader10@')])
    expect(page.url()).toMatch(/email=reader1/)
    expect(page.url()).toMatch(/event=conversion/)
    expect(window.loads()).toBe(loads)

    await page.click('#journey-rows a')
    await page.waitForSelector('.journey-events li')
    expect(await text(window, '.journey-events')).toContain('Conversion')

    // What the address bar says can be bookmarked.
    await page.reload()
    expect(await rows(window)).toEqual([expect.stringContaining('reader10@')])
    expect(window.complaints).toEqual([])
  })

  it('searches for what a mouse pastes, and exports what is shown', async () => {
    const site = await aSite()
    const cid = await withPeople(site, 12)
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${cid}`)
    const searches: string[] = []
    page.on('request', (request) => {
      if (request.url().includes('/users')) searches.push(request.url())
    })
    const exported = () =>
      page.$$eval('#exports a', (links) => links.map((link) => link.getAttribute('href')!.split('.csv')[1]))

    await page.focus('[name=email]')
    await page.evaluate('document.execCommand("insertText", false, "reader1")')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 4')
    expect(await exported()).toEqual(Array(3).fill('?email=reader1'))
    // Typing fires both events that search, and still asks once.
    await page.keyboard.type('2')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 1')
    expect(searches).toHaveLength(2)

    await page.click('#range-30d')
    await page.waitForSelector('#range-30d[aria-current]')
    await until(window, 'document.querySelector("#exports a").href.endsWith("?range=30d&email=reader12")')
    await page.click('#by-hour')
    await page.waitForSelector('#by-hour[aria-current]')
    expect(await exported()).toEqual(Array(3).fill('?range=30d&by=hour&email=reader12'))
    expect(window.complaints).toEqual([])
  })

  it('goes back to the filters of before', async () => {
    const site = await aSite()
    const cid = await withPeople(site, 12)
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${cid}`)
    await page.select('[name=event]', 'conversion')
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 1')
    await page.goBack()
    await until(window, 'document.querySelectorAll("#journey-rows tr").length === 12')
    expect(await page.$eval('[name=event]', (select) => (select as unknown as { value: string }).value)).toBe(
      '',
    )
    expect(window.complaints).toEqual([])
  })

  it('sorts and searches the campaigns in place', async () => {
    const site = await aSite()
    for (const name of ['Autumn', 'Winter', 'Spring']) await aCampaign(site, { name })
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    const loads = window.loads()
    await page.type('input[type=search]', 'wint')
    await until(window, 'document.querySelectorAll("tbody tr").length === 1')
    expect(window.loads()).toBe(loads)
    expect(page.url()).toContain('q=wint')
    expect(window.complaints).toEqual([])
  })

  it('keeps what was typed when the session ends meanwhile', async () => {
    const site = await aSite()
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit('/create')
    await page.type('[name=name]', 'Typed with care')
    await page.type('[name=offer_url]', 'https://paperboat.example/')
    await site.db.deleteFrom('sessions').execute()
    await Promise.all([page.waitForNavigation(), page.click('#create button[type=submit]')])
    expect(page.url()).toContain('/login')
    await page.type('[name=username]', owner.username)
    await page.type('[name=password]', owner.password)
    await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')])
    expect(page.url()).toBe(`${site.origin}/create`)
    await until(window, 'document.querySelector("[name=name]").value === "Typed with care"')
    await page.click('#create button[type=submit]')
    await until(window, 'location.pathname === "/campaign/1"')
  })

  it('stays where it is when the server has gone', async () => {
    const site = await aSite()
    const cid = await withPeople(site, 3)
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit(`/campaign/${cid}`)
    await window.page.setRequestInterception(true)
    window.page.on('request', (request) =>
      request.url().includes('/stats') ? request.respond({ status: 503, body: 'Down' }) : request.continue(),
    )
    await window.page.evaluate('htmx.trigger("#overall-stats", "refresh")')
    await window.page.waitForResponse((response) => response.status() === 503)
    await until(window, '!document.querySelector(".htmx-request")')
    expect(await figure(window, '#email-clicks')).toBe('3')
  })
})

describe('by keyboard alone', () => {
  it('skips to the page, opens a menu and leaves it', async () => {
    const site = await aSite()
    const cid = await withPeople(site, 2)
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${cid}`)
    await page.keyboard.press('Tab')
    expect(await page.evaluate('document.activeElement.className')).toBe('skip')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('main')
    await page.focus('.actions .menu summary')
    await page.keyboard.press('Enter')
    expect(await page.$eval('.actions .menu', (menu) => (menu as unknown as { open: boolean }).open)).toBe(
      true,
    )
    await page.keyboard.press('Escape')
    expect(await page.$eval('.actions .menu', (menu) => (menu as unknown as { open: boolean }).open)).toBe(
      false,
    )
    expect(await page.evaluate('document.activeElement.tagName')).toBe('SUMMARY')
  })
})

describe('without JavaScript', () => {
  it('does everything again', async () => {
    const site = await aSite()
    const window = await aWindow(browser, site, { script: false })
    const { page, visit } = window
    const press = (selector: string) => Promise.all([page.waitForNavigation(), page.click(selector)])
    await logIn(window)
    await press('a[href="/create"]')
    await page.type('[name=name]', 'Winter Warmers')
    await page.type('[name=offer_url]', 'no address')
    await press('#create button[type=submit]')
    expect(await text(window, '#offer_url-error')).toContain('The offer URL starts with https:// or http://.')
    expect(await page.$eval('[name=name]', (input) => input.getAttribute('value'))).toBe('Winter Warmers')
    await page.$eval('[name=offer_url]', (input) =>
      input.setAttribute('value', 'https://shop.example/winter'),
    )
    await visit('/create')
    await page.type('[name=name]', 'Winter Warmers')
    await page.type('[name=offer_url]', 'https://shop.example/winter')
    await press('#create button[type=submit]')
    expect(page.url()).toBe(`${site.origin}/campaign/1`)

    for (let i = 1; i <= 55; i++)
      await anEvent(site, { cid: 1, email: `reader${i}@fernmail.example`, ip: `203.0.113.${i}` })
    await visit('/campaign/1')
    expect(await figure(window, '#email-clicks')).toBe('55')
    expect(await page.$eval('line-chart table, .chart table', (table) => table.textContent)).toContain('55')
    expect(await text(window, '#journey-foot')).toContain('Showing 50 of 55 users')
    await press('#load-more')
    expect((await rows(window)).some((row) => row?.includes('reader1@'))).toBe(true)

    await visit('/campaign/1')
    await page.type('[name=email]', 'reader5')
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
    expect(await rows(window)).toHaveLength(7)
    await press('#journey-rows a')
    expect(await text(window, '.journey-events')).toContain('Email click')

    await visit('/campaign/1/edit')
    await page.$eval('[name=name]', (input) => input.setAttribute('value', ''))
    await page.type('[name=name]', 'Winter Warmers, second wave')
    await press('main form button[type=submit]')
    await visit('/campaign/1')
    expect(await text(window, 'h1')).toBe('Winter Warmers, second wave')
  })
})
