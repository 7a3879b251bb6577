import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSchedule, pauseSchedule } from '../../src/reports/schedules.js'
import { aMailing } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aReportOf } from '../support/reports.js'
import { accessibilityFaults, aSite, aWindow, logIn, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** A report with schedules of each kind, and deliveries with every outcome. */
async function aBusyReport() {
  const site = await aSite()
  const report = await aReportOf(site, { subjects: { mailings: [(await aMailing(site)).id] } })
  const made = { by: null, now: Date.now() }
  const recipients = ['a-rather-long-address-of-somebody@letters.northwind.example', 'ben@northwind.example']
  const ids = []
  for (const kind of ['weekly', 'monthly', 'after-mailing'] as const)
    ids.push(
      await createSchedule(
        site.db,
        report.id,
        { kind, day: 3, minute: 510, recipients: ids.length ? [] : recipients },
        made,
      ),
    )
  await pauseSchedule(site.db, ids[1]!.id, { paused: true, now: made.now })
  const rendering = await site.reports.render(report.id)
  for (const state of ['waiting', 'sending', 'sent', 'failed', 'unsure'] as const)
    await site.db
      .insertInto('report_deliveries')
      .values({
        report_id: report.id,
        rendering_id: rendering.id,
        recipient: recipients[0]!,
        state,
        tries: state === 'waiting' ? 2 : 7,
        next_try_at: made.now + 3_600_000,
        failure: state === 'sent' ? '' : 'The mail server smtp.northwind.example:587 did not answer in time.',
        created_at: made.now,
      })
      .execute()
  await site.db
    .insertInto('report_runs')
    .values({
      schedule_id: ids[0]!.id,
      report_id: report.id,
      due_at: made.now,
      recipients: '',
      state: 'failed',
      tries: 7,
      next_try_at: made.now,
      failure: 'Something went wrong on our side. The log of the server knows more.',
    })
    .execute()
  const pages = [
    '/reports',
    `/reports/${report.id}`,
    `/reports/${report.id}/schedules/new`,
    `/reports/${report.id}/schedules/${ids[0]!.id}`,
    `/reports/${report.id}/renderings/1/send`,
    '/settings/mail',
  ]
  return { site, report, pages }
}

describe('the pages of schedules, deliveries and mail', () => {
  it('hold for a screen reader, on a phone, by day and by night', async () => {
    const { site, pages } = await aBusyReport()
    for (const [width, scheme] of [
      [1280, 'light'],
      [360, 'dark'],
    ] as const) {
      const window = await aWindow(browser, site, { width, scheme })
      await logIn(window)
      for (const path of pages) {
        await window.visit(path)
        expect(await accessibilityFaults(window), `${path} at ${width}`).toEqual([])
        expect(await scrollsSideways(window.page), `${path} at ${width}`).toBe(false)
      }
      expect(window.complaints).toEqual([])
    }
  })

  it('make a schedule without JavaScript and with the keyboard alone', async () => {
    const { site, report } = await aBusyReport()
    const window = await aWindow(browser, site, { script: false })
    await logIn(window)
    await window.visit(`/reports/${report.id}/schedules/new`)
    await window.page.focus('[name=kind][value=weekly]')
    await window.page.keyboard.press('ArrowDown')
    await window.page.focus('[name=day_of_month]')
    await window.page.keyboard.down('Shift')
    await window.page.keyboard.press('Home')
    await window.page.keyboard.up('Shift')
    await window.page.keyboard.type('31')
    await window.page.focus('[name=recipients]')
    await window.page.keyboard.type('ada@northwind.example')
    await window.page.focus('[name=time]')
    await Promise.all([window.page.waitForNavigation(), window.page.keyboard.press('Enter')])
    expect(
      await window.page.$eval('#schedules', (head) => head.parentElement?.parentElement?.textContent),
    ).toContain('The last day of each month at 08:00')
  })
})
