import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from '../support/audience.js'
import { aPerson } from '../support/person.js'

/** Wednesday 18 November 2026, 9:12 */
const when = Date.UTC(2026, 10, 18, 9, 12)

async function aRoom() {
  const app = await testApp({ env: { TIME_ZONE: 'UTC' } })
  const { http } = await aPerson(app)
  const { id: contactId } = await aContact(app)
  return {
    ...app,
    http,
    contactId,
    page: async (query = '') => (await http.get(`/mailings/heatmap${query}`).expect(200)).text,
    click: (mailingId: number, happenedAt: number, userAgent: string | null = null) =>
      anEngagement(app, {
        contactId,
        mailingId,
        kind: 'clicked',
        url: `https://a.example/${happenedAt}`,
        happenedAt,
        userAgent,
      }),
  }
}
const total = (page: string) => /<tfoot>.*data-value="(\d+)">[^<]*<\/td><\/tr><\/tfoot>/.exec(page)?.[1]

describe('the heatmap', () => {
  it('is of all, of one list, or of one mailing', async () => {
    const room = await aRoom()
    const list = await aList(room)
    const inList = await aMailing(room, { name: 'To the list', list_id: list.id })
    const other = await aMailing(room, { name: 'To nobody known' })
    await room.click(inList.id, when)
    await room.click(inList.id, when + 3_600_000)
    await room.click(other.id, when + 5 * 3_600_000)

    expect(total(await room.page())).toBe('3')
    const ofList = await room.page(`?list=${list.id}`)
    expect(total(ofList)).toBe('2')
    expect(ofList).toContain(`href="/lists/${list.id}"`)
    const ofOne = await room.page(`?mailing=${other.id}`)
    expect(total(ofOne)).toBe('1')
    expect(ofOne).toContain('<title>Wed 14:00, 1 click</title>')
    expect(ofOne.match(/<title>\w{3} \d+:00, /g)).toHaveLength(168)
    expect(ofOne).toContain('One mailing makes one wave')
    expect(ofOne).toContain('Most clicks come on Wednesday from 14:00 to 15:00: 1 of 1.')
  })

  it('knows what came long ago of a mailing, and leaves machines and proxies out unless asked for', async () => {
    const room = await aRoom()
    const old = Date.UTC(2025, 0, 7, 8)
    const { id } = await aMailing(room, { sent_at: old })
    await room.click(id, old)
    await room.click(id, old + 60_000, 'curl/8.0')
    await anEngagement(room, {
      contactId: room.contactId,
      mailingId: id,
      kind: 'opened',
      happenedAt: old,
      userAgent: 'Mozilla/5.0',
    })
    expect(await room.page()).toContain('Nothing in the last 90 days.')
    const page = await room.page(`?mailing=${id}`)
    expect(total(page)).toBe('1')
    expect(page).toContain('1 open by mail proxies</span>')
    expect(total(await room.page(`?mailing=${id}&machines=1`))).toBe('2')
    expect(await room.page(`?mailing=${id}&what=opens`)).toContain('Nobody has opened yet')
    expect(total(await room.page(`?mailing=${id}&what=opens&machines=1`))).toBe('1')
  })

  it('of what does not exist is not found', async () => {
    const { http } = await aRoom()
    await http.get('/mailings/heatmap?mailing=9').expect(404)
    await http.get('/mailings/heatmap?list=9').expect(404)
    await http.get('/mailings/heatmap?list=nonsense&what=x').expect(200)
  })
})
