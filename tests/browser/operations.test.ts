import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { accessibilityFaults, aSite, aWindow, logIn, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** Where somebody wants to keep the pictures of these pages. */
const shots = process.env.SHOTS

it('shows jobs and backups by every width, empty and with runs, without a fault', async () => {
  const site = await aSite()
  const faults: string[] = []
  for (const state of ['empty', 'told']) {
    if (state === 'told') {
      await site.jobs.perform('back-up')
      await site.jobs.perform('check-database', 'maren')
      site.jobs.enter({
        name: 'break',
        title: 'Break',
        what: 'Fails, so that somebody sees what that looks like.',
        schedule: '0 3 * * *',
        run: ({ log }) => {
          log('It begins well.')
          return Promise.reject(new Error('The store does not answer.'))
        },
      })
      await site.jobs.perform('break').catch(() => {})
    }
    for (const width of state === 'told' ? [360, 1440] : [768]) {
      const window = await aWindow(browser, site, { width, scheme: width === 360 ? 'dark' : 'light' })
      await logIn(window)
      const pages = [
        '/operations/jobs',
        '/operations/jobs/back-up',
        '/operations/backups',
        '/settings/backups',
      ]
      for (const path of state === 'told' ? [...pages, '/operations/jobs/break'] : pages) {
        await window.visit(path)
        for (const fault of await accessibilityFaults(window)) faults.push(`${path} at ${width}: ${fault}`)
        if (await scrollsSideways(window.page)) faults.push(`${path} scrolls at ${width}`)
        if (shots)
          await window.page.screenshot({
            path: `${shots}/${state}-${width}${path.replaceAll('/', '-')}.png`,
            fullPage: true,
          })
      }
      faults.push(...window.complaints)
    }
  }
  expect(faults).toEqual([])
}, 400_000)
