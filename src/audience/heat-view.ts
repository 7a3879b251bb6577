import { weekdays } from '../web/calendar.js'
import { number, percent, plural } from '../web/formats.js'
import { type Heat, heatDays, type Slot } from './best-hour.js'

/** The density of a share of one: 0 for none, else 1 to 9. */
export const level = (share: number) => (share <= 0 ? 0 : Math.min(9, Math.max(1, Math.ceil(share * 9))))

const rowHeight = 26
const percentWide = 100 / 24

/** A heatmap as views/audience/_heat.njk draws it, with its numbers and its answer in a sentence. */
export function shownHeat({ cells, total, best, second, sureness }: Heat, what: 'opens' | 'clicks') {
  const most = best?.count ?? 0
  const noun = (count: number) =>
    what === 'opens' ? plural(count, 'open', 'opens') : plural(count, 'click', 'clicks')
  const x = (hour: number) => `${(hour * percentWide).toFixed(2)}%`
  return {
    total,
    totalWords: noun(total),
    days: heatDays,
    most,
    mostWords: noun(most),
    rows: cells.map((row, weekday) => ({
      day: weekdays[weekday]!,
      short: weekdays[weekday]!.slice(0, 3),
      y: weekday * rowHeight,
      cells: row.map((count, hour) => ({
        x: x(hour),
        count,
        level: most === 0 ? 0 : level(count / most),
        title: `${weekdays[weekday]!.slice(0, 3)} ${hour}:00, ${noun(count)}`,
      })),
    })),
    width: `${percentWide.toFixed(2)}%`,
    rowHeight,
    hours: Array.from({ length: 24 }, (_, hour) => ({
      name: `${hour}:00`,
      counts: cells.map((row) => row[hour]!),
      total: cells.reduce((sum, row) => sum + row[hour]!, 0),
    })),
    dayTotals: cells.map((row) => row.reduce((sum, count) => sum + count, 0)),
    ticks: [0, 3, 6, 9, 12, 15, 18, 21].map((hour) => ({
      x: x(hour),
      name: `${hour}:00`,
      isMinor: hour % 6 > 0,
    })),
    peak: best && { x: x(best.hour), y: best.weekday * rowHeight },
    sentence:
      best === null ? '' : `Most ${what} come ${slotWords(best)}: ${number(best.count)} of ${number(total)}.`,
    sureness: best === null ? '' : surenessWords(best, second, sureness),
  }
}

const slotWords = ({ weekday, hour }: Slot) =>
  `on ${weekdays[weekday]} from ${hour}:00 to ${(hour + 1) % 24}:00`

/** How far the best slot can be trusted, in a sentence. */
function surenessWords(best: Slot, second: Slot | null, sureness: number | null) {
  if (second === null || sureness === null)
    return 'That is too little to tell it from chance: it takes 100 events over four weeks.'
  const other = `${slotWords(second)} (${number(second.count)})`
  const probability = percent(Math.min(sureness, 0.99), 0)
  return sureness >= 0.95
    ? `It is well ahead: with a probability of ${probability} it also leads ${other} in the long run.`
    : `That is not sure: ${other} may be as good. The probability that ${weekdays[best.weekday]} at ${best.hour}:00 really leads is ${probability}.`
}
