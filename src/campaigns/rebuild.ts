import { sql } from 'kysely'
import type { Db } from '../database/open.js'
import { writeSetting } from '../database/settings.js'
import type { Calendar } from '../web/calendar.js'

export const countsTimeZone = 'counts_time_zone'

const kinds = [
  ['email_clicks', 1],
  ['landing_clicks', 2],
  ['conversions', 3],
] as const

/** The six event counts as sums over events, in the order of the tables. */
const sums = [
  ...kinds.map(([name, kind]) => `sum(kind = ${kind} and verdict < 2) as ${name}`),
  ...kinds.map(([name, kind]) => `sum(kind = ${kind} and verdict = 2) as machine_${name}`),
].join(', ')
const names = [...kinds.map(([name]) => name), ...kinds.map(([name]) => `machine_${name}`)].join(', ')

const shape = (machines: boolean) =>
  kinds
    .map(([name, kind]) => `${2 ** (kind - 1)} * (${name}${machines ? ` + machine_${name}` : ''} > 0)`)
    .join(' + ')

/**
 * Computes all counts of the click tracker anew from its events, and from what removed ones had come to, in one
 * transaction. It knows nothing of how the recorder keeps them, so that each checks the other.
 */
export async function rebuildCounts(db: Db, calendar: Calendar) {
  await db.transaction().execute(async (tx) => {
    for (const statement of statements) await sql.raw(statement).execute(tx)
    await rebuildDays(tx, calendar)
  })
}

const statements = [
  'delete from journeys',
  'delete from campaign_counts',
  'delete from domain_counts',
  'delete from journey_counts',
  'delete from campaign_hours',

  // The first click of each person in each campaign tells which conversions came before any.
  `insert into journeys (id, campaign_id, contact_id, domain_id, ${names}, orphans,
     first_email_click_at, first_landing_click_at, first_conversion_at, last_at, machine_last_at)
   select min(id), campaign_id, contact_id, domain_id, ${sums},
     sum(kind = 3 and verdict < 2 and (first_click is null or id < first_click) and not exists (
       select 1 from sealed_journeys as sealed
       where sealed.contact_id = told.contact_id and sealed.campaign_id = told.campaign_id
         and sealed.email_clicks + sealed.landing_clicks > 0)),
     min(case when kind = 1 and verdict < 2 then happened_at end),
     min(case when kind = 2 and verdict < 2 then happened_at end),
     min(case when kind = 3 and verdict < 2 then happened_at end),
     max(case when verdict < 2 then happened_at end),
     max(case when verdict = 2 then happened_at end)
   from (
     select *, min(case when kind < 3 and verdict < 2 then id end)
       over (partition by campaign_id, contact_id) as first_click
     from events
   ) as told
   group by campaign_id, contact_id, domain_id
   order by 1`,
  `insert into journeys (id, campaign_id, contact_id, domain_id, ${names}, orphans,
     first_email_click_at, first_landing_click_at, first_conversion_at, last_at, machine_last_at)
   select id, campaign_id, contact_id, domain_id, ${names}, orphans,
     first_email_click_at, first_landing_click_at, first_conversion_at, last_at, machine_last_at
   from sealed_journeys where true
   on conflict (campaign_id, contact_id, domain_id) do update set id = excluded.id, ${added('journeys', `${names}, orphans`)},
     ${['first_email_click_at', 'first_landing_click_at', 'first_conversion_at']
       .map((name) => ofBoth('min', 'journeys', name))
       .join(', ')},
     ${['last_at', 'machine_last_at'].map((name) => ofBoth('max', 'journeys', name)).join(', ')}`,

  `insert into domain_counts (campaign_id, domain_id, ${names}, first_at, last_at)
   select campaign_id, domain_id, ${sums}, min(happened_at), max(happened_at)
   from events group by campaign_id, domain_id`,
  `insert into domain_counts (campaign_id, domain_id, ${names}, first_at, last_at)
   select campaign_id, domain_id, ${sumOf(names)}, min(first_at), max(last_at)
   from sealed_events where true group by campaign_id, domain_id
   on conflict (campaign_id, domain_id) do update set ${added('domain_counts', names)},
     ${ofBoth('min', 'domain_counts', 'first_at')}, ${ofBoth('max', 'domain_counts', 'last_at')}`,

  ...[0, 1].map(
    (machines) => `insert into journey_counts (campaign_id, domain_id, machines, shape, journeys)
     select campaign_id, domain_id, ${machines}, ${shape(machines === 1)} as shape, count(*)
     from journeys group by campaign_id, domain_id, shape having shape > 0`,
  ),

  `insert into campaign_hours (campaign_id, hour_at, ${names})
   select campaign_id, happened_at / 3600000 * 3600000 as hour_at, ${sums}
   from events group by campaign_id, hour_at`,
  `insert into campaign_hours (campaign_id, hour_at, ${names})
   select campaign_id, quarter_at / 3600000 * 3600000 as hour_at, ${sumOf(names)}
   from sealed_events where true group by campaign_id, hour_at
   on conflict (campaign_id, hour_at) do update set ${added('campaign_hours', names)}`,

  `insert into campaign_counts (campaign_id, ${names}, orphans, last_at,
     people_email_clicks, people_landing_clicks, people_conversions,
     all_people_email_clicks, all_people_landing_clicks, all_people_conversions)
   select campaign_id, ${sumOf(names)}, sum(orphans), max(last_at),
     sum(email_clicks > 0), sum(landing_clicks > 0), sum(conversions > 0),
     sum(email_clicks + machine_email_clicks > 0), sum(landing_clicks + machine_landing_clicks > 0),
     sum(conversions + machine_conversions > 0)
   from (
     select campaign_id, contact_id, ${names
       .split(', ')
       .map((name) => `sum(${name}) as ${name}`)
       .join(', ')}, sum(orphans) as orphans,
       max(max(coalesce(last_at, machine_last_at)), max(coalesce(machine_last_at, last_at))) as last_at
     from journeys group by campaign_id, contact_id
   )
   group by campaign_id`,
]

