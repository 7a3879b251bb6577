import { join } from 'node:path'
import { openDatabase } from '../../src/database/open.js'
import { openReaders } from '../../src/database/readers.js'
import { commitBounds, Ledger } from '../../src/ledger/ledger.js'
import { readRetention, retention, retentionRecorder, saveRetention } from '../../src/operations/retention.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'

export interface Removed {
  rows: number
  milliseconds: number
  transactions: number
  /** Milliseconds of the longest transaction, its commit included; and how many took more than 20. */
  longest: number
  over20: number
}

/** Removes what is older than 60 days of a database of promos, as the nightly job does. */
export async function removeOld(dataDir: string): Promise<Removed & { same: boolean }> {
  const path = join(dataDir, 'throughline.db')
  const db = openDatabase(path)
  const readers = openReaders(path, { threads: 1 })
  await rebuildPromoCounts(db, calendar('UTC'))
  const sums = () =>
    db
      .selectFrom('promo_quarters')
      .select(({ fn }) => [fn.sum('impressions').as('impressions'), fn.sum('clicks').as('clicks')])
      .executeTakeFirstOrThrow()
  const before = JSON.stringify(await sums())
  await saveRetention(db, { ...(await readRetention(db)), traces_days: 0, promos_days: 60 })
  const ledger = new Ledger({ db })
  const keeper = retention({
    db,
    readers,
    remove: ledger.register(retentionRecorder(db), { patient: true }),
    providers: [],
    now: Date.now,
  })
  const from = performance.now()
  const { promos: rows } = await keeper.run()
  const milliseconds = performance.now() - from
  const { batches: transactions, longestCommit: longest, commits } = ledger.tally
  const over20 = commits
    .slice(commitBounds.findIndex((bound) => bound > 20))
    .reduce((sum, count) => sum + count, 0)
  await rebuildPromoCounts(db, calendar('UTC'))
  const same = JSON.stringify(await sums()) === before
  await ledger.close()
  await readers.destroy()
  await db.destroy()
  return { rows, milliseconds, transactions, longest, over20, same }
}
