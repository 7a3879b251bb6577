import { sql } from 'kysely'
import type { Db } from '../database/open.js'
import type { Calendar } from '../web/calendar.js'
import { countColumns } from './metrics.js'

const names = countColumns.join(', ')
/** The four counts as sums over impressions and clicks together, and over what removed ones had come to. */
const sums = countColumns.map((name) => `sum(${name}) as ${name}`).join(', ')
const facts = `(
  select offer_id, variation_id, send_id, null as device, happened_at, placements as impressions, 0 as clicks,
    0 as repeated_clicks, 0 as machine_clicks, happened_at as last_impression_at, null as last_click_at
  from promo_impressions
  union all
  select offer_id, variation_id, send_id, device, happened_at, 0, verdict < 2 and not repeated,
    verdict < 2 and repeated, verdict = 2, null, case when verdict < 2 and not repeated then happened_at end
  from promo_clicks
  union all
  select offer_id, nullif(variation_id, 0), nullif(send_id, 0), nullif(device, ''), quarter_at, impressions, clicks,
    repeated_clicks, machine_clicks, last_impression_at, last_click_at
  from sealed_promo_facts
)`
const latest = 'max(last_impression_at) as last_impression_at, max(last_click_at) as last_click_at'

const statements = [
  'delete from promo_offer_counts',
  'delete from promo_variation_counts',
  'delete from promo_quarters',
  'delete from promo_devices',
  'delete from promo_send_counts',
  `insert into promo_offer_counts (offer_id, ${names}, last_impression_at, last_click_at)
   select offer_id, ${sums}, ${latest} from ${facts} group by offer_id`,
  `insert into promo_variation_counts (variation_id, ${names}, last_impression_at, last_click_at)
   select variation_id, ${sums}, ${latest} from ${facts} where variation_id is not null group by variation_id`,
  `insert into promo_quarters (offer_id, quarter_at, ${names})
   select offer_id, happened_at / 900000 * 900000 as quarter, ${sums} from ${facts} group by offer_id, quarter`,
  `insert into promo_devices (offer_id, device, ${names})
   select offer_id, device, ${sums} from ${facts} where device is not null group by offer_id, device`,
  `insert into promo_send_counts (variation_id, send_id, ${names})
   select variation_id, send_id, ${sums} from ${facts}
   where variation_id is not null and send_id is not null group by variation_id, send_id`,
]

/**
 * Computes all counts of promos anew from their facts and from what removed ones had come to, in one transaction. It
 * knows nothing of how the recorder keeps them, so that each checks the other.
 */
export async function rebuildPromoCounts(db: Db, calendar: Calendar) {
  await db.transaction().execute(async (tx) => {
    for (const statement of statements) await sql.raw(statement).execute(tx)
    await rebuildPromoDays(tx, calendar)
  })
}

/** Sorts the facts into days anew: all it takes when the reporting time zone has changed. */
export async function rebuildPromoDays(tx: Db, calendar: Calendar) {
  type Counted = Record<(typeof countColumns)[number], number>
  const { rows } = await sql<{ offer_id: number; variation: number; slot: number } & Counted>`
    select offer_id, coalesce(variation_id, 0) as variation, happened_at / 900000 as slot, ${sql.raw(sums)}
    from ${sql.raw(facts)} group by offer_id, variation, slot`.execute(tx)
  await tx.deleteFrom('promo_days').execute()
  const days = new Map<string, { offer_id: number; variation_id: number; day_on: string } & Counted>()
  for (const { offer_id, variation, slot, ...counted } of rows) {
    const day_on = calendar.dayOf(slot * 900_000)
    const key = `${offer_id} ${variation} ${day_on}`
    const known = days.get(key)
    if (!known) days.set(key, { offer_id, variation_id: variation, day_on, ...counted })
    else for (const name of countColumns) known[name] += counted[name]
  }
  for (const row of days.values()) await tx.insertInto('promo_days').values(row).execute()
}
