import { sql } from 'kysely'
import { expect, it } from 'vitest'
import { up } from '../../migrations/0013-quarters-of-engagements.js'
import { rebuildAudienceCounts } from '../../src/audience/rebuild.js'
import { calendar } from '../../src/web/calendar.js'
import { testApp } from '../support/app.js'
import { aContact, aMailing, anEngagement } from '../support/audience.js'

const minute = 60_000

it('counts the opens and clicks of a database made before by quarters of an hour', async () => {
  const app = await testApp()
  const { db } = app
  const { id: contactId } = await aContact(app, { email: 'ada@a.example' })
  const { id: mailingId } = await aMailing(app)
  const at = app.clock.now()
  for (const [back, more] of [
    [0, { kind: 'opened' }],
    [10, { kind: 'opened', userAgent: 'Mozilla/5.0', os: null, browser: null }],
    [20, { kind: 'opened', os: null, browser: null }],
    [40, { kind: 'clicked', url: 'https://a.example' }],
    [90, { kind: 'clicked', url: 'https://b.example', userAgent: 'curl/8.5.0' }],
    [95, { kind: 'replied' }],
    [96, { kind: 'delivered' }],
  ] as const)
    await anEngagement(app, { contactId, mailingId, happenedAt: at - back * minute, ...more })
  await rebuildAudienceCounts(db, calendar('UTC'))
  const quarters = () => db.selectFrom('engagement_quarters').selectAll().orderBy('quarter_at').execute()
  const counted = await quarters()
  expect(counted.length).toBeGreaterThan(3)
  for (const column of [
    'opens',
    'clicks',
    'replies',
    'machine_clicks',
    'unjudged_opens',
    'proxy_opens',
  ] as const)
    expect(
      counted.some((row) => row[column] > 0),
      column,
    ).toBe(true)

  await sql`drop index mailings_by_provider_id`.execute(db)
  await sql`alter table engagement_quarters rename to engagement_hours`.execute(db)
  await up(db as never)
  expect(await quarters()).toEqual(counted)
})
