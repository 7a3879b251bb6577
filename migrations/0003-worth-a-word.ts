import { type Kysely, sql } from 'kysely'

/** What a word was about, and the way to whom one is due: those whose score swung, and those who left. */
export async function up(db: Kysely<unknown>) {
  await db.schema.alterTable('contact_words').addColumn('seen_id', 'integer').execute()
  // Few swing at any time: what these leave out costs the scoring nothing. Queries have to say the same, in figures.
  await sql`create index contacts_risen on contacts (score - score_before) where score - score_before >= 15`.execute(
    db,
  )
  await sql`create index contacts_faded on contacts (score - score_before) where score - score_before <= -15`.execute(
    db,
  )
  await sql`create index subscriptions_by_end on subscriptions (unsubscribed_at) where unsubscribed_at is not null`.execute(
    db,
  )
}
