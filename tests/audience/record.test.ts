import { describe, expect, it } from 'vitest'
import { testApp, testStart } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'

const minute = 60_000

describe('an engagement that is told again without its id', () => {
  it('is the first of those it may be, the earlier row where they happened at once', async () => {
    const app = await testApp()
    const contact = await aContact(app)
    const mailings = [await aMailing(app), await aMailing(app, { name: 'Issue 113' })]
    const told = { contactId: contact.id, kind: 'opened', happenedAt: testStart } as const
    for (const [index, { id }] of mailings.entries())
      await anEngagement(app, { ...told, mailingId: id, providerId: `event ${index}` })
    const { id, repeated } = await anEngagement(app, {
      ...told,
      happenedAt: testStart + minute,
      exact: false,
      userAgent: 'Mozilla/5.0 (iPhone) Safari',
    })
    expect(repeated).toBe(true)
    const rows = await app.db
      .selectFrom('engagements')
      .select(['id', 'provider_id', 'user_agent_id'])
      .orderBy('id')
      .execute()
    expect(rows).toMatchObject([
      { id, provider_id: 'event 0', user_agent_id: expect.any(Number) },
      { provider_id: 'event 1', user_agent_id: null },
    ])
  })

  it('is the one of the same link, and of those that may be the same the first where it tells no link', async () => {
    const app = await testApp()
    const contact = await aContact(app)
    const mailing = await aMailing(app)
    const told = { contactId: contact.id, mailingId: mailing.id, kind: 'clicked' } as const
    const again = { ...told, happenedAt: testStart + minute, exact: false } as const
    const ids: (number | null)[] = []
    for (const link of ['tide', 'nets'])
      ids.push(
        (
          await anEngagement(app, {
            ...told,
            happenedAt: testStart,
            providerId: link,
            url: `https://longline.example/${link}`,
          })
        ).id,
      )
    expect(await anEngagement(app, { ...again, url: 'https://longline.example/nets' })).toMatchObject({
      id: ids[1],
      repeated: true,
    })
    expect(await anEngagement(app, { ...again, url: null })).toMatchObject({ id: ids[0], repeated: true })
    expect(await anEngagement(app, { ...again, url: 'https://longline.example/knots' })).toMatchObject({
      repeated: false,
    })
  })

  it('tells the link of a click that was told without one', async () => {
    const app = await testApp()
    const contact = await aContact(app)
    const mailing = await aMailing(app)
    const told = { contactId: contact.id, mailingId: mailing.id, kind: 'clicked' } as const
    const { id } = await anEngagement(app, { ...told, happenedAt: testStart, providerId: 'one', url: null })
    const url = 'https://longline.example/tide'
    const again = { ...told, happenedAt: testStart + minute, exact: false, url } as const
    expect(await anEngagement(app, again)).toEqual({ id, repeated: true, whole: true })
  })

  it('is another one in another mailing, or after more than half an hour', async () => {
    const app = await testApp()
    const contact = await aContact(app)
    const mailings = [await aMailing(app), await aMailing(app, { name: 'Issue 113' })]
    const told = { contactId: contact.id, kind: 'opened', happenedAt: testStart } as const
    await anEngagement(app, { ...told, mailingId: mailings[0]!.id, providerId: 'one' })
    const again = { ...told, exact: false } as const
    for (const [mailing, minutes] of [
      [mailings[1]!, 1],
      [mailings[0]!, 36],
    ] as const)
      expect(
        await anEngagement(app, {
          ...again,
          mailingId: mailing.id,
          happenedAt: testStart + minutes * minute,
        }),
      ).toMatchObject({ repeated: false })
  })

  it('is the same if it tells the same, as when a report without ids is read once more', async () => {
    const app = await testApp()
    const contact = await aContact(app)
    const mailing = await aMailing(app)
    const told = {
      contactId: contact.id,
      mailingId: mailing.id,
      kind: 'opened',
      happenedAt: testStart,
      exact: true,
    } as const
    const { id } = await anEngagement(app, told)
    expect(await anEngagement(app, told)).toMatchObject({ id, repeated: true })
    for (const other of [
      { happenedAt: testStart + 1_000 },
      { userAgent: 'Mozilla/5.0 (iPhone) Safari' },
      { kind: 'replied' },
    ] as const)
      expect(await anEngagement(app, { ...told, ...other })).toMatchObject({ repeated: false })
    // Of two deliveries that do not say when it was, nobody can tell.
    const unsaid = { ...told, exact: false } as const
    expect(await anEngagement(app, unsaid)).toMatchObject({ repeated: false })
    expect(await anEngagement(app, unsaid)).toMatchObject({ repeated: false })
  })
})
