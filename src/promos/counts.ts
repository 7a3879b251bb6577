import { compiled } from '../database/compiled.js'
import { greaterOf } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { PromoCounts } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import { quarterLength } from '../web/calendar.js'
import { noCounts } from './metrics.js'

/** A fact as the counts see it. */
export interface CountedFact {
  offerId: number
  variationId: number | null
  sendId: number | null
  device: string | null
  at: number
  /** What it adds. */
  adds: Partial<PromoCounts>
}

type Changes<Key extends object> = Map<string, Key & PromoCounts>
type Latest = { last_impression_at: number | null; last_click_at: number | null }

/** What the facts of one transaction add to the counts: gathered, so that many facts of one text are one write. */
export class PromoChanges {
  readonly #put: ReturnType<typeof queries>
  readonly #calendar: Calendar
  readonly #offers: Changes<{ offer_id: number } & Latest> = new Map()
  readonly #variations: Changes<{ variation_id: number } & Latest> = new Map()
  readonly #days: Changes<{ offer_id: number; variation_id: number; day_on: string }> = new Map()
  readonly #quarters: Changes<{ offer_id: number; quarter_at: number }> = new Map()
  readonly #devices: Changes<{ offer_id: number; device: string }> = new Map()
  readonly #sends: Changes<{ variation_id: number; send_id: number }> = new Map()

  constructor(db: Db, calendar: Calendar) {
    this.#put = queries(db)
    this.#calendar = calendar
  }

