import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  arrivalSnippet,
  encodeRecipient,
  type Ingredients,
  type LinkLanguage,
  linkSnippet,
  postbackSnippets,
  recipeLink,
  textOf,
} from '../../src/campaigns/recipes.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign, firefox } from '../support/builders.js'

const run = promisify(execFile)
const has = (program: string) => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const given: Ingredients = {
  campaignId: 44,
  offerUrl: 'https://shop.example/it\'s?a=1&b="2"#top',
  baseUrl: 'https://track.example/under',
  writeKey: null,
}

/** A server that counts, with a campaign that asks for its key. */
async function aCountingServer() {
  const app = await testApp()
  const campaign = await aCampaign(app, { needs_key: 1, write_key: "it's-a-key" })
  const server = app.app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const events = () =>
    app.db
      .selectFrom('events')
      .innerJoin('contacts', 'contacts.id', 'contact_id')
      .innerJoin('sending_domains', 'sending_domains.id', 'domain_id')
      .select(['kind', 'email', 'sending_domains.name as domain', 'verdict', 'device', 'caller_id'])
      .orderBy('events.id')
      .execute()
  const ingredients: Ingredients = {
    campaignId: campaign.id,
    offerUrl: 'https://paperboat.example/autumn?from=mail#order',
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    writeKey: campaign.write_key,
  }
  return { ...app, campaign, ingredients, events }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Runs the code as it stands, and answers when it listens. */
async function aLandingPage(code: string, file: string, command: (path: string, port: number) => string[]) {
  const path = join(aFolder(), file)
  writeFileSync(path, code)
  const port = await freePort()
  const [program, ...words] = command(path, port)
  const child: ChildProcess = spawn(program!, words, {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaints = ''
  child.stderr!.on('data', (text) => {
    complaints += text
  })
  onTestFinished(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const origin = `http://127.0.0.1:${port}`
  await expect
    .poll(
      () =>
        fetch(`${origin}/favicon.ico`).then(
          () => 'listens',
          () => complaints,
        ),
      { timeout: 20_000 },
    )
    .toBe('listens')
  return origin
}

/** Comes by the link of a message, reloads, and follows the way to the offer, as a browser does. */
async function readAndOrder(origin: string, campaignId: number) {
  const link = recipeLink(`${origin}/autumn?utm=%20x&flag`, campaignId, 'ada+news@fernmail.example')
  const arrival = await fetch(link, { headers: { 'user-agent': firefox }, redirect: 'manual' })
  const cookie = arrival.headers.get('set-cookie')!
  const shown = new URL(arrival.headers.get('location')!, link)
  const headers = { 'user-agent': firefox, cookie: `theme=dark; ${cookie.split(';')[0]}; other=%` }
  await fetch(shown, { headers, redirect: 'manual' })
  const page = await (await fetch(shown, { headers, redirect: 'manual' })).text()
  const href = /href="([^"]+)"/.exec(page)![1]!.replaceAll('&amp;', '&')
  const order = await fetch(new URL(href, shown), { headers, redirect: 'manual' })
  return {
    arrived: arrival.status,
    shown: shown.href,
    cookie,
    status: order.status,
    offer: order.headers.get('location')!,
  }
}

const landingPages = [
  ['node', 'landing.mjs', (path: string) => [process.execPath, path], process.execPath],
  ['python', 'landing.py', (path: string) => ['python3', path], 'python3'],
  ['php', 'landing.php', (path: string, port: number) => ['php', '-S', `127.0.0.1:${port}`, path], 'php'],
] as const

describe('the code for a landing page', () => {
  // PHP is no part of this project: where it is not installed, its code is only looked at.
  for (const [language, file, command] of landingPages.filter(([, , , program]) => has(program))) {
    it(`reports the arrival and the way to the offer in ${language}`, async () => {
      const { campaign, ingredients, events, http } = await aCountingServer()
      const code = textOf(arrivalSnippet(language, ingredients))
      const origin = await aLandingPage(code, file, command)

      const { arrived, shown, cookie, status, offer } = await readAndOrder(origin, campaign.id)

      expect(arrived).toBe(303)
      expect(shown).toBe(`${origin}/autumn?utm=%20x&flag`)
      expect(cookie).toMatch(/; max-age=86400; path=\/; httponly; samesite=lax$/i)
      expect(status).toBe(303)
      const sub = new URL(offer).searchParams.get('sub')!
      expect(offer).toBe(`https://paperboat.example/autumn?from=mail&sub=${sub}#order`)
      await expect.poll(async () => (await events()).length, { timeout: 20_000 }).toBe(2)
      const found = (await events()).sort((a, b) => a.kind - b.kind)
      expect(found).toMatchObject([
        {
          kind: 1,
          email: 'ada+news@fernmail.example',
          domain: '127.0.0.1',
          device: 'desktop',
          caller_id: sub,
        },
        { kind: 2, email: 'ada+news@fernmail.example', domain: '127.0.0.1', device: 'desktop' },
      ])

      await http
        .get('/api/event')
        .query({ cid: campaign.id, event: 'conversion', sub, eid: 'order-1', key: campaign.write_key })
        .expect(200)
      expect((await events()).at(-1)).toMatchObject({
        kind: 3,
        email: 'ada+news@fernmail.example',
        domain: '127.0.0.1',
      })
    })

    it(`leads nowhere but to its own pages, in ${language}`, async () => {
      const { ingredients } = await aCountingServer()
      const origin = await aLandingPage(textOf(arrivalSnippet(language, ingredients)), file, command)
      const target = `?e=${encodeRecipient('ada@fernmail.example')}`

      for (const path of ['//elsewhere.example/', '/\\elsewhere.example/', '///elsewhere.example/']) {
        const location = await new Promise<string>((found, fail) => {
          request(origin, { path: path + target }, (answer) => {
            answer.resume()
            found(answer.headers.location!)
          })
            .on('error', fail)
            .end()
        })
        expect(new URL(location, origin).origin, path).toBe(origin)
      }
    })

    it(`shows the page although nobody counts, in ${language}`, async () => {
      const deaf = { ...given, baseUrl: `http://127.0.0.1:${await freePort()}` }
      const origin = await aLandingPage(textOf(arrivalSnippet(language, deaf)), file, command)

      const { status, offer } = await readAndOrder(origin, 44)

      expect(status).toBe(303)
      expect(offer).toMatch(/^https:\/\/shop\.example\/it's\?a=1&b="2"&sub=[\w-]+#top$/)
    })

    it(`reports nothing where the link names nobody, in ${language}`, async () => {
      const { ingredients, events, campaign } = await aCountingServer()
      const origin = await aLandingPage(textOf(arrivalSnippet(language, ingredients)), file, command)

      for (const query of ['', '?e=', '?e=%FF', '?e=bm9ib2R5', '?e[]=1', '?order', '?order='])
        for (const cookie of ['', 'throughline', 'throughline=', 'throughline=%', 'throughline[]=a%20b'])
          expect(
            (await fetch(origin + query, { headers: { cookie }, redirect: 'manual' })).status,
          ).toBeLessThan(400)
      await fetch(recipeLink(`${origin}/`, campaign.id, 'pre@fetch.example'), {
        headers: { 'sec-purpose': 'prefetch' },
      })
      await readAndOrder(origin, campaign.id)

      await expect.poll(async () => (await events()).length, { timeout: 20_000 }).toBe(2)
      expect(new Set((await events()).map(({ email }) => email))).toEqual(
        new Set(['ada+news@fernmail.example']),
      )
    })
  }

  it('reports from a shell', async () => {
    const { ingredients, events } = await aCountingServer()

    await run('sh', ['-e', '-c', textOf(arrivalSnippet('curl', ingredients))])

    expect(await events()).toMatchObject([
      { kind: 1, email: 'anna@example.com', domain: 'news.example.com', device: 'desktop' },
      { kind: 2, email: 'anna@example.com', domain: 'news.example.com', device: 'desktop' },
    ])
  })

  it('keeps values inside their quotes', () => {
    const awkward = { ...given, writeKey: `a'b\\c"d<e` }
    expect(textOf(arrivalSnippet('browser', awkward))).toContain('data-key="a\'b\\c&quot;d&lt;e"')
    expect(textOf(arrivalSnippet('browser', awkward))).toContain(
      '<a href="https://shop.example/it\'s?a=1&amp;b=&quot;2&quot;#top" data-offer>',
    )
    for (const language of ['php', 'node', 'python'] as const)
      expect(textOf(arrivalSnippet(language, awkward))).toContain(`'a\\'b\\\\c"d<e'`)
    expect(textOf(arrivalSnippet('curl', awkward))).toContain(`'key=a'\\''b\\c"d<e'`)
  })

  it('says the key only where the campaign asks for it', () => {
    for (const language of ['browser', 'php', 'node', 'python', 'curl'] as const)
      expect(textOf(arrivalSnippet(language, given))).not.toMatch(/key['"=:]/)
  })

  it('opens and closes what it opens, in PHP too', () => {
    const code = textOf(arrivalSnippet('php', given))
    const plain = code.replace(/'(?:\\.|[^'\\])*'/g, "''").replace(/\/\/.*$/gm, '')
    for (const [open, close] of ['()', '[]', '{}'])
      expect(plain.split(open!).length, open).toBe(plain.split(close!).length)
    expect(code).toMatch(/^<\?php\n/)
    expect(plain.match(/<\?/g)).toHaveLength(1)
    expect(plain.match(/\?>/g)).toHaveLength(1)
  })
})

describe('the link recipe', () => {
  const expected = 'https://example1.com/?cid=44&e=c8O8w59-P0BmZXJubWFpbC5leGFtcGxl'
  const email = 'süß~?@fernmail.example'

  it('carries the address in base64url and keeps what the landing page has', () => {
    expect(recipeLink('https://example1.com/', 44, email)).toBe(expected)
    expect(recipeLink('https://example1.com/a?x=%20y#z', 44, 'a@b.example')).toBe(
      'https://example1.com/a?x=%20y&cid=44&e=YUBiLmV4YW1wbGU#z',
    )
    expect(Buffer.from(encodeRecipient(email), 'base64url').toString()).toBe(email)
  })

  const programs: [LinkLanguage, string, string, (path: string) => string[]][] = [
    ['node', process.execPath, 'link.mjs', (path) => [path, email]],
    ['python', 'python3', 'link.py', (path) => [path, email]],
    ['php', 'php', 'link.php', (path) => [path, email]],
  ]
  for (const [language, program, file, words] of programs.filter(([, name]) => has(name)))
    it(`is the same from ${language}`, async () => {
      const path = join(aFolder(), file)
      writeFileSync(path, textOf(linkSnippet(language, given, 'https://example1.com/')))

      expect((await run(program, words(path))).stdout.trim()).toBe(expected)
    })

  it('is the same from a shell', async () => {
    const code = textOf(linkSnippet('curl', given, 'https://example1.com/')).replace(
      'anna@example.com',
      email,
    )

    expect((await run('sh', ['-e', '-c', code])).stdout.trim()).toBe(expected)
  })
})

describe('the postback URL', () => {
  it('stands for a recipient by sub-id or by address, and for an order by eid', () => {
    const { sub, email } = postbackSnippets({ ...given, writeKey: 'a&b' })
    expect(textOf(sub)).toBe(
      'https://track.example/under/api/event?cid=44&event=conversion&key=a%26b&sub={sub}&eid={order_id}',
    )
    expect(textOf(email)).toBe(
      'https://track.example/under/api/event?cid=44&event=conversion&key=a%26b&email={customer_email}&domain=shop.example&eid={order_id}',
    )
  })
})
