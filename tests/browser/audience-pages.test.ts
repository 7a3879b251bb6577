import type { Browser } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { launchBrowser } from '../support/browser.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { accessibilityFaults, aSite, aWindow, logIn, type Site, scrollsSideways } from '../support/site.js'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser.close())

const day = 86_400_000

/** A newsletter with readers of every band, proxies, machines, tags, a segment, a failed delivery and a sync. */
async function aReadSite() {
  const site = await aSite()
  const { db, audience } = site
  const now = Date.now()
  const list = await aList(site)
  const mailings = []
  for (let week = 8; week >= 1; week--)
    mailings.push(
      await aMailing(site, {
        name: `Issue ${120 - week}, a rather long title that has to break somewhere`,
        sent_at: now - week * 7 * day,
        list_id: list.id,
      }),
    )
  const people: number[] = []
  for (let index = 0; index < 14; index++) {
    const { contact } = await audience.write({
      do: 'subscriber',
      subscriber: {
        provider: 'buttondown',
        providerId: `00000000-0000-4000-8000-0000000000${10 + index}`,
        listId: list.id,
        email: `reader${index}.with-a-long-name-of-its-own@fernmail.example`,
        name: index % 3 ? `Reader Number ${index}` : '',
        status: index === 13 ? 'unsubscribed' : 'subscribed',
        providerStatus: 'regular',
        source: 'embedded_form',
        subscribedAt: now - 90 * day,
        unsubscribedAt: index === 13 ? now - 2 * day : null,
        changes: [{ at: now - 90 * day, status: 'subscribed' }],
        tags: index % 2 ? ['beta'] : [],
        seenAt: now,
      },
    })
    people.push(contact!)
  }
  for (const [index, contactId] of people.entries())
    for (const [issue, { id: mailingId, sent_at }] of mailings.entries()) {
      const about = { contactId, mailingId }
      await anEngagement(site, { ...about, kind: 'delivered', happenedAt: sent_at })
      if (index <= issue * 2)
        await anEngagement(site, {
          ...about,
          kind: 'opened',
          happenedAt: sent_at + 3_600_000,
          ...(index % 4 === 0 ? { userAgent: 'Mozilla/5.0' } : {}),
          ...(index % 5 === 0 ? { os: null, browser: null } : {}),
        })
      if (index < issue)
        await anEngagement(site, {
          ...about,
          kind: 'clicked',
          happenedAt: sent_at + 3_700_000,
          url: 'https://bindery.example/a/long/link/to/notebooks?with=a&query=too',
        })
    }
  await anEngagement(site, {
    contactId: people[1]!,
    mailingId: mailings[7]!.id,
    kind: 'replied',
    happenedAt: now - day,
  })
  await audience.retag({ contacts: people.slice(0, 3), add: ['buyer', 'a tag with a long name'], remove: [] })
  const campaign = await aCampaign(site)
  await anEvent(site, { cid: campaign.id, email: 'reader1.with-a-long-name-of-its-own@fernmail.example' })
  await aContact(site, { email: 'nobody-knows@fernmail.example', source: 'csv' })
  const { id: segment } = await db
    .insertInto('segments')
    .values({ name: 'Warm and recent', query: 'score=35&active=30', created_at: now })
    .returning('id')
    .executeTakeFirstOrThrow()
  for (const [state, reason] of [
    ['failed', 'Buttondown knows no such subscriber. Test deliveries have made-up ids.'],
    ['done', null],
    ['kept', null],
  ] as const)
    await db
      .insertInto('inbox')
      .values({
        provider: 'buttondown',
        key: `delivery-${state}`,
        event_type: state === 'kept' ? 'survey.created' : 'subscriber.opened',
        received_at: now - 60_000,
        body: Buffer.from('{"event_type":"subscriber.opened","data":{"subscriber":"<script>"}}'),
        state,
        reason,
        settled_at: now,
      })
      .execute()
  await db
    .insertInto('sync_runs')
    .values({
      provider: 'buttondown',
      kind: 'first',
      state: 'done',
      asked_by: 'maren',
      started_at: now - 3_600_000,
      seen_at: now - 3_500_000,
      ended_at: now - 3_500_000,
      changes: '{"subscribers":14,"mailings":8,"events":190}',
      progress: '{"stage":"events","stages":{"events":{"done":190,"of":190}},"requests":12}',
    })
    .execute()
  await site.scoring.runAll()
  const tag = await db.selectFrom('tags').select('id').where('name', '=', 'buyer').executeTakeFirstOrThrow()
  return { site, contact: people[1]!, mailing: mailings[7]!.id, tag: tag.id, list: list.id, segment }
}

type Read = Awaited<ReturnType<typeof aReadSite>>
const pages = ({ contact, mailing, list }: Read) => [
  '/audience',
  '/audience?tag=beta&not=buyer&active=30&machines=1&sort=name',
  '/audience?q=nobody-like-this',
  `/audience/${contact}`,
  `/audience/${contact}?machines=1`,
  `/audience/${contact}/erase`,
  '/audience/activity',
  `/audience/activity?mailing=${mailing}&kind=opened&machines=1`,
  '/audience/words',
  '/audience/over-time',
  '/audience/over-time?tag=beta&by=week&machines=1',
  '/lists',
  `/audience?list=${list}`,
  '/audience/tags',
  '/audience/import',
  '/mailings',
  '/mailings?machines=1&sort=opens',
  `/mailings/${mailing}`,
  `/mailings/${mailing}?people=opened&machines=1`,
  '/mailings/ours-and-theirs',
  '/providers/buttondown',
  '/providers/buttondown/sync',
  '/providers/buttondown/failures',
]
/** Where one tag or segment is changed, and where machines are counted in. */
const furtherPages = ({ list, tag, segment }: Read) => [
  `/audience/tags/${tag}`,
  `/audience/tags/${tag}/delete`,
  `/audience/segments/${segment}`,
  '/lists?machines=1',
  `/lists/${list}?machines=1`,
  '/audience/words?machines=1',
]

