import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aFolder } from '../support/app.js'
import { aList, aMailing } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign } from '../support/builders.js'
import { aPartner, aPng, aProject } from '../support/partners.js'
import { accessibilityFaults, aSite, aWindow, logIn, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** Partners of every kind: with all that can be had, with nothing, archived, with long names. */
async function aBusySite() {
  const site = await aSite()
  const full = await aPartner(site, {
    name: 'Northwind',
    colour: '#f0b400',
    emails: 'a-rather-long-address-of-somebody@letters.northwind.example\nben@northwind.example',
  })
  await site.db
    .updateTable('partners')
    .set({ logo: aPng({ width: 240, height: 60 }), logo_type: 'image/png', address: 'Press\n12 Harbour Row' })
    .where('id', '=', full.id)
    .execute()
  const bare = await aPartner(site, {
    name: 'A partner without any break in a name that goes on and on for long',
  })
  const gone = await aPartner(site, { name: 'Gone', archived_at: Date.now() })
  const project = await aProject(site, { partner_id: full.id })
  const empty = await aProject(site, {
    partner_id: full.id,
    name: 'AProjectWithoutAnyBreakInItsNameThatGoesOnAndOnForAsLongAsItMay',
    archived_at: Date.now(),
  })
  const other = await aProject(site, { partner_id: gone.id, name: 'Last year' })
  const campaign = await aCampaign(site)
  const list = await aList(site)
  const things: [string, number, number][] = [
    ['campaign', campaign.id, project.id],
    ['list', list.id, project.id],
  ]
  for (let issue = 1; issue <= 3; issue++) {
    const mailing = await aMailing(site, {
      name: `Issue ${issue}, a rather long title that has to break somewhere`,
    })
    if (issue < 3) things.push(['mailing', mailing.id, issue === 1 ? project.id : other.id])
  }
  for (const [kind, thing_id, project_id] of things)
    await site.db
      .insertInto('project_ties')
      .values({ kind, thing_id, project_id, tied_at: Date.now() })
      .execute()
  const pages = [
    '/partners',
    '/partners/create',
    `/partners/${full.id}`,
    `/partners/${full.id}/edit`,
    `/partners/${bare.id}`,
    `/partners/${gone.id}`,
    `/projects/${project.id}`,
    `/projects/${project.id}?kind=mailing`,
    `/projects/${project.id}?q=nothing-like-it`,
    `/projects/${empty.id}`,
    `/projects/${other.id}`,
    `/campaign/${campaign.id}/edit`,
  ]
  return { site, pages, full, project, campaign }
}

describe('the pages of partners and projects', () => {
  it.each([
    ['light', 1440],
    ['dark', 1440],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'pass axe, keep the console quiet and stay within the window, %s at %i px',
    async (scheme, width) => {
      const { site, pages } = await aBusySite()
      const window = await aWindow(browser, site, { scheme, width })
      await logIn(window)
      const faults: string[] = []
      for (const path of pages) {
        await window.visit(path)
        for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
        if (await scrollsSideways(window.page)) faults.push(`${path}: scrolls sideways`)
        for (const complaint of window.complaints.splice(0)) faults.push(`${path}: ${complaint}`)
      }
      expect(faults).toEqual([])
    },
  )

  it.each(['light', 'dark'] as const)('pass axe when there is nothing yet, %s', async (scheme) => {
    const site = await aSite()
    const window = await aWindow(browser, site, { scheme, width: 360 })
    await logIn(window)
    await window.visit('/partners')
    expect(await window.page.$eval('main', (main) => main.textContent)).toContain('Keep together')
    expect(await accessibilityFaults(window)).toEqual([])
    const { id } = await aPartner(site)
    const project = await aProject(site, { partner_id: id })
    for (const path of [`/partners/${id}`, `/projects/${project.id}`]) {
      await window.visit(path)
      expect(await accessibilityFaults(window)).toEqual([])
      expect(await scrollsSideways(window.page)).toBe(false)
    }
    expect(window.complaints).toEqual([])
  })

  it('ask before something is deleted, in a dialog that passes axe', async () => {
    const site = await aSite()
    const { id } = await aPartner(site)
    const window = await aWindow(browser, site)
    const { page, visit } = window
    await logIn(window)
    await visit(`/partners/${id}`)
    await page.click('main details.menu summary')
    await page.click('[popovertarget=delete].danger')
    await page.waitForSelector('#delete:popover-open')
    expect(await accessibilityFaults(window)).toEqual([])
    await Promise.all([page.waitForNavigation(), page.click('#delete button[type=submit]')])
    expect(await page.$eval('#flash', (flash) => flash.textContent)).toContain('Northwind is deleted')
  })
})

describe('a partner in the browser', () => {
  it('is made with a logo, and its colour is shown as it will be printed while it is typed or picked', async () => {
    const site = await aSite()
    const window = await aWindow(browser, site)
    const { page, visit, complaints } = window
    await logIn(window)
    const file = join(aFolder(), 'logo.png')
    writeFileSync(file, aPng({ width: 40, height: 20 }))

    await visit('/partners/create')
    await page.type('#name', 'Northwind')
    await page.type('#colour', '#f0b400')
    await page.waitForSelector('#colour-sample text[fill="#977000"]')
    expect(await page.$eval('[name=picker]', (input) => (input as { value: string }).value)).toBe('#f0b400')
    await page.$eval('[name=picker]', (input) => {
      Object.assign(input, { value: '#b23a1d' })
      input.dispatchEvent(new Event('input', { bubbles: true }))
    })
    await page.waitForSelector('#colour-sample text[fill="#b23a1d"]')
    expect(await page.$eval('#colour', (input) => (input as { value: string }).value)).toBe('#b23a1d')
    await page.type('#emails', 'ada@northwind.example')
    const input = await page.$('input[type=file]')
    await (input as unknown as { uploadFile(path: string): Promise<void> }).uploadFile(file)
    await Promise.all([page.waitForNavigation(), page.click('main button[type=submit]')])

    expect(await page.$eval('h1', (title) => title.textContent)).toBe('Northwind')
    const drawn = await page.$eval(
      '.logo img',
      (image) => (image as unknown as { naturalWidth: number }).naturalWidth,
    )
    expect(drawn).toBe(40)
    expect(complaints).toEqual([])
  })

  it('gets things tied to its project: found as somebody types, and without a script by its forms', async () => {
    const { site, project } = await aBusySite()
    for (const script of [true, false]) {
      const window = await aWindow(browser, site, { script })
      const { page, visit, complaints } = window
      await logIn(window)
      await visit(`/projects/${project.id}`)
      await page.select('select[name=kind]', 'mailing')
      await page.type('#search', 'issue 3')
      if (!script) await Promise.all([page.waitForNavigation(), page.click('[role=search] button')])
      await page.waitForFunction("document.querySelectorAll('#found tbody tr').length === 1", {
        polling: 100,
      })
      expect(new URL(page.url()).search).toBe('?kind=mailing&q=issue+3')
      // Leaving the search asks once more, and its address counts as a navigation: wait for what the page then says.
      await page.click('#found button')
      const told =
        'Issue 3, a rather long title that has to break somewhere belongs to Autumn 2026 · Northwind.'
      await page.waitForFunction(
        `document.querySelector('#flash')?.textContent.includes(${JSON.stringify(told)})
          && document.querySelectorAll('[id^=mailing-] button').length === 2`,
        { polling: 100 },
      )
      expect(new URL(page.url()).search).toBe('?kind=mailing&q=issue+3')
      await page.click('[id^=mailing-] button')
      await page.waitForFunction("document.querySelectorAll('[id^=mailing-] button').length === 1", {
        polling: 100,
      })
      expect(complaints).toEqual([])
    }
  })
})
