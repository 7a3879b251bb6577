// `npm run sync -- PROVIDER`: a sync from a terminal. A server that is running performs it; else this process does.
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { Refusal } from '../accounts/terminal.js'
import { createApp } from '../app.js'
import type { Config } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import type { Db } from '../database/open.js'
import { openReaders } from '../database/readers.js'
import { provider as buttondown } from '../esp/buttondown/reading.js'
import type { ConnectedProvider } from '../esp/connected-provider.js'
import { provider as emailOctopus } from '../esp/emailoctopus/mapping.js'
import { changesInWords, kindInWords, type RunWords } from '../esp/run-words.js'
import { findRun, type Run } from '../esp/runs.js'
import { Ledger } from '../ledger/ledger.js'
import { duration } from '../web/formats.js'
import { command, openInstallation } from './installation.js'
import { type Meter, progressLines, progressMeter } from './progress.js'

const usage = `Usage:
  npm run sync -- ${buttondown}     fetches from Buttondown what is new, and everything the first time
  npm run sync -- ${emailOctopus}   the same from EmailOctopus
A server that is running performs it, and the command shows how far it is.`

/** Milliseconds from one look at the run to the next. */
const lookEvery = 250
/** Milliseconds without a sign of life after which the server that performs a run may have stopped. */
const lostAfter = 10_000
const askedBy = 'the command line'

await command(async () => {
  const [wanted, ...rest] = process.argv.slice(2)
  if ((wanted !== buttondown && wanted !== emailOctopus) || rest.length > 0) throw new Refusal(usage)
  const { config, db, path } = await openInstallation()
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  // What fails here without a sentence of its own is told with its stack, and never on standard output.
  const log = pino({ level: 'error' }, pino.destination({ fd: 2, sync: true }))
  const app = createApp({ config, db, readers, ledger, log, now: Date.now })
  const providers: ConnectedProvider[] = [app.buttondown, app.emailOctopus]
  const connected = providers.find(({ provider }) => provider === wanted)!
  const words = connected.runWords
  const meter = process.stdout.isTTY
    ? progressMeter(process.stdout, words)
    : progressLines(console.log, words)
  const unlock = lockDataFolder(config.DATA_DIR)
  try {
    if (unlock) await perform({ db, connected, config, meter })
    else await handOver({ db, connected, config, meter })
  } finally {
    // The threads of the readers keep a command alive that has failed.
    await Promise.all([...providers.map((each) => each.stop()), app.scoring.stop()])
    await ledger.close()
    await readers.destroy()
    await db.destroy()
    unlock?.()
  }
})

interface Work {
  db: Db
  connected: ConnectedProvider
  config: Config
  meter: Meter
}

/** No server runs, and none can start until this is done. */
async function perform({ db, connected, config, meter }: Work) {
  if (!(await connected.apiKey.read()))
    throw new Refusal(
      (await connected.apiKey.source()) === 'unreadable'
        ? `The API key that was entered cannot be read any more. Enter it again at ${pageOf(connected, config)}.`
        : `There is no API key for ${connected.name}. Set ${connected.variables.apiKey}, or start the server and enter it at ${pageOf(connected, config)}.`,
    )
  const interrupted = onInterrupt()
  const { run } = await connected.sync.ask(askedBy)
  let ended = false
  const performing = connected.sync.performWaiting().finally(() => {
    ended = true
  })
  let cancelled = false
  while (!ended) {
    if (interrupted() && !cancelled) {
      cancelled = true
      await connected.sync.cancel()
    }
    meter.show(await getRun(db, run.id))
    await Promise.race([performing, pause(lookEvery)])
  }
  await performing
  tellEnd(await getRun(db, run.id), connected.runWords, meter)
}

/** A server runs on this data: it takes the run that waits within a second. */
async function handOver({ db, connected, config, meter }: Work) {
  const interrupted = onInterrupt()
  const { run, isNew } = await connected.sync.ask(askedBy)
  console.log(
    isNew
      ? 'The server that is running performs the sync.'
      : 'A sync is under way in the server already. This is how far it is.',
  )
  for (;;) {
    const now = await getRun(db, run.id)
    meter.show(now)
    if (now.endedAt !== null) return tellEnd(now, connected.runWords, meter)
    if (interrupted()) {
      meter.end()
      console.log(`The server goes on. To cancel it: ${pageOf(connected, config)}/sync`)
      process.exitCode = 130
      return
    }
    if (Date.now() - now.seenAt > lostAfter && isFree(config)) {
      meter.end()
      throw new Refusal('The server has stopped. The sync goes on when it starts again.')
    }
    await pause(lookEvery)
  }
}

function pageOf({ provider }: ConnectedProvider, { BASE_URL }: Config) {
  return `${BASE_URL}/providers/${provider}`
}

function isFree({ DATA_DIR }: Config) {
  const unlock = lockDataFolder(DATA_DIR)
  unlock?.()
  return unlock !== null
}

function tellEnd(run: Run, words: RunWords, meter: Meter) {
  meter.show(run)
  meter.end()
  const took = duration((run.endedAt ?? run.seenAt) - run.startedAt)
  if (run.state === 'done')
    return console.log(`${kindInWords(run.kind, words)} done in ${took}. ${changesInWords(run, words)}.`)
  if (run.state === 'failed') throw new Refusal(run.error ?? 'The sync failed.')
  console.log(
    run.kind === 'first'
      ? 'Cancelled. What came in stays, and the next sync goes on from there.'
      : 'Cancelled. What came in stays.',
  )
  process.exitCode = 130
}

/** @returns whether somebody has pressed ctrl-C since, or asked the process to end */
function onInterrupt() {
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      interrupted = true
    })
  return () => interrupted
}

async function getRun(db: Db, id: number): Promise<Run> {
  const run = await findRun(db, id)
  if (!run) throw new Error(`Run ${id} is gone.`)
  return run
}
