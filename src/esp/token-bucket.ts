import { type Clock, realClock } from './clock.js'

/** `urgent` goes before `patient`: a delivery of today is resolved before the backfill's next page. */
export type Priority = 'urgent' | 'patient'

interface Waiter {
  go(): void
}

/** A server's window is a minute as a rule. What claims more is a unit misread, and must not stop us for years. */
const longestWindow = 120_000

/**
 * Lets so many calls through per second, and as many at once as it has saved up. Waiters go in the order in which they
 * came, the urgent before the patient. What the server says of its own window (`learn`) only ever makes it stricter.
 */
export class TokenBucket {
  readonly #capacity: number
  readonly #perSecond: number
  readonly #clock: Clock
  readonly #waiting: Record<Priority, Waiter[]> = { urgent: [], patient: [] }
  #level: number
  #filledAt: number
  /** What the server will still take before its window ends. */
  #window = { left: Number.POSITIVE_INFINITY, until: 0 }
  #closedUntil = 0
  #cancelTimer: (() => void) | null = null

  /**
   * @param capacity calls that may go at once after a rest
   * @param perSecond tokens that come back each second
   * @param level tokens to start with; full by default
   */
  constructor({
    capacity,
    perSecond,
    level = capacity,
    clock = realClock,
  }: {
    capacity: number
    perSecond: number
    level?: number
    clock?: Clock
  }) {
    this.#capacity = capacity
    this.#perSecond = perSecond
    this.#clock = clock
    this.#level = Math.min(level, capacity)
    this.#filledAt = clock.now()
  }

  /** Resolves when it is this caller's turn; rejects with the signal's reason when the signal is aborted first. */
  take({ priority = 'patient', signal }: { priority?: Priority; signal?: AbortSignal } = {}): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const queue = this.#waiting[priority]
      const leave = () => {
        queue.splice(queue.indexOf(waiter), 1)
        reject(signal!.reason)
        this.#serve()
      }
      const waiter = {
        go() {
          signal?.removeEventListener('abort', leave)
          resolve()
        },
      }
      signal?.addEventListener('abort', leave, { once: true })
      queue.push(waiter)
      this.#serve()
    })
  }

  /** How many callers wait. */
  get waiting() {
    return this.#waiting.urgent.length + this.#waiting.patient.length
  }

  /**
   * Takes over what the server says (X-RateLimit-Remaining and -Reset): somebody else may be using the same key, or we
   * did before a restart.
   * @param remaining calls that the server still takes in its window
   * @param resetIn milliseconds until that window ends
   */
  learn({ remaining, resetIn }: { remaining: number; resetIn: number }) {
    if (!(remaining >= 0) || !(resetIn > 0)) return
    const until = this.#clock.now() + Math.min(resetIn, longestWindow)
    // The reset is told in whole seconds, so one window is heard to end at slightly different moments. Answers overtake
    // each other: within one window the lowest number is the newest.
    const same = Math.abs(until - this.#window.until) <= 2_000
    if (same) this.#window.left = Math.min(this.#window.left, remaining)
    else if (until > this.#window.until) this.#window = { left: remaining, until }
    this.#serve()
  }

  /** Calls that may go at once, now. */
  get level() {
    this.#fill()
    return Math.max(0, Math.floor(Math.min(this.#level, this.#window.left) + 1e-9))
  }

  /** Takes over that the server's own bucket holds no more than this, as somebody else may draw on it. */
  lower(tokens: number) {
    this.#fill()
    if (tokens >= 0) this.#level = Math.min(this.#level, tokens)
    this.#serve()
  }

  /** Lets nobody through for so long, as a 429 asks. */
  close(milliseconds: number) {
    this.#closedUntil = Math.max(this.#closedUntil, this.#clock.now() + milliseconds)
    this.#serve()
  }

  #serve() {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    while (this.waiting > 0) {
      const wait = this.#milliseconds()
      if (wait > 0) {
        this.#cancelTimer = this.#clock.after(wait, () => this.#serve())
        return
      }
      this.#level -= 1
      this.#window.left -= 1
      const next = this.#waiting.urgent.shift() ?? this.#waiting.patient.shift()
      next!.go()
    }
  }

  #fill() {
    const now = this.#clock.now()
    // A clock that was set back must not take tokens away.
    const seconds = Math.max(0, now - this.#filledAt) / 1000
    this.#level = Math.min(this.#capacity, this.#level + seconds * this.#perSecond)
    this.#filledAt = now
    if (now >= this.#window.until) this.#window.left = Number.POSITIVE_INFINITY
    return now
  }

  /** How long until the next call may go. */
  #milliseconds() {
    const now = this.#fill()
    return Math.max(
      this.#closedUntil - now,
      this.#window.left >= 1 ? 0 : this.#window.until - now,
      // A sum of tenths may miss one by a hair.
      this.#level >= 1 - 1e-9 ? 0 : Math.ceil(((1 - this.#level) / this.#perSecond) * 1000),
    )
  }
}
