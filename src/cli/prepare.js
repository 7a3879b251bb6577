// What must be true before anything else can run: a Node that is new enough, the locked packages, a fresh build.
// Plain JavaScript on Node's own modules alone, since it runs before anything is installed or compiled.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { constants as system } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Something the operator has to put right; the message is one sentence for them. */
export class Refused extends Error {}

/** The folder that holds package.json, whether this runs from src/cli/ or from dist/src/cli/. */
export const root = (() => {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!fs.existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()

/** @param {string[]} parts */
const at = (...parts) => join(root, ...parts)

/** @param {string} path */
const json = (path) => JSON.parse(fs.readFileSync(path, 'utf8'))

/** An image ships dist/ and the packages it needs, but no sources: there is nothing to install or build. */
const isBaked = () => !fs.existsSync(at('src', 'main.ts')) && fs.existsSync(at('dist', 'src', 'main.js'))

/**
 * @param {string} version such as `20.19.0`
 * @throws Refused when Node is older than 20.19
 */
export function checkNode(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    throw new Refused(`Throughline needs Node 20.19 or newer, and this is Node ${version}.`)
}

/**
 * Installs the locked packages when one is missing or another version than the lock file names, and makes sure
 * that better-sqlite3 can be loaded. Costs a few milliseconds when there is nothing to do.
 * @throws Refused with what is missing and how to get it
 */
export async function install() {
  if (isBaked()) return
  if (!fs.existsSync(at('package-lock.json')))
    throw new Refused('package-lock.json is missing, and without it nobody knows which packages to install.')
  if (!packagesAreCurrent()) {
    console.log('Installing the locked packages. The first time takes a minute or two.')
    // NODE_ENV=production would leave the compiler out.
    const { code, output } = await npm(['ci', '--include=dev', '--no-audit', '--no-fund'])
    if (code !== 0) {
      console.error(output)
      throw new Refused(whyInstallFailed(output))
    }
  }

  const proven = provenInstall()
  const marker = at('node_modules', '.throughline-installed')
  if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8') === proven) return
  const sqlite = loadSqlite()
  if (sqlite.failed) {
    // Installed by another Node, or by an npm that was told to run no install scripts.
    console.log('Building better-sqlite3 for this Node.')
    const { output } = await npm([
      'rebuild',
      'better-sqlite3',
      '--ignore-scripts=false',
      '--foreground-scripts',
    ])
    const again = loadSqlite()
    if (again.failed) {
      console.error(output || again.output)
      throw new Refused(whyInstallFailed('better-sqlite3'))
    }
  }
  try {
    fs.writeFileSync(marker, proven)
  } catch {
    // Somebody else's node_modules: the next start looks again, which costs a tenth of a second.
  }
}

/**
 * Compares what npm says it installed (node_modules/.package-lock.json, which it writes last and any later npm
 * command rewrites) with the lock file, so that an install by hand counts too.
 */
function packagesAreCurrent() {
  const installedList = at('node_modules', '.package-lock.json')
  if (!fs.existsSync(installedList)) return false
  const installed = json(installedList).packages
  const locked = json(at('package-lock.json')).packages
  const { dependencies, devDependencies } = json(at('package.json'))
  const wanted = locked['']
  if (
    !sameEntries(dependencies, wanted.dependencies) ||
    !sameEntries(devDependencies, wanted.devDependencies)
  )
    return false
  return Object.entries(locked).every(([path, entry]) => {
    if (path === '') return true
    const there = installed[path]
    // An optional package is there for another system, or could not be fetched: npm goes on without it too.
    if (!there) return Boolean(entry.optional || entry.devOptional)
    return (
      there.version === entry.version &&
      there.integrity === entry.integrity &&
      fs.existsSync(at(path, 'package.json'))
    )
  })
}

/**
 * @param {Record<string, string>} [one]
 * @param {Record<string, string>} [other]
 */
function sameEntries(one = {}, other = {}) {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name])
}

/** Changes with every npm command, and with every Node that loads native code differently. */
function provenInstall() {
  const { mtimeMs } = fs.statSync(at('node_modules', '.package-lock.json'))
  return `${process.platform} ${process.arch} ${process.versions.modules} ${mtimeMs}\n`
}

/** In a process of its own: a binary that was built for something else can take the whole process down. */
function loadSqlite() {
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--eval', `new (require('better-sqlite3'))(':memory:').close()`],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] },
  )
  return { failed: status !== 0, output: stderr }
}

