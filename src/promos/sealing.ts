import { sql } from 'kysely'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import { quarterLength } from '../web/calendar.js'
import { countColumns } from './metrics.js'

/** What each row of a table of facts adds to the four counts, and when it was last shown or clicked. */
const adds = {
  promo_impressions: `select offer_id, variation_id, send_id, null as device, happened_at, placements as impressions,
    0 as clicks, 0 as repeated_clicks, 0 as machine_clicks, happened_at as last_impression_at, null as last_click_at`,
  promo_clicks: `select offer_id, variation_id, send_id, device, happened_at, 0 as impressions,
    verdict < 2 and not repeated as clicks, verdict < 2 and repeated as repeated_clicks, verdict = 2 as machine_clicks,
    null as last_impression_at, case when verdict < 2 and not repeated then happened_at end as last_click_at`,
} as const
export type SealedPromoFacts = keyof typeof adds

/** The later of two instants of which either may be missing. */
const laterOf = (name: string) =>
  `${name} = max(coalesce(sealed_promo_facts.${name}, excluded.${name}), coalesce(excluded.${name}, sealed_promo_facts.${name}))`

/**
 * Removes facts of promos and keeps what they come to by offer, text, issue, device and quarter of an hour: all that any
 * count of promos can be computed from, in whatever time zone. No count changes. Facts that are gone already add nothing.
 */
export async function sealPromoFacts(tx: Db, from: SealedPromoFacts, ids: number[]) {
  const among = isAmong(sql.ref<number>('id'), ids)
  await sql`
    insert into sealed_promo_facts (offer_id, variation_id, send_id, device, quarter_at, ${sql.raw(countColumns.join(', '))},
      last_impression_at, last_click_at)
    select offer_id, coalesce(variation_id, 0) as variation, coalesce(send_id, 0) as send, coalesce(device, '') as kind,
      happened_at / ${sql.lit(quarterLength)} * ${sql.lit(quarterLength)} as quarter,
      ${sql.raw(countColumns.map((name) => `sum(${name})`).join(', '))}, max(last_impression_at), max(last_click_at)
    from (${sql.raw(adds[from])} from ${sql.table(from)} where ${among})
    where true
    group by offer_id, variation, send, kind, quarter
    on conflict do update set
      ${sql.raw(countColumns.map((name) => `${name} = sealed_promo_facts.${name} + excluded.${name}`).join(', '))},
      ${sql.raw(laterOf('last_impression_at'))}, ${sql.raw(laterOf('last_click_at'))}`.execute(tx)
  await tx.deleteFrom(from).where(among).execute()
}
