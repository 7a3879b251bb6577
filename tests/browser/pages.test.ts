import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent, iphone } from '../support/builders.js'
import { accessibilityFaults, aSite, aWindow, logIn, type Site, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** A campaign with something of everything: domains, journeys of each shape, a machine, an orphan, long names. */
async function aLivelySite() {
  const site = await aSite()
  const { id: cid } = await aCampaign(site)
  await aCampaign(site, {
    name: 'A name without any break that goes on and on for as long as it possibly may here',
  })
  await aCampaign(site, { name: 'Put away', archived_at: Date.now() })
  const domains = [
    'news.fernweh.example',
    'bücher-post.example',
    'a-rather-long-subdomain.letters.paperboat.example',
  ]
  for (let i = 0; i < 12; i++) {
    const who = { cid, email: `reader${i}.with-a-long-name@fernmail.example`, domain: domains[i % 3]! }
    await anEvent(site, {
      ...who,
      utm_content: 'hero',
      link: 'https://paperboat.example/a/long/link?with=a&query=too',
    })
    if (i % 2) await anEvent(site, { ...who, event: 'landing_click', ua: iphone, ip: `81.2.69.${i}` })
    if (i % 4 === 1) await anEvent(site, { ...who, event: 'conversion', eid: `order-${i}`, order: 'PB-1' })
  }
  await anEvent(site, { cid, event: 'conversion', email: 'orphan@fernmail.example' })
  await anEvent(site, { cid, email: 'scanner@fernmail.example', ua: 'Googlebot/2.1' })
  await site.http.get('/api/event').query({ cid: 34, event: 'click', email: '{email}' }).expect(400)
  return { site, cid }
}

const pages = (cid: number) => [
  '/',
  '/?days=30&state=all&sort=clicks',
  '/?q=nothing-like-it',
  '/create',
  `/campaign/${cid}`,
  `/campaign/${cid}?machines=1&range=30d&compare=1`,
  `/campaign/${cid + 1}`,
  `/campaign/${cid}/edit`,
  `/campaign/${cid}/delete`,
  `/campaign/${cid}/integration`,
  `/campaign/${cid}/integration?in=php`,
  '/settings',
  '/settings/two-factor',
  '/operations',
  '/operations/alerts',
  '/operations/privacy?show=1',
  '/operations/audit',
  '/settings/people',
  '/settings/sessions',
  '/settings/tokens',
  '/settings/privacy',
  '/settings/benchmarks',
  '/glossary',
  '/docs',
  '/campaign/412',
]

async function look(site: Site, path: string, view: Parameters<typeof aWindow>[2], faults: string[]) {
  const window = await aWindow(browser, site, view)
  if (path !== '/login' && path !== '/setup' && path !== '/docs') await logIn(window)
  await window.visit(path)
  return {
    window,
    tell: (fault: string) => faults.push(`${path} ${view?.scheme ?? ''} ${view?.width ?? ''}: ${fault}`),
  }
}

describe('every page', () => {
  it.each(['light', 'dark'] as const)('passes axe and keeps the console quiet, %s', async (scheme) => {
    const { site, cid } = await aLivelySite()
    const faults: string[] = []
    const window = await aWindow(browser, site, { scheme })
    for (const path of ['/login', '/setup', '/docs']) {
      await window.visit(path)
      for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
    }
    await logIn(window)
    for (const path of pages(cid)) {
      await window.visit(path)
      for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
      for (const complaint of window.complaints.splice(0)) faults.push(`${path}: ${complaint}`)
    }
    expect(faults).toEqual([])
  })

  it.each([360, 768, 1440])('never scrolls sideways at %i px', async (width) => {
    const { site, cid } = await aLivelySite()
    const faults: string[] = []
    const window = await aWindow(browser, site, { width })
    await logIn(window)
    for (const path of [...pages(cid), '/login']) {
      await window.visit(path)
      if (await scrollsSideways(window.page)) faults.push(path)
    }
    expect(faults).toEqual([])
  })

  it('passes axe when there is nothing yet, and for the first who comes', async () => {
    const site = await aSite({ account: false })
    const stranger = await look(site, '/setup', { width: 360, scheme: 'dark' }, [])
    expect(await accessibilityFaults(stranger.window)).toEqual([])
    const owned = await aSite()
    const { window } = await look(owned, '/', { width: 360 }, [])
    expect(await window.page.$eval('main', (main) => main.textContent)).toContain(
      'Follow your first mailing to the sale',
    )
    expect(await accessibilityFaults(window)).toEqual([])
    expect(await scrollsSideways(window.page)).toBe(false)
    expect(window.complaints).toEqual([])
  })
})
