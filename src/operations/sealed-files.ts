import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { promisify } from 'node:util'

// How copies that leave this machine are sealed, so that another program could open them:
//
//   offset  bytes  what
//   0       7      "TLSEAL1" in ASCII
//   7       1      log2 of scrypt's N (r = 8, p = 1, 32 bytes of key)
//   8       16     scrypt's salt
//   24      7      the beginning of every nonce of this file
//   31      …      chunks of AES-256-GCM: 1 MiB of plain text each, the last one shorter (it may be empty),
//                  each followed by its tag of 16 bytes
//
// The nonce of a chunk is those 7 bytes, its number from 0 as 4 bytes big-endian, and one byte that is 1 for the last
// chunk and else 0; the 31 bytes of the head are authenticated with every chunk. That is the STREAM construction of Hoang,
// Reyhanitabar, Rogaway and Vizár (CRYPTO 2015): chunks cannot be changed, dropped, put elsewhere or cut off at the end.

const magic = Buffer.from('TLSEAL1')
const headLength = 31
const tagLength = 16
const chunkLength = 1 << 20
const cost = 15

const derive = promisify<string, Buffer, number, object, Buffer>(scrypt)
const keyOf = (passphrase: string, salt: Buffer, log2: number) =>
  derive(passphrase, salt, 32, { N: 2 ** log2, r: 8, p: 1, maxmem: 256 * 2 ** log2 * 8 })

/** The sealed file is none, was changed on the way, or the passphrase is another one. */
export class NotOpened extends Error {
  constructor() {
    super(
      'The copy cannot be opened: BACKUP_PASSPHRASE is not the one with which it was sealed, or it is damaged.',
    )
  }
}

/** Seals and opens copies with a passphrase. A key is derived once for each salt, and one salt serves a whole process. */
export class FileSeal {
  readonly #passphrase: string
  readonly #salt = randomBytes(16)
  readonly #keys = new Map<string, Promise<Buffer>>()

  constructor(passphrase: string) {
    this.#passphrase = passphrase
  }
  #key(salt: Buffer, log2: number) {
    const name = `${log2} ${salt.toString('hex')}`
    let key = this.#keys.get(name)
    if (!key) {
      key = keyOf(this.#passphrase, salt, log2)
      this.#keys.set(name, key)
    }
    return key
  }

  /** A stream that takes plain bytes and gives the sealed file. */
  async sealing(): Promise<Transform> {
    const head = Buffer.concat([magic, Buffer.from([cost]), this.#salt, randomBytes(7)])
    const key = await this.#key(this.#salt, cost)
    let number = 0
    let isFirst = true
    return inChunks(chunkLength, (chunk, isLast) => {
      const cipher = createCipheriv('aes-256-gcm', key, nonceOf(head, number++, isLast))
      cipher.setAAD(head)
      const sealed = Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()])
      const bytes = isFirst ? Buffer.concat([head, sealed]) : sealed
      isFirst = false
      return bytes
    })
  }

  /** A stream that takes a sealed file and gives its plain bytes. It fails with NotOpened. */
  opening(): Transform {
    let head: Buffer | null = null
    let key: Buffer | null = null
    let number = 0
    let waiting = Buffer.alloc(0)
    const chunks = inChunks(chunkLength + tagLength, (chunk, isLast) => {
      if (!head || !key || chunk.length < tagLength) throw new NotOpened()
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(head, number++, isLast))
        decipher.setAAD(head)
        decipher.setAuthTag(chunk.subarray(-tagLength))
        return Buffer.concat([decipher.update(chunk.subarray(0, -tagLength)), decipher.final()])
      } catch {
        throw new NotOpened()
      }
    })
    const take = chunks._transform.bind(chunks)
    const begin = async (bytes: Buffer): Promise<Buffer> => {
      if (head) return bytes
      waiting = Buffer.concat([waiting, bytes])
      if (waiting.length < headLength) return Buffer.alloc(0)
      const log2 = waiting[magic.length]!
      if (!waiting.subarray(0, magic.length).equals(magic) || log2 < 10 || log2 > 20) throw new NotOpened()
      const found = Buffer.from(waiting.subarray(0, headLength))
      key = await this.#key(found.subarray(8, 24), log2)
      head = found
      return waiting.subarray(headLength)
    }
    chunks._transform = (bytes: Buffer, encoding, done) => {
      begin(bytes).then((rest) => take(rest, encoding, done), done)
    }
    return chunks
  }
}

function nonceOf(head: Buffer, number: number, isLast: boolean) {
  const nonce = Buffer.alloc(12)
  head.copy(nonce, 0, 24, headLength)
  nonce.writeUInt32BE(number, 7)
  nonce[11] = isLast ? 1 : 0
  return nonce
}

/** Gathers bytes to pieces of one length; the last one may be shorter, and is known to be the last. */
function inChunks(length: number, change: (chunk: Buffer, isLast: boolean) => Buffer): Transform {
  let waiting: Buffer[] = []
  let waits = 0
  const work = (stream: Transform, isEnd: boolean, done: TransformCallback) => {
    try {
      // A whole piece waits until more comes: only then is it certain that it is not the last.
      if (waits > length || isEnd) {
        let all = Buffer.concat(waiting)
        while (all.length > length) {
          stream.push(change(all.subarray(0, length), false))
          all = all.subarray(length)
        }
        if (isEnd) stream.push(change(all, true))
        waiting = [all]
        waits = all.length
      }
      done()
    } catch (error) {
      done(error as Error)
    }
  }
  return new Transform({
    transform(chunk, _encoding, done) {
      waiting.push(chunk)
      waits += chunk.length
      work(this, false, done)
    },
    flush(done) {
      work(this, true, done)
    },
  })
}