function added(table: string, columns: string) {
  return columns
    .split(', ')
    .map((name) => `${name} = ${table}.${name} + excluded.${name}`)
    .join(', ')
}

/** The earlier or later of two instants of which either may be missing. */
function ofBoth(pick: 'min' | 'max', table: string, name: string) {
  return `${name} = ${pick}(coalesce(${table}.${name}, excluded.${name}), coalesce(excluded.${name}, ${table}.${name}))`
}

function sumOf(columns: string) {
  return columns
    .split(', ')
    .map((name) => `sum(${name})`)
    .join(', ')
}

/** Sorts the events into days anew: all it takes when the reporting time zone has changed. */
export async function rebuildDays(tx: Db, calendar: Calendar) {
  const { rows } = await sql<{ campaign_id: number; slot: number }>`
    select campaign_id, happened_at / 900000 as slot, ${sql.raw(sums)} from events group by campaign_id, slot
    union all
    select campaign_id, quarter_at / 900000, ${sql.raw(sumOf(names))} from sealed_events group by 1, 2
  `.execute(tx)
  await tx.deleteFrom('campaign_days').execute()
  const add = names
    .split(', ')
    .map((name) => `${name} = ${name} + excluded.${name}`)
    .join(', ')
  for (const { campaign_id, slot, ...values } of rows) {
    const day = calendar.dayOf(slot * 900_000)
    await sql`insert into campaign_days (campaign_id, day_on, ${sql.raw(names)})
      values (${campaign_id}, ${day}, ${sql.join(Object.values(values))})
      on conflict do update set ${sql.raw(add)}`.execute(tx)
  }
  await writeSetting(tx, countsTimeZone, calendar.timeZone)
}
