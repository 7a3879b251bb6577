import { describe, expect, it } from 'vitest'
import { up } from '../../migrations/0016-erased-subscriptions.js'
import { heatOf, leadIsReal } from '../../src/audience/best-hour.js'
import { nextPeriod, periodsOf, startOfPeriod } from '../../src/audience/periods.js'
import { noEngagements } from '../../src/audience/receptions.js'
import { calendar, dayLength, hourLength } from '../../src/web/calendar.js'
import { testApp, testStart } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

async function aRoom(env: Record<string, string> = {}) {
  const app = await testApp({ env })
  const { http } = await aPerson(app)
  return {
    ...app,
    page: async (query = '') => (await http.get(`/audience/over-time${query}`).expect(200)).text,
    contact: (email: string) => aContact(app, { email }),
  }
}
const daysAgo = (days: number) => testStart - days * dayLength

/** The numbers of a chart's table, row by row: the name of the period, then its figures. */
function rowsOf(page: string, label: string) {
  const table = new RegExp(`aria-label="${label}[\\s\\S]*?</table>`).exec(page)![0]
  return [...table.matchAll(/<tr><th scope="row"><time[^>]*>([^<]*)<\/time><\/th>(.*?)<\/tr>/g)].map(
    ([, name, cells]) => [
      name,
      ...[...cells!.matchAll(/data-value="([^"]*)"/g)].map(([, value]) => Number(value)),
    ],
  )
}
const engagementOf = (page: string) => rowsOf(page, 'Opens, clicks and active people')

