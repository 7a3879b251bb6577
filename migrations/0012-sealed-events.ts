import { type Kysely, sql } from 'kysely'

/**
 * What events that were removed come to, from where every recount of them starts: by person, campaign and sending domain,
 * by campaign, sending domain and quarter of an hour, and email clicks by campaign, country and device.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const counts = `
  email_clicks integer not null,
  landing_clicks integer not null,
  conversions integer not null,
  machine_email_clicks integer not null,
  machine_landing_clicks integer not null,
  machine_conversions integer not null`

const statements = `
create table sealed_journeys (
  id integer not null,
  campaign_id integer not null,
  contact_id integer not null,
  domain_id integer not null,${counts},
  orphans integer not null,
  first_email_click_at integer,
  first_landing_click_at integer,
  first_conversion_at integer,
  last_at integer,
  machine_last_at integer,
  last_landing_click_at integer,
  last_conversion_at integer,
  machine_last_conversion_at integer,
  primary key (contact_id, campaign_id, domain_id)
) strict, without rowid;

create index sealed_journeys_of_campaign on sealed_journeys (campaign_id);

create table sealed_events (
  campaign_id integer not null,
  domain_id integer not null,
  quarter_at integer not null,${counts},
  first_at integer not null,
  last_at integer not null,
  primary key (campaign_id, domain_id, quarter_at)
) strict, without rowid;

create table sealed_places (
  campaign_id integer not null,
  country text not null,
  device text not null,
  clicks integer not null,
  primary key (campaign_id, country, device)
) strict, without rowid`
