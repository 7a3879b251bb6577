// Runs in a worker thread: answers read-only queries, one after another. Plain JavaScript, because neither tsx
// nor vitest can start a worker from a TypeScript file.
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'

// Whoever scans steps back where a door needs the processor: on Linux each thread has a priority of its own.
if (process.platform === 'linux') setPriority(0, 10)

const file = new Sqlite(workerData.path, { readonly: true, timeout: 5000 })
file.pragma('query_only = on')
file.pragma('cache_size = -16000')
file.pragma('temp_store = memory')

/** @type {Map<string, import('better-sqlite3').Statement>} */
const statements = new Map()

/** @param {string} text */
function prepared(text) {
  let statement = statements.get(text)
  if (!statement) {
    if (statements.size >= 200) statements.clear()
    statement = file.prepare(text)
    statements.set(text, statement)
  }
  return statement
}

parentPort?.on('message', ({ id, sql, parameters }) => {
  try {
    const rows = prepared(sql).all(...parameters)
    parentPort?.postMessage({ id, rows })
  } catch (error) {
    const { message, code } = /** @type {Error & { code?: string }} */ (error)
    parentPort?.postMessage({ id, error: { message, code } })
  }
})
