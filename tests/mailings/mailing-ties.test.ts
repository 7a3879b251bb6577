import { describe, expect, it } from 'vitest'
import { testApp } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'
import { aCampaign, anEvent } from '../support/builders.js'
import { aPerson } from '../support/person.js'

async function aRoom() {
  const app = await testApp()
  const person = await aPerson(app)
  const mailing = await aMailing(app, { name: 'Issue 112' })
  const path = `/mailings/${mailing.id}`
  return {
    ...app,
    ...person,
    mailing,
    path,
    page: async (query = '') => (await person.http.get(path + query).expect(200)).text,
  }
}
const value = (page: string, id: string) => new RegExp(`id="${id}" data-value="([^"]*)"`).exec(page)?.[1]

describe('a mailing and a campaign of the tracker', () => {
  it('are tied by a form, and untied', async () => {
    const { send, path, page, ...app } = await aRoom()
    const campaign = await aCampaign(app)
    const tied = await send(`${path}/campaign`, { campaign: String(campaign.id) }).expect(303)
    expect(tied.headers.location).toBe(path)
    const after = await page()
    expect(after).toContain('is tied to Autumn Reading List')
    expect(after).toContain(`href="/campaign/${campaign.id}"`)
    expect(value(after, 'people-landed')).toBe('0')

    await send(`${path}/campaign`, { campaign: '' }).expect(303)
    expect(value(await page(), 'people-landed')).toBeUndefined()
  })

  it('lead from the delivery to the sale, in people', async () => {
    const { send, path, page, mailing, ...app } = await aRoom()
    for (const name of ['ada', 'ben', 'cleo', 'dan']) {
      const { id: contactId } = await aContact(app, { email: `${name}@fernmail.example` })
      for (const kind of ['delivered', 'opened', 'clicked'] as const)
        if (kind !== 'clicked' || name !== 'dan')
          await anEngagement(app, { contactId, mailingId: mailing.id, kind, url: 'https://a.example' })
    }
    const { id: cid } = await aCampaign(app)
    await send(`${path}/campaign`, { campaign: String(cid) }).expect(303)
    for (const name of ['ada', 'ben'])
      await anEvent(app, { cid, event: 'landing_click', email: `${name}@fernmail.example` })
    await anEvent(app, { cid, event: 'landing_click', email: 'ada@fernmail.example' })
    await anEvent(app, { cid, event: 'conversion', email: 'ada@fernmail.example' })

    const text = await page()
    const steps = ['delivered', 'opened', 'clicked', 'landed', 'converted']
    expect(steps.map((step) => value(text, `people-${step}`))).toEqual(['4', '4', '3', '2', '1'])
    expect(text).toContain('; 2 landed and 1 converted')
    expect(text).toMatch(/<b data-value="0\.66[^"]*">66\.7%<\/b> of clicked/)
    expect(text).toMatch(/<b data-value="0\.5">50\.0%<\/b> of landed/)
    expect(text).not.toContain('are tied to it')

    // Its people cannot be told apart from those of another mailing.
    await aMailing(app, { campaign_id: cid })
    const shared = await page()
    expect(shared).toContain('2 mailings</span> are tied to it')
    expect(shared).not.toContain('of clicked')
    expect(shared).toContain('of all its mailings')
  })

  it('is refused where there is no such campaign, and nothing changes', async () => {
    const { send, path, mailing, db, ...app } = await aRoom()
    const { id } = await aCampaign({ ...app, db })
    await send(`${path}/campaign`, { campaign: String(id) }).expect(303)
    const wrong = await send(`${path}/campaign`, { campaign: '999' }).expect(422)
    expect(wrong.text).toContain('There is no campaign 999.')
    expect(wrong.text).toContain('aria-invalid="true"')
    expect((await send(`${path}/campaign`, { campaign: 'x' }).expect(422)).text).toContain(
      'Choose a campaign, or none.',
    )
    await send(`${path}/campaign`, {}).expect(422)
    await send('/mailings/77/campaign', { campaign: '' }).expect(404)
    const row = await db
      .selectFrom('mailings')
      .select('campaign_id')
      .where('id', '=', mailing.id)
      .executeTakeFirst()
    expect(row).toEqual({ campaign_id: id })
  })

  it('is over when the campaign is deleted', async () => {
    const { send, path, page, db, ...app } = await aRoom()
    const { id } = await aCampaign({ ...app, db })
    await send(`${path}/campaign`, { campaign: String(id) }).expect(303)
    await db.updateTable('campaigns').set({ deleted_at: app.clock.now() }).execute()
    const text = await page()
    expect(value(text, 'people-landed')).toBeUndefined()
    expect(text).toContain('Create one')
  })
})

describe('a mailing and a project', () => {
  it('names the project it belongs to, and offers others', async () => {
    const { send, path, page, mailing, db, clock } = await aRoom()
    const { id: partner } = await db
      .insertInto('partners')
      .values({ name: 'Paperboat', created_at: clock.now() })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { id: project } = await db
      .insertInto('projects')
      .values({ partner_id: partner, name: 'Autumn', created_at: clock.now() })
      .returning('id')
      .executeTakeFirstOrThrow()
    await send('/projects/ties', {
      kind: 'mailing',
      thing: String(mailing.id),
      project: String(project),
    }).expect(303)
    expect(await page()).toContain(`Project <a href="/projects/${project}">Autumn</a>`)
    expect(path).toBe(`/mailings/${mailing.id}`)
  })
})

describe('what is known of a mailing', () => {
  it('stands at its head', async () => {
    const { db, page, mailing, clock } = await aRoom()
    await db
      .updateTable('mailings')
      .set({
        subject: 'Slow tools <for> fast weeks',
        from_name: 'Maren',
        from_address: 'maren@slow.example',
        made_at: clock.now() - 1e8,
        seen_at: clock.now() - 60_000,
        synced_by: 'maren',
      })
      .where('id', '=', mailing.id)
      .execute()
    const text = await page()
    expect(text).toContain('Slow tools &lt;for&gt; fast weeks')
    expect(text).toContain('maren@slow.example')
    expect(text).toMatch(/1 min ago<\/time> by maren/)
  })
})
