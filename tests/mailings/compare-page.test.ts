import { describe, expect, it } from 'vitest'
import { curvePicture, plot } from '../../src/mailings/curve-picture.js'
import { dayLength as day } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing } from '../support/audience.js'
import { anEngagedMailing, aReportedMailing } from '../support/mailings.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const { http } = await aPerson(app)
  return {
    ...app,
    http,
    compare: async (query: string) => (await http.get(`/mailings/compare?${query}`).expect(200)).text,
    report: (name: string, daysAgo: number, given: Partial<Parameters<typeof aReportedMailing>[1]> = {}) =>
      aReportedMailing(app, { name, sentAt: testStart - daysAgo * day, ...given }),
    /** A mailing to four people, of whom so many open, one in each half hour after a full one. */
    own: async (name: string, daysAgo: number, opened: number) => {
      const people: number[] = []
      for (const person of ['ada', 'ben', 'cy', 'dee'])
        people.push((await aContact(app, { email: `${person}.${daysAgo}@fernmail.example` })).id)
      return anEngagedMailing(app, { name, sentAt: testStart - daysAgo * day, people, opened, clicked: 1 })
    },
  }
}
/** Names in the table, in their order. */
const order = (page: string) =>
  [...page.matchAll(/<tr id="mailing-\d+">[\s\S]*?<a href="\/mailings\/\d+">([^<]*)</g)].map(
    ([, name]) => name,
  )
const rowOf = (page: string, id: number) =>
  new RegExp(`<tr id="mailing-${id}">[\\s\\S]*?</tr>`).exec(page)![0]
/** The shares of a curve's table, by its rows. */
function shares(page: string, what: 'opens' | 'clicks') {
  const figure = new RegExp(`id="curve-${what}"[\\s\\S]*?</figure>`).exec(page)![0]
  return Object.fromEntries(
    [...figure.matchAll(/<tr><th scope="row">([^<]*)<\/th>(.*?)<\/tr>/g)].map(([, name, cells]) => [
      name,
      [...cells!.matchAll(/data-value="([^"]*)"/g)].map(([, value]) => (value === '' ? null : Number(value))),
    ]),
  )
}

