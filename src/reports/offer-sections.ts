import { comparedTexts, judgementOf, rangeOf, readTimeline } from '../promos/analytics.js'
import type { OfferDirectory } from '../promos/directory.js'
import { readEvidence } from '../promos/evidence.js'
import { ctr } from '../promos/metrics.js'
import { countIssues, readShown, type Shown } from '../promos/offer-numbers.js'
import { credibleInterval, pooledPrior, posteriorOf } from '../promos/posterior.js'
import { verdictWords } from '../promos/verdict.js'
import { nameOf, verdictSentence } from '../promos/verdict-sentence.js'
import { niceShare } from './campaign-sections.js'
import { type Section, section, type Table } from './data.js'
import type { Making } from './mailing-sections.js'
import { spellsOf } from './spells.js'
import type { Named } from './subjects.js'
import { axisOf, lineOf, timelineOf } from './timeline.js'
import { capital, counted, quoted } from './words.js'

export interface OfferResult extends Named {
  /** Over the period, as the page of the offer shows it; and over as many days before. */
  shown: Shown
  before: Shown
  /** The verdict over its texts, of all time, in a sentence and a note. */
  sentence: string
  note: string
  verdict: string
  texts: {
    name: string
    impressions: number
    clicks: number
    ctr: number | null
    interval: { low: number; high: number; value: number } | null
    best: number | null
    isLeader: boolean
  }[]
}

/** Offers in numbers: over the period, and each text with what is believed of it. */
export async function readOffers(
  { readers, calendar, now, found }: Making,
  directory: OfferDirectory,
): Promise<OfferResult[]> {
  if (found.offers.length === 0) return []
  await directory.load()
  const known = found.offers.flatMap(({ id }) => directory.offer(id) ?? [])
  if (known.length === 0) return []
  const { meaning } = directory.settings
  const common = { meaning, calendar, now }
  const over = ({ from, to }: { from: string; to: string }) =>
    readShown(readers, known, { range: { start: from, end: to }, isAll: false, ...common })
  const [shown, before, evidence] = await Promise.all([
    over(found.period),
    over(spellsOf(found.period, { calendar, now }).before),
    readEvidence(readers, {
      offerIds: known.map(({ id }) => id),
      halfLives: new Map(known.map(({ id, halfLifeDays }) => [id, halfLifeDays])),
      ...common,
    }),
  ])
  return known.map((offer) => {
    const running = comparedTexts(offer.texts, evidence)
    const judgement = running.length > 1 ? judgementOf(running) : null
    const sentence = verdictSentence(
      running.map((text) => ({ ...directory.text(text.variationId)!, evidence: text })),
      judgement,
    )
    const own = offer.texts.flatMap(({ id }) => evidence.get(id) ?? [])
    const prior = pooledPrior(own)
    const texts = offer.texts
      .flatMap((text) => {
        const seen = evidence.get(text.id)
        if (!seen || seen.impressions === 0) return []
        const posterior = judgement?.posteriors.find(({ variationId }) => variationId === text.id)
        const isTold = seen.clicks <= seen.impressions
        const beta = posterior?.beta ?? (isTold ? posteriorOf(prior, seen) : null)
        const rate = ctr(seen)
        const [low, high] = beta ? credibleInterval(beta) : [0, 0]
        return [
          {
            name: nameOf(text),
            impressions: Math.round(seen.impressions),
            clicks: Math.round(seen.clicks),
            ctr: rate,
            interval: beta && rate !== null ? { low, high, value: rate } : null,
            best: posterior?.best ?? null,
            isLeader: judgement?.leader === text.id,
          },
        ]
      })
      .sort((one, other) => (other.ctr ?? -1) - (one.ctr ?? -1))
    return {
      id: offer.id,
      name: offer.name,
      shown: shown.offer(offer),
      before: before.offer(offer),
      sentence: `${sentence.before}${sentence.text === '' ? '' : quoted(sentence.text)}${sentence.after}`,
      note: sentence.note,
      verdict: judgement ? verdictWords(judgement) : '',
      texts,
    }
  })
}

/** In how many issues some offers stood that were first shown in the period, and in as many days before. */
export async function readIssues({ readers, calendar, now, found }: Making): Promise<Issues> {
  const ids = found.offers.map(({ id }) => id)
  const { period, before } = spellsOf(found.period, { calendar, now })
  const [told, toldBefore] = await Promise.all([
    countIssues(readers, calendar, { offers: ids, ...period }),
    countIssues(readers, calendar, { offers: ids, ...before }),
  ])
  return { now: told, before: toldBefore }
}
export interface Issues {
  now: number
  before: number
}

/** So many offers stand on page 1, and so many of them with a sentence. */
const [shownOffers, toldOffers] = [12, 6]

