import type { Row } from '../database/schema.js'
import { countOf, kindOf } from './kinds.js'
import { counts } from './verdict.js'

export type Journey = Row<'journeys'>

/** What a count needs to know of an event. */
export type CountedEvent = Pick<
  Row<'events'>,
  'id' | 'campaign_id' | 'contact_id' | 'domain_id' | 'kind' | 'happened_at' | 'verdict'
>

/**
 * One person's journeys in one campaign, from all of that person's events there.
 * @param events in order of their ids
 * @param sealed what removed events of the person, all before these, had come to
 */
export function journeysOf(events: CountedEvent[], sealed: Journey[] = []): Journey[] {
  let journeys = sealed
  for (const event of events) journeys = withEvent(journeys, event)
  return journeys
}

/**
 * The journeys of one person in one campaign after one more event, which is later than all before it. A conversion
 * that no click of the person precedes in this campaign, on whatever domain, is an orphan.
 */
export function withEvent(journeys: Journey[], event: CountedEvent): Journey[] {
  const before = journeys.find((journey) => journey.domain_id === event.domain_id)
  const after = { ...(before ?? empty(event)) }
  const kind = kindOf(event.kind)
  if (counts(event.verdict)) {
    after[countOf[kind]]++
    const first = `first_${kind}_at` as const
    after[first] = Math.min(after[first] ?? event.happened_at, event.happened_at)
    after.last_at = Math.max(after.last_at ?? event.happened_at, event.happened_at)
    const clicked = journeys.some((journey) => journey.email_clicks + journey.landing_clicks > 0)
    if (kind === 'conversion' && !clicked) after.orphans++
  } else {
    after[`machine_${countOf[kind]}`]++
    after.machine_last_at = Math.max(after.machine_last_at ?? event.happened_at, event.happened_at)
  }
  return before ? journeys.map((journey) => (journey === before ? after : journey)) : [...journeys, after]
}

function empty(event: CountedEvent): Journey {
  return {
    id: event.id,
    campaign_id: event.campaign_id,
    contact_id: event.contact_id,
    domain_id: event.domain_id,
    email_clicks: 0,
    landing_clicks: 0,
    conversions: 0,
    machine_email_clicks: 0,
    machine_landing_clicks: 0,
    machine_conversions: 0,
    orphans: 0,
    first_email_click_at: null,
    first_landing_click_at: null,
    first_conversion_at: null,
    last_at: null,
    machine_last_at: null,
  }
}

/** How far a journey came: bit 1 clicked, 2 landed, 4 converted; 0 when only machines were seen. */
export function shapeOf(journey: Journey, { machines }: { machines: boolean }) {
  const seen = (column: 'email_clicks' | 'landing_clicks' | 'conversions') =>
    journey[column] + (machines ? journey[`machine_${column}`] : 0) > 0
  return Number(seen('email_clicks')) + 2 * Number(seen('landing_clicks')) + 4 * Number(seen('conversions'))
}