describe('mailings side by side', () => {
  it('stand in the order that was chosen, each rate’s best marked by a word', async () => {
    const room = await aRoom()
    const one = await room.report('Issue 1', 30, { open: 0.2, click: 0.08 })
    const two = await room.report('Issue 2', 20, { open: 0.4, click: 0.04 })
    const page = await room.compare(`m=${two.id}&m=${one.id}`)
    expect(order(page)).toEqual(['Issue 2', 'Issue 1'])
    expect(rowOf(page, two.id)).toMatch(/data-value="0.4"><b>40.0%<\/b><span class="under best">best/)
    expect(rowOf(page, one.id)).toMatch(/data-value="0.2">20.0%<\/td>/)
    expect(rowOf(page, one.id)).toMatch(/data-value="0.08" data-label="Click rate"><b>8.0%/)
    // Both bounced and left alike: nobody was best.
    expect(rowOf(page, one.id)).not.toMatch(/data-label="Bounce rate"><b>/)
    expect(page).toContain('Most opened: Issue 2, 40.0%. Most clicked: Issue 1, 8.0%.')
    expect(page).toMatch(/id="average">[\s\S]*?data-value="0.3\d*">30.0%/)
    // Both by the same numbers, which are said beside each.
    expect(rowOf(page, one.id)).toContain('data-label="Numbers">EmailOctopus’s')
    expect(page).not.toContain('Not all by the same numbers')
  })

  it('are aligned at their sending: by snapshots where the numbers are the provider’s', async () => {
    const room = await aRoom()
    const old = await room.report('Old', 40, { open: 0.5, click: 0.1 })
    const young = await room.report('Young', 1, { open: 0.3, click: 0.02 })
    const page = await room.compare(`m=${old.id}&m=${young.id}`)
    const opened = shares(page, 'opens')
    // A fifth came in the first hour, four fifths within a day; between two snapshots the last one stands.
    expect(opened['1 h']).toEqual([0.1, 0.06])
    expect(opened['3 h']).toEqual([0.1, 0.06])
    expect(opened['24 h']).toEqual([0.4, 0.24])
    // What is yet to come is unknown, which is not zero.
    expect(opened['48 h']).toEqual([0.4, null])
    expect(opened['72 h']).toEqual([0.475, null])
    expect(shares(page, 'clicks')['24 h']).toEqual([0.08, 0.016])
    const month = shares(await room.compare(`m=${old.id}&m=${young.id}&span=30d`), 'opens')
    // The provider was last asked after ten days: from then on nobody knows.
    expect(month['7 days']).toEqual([0.475, null])
    expect(month['14 days']).toEqual([null, null])
  })

  it('are aligned by who first opened when, where the numbers are ours, and end at the open rate', async () => {
    const room = await aRoom()
    const own = await room.own('Ours', 10, 3)
    const other = await room.own('Other', 20, 1)
    const page = await room.compare(`m=${own.id}&m=${other.id}`)
    const opened = shares(page, 'opens')
    expect(opened['1 h']).toEqual([0.25, 0.25])
    expect(opened['3 h']).toEqual([0.75, 0.25])
    expect(opened['72 h']).toEqual([0.75, 0.25])
    expect(rowOf(page, own.id)).toContain('data-value="0.75"')
  })

  it('say where the numbers are not all of one kind', async () => {
    const room = await aRoom()
    const own = await room.own('Ours', 10, 3)
    const theirs = await room.report('Theirs', 20)
    expect(await room.compare(`m=${own.id}&m=${theirs.id}`)).toContain('Not all by the same numbers.')
  })

  it('say why one has no curve', async () => {
    const room = await aRoom()
    const told = await room.report('Told', 20)
    const { id: untold } = await aMailing(room, { name: 'Untold', sent_at: testStart - 5 * day })
    const { id: draft } = await room.db
      .insertInto('mailings')
      .values({ provider: 'buttondown', provider_id: 'd', name: 'A draft', status: 'draft', created_at: 0 })
      .returning('id')
      .executeTakeFirstOrThrow()
    const untracked = await room.report('Untracked', 21, { open: 0, click: 0 })
    const page = await room.compare([told.id, untold, draft, untracked.id].map((id) => `m=${id}`).join('&'))
    expect(page).toContain('B Untold: It has no curve: no delivery is known.')
    expect(page).toContain('C A draft: It has no curve: nobody has told when it was sent.')
    expect(page).toContain('D Untracked: It has no curve: tracking may be off.')
  })

  it('leave one out as long as two remain', async () => {
    const room = await aRoom()
    const ids: number[] = []
    for (let issue = 1; issue <= 3; issue++) ids.push((await room.report(`Issue ${issue}`, 20 + issue)).id)
    const all = await room.compare(ids.map((id) => `m=${id}`).join('&'))
    expect(all).toContain(
      `href="/mailings/compare?m=${ids[1]}&amp;m=${ids[2]}" aria-label="Leave out Issue 1"`,
    )
    expect(await room.compare(`m=${ids[0]}&m=${ids[1]}`)).not.toContain('Leave out')
  })
})

describe('a mailing against the last five of its list', () => {
  it('answers how it did, with the average of the five before it', async () => {
    const room = await aRoom()
    const [list, other] = [await aList(room), await aList(room, { name: 'Others' })]
    for (let issue = 1; issue <= 7; issue++)
      await room.report(`Issue ${issue}`, 100 - issue * 7, {
        lists: [list.id],
        open: issue / 20,
        click: 0.05,
      })
    await room.report('Elsewhere', 30, { lists: [other.id], open: 0.9 })
    const subject = await room.report('Issue 8', 20, { lists: [other.id, list.id], open: 0.35, click: 0.05 })
    await room.report('Issue 9', 15, { lists: [list.id], open: 0.9 })
    const page = await room.compare(`m=${subject.id}&last=5`)
    // One that goes to both lists has its predecessors on both.
    expect(order(page)).toEqual(['Issue 8', 'Elsewhere', 'Issue 7', 'Issue 6', 'Issue 5', 'Issue 4'])
    const average = (0.9 + 0.35 + 0.3 + 0.25 + 0.2) / 5
    expect(page).toContain(
      `Against the 5 before it: 35.0% opened, ${((average - 0.35) * 100).toFixed(1)} points below their average of ${(average * 100).toFixed(1)}% and number 2 of these 6; 5.0% clicked, as many as usual (5.0%) and the most of these 6.`,
    )
    expect(/id="against">[\s\S]*?<\/tr>/.exec(page)![0]).toContain('>−5.00 pt<')
    expect(page).toContain('Average of the 5 before')
  })

  it('says when there are fewer, or none', async () => {
    const room = await aRoom()
    const list = await aList(room)
    const first = await room.report('Issue 1', 30, { lists: [list.id] })
    const second = await room.report('Issue 2', 20, { lists: [list.id] })
    expect(await room.compare(`m=${second.id}&last=5`)).toContain(
      'Only 1 mailing went to its list before it.',
    )
    const none = await room.compare(`m=${first.id}&last=5`)
    expect(none).toContain('No mailing went to the list of Issue 1 before it.')
    expect(none).toContain(`value="${first.id}" checked`)
  })
})

