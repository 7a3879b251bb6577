import { isAmong } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { PromoCounts } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import { type DateRange, type OfferNumbers, readOfferNumbers } from './analytics.js'
import { readEvidence, type TextEvidence } from './evidence.js'
import { clicksOf, ctr, noCounts } from './metrics.js'
import type { ImpressionMeaning } from './settings.js'

/** What pages say of an offer or a text over some days. */
export interface Shown {
  /** Clicks by people, the first of each reader, whether their issue is known or not; or really all. */
  clicks: number
  /** How often somebody had it before them, as far as that is known. */
  impressions: number
  /** As they were reported, where that is another number; null where it is not. */
  reported: number | null
  /** Share of one; null where there is nothing to divide by, or nobody knows how many readers an issue had. */
  ctr: number | null
  /** What `ctr` is made of. */
  basis: { impressions: number; clicks: number }
  repeated: number
  machines: number
}

/**
 * Puts together what was counted with what is known of the issues it was counted in.
 * @param everything repeated clicks and those of machines are counted in
 */
function shownOf(
  meaning: ImpressionMeaning,
  counts: PromoCounts,
  evidence: readonly TextEvidence[],
  everything = false,
): Shown {
  const clicks = clicksOf(counts, everything)
  const sum = { impressions: 0, clicks: 0 }
  for (const text of evidence) {
    sum.impressions += text.impressions
    sum.clicks += text.clicks
  }
  const isKnown = sum.impressions > 0
  const basis = meaning === 'message' ? { impressions: counts.impressions, clicks } : sum
  return {
    clicks,
    impressions: meaning === 'message' || !isKnown ? counts.impressions : Math.round(sum.impressions),
    reported: meaning === 'issue' && isKnown ? counts.impressions : null,
    ctr: ctr(basis),
    basis,
    repeated: counts.repeated_clicks,
    machines: counts.machine_clicks,
  }
}

interface Wish {
  range: Pick<DateRange, 'start' | 'end'>
  /** All of them: the range begins with the first fact. */
  isAll: boolean
  meaning: ImpressionMeaning
  /** Repeated clicks and those of machines are counted in. */
  everything?: boolean
  calendar: Calendar
  now: number
}

/** The numbers of some offers and their texts over some days. */
export async function readShown(
  readers: Readers,
  offers: readonly { id: number; texts: readonly { id: number }[] }[],
  { range, isAll, meaning, everything = false, calendar, now }: Wish,
) {
  const one = offers.length === 1 ? { offerId: offers[0]!.id } : {}
  const numbers = await readOfferNumbers(readers, range, one)
  const evidence = new Map<number, TextEvidence>()
  for (let place = 0; place < offers.length; place += 500) {
    const some = await readEvidence(readers, {
      offerIds: offers.slice(place, place + 500).map(({ id }) => id),
      meaning,
      since: isAll ? null : range.start,
      until: isAll ? null : calendar.shift(range.end, 1),
      everything,
      calendar,
      now,
    })
    for (const [id, text] of some) evidence.set(id, text)
  }
  const of = (id: number): OfferNumbers => numbers.get(id) ?? { offerId: id, ...noCounts, texts: [] }
  return {
    offer: ({ id, texts }: { id: number; texts: readonly { id: number }[] }) =>
      shownOf(
        meaning,
        of(id),
        texts.flatMap((text) => evidence.get(text.id) ?? []),
        everything,
      ),
    text: (offer: number, id: number) =>
      shownOf(
        meaning,
        of(offer).texts.find(({ variationId }) => variationId === id) ?? noCounts,
        [evidence.get(id) ?? []].flat(),
      ),
    counts: of,
    evidence,
  }
}

/**
 * In how many issues texts of these offers stood that were first told of on some days, both included: an issue with several
 * of them once, and none that nobody named.
 */
export async function countIssues(
  readers: Readers,
  calendar: Calendar,
  { offers, from, to }: { offers: readonly number[]; from: string; to: string },
): Promise<number> {
  if (offers.length === 0) return 0
  const { issues } = await readers
    .selectFrom('promo_text_variations as texts')
    .innerJoin('promo_send_counts as counts', 'counts.variation_id', 'texts.id')
    .innerJoin('promo_sends as sends', 'sends.id', 'counts.send_id')
    .select(({ fn }) => fn.count<number>('sends.id').distinct().as('issues'))
    .where((eb) => isAmong(eb.ref('texts.offer_id'), [...offers]))
    .where('counts.impressions', '>', 0)
    .where('sends.first_at', '>=', calendar.startOf(from))
    .where('sends.first_at', '<', calendar.startOf(calendar.shift(to, 1)))
    .executeTakeFirstOrThrow()
  return issues
}
