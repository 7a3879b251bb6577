import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.js'
import { findBrowser } from '../../src/reports/pdf/browser.js'
import { type Order, openPress } from '../../src/reports/pdf/press.js'
import { assetPath } from '../../src/web/assets.js'
import { aFolder } from '../support/app.js'
import { readPdf } from '../support/pdf.js'

type Options = Partial<Parameters<typeof openPress>[0]> & { env?: Record<string, string> }

function aPress({ env = {}, ...options }: Options = {}) {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const { PUPPETEER_EXECUTABLE_PATH = '' } = process.env
  const config = readConfig({ DATA_DIR: aFolder(), PUPPETEER_EXECUTABLE_PATH, ...env })
  const press = openPress({ config, log, ...options })
  onTestFinished(() => press.close())
  return { ...press, log: () => lines.join('') }
}

const order = (body: string, more: Partial<Order> = {}): Order => ({
  html: `<!doctype html><html><head><title>Draft</title><style>
    @page { margin: 20mm; @bottom-right { content: "page " counter(page) " of " counter(pages); } }
  </style></head><body>${body}</body></html>`,
  title: 'Autumn “results”',
  lang: 'en',
  paper: 'A4',
  reportId: 'TL-2026-047',
  ...more,
})

/** A machine elsewhere, which nobody should ever ask for anything. */
async function elsewhere() {
  const asked: string[] = []
  const server = createServer((req, res) => {
    asked.push(req.url!)
    res.end()
  })
  server.on('connection', () => asked.push('a connection'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The process that started one; NaN where there is none. */
function parentOf(pid: string): number {
  try {
    return Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1])
  } catch {
    return Number.NaN
  }
}

const processes = () => readdirSync(tmpdir()).filter((name) => name.startsWith('throughline-press-'))

/** A page that takes so long to lay out that there is time to do something meanwhile. */
const long = Array.from({ length: 1_000 }, (_, row) => `<p>Row ${row} of a very long report</p>`).join('')

describe('the press', () => {
  it('prints a tagged document with title, language, outline, links and fonts', async () => {
    const { print } = aPress()
    const pdf = await print(
      order(
        `<h1>Autumn Reading List</h1><p>12,480 people. <a href="https://paperboat.example/autumn?a=1&amp;b=2">Offer</a></p>
         <h2>The method</h2><table><tr><th>Step</th><td>4.73%</td></tr></table>
         <p style="break-before: page">Grüße, Ελλάδα, مرحبا</p>`,
        { lang: 'de-CH' },
      ),
    )
    const read = await readPdf(pdf)
    expect(read).toMatchObject({
      title: 'Autumn “results”',
      lang: 'de-CH',
      tagged: true,
      outline: ['Autumn Reading List', 'The method'],
      links: ['https://paperboat.example/autumn?a=1&b=2'],
    })
    expect(read.pages).toHaveLength(2)
    expect(read.pages[0]).toContain('12,480 people.')
    expect(read.pages[0]).toContain('page 1 of 2')
    expect(read.pages[1]).toContain('Grüße, Ελλάδα')
    expect(read.roles).toEqual(expect.arrayContaining(['H1', 'H2', 'P', 'Link', 'Table', 'TR', 'TH', 'TD']))
    expect(read.fonts.length).toBeGreaterThan(0)
    expect(read.fonts.filter(({ embedded }) => !embedded)).toEqual([])
    expect(read.size.width / read.size.height).toBeCloseTo(210 / 297, 2)
    expect(Math.abs(read.size.width - 595)).toBeLessThan(2)
  })

  it('prints on Letter, and on what the document says', async () => {
    const { print } = aPress()
    const letter = await readPdf(await print(order('<p>Hello</p>', { paper: 'Letter' })))
    expect(letter.size).toEqual({ width: 612, height: 792 })
    const own = await readPdf(await print(order('<style>@page { size: A5 }</style><p>Hello</p>')))
    expect(own.size.width).toBeCloseTo(420, 0)
  })

  it('gives a page our own files, and nothing from anywhere else', async () => {
    const { asked, url } = await elsewhere()
    const { print, log } = aPress()
    const { host } = new URL(url)
    const pdf = await print(
      order(
        `<link rel="stylesheet" href="${assetPath('css/tokens.css')}"><link rel="preconnect" href="${url}">
         <link rel="dns-prefetch" href="//${host}"><link rel="prefetch" href="${url}/prefetched">
         <style>@import url(${url}/imported.css); @font-face { font-family: f; src: url(${url}/font.woff2) }
           body { font-family: f, sans-serif; background: url(${url}/background.png) }</style>
         <img src="${url}/picture.png"><img src="/static/icon.svg" alt="Mark" width="40"><img src="/logo.png" alt="Logo">
         <img src="/static/../package.json"><img src="/static/%2e%2e/%2e%2e/package.json"><img src="/healthz">
         <iframe src="${url}/frame"></iframe><object data="${url}/object"></object><embed src="${url}/embed">
         <iframe src="file:///etc/hostname"></iframe><object data="file:///etc/hostname"></object>
         <svg><image href="${url}/svg.png"/><use href="${url}/use.svg#a"/></svg>
         <form action="${url}/form"><button>Go</button></form><meta http-equiv="refresh" content="0; url=${url}/refresh">
         <script>document.body.append('SCRIPT RAN'); fetch('${url}/fetched')</script>
         <svg onload="document.body.append('SCRIPT RAN')"></svg><img src="x" onerror="document.body.append('SCRIPT RAN')">
         <p>The end</p>`,
        {
          assets: new Map([
            [
              '/logo.png',
              {
                type: 'image/svg+xml',
                body: Buffer.from(
                  `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>fetch('${url}/x')</script><image href="${url}/nested.png"/></svg>`,
                ),
              },
            ],
          ]),
        },
      ),
    )
    const { pages } = await readPdf(pdf)
    expect(pages.join(' ')).toContain('The end')
    expect(pages.join(' ')).not.toContain('SCRIPT RAN')
    expect(asked).toEqual([])
    for (const name of ['imported.css', 'font.woff2', 'background.png', 'picture.png', '/healthz'])
      expect(log()).toContain(name)
    expect(log()).not.toContain('icon.svg')
    expect(log()).not.toContain(assetPath('css/tokens.css'))
    expect(pdf.toString('latin1')).not.toContain('throughline"')
  })

  it('keeps the title of whoever wrote one in its place', async () => {
    const { print } = aPress()
    const title = '</title><script>x</script> \u2028 ") } @import url(file:///etc/passwd)'
    const read = await readPdf(await print(order('<p>Hello</p>', { title })))
    expect(read.title).toBe(title)
    expect(read.pages[0]).toContain('Hello')
  })

  it('prints again in a fresh browser when the browser dies meanwhile', async () => {
    const { print, pid, log } = aPress()
    await print(order('<p>Warm</p>'))
    const first = await pid()
    const printing = print(order(`${long}<p>The end</p>`))
    process.kill(first!, 'SIGKILL')
    const { pages } = await readPdf(await printing)
    expect(pages.at(-1)).toContain('The end')
    expect(await pid()).not.toBe(first)
    expect(log()).toContain('browser died while printing; printing again')
  })

  it('starts the browser again that died while nothing was printed', async () => {
    const { print, pid } = aPress()
    await print(order('<p>Warm</p>'))
    const first = await pid()
    process.kill(first!, 'SIGKILL')
    const { pages } = await readPdf(await print(order('<p>Again</p>')))
    expect(pages[0]).toContain('Again')
  })

  it('gives a report up that takes too long, and prints the next', async () => {
    const { print, pid } = aPress({ limits: { report: 4_000 } })
    await print(order('<p>Warm</p>'))
    // A browser that hangs answers nothing at all.
    const first = (await pid())!
    process.kill(first, 'SIGSTOP')
    await expect(print(order('<p>Hello</p>'))).rejects.toMatchObject({
      status: 504,
      message: expect.stringContaining('was not done after 4 seconds'),
    })
    const { pages } = await readPdf(await print(order('<p>The next</p>')))
    expect(pages[0]).toContain('The next')
    expect(await pid()).not.toBe(first)
  })

  it('prints two at once, lets others wait, and turns away who would be too many', async () => {
    const { print, load } = aPress({ limits: { waiting: 3 } })
    const all = Array.from({ length: 7 }, (_, place) =>
      print(order(`<p>Report ${place}</p>`)).then(
        async (pdf) => (await readPdf(pdf)).pages[0],
        (error) => error,
      ),
    )
    await Promise.resolve()
    expect(load()).toEqual({ printing: 2, waiting: 3 })
    const done = await Promise.all(all)
    for (const place of [0, 1, 2, 3, 4]) expect(done[place]).toContain(`Report ${place}`)
    for (const place of [5, 6]) expect(done[place]).toMatchObject({ status: 503, name: 'Error' })
    expect(load()).toEqual({ printing: 0, waiting: 0 })
  })

  it('has an order made when its turn has come, and tells what its maker throws', async () => {
    const { print } = aPress()
    let made = 0
    const maker = (place: number) => async () => {
      made++
      if (place === 3) throw new Error('It is gone.')
      return order(`<p>Report ${place}</p>`)
    }
    const all = [1, 2, 3].map((place) => print(maker(place)))
    await new Promise(setImmediate)
    expect(made).toBe(2)
    await expect(all[2]).rejects.toThrow('It is gone.')
    expect((await readPdf(await all[0]!)).pages[0]).toContain('Report 1')
    expect((await readPdf(await all[1]!)).pages[0]).toContain('Report 2')
    expect((await readPdf(await print(maker(4)))).pages[0]).toContain('Report 4')
  })

  it('starts no browser for an order that is being made when it closes', async () => {
    const { print, close, pid } = aPress()
    let make: (order: Order) => void = () => undefined
    const made = new Promise<Order>((done) => {
      make = done
    })
    const printing = print(() => made)
    await new Promise(setImmediate)
    await close()
    make(order('<p>Late</p>'))
    await expect(printing).rejects.toMatchObject({ status: 503 })
    expect(await pid()).toBeNull()
  })

  it.runIf(process.platform === 'linux')('lets all of the browser step back behind the server', async () => {
    const { print, pid } = aPress()
    await print(order('<p>Hello</p>'))
    const browser = (await pid())!
    const all = [browser, ...readdirSync('/proc').filter((name) => parentOf(name) === browser)].map(Number)
    expect(all.length).toBeGreaterThan(1)
    expect(new Set(all.map((each) => getPriority(each)))).toEqual(new Set([10]))
    const sessions = `/proc/${browser}/autogroup`
    // Empty where the kernel shares out between groups of its own.
    if (existsSync(sessions)) expect(readFileSync(sessions, 'utf8').trim()).toMatch(/^$| nice 10$/)
  })

  it('lets go of an order that is given up, waiting or printing', async () => {
    const { print, load } = aPress({ limits: { waiting: 3 } })
    const gone = new AbortController()
    const orders = [1, 2, 3].map(() => print(order(long, { signal: gone.signal })))
    await Promise.resolve()
    gone.abort(new Error('Nobody waits for it any more.'))
    for (const each of await Promise.allSettled(orders))
      expect(each).toMatchObject({ status: 'rejected', reason: { message: 'Nobody waits for it any more.' } })
    expect(load()).toEqual({ printing: 0, waiting: 0 })
    expect((await readPdf(await print(order('<p>Next</p>')))).pages[0]).toContain('Next')
  })

  it('closes the browser after idle minutes, and leaves nothing behind', async () => {
    const before = processes().length
    const press = aPress({ limits: { idle: 50 } })
    await press.print(order('<p>Hello</p>'))
    const child = (await press.pid())!
    await expect.poll(press.pid, { timeout: 20_000 }).toBeNull()
    await expect.poll(() => isAlive(child), { timeout: 20_000 }).toBe(false)
    await expect.poll(() => processes().length, { timeout: 20_000 }).toBe(before)
    await press.print(order('<p>Hello</p>'))
    await press.close()
    await expect.poll(() => processes().length, { timeout: 20_000 }).toBe(before)
    await expect(press.print(order('<p>Late</p>'))).rejects.toMatchObject({
      status: 503,
      message: expect.stringContaining('shutting down'),
    })
  })
})

it('removes the folder that a killed process has left, and none of a process that runs', async () => {
  const folder = (owner: number) => join(tmpdir(), `throughline-press-${owner}-abcdef`)
  // No process has a number above 4194304 on Linux, and the first one always runs.
  const [left, used] = [folder(9_999_999), folder(1)]
  for (const each of [left, used]) mkdirSync(each, { recursive: true })
  onTestFinished(() => rmSync(used, { recursive: true }))
  const press = aPress()
  await press.print(order('<p>Hello</p>'))
  await press.close()
  expect([left, used].map((each) => existsSync(each))).toEqual([false, true])
})

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('without a browser', () => {
  it('says what to install', async () => {
    const { print } = aPress({
      findBrowser: () => findBrowser({ chosen: undefined, path: '/nowhere', elsewhere: false }),
    })
    await expect(print(order('<p>Hello</p>'))).rejects.toMatchObject({
      status: 503,
      message:
        'No browser was found. Install Chromium or Chrome, or name one in PUPPETEER_EXECUTABLE_PATH. The page and the CSV work without it.',
    })
  })

  it('says which chosen program cannot be run', async () => {
    const { print } = aPress({ env: { PUPPETEER_EXECUTABLE_PATH: '/nowhere/chromium' } })
    await expect(print(order('<p>Hello</p>'))).rejects.toThrow(
      'PUPPETEER_EXECUTABLE_PATH names /nowhere/chromium, which is no program that can be run.',
    )
  })

  it('says so where the chosen program is no browser', async () => {
    const { print } = aPress({ env: { PUPPETEER_EXECUTABLE_PATH: '/bin/false' } })
    await expect(print(order('<p>Hello</p>'))).rejects.toThrow('The browser at /bin/false does not start.')
  })

  it('takes one that is on the path', async () => {
    const folder = aFolder()
    const { chmodSync, writeFileSync } = await import('node:fs')
    const program = join(folder, 'google-chrome')
    writeFileSync(program, '#!/bin/sh\n')
    await expect(findBrowser({ chosen: undefined, path: folder, elsewhere: false })).rejects.toThrow(
      'No browser',
    )
    chmodSync(program, 0o755)
    expect(await findBrowser({ chosen: undefined, path: `/nowhere:${folder}`, elsewhere: false })).toBe(
      program,
    )
  })
})
