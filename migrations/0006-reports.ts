import { type Kysely, sql } from 'kysely'

/** Reports for partners, their own templates, what was rendered of them, and the links that show it to strangers. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create table reports (
  id integer primary key autoincrement,
  title text not null,
  template text not null,
  partner_id integer references partners (id) on delete set null,
  definition text not null check (json_valid(definition)),
  created_at integer not null,
  created_by integer references accounts (id) on delete set null,
  changed_at integer not null,
  archived_at integer
) strict;

create index reports_of_partner on reports (partner_id) where partner_id is not null;

create table report_templates (
  id integer primary key autoincrement,
  name text not null unique collate nocase,
  template text not null,
  definition text not null check (json_valid(definition)),
  created_at integer not null,
  created_by integer references accounts (id) on delete set null
) strict;

create table report_pictures (
  hash text primary key,
  type text not null,
  bytes blob not null
) strict, without rowid;

create table report_renderings (
  id integer primary key autoincrement,
  report_id integer not null references reports (id),
  number integer not null,
  title text not null,
  rendered_at integer not null,
  made_by text not null check (made_by in ('hand', 'schedule')),
  account_id integer references accounts (id) on delete set null,
  picture text references report_pictures (hash),
  data text not null check (json_valid(data)),
  unique (report_id, number)
) strict;

create table report_people (
  rendering_id integer not null references report_renderings (id),
  place integer not null,
  contact_id integer not null,
  name text not null,
  email text not null,
  primary key (rendering_id, place)
) strict, without rowid;

create index report_people_of_contact on report_people (contact_id);

create trigger report_renderings_stay before update of report_id, number, title, rendered_at, made_by, picture, data
on report_renderings begin select raise(abort, 'A rendering is archived as it was.'); end;

create table report_links (
  id integer primary key autoincrement,
  report_id integer not null references reports (id),
  rendering_id integer references report_renderings (id),
  token_hash text not null unique,
  token_sealed text not null,
  password_hash text,
  expires_at integer not null,
  created_at integer not null,
  created_by integer references accounts (id) on delete set null,
  revoked_at integer,
  views integer not null default 0,
  last_viewed_at integer
) strict;

create index report_links_of_report on report_links (report_id)`
