// One sealed piece of the write-ahead log: a gzip file of
//
//   one line of JSON   { format, chain, number, sealed_at, page_size, database_pages, pages, previous }
//   pages times        four bytes, big-endian: the page's number (from 1); then the page as it was last
//   32 bytes           SHA-256 of all of that; `previous` is that of the segment before, in hexadecimal
//
// Written one after another over a base, and the file then cut to `database_pages`, they bring it to a state that the
// database had at `sealed_at`. Plain JavaScript, since the archiving thread uses it.
import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { constants, gunzipSync, gzipSync } from 'node:zlib'

/**
 * @typedef {object} SegmentHead
 * @property {1} format
 * @property {string} chain segments of one chain follow each other without a gap
 * @property {number} number from 1
 * @property {number} sealed_at milliseconds
 * @property {number} page_size
 * @property {number} database_pages
 * @property {number} pages
 * @property {string} previous empty for the first
 */

/** Pages packed at a time; each time makes a member of its own in the gzip file. */
const together = 128

/**
 * @param {{ target: number, source: number, head: SegmentHead, pages: Map<number, number>, level?: number }} given two open
 *   files, where each page begins in the source, and how hard to pack it (0 to 9, as zlib has it)
 * @returns {string} its SHA-256
 */
export function writeSegment({ target, source, head, pages, level = 4 }) {
  const hash = createHash('sha256')
  /** @type {Buffer[]} */
  let waiting = []
  const flush = () => {
    if (waiting.length > 0) writeSync(target, gzipSync(Buffer.concat(waiting), { level }))
    waiting = []
  }
  /** @param {Buffer} bytes */
  const put = (bytes) => {
    hash.update(bytes)
    waiting.push(bytes)
    if (waiting.length >= together) flush()
  }
  put(Buffer.from(`${JSON.stringify(head)}\n`))
  for (const [page, at] of pages) {
    const bytes = Buffer.alloc(4 + head.page_size)
    bytes.writeUInt32BE(page, 0)
    if (readSync(source, bytes, 4, head.page_size, at) < head.page_size)
      throw new Error('The log became shorter.')
    put(bytes)
  }
  const digest = hash.digest()
  waiting.push(digest)
  flush()
  return digest.toString('hex')
}

/**
 * @param {string} path
 * @returns {{ head: SegmentHead, body: Buffer, sha256: string }} `body` holds the pages, each after its number
 * @throws Error when it is not what was written
 */
export function readSegment(path) {
  const all = gunzipSync(readFileSync(path), { finishFlush: constants.Z_FINISH })
  const plain = all.subarray(0, -32)
  const sha256 = createHash('sha256').update(plain).digest('hex')
  if (sha256 !== all.subarray(-32).toString('hex')) throw new Error(`${path} is not what was written.`)
  const line = plain.indexOf(10)
  /** @type {SegmentHead} */
  const head = JSON.parse(plain.subarray(0, line).toString())
  const body = plain.subarray(line + 1)
  if (head.format !== 1 || body.length !== head.pages * (4 + head.page_size))
    throw new Error(`${path} is of a kind that this version does not know.`)
  return { head, body, sha256 }
}

/**
 * Writes the pages of a segment over a database that nobody uses: a copy without a log of its own.
 * @param {string} database
 * @param {{ head: SegmentHead, body: Buffer }} segment
 */
export function replaySegment(database, { head, body }) {
  const file = openSync(database, 'r+')
  try {
    for (let at = 0; at < body.length; at += 4 + head.page_size) {
      const page = body.readUInt32BE(at)
      writeSync(file, body, at + 4, head.page_size, (page - 1) * head.page_size)
    }
    ftruncateSync(file, head.database_pages * head.page_size)
  } finally {
    closeSync(file)
  }
}
