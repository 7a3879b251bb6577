import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Browser, BrowserContext, HTTPRequest, Page } from 'puppeteer-core'
import type { Config } from '../../config.js'
import { readAsset } from '../../web/assets.js'
import { findBrowser, fontsBeside, NoBrowser, quietArguments } from './browser.js'
import { PressBusy, PressFailed, PressTimeout, PressUnavailable } from './errors.js'
import { Turns } from './queue.js'
import { stepBack } from './step-back.js'

/** One report to print. */
export interface Order {
  /**
   * A whole document. Its assets are `data:` addresses, paths below /static, or `assets`. Margins and running lines are
   * its own, in `@page`.
   */
  html: string
  title: string
  /** A language tag, such as `en`. */
  lang: string
  /** The paper, unless the document's `@page` says another. */
  paper: 'A4' | 'Letter'
  /** For the log. */
  reportId: string
  /** What else the document may ask for, by its path, such as `/logo.png`. */
  assets?: ReadonlyMap<string, { type: string; body: Buffer }>
  /** Gives the order up. */
  signal?: AbortSignal
}

interface Limits {
  /** Milliseconds that one report may take once its turn has come. */
  report: number
  /** Reports that may wait for their turn. */
  waiting: number
  /** Milliseconds without a report after which the browser is closed. */
  idle: number
}
const usual: Limits = { report: 30_000, waiting: 60, idle: 5 * 60_000 }

/** Pages that are printed at the same time. */
const atOnce = 2

const shuttingDown = 'The server is shutting down.'

/** No such machine exists (RFC 6761), and nobody is asked for it: every request of the page is answered here. */
const origin = 'http://report.invalid'

/** Nothing runs, leads away, is framed or sent; what may be fetched is decided request by request. */
const policy = [
  'sandbox allow-same-origin',
  "default-src 'none'",
  "style-src 'unsafe-inline' *",
  'img-src data: *',
  'font-src data: *',
  "base-uri 'none'",
  "form-action 'none'",
].join(';')

type Needs = {
  config: Pick<Config, 'DATA_DIR' | 'PUPPETEER_EXECUTABLE_PATH' | 'PDF_SANDBOX'>
  log: Logger
  limits?: Partial<Limits>
  /** For tests: look for a browser here instead of on this machine. */
  findBrowser?: () => Promise<string>
}

/**
 * Prints documents as PDF with headless Chromium. The browser starts with the first report, stays warm, is started
 * again when it dies, and closes after some idle minutes; it is driven through a pipe, so no port listens, and its pages
 * have no network: what they ask for is answered by this process or refused. PDFs are tagged, with an outline from the
 * headings, the document's title and language, and embedded fonts.
 */
