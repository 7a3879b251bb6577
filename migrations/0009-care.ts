import { type Kysely, sql } from 'kysely'

/** A second factor for accounts, a log of who did what, and what tells an operator of trouble. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create table two_factors (
  account_id integer primary key references accounts (id) on delete cascade,
  secret text not null,
  begun_at integer not null,
  confirmed_at integer,
  last_step integer not null default 0
) strict;

create table recovery_codes (
  id integer primary key autoincrement,
  account_id integer not null references accounts (id) on delete cascade,
  code_hash text not null unique,
  used_at integer
) strict;

create index recovery_codes_of_account on recovery_codes (account_id);

create table audit_log (
  id integer primary key autoincrement,
  happened_at integer not null,
  account_id integer references accounts (id) on delete set null,
  actor text not null default '',
  address text not null default '',
  action text not null check (length(action) > 0),
  subject text not null default '',
  outcome text not null check (outcome in ('begun', 'done', 'refused'))
) strict;

create index audit_log_by_time on audit_log (happened_at);

create table alert_states (
  name text primary key,
  since_at integer not null,
  sentence text not null,
  told_at integer,
  cleared_at integer,
  told_to text not null default '[]',
  attempts integer not null default 0,
  failure text not null default ''
) strict;

create table error_groups (
  fingerprint text primary key,
  message text not null,
  route text not null,
  times integer not null check (times > 0),
  first_at integer not null,
  last_at integer not null
) strict;

create index error_groups_by_time on error_groups (last_at);

create table database_sizes (
  day_on text primary key,
  bytes integer not null check (bytes >= 0),
  log_bytes integer not null check (log_bytes >= 0)
) strict`
