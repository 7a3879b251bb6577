import { type Kysely, sql } from 'kysely'

/**
 * Where engagements still have their traces, so that those that are too old are found; and what impressions and clicks of
 * promos that were removed come to, from where every recount of them starts.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create index engagements_with_traces on engagements (happened_at)
  where address is not null or user_agent_id is not null;

create table sealed_promo_facts (
  offer_id integer not null,
  variation_id integer not null,
  send_id integer not null,
  device text not null,
  quarter_at integer not null,
  impressions integer not null,
  clicks integer not null,
  repeated_clicks integer not null,
  machine_clicks integer not null,
  last_impression_at integer,
  last_click_at integer,
  primary key (offer_id, variation_id, send_id, device, quarter_at)
) strict, without rowid`
