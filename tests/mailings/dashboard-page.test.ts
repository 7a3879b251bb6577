import { parse } from 'csv-parse/sync'
import { describe, expect, it, vi } from 'vitest'
import { dayLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { anEngagedMailing, aReportedMailing } from '../support/mailings.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  return {
    ...app,
    ...person,
    page: async (query = '') => (await person.http.get(`/mailings${query}`).expect(200)).text,
    mailing: (name: string, daysAgo: number) =>
      aMailing(app, { name, sent_at: testStart - daysAgo * dayLength }),
  }
}
const order = (page: string) =>
  [...page.matchAll(/<a class="row-link" href="\/mailings\/\d+[^"]*">([^<]*)</g)].map(([, name]) => name)

describe('the mailings', () => {
  it('lead to the provider as long as there is none', async () => {
    const { page } = await aRoom()
    expect(await page()).toContain('href="/providers/buttondown">Connect Buttondown')
  })

  it('stand newest first with their numbers, drafts left out', async () => {
    const room = await aRoom()
    await room.mailing('Issue 1', 9)
    const second = await room.mailing('Issue 2', 2)
    await room.db
      .insertInto('mailings')
      .values({
        provider: 'buttondown',
        provider_id: 'draft',
        name: 'A draft',
        status: 'draft',
        created_at: 0,
      })
      .execute()
    const { id } = await aContact(room)
    const deed = { contactId: id, mailingId: second.id }
    await anEngagement(room, { ...deed, kind: 'delivered' })
    await anEngagement(room, { ...deed, kind: 'opened' })
    const early = testStart - 60_000
    await anEngagement(room, { ...deed, kind: 'opened', userAgent: 'Mozilla/5.0', happenedAt: early })

    const page = await room.page()
    expect(order(page)).toEqual(['Issue 2', 'Issue 1'])
    const row = new RegExp(`<tr id="mailing-${second.id}">[\\s\\S]*?</tr>`).exec(page)![0]
    expect(row).toContain('data-label="Delivered" data-value="1"')
    expect(row).toContain('data-label="Opened" data-value="1"')
    expect(row).toContain('class="num tell" data-value="1">100.0%')
    expect(row).toContain('data-label="Numbers">ours')
    expect(page).toContain('1 open by mail proxies')
  })

  it('are searched and put in any order; what has no value goes last', async () => {
    const room = await aRoom()
    await room.mailing('Slow tools', 3)
    const loud = await room.mailing('Loud tools', 5)
    await room.mailing('Fast weeks', 1)
    const { id } = await aContact(room)
    await anEngagement(room, { contactId: id, mailingId: loud.id, kind: 'opened' })
    expect(order(await room.page('?q=TOOLS'))).toEqual(['Slow tools', 'Loud tools'])
    expect(order(await room.page('?sort=sent-asc'))).toEqual(['Loud tools', 'Slow tools', 'Fast weeks'])
    expect(order(await room.page('?sort=open_rate'))[0]).toBe('Loud tools')
    expect(order(await room.page('?sort=basis'))).toEqual(['Fast weeks', 'Slow tools', 'Loud tools'])
    expect(order(await room.page('?sort=open_rate-asc'))[0]).toBe('Loud tools')
    expect(order(await room.page('?sort=name'))).toEqual(['Fast weeks', 'Loud tools', 'Slow tools'])
    expect(await room.page('?q=nothing')).toContain('No mailing has “nothing” in its name or subject')
    const part = await room.part('/mailings?q=slow&sort=sent').expect(200)
    expect(order(part.text)).toEqual(['Slow tools'])
    expect(part.headers['hx-replace-url']).toBe('/mailings?q=slow')
    expect(part.text).not.toContain('<html')
  })

  it('come in pages, and nothing twice when one is sent meanwhile', async () => {
    const room = await aRoom()
    for (let issue = 1; issue <= 53; issue++) await room.mailing(`Issue ${issue}`, 100 - issue)
    const first = await room.page()
    expect(order(first)).toHaveLength(50)
    await room.mailing('Issue 54', 0)
    const next = /id="load-more" href="([^"]*)"/.exec(first)![1]!.replaceAll('&amp;', '&')
    const more = (await room.part(next).expect(200)).text
    expect(order(more)).toEqual(['Issue 3', 'Issue 2', 'Issue 1'])
    expect(more).not.toContain('load-more')
    expect(order((await room.http.get(next).expect(200)).text)).toEqual(['Issue 3', 'Issue 2', 'Issue 1'])
  })
})

