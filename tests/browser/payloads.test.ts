import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { aBrowser, tokenIn } from '../accounts/people.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPartner, aProject } from '../support/partners.js'
import { anOffer, aVariation } from '../support/promos.js'
import { pathWith, routesOf } from '../support/routes.js'
import { aSite, aWindow, logIn, owner, type Site } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

/** Ends an attribute, an element, a script and a template; whatever runs or loads of it is a violation of the policy. */
const payload = `x'"></script><img src=//evil.example/x onerror=alert(1)>{{7*7}}`
/** The same without what an address may not hold. */
const inAddress = `https://paperboat.example/?a='"><script>alert(1)</script>`

/** Everything that a program can tell us, and everything that a table can hold, is the payload. */
async function poisoned() {
  const site = await aSite()
  const { id: cid } = await aCampaign(site, { name: payload })
  await anEvent(site, {
    cid,
    email: `"<script>alert(1)</script>"@fernmail.example`,
    domain: 'news.fernweh.example',
    link: inAddress,
    utm_content: payload,
    eid: payload,
    extra: payload,
    ua: `Mozilla/5.0 ${payload}`,
  }).catch(() => anEvent(site, { cid, utm_content: payload, extra: payload, ua: `Mozilla/5.0 ${payload}` }))
  await site.http.get('/api/event').query({ cid: payload, event: payload, email: payload })
  const list = await aList(site, { name: payload })
  const contact = await aContact(site, {
    email: 'bo@fernmail.example',
    name: payload,
    notes: payload,
    source: 'csv',
  })
  const mailing = await aMailing(site, { name: payload, list_id: list.id })
  await anEngagement(site, {
    contactId: contact.id,
    mailingId: mailing.id,
    kind: 'clicked',
    url: inAddress,
    userAgent: payload,
    os: payload,
    browser: payload,
    metadata: { [payload]: payload },
  })
  await aProject(site, {
    name: payload,
    partner_id: (await aPartner(site, { name: payload, emails: payload })).id,
  })
  const offer = await anOffer(site, {
    name: payload,
    type: payload,
    utm_source: payload,
    utm_campaign: payload,
  })
  await aVariation(site, offer.id, { headline: payload, text: payload, cta_text: payload, tone: payload })
  return site
}

const isPage = (path: string) =>
  !/^\/(api|webhooks|go|healthz|readyz|metrics|static|t\.js|logout)\b/.test(path)
const pagesOf = (site: Site) =>
  [
    ...new Set(
      routesOf(site)
        .filter(
          ({ method, path }) =>
            method === 'GET' && isPage(path) && !/\.(csv|json|pdf|js|css|png)$/.test(path),
        )
        .map(({ path }) => pathWith(path, '1')),
    ),
  ].filter((path) => !/^\/(login|setup)/.test(path))

/** Fills every form of every page with the payload, as somebody would who wants to see what it does. */
async function fillForms(site: Site) {
  const { agent, logIn } = aBrowser(site)
  await logIn(owner)
  let sent = 0
  for (const path of pagesOf(site)) {
    const { text = '' } = await agent.get(path)
    for (const [form] of text.matchAll(/<form[\s\S]*?<\/form>/g)) {
      const action = /action="([^"]*)"/.exec(form)?.[1]?.replaceAll('&amp;', '&') || path
      if (
        /logout|sessions|deactivation|revocation|erase|deletion|\/delete|settings\/password|two-factor/.test(
          action,
        )
      )
        continue
      const fields: Record<string, string> = {}
      for (const [input, name] of form.matchAll(/<(?:input|textarea|select)[^>]* name="([^"]+)"[^>]*>/g)) {
        const value = /value="([^"]*)"/.exec(input)?.[1] ?? ''
        const isText =
          /<textarea/.test(input) || /type="(text|search|url)"/.test(input) || !/type=/.test(input)
        fields[name!] = /<select/.test(input)
          ? (new RegExp(`name="${name}"[\\s\\S]*?<option value="([^"]*)"`).exec(form)?.[1] ?? '')
          : isText
            ? /url/i.test(name!)
              ? inAddress
              : payload
            : /type="number"/.test(input)
              ? value || '1'
              : value
      }
      fields._csrf = tokenIn(text) || tokenIn(form)
      sent++
      if (/method="post"/i.test(form)) await agent.post(action).type('form').send(fields)
      else await agent.get(action).query(fields)
    }
  }
  return sent
}

it('runs nothing that somebody typed or sent, on any page', async () => {
  const site = await poisoned()
  expect(await fillForms(site)).toBeGreaterThan(40)

  const window = await aWindow(browser, site)
  const { page, complaints, visit } = window
  const faults: string[] = []
  const foreign: string[] = []
  page.on('dialog', (dialog) => {
    faults.push(`${page.url()} ran a script`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (new URL(request.url()).hostname === 'evil.example')
      foreign.push(`${page.url()} asked for ${request.url()}`)
  })
  await page.evaluateOnNewDocument(`
    globalThis.violations = []
    document.addEventListener('securitypolicyviolation', (event) =>
      globalThis.violations.push(event.violatedDirective + ' ' + event.blockedURI))`)
  await logIn(window)
  let shown = 0
  const paths = pagesOf(site)
  // What the address bar says is shown by pages of their own; one of each room says enough.
  for (const path of paths)
    for (const asked of [
      path,
      ...(/^\/[a-z]*$/.test(path)
        ? [`${path}?${new URLSearchParams({ q: payload, name: payload, after: payload })}`]
        : []),
    ]) {
      await visit(asked)
      const found = (await page.evaluate(`({
        violations: globalThis.violations ?? [],
        injected: document.querySelectorAll('img[src*="evil.example"], script:not([src])').length,
        shown: document.documentElement.outerHTML.includes('evil.example'),
        computed: /onerror=alert(1)>49/.test(document.body.innerText),
      })`)) as { violations: string[]; injected: number; shown: boolean; computed: boolean }
      if (found.shown && asked === path) shown++
      for (const violation of found.violations) faults.push(`${asked.slice(0, 60)}: ${violation}`)
      if (found.injected > 0) faults.push(`${asked.slice(0, 60)}: an element came out of a text`)
      if (found.computed) faults.push(`${asked.slice(0, 60)}: a template ran`)
      for (const complaint of complaints.splice(0))
        if (/Content.Security.Policy|Refused/i.test(complaint))
          faults.push(`${asked.slice(0, 60)}: ${complaint}`)
    }
  expect(faults).toEqual([])
  expect(foreign).toEqual([])
  // It can fail: the payload is there to be read, on many pages.
  expect(shown).toBeGreaterThan(25)
}, 400_000)

it('would see a script that gets in', async () => {
  const site = await aSite()
  const { page, visit, complaints } = await aWindow(browser, site)
  await visit('/login')
  await page.evaluate(`{
    const image = document.createElement('div')
    image.innerHTML = '<img src="//evil.example/x" onerror="alert(1)">'
    document.body.append(image)
  }`)
  await expect.poll(() => complaints.join(' ')).toMatch(/Content.Security.Policy/i)
})
