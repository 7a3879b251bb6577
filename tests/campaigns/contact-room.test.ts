import { describe, expect, it } from 'vitest'
import { campaignRoom } from '../../src/campaigns/contact-room.js'
import { testApp } from '../support/app.js'
import { aCampaign, anEvent } from '../support/builders.js'

const page = { before: Number.MAX_SAFE_INTEGER, limit: 50, machines: false }

async function aReader() {
  const app = await testApp()
  const campaign = await aCampaign(app)
  const event = (given: Record<string, string>) => anEvent(app, { cid: campaign.id, ...given })
  await event({ event: 'email_click', link: 'hero' })
  app.clock.pass(60_000)
  await event({ event: 'landing_click' })
  app.clock.pass(60_000)
  await event({ event: 'conversion' })
  app.clock.pass(60_000)
  await event({ event: 'email_click', ua: 'curl/8.0' })
  await event({ event: 'email_click', email: 'ben@mossmail.example' })
  const contact = async (email: string) =>
    (await app.db.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirstOrThrow()).id
  return {
    ...app,
    campaign,
    room: campaignRoom(),
    contact: await contact('ada@fernmail.example'),
    other: contact,
  }
}

describe('what the click tracker tells of a contact', () => {
  it('has each event of the person on the timeline, machines only when asked', async () => {
    const { readers, room, contact, campaign } = await aReader()

    const moments = await room.timeline!(readers, contact, page)

    expect(moments.map(({ what, step, kind, word }) => ({ what, step, kind, word }))).toEqual([
      { what: `Converted in ${campaign.name}`, step: 5, kind: 'theirs', word: 'conversion' },
      { what: `Went on to the offer of ${campaign.name}`, step: 4, kind: 'theirs', word: 'landing click' },
      { what: `Arrived from the mailing of ${campaign.name}`, step: 3, kind: 'theirs', word: 'email click' },
    ])
    expect(moments[2]).toMatchObject({
      detail: 'news.fernweh.example · link “hero”',
      href: `/campaign/${campaign.id}`,
    })
    const [machine] = await room.timeline!(readers, contact, { ...page, machines: true, limit: 1 })
    expect(machine).toMatchObject({ kind: 'machine', word: 'machine' })
    expect(machine!.detail).toContain('Not counted: the user agent is a bot or an HTTP library')
    expect(await room.timeline!(readers, contact, { ...page, before: moments[2]!.at })).toEqual([])
  })

  it('counts moments, machines and conversions', async () => {
    const { readers, room, contact, clock } = await aReader()
    expect(await room.overview!(readers, contact, { machines: false })).toEqual({
      moments: 3,
      machines: 1,
      removed: { moments: 0, machines: 0 },
      tiles: [{ label: 'Conversions', value: 1, note: 'last one', noteAt: clock.now() - 60_000 }],
    })
  })

  it('exports everything that is stored', async () => {
    const { readers, room, contact } = await aReader()
    const { events } = (await room.export!(readers, contact)) as { events: Record<string, unknown>[] }
    expect(events).toHaveLength(4)
    expect(events[0]).toMatchObject({
      event: 'email_click',
      campaign: 'Autumn Reading List',
      domain: 'news.fernweh.example',
      link: 'hero',
      verdict: 'person',
    })
    expect(events[3]).toMatchObject({ verdict: 'machine', user_agent: 'curl/8.0' })
  })

  it('gives landings and conversions of persons to the score', async () => {
    const { readers, room, contact } = await aReader()
    const signals = await room.signals!(readers, [contact])
    expect(signals.map(({ kind }) => kind)).toEqual(['landing', 'conversion'])
    expect(await room.signals!(readers, { from: 0, to: 1000 })).toEqual(signals)
    expect(await room.signals!(readers, { from: contact + 1, to: 1000 })).toEqual([])
  })

  it('names who did something since a mark, until there is no more', async () => {
    const { db, room, contact, other } = await aReader()
    const first = await room.active!(db, 0)
    expect(new Set(first.contacts)).toEqual(new Set([contact, await other('ben@mossmail.example')]))
    expect(await room.active!(db, first.upTo)).toEqual({ contacts: [], upTo: first.upTo })
  })

  it('is silent about a deleted campaign', async () => {
    const { db, readers, room, contact, campaign, clock } = await aReader()
    await db.updateTable('campaigns').set({ deleted_at: clock.now() }).where('id', '=', campaign.id).execute()
    expect(await room.timeline!(readers, contact, page)).toEqual([])
    expect(await room.overview!(readers, contact, { machines: true })).toMatchObject({
      moments: 0,
      machines: 0,
    })
    expect(await room.signals!(readers, [contact])).toEqual([])
  })
})
