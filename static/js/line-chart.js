// <line-chart> draws the table inside it. Whoever refreshes the table need not know: the chart watches it.

/** Fetched where there is a chart, and not before. */
let uPlot = null
const loaded = () => import('../vendor/uPlot.js').then((module) => (uPlot = module.default))

const strokes = {
  before_email_clicks: { colour: '--ghost-3', width: 1, dash: [4, 4] },
  before_landing_clicks: { colour: '--ghost-4', width: 1, dash: [4, 4] },
  before_conversions: { colour: '--ghost-5', width: 1, dash: [4, 4] },
  email_clicks: { colour: '--step-3', width: 1.5, area: true },
  landing_clicks: { colour: '--step-4', width: 1.5 },
  conversions: { colour: '--step-5', width: 2 },
  people: { colour: '--text-soft', width: 1.5, dash: [4, 3] },
  opens: { colour: '--step-2', width: 1.5, area: true },
  clicks: { colour: '--step-3', width: 2 },
  left: { colour: '--negative', width: 1.5 },
  joined: { colour: '--step-4', width: 2 },
  ctr: { colour: '--step-4', width: 2 },
  sent: { colour: '--step-4', width: 2, area: true },
  open_rate: { colour: '--step-2', width: 2 },
  click_rate: { colour: '--step-3', width: 2 },
  new_opens: { colour: '--ghost-3', width: 1 },
  new_clicks: { colour: '--ghost-4', width: 1 },
  opens_average: { colour: '--step-2', width: 2 },
  clicks_average: { colour: '--step-4', width: 2 },
  unsubscribed: { colour: '--text-soft', width: 1.5, dash: [4, 3] },
  pending: { colour: '--ghost', width: 1.5 },
  subscribed: { colour: '--step-4', width: 2 },
  low: { colour: 'band', width: 0 },
  high: { colour: 'band', width: 0 },
  usual: { colour: '--ghost', width: 1.5, dash: [4, 4] },
  this: { colour: '--step-5', width: 2 },
}
/** A raw value, or null where there is none: an empty one is no zero. */
const rawValue = (text) => (text === '' ? null : Number(text))
/**
 * How a value reads: a share of one as per cent, where the chart says so (`data-format="percent"`). Other numbers have as
 * many decimals as it says (`data-decimals`), or one where they need it.
 */
const told = (value, isShare, decimals = 1, least = 0) =>
  value === null
    ? '–'
    : isShare
      ? `${(value * 100).toFixed(decimals)}%`
      : value.toLocaleString('en-US', {
          minimumFractionDigits: least,
          maximumFractionDigits: Math.max(1, least),
        })
/** Is something unknown between two values? A line that has not come to the end yet has no gap. */
const hasGap = (values) => {
  const isKnown = (value) => value !== null
  return values.slice(values.findIndex(isKnown), values.findLastIndex(isKnown) + 1).includes(null)
}
/** The period before lies behind, what matters most in front. */
const order = Object.keys(strokes)
const height = 256
const narrow = 34 * 16

class LineChart extends HTMLElement {
  #plot = null
  #data = null
  #colours = {}
  #abort = new AbortController()
  #table = new MutationObserver(() => this.#draw())
  #size = new ResizeObserver(() => this.#fit())

