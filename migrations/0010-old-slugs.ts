import { type Kysely, sql } from 'kysely'

/**
 * Slugs that offers had, so that links already sent lead on; when the texts of an offer began to take turns; and hours of
 * promos as quarters, since there are zones whose hours begin at half or at a quarter past.
 */
export async function up(db: Kysely<unknown>) {
  for (const statement of statements.split(';\n\n')) await sql.raw(statement).execute(db)
}

const statements = `
create table promo_old_slugs (
  slug text primary key,
  offer_id integer not null references promo_offers (id)
) strict, without rowid;

create index promo_old_slugs_of_offer on promo_old_slugs (offer_id);

alter table promo_offers add column rotation_from integer not null default 0;

update promo_offers set rotation_from = (select coalesce(max(chosen_at) + 1, 0) from promo_choices);

create table promo_quarters (
  offer_id integer not null,
  quarter_at integer not null,
  impressions integer not null default 0,
  clicks integer not null default 0,
  repeated_clicks integer not null default 0,
  machine_clicks integer not null default 0,
  primary key (offer_id, quarter_at)
) strict, without rowid;

insert into promo_quarters (offer_id, quarter_at, impressions, clicks, repeated_clicks, machine_clicks)
select offer_id, happened_at / 900000 * 900000 as quarter, sum(placements),
  sum(clicked and verdict < 2 and not repeated), sum(clicked and verdict < 2 and repeated),
  sum(clicked and verdict = 2)
from (
  select offer_id, happened_at, placements, 0 as clicked, 0 as verdict, 0 as repeated from promo_impressions
  union all
  select offer_id, happened_at, 0, 1, verdict, repeated from promo_clicks
)
group by offer_id, quarter;

drop table promo_hours`
