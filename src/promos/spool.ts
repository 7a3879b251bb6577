import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { type FileHandle, open, readFile, truncate, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** What is done to files, so that tests can have a full disk. */
export const disk = {
  append: (file: FileHandle, bytes: Buffer) => file.appendFile(bytes),
  truncate: (path: string, size: number) => truncate(path, size),
  /** Bytes that are left to write. */
  room(folder: string) {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  },
}

/** The spool holds as much as it may, or the disk has no room even for it. */
export class SpoolFull extends Error {
  constructor(options?: ErrorOptions) {
    super('The spool cannot take more.', options)
  }
}

interface Options {
  /** A folder for this spool alone; it is made when missing. */
  folder: string
  /** The most bytes that may wait. */
  capacity?: number
  /** Bytes that are kept occupied, to be given up when the disk is full: the database may have filled it. */
  reserve?: number
  /** Bytes after which a new file is begun. */
  segment?: number
}

interface Waiting {
  line: string
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * Where facts wait on disk while the database cannot be written. A line is a fact; `append` answers once it is on disk, and
 * lines that arrive together share one wait for it. Files are read in their order and removed when all of their lines are
 * dealt with, so that after a crash a line may come again: whoever takes it must know it by its id.
 */
export class Spool {
  readonly #folder: string
  readonly #capacity: number
  readonly #reserve: number
  readonly #segment: number
  /** Numbers of the files that hold lines, oldest first, with their sizes. */
  readonly #sizes = new Map<number, number>()
  #next: number
  /** The file that lines go to; null when the next line begins a new one. */
  #current: { number: number; file: FileHandle } | null = null
  #queue: Waiting[] = []
  #flushing: Promise<void> | null = null

  constructor({ folder, capacity = 64 * 2 ** 20, reserve = 4 * 2 ** 20, segment = 2 ** 20 }: Options) {
    this.#folder = folder
    this.#capacity = capacity
    this.#reserve = reserve
    this.#segment = segment
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const numbers = readdirSync(folder)
      .map((name) => Number(/^(\d+)\.jsonl$/.exec(name)?.[1] ?? Number.NaN))
      .filter((number) => !Number.isNaN(number))
      .sort((one, other) => one - other)
    for (const number of numbers) this.#sizes.set(number, statSync(this.#path(number)).size)
    this.#next = (numbers.at(-1) ?? 0) + 1
    this.#occupy()
  }

  /** Bytes that wait. */
  get bytes() {
    let sum = 0
    for (const size of this.#sizes.values()) sum += size
    return sum
  }
  get isEmpty() {
    return this.#sizes.size === 0 && this.#queue.length === 0
  }

  /**
   * The reserve is given up, and there is no room for another one yet: what the database took now it would take from the
   * lines that are still to come.
   */
  get isShort() {
    return this.#reserve > 0 && !existsSync(this.#reservePath) && disk.room(this.#folder) < 2 * this.#reserve
  }

  /**
   * Takes one line, without its line break. Answers once it is on disk.
   * @throws SpoolFull when it cannot be kept
   */
  append(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ line, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /**
   * Hands out all that waits, oldest first, some at a time. What `take` answers with an error stays, and the rest with it.
   * @param take gets the lines of a file in groups, and answers when it is done with them
   * @returns how many lines were taken
   */
  async drain(take: (lines: string[]) => Promise<void>, { together = 500 } = {}): Promise<number> {
    let taken = 0
    for (const number of await this.#seal()) {
      const lines = linesOf(await readFile(this.#path(number), 'utf8'))
      for (let at = 0; at < lines.length; at += together) {
        const some = lines.slice(at, at + together)
        await take(some)
        taken += some.length
      }
      await unlink(this.#path(number))
      this.#sizes.delete(number)
    }
    if (this.isEmpty) this.#occupy()
    return taken
  }

  /** What waits, oldest first, without taking it. It reads while nothing else is done: for a start, before all doors. */
  *lines(): Generator<string> {
    for (const number of this.#sizes.keys()) yield* linesOf(readFileSync(this.#path(number), 'utf8'))
  }

  /** Waits for lines under way, and closes the file. */
  async close() {
    await this.#seal()
  }

  async #flush() {
    await null // the promise has to be there before the first line is refused
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, 1_000)
      const bytes = Buffer.from(`${batch.map(({ line }) => line).join('\n')}\n`)
      try {
        if (this.bytes + bytes.length > this.#capacity) throw new SpoolFull()
        await this.#write(bytes).catch(async (error) => {
          if (!(await this.#giveWay())) throw error
          await this.#write(bytes)
        })
        for (const { resolve } of batch) resolve()
      } catch (error) {
        const refusal = error instanceof SpoolFull ? error : new SpoolFull({ cause: error })
        for (const { reject } of batch) reject(refusal)
      }
    }
    this.#flushing = null
  }

  async #write(bytes: Buffer) {
    const { number, file } = await this.#open()
    const before = this.#sizes.get(number)!
    try {
      await disk.append(file, bytes)
      await file.datasync()
    } catch (error) {
      // Half a line must not stand before the next one.
      await disk.truncate(this.#path(number), before).catch(() => this.#leave())
      throw error
    }
    this.#sizes.set(number, before + bytes.length)
    if (before + bytes.length >= this.#segment) await this.#leave()
  }

  async #open() {
    if (this.#current) return this.#current
    const number = this.#next
    const file = await open(this.#path(number), 'a', 0o600)
    this.#next++
    this.#sizes.set(number, 0)
    this.#current = { number, file }
    // The name of a new file is on disk only when its folder is.
    const folder = await open(this.#folder, 'r')
    await folder.sync().finally(() => folder.close())
    return this.#current
  }

  /** The next line begins a new file. */
  async #leave() {
    const left = this.#current
    this.#current = null
    await left?.file.close()
  }

  /** Closes the file that lines go to. @returns the files to which none goes any more */
  async #seal() {
    while (this.#flushing) await this.#flushing
    const sealed = [...this.#sizes.keys()]
    await this.#leave()
    return sealed
  }

  #path(number: number) {
    return join(this.#folder, `${String(number).padStart(10, '0')}.jsonl`)
  }
  get #reservePath() {
    return join(this.#folder, 'reserve')
  }

  /** Keeps room for lines, as far as there is any now. */
  #occupy() {
    if (this.#reserve === 0 || existsSync(this.#reservePath)) return
    try {
      writeFileSync(this.#reservePath, Buffer.alloc(this.#reserve), { mode: 0o600 })
    } catch {
      // The disk is full already. What was written of it helps.
    }
  }
  /** @returns whether there was room to give up */
  async #giveWay() {
    return unlink(this.#reservePath).then(
      () => true,
      () => false,
    )
  }
}

/** What stands after the last line break was being written when the process ended: nobody was told that it is kept. */
const linesOf = (text: string) =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1)
