import type { Clock } from '../../src/esp/clock.js'

/** Saturday 21 November 2026, 10:00 UTC, as in every test. */
const start = Date.UTC(2026, 10, 21, 10)

/** Lets everything that is ready to run do so. */
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

interface Timer {
  due: number
  run(): void
}

/** A clock whose hands move only when told to; timers run when their moment is passed. */
export function handClock(at = start) {
  const timers = new Set<Timer>()
  return {
    now: () => at,
    after(milliseconds: number, run: () => void) {
      const timer = { due: at + milliseconds, run }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    /** How many timers are set. */
    get timers() {
      return timers.size
    },
    /** Moves on by so many milliseconds, timer by timer. */
    async pass(milliseconds: number) {
      const end = at + milliseconds
      for (;;) {
        const next = [...timers].filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0]
        if (!next) break
        timers.delete(next)
        at = Math.max(at, next.due)
        next.run()
        await settled()
      }
      at = end
      await settled()
    },
  } satisfies Clock & Record<string, unknown>
}

/**
 * A clock that leaps to the end of each wait at once, so that backing off takes no time.
 * @param holds the one delay that never comes by itself: the time a request may take
 */
export function leapingClock({ at = start, holds = 20_000 } = {}) {
  const held = new Set<() => void>()
  const waits: number[] = []
  return {
    now: () => at,
    after(milliseconds: number, run: () => void) {
      if (milliseconds === holds) {
        held.add(run)
        return () => void held.delete(run)
      }
      waits.push(milliseconds)
      const immediate = setImmediate(() => {
        at += milliseconds
        run()
      })
      return () => clearImmediate(immediate)
    },
    /** Every wait so far, in milliseconds. */
    waits,
    /** Lets every request under way run out of time. */
    runOut() {
      at += holds
      for (const run of [...held]) run()
      held.clear()
    },
  } satisfies Clock & Record<string, unknown>
}
