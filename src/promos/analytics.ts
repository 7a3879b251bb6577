import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import type { Readers } from '../database/readers.js'
import type { PromoCounts } from '../database/schema.js'
import type { Calendar } from '../web/calendar.js'
import { dayLength } from '../web/calendar.js'
import { inPercent } from '../web/shares.js'
import type { OfferDirectory } from './directory.js'
import { readAudienceMark, readEvidence, type TextEvidence } from './evidence.js'
import type { AnalyticsQuery } from './forms.js'
import { countColumns, ctr, ctrInPercent, noCounts } from './metrics.js'
import { type Beta, credibleInterval, pooledPrior, posteriorOf } from './posterior.js'
import { isComparable, type Judgement, judgeTexts, verdictWords } from './verdict.js'

export interface DateRange {
  /** Days in the reporting time zone; both belong to it. */
  start: string
  end: string
  days: number
}

/** So many days before today, and today; `all`: since the first fact. */
export async function rangeOf(
  readers: Readers,
  calendar: Calendar,
  { days, now }: { days: string; now: number },
): Promise<DateRange> {
  const end = calendar.dayOf(now)
  if (days !== 'all') return { start: calendar.shift(end, -Number(days)), end, days: Number(days) }
  const { first } = await readers
    .selectFrom('promo_days')
    .select(({ fn }) => fn.min<string | null>('day_on').as('first'))
    .executeTakeFirstOrThrow()
  const start = first !== null && first < end ? first : end
  return { start, end, days: Math.round((Date.parse(end) - Date.parse(start)) / dayLength) }
}

/** Judging some texts takes milliseconds: who asks again about the same numbers gets the same answer. */
const judgements = new LRUCache<string, { judgement: Judgement | null }>({ max: 5_000 })
export function judgementOf(texts: readonly TextEvidence[]): Judgement | null {
  const key = texts
    .map((text) => [text.variationId, text.impressions, text.clicks, text.issues].join())
    .join(';')
  let known = judgements.get(key)
  if (!known) {
    known = { judgement: judgeTexts(texts) }
    judgements.set(key, known)
  }
  return known.judgement
}

/** What is known of the texts that may run: those that a verdict is about. */
export const comparedTexts = (
  texts: readonly { id: number; mayRun: boolean }[],
  evidence: ReadonlyMap<number, TextEvidence>,
): TextEvidence[] =>
  texts
    .filter(({ mayRun }) => mayRun)
    .map(
      ({ id }) =>
        evidence.get(id) ?? { variationId: id, impressions: 0, clicks: 0, issues: 0, pending: false },
    )

export interface OfferNumbers extends PromoCounts {
  offerId: number
  texts: (PromoCounts & { variationId: number })[]
}

/** The counts of offers and their texts over some days, from the table of days. */
export async function readOfferNumbers(
  readers: Readers,
  { start, end }: Pick<DateRange, 'start' | 'end'>,
  { offerId, variationId }: { offerId?: number | undefined; variationId?: number | undefined } = {},
): Promise<Map<number, OfferNumbers>> {
  const rows = await readers
    .selectFrom('promo_days')
    .select(({ fn }) => [
      'offer_id',
      'variation_id',
      ...countColumns.map((name) => fn.sum<number>(name).as(name)),
    ])
    .where('day_on', '>=', start)
    .where('day_on', '<=', end)
    .$if(offerId !== undefined, (query) => query.where('offer_id', '=', offerId!))
    .$if(variationId !== undefined, (query) => query.where('variation_id', '=', variationId!))
    .groupBy(['offer_id', 'variation_id'])
    .execute()
  const found = new Map<number, OfferNumbers>()
  for (const { offer_id, variation_id, ...counts } of rows) {
    let offer = found.get(offer_id)
    if (!offer) {
      offer = { offerId: offer_id, ...noCounts, texts: [] }
      found.set(offer_id, offer)
    }
    add(offer, counts)
    if (variation_id > 0) offer.texts.push({ variationId: variation_id, ...counts })
  }
  return found
}

function add(sum: PromoCounts, counts: PromoCounts) {
  for (const name of countColumns) sum[name] += counts[name]
}

/** Counts by day without gaps, of everything or of one offer or text. */
export async function readTimeline(
  readers: Readers,
  calendar: Calendar,
  { start, end }: Pick<DateRange, 'start' | 'end'>,
  { offerId, variationId }: { offerId?: number | undefined; variationId?: number | undefined } = {},
): Promise<(PromoCounts & { date: string })[]> {
  const rows = await readers
    .selectFrom('promo_days')
    .select(({ fn }) => ['day_on', ...countColumns.map((name) => fn.sum<number>(name).as(name))])
    .where('day_on', '>=', start)
    .where('day_on', '<=', end)
    .$if(offerId !== undefined, (query) => query.where('offer_id', '=', offerId!))
    .$if(variationId !== undefined, (query) => query.where('variation_id', '=', variationId!))
    .groupBy('day_on')
    .execute()
  const known = new Map(rows.map(({ day_on, ...counts }) => [day_on, counts]))
  const days = []
  for (let date = start; date <= end; date = calendar.shift(date, 1))
    days.push({ date, ...(known.get(date) ?? noCounts) })
  return days
}

interface Needs {
  readers: Readers
  directory: OfferDirectory
  calendar: Calendar
  now: () => number
}

