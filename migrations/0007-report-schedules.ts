import { type Kysely, sql } from 'kysely'

/** When reports are rendered by themselves, what became of each time, and whom each rendering was sent to. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create table report_schedules (
  id integer primary key autoincrement,
  report_id integer not null references reports (id) on delete cascade,
  kind text not null check (kind in ('weekly', 'monthly', 'after-mailing')),
  day integer not null check (day between 1 and 90),
  minute integer not null check (minute between 0 and 1439),
  recipients text not null default '',
  since_at integer not null,
  paused_at integer,
  created_at integer not null,
  created_by integer references accounts (id) on delete set null
) strict;

create index report_schedules_of_report on report_schedules (report_id);

create table report_runs (
  id integer primary key autoincrement,
  schedule_id integer references report_schedules (id) on delete set null,
  report_id integer not null references reports (id) on delete cascade,
  due_at integer not null,
  recipients text not null,
  state text not null check (state in ('waiting', 'rendered', 'failed')),
  tries integer not null default 0,
  next_try_at integer not null,
  render_at integer,
  rendering_id integer references report_renderings (id),
  ended_at integer,
  failure text not null default '',
  unique (schedule_id, due_at)
) strict;

create index report_runs_waiting on report_runs (next_try_at) where state = 'waiting';

create index report_runs_of_report on report_runs (report_id, due_at);

create table report_deliveries (
  id integer primary key autoincrement,
  report_id integer not null references reports (id),
  rendering_id integer not null references report_renderings (id),
  run_id integer references report_runs (id) on delete set null,
  recipient text not null,
  state text not null check (state in ('waiting', 'sending', 'sent', 'failed', 'unsure')),
  tries integer not null default 0,
  next_try_at integer not null,
  ended_at integer,
  failure text not null default '',
  created_at integer not null,
  created_by integer references accounts (id) on delete set null,
  unique (run_id, recipient)
) strict;

create index report_deliveries_open on report_deliveries (next_try_at) where state in ('waiting', 'sending');

create index report_deliveries_of_report on report_deliveries (report_id, created_at)`
