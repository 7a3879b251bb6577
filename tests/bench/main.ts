// `npm run bench [-- --size small|full]`: measures what the README promises, on the machine at hand, and prints it as
// Markdown. It is no timed test: `small` asserts that all of it works, and says nothing about speed.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { projectRoot } from '../../src/config.js'
import { backfill, connected, countRows, loadDuringBackfill, startStandIn } from './backfill.js'
import { countEvents, type Filling, makeDatabase } from './database.js'
import { type Audience, makeAudience, waitingForScore } from './engaged.js'
import { compareIngestion, together } from './ingestion.js'
import type { Outcome } from './load.js'
import type { NewsletterSize } from './newsletter.js'
import { time, visitor } from './pages.js'
import { client, type Running, start, watched } from './processes.js'
import { check, mb, ms, number, seconds, table, told } from './report.js'

const parts = ['ingestion', 'pages', 'export', 'backfill', 'webhooks', 'audience']
const { values: options } = parseArgs({
  options: {
    size: { type: 'string', default: 'full' },
    /** Where the compiled program lies, for measuring another build. */
    build: { type: 'string', default: 'dist' },
    /** Only some parts, such as `--only ingestion`. */
    only: { type: 'string', multiple: true, default: parts },
  },
})
if (options.size !== 'small' && options.size !== 'full') {
  console.error('--size is small or full.')
  process.exit(1)
}

interface Size {
  audience: { small: Audience; large: Audience }
  rounds: number
  milliseconds: number
  small: Filling
  large: Filling
  requests: number
  /** What a first sync takes in. */
  newsletter: NewsletterSize
}
const sizes: Record<'small' | 'full', Size> = {
  small: {
    audience: {
      small: { contacts: 50, mailings: 10, engagements: 500 },
      large: { contacts: 1_000, mailings: 10, engagements: 20_000 },
    },
    rounds: 1,
    milliseconds: 500,
    small: { events: 1_000, people: 100 },
    large: { events: 20_000, people: 2_000 },
    requests: 10,
    newsletter: { subscribers: 100, mailings: 4, events: 1_000 },
  },
  full: {
    audience: {
      small: { contacts: 1_000, mailings: 25, engagements: 5_000 },
      large: { contacts: 100_000, mailings: 25, engagements: 5_000_000 },
    },
    rounds: 7,
    milliseconds: 5_000,
    small: { events: 10_000, people: 1_000 },
    large: { events: 10_000_000, people: 1_000_000 },
    requests: 300,
    newsletter: { subscribers: 4_000, mailings: 15, events: 100_000 },
  },
}
const size = sizes[options.size]
const build = resolve(projectRoot, options.build)
const program = join(build, 'src/main.js')
if (!existsSync(program)) {
  console.error(`${program} is missing. Start with npm run bench, which builds it.`)
  process.exit(1)
}
const scratch = mkdtempSync(join(tmpdir(), 'throughline-bench-'))
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
const mix = { campaigns: [2, 3, 4], domains: 10 }
/** The limits on memory with which `npm start` runs. */
const limits: string[] = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8'))
  .scripts.start.split(' ')
  .filter((word: string) => word.startsWith('--'))
const serve = (dataDir: string, env: Record<string, string> = {}) =>
  start(program, {
    nodeOptions: [...limits, ...watched],
    env: { DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'info', TRUST_PROXY: 'loopback', ...env },
  })

async function ingestion() {
  told('Ingestion, in turns with a bare Express route.')
  const dataDir = join(scratch, 'ingestion')
  await makeDatabase(dataDir, null)
  const [server, load] = [await serve(dataDir), client()]
  const { rounds, milliseconds } = size
  const {
    bare,
    door,
    ratio,
    told: acknowledged,
  } = await compareIngestion({
    client: load,
    port: server.port,
    mix: { seed: 2, ...mix },
    rounds,
    milliseconds,
  })
  const memory = server.memory()
  load.stop()
  await server.stop()
  const { events } = countEvents(dataDir, null)
  check(events === acknowledged, `${acknowledged} events were acknowledged, and ${events} are on disk.`)
  rmSync(dataDir, { recursive: true })

  const row = (name: string, { perSecond, p50, p99 }: Outcome) => [name, number(perSecond), ms(p50), ms(p99)]
  table(
    ['32 keep-alive connections', 'requests a second', 'p50', 'p99'],
    [row('Express alone, nothing stored', bare), row('`GET /api/event`, on disk before the answer', door)],
  )
  console.log(`\nRatio: ${ratio.toFixed(2)} (asked: at least 0.5). Memory of the server: ${mb(memory)}.`)
}

