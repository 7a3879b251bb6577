import { sql } from 'kysely'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Row } from '../database/schema.js'
import { quarterLength } from '../web/calendar.js'
import { eventColumns } from './counts.js'
import { type CountedEvent, type Journey, journeysOf } from './journeys.js'
import { kindNumber } from './kinds.js'
import { counts } from './verdict.js'

/** What the removed events of one person, in one campaign and from one sending domain, had come to. */
export type SealedJourney = Row<'sealed_journeys'>

/** Who did it, and where. */
type Person = { campaign_id: number; contact_id: number }

/**
 * Removes events and keeps what they come to: by person, campaign and sending domain, and by campaign, domain and quarter
 * of an hour. No count changes. Events that are gone already add nothing.
 * @param ids of one person's events in a campaign, all that have smaller ids than the last of these
 */
export async function sealEvents(tx: Db, ids: number[]) {
  const events: CountedEvent[] = await tx
    .selectFrom('events')
    .select(['id', 'campaign_id', 'contact_id', 'domain_id', 'kind', 'happened_at', 'verdict'])
    .where(({ ref }) => isAmong(ref('id'), ids))
    .orderBy('id')
    .execute()
  const people = new Map<string, CountedEvent[]>()
  for (const event of events) {
    const key = `${event.campaign_id} ${event.contact_id}`
    const ofPerson = people.get(key)
    if (ofPerson) ofPerson.push(event)
    else people.set(key, [event])
  }
  for (const ofPerson of people.values()) {
    const sealed = await sealedJourneysOf(tx, ofPerson[0]!)
    for (const journey of sealedWith(sealed, ofPerson)) await put(tx, journey)
  }
  await sealQuarters(tx, ids)
  await sealPlaces(tx, ids)
  await tx
    .deleteFrom('events')
    .where(({ ref }) => isAmong(ref('id'), ids))
    .execute()
}

/** From where the journeys of a person in a campaign go on: those that have no event left beside those that have. */
export const sealedJourneysOf = (
  db: Db | Readers,
  { campaign_id, contact_id }: Person,
): Promise<SealedJourney[]> =>
  db
    .selectFrom('sealed_journeys')
    .selectAll()
    .where('contact_id', '=', contact_id)
    .where('campaign_id', '=', campaign_id)
    .execute()

/** @param events of the same person and campaign, in the order of their ids, after all that are sealed */
function sealedWith(sealed: SealedJourney[], events: CountedEvent[]): SealedJourney[] {
  return journeysOf(events, sealed.map(asJourney)).map((journey) => {
    const before = sealed.find(({ domain_id }) => domain_id === journey.domain_id)
    const last = (kind: number, isCounted: boolean, known: number | null | undefined) =>
      events
        .filter((event) => event.domain_id === journey.domain_id && event.kind === kind)
        .filter(({ verdict }) => counts(verdict) === isCounted)
        .reduce<number | null>(
          (latest, { happened_at }) => Math.max(latest ?? happened_at, happened_at),
          known ?? null,
        )
    const [landing, conversion] = [kindNumber('landing_click'), kindNumber('conversion')]
    return {
      ...journey,
      last_landing_click_at: last(landing, true, before?.last_landing_click_at),
      last_conversion_at: last(conversion, true, before?.last_conversion_at),
      machine_last_conversion_at: last(conversion, false, before?.machine_last_conversion_at),
    }
  })
}

/** A sealed journey as journeys are: what more it knows is left out. */
export function asJourney(sealed: SealedJourney): Journey {
  const {
    last_landing_click_at: _landing,
    last_conversion_at: _conversion,
    machine_last_conversion_at: _machine,
    ...journey
  } = sealed
  return journey
}

/**
 * Two contacts are one person. A conversion that no click preceded when it was sealed goes on counting as one: in what
 * order the two did what they did, nobody knows any more.
 */
export async function mergeSealedJourneys(tx: Db, from: number, into: number) {
  const rows = await tx.selectFrom('sealed_journeys').selectAll().where('contact_id', '=', from).execute()
  for (const row of rows) {
    const other = (await sealedJourneysOf(tx, { campaign_id: row.campaign_id, contact_id: into })).find(
      ({ domain_id }) => domain_id === row.domain_id,
    )
    await put(tx, other ? together(row, other) : { ...row, contact_id: into })
  }
  await tx.deleteFrom('sealed_journeys').where('contact_id', '=', from).execute()
}

function together(one: SealedJourney, other: SealedJourney): SealedJourney {
  const sum = { ...other, id: Math.min(one.id, other.id) }
  for (const name of [...eventColumns, 'orphans'] as const) sum[name] += one[name]
  const ofBoth = (name: (typeof instants)[number], pick: (...instants: number[]) => number) => {
    const known = [one[name], other[name]].filter((at) => at !== null)
    return known.length === 0 ? null : pick(...known)
  }
  for (const name of instants) sum[name] = ofBoth(name, name.startsWith('first') ? Math.min : Math.max)
  return sum
}
const instants = [
  'first_email_click_at',
  'first_landing_click_at',
  'first_conversion_at',
  'last_at',
  'machine_last_at',
  'last_landing_click_at',
  'last_conversion_at',
  'machine_last_conversion_at',
] as const

async function put(tx: Db, row: SealedJourney) {
  await tx
    .insertInto('sealed_journeys')
    .values(row)
    .onConflict((conflict) => conflict.columns(['contact_id', 'campaign_id', 'domain_id']).doUpdateSet(row))
    .execute()
}

async function sealPlaces(tx: Db, ids: number[]) {
  await sql`
    insert into sealed_places (campaign_id, country, device, clicks)
    select campaign_id, coalesce(country, '') as place, coalesce(device, '') as kind, count(*)
    from events where ${isAmong(sql.ref<number>('id'), ids)} and events.kind = 1 and verdict < 2
    group by campaign_id, place, 3
    on conflict do update set clicks = sealed_places.clicks + excluded.clicks`.execute(tx)
}

/** By the quarter, whose sums make the days of any time zone. */
async function sealQuarters(tx: Db, ids: number[]) {
  const sums = [0, 1].flatMap((machine) =>
    [1, 2, 3].map((kind) => `sum(kind = ${kind} and verdict ${machine ? '=' : '<'} 2)`),
  )
  await sql`
    insert into sealed_events (campaign_id, domain_id, quarter_at, ${sql.raw(eventColumns.join(', '))}, first_at, last_at)
    select campaign_id, domain_id, happened_at / ${sql.lit(quarterLength)} * ${sql.lit(quarterLength)} as quarter,
      ${sql.raw(sums.join(', '))}, min(happened_at), max(happened_at)
    from events where ${isAmong(sql.ref<number>('id'), ids)}
    group by campaign_id, domain_id, quarter
    on conflict do update set
      ${sql.raw(eventColumns.map((name) => `${name} = sealed_events.${name} + excluded.${name}`).join(', '))},
      first_at = min(sealed_events.first_at, excluded.first_at), last_at = max(sealed_events.last_at, excluded.last_at)
  `.execute(tx)
}
