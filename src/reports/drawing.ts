import { level } from '../audience/heat-view.js'
import { funnelOf } from '../mailings/funnel.js'
import { dayLength } from '../web/calendar.js'
import { change } from '../web/changes.js'
import { noValue } from '../web/formats.js'
import type { Rendering } from './archive.js'
import type { Cell, CellKind, Chart, Column, Heat, ReportData, Section, Table, Tile } from './data.js'
import { figureWords, type ReportFormats, reportFormats } from './locales.js'
import { firstPage } from './templates.js'

/** Everything that views/reports/_sheets.njk prints, as words, and as numbers of SVG attributes. */
export function drawReport({ data, people }: Pick<Rendering, 'data' | 'people'>) {
  const f = reportFormats(data.locale, data.timeZone)
  const drawn = data.sections.map((section, place) => drawSection(section, `s${place + 1}`, people, f))
  return {
    f,
    data,
    period: periodWords(data, f),
    hasLongTitle: data.title.length > longTitle,
    date: f.date(data.renderedAt),
    asOf: f.moment(data.asOf),
    verdictSize: data.verdict ? sizeOfVerdict(data.verdict.lead.length + data.verdict.rest.length) : '',
    verdict: data.verdict && { ...data.verdict, tiles: data.verdict.tiles.map((tile) => drawTile(tile, f)) },
    first: drawn.filter(({ name }) => firstPage.includes(name)),
    rest: drawn.filter(({ name }) => !firstPage.includes(name)),
  }
}
/** Letters of a title above which it is set smaller, so that page 1 holds what belongs there. */
const longTitle = 48
/** The same of a verdict, which somebody may have written. */
const sizeOfVerdict = (letters: number) => (letters <= 300 ? '' : letters <= 450 ? 'long' : 'longer')

export type Drawn = ReturnType<typeof drawReport>

/** 27 October 2026 to 20 November 2026, or one day. Where dates are in another language, a dash stands for the word. */
export const periodWords = ({ period }: Pick<ReportData, 'period'>, f: ReportFormats) =>
  period.from === period.to
    ? f.day(period.from)
    : `${f.day(period.from)} ${f.locale.startsWith('en') ? 'to' : '–'} ${f.day(period.to)}`

const short = (value: number) => String(Math.round(value * 10) / 10)

function drawTile({ id, label, value, as, decimals, good, own, field, note }: Tile, f: ReportFormats) {
  const write = (number: number | null) => figureWords(number, { as, decimals }, f)
  const difference = change(value, own, { as: as === 'number' ? 'ratio' : 'points', good })
  const size =
    difference === null || value === null || own === null
      ? ''
      : as !== 'number'
        ? f.points(value - own)
        : own === 0
          ? f.number(Math.abs(value - own))
          : f.percent(Math.abs(difference.value), Math.abs(difference.value) >= 1 ? 0 : 1)
  const known = [value, own, field?.share ?? null].filter((number) => number !== null)
  const most = Math.max(...known, 0) * 1.2
  const place = (number: number | null) =>
    number === null || most === 0 ? null : `${short((number / most) * 100)}%`
  return {
    id,
    label,
    figure: write(value),
    raw: value,
    change: difference && { ...difference, size },
    own: own === null ? '' : write(own),
    ownRaw: own,
    note,
    against:
      value === null || most === 0 || (own === null && field === null)
        ? null
        : {
            value: place(value),
            own: place(own),
            field: place(field?.share ?? null),
            story: `${label}: ${write(value)}${own === null ? '' : `, before ${write(own)}`}${field === null ? '' : `, the field ${write(field.share)}`}`,
          },
  }
}

function drawSection(section: Section, id: string, people: Rendering['people'], f: ReportFormats) {
  return {
    ...section,
    id,
    funnel: section.funnel ? drawFunnel(section.funnel, id, f) : null,
    charts: section.charts.map((chart) => drawChart(chart, f)),
    heat: section.heat ? drawHeat(section.heat, f) : null,
    tables: [
      ...section.tables.map((table) => drawTable(table, f)),
      ...(section.people && section.people.length > 0
        ? [drawTable(peopleTable(section.people, people), f)]
        : []),
    ],
    columns: section.columns ?? [],
    isMethod: section.name === 'method',
  }
}

/** The people of a rendering as a table; of whoever was erased since, nothing is left but the place. */
export const peopleTable = (rows: NonNullable<Section['people']>, people: Rendering['people']): Table => ({
  caption: 'Most engaged contacts',
  columns: [
    { label: 'Contact', as: 'text' },
    { label: 'Score', as: 'number' },
    { label: 'Opens', as: 'number' },
    { label: 'Clicks', as: 'number' },
  ],
  rows: rows.map(({ place, cells }) => {
    const person = people.get(place)
    return {
      cells: [
        person ? person.name || person.email : 'erased since',
        ...(person ? cells : [null, null, null]),
      ],
      under: person?.name ? person.email : '',
    }
  }),
})

