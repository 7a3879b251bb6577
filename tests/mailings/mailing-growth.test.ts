import { describe, expect, it } from 'vitest'
import { dayLength, hourLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  const readers: number[] = []
  for (let reader = 0; reader < 10; reader++)
    readers.push((await aContact(app, { email: `reader-${reader}@fernmail.example` })).id)
  return {
    ...app,
    ...person,
    page: async (path: string) => (await person.http.get(path).expect(200)).text,
    /** A mailing of whose opens and clicks only the provider tells. */
    async theirs(
      given: { list_id?: number; sent_at: number; name?: string },
      ...told: [hours: number, opened: number, clicked: number, isLower?: 0 | 1][]
    ) {
      const mailing = await aMailing(app, { provider: 'emailoctopus', ...given })
      const numbers = (opened: number, clicked: number) => ({
        recipients: 100,
        deliveries: 100,
        opens: opened * 2,
        unique_opens: opened,
        clicks: clicked * 3,
        unique_clicks: clicked,
        permanent_failures: 0,
        temporary_failures: 0,
        unsubscriptions: 1,
        complaints: 0,
      })
      for (const [hours, opened, clicked, is_lower = 0] of told)
        await app.db
          .insertInto('mailing_snapshots')
          .values({
            mailing_id: mailing.id,
            taken_at: given.sent_at + hours * hourLength,
            is_lower,
            ...numbers(opened, clicked),
          })
          .execute()
      const [, opened, clicked] = told.at(-1)!
      await app.db
        .insertInto('mailing_reports')
        .values({ mailing_id: mailing.id, checked_at: testStart - hourLength, ...numbers(opened, clicked) })
        .execute()
      return mailing.id
    },
    /** A mailing that so many of ten people opened, each so many hours after it was sent. */
    async ours(given: { list_id?: number; sent_at: number; name?: string }, ...opened: number[]) {
      const { id: mailingId } = await aMailing(app, given)
      for (const [reader, contactId] of readers.entries()) {
        const about = { contactId, mailingId }
        await anEngagement(app, { ...about, kind: 'delivered', happenedAt: given.sent_at })
        const hours = opened[reader]
        if (hours !== undefined)
          await anEngagement(app, {
            ...about,
            kind: 'opened',
            happenedAt: given.sent_at + hours * hourLength,
          })
      }
      return mailingId
    },
  }
}

const value = (page: string, id: string) => new RegExp(`id="${id}" data-value="([^"]*)"`).exec(page)?.[1]
/** The numbers of a table, row by row; an unknown one is null. */
const table = (page: string, label: string) => {
  const text = new RegExp(`aria-label="${label}"[\\s\\S]*?</table>`).exec(page)![0]
  return [...text.matchAll(/<tr[^>]*><th scope="row">.*?<\/tr>/g)].map(([row]) =>
    [...row.matchAll(/data-value="([^"]*)"/g)].map(([, figure]) => (figure === '' ? null : Number(figure))),
  )
}

describe('a mailing by the provider’s numbers', () => {
  it('says whose they are, grows from one snapshot to the next, and marks the lower one', async () => {
    const room = await aRoom()
    const sent_at = testStart - 2 * dayLength
    const id = await room.theirs({ sent_at }, [1, 20, 2], [5, 40, 6], [9, 38, 6, 1], [30, 45, 8])
    const page = await room.page(`/mailings/${id}`)

    expect(page).toContain('EmailOctopus’s numbers, as of')
    expect(page).toContain('nobody can tell machines apart in them')
    expect(value(page, 'open-rate')).toBe('0.45')
    expect(value(page, 'opens')).toBe('90')
    expect(table(page, 'Opens and clicks since sending')).toEqual([
      [40, 6, 40, 6, 20, 2],
      [80, 18, 40, 12, 40, 6],
      [76, 18, -4, 0, 38, 6],
      [90, 24, 14, 6, 45, 8],
    ])
    expect(page.match(/Lower than before/g)).toHaveLength(1)
    expect(page).toContain('1 snapshot is</span> lower than the one before')
    expect(page).toContain('5 h after, ')
  })

  it('averages what each day added over seven days, and leaves out what nobody saw', async () => {
    const room = await aRoom()
    const sent_at = testStart - 10 * dayLength
    const id = await room.theirs({ sent_at }, [24, 7, 1], [48, 14, 2], [72, 12, 2, 1], [192, 40, 4])
    const days = table(await room.page(`/mailings/${id}?span=30d`), 'Opens and clicks by day since sending')
    // Opens are twice the people here. Nothing new was told between: those days added nothing.
    expect(days.map(([opens]) => opens)).toEqual([14, 14, -4, 0, 0, 0, 0, 56, 0])
    expect(days[0]![2]).toBe(14)
    expect(days[2]![2]).toBe(8)
    expect(days[7]![2]).toBeCloseTo((14 - 4 + 56) / 7)
    expect(await room.page(`/mailings/${id}`)).toContain('corrected to less')
  })

  it('has no curve before the sending, and no number that nobody told', async () => {
    const room = await aRoom()
    const id = await room.theirs({ sent_at: testStart - dayLength }, [5, 10, 1])
    await room.db
      .updateTable('mailing_snapshots')
      .set({ opens: null, clicks: null, unique_clicks: null })
      .execute()
    const page = await room.page(`/mailings/${id}`)
    expect(table(page, 'Opens and clicks since sending')).toEqual([[10, null, 10, null, 10, null]])
    expect(page).not.toContain('NaN')
  })
})

