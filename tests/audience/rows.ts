import { type EngagementKind, engagementNumber } from '../../src/audience/engagement-kinds.js'
import type { NewRow } from '../../src/database/schema.js'
import type { TestApp } from '../support/app.js'

type App = Pick<TestApp, 'db' | 'clock'>

/** A contact as its row stands, counts included; say only what the test is about. */
export async function aContact({ db, clock }: App, given: Partial<NewRow<'contacts'>> = {}) {
  const email = given.email ?? 'ada@fernmail.example'
  const { id } = await db
    .insertInto('contacts')
    .values({ created_at: clock.now(), source: 'buttondown', ...given, email })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function aList({ db, clock }: App, name = 'Slow Mornings') {
  const { id } = await db
    .insertInto('lists')
    .values({ provider: 'buttondown', provider_id: name, name, created_at: clock.now() })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

export async function aMailing({ db, clock }: App, name = 'Issue 112', sentAt = clock.now()) {
  const { id } = await db
    .insertInto('mailings')
    .values({ provider: 'buttondown', provider_id: name, name, sent_at: sentAt, created_at: clock.now() })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** An engagement as its row stands; no counts follow. */
export async function anEngagement(
  { db, clock }: App,
  {
    kind,
    url,
    ...given
  }: Partial<Omit<NewRow<'engagements'>, 'kind' | 'contact_id'>> & {
    contact_id: number
    kind: EngagementKind
    url?: string
  },
) {
  const link = url
    ? await db
        .insertInto('links')
        .values({ url })
        .onConflict((conflict) => conflict.column('url').doUpdateSet({ url }))
        .returning('id')
        .executeTakeFirstOrThrow()
    : null
  const { id } = await db
    .insertInto('engagements')
    .values({
      kind: engagementNumber(kind),
      happened_at: clock.now(),
      exact: 1,
      provider: 'buttondown',
      verdict: 0,
      reasons: 0,
      link_id: link?.id ?? null,
      ...given,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}
