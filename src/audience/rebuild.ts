import { sql } from 'kysely'
import type { Db } from '../database/open.js'
import type { Calendar } from '../web/calendar.js'
import { engagementNumber } from './engagement-kinds.js'
import { engagementReason } from './engagement-verdict.js'
import { subscriptionStatuses } from './subscriptions.js'

const kind = (name: Parameters<typeof engagementNumber>[0]) => `kind = ${engagementNumber(name)}`
const isUnjudged = `reasons & ${engagementReason.unjudged} > 0`
const deeds = `kind in (${['opened', 'clicked', 'replied'].map((name) => engagementNumber(name as 'opened')).join(', ')})`

/** The eight counts as sums over engagements, in the order of the tables. */
const sums = {
  opens: `sum(${kind('opened')} and verdict < 2)`,
  proxy_opens: `sum(${kind('opened')} and verdict = 3)`,
  machine_opens: `sum(${kind('opened')} and verdict = 2)`,
  unjudged_opens: `sum(${kind('opened')} and verdict < 2 and ${isUnjudged})`,
  clicks: `sum(${kind('clicked')} and verdict < 2)`,
  machine_clicks: `sum(${kind('clicked')} and verdict >= 2)`,
  unjudged_clicks: `sum(${kind('clicked')} and verdict < 2 and ${isUnjudged})`,
  replies: `sum(${kind('replied')})`,
}
const names = Object.keys(sums).join(', ')
const sumsOfEvents = Object.values(sums).join(', ')
const sumsOfSealed = Object.keys(sums)
  .map((name) => `sum(sealed.${name})`)
  .join(', ')
/** What is there already, and what removed engagements had come to beside it. */
const added = (table: string) =>
  `on conflict do update set ${Object.keys(sums)
    .map((name) => `${name} = ${table}.${name} + excluded.${name}`)
    .join(', ')}`
const sumsOfSums = Object.keys(sums)
  .map((name) => `coalesce(sum(${name}), 0)`)
  .join(', ')

/**
 * Computes all counts of the audience anew from the engagements, and from what removed ones had come to, in one transaction. It knows nothing of how the
 * recorder keeps them, so that each checks the other. Scores are computed anew by the next scoring.
 */
export async function rebuildAudienceCounts(db: Db, calendar: Calendar) {
  await db.transaction().execute(async (tx) => {
    for (const statement of statements) await sql.raw(statement).execute(tx)
    await rebuildEngagementDays(tx, calendar)
  })
}

const arrivals = `kind in (${['opened', 'clicked', 'replied', 'complained', 'unsubscribed', 'commented']
  .map((name) => engagementNumber(name as 'opened'))
  .join(', ')})`

/** The earlier, or the later, of two instants of which either may be missing. */
const withSealed = (pick: 'min' | 'max', name: string) =>
  `${pick}(coalesce(told.${name}, sealed.${name}), coalesce(sealed.${name}, told.${name}))`
const cameAt = `coalesce(${withSealed('min', 'delivered_at')}, ${withSealed('min', 'arrived_at')})`
const bounced = `(${cameAt} is null and told.returned)`
const rank = `case status ${subscriptionStatuses.map((status, place) => `when '${status}' then ${place}`).join(' ')} end`

