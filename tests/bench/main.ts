// `npm run bench [-- --size small|full]`: measures what the README promises, on the machine at hand, and prints it as
// Markdown. It is no timed test: `small` asserts that all of it works, and says nothing about speed.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { projectRoot } from '../../src/config.js'
import { type Audience, forgetScores, makeAudience, someContacts } from './audience-database.js'
import { type Row, timeFilters, timePages, timeRefreshing } from './audience-pages.js'
import { backfill, connected, countRows, loadDuringBackfill, startStandIn } from './backfill.js'
import { type BackedUp, backUpBesideDoors, largeDatabase } from './backup.js'
import { countEvents, type Filling, makeDatabase } from './database.js'
import { compareIngestion, median, together } from './ingestion.js'
import type { Outcome } from './load.js'
import { type ArithmeticSize, compareArithmetic, type Step, steps } from './mailing-arithmetic.js'
import { type Mailed, makeMailed } from './mailings-database.js'
import { timeMailings } from './mailings-pages.js'
import type { NewsletterSize } from './newsletter.js'
import { octopusConnected, octopusSync, startOctopus } from './octopus.js'
import type { AccountSize } from './octopus-account.js'
import { time, visitor } from './pages.js'
import { client, start, watched } from './processes.js'
import {
  countPromos,
  lockFor,
  makePromos,
  type PromoFilling,
  type PromoMix,
  timeAnalytics,
} from './promos.js'
import { check, mb, ms, number, seconds, table, told } from './report.js'
import { printReports, type Reported, reportDatabase } from './reports.js'
import { removeOldEngagements, removeOldPromos } from './retention.js'
import { scoreBesideDoors, scoreEverybody } from './scores.js'

const parts = [
  'ingestion',
  'pages',
  'export',
  'backfill',
  'webhooks',
  'audience',
  'scores',
  'octopus',
  'mailings',
  'promos',
  'retention',
  'arithmetic',
  'reports',
  'backup',
]
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
  rounds: number
  milliseconds: number
  small: Filling
  large: Filling
  requests: number
  /** What a first sync takes in. */
  newsletter: NewsletterSize
  few: Audience
  many: Audience
  /** Of which everything is removed. */
  old: Audience
  /** What a first sync with EmailOctopus takes in, and one of which the key figures are waited for. */
  account: AccountSize
  newAccount: AccountSize
  mailed: Mailed
  arithmetic: ArithmeticSize
  promos: PromoFilling
  /** What a report is about, and how many are printed one after the other and at once. */
  reports: Reported
  /** What is backed up while events come in. */
  backedUp: BackedUp
  /** For how long, in milliseconds, the database is locked under the redirects. */
  locked: number
}
const day = 86_400_000
const sizes: Record<'small' | 'full', Size> = {
  small: {
    rounds: 1,
    milliseconds: 500,
    small: { events: 1_000, people: 100 },
    large: { events: 20_000, people: 2_000 },
    requests: 10,
    newsletter: { subscribers: 100, mailings: 4, events: 1_000 },
    few: { contacts: 100, engagements: 1_000, mailings: 50 },
    many: { contacts: 1_000, engagements: 20_000, mailings: 50 },
    old: { contacts: 100, engagements: 2_000, mailings: 20 },
    account: { contacts: 250, campaigns: 10, recipients: 20 },
    newAccount: { contacts: 50, campaigns: 5, recipients: 10 },
    mailed: {
      contacts: 1_000,
      engagements: 20_000,
      mailings: 40,
      every: 3 * day,
      reported: 40,
      snapshots: 10,
    },
    arithmetic: { mailings: 1_000, snapshots: 30 },
    promos: { offers: 20, texts: 4, impressions: 10_000, clicks: 1_000 },
    reports: { events: 2_000, people: 200, mailings: 20, snapshots: 10, after: 2, atOnce: 3 },
    backedUp: { events: 2_000, people: 200, bytes: 20_000_000 },
    locked: 1_000,
  },
  full: {
    rounds: 7,
    milliseconds: 5_000,
    small: { events: 10_000, people: 1_000 },
    large: { events: 10_000_000, people: 1_000_000 },
    requests: 300,
    newsletter: { subscribers: 4_000, mailings: 15, events: 100_000 },
    few: { contacts: 100, engagements: 5_000, mailings: 50 },
    many: { contacts: 100_000, engagements: 5_000_000, mailings: 50 },
    old: { contacts: 10_000, engagements: 200_000, mailings: 50 },
    account: { contacts: 50_000, campaigns: 200, recipients: 250 },
    newAccount: { contacts: 500, campaigns: 20, recipients: 100 },
    mailed: {
      contacts: 200_000,
      engagements: 5_000_000,
      mailings: 1_000,
      every: 2 * day,
      reported: 1_000,
      snapshots: 200,
    },
    arithmetic: { mailings: 100_000, snapshots: 30 },
    promos: { offers: 1_000, texts: 20, impressions: 1_000_000, clicks: 100_000 },
    reports: { events: 1_000_000, people: 100_000, mailings: 20, snapshots: 200, after: 40, atOnce: 20 },
    backedUp: { events: 1_000_000, people: 100_000, bytes: 5_000_000_000 },
    locked: 10_000,
  },
}
const size = sizes[options.size]
const nobody: NewsletterSize = { subscribers: 0, mailings: 0, events: 0 }
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

