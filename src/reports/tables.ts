import { stringify } from 'csv-stringify/sync'
import type { Rendering } from './archive.js'
import type { Cell, CellKind, Table } from './data.js'
import { heatTable, peopleTable } from './drawing.js'

type Raw = string | number | null

const isShare = (as: CellKind) => as === 'chance' || as.startsWith('share')

/** In JSON and CSV a rate is in per cent with two decimals. */
const rawCells = (cell: Cell, as: CellKind): Raw[] => {
  const percent = (share: number) => Math.round(share * 10_000) / 100
  if (as === 'interval')
    return cell !== null && typeof cell === 'object' ? [percent(cell.low), percent(cell.high)] : [null, null]
  if (typeof cell === 'number' && isShare(as)) return [percent(cell)]
  return [cell as Raw]
}

/**
 * All numbers of a rendering as CSV (RFC 4180, UTF-8): one table below the other, each with its section, caption and head.
 * Rates are in per cent with two decimals, days are YYYY-MM-DD; a cell that a spreadsheet would run as a formula gets a '
 * in front.
 */
export function csvOf({ data, people, reference }: Rendering): string {
  const rows: Raw[][] = [
    ['Report', data.title],
    ['Number', reference],
    ['Partner', data.partner?.name ?? ''],
    ['From', data.period.from],
    ['To', data.period.to],
    ['Data as of', new Date(data.asOf).toISOString()],
    ['Time zone', data.countedIn ?? data.timeZone],
  ]
  for (const note of data.notes) rows.push(['Note', note])
  if (data.verdict) {
    const head = ['Figure', 'Value', 'Unit', 'Before', 'Before is', 'Benchmark', 'Benchmark of']
    rows.push([], ['Verdict'], head)
    for (const { label, value, as, own, ownOf, field } of data.verdict.tiles) {
      const raw = (number: number | null) =>
        number === null
          ? null
          : as !== 'number'
            ? Math.round(number * 10_000) / 100
            : Math.round(number * 100) / 100
      rows.push([
        label,
        raw(value),
        as === 'number' ? '' : '%',
        raw(own),
        ownOf ? `${ownOf.words}${ownOf.times > 1 ? `, times ${ownOf.times}` : ''}` : '',
        field ? Math.round(field.share * 10_000) / 100 : null,
        field ? `${field.source}, ${field.asOf}` : '',
      ])
    }
  }
  const table = (heading: string, { caption, columns, rows: lines, total }: Table) => {
    rows.push([], [heading, caption])
    rows.push(
      columns.flatMap(({ label, as }) => {
        if (as === 'interval') return ['95% interval from, %', '95% interval to, %']
        return [isShare(as) ? `${label}, %` : label]
      }),
    )
    for (const { cells, href } of lines)
      rows.push(
        cells.flatMap((cell, index) => (index === 0 && href ? [href] : rawCells(cell, columns[index]!.as))),
      )
    if (total) rows.push(total.flatMap((cell, index) => rawCells(cell, columns[index]!.as)))
  }
  for (const section of data.sections) {
    if (section.funnel) {
      rows.push([], [section.heading], ['Step', 'People', 'Rate, %', 'Rate is'])
      for (const { name, count, rate, note } of section.funnel.steps)
        rows.push([
          name,
          count,
          rate === null ? null : Math.round(rate * 10_000) / 100,
          rate === null ? '' : note,
        ])
    }
    for (const chart of section.charts) table(section.heading, chart.table)
    if (section.heat) table(section.heading, heatTable(section.heat))
    for (const each of section.tables) table(section.heading, each)
    if (section.people && section.people.length > 0)
      table(section.heading, peopleTable(section.people, people))
  }
  return stringify(rows, { escape_formulas: true })
}
