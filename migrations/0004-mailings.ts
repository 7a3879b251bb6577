import { type Kysely, sql } from 'kysely'

/**
 * Providers whose mailings go to several lists and whose contacts belong to one list each; the history of every number a
 * provider tells; partners and their projects.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const numbers = `
  recipients integer,
  deliveries integer,
  opens integer,
  unique_opens integer,
  clicks integer,
  unique_clicks integer,
  temporary_failures integer,
  permanent_failures integer,
  unsubscriptions integer,
  complaints integer,
  replies integer`
const names = numbers.replaceAll(' integer', '')

const statements = `
alter table mailing_reports add column unique_opens integer;

alter table mailing_reports add column unique_clicks integer;

update mailing_reports set unique_opens = opens, unique_clicks = clicks, opens = null, clicks = null;

create table mailing_snapshots (
  id integer primary key autoincrement,
  mailing_id integer not null references mailings (id) on delete cascade,
  taken_at integer not null,${numbers},
  is_lower integer not null default 0 check (is_lower in (0, 1))
) strict;

create index mailing_snapshots_of_mailing on mailing_snapshots (mailing_id, taken_at);

insert into mailing_snapshots (mailing_id, taken_at, ${names})
select mailing_id, checked_at, ${names} from mailing_reports;

create table mailing_link_reports (
  mailing_id integer not null references mailings (id) on delete cascade,
  url text not null,
  clicks integer not null,
  unique_clicks integer not null,
  checked_at integer not null,
  primary key (mailing_id, url)
) strict, without rowid;

create table contact_report_walks (
  mailing_id integer not null references mailings (id) on delete cascade,
  status text not null,
  counted integer not null,
  walked_at integer not null,
  primary key (mailing_id, status)
) strict, without rowid;

create table mailing_contents (
  mailing_id integer primary key references mailings (id) on delete cascade, html text not null
) strict;

create table mailing_lists (
  mailing_id integer not null references mailings (id) on delete cascade,
  list_id integer not null references lists (id),
  primary key (mailing_id, list_id)
) strict, without rowid;

create index mailing_lists_of_list on mailing_lists (list_id, mailing_id);

insert into mailing_lists (mailing_id, list_id) select id, list_id from mailings where list_id is not null;

alter table mailings add column subject text not null default '';

update mailings set subject = name;

alter table mailings add column from_name text not null default '';

alter table mailings add column from_address text not null default '';

alter table mailings add column made_at integer;

alter table mailings add column synced_by text not null default '';

alter table mailings add column campaign_id integer;

create index mailings_of_campaign on mailings (campaign_id) where campaign_id is not null;

alter table lists add column double_opt_in integer check (double_opt_in in (0, 1));

alter table lists add column pending integer;

alter table lists add column subscribed integer;

alter table lists add column unsubscribed integer;

alter table lists add column made_at integer;

alter table lists add column updated_at integer;

alter table lists add column walked_at integer;

alter table lists add column fully_walked_at integer;

alter table lists add column gone_at integer;

create table list_fields (
  list_id integer not null references lists (id) on delete cascade,
  tag text not null,
  label text not null,
  type text not null,
  choices text not null default '[]',
  fallback text,
  position integer not null,
  primary key (list_id, tag)
) strict, without rowid;

create table list_tags (
  list_id integer not null references lists (id) on delete cascade,
  name text not null,
  primary key (list_id, name)
) strict, without rowid;

create table list_snapshots (
  id integer primary key autoincrement,
  list_id integer not null references lists (id) on delete cascade,
  taken_at integer not null,
  pending integer,
  subscribed integer,
  unsubscribed integer
) strict;

create index list_snapshots_of_list on list_snapshots (list_id, taken_at);

alter table subscriptions add column fields text;

create index subscriptions_of_list_by_time on subscriptions (list_id, subscribed_at, contact_id);

alter table contact_identities add column list_id integer;

alter table contact_identities add column email text;

create table partners (
  id integer primary key autoincrement,
  name text not null unique collate nocase check (length(name) between 1 and 80),
  colour text not null default '',
  emails text not null default '',
  address text not null default '',
  logo blob,
  logo_type text,
  created_at integer not null,
  created_by integer references accounts (id),
  archived_at integer
) strict;

create table projects (
  id integer primary key autoincrement,
  partner_id integer not null references partners (id),
  name text not null collate nocase check (length(name) between 1 and 80),
  created_at integer not null,
  created_by integer references accounts (id),
  archived_at integer,
  unique (partner_id, name)
) strict;

create table project_ties (
  kind text not null,
  thing_id integer not null,
  project_id integer not null references projects (id),
  tied_at integer not null,
  primary key (kind, thing_id)
) strict, without rowid;

create index project_ties_of_project on project_ties (project_id, kind, thing_id)`
