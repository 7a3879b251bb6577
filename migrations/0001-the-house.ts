import { type Kysely, sql } from 'kysely'

/** Accounts, contacts, the click tracker's facts and the counts derived from them. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const eventCounts = `
  email_clicks integer not null default 0,
  landing_clicks integer not null default 0,
  conversions integer not null default 0,
  machine_email_clicks integer not null default 0,
  machine_landing_clicks integer not null default 0,
  machine_conversions integer not null default 0`

const statements = `
create table settings (name text primary key, value text not null) strict, without rowid;

create table salts (
  purpose text not null, month text not null, salt blob not null,
  primary key (purpose, month)
) strict, without rowid;

create table accounts (
  id integer primary key autoincrement,
  username text not null unique check (username = lower(trim(username)) and length(username) between 1 and 64),
  full_name text not null default '',
  email text not null default '',
  password_hash text not null,
  active integer not null default 1 check (active in (0, 1)),
  created_at integer not null,
  created_by integer references accounts (id),
  last_login_at integer
) strict;

create table sessions (
  id_hash text primary key,
  account_id integer references accounts (id) on delete cascade,
  data text not null,
  created_at integer not null,
  seen_at integer not null,
  expires_at integer not null,
  address text not null default '',
  user_agent text not null default ''
) strict, without rowid;

create index sessions_of_account on sessions (account_id);

create index sessions_by_end on sessions (expires_at);

create table login_failures (
  id integer primary key, key_hash text not null, failed_at integer not null
) strict;

create index login_failures_by_key on login_failures (key_hash, failed_at);

create table api_tokens (
  id integer primary key autoincrement,
  name text not null check (length(name) between 1 and 80),
  token_hash text not null unique,
  ending text not null,
  created_at integer not null,
  created_by integer references accounts (id),
  last_used_at integer,
  revoked_at integer
) strict;

create table contacts (
  id integer primary key autoincrement,
  email text not null unique check (length(email) between 1 and 255),
  created_at integer not null
) strict;

create virtual table contact_search using fts5 (
  email, content='', contentless_delete=1, detail=none, tokenize='trigram'
);

create table sending_domains (
  id integer primary key autoincrement,
  name text not null unique check (length(name) between 1 and 253),
  created_at integer not null
) strict;

create table user_agents (
  id integer primary key autoincrement,
  text text not null unique,
  device text check (device in ('desktop', 'mobile', 'tablet')),
  machine integer not null check (machine in (0, 1))
) strict;

create table campaigns (
  id integer primary key autoincrement,
  name text not null check (length(name) between 1 and 80),
  offer_url text not null check (offer_url like 'http://%' or offer_url like 'https://%'),
  write_key text not null,
  needs_key integer not null default 0 check (needs_key in (0, 1)),
  archived_at integer,
  deleted_at integer,
  created_at integer not null,
  created_by integer references accounts (id)
) strict;

create table campaign_offers (
  campaign_id integer not null references campaigns (id) on delete cascade,
  since_at integer not null,
  offer_url text not null,
  primary key (campaign_id, since_at)
) strict, without rowid;

create table events (
  id integer primary key autoincrement,
  campaign_id integer not null references campaigns (id),
  contact_id integer not null references contacts (id),
  domain_id integer not null references sending_domains (id),
  kind integer not null check (kind in (1, 2, 3)),
  happened_at integer not null,
  caller_id text,
  link text,
  address text,
  user_agent_id integer references user_agents (id),
  country text,
  device text,
  extra text,
  verdict integer not null check (verdict in (0, 1, 2)),
  reasons integer not null default 0
) strict;

create index events_of_campaign on events (campaign_id);

create index events_of_contact on events (contact_id, happened_at);

create unique index events_told_once on events (campaign_id, caller_id) where caller_id is not null;

create table journeys (
  id integer primary key,
  campaign_id integer not null,
  contact_id integer not null,
  domain_id integer not null,${eventCounts},
  orphans integer not null default 0,
  first_email_click_at integer,
  first_landing_click_at integer,
  first_conversion_at integer,
  last_at integer,
  machine_last_at integer,
  unique (campaign_id, contact_id, domain_id)
) strict;

create index journeys_of_campaign on journeys (campaign_id);

create index journeys_of_domain on journeys (campaign_id, domain_id);

create index journeys_landed on journeys (campaign_id) where landing_clicks > 0;

create index journeys_converted on journeys (campaign_id) where conversions > 0;

create table campaign_counts (
  campaign_id integer primary key,${eventCounts},
  people_email_clicks integer not null default 0,
  people_landing_clicks integer not null default 0,
  people_conversions integer not null default 0,
  all_people_email_clicks integer not null default 0,
  all_people_landing_clicks integer not null default 0,
  all_people_conversions integer not null default 0,
  orphans integer not null default 0,
  last_at integer
) strict;

create table domain_counts (
  campaign_id integer not null,
  domain_id integer not null,${eventCounts},
  first_at integer,
  last_at integer,
  primary key (campaign_id, domain_id)
) strict, without rowid;

create table journey_counts (
  campaign_id integer not null,
  domain_id integer not null,
  machines integer not null check (machines in (0, 1)),
  shape integer not null check (shape between 1 and 7),
  journeys integer not null default 0,
  primary key (campaign_id, domain_id, machines, shape)
) strict, without rowid;

create table campaign_hours (
  campaign_id integer not null,
  hour_at integer not null,${eventCounts},
  primary key (campaign_id, hour_at)
) strict, without rowid;

create table campaign_days (
  campaign_id integer not null,
  day_on text not null,${eventCounts},
  primary key (campaign_id, day_on)
) strict, without rowid`