/** The value of what has this id: its `data-value`. */
const value = (page: string, id: string) => new RegExp(`id="${id}"[^>]*data-value="([^"]*)"`).exec(page)?.[1]
const chips = (page: string) =>
  [...page.matchAll(/<span class="filter">([^<]*)<b>([^<]*)<\/b><a href="([^"]*)"/g)].map(
    ([, label, words, without]) => ({ label, words, without: without!.replaceAll('&amp;', '&') }),
  )
const day = dayLength

describe('the numbers of all mailings', () => {
  /** Three reported by a provider in the last weeks, one long before, and one of ours with 2 of 4 opening. */
  async function aMixedRoom() {
    const room = await aRoom()
    const report = (name: string, daysAgo: number, open: number, delivered: number) =>
      aReportedMailing(room, { name, sentAt: testStart - daysAgo * day, open, click: 0.1, delivered })
    const reported = [
      await report('Small', 11, 0.5, 100),
      await report('Large', 12, 0.2, 1_000),
      await report('Middle', 40, 0.3, 500),
      await report('Old', 400, 0.1, 200),
    ]
    const people: number[] = []
    for (const name of ['ada', 'ben', 'cy', 'dee'])
      people.push((await aContact(room, { email: `${name}@fernmail.example` })).id)
    const own = await anEngagedMailing(room, {
      name: 'Ours',
      sentAt: testStart - 5 * day,
      people,
      opened: 2,
      clicked: 1,
    })
    return { ...room, reported, own }
  }

  it('are totals, unweighted averages beside the pooled rate, medians, deviations, the best and the worst', async () => {
    const { page } = await aMixedRoom()
    const all = await page()
    expect(value(all, 'total-mailings')).toBe('5')
    expect(value(all, 'total-delivered')).toBe(String(100 + 1_000 + 500 + 200 + 4))
    expect(value(all, 'total-opened')).toBe(String(50 + 200 + 150 + 20 + 2))
    const rates = [0.5, 0.2, 0.3, 0.1, 0.5]
    const mean = rates.reduce((sum, rate) => sum + rate) / 5
    const deviation = Math.sqrt(rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / 5)
    expect(Number(value(all, 'open-mean'))).toBeCloseTo(mean, 6)
    expect(Number(value(all, 'open-pooled'))).toBeCloseTo(422 / 1_804, 6)
    expect(Number(value(all, 'open-median'))).toBeCloseTo(0.3, 6)
    expect(Number(value(all, 'open-deviation'))).toBeCloseTo(deviation, 6)
    const row = /<tr id="rate-open">[\s\S]*?<\/tr>/.exec(all)![0]
    expect(row).toMatch(/data-label="Best" data-value="0.5">50.0% <a[^>]*>Ours<\/a><span class="under">ours/)
    expect(row).toMatch(
      /data-label="Worst" data-value="0.1">10.0% <a[^>]*>Old<\/a><span class="under">EmailOctopus’s/,
    )
  })

  it('say whose they are, and can be told apart by that', async () => {
    const { page } = await aMixedRoom()
    expect(await page()).toContain('1 mailing by our own numbers, 4 by the providers’')
    expect(order(await page('?basis=ours'))).toEqual(['Ours'])
    expect(await page('?basis=ours')).toContain('All by our own numbers.')
    expect(order(await page('?basis=provider'))).toEqual(['Small', 'Large', 'Middle', 'Old'])
  })

  it('change against the window before, of the same length', async () => {
    const { page } = await aMixedRoom()
    const month = await page('?days=30')
    expect(value(month, 'total-mailings')).toBe('3')
    // Three in the last thirty days, one in the thirty before.
    expect(month).toMatch(
      /id="total-mailings"[\s\S]*?data-value="2">[\s\S]*?2<span[^>]*> more than the 30 days before/,
    )
    expect(month).toMatch(/id="total-mailings"[\s\S]*?data-value="1">1 before/)
    expect(month).toMatch(/id="open-mean"[\s\S]*?10.00 pt<span[^>]*> more than the 30 days before/)
    // Of all time there is nothing before: its changes are those of the last ninety days.
    expect(await page()).toContain('Changes compare the last 90 days with the 90 days before.')
    const range = await page('?from=2026-11-01&to=2026-11-15')
    expect(order(range)).toEqual(['Small', 'Large'])
    expect(range).toContain('Changes compare these 15 days with the 15 days before.')
    expect(range).toMatch(/id="total-mailings"[\s\S]*?data-value="0">0 before/)
    // 12 October lies in the thirty-one days before November.
    expect(await page('?from=2026-10-12&to=2026-10-12')).toContain('>Middle</a>')
  })

  it('go week by week or month by month, with a table of each', async () => {
    const { page } = await aMixedRoom()
    const weeks = await page('?days=30')
    expect(weeks).toContain('Week of 16 Nov 2026')
    const point =
      /Week of 9 Nov 2026<\/time><\/th><td class="num" data-value="([^"]*)">[^<]*<\/td><td class="num" data-value="([^"]*)">[^<]*<\/td><td class="num" data-value="([^"]*)"/
    const [, sent, delivered, count] = point.exec(weeks)!
    expect([sent, delivered, count]).toEqual(['1140', '1100', '2'])
    // The average weighs the two alike, the pooled rate does not.
    expect(weeks).toMatch(
      /Week of 9 Nov 2026<\/time><\/th><td class="num" data-value="0.35">35.0%<\/td>[\s\S]*?data-value="0.227273">22.7%/,
    )
    const months = await page('?by=month')
    expect(months).toContain('>Oct 2025</time>')
    expect(months).toContain('>Mar 2026</time></th><td class="num" data-value="0">0')
    // A month without a mailing has no rate, which is not zero.
    expect(months).toMatch(/>Mar 2026<\/time><\/th><td class="num" data-value="">–/)
  })

  it('leave out of every rate what tracking does not tell', async () => {
    const room = await aRoom()
    await aReportedMailing(room, { name: 'Told', sentAt: testStart - 12 * day, open: 0.4, delivered: 100 })
    await aReportedMailing(room, {
      name: 'Untold',
      sentAt: testStart - 13 * day,
      open: 0,
      click: 0,
      delivered: 100,
    })
    const page = await room.page()
    expect(value(page, 'open-mean')).toBe('0.4')
    expect(value(page, 'open-pooled')).toBe('0.4')
    expect(page).toContain('1 mailing, 1 without')
    expect(page).toContain('tracking may be off')
    expect(order(await room.page('?opened_max=10'))).toEqual([])
  })

  it('cost as many queries with sixty mailings as with one', async () => {
    const room = await aRoom()
    await room.mailing('Issue 1', 100)
    const queries = async () => {
      const before = vi.spyOn(room.readers, 'selectFrom')
      await room.page()
      const { length } = before.mock.calls
      before.mockRestore()
      return length
    }
    const few = await queries()
    for (let issue = 2; issue <= 60; issue++) await room.mailing(`Issue ${issue}`, 100 - issue)
    expect(await queries()).toBe(few)
  })
})