describe('what is usual of a list', () => {
  it('is the median and the band of its last mailings at the same age, and their average', async () => {
    const room = await aRoom()
    const { id: list_id } = await aList(room)
    const weeksAgo = (weeks: number) => testStart - weeks * 7 * dayLength - 5 * hourLength
    for (const [index, share] of [10, 20, 30, 40, 50].entries())
      await room.theirs({ list_id, sent_at: weeksAgo(index + 1) }, [0.5, share / 2, 1], [2, share, 2])
    const id = await room.theirs({ list_id, sent_at: weeksAgo(0) }, [0.5, 35, 5], [2, 60, 9])
    const page = await room.page(`/mailings/${id}`)

    const hours = table(page, 'Share of the delivered who opened')
    expect(hours).toHaveLength(73)
    expect(hours[0]!.slice(0, 4)).toEqual([0, 0, 0, 0])
    // Half an hour after it was sent somebody looked, so one hour after that still holds.
    expect(hours[1]).toEqual([expect.closeTo(0.07), 0.15, expect.closeTo(0.23), 0.35, 5])
    expect(hours[3]).toEqual([expect.closeTo(0.14), 0.3, expect.closeTo(0.46), 0.6, 5])
    // It was looked at last an hour ago: later hours are unknown of it, and known of the others.
    expect(hours[4]![3]).toBe(0.6)
    expect(hours[5]![3]).toBeNull()
    expect(hours[5]![1]).toBe(0.3)
    expect(page).toContain('60.0% opened 4 h after; 30.0% is the middle of the others at that age.')
    expect(page).toContain('It is above the usual band.')

    expect(Number(value(page, 'open-rate-usual'))).toBeCloseTo(0.3)
    expect(page).toContain('Against the average of the last 5 mailings of Slow Mornings')
    expect(page).toContain('This mailing is 5 h old')
    expect(
      table(await room.page(`/mailings/${id}?draw=clicks`), 'Share of the delivered who clicked')[3],
    ).toEqual([0.02, 0.02, 0.02, 0.09, 5])
  })

  it('counts people as we do where our own numbers are the basis, and keeps the two kinds apart', async () => {
    const room = await aRoom()
    const { id: list_id } = await aList(room)
    const sent_at = testStart - 4 * dayLength
    await room.theirs({ list_id, sent_at: sent_at - 7 * dayLength }, [1, 90, 50])
    await room.ours({ list_id, sent_at: sent_at - 14 * dayLength }, 0.5, 0.6, 30)
    const id = await room.ours({ list_id, sent_at }, 2.5)
    const page = await room.page(`/mailings/${id}`)
    const hours = table(page, 'Share of the delivered who opened')
    // One mailing makes a middle, and no band.
    expect(hours[0]).toEqual([0, 0, 1])
    expect(hours[1]).toEqual([0.2, 0, 1])
    expect(hours[3]).toEqual([0.2, 0.1, 1])
    expect(hours[31]).toEqual([0.3, 0.1, 1])
    expect(page).toContain('by our own count of people')
    expect(page).toContain('Five make a band.')
    expect(Number(value(page, 'open-rate-usual'))).toBeCloseTo(0.3)
  })

  it('is counted after the page where that takes long, and is then known until a count changes', async () => {
    const room = await aRoom()
    const { id: list_id } = await aList(room)
    const sent_at = testStart - 2 * dayLength
    for (const week of [1, 2, 3, 4, 5])
      await room.ours({ list_id, sent_at: sent_at - week * 7 * dayLength }, 1.5)
    const id = await room.ours({ list_id, sent_at }, 0.5, 0.5)
    const path = `/mailings/${id}`
    const first = await room.page(path)
    expect(first).toContain(`hx-get="${path}/usual" hx-trigger="load"`)
    expect(first).toContain('The people of the last 5 mailings of Slow Mornings are being counted.')
    // A browser without JavaScript follows the link to the whole page.
    const part = (await room.part(`${path}/usual`).expect(200)).text
    expect(part).not.toContain('<html')
    expect(part).not.toContain('hx-trigger="load"')
    expect(table(part, 'Share of the delivered who opened')[2]).toEqual([0.1, 0.1, 0.1, 0.2, 5])
    expect(await room.page(`${path}/usual`)).toContain('<html')
    expect(await room.page(path)).toContain(part)

    const { id: contactId } = await aContact(room, { email: 'late@fernmail.example' })
    await anEngagement(room, { contactId, mailingId: id, kind: 'opened', happenedAt: sent_at + 1000 })
    room.clock.pass(61_000)
    expect(Number(table(await room.page(path), 'Share of the delivered who opened')[1]![3])).toBeCloseTo(
      3 / 11,
    )
  })

  it('is not there for the first mailing of a list, nor for one whose list nobody told', async () => {
    const room = await aRoom()
    const { id: list_id } = await aList(room)
    const first = await room.ours({ list_id, sent_at: testStart - dayLength }, 1)
    expect(await room.page(`/mailings/${first}`)).toContain('There is no earlier mailing of Slow Mornings')
    const { id } = await aMailing(room, {})
    expect(await room.page(`/mailings/${id}`)).toContain('Nobody told which list it went to')
  })

  it('stands beside the industry’s figures that people keep', async () => {
    const room = await aRoom()
    const { id } = await aMailing(room, {})
    const page = await room.page(`/mailings/${id}`)
    expect(page).toContain('href="/settings/benchmarks"')
    expect(page).toContain('Round industry figure')
    expect(page).toContain(`href="/mailings/compare?m=${id}&amp;last=5"`)
  })
})
