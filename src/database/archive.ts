import { Worker } from 'node:worker_threads'

interface Options {
  /** Of the database. */
  path: string
  /** Where segments go: each chain has a folder of its own in it. */
  folder: string
  /** Milliseconds from one segment to the next, where something is written. */
  segmentEvery: number
  /** A chain begins, for want of the one before: a base is needed. */
  chainBegan?: (why: string) => void
  sealed?: (segment: { chain: string; number: number; at: number }) => void
  trouble?: (message: string) => void
  /** Milliseconds from one look at the log to the next. */
  look?: number
  /** Bytes of log after which it is brought back into the database. */
  largest?: number
  /** Milliseconds after which a small log is, too. */
  idle?: number
}

/**
 * Archives the write-ahead log in a thread: what is committed is sealed in segments, and only what is sealed is brought
 * back into the database. Every connection to the database has to leave checkpoints to it (`wal_autocheckpoint = 0`).
 *
 * Where the log is no longer the one it was at the last segment (another program brought it back, or the last connection
 * was closed), a new chain begins, for which a new base has to be taken.
 */
export function startArchive({
  path,
  folder,
  segmentEvery,
  chainBegan,
  sealed,
  trouble,
  look = 500,
  largest = 32 << 20,
  idle = 30_000,
}: Options) {
  const worker = new Worker(new URL('./archive-worker.js', import.meta.url), {
    workerData: { path, folder, segmentEvery, look, largest, idle },
    resourceLimits: { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 },
  })
  worker.unref()
  type Answer = { chain: string; number: number }
  const asked = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>()
  let next = 0
  let hasEnded = false
  worker.on('message', (message) => {
    const { stage, id, error, chain, number } = message
    if (stage === 'chain' && message.why !== 'goes on') chainBegan?.(message.why)
    if (stage === 'sealed') sealed?.(message)
    if (stage === 'trouble') trouble?.(message.message)
    if (stage !== 'answer') return
    if (error) asked.get(id)?.reject(new Error(error))
    else asked.get(id)?.resolve({ chain, number })
    asked.delete(id)
  })
  const end = (error: Error) => {
    hasEnded = true
    for (const { reject } of asked.values()) reject(error)
    asked.clear()
  }
  worker.on('error', (error) => {
    trouble?.((error as Error).message)
    end(error as Error)
  })
  worker.on('exit', () => end(new Error('The archiving thread has ended.')))

  const ask = (what: string) =>
    new Promise<Answer>((resolve, reject) => {
      if (hasEnded) return reject(new Error('The archiving thread has ended.'))
      const id = next++
      asked.set(id, { resolve, reject })
      worker.postMessage({ ask: what, id })
    })
  return {
    /** Seals what is committed by now. @returns the chain and the number of its last segment, 0 for none yet */
    seal: () => ask('seal'),
    /** Brings the log back into the database now, as far as nobody reads it. */
    checkpoint: () => ask('checkpoint'),
    /** Seals what is left. The log stays where it is, as long as the process then ends without closing the database. */
    async stop() {
      worker.ref() // nothing else may keep the process until the answer
      await ask('stop').catch(() => {})
      await worker.terminate()
    },
  }
}