describe('the filters of mailings', () => {
  async function aFilteredRoom() {
    const room = await aRoom()
    const [letter, other] = [await aList(room), await aList(room, { name: 'Others' })]
    const at = (daysAgo: number) => testStart - daysAgo * day
    const both = await aReportedMailing(room, {
      name: 'To both',
      sentAt: at(11),
      lists: [letter.id, other.id],
      open: 0.4,
      delivered: 600,
    })
    const one = await aReportedMailing(room, {
      name: 'To one',
      sentAt: at(20),
      lists: [other.id],
      open: 0.1,
      delivered: 400,
      from_address: 'Ada@fernmail.example',
    })
    const own = await aMailing(room, { name: 'Ours', subject: 'A quiet subject', sent_at: at(30) })
    const { id: partner_id } = await room.db
      .insertInto('partners')
      .values({ name: 'Paperboat', created_at: 0 })
      .returning('id')
      .executeTakeFirstOrThrow()
    const project = async (name: string) =>
      (
        await room.db
          .insertInto('projects')
          .values({ partner_id, name, created_at: 0 })
          .returning('id')
          .executeTakeFirstOrThrow()
      ).id
    const tie = (kind: string, thing_id: number, project_id: number) =>
      room.db.insertInto('project_ties').values({ kind, thing_id, project_id, tied_at: 0 }).execute()
    return { ...room, letter, other, both, one, own, project, tie }
  }

  it('find what went to a list, though it went to others as well', async () => {
    const { page, letter, other } = await aFilteredRoom()
    expect(order(await page(`?list=${letter.id}`))).toEqual(['To both'])
    expect(order(await page(`?list=${other.id}`))).toEqual(['To both', 'To one'])
  })

  it('find a provider, a sender, a status, a subject', async () => {
    const { page, db, clock } = await aFilteredRoom()
    expect(order(await page('?provider=buttondown'))).toEqual(['Ours'])
    expect(order(await page('?sender=ada@fernmail.example'))).toEqual(['To one'])
    expect(order(await page('?q=QUIET'))).toEqual(['Ours'])
    await db
      .insertInto('mailings')
      .values({
        provider: 'buttondown',
        provider_id: 'd',
        name: 'A draft',
        status: 'draft',
        created_at: clock.now(),
      })
      .execute()
    expect(order(await page())).not.toContain('A draft')
    const drafts = await page('?status=draft')
    expect(order(drafts)).toEqual(['A draft'])
    expect(drafts).toContain('<span class="status status--waiting">draft</span>')
    // Nothing is known of it: neither zero nor a rate.
    expect(/<tr id="mailing-\d+">[\s\S]*?<\/tr>/.exec(drafts)![0]).not.toMatch(/data-value="0"/)
    expect(order(await page('?status=all'))).toHaveLength(4)
  })

  it('find a project by the mailing’s own tie, else by that of its list', async () => {
    const { page, project, tie, both, other } = await aFilteredRoom()
    const [autumn, winter] = [await project('Autumn'), await project('Winter')]
    await tie('list', other.id, autumn)
    expect(order(await page(`?project=${autumn}`))).toEqual(['To both', 'To one'])
    await tie('mailing', both.id, winter)
    expect(order(await page(`?project=${autumn}`))).toEqual(['To one'])
    expect(order(await page(`?project=${winter}`))).toEqual(['To both'])
    expect(chips(await page(`?project=${winter}`))[0]).toMatchObject({ words: 'Paperboat, Winter' })
  })

  it('set bounds to any number; what has none is left out', async () => {
    const { page } = await aFilteredRoom()
    expect(order(await page('?open_rate_min=20'))).toEqual(['To both'])
    expect(order(await page('?delivered_min=400'))).toEqual(['To both', 'To one'])
    expect(order(await page('?delivered_min=401&delivered_max=600'))).toEqual(['To both'])
    expect(order(await page('?bounced_max=0'))).toEqual([])
    expect(order(await page('?open_rate_max=100'))).toEqual(['To both', 'To one'])
    expect(order(await page('?open_rate_min=much&delivered_max=&bounced_min=-1'))).toHaveLength(3)
  })

  it('stand as chips, each with its own way out', async () => {
    const { page } = await aFilteredRoom()
    const said = '?q=to&from=2026-11-01&provider=emailoctopus&bounced_max=25&open_rate_min=20'
    expect(chips(await page(said))).toEqual([
      {
        label: 'sent from',
        words: '1 Nov 2026',
        without: '/mailings?q=to&provider=emailoctopus&bounced_max=25&open_rate_min=20',
      },
      {
        label: 'provider',
        words: 'EmailOctopus',
        without: '/mailings?q=to&from=2026-11-01&bounced_max=25&open_rate_min=20',
      },
      {
        label: 'open rate',
        words: 'at least 20%',
        without: '/mailings?q=to&from=2026-11-01&provider=emailoctopus&bounced_max=25',
      },
      {
        label: 'bounced',
        words: 'at most 25',
        without: '/mailings?q=to&from=2026-11-01&provider=emailoctopus&open_rate_min=20',
      },
    ])
  })

  it('are added by forms that work without a script', async () => {
    const { page, http } = await aFilteredRoom()
    const form = await page('?q=to&add=number')
    expect(form).toContain('name="q" value="to"')
    expect(form).toContain('<option value="bounced">Bounced</option>')
    const added = await http.get('/mailings?q=to&number=open_rate&bound=max&value=20').expect(303)
    expect(added.headers.location).toBe('/mailings?q=to&open_rate_max=20')
    expect(await page('?add=sender')).toContain('<option value="ada@fernmail.example">')
    expect(await page('?add=project')).toContain('tied to a project yet')
    expect(await page('?add=dates')).toContain('type="date" name="to"')
  })

  it('say what is wrong where nothing is left', async () => {
    const { page } = await aFilteredRoom()
    const none = await page('?provider=buttondown&open_rate_min=99')
    expect(none).toContain('No mailing matches')
    expect(none).toContain('show all mailings')
  })
})