/** What `GET /api/v1/promo/analytics` answers. Impressions are as they were reported. */
async function readAnalytics({ readers, directory, calendar, now }: Needs, query: AnalyticsQuery) {
  const at = now()
  const range = await rangeOf(readers, calendar, { days: query.days, now: at })
  const one = { offerId: query.offer_id, variationId: query.variation_id }
  const numbers = [...(await readOfferNumbers(readers, range, one)).values()].sort(
    (first, second) => first.offerId - second.offerId,
  )
  const summary = { ...noCounts }
  for (const offer of numbers) add(summary, offer)

  const offerIds = numbers.map(({ offerId }) => offerId)
  const evidence = new Map<number, TextEvidence>()
  for (let place = 0; place < offerIds.length; place += 500) {
    const some = await readEvidence(readers, {
      offerIds: offerIds.slice(place, place + 500),
      meaning: directory.settings.meaning,
      since: query.days === 'all' ? null : range.start,
      calendar,
      now: at,
    })
    for (const [id, text] of some) evidence.set(id, text)
  }

  const offers = []
  const variations = []
  for (const { offerId, texts, ...counts } of numbers) {
    const offer = directory.offer(offerId)
    const known = comparedTexts(offer?.texts ?? [], evidence)
    const judgement = known.length > 1 ? judgementOf(known) : null
    const believed = beliefsOf(offer?.texts ?? [], evidence, known)
    // Many offers take a while together, and doors are served between them.
    if (known.length > 1) await turn()
    const shown = texts.filter(({ impressions }) => impressions > 0)
    const highest = shown.sort((first, second) => ctr(second)! - ctr(first)!)[0]?.variationId ?? null
    offers.push({
      offer_id: offerId,
      offer_name: offer?.name ?? '',
      offer_type: offer?.type ?? '',
      impressions: counts.impressions,
      clicks: counts.clicks,
      ctr: ctrInPercent(counts),
      best_variation_id: judgement?.leader ?? highest,
    })
    for (const { variationId, impressions, clicks } of texts) {
      const text = directory.text(variationId)
      const posterior = judgement?.posteriors.find((each) => each.variationId === variationId)
      variations.push({
        variation_id: variationId,
        offer_id: offerId,
        text_preview: previewOf(text?.headline || text?.text || ''),
        cta_text: text?.ctaText ?? '',
        tone: text?.tone ?? '',
        impressions,
        clicks,
        ctr: ctrInPercent({ impressions, clicks }),
        prob_best: posterior ? Math.round(posterior.best * 10_000) / 10_000 : null,
        interval: intervalOf(posterior?.beta ?? believed(variationId)),
        verdict: judgement?.leader === variationId ? verdictWords(judgement) : null,
      })
    }
  }
  // What has no rate stands last.
  variations.sort(
    (first, second) => (second.ctr ?? -1) - (first.ctr ?? -1) || first.variation_id - second.variation_id,
  )

  return {
    summary: {
      total_impressions: summary.impressions,
      total_clicks: summary.clicks,
      overall_ctr: ctrInPercent(summary),
      date_range: range,
    },
    offers,
    ...(query.include_variations ? { variations } : {}),
    ...(query.include_timeline
      ? {
          timeline: (await readTimeline(readers, calendar, range, one)).map(
            ({ date, impressions, clicks }) => ({
              date,
              impressions,
              clicks,
              ctr: ctrInPercent({ impressions, clicks }),
            }),
          ),
        }
      : {}),
  }
}

const intervalOf = (beta: Beta | null) => beta && credibleInterval(beta).map(inPercent)

/** What is believed of the rate of a text that no verdict is about: a lone one, or one that runs no more. */
function beliefsOf(
  texts: readonly { id: number }[],
  evidence: ReadonlyMap<number, TextEvidence>,
  compared: readonly TextEvidence[],
) {
  // Where clicks outnumber impressions, nobody knows how many readers anything had.
  const isTold = compared.every(({ impressions, clicks }) => clicks <= impressions)
  const prior = pooledPrior(texts.flatMap(({ id }) => evidence.get(id) ?? []))
  return (id: number): Beta | null => {
    const seen = evidence.get(id)
    return isTold && seen && isComparable([seen]) ? posteriorOf(prior, seen) : null
  }
}

/** The beginning of a text, for a line. */
export const previewOf = (text: string) => (text.length > 80 ? `${text.slice(0, 79).trimEnd()}…` : text)

/** Milliseconds for which an answer holds, if nothing changes before. */
const longest = 300_000

/**
 * The same with a memory: an answer is given again until something is recorded or edited, or more are known to have got an
 * issue, and five minutes at the most.
 */
export function rememberedAnalytics(needs: Needs) {
  const answers = new LRUCache<
    string,
    { at: number; mark: string; answer: ReturnType<typeof readAnalytics> }
  >({
    max: 200,
  })
  return async (query: AnalyticsQuery) => {
    const key = JSON.stringify(query)
    const { directory, readers } = needs
    const audience = directory.settings.meaning === 'issue' ? await readAudienceMark(readers) : ''
    const mark = `${directory.version} ${audience}`
    const known = answers.get(key)
    const at = needs.now()
    if (known && known.mark === mark && at - known.at < longest) return known.answer
    const answer = readAnalytics(needs, query)
    answers.set(key, { at, mark, answer })
    answer.catch(() => answers.delete(key))
    return answer
  }
}
