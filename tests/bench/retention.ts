import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { CompiledQuery, QueryResult } from 'kysely'
import { rebuildAudienceCounts } from '../../src/audience/rebuild.js'
import { startArchive } from '../../src/database/archive.js'
import { FileConnection } from '../../src/database/dialect.js'
import { type Db, openDatabase } from '../../src/database/open.js'
import { openReaders } from '../../src/database/readers.js'
import { Ledger } from '../../src/ledger/ledger.js'
import { readRetention, retention, retentionRecorder, saveRetention } from '../../src/operations/retention.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar, dayLength } from '../../src/web/calendar.js'

export interface Removed {
  rows: number
  milliseconds: number
  transactions: number
  /** Milliseconds for which the longest transaction held the writer, its commit included; and how many held it for more than 20. */
  longest: number
  over20: number
}

interface Case {
  kind: 'promos' | 'engagements'
  /** For how many days it is kept, and so much later (milliseconds) than it was made it is removed. */
  days: number
  later: number
  /** Counts its facts anew. */
  rebuild: (db: Db) => Promise<void>
  /** What has to be the same afterwards. */
  sums: (db: Db) => Promise<unknown>
}
const inUtc = calendar('UTC')

/** Of a database of promos what is older than 60 days, as the nightly job does. */
export const removeOldPromos = (dataDir: string) =>
  removeOld(dataDir, {
    kind: 'promos',
    days: 60,
    later: 0,
    rebuild: (db) => rebuildPromoCounts(db, inUtc),
    sums: (db) =>
      db
        .selectFrom('promo_quarters')
        .select(({ fn }) => [fn.sum('impressions').as('impressions'), fn.sum('clicks').as('clicks')])
        .executeTakeFirstOrThrow(),
  })

/** Of a database of an audience everything, a year later. */
export const removeOldEngagements = (dataDir: string) =>
  removeOld(dataDir, {
    kind: 'engagements',
    days: 365,
    later: 400 * dayLength,
    rebuild: (db) => rebuildAudienceCounts(db, inUtc),
    sums: (db) =>
      db
        .selectFrom('mailing_counts')
        .select(({ fn }) => [fn.sum('people_opened').as('opened'), fn.sum('clicks').as('clicks')])
        .executeTakeFirstOrThrow(),
  })

async function removeOld(
  dataDir: string,
  { kind, days, later, rebuild, sums }: Case,
): Promise<Removed & { same: boolean }> {
  const path = join(dataDir, 'throughline.db')
  // As in the server: the log is brought back into the database by a thread of its own, and by no commit.
  const db = openDatabase(path, { isArchived: true })
  const folder = join(dataDir, 'segments')
  mkdirSync(folder)
  const archive = startArchive({ path, folder, segmentEvery: 60_000 })
  const readers = openReaders(path, { threads: 1 })
  await rebuild(db)
  const before = JSON.stringify(await sums(db))
  await saveRetention(db, { ...(await readRetention(db)), traces_days: 0, [`${kind}_days`]: days })
  const ledger = new Ledger({ db })
  const now = Date.now()
  const keeper = (at: number) => retention({ db, readers, remove, providers: [], now: () => at })
  const remove = ledger.register(retentionRecorder(db), { patient: true })
  // What was recorded is noted, and goes a week later at the soonest.
  if (later > 0) await keeper(now).run()
  const holds = watchHolds()
  const from = performance.now()
  const { [kind]: rows } = await keeper(now + later).run()
  const milliseconds = performance.now() - from
  const held = holds.end()
  await rebuild(db)
  const same = JSON.stringify(await sums(db)) === before
  await ledger.close()
  await archive.stop()
  await readers.destroy()
  await db.destroy()
  return {
    rows,
    milliseconds,
    transactions: held.length,
    longest: Math.max(...held),
    over20: held.filter((each) => each > 20).length,
    same,
  }
}

/** Notes for how long each transaction holds the write lock, in milliseconds: the wait for it does not count. */
function watchHolds() {
  const { executeQuery } = FileConnection.prototype
  const held: number[] = []
  let since = 0
  FileConnection.prototype.executeQuery = function <Row>(this: FileConnection, query: CompiledQuery) {
    const result = executeQuery.call(this, query) as Promise<QueryResult<Row>>
    if (query.sql === 'begin immediate') since = performance.now()
    if (query.sql === 'commit') held.push(performance.now() - since)
    return result
  }
  return {
    end() {
      FileConnection.prototype.executeQuery = executeQuery
      return held
    },
  }
}
