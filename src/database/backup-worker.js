// Runs in a worker thread: copies the database as it is at one instant, proves the copy, and packs it, while the doors
// go on. Plain JavaScript for the same reason as worker.js.
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { gunzipSync, gzipSync } from 'node:zlib'
import Sqlite from 'better-sqlite3'

const { path, raw, packed, counted } = workerData
/** Pages copied at a time. */
const step = 2_000
/** Bytes that are packed at a time, each a gzip member of its own (RFC 1952, section 2.2), which are read as one file. */
const portion = 4 << 20
/** Bytes after which what was written is brought to the disk: left to pile up, they would hold up a commit of the doors. */
const mostUnwritten = 1 << 20

/** Bytes that are copied in a second at the most: a disk that is given all it takes lets the commits of the doors wait for seconds. */
const mostPerSecond = 64 << 20
/** @param {number} milliseconds */
const rest = (milliseconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

/** @param {object} message */
const tell = (message) => parentPort?.postMessage(message)

/**
 * The portions of an open file, in their order; each is gone when the next one is asked for.
 * @param {number} file
 * @param {Iterable<number>} lengths
 */
function* portions(file, lengths) {
  const room = Buffer.allocUnsafe(portion * 2)
  for (const length of lengths) {
    let had = 0
    while (had < length) {
      const came = readSync(file, room, had, length - had, null)
      if (came === 0) return
      had += came
    }
    yield room.subarray(0, length)
  }
}

/** @param {number} file @param {Buffer} bytes */
function writeWholly(file, bytes) {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
}

/**
 * Packs the bare copy. Step by step in this thread, and not by streams: those would pack in threads that do not step back.
 * @param {number} size
 */
function pack(size) {
  const [plain, compressed] = [createHash('sha256'), createHash('sha256')]
  const [from, to] = [openSync(raw, 'r'), openSync(packed, 'w', 0o600)]
  /** @type {number[]} */
  const lengths = []
  let done = 0
  let unwritten = 0
  const whole = Array.from({ length: Math.ceil(size / portion) }, (_, index) =>
    Math.min(portion, size - index * portion),
  )
  for (const bytes of portions(from, whole)) {
    const member = gzipSync(bytes, { level: 4 })
    plain.update(bytes)
    compressed.update(member)
    writeWholly(to, member)
    lengths.push(member.length)
    done += bytes.length
    unwritten += member.length
    if (unwritten >= mostUnwritten) {
      fdatasyncSync(to)
      unwritten = 0
    }
    tell({ stage: 'pack', done, of: size })
  }
  fsyncSync(to)
  closeSync(to)
  closeSync(from)
  return { lengths, plainHash: plain.digest('hex'), packedHash: compressed.digest('hex') }
}

/**
 * Reads the packed copy again. @param {number[]} lengths of its members
 */
function unpack(lengths) {
  const [plain, compressed] = [createHash('sha256'), createHash('sha256')]
  const from = openSync(packed, 'r')
  for (const member of portions(from, lengths)) {
    compressed.update(member)
    try {
      plain.update(gunzipSync(member))
    } catch {
      break // the sums tell
    }
  }
  closeSync(from)
  return { plainHash: plain.digest('hex'), packedHash: compressed.digest('hex') }
}

// The doors come first, as in worker.js.
if (process.platform === 'linux') setPriority(0, 10)

async function backUp() {
  // Inside a transaction that has read once the copy stays at one instant, and need not begin anew at every write.
  const source = new Sqlite(path, { readonly: true, timeout: 5_000 })
  const made_at = Date.now()
  source.exec('begin')
  source.prepare('select count(*) from sqlite_master').get()
  tell({ stage: 'snapshot', made_at })
  const pageSize = /** @type {number} */ (source.pragma('page_size', { simple: true }))
  const began = performance.now()
  let copied = 0
  let unwritten = 0
  /** @type {number | null} */
  let written = null
  await source.backup(raw, {
    progress({ totalPages, remainingPages }) {
      unwritten += step * pageSize
      if (unwritten >= mostUnwritten) {
        // Kept open until the copy is closed: SQLite's own locks on it end with the first descriptor that does.
        written ??= openSync(raw, 'r+')
        fdatasyncSync(written)
        unwritten = 0
      }
      copied += step * pageSize
      const early = began + (copied / mostPerSecond) * 1000 - performance.now()
      if (remainingPages > 0 && early > 0) rest(early)
      if (totalPages > 0) tell({ stage: 'copy', done: totalPages - remainingPages, of: totalPages })
      return step
    },
  })
  if (written !== null) closeSync(written)
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
  const { lengths, plainHash, packedHash } = pack(database_bytes)
  // What is on disk is read again and unpacked: it has to be what was checked.
  tell({ stage: 'verify' })
  const again = unpack(lengths)
  if (again.plainHash !== plainHash || again.packedHash !== packedHash)
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