function drawFunnel({ steps, story }: NonNullable<Section['funnel']>, id: string, f: ReportFormats) {
  const counts = steps.map(({ count }) => count ?? 0)
  const { widths, stream } = funnelOf(counts as [number, ...number[]])
  // With less than five steps the ink still ends as dark as it does on the way to the sale.
  const inks = steps.map((_, index) => 5 - (steps.length - 1) + index)
  return {
    id: `${id}-ink`,
    story,
    stream,
    steps: steps.map(({ name, count, rate, note }, index) => ({
      name,
      count: f.number(count),
      raw: count,
      rate: rate === null ? '' : f.percent(rate),
      rateRaw: rate,
      note,
      width: widths[index]!,
      ink: inks[index]!,
      x: `${short((index * 100) / steps.length)}%`,
      offset: `${short((index * 100 + 10) / steps.length)}%`,
    })),
  }
}

/** Steps of an axis that begins at zero: round numbers, three to five of them. */
function axisOf(most: number) {
  if (most <= 0) return { end: 1, steps: [0, 1] }
  const rough = most / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough) ?? 10) * power
  const count = Math.ceil(most / step - 1e-9)
  const steps = Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(6)))
  return { end: steps.at(-1)!, steps }
}

const [top, bottom] = [10, 144]
const labelHeight = 13

function drawChart({ story, as, x, ticks, lines, table }: Chart, f: ReportFormats) {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null))
  const lowest = Math.min(0, ...values)
  const { end, steps } = axisOf(Math.max(...values, 0))
  const isWhole = as === 'number' && end >= 2
  const decimals = end >= 0.1 ? 0 : end >= 0.01 ? 1 : 2
  const write = (value: number) => (as === 'number' ? f.number(value) : f.percent(value, decimals))
  const [from, to] = [x[0] ?? 0, x.at(-1) ?? 1]
  const atX = (value: number) => (to === from ? 50 : ((value - from) / (to - from)) * 100)
  const span = end - lowest || 1
  const atY = (value: number) => ((end - value) / span) * 200
  const path = (points: (number | null)[]) =>
    points
      .map((value, index) => {
        if (value === null) return ''
        const point = `${short(atX(x[index]!) * 10)} ${short(atY(value))}`
        if (index > 0 && points[index - 1] !== null) return ` ${point}`
        // A value between two gaps is a dot: a zero-length line with a round cap.
        return points[index + 1] == null ? `M${point}h0` : `M${point}`
      })
      .join('')
  const area = (points: (number | null)[]) => {
    const [start, last] = [points.findIndex((v) => v !== null), points.findLastIndex((v) => v !== null)]
    if (start < 0 || last === start || points.slice(start, last).some((value) => value === null)) return ''
    const base = short(atY(Math.max(0, lowest)))
    return `${path(points)}V${base}H${short(atX(x[start]!) * 10)}Z`
  }
  const main = lines.filter(({ look }) => look !== 'ghost')
  const drawn = lines.map(({ label, look, values }) => {
    const last = values.findLast((value) => value !== null) ?? null
    return {
      label,
      look,
      ink: look === 'main' ? 5 : look === 'second' ? 2 : 0,
      line: path(values),
      area: look === 'main' && main.length === 1 ? area(values) : '',
      last: last === null ? '' : as === 'number' ? f.number(last) : f.percent(last),
      lastRaw: last,
      y: last === null ? 0 : top + (atY(last) / 200) * (bottom - top),
      labelY: last === null ? 0 : Math.max(9, top + (atY(last) / 200) * (bottom - top) - 5),
      x: last === null ? 100 : atX(x[values.lastIndexOf(last)]!),
    }
  })
  // Labels at the end of two lines keep their distance: the lower one stands under its line where there is room.
  const labelled = drawn.filter(({ last }) => last !== '').sort((one, other) => one.y - other.y)
  for (const [index, line] of labelled.entries()) {
    const above = labelled[index - 1]
    if (!above || line.y - above.y > 2 * labelHeight) continue
    line.labelY = line.y + labelHeight < bottom ? line.y + labelHeight : line.labelY
    line.labelY = Math.max(line.labelY, above.labelY + labelHeight)
  }
  const marks = isWhole || as === 'share' ? steps : steps.filter(Number.isInteger)
  const longest = Math.max(...marks.map((value) => write(value).length))
  return {
    story,
    // Room for the numbers beside it: "50,000", "2,500,000", and what is longer.
    room: longest <= 6 ? '' : longest <= 9 ? 'wide' : 'wider',
    steps: marks.map((value) => {
      const y = top + (atY(value) / 200) * (bottom - top)
      return { label: write(value), y: short(y), textY: short(y + 4), isBase: value === 0 }
    }),
    // In a narrow box every second label leaves.
    ticks: ticks.map(({ x: value, label }, index) => {
      const place = atX(value)
      const anchor = place < 4 ? '' : place > 96 ? 'end' : 'mid'
      return { x: `${short(place)}%`, label, anchor, isMinor: index % 2 === 1 }
    }),
    lines: drawn.map((line) => ({
      ...line,
      labelY: short(line.labelY),
      labelX: `${short(line.x)}%`,
      anchor: line.x > 85 ? 'end' : 'mid',
    })),
    table: drawTable(table, f),
  }
}

