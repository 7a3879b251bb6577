import { hourLength } from '../web/calendar.js'
import { type DateFormats, number, percent, plural } from '../web/formats.js'
import {
  type DayPoint,
  type MailingHistory,
  type MailingSeries,
  type Span,
  spanLengths,
} from './mailing-series.js'
import { type AgainstUsual, type Drawn, leastForBand } from './mailing-usual.js'
import type { Mailing } from './queries.js'
import { known } from './statistics.js'

/** "5 h after", "3 days after": how long after sending, in words. @param since milliseconds */
function sinceWords(since: number) {
  const hours = since / hourLength
  if (hours < 1) return `${Math.max(0, Math.round(hours * 60))} min after`
  if (hours < 96) return `${Math.round(hours)} h after`
  return `${Math.round(hours / 24)} days after`
}

const spanWords: Record<Span, string> = { '72h': '72 hours', '30d': '30 days' }

/** One line of the table under the chart of opens and clicks since sending. */
interface ShownPoint {
  at: number
  name: string
  opens: number | null
  clicks: number | null
  opened: number | null
  clicked: number | null
  newOpens: number | null
  newClicks: number | null
  isLower: boolean
}
export interface ShownSeries {
  unit: 'hour' | 'day' | 'snapshot'
  points: ShownPoint[]
  last: ShownPoint | null
  /** What came after the last point, or has come in since the picture was made. */
  later: { opens: number; clicks: number }
  story: string
  /** How many of the points are corrections to less. */
  lower: number
}

/** Opens and clicks since sending, as our own events tell of them. */
export function shownSeries(
  { unit, points }: MailingSeries,
  mailing: Mailing,
  span: Span,
  dates: DateFormats,
): ShownSeries {
  const named = points.map((point) => ({
    ...point,
    name:
      point.after === 0
        ? `Sent ${dates.moment(point.at)}`
        : `${point.after} ${unit === 'hour' ? 'h' : point.after === 1 ? 'day' : 'days'} after, ${dates.moment(point.at)}`,
    opened: null,
    clicked: null,
    isLower: false,
  }))
  return { ...storyOf(named, mailing, unit, span), unit }
}

/** The same, as the provider's snapshots tell of them. */
export function shownHistory(
  { points }: MailingHistory,
  mailing: Mailing,
  span: Span,
  dates: DateFormats,
): ShownSeries {
  const end = spanLengths[span]
  const named = points
    .filter(({ since }) => since === null || since <= end)
    .map((point) => ({
      ...point,
      name: `${point.since === null ? '' : `${sinceWords(point.since)}, `}${dates.moment(point.at)}`,
    }))
  return { ...storyOf(named, mailing, 'snapshot', span), unit: 'snapshot' }
}

function storyOf(
  points: ShownPoint[],
  mailing: Mailing,
  unit: string,
  span: Span,
): Omit<ShownSeries, 'unit'> {
  const last = points.at(-1) ?? null
  return {
    points,
    last,
    later: {
      opens: last === null ? 0 : Math.max(0, mailing.opens - (last.opens ?? 0)),
      clicks: last === null ? 0 : Math.max(0, mailing.clicks - (last.clicks ?? 0)),
    },
    lower: points.filter(({ isLower }) => isLower).length,
    story:
      last === null
        ? ''
        : `Opens and clicks since sending, ${unit} by ${unit}: ${number(last.opens)} opens and ${plural(last.clicks ?? 0, 'click', 'clicks')} after ${spanWords[span]} or until now.`,
  }
}

/** Day by day, with the moving average of seven days. */
export function shownDaily(days: DayPoint[], dates: DateFormats) {
  const points = days.map((point) => ({
    ...point,
    name: `Day ${point.day}, to ${dates.moment(point.at)}`,
    isLower: (point.newOpens ?? 0) < 0 || (point.newClicks ?? 0) < 0,
  }))
  const last = points.at(-1) ?? null
  return {
    points,
    last,
    story:
      last === null
        ? ''
        : `What each of the first ${plural(points.length, 'day', 'days')} added, and its moving average over seven: ${average(last.opensAverage)} opens and ${average(last.clicksAverage)} clicks a day at the end.`,
  }
}
const average = (value: number | null) => (value === null ? 'unknown' : String(Math.round(value * 10) / 10))

/** The share of the delivered who opened or clicked, beside the usual one at the same age. */
export function shownUsual(
  { hours, own, band }: AgainstUsual,
  { drawn, sentAt, mailings }: { drawn: Drawn; sentAt: number; mailings: number },
) {
  const hasBand = mailings >= leastForBand
  const points = Array.from(hours, (hour, index) => ({
    at: sentAt + hour * hourLength,
    name: hour === 0 ? 'At sending' : sinceWords(hour * hourLength),
    own: known(own[index]),
    median: known(band.median[index]),
    low: hasBand ? known(band.low[index]) : null,
    high: hasBand ? known(band.high[index]) : null,
    mailings: band.mailings[index]!,
  }))
  // The readout begins where this mailing has come to, not where others ended.
  const last = points.findLast((point) => point.own !== null) ?? null
  const did = drawn === 'opens' ? 'opened' : 'clicked'
  return {
    points,
    last,
    hasBand,
    sentAt,
    isEmpty: last === null || mailings === 0,
    story:
      last === null
        ? ''
        : `Share of the delivered who ${did}, hour by hour since sending: ${percent(last.own, 1)} ${last.name}${last.median === null ? '' : `, against ${percent(last.median, 1)} usual`}.${placeWords(last, hasBand)}`,
    verdict: last === null ? '' : verdictWords(last, hasBand, did),
  }
}

type Placed = {
  own: number | null
  low: number | null
  high: number | null
  median: number | null
  name: string
}

const placeWords = ({ own, low, high }: Placed, hasBand: boolean) => {
  if (!hasBand || own === null || low === null || high === null) return ''
  return own > high
    ? ' It is above the usual band.'
    : own < low
      ? ' It is below the usual band.'
      : ' It lies in the usual band.'
}

/** The answer first: how this mailing did at its present age. */
function verdictWords(last: Placed, hasBand: boolean, did: string) {
  if (last.own === null || last.median === null) return ''
  const compared = `${percent(last.own, 1)} ${did} ${last.name}; ${percent(last.median, 1)} is the middle of the others at that age.`
  return `${compared}${placeWords(last, hasBand)}`
}
