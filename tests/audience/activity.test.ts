import { describe, expect, it } from 'vitest'
import { listActivity } from '../../src/audience/activity.js'
import { noEngagements } from '../../src/audience/receptions.js'
import { testApp } from '../support/app.js'
import { aPerson } from '../support/person.js'
import { aContact, aMailing, anEngagement } from './rows.js'

const all = { contact: '', mailing: 0, tag: 0, kinds: ['opened', 'clicked'] as const, verdicts: [0, 1] }

describe('the activity', () => {
  it('shows the opens and clicks of everybody, newest first', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const ada = await aContact(app, { name: 'Ada Okonkwo' })
    const ben = await aContact(app, { email: 'ben@mossmail.example' })
    const mailing = await aMailing(app)
    const at = app.clock.now()
    await anEngagement(app, {
      contact_id: ada,
      mailing_id: mailing,
      kind: 'delivered',
      happened_at: at - 3000,
    })
    await anEngagement(app, { contact_id: ada, mailing_id: mailing, kind: 'opened', happened_at: at - 2000 })
    await anEngagement(app, {
      contact_id: ben,
      mailing_id: mailing,
      kind: 'clicked',
      happened_at: at - 1000,
      url: 'https://paperboat.example/autumn',
    })

    const page = await http.get('/audience/activity').expect(200)

    expect(page.text).toMatch(/ben@mossmail\.example[\s\S]*Clicked[\s\S]*Ada Okonkwo[\s\S]*Opened/)
    expect(page.text).toContain(`href="/audience/${ada}"`)
    expect(page.text).toContain(`href="/mailings/${mailing}"`)
    expect(page.text).toContain('https://paperboat.example/autumn')
    expect(rowsOf(page.text)).toHaveLength(2)
    const part = await http.get('/audience/activity').set('HX-Request', 'true').expect(200)
    expect(page.text).toContain(part.text.trim())
  })

  it('asks again every ten seconds, and answers 304 while nothing came in', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const contact_id = await aContact(app)
    await anEngagement(app, { contact_id, kind: 'opened' })
    const ask = (tag: string) =>
      http.get('/audience/activity').set({ 'HX-Request': 'true', 'X-Refresh': '1', 'HX-PTag': tag })
    const first = await ask('').expect(200)
    expect(first.text).toContain('hx-trigger="every 10s, refresh"')
    await ask(first.headers['hx-ptag']!).expect(304)

    await anEngagement(app, { contact_id, kind: 'clicked' })

    await ask(first.headers['hx-ptag']!).expect(200)
  })

  it('leaves machines and proxies out, says how many, and shows them when asked', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const contact_id = await aContact(app)
    const mailing_id = await aMailing(app)
    await anEngagement(app, { contact_id, mailing_id, kind: 'opened' })
    await anEngagement(app, { contact_id, mailing_id, kind: 'opened', verdict: 3 })
    await app.db
      .insertInto('engagement_days')
      .values({ ...noEngagements, list_id: 0, day_on: '2026-11-21', opens: 1, proxy_opens: 1 })
      .execute()

    const page = await http.get('/audience/activity').expect(200)
    expect(page.text).toContain('1 open by mail proxies</span> left out')
    expect(rowsOf(page.text)).toHaveLength(1)

    const machines = await http.get('/audience/activity?machines=1').expect(200)
    expect(machines.text).toContain('2 opens')
    expect(rowsOf(machines.text)).toHaveLength(2)
    expect(rowsOf((await http.get('/audience/activity?verdict=proxy').expect(200)).text)).toHaveLength(1)
  })

  it('is filtered by contact, mailing, tag and kind', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const ada = await aContact(app, { name: 'Ada Okonkwo', name_folded: 'ada okonkwo' })
    const ben = await aContact(app, { email: 'ben@mossmail.example' })
    const [first, second] = [await aMailing(app, 'Issue 1'), await aMailing(app, 'Issue 2')]
    await anEngagement(app, { contact_id: ada, mailing_id: first, kind: 'opened' })
    await anEngagement(app, { contact_id: ada, mailing_id: second, kind: 'clicked' })
    await anEngagement(app, { contact_id: ben, mailing_id: second, kind: 'replied' })
    const { id: tag } = await app.db
      .insertInto('tags')
      .values({ name: 'press', created_at: 0 })
      .returning('id')
      .executeTakeFirstOrThrow()
    await app.db
      .insertInto('contact_tags')
      .values({ contact_id: ben, tag_id: tag, origin: 'ours', added_at: 0 })
      .execute()
    const count = async (query: string) =>
      rowsOf((await http.get(`/audience/activity?${query}`).expect(200)).text).length

    expect(await count(`contact=${ada}`)).toBe(2)
    expect(await count('contact=fernmail')).toBe(2)
    expect(await count('contact=nobody-at-all')).toBe(0)
    expect(await count(`mailing=${second}`)).toBe(1)
    expect(await count(`mailing=${second}&kind=all`)).toBe(2)
    expect(await count('kind=replied')).toBe(1)
    expect(await count(`tag=${tag}&kind=all`)).toBe(1)
    expect(await count(`tag=${tag}`)).toBe(0)
    expect(await count('kind=nonsense&verdict=nonsense&mailing=x')).toBe(2)
  })

  it('goes on behind the last row, however many share one instant', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const contact_id = await aContact(app)
    const ids: number[] = []
    for (let index = 0; index < 120; index++)
      ids.push(await anEngagement(app, { contact_id, kind: index % 2 ? 'opened' : 'clicked' }))
    const seen: number[] = []
    let address: string | undefined = '/audience/activity'
    while (address) {
      const page: { text: string } = await http.get(address).expect(200)
      seen.push(...rowsOf(page.text))
      address = /id="load-more" href="([^"]+)"/.exec(page.text)?.[1]?.replaceAll('&amp;', '&')
    }
    expect(seen).toEqual(ids.reverse())
  })

  it('says so when a rare filter looked at many and leads on', async () => {
    const app = await testApp()
    const contact_id = await aContact(app)
    const rare = await anEngagement(app, { contact_id, kind: 'clicked', verdict: 1, happened_at: 1 })
    await app.db.transaction().execute(async (tx) => {
      for (let index = 0; index < 20; index++)
        await tx
          .insertInto('engagements')
          .values(
            Array.from({ length: 550 }, (_, row) => ({
              contact_id,
              kind: 7,
              happened_at: 10 + index * 550 + row,
              exact: 1 as const,
              provider: 'buttondown',
              verdict: 0,
              reasons: 0,
            })),
          )
          .execute()
    })
    const filter = { ...all, kinds: ['opened' as const, 'clicked' as const], verdicts: [1] }

    const first = await listActivity(app.readers, filter)
    expect(first).toMatchObject({ rows: [], isCut: true })
    const second = await listActivity(app.readers, filter, { before: first.next })
    expect(second.rows.map(({ id }) => id)).toEqual([rare])
    expect(second.next).toBeNull()
  })

  it('is exported as CSV with the filters in force, formulas disarmed', async () => {
    const app = await testApp()
    const { http } = await aPerson(app)
    const contact_id = await aContact(app, { name: '=cmd()' })
    const mailing_id = await aMailing(app)
    await anEngagement(app, { contact_id, mailing_id, kind: 'opened' })
    await anEngagement(app, { contact_id, mailing_id, kind: 'replied' })

    const csv = await http.get('/audience/activity.csv?kind=opened').expect(200)

    expect(csv.headers['content-disposition']).toBe('attachment; filename="activity-2026-11-21.csv"')
    const lines = csv.text.trim().split('\n')
    expect(lines).toHaveLength(2)
    expect(lines[1]).toContain("'=cmd()")
    expect(lines[1]).toContain(',Issue 112,')
  })
})

const rowsOf = (page: string) => [...page.matchAll(/<tr id="engagement-(\d+)"/g)].map(([, id]) => Number(id))
