import { Worker } from 'node:worker_threads'

/**
 * Moves checkpoints out of the commits and into a thread: a commit that has to copy megabytes back into the database
 * makes everybody wait. The connection of the doors keeps a far limit of its own, should the thread ever fail.
 * @returns `stop`, to be called before the database is closed
 */
export function startCheckpoints(path: string, { every = 500 }: { every?: number } = {}) {
  const worker = new Worker(new URL('./checkpoint-worker.js', import.meta.url), {
    workerData: { path, every, largest: 32_000 },
  })
  worker.unref()
  worker.on('error', () => {}) // the far limit takes over
  return { stop: () => worker.terminate() }
}
