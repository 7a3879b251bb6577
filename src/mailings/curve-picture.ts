import type { Column } from './statistics.js'

/** Curves side by side, as SVG: no script, no style attribute. The plot is 256 high, its lines lie in a box of their own. */
export interface CurvePicture {
  /** Lines across, from zero up, and what they stand for as a share of one. */
  ticks: { y: number; share: number }[]
  /** `anchor` is the class that keeps the first and the last inside the picture. */
  marks: { x: string; hour: number; anchor: '' | 'mid' | 'end'; isMinor: boolean }[]
  /** `path` is the `d` in a box of 1000 × 200; `end` is where the letter of the line stands. Empty: nothing is known. */
  lines: { path: string; end: { x: string; y: number } | null }[]
}

/** The box of the lines in the plot; the rest of its width is for the letters at their ends. */
export const plot = { top: 10, height: 222, width: 96 }
/** Letters closer than this, in pixels, would lie on each other. */
const apart = 13
/** Lines that end further from each other, in per cent of the width, do not meet with their letters. */
const nearby = 4

const round = (value: number) => Math.round(value * 10) / 10
const steps = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1]

/**
 * @param curves shares of one, a column for each, with a row for each of the hours; NaN is a gap
 * @param hours ascending, from 0
 * @param marks the hours that are named on the axis
 */
export function curvePicture(
  curves: readonly Column[],
  hours: Column,
  marks: readonly number[],
): CurvePicture {
  const highest = Math.max(
    0,
    ...curves.map((curve) => curve.reduce((most, value) => (value > most ? value : most), 0)),
  )
  const step = steps.find((size) => highest / size <= 5) ?? Math.ceil(highest / 5)
  const top = step * Math.max(1, Math.ceil(highest / step))
  const last = hours.at(-1)!
  const x = (hour: number) => `${round((hour / last) * plot.width)}%`
  const y = (share: number) => plot.top + (1 - share / top) * plot.height
  const lines = curves.map((curve) => {
    let end = -1
    for (let row = 0; row < curve.length; row++) if (!Number.isNaN(curve[row]!)) end = row
    return {
      path: pathOf(curve, hours, top),
      end: end < 1 ? null : { x: x(hours[end]!), y: y(curve[end]!) },
    }
  })
  setApart(lines.flatMap(({ end }) => (end ? [end] : [])))
  const count = Math.round(top / step)
  return {
    ticks: Array.from({ length: count + 1 }, (_, index) => ({
      y: round(y(index * step)),
      share: index * step,
    })),
    marks: marks.map((hour, index) => ({
      x: x(hour),
      hour,
      anchor: index === 0 ? '' : index === marks.length - 1 ? 'end' : 'mid',
      isMinor: index % 2 === 1,
    })),
    lines: lines.map(({ path, end }) => ({ path, end: end && { x: end.x, y: round(end.y + 4) } })),
  }
}

function pathOf(curve: Column, hours: Column, top: number) {
  let path = ''
  let isDrawing = false
  for (let row = 0; row < curve.length; row++) {
    const share = curve[row]!
    if (Number.isNaN(share)) {
      isDrawing = false
      continue
    }
    path += `${isDrawing ? ' ' : 'M'}${round((hours[row]! / hours.at(-1)!) * 1000)} ${round(200 - (share / top) * 200)}`
    isDrawing = true
  }
  return path
}

/**
 * Moves letters up until none lies on another that ends nearby, the lowest first, so that their order stays; and all of
 * them down again where that led above the plot.
 */
function setApart(ends: { x: string; y: number }[]) {
  const placed: typeof ends = []
  for (const end of ends.toSorted((one, other) => other.y - one.y)) {
    const near = placed.filter(({ x }) => Math.abs(Number.parseFloat(x) - Number.parseFloat(end.x)) < nearby)
    for (const { y } of near) if (Math.abs(end.y - y) < apart) end.y = y - apart
    placed.push(end)
  }
  const over = plot.top - Math.min(plot.top, ...ends.map(({ y }) => y))
  if (over > 0) for (const end of ends) end.y += over
}
