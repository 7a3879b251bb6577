import type { Readers } from '../database/readers.js'
import { type Calendar, dayLength, weekdays } from '../web/calendar.js'
import { number, plural } from '../web/formats.js'

/** Clicks on an offer by weekday (0 is Monday) and hour of the reporting time zone, since an instant. */
export async function readHeat(readers: Readers, calendar: Calendar, offer: number, since: number) {
  const rows = await readers
    .selectFrom('promo_quarters')
    .select(['quarter_at', 'clicks'])
    .where('offer_id', '=', offer)
    .where('quarter_at', '>=', since)
    .where('clicks', '>', 0)
    .execute()
  const offsetAt = offsets(calendar.timeZone)
  const cells = weekdays.map(() => Array.from({ length: 24 }, () => 0))
  for (const { quarter_at, clicks } of rows) {
    const local = new Date(quarter_at + offsetAt(quarter_at))
    cells[(local.getUTCDay() + 6) % 7]![local.getUTCHours()]! += clicks
  }
  return cells
}

/** How far a zone's clocks are ahead of UTC, in milliseconds. Most days need a look at their beginning and end alone. */
function offsets(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    hourCycle: 'h23',
  })
  const known = new Map<number, number>()
  function read(at: number) {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
    return Date.UTC(parts.year!, parts.month! - 1, parts.day!, parts.hour!, parts.minute!) - at
  }
  function offsetAt(at: number) {
    let offset = known.get(at)
    if (offset === undefined) {
      offset = read(at)
      known.set(at, offset)
    }
    return offset
  }
  return (at: number) => {
    const day = Math.floor(at / dayLength) * dayLength
    const offset = offsetAt(day)
    return offset === offsetAt(day + dayLength) ? offset : offsetAt(at)
  }
}

const rowHeight = 26

/** The heatmap as its view draws it. */
export function heatOf(cells: number[][]) {
  const most = Math.max(...cells.flat())
  const total = cells.flat().reduce((sum, clicks) => sum + clicks, 0)
  const peak = { weekday: 0, hour: 0 }
  for (const [weekday, row] of cells.entries())
    for (const [hour, clicks] of row.entries())
      if (clicks === most && cells[peak.weekday]![peak.hour]! < most) Object.assign(peak, { weekday, hour })
  const at = (hour: number) => `${((hour / 24) * 100).toFixed(2)}%`
  const clock = (hour: number) => `${hour}:00`
  return {
    total,
    most,
    rowHeight,
    width: '4.17%',
    rows: cells.map((row, weekday) => ({
      name: weekdays[weekday]!,
      short: weekdays[weekday]!.slice(0, 3),
      y: weekday * rowHeight,
      cells: row.map((clicks, hour) => ({
        clicks,
        x: at(hour),
        level: clicks === 0 ? 0 : Math.max(1, Math.round((clicks / most) * 9)),
        title: `${weekdays[weekday]!.slice(0, 3)} ${clock(hour)}, ${plural(clicks, 'click', 'clicks')}`,
      })),
    })),
    peak: { x: at(peak.hour), y: peak.weekday * rowHeight },
    ticks: [0, 3, 6, 9, 12, 15, 18, 21].map((hour) => ({
      x: at(hour),
      name: clock(hour),
      isMinor: hour % 6 !== 0,
    })),
    sentence:
      total === 0
        ? ''
        : `Most clicks come on ${weekdays[peak.weekday]} at ${clock(peak.hour)}, ${number(most)} of ${number(total)}.`,
  }
}
