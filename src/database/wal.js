// The write-ahead log as SQLite writes it (https://sqlite.org/fileformat2.html#the_write_ahead_log). Plain JavaScript, since
// the archiving thread uses it. Only the `-wal` file is read here: the database file itself must never be opened but by
// SQLite, as closing it would drop the locks that SQLite holds on it in this process.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'

export const headLength = 32
export const frameHead = 24

/**
 * Where somebody has come in a log.
 * @typedef {object} Place
 * @property {number | null} salt1 null: there was no log yet
 * @property {number} salt2
 * @property {number} frames
 * @property {number} sum1 the running checksum up to there
 * @property {number} sum2
 */

/**
 * @param {Buffer} bytes a multiple of eight bytes
 * @param {number} sum1
 * @param {number} sum2
 * @param {boolean} isBig the words are big-endian
 * @returns {[number, number]}
 */
function checksum(bytes, sum1, sum2, isBig) {
  if (isBig === isBigHere && bytes.byteOffset % 4 === 0) {
    // Words as this machine has them, which is how SQLite writes them: several times as fast as asking for each.
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
    for (let at = 0; at < words.length; at += 2) {
      sum1 = (sum1 + /** @type {number} */ (words[at]) + sum2) | 0
      sum2 = (sum2 + /** @type {number} */ (words[at + 1]) + sum1) | 0
    }
    return [sum1 >>> 0, sum2 >>> 0]
  }
  for (let at = 0; at < bytes.length; at += 8) {
    const first = isBig ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
    const second = isBig ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)
    sum1 = (sum1 + first + sum2) >>> 0
    sum2 = (sum2 + second + sum1) >>> 0
  }
  return [sum1, sum2]
}
const isBigHere = endianness() === 'BE'

/** What is read at a time, by one walk after another; a frame is smaller than that, as pages have 64 KB at the most. */
const window = Buffer.alloc(1 << 18)

/** A log that is open for reading. Close it after use. */
export class Wal {
  /** @param {string} path of the database */
  static open(path) {
    try {
      return new Wal(openSync(`${path}-wal`, 'r'))
    } catch (error) {
      if (/** @type {{ code?: string }} */ (error).code === 'ENOENT') return null
      throw error
    }
  }
  /** @param {number} file */
  constructor(file) {
    this.file = file
  }
  close() {
    closeSync(this.file)
  }

  /**
   * @returns {{ pageSize: number, isBig: boolean, start: Place } | null} null where nothing has been written, or just is
   */
  head() {
    const head = Buffer.alloc(headLength)
    if (readSync(this.file, head, 0, headLength, 0) < headLength) return null
    const magic = head.readUInt32BE(0)
    if (magic >>> 1 !== 0x377f0682 >>> 1) return null
    const isBig = (magic & 1) === 1
    const [sum1, sum2] = checksum(head.subarray(0, 24), 0, 0, isBig)
    if (sum1 !== head.readUInt32BE(24) || sum2 !== head.readUInt32BE(28)) return null
    const pageSize = head.readUInt32BE(8)
    const start = {
      salt1: head.readUInt32BE(16),
      salt2: head.readUInt32BE(20),
      frames: 0,
      sum1,
      sum2,
    }
    return { pageSize: pageSize === 1 ? 65_536 : pageSize, isBig, start }
  }

  /**
   * Walks from a place through the frames that are whole and belong to it.
   * @param {Place} from
   * @param {{ pageSize: number, isBig: boolean }} format
   * @param {(frame: { page: number, at: number, databasePages: number, place: Place }) => void} see `at` is where the page
   *   begins in the file, `databasePages` the size of the database after a commit, 0 for a frame that is none's last
   * @param {number} [most] frames at most
   */
  walk(from, { pageSize, isBig }, see, most = Number.POSITIVE_INFINITY) {
    const length = frameHead + pageSize
    const size = fstatSync(this.file).size
    const bytes = window.subarray(0, Math.max(1, Math.floor(window.length / length)) * length)
    let { frames, sum1, sum2 } = from
    for (let seen = 0; seen < most; ) {
      const at = headLength + frames * length
      if (at + length > size) return
      const got = Math.floor(readSync(this.file, bytes, 0, bytes.length, at) / length)
      if (got === 0) return
      for (let index = 0; index < got && seen < most; index++, seen++) {
        const frame = bytes.subarray(index * length, (index + 1) * length)
        if (frame.readUInt32BE(8) !== from.salt1 || frame.readUInt32BE(12) !== from.salt2) return
        ;[sum1, sum2] = checksum(frame.subarray(0, 8), sum1, sum2, isBig)
        ;[sum1, sum2] = checksum(frame.subarray(frameHead), sum1, sum2, isBig)
        if (frame.readUInt32BE(16) !== sum1 || frame.readUInt32BE(20) !== sum2) return
        frames++
        see({
          page: frame.readUInt32BE(0),
          at: at + index * length + frameHead,
          databasePages: frame.readUInt32BE(4),
          place: { ...from, frames, sum1, sum2 },
        })
      }
    }
  }
}
