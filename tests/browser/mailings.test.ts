import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aMailedYear } from '../support/mailings.js'
import { accessibilityFaults, aSite, aWindow, logIn, type Site, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const day = 86_400_000

async function aReader() {
  const site = await aSite()
  const window = await aWindow(browser, site)
  await logIn(window)
  const { page } = window
  return {
    ...window,
    site,
    rows: (body: string) => page.$$eval(`${body} tr`, (rows) => rows.length),
    until: (condition: string) => page.waitForFunction(condition),
  }
}

describe('the mailings in the browser', () => {
  it('are found as somebody types, and go on where the page ends', async () => {
    const { site, page, visit, loads, rows, until, complaints } = await aReader()
    for (let issue = 1; issue <= 53; issue++)
      await aMailing(site, { name: `Issue ${issue}`, sent_at: Date.now() - issue * day })
    await visit('/mailings')
    const loaded = loads()
    expect(await rows('#mailing-rows')).toBe(50)
    await page.click('#load-more')
    await until("document.querySelectorAll('#mailing-rows tr').length === 53")
    expect(await page.$('#load-more')).toBeNull()
    expect(await page.$eval('#mailing-foot', (foot) => foot.textContent)).toMatch(/Showing\s+53\s+of\s+53/)

    await page.type('#search', 'issue 7')
    await until("document.querySelectorAll('#mailing-rows tr').length === 1")
    expect(await page.evaluate('location.search')).toBe('?q=issue+7')
    expect(await page.evaluate('document.activeElement.id')).toBe('search')
    expect(loads()).toBe(loaded)
    expect(complaints).toEqual([])
  })

  it('are chosen by boxes and compared, with and without a script', async () => {
    const { site, page, visit, until, complaints } = await aReader()
    const { ours } = await aMailedYear(site)
    await visit('/mailings')
    expect(await page.$eval('#selection', (form) => form.checkVisibility())).toBe(false)
    const boxes = await page.$$('#mailing-rows input[type=checkbox]')
    await boxes[0]!.click()
    await boxes[2]!.click()
    await until("document.querySelector('#chosen-count').textContent === '2 chosen'")
    await Promise.all([page.waitForNavigation(), page.click('#selection button[type=submit]')])
    expect(await page.$eval('h1', (title) => title.textContent)).toBe('2 mailings side by side')
    expect(await page.$$eval('#curve-opens path', (paths) => paths.length)).toBe(2)
    expect(complaints).toEqual([])

    const plain = await aWindow(browser, site, { script: false })
    await logIn(plain)
    await plain.visit('/mailings')
    for (const box of (await plain.page.$$('#mailing-rows input[type=checkbox]')).slice(0, 3))
      await box.click()
    await Promise.all([plain.page.waitForNavigation(), plain.page.click('#selection button[type=submit]')])
    expect(await plain.page.$eval('h1', (title) => title.textContent)).toBe('3 mailings side by side')
    await plain.visit(`/mailings/compare?m=${ours.at(-1)!.id}&last=5`)
    expect(await plain.page.$eval('#verdict', (verdict) => verdict.textContent)).toContain(
      'Against the 5 before it',
    )
  })

  it('are narrowed in place, part by part', async () => {
    const { site, page, visit, loads, rows, until, complaints } = await aReader()
    await aMailedYear(site)
    await visit('/mailings?provider=emailoctopus&open_rate_min=30')
    const loaded = loads()
    await until("document.querySelectorAll('line-chart canvas').length === 2")
    const before = await rows('#mailing-rows')
    await page.click('[aria-label^="Remove the filter: provider"]')
    await until(`document.querySelectorAll('#mailing-rows tr').length > ${before}`)
    expect(await page.evaluate('location.search')).toBe('?open_rate_min=30')
    await page.click('[aria-label="Sent within"] a')
    await until("location.search === '?days=30&open_rate_min=30'")
    await page.click('#mailing-list thead th:nth-child(3) a')
    await until("location.search.includes('sort=sent-asc')")
    expect(await page.$$eval('line-chart canvas', (charts) => charts.length)).toBe(2)
    expect(loads()).toBe(loaded)
    await page.goBack()
    await until("location.search === '?days=30&open_rate_min=30'")
    expect(complaints).toEqual([])
  })

  it('draw their curve, change groups of people and refresh their counts in place', async () => {
    const { site, page, visit, loads, until, complaints } = await aReader()
    const sent_at = Date.now() - day
    const { id: mailingId } = await aMailing(site, { sent_at })
    const people = []
    for (const name of ['ada', 'ben'])
      people.push((await aContact(site, { email: `${name}@fernmail.example` })).id)
    for (const contactId of people)
      await anEngagement(site, { contactId, mailingId, kind: 'delivered', happenedAt: sent_at })
    const open = { contactId: people[0]!, mailingId, kind: 'opened' as const }
    await anEngagement(site, { ...open, happenedAt: sent_at + 60_000 })

    await visit(`/mailings/${mailingId}`)
    const loaded = loads()
    await until("document.querySelector('line-chart canvas')")
    expect(await page.$eval('#people-rows', (body) => body.textContent)).toContain('ada@')

    const tabs = await page.$$('#mailing-people .tabs a')
    for (const tab of tabs)
      if ((await tab.evaluate((link) => link.textContent))?.startsWith('Not opened')) await tab.click()
    await until("document.querySelector('#people-rows')?.textContent.includes('ben@')")
    expect(await page.evaluate('location.search')).toBe('?who=not-opened')

    await anEngagement(site, { ...open, contactId: people[1]! })
    await until("document.querySelector('#people-opened').dataset.value === '2'")
    expect(loads()).toBe(loaded)
    expect(complaints).toEqual([])
  })
})

/** Every page of the room that looks at all mailings, however they are shown. */
const pages = ({ ours, theirs, letter }: Awaited<ReturnType<typeof aMailedYear>>) => [
  '/mailings',
  '/mailings?days=90&open_rate_min=20&bounced_max=100&add=number&machines=1&sort=open_rate',
  '/mailings?add=dates',
  '/mailings?add=project&status=all&by=month',
  `/mailings?q=nothing-like-this&list=${letter.id}`,
  `/mailings/compare?${[...ours.slice(-4), ...theirs.slice(-4)].map(({ id }) => `m=${id}`).join('&')}`,
  `/mailings/compare?m=${ours.at(-1)!.id}&last=5&span=30d`,
  '/mailings/compare',
]
const looks = {
  light: {},
  dark: { scheme: 'dark', width: 1100 },
  phone: { width: 360, height: 740 },
} as const

describe('the pages of all mailings', () => {
  it.each(['light', 'dark', 'phone'] as const)(
    'pass axe, fit and keep the console quiet, %s',
    async (look) => {
      const site = await aSite()
      const year = await aMailedYear(site)
      expect(await faultsOf(site, pages(year), looks[look])).toEqual([])
    },
  )

  it('are empty with a way on', async () => {
    const site = await aSite()
    expect(await faultsOf(site, ['/mailings', '/mailings?q=x', '/mailings/compare'], looks.phone)).toEqual([])
  })
})

async function faultsOf(site: Site, paths: string[], look: Parameters<typeof aWindow>[2]) {
  const window = await aWindow(browser, site, look)
  await logIn(window)
  const faults: string[] = []
  for (const path of paths) {
    const answer = await window.visit(path)
    if (answer?.status() !== 200) faults.push(`${path}: ${answer?.status()}`)
    if (await scrollsSideways(window.page)) faults.push(`${path}: scrolls sideways`)
    for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
    for (const complaint of window.complaints.splice(0)) faults.push(`${path}: ${complaint}`)
  }
  return faults
}
