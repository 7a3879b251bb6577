// `npm run sync -- buttondown`: a sync from a terminal. A server that is running performs it; else this process does.
import { setTimeout as pause } from 'node:timers/promises'
import { pino } from 'pino'
import { Refusal } from '../accounts/terminal.js'
import { createApp } from '../app.js'
import type { Config } from '../config.js'
import { lockDataFolder } from '../database/lock.js'
import type { Db } from '../database/open.js'
import { openReaders } from '../database/readers.js'
import type { Buttondown } from '../esp/buttondown/buttondown.js'
import { provider } from '../esp/buttondown/reading.js'
import { changesInWords, kindInWords } from '../esp/buttondown/run-words.js'
import { findRun, type Run } from '../esp/runs.js'
import { Ledger } from '../ledger/ledger.js'
import { duration } from '../web/formats.js'
import { command, openInstallation } from './installation.js'
import { type Meter, progressLines, progressMeter } from './progress.js'

const usage = `Usage:
  npm run sync -- buttondown   fetches from Buttondown what is new, and everything the first time
A server that is running performs it, and the command shows how far it is.`

/** Milliseconds from one look at the run to the next. */
const lookEvery = 250
/** Milliseconds without a sign of life after which the server that performs a run may have stopped. */
const lostAfter = 10_000
const askedBy = 'the command line'

await command(async () => {
  const [name, ...rest] = process.argv.slice(2)
  if (name !== provider || rest.length > 0) throw new Refusal(usage)
  const { config, db, path } = await openInstallation()
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  // What fails here without a sentence of its own is told with its stack, and never on standard output.
  const log = pino({ level: 'error' }, pino.destination({ fd: 2, sync: true }))
  const { buttondown, scoring } = createApp({ config, db, readers, ledger, log, now: Date.now })
  const meter = process.stdout.isTTY ? progressMeter(process.stdout) : progressLines(console.log)
  const unlock = lockDataFolder(config.DATA_DIR)
  try {
    if (unlock) await perform({ db, buttondown, config, meter })
    else await handOver({ db, buttondown, config, meter })
  } finally {
    // The threads of the readers keep a command alive that has failed.
    await Promise.all([buttondown.stop(), scoring.stop()])
    await ledger.close()
    await readers.destroy()
    await db.destroy()
    unlock?.()
  }
})

interface Work {
  db: Db
  buttondown: Buttondown
  config: Config
  meter: Meter
}

/** No server runs, and none can start until this is done. */
async function perform({ db, buttondown, config, meter }: Work) {
  if (!(await buttondown.apiKey.read()))
    throw new Refusal(
      (await buttondown.apiKey.source()) === 'unreadable'
        ? `The API key that was entered cannot be read any more. Enter it again at ${config.BASE_URL}/providers/buttondown.`
        : `There is no API key for Buttondown. Set BUTTONDOWN_API_KEY, or start the server and enter it at ${config.BASE_URL}/providers/buttondown.`,
    )
  const interrupted = onInterrupt()
  const { run } = await buttondown.sync.ask(askedBy)
  let ended = false
  const performing = buttondown.sync.performWaiting().finally(() => {
    ended = true
  })
  let cancelled = false
  while (!ended) {
    if (interrupted() && !cancelled) {
      cancelled = true
      await buttondown.sync.cancel()
    }
    meter.show(await getRun(db, run.id))
    await Promise.race([performing, pause(lookEvery)])
  }
  await performing
  tellEnd(await getRun(db, run.id), meter)
}

/** A server runs on this data: it takes the run that waits within a second. */
async function handOver({ db, buttondown, config, meter }: Work) {
  const interrupted = onInterrupt()
  const { run, isNew } = await buttondown.sync.ask(askedBy)
  console.log(
    isNew
      ? 'The server that is running performs the sync.'
      : 'A sync is under way in the server already. This is how far it is.',
  )
  for (;;) {
    const now = await getRun(db, run.id)
    meter.show(now)
    if (now.endedAt !== null) return tellEnd(now, meter)
    if (interrupted()) {
      meter.end()
      console.log(`The server goes on. To cancel it: ${config.BASE_URL}/providers/buttondown/sync`)
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

function isFree({ DATA_DIR }: Config) {
  const unlock = lockDataFolder(DATA_DIR)
  unlock?.()
  return unlock !== null
}

function tellEnd(run: Run, meter: Meter) {
  meter.show(run)
  meter.end()
  const took = duration((run.endedAt ?? run.seenAt) - run.startedAt)
  if (run.state === 'done')
    return console.log(`${kindInWords(run.kind)} done in ${took}. ${changesInWords(run)}.`)
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
