import files from 'node:fs'
import { type Logger, pino } from 'pino'
import type { Config } from './config.js'

/** One line of JSON for each thing that happened, on standard output; readable in a terminal during development. */
export function openLog(config: Pick<Config, 'NODE_ENV' | 'LOG_LEVEL'>): Logger {
  const options = { level: config.LOG_LEVEL, redact: ['req.headers.authorization', 'req.headers.cookie'] }
  if (config.NODE_ENV === 'development') return pino({ ...options, transport: { target: 'pino-pretty' } })
  const lines = new LogLines({
    lost: (lines, reason) => log.error({ lines, reason }, 'lines of the log were lost'),
  })
  const log: Logger = pino(options, lines)
  process.once('exit', () => lines.flushSync())
  return log
}

/** Prints a sentence for whoever watches the terminal. `console.log` would end the process where the disk is full. */
export function say(sentence: string) {
  try {
    files.writeSync(1, `${sentence}\n`)
  } catch {
    // Nobody can read it then.
  }
}

interface Options {
  /** What had to be dropped, told once when lines are taken again. @param reason a code such as `ENOSPC` */
  lost: (lines: number, reason: string) => void
  fd?: number
  /** Characters that may wait for a disk that is full, or a pipe that nobody empties. */
  holds?: number
  /** How it is written, so that tests can have a full disk. */
  disk?: Pick<typeof files, 'write' | 'writeSync'>
}

/** Milliseconds after which what was refused is tried again. */
const retryAfter = 100
/** Tries at the end of the process, for a pipe that is full just then. */
const lastTries = 10

/**
 * Where lines of a log go. Nobody waits for them, and whatever becomes of them, the process goes on: while the disk is
 * full (or the pipe has no reader) they wait in memory, as many as may, and the rest is dropped and counted. After the
 * first one that is dropped all are, until something is taken again: then the log has one gap, and says so in its place.
 */
export class LogLines {
  readonly #needs: Required<Options>
  /** What is being written next, or was refused. */
  #head: Buffer = Buffer.alloc(0)
  #waiting = ''
  /** A write is under way, or follows by itself. */
  #isBusy = false
  #isUnderWay = false
  #lost = 0
  #reason = ''

  constructor({ fd = 1, holds = 2 ** 20, disk = files, lost }: Options) {
    this.#needs = { fd, holds, disk, lost }
  }

  /** @param line with its line break */
  write(line: string) {
    if (this.#lost > 0 || this.#held > this.#needs.holds) {
      this.#lost++
      return
    }
    this.#waiting += line
    if (this.#isBusy) return
    this.#isBusy = true
    setImmediate(() => this.#flush()) // what comes in the same turn is written at once
  }

  /** What still waits is written while nothing else is done, for the end of the process. Where it is refused, it is gone. */
  flushSync() {
    const { disk, fd } = this.#needs
    let left = Buffer.concat([this.#isUnderWay ? Buffer.alloc(0) : this.#head, Buffer.from(this.#waiting)])
    this.#waiting = ''
    if (!this.#isUnderWay) this.#head = Buffer.alloc(0)
    for (let tries = 0; left.length > 0 && tries < lastTries; ) {
      try {
        left = left.subarray(disk.writeSync(fd, left))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return
        tries++
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryAfter)
      }
    }
  }

  get #held() {
    return this.#head.length + this.#waiting.length
  }

  #flush() {
    const { disk, fd, holds } = this.#needs
    if (this.#head.length === 0) {
      this.#head = Buffer.from(this.#waiting)
      this.#waiting = ''
    }
    this.#isBusy = this.#head.length > 0
    if (!this.#isBusy) return
    this.#isUnderWay = true
    disk.write(fd, this.#head, (error, written) => {
      this.#isUnderWay = false
      if (error) {
        this.#reason = error.code ?? error.message
        setTimeout(() => this.#flush(), retryAfter).unref()
        return
      }
      this.#head = this.#head.subarray(written)
      if (this.#lost > 0 && this.#held <= holds / 2) this.#tell()
      this.#flush()
    })
  }

  #tell() {
    const [lines, reason] = [this.#lost, this.#reason || 'nobody reads them']
    this.#lost = 0
    this.#reason = ''
    this.#needs.lost(lines, reason)
  }
}
