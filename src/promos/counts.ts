import { adder } from '../database/adder.js'
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
  readonly #write: ReturnType<typeof writers>
  readonly #calendar: Calendar
  readonly #offers: Changes<{ offer_id: number } & Latest> = new Map()
  readonly #variations: Changes<{ variation_id: number } & Latest> = new Map()
  readonly #days: Changes<{ offer_id: number; variation_id: number; day_on: string }> = new Map()
  readonly #quarters: Changes<{ offer_id: number; quarter_at: number }> = new Map()
  readonly #devices: Changes<{ offer_id: number; device: string }> = new Map()
  readonly #sends: Changes<{ variation_id: number; send_id: number }> = new Map()

  constructor(db: Db, calendar: Calendar) {
    this.#write = writers(db)
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
    await this.#write.offers(tx, this.#offers.values())
    await this.#write.variations(tx, this.#variations.values())
    await this.#write.days(tx, this.#days.values())
    await this.#write.quarters(tx, this.#quarters.values())
    await this.#write.devices(tx, this.#devices.values())
    await this.#write.sends(tx, this.#sends.values())
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

const sums = [
  'impressions',
  'clicks',
  'repeated_clicks',
  'machine_clicks',
] as const satisfies (keyof PromoCounts)[]
const latest = ['last_impression_at', 'last_click_at'] as const satisfies (keyof Latest)[]

function writers(db: Db) {
  return {
    offers: adder(db, 'promo_offer_counts', ['offer_id'], { sums, latest }),
    variations: adder(db, 'promo_variation_counts', ['variation_id'], { sums, latest }),
    days: adder(db, 'promo_days', ['offer_id', 'variation_id', 'day_on'], { sums }),
    quarters: adder(db, 'promo_quarters', ['offer_id', 'quarter_at'], { sums }),
    devices: adder(db, 'promo_devices', ['offer_id', 'device'], { sums }),
    sends: adder(db, 'promo_send_counts', ['variation_id', 'send_id'], { sums }),
  }
}
