import { type Kysely, sql } from 'kysely'

/** The jobs: when each is due, what became of its runs, and what they said. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create table jobs (
  name text primary key,
  schedule text not null,
  next_at integer,
  retry_at integer,
  failures integer not null default 0 check (failures >= 0),
  failing_since integer,
  alarmed_at integer
) strict, without rowid;

create table job_runs (
  id integer primary key autoincrement,
  job text not null,
  state text not null
    check (state in ('waiting', 'running', 'done', 'failed', 'cancelled', 'interrupted', 'died')),
  asked_by text not null default '',
  runs integer not null default 1 check (runs > 0),
  started_at integer not null,
  ended_at integer,
  progress text not null default '{}',
  result text not null default '',
  error text
) strict;

create unique index job_runs_one_at_a_time on job_runs (job) where state in ('waiting', 'running');

create index job_runs_of_job on job_runs (job, id);

create index job_runs_by_time on job_runs (started_at);

create table job_lines (
  run_id integer not null references job_runs (id) on delete cascade,
  number integer not null,
  said_at integer not null,
  line text not null,
  primary key (run_id, number)
) strict, without rowid`
