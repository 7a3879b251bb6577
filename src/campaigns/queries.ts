import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { NotFound } from '../web/errors.js'
import { eventSteps, sumOf } from './metrics.js'

/**
 * @param id a number, or what an address says in its place
 * @throws NotFound for an id that is none, was never given, or whose campaign was deleted
 */
export async function getCampaign(db: Db, id: number | string): Promise<Row<'campaigns'>> {
  const found = /^[1-9]\d{0,14}$/.test(String(id))
    ? await db
        .selectFrom('campaigns')
        .selectAll()
        .where('id', '=', Number(id))
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
    : undefined
  if (found) return found
  throw new NotFound(
    `There is no campaign ${String(id).slice(0, 40)}. It may have been deleted, or a digit went astray on the way.`,
  )
}

/** Every offer URL the campaign ever had, the present one first. */
export function listOffers(db: Db, id: number) {
  return db
    .selectFrom('campaign_offers')
    .select(['since_at', 'offer_url'])
    .where('campaign_id', '=', id)
    .orderBy('since_at', 'desc')
    .execute()
}

/**
 * What deleting a campaign would take away. People are counted by a scan: hand in the readers.
 * @returns people: distinct contacts with any event, machines' included; days: those with an event
 */
export async function lossOf(db: Db, readers: Db, id: number) {
  const counts = await db
    .selectFrom('campaign_counts')
    .selectAll()
    .where('campaign_id', '=', id)
    .executeTakeFirst()
  const { days } = await db
    .selectFrom('campaign_days')
    .where('campaign_id', '=', id)
    .select(({ fn }) => fn.countAll<number>().as('days'))
    .executeTakeFirstOrThrow()
  const { people } = await readers
    .selectFrom('journeys')
    .where('campaign_id', '=', id)
    .select(({ fn }) => fn.count<number>('contact_id').distinct().as('people'))
    .executeTakeFirstOrThrow()
  const events = counts ? sumOf(eventSteps(counts, { machines: true })) : 0
  return { events, people, days, conversions: counts?.conversions ?? 0 }
}