async function visitAll(
  site: Site,
  paths: string[],
  view: Parameters<typeof aWindow>[2],
  look: (window: Awaited<ReturnType<typeof aWindow>>) => Promise<string[]>,
) {
  const window = await aWindow(browser, site, view)
  await logIn(window)
  const faults: string[] = []
  for (const path of paths) {
    const response = await window.visit(path)
    if (response?.status() !== 200) faults.push(`${path}: ${response?.status()}`)
    for (const fault of await look(window)) faults.push(`${path}: ${fault}`)
    for (const complaint of window.complaints.splice(0)) faults.push(`${path}: ${complaint}`)
  }
  return faults
}

describe('every page of the audience', () => {
  it.each(['light', 'dark'] as const)('passes axe and keeps the console quiet, %s', async (scheme) => {
    const read = await aReadSite()
    expect(await visitAll(read.site, pages(read), { scheme }, accessibilityFaults)).toEqual([])
  })

  it('fits on a phone, and passes axe there', async () => {
    const read = await aReadSite()
    const faults = await visitAll(read.site, pages(read), { width: 360, height: 740 }, async (window) => [
      ...((await scrollsSideways(window.page)) ? ['scrolls sideways'] : []),
      ...(await accessibilityFaults(window)),
    ])
    expect(faults).toEqual([])
  })

  it.each([
    { scheme: 'light', width: 1280, height: 800 },
    { scheme: 'dark', width: 360, height: 740 },
  ] as const)('passes axe where one thing is changed and with machines, $scheme', async (view) => {
    const read = await aReadSite()
    const faults = await visitAll(read.site, furtherPages(read), view, async (window) => [
      ...((await scrollsSideways(window.page)) ? ['scrolls sideways'] : []),
      ...(await accessibilityFaults(window)),
    ])
    expect(faults).toEqual([])
  })

  it.each([
    { scheme: 'light', width: 1280, height: 800 },
    { scheme: 'dark', width: 360, height: 740 },
  ] as const)('passes axe where a form leads: a preview, and a refusal, $scheme', async (view) => {
    const { site } = await aReadSite()
    const window = await aWindow(browser, site, view)
    await logIn(window)
    const faults: string[] = []
    /** Fills the form of a page and sends it, past what the browser itself would refuse. */
    const send = async (path: string, action: string, values: Record<string, string>) => {
      await window.visit(path)
      const [response] = await Promise.all([
        window.page.waitForNavigation(),
        window.page.evaluate(
          `{
            const form = document.querySelector('form[action="${action}"]')
            for (const [name, value] of Object.entries(${JSON.stringify(values)})) form.elements[name].value = value
            form.submit()
          }`,
        ),
      ])
      for (const fault of await accessibilityFaults(window)) faults.push(`${action}: ${fault}`)
      if (await scrollsSideways(window.page)) faults.push(`${action}: scrolls sideways`)
      return { status: response?.status(), path: new URL(window.page.url()).pathname }
    }
    const pasted = 'email,name,tags\nnew@fernmail.example,A Person With A Long Name,press\nno address,,\n'
    const preview = await send('/audience/import', '/audience/import', { pasted })
    expect(preview).toEqual({ status: 200, path: expect.stringMatching(/^\/audience\/import\/.+/) })
    const wrongLines = await send(preview.path, preview.path, {})
    expect(wrongLines).toEqual({ status: 422, path: preview.path })
    for (const name of ['', 'Warm and recent'])
      expect(await send('/audience?tag=beta', '/audience/segments', { name })).toMatchObject({ status: 422 })
    expect(faults).toEqual([])
    expect(window.complaints).toEqual([])
  })

  it('shows its numbers without JavaScript', async () => {
    const read = await aReadSite()
    const window = await aWindow(browser, read.site, { script: false })
    await logIn(window)
    const text = async (path: string) => {
      await window.visit(path)
      return window.page.$eval('main', (main) => (main as unknown as { innerText: string }).innerText)
    }
    expect(await text('/audience')).toMatch(/Reader Number 1[\s\S]*champion|active|passive/)
    expect(await text(`/mailings/${read.mailing}`)).toMatch(/Opened|Open rate/i)
    expect(await text('/audience/over-time')).toMatch(/active/i)
  })

  it('is empty with a way on, and passes axe', async () => {
    const site = await aSite()
    const empty = [
      '/audience',
      '/audience/activity',
      '/audience/words',
      '/audience/over-time',
      '/lists',
      '/audience/tags',
      '/mailings',
      '/mailings/ours-and-theirs',
      '/providers/buttondown',
      '/providers/buttondown/sync',
      '/providers/buttondown/failures',
    ]
    const faults = await visitAll(
      site,
      empty,
      { width: 360, height: 740, scheme: 'dark' },
      async (window) => [
        ...((await scrollsSideways(window.page)) ? ['scrolls sideways'] : []),
        ...(await accessibilityFaults(window)),
      ],
    )
    expect(faults).toEqual([])
  })
})

it('shows what somebody just did without being loaded again', async () => {
  const read = await aReadSite()
  const window = await aWindow(browser, read.site)
  await logIn(window)
  await window.visit('/audience/activity')
  const loads = window.loads()
  await anEngagement(read.site, {
    contactId: read.contact,
    mailingId: read.mailing,
    kind: 'clicked',
    url: 'https://quiet.example/just-now',
  })
  await window.page.waitForFunction(
    "document.querySelector('main').innerText.includes('quiet.example/just-now')",
  )
  expect(window.loads()).toBe(loads)
})
