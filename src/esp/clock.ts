/** Time as the providers' clients see it, so that tests can stop it. */
export interface Clock {
  /** UTC milliseconds. */
  now(): number
  /**
   * Runs something once, so many milliseconds from now.
   * @returns what cancels it
   */
  after(milliseconds: number, run: () => void): () => void
}

export const realClock: Clock = {
  now: Date.now,
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return () => clearTimeout(timer)
  },
}

/** Waits, or rejects with the signal's reason as soon as that is aborted. */
export function pause(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      cancel()
      reject(signal!.reason)
    }
    const cancel = clock.after(milliseconds, () => {
      signal?.removeEventListener('abort', stop)
      resolve()
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}