async function large() {
  const run = promisify(execFile)
  const folders = { small: join(scratch, 'small'), large: join(scratch, 'large') }
  for (const name of ['small', 'large'] as const) {
    const from = performance.now()
    await makeDatabase(folders[name], size[name])
    const filled = performance.now()
    await run(process.execPath, [join(build, 'src/cli/rebuild-counts.js')], {
      env: { ...process.env, DATA_DIR: folders[name] },
    })
    const counted = performance.now()
    told(`${number(size[name].events)} events: written in ${seconds(filled - from)}.`)
    if (name === 'large')
      console.log(
        `\n\`rebuild-counts\` over ${number(size.large.events)} events: ${seconds(counted - filled)}.`,
      )
  }
  return folders
}

async function pages(folders: { small: string; large: string }) {
  told('Pages.')
  const servers = [await serve(folders.small), await serve(folders.large)]
  const visitors = [await visitor(servers[0]!.port), await visitor(servers[1]!.port)]
  const parts = {
    Statistics: '/campaign/1/stats',
    'Statistics by domain': '/campaign/1/domains',
    'Campaigns on the home page': '/',
    'First page of journeys': '/campaign/1/users',
  }
  const rows: string[][] = []
  for (const [name, path] of Object.entries(parts)) {
    const [few, many] = await time(visitors, [path], size.requests)
    rows.push([name, ms(few!.p50), ms(many!.p50), ms(many!.p95), (many!.p50 / few!.p50).toFixed(2)])
  }
  const amount = (filling: Filling) => number(filling.events)
  table(
    [
      '',
      `p50 at ${amount(size.small)} events`,
      `p50 at ${amount(size.large)}`,
      'p95',
      'ratio of p50 (asked: at most 1.5)',
    ],
    rows,
  )

  const { body } = await visitors[1]!.fragment('/campaign/1/users?email=anna')
  check(body.includes('anna.'), 'The search found nobody named anna.')
  const searches = {
    'a whole address': [
      'lena.weber7@mail1.example',
      'clara.sato12@mail3.example',
      'tom.wolf100@mail9.example',
    ],
    'a rare part': ['weber123', 'zoe.zimmer', 'mila.novak20', 'pia.holm11'],
    'a common part': ['anna', 'weber', 'mail7', '.example', 'son', 'er1'],
    'one or two letters': ['a', 'we', '9', 'zo', '@m'],
    nobody: ['zzzqq', 'nobody@nowhere', 'qx', 'weberweber', 'anna.nobody'],
  }
  const found: string[][] = []
  for (const [name, terms] of Object.entries({
    ...searches,
    'all of these': Object.values(searches).flat(),
  })) {
    const paths = terms.map((term) => `/campaign/1/users?email=${encodeURIComponent(term)}`)
    const [times] = await time([visitors[1]!], paths, size.requests)
    found.push([name, ms(times!.p50), ms(times!.p95)])
  }
  table([`Search among ${number(size.large.people)} people for`, 'p50', 'p95 (asked: under 100 ms)'], found)
  for (const server of servers) await server.stop()
}

