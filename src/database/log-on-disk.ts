import { close, fdatasync, openSync } from 'node:fs'

/**
 * A commit is in the log, but nobody can say whether the disk has it: it will be found after a crash of the process, and
 * perhaps not after a power cut. Whoever asked for it must not be told that it is kept, nor may it be written once more.
 */
export class NotOnDisk extends Error {
  constructor(options: ErrorOptions) {
    super('The disk did not confirm what was written.', options)
  }
}

/** Where what was committed has to arrive before anybody is told that it is kept. */
export interface Disk {
  /** Answers once all that is committed by now survives a power cut. @throws NotOnDisk */
  reach(): Promise<void>
  close(): void
}

/**
 * The disk under a write-ahead log. SQLite itself would stand still at each commit until the disk has it; with
 * `synchronous=NORMAL` it leaves that to whoever cares (https://sqlite.org/pragma.html#pragma_synchronous), and here another
 * thread waits, so that the process serves others meanwhile.
 *
 * Only the `-wal` file is opened: closing a descriptor of the database itself would drop the locks of this process on it.
 */
export class LogOnDisk implements Disk {
  readonly #path: string
  #file: number | null = null

  /** @param path of the database; its log exists by the first commit */
  constructor(path: string) {
    this.#path = path
  }
  reach() {
    return new Promise<void>((done, fail) => {
      const answer = (error: unknown) => (error ? fail(new NotOnDisk({ cause: error })) : done())
      try {
        this.#file ??= openSync(`${this.#path}-wal`, 'r+')
        fdatasync(this.#file, answer)
      } catch (error) {
        answer(error)
      }
    })
  }
  close() {
    if (this.#file !== null) close(this.#file)
    this.#file = null
  }
}

/** Where SQLite waits for the disk itself. */
export const waitedFor: Disk = { reach: async () => {}, close() {} }
