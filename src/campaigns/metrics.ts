import type { EventCounts, PeopleCounts } from '../database/schema.js'
import { share } from '../web/shares.js'

/** Events, or unique people, at the three steps of a reader's way. */
export interface Steps {
  email_clicks: number
  landing_clicks: number
  conversions: number
}

/** Conversion rate = conversions ÷ email clicks, both as events (or both as people, where people are given). */
export const conversionRate = (steps: Pick<Steps, 'email_clicks' | 'conversions'>) =>
  share(steps.conversions, steps.email_clicks)

/** Landing rate = landing clicks ÷ email clicks. */
export const landingRate = (steps: Steps) => share(steps.landing_clicks, steps.email_clicks)

/** Order rate = conversions ÷ landing clicks. */
export const orderRate = (steps: Steps) => share(steps.conversions, steps.landing_clicks)

/** The events that count; with `machines` those of machines as well. */
export const eventSteps = (row: EventCounts, { machines }: { machines: boolean }): Steps => ({
  email_clicks: row.email_clicks + (machines ? row.machine_email_clicks : 0),
  landing_clicks: row.landing_clicks + (machines ? row.machine_landing_clicks : 0),
  conversions: row.conversions + (machines ? row.machine_conversions : 0),
})

/** The events of machines alone. */
export const machineSteps = (row: EventCounts): Steps => ({
  email_clicks: row.machine_email_clicks,
  landing_clicks: row.machine_landing_clicks,
  conversions: row.machine_conversions,
})

/** Unique people by events that count; with `machines` by all events. */
export const peopleSteps = (row: PeopleCounts, { machines }: { machines: boolean }): Steps => ({
  email_clicks: machines ? row.all_people_email_clicks : row.people_email_clicks,
  landing_clicks: machines ? row.all_people_landing_clicks : row.people_landing_clicks,
  conversions: machines ? row.all_people_conversions : row.people_conversions,
})

export const sumOf = (steps: Steps) => steps.email_clicks + steps.landing_clicks + steps.conversions

export const silentAfter = { events: 20, milliseconds: 6 * 3_600_000, gaps: 20 }

/**
 * Has a domain that used to report gone silent? Yes when it reported 20 events or more, and then nothing for at least
 * 6 hours and 20 times its usual gap.
 * @param events all events it ever reported, machines included
 * @returns the usual gap in milliseconds, (last − first) ÷ (events − 1), of a silent domain; null for any other
 */
export function silence(
  { events, first_at, last_at }: { events: number; first_at: number | null; last_at: number | null },
  now: number,
): number | null {
  if (events < silentAfter.events || first_at === null || last_at === null) return null
  const gap = (last_at - first_at) / (events - 1)
  const quiet = now - last_at
  return quiet >= silentAfter.milliseconds && quiet >= silentAfter.gaps * gap ? gap : null
}