async function exporting(folder: string) {
  told('Ingestion while an export runs.')
  const [server, load] = [await serve(folder), client()]
  const person = await visitor(server.port)
  const spell = { port: server.port, connections: 32, mix: { seed: 5, ...mix } }
  await load.run({ ...spell, milliseconds: size.milliseconds })
  const alone = await load.run({ ...spell, milliseconds: size.milliseconds })
  server.memory()

  let done = false
  const download = person.download('/campaign/1/events.csv').finally(() => {
    done = true
  })
  const spells: Outcome[] = []
  while (!done || spells.length === 0)
    spells.push(await load.run({ ...spell, milliseconds: size.milliseconds }))
  const { lines, bytes, seconds: took } = await download
  const memory = server.memory()
  const during = together(spells)
  load.stop()
  await server.stop()
  for (const { refused } of [alone, ...spells]) check(refused === 0, `${refused} requests were refused.`)
  const { counted } = countEvents(folder, 1)
  check(lines === counted + 1, `The export has ${lines} lines for ${counted} events and a head.`)

  const worst = Math.max(...spells.map(({ p99 }) => p99))
  table(
    ['32 keep-alive connections', 'requests a second', 'p50', 'p99', 'p99 of the worst spell'],
    [
      ['no export', number(alone.perSecond), ms(alone.p50), ms(alone.p99), ''],
      [
        `while ${number(lines - 1)} events are exported`,
        number(during.perSecond),
        ms(during.p50),
        ms(during.p99),
        ms(worst),
      ],
    ],
  )
  console.log(
    `\nThe export of ${mb(bytes)} took ${Math.round(took)} s beside this. Most memory of the server under both: ` +
      `${mb(memory)} (asked: under 300 MB).`,
  )
}

async function backfilling() {
  told('A first sync with a stand-in for Buttondown.')
  const dataDir = join(scratch, 'backfill')
  await makeDatabase(dataDir, null)
  const standIn = await startStandIn(size.newsletter)
  const server = await serve(dataDir, connected(standIn))
  const { events, subscribers } = size.newsletter
  server.longestWait()
  const took = await backfill(dataDir)
  const longest = server.longestWait()
  const memory = server.memory()
  const kept = countRows(dataDir, 'engagements')
  check(kept === events, `The stand-in told ${events} events, and ${kept} are on disk.`)
  await server.stop()
  await standIn.stop()
  rmSync(dataDir, { recursive: true })
  console.log(
    `\nA first sync takes in ${number(events)} events of ${number(subscribers)} people at ` +
      `${number((events / took) * 1000)} events a second (asked: at least 5,000). Longest wait for the event loop: ` +
      `${ms(longest)}. Memory of the server: ${mb(memory)}.`,
  )
}

async function webhooks() {
  told('Deliveries while a first sync runs.')
  const dataDir = join(scratch, 'webhooks')
  await makeDatabase(dataDir, null)
  const standIn = await startStandIn(size.newsletter)
  const [server, load] = [await serve(dataDir, connected(standIn)), client()]
  const { rounds, milliseconds, newsletter } = size
  const { webhook, door, worst, perSecond } = await loadDuringBackfill({
    dataDir,
    client: load,
    port: server.port,
    newsletter,
    mix,
    rounds,
    milliseconds,
  })
  const memory = server.memory()
  load.stop()
  await server.stop()
  await standIn.stop()
  const kept = countRows(dataDir, 'inbox')
  check(
    kept >= webhook.requests,
    `${webhook.requests} deliveries were acknowledged, and ${kept} are on disk.`,
  )
  rmSync(dataDir, { recursive: true })
  const row = (name: string, outcome: Outcome, worstSpell: number) => [
    name,
    number(outcome.perSecond),
    ms(outcome.p50),
    ms(outcome.p99),
    ms(worstSpell),
  ]
  table(
    [
      '32 keep-alive connections while a first sync runs',
      'requests a second',
      'p50',
      'p99',
      'p99 of the worst spell',
    ],
    [
      row('signed deliveries, in the inbox on disk before the answer', webhook, worst.webhook),
      row('`GET /api/event`', door, worst.door),
    ],
  )
  console.log(
    `\nAsked: p99 under 50 ms. Beside both the sync takes in ${number(perSecond)} events a second. Memory of the ` +
      `server: ${mb(memory)}.`,
  )
}

/** Everybody waits for a score: the job that comes at the thirtieth second of each minute scores them all. */
async function scores(server: Running, dataDir: string) {
  const { contacts, engagements } = size.audience.large
  check(waitingForScore(dataDir) === contacts, 'Not everybody waits for a score.')
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
  await pause(60_000 - ((Date.now() - 30_000) % 60_000) - 20)
  server.longestWait()
  const from = performance.now()
  while (waitingForScore(dataDir) > 0) await pause(100)
  console.log(
    `\nScores of ${number(contacts)} contacts with ${number(engagements)} engagements: ` +
      `${((performance.now() - from) / 1000).toFixed(1)} s (asked: under 10 s). Longest wait for the event loop: ` +
      `${ms(server.longestWait())} (asked: under 50 ms).`,
  )
}

