import { type Kysely, sql } from 'kysely'

/** Offers with their texts, what was shown and clicked of them, and how each choice came about. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const counts = `
  impressions integer not null default 0,
  clicks integer not null default 0,
  repeated_clicks integer not null default 0,
  machine_clicks integer not null default 0`

const statements = `
create table promo_groups (
  id integer primary key autoincrement,
  name text not null unique collate nocase check (length(name) between 1 and 80),
  strategy text not null check (strategy in ('fixed', 'ctr', 'test', 'learn')),
  half_life_days integer check (half_life_days > 0),
  created_at integer not null
) strict;

insert into promo_groups (name, strategy, created_at) values ('All offers', 'learn', 0);

create table promo_offers (
  id integer primary key autoincrement,
  group_id integer not null references promo_groups (id),
  name text not null check (length(name) between 1 and 120),
  type text not null default '',
  slug text not null unique check (length(slug) between 1 and 80),
  destination_url text not null,
  link_url text not null default '',
  utm_source text not null default '',
  utm_medium text not null default '',
  utm_campaign text not null default '',
  utm_term text not null default '',
  utm_content text not null default '',
  base_weight real not null default 1 check (base_weight >= 0),
  active integer not null default 1 check (active in (0, 1)),
  from_on text,
  until_on text,
  archived_at integer,
  created_at integer not null,
  created_by integer references accounts (id)
) strict;

create index promo_offers_of_group on promo_offers (group_id);

create table promo_text_variations (
  id integer primary key autoincrement,
  offer_id integer not null references promo_offers (id),
  headline text not null default '',
  text text not null check (length(text) > 0),
  cta_text text not null default '',
  tone text not null default '',
  length_category text not null default 'medium' check (length_category in ('short', 'medium', 'long')),
  approved integer not null default 0 check (approved in (0, 1)),
  weight real not null default 1 check (weight >= 0),
  archived_at integer,
  created_at integer not null,
  created_by integer references accounts (id)
) strict;

create index promo_text_variations_of_offer on promo_text_variations (offer_id);

create table promo_sends (
  id integer primary key autoincrement,
  key text not null unique,
  mailing_id integer references mailings (id),
  delivered integer check (delivered > 0),
  tied_by text check (tied_by in ('provider', 'hand')),
  first_at integer not null
) strict;

create index promo_sends_of_mailing on promo_sends (mailing_id) where mailing_id is not null;

create index promo_sends_by_time on promo_sends (first_at);

create table promo_impressions (
  id integer primary key autoincrement,
  offer_id integer not null references promo_offers (id),
  variation_id integer not null references promo_text_variations (id),
  send_id integer references promo_sends (id),
  placements integer not null default 1 check (placements > 0),
  happened_at integer not null,
  spool_id text
) strict;

create unique index promo_impressions_once on promo_impressions (variation_id, send_id) where send_id is not null;

create unique index promo_impressions_spooled on promo_impressions (spool_id) where spool_id is not null;

create index promo_impressions_in_sends on promo_impressions (variation_id, happened_at) where send_id is not null;

create table promo_clicks (
  id integer primary key autoincrement,
  offer_id integer not null references promo_offers (id),
  variation_id integer references promo_text_variations (id),
  send_id integer references promo_sends (id),
  happened_at integer not null,
  referrer text not null default '',
  address text,
  user_agent_id integer references user_agents (id),
  device text,
  verdict integer not null check (verdict between 0 and 2),
  repeated integer not null default 0 check (repeated in (0, 1)),
  spool_id text
) strict;

create unique index promo_clicks_spooled on promo_clicks (spool_id) where spool_id is not null;

create index promo_clicks_of_address on promo_clicks (address, happened_at) where address is not null;

create table promo_weightings (
  id integer primary key autoincrement,
  hash text not null unique,
  weights text not null
) strict;

create table promo_choices (
  id integer primary key autoincrement,
  offer_id integer not null references promo_offers (id),
  variation_id integer not null references promo_text_variations (id),
  newsletter text not null default '',
  strategy text not null,
  seed integer not null,
  excluded_id integer,
  offers_weighting_id integer not null references promo_weightings (id),
  texts_weighting_id integer not null references promo_weightings (id),
  chosen_at integer not null,
  spool_id text
) strict;

create unique index promo_choices_spooled on promo_choices (spool_id) where spool_id is not null;

create index promo_choices_of_offer on promo_choices (offer_id, id);

create index promo_choices_by_time on promo_choices (chosen_at);

create table promo_offer_counts (
  offer_id integer primary key,${counts},
  last_impression_at integer,
  last_click_at integer
) strict;

create table promo_variation_counts (
  variation_id integer primary key,${counts},
  last_impression_at integer,
  last_click_at integer
) strict;

create table promo_days (
  offer_id integer not null,
  variation_id integer not null,
  day_on text not null,${counts},
  primary key (offer_id, variation_id, day_on)
) strict, without rowid;

create index promo_days_by_day on promo_days (day_on);

create table promo_hours (
  offer_id integer not null,
  hour_at integer not null,${counts},
  primary key (offer_id, hour_at)
) strict, without rowid;

create table promo_devices (
  offer_id integer not null,
  device text not null,${counts},
  primary key (offer_id, device)
) strict, without rowid;

create table promo_send_counts (
  variation_id integer not null,
  send_id integer not null,${counts},
  primary key (variation_id, send_id)
) strict, without rowid;

create index promo_send_counts_of_send on promo_send_counts (send_id);

create table access_tokens (
  id text primary key,
  account_id integer not null references accounts (id),
  issued_at integer not null,
  expires_at integer not null,
  revoked_at integer
) strict, without rowid;

create index access_tokens_of_account on access_tokens (account_id, expires_at)`