const statements = [
  'delete from receptions',
  'delete from mailing_counts',
  'delete from engagement_quarters',

  `insert into receptions (contact_id, mailing_id, sent_at, delivered_at, ${names}, bounced, complained, unsubscribed,
     first_opened_at, first_clicked_at, last_active_at, machine_last_active_at)
   select told.contact_id, told.mailing_id, ${withSealed('min', 'sent_at')},
     case when ${bounced} then null else coalesce(${cameAt}, ${withSealed('min', 'sent_at')}) end,
     ${Object.keys(sums)
       .map((name) => `told.${name} + coalesce(sealed.${name}, 0)`)
       .join(', ')},
     ${bounced}, told.complained, told.unsubscribed,
     ${withSealed('min', 'first_opened_at')}, ${withSealed('min', 'first_clicked_at')},
     ${withSealed('max', 'last_active_at')}, ${withSealed('max', 'machine_last_active_at')}
   from (
     select contact_id, coalesce(mailing_id, 0) as mailing_id,
       min(case when ${kind('sent')} then happened_at end) as sent_at,
       min(case when ${kind('delivered')} then happened_at end) as delivered_at,
       min(case when ${arrivals} then happened_at end) as arrived_at,
       ${Object.entries(sums)
         .map(([name, sum]) => `${sum} as ${name}`)
         .join(', ')},
       max(${kind('bounced')} or ${kind('rejected')}) as returned,
       max(${kind('complained')}) as complained, max(${kind('unsubscribed')}) as unsubscribed,
       min(case when ${kind('opened')} and verdict < 2 then happened_at end) as first_opened_at,
       min(case when ${kind('clicked')} and verdict < 2 then happened_at end) as first_clicked_at,
       max(case when ${deeds} and verdict < 2 then happened_at end) as last_active_at,
       max(case when ${deeds} and verdict >= 2 then happened_at end) as machine_last_active_at
     from engagements group by contact_id, coalesce(mailing_id, 0)
   ) as told left join sealed_receptions as sealed
     on sealed.contact_id = told.contact_id and sealed.mailing_id = told.mailing_id`,

  `insert into receptions (contact_id, mailing_id, sent_at, delivered_at, ${names}, first_opened_at, first_clicked_at,
     last_active_at, machine_last_active_at)
   select contact_id, mailing_id, sent_at, coalesce(delivered_at, arrived_at, sent_at), ${names},
     first_opened_at, first_clicked_at, last_active_at, machine_last_active_at
   from sealed_receptions as sealed where not exists (
     select 1 from engagements
     where engagements.contact_id = sealed.contact_id and engagements.mailing_id = sealed.mailing_id)`,

  `insert into mailing_counts (mailing_id, ${names}, people_sent, people_delivered, people_opened, people_clicked,
     all_people_opened, all_people_clicked, unjudged_people_opened, unjudged_people_clicked, people_replied,
     people_bounced, people_complained, people_unsubscribed, last_at)
   select mailing_id, ${sumsOfSums},
     sum(sent_at is not null or delivered_at is not null or bounced), sum(delivered_at is not null),
     sum(opens > 0), sum(clicks > 0), sum(opens + proxy_opens + machine_opens > 0), sum(clicks + machine_clicks > 0),
     sum(opens > 0 and opens = unjudged_opens), sum(clicks > 0 and clicks = unjudged_clicks), sum(replies > 0),
     sum(bounced), sum(complained), sum(unsubscribed),
     nullif(max(
       coalesce((select max(happened_at) from engagements
         where engagements.mailing_id = receptions.mailing_id and ${deeds}), 0),
       coalesce((select last_at from sealed_mailings where sealed_mailings.mailing_id = receptions.mailing_id), 0)), 0)
   from receptions where mailing_id > 0 group by mailing_id`,

  // What other rooms add to the last activity comes back with the next scoring.
  'insert or ignore into contacts_to_score (contact_id) select id from contacts where last_active_at is not null',

  `update contacts set (mailings, ${names}, last_active_at, machine_last_active_at) = (
     select coalesce(sum(mailing_id > 0 and delivered_at is not null), 0), ${sumsOfSums},
       max(last_active_at), max(machine_last_active_at)
     from receptions where contact_id = contacts.id)`,

  'insert or ignore into contacts_to_score (contact_id) select distinct contact_id from receptions',

  `insert into engagement_quarters (list_id, quarter_at, ${names})
   select coalesce(list_id, 0), happened_at / 900000 * 900000 as quarter_at, ${sumsOfEvents}
   from engagements left join mailings on mailings.id = mailing_id
   where ${deeds} group by 1, 2`,
  `insert into engagement_quarters (list_id, quarter_at, ${names})
   select coalesce(list_id, 0), quarter_at, ${sumsOfSealed}
   from sealed_mailing_quarters as sealed left join mailings on mailings.id = mailing_id
   where true group by 1, 2 ${added('engagement_quarters')}`,

  'delete from tag_counts',
  `insert into tag_counts (tag_id, contacts, scored, score_sum, ${names})
   select tag_id, count(*), count(score), coalesce(sum(score), 0), ${sumsOfSums}
   from (select distinct tag_id, contact_id from contact_tags) join contacts on contacts.id = contact_id
   group by tag_id`,

  // What all subscriptions of each contact come to.
  `update contacts set
     status = (select status from subscriptions where contact_id = contacts.id order by ${rank} limit 1),
     subscribed_at = (select min(subscribed_at) from subscriptions where contact_id = contacts.id)
   where erased_at is null and id in (select contact_id from subscriptions)`,
]

/** Sorts the engagements into days anew: all it takes when the reporting time zone has changed. */
export async function rebuildEngagementDays(tx: Db, calendar: Calendar) {
  await sql`create temporary table days_of_slots (slot integer primary key, day_on text not null)`.execute(tx)
  const { rows } = await sql<{ slot: number }>`
    select distinct happened_at / 900000 as slot from engagements where ${sql.raw(deeds)}
    union select quarter_at / 900000 from sealed_contact_quarters
    union select quarter_at / 900000 from sealed_mailing_quarters`.execute(tx)
  for (let from = 0; from < rows.length; from += slotsAtOnce) {
    const days = rows
      .slice(from, from + slotsAtOnce)
      .map(({ slot }) => sql`(${slot}, ${calendar.dayOf(slot * 900_000)})`)
    await sql`insert into days_of_slots (slot, day_on) values ${sql.join(days)}`.execute(tx)
  }
  for (const statement of dayStatements) await sql.raw(statement).execute(tx)
}
const slotsAtOnce = 500

/** The day of an engagement, looked up for each: a join might go the other way round, and read the table by days. */
const dayOf = '(select day_on from days_of_slots where slot = happened_at / 900000)'
const dayOfSealed = '(select day_on from days_of_slots where slot = quarter_at / 900000)'
const dayStatements = [
  'delete from engagement_days',
  `insert into engagement_days (list_id, day_on, ${names})
   select coalesce(list_id, 0), ${dayOf}, ${sumsOfEvents}
   from engagements left join mailings on mailings.id = mailing_id
   where ${deeds} group by 1, 2`,
  `insert into engagement_days (list_id, day_on, ${names})
   select coalesce(list_id, 0), ${dayOfSealed}, ${sumsOfSealed}
   from sealed_mailing_quarters as sealed left join mailings on mailings.id = mailing_id
   where true group by 1, 2 ${added('engagement_days')}`,

  'delete from contact_days',
  `insert into contact_days (contact_id, day_on, ${names})
   select contact_id, ${dayOf}, ${sumsOfEvents} from engagements where ${deeds} group by 1, 2`,
  `insert into contact_days (contact_id, day_on, ${names})
   select contact_id, ${dayOfSealed}, ${sumsOfSealed}
   from sealed_contact_quarters as sealed where true group by 1, 2 ${added('contact_days')}`,

  // Grouped by the column itself, SQLite would walk through an index by day and look up each row.
  'delete from active_days',
  `insert into active_days (day_on, people, all_people)
   select day_on, sum(opens + clicks + replies > 0), count(*) from contact_days group by +day_on`,

  'drop table days_of_slots',
]
