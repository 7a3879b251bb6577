import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectRoot } from '../../src/config.js'
import type { ReportDefinition } from '../../src/reports/definition.js'
import { findBrowser } from '../../src/reports/pdf/browser.js'
import { sectionNames } from '../../src/reports/templates.js'
import { aFolder, stoppedClock, testApp } from '../support/app.js'
import { aContact, aList, aMailing } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { factsOfCampaign, factsOfMailings, factsOfReported, printedRows } from '../support/facts.js'
import { aMailServer } from '../support/mail.js'
import { aMailedYear, anEngagedMailing, aReportedMailing } from '../support/mailings.js'
import { pdfTables, pictureOf, readPdf } from '../support/pdf.js'
import { aPerson } from '../support/person.js'
import { differenceFrom } from '../support/pictures.js'
import { aPromo, tellClick, tellImpression } from '../support/promos.js'
import { addTenThousandLinks, aReportOf, figureOf } from '../support/reports.js'
import { aPromotedAutumn, aReportedAutumn, aToldAutumn, aTrackedAutumn } from '../support/told-autumn.js'

const env = { PUPPETEER_EXECUTABLE_PATH: process.env.PUPPETEER_EXECUTABLE_PATH ?? '' }

async function aReader(more: Record<string, string> = {}) {
  const app = await testApp({ env: { ...env, ...more } })
  const person = await aPerson(app, { remember: true })
  return { ...app, ...person }
}
type Reader = Awaited<ReturnType<typeof aReader>>

/** Renders a report, and reads its PDF as a person downloads it. */
async function downloaded({ http, send }: Reader, id: number) {
  const { headers } = await send(`/reports/${id}/renderings`, {}).expect(303)
  const here = headers.location!
  const page = await http.get(here).expect(200)
  for (;;) {
    const answer = await http.get(`${here}/report.pdf`).buffer(true)
    if (answer.status === 303) continue // it is still being printed, and the door waits for it a while
    expect(answer.status).toBe(200)
    expect(answer.headers['content-type']).toBe('application/pdf')
    return { here, page: page.text, pdf: answer.body as Buffer, name: answer.headers['content-disposition'] }
  }
}

/** A font that comes with a package of ours, so that pictures are the same whatever fonts a machine has. */
function ownFont() {
  const face = (file: string, weight: string) => {
    const font = readFileSync(join(projectRoot, 'node_modules/pdfjs-dist/standard_fonts', file))
    return `@font-face { font-family: Own; font-weight: ${weight};
      src: url(data:font/ttf;base64,${font.toString('base64')}) }`
  }
  const faces = [face('LiberationSans-Regular.ttf', '100 500'), face('LiberationSans-Bold.ttf', '600 900')]
  return `${faces.join('')} * { font-family: Own !important }`
}

/** A text without its blanks: a reader of PDFs puts them where it likes. */
const squeezed = (text: string) => text.replace(/\s+/g, '')

/** The page without the numbers behind charts, which fold out on the screen and are drawn on paper. */
const withoutFolds = (page: string) => page.replace(/<details class="numbers">[\s\S]*?<\/details>/g, '')

/** The words of everything on a page of HTML that carries a raw number. */
const figuresOf = (page: string) =>
  [...page.matchAll(/data-value="([^"]+)"[^>]*>([^<]+)</g)].map(([, , words]) =>
    words!.replace(/&#39;/g, "'").replace(/&amp;/g, '&').trim(),
  )

