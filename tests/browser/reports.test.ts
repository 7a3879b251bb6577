import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aMailedYear } from '../support/mailings.js'
import { aPng } from '../support/partners.js'
import { aReportOf, everySection } from '../support/reports.js'
import { accessibilityFaults, aSite, aWindow, logIn, owner, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** A report with all there is, rendered, and one that nobody has rendered. */
async function aReportedSite() {
  const site = await aSite()
  const { project, letter, ours } = await aMailedYear(site)
  const campaign = await aCampaign(site)
  for (const event of ['email_click', 'landing_click', 'conversion'])
    await anEvent(site, { cid: campaign.id, event })
  await site.db
    .updateTable('partners')
    .set({ logo: aPng({ width: 240, height: 60 }), logo_type: 'image/png' })
    .execute()
  const { partner_id } = await site.db
    .selectFrom('projects')
    .select('partner_id')
    .where('id', '=', project)
    .executeTakeFirstOrThrow()
  const report = await aReportOf(site, {
    title: 'A report with-a-name-that-goes-on-and-on-without-any-break-in-it-for-as-long-as-it-may',
    preparedBy: 'Maren',
    partner: partner_id,
    subjects: {
      project,
      mailings: ours.slice(-2).map(({ id }) => id),
      campaigns: [campaign.id],
      lists: [letter.id],
    },
    commentary: 'One line.\nAnother line.',
    nextSteps: 'Do this.\nThen that.',
    sections: everySection,
  })
  await site.reports.render(report.id, {})
  const bare = await aReportOf(site, { title: 'Bare' })
  return { site, report, bare, project }
}

describe('the pages of reports', () => {
  it.each([
    ['light', 1440],
    ['dark', 1440],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'pass axe, keep the console quiet and stay within the window, %s at %i px',
    async (scheme, width) => {
      const { site, report, bare } = await aReportedSite()
      const window = await aWindow(browser, site, { scheme, width })
      await logIn(window)
      await window.visit(`/reports/${report.id}`)
      await window.page.select('#days', '7')
      await Promise.all([
        window.page.waitForNavigation(),
        window.page.$eval('#new-link', (form) => (form as unknown as { submit(): void }).submit()),
      ])
      const live = await window.page.$eval('.live-links a', (link) => link.getAttribute('href')!)
      const faults: string[] = []
      for (const path of [
        '/reports',
        '/reports/new',
        '/reports/new?template=list',
        `/reports/${report.id}`,
        `/reports/${report.id}/edit`,
        `/reports/${report.id}/renderings/1`,
        `/reports/${bare.id}`,
        `/reports/${bare.id}/edit`,
        new URL(live).pathname,
      ]) {
        await window.visit(path)
        for (const fault of await accessibilityFaults(window)) faults.push(`${path}: ${fault}`)
        if (await scrollsSideways(window.page)) faults.push(`${path}: scrolls sideways`)
        for (const complaint of window.complaints.splice(0)) faults.push(`${path}: ${complaint}`)
      }
      expect(faults).toEqual([])
    },
    // Nine pages, each looked at by axe.
    180_000,
  )
})

describe('the builder', () => {
  it('shows a choice in the preview without loading the page again', async () => {
    const { site, bare } = await aReportedSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit(`/reports/${bare.id}/edit`)
    const loads = window.loads()

    await window.page.focus('#title')
    await window.page.keyboard.press('End')
    await window.page.keyboard.type(' winter')
    await window.page.waitForFunction('document.querySelector("#preview h1").textContent === "Bare winter"')
    await window.page.select('#project', '1')
    await window.page.waitForFunction(
      'document.querySelector("#preview .partner").textContent.includes("Paperboat")',
    )
    expect(await window.page.$eval('#preview', (part) => part.textContent)).toContain('mailings')
    await window.page.click('[name="on"][value="verdict"]')
    await window.page.waitForFunction('!document.querySelector("#preview .report-tiles")')

    expect(window.loads()).toBe(loads)
    expect(window.complaints).toEqual([])
    expect(await window.page.$eval('#title', (field) => (field as unknown as { value: string }).value)).toBe(
      'Bare winter',
    )
  })

  it('keeps all that was chosen when the session ends meanwhile, seen by the preview first', async () => {
    const { site } = await aReportedSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit('/reports/new?template=campaign')
    const { page } = window
    await page.type('#title', 'Chosen with care')
    await page.focus('[value="down:curve"]')
    await page.keyboard.press('Enter')
    const order = () =>
      page.$$eval('[name="order"]', (fields) => fields.map((field) => field.getAttribute('value')))
    const moved = await order()
    // A thing that was found by its name, and is not offered by itself.
    await page.evaluate(`(() => {
      const box = document.querySelector('[name="mailing"]')
      box.value = '999'
      box.click()
    })()`)
    const words = await page.$eval('[name="mailing"][value="999"]', (box) =>
      box.closest('label')!.textContent!.trim(),
    )
    await site.db.deleteFrom('sessions').execute()
    await Promise.all([page.waitForNavigation(), page.type('#commentary', 'M')])
    expect(page.url()).toContain('/login')
    await page.type('[name=username]', owner.username)
    await page.type('[name=password]', owner.password)
    await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')])
    expect(page.url()).toContain('/reports/new?template=campaign')
    await page.waitForFunction('document.querySelector("#title").value === "Chosen with care"')
    expect(await page.$eval('#commentary', (field) => (field as unknown as { value: string }).value)).toBe(
      'M',
    )
    expect(await order()).toEqual(moved)
    const again = await page.$eval('[name="mailing"][value="999"]', (box) => [
      (box as unknown as { checked: boolean }).checked,
      box.closest('label')!.textContent!.trim(),
    ])
    expect(again).toEqual([true, words])
  })

  it('moves a section by keyboard, keeps the focus and saves the order', async () => {
    const { site, bare } = await aReportedSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit(`/reports/${bare.id}/edit`)
    const { page } = window
    const order = () =>
      page.$$eval('[name="order"]', (fields) => fields.map((field) => field.getAttribute('value')))
    const before = await order()
    const fourth = before[4]!
    const loads = window.loads()
    await page.focus(`[value="up:${fourth}"]`)

    await page.keyboard.press('Enter')
    await page.keyboard.press('Enter')

    // The first three stay on page 1: a second step up finds nowhere to go.
    expect((await order()).slice(0, 5)).toEqual([before[0], before[1], before[2], fourth, before[3]])
    expect(await page.evaluate('document.activeElement.value')).toBe(`up:${fourth}`)
    expect(await page.$eval('[data-arranged]', (status) => status.textContent)).toContain('is number 4 of')
    expect(window.loads()).toBe(loads)
    await page.focus('.form__actions [value="save"]')
    await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')])
    await window.visit(`/reports/${bare.id}/edit`)
    expect((await order())[3]).toBe(fourth)
  })

  it('moves a section that is dragged, though never into page 1, shows it so in the preview and saves it', async () => {
    const { site, bare } = await aReportedSite()
    await site.db
      .updateTable('reports')
      .set({
        definition: JSON.stringify({
          ...bare.definition,
          sections: [
            { name: 'method', on: true },
            { name: 'mailings', on: true },
          ],
        }),
      })
      .where('id', '=', bare.id)
      .execute()
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit(`/reports/${bare.id}/edit`)
    const { page } = window
    const loads = window.loads()
    const order = async () =>
      (
        await page.$$eval('[name="order"]', (fields) => fields.map((field) => field.getAttribute('value')))
      ).slice(0, 5)
    // Held in its middle, and let go in the lower part of the other.
    const drag = async (name: string, onto: string) => {
      const item = (await page.$(`[data-section="${name}"]`))!
      await item.scrollIntoView()
      const from = (await item.boundingBox())!
      const to = (await (await page.$(`[data-section="${onto}"]`))!.boundingBox())!
      await page.mouse.move(from.x + from.width / 2, from.y + from.height / 2)
      await page.mouse.down()
      await page.mouse.move(to.x + to.width / 2, to.y + to.height * 0.8, { steps: 8 })
      await page.mouse.up()
    }
    const asItWas = ['verdict', 'funnel', 'offers', 'method', 'mailings']
    expect(await order()).toEqual(asItWas)

    await drag('method', 'verdict')

    await page.waitForFunction(
      'document.querySelector("[data-arranged]").textContent === "Method is number 4 of 20."',
    )
    expect(await order()).toEqual(asItWas)

    await drag('method', 'mailings')

    const moved = ['verdict', 'funnel', 'offers', 'mailings', 'method']
    await page.waitForFunction(
      `[...document.querySelectorAll('[name="order"]')].map(({ value }) => value).indexOf('method') === 4`,
    )
    expect(await order()).toEqual(moved)
    await page.waitForFunction(
      `[...document.querySelectorAll('#preview h2[id^=s]')].at(-1).textContent === 'Method'`,
    )
    expect(window.loads()).toBe(loads)
    await Promise.all([page.waitForNavigation(), page.click('.form__actions [value="save"]')])
    await window.visit(`/reports/${bare.id}/edit`)
    expect(await order()).toEqual(moved)
    expect(window.complaints).toEqual([])
  })

  it('finds things by a part of their name, and keeps what was ticked', async () => {
    const { site, bare } = await aReportedSite()
    const window = await aWindow(browser, site)
    await logIn(window)
    await window.visit(`/reports/${bare.id}/edit`)
    const { page } = window
    await page.click('.builder__group summary')
    // The newest is a draft, of which there is nothing to tell.
    await page.click('#things-mailing label:nth-of-type(2) input')
    const ticked = await page.$eval('#things-mailing input:checked', (box) => box.getAttribute('value'))
    await page.type('[name="find_mailing"]', 'Paperboat 7')
    await page.waitForFunction('document.querySelectorAll("#things-mailing input").length === 2')
    const allTicked = () =>
      page.$$eval('#things-mailing input', (boxes) =>
        boxes.flatMap((box) =>
          (box as unknown as { checked: boolean }).checked ? [box.getAttribute('value')] : [],
        ),
      )
    expect(await allTicked()).toEqual([ticked])
    // The preview follows the tick, though somebody typed on before it was made.
    await page.waitForFunction(
      'document.querySelector("#preview .report-about").textContent.includes("About one mailing.")',
    )

    // Ticked while the next answer is on its way: it stays ticked, though the list no longer has it.
    const second = '#things-mailing label:nth-of-type(2) input'
    await page.setRequestInterception(true)
    let answer: () => void = () => undefined
    const asked = new Promise<void>((done) => {
      page.on('request', (request) => {
        if (!request.url().includes('/reports/things')) return void request.continue()
        answer = () => void request.continue()
        done()
      })
    })
    await page.type('[name="find_mailing"]', 'x')
    await asked
    const seven = await page.$eval(second, (box) => box.getAttribute('value'))
    await page.click(second)
    answer()
    await page.waitForSelector(`#things-mailing legend + label input[value="${seven}"]`)
    await page.waitForFunction(
      'document.querySelector("#preview .report-about").textContent.includes("About two mailings.")',
    )
    expect(new Set(await allTicked())).toEqual(new Set([ticked, seven]))
  })

  it('saves and renders without JavaScript', async () => {
    const { site, project } = await aReportedSite()
    const window = await aWindow(browser, site, { script: false })
    await logIn(window)
    await window.visit(`/reports/new?template=campaign&project=${project}`)
    await Promise.all([window.page.waitForNavigation(), window.page.click('.form__actions [value="render"]')])
    expect(window.page.url()).toMatch(/\/reports\/3\/renderings\/1$/)
    expect(await window.page.$eval('h1', (title) => title.textContent)).toBe('Autumn')
  })
})
