// `npm run soak [-- --minutes N]`: what must not be lost is not lost, at half of what the event door can take, while all
// else that an installation does goes on at once and everything goes wrong that can: the server is killed every minute, its
// disk takes nothing for a while, its clock leaps by an hour and back. Prints figures as Markdown; exits with 1 where
// something is not as it has to be. Ten minutes are what issue and README speak of; one is a smoke run.
import { type ChildProcess, execFile, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { cpus, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import Sqlite from 'better-sqlite3'
import { projectRoot, readConfig } from '../../src/config.js'
import { openDatabase } from '../../src/database/open.js'
import { prove } from '../../src/operations/proof.js'
import { restoreInto } from '../../src/operations/restore.js'
import { connected, signingKey, startStandIn } from './backfill.js'
import { median } from './ingestion.js'
import { octopusConnected, startOctopus } from './octopus.js'
import { visitor } from './pages.js'
import { client, type Running, start } from './processes.js'
import { benchToken, fillPromos } from './promos.js'
import { mb, ms, number, seconds, table, told } from './report.js'
import { print, reportDatabase } from './reports.js'
import { deliveryId, type Kind, kinds, type Message, type Orders, type Report } from './soak-facts.js'

const here = dirname(fileURLToPath(import.meta.url))
const { values: options } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(options.minutes)
if (!Number.isInteger(minutes) || minutes < 1 || minutes > 600) {
  console.error('--minutes is a whole number from 1 to 600.')
  process.exit(1)
}
const program = join(projectRoot, 'dist/src/main.js')
if (!existsSync(program)) {
  console.error(`${program} is missing. Start with npm run soak, which builds it.`)
  process.exit(1)
}

/** What a soak asks for. */
const asked = { answer: 2_000, growth: 1.1 }
/** Milliseconds. */
const [hour, minute] = [3_600_000, 60_000]
/** Milliseconds for which the disk takes nothing. */
const fullFor = 8_000
/** Deliveries and impressions a second, beside the events. */
const beside = { delivery: 20, impression: 50 }

const scratch = mkdtempSync(join(tmpdir(), 'throughline-soak-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
const dataDir = join(scratch, 'data')
const clockFile = join(scratch, 'clock')
const newsletter = { subscribers: 500, mailings: 10, events: 20_000 }
const account = { contacts: 2_000, campaigns: 20, recipients: 200 }
const promos = { offers: 20, texts: 5 }
const mix = { campaigns: [2, 3, 4], domains: 10 }
const filling = { events: 20_000, people: 2_000, mailings: 20, snapshots: 20, after: 0, atOnce: 0 }
const soakSeed = 31

/** What is not as it has to be, as sentences. */
const problems: string[] = []
const hold = (right: boolean, otherwise: string) => {
  if (!right) problems.push(otherwise)
}

const npmStart: string[] = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  .scripts.start.split(' ')
  .filter((word: string) => word.startsWith('--'))

const [butter, octopus] = await Promise.all([
  startStandIn(newsletter),
  startOctopus(account, { limited: false }),
])
let port = 0
const serve = () =>
  start(program, {
    nodeOptions: [...npmStart, '--import', join(here, 'moved-clock.js')],
    env: {
      DATA_DIR: dataDir,
      PORT: String(port),
      LOG_LEVEL: 'info',
      TRUST_PROXY: 'loopback',
      BACKUP_SEGMENT_SECONDS: '10',
      PROMO_IMPRESSIONS_PER_MINUTE: '0',
      CLOCK_FILE: clockFile,
      ...connected(butter),
      ...octopusConnected(octopus, { limited: false }),
    },
  })

/** The server as it is now. */
let server: Running
/** What was done to it: whatever fails after such a thing was begun may have been cut off by that. */
let upsets = 0
let kills = 0
let isUp = false
/** From a start to the first answer, in milliseconds. */
const starts: number[] = []
const memory: { at: number; bytes: number }[] = []
const began = () => performance.now() - origin
let origin = 0

async function begin() {
  const from = performance.now()
  server = await serve()
  starts.push(performance.now() - from)
  port = server.port
  isUp = true
}

/** The client that keeps what was acknowledged. */
const load: ChildProcess = fork(join(here, 'soak-load.ts'), { execArgv: ['--import', 'tsx'] })
const ended = once(load, 'exit').then(([code]) => {
  throw new Error(`The client ended with ${code}.`)
})
ended.catch(() => {})
let asking: Promise<unknown> = Promise.resolve()
function ask(message: Message): Promise<Report> {
  const answer = asking.then(() => {
    load.send(message)
    return Promise.race([once(load, 'message').then(([report]) => report as Report), ended])
  })
  asking = answer.catch(() => {})
  return answer
}

// What goes on at once, beside the facts.

interface Work {
  begun: number
  done: number
  /** By what was done to the server. */
  cutOff: number
}
const works: Record<string, Work> = {}
let person: Awaited<ReturnType<typeof visitor>>

/** Does something that a kill or a full disk may cut off; whatever else stops it is a problem. */
async function work(name: string, deed: () => Promise<unknown>) {
  works[name] ??= { begun: 0, done: 0, cutOff: 0 }
  const kept = works[name]
  const before = upsets
  kept.begun++
  try {
    await deed()
    kept.done++
  } catch (error) {
    if (upsets !== before) kept.cutOff++
    else problems.push(`${name}: ${(error as Error).message}`)
  }
}

const ofApi = (method: 'GET' | 'POST', path: string) =>
  new Promise<{ status: number; body: string }>((done, fail) => {
    const headers = { Authorization: `Bearer ${benchToken}`, Connection: 'close' }
    const sent = request({ port, host: '127.0.0.1', method, path, headers }, (answer) => {
      let body = ''
      answer.on('data', (part) => {
        body += part
      })
      answer.on('end', () => done({ status: answer.statusCode!, body }))
      answer.on('error', fail)
    })
    sent.on('error', fail)
    sent.end()
  })

/** Runs a job to its end. */
async function job(name: string) {
  const asked = await ofApi('POST', `/api/v1/jobs/${name}`)
  if (asked.status !== 202) throw new Error(`${name} answered ${asked.status}.`)
  for (;;) {
    await pause(500)
    const { status, body } = await ofApi('GET', '/api/v1/jobs')
    if (status !== 200) throw new Error(`The list of jobs answered ${status}.`)
    const { last_run: run } = JSON.parse(body).jobs.find((each: { name: string }) => each.name === name)
    if (run.state === 'done') return
    if (run.state === 'failed') throw new Error(run.error)
  }
}

/** Asks for a sync, and looks at it on disk until it is over: it may go on after a kill. */
async function sync(provider: string, isFirst: boolean) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  try {
    const runs = file.prepare<[string], { id: number; state: string; error: string }>(
      'select id, state, error from sync_runs where provider = ? order by id desc limit 1',
    )
    await person.form(`/providers/${provider}/sync`, isFirst ? { all: '1' } : {})
    for (;;) {
      await pause(500)
      const run = runs.get(provider)
      if (run?.state === 'done') return
      if (run?.state === 'failed') throw new Error(run.error)
    }
  } finally {
    file.close()
  }
}

const everything = (round: number) =>
  Promise.all([
    work('Sync with Buttondown', () => sync('buttondown', round === 0)),
    work('Sync with EmailOctopus', () => sync('emailoctopus', round === 0)),
    work('Report as PDF', () => print(person)),
    work('Backup', () => job('back-up')),
    work('Retention', () => job('remove-what-is-old')),
    // In each minute, as everything else: what an hour ahead catches up with must not look like growth.
    work('Scores of everybody', () => job('score-everybody')),
    work('Export of events', () => person.download('/campaign/2/events.csv')),
    work('Export of contacts', () => person.download('/audience/export.csv')),
  ])

// Pages, as somebody looks at them.
const pages: { path: string; took: number }[] = []
let logins = 0
let isOver = false
async function look() {
  for (let turn = 0; !isOver; turn++) {
    await pause(1_000)
    if (!isUp) continue
    const path = ['/campaign/2/stats', '/', '/audience', '/mailings', '/operations/jobs'][turn % 5]!
    const before = upsets
    try {
      const { status, milliseconds } = await person.page(path)
      if (status === 302 || status === 303) {
        person = await visitor(port) // the hour was longer than a session lasts without a sign of life
        logins++
      } else if (status === 200) pages.push({ path, took: milliseconds })
      else if (status !== 503) problems.push(`${path} answered ${status}.`)
    } catch (error) {
      if (upsets === before) problems.push(`${path}: ${(error as Error).message}`)
    }
  }
}

// What goes wrong.

async function kill() {
  await ask({ ask: 'down' })
  isUp = false
  upsets++
  kills++
  process.kill(server.pid, 'SIGKILL')
  await server.stop()
  await begin()
  await pause(100) // connections that broke with it have told so
  await ask({ ask: 'up' })
}

let disk = { refused: 0, goesOn: false }
/**
 * The kernel takes no further byte into any file from this process (RLIMIT_FSIZE, of which SQLite makes an error of
 * writing): what a full disk does to it, which nobody can have without being root.
 */
async function fillDisk() {
  const limit = (bytes: string) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:`])
  try {
    const before = await ask({ ask: 'tell' })
    upsets++
    limit('0')
    await pause(fullFor)
    if (!isAlive()) {
      problems.push('The server ended while its disk was full.')
      await server.stop()
      await begin()
      return
    }
    const during = await ask({ ask: 'tell' })
    limit('unlimited')
    await pause(2_000)
    const empty = await ask({ ask: 'tell' })
    await pause(2_000)
    const after = await ask({ ask: 'tell' })
    const sum = (report: Report, what: 'refused' | 'acknowledged') =>
      kinds.reduce((all, kind) => all + report[kind][what], 0)
    disk = {
      refused: sum(during, 'refused') - sum(before, 'refused'),
      goesOn: after.event.acknowledged > empty.event.acknowledged,
    }
    hold(disk.refused > 0, 'While the disk took nothing, nothing was refused.')
    hold(disk.goesOn, 'When the disk took something again, the doors did not.')
  } catch (error) {
    problems.push(`The disk could not be filled: ${(error as Error).message}`)
  }
}

function isAlive() {
  try {
    return process.kill(server.pid, 0)
  } catch {
    return false
  }
}

const moveClock = (milliseconds: number) => writeFileSync(clockFile, String(milliseconds))

const until = (at: number) => pause(Math.max(0, origin + at - performance.now()))

/** All that goes wrong, at its minute. */
async function trouble() {
  const [full, forth, back] = [0.3, 0.5, 0.6].map((share) => Math.floor(minutes * share) * minute)
  const events = [
    { at: full! + 20_000, do: fillDisk },
    { at: forth! + 35_000, do: async () => moveClock(hour) },
    { at: back! + 43_000, do: async () => moveClock(0) },
    ...Array.from({ length: minutes }, (_, turn) => ({
      at: turn * minute + 50_000 + Math.random() * 9_000,
      do: kill,
    })),
    { at: minutes * minute, do: async () => {} },
  ].sort((one, other) => one.at - other.at)
  for (const { at, do: happen } of events) {
    await until(at)
    await happen()
  }
}

/** Makes an installation, and finds out how many events a second its door takes when nothing else is done. */
async function prepare() {
  told('An installation with a campaign, mailings, promos; then the most that the event door takes.')
  mkdirSync(dataDir, { recursive: true })
  await reportDatabase(dataDir, filling)
  fillPromos(dataDir, { ...promos, impressions: 0, clicks: 0 })
  await promisify(execFile)(process.execPath, [join(projectRoot, 'dist/src/cli/rebuild-counts.js')], {
    env: { ...process.env, DATA_DIR: dataDir },
  })
  await begin()
  const one = client()
  const spell = { port, connections: 32, mix: { seed: 2, ...mix }, milliseconds: minutes < 5 ? 2_000 : 4_000 }
  const spells = []
  for (let turn = 0; turn < 4; turn++) spells.push(await one.run(spell))
  one.stop()
  return {
    most: median(spells.slice(1).map(({ perSecond }) => perSecond)),
    events: spells.reduce((sum, { requests }) => sum + requests, 0),
  }
}

/** What the client was acknowledged: of an event its id, of others 1, by number. */
function acknowledged(kind: Kind): Float64Array {
  const bytes = readFileSync(join(scratch, `${kind}.acknowledged`))
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength))
}

/** Every acknowledged fact is there exactly once, and there is nothing else. */
function compareFacts(measured: number) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const rows: string[][] = []
  const compare = (kind: Kind, name: string, found: Map<string, number[]>, keyOf: (n: number) => string) => {
    const receipts = acknowledged(kind)
    let [missing, twice, others] = [0, 0, 0]
    for (const [n, receipt] of receipts.entries()) {
      const ids = found.get(keyOf(n))
      if (!ids) missing++
      else if (ids.length > 1) twice++
      else if (kind === 'event' && ids[0] !== receipt) others++
    }
    const kept = [...found.values()].reduce((sum, ids) => sum + ids.length, 0)
    hold(missing === 0, `${missing} acknowledged ${name} are not there.`)
    hold(twice === 0, `${twice} acknowledged ${name} are there more than once.`)
    hold(others === 0, `${others} ${name} were acknowledged with another id than they have.`)
    hold(kept === receipts.length, `${receipts.length} ${name} were told, and ${kept} are there.`)
    rows.push([name, number(receipts.length), number(kept), number(missing), number(twice)])
  }
  const gather = (sql: string) => {
    const found = new Map<string, number[]>()
    for (const { key, id } of file.prepare<[], { key: string; id: number }>(sql).iterate()) {
      const ids = found.get(key)
      if (ids) ids.push(id)
      else found.set(key, [id])
    }
    return found
  }
  compare(
    'event',
    'events',
    gather(`select caller_id as key, id from events where caller_id glob '${soakSeed}-*'`),
    (n) => `${soakSeed}-${n + 1}`,
  )
  compare(
    'delivery',
    'deliveries',
    gather("select key, id from inbox where provider = 'buttondown'"),
    deliveryId,
  )
  const texts = promos.offers * promos.texts
  compare(
    'impression',
    'impressions',
    gather(
      "select promo_sends.key || ' ' || variation_id as key, promo_impressions.id as id from promo_impressions join promo_sends on promo_sends.id = send_id",
    ),
    (n) => `issue-${Math.floor(n / 10)} ${((n * 31) % texts) + 1}`,
  )
  const { events } = file.prepare('select count(*) as events from events').get() as { events: number }
  const expected = filling.events + measured + acknowledged('event').length
  hold(events === expected, `There are ${events} events, and ${expected} were told.`)
  const { waiting } = file.prepare("select count(*) as waiting from inbox where state = 'waiting'").get() as {
    waiting: number
  }
  hold(waiting === 0, `${waiting} deliveries were never read.`)
  file.close()
  return { rows, events }
}

/** Waits until the deliveries are read and what was spooled is recorded, for as long as it takes, a minute at most. */
async function rest() {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const waiting = file.prepare<[], { rows: number }>(
    "select count(*) as rows from inbox where state = 'waiting'",
  )
  for (let wait = 0; wait < 60 && waiting.get()!.rows > 0; wait++) await pause(1_000)
  file.close()
  await pause(3_000)
}

async function proveAll(events: number) {
  const db = openDatabase(join(dataDir, 'throughline.db'))
  try {
    const wrong = await prove(db, { timeZone: 'UTC', say: told })
    hold(wrong.length === 0, `Counts do not equal facts: ${wrong.join(', ')}.`)
  } catch (error) {
    problems.push((error as Error).message)
  }
  await db.destroy()
  const folder = join(scratch, 'restored')
  mkdirSync(folder)
  try {
    const restored = await restoreInto({
      config: readConfig({ DATA_DIR: folder, BACKUP_DIR: join(dataDir, 'backups') }),
      from: 'latest',
      at: null,
      scratch: folder,
      say: told,
    })
    hold(
      restored.facts.events === events,
      `The newest backup, brought further, has ${restored.facts.events} events of ${events}.`,
    )
    hold(
      restored.corrected.length === 0,
      `Counts of the restored one were wrong: ${restored.corrected.join(', ')}.`,
    )
  } catch (error) {
    problems.push(`The newest backup cannot be restored: ${(error as Error).message}`)
  }
}

function printMemory() {
  const rows: string[][] = []
  for (let turn = 0; turn < minutes; turn++) {
    const bytes = memory.filter(({ at }) => Math.floor(at / minute) === turn).map((sample) => sample.bytes)
    rows.push([String(turn + 1), mb(median(bytes)), mb(Math.max(...bytes))])
  }
  table(['minute', 'memory of the server, median', 'most'], rows)
  const most = (from: number, to: number) =>
    Math.max(...memory.filter(({ at }) => at >= from && at < to).map(({ bytes }) => bytes))
  if (minutes < 3) return console.log('\nMemory is judged from three minutes on.')
  // What stays: an hour that is caught up with in a minute takes more for that minute, and gives it back.
  const [first, between, last] = [
    most(0, 2 * minute),
    most(2 * minute, minutes * minute),
    most((minutes - 2) * minute, minutes * minute),
  ]
  const growth = last / first
  console.log(
    `\nMost memory in the first two minutes ${mb(first)}, in the last two ${mb(last)}: ${growth >= 1 ? '+' : ''}${((growth - 1) * 100).toFixed(0)} % (asked: at most +10 %). The most of all after the first two: ${mb(between)}.`,
  )
  hold(
    growth <= asked.growth,
    `Memory has grown by ${((growth - 1) * 100).toFixed(0)} % from the first two minutes to the last two.`,
  )
}

async function soak() {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  console.log(
    `Node ${process.versions.node}, ${cpus().length} × ${processor}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB.`,
  )
  moveClock(0)
  const { most, events: measured } = await prepare()
  const pace = { event: Math.floor(most / 2), ...beside }
  told(`The most is ${number(most)} events a second; ${minutes} min at ${number(pace.event)}.`)
  person = await visitor(port)
  origin = performance.now()
  server.memory()
  const orders: Orders = {
    port,
    connections: 32,
    pace,
    mix: { seed: soakSeed, repeatable: true, ...mix },
    deliveries: { seed: 11, key: signingKey, newsletter },
    promos,
    folder: scratch,
  }
  await ask({ ask: 'begin', ...orders })
  const sampling = setInterval(() => {
    if (isUp) memory.push({ at: began(), bytes: server.memory() })
  }, 250)
  const looking = look()
  const working: Promise<unknown>[] = []
  const rounds = (async () => {
    for (let round = 0; round < minutes; round++) {
      await until(round * minute + 5_000)
      working.push(everything(round))
    }
  })()
  await Promise.race([Promise.all([trouble(), rounds]), ended])
  const lasted = began()
  clearInterval(sampling)
  isOver = true
  told('Over. What was not acknowledged is told again.')
  const report = await ask({ ask: 'finish' })
  await Promise.race([Promise.all([looking, ...working]), pause(60_000)])
  await rest()
  isUp = false
  await server.stop()
  if (load.connected) load.disconnect()
  await Promise.all([butter.stop(), octopus.stop()])

  console.log(
    `\nThe most that the event door takes: ${number(most)} events a second. Then ${minutes} min at half of it, the ` +
      `server killed ${kills} times (up again in ${seconds(Math.max(...starts))} at the most), its disk full for ` +
      `${seconds(fullFor)} (${number(disk.refused)} requests refused meanwhile), its clock an hour ahead for ` +
      `${minutes < 10 ? 'a while' : 'a good minute'}.`,
  )
  table(
    [
      '',
      'told',
      'a second',
      'refused (503) and told again',
      'cut off by a kill',
      'p50',
      'p99',
      'longest',
      'over 2 s',
    ],
    kinds.map((kind) => {
      const each = report[kind]
      return [
        { event: '`GET /api/event`', delivery: 'webhook', impression: '`POST track-impression`' }[kind],
        number(each.sent),
        number((each.acknowledged / lasted) * 1000),
        number(each.refused),
        number(each.broken),
        ms(each.p50),
        ms(each.p99),
        ms(each.max),
        number(each.late),
      ]
    }),
  )
  for (const sample of report.samples) told(sample)
  for (const kind of kinds) {
    const { late, wrong, lost } = report[kind]
    hold(late === 0, `${late} requests (${kind}) took over two seconds.`)
    hold(wrong === 0, `${wrong} requests (${kind}) were answered with neither yes nor 503.`)
    hold(lost === 0, `${lost} requests (${kind}) were not answered though nobody had killed the server.`)
  }
  const slow = pages.filter(({ took }) => took > asked.answer)
  const sorted = pages.map(({ took }) => took).sort((one, other) => one - other)
  console.log(
    `\n${number(pages.length)} pages beside: p50 ${ms(sorted[sorted.length >> 1] ?? 0)}, longest ` +
      `${ms(sorted.at(-1) ?? 0)}; logged in again ${logins} times.`,
  )
  hold(slow.length === 0, `Pages took over two seconds: ${slow.map(({ path }) => path).join(', ')}.`)
  table(
    ['at once, each minute', 'begun', 'done', 'cut off'],
    Object.entries(works).map(([name, each]) => [name, ...[each.begun, each.done, each.cutOff].map(String)]),
  )
  if (minutes > 1)
    for (const [name, { done }] of Object.entries(works)) hold(done > 0, `${name} never came to its end.`)
  printMemory()
  told('Comparing what was acknowledged with what is there, and counts with facts.')
  const { rows, events } = compareFacts(measured)
  table(['', 'acknowledged', 'there', 'missing', 'twice'], rows)
  await proveAll(events)
}

try {
  await soak()
} catch (error) {
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
console.log(
  problems.length === 0
    ? '\nEvery acknowledged fact is there exactly once, every count equals its facts, and so they are in the restored backup.'
    : `\n**Something is wrong:**\n\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
)
process.exit(problems.length === 0 ? 0 : 1)
