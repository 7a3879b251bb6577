import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { aBrowser, aPerson, tokenIn } from './accounts/people.js'
import { type TestApp, testApp } from './support/app.js'
import { aContact, aList, aMailing } from './support/audience.js'
import { aCampaign, anEvent } from './support/builders.js'
import { aPartner, aProject } from './support/partners.js'
import { aPromo } from './support/promos.js'
import { pathWith, routesOf } from './support/routes.js'

/** One of each, under the id 1. */
async function furnished() {
  const app = await testApp()
  const { id: cid } = await aCampaign(app)
  await anEvent(app, { cid })
  await aList(app)
  await aMailing(app)
  await aContact(app, { email: 'bo@fernmail.example' })
  await aProject(app, { partner_id: (await aPartner(app)).id })
  await aPromo(app)
  return app
}

/** Doors for machines answer without a session; a token guards the rest of the API. */
const isPage = (path: string) => !/^\/(api|webhooks|go|healthz|readyz|metrics|static|t\.js)\b/.test(path)
const open = new Set([
  '/login',
  '/login/code',
  '/setup',
  '/docs',
  '/docs/:name',
  // A report that was shared is open to whoever has its link.
  '/r/:token',
  '/r/:token/look.css',
  '/r/:token/logo',
])

const pagesOf = (app: Pick<TestApp, 'app'>, method: string) => [
  ...new Set(
    routesOf(app)
      .filter((route) => route.method === method && isPage(route.path))
      .map(({ path }) => path),
  ),
]

describe('what asks for no path', () => {
  it('is refused, and is no fault of ours', async () => {
    const app = await testApp()
    const server = app.app.listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const socket = connect(port, '127.0.0.1')
    socket.end('GET * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('every page', () => {
  it('is closed to strangers, and framed by nobody', async () => {
    const app = await furnished()
    const faults: string[] = []
    const paths = pagesOf(app, 'GET')
    expect(paths.length).toBeGreaterThan(60)
    for (const path of paths) {
      const { status, headers } = await app.http.get(pathWith(path, '1')).set('Accept', 'text/html')
      if (!open.has(path) && status !== 303 && status !== 401)
        faults.push(`${path} answers a stranger ${status}`)
      const policy = String(headers['content-security-policy'])
      if (headers['x-frame-options'] !== 'DENY' || !policy.includes("frame-ancestors 'none'"))
        faults.push(`${path} can be framed`)
      if (/unsafe-(inline|eval)/.test(policy)) faults.push(`${path} lets scripts in`)
    }
    expect(faults).toEqual([])
  })

  it('survives what no form of ours sends in its address', async () => {
    const app = await furnished()
    const { agent } = await aPerson(app)
    const ids = ['1', '0', '-1', '99999999999999999999', '__proto__', '1e3', "1'--", '%00', '%2e%2e%2f']
    const words = [
      'constructor',
      '-1',
      '1e999',
      'NaN',
      "' or 1=1 --",
      '\u0000',
      '0000-00-00',
      '9'.repeat(400),
    ]
    const names =
      'q days range from until to sort direction dir page after before action kind mailing tag list state event domain machines compare segment limit ids id next by in at status'.split(
        ' ',
      )
    const faults: string[] = []
    for (const path of pagesOf(app, 'GET')) {
      for (const id of path.includes(':') ? ids : []) {
        const { status } = await agent.get(pathWith(path, id))
        if (status >= 500) faults.push(`${status} at ${pathWith(path, id)}`)
      }
      for (const word of words) {
        const query = names.map((name) => `${name}=${encodeURIComponent(word)}`).join('&')
        for (const asked of [query, `${query}&${query}`]) {
          const { status } = await agent.get(`${pathWith(path, '1')}?${asked}&__proto__=1&a[b]=1`)
          if (status >= 500) faults.push(`${status} at ${path} for ${word.slice(0, 20)}`)
        }
      }
    }
    expect(faults).toEqual([])
  }, 400_000)
})

describe('every change', () => {
  it('is refused without the token of the session', async () => {
    const app = await furnished()
    const { agent } = await aPerson(app)
    const stranger = aBrowser(app)
    const faults: string[] = []
    const paths = pagesOf(app, 'POST')
    expect(paths.length).toBeGreaterThan(50)
    for (const path of paths) {
      const target = pathWith(path, '1')
      const forged = await agent.post(target).type('form').send({ name: 'x' })
      if (!open.has(path) && forged.status !== 403)
        faults.push(`${path} answers ${forged.status} to a forged form`)
      if (open.has(path)) continue
      const { status } = await stranger.agent.post(target).type('form').send({ name: 'x' })
      if (status !== 303 && status !== 401) faults.push(`${path} answers a stranger ${status}`)
    }
    expect(faults).toEqual([])
  })

  it('survives fields that come twice, hold nothing like what was asked for, or name a prototype', async () => {
    const app = await furnished()
    const { agent, get } = await aPerson(app)
    const faults: string[] = []
    const bodies = [
      (name: string) => `${name}=1&${name}=2`,
      (name: string) => `${name}=${encodeURIComponent("' or 1=1 --\u0000<script>")}`,
      (name: string) => `${name}=%ff%fe%C0%AF`,
      (name: string) => `${name}=${'9'.repeat(5000)}`,
      (name: string) => `${name}[__proto__][x]=1`,
    ]
    const names = await fieldsOf(app, agent)
    expect(names.length).toBeGreaterThan(40)
    for (const path of pagesOf(app, 'POST')) {
      // These end what the test stands on.
      if (/logout|deactivation|revocation|sessions|erase|deletion|delete$/.test(path)) continue
      for (const body of bodies) {
        const csrf = tokenIn((await get('/settings')).text)
        const fields = names.map(body).join('&')
        const { status } = await agent
          .post(pathWith(path, '1'))
          .type('form')
          .send(`_csrf=${csrf}&__proto__=1&constructor=1&${fields}`)
        if (status >= 500) faults.push(`${status} at ${path} for ${body('x').slice(0, 30)}`)
      }
    }
    expect(faults).toEqual([])
    expect(Object.keys(Object.prototype)).toEqual([])
  }, 400_000)
})

/** What the forms of all pages call their fields. */
async function fieldsOf(app: TestApp, agent: ReturnType<typeof aBrowser>['agent']) {
  const names = new Set<string>()
  for (const path of pagesOf(app, 'GET')) {
    const { text = '' } = await agent.get(pathWith(path, '1'))
    for (const [, name] of text.matchAll(/<(?:input|select|textarea)[^>]* name="([^"]+)"/g))
      if (name !== '_csrf') names.add(name!)
  }
  return [...names].slice(0, 150)
}