describe('what cannot be compared', () => {
  it('is told in a sentence, and others are offered', async () => {
    const room = await aRoom()
    expect(await room.compare('')).toContain('It takes two mailings to compare.')
    const ids: number[] = []
    for (let issue = 1; issue <= 9; issue++) ids.push((await room.report(`Issue ${issue}`, 20 + issue)).id)
    expect(await room.compare('')).toContain('Two to eight of these')
    const one = await room.http.get(`/mailings/compare?m=${ids[0]}`).expect(400)
    expect(one.text).toContain('Choose two to eight mailings. You chose one.')
    const nine = await room.http.get(`/mailings/compare?${ids.map((id) => `m=${id}`).join('&')}`).expect(400)
    expect(nine.text).toContain('You chose 9.')
    expect(nine.text.match(/ checked>/g)).toHaveLength(9)
    // The same twice is one.
    await room.http.get(`/mailings/compare?m=${ids[0]}&m=${ids[0]}`).expect(400)
    const unknown = await room.http.get(`/mailings/compare?m=${ids[0]}&m=4711`).expect(404)
    expect(unknown.text).toContain('There is no mailing 4711.')
    await room.http.get('/mailings/compare?m=%3Cscript%3E&m=2').expect(404)
  })
})

describe('the picture of curves', () => {
  const hours = Float64Array.from({ length: 5 }, (_, hour) => hour)
  it('scales all to one axis from zero, and breaks a line where nothing is known', () => {
    const picture = curvePicture(
      [Float64Array.of(0, 0.1, 0.2, 0.3, 0.4), Float64Array.of(0, Number.NaN, 0.1, 0.2, Number.NaN)],
      hours,
      [0, 2, 4],
    )
    expect(picture.ticks.map(({ share }) => Math.round(share * 100))).toEqual([0, 10, 20, 30, 40])
    expect(picture.lines[0]!.path).toBe('M0 200 250 150 500 100 750 50 1000 0')
    expect(picture.lines[1]!.path).toBe('M0 200M500 150 750 100')
    expect(picture.lines[0]!.end!.x).toBe(`${plot.width}%`)
    expect(picture.lines[1]!.end!.x).toBe(`${plot.width * 0.75}%`)
  })

  it('sets the letters of equal lines apart, inside the plot', () => {
    const equal = () => Float64Array.of(0, 1, 1, 1, 1)
    const { lines } = curvePicture([equal(), equal(), equal()], hours, [0, 4])
    const ys = lines.map(({ end }) => end!.y).sort((one, other) => one - other)
    expect(ys[1]! - ys[0]!).toBeGreaterThanOrEqual(13)
    expect(ys[2]! - ys[1]!).toBeGreaterThanOrEqual(13)
    expect(ys[0]!).toBeGreaterThanOrEqual(plot.top)
  })

  it('has an axis and no line where nothing is known at all', () => {
    const { ticks, lines } = curvePicture([new Float64Array(5).fill(Number.NaN)], hours, [0, 4])
    expect(lines).toEqual([{ path: '', end: null }])
    expect(ticks.length).toBeGreaterThan(1)
  })
})
