// Runs in a worker thread: copies committed pages from the write-ahead log into the database, so that no commit waits
// for it. Plain JavaScript for the same reason as worker.js.
import { workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'

const { path, every, largest } = workerData
// Short: to begin the log anew it holds the write lock while it waits for readers of old pages.
const file = new Sqlite(path, { timeout: 20 })

setInterval(() => {
  try {
    const [{ log }] = /** @type {[{ log: number }]} */ (file.pragma('wal_checkpoint(passive)'))
    // A writer that never rests keeps the log from beginning anew by itself.
    if (log > largest) file.pragma('wal_checkpoint(restart)')
  } catch {
    // Somebody held a lock; the next turn tries again.
  }
}, every)
