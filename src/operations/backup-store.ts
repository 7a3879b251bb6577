import { createReadStream, createWriteStream, rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Config } from '../config.js'
import { FileSeal } from './sealed-files.js'

/** Where copies go beyond this machine. Names are those of the local files, folders with a slash. */
export interface RemoteStore {
  /** For people: the bucket and where it is. */
  readonly title: string
  readonly isSealed: boolean
  /** What is there under a beginning of the name, by its name, as far as it can be opened. */
  list(beginning: string): Promise<Map<string, RemoteCopy>>
  /** Names of what is there and can only be opened with a passphrase, where none is set. */
  locked(beginning: string): Promise<string[]>
  put(name: string, path: string, signal?: AbortSignal): Promise<void>
  /** Writes what is there to a file. @throws NotThere, NotOpened, Error */
  get(name: string, path: string): Promise<void>
  remove(name: string): Promise<void>
  /** Removes the copy that anybody can read: only for what lies there sealed as well. */
  removeOpen(name: string): Promise<void>
}

/** How something lies in the store: sealed, as anybody can read it, or both for a while. */
export interface RemoteCopy {
  isSealed: boolean
  isOpen: boolean
}

/** The store has nothing of this name. */
export class NotThere extends Error {}

/** What a sealed copy is called. */
const sealedName = '.sealed'

/**
 * A bucket of any store that speaks S3, as the variables BACKUP_S3_… name it. Large files go in parts, each of which is
 * repeated when it fails; a file that is not whole is not there.
 * @returns null where no bucket is named
 */
export function remoteStore(config: Config): RemoteStore | null {
  const bucket = config.BACKUP_S3_BUCKET
  if (!bucket) return null
  const prefix = config.BACKUP_S3_PREFIX
  const seal = config.BACKUP_PASSPHRASE ? new FileSeal(config.BACKUP_PASSPHRASE) : null
  const keyOf = (name: string, isSealed = seal !== null) => `${prefix}${name}${isSealed ? sealedName : ''}`

  // Loaded when first needed: the client is large, and most runs of the program need none.
  let opening: Promise<Awaited<ReturnType<typeof open>>> | null = null
  async function open() {
    // Which Node there is, is not the business of whoever reads what a restore says.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
    const { S3Client, ...commands } = await import('@aws-sdk/client-s3')
    const { Upload } = await import('@aws-sdk/lib-storage')
    const client = new S3Client({
      region: config.BACKUP_S3_REGION,
      ...(config.BACKUP_S3_ENDPOINT ? { endpoint: config.BACKUP_S3_ENDPOINT, forcePathStyle: true } : {}),
      ...(config.BACKUP_S3_ACCESS_KEY_ID && config.BACKUP_S3_SECRET_ACCESS_KEY
        ? {
            credentials: {
              accessKeyId: config.BACKUP_S3_ACCESS_KEY_ID,
              secretAccessKey: config.BACKUP_S3_SECRET_ACCESS_KEY,
            },
          }
        : {}),
      maxAttempts: 5,
      // Stores that are not Amazon's do not all know the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    })
    return { client, Upload, ...commands }
  }
  const s3 = () => {
    opening ??= open()
    return opening
  }

  const title = `${bucket}${config.BACKUP_S3_ENDPOINT ? ` at ${new URL(config.BACKUP_S3_ENDPOINT).host}` : ''}`

  /** Names under a beginning, and how each lies there. */
  async function look(beginning: string) {
    const { client, ListObjectsV2Command } = await s3()
    const found = new Map<string, RemoteCopy>()
    let token: string | undefined
    do {
      const page = await client.send(
        new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: `${prefix}${beginning}`,
          ContinuationToken: token,
        }),
      )
      for (const { Key = '' } of page.Contents ?? []) {
        const isSealed = Key.endsWith(sealedName)
        const name = Key.slice(prefix.length, isSealed ? -sealedName.length : undefined)
        const known = found.get(name) ?? { isSealed: false, isOpen: false }
        found.set(name, isSealed ? { ...known, isSealed } : { ...known, isOpen: true })
      }
      token = page.NextContinuationToken
    } while (token)
    return found
  }
  async function fetch(key: string, path: string, { isSealed }: { isSealed: boolean }) {
    const { client, GetObjectCommand } = await s3()
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
    const write = createWriteStream(path, { mode: 0o600 })
    try {
      const bytes = Body instanceof Readable ? Body : Readable.fromWeb(Body!.transformToWebStream() as never)
      await (isSealed ? pipeline(bytes, seal!.opening(), write) : pipeline(bytes, write))
    } catch (error) {
      rmSync(path, { force: true })
      throw error
    }
  }
  async function remove(key: string) {
    const { client, DeleteObjectCommand } = await s3()
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }))
  }

  return {
    title,
    isSealed: seal !== null,
    async list(beginning) {
      const found = await look(beginning)
      if (!seal) for (const [name, { isOpen }] of found) if (!isOpen) found.delete(name)
      return found
    },
    async locked(beginning) {
      if (seal) return []
      return [...(await look(beginning))].flatMap(([name, { isOpen }]) => (isOpen ? [] : [name]))
    },
    async put(name, path, signal) {
      const { client, Upload } = await s3()
      const file = createReadStream(path, { highWaterMark: 1 << 20 })
      const sealing = seal && (await seal.sealing())
      if (sealing) pipeline(file, sealing).catch((error) => sealing.destroy(error))
      const upload = new Upload({
        client,
        params: { Bucket: bucket, Key: keyOf(name), Body: sealing ?? file },
        partSize: 8 << 20,
        queueSize: 2,
      })
      const abort = () => void upload.abort()
      signal?.addEventListener('abort', abort)
      try {
        await upload.done()
      } finally {
        signal?.removeEventListener('abort', abort)
        file.destroy()
      }
    },
    async get(name, path) {
      // What came there before there was a passphrase lies open.
      for (const isSealed of seal ? [true, false] : [false])
        try {
          return await fetch(keyOf(name, isSealed), path, { isSealed })
        } catch (error) {
          if ((error as Error).name !== 'NoSuchKey') throw error
        }
      throw new NotThere(`${title} has no ${name}.`)
    },
    async remove(name) {
      await remove(keyOf(name))
      if (seal) await remove(keyOf(name, false))
    },
    removeOpen: (name) => remove(keyOf(name, false)),
  }
}
