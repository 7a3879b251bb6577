import { type Kysely, sql } from 'kysely'

/**
 * Clicks are looked for by their hashed address within minutes. Hashes have no neighbours: an index by them alone is written
 * all over, which at millions of clicks is a page to read and one to write for each. By time first, what is written stays
 * together; of the hash, its beginning finds the few that can be meant.
 */
export async function up(db: Kysely<unknown>) {
  await sql`drop index promo_clicks_of_address`.execute(db)
  await sql`
    create index promo_clicks_again on promo_clicks (happened_at / 600000, substr(address, 1, 8))
    where address is not null`.execute(db)
}
