import { execFile } from 'node:child_process'
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
import { promisify } from 'node:util'
import { projectRoot } from '../../config.js'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const usualPlaces = [
  '/usr/lib/chromium/chromium',
  '/opt/google/chrome/chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

const may = (path: string, mode: number) => {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}
const canRun = (path: string) => may(path, constants.X_OK)

/** No browser can be used; the message is a sentence that says how to provide one. */
export class NoBrowser extends Error {}

/** What is looked at to find a browser. */
export interface Whereabouts {
  /** `PUPPETEER_EXECUTABLE_PATH`: the browser to take, and no other. */
  chosen: string | undefined
  /** `PATH`. */
  path: string | undefined
  /** Where the packaged browser may be unpacked when the packages' own folder cannot be written. */
  cache?: string
  /** Everything else a machine may have: false leaves only `chosen` and `path` (to see what a bare machine says). */
  elsewhere?: boolean
}

/**
 * The browser to print with: the one that was chosen, else an installed Chromium or Chrome, else the one that
 * @sparticuz/chromium carries in its npm package (Linux on x64), which is unpacked once.
 * @returns the path of the program
 * @throws NoBrowser with a sentence that says how to provide one
 */
export async function findBrowser({ chosen, path, cache, elsewhere = true }: Whereabouts): Promise<string> {
  if (chosen) {
    if (canRun(chosen)) return chosen
    throw new NoBrowser(`PUPPETEER_EXECUTABLE_PATH names ${chosen}, which is no program that can be run.`)
  }
  const onPath = (path ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .flatMap((folder) => names.map((name) => join(folder, name)))
  const installed = [...onPath, ...(elsewhere ? usualPlaces : [])].find(canRun)
  if (installed) return installed
  if (elsewhere && process.platform === 'linux' && process.arch === 'x64') return unpackBrowser(cache)
  throw new NoBrowser(
    'No browser was found. Install Chromium or Chrome, or name one in PUPPETEER_EXECUTABLE_PATH.',
  )
}

/**
 * Unpacks the browser once per installed version, into the packages' folder or else into the given one. The package
 * unpacks into the temp folder and would run any `chromium` that lies there already, so a process of its own does it
 * in a folder of its own.
 */
async function unpackBrowser(cache: string | undefined): Promise<string> {
  const require = createRequire(import.meta.url)
  const { version } = require(join(packageFolder(require.resolve('@sparticuz/chromium')), 'package.json'))
  const folders = [join(projectRoot, 'node_modules', '.cache'), ...(cache ? [cache] : [])]
  const homes = folders.map((folder) => join(folder, `chromium-${version}`))
  const unpacked = homes.map((home) => join(home, 'chromium')).find(canRun)
  if (unpacked) return unpacked

  const home = homes.find((path) => canBeMade(dirname(path)))
  if (!home)
    throw new NoBrowser(
      'There is no room to unpack the browser that comes with the packages. Install Chromium or Chrome, or name one in PUPPETEER_EXECUTABLE_PATH.',
    )
  const unpacking = mkdtempSync(`${home}-`)
  try {
    const program =
      "import chromium from '@sparticuz/chromium'\nprocess.stdout.write(await chromium.executablePath())"
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { cwd: projectRoot, env: { PATH: process.env.PATH, TMPDIR: unpacking }, timeout: 120_000 },
    )
    // For every user of this machine, not only for the one who unpacked it.
    chmodSync(stdout.trim(), 0o755)
    chmodSync(unpacking, 0o755)
  } catch (error) {
    rmSync(unpacking, { recursive: true, force: true })
    throw new NoBrowser(
      'The browser that comes with the packages could not be unpacked. Install Chromium or Chrome, or name one in PUPPETEER_EXECUTABLE_PATH.',
      { cause: error },
    )
  }
  try {
    renameSync(unpacking, home)
  } catch {
    // Another run was faster, and its copy is as good.
    rmSync(unpacking, { recursive: true })
  }
  return join(home, 'chromium')
}

function canBeMade(folder: string) {
  try {
    mkdirSync(folder, { recursive: true })
  } catch {
    return false
  }
  return may(folder, constants.W_OK)
}

function packageFolder(file: string): string {
  let folder = dirname(file)
  while (!folder.endsWith(join('@sparticuz', 'chromium'))) folder = dirname(folder)
  return folder
}

/** The folder of fonts that came with a browser, for a machine without any; null where the machine has its own. */
export function fontsBeside(executable: string): string | null {
  const fonts = join(dirname(executable), 'fonts')
  return !existsSync('/etc/fonts/fonts.conf') && existsSync(fonts) ? fonts : null
}

/** What every browser of ours is started with: no calls home, and nothing that a page on paper does not need. */
export const quietArguments = [
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-dev-shm-usage',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
]
