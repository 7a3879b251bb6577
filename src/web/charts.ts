/** Small pictures drawn on the server, as SVG paths: they need no script and no style attribute. */
export interface Sparkline {
  /** The `d` of the line; a day without a value is a gap. */
  line: string
  /** The same for the span before, drawn behind; empty without one. */
  before: string
  /** A zero-length line with a round cap: it stays round when the picture is stretched. Empty without a last value. */
  dot: string
}

const width = 100
/** Room above and below for the line's own thickness, in a picture 24 high. */
const top = 2
const bottom = 22

/**
 * A line in a box of 100 × 24, to be stretched to any size.
 * @param options.before the values of the span before, on the same scale
 * @param options.fromZero puts zero at the bottom; otherwise the scale is cut to the values
 */
export function sparkline(
  values: (number | null)[],
  { before = [], fromZero = false }: { before?: (number | null)[]; fromZero?: boolean } = {},
): Sparkline {
  const known = [...values, ...before].filter((value) => value !== null)
  const low = fromZero ? 0 : Math.min(...known)
  const high = Math.max(...known)
  const y = (value: number) => {
    // A line that never moves lies at the bottom when it is zero, else in the middle.
    if (high === low) return high === 0 ? bottom : (top + bottom) / 2
    return bottom - ((value - low) / (high - low)) * (bottom - top)
  }
  const last = values.at(-1)
  return {
    line: path(values, y),
    before: path(before, y),
    dot: last === undefined || last === null ? '' : `M${width} ${short(y(last))}h0`,
  }
}

function path(values: (number | null)[], y: (value: number) => number) {
  const x = (index: number) => (values.length === 1 ? width : (index / (values.length - 1)) * width)
  const isKnown = (index: number) => values[index] !== null && values[index] !== undefined
  return values
    .map((value, index) => {
      if (value === null) return ''
      const point = `${short(x(index))} ${short(y(value))}`
      if (isKnown(index - 1)) return ` ${point}`
      // A value between two gaps is a dot: a zero-length line with a round cap.
      return isKnown(index + 1) ? `M${point}` : `M${point}h0`
    })
    .join('')
}

const short = (value: number) => String(Math.round(value * 10) / 10)
