import { type Response, Router } from 'express'
import * as z from 'zod'
import { originName } from '../audience/origins.js'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'
import { type DateFormats, duration, percent, plural } from '../web/formats.js'
import { one } from '../web/forms.js'
import { fewest, hoursOf, lastBefore, most } from './comparison.js'
import { curvePicture, plot } from './curve-picture.js'
import { align, type Curve } from './curves.js'
import { shownNumber } from './dashboard-view.js'
import { type ListedMailing, listAllMailings } from './mailing-list.js'
import { type NumberName, numberKinds, numberOf } from './mailing-numbers.js'
import { type Span, spans } from './mailing-series.js'
import { curveBook, type Drawn } from './mailing-usual.js'
import { whose } from './mailing-words.js'
import { columnOf, known, mean, trend } from './statistics.js'

interface Needs {
  readers: Readers
  dates: DateFormats
  now: () => number
}

const CompareView = z.object({
  /** Mailings by their ids, once each, in the order in which they stand side by side. */
  m: z.preprocess(
    (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]),
    z
      .array(z.string().catch(''))
      .transform((ids) => [...new Set(ids.filter((id) => id !== ''))])
      .catch([]),
  ),
  /** With one mailing: beside so many of its list before it. */
  last: one(
    z.coerce
      .number()
      .int()
      .min(1)
      .max(most - 1)
      .catch(0),
  ),
  span: one(z.enum(spans).catch('72h')),
})
type CompareView = z.infer<typeof CompareView>

/** How many mailings are offered to choose from. */
const offered = 24

/** `/mailings/compare`: two to eight mailings side by side, in numbers and in curves aligned at their sending. */
export function comparePage({ readers, dates, now }: Needs) {
  const routes = Router()
  const book = curveBook({ readers, now })

  routes.get('/mailings/compare', async (req, res) => {
    const view = CompareView.parse(req.query)
    // People only, as everywhere unless asked for: curves of machines are nobody's reading.
    const all = await listAllMailings(readers, { machines: false })
    const known = new Map(all.map((mailing) => [String(mailing.id), mailing]))
    const chosen = view.m.slice(0, 50).map((id) => {
      const mailing = known.get(id)
      if (!mailing) throw new NotFound(`There is no mailing ${id.slice(0, 40)}.`)
      return mailing
    })
    const [subject] = chosen
    const isAgainstLast = chosen.length === 1 && view.last > 0
    const compared = isAgainstLast ? [subject!, ...lastBefore(all, subject!, view.last)] : chosen
    res.set('Cache-Control', 'no-store')
    if (compared.length < fewest || view.m.length > most) return choose(res, view, all, chosen)

    const pictures = await Promise.all(
      (['opens', 'clicks'] as const).map(async (drawn) =>
        describeCurves(compared, await book.curvesOf(compared.filter(hasCurve), drawn), view.span, drawn),
      ),
    )
    res.render('mailings/compare', {
      room: 'mailings',
      title: isAgainstLast
        ? `${subject!.name} beside the ${plural(compared.length - 1, 'mailing', 'mailings')} before it`
        : `${compared.length} mailings side by side`,
      chosen: compared.map((mailing, index) => ({
        letter: letters[index]!,
        id: mailing.id,
        name: mailing.name,
        sentAt: mailing.sent_at,
        whose: whose(mailing.basis, mailing.provider),
        without:
          compared.length > fewest
            ? address(
                view,
                compared.filter((other) => other !== mailing),
              )
            : '',
        noCurve: pictures[0]!.lines[index]!.isEmpty
          ? noCurveWords(mailing, pictures[0]!.curves.get(mailing.id), dates)
          : '',
      })),
      verdict: isAgainstLast ? verdictOn(compared) : bestOf(compared),
      missing:
        isAgainstLast && compared.length - 1 < view.last
          ? `Only ${plural(compared.length - 1, 'mailing', 'mailings')} went to its list before it.`
          : '',
      isMixed: new Set(compared.map(({ basis }) => basis)).size > 1,
      table: describeTable(compared, { isAgainstLast }),
      pictures,
      plot,
      spans: spans.map((span) => ({
        label: span === '72h' ? '72 h' : '30 days',
        address: isAgainstLast
          ? `/mailings/compare?${new URLSearchParams({ m: String(subject!.id), last: String(view.last), ...(span === '72h' ? {} : { span }) })}`
          : address({ ...view, span }, compared),
        current: span === view.span,
      })),
    })
  })

  /** Too few or too many were named: says so, and offers some. */
  function choose(res: Response, view: CompareView, all: readonly ListedMailing[], chosen: ListedMailing[]) {
    const alone = chosen.length === 1 && view.last > 0
    const message =
      view.m.length === 0
        ? ''
        : alone
          ? `No mailing went to the list of ${chosen[0]!.name} before it. Choose another to compare it with.`
          : `Choose two to eight mailings. You chose ${view.m.length === 1 ? 'one' : view.m.length}.`
    const sent = all.filter(({ sent_at }) => sent_at !== null)
    const offers = [...chosen, ...sent.filter((mailing) => !chosen.includes(mailing))].slice(
      0,
      Math.max(offered, chosen.length),
    )
    res.status(view.m.length === 0 || alone ? 200 : 400).render('mailings/compare-choose', {
      room: 'mailings',
      message,
      offers: offers.map((mailing) => ({
        id: mailing.id,
        name: mailing.name,
        sentAt: mailing.sent_at,
        isChosen: chosen.includes(mailing),
      })),
    })
  }

  return routes
}