describe('mailings as CSV', () => {
  it('are exactly what is shown, in its order, each with whose numbers they are', async () => {
    const room = await aRoom()
    await aReportedMailing(room, {
      name: '=Formula',
      sentAt: testStart - 12 * day,
      open: 0.4,
      delivered: 100,
    })
    await aReportedMailing(room, { name: 'Less', sentAt: testStart - 14 * day, open: 0.2, delivered: 200 })
    await aReportedMailing(room, { name: 'Left out', sentAt: testStart - 13 * day, open: 0.1, delivered: 50 })
    await room.mailing('Ours, "quoted"', 30)
    const { text, headers } = await room.http
      .get('/mailings/export.csv?sort=delivered&delivered_min=100')
      .expect(200)
    expect(headers['content-disposition']).toContain('mailings-2026-11-21.csv')
    const [head, ...rows] = parse(text, { bom: true }) as string[][]
    const cell = (row: number, name: string) => rows[row]![head!.indexOf(name)]
    expect(rows.map((_, row) => cell(row, 'name'))).toEqual(['Less', "'=Formula"])
    expect([cell(1, 'basis'), cell(1, 'delivered_basis'), cell(1, 'open_rate'), cell(1, 'bounced')]).toEqual([
      'provider',
      'provider',
      '40',
      '20',
    ])
    const all = parse((await room.http.get('/mailings/export.csv').expect(200)).text, {
      bom: true,
    }) as string[][]
    const own = all.find((row) => row[1] === 'Ours, "quoted"')!
    // Sent, and nothing known of its readers: no number at all, which is not zero.
    expect([
      own[head!.indexOf('basis')],
      own[head!.indexOf('delivered')],
      own[head!.indexOf('open_rate')],
    ]).toEqual(['', '', ''])
  })
})

