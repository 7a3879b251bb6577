import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import puppeteer, { type Browser } from 'puppeteer-core'
import { projectRoot } from '../../src/config.js'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const usualPlaces = [
  '/usr/lib/chromium/chromium',
  '/opt/google/chrome/chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

const canRun = (path: string) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The browser to test with: `PUPPETEER_EXECUTABLE_PATH`, else an installed Chromium or Chrome, else the one that
 * @sparticuz/chromium carries in its npm package (Linux on x64).
 * @throws Error with a sentence that says how to provide one
 */
export async function findBrowser(): Promise<string> {
  const chosen = process.env.PUPPETEER_EXECUTABLE_PATH
  if (chosen) {
    if (canRun(chosen)) return chosen
    throw new Error(`PUPPETEER_EXECUTABLE_PATH names ${chosen}, which is no program that can be run.`)
  }
  const onPath = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .flatMap((folder) => names.map((name) => join(folder, name)))
  const installed = [...onPath, ...usualPlaces].find(canRun)
  if (installed) return installed
  if (process.platform === 'linux' && process.arch === 'x64') return unpackBrowser()
  throw new Error(
    'No browser was found. Install Chromium or Chrome, or name one in PUPPETEER_EXECUTABLE_PATH.',
  )
}

/**
 * Unpacks the browser once per installed version, into the packages' folder. The package unpacks into the temp
 * folder and would run any `chromium` that lies there already, so it gets a folder of its own.
 */
async function unpackBrowser(): Promise<string> {
  const folder = createRequire(import.meta.url).resolve('@sparticuz/chromium')
  const { version } = createRequire(import.meta.url)(join(packageFolder(folder), 'package.json'))
  const home = join(projectRoot, 'node_modules', '.cache', `chromium-${version}`)
  const executable = join(home, 'chromium')
  if (existsSync(executable)) return executable

  mkdirSync(dirname(home), { recursive: true })
  const unpacking = mkdtempSync(`${home}-`)
  const { TMPDIR } = process.env
  process.env.TMPDIR = unpacking
  try {
    const { default: chromium } = await import('@sparticuz/chromium')
    // For every user of this machine, not only for the one who unpacked it.
    chmodSync(await chromium.executablePath(), 0o755)
    chmodSync(unpacking, 0o755)
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = TMPDIR
  }
  try {
    renameSync(unpacking, home)
  } catch {
    // Another run was faster, and its copy is as good.
    rmSync(unpacking, { recursive: true })
  }
  return executable
}

function packageFolder(file: string): string {
  let folder = dirname(file)
  while (!folder.endsWith(join('@sparticuz', 'chromium'))) folder = dirname(folder)
  return folder
}

/**
 * Starts a browser with a fresh profile, which puppeteer removes when it is closed. It keeps Chromium's sandbox,
 * except as root and where the kernel forbids one; the pages under test are our own.
 */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await findBrowser()
  const bare = !existsSync('/etc/fonts/fonts.conf') && existsSync(join(dirname(executablePath), 'fonts'))
  const launch = (sandbox: string[]) =>
    puppeteer.launch({
      executablePath,
      // Both the full browser and the shell understand this as "headless".
      headless: 'shell',
      timeout: 60_000,
      protocolTimeout: 120_000,
      env: {
        ...process.env,
        // A bare machine's locale gives pages a language tag that no browser of a person has.
        LANG: 'en_US.UTF-8',
        LANGUAGE: 'en_US',
        // A machine without any fonts gets those that came with the browser.
        ...(bare ? { FONTCONFIG_PATH: join(dirname(executablePath), 'fonts') } : {}),
      },
      args: [
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-dev-shm-usage',
        '--disable-gpu',
        '--disable-quic',
        '--disable-sync',
        '--no-first-run',
        ...sandbox,
      ],
    })

  return process.getuid?.() === 0 ? launch(['--no-sandbox']) : launchSandboxed(launch)
}

async function launchSandboxed(launch: (sandbox: string[]) => Promise<Browser>): Promise<Browser> {
  try {
    return await launch([])
  } catch (error) {
    if (!/sandbox/i.test(String(error))) throw error
    console.warn('This kernel forbids the browser its sandbox; the tests go on without it.')
    return launch(['--no-sandbox'])
  }
}