const letters = [...'ABCDEFGH']

const address = ({ span }: Pick<CompareView, 'span'>, mailings: ListedMailing[]) => {
  const query = new URLSearchParams()
  for (const { id } of mailings) query.append('m', String(id))
  if (span !== '72h') query.set('span', span)
  return `/mailings/compare?${query}`
}

/** Where tracking may be off, nobody knows how many opened or clicked. */
const hasCurve = ({ sent_at, untracked }: ListedMailing) => sent_at !== null && !untracked

const marks: Record<Span, { axis: number[]; table: number[]; name: (hour: number) => string }> = {
  '72h': {
    axis: [0, 12, 24, 36, 48, 60, 72],
    table: [1, 3, 6, 12, 24, 48, 72],
    name: (hour) => `${hour} h`,
  },
  '30d': {
    axis: [0, 120, 240, 360, 480, 600, 720],
    table: [24, 48, 72, 168, 336, 504, 720],
    name: (hour) => (hour === 0 ? '0 days' : plural(hour / 24, 'day', 'days')),
  },
}

function describeCurves(compared: ListedMailing[], curves: Map<number, Curve>, span: Span, drawn: Drawn) {
  const { axis, table, name } = marks[span]
  const hours = hoursOf[span]
  // One without a curve has nothing but gaps.
  const columns = compared.map(({ id }) => {
    const curve = curves.get(id)
    return curve ? align([curve], hours, 'share')[0]! : new Float64Array(hours.length).fill(Number.NaN)
  })
  const { ticks, marks: axisMarks, lines } = curvePicture(columns, hours, axis)
  const decimals = ticks.at(-1)!.share <= 0.05 ? 1 : 0
  const lastOf = (column: Float64Array) => {
    const row = column.findLastIndex((value) => !Number.isNaN(value))
    return row < 1 ? null : { hour: hours[row]!, share: column[row]! }
  }
  const lasts = columns.map(lastOf)
  const title = drawn === 'opens' ? 'Opened' : 'Clicked'
  const told = compared.flatMap((mailing, index) => {
    const last = lasts[index]
    return last
      ? [`${letters[index]} ${mailing.name} ${percent(last.share, 1)} after ${name(last.hour)}`]
      : []
  })
  return {
    drawn,
    curves,
    title: `${title}, share of delivered`,
    ticks: ticks.map(({ y, share }) => ({ y, name: percent(share, decimals) })),
    marks: axisMarks.map((mark) => ({ ...mark, name: name(mark.hour) })),
    lines: lines.map((line, index) => ({
      ...line,
      letter: letters[index]!,
      name: compared[index]!.name,
      isEmpty: line.end === null,
      text: percent(lasts[index]?.share ?? null, 1),
      raw: lasts[index]?.share ?? '',
    })),
    isEmpty: lines.every(({ end }) => end === null),
    story: `${title} since sending, as a share of the delivered: ${told.join('; ')}.`,
    rows: table.map((hour) => ({
      name: name(hour),
      cells: columns.map((column) => {
        const share = known(column[hours.indexOf(hour)])
        return { raw: share ?? '', text: percent(share, 1) }
      }),
    })),
  }
}

const tableNumbers = [
  'delivered',
  'open_rate',
  'click_rate',
  'click_to_open',
  'bounce_rate',
  'unsubscribe_rate',
  'complaint_rate',
] as const satisfies NumberName[]