describe('ours and theirs', () => {
  it('says that no provider has reported yet', async () => {
    const { http } = await aRoom()
    expect((await http.get('/mailings/ours-and-theirs').expect(200)).text).toContain(
      'No provider has reported',
    )
  })

  it('stand side by side, with the difference explained, newest first', async () => {
    const room = await aRoom()
    const ids: number[] = []
    for (let issue = 1; issue <= 12; issue++) {
      const { id } = await room.mailing(`Issue ${issue}`, 20 - issue)
      ids.push(id)
      await room.db
        .insertInto('mailing_reports')
        .values({
          mailing_id: id,
          deliveries: 3,
          unique_opens: 2,
          unique_clicks: null,
          unsubscriptions: 0,
          checked_at: testStart,
        })
        .execute()
    }
    const newest = ids.at(-1)!
    const { id } = await aContact(room)
    await anEngagement(room, { contactId: id, mailingId: newest, kind: 'opened', userAgent: 'Mozilla/5.0' })

    const page = (await room.http.get('/mailings/ours-and-theirs').expect(200)).text
    const titles = (text: string) =>
      [...text.matchAll(/<h2 id="mailing-\d+"><a[^>]*>([^<]*)/g)].map(([, name]) => name)
    expect(titles(page)).toEqual([
      'Issue 12',
      'Issue 11',
      ...[10, 9, 8, 7, 6, 5, 4, 3].map((issue) => `Issue ${issue}`),
    ])
    const section = /id="mailing-\d+"><a[^>]*>Issue 12[\s\S]*?<\/section>/.exec(page)![0]
    const opened = />Opened<[\s\S]*?<\/tr>/.exec(section)![0]
    expect(opened).toContain('data-label="Theirs" data-value="2"')
    expect(opened).toContain('data-label="Ours" data-value="0"')
    expect(opened).toContain('data-value="-2"')
    expect(opened).toContain('1 person opened only through a mail proxy or a machine')
    expect(opened).toContain('1 has not come in as an event yet')
    expect(/>Clicked<[\s\S]*?<\/tr>/.exec(section)![0]).toContain('Buttondown does not report this.')

    const next = /href="(\/mailings\/ours-and-theirs\?after=\d+)"/.exec(page)![1]!
    expect(titles((await room.http.get(next).expect(200)).text)).toEqual(['Issue 2', 'Issue 1'])
  })
})
