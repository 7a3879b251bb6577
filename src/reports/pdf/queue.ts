/** So many at once, so many waiting; whoever waits is let in by order of arrival. */
export class Turns {
  #free: number
  #waiting: { enter: () => void; refuse: (error: Error) => void }[] = []
  #closed: Error | null = null

  constructor(
    atOnce: number,
    readonly most: number,
  ) {
    this.#free = atOnce
  }

  get waiting() {
    return this.#waiting.length
  }

  /**
   * Waits for a turn, which `leave` gives back.
   * @returns false when as many wait already as may
   * @throws the reason of the signal, or what `close` was given
   */
  async take(signal?: AbortSignal): Promise<boolean> {
    signal?.throwIfAborted()
    if (this.#closed) throw this.#closed
    if (this.#free > 0) {
      this.#free--
      return true
    }
    if (this.#waiting.length >= this.most) return false
    await new Promise<void>((enter, refuse) => {
      // After whatever else has waited meanwhile: one report after another would leave nobody else a turn of the event loop.
      const turn = {
        enter: () => done(() => setImmediate(enter)),
        refuse: (error: Error) => done(() => refuse(error)),
      }
      const giveUp = () => {
        this.#waiting = this.#waiting.filter((other) => other !== turn)
        turn.refuse(signal!.reason)
      }
      const done = (go: () => void) => {
        signal?.removeEventListener('abort', giveUp)
        go()
      }
      signal?.addEventListener('abort', giveUp)
      this.#waiting.push(turn)
    })
    return true
  }

  leave() {
    const next = this.#waiting.shift()
    if (next) next.enter()
    else this.#free++
  }

  /** Refuses whoever waits and whoever comes. */
  close(reason: Error) {
    this.#closed = reason
    for (const { refuse } of this.#waiting.splice(0)) refuse(reason)
  }
}
