import { describe, expect, it } from 'vitest'
import { engagementRoom } from '../../src/audience/engagement-room.js'
import { engagementReason } from '../../src/audience/engagement-verdict.js'
import { byTime } from '../../src/audience/rooms.js'
import { readTimeline } from '../../src/audience/timeline.js'
import { testApp } from '../support/app.js'
import { aContact, aList, aMailing, anEngagement } from './rows.js'

const room = engagementRoom()
const page = { before: Number.MAX_SAFE_INTEGER, limit: 50, machines: false }

describe('what the audience knows of a contact', () => {
  it('tells of mailings, subscriptions and tags in one line, newest first', async () => {
    const app = await testApp()
    const contact_id = await aContact(app)
    const mailing_id = await aMailing(app)
    const list_id = await aList(app)
    const at = app.clock.now()
    await app.db
      .insertInto('subscriptions')
      .values({ list_id, contact_id, status: 'subscribed', source: 'form on slowmornings.example' })
      .execute()
    await app.db
      .insertInto('subscription_changes')
      .values({ list_id, contact_id, changed_at: at - 5000, status: 'subscribed' })
      .execute()
    await anEngagement(app, { contact_id, mailing_id, kind: 'delivered', happened_at: at - 4000 })
    await anEngagement(app, {
      contact_id,
      mailing_id,
      kind: 'opened',
      happened_at: at - 3500,
      verdict: 3,
      reasons: engagementReason.apple,
    })
    await anEngagement(app, {
      contact_id,
      mailing_id,
      kind: 'opened',
      happened_at: at - 3000,
      browser: 'Firefox',
      os: 'Android',
    })
    await anEngagement(app, {
      contact_id,
      mailing_id: null,
      kind: 'clicked',
      happened_at: at - 2000,
      exact: 0,
      url: 'https://paperboat.example/autumn',
    })
    const { id: tag_id } = await app.db
      .insertInto('tags')
      .values({ name: 'buyer', created_at: at })
      .returning('id')
      .executeTakeFirstOrThrow()
    await app.db
      .insertInto('contact_tags')
      .values({ contact_id, tag_id, origin: 'buttondown', added_at: at - 1000 })
      .execute()

    const moments = await room.timeline!(app.readers, contact_id, page)

    expect(moments.map(({ what, detail, word, step, kind }) => [what, detail, word, step, kind])).toEqual([
      ['Tagged buyer', 'by Buttondown', 'tag', null, 'ours'],
      [
        'Clicked in a mailing that is not known yet',
        'https://paperboat.example/autumn · when exactly is not known',
        'clicked',
        3,
        'theirs',
      ],
      ['Opened Issue 112', 'Firefox on Android', 'opened', 2, 'theirs'],
      ['Got Issue 112', '', 'delivered', 1, 'theirs'],
      [
        'Subscribed to Slow Mornings',
        'Buttondown · form on slowmornings.example',
        'subscribed',
        null,
        'ours',
      ],
    ])
    expect(moments[2]!.href).toBe(`/mailings/${mailing_id}`)
    const all = await room.timeline!(app.readers, contact_id, { ...page, machines: true })
    expect(all[3]).toMatchObject({
      what: 'Opened Issue 112',
      detail: 'Not counted: it came through the mail privacy proxy of Apple',
      word: 'proxy',
      kind: 'machine',
    })
    expect(await room.overview!(app.readers, contact_id, { machines: false })).toEqual({
      moments: 5,
      machines: 1,
      removed: { moments: 0, machines: 0 },
      tiles: [],
    })
  })

  it('is read in pages that lose nothing and repeat nothing, however many moments share an instant', async () => {
    const app = await testApp()
    const contact_id = await aContact(app)
    const list_id = await aList(app)
    const at = app.clock.now()
    for (let index = 0; index < 30; index++)
      await anEngagement(app, { contact_id, kind: 'opened', happened_at: at - (index % 3 === 0 ? 1 : 0) })
    for (const status of ['subscribed', 'paused', 'unsubscribed'])
      await app.db
        .insertInto('subscription_changes')
        .values({ list_id, contact_id, changed_at: at, status })
        .execute()
    const seen: { at: number; id: string }[] = []
    let after: { at: number; id: string } | null = null
    do {
      const next: Awaited<ReturnType<typeof readTimeline>> = await readTimeline(
        app.readers,
        [room, { name: 'silent' }],
        contact_id,
        { after, limit: 4, machines: false },
      )
      seen.push(...next.moments)
      after = next.next
    } while (after)

    expect(seen).toHaveLength(33)
    expect(new Set(seen.map(({ id }) => id)).size).toBe(33)
    expect(seen).toEqual([...seen].sort(byTime))
  })

  it('exports everything that is stored', async () => {
    const app = await testApp()
    const contact_id = await aContact(app, { name: 'Ada Okonkwo', notes: 'Met at the book fair.' })
    const mailing_id = await aMailing(app)
    await app.db.insertInto('contact_aliases').values({ email: 'ada@old.example', contact_id }).execute()
    await app.db
      .insertInto('contact_identities')
      .values({ provider: 'buttondown', provider_id: '7', contact_id })
      .execute()
    await anEngagement(app, {
      contact_id,
      mailing_id,
      kind: 'clicked',
      url: 'https://paperboat.example/',
      address: '203.0.113.7',
      metadata: '{"a":1}',
    })

    const told = (await room.export!(app.readers, contact_id)) as Record<string, unknown>

    expect(told).toMatchObject({
      contact: { email: 'ada@fernmail.example', name: 'Ada Okonkwo', notes: 'Met at the book fair.' },
      earlier_addresses: ['ada@old.example'],
      identities: [{ provider: 'buttondown', provider_id: '7' }],
      engagements: [
        {
          at: '2026-11-21T10:00:00.000Z',
          kind: 'clicked',
          mailing: 'Issue 112',
          url: 'https://paperboat.example/',
          address: '203.0.113.7',
          verdict: 'person',
          metadata: { a: 1 },
        },
      ],
    })
  })
})