const run = promisify(execFile)
const countAgain = (dataDir: string) =>
  run(process.execPath, [join(build, 'src/cli/rebuild-counts.js')], {
    env: { ...process.env, DATA_DIR: dataDir },
  })

async function large() {
  const folders = { small: join(scratch, 'small'), large: join(scratch, 'large') }
  for (const name of ['small', 'large'] as const) {
    const from = performance.now()
    await makeDatabase(folders[name], size[name])
    const filled = performance.now()
    await countAgain(folders[name])
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

async function octopus() {
  told('A first sync with a stand-in for EmailOctopus.')
  const dataDir = join(scratch, 'octopus')
  await makeDatabase(dataDir, null)
  const { account, newAccount } = size
  const standIn = await startOctopus(account, { limited: false })
  const server = await serve(dataDir, octopusConnected(standIn, { limited: false }))
  server.longestWait()
  const first = await octopusSync(dataDir, 'first')
  const longest = server.longestWait()
  const memory = server.memory()
  const events = countRows(dataDir, 'engagements')
  check(countRows(dataDir, 'contacts') === account.contacts, 'Some contacts did not come in.')
  check(events >= account.campaigns * account.recipients, 'Some people of the campaigns did not come in.')
  const again = await octopusSync(dataDir, 'nightly')
  check(countRows(dataDir, 'engagements') === events, 'The second sync has doubled something.')
  await server.stop()
  await standIn.stop()
  rmSync(dataDir, { recursive: true })

  const limitedDir = join(scratch, 'octopus-limited')
  await makeDatabase(limitedDir, null)
  const limitedStandIn = await startOctopus(newAccount, { limited: true })
  const limited = await serve(limitedDir, octopusConnected(limitedStandIn, { limited: true }))
  const figures = await octopusSync(limitedDir, 'first', (run) => run.figures === newAccount.campaigns)
  await limited.stop()
  await limitedStandIn.stop()
  rmSync(limitedDir, { recursive: true })

  table(
    ['', 'measured', 'asked'],
    [
      [
        `first sync: ${number(account.campaigns)} mailings, ${number(account.contacts)} contacts, ${number(events)} engagements`,
        seconds(first.took),
        'under 60 s',
      ],
      ['requests of it', number(first.requests), ''],
      ['memory of the server', mb(memory), 'under 300 MB'],
      ['longest wait for the event loop', ms(longest), ''],
      [
        'requests of a sync where nothing has changed',
        number(again.requests),
        'pages of campaigns and lists, and what is due',
      ],
      [
        `key figures of ${number(newAccount.campaigns)} campaigns under the vendor’s limit`,
        seconds(figures.took),
        'within 5 s',
      ],
    ],
  )
}

async function mailings() {
  told('Pages of mailings.')
  const { contacts, engagements, mailings: own, reported, snapshots } = size.mailed
  const folder = join(scratch, 'mailed')
  const from = performance.now()
  await makeMailed(folder, size.mailed)
  await countAgain(folder)
  told(`${number(engagements)} engagements: written and counted in ${seconds(performance.now() - from)}.`)
  forgetScores(folder)
  const server = await serve(folder)
  const person = await visitor(server.port)
  const { body } = await person.page('/mailings?q=campaign')
  check(
    body.includes(`id="total-mailings" data-value="${reported}"`),
    'The dashboard does not show all that a provider tells of.',
  )
  const ids = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)
  server.memory()
  const rows = await timeMailings(person, {
    own: ids(1, own),
    reported: ids(own + 1, reported),
    requests: size.requests,
  })
  const memory = server.memory()
  await server.stop()
  rmSync(folder, { recursive: true })
  table(
    [
      `${number(own + reported)} mailings, ${number(contacts)} contacts, ${number(engagements)} engagements, ${number(reported * snapshots)} snapshots`,
      'p50',
      'p95 (asked: under 100 ms)',
    ],
    rows.map(({ name, times }) => [name, ms(times.p50), ms(times.p95)]),
  )
  console.log(`\nMost memory of the server: ${mb(memory)}.`)
}

/** Both audiences, counted; nobody in them has a score yet. */
async function audiences() {
  const folders = { few: join(scratch, 'few'), many: join(scratch, 'many') }
  for (const name of ['few', 'many'] as const) {
    const from = performance.now()
    await makeAudience(folders[name], size[name])
    const filled = performance.now()
    await countAgain(folders[name])
    const counted = performance.now()
    const amount = number(size[name].engagements)
    told(`${amount} engagements: written in ${seconds(filled - from)}.`)
    if (name === 'many')
      console.log(`\n\`rebuild-counts\` over ${amount} engagements: ${seconds(counted - filled)}.`)
  }
  return folders
}

async function scores(folder: string) {
  told('Scores.')
  forgetScores(folder)
  const standIn = await startStandIn(nobody)
  const server = await serve(folder, connected(standIn))
  const { took, alone, beside } = await scoreBesideDoors({
    dataDir: folder,
    server,
    mix,
    milliseconds: size.milliseconds / 5,
  })
  const memory = server.memory()
  await server.stop()
  await standIn.stop()
  console.log(
    `\nScores of ${number(size.many.contacts)} contacts from ${number(size.many.engagements)} engagements: ` +
      `${seconds(took)} (asked: under 10 s). Memory of the server: ${mb(memory)}.`,
  )
  const row = (name: string, outcome: Outcome) => [
    name,
    ms(outcome.p50),
    ms(outcome.p99),
    ms(outcome.p999),
    ms(outcome.max),
  ]
  table(
    ['2 connections at each door', 'p50', 'p99', 'p99.9', 'longest (asked: under 50 ms)'],
    [
      row('`GET /api/event`, nothing beside', alone.event),
      row('the same while everybody is scored', beside.event),
      row('deliveries, nothing beside', alone.delivery),
      row('the same while everybody is scored', beside.delivery),
      ['a turn of the event loop, nothing beside', '', '', '', ms(alone.wait)],
      ['the same while everybody is scored', '', '', '', ms(beside.wait)],
    ],
  )
}

async function audiencePages(folders: { few: string; many: string }) {
  told('Pages of the audience.')
  for (const folder of Object.values(folders)) forgetScores(folder)
  const standIn = await startStandIn(nobody)
  const servers = [
    await serve(folders.few, connected(standIn)),
    await serve(folders.many, connected(standIn)),
  ]
  await scoreEverybody(folders.few)
  await scoreEverybody(folders.many)
  const [few, many] = [await visitor(servers[0]!.port), await visitor(servers[1]!.port)]
  const contacts = someContacts(folders.many, 300)
  const { body } = await many.page('/audience?q=anna')
  check(body.includes('anna.'), 'The search found nobody named anna.')

  const amounts = `${number(size.many.contacts)} contacts, ${number(size.many.engagements)} engagements`
  const rows = (measured: Row[]) => measured.map(({ name, times }) => [name, ms(times.p50), ms(times.p95)])
  table(
    [`${amounts}: the ranking by`, 'p50', 'p95 (asked: under 100 ms)'],
    rows(await timeFilters(many, size.requests)),
  )
  table(
    ['other pages', 'p50', 'p95 (asked: a contact under 50 ms)'],
    rows(await timePages(many, contacts, size.requests)),
  )
  const refreshed = await timeRefreshing([few, many], size.requests)
  table(
    [
      'refreshes itself',
      `p50 at ${number(size.few.engagements)} engagements`,
      `p50 at ${number(size.many.engagements)}`,
      'p95',
      'ratio of p50',
    ],
    refreshed.map(({ name, small, large }) => [
      name,
      ms(small.p50),
      ms(large.p50),
      ms(large.p95),
      (large.p50 / small.p50).toFixed(2),
    ]),
  )
  console.log(`\nMemory of the server: ${mb(servers[1]!.memory())}.`)
  for (const server of servers) await server.stop()
  await standIn.stop()
}

function arithmetic() {
  told('Arithmetic of mailings, in turns with arquero.')
  const { mailings, snapshots } = size.arithmetic
  const { ours, arquero } = compareArithmetic(size.arithmetic, size.rounds)
  const row = (name: string, step: Step | 'whole') => [
    name,
    ms(ours[step]),
    ms(arquero[step]),
    (arquero[step] / ours[step]).toFixed(1),
  ]
  table(
    [
      `${number(mailings)} mailings, ${number(mailings * snapshots)} snapshots`,
      'here',
      'written with arquero',
      'ratio of medians (asked: at least 2)',
    ],
    [...Object.entries(steps).map(([step, name]) => row(name, step as Step)), row('all of it', 'whole')],
  )
  console.log('\nThe results are equal to 1e-9.')
}

async function promos() {
  told('Promos.')
  const dataDir = join(scratch, 'promos')
  const shape = { offers: 20, texts: 5 }
  const open = {
    PROMO_IMPRESSIONS_PER_MINUTE: '999999',
    PROMO_CLICKS_PER_MINUTE: '999999',
    PROMO_ANALYTICS_PER_MINUTE: '0',
  }
  const { milliseconds, rounds } = size
  const spell = (mix: PromoMix, port: number, more: object = {}) => ({
    port,
    connections: 32,
    milliseconds,
    mix,
    ...more,
  })
  await makePromos(dataDir, { ...shape, impressions: 0, clicks: 0 })
  const load = client()
  let server = await serve(dataDir, open)
  const bare = await start(join(projectRoot, 'tests/bench/bare.js'))
  const rows: string[][] = []
  let seed = 50
  for (const [name, door] of [
    ['`POST track-impression`', 'impression'],
    ['`POST track-click`', 'click'],
  ] as const) {
    const spells: Record<'bare' | 'door', Outcome[]> = { bare: [], door: [] }
    const mixes = { bare: { ...shape, door, seed: seed++ }, door: { ...shape, door, seed: seed++ } }
    for (let round = 0; round <= rounds; round++)
      for (const [which, port] of [
        ['bare', bare.port],
        ['door', server.port],
      ] as const) {
        const outcome = await load.run(spell(mixes[which], port))
        check(outcome.refused === 0, `${outcome.refused} of ${outcome.requests} requests were refused.`)
        if (round > 0) spells[which].push(outcome)
      }
    const [alone, told] = [together(spells.bare), together(spells.door)]
    const ratio = median(
      spells.door.map((outcome, round) => outcome.perSecond / spells.bare[round]!.perSecond),
    )
    rows.push([
      'Express alone, the body read and nothing stored',
      number(alone.perSecond),
      ms(alone.p50),
      ms(alone.p99),
      '',
    ])
    rows.push([
      `${name}, on disk before the answer`,
      number(told.perSecond),
      ms(told.p50),
      ms(told.p99),
      ratio.toFixed(2),
    ])
  }
  await bare.stop()
  table(
    [
      '32 keep-alive connections',
      'requests a second',
      'p50',
      'p99 (asked: under 50 ms)',
      'ratio (asked: at least 0.5)',
    ],
    rows,
  )

  const go: PromoMix = { ...shape, door: 'go', seed: seed++ }
  const light = { connections: 8, right: 3 as const }
  // A redirect does not wait until its click is written: those of the first ones must all be there.
  const clicked = countPromos(dataDir).clicks
  const first = await load.run({ ...spell(go, server.port), ...light })
  const before = clicked + first.requests
  for (let wait = 0; wait < 600 && countPromos(dataDir).clicks < before; wait++)
    await new Promise((resolve) => setTimeout(resolve, 100))
  const [alone, full] = [
    await load.run({ ...spell(go, server.port), ...light }),
    await load.run({ ...spell(go, server.port), right: 3 }),
  ]
  const locking = lockFor(dataDir, size.locked)
  const locked = await load.run({ ...spell(go, server.port), ...light, milliseconds: size.locked - 200 })
  await locking
  for (const { refused } of [alone, full, locked])
    check(refused === 0, `${refused} redirects did not redirect.`)
  const clicks = alone.requests + full.requests + locked.requests
  for (let wait = 0; wait < 600 && countPromos(dataDir).clicks - before < clicks; wait++)
    await new Promise((resolve) => setTimeout(resolve, 100))
  const after = countPromos(dataDir)
  check(
    after.clicks - before === clicks,
    `${clicks} redirects were followed, and ${after.clicks - before} clicks are on disk.`,
  )
  check(
    after.counted.clicks === after.clicks,
    `${after.clicks} clicks are on disk, and ${after.counted.clicks} are counted.`,
  )
  const row = (name: string, { perSecond, p50, p99, max }: Outcome) => [
    name,
    number(perSecond),
    ms(p50),
    ms(p99),
    ms(max),
  ]
  table(
    ['`GET /go/:slug`', 'redirects a second', 'p50', 'p99 (asked: under 20 ms)', 'longest'],
    [
      row('8 connections', alone),
      row('32 connections', full),
      row(`8 connections, the database locked for ${seconds(size.locked)}`, locked),
    ],
  )
  console.log(
    `\nAll ${number(clicks)} clicks were counted afterwards. Memory of the server: ${mb(server.memory())}.`,
  )
  await server.stop()
  rmSync(dataDir, { recursive: true })

  const large = size.promos
  await makePromos(dataDir, large)
  await countAgain(dataDir)
  server = await serve(dataDir, open)
  const select: PromoMix = { offers: large.offers, texts: large.texts, door: 'select', seed: seed++ }
  await load.run({ ...spell(select, server.port), connections: 8 })
  const chosen = await load.run({ ...spell(select, server.port), connections: 8 })
  check(chosen.refused === 0, `${chosen.refused} choices were refused.`)
  console.log(
    `\n\`select-random\` with ${number(large.offers)} offers of ${large.texts} variations, 8 connections: ` +
      `${number(chosen.perSecond)} a second, p50 ${ms(chosen.p50)}, p99 ${ms(chosen.p99)} (asked: under 20 ms).`,
  )
  await server.stop()
  rmSync(dataDir, { recursive: true })

  await makePromos(dataDir, { ...large, offers: 20, texts: 5 })
  await countAgain(dataDir)
  server = await serve(dataDir, open)
  const queries = ['7', '30', '90', '365', 'all'].flatMap((days) => [
    `days=${days}&include_timeline=true`,
    ...Array.from({ length: 19 }, (_, offer) => `days=${days}&offer_id=${offer + 1}&include_timeline=true`),
  ])
  const took = await timeAnalytics(server.port, queries, queries.length)
  const again = await timeAnalytics(server.port, queries, queries.length)
  const at = (times: number[], share: number) => times[Math.floor(times.length * share)]!
  console.log(
    `\nAnalytics with ${number(large.impressions)} impressions and ${number(large.clicks)} clicks on 20 offers of 5: asked for ` +
      `the first time p50 ${ms(at(took, 0.5))}, p95 ${ms(at(took, 0.95))}; again p95 ${ms(at(again, 0.95))} (asked: under 100 ms).`,
  )
  await server.stop()
  load.stop()
  rmSync(dataDir, { recursive: true })
}

async function retention() {
  told('Retention.')
  const folders = { promos: join(scratch, 'retention'), audience: join(scratch, 'old audience') }
  await makePromos(folders.promos, size.promos)
  await makeAudience(folders.audience, size.old)
  const removals = [
    ['impressions and clicks of promos older than 60 days, sealed', await removeOldPromos(folders.promos)],
    ['engagements of a year ago, sealed', await removeOldEngagements(folders.audience)],
  ] as const
  for (const [what, { rows, same }] of removals)
    check(rows > 0 && same, `Of ${what}, nothing was removed, or a count changed.`)
  table(
    ['Retention', 'Rows', 'Time', 'Rows a second', 'Transactions', 'Longest', 'Over 20 ms'],
    removals.map(([what, { rows, milliseconds, transactions, longest, over20 }]) => [
      what,
      number(rows),
      seconds(milliseconds),
      number((rows / milliseconds) * 1000),
      number(transactions),
      ms(longest),
      number(over20),
    ]),
  )
  for (const folder of Object.values(folders)) rmSync(folder, { recursive: true })
}

async function reports() {
  told('Reports as PDF.')
  const folder = join(scratch, 'reports')
  const { events, mailings, after, atOnce } = size.reports
  await reportDatabase(folder, size.reports)
  await countAgain(folder)
  const [server, load] = [await serve(folder), client()]
  const {
    first,
    next,
    together: all,
    most,
    half,
    busy,
    memory,
  } = await printReports({
    server,
    person: await visitor(server.port),
    client: load,
    mix: { seed: 7, ...mix },
    milliseconds: size.milliseconds,
    ...size.reports,
  })
  load.stop()
  await server.stop()
  rmSync(folder, { recursive: true })
  table(
    [
      `A campaign summary over ${mailings} mailings and a campaign of ${number(events)} events`,
      'took',
      'asked',
    ],
    [
      ['first PDF of a cold process, browser and numbers included', ms(first), 'under 5 s'],
      [`the next ${after}, each rendered and printed: p95`, ms(next), 'p95 under 1.5 s'],
      [`${atOnce} at once, the last of them`, seconds(all), 'under 30 s'],
      [`${atOnce} at once beside events at half of the most`, seconds(half.took), ''],
      [`${atOnce} at once beside 32 connections that ask again at once`, seconds(most.took), ''],
    ],
  )
  const row = (name: string, { alone, doors }: typeof half) => [
    name,
    number(doors.perSecond),
    ms(alone.p99),
    ms(doors.p99),
  ]
  table(
    ['Events meanwhile', 'events a second', 'p99 alone', 'p99 meanwhile (asked: under 50 ms)'],
    [
      row('as on a busy day', busy),
      row(`at half of the most (${number(most.alone.perSecond)} a second)`, half),
      row('32 connections that ask again at once', most),
    ],
  )
  console.log(`\nMost memory of the server and its browser together: ${mb(memory)} (asked: under 700 MB).`)
}

async function backup() {
  told('A backup while events come in.')
  const dataDir = join(scratch, 'backup')
  await largeDatabase(dataDir, size.backedUp)
  const [server, load] = [await serve(dataDir), client()]
  const { most, loads, took, bytes, packed } = await backUpBesideDoors({
    dataDir,
    server,
    person: await visitor(server.port),
    client: load,
    mix: { seed: 9, ...mix },
    milliseconds: size.milliseconds,
  })
  load.stop()
  await server.stop()
  rmSync(dataDir, { recursive: true })
  table(
    [
      'Events meanwhile',
      'events a second',
      'p99 alone',
      'p99 meanwhile (asked: under 50 ms)',
      `in the worst ${seconds(size.milliseconds)}`,
      'longest',
    ],
    loads.map(({ alone, meanwhile, worst }, turn) => [
      turn === 0 ? 'as on a busy day' : `at half of the most (${number(most.perSecond)} a second)`,
      number(meanwhile.perSecond),
      ms(alone.p99),
      ms(meanwhile.p99),
      ms(worst),
      ms(meanwhile.max),
    ]),
  )
  console.log(`\nA backup of ${mb(bytes)}, packed to ${mb(packed)}, took ${seconds(took)}.`)
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
  if (wants('octopus')) await octopus()
  if (wants('promos')) await promos()
  if (wants('retention')) await retention()
  if (wants('audience') || wants('scores')) {
    const folders = await audiences()
    if (wants('scores')) await scores(folders.many)
    if (wants('audience')) await audiencePages(folders)
  }
  if (wants('mailings')) await mailings()
  if (wants('arithmetic')) arithmetic()
  if (wants('reports')) await reports()
  if (wants('backup')) await backup()
} catch (error) {
  console.error(error)
  process.exitCode = 1
}
process.exit()
