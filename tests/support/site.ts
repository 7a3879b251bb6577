import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import axe from 'axe-core'
import type { Browser, Page } from 'puppeteer-core'
import { onTestFinished } from 'vitest'
import { createAccount } from '../../src/accounts/commands.js'
import { httpServer } from '../../src/web/server.js'
import { aFolder, testApp } from './app.js'

export const owner = { username: 'maren', full_name: 'Maren', password: 'a quiet harbour at dawn' }

/** The real server on a free port, with the real time and one account. */
export async function aSite({
  account = true,
  env = {},
}: {
  account?: boolean
  env?: Record<string, string>
} = {}) {
  const clock = { at: 0, now: Date.now, pass: () => {} }
  const app = await testApp({ dataDir: aFolder(), clock, env })
  if (account) await createAccount(app.db, owner, { by: null, at: Date.now() })
  const server = httpServer(app.app)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { ...app, origin }
}
export type Site = Awaited<ReturnType<typeof aSite>>

interface View {
  width?: number
  height?: number
  scheme?: 'light' | 'dark'
  script?: boolean
}

/** Milliseconds that a page waits for what it is told to wait for; a limit is there to end what hangs. */
const patience = 90_000

/** A window of a person who has just come in, with a note of everything that went wrong in it. */
export async function aWindow(
  browser: Browser,
  site: Site,
  { width = 1440, height = 900, scheme = 'light', script = true }: View = {},
) {
  const context = await browser.createBrowserContext()
  onTestFinished(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(patience)
  await page.setViewport({ width, height })
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
  await page.setJavaScriptEnabled(script)
  const complaints: string[] = []
  let loads = 0
  page.on('console', (message) => {
    // Chromium reports an expected 4xx as an error of its own.
    const expected = /Failed to load resource: the server responded with a status of 4\d\d/.test(
      message.text(),
    )
    if (['error', 'warn'].includes(message.type()) && !expected) complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('load', () => {
    loads++
  })
  return {
    page,
    /** What the console held against the page. */
    complaints,
    /** How many documents were loaded. */
    loads: () => loads,
    visit: (path: string) => page.goto(`${site.origin}${path}`, { waitUntil: 'load' }),
  }
}
export type Window = Awaited<ReturnType<typeof aWindow>>

/** Logs in as a person does. */
export async function logIn({ page, visit }: Window) {
  await visit('/login')
  await page.type('[name=username]', owner.username)
  await page.type('[name=password]', owner.password)
  await Promise.all([page.waitForNavigation(), page.click('button[type=submit]')])
}

/**
 * What axe-core holds against the page as it is now, one line for each fault. While it looks it sets styles of its own,
 * which the page's Content-Security-Policy refuses: what the console says meanwhile is not the page's.
 */
export async function accessibilityFaults({ page, complaints }: Pick<Window, 'page' | 'complaints'>) {
  const before = complaints.length
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() =>
    // @ts-expect-error axe was just put into the page
    globalThis.axe.run(document, { resultTypes: ['violations'], preload: false }),
  )
  complaints.length = before
  return (violations as axe.Result[]).map(
    ({ id, nodes }) =>
      `${id}: ${nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary ?? ''}`).join(' | ')}`,
  )
}

/** Can the page be moved sideways? */
export const scrollsSideways = (page: Page) =>
  page.evaluate(
    'document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth',
  ) as Promise<boolean>
