// Runs in a worker thread: seals what is written to the log in segments, and lets the log begin anew once it is sealed.
// Plain JavaScript for the same reason as worker.js.
//
// No connection checkpoints by itself (`wal_autocheckpoint = 0`). What lets SQLite write over the log is a checkpoint of all
// of it; that happens here alone, under the write lock, after the last frame is sealed. So no commit is ever written over
// that no segment holds. Before that, a checkpoint without the lock does most of the work: a reader that stays at the last
// sealed commit keeps it from going further, and keeps the log from beginning anew meanwhile.
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import Sqlite from 'better-sqlite3'
import { writeSegment } from './segment.js'
import { Wal } from './wal.js'

const { path, folder, segmentEvery, look, largest, idle } = workerData
const positionPath = join(folder, 'position.json')

const open = () => {
  const file = new Sqlite(path, { timeout: 20 })
  file.pragma('wal_autocheckpoint = 0')
  return file
}
const holder = open()
const reader = open()
const copier = open()

/** @typedef {import('./wal.js').Place} Place */
/** @typedef {{ chain: string, number: number, sha256: string, place: Place, isWhole: boolean }} Position */

/** What is sealed. `isWhole`: all of the log is, and is in the database: it may have begun anew. @type {Position} */
let position
/** How far the log has been read, to a commit. @type {Place} */
let seen
/** Of each page written since, where its last version begins in the log. @type {Map<number, number>} */
let pages = new Map()
let databasePages = 0
let pageSize = 0
let sealedAt = Date.now()
let checkpointedAt = Date.now()
let framesAtCheckpoint = 0
let notBefore = 0

/** @type {Place} */
const nowhere = { salt1: null, salt2: 0, sequence: 0, frames: 0, sum1: 0, sum2: 0 }

/** @param {object} message */
const tell = (message) => parentPort?.postMessage(message)

/** @param {string} name @param {string} text */
function writeSafely(name, text) {
  const file = openSync(`${name}.part`, 'w', 0o600)
  writeFileSync(file, text)
  fsyncSync(file)
  closeSync(file)
  renameSync(`${name}.part`, name)
}
/** @param {Partial<Position>} change */
function keep(change) {
  position = { ...position, ...change }
  writeSafely(positionPath, JSON.stringify(position))
}

/** A chain begins: whatever is in the log by now belongs to the base that has to be taken next. @param {string} why */
function beginChain(why) {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const chain = `${stamp}-${randomBytes(4).toString('hex')}`
  mkdirSync(join(folder, chain), { recursive: true, mode: 0o700 })
  pages = new Map()
  const wal = Wal.open(path)
  const head = wal?.head()
  seen = head?.start ?? nowhere
  if (wal && head) {
    pageSize = head.pageSize
    wal.walk(head.start, head, ({ databasePages: size, place }) => {
      if (size > 0) seen = place
    })
  }
  wal?.close()
  position = { chain, number: 0, sha256: '', place: seen, isWhole: false }
  keep({})
  tell({ stage: 'chain', chain, why })
}

/** Goes on where the last process was, if the log is still the one that it knew. */
function begin() {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(positionPath)) return beginChain('first')
  /** @type {Position} */
  let kept
  try {
    kept = JSON.parse(readFileSync(positionPath, 'utf8'))
  } catch {
    return beginChain('unreadable')
  }
  const wal = Wal.open(path)
  const head = wal?.head()
  try {
    if (!wal || !head || !existsSync(join(folder, kept.chain))) return beginChain('log gone')
    position = kept
    seen = kept.place
    pageSize = head.pageSize
    if (head.start.salt1 === kept.place.salt1 && head.start.salt2 === kept.place.salt2) {
      // The same log: it has to be the same bytes too.
      let place = head.start
      wal.walk(
        head.start,
        head,
        (frame) => {
          place = frame.place
        },
        kept.place.frames,
      )
      const { frames, sum1, sum2 } = kept.place
      if (place.frames !== frames || place.sum1 !== sum1 || place.sum2 !== sum2)
        return beginChain('other log')
    } else if (!follows(head.start)) return beginChain('other log')
    removeUnfinished(position.chain)
    tell({ stage: 'chain', chain: position.chain, why: 'goes on' })
  } finally {
    wal?.close()
  }
}

/** A process that was killed while it sealed leaves a part of a segment, which is sealed anew. @param {string} chain */
function removeUnfinished(chain) {
  for (const name of readdirSync(join(folder, chain)))
    if (name.endsWith('.part')) rmSync(join(folder, chain, name), { force: true })
}

