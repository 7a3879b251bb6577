import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { launchBrowser } from '../support/browser.js'
import { startEmailOctopus } from '../support/emailoctopus.js'
import { accessibilityFaults, aSite, aWindow, logIn, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const home = '/providers/emailoctopus'
const pages = [home, `${home}/sync`, `${home}/failures`]

/** A site beside a stand-in EmailOctopus with a list, its readers and a campaign; nobody has connected them yet. */
async function anAccount() {
  const standIn = await startEmailOctopus()
  onTestFinished(() => standIn.close())
  const { world } = standIn
  const list = world.addList({ name: 'Weekly letter' })
  const foreign = world.addList({ name: 'Of another account' })
  world.foreign.add(foreign.id)
  const readers = Array.from({ length: 12 }, (_, index) =>
    world.addContact(list, { email: `reader-number-${index}-of-a-long-name@fernmail.example` }),
  )
  const campaign = world.addCampaign({ subject: 'Issue 1', lists: [list], at: Date.now() - 3_600_000 })
  const site = await aSite({
    env: { EMAILOCTOPUS_API_URL: standIn.url, EMAILOCTOPUS_REQUESTS_PER_SECOND: '0' },
  })
  return { standIn, world, site, campaign, readers }
}
type Account = Awaited<ReturnType<typeof anAccount>>

const secret = 'a-secret-of-the-endpoint'
const deliver = ({ site, standIn }: Account, events: Parameters<typeof standIn.body>[0], key = secret) =>
  standIn.deliverTo(`${site.origin}/webhooks/emailoctopus`, events, { secret: key })

/** Connected, with a run that could not fetch all, deliveries that were read, refused, and failed. */
async function aConnectedAccount() {
  const account = await anAccount()
  const { site, world, standIn, campaign, readers } = account
  await site.emailOctopus.apiKey.save(standIn.key)
  await site.emailOctopus.signingKey.save(secret)
  await site.emailOctopus.sync.ask('maren')
  await site.emailOctopus.sync.performWaiting()
  await deliver(
    account,
    readers.slice(0, 5).map((reader) => world.open(campaign, reader)),
  )
  await site.emailOctopus.deliveries.run()
  await deliver(account, [world.open(campaign, readers[0]!)], 'another-secret')
  await site.db
    .insertInto('inbox')
    .values({
      provider: 'emailoctopus',
      key: 'failed',
      event_type: 'contact.opened',
      received_at: Date.now(),
      body: Buffer.from('{"id":"failed"}'),
      state: 'failed',
      reason: 'EmailOctopus did not answer in time.',
      settled_at: Date.now(),
    })
    .execute()
  return account
}

/** What is wrong on the three pages, as somebody with this window sees them. */
async function faultsOf({ site }: Account, view: Parameters<typeof aWindow>[2]) {
  const window = await aWindow(browser, site, view)
  await logIn(window)
  const faults: string[] = []
  for (const path of pages) {
    await window.visit(path)
    const found = [
      ...((await scrollsSideways(window.page)) ? ['scrolls sideways'] : []),
      ...(await accessibilityFaults(window)),
      ...window.complaints.splice(0),
    ]
    faults.push(...found.map((fault) => `${path}: ${fault}`))
  }
  return faults
}

describe('the pages of EmailOctopus', () => {
  it.each([
    { scheme: 'light' },
    { scheme: 'dark' },
    { width: 360, height: 740, scheme: 'light' },
    { width: 360, height: 740, scheme: 'dark' },
  ] as const)('pass axe, fit, and keep the console quiet, $scheme at $width', async (view) => {
    const account = await aConnectedAccount()
    expect(await faultsOf(account, view)).toEqual([])
  })

  it('do so before anything is connected, and while a sync runs', async () => {
    const account = await anAccount()
    expect(await faultsOf(account, { width: 360, height: 740, scheme: 'dark' })).toEqual([])
    const { site, standIn } = account
    await site.emailOctopus.apiKey.save(standIn.key)
    const release = standIn.hold()
    await site.emailOctopus.sync.start('maren')
    await standIn.arrived(1)
    expect(await faultsOf(account, {})).toEqual([])
    release()
    await site.emailOctopus.sync.performWaiting()
  })

  it('take somebody with nothing but a key to the mailings, and show each delivery as it comes', async () => {
    const account = await anAccount()
    const { site, standIn, world, campaign, readers } = account
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit('/mailings')
    await Promise.all([page.waitForNavigation(), page.click(`main a[href="${home}"]`)])
    await page.type('#api_key', standIn.key)
    const release = standIn.hold()
    const saved = page.waitForNavigation()
    await page.click(`form[action="${home}/key"] button[type=submit]`)
    // Trying the key is the first request, and the first of the sync comes after it.
    await standIn.arrived(1)
    release()
    await saved
    const loads = window.loads()
    await page.waitForFunction("document.querySelector('#steps').innerText.includes('of the past are here')")

    await page.type('#signing_key', secret)
    await Promise.all([
      page.waitForNavigation(),
      page.click(`form[action="${home}/signing-key"] button[type=submit]`),
    ])
    await deliver(account, [world.open(campaign, readers[3]!)])
    await page.waitForFunction("document.querySelector('#steps h2').innerText === 'Connected'")
    await page.waitForFunction(
      "document.querySelector('#deliveries').innerText.includes('reader-number-3-of-a-long-name')",
    )
    expect(window.loads()).toBe(loads + 1)
    expect(window.complaints).toEqual([])

    await window.visit('/mailings')
    expect(await page.$eval('main', (main) => main.textContent)).toContain('Issue 1')
  })

  it('watch a sync without being loaded again', async () => {
    const { site, standIn } = await aConnectedAccount()
    const window = await aWindow(browser, site)
    const { page } = window
    await logIn(window)
    await window.visit(`${home}/sync`)
    const release = standIn.hold()
    await Promise.all([
      page.waitForNavigation(),
      page.click(`form[action="${home}/sync"] button.button--primary`),
    ])
    const loads = window.loads()
    await page.waitForFunction("document.querySelector('#running')?.innerText === 'EmailOctopus is syncing'")
    release()
    await page.waitForFunction("document.querySelector('#idle')?.innerText.startsWith('Synced')")
    expect(window.loads()).toBe(loads)
    expect(window.complaints).toEqual([])
  })

  it('do all of it without JavaScript', async () => {
    const { site, standIn } = await anAccount()
    const window = await aWindow(browser, site, { script: false })
    const { page } = window
    await logIn(window)
    await window.visit(home)
    await page.type('#api_key', standIn.key)
    const send = (form: string) =>
      Promise.all([page.waitForNavigation(), page.click(`form[action="${home}${form}"] button[type=submit]`)])
    await send('/key')
    await site.emailOctopus.sync.performWaiting()
    await page.click('input[value=daily]')
    await send('/period')
    expect(await page.$eval('#flash', (flash) => flash.textContent)).toContain('once a day')
    await window.visit(`${home}/sync`)
    expect(await page.$eval('#idle', (title) => title.textContent)).toContain('Synced')
    await send('/sync')
    await site.emailOctopus.sync.performWaiting()
    await window.visit(`${home}/failures`)
    await send('/sync/failures')
    expect(await page.$('#could-not')).toBeNull()
  })
})