export function openPress({
  config,
  log,
  limits: given,
  findBrowser: find = () => browserOf(config),
}: Needs) {
  const limits = { ...usual, ...given }
  const turns = new Turns(atOnce, limits.waiting)
  let warm: Promise<Running> | null = null
  let idle: NodeJS.Timeout | undefined
  let printing = 0
  let closed = false

  /** The running browser; the first caller starts it. */
  function running(): Promise<Running> {
    if (warm) return warm
    const starting = startBrowser({ find, sandbox: config.PDF_SANDBOX, log })
    warm = starting
    const forget = () => {
      if (warm === starting) warm = null
    }
    starting.then(({ browser }) => browser.once('disconnected', forget), forget)
    return starting
  }

  /** Ends the browser, once it has nothing to do or is beyond help. */
  async function stopBrowser() {
    const browser = warm
    warm = null
    await browser?.then((one) => one.stop()).catch(() => undefined)
  }

  async function attempt(order: Order, stopped: AbortSignal): Promise<Buffer> {
    const machine = await running()
    const { browser } = machine
    if (stopped.aborted) throw stopped.reason
    let context: BrowserContext | undefined
    let ended = false
    let giveOut: (reason: unknown) => void = () => undefined
    const broken = new Promise<never>((_, reject) => {
      giveOut = reject
    })
    broken.catch(() => undefined)
    const died = () => giveOut(new BrowserDied('The browser ended.'))
    const giveUp = () => giveOut(stopped.reason)
    browser.once('disconnected', died)
    stopped.addEventListener('abort', giveUp)
    const work = async () => {
      context = await browser.createBrowserContext()
      const page = await context.newPage()
      page.once('error', (error) => giveOut(new BrowserDied(error.message)))
      return printPage(page, order, log)
    }
    try {
      const pdf = await Promise.race([work(), broken])
      ended = true
      return pdf
    } catch (error) {
      if (!browser.connected && !stopped.aborted)
        throw new BrowserDied('The browser ended.', { cause: error })
      throw error
    } finally {
      browser.off('disconnected', died)
      stopped.removeEventListener('abort', giveUp)
      const shut = await Promise.race([
        Promise.resolve(context?.close()).then(
          () => true,
          () => !browser.connected,
        ),
        pause(2_000, false, { ref: false }),
      ])
      // A page that cannot even be closed holds the browser: the neighbour is printed again in a fresh one.
      if (!shut || (!ended && !context && browser.connected)) {
        log.warn('the browser no longer answers and is ended')
        await machine.kill()
      }
    }
  }

  /** Prints; a browser that dies meanwhile is started again, once. */
  async function printWithin(order: Order): Promise<Buffer> {
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(new PressTimeout(limits.report)), limits.report)
    const stopped = order.signal ? AbortSignal.any([order.signal, limit.signal]) : limit.signal
    try {
      try {
        return await attempt(order, stopped)
      } catch (error) {
        if (!(error instanceof BrowserDied) || stopped.aborted || closed) throw error
        log.warn({ err: error, report: order.reportId }, 'browser died while printing; printing again')
        return await attempt(order, stopped)
      }
    } catch (error) {
      if (stopped.aborted) throw stopped.reason
      if (closed) throw new PressUnavailable(shuttingDown)
      if (error instanceof PressUnavailable) throw error
      throw new PressFailed({ cause: error })
    } finally {
      clearTimeout(timer)
    }
  }

  return {
    /**
     * Prints one document as PDF.
     * @param wanted the order, or what makes it, which is asked once its turn has come
     * @returns the bytes of the PDF
     * @throws PressUnavailable (no browser), PressBusy (too many wait), PressTimeout, PressFailed (the browser died
     * twice, or something else went wrong), the reason of `signal`, or what the maker of the order throws
     */
    async print(wanted: Order | (() => Promise<Order>)): Promise<Buffer> {
      const isMade = typeof wanted !== 'function'
      if (!(await turns.take(isMade ? wanted.signal : undefined))) throw new PressBusy()
      clearTimeout(idle)
      printing++
      const began = performance.now()
      try {
        const order = isMade ? wanted : await wanted()
        if (closed) throw new PressUnavailable(shuttingDown)
        const pdf = await printWithin(order)
        const took = Math.round(performance.now() - began)
        log.debug({ report: order.reportId, bytes: pdf.length, ms: took }, 'report printed')
        return pdf
      } finally {
        printing--
        turns.leave()
        if (printing === 0 && turns.waiting === 0 && !closed)
          idle = setTimeout(() => void stopBrowser(), limits.idle).unref()
      }
    },
    /** How many are being printed and how many wait. */
    load: () => ({ printing, waiting: turns.waiting }),
    /** The browser's process, while one runs. */
    pid: async () => (await warm?.catch(() => null))?.browser.process()?.pid ?? null,
    /** Refuses whoever waits, gives up what is printed, and ends the browser. */
    async close() {
      if (closed) return
      closed = true
      clearTimeout(idle)
      turns.close(new PressUnavailable(shuttingDown))
      await stopBrowser()
    },
  }
}
export type Press = ReturnType<typeof openPress>

/** The browser ended or its page crashed, which says nothing about the report. */
class BrowserDied extends Error {}

const browserOf = ({ DATA_DIR, PUPPETEER_EXECUTABLE_PATH }: Needs['config']) =>
  findBrowser({
    chosen: PUPPETEER_EXECUTABLE_PATH,
    path: process.env.PATH,
    cache: join(DATA_DIR, 'browser'),
  })

interface Running {
  browser: Browser
  /** Ends it in good order, or by force when it does not answer. */
  stop(): Promise<void>
  kill(): Promise<void>
}

async function startBrowser({
  find,
  sandbox,
  log,
}: {
  find: () => Promise<string>
  sandbox: Config['PDF_SANDBOX']
  log: Logger
}): Promise<Running> {
  const executable = await find().catch((error) => {
    if (!(error instanceof NoBrowser)) throw error
    throw new PressUnavailable(error.message, { cause: error })
  })
  try {
    // Root has no sandbox in Chromium.
    if (process.getuid?.() === 0) return await launch(executable, ['--no-sandbox'])
    return await launch(executable, [])
  } catch (error) {
    const noSandbox = /sandbox/i.test(String(error))
    if (noSandbox && sandbox === 'if-possible') {
      log.warn('the kernel forbids the browser its sandbox; it prints without')
      return launch(executable, ['--no-sandbox']).catch((again) => refused(executable, again))
    }
    if (noSandbox)
      throw new PressUnavailable(
        'This machine forbids Chromium its sandbox. Allow unprivileged user namespaces, or set PDF_SANDBOX=if-possible where the whole server is confined already, as in a container.',
        { cause: error },
      )
    return refused(executable, error)
  }
}

function refused(executable: string, error: unknown): never {
  throw new PressUnavailable(
    `The browser at ${executable} does not start. Install Chromium or Chrome anew, or name another one in PUPPETEER_EXECUTABLE_PATH.`,
    { cause: error },
  )
}