describe('engagement over time', () => {
  it('stands empty before anything has happened', async () => {
    const { page, contact } = await aRoom()
    expect(await page()).toContain('Nothing to draw yet')
    await contact('ada@a.example')
    const text = await page()
    expect(engagementOf(text)).toHaveLength(90)
    expect(text).toContain('Nobody subscribed in the last 12 months.')
    expect(text).toContain('Nothing in the last 90 days.')
    expect(await page('?range=all')).toContain('aria-current="true">All')
  })

  it('counts opens, clicks and people by day, week and month', async () => {
    const room = await aRoom()
    const [ada, ben] = [await room.contact('ada@a.example'), await room.contact('ben@a.example')]
    const { id: mailingId } = await aMailing(room, { sent_at: daysAgo(40) })
    const did = (contact: { id: number }, kind: 'opened' | 'clicked', days: number) =>
      anEngagement(room, { contactId: contact.id, mailingId, kind, happenedAt: daysAgo(days) })
    // Saturday 21 November is today; 16 November is a Monday.
    await did(ada, 'opened', 1)
    await did(ada, 'clicked', 1)
    await did(ben, 'opened', 1)
    await did(ada, 'opened', 3)
    await did(ada, 'opened', 25)

    const days = engagementOf(await room.page('?range=30'))
    expect(days).toHaveLength(30)
    expect(days.at(-2)).toEqual(['Fri 20 Nov', 2, 1, 2, 0])
    expect(days.at(-4)).toEqual(['Wed 18 Nov', 1, 0, 1, 0])
    const weeks = engagementOf(await room.page('?range=30&by=week'))
    expect(weeks.at(-1)).toEqual(['Week of 16 Nov 2026', 3, 1, 2, 0])
    const months = engagementOf(await room.page('?range=all'))
    expect(months).toEqual([
      ['Oct 2026', 1, 0, 1, 0],
      ['Nov 2026', 3, 1, 2, 0],
    ])
  })

  it('leaves machines and mail proxies out unless asked for them, and says how many', async () => {
    const room = await aRoom()
    const [ada, ben] = [await room.contact('ada@a.example'), await room.contact('ben@a.example')]
    const { id: mailingId } = await aMailing(room)
    await anEngagement(room, { contactId: ada.id, mailingId, kind: 'opened' })
    await anEngagement(room, { contactId: ben.id, mailingId, kind: 'opened', userAgent: 'Mozilla/5.0' })
    await anEngagement(room, { contactId: ben.id, mailingId, kind: 'clicked', userAgent: 'curl/8.0' })

    const without = await room.page('?range=30')
    expect(engagementOf(without).at(-1)).toEqual(['Sat 21 Nov', 1, 0, 1, 0])
    expect(without).toContain(
      '1 open by mail proxies</span>, <span data-value="1">1 machine click</span> left out',
    )
    const all = await room.page('?range=30&machines=1')
    expect(engagementOf(all).at(-1)).toEqual(['Sat 21 Nov', 2, 1, 2, 0])
    expect(all).toContain('included')
    for (const by of ['week', 'month'])
      expect(
        engagementOf(await room.page(`?range=90&by=${by}&machines=1`))
          .at(-1)!
          .slice(1),
      ).toEqual([2, 1, 2, 0])
  })

  it('says what cannot be judged', async () => {
    const room = await aRoom()
    const { id: contactId } = await room.contact('ada@a.example')
    await anEngagement(room, { contactId, kind: 'opened', os: null, browser: null })
    expect(await room.page()).toContain('1 open</span> of those counted cannot be judged')
  })

  it('narrows to the people with a tag, or on a list; what does not exist narrows nothing', async () => {
    const room = await aRoom()
    const [ada, ben] = [await room.contact('ada@a.example'), await room.contact('ben@a.example')]
    const { id: list } = await aList(room)
    await room.db
      .insertInto('subscriptions')
      .values({ list_id: list, contact_id: ben.id, status: 'subscribed' })
      .execute()
    await room.audience.retag({ contacts: [ada.id], add: ['press'], remove: [] })
    const { id: mailingId } = await aMailing(room)
    await anEngagement(room, { contactId: ada.id, mailingId, kind: 'opened' })
    await anEngagement(room, { contactId: ben.id, mailingId, kind: 'opened' })
    await anEngagement(room, { contactId: ben.id, mailingId, kind: 'clicked', url: 'https://a.example' })

    const last = async (query: string) =>
      engagementOf(await room.page(query))
        .at(-1)!
        .slice(1)
    expect(await last('?range=30')).toEqual([2, 1, 2, 0])
    expect(await last('?range=30&tag=press')).toEqual([1, 0, 1, 0])
    expect(await last(`?range=30&list=${list}`)).toEqual([1, 1, 1, 0])
    expect(await last(`?range=30&tag=press&list=${list}`)).toEqual([0, 0, 0, 0])
    expect(await last('?range=30&tag=nobody&list=77')).toEqual([2, 1, 2, 0])
    expect(await room.page(`?list=${list}`)).toContain('of people on Slow Mornings')
  })

  it('remembers a scan for a minute', async () => {
    const room = await aRoom()
    const { id: contactId } = await room.contact('ada@a.example')
    const opens = async () => engagementOf(await room.page('?range=30')).at(-1)![1]
    expect(await opens()).toBe(0)
    await anEngagement(room, { contactId, kind: 'opened' })
    expect(await opens()).toBe(0)
    room.clock.pass(60_000)
    expect(await opens()).toBe(1)
  })

  it('counts days in the reporting time zone', async () => {
    const room = await aRoom({ TIME_ZONE: 'Asia/Tokyo' })
    const { id: contactId } = await room.contact('ada@a.example')
    // 23:30 of the 19th in UTC is half past eight in the morning of the 20th in Tokyo.
    await anEngagement(room, { contactId, kind: 'opened', happenedAt: Date.UTC(2026, 10, 19, 23, 30) })
    expect(engagementOf(await room.page('?range=30')).at(-2)).toEqual(['Fri 20 Nov', 1, 0, 1, 0])
  })
})

describe('growth and churn', () => {
  it('tell who came and went in each period, and how many were there at its end', async () => {
    const room = await aRoom()
    const { id: list } = await aList(room)
    const changes: [string, number, string][] = [
      ['a', 60, 'subscribed'],
      ['b', 60, 'subscribed'],
      ['b', 20, 'complained'],
      ['c', 20, 'subscribed'],
      ['d', 20, 'unconfirmed'],
      ['d', 1, 'removed'],
    ]
    const ids = new Map<string, number>()
    for (const name of 'abcd') ids.set(name, (await room.contact(`${name}@a.example`)).id)
    for (const [name, days, status] of changes) {
      const row = { list_id: list, contact_id: ids.get(name)!, status }
      await room.db
        .insertInto('subscription_changes')
        .values({ ...row, changed_at: daysAgo(days) })
        .execute()
      await room.db
        .insertInto('subscriptions')
        .values(row)
        .onConflict((conflict) => conflict.columns(['list_id', 'contact_id']).doUpdateSet({ status }))
        .execute()
    }
    const page = await room.page(`?range=30&by=week&list=${list}`)
    expect(page).toContain('id="joined" data-value="1"')
    expect(page).toContain('id="left" data-value="1"')
    expect(page).toContain('id="net" data-value="0"')
    expect(page).toContain('id="churn" data-value="0.5"')
    // Joined, left, net, churn, there at its end. 1 November is a Sunday, in the week of 26 October.
    const weeks = rowsOf(page, 'Growth and churn')
    expect(weeks.find(([name]) => name === 'Week of 26 Oct 2026')).toEqual([
      'Week of 26 Oct 2026',
      1,
      1,
      0,
      0.5,
      2,
    ])
    expect(weeks.at(-1)).toEqual(['Week of 16 Nov 2026', 0, 0, 0, 0, 2])
    const all = rowsOf(await room.page('?range=all'), 'Growth and churn')
    expect(all.map(([name, joined]) => [name, joined])).toEqual([
      ['Sep 2026', 2],
      ['Oct 2026', 0],
      ['Nov 2026', 1],
    ])
  })
})

