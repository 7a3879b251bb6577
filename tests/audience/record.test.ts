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
})
