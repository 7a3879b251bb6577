import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { httpServer } from '../../src/web/server.js'
import { testApp } from '../support/app.js'

/** The server as it is started, with limits short enough to see them. */
async function aServer(limits: Parameters<typeof httpServer>[1] = {}) {
  const app = await testApp()
  const server = httpServer(app.app, limits)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  /** Sends these bytes and says all that comes back until the server closes. */
  function send(...parts: (string | Buffer)[]) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {}) // cut off while it writes
    for (const part of parts) socket.write(part)
    return new Promise<string>((resolve) => {
      let said = ''
      socket.on('data', (data) => {
        said += data
      })
      socket.on('close', () => resolve(said))
    })
  }
  return { ...app, server, send, origin: `http://127.0.0.1:${port}` }
}

const head = (path: string, ...more: string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: here', 'Connection: close', ...more, '', ''].join('\r\n')

describe('the server', () => {
  it('cuts off a head that trickles in, and answers others meanwhile', async () => {
    const { send, origin } = await aServer({ headersTimeout: 100, connectionsCheckingInterval: 20 })
    const slow = Array.from({ length: 50 }, () => send('GET /healthz HTTP/1.1\r\nHost: here\r\nX-Slow: '))
    expect((await fetch(`${origin}/healthz`)).status).toBe(200)
    for (const said of await Promise.all(slow)) {
      expect(said).toContain('408 Request Timeout')
      expect(said).toContain('did not come to its end in time')
    }
  })

  it('cuts off a body that never comes to its end', async () => {
    const { send } = await aServer({
      headersTimeout: 50,
      requestTimeout: 100,
      connectionsCheckingInterval: 20,
    })
    const said = await send('POST /api/event HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n{"cid":')
    expect(said).toContain('408 Request Timeout')
  })

  it('has such limits without being told', async () => {
    const { app } = await testApp()
    const server = httpServer(app)
    expect(server.headersTimeout).toBeLessThanOrEqual(10_000)
    expect(server.requestTimeout).toBeLessThanOrEqual(120_000)
  })

  it('makes requests and answers as Express wants them, and Express leaves them so', async () => {
    const { server, app, origin } = await aServer()
    const prototypes = (req: object, res: object) => [req, res].map((each) => Object.getPrototypeOf(each))
    let before: object[] = []
    server.prependListener('request', (req, res) => {
      before = prototypes(req, res)
    })
    // The app has had its turn, as far as it needs none of the event loop.
    let after: object[] = []
    server.on('request', (req, res) => {
      after = prototypes(req, res)
    })
    expect((await fetch(`${origin}/healthz`)).status).toBe(200)
    expect(before[0]).toBe(app.request)
    expect(before[1]).toBe(app.response)
    expect(after[0]).toBe(before[0])
    expect(after[1]).toBe(before[1])
    expect(before[0]).toHaveProperty('app', app)
  })

  it('refuses a hundred thousand headers, and an address without end', async () => {
    const { send } = await aServer()
    const many = Array.from({ length: 100_000 }, (_, number) => `X-${number}: 1`)
    expect(await send(head('/', ...many))).toContain('431 ')
    expect(await send(head(`/?${'a'.repeat(70_000)}`))).toContain('431 ')
  })

  it.each(['\x16\x03\x01\x02\x00\x01', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n'])(
    'says what is wrong with %j',
    async (nonsense) => {
      const { send } = await aServer()
      expect(await send(nonsense)).toContain('400 Bad Request')
    },
  )

  it('refuses a request in which another hides', async () => {
    const { send } = await aServer()
    const smuggled =
      'POST /healthz HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'
    expect(await send(`${smuggled}0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /)
  })

  it.each([
    '/static/../package.json',
    '/static/..%2f..%2fpackage.json',
    '/static/%2e%2e/%2e%2e/package.json',
    '/static/css/..%5c..%5c..%5cpackage.json',
    '/static/%00',
    '/static/vendor/../../data/secret',
    '//etc/passwd',
    '/go/..%2f..%2fpackage.json',
    '/%c0%ae%c0%ae/package.json',
    '/campaign/%ff',
    '/campaign/%E0%A4%A',
    'http://elsewhere.example/static/css/app.css/../../package.json',
  ])('gives away nothing at %s', async (path) => {
    const { send } = await aServer()
    const said = await send(head(path))
    expect(said).toMatch(/^HTTP\/1.1 (4\d\d|303) /)
    expect(said).not.toContain('"dependencies"')
    expect(said).not.toMatch(/at \S+ \(.*\.[jt]s:\d+/)
  })
})

describe('a body', () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const post = (path: string, body: Buffer | string, headers: Record<string, string>) =>
    aServer().then(({ origin }) => fetch(`${origin}${path}`, { method: 'POST', body, headers }))

  it.each([
    '/api/event',
    '/api/v1/promo/track-click',
    '/api/v1/auth/token',
    '/login',
    '/webhooks/buttondown',
  ])('that unpacks without end is cut short at %s', async (path) => {
    const type = path === '/login' ? 'application/x-www-form-urlencoded' : 'application/json'
    const { status } = await post(path, bomb, { 'Content-Type': type, 'Content-Encoding': 'gzip' })
    expect([400, 413]).toContain(status)
  })

  it.each(['/api/event', '/api/v1/promo/track-click', '/api/v1/auth/token'])(
    'of a thousand levels is refused at %s',
    async (path) => {
      const deep = `${'{"a":'.repeat(1000)}1${'}'.repeat(1000)}`
      const answer = await post(path, deep, { 'Content-Type': 'application/json' })
      expect(answer.status).toBe(400)
      expect(Object.keys((await answer.json()) as object)).toContain('error')
    },
  )

  it.each([
    ['/login', 'username=%ff%fe&password=%00', 'application/x-www-form-urlencoded'],
    ['/login', 'username[__proto__]=a&__proto__=b&constructor=c', 'application/x-www-form-urlencoded'],
    ['/api/event', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'application/json'],
    [
      '/api/v1/auth/token',
      '{"__proto__":{"username":"ada"},"constructor":{"prototype":{}}}',
      'application/json',
    ],
    ['/api/v1/promo/track-click', '{"__proto__":{"variation_id":1}}', 'application/json'],
    ['/api/event', '{"__proto__":{"cid":1},"cid":"__proto__"}', 'application/json; charset=nonsense'],
  ])('that means harm at %s is refused, and changes no prototype', async (path, body, type) => {
    const { status } = await post(path, body, { 'Content-Type': type })
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(Object.keys(Object.prototype)).toEqual([])
    expect(({} as Record<string, unknown>).username).toBeUndefined()
  })
})
