import { expect } from 'vitest'
import { rebuildAudienceCounts } from '../../src/audience/rebuild.js'
import { rebuildCounts } from '../../src/campaigns/rebuild.js'
import type { Db } from '../../src/database/open.js'
import { countTables } from '../../src/operations/proof.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'

const isNumber = ([name, value]: [string, unknown]) =>
  !/(^|_)(id|on|at|shape|machines)$/.test(name) && typeof value === 'number'

/** Sums of fractions come out differently by a hair in another order. */
const rounded = (_: string, value: unknown) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toFixed(6)) : value

/** All counts as text, each row once; rows that have gone back to nothing say nothing. */
export async function countsIn(db: Db) {
  const all: Record<string, string[]> = {}
  for (const table of countTables) {
    const rows: object[] = await db.selectFrom(table).selectAll().execute()
    all[table] = rows
      .filter((row) => {
        const numbers = Object.entries(row).filter(isNumber)
        return table === 'receptions' || numbers.some(([name, value]) => rounded(name, value) !== 0)
      })
      .map((row) => JSON.stringify(row, rounded))
      .sort()
  }
  const contacts = await db.selectFrom('contacts').selectAll().orderBy('id').execute()
  all.contacts = contacts.map((row) => JSON.stringify(row))
  return all
}

/**
 * Every count is what a computation from the facts alone comes to.
 * @param score scores whoever is due: what other rooms know of somebody's last activity comes in with it
 */
export async function expectCountsToHold(
  db: Db,
  { score = async () => {} }: { score?: () => Promise<unknown> } = {},
) {
  await score()
  const kept = await countsIn(db)
  await rebuildAudienceCounts(db, calendar('UTC'))
  await rebuildCounts(db, calendar('UTC'))
  await rebuildPromoCounts(db, calendar('UTC'))
  await score()
  expect(kept).toEqual(await countsIn(db))
}
