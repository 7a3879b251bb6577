import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aSite, aWindow, logIn } from '../support/site.js'

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
    until: (condition: string) => page.waitForFunction(condition, { timeout: 20_000 }),
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
