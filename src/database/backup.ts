import { Worker } from 'node:worker_threads'
import { removeGradually } from './remove-gradually.js'

/** A copy that was opened, checked, packed, and read again. */
export interface PackedCopy {
  /** The instant of which it is a copy. */
  made_at: number
  /** Of the packed file. */
  bytes: number
  sha256: string
  /** Of the database in it. */
  database_bytes: number
  database_sha256: string
  /** The last migration of its tables. */
  migration: string
  /** Rows of the tables that were to be counted. */
  facts: Record<string, number>
}

interface Options {
  path: string
  /** Where the bare copy stands meanwhile; gone afterwards. */
  raw: string
  /** The gzip file to be made. */
  packed: string
  /** Tables whose rows are to be counted in the copy. */
  counted: readonly string[]
  signal: AbortSignal
  /** The copy is of an instant that has now passed; the copying begins. It is waited for by nobody. */
  snapshot?: (madeAt: number) => void
  progress: (stage: string, done: number, of: number | null) => void
}

/**
 * Copies a database that is in use as it is at one instant, in a thread of its own; proves the copy by opening it and
 * checking its integrity (https://sqlite.org/pragma.html#pragma_integrity_check), packs it, and reads it again.
 * @throws Error when the copy is no good, or what the signal was aborted with
 */
export async function packCopy({
  path,
  raw,
  packed,
  counted,
  signal,
  snapshot,
  progress,
}: Options): Promise<PackedCopy> {
  signal.throwIfAborted()
  const worker = new Worker(new URL('./backup-worker.js', import.meta.url), {
    workerData: { path, raw, packed, counted },
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
  })
  const abort = () => void worker.terminate()
  signal.addEventListener('abort', abort)
  let isWhole = false
  try {
    const copy = await new Promise<PackedCopy>((resolve, reject) => {
      worker.on('message', ({ stage, done = 0, of = null, made_at, result, message, code }) => {
        if (stage === 'done') resolve(result)
        else if (stage === 'failed') reject(Object.assign(new Error(message), { code }))
        else if (stage === 'snapshot') snapshot?.(made_at)
        else progress(stage, done, of)
      })
      worker.on('error', reject)
      worker.on('exit', () => reject(signal.aborted ? signal.reason : new Error('The copying thread ended.')))
    })
    isWhole = true
    return copy
  } finally {
    signal.removeEventListener('abort', abort)
    await worker.terminate()
    const unwanted = ['', '-wal', '-shm', '-journal'].map((suffix) => raw + suffix)
    if (!isWhole) unwanted.push(packed)
    const removed = Promise.all(unwanted.map(removeGradually))
    // Whoever gave it up may be about to end the process: the next backup removes what is left.
    if (signal.aborted) removed.catch(() => undefined)
    else await removed
  }
}
