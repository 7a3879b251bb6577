import { type Kysely, sql } from 'kysely'

/**
 * Opens and clicks by the quarter of an hour: in zones that are half an hour off, an hour of the day is no hour of UTC.
 *
 * An issue of promos is looked for among all mailings by what its provider calls it, whichever provider that is.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

/** Kinds, verdicts and the reason "unjudged" by the numbers that they had when this was written. */
const [opened, clicked, replied] = [6, 7, 8]
const [machine, proxy] = [2, 3]
const isUnjudged = 'verdict < 2 and reasons & 1024 > 0'

const statements = [
  `create table engagement_quarters (
    list_id integer not null,
    quarter_at integer not null,
    opens integer not null default 0,
    proxy_opens integer not null default 0,
    machine_opens integer not null default 0,
    unjudged_opens integer not null default 0,
    clicks integer not null default 0,
    machine_clicks integer not null default 0,
    unjudged_clicks integer not null default 0,
    replies integer not null default 0,
    primary key (list_id, quarter_at)
  ) strict, without rowid`,
  `insert into engagement_quarters
   select coalesce(list_id, 0), happened_at / 900000 * 900000,
     sum(kind = ${opened} and verdict < 2), sum(kind = ${opened} and verdict = ${proxy}),
     sum(kind = ${opened} and verdict = ${machine}), sum(kind = ${opened} and ${isUnjudged}),
     sum(kind = ${clicked} and verdict < 2), sum(kind = ${clicked} and verdict >= 2),
     sum(kind = ${clicked} and ${isUnjudged}), sum(kind = ${replied})
   from engagements left join mailings on mailings.id = mailing_id
   where kind in (${opened}, ${clicked}, ${replied}) group by 1, 2`,
  'drop table engagement_hours',
  'create index mailings_by_provider_id on mailings (provider_id)',
]
