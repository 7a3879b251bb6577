import { type Kysely, sql } from 'kysely'

/** What is known of contacts beyond their address, the mailings they got, and what came in from providers. */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const engagementCounts = `
  opens integer not null default 0,
  proxy_opens integer not null default 0,
  machine_opens integer not null default 0,
  unjudged_opens integer not null default 0,
  clicks integer not null default 0,
  machine_clicks integer not null default 0,
  unjudged_clicks integer not null default 0,
  replies integer not null default 0`

const addedToContacts = [
  `name text not null default ''`,
  `name_folded text not null default ''`,
  `name_is_ours integer not null default 0`,
  `notes text not null default ''`,
  `source text not null default 'tracker'`,
  `erased_at integer`,
  `status text`,
  `subscribed_at integer`,
  `mailings integer not null default 0`,
  ...engagementCounts.split(',').map((column) => column.trim()),
  `last_active_at integer`,
  `machine_last_active_at integer`,
  `score real`,
  `score_before real`,
  `band text check (band in ('champion', 'active', 'passive', 'fading', 'dormant', 'new'))`,
]

const statements = `
${addedToContacts.map((column) => `alter table contacts add column ${column}`).join(';\n\n')};

create index contacts_by_score on contacts (score) where score is not null;

create index contacts_by_band on contacts (band, score) where band is not null;

create index contacts_by_activity on contacts (last_active_at) where last_active_at is not null;

create index contacts_erased on contacts (id) where erased_at is not null;

create table contact_aliases (
  email text primary key, contact_id integer not null references contacts (id) on delete cascade
) strict, without rowid;

create index contact_aliases_of_contact on contact_aliases (contact_id);

create table contact_identities (
  provider text not null,
  provider_id text not null,
  contact_id integer not null references contacts (id),
  seen_at integer not null default 0,
  gone_at integer,
  primary key (provider, provider_id)
) strict, without rowid;

create index contact_identities_of_contact on contact_identities (contact_id);

create table erasures (
  hash text primary key, contact_id integer not null references contacts (id), erased_at integer not null
) strict, without rowid;

create table contacts_to_index (contact_id integer primary key) strict;

create table contacts_to_score (contact_id integer primary key) strict;

create table lists (
  id integer primary key autoincrement,
  provider text not null,
  provider_id text not null,
  name text not null,
  created_at integer not null,
  unique (provider, provider_id)
) strict;

create table subscriptions (
  id integer primary key autoincrement,
  list_id integer not null references lists (id),
  contact_id integer not null references contacts (id),
  status text not null,
  provider_status text not null default '',
  source text not null default '',
  subscribed_at integer,
  unsubscribed_at integer,
  seen_at integer not null default 0,
  unique (list_id, contact_id)
) strict;

create index subscriptions_of_contact on subscriptions (contact_id);

create table subscription_changes (
  id integer primary key autoincrement,
  list_id integer not null references lists (id),
  contact_id integer not null references contacts (id),
  changed_at integer not null,
  exact integer not null default 1 check (exact in (0, 1)),
  status text not null,
  unique (list_id, contact_id, changed_at, status)
) strict;

create index subscription_changes_of_contact on subscription_changes (contact_id, changed_at);

create table tags (
  id integer primary key autoincrement,
  name text not null unique collate nocase check (length(name) between 1 and 80),
  description text not null default '',
  provider text,
  provider_id text,
  created_at integer not null,
  unique (provider, provider_id)
) strict;

create table contact_tags (
  contact_id integer not null references contacts (id),
  tag_id integer not null references tags (id) on delete cascade,
  origin text not null,
  added_at integer not null,
  primary key (contact_id, tag_id, origin)
) strict, without rowid;

create index contact_tags_of_tag on contact_tags (tag_id, contact_id);

create table segments (
  id integer primary key autoincrement,
  name text not null unique collate nocase check (length(name) between 1 and 80),
  query text not null,
  created_at integer not null,
  created_by integer references accounts (id)
) strict;

create table contact_words (
  contact_id integer not null references contacts (id),
  reason text not null,
  done_at integer not null,
  done_by integer references accounts (id),
  primary key (contact_id, reason)
) strict, without rowid;

create table mailings (
  id integer primary key autoincrement,
  provider text not null,
  provider_id text not null,
  list_id integer references lists (id),
  name text not null default '',
  status text not null default '',
  sent_at integer,
  url text not null default '',
  seen_at integer not null default 0,
  created_at integer not null,
  unique (provider, provider_id)
) strict;

create index mailings_by_time on mailings (sent_at);

create table mailing_reports (
  mailing_id integer primary key references mailings (id) on delete cascade,
  recipients integer,
  deliveries integer,
  opens integer,
  clicks integer,
  temporary_failures integer,
  permanent_failures integer,
  unsubscriptions integer,
  complaints integer,
  replies integer,
  checked_at integer not null
) strict;

create table links (id integer primary key autoincrement, url text not null unique) strict;

create table engagements (
  id integer primary key autoincrement,
  contact_id integer not null references contacts (id),
  mailing_id integer references mailings (id),
  kind integer not null check (kind between 1 and 11),
  happened_at integer not null,
  exact integer not null check (exact in (0, 1)),
  provider text not null,
  provider_id text,
  link_id integer references links (id),
  address text,
  user_agent_id integer references user_agents (id),
  os text,
  browser text,
  country text,
  metadata text,
  verdict integer not null check (verdict between 0 and 3),
  reasons integer not null default 0
) strict;

create unique index engagements_told_once on engagements (provider, provider_id) where provider_id is not null;

create index engagements_without_id on engagements (contact_id, kind) where provider_id is null;

create index engagements_of_contact on engagements (contact_id, mailing_id, happened_at);

create index engagements_of_mailing on engagements (mailing_id, kind, happened_at);

create index engagements_by_kind on engagements (kind, happened_at);

create index engagements_of_link on engagements (link_id) where link_id is not null;

create table receptions (
  contact_id integer not null,
  mailing_id integer not null,
  sent_at integer,
  delivered_at integer,${engagementCounts},
  bounced integer not null default 0,
  complained integer not null default 0,
  unsubscribed integer not null default 0,
  first_opened_at integer,
  first_clicked_at integer,
  last_active_at integer,
  machine_last_active_at integer,
  primary key (contact_id, mailing_id)
) strict, without rowid;

create index receptions_of_mailing on receptions (mailing_id, contact_id);

create table mailing_counts (
  mailing_id integer primary key,${engagementCounts},
  people_sent integer not null default 0,
  people_delivered integer not null default 0,
  people_opened integer not null default 0,
  people_clicked integer not null default 0,
  all_people_opened integer not null default 0,
  all_people_clicked integer not null default 0,
  unjudged_people_opened integer not null default 0,
  unjudged_people_clicked integer not null default 0,
  people_replied integer not null default 0,
  people_bounced integer not null default 0,
  people_complained integer not null default 0,
  people_unsubscribed integer not null default 0,
  last_at integer
) strict;

create table engagement_hours (
  list_id integer not null,
  hour_at integer not null,${engagementCounts},
  primary key (list_id, hour_at)
) strict, without rowid;

create table engagement_days (
  list_id integer not null,
  day_on text not null,${engagementCounts},
  primary key (list_id, day_on)
) strict, without rowid;

create table contact_days (
  contact_id integer not null,
  day_on text not null,${engagementCounts},
  primary key (contact_id, day_on)
) strict, without rowid;

create index contact_days_by_day on contact_days (day_on, contact_id);

create table active_days (
  day_on text primary key, people integer not null default 0, all_people integer not null default 0
) strict, without rowid;

create table tag_counts (
  tag_id integer primary key,
  contacts integer not null default 0,
  scored integer not null default 0,
  score_sum real not null default 0,${engagementCounts}
) strict;

create table inbox (
  id integer primary key autoincrement,
  provider text not null,
  key text not null,
  event_type text not null,
  received_at integer not null,
  body blob,
  contact_id integer references contacts (id),
  state text not null check (state in ('waiting', 'done', 'kept', 'failed')),
  tries integer not null default 0,
  try_at integer,
  reason text,
  settled_at integer,
  unique (provider, key)
) strict;

create index inbox_to_do on inbox (provider, try_at) where state = 'waiting';

create index inbox_failed on inbox (provider, received_at) where state = 'failed';

create index inbox_by_arrival on inbox (provider, received_at);

create index inbox_of_contact on inbox (contact_id) where contact_id is not null;

create index inbox_of_nobody on inbox (id) where contact_id is null;

create table sync_runs (
  id integer primary key autoincrement,
  provider text not null,
  kind text not null,
  state text not null check (state in ('waiting', 'running', 'done', 'failed', 'cancelled')),
  asked_by text not null default '',
  started_at integer not null,
  seen_at integer not null,
  ended_at integer,
  checkpoint text not null default '{}',
  progress text not null default '{}',
  changes text not null default '{}',
  error text
) strict;

create index sync_runs_by_time on sync_runs (provider, started_at);

create table sync_failures (
  id integer primary key autoincrement,
  run_id integer not null references sync_runs (id) on delete cascade,
  provider text not null,
  what text not null,
  why text not null,
  failed_at integer not null,
  settled_at integer
) strict;

create index sync_failures_of_run on sync_failures (run_id, settled_at);

create index sync_failures_by_what on sync_failures (provider, what);

create index sync_failures_open on sync_failures (provider) where settled_at is null;

drop table contact_search;

create virtual table contact_search using fts5 (
  words, content='', contentless_delete=1, detail=none, tokenize='trigram'
);

delete from settings where name = 'contact_search_up_to'`
