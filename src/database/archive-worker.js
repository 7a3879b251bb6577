// Runs in a worker thread: seals what is written to the log in segments, and lets the log begin anew once it is sealed.
// Plain JavaScript for the same reason as worker.js.
//
// No connection checkpoints by itself (`wal_autocheckpoint = 0`). What lets SQLite write over the log is a checkpoint of all
// of it; that happens here alone, under the write lock, after the last frame is sealed. So no commit is ever written over
// that no segment holds. Before that, some rounds without the lock do most of the work: a reader that stays at a sealed
// commit keeps a checkpoint from going further, and keeps the log from beginning anew meanwhile; two take turns. What is
// left to do while everybody waits is a few pages, written as they are and brought to the disk afterwards.
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
import { readSegment, writeSegment } from './segment.js'
import { Wal } from './wal.js'

const { path, folder, segmentEvery, look, largest, idle } = workerData
const positionPath = join(folder, 'position.json')

const open = (timeout = 20) => {
  const file = new Sqlite(path, { timeout })
  file.pragma('wal_autocheckpoint = 0')
  return file
}
const holder = open(200)
const [first, second] = [open(), open()]
const copier = open()

/** @typedef {import('./wal.js').Place} Place */
/** @typedef {{ chain: string, number: number, sha256: string, place: Place, isWhole: boolean, isSure: boolean }} Position */

/**
 * What is sealed. `isWhole`: all of the log is, and is in the database: it may have begun anew. `isSure`: the last segment
 * survives a power cut.
 * @type {Position}
 */
let position
/** How far the log has been read, to a commit. @type {Place} */
let seen
/** Of each page written since, where its last version begins in the log. @type {Map<number, number>} */
let pages = new Map()
let databasePages = 0
let pageSize = 0
/** By the clock, for whoever is told; what is waited for is measured by `performance.now()`, which nobody sets back. */
let lastSealAt = Date.now()
let sealed = performance.now()
let broughtBack = performance.now()
let framesAtCheckpoint = 0
let notBefore = 0

/** @type {Place} */
const nowhere = { salt1: null, salt2: 0, frames: 0, sum1: 0, sum2: 0 }

/** @param {object} message */
const tell = (message) => parentPort?.postMessage(message)