/** Has the log begun anew just once since all of it was sealed? @param {Place} start */
const follows = (start) =>
  position.isWhole &&
  pages.size === 0 &&
  position.place.salt1 !== null &&
  start.salt1 === (position.place.salt1 + 1) >>> 0 &&
  start.sequence === (position.place.sequence + 1) >>> 0

/** Reads on to the last commit in the log. @param {Wal} wal */
function read(wal) {
  const head = wal.head()
  if (!head) return
  pageSize = head.pageSize
  if (head.start.salt1 !== seen.salt1 || head.start.salt2 !== seen.salt2) {
    if (seen.salt1 !== null && !follows(head.start)) return beginChain('overwritten')
    seen = head.start
    framesAtCheckpoint = 0
  }
  /** @type {Map<number, number>} */
  let open = new Map()
  const from = performance.now()
  wal.walk(seen, head, ({ page, at, databasePages: size, place }) => {
    open.set(page, at)
    if (size === 0) return
    for (const [number, where] of open) pages.set(number, where)
    open = new Map()
    databasePages = size
    seen = place
    position.isWhole = false
  })
  // Frames of a transaction that goes on are read anew each time: the longer that takes, the more seldom.
  notBefore = open.size > 0 ? performance.now() + 10 * (performance.now() - from) : 0
}

/** Seals all that is committed by now. */
function seal() {
  const at = Date.now()
  const wal = Wal.open(path)
  if (!wal) return
  try {
    read(wal)
    if (pages.size === 0) return
    const { chain } = position
    const number = position.number + 1
    const stamp = new Date(at).toISOString().replace(/[-:.]/g, '')
    const name = `${String(number).padStart(8, '0')}-${stamp}.wal.gz`
    const file = join(folder, chain, name)
    const target = openSync(`${file}.part`, 'w', 0o600)
    const head = /** @type {const} */ ({ format: 1 })
    const sha256 = writeSegment({
      target,
      source: wal.file,
      head: {
        ...head,
        chain,
        number,
        sealed_at: at,
        page_size: pageSize,
        database_pages: databasePages,
        pages: pages.size,
        previous: position.sha256,
      },
      pages,
    })
    fsyncSync(target)
    closeSync(target)
    renameSync(`${file}.part`, file)
    const directory = openSync(join(folder, chain), 'r')
    fsyncSync(directory)
    closeSync(directory)
    pages = new Map()
    keep({ number, sha256, place: seen, isWhole: false })
    tell({ stage: 'sealed', chain, number, at })
  } finally {
    wal.close()
    sealedAt = Date.now()
  }
}

/** Brings the log back into the database, so that it may begin anew. */
function checkpoint() {
  try {
    reader.exec('begin')
    reader.prepare('select count(*) from sqlite_master').get()
    seal()
    copier.pragma('wal_checkpoint(passive)')
    holder.exec('begin immediate')
    try {
      seal()
      reader.exec('commit')
      const [{ log, checkpointed }] = /** @type {[{ log: number, checkpointed: number }]} */ (
        copier.pragma('wal_checkpoint(passive)')
      )
      if (log >= 0 && log === checkpointed && pages.size === 0) keep({ isWhole: true })
      framesAtCheckpoint = seen.frames
    } finally {
      holder.exec('rollback')
    }
  } catch (error) {
    // Somebody holds a lock: the next turn tries again.
    if (!/^SQLITE_BUSY/.test(/** @type {{ code?: string }} */ (error).code ?? '')) throw error
  } finally {
    if (reader.inTransaction) reader.exec('rollback')
    checkpointedAt = Date.now()
  }
}

function turn() {
  try {
    if (performance.now() < notBefore) return
    const wal = Wal.open(path)
    if (!wal) return
    try {
      read(wal)
    } finally {
      wal.close()
    }
    const frames = seen.frames - framesAtCheckpoint
    if (frames * pageSize > largest || (frames > 0 && Date.now() - checkpointedAt > idle)) checkpoint()
    else if (pages.size > 0 && Date.now() - sealedAt >= segmentEvery) seal()
  } catch (error) {
    tell({ stage: 'trouble', message: /** @type {Error} */ (error).message })
  }
}

begin()
const timer = setInterval(turn, look)

parentPort?.on('message', ({ ask, id }) => {
  try {
    if (ask === 'seal') seal()
    if (ask === 'checkpoint') checkpoint()
    if (ask === 'stop') {
      clearInterval(timer)
      seal()
      for (const file of [holder, reader, copier]) file.close()
      parentPort?.close()
    }
    tell({ stage: 'answer', id, chain: position.chain, number: position.number })
  } catch (error) {
    tell({ stage: 'answer', id, error: /** @type {Error} */ (error).message })
  }
})