  add({ offerId, variationId, sendId, device, at, adds }: CountedFact) {
    const latest = {
      last_impression_at: adds.impressions ? at : null,
      last_click_at: adds.clicks ? at : null,
    }
    const day_on = this.#calendar.dayOf(at)
    const quarter_at = Math.floor(at / quarterLength) * quarterLength
    const variation_id = variationId ?? 0
    gather(this.#offers, `${offerId}`, { offer_id: offerId, ...latest }, adds)
    gather(
      this.#days,
      `${offerId} ${variation_id} ${day_on}`,
      { offer_id: offerId, variation_id, day_on },
      adds,
    )
    gather(this.#quarters, `${offerId} ${quarter_at}`, { offer_id: offerId, quarter_at }, adds)
    if (variationId !== null)
      gather(this.#variations, `${variationId}`, { variation_id: variationId, ...latest }, adds)
    if (device !== null) gather(this.#devices, `${offerId} ${device}`, { offer_id: offerId, device }, adds)
    if (variationId !== null && sendId !== null)
      gather(this.#sends, `${variationId} ${sendId}`, { variation_id: variationId, send_id: sendId }, adds)
  }

  async write(tx: Db) {
    for (const row of this.#offers.values()) await this.#put.offer(tx, row)
    for (const row of this.#variations.values()) await this.#put.variation(tx, row)
    for (const row of this.#days.values()) await this.#put.day(tx, row)
    for (const row of this.#quarters.values()) await this.#put.quarter(tx, row)
    for (const row of this.#devices.values()) await this.#put.device(tx, row)
    for (const row of this.#sends.values()) await this.#put.send(tx, row)
    this.clear()
  }

  clear() {
    for (const changes of [
      this.#offers,
      this.#variations,
      this.#days,
      this.#quarters,
      this.#devices,
      this.#sends,
    ])
      changes.clear()
  }
}

function gather<Key extends object>(
  changes: Changes<Key>,
  key: string,
  row: Key & Partial<Latest>,
  adds: Partial<PromoCounts>,
) {
  let known = changes.get(key) as (Key & PromoCounts & Partial<Latest>) | undefined
  if (!known) {
    known = { ...row, ...noCounts }
    changes.set(key, known)
  }
  known.impressions += adds.impressions ?? 0
  known.clicks += adds.clicks ?? 0
  known.repeated_clicks += adds.repeated_clicks ?? 0
  known.machine_clicks += adds.machine_clicks ?? 0
  // Number(null) is 0: there was none yet.
  if (row.last_impression_at)
    known.last_impression_at = Math.max(Number(known.last_impression_at), row.last_impression_at)
  if (row.last_click_at) known.last_click_at = Math.max(Number(known.last_click_at), row.last_click_at)
}

function queries(db: Db) {
  type Value = <Name extends keyof PromoCounts>(name: Name) => number
  const values = (value: Value) => ({
    impressions: value('impressions'),
    clicks: value('clicks'),
    repeated_clicks: value('repeated_clicks'),
    machine_clicks: value('machine_clicks'),
  })
  return {
    offer: compiled<{ offer_id: number } & PromoCounts & Latest>((value) =>
      db
        .insertInto('promo_offer_counts')
        .values({
          offer_id: value('offer_id'),
          ...values(value),
          last_impression_at: value('last_impression_at'),
          last_click_at: value('last_click_at'),
        })
        .onConflict((conflict) =>
          conflict.column('offer_id').doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_offer_counts.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_offer_counts.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(
              ref('promo_offer_counts.repeated_clicks'),
              '+',
              ref('excluded.repeated_clicks'),
            ),
            machine_clicks: eb(ref('promo_offer_counts.machine_clicks'), '+', ref('excluded.machine_clicks')),
            last_impression_at: greaterOf(
              ref('promo_offer_counts.last_impression_at'),
              ref('excluded.last_impression_at'),
            ),
            last_click_at: greaterOf(ref('promo_offer_counts.last_click_at'), ref('excluded.last_click_at')),
          })),
        ),
    ),
    variation: compiled<{ variation_id: number } & PromoCounts & Latest>((value) =>
      db
        .insertInto('promo_variation_counts')
        .values({
          variation_id: value('variation_id'),
          ...values(value),
          last_impression_at: value('last_impression_at'),
          last_click_at: value('last_click_at'),
        })
        .onConflict((conflict) =>
          conflict.column('variation_id').doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_variation_counts.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_variation_counts.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(
              ref('promo_variation_counts.repeated_clicks'),
              '+',
              ref('excluded.repeated_clicks'),
            ),
            machine_clicks: eb(
              ref('promo_variation_counts.machine_clicks'),
              '+',
              ref('excluded.machine_clicks'),
            ),
            last_impression_at: greaterOf(
              ref('promo_variation_counts.last_impression_at'),
              ref('excluded.last_impression_at'),
            ),
            last_click_at: greaterOf(
              ref('promo_variation_counts.last_click_at'),
              ref('excluded.last_click_at'),
            ),
          })),
        ),
    ),
    day: compiled<{ offer_id: number; variation_id: number; day_on: string } & PromoCounts>((value) =>
      db
        .insertInto('promo_days')
        .values({
          offer_id: value('offer_id'),
          variation_id: value('variation_id'),
          day_on: value('day_on'),
          ...values(value),
        })
        .onConflict((conflict) =>
          conflict.columns(['offer_id', 'variation_id', 'day_on']).doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_days.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_days.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(ref('promo_days.repeated_clicks'), '+', ref('excluded.repeated_clicks')),
            machine_clicks: eb(ref('promo_days.machine_clicks'), '+', ref('excluded.machine_clicks')),
          })),
        ),
    ),
    quarter: compiled<{ offer_id: number; quarter_at: number } & PromoCounts>((value) =>
      db
        .insertInto('promo_quarters')
        .values({ offer_id: value('offer_id'), quarter_at: value('quarter_at'), ...values(value) })
        .onConflict((conflict) =>
          conflict.columns(['offer_id', 'quarter_at']).doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_quarters.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_quarters.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(ref('promo_quarters.repeated_clicks'), '+', ref('excluded.repeated_clicks')),
            machine_clicks: eb(ref('promo_quarters.machine_clicks'), '+', ref('excluded.machine_clicks')),
          })),
        ),
    ),
    device: compiled<{ offer_id: number; device: string } & PromoCounts>((value) =>
      db
        .insertInto('promo_devices')
        .values({ offer_id: value('offer_id'), device: value('device'), ...values(value) })
        .onConflict((conflict) =>
          conflict.columns(['offer_id', 'device']).doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_devices.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_devices.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(ref('promo_devices.repeated_clicks'), '+', ref('excluded.repeated_clicks')),
            machine_clicks: eb(ref('promo_devices.machine_clicks'), '+', ref('excluded.machine_clicks')),
          })),
        ),
    ),
    send: compiled<{ variation_id: number; send_id: number } & PromoCounts>((value) =>
      db
        .insertInto('promo_send_counts')
        .values({ variation_id: value('variation_id'), send_id: value('send_id'), ...values(value) })
        .onConflict((conflict) =>
          conflict.columns(['variation_id', 'send_id']).doUpdateSet(({ eb, ref }) => ({
            impressions: eb(ref('promo_send_counts.impressions'), '+', ref('excluded.impressions')),
            clicks: eb(ref('promo_send_counts.clicks'), '+', ref('excluded.clicks')),
            repeated_clicks: eb(
              ref('promo_send_counts.repeated_clicks'),
              '+',
              ref('excluded.repeated_clicks'),
            ),
            machine_clicks: eb(ref('promo_send_counts.machine_clicks'), '+', ref('excluded.machine_clicks')),
          })),
        ),
    ),
  }
}