/** @param {string} name of a file or a folder */
function bringToDisk(name) {
  const file = openSync(name, 'r')
  fsyncSync(file)
  closeSync(file)
}
/** @param {Partial<Position>} change */
function keep(change) {
  position = { ...position, ...change }
  const part = `${positionPath}.part`
  writeFileSync(part, JSON.stringify(position), { mode: 0o600 })
  if (position.isSure) bringToDisk(part)
  renameSync(part, positionPath)
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
  position = { chain, number: 0, sha256: '', place: seen, isWhole: false, isSure: true }
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
    if (!kept.isSure && !isOnDisk(kept)) return beginChain('segment lost')
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

/** @param {Position} kept */
function isOnDisk({ chain, number, sha256 }) {
  const name = readdirSync(join(folder, chain))
    .sort()
    .findLast((each) => each.startsWith(`${numbered(number)}-`) && each.endsWith('.wal.gz'))
  try {
    return name !== undefined && readSegment(join(folder, chain, name)).sha256 === sha256
  } catch {
    return false
  }
}
/** @param {number} number */
const numbered = (number) => String(number).padStart(8, '0')

/** A process that was killed while it sealed leaves a part of a segment, which is sealed anew. @param {string} chain */
function removeUnfinished(chain) {
  for (const name of readdirSync(join(folder, chain)))
    if (name.endsWith('.part')) rmSync(join(folder, chain, name), { force: true })
}

/**
 * Has the log begun anew just once since all of it was sealed? The first salt then is one more. The number of checkpoints
 * in its head says nothing: each connection counts its own, and a command may be the first to write.
 * @param {Place} start
 */
const follows = (start) =>
  position.isWhole &&
  pages.size === 0 &&
  position.place.salt1 !== null &&
  start.salt1 === (position.place.salt1 + 1) >>> 0

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

/**
 * Seals all that is committed by now.
 * @param {{ isHurried?: boolean }} [how] hurried: others wait, so it is not packed, and the disk is waited for afterwards
 * @returns {string | null} the segment, null where there was nothing to seal
 */
function seal({ isHurried = false } = {}) {
  const at = Date.now()
  const wal = Wal.open(path)
  if (!wal) return null
  try {
    read(wal)
    if (pages.size === 0) return null
    const { chain } = position
    const number = position.number + 1
    const stamp = new Date(at).toISOString().replace(/[-:.]/g, '')
    const file = join(folder, chain, `${numbered(number)}-${stamp}.wal.gz`)
    mkdirSync(join(folder, chain), { recursive: true, mode: 0o700 }) // empty until now, it may have been cleared away
    const target = openSync(`${file}.part`, 'w', 0o600)
    const sha256 = writeSegment({
      target,
      source: wal.file,
      head: {
        format: 1,
        chain,
        number,
        sealed_at: at,
        page_size: pageSize,
        database_pages: databasePages,
        pages: pages.size,
        previous: position.sha256,
      },
      pages,
      level: isHurried ? 0 : 4,
    })
    if (!isHurried) fsyncSync(target)
    closeSync(target)
    renameSync(`${file}.part`, file)
    if (!isHurried) bringToDisk(join(folder, chain))
    pages = new Map()
    keep({ number, sha256, place: seen, isWhole: false, isSure: !isHurried })
    if (!isHurried) tell({ stage: 'sealed', chain, number, at })
    return file
  } finally {
    wal.close()
    lastSealAt = Date.now()
    sealed = performance.now()
  }
}

/** Rounds without the lock, each of which has less to do than the one before, as long as it is faster than who writes. */
const mostRounds = 6
/** So few frames are brought back in some ten milliseconds: everybody may wait for them. */
const fewFrames = 400

/** How much was written to the log since it was sealed last. */
function framesSince() {
  const wal = Wal.open(path)
  if (!wal) return 0
  const { frames } = seen
  try {
    read(wal)
  } finally {
    wal.close()
  }
  return seen.frames - frames
}

/** Brings the log back into the database, so that it may begin anew. */
function checkpoint() {
  /** @type {string | null} */
  let last = null
  try {
    stay(first)
    seal()
    // Where nothing was written meanwhile, that was all. The second reader would then need nothing of the log, and hold
    // nobody up: what is committed after the next seal could be brought back and written over before it is sealed.
    if (bringBack()) {
      framesAtCheckpoint = seen.frames
      return
    }
    let [staying, free] = [first, second]
    for (let round = 0; round < mostRounds; round++) {
      stay(free)
      seal()
      staying.exec('commit')
      ;[staying, free] = [free, staying]
      if (bringBack() || framesSince() < fewFrames) break
    }
    holder.exec('begin immediate')
    try {
      last = seal({ isHurried: true })
      staying.exec('commit')
      bringBack()
      framesAtCheckpoint = seen.frames
    } finally {
      holder.exec('rollback')
    }
  } catch (error) {
    // Somebody holds a lock: the next turn tries again.
    if (!/^SQLITE_BUSY/.test(/** @type {{ code?: string }} */ (error).code ?? '')) throw error
  } finally {
    for (const reader of [first, second]) if (reader.inTransaction) reader.exec('rollback')
    broughtBack = performance.now()
    if (last !== null) {
      bringToDisk(last)
      bringToDisk(join(folder, position.chain))
      keep({ isSure: true })
      tell({ stage: 'sealed', chain: position.chain, number: position.number, at: lastSealAt })
    }
  }
}
/**
 * Brings sealed commits into the database, as far as no reader needs what stands there. Is that the whole log, it may begin
 * anew.
 * @returns whether it is the whole log
 */
function bringBack() {
  const [{ log, checkpointed }] = /** @type {[{ log: number, checkpointed: number }]} */ (
    copier.pragma('wal_checkpoint(passive)')
  )
  const isWhole = log >= 0 && log === checkpointed && log === seen.frames && pages.size === 0
  if (isWhole) keep({ isWhole })
  return isWhole
}
/** @param {Sqlite.Database} reader */
function stay(reader) {
  reader.exec('begin')
  reader.prepare('select count(*) from sqlite_master').get()
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
    if (frames * pageSize > largest || (frames > 0 && performance.now() - broughtBack > idle)) checkpoint()
    else if (pages.size > 0 && performance.now() - sealed >= segmentEvery) seal()
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
      for (const file of [holder, first, second, copier]) file.close()
      parentPort?.close()
    }
    tell({ stage: 'answer', id, chain: position.chain, number: position.number })
  } catch (error) {
    tell({ stage: 'answer', id, error: /** @type {Error} */ (error).message })
  }
})