/** Numbers side by side; of rates the best is marked, where there is more than one and they differ. */
function describeTable(compared: ListedMailing[], { isAgainstLast }: { isAgainstLast: boolean }) {
  const averaged = isAgainstLast ? compared.slice(1) : compared
  const columns = tableNumbers.map((name) => {
    const values = compared.map((mailing) => numberOf(mailing, name))
    const some = values.filter((value) => value !== null)
    const { better, unit } = numberKinds[name]
    const bestOfAll = better === 'higher' ? Math.max(...some) : Math.min(...some)
    const isTold = unit === 'share' && better !== null && new Set(some).size > 1
    const average = mean(columnOf(averaged, (mailing) => numberOf(mailing, name)))
    const against = isAgainstLast ? trend(values[0]!, average) : null
    const show = (value: number | null) =>
      unit === 'share' ? percent(value, numberKinds[name].decimals) : plainNumber(value)
    return {
      name,
      label: numberKinds[name].label,
      title: numberKinds[name].title,
      look: name === 'open_rate' ? 'tell' : 'rest',
      isBest: values.map((value) => isTold && value === bestOfAll),
      average: { raw: average ?? '', text: show(average) },
      against:
        against && unit === 'share'
          ? {
              raw: against.absolute,
              text: `${against.absolute < 0 ? '−' : '+'}${Math.abs(against.absolute * 100).toFixed(2)} pt`,
            }
          : null,
    }
  })
  return {
    columns,
    isAgainstLast,
    averageLabel: isAgainstLast ? `Average of the ${averaged.length} before` : 'Average',
    rows: compared.map((mailing, index) => ({
      id: mailing.id,
      letter: letters[index]!,
      name: mailing.name,
      sentAt: mailing.sent_at,
      whose: whose(mailing.basis, mailing.provider),
      cells: columns.map((column) => ({
        ...shownNumber(mailing, column.name),
        label: column.label,
        look: column.look,
        isBest: column.isBest[index]!,
      })),
    })),
  }
}
const plainNumber = (value: number | null) =>
  value === null ? percent(null) : Math.round(value).toLocaleString('en-US')

/** How the first did against the average of the others, in a sentence. */
function verdictOn([subject, ...others]: ListedMailing[]) {
  const against = (name: 'open_rate' | 'click_rate', verb: string) => {
    const own = numberOf(subject!, name)
    const average = mean(columnOf(others, (mailing) => numberOf(mailing, name)))
    const change = trend(own, average)
    if (own === null || average === null || change === null) return `nobody can say how many ${verb}`
    const size = Math.abs(change.absolute * 100).toFixed(1)
    const compared =
      size === '0.0'
        ? `as many as usual (${percent(average, 1)})`
        : `${size} points ${change.absolute > 0 ? 'above' : 'below'} their average of ${percent(average, 1)}`
    const values = [subject!, ...others]
      .map((mailing) => numberOf(mailing, name))
      .filter((value) => value !== null)
    const rank = values.filter((value) => value > own).length + 1
    return `${percent(own, 1)} ${verb}, ${compared} and ${rankWords(rank, values.length)}`
  }
  return `Against the ${others.length === 1 ? 'one' : others.length} before it: ${against('open_rate', 'opened')}; ${against('click_rate', 'clicked')}.`
}
const rankWords = (rank: number, of: number) =>
  rank === 1
    ? `the most of these ${of}`
    : rank === of
      ? `the fewest of these ${of}`
      : `number ${rank} of these ${of}`

/** Who did best, in a sentence. */
function bestOf(compared: ListedMailing[]) {
  const best = (name: 'open_rate' | 'click_rate', words: string) => {
    const rated = compared
      .map((mailing) => ({ mailing, value: numberOf(mailing, name) }))
      .filter((one): one is { mailing: ListedMailing; value: number } => one.value !== null)
      .sort((one, other) => other.value - one.value)
    return rated.length < 2 ? '' : `${words} ${rated[0]!.mailing.name}, ${percent(rated[0]!.value, 1)}.`
  }
  return [best('open_rate', 'Most opened:'), best('click_rate', 'Most clicked:')].filter(Boolean).join(' ')
}

/** Why a mailing has no line, in a sentence. */
function noCurveWords(mailing: ListedMailing, curve: Curve | undefined, dates: DateFormats) {
  if (mailing.sent_at === null) return 'It has no curve: nobody has told when it was sent.'
  if (mailing.untracked) return 'It has no curve: tracking may be off.'
  if (curve === undefined || curve.delivered === 0) return 'It has no curve: no delivery is known.'
  if (mailing.basis === 'ours') return 'It has no curve yet: it was sent less than an hour ago.'
  const first = curve.at[0]
  const from = originName(mailing.provider)
  return first === undefined
    ? `It has no curve: ${from} was not asked while it was young.`
    : `It has no curve here: ${from} was first asked ${duration(first - mailing.sent_at)} after sending, ${dates.date(first)}.`
}
