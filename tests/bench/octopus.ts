import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Sqlite from 'better-sqlite3'
import { openDatabase } from '../../src/database/open.js'
import { askForRun } from '../../src/esp/runs.js'
import type { AccountSize } from './octopus-account.js'
import { type Running, start } from './processes.js'

const here = dirname(fileURLToPath(import.meta.url))
const key = 'eo_bench-key-0001'

/** The stand-in in a process of its own. @param options.limited it has the vendor's own limit */
export const startOctopus = (account: AccountSize, { limited }: { limited: boolean }) =>
  start(join(here, 'octopus-stand-in.ts'), {
    nodeOptions: ['--import', 'tsx'],
    env: { ACCOUNT: JSON.stringify(account), KEY: key, LIMIT: limited ? '1' : '0' },
  })

/** What a server has to be told to ask it. */
export const octopusConnected = ({ port }: Running, { limited }: { limited: boolean }) => ({
  EMAILOCTOPUS_API_URL: `http://127.0.0.1:${port}`,
  EMAILOCTOPUS_API_KEY: key,
  EMAILOCTOPUS_REQUESTS_PER_SECOND: limited ? '10' : '0',
})

export interface OctopusRun {
  state: string
  error: string | null
  stage: string
  requests: number
  started_at: number
  ended_at: number | null
  /** Mailings whose key figures are in. */
  figures: number
}

/** Asks the running server for a sync, and looks at it until it is as wanted. */
export async function octopusSync(
  dataDir: string,
  kind: 'first' | 'nightly',
  wanted: (run: OctopusRun) => boolean = ({ ended_at }) => ended_at !== null,
): Promise<OctopusRun & { took: number }> {
  const path = join(dataDir, 'throughline.db')
  const db = openDatabase(path, { patience: 2_000 })
  const from = Date.now()
  const { run } = await askForRun(db, {
    provider: 'emailoctopus',
    kind,
    askedBy: 'the benchmark',
    now: from,
  })
  await db.destroy()
  const file = new Sqlite(path, { readonly: true })
  const look = file.prepare<[number], OctopusRun>(
    `select state, error, started_at, ended_at, progress ->> '$.stage' as stage,
       coalesce(progress ->> '$.requests', 0) as requests,
       (select count(*) from mailing_reports) as figures
     from sync_runs where id = ?`,
  )
  try {
    for (;;) {
      const seen = look.get(run.id)!
      if (seen.state === 'failed') throw new Error(`The sync failed: ${seen.error}`)
      if (wanted(seen)) return { ...seen, took: Date.now() - from }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  } finally {
    file.close()
  }
}
