import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { openDatabase } from '../../src/database/open.js'
import { askForRun } from '../../src/esp/runs.js'
import { together } from './ingestion.js'
import type { Outcome } from './load.js'
import type { NewsletterSize } from './newsletter.js'
import { type Client, type Running, start } from './processes.js'
import type { Mix } from './traffic.js'

const here = dirname(fileURLToPath(import.meta.url))
const key = 'bench-key-0001'
export const signingKey = 'signed on a bench under a lime tree'

/** The stand-in in a process of its own. */
export const startStandIn = (newsletter: NewsletterSize) =>
  start(join(here, 'stand-in.ts'), {
    nodeOptions: ['--import', 'tsx'],
    env: { NEWSLETTER: JSON.stringify(newsletter), KEY: key },
  })

/** What a server has to be told to ask a stand-in, as often as it likes. */
export const connected = ({ port }: Running) => ({
  BUTTONDOWN_API_URL: `http://127.0.0.1:${port}/v1`,
  BUTTONDOWN_API_KEY: key,
  BUTTONDOWN_WEBHOOK_SIGNING_KEY: signingKey,
  BUTTONDOWN_REQUESTS_PER_MINUTE: '0',
})

/** Asks the running server for a sync, as `npm run sync` does: it begins within a second. @returns the run's number */
export async function askForSync(dataDir: string, kind: 'first' | 'manual') {
  const db = openDatabase(join(dataDir, 'throughline.db'), { patience: 2_000 })
  const { run } = await askForRun(db, {
    provider: 'buttondown',
    kind,
    askedBy: 'the benchmark',
    now: Date.now(),
  })
  await db.destroy()
  return run.id
}

interface SyncRun {
  state: string
  error: string | null
  ended_at: number | null
  stage: string
  /** When the present stage began. */
  since: number
  /** Events so far. */
  done: number
}

/** Looks at a run until it is as wanted. */
export async function untilRun(dataDir: string, id: number, wanted: (run: SyncRun) => boolean) {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const look = file.prepare<[number], SyncRun>(
    `select state, error, ended_at, progress ->> '$.stage' as stage, progress ->> '$.since.at' as since,
       coalesce(progress ->> '$.stages.events.done', 0) as done
     from sync_runs where id = ?`,
  )
  try {
    for (;;) {
      const run = look.get(id)!
      if (run.state === 'failed') throw new Error(`The sync failed: ${run.error}`)
      if (wanted(run)) return run
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  } finally {
    file.close()
  }
}

/** A whole first sync. @returns how long its events took, in milliseconds */
export async function backfill(dataDir: string) {
  const id = await askForSync(dataDir, 'first')
  const { ended_at, since } = await untilRun(dataDir, id, ({ state }) => state === 'done')
  return ended_at! - since
}

interface Needs {
  dataDir: string
  client: Client
  port: number
  newsletter: NewsletterSize
  mix: Omit<Mix, 'seed'>
  rounds: number
  milliseconds: number
}

/**
 * Loads the webhook and the event door in turns while a first sync takes in events, until it ends or the rounds are
 * over; a spell that outlasts the sync is not counted, unless it is the only one.
 */
export async function loadDuringBackfill({
  dataDir,
  client,
  port,
  newsletter,
  mix,
  rounds,
  milliseconds,
}: Needs) {
  const id = await askForSync(dataDir, 'first')
  const began = await untilRun(dataDir, id, ({ stage, done }) => stage === 'events' && done > 0)
  const spells: Record<'webhook' | 'door', Outcome[]> = { webhook: [], door: [] }
  const from = performance.now()
  let over = false
  for (let round = 0; round < rounds && !over; round++)
    for (const name of ['webhook', 'door'] as const) {
      const outcome = await client.run({
        port,
        connections: 32,
        milliseconds,
        mix: name === 'webhook' ? { seed: 11, key: signingKey, newsletter } : { seed: 12, ...mix },
      })
      if (outcome.refused > 0)
        throw new Error(`${outcome.refused} of ${outcome.requests} requests were refused.`)
      over = (await untilRun(dataDir, id, () => true)).state === 'done'
      if (!over || spells[name].length === 0) spells[name].push(outcome)
    }
  const { done } = await untilRun(dataDir, id, () => true)
  return {
    webhook: together(spells.webhook),
    door: together(spells.door),
    worst: { webhook: worst(spells.webhook), door: worst(spells.door) },
    perSecond: ((done - began.done) / (performance.now() - from)) * 1000,
  }
}
const worst = (spells: Outcome[]) => Math.max(...spells.map(({ p99 }) => p99))

/** Rows of a table, as they are on disk. */
export function countRows(dataDir: string, table: 'engagements' | 'inbox' | 'contacts') {
  const file = new Sqlite(join(dataDir, 'throughline.db'), { readonly: true })
  const { rows } = file.prepare(`select count(*) as rows from ${table}`).get() as { rows: number }
  file.close()
  return rows
}
