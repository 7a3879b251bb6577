import { adder } from '../database/adder.js'
import type { Db } from '../database/open.js'
import type { EventCounts, PeopleCounts, Row } from '../database/schema.js'
import { type Calendar, hourLength } from '../web/calendar.js'
import { type CountedEvent, type Journey, shapeOf } from './journeys.js'
import { countOf, kindOf } from './kinds.js'
import { counts } from './verdict.js'

export const eventColumns = [
  'email_clicks',
  'landing_clicks',
  'conversions',
  'machine_email_clicks',
  'machine_landing_clicks',
  'machine_conversions',
] as const satisfies (keyof EventCounts)[]

const peopleColumns = [
  'people_email_clicks',
  'people_landing_clicks',
  'people_conversions',
  'all_people_email_clicks',
  'all_people_landing_clicks',
  'all_people_conversions',
] as const satisfies (keyof PeopleCounts)[]

const noEvents: EventCounts = {
  email_clicks: 0,
  landing_clicks: 0,
  conversions: 0,
  machine_email_clicks: 0,
  machine_landing_clicks: 0,
  machine_conversions: 0,
}
const nobody: PeopleCounts = {
  people_email_clicks: 0,
  people_landing_clicks: 0,
  people_conversions: 0,
  all_people_email_clicks: 0,
  all_people_landing_clicks: 0,
  all_people_conversions: 0,
}

/**
 * Gathers what the facts of one transaction change in the counts, and writes it in one row for each count: a burst of
 * events on one campaign costs its counts one update, not one each.
 */
export class CountChanges {
  readonly #calendar: Calendar
  readonly #write: ReturnType<typeof writers>
  #campaigns = new Map<number, Row<'campaign_counts'>>()
  #domains = new Map<string, Row<'domain_counts'>>()
  #hours = new Map<string, Row<'campaign_hours'>>()
  #days = new Map<string, Row<'campaign_days'>>()
  #journeys = new Map<string, Row<'journey_counts'>>()

  constructor(db: Db, calendar: Calendar) {
    this.#calendar = calendar
    this.#write = writers(db)
  }

  clear() {
    for (const changes of [this.#campaigns, this.#domains, this.#hours, this.#days, this.#journeys])
      changes.clear()
  }

  /** One event more (1), or one less (-1) of the verdict it had. */
  event(event: CountedEvent, by: 1 | -1) {
    const { campaign_id, domain_id, happened_at } = event
    const plain = countOf[kindOf(event.kind)]
    const column = counts(event.verdict) ? plain : (`machine_${plain}` as const)

    const campaign = this.#campaign(campaign_id)
    campaign[column] += by
    campaign.last_at = Math.max(campaign.last_at ?? happened_at, happened_at)

    const domain = entry(this.#domains, `${campaign_id} ${domain_id}`, () => ({
      campaign_id,
      domain_id,
      ...noEvents,
      first_at: happened_at,
      last_at: happened_at,
    }))
    domain[column] += by
    domain.first_at = Math.min(domain.first_at!, happened_at)
    domain.last_at = Math.max(domain.last_at!, happened_at)

    const hour_at = Math.floor(happened_at / hourLength) * hourLength
    entry(this.#hours, `${campaign_id} ${hour_at}`, () => ({ campaign_id, hour_at, ...noEvents }))[column] +=
      by

    const day_on = this.#calendar.dayOf(happened_at)
    entry(this.#days, `${campaign_id} ${day_on}`, () => ({ campaign_id, day_on, ...noEvents }))[column] += by
  }

  /** One person's journeys in one campaign, before and after: what that makes of unique people and of shapes. */
  person(campaign_id: number, before: Journey[], after: Journey[]) {
    const campaign = this.#campaign(campaign_id)
    for (const [by, journeys] of [
      [-1, before],
      [1, after],
    ] as const) {
      let counted = 0
      let all = 0
      for (const journey of journeys) {
        campaign.orphans += by * journey.orphans
        for (const machines of [0, 1] as const) {
          const shape = shapeOf(journey, { machines: machines === 1 })
          if (machines) all |= shape
          else counted |= shape
          if (shape > 0) this.#shape({ campaign_id, domain_id: journey.domain_id, machines, shape }, by)
        }
      }
      campaign.people_email_clicks += by * (counted & 1)
      campaign.people_landing_clicks += by * ((counted >> 1) & 1)
      campaign.people_conversions += by * ((counted >> 2) & 1)
      campaign.all_people_email_clicks += by * (all & 1)
      campaign.all_people_landing_clicks += by * ((all >> 1) & 1)
      campaign.all_people_conversions += by * ((all >> 2) & 1)
    }
  }

  /** Adds all that was gathered to the tables. */
  async write(tx: Db) {
    await this.#write.campaigns(tx, this.#campaigns.values())
    await this.#write.domains(tx, this.#domains.values())
    await this.#write.hours(tx, this.#hours.values())
    await this.#write.days(tx, this.#days.values())
    await this.#write.journeys(
      tx,
      [...this.#journeys.values()].filter((row) => row.journeys !== 0),
    )
    this.clear()
  }

  #campaign(campaign_id: number) {
    return entry(this.#campaigns, campaign_id, () => ({
      campaign_id,
      ...noEvents,
      ...nobody,
      orphans: 0,
      last_at: null as number | null,
    }))
  }
  #shape(key: Omit<Row<'journey_counts'>, 'journeys'>, by: number) {
    const name = `${key.campaign_id} ${key.domain_id} ${key.machines} ${key.shape}`
    entry(this.#journeys, name, () => ({ ...key, journeys: 0 })).journeys += by
  }
}

function entry<Key, Value>(changes: Map<Key, Value>, key: Key, make: () => Value): Value {
  let value = changes.get(key)
  if (value === undefined) {
    value = make()
    changes.set(key, value)
  }
  return value
}

function writers(db: Db) {
  return {
    campaigns: adder(db, 'campaign_counts', ['campaign_id'], {
      sums: [...eventColumns, ...peopleColumns, 'orphans'],
      latest: ['last_at'],
    }),
    domains: adder(db, 'domain_counts', ['campaign_id', 'domain_id'], {
      sums: eventColumns,
      earliest: ['first_at'],
      latest: ['last_at'],
    }),
    hours: adder(db, 'campaign_hours', ['campaign_id', 'hour_at'], { sums: eventColumns }),
    days: adder(db, 'campaign_days', ['campaign_id', 'day_on'], { sums: eventColumns }),
    journeys: adder(db, 'journey_counts', ['campaign_id', 'domain_id', 'machines', 'shape'], {
      sums: ['journeys'],
    }),
  }
}
