/** A picture of steps, each a part of the one before: what `views/mailings/_counts.njk` draws. */
export interface Funnel {
  /** Widths of the bars that stand in for the stream on a narrow screen, in per cent of the first step. */
  widths: number[]
  /** The `d` of the stream in a box of 1000 × 100; empty where there is nothing to draw. */
  stream: string
}

const round = (value: number) => Math.round(value * 10) / 10

/** @param counts of each step, the first the whole */
export function funnelOf(counts: [number, ...number[]]): Funnel {
  const [whole] = counts
  // A step without anybody leaves no line; any other is at least seen.
  const heights = counts.map((count) =>
    whole === 0 || count === 0 ? 0 : Math.min(100, Math.max(1.2, (count / whole) * 100)),
  )
  return {
    widths: counts.map((count) => (whole === 0 ? 0 : round(Math.min(100, (count / whole) * 100)))),
    stream: whole === 0 ? '' : streamPath(heights),
  }
}

/** Each step is flat for a while and then bends to the height of the next; the last runs straight to the end. */
function streamPath(heights: number[]) {
  const wide = 1000 / heights.length
  const [flat, bend] = [wide * 0.62, wide * 0.81]
  const top = heights.map((height) => round(50 - height / 2))
  const bottom = heights.map((height) => round(50 + height / 2))
  const there = top.slice(1).map((next, step) => {
    const x = step * wide
    return `H${round(x + flat)}C${round(x + bend)} ${top[step]} ${round(x + bend)} ${next} ${round(x + wide)} ${next}`
  })
  const back = bottom
    .slice(0, -1)
    .map((next, step) => {
      const x = step * wide
      return `H${round(x + wide)}C${round(x + bend)} ${bottom[step + 1]} ${round(x + bend)} ${next} ${round(x + flat)} ${next}`
    })
    .toReversed()
  return `M0 ${top[0]}${there.join('')}H1000V${bottom.at(-1)}${back.join('')}H0Z`
}
