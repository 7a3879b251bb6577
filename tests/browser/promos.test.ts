import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aMailing } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { firefox, iphone } from '../support/builders.js'
import { anOffer, aPromo, aVariation, tellClick, tellImpression } from '../support/promos.js'
import { accessibilityFaults, aSite, aWindow, logIn, type Site, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const day = 86_400_000

/** Offers with some weeks behind them. */
async function aLivelySite() {
  const clock = { at: Date.now() - 20 * day }
  const site = await aSite()
  const offer = await anOffer(site, { name: 'Bindery notebooks', utm_source: 'letter' })
  const texts = [
    await aVariation(site, offer.id, { headline: 'Paper that keeps its promises' }),
    await aVariation(site, offer.id, { text: 'Three notebooks, one price, until Sunday.', tone: 'urgent' }),
    await aVariation(site, offer.id, { text: 'Not seen by anybody yet', approved: 0 }),
  ]
  const other = await aPromo(site, { name: 'Moka pot', texts: 1, type: 'sponsor' })
  await aMailing(site, { name: 'Issue 112' })
  // The facts of the past are told to the recorder itself: the doors' clock is now.
  const tell = (fact: object) => site.promos.keeper.keep({ spoolId: null, ...fact } as never)
  for (let issue = 0; issue < 18; issue++, clock.at += day) {
    const text = texts[issue % 2]!
    const common = { offerId: offer.id, variationId: text.id, happenedAt: clock.at }
    await tell({ ...common, kind: 'impression', sendKey: `issue-${issue}`, placements: 1 })
    for (let click = 0; click < (issue % 2 ? 9 : 14); click++)
      await tell({
        ...common,
        kind: 'click',
        referrer: 'letter',
        userAgent: click % 3 ? firefox : iphone,
        address: `203.0.113.${click}`,
        ahead: false,
        happenedAt: clock.at + click * 900_000,
      })
  }
  await tell({
    kind: 'impression',
    offerId: other.offer.id,
    variationId: other.ids[0],
    happenedAt: clock.at - 9 * day,
    sendKey: 'issue-9',
    placements: 1,
  })
  await site.db
    .updateTable('promo_sends')
    .set({ delivered: 600, tied_by: 'hand' })
    .where('id', '<', 18)
    .execute()
  for (let choice = 0; choice < 3; choice++)
    await site.http.get('/api/v1/promo/select-random?newsletter=morning').expect(200)
  await site.promos.settled()
  site.promos.directory.touch()
  return { site, offer, texts }
}

async function open(site: Site, view: Parameters<typeof aWindow>[2] = {}) {
  const window = await aWindow(browser, site, view)
  await logIn(window)
  return window
}

describe('promos in the browser', () => {
  it('are free of faults in light and dark, on a desk and on a phone', async () => {
    const { site, offer, texts } = await aLivelySite()
    const paths = [
      '/promos',
      `/promos/offers/${offer.id}`,
      `/promos/offers/${offer.id}/edit`,
      '/promos/offers/new',
      `/promos/variations/${texts[0]!.id}/edit`,
      `/promos/offers/${offer.id}/variations/new`,
      '/promos/texts',
      '/promos/sends',
      '/promos/choices',
      '/promos/choices/1',
      '/promos/groups',
      '/promos/simulator',
      '/promos/integration',
      '/promos/import',
      '/settings/promos',
    ]
    for (const view of [
      { scheme: 'light' as const },
      { scheme: 'dark' as const },
      { scheme: 'light' as const, width: 360, height: 800 },
    ]) {
      const window = await open(site, view)
      for (const path of paths) {
        const answer = await window.visit(path)
        expect(answer!.status(), path).toBe(200)
        expect(await accessibilityFaults(window), `${path} ${JSON.stringify(view)}`).toEqual([])
        expect(await scrollsSideways(window.page), path).toBe(false)
      }
      expect(window.complaints).toEqual([])
    }
  })

  it('draw what is known, and refresh the verdict in place', async () => {
    const { site, offer, texts } = await aLivelySite()
    const { page, visit, loads, complaints } = await open(site)
    await visit(`/promos/offers/${offer.id}`)
    const loaded = loads()
    await page.waitForFunction("document.querySelector('line-chart canvas')")
    const clicks = await page.$eval('#figure-clicks', (figure) =>
      Number((figure as never as { dataset: { value: string } }).dataset.value),
    )
    await tellImpression(site, {
      offer_id: offer.id,
      variation_id: texts[0]!.id,
      newsletter_send_id: 'now',
    }).expect(204)
    await tellClick(site, { variation_id: texts[0]!.id, user_agent: firefox, ip_hash: 'somebody' }).expect(
      204,
    )
    await page.evaluate("document.querySelector('#numbers').dispatchEvent(new Event('refresh'))")
    await page.waitForFunction(`document.querySelector('#figure-clicks').dataset.value === '${clicks + 1}'`)
    expect(loads()).toBe(loaded)
    expect(complaints).toEqual([])
  })

  it('show their numbers and take their forms without JavaScript', async () => {
    const { site, offer } = await aLivelySite()
    const { page, visit } = await open(site, { script: false })
    await visit(`/promos/offers/${offer.id}`)
    expect(await page.$eval('#verdict', (sentence) => sentence.textContent)).toContain(
      'Paper that keeps its promises',
    )
    await visit('/promos/offers/new')
    await page.type('[name=name]', 'Field coffee')
    await page.type('[name=destination_url]', 'https://coffee.example/')
    await Promise.all([page.waitForNavigation(), page.click('main form button[type=submit]')])
    await page.type('[name=text]', 'Beans that travelled by sail.')
    await page.click('[name=approved]')
    await Promise.all([page.waitForNavigation(), page.click('main form button[type=submit]')])
    expect(await page.$eval('#verdict', (sentence) => sentence.textContent)).toContain(
      'Beans that travelled by sail',
    )
  })
})