const rowHeight = 20
const percentWide = 100 / 24

function drawHeat({ story, cells, days }: Heat, f: ReportFormats) {
  const most = Math.max(...cells.flat())
  const x = (hour: number) => `${(hour * percentWide).toFixed(2)}%`
  return {
    story,
    width: `${percentWide.toFixed(2)}%`,
    rowHeight,
    rows: cells.map((row, weekday) => ({
      short: days[weekday]!.slice(0, 3),
      y: weekday * rowHeight,
      textY: weekday * rowHeight + 14,
      cells: row.map((count, hour) => ({ x: x(hour), level: most === 0 ? 0 : level(count / most) })),
    })),
    ticks: [0, 6, 12, 18].map((hour) => ({ x: x(hour), name: `${hour}:00` })),
    table: drawTable(heatTable({ story, cells, days }), f),
  }
}

/** The numbers of a heatmap: an hour a row. */
export const heatTable = ({ cells, days }: Heat): Table => ({
  caption: 'By weekday and hour',
  columns: [
    { label: 'Hour', as: 'text' },
    ...days.map((day): Column => ({ label: day.slice(0, 3), as: 'number' })),
  ],
  rows: Array.from({ length: 24 }, (_, hour) => ({
    cells: [`${hour}:00`, ...cells.map((row) => row[hour]!)],
  })),
})

/** A cell in the words of the report. */
function cellWords(cell: Cell, as: CellKind, f: ReportFormats, day = f.shortDay): string {
  if (cell === null) return as === 'text' ? '' : noValue
  if (typeof cell === 'object') return `${f.percent(cell.low)} to ${f.percent(cell.high)}`
  if (typeof cell === 'string') return as === 'day' ? day(cell) : cell
  if (as === 'number') return f.number(cell)
  if (as === 'chance') return f.chance(cell)
  return f.percent(cell, Number(as.slice(-1)) as 0 | 1 | 2)
}

function drawTable({ caption, columns, rows, total, scale = 1, isNamed = false }: Table, f: ReportFormats) {
  // Restacked, a row is its name and its most telling figure: the last of its counts and rates that is not late.
  const telling = columns.findLastIndex(
    ({ as, isLate }, index) =>
      index > 0 && !isLate && (as === 'number' || as === 'share1' || as === 'share2'),
  )
  // Days that lie a year apart would else be spelled alike.
  const days = columns.flatMap(({ as }, index) =>
    as === 'day' ? rows.flatMap(({ cells }) => Date.parse(String(cells[index])) || []) : [],
  )
  const isLong = days.length > 0 && Math.max(...days) - Math.min(...days) >= 365 * dayLength
  const day = isLong ? f.shortDate : f.shortDay
  const cells = (row: Cell[]) =>
    row.map((cell, index) => {
      const { as, label, isLate = false } = columns[index]!
      return {
        label,
        as,
        isLate,
        isTelling: index === telling,
        words: cellWords(cell, as, f, day),
        raw: typeof cell === 'object' ? '' : (cell ?? ''),
        isNone: cell === null,
        interval:
          typeof cell === 'object' && cell !== null
            ? {
                low: `${short(Math.min(100, (cell.low / scale) * 100))}%`,
                high: `${short(Math.min(100, (cell.high / scale) * 100))}%`,
                at: `${short(Math.min(100, (cell.value / scale) * 100))}%`,
              }
            : null,
      }
    })
  return {
    caption,
    isNamed,
    columns,
    rows: rows.map((row) => ({ cells: cells(row.cells), under: row.under ?? '', href: row.href ?? '' })),
    total: total ? cells(total) : null,
  }
}
