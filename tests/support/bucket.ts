import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** Answers as an S3 bucket does, as far as our client asks: objects whole and in parts, lists in pages of two. */
export async function aBucket() {
  const objects = new Map<string, Buffer>()
  const uploads = new Map<string, Map<number, Buffer>>()
  /** So many of the next requests that write are answered with 503. */
  let refusals = 0
  const server = createServer(async (req, res) => {
    const { pathname, searchParams: query } = new URL(req.url!, 'http://bucket')
    const [, bucket = '', ...rest] = decodeURIComponent(pathname).split('/')
    const key = rest.join('/')
    const body = await bodyOf(req)
    const xml = (text: string) => res.setHeader('Content-Type', 'application/xml').end(text)
    if (bucket !== 'copies') return void res.writeHead(404).end()
    if (req.method === 'PUT' && refusals > 0) {
      refusals--
      return void res.writeHead(503).end()
    }
    const upload = query.get('uploadId')
    if (req.method === 'POST' && query.has('uploads')) {
      const id = randomUUID()
      uploads.set(id, new Map())
      return void xml(
        `<InitiateMultipartUploadResult><Bucket>copies</Bucket><Key>${key}</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
      )
    }
    if (req.method === 'PUT' && upload) {
      uploads.get(upload)!.set(Number(query.get('partNumber')), body)
      return void res.setHeader('ETag', `"${query.get('partNumber')}"`).end()
    }
    if (req.method === 'POST' && upload) {
      const parts = [...uploads.get(upload)!].sort(([one], [other]) => one - other)
      objects.set(key, Buffer.concat(parts.map(([, bytes]) => bytes)))
      return void xml(
        `<CompleteMultipartUploadResult><Key>${key}</Key><ETag>"whole"</ETag></CompleteMultipartUploadResult>`,
      )
    }
    if (req.method === 'PUT') {
      objects.set(key, body)
      return void res.setHeader('ETag', '"whole"').end()
    }
    if (req.method === 'DELETE') {
      objects.delete(key)
      return void res.writeHead(204).end()
    }
    if (query.get('list-type') === '2') {
      const keys = [...objects.keys()].filter((name) => name.startsWith(query.get('prefix') ?? '')).sort()
      const from = Number(query.get('continuation-token') ?? 0)
      const page = keys.slice(from, from + 2)
      const isMore = from + 2 < keys.length
      const contents = page.map(
        (name) => `<Contents><Key>${name}</Key><Size>${objects.get(name)!.length}</Size></Contents>`,
      )
      return void xml(
        `<ListBucketResult><IsTruncated>${isMore}</IsTruncated>${contents.join('')}${isMore ? `<NextContinuationToken>${from + 2}</NextContinuationToken>` : ''}</ListBucketResult>`,
      )
    }
    const object = objects.get(key)
    if (!object) {
      res.writeHead(404, { 'Content-Type': 'application/xml' })
      return void res.end('<Error><Code>NoSuchKey</Code></Error>')
    }
    res.end(object)
  })
  server.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return {
    objects,
    refuse: (count: number) => {
      refusals = count
    },
    env: {
      BACKUP_S3_ENDPOINT: `http://127.0.0.1:${port}`,
      BACKUP_S3_BUCKET: 'copies',
      BACKUP_S3_PREFIX: 'throughline/',
      BACKUP_S3_ACCESS_KEY_ID: 'key',
      BACKUP_S3_SECRET_ACCESS_KEY: 'secret',
    },
  }
}

async function bodyOf(req: IncomingMessage) {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
