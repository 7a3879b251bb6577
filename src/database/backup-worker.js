// Runs in a worker thread: copies the database as it is at one instant, proves the copy, and packs it, while the doors
// go on. Plain JavaScript for the same reason as worker.js.
import { createHash } from 'node:crypto'
import { closeSync, createReadStream, createWriteStream, fsyncSync, openSync, statSync } from 'node:fs'
import { setPriority } from 'node:os'
import { Transform, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { createGunzip, createGzip } from 'node:zlib'
import Sqlite from 'better-sqlite3'

const { path, raw, packed, counted } = workerData
/** Pages copied at a time. */
const step = 2_000
const wide = { highWaterMark: 1 << 20 }

/** @param {object} message */
const tell = (message) => parentPort?.postMessage(message)

/**
 * Lets bytes through and hashes them.
 * @param {import('node:crypto').Hash} hash
 * @param {(bytes: number) => void} [passed]
 */
const hashing = (hash, passed = () => {}) =>
  new Transform({
    ...wide,
    transform(chunk, _encoding, done) {
      hash.update(chunk)
      passed(chunk.length)
      done(null, chunk)
    },
  })
const nowhere = () => new Writable({ ...wide, write: (_chunk, _encoding, done) => done() })

// The doors come first, as in worker.js.
if (process.platform === 'linux') setPriority(0, 10)

async function backUp() {
  // Inside a transaction that has read once the copy stays at one instant, and need not begin anew at every write.
  const source = new Sqlite(path, { readonly: true, timeout: 5_000 })
  const made_at = Date.now()
  source.exec('begin')
  source.prepare('select count(*) from sqlite_master').get()
  tell({ stage: 'snapshot', made_at })
  await source.backup(raw, {
    progress({ totalPages, remainingPages }) {
      if (totalPages > 0) tell({ stage: 'copy', done: totalPages - remainingPages, of: totalPages })
      return step
    },
  })
  source.close()

  tell({ stage: 'check' })
  const copy = new Sqlite(raw, { fileMustExist: true })
  const found = /** @type {{ integrity_check: string }[]} */ (copy.pragma('integrity_check(5)'))
  const problems = found.map(({ integrity_check }) => integrity_check).filter((text) => text !== 'ok')
  if (problems.length > 0) throw new Error(`The copy is damaged: ${problems[0]}`)
  /** @type {Record<string, number>} */
  const facts = {}
  for (const table of counted) {
    const row = /** @type {{ rows: number }} */ (
      copy.prepare(`select count(*) as rows from "${table}"`).get()
    )
    facts[table] = row.rows
  }
  const last = /** @type {{ name: string }} */ (
    copy.prepare('select name from kysely_migration order by name desc limit 1').get()
  )
  copy.close()

  const database_bytes = statSync(raw).size
  const plain = createHash('sha256')
  const compressed = createHash('sha256')
  let done = 0
  await pipeline(
    createReadStream(raw, wide),
    hashing(plain, (bytes) => {
      done += bytes
      tell({ stage: 'pack', done, of: database_bytes })
    }),
    createGzip({ level: 4, chunkSize: 1 << 18 }),
    hashing(compressed),
    createWriteStream(packed, { ...wide, mode: 0o600 }),
  )
  const file = openSync(packed, 'r')
  fsyncSync(file)
  closeSync(file)

  // What is on disk is read again and unpacked: it has to be what was checked.
  tell({ stage: 'verify' })
  const [plainHash, packedHash] = [plain.digest('hex'), compressed.digest('hex')]
  const [plainAgain, packedAgain] = [createHash('sha256'), createHash('sha256')]
  await pipeline(
    createReadStream(packed, wide),
    hashing(packedAgain),
    createGunzip({ chunkSize: 1 << 18 }),
    hashing(plainAgain),
    nowhere(),
  )
  if (plainAgain.digest('hex') !== plainHash || packedAgain.digest('hex') !== packedHash)
    throw new Error('What was written is not what is read: the disk of the backups cannot be trusted.')
  tell({
    stage: 'done',
    result: {
      made_at,
      bytes: statSync(packed).size,
      sha256: packedHash,
      database_bytes,
      database_sha256: plainHash,
      migration: last.name,
      facts,
    },
  })
}

backUp().catch((error) => tell({ stage: 'failed', message: error.message, code: error.code }))
