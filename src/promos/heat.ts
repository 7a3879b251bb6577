import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { number, plural } from '../web/formats.js'

export const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']

/** Clicks on an offer by weekday (0 is Monday) and hour of the reporting time zone, since an instant. */
export async function readHeat(readers: Readers, calendar: Calendar, offer: number, since: number) {
  const rows = await readers
    .selectFrom('promo_hours')
    .select(['hour_at', 'clicks'])
    .where('offer_id', '=', offer)
    .where('hour_at', '>=', since)
    .where('clicks', '>', 0)
    .execute()
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: calendar.timeZone,
    weekday: 'long',
    hour: '2-digit',
    hourCycle: 'h23',
  })
  const cells = weekdays.map(() => Array.from({ length: 24 }, () => 0))
  for (const { hour_at, clicks } of rows) {
    const parts = Object.fromEntries(format.formatToParts(hour_at).map(({ type, value }) => [type, value]))
    cells[weekdays.indexOf(parts.weekday!)]![Number(parts.hour)]! += clicks
  }
  return cells
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