/** With the number of the process behind it. */
const folderName = 'throughline-press-'
const leftFolder = new RegExp(`^${folderName}(\\d+)-\\w{6}$`)
const ownFolders = new Set<string>()

/** A process that was killed could not take its browser's folder away. */
async function removeLeftFolders() {
  for (const name of await readdir(tmpdir())) {
    const [, owner] = leftFolder.exec(name) ?? []
    const folder = join(tmpdir(), name)
    if (owner === undefined || ownFolders.has(folder) || isOfAnother(Number(owner))) continue
    await rm(folder, { recursive: true, force: true }).catch(() => {}) // perhaps somebody else's
  }
}
/** Does another process of this number run? (In a container every server may have the same.) */
function isOfAnother(number: number) {
  if (number === process.pid) return false
  try {
    process.kill(number, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function launch(executablePath: string, sandbox: string[]): Promise<Running> {
  // Only whoever prints pays for the driver.
  const { default: puppeteer } = await import('puppeteer-core')
  // Its profile and what it writes meanwhile lie in a folder of its own, which goes with it.
  await removeLeftFolders()
  const folder = mkdtempSync(join(tmpdir(), `${folderName}${process.pid}-`))
  ownFolders.add(folder)
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  const fonts = fontsBeside(executablePath)
  try {
    const browser = await puppeteer.launch({
      executablePath,
      // Both the full browser and the shell understand this as "headless".
      headless: 'shell',
      pipe: true,
      userDataDir: join(folder, 'profile'),
      timeout: 30_000,
      protocolTimeout: 0, // one report has a limit of its own
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      // Nothing of what this process was told in confidence.
      env: {
        ...Object.fromEntries(
          ['PATH', 'HOME', 'LD_LIBRARY_PATH', 'XDG_CACHE_HOME', 'FONTCONFIG_PATH', 'FONTCONFIG_FILE'].map(
            (name) => [name, process.env[name]],
          ),
        ),
        ...(fonts ? { FONTCONFIG_PATH: fonts } : {}),
        LANG: 'en_US.UTF-8',
        LANGUAGE: 'en_US',
        TMPDIR: folder,
      },
      args: [
        ...quietArguments,
        // No name leads anywhere, so what is fetched without asking (a hint to connect, for one) finds nobody.
        '--host-resolver-rules=MAP * ~NOTFOUND',
        '--font-render-hinting=none',
        '--disable-extensions',
        ...sandbox,
      ],
    })
    const program = browser.process()
    const gone = new Promise<void>((done) => {
      if (!program || program.exitCode !== null || program.signalCode !== null) return done()
      program.once('exit', () => done())
    })
    void gone.then(clear).catch(() => undefined)
    if (program?.pid) stepBack(program.pid)
    const kill = async () => {
      program?.kill('SIGKILL')
      await gone
    }
    return {
      browser,
      kill,
      async stop() {
        await Promise.race([browser.close().catch(() => undefined), pause(3_000, undefined, { ref: false })])
        await kill()
      },
    }
  } catch (error) {
    clear()
    throw error
  }
}

async function printPage(page: Page, order: Order, log: Logger): Promise<Buffer> {
  const { html, title, lang, paper, reportId, assets } = order
  await Promise.all([page.setJavaScriptEnabled(false), page.setRequestInterception(true)])
  page.on('request', (request) => {
    answer(request).catch(() => undefined) // the page is gone
  })
  async function answer(request: HTTPRequest) {
    const url = new URL(request.url())
    if (url.protocol === 'data:') return
    const own = url.origin === origin && request.method() === 'GET'
    if (own && url.pathname === '/' && request.isNavigationRequest() && request.frame() === page.mainFrame())
      return request.respond({
        contentType: 'text/html; charset=utf-8',
        headers: { 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' },
        body: html,
      })
    const asset = own ? (assets?.get(url.pathname) ?? (await readAsset(url.pathname))) : null
    if (asset) return request.respond({ contentType: asset.type, body: asset.body })
    log.warn({ report: reportId, url: request.url().slice(0, 200) }, 'report may not fetch this')
    return request.abort('blockedbyclient')
  }

  await page.goto(`${origin}/`, { waitUntil: 'load', timeout: 0 })
  // Scripts of the page are off; what we evaluate ourselves is not.
  await page.evaluate(
    `document.title = ${JSON.stringify(title)}; document.documentElement.lang = ${JSON.stringify(lang)}`,
  )
  const pdf = await page.pdf({
    format: paper === 'A4' ? 'a4' : 'letter',
    preferCSSPageSize: true,
    printBackground: true,
    tagged: true,
    outline: true,
    timeout: 0,
  })
  return Buffer.from(pdf)
}
