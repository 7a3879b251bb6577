import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { arrivalSnippet, textOf } from '../../src/campaigns/recipes.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aSite, aWindow, logIn } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

describe('the integration page', () => {
  it('tells what was refused and when the first event has come, while somebody types', async () => {
    const site = await aSite()
    const { id } = await aCampaign(site)
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${id}/integration`)
    const loads = window.loads()
    await page.focus('#addresses')
    await page.keyboard.type('ada@fern')

    await site.http
      .get('/api/event')
      .query({ cid: id + 10, event: 'email_click', email: 'a@b.example', domain: 'c.example' })
    await page.waitForFunction(
      `document.querySelector('#refused').textContent.includes('Campaign ${id + 10} does not exist. This one is ${id}.')`,
    )
    await page.keyboard.type('mail.example')
    await anEvent(site, { cid: id })
    await page.waitForFunction(
      `document.querySelector('#waiting h2').textContent === 'The first event has come'`,
    )

    expect(await page.evaluate('document.activeElement.value')).toBe('ada@fernmail.example')
    expect(window.loads()).toBe(loads)
    expect(window.complaints).toEqual([])
  })

  it('copies the exact code', async () => {
    const site = await aSite()
    const { id, offer_url } = await aCampaign(site, { offer_url: `https://shop.example/it's?a=1&b="2"` })
    const window = await aWindow(browser, site)
    const { page } = window
    await page.evaluateOnNewDocument(
      'Object.defineProperty(navigator, "clipboard", { value: { writeText: async (text) => { window.copied = text } } })',
    )
    await logIn(window)
    for (const language of ['browser', 'php', 'curl'] as const) {
      await window.visit(`/campaign/${id}/integration?in=${language}`)
      await page.click(`[data-copy="#arrival-${language}"]`)
      await page.waitForFunction('window.copied')

      const given = { campaignId: id, offerUrl: offer_url, baseUrl: site.config.BASE_URL, writeKey: null }
      expect(await page.evaluate('window.copied')).toBe(textOf(arrivalSnippet(language, given)))
    }
  })

  it('does all of it without JavaScript', async () => {
    const site = await aSite()
    const { id } = await aCampaign(site)
    const window = await aWindow(browser, site, { script: false })
    const { page } = window
    await logIn(window)
    await window.visit(`/campaign/${id}/integration`)

    await Promise.all([page.waitForNavigation(), page.click('a[href$="?in=python"]')])
    expect(await page.$('#arrival-python')).not.toBeNull()
    await page.type('#addresses', 'ada@fernmail.example\nnobody')
    await Promise.all([page.waitForNavigation(), page.click('#maker-section button[type=submit]')])
    expect(await page.$eval('#made', (area) => area.textContent)).toContain(
      'ada@fernmail.example\thttps://example1.com/?cid=',
    )
    expect(await page.$eval('#maker-section .notice', (notice) => notice.textContent)).toContain('Line 2')
    await Promise.all([page.waitForNavigation(), page.click('aside form button')])
    expect(await page.$eval('#flash', (flash) => flash.textContent)).toContain('A test event is recorded')
    expect(await page.$eval('#waiting h2', (title) => title.textContent)).toBe('The first event has come')
  })
})