  async connectedCallback() {
    const abort = new AbortController()
    this.#abort = abort
    // With a chart to look at, the numbers are one click away. A refresh leaves them as somebody put them.
    const numbers = this.querySelector('.numbers')
    numbers.open = false
    try {
      await (uPlot ?? loaded())
    } catch {
      numbers.open = true
      return
    }
    if (abort.signal.aborted) return
    this.#draw()
    this.#table.observe(this.querySelector('table'), {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true,
    })
    this.#size.observe(this.#canvas)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', () => this.#recolour(), { signal: abort.signal })
  }
  disconnectedCallback() {
    this.#abort.abort()
    this.#table.disconnect()
    this.#size.disconnect()
    this.#plot?.destroy()
    this.#plot = null
  }

  get #isShare() {
    return this.dataset.format === 'percent'
  }
  get #canvas() {
    return this.querySelector('.chart__canvas')
  }

  /** The table as uPlot wants it: instants in seconds, then one list of numbers for each series. */
  #read() {
    const heads = [...this.querySelectorAll('thead [data-series]')].map((head) => head.dataset.series)
    const rows = [...this.querySelectorAll('tbody tr')]
    const times = rows.map((row) => row.querySelector('time'))
    const series = order
      .filter((name) => heads.includes(name))
      .map((name) => {
        const column = heads.indexOf(name)
        return { name, values: rows.map((row) => rawValue(row.querySelectorAll('td')[column].dataset.value)) }
      })
    return {
      instants: times.map((time) => Date.parse(time.dateTime) / 1000),
      names: times.map((time) => time.textContent),
      series,
    }
  }

  #draw() {
    const data = this.#read()
    if (data.instants.length === 0) return
    const columns = [data.instants, ...data.series.map(({ values }) => values)]
    const same =
      this.#data?.series.map(({ name }) => name).join() === data.series.map(({ name }) => name).join()
    this.#data = data
    if (this.#plot && same) this.#plot.setData(columns)
    else {
      this.#plot?.destroy()
      this.#canvas.replaceChildren()
      this.#plot = new uPlot(this.#options(data), columns, this.#canvas)
    }
    this.#readOut(this.#plot.cursor.idx ?? null)
  }

  #options({ series }) {
    this.#resolve()
    const zone = this.dataset.zone
    const colour = (name) => () => this.#colours[name]
    const axis = {
      stroke: colour('--text-quiet'),
      font: `12px ${getComputedStyle(this).fontFamily}`,
      ticks: { show: false },
    }
    return {
      width: this.#canvas.clientWidth,
      height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      padding: [8, 0, 0, 0],
      legend: { show: false },
      scales: {
        y: {
          range: (_plot, low, high) => [
            Math.min(low ?? 0, 0),
            uPlot.rangeNum(0, Math.max(high ?? 0, this.#isShare ? 0.04 : 4), 0.1, true)[1],
          ],
        },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 28,
          gap: 8,
          space: () => (this.clientWidth < narrow ? 76 : 96),
          splits: this.dataset.start
            ? (plot) => this.#sinceStart(plot)
            : ['week', 'month'].includes(this.dataset.unit)
              ? (plot) => this.#begins(plot)
              : undefined,
          values: (plot, splits) => this.#ticks(plot, splits),
        },
        {
          ...axis,
          // As wide as its longest number: 46 px hold five characters.
          size: (_plot, values) => Math.max(46, ...(values ?? []).map((text) => 14 + text.length * 7)),
          gap: 10,
          space: 44,
          incrs: this.#isShare
            ? [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
            : [
                1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6,
                5e6, 1e7,
              ],
          grid: { stroke: colour('--line'), width: 1 },
          values: (_plot, splits) => splits.map((split) => told(split, this.#isShare, 0)),
        },
      ],
      // What lies between the two is one surface.
      bands: series.some(({ name }) => name === 'high')
        ? [
            {
              series: ['high', 'low'].map((edge) => series.findIndex(({ name }) => name === edge) + 1),
              fill: colour('band'),
            },
          ]
        : [],
      cursor: {
        y: false,
        // The line stands on a point, never between two.
        move: (plot, left, top) => [
          left < 0 ? left : plot.valToPos(plot.data[0][plot.posToIdx(left)], 'x'),
          top,
        ],
        drag: { x: false, y: false },
        points: {
          // With its halo: 7 px remain for the dot.
          size: (_plot, index) => (strokes[series[index - 1].name].width === 0 ? 0 : 11),
          width: 2,
          stroke: colour('--canvas'),
          fill: (_plot, index) => this.#colours[strokes[series[index - 1].name].colour],
        },
      },
      series: [
        {},
        ...series.map(({ name, values }) => {
          const { colour: ink, width, dash, area } = strokes[name]
          return {
            stroke: colour(ink),
            width,
            dash,
            // Where some periods have no value, those that have one are seen as points on the line through them.
            spanGaps: true,
            points:
              width > 0 && (values.length === 1 || hasGap(values))
                ? { show: true, size: 4 }
                : { show: false },
            ...(area && { fill: colour('area') }),
          }
        }),
      ],
      hooks: { setCursor: [(plot) => this.#readOut(plot.cursor.idx ?? null)] },
    }
  }

  /** Weeks and months are marked where they begin, as many as there is room for. */
  #begins(plot) {
    const [begins] = plot.data
    const room = Math.max(1, Math.floor(plot.width / (plot.width < narrow ? 76 : 96)))
    const each = Math.ceil(begins.length / room)
    return begins.filter((_, index) => index % each === 0)
  }

  /** Hours or days since the mailing was sent, as many as there is room for. */
  #sinceStart(plot) {
    const start = Date.parse(this.dataset.start) / 1000
    const hours = (plot.data[0].at(-1) - start) / 3600
    const room = Math.max(2, Math.floor(plot.width / (plot.width < narrow ? 76 : 96)))
    const steps = [1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 336, 720, 2160, 8760].filter(
      (each) => each >= 24 || this.dataset.unit !== 'day',
    )
    const step = steps.find((each) => hours / each <= room) ?? Math.ceil(hours / room)
    return Array.from({ length: Math.floor(hours / step) + 1 }, (_, index) => start + index * step * 3600)
  }

  /** Days by their date, hours by the clock, in the reporting time zone. */
  #ticks(plot, splits) {
    const timeZone = this.dataset.zone
    const step = splits.length > 1 ? splits[1] - splits[0] : 86_400
    const format = (options) => {
      const written = new Intl.DateTimeFormat('en-GB', { timeZone, ...options })
      // British English alone abbreviates September to four letters.
      return { format: (instant) => written.format(instant).replace('Sept', 'Sep') }
    }
    const clock = format({ hour: '2-digit', minute: '2-digit' })
    const day = format({ day: 'numeric', month: 'short' })
    const weekday = format({ weekday: 'short' })
    const month = format({ month: 'short', year: 'numeric' })
    const width = plot.bbox.width / devicePixelRatio
    const { unit } = this.dataset
    const byMonth = unit === 'month' || (unit !== 'week' && step >= 28 * 86_400)
    const half = byMonth ? 32 : 22
    const start = Date.parse(this.dataset.start)
    return splits.map((seconds) => {
      const instant = seconds * 1000
      // A label that would be cut at the edge is left out.
      const place = plot.valToPos(seconds, 'x')
      if (place < 0 || place > width - half) return ''
      if (start) {
        const hours = Math.round((instant - start) / 3_600_000)
        return splits.at(-1) * 1000 - start > 96 * 3_600_000
          ? `${Number((hours / 24).toFixed(1))} d`
          : `${hours} h`
      }
      if (byMonth) return month.format(instant)
      if (step < 86_000)
        return clock.format(instant) === '00:00' ? day.format(instant) : clock.format(instant)
      if (unit === 'hour') return `${weekday.format(instant)} ${format({ day: 'numeric' }).format(instant)}`
      return day.format(instant)
    })
  }

  /** The legend is the readout: the point under the cursor, or else the last. */
  #readOut(index) {
    if (!this.#data) return
    const { instants, names, series } = this.#data
    // Left alone, it tells the last of what matters most.
    const last = series.at(-1).values.findLastIndex((value) => value !== null)
    const at = index ?? (last < 0 ? instants.length - 1 : last)
    const legend = this.querySelector('.chart__legend')
    const time = legend.querySelector('time')
    time.dateTime = new Date(instants[at] * 1000).toISOString()
    time.textContent = names[at]
    for (const { name, values } of series) {
      const figure = legend.querySelector(`[data-series="${name}"]`)
      if (!figure) continue
      figure.dataset.value = values[at] ?? ''
      figure.textContent = told(values[at], this.#isShare, 1, Number(this.dataset.decimals ?? 0))
    }
  }

  /** A canvas knows no custom properties: ask an element what they come to in this scheme. */
  #resolve() {
    const probe = document.createElement('span')
    probe.hidden = true
    this.append(probe)
    const resolve = (colour) => {
      probe.style.color = colour
      return getComputedStyle(probe).color
    }
    const inks = Object.values(strokes).map(({ colour }) => colour)
    this.#colours.band = resolve('light-dark(var(--paper-3), var(--night-3))')
    for (const name of [...inks.filter((ink) => ink !== 'band'), '--line', '--canvas', '--text-quiet'])
      if (!/^--ghost-\d/.test(name)) this.#colours[name] = resolve(`var(${name})`)
    // Grey as all that was before, with a trace of its own ink: three ghosts can be told apart.
    for (const step of [3, 4, 5])
      this.#colours[`--ghost-${step}`] = resolve(`color-mix(in oklab, var(--step-${step}) 40%, var(--ghost))`)
    this.#colours.area = resolve('color-mix(in srgb, var(--step-3) 16%, transparent)')
    probe.remove()
  }
  #recolour() {
    this.#resolve()
    this.#plot?.redraw(false, true)
  }
  #fit() {
    const width = this.#canvas.clientWidth
    if (this.#plot && width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height })
  }
}

customElements.define('line-chart', LineChart)
