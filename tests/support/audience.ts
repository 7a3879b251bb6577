import type { EngagementFact } from '../../src/audience/record.js'
import type { NewRow } from '../../src/database/schema.js'
import type { TestApp } from './app.js'

type App = Pick<TestApp, 'db' | 'audience' | 'clock'>

/** A person; say only what the test is about. */
export async function aContact(
  { db, clock }: Pick<TestApp, 'db' | 'clock'>,
  given: Partial<{ email: string; name: string; source: string; created_at: number; notes: string }> = {},
) {
  const contact = {
    email: 'ada@fernmail.example',
    name: '',
    source: 'buttondown',
    created_at: clock.now(),
    ...given,
  }
  const { id } = await db
    .insertInto('contacts')
    .values({ ...contact, name_folded: contact.name.toLowerCase() })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { id, ...contact }
}

/** A list at Buttondown. */
export async function aList({ db, clock }: Pick<TestApp, 'db' | 'clock'>, given: { name?: string } = {}) {
  const name = given.name ?? 'Slow Mornings'
  const { id } = await db
    .insertInto('lists')
    .values({ provider: 'buttondown', provider_id: name, name, created_at: clock.now() })
    .returning('id')
    .executeTakeFirstOrThrow()
  return { id, name }
}

let mailings = 0

/** A mailing that was sent. */
export async function aMailing(
  { db, clock }: Pick<TestApp, 'db' | 'clock'>,
  given: Partial<NewRow<'mailings'> & { sent_at: number }> = {},
) {
  const mailing = {
    name: 'Issue 112',
    sent_at: clock.now() - 86_400_000,
    list_id: null as number | null | undefined,
    ...given,
  }
  const { id } = await db
    .insertInto('mailings')
    .values({
      provider: 'buttondown',
      provider_id: `mailing-${++mailings}`,
      status: 'sent',
      created_at: mailing.sent_at,
      ...mailing,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  if (mailing.list_id !== null && mailing.list_id !== undefined)
    await db.insertInto('mailing_lists').values({ mailing_id: id, list_id: mailing.list_id }).execute()
  return { ...mailing, id }
}

/** An engagement as a provider's event tells it, through the ledger: a person's, unless something else is said. */
export async function anEngagement(
  { audience, clock }: App,
  given: Pick<EngagementFact, 'contactId' | 'kind'> & Partial<EngagementFact>,
) {
  return audience.engage({
    provider: 'buttondown',
    providerId: null,
    mailingId: null,
    happenedAt: clock.now(),
    exact: true,
    url: null,
    address: null,
    userAgent: null,
    os: 'iOS',
    browser: 'Safari',
    metadata: null,
    ...given,
  })
}

/** Makes a tag that these contacts have. */
export async function tagAll({ db, clock }: Pick<TestApp, 'db' | 'clock'>, name: string, people: number[]) {
  const { id } = await db
    .insertInto('tags')
    .values({ name, created_at: clock.now() })
    .returning('id')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('contact_tags')
    .values(people.map((contact_id) => ({ contact_id, tag_id: id, origin: 'ours', added_at: 0 })))
    .execute()
}