describe('the PDF of a report', () => {
  it('says the same numbers as its page', async () => {
    const app = await aReader()
    const { theirs } = await aMailedYear(app)
    const report = await aReportOf(app, {
      subjects: { mailings: theirs.slice(-6).map(({ id }) => id) },
      title: 'Autumn at Paperboat',
    })
    const { page, pdf, name } = await downloaded(app, report.id)
    const read = await readPdf(pdf)

    expect(read.title).toContain('Autumn at Paperboat')
    expect(read).toMatchObject({ lang: 'en', tagged: true })
    expect(name).toMatch(/autumn-at-paperboat-\d{4}-\d\d-\d\d.*\.pdf/)
    expect(read.pages.length).toBeGreaterThanOrEqual(2)
    expect(read.pages.length).toBeLessThanOrEqual(4)
    for (const [place, text] of read.pages.entries()) {
      expect(text).toContain(`page ${place + 1} of ${read.pages.length}`)
      expect(text).toContain('report TL-2026-001')
    }
    expect(read.outline).toContain('Autumn at Paperboat')
    expect(read.outline.length).toBeGreaterThan(4)
    expect(read.roles).toEqual(expect.arrayContaining(['H1', 'H2', 'Table', 'TH', 'TD', 'Figure']))
    expect(read.fonts.length).toBeGreaterThan(0)
    expect(read.fonts.filter(({ embedded }) => !embedded)).toEqual([])

    const text = squeezed(read.pages.join(' '))
    const figures = figuresOf(withoutFolds(page))
    expect(figures.length).toBeGreaterThan(20)
    for (const figure of figures) expect(text).toContain(squeezed(figure))
    for (const id of ['open-rate', 'click-rate']) expect(figureOf(page, `tile-${id}`)).toBeTruthy()

    // Page 1 stands alone: what follows begins on the second.
    const [, second] = /<article[\s\S]*?<article[\s\S]*?<h2[^>]*>([^<]+)</.exec(page)!
    expect(squeezed(read.pages[0]!)).not.toContain(squeezed(second!))
    expect(squeezed(read.pages[1]!)).toContain(squeezed(second!))
  })

  it.each([
    [
      'mailings',
      [1, 2],
      async (app: Reader) => {
        const { theirs } = await aMailedYear(app)
        return {
          subjects: { mailings: theirs.slice(-6).map(({ id }) => id) },
          title: 'Autumn at Paperboat',
        }
      },
    ],
    [
      'list',
      [1],
      async (app: Reader) => ({
        template: 'list' as const,
        subjects: { lists: [(await aToldAutumn(app)).list.id] },
        period: { kind: 'days' as const, days: 180, from: '', to: '' },
        title: 'The readers of Slow Mornings',
      }),
    ],
    [
      'promo',
      [1],
      async (app: Reader) => ({
        template: 'promo' as const,
        subjects: { offers: [(await aPromotedAutumn(app)).id] },
        title: 'What the notebooks brought',
      }),
    ],
  ])('looks as it did, and a picture tells when a part of it is missing: %s', async (name, pages, told) => {
    const app = await aReader({ PROMO_CLICKS_PER_MINUTE: '0' })
    const report = await aReportOf(app, await told(app))
    const document = await app.reports.documentOf(await app.reports.render(report.id))
    const drawn = async (style = '') => {
      const html = document.html.replace('</style>', `${ownFont()}${style}</style>`)
      const pdf = await app.press.print({ ...document, html })
      return Promise.all(pages.map(async (page) => (await pictureOf(pdf, { page, scale: 0.6 })).png))
    }
    const fileOf = (page: number) => join(projectRoot, `tests/reports/pictures/${name}-page-${page}.png`)
    for (const [index, png] of (await drawn()).entries())
      expect(differenceFrom(fileOf(pages[index]!), png), `page ${pages[index]}`).toBeLessThan(0.05)

    if (process.env.UPDATE_PICTURES === '1') return
    for (const [index, png] of (await drawn('.report-tiles, .chart__plot { visibility: hidden }')).entries())
      expect(differenceFrom(fileOf(pages[index]!), png)).toBeGreaterThan(0.1)
  })

  it('stands with names in any script, nothing to say, and one mailing', async () => {
    const app = await aReader()
    const long = `Ein ${'sehr '.repeat(20)}langer Name`
    const names = ['ملخص الخريف ١٢٣', 'Résumé – Ünïcode ẞ', '日本語の題名', '📚 Bücher', long]
    for (const title of names) {
      const report = await aReportOf(app, { title, subjects: { mailings: [(await aMailing(app)).id] } })
      const { pdf } = await downloaded(app, report.id)
      const read = await readPdf(pdf)
      expect(read.title).toContain(title)
      expect(read.pages.length).toBeLessThanOrEqual(4)
    }
    const nothing = await aReportOf(app, { title: 'Nothing yet' })
    const { pages } = await readPdf((await downloaded(app, nothing.id)).pdf)
    expect(pages[0]).toContain('Nothing yet')
    expect(pages.join(' ')).not.toMatch(/NaN|undefined|null|Infinity/)
  })

  it('says the numbers of a promo, of a list, its cohorts and hours as its page does', async () => {
    const app = await aReader()
    const { letter, ours } = await aMailedYear(app)
    const { offer, ids } = await aPromo(app, { texts: 2 })
    const { provider_id } = await app.db
      .selectFrom('mailings')
      .select('provider_id')
      .where('id', '=', ours.at(-1)!.id)
      .executeTakeFirstOrThrow()
    for (const [place, variation_id] of ids.entries()) {
      await tellImpression(app, {
        offer_id: offer.id,
        variation_id,
        newsletter_send_id: provider_id,
        placements: 30,
      }).expect(204)
      for (let click = 0; click < 3 + place; click++)
        await tellClick(app, { variation_id, ip_hash: `${place} ${click}` }).expect(204)
    }
    const contacts = await app.db.selectFrom('contacts').select('id').execute()
    for (const [index, { id }] of contacts.entries()) {
      const at = app.clock.now() - (index + 1) * 20 * 86_400_000
      const about = { list_id: letter.id, contact_id: id, status: 'subscribed' }
      await app.db
        .insertInto('subscriptions')
        .values({ ...about, subscribed_at: at })
        .execute()
      await app.db
        .insertInto('subscription_changes')
        .values({ ...about, changed_at: at })
        .execute()
    }
    const report = await aReportOf(app, {
      template: 'promo',
      subjects: { offers: [offer.id], lists: [letter.id], mailings: ours.slice(-3).map(({ id }) => id) },
      period: { kind: 'days', days: 90, from: '', to: '' },
      sections: sectionNames.map((name) => ({ name, on: name !== 'engaged' })),
    })
    const { page, pdf } = await downloaded(app, report.id)
    for (const heading of [
      '4 joined and 0 left',
      'Most clicks came on',
      'still active three months',
      'of each CTR',
    ])
      expect(page).toContain(heading)
    const text = squeezed((await readPdf(pdf)).pages.join(' '))
    const figures = figuresOf(withoutFolds(page))
    expect(figures.length).toBeGreaterThan(60)
    for (const figure of figures) expect(text).toContain(squeezed(figure))
    for (const [, heading] of page.matchAll(/<h2[^>]*id="s[^>]*>([^<&]+)</g))
      expect(text).toContain(squeezed(heading!))
  })

  it('prints in its tables what the facts say', async () => {
    const app = await aReader()
    const ours = await aToldAutumn(app)
    const theirs = await aReportedAutumn(app)
    const campaign = await aTrackedAutumn(app)
    const sections = sectionNames.map((name) => ({ name, on: name !== 'engaged' }))
    for (const [subjects, { printed }] of [
      [
        { mailings: ours.issues.slice(5) },
        await factsOfMailings(app, { these: ours.issues.slice(5), earlier: ours.issues.slice(0, 5) }),
      ],
      [
        { mailings: theirs.issues.slice(5) },
        await factsOfReported(app, { these: theirs.issues.slice(5), earlier: theirs.issues.slice(0, 5) }),
      ],
      [{ campaigns: [campaign.id] }, await factsOfCampaign(app, campaign)],
    ] as const) {
      const report = await aReportOf(app, {
        template: 'custom',
        subjects: { ...subjects } as object,
        sections,
      })
      const { pdf } = await downloaded(app, report.id)
      const tables = await pdfTables(pdf)
      if ('mailings' in subjects)
        expect(tables.map(([head]) => head!.join(' '))).toContain(
          'Mailing Sent on Sent to Delivered Opened Clicked Replied Bounced Unsub. Compl.',
        )
      for (const told of printed) {
        const rows = printedRows(told).map((row) => row.filter((cell) => cell !== ''))
        // The list of a mailing, and how many bounced hard, stand below a first cell. An empty cell has no tag.
        const isLike = (row: string[], wanted: string[]) =>
          row.length === wanted.length &&
          row.every((cell, place) => (place === 0 ? cell.startsWith(wanted[place]!) : cell === wanted[place]))
        const found = tables.filter(
          ([_head, ...body]) =>
            body.length === rows.length && body.every((row, place) => isLike(row, rows[place]!)),
        )
        expect(found, `${told.caption} ${JSON.stringify(rows)} in ${JSON.stringify(tables)}`).toHaveLength(1)
      }
    }
  })

  it('draws one point, and 10,000 links whose rows stay whole on a few pages', async () => {
    const app = await aReader()
    const list = await aList(app)
    const { id } = await aContact(app)
    const one = await anEngagedMailing(app, {
      name: 'To one',
      sentAt: app.clock.now() - 3_600_000,
      list: list.id,
      people: [id],
      opened: 1,
      clicked: 0,
    })
    const campaign = await aCampaign(app)
    await anEvent(app, { cid: campaign.id })
    const everything = sectionNames.map((name) => ({ name, on: true }))
    const single = await aReportOf(app, {
      subjects: { mailings: [one.id], campaigns: [campaign.id], lists: [list.id] },
      sections: everything,
    })
    const point = await downloaded(app, single.id)
    const { pages } = await readPdf(point.pdf)
    expect(pages.join(' ')).not.toMatch(/NaN|undefined|null|Infinity/)
    for (const figure of figuresOf(withoutFolds(point.page)))
      expect(squeezed(pages.join(' '))).toContain(squeezed(figure))

    const mailing = await aReportedMailing(app, {
      name: 'Ten thousand links',
      sentAt: app.clock.now() - 5 * 86_400_000,
    })
    await addTenThousandLinks(app, mailing.id)
    const many = await aReportOf(app, { subjects: { mailings: [mailing.id] }, sections: everything })
    const { pdf } = await downloaded(app, many.id)
    const read = await readPdf(pdf)
    expect(read.pages.length).toBeLessThanOrEqual(10)
    // Ten in the report, a hundred in the appendix: each leads where it says, and stands on one page with its numbers.
    expect(read.links).toHaveLength(110)
    for (let link = 0; link < 100; link++) {
      expect(read.links).toContain(`https://shop.example/${link}`)
      const row = `shop.example/${link} ${(10_000 - link).toLocaleString('en-US')} 1 0.0%`
      expect(read.pages.filter((text) => text.includes(row)).length, row).toBe(link < 10 ? 2 : 1)
    }
  })

  it('runs, fetches and reveals nothing that somebody typed', async () => {
    const app = await aReader()
    const evil = [
      '<script>document.title="RAN"</script>',
      '</style><img src="file:///etc/passwd" onerror="document.body.textContent=\'RAN\'">',
      '") } @page { @top-left { content: "FORGED" } } body { background: url(file:///etc/passwd) }',
      '{{ 7 * 7 }} {% raw %}',
      'javascript:alert(1)',
    ].join(' ')
    const mailing = await aMailing(app, { name: evil, subject: evil })
    const { id: partner } = await app.db
      .insertInto('partners')
      .values({
        name: evil.slice(0, 80),
        address: evil.slice(0, 200),
        colour: '',
        created_at: app.clock.now(),
      })
      .returning('id')
      .executeTakeFirstOrThrow()
    const logo = Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><script>document.title='RAN'</script>
       <image href="file:///etc/passwd"/><rect width="40" height="40" fill="#1f3fae"/></svg>`,
    )
    await app.db
      .updateTable('partners')
      .set({ logo, logo_type: 'image/svg+xml' })
      .where('id', '=', partner)
      .execute()
    const everything: Partial<ReportDefinition> = {
      title: evil.slice(0, 160),
      subtitle: evil.slice(0, 200),
      preparedBy: evil.slice(0, 120),
      partner,
      verdict: evil,
      commentary: `${evil}\n\n${evil}`,
      nextSteps: evil,
      sections: sectionNames.map((name) => ({ name, on: true })),
    }
    const report = await aReportOf(app, { ...everything, subjects: { mailings: [mailing.id] } })
    const read = await readPdf((await downloaded(app, report.id)).pdf)
    const text = read.pages.join(' ')
    expect(read.title).toContain('<script>document.title="RAN"</script>')
    expect(read.title).not.toBe('RAN')
    expect(text).toContain('<script>document.title="RAN"</script>')
    expect(text).toContain('{{ 7 * 7 }}')
    expect(text).not.toContain('root:')
    expect(text).toContain(`page 1 of ${read.pages.length}`)
    expect(read.links.filter((link) => !/^https?:/.test(link))).toEqual([])
  })

  it('says that it is being printed while that takes long, and hands it over', async () => {
    const { PUPPETEER_EXECUTABLE_PATH, PATH } = process.env
    const browser = await findBrowser({ chosen: PUPPETEER_EXECUTABLE_PATH, path: PATH })
    const slow = join(aFolder(), 'chromium')
    writeFileSync(slow, `#!/bin/sh\nsleep 5\nexec '${browser}' "$@"\n`, { mode: 0o755 })
    const app = await aReader({ PUPPETEER_EXECUTABLE_PATH: slow })
    const report = await aReportOf(app, { subjects: { mailings: [(await aMailing(app)).id] } })
    const here = (await app.send(`/reports/${report.id}/renderings`, {}).expect(303)).headers.location!
    const sent = await app.http.get(`${here}/report.pdf`).expect(303)
    expect(sent.headers.location).toBe(`${here}/printing`)
    const waiting = await app.http.get(`${here}/printing`).expect(200)
    expect(waiting.text).toContain('Printing the report')
    expect(waiting.text).toContain('<meta http-equiv="refresh" content="1">')
    await expect
      .poll(async () => (await app.http.get(`${here}/printing`)).text, { timeout: 60_000 })
      .toContain(`content="0; url=${here}/report.pdf"`)
    await app.http.get(`${here}/report.pdf`).expect(200).expect('Content-Type', 'application/pdf')
  })

  it('has its page and its CSV without a browser, and says what to install', async () => {
    const app = await aReader({ PUPPETEER_EXECUTABLE_PATH: '/nowhere/chromium' })
    const report = await aReportOf(app, { subjects: { mailings: [(await aMailing(app)).id] } })
    const here = (await app.send(`/reports/${report.id}/renderings`, {}).expect(303)).headers.location!
    await app.http.get(here).expect(200)
    await app.http.get(`${here}/data.csv`).expect(200)
    const refused = await app.http.get(`${here}/report.pdf`).expect(503)
    expect(refused.text).toContain('PUPPETEER_EXECUTABLE_PATH names /nowhere/chromium')
  })
})

describe('a schedule made by form', () => {
  it('brings the PDF to whoever it is for', async () => {
    const mail = await aMailServer()
    const clock = stoppedClock()
    const app = await testApp({
      clock,
      env: {
        ...env,
        SMTP_URL: `smtp://127.0.0.1:${mail.port}`,
        MAIL_FROM: 'Paperboat reports <reports@paperboat.example>',
      },
    })
    const { http, send } = await aPerson(app, { remember: true })
    const report = await aReportOf(app, { subjects: { mailings: [(await aMailing(app)).id] } })
    await send(`/reports/${report.id}/schedules`, {
      kind: 'weekly',
      weekday: '1',
      day_of_month: '1',
      days_after: '3',
      time: '08:00',
      deliver: 'mail',
      recipients: 'ada@paperboat.example',
    }).expect(303)
    clock.at = Date.UTC(2026, 10, 23, 8)
    await app.deliveries.runDue()
    const [letter] = mail.letters
    const read = await readPdf(letter!.attachments[0]!.content)
    expect(read.pages[0]).toContain('report TL-2026-001')
    expect(letter!.text).toContain('TL-2026-001')

    await send(`/reports/${report.id}/renderings/1/send`, { recipients: 'bela@paperboat.example' }).expect(
      303,
    )
    await expect.poll(() => mail.letters.length, { timeout: 30_000 }).toBe(2)
    expect(mail.letters[1]!.recipients).toEqual(['bela@paperboat.example'])
    const page = await http.get(`/reports/${report.id}`).expect(200)
    expect(page.text).toContain('ada@paperboat.example')
  })
})
