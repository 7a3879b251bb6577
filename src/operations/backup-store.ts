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
  /** Names and sizes of what is there under a beginning of the name. */
  list(beginning: string): Promise<Map<string, number>>
  put(name: string, path: string, signal?: AbortSignal): Promise<void>
  /** Writes what is there to a file. @throws Error when there is no such thing, or it cannot be opened */
  get(name: string, path: string): Promise<void>
  remove(name: string): Promise<void>
}

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
  const keyOf = (name: string) => `${prefix}${name}${seal ? sealedName : ''}`

  // Loaded when first needed: the client is large, and most runs of the program need none.
  let opening: Promise<Awaited<ReturnType<typeof open>>> | null = null
  async function open() {
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

  return {
    title: `${bucket}${config.BACKUP_S3_ENDPOINT ? ` at ${new URL(config.BACKUP_S3_ENDPOINT).host}` : ''}`,
    isSealed: seal !== null,
    async list(beginning) {
      const { client, ListObjectsV2Command } = await s3()
      const found = new Map<string, number>()
      let token: string | undefined
      do {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: `${prefix}${beginning}`,
            ContinuationToken: token,
          }),
        )
        for (const { Key = '', Size = 0 } of page.Contents ?? [])
          if (!seal || Key.endsWith(sealedName))
            found.set(Key.slice(prefix.length, seal ? -sealedName.length : undefined), Size)
        token = page.NextContinuationToken
      } while (token)
      return found
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
      const { client, GetObjectCommand } = await s3()
      const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }))
      const write = createWriteStream(path, { mode: 0o600 })
      try {
        const bytes =
          Body instanceof Readable ? Body : Readable.fromWeb(Body!.transformToWebStream() as never)
        await (seal ? pipeline(bytes, seal.opening(), write) : pipeline(bytes, write))
      } catch (error) {
        rmSync(path, { force: true })
        throw error
      }
    },
    async remove(name) {
      const { client, DeleteObjectCommand } = await s3()
      await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: keyOf(name) }))
    },
  }
}