/** @param {string} output what npm printed */
function whyInstallFailed(output) {
  if (!output.includes('better-sqlite3'))
    return 'npm could not install the packages; what it says stands above.'
  const missing = missingTools()
  if (missing.length === 0)
    return (
      'better-sqlite3 could not be installed: no prebuilt binary could be fetched, and it did not compile; ' +
      'what the compiler says stands above.'
    )
  const names = missing.length > 1 ? `${missing.slice(0, -1).join(', ')} and ${missing.at(-1)}` : missing[0]
  return (
    `better-sqlite3 could not be installed: no prebuilt binary could be fetched, and to compile it ${names} ` +
    `${missing.length > 1 ? 'are' : 'is'} missing: install with "apt-get install python3 make g++" (Debian, Ubuntu), ` +
    '"apk add python3 make g++" (Alpine) or "xcode-select --install" (macOS), then start again.'
  )
}

/** Which of the three things that compile better-sqlite3 are not on the PATH. */
export function missingTools(path = process.env.PATH ?? '') {
  const tools = {
    python3: [process.env.PYTHON, process.env.npm_config_python, 'python3', 'python'],
    make: [process.env.MAKE, 'make', 'gmake'],
    'g++': [process.env.CXX, 'g++', 'c++', 'clang++'],
  }
  if (process.platform === 'win32') return []
  return Object.entries(tools)
    .filter(([, names]) => !names.some((name) => name && isOnPath(name, path)))
    .map(([tool]) => tool)
}

/**
 * @param {string} name
 * @param {string} path
 */
function isOnPath(name, path) {
  const places = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder, name))
  return places.some((place) => {
    try {
      fs.accessSync(place, fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * Runs npm and keeps what it prints.
 * @param {string[]} args
 * @returns {Promise<{ code: number, output: string }>}
 */
async function npm(args) {
  const ours = process.env.npm_execpath
  // The npm that started us, if it was npm. Elsewhere the one on the PATH, which is a .cmd file on Windows.
  const [file, before] = ours?.endsWith('npm-cli.js') ? [process.execPath, [ours]] : ['npm', []]
  const child = spawn(file, [...before, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: file === 'npm' && process.platform === 'win32',
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((done) => {
    child.on('error', (error) => done({ code: 1, output: `npm could not be started: ${error.message}` }))
    child.on('close', (code) => done({ code: code ?? 1, output: output.trim() }))
  })
}

/**
 * Compiles src/ and migrations/ into dist/ when one of their files, the compiler's settings or the locked
 * packages changed since the last build. The new dist/ is made beside the old one and takes its place whole, so
 * nothing is left of a deleted source, and a build that fails leaves the last good one untouched.
 * @throws Refused when the sources do not compile
 */
export async function build() {
  if (isBaked()) return
  const inputs = stateOfInputs()
  const stamp = at('dist', '.built')
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === inputs) return

  console.log('Building.')
  const next = at(`dist.${process.pid}`)
  try {
    const code = await run([
      at('node_modules/typescript/bin/tsc'),
      '-p',
      'tsconfig.build.json',
      '--outDir',
      next,
    ])
    if (code !== 0) throw new Refused('The sources do not compile; what the compiler says stands above.')
    fs.writeFileSync(join(next, '.built'), inputs)
    fs.rmSync(at('dist'), { recursive: true, force: true })
    fs.renameSync(next, at('dist'))
  } finally {
    fs.rmSync(next, { recursive: true, force: true })
  }
}

/** One line that changes when a file that the build reads is added, removed, or written. */
function stateOfInputs() {
  const files = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json']
  for (const folder of ['src', 'migrations'])
    for (const entry of fs.readdirSync(at(folder), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) files.push(join(entry.parentPath, entry.name).slice(root.length + 1))
  const hash = createHash('sha256')
  for (const file of files.sort()) {
    const { size, mtimeMs } = fs.statSync(at(file))
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return `${hash.digest('hex')}\n`
}

/**
 * Runs a Node program in the foreground and hands SIGTERM and SIGINT on to it.
 * @param {string[]} args its file and arguments
 * @param {{ env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<number>} its exit code; 128 + n when signal n ended it
 */
export function run(args, { env = process.env } = {}) {
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
  /** @param {NodeJS.Signals} signal */
  const handOn = (signal) => {
    // A terminal sends Ctrl-C to the child by itself; a second one would mean "at once".
    if (signal === 'SIGINT' && process.stdin.isTTY) return
    child.kill(signal)
  }
  process.on('SIGTERM', handOn).on('SIGINT', handOn)
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code, signal) => {
      process.off('SIGTERM', handOn).off('SIGINT', handOn)
      done(code ?? 128 + (signal ? system.signals[signal] : 0))
    })
  })
}

/**
 * Runs the program; a refusal ends it with one sentence, anything else with its stack.
 * @param {() => Promise<void>} program
 */
export async function orSayWhy(program) {
  try {
    await program()
  } catch (error) {
    console.error(error instanceof Refused ? error.message : error)
    process.exitCode = 1
  }
}
