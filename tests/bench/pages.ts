import { Agent, get, type IncomingMessage, request } from 'node:http'
import { account } from './database.js'

const agent = new Agent({ keepAlive: true })

export interface Answer {
  status: number
  body: string
  milliseconds: number
}

/** A person at the pages of a server on this machine, logged in. */
export async function visitor(port: number) {
  const form = await send(port, '/login', {})
  const csrf = /name="_csrf"[^>]*value="([^"]+)"/.exec(form.body)?.[1]
  const cookie = (answer: { cookies: string[] }) =>
    answer.cookies.map((line) => line.split(';')[0]).join('; ')
  if (!csrf) throw new Error(`The login page of port ${port} has no form.`)
  const body = new URLSearchParams({ _csrf: csrf, ...account }).toString()
  const entered = await send(port, '/login', { Cookie: cookie(form) }, body)
  if (entered.status !== 303) throw new Error(`Logging in answered ${entered.status}.`)
  const headers = { Cookie: cookie(entered) }
  let token: string | undefined

  return {
    /** As htmx asks for the part of a page that refreshes itself. */
    fragment: (path: string): Promise<Answer> =>
      send(port, path, { ...headers, 'HX-Request': 'true', 'X-Refresh': '1' }),
    /** A whole page, as somebody who just came asks for it. */
    page: (path: string): Promise<Answer> => send(port, path, headers),
    /** Sends a form as a browser without JavaScript does. @returns where it leads to */
    async form(path: string, fields: Record<string, string> = {}): Promise<string> {
      token ??= /name="csrf-token" content="([^"]+)"/.exec((await send(port, '/create', headers)).body)?.[1]
      const body = new URLSearchParams({ _csrf: token ?? '', ...fields }).toString()
      const { status, location } = await send(port, path, headers, body)
      if (status !== 303) throw new Error(`${path} answered ${status}.`)
      return location
    },
    /** Reads a download to its end and keeps nothing of it. @returns lines, bytes and seconds */
    download: (path: string) =>
      new Promise<{ lines: number; bytes: number; seconds: number }>((done, fail) => {
        const from = performance.now()
        get({ port, path, headers, host: '127.0.0.1' }, (answer) => {
          if (answer.statusCode !== 200) return fail(new Error(`${path} answered ${answer.statusCode}.`))
          let lines = 0
          let bytes = 0
          answer.on('data', (part: Buffer) => {
            bytes += part.length
            for (let at = part.indexOf(10); at >= 0; at = part.indexOf(10, at + 1)) lines++
          })
          answer.on('end', () => done({ lines, bytes, seconds: (performance.now() - from) / 1000 }))
          answer.on('error', fail)
        }).on('error', fail)
      }),
  }
}
export type Visitor = Awaited<ReturnType<typeof visitor>>

function send(port: number, path: string, headers: Record<string, string>, form?: string) {
  return new Promise<Answer & { cookies: string[]; location: string }>((done, fail) => {
    const from = performance.now()
    const type = form === undefined ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }
    const options = { agent, port, path, host: '127.0.0.1', headers: { ...headers, ...type } }
    const sent = request(
      { ...options, method: form === undefined ? 'GET' : 'POST' },
      (answer: IncomingMessage) => {
        let body = ''
        answer.setEncoding('utf8')
        answer.on('data', (part: string) => {
          body += part
        })
        answer.on('end', () =>
          done({
            status: answer.statusCode!,
            body,
            milliseconds: performance.now() - from,
            cookies: answer.headers['set-cookie'] ?? [],
            location: answer.headers.location ?? '',
          }),
        )
      },
    )
    sent.on('error', (error: NodeJS.ErrnoException) => {
      // The server has just closed the connection that was kept alive, and never saw this request.
      if (sent.reusedSocket && error.code === 'ECONNRESET') send(port, path, headers, form).then(done, fail)
      else fail(error)
    })
    sent.end(form)
  })
}

export interface Times {
  p50: number
  p95: number
}

interface Asking {
  /** The part that refreshes itself, or the whole page. */
  as?: 'fragment' | 'page'
}

/**
 * Asks each path of each visitor in turn, so many times, so that whatever else the machine does falls on all.
 * @returns for each visitor the median and the 95th percentile over all paths, in milliseconds
 */
export async function time(
  visitors: Visitor[],
  paths: string[],
  times: number,
  { as = 'fragment' }: Asking = {},
): Promise<Times[]> {
  const measured = visitors.map(() => [] as number[])
  const warmUp = Math.ceil(times / 10)
  for (let turn = -warmUp; turn < times; turn++)
    for (const [index, visitor] of visitors.entries()) {
      const path = paths[(turn + warmUp) % paths.length]!
      const answer = await visitor[as](path)
      if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}.`)
      if (turn >= 0) measured[index]!.push(answer.milliseconds)
    }
  return measured.map((values) => {
    values.sort((a, b) => a - b)
    const at = (share: number) => values[Math.min(values.length - 1, Math.floor(values.length * share))]!
    return { p50: at(0.5), p95: at(0.95) }
  })
}
