import { onTestFinished, vi } from 'vitest'

/**
 * From now on `Date` goes on from an instant, and may be moved: as a machine's own clock is set, under a process that
 * runs. Timers are not concerned.
 */
export function aMovedClock(at: number) {
  const Real = Date
  let off = at - Real.now()
  const now = () => Real.now() + off
  const Moved = new Proxy(Real, {
    get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length ? args : [now()], newTarget),
  })
  vi.stubGlobal('Date', Moved)
  onTestFinished(() => void vi.unstubAllGlobals())
  return {
    /** As tests know their clock. */
    get at() {
      return now()
    },
    now,
    pass(milliseconds: number) {
      off += milliseconds
    },
    /** Sets it to an instant. */
    set(instant: number) {
      off = instant - Real.now()
    },
  }
}
