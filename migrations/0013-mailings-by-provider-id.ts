import { type Kysely, sql } from 'kysely'

/** An issue of promos is looked for among all mailings by what its provider calls it, whichever provider that is. */
export async function up(db: Kysely<unknown>) {
  await sql`create index mailings_by_provider_id on mailings (provider_id)`.execute(db)
}