/** Several offers, each with what to do about its texts. null of a single one, which the verdict is about. */
export function offersSection(offers: readonly OfferResult[], { f }: Pick<Making, 'f'>): Section | null {
  if (offers.length < 2) return null
  const rate = ({ shown }: OfferResult) => ctr(shown.basis)
  const shown = [...offers]
    .sort((one, other) => (rate(other) ?? -1) - (rate(one) ?? -1))
    .slice(0, shownOffers)
  const best = shown[0]!
  const rest = offers.length - shown.length
  return section(
    'offers',
    rate(best) === null
      ? 'No offer was shown in this period'
      : `${quoted(best.name)} has the highest CTR: ${f.percent(rate(best), 2)}`,
    {
      tables: [
        {
          caption: 'Offers, the highest CTR first',
          columns: [
            { label: 'Offer', as: 'text' },
            { label: 'Impressions', as: 'number' },
            { label: 'Clicks', as: 'number' },
            { label: 'CTR', as: 'share2' },
          ],
          rows: shown.map((offer) => ({
            cells: [offer.name, Math.round(offer.shown.impressions), offer.shown.clicks, rate(offer)],
            under: shown.length > toldOffers ? offer.verdict : offer.sentence,
          })),
        },
      ],
      notes:
        rest > 0
          ? [`${capital(f.plural(rest, 'more offer stands', 'more offers stand'))} under their texts.`]
          : [],
    },
  )
}

/**
 * Each text of each offer with its 95 % interval.
 * @param hasSentences what to do about the texts of each offer stands elsewhere in the report
 */
export function variationsSection(
  offers: readonly OfferResult[],
  { f }: Pick<Making, 'f'>,
  { hasSentences }: { hasSentences: boolean },
): Section | null {
  if (offers.length === 0) return null
  const tables = offers.flatMap(({ name, texts }): Table[] => {
    if (texts.length === 0) return []
    const scale = niceShare(Math.max(0.001, ...texts.map(({ interval }) => interval?.high ?? 0)))
    return [
      {
        caption: `Texts of ${name}, the highest CTR first`,
        columns: [
          { label: offers.length > 1 ? name : 'Text', as: 'text' },
          { label: 'Impr.', as: 'number' },
          { label: 'Clicks', as: 'number' },
          { label: 'CTR', as: 'share2' },
          { label: `Interval, to ${f.percent(scale, scale < 0.01 ? 1 : 0)}`, as: 'interval' },
          { label: 'Best with', as: 'chance' },
        ],
        rows: texts.map((text) => ({
          cells: [text.name, text.impressions, text.clicks, text.ctr, text.interval, text.best],
          under: text.isLeader ? 'most likely the best' : '',
        })),
        scale,
        isNamed: offers.length > 1,
      },
    ]
  })
  const [first] = offers
  const told = first!.texts.length
  return section(
    'variations',
    tables.length === 0
      ? 'No text was shown yet'
      : offers.length > 1
        ? `${capital(counted(tables.length, 'offer', 'offers', f.number))} and their texts`
        : told === 1
          ? 'One text was shown'
          : `${capital(counted(told, 'text', 'texts', f.number))} side by side`,
    {
      paragraphs:
        offers.length > 1 && !(hasSentences && offers.length <= toldOffers)
          ? offers.map(({ name, sentence }) => `${name}: ${sentence}`)
          : [],
      tables,
      notes: [
        'Of all time, since a verdict needs all that is known; 95% intervals are what is believed of each CTR (beta-binomial).',
      ],
    },
  )
}

/** Clicks on the offers by day of the period, or by the weeks or months of a long one. */
export async function offerDaysSection({
  readers,
  calendar,
  now,
  found,
  f,
}: Making): Promise<Section | null> {
  if (found.offers.length === 0) return null
  const { from, to } = found.period
  // Days without a gap are read: none of those before anything was ever told.
  const { start: first } = await rangeOf(readers, calendar, { days: 'all', now })
  const known = { start: from < first ? first : from, end: to }
  const each = await Promise.all(
    found.offers.map(({ id }) => readTimeline(readers, calendar, known, { offerId: id })),
  )
  const days = (each[0] ?? []).map(({ date }, index) => ({
    on: date,
    clicks: each.reduce((sum, days) => sum + days[index]!.clicks, 0),
    impressions: each.reduce((sum, days) => sum + days[index]!.impressions, 0),
  }))
  const timeline = timelineOf(calendar, found.period, ['clicks', 'impressions'], days)
  const { unit, points, top } = timeline
  if (!top) return section('daily', 'No offer was clicked in this period')
  const until = { last: to, today: calendar.dayOf(now) }
  return section('daily', `${f.day(top.on)} brought the most clicks: ${f.number(top.clicks)}`, {
    charts: [
      {
        story: `Clicks on the offers by ${unit}, from ${f.day(points[0]!.on)} to ${f.day(to)}.`,
        as: 'number',
        ...axisOf(timeline, f),
        lines: [{ label: 'Clicks', look: 'main', values: lineOf(points, ({ clicks }) => clicks, until) }],
        table: {
          caption: `By ${unit}`,
          columns: [
            { label: capital(unit), as: 'day' },
            { label: 'Impressions reported', as: 'number' },
            { label: 'Clicks', as: 'number' },
          ],
          rows: points.map(({ on, impressions, clicks }) => ({ cells: [on, impressions, clicks] })),
        },
      },
    ],
  })
}