async function audience() {
  told('An audience.')
  const run = promisify(execFile)
  const folders = { small: join(scratch, 'few'), large: join(scratch, 'many') }
  for (const name of ['small', 'large'] as const) {
    await makeAudience(folders[name], size.audience[name])
    const env = { ...process.env, DATA_DIR: folders[name] }
    await run(process.execPath, [join(build, 'src/cli/rebuild-counts.js')], { env })
    told(`${number(size.audience[name].engagements)} engagements are written and counted.`)
  }
  const server = await serve(folders.large)
  const { contacts, engagements } = size.audience.large

  if (options.size === 'full') await scores(server, folders.large)

  const other = await serve(folders.small)
  const [many, few] = [await visitor(server.port), await visitor(other.port)]
  const filters = {
    'the ranking': [''],
    'a tag': ['tag=buyer', 'tag=press'],
    'several tags, any, all and not': [
      'tag=buyer&tag=reader&tags=any',
      'tag=buyer&tag=beta&tags=all',
      'tag=buyer&not=press',
    ],
    'a list': ['list=1'],
    'a status': ['status=unsubscribed', 'status=subscribed'],
    'a band': ['band=active', 'band=passive'],
    'a source': ['source=buttondown'],
    'activity within N days': ['active=30', 'active=90'],
    'the domain of the address': ['domain=mail7.example'],
    'three at once': ['tag=reader&status=subscribed&active=90', 'score=35&active=30&not=press'],
    'a rare part of a name or address': ['q=anna.abel1', 'q=lina+ito'],
    'a common part': ['q=anna', 'q=mail7', 'q=son'],
    'another order': ['sort=name', 'sort=opens', 'sort=last'],
  }
  const rows: string[][] = []
  for (const [name, queries] of Object.entries(filters)) {
    const [times] = await time(
      [many],
      queries.map((query) => `/audience?${query}`),
      size.requests,
    )
    rows.push([name, ms(times!.p50), ms(times!.p95)])
  }
  const whole = { fragment: many.page }
  const ids = Array.from({ length: 20 }, (_, index) => `/audience/${1 + ((index * 4_999) % contacts)}`)
  const [person] = await time([whole], ids, size.requests)
  rows.push(['a contact’s page (asked: under 50 ms)', ms(person!.p50), ms(person!.p95)])
  table(
    [`${number(contacts)} contacts, ${number(engagements)} engagements`, 'p50', 'p95 (asked: under 100 ms)'],
    rows,
  )

  const refreshing: string[][] = []
  for (const [name, path] of Object.entries({
    'the ranking': '/audience',
    'the activity': '/audience/activity',
    'counts of a mailing': `/mailings/${size.audience.small.mailings}/counts`,
  })) {
    const [little, much] = await time([few, many], [path], size.requests)
    refreshing.push([
      name,
      ms(little!.p50),
      ms(much!.p50),
      ms(much!.p95),
      (much!.p50 / little!.p50).toFixed(2),
    ])
  }
  table(
    [
      'what refreshes itself',
      `p50 at ${number(size.audience.small.engagements)} engagements`,
      `p50 at ${number(engagements)}`,
      'p95',
      'ratio of p50',
    ],
    refreshing,
  )
  console.log(`\nMemory of the server: ${mb(server.memory())}.`)
  await server.stop()
  await other.stop()
}

try {
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor'
  console.log(
    `Node ${process.versions.node}, ${cpus().length} × ${processor}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB.`,
  )
  const wants = (part: string) => options.only.includes(part)
  if (wants('ingestion')) await ingestion()
  if (wants('pages') || wants('export')) {
    const folders = await large()
    if (wants('pages')) await pages(folders)
    if (wants('export')) await exporting(folders.large)
  }
  if (wants('backfill')) await backfilling()
  if (wants('webhooks')) await webhooks()
  if (wants('audience')) await audience()
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
process.exit()
