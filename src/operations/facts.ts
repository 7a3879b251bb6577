/** One figure for Prometheus: https://prometheus.io/docs/concepts/metric_types/ */
export interface Metric {
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  values: { labels?: Record<string, string | number>; value: number; metricName?: string }[]
}

/** One line of the page Operations, with words for who reads it. */
export interface OperationsLine {
  name: string
  /** An instant in milliseconds, which the page tells as how long ago. */
  at?: number | null
  words: string
  /** Where to look further. */
  href?: string
  isWell: boolean
}

/** Something that may be wrong. Where it is, the alert of that name is told, and cleared when it no longer is. */
export interface Trouble {
  /** Such as `backup late`; one alert for each name. */
  name: string
  /** What is wrong, for a person. No e-mail address, no key. */
  sentence: string
}

/** What a room tells operations of itself; each part only if it has something to tell. */
export interface OperationsRoom {
  /** Read when somebody asks for /metrics: bounded, and cheap at any size of the database. */
  metrics?(): Promise<Metric[]>
  lines?(): Promise<OperationsLine[]>
  /** A word such as `jobs`, and whether it is well: told to strangers at /readyz. */
  ready?: { name: string; isWell(): Promise<boolean> }
  troubles?(): Promise<Trouble[]>
}

/** Where rooms enter what /metrics, /readyz, the page Operations and the alerts are made of. */
export class OperationsFacts {
  readonly #rooms: OperationsRoom[] = []

  enter(room: OperationsRoom) {
    this.#rooms.push(room)
  }
  async metrics(): Promise<Metric[]> {
    return (await Promise.all(this.#rooms.map((room) => room.metrics?.() ?? []))).flat()
  }
  async lines(): Promise<OperationsLine[]> {
    return (await Promise.all(this.#rooms.map((room) => room.lines?.() ?? []))).flat()
  }
  async troubles(): Promise<Trouble[]> {
    return (await Promise.all(this.#rooms.map((room) => room.troubles?.() ?? []))).flat()
  }
  async readiness(): Promise<Record<string, boolean>> {
    const told = this.#rooms.flatMap(({ ready }) => (ready ? [ready] : []))
    // What cannot be found out is not well.
    const well = await Promise.all(told.map(({ isWell }) => isWell().catch(() => false)))
    return Object.fromEntries(told.map(({ name }, index) => [name, well[index]!]))
  }
}