it('growth says the same of the past when somebody is erased, also of databases in which an erasure left no change', async () => {
  const room = await aRoom()
  const { id: list } = await aList(room)
  const { id } = await room.contact('ada@a.example')
  const row = { list_id: list, contact_id: id, status: 'subscribed' }
  await room.db
    .insertInto('subscription_changes')
    .values({ ...row, changed_at: daysAgo(20) })
    .execute()
  await room.db.insertInto('subscriptions').values(row).execute()
  const past = async () => {
    room.clock.pass(61_000) // the page remembers what it found for a minute
    return rowsOf(await room.page(`?range=30&by=day&list=${list}`), 'Growth and churn').slice(0, -1)
  }
  const before = await past()
  expect(before.at(-1)!.at(-1)).toBe(1)
  await room.audience.erase(id)
  expect(await past()).toEqual(before)

  await room.db.deleteFrom('subscription_changes').where('status', '=', 'removed').execute()
  expect(await past()).not.toEqual(before)
  for (let times = 0; times < 2; times++) await up(room.db as never)
  expect(await past()).toEqual(before)
})

describe('the cohorts', () => {
  it('tell which share of a month’s subscribers was active in each month since', async () => {
    const room = await aRoom()
    const { id: list } = await aList(room)
    const subscribed = async (email: string, at: number) => {
      const { id } = await room.contact(email)
      await room.db.updateTable('contacts').set({ subscribed_at: at }).where('id', '=', id).execute()
      await room.db
        .insertInto('subscriptions')
        .values({ list_id: list, contact_id: id, status: 'subscribed', subscribed_at: at })
        .execute()
      return id
    }
    const ada = await subscribed('ada@a.example', Date.UTC(2026, 8, 3))
    const ben = await subscribed('ben@a.example', Date.UTC(2026, 8, 30, 23))
    await subscribed('old@a.example', Date.UTC(2020, 1, 1))
    const open = (contactId: number, at: number, userAgent: string | null = null) =>
      anEngagement(room, { contactId, kind: 'opened', happenedAt: at, userAgent })
    await open(ada, Date.UTC(2026, 8, 10))
    await open(ada, Date.UTC(2026, 8, 11))
    await open(ben, Date.UTC(2026, 9, 20))
    await open(ada, Date.UTC(2026, 10, 20))
    await open(ben, Date.UTC(2026, 10, 20), 'Mozilla/5.0')

    const cells = (page: string) => {
      const row = /<th scope="row" class="nowrap">Sep 2026<\/th>.*?<\/tr>/.exec(page)![0]
      return [...row.matchAll(/heat (h\d)" data-value="([\d.]*)" title="([^"]*)"/g)].map(
        ([, level, share, story]) => [level, share, story],
      )
    }
    expect(cells(await room.page())).toEqual([
      ['h5', '0.5', '1 of 2 people'],
      ['h5', '0.5', '1 of 2 people'],
      ['h5', '0.5', '1 of 2 people, so far'],
    ])
    expect(cells(await room.page(`?machines=1&list=${list}`)).at(-1)![1]).toBe('1')
    expect(await room.page()).not.toContain('Feb 2020')
  })
})

describe('the best hour', () => {
  const days = calendar('Europe/Berlin')
  const at = (weeksAgo: number, hour: number) =>
    // Wednesday 18 November 2026, in hours of UTC
    Date.UTC(2026, 10, 18, hour) - weeksAgo * 7 * dayLength
  const clicks = (quarter_at: number, count: number) => ({ ...noEngagements, quarter_at, clicks: count })
  const read = (hours: ReturnType<typeof clicks>[], zone = days) =>
    heatOf(hours, zone, { what: 'clicks', machines: false, now: testStart })

  it('is told by weekday and hour of the reporting time zone', () => {
    // Berlin is one hour ahead in November, and two until the end of October.
    const heat = read([clicks(at(0, 8), 5), clicks(at(6, 7), 4), clicks(at(1, 20), 1)])
    expect(heat.best).toEqual({ weekday: 2, hour: 9, count: 9 })
    expect(heat.second).toEqual({ weekday: 2, hour: 21, count: 1 })
    expect(heat.total).toBe(10)
    expect(heat.sureness).toBeNull()
  })

  it('knows the hours of zones that are half an hour off', () => {
    // Kolkata is five hours and a half ahead: 8:15 UTC is 13:45 there, 8:45 is 14:15.
    const quarter = hourLength / 4
    const heat = read(
      [clicks(at(0, 8) + quarter, 3), clicks(at(0, 8) + 3 * quarter, 5)],
      calendar('Asia/Kolkata'),
    )
    expect(heat.best).toEqual({ weekday: 2, hour: 14, count: 5 })
    expect(heat.second).toEqual({ weekday: 2, hour: 13, count: 3 })
  })

  it('is sure when it leads week after week, and not when one week made it', () => {
    const weeks = Array.from({ length: 10 }, (_, week) => week)
    const steady = read(
      weeks.flatMap((week) => [clicks(at(week, 8), 20 + (week % 3)), clicks(at(week, 9), 9)]),
      calendar('UTC'),
    )
    expect(steady.sureness).toBeGreaterThan(0.99)
    const once = read(
      weeks.flatMap((week) => [clicks(at(week, 8), week === 4 ? 120 : 5), clicks(at(week, 9), 12)]),
      calendar('UTC'),
    )
    expect(once.best!.hour).toBe(8)
    expect(once.sureness).toBeLessThan(0.9)
  })

  it('knows nothing of fewer than four weeks, and of equals that either may lead', () => {
    expect(leadIsReal([5, 5, 5], [1, 1, 1])).toBeNull()
    expect(leadIsReal([3, 3, 3, 3], [3, 3, 3, 3])).toBe(0.5)
    expect(leadIsReal([4, 4, 4, 4], [3, 3, 3, 3])).toBe(1)
  })

  it('stands on the page with every cell', async () => {
    const room = await aRoom()
    const { id: contactId } = await room.contact('ada@a.example')
    const { id: mailingId } = await aMailing(room)
    const when = Date.UTC(2026, 10, 18, 9, 12)
    await anEngagement(room, {
      contactId,
      mailingId,
      kind: 'clicked',
      url: 'https://a.example',
      happenedAt: when,
    })
    await anEngagement(room, { contactId, mailingId, kind: 'opened', happenedAt: when - 2 * hourLength })
    const page = await room.page()
    expect(page).toContain('Most clicks come on Wednesday from 9:00 to 10:00: 1 of 1.')
    expect(page).toContain('it takes 100 events over four weeks')
    expect(page.match(/<title>\w{3} \d+:00, /g)).toHaveLength(168)
    expect(page).toContain('<title>Wed 9:00, 1 click</title>')
    expect(await room.page('?heat=opens')).toContain('Most opens come on Wednesday from 7:00 to 8:00')
    expect(page).not.toContain('This part shows everybody')
  })

  it('says that it shows everybody where the page is about a tag', async () => {
    const room = await aRoom()
    const { id } = await room.contact('ada@a.example')
    await room.audience.retag({ contacts: [id], add: ['press'], remove: [] })
    expect(await room.page('?tag=press')).toContain(
      'This part shows everybody, not only people with the tag press: hours are not counted by tag.',
    )
    const list = await aList(room, { name: 'Long Line' })
    expect(await room.page(`?tag=press&list=${list.id}`)).toContain('This part shows everybody on Long Line,')
  })
})

describe('periods', () => {
  const days = calendar('UTC')
  it('begin on Mondays and on the first of months', () => {
    expect(startOfPeriod('2026-11-22', 'week')).toBe('2026-11-16')
    expect(startOfPeriod('2026-11-16', 'week')).toBe('2026-11-16')
    expect(nextPeriod(days, '2026-12-01', 'month')).toBe('2027-01-01')
    expect(nextPeriod(days, '2026-01-01', 'month')).toBe('2026-02-01')
  })
  it('never run on without an end', () => {
    const { starts, unit } = periodsOf(days, {
      range: 'all',
      by: 'week',
      today: '2026-11-21',
      earliest: '1970-01-01',
    })
    expect(unit).toBe('month')
    expect(starts.length).toBeLessThan(1_300)
  })
})
