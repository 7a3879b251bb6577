import { type Kysely, sql } from 'kysely'

/**
 * What engagements that were removed come to, from where every recount of them starts: by person and mailing, by person
 * and quarter of an hour, and by mailing and quarter, hour since the sending, link, country and system.
 *
 * Their marks are hashes, by which an engagement that is told again is known as one; those that hold the number of a
 * contact are looked for under the numbers of contacts that were merged into it, too.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const counts = `
  opens integer not null,
  proxy_opens integer not null,
  machine_opens integer not null,
  unjudged_opens integer not null,
  clicks integer not null,
  machine_clicks integer not null,
  unjudged_clicks integer not null,
  replies integer not null`

const statements = `
create table sealed_receptions (
  contact_id integer not null,
  mailing_id integer not null,
  engagements integer not null,${counts},
  sent_at integer,
  delivered_at integer,
  arrived_at integer,
  first_opened_at integer,
  first_clicked_at integer,
  last_opened_at integer,
  last_clicked_at integer,
  last_active_at integer,
  machine_last_active_at integer,
  settled_until integer not null,
  primary key (contact_id, mailing_id)
) strict, without rowid;

create table sealed_contact_quarters (
  contact_id integer not null,
  quarter_at integer not null,${counts},
  primary key (contact_id, quarter_at)
) strict, without rowid;

create table sealed_mailing_quarters (
  mailing_id integer not null,
  quarter_at integer not null,${counts},
  primary key (mailing_id, quarter_at)
) strict, without rowid;

create table sealed_mailing_hours (
  mailing_id integer not null,
  hour integer not null,
  opens integer not null,
  machine_opens integer not null,
  clicks integer not null,
  machine_clicks integer not null,
  primary key (mailing_id, hour)
) strict, without rowid;

create table sealed_mailing_links (
  mailing_id integer not null,
  link_id integer not null,
  clicks integer not null,
  machine_clicks integer not null,
  people integer not null,
  all_people integer not null,
  primary key (mailing_id, link_id)
) strict, without rowid;

create table sealed_mailing_places (
  mailing_id integer not null,
  country text not null,
  os text not null,
  clicks integer not null,
  primary key (mailing_id, country, os)
) strict, without rowid;

create table sealed_mailings (
  mailing_id integer primary key, first_at integer, last_at integer
) strict;

create table engagement_marks (mark blob primary key) strict, without rowid;

create table contact_merges (from_id integer primary key, into_id integer not null) strict;

create index contact_merges_into on contact_merges (into_id)`
