import { sql } from 'kysely'
import { rebuildAudienceCounts } from '../audience/rebuild.js'
import { rebuildCounts } from '../campaigns/rebuild.js'
import type { Db } from '../database/open.js'
import type { Tables } from '../database/schema.js'
import { checkReferences, checkTable, tableNames } from '../database/upkeep.js'
import { rebuildPromoCounts } from '../promos/rebuild.js'
import { calendar } from '../web/calendar.js'

/** What counts of campaigns stand in. */
export const campaignCountTables = [
  'journeys',
  'campaign_counts',
  'domain_counts',
  'journey_counts',
  'campaign_hours',
  'campaign_days',
] as const satisfies readonly (keyof Tables)[]

/** Tables of counts, each of which comes from facts alone: those that the rebuilds of the rooms make anew. */
export const countTables = [
  'receptions',
  'mailing_counts',
  'engagement_quarters',
  'engagement_days',
  'contact_days',
  'active_days',
  'tag_counts',
  ...campaignCountTables,
  'promo_offer_counts',
  'promo_variation_counts',
  'promo_days',
  'promo_quarters',
  'promo_devices',
  'promo_send_counts',
] as const satisfies readonly (keyof Tables)[]

/** Of a table of counts, the sum of every column that counts; rows at nought say nothing. */
async function sumsOf(db: Db, table: (typeof countTables)[number]): Promise<string> {
  const { rows: columns } = await sql<{ name: string; type: string }>`
    select name, type from pragma_table_info(${table}) where pk = 0`.execute(db)
  const counting = columns.filter(
    ({ name, type }) => /^(integer|real)$/i.test(type) && !/(^|_)(id|on|at|shape)$/.test(name),
  )
  if (counting.length === 0) return ''
  const sums = counting.map(
    ({ name }) => sql`printf('%.3f', coalesce(sum(${sql.ref(name)}), 0)) as ${sql.ref(name)}`,
  )
  const { rows } = await sql`select ${sql.join(sums)} from ${sql.table(table)}`.execute(db)
  return JSON.stringify(rows[0])
}

/**
 * Proves a database: every page fits, every reference leads somewhere, and every count is what counting its facts anew
 * comes to. The counts are counted anew in it: let it be a copy that nobody uses.
 * @throws Error that says what is wrong
 * @returns the tables of counts that had to be put right; empty where the counts were equal to the facts
 */
export async function prove(
  db: Db,
  { timeZone, say }: { timeZone: string; say: (line: string) => void },
): Promise<string[]> {
  const found: string[] = []
  for (const table of await tableNames(db)) found.push(...(await checkTable(db, table)))
  found.push(...(await checkReferences(db)))
  if (found.length > 0) throw new Error(`The restored database is damaged: ${found[0]}.`)
  say('Every page and every reference is right.')
  const before = new Map<string, string>()
  for (const table of countTables) before.set(table, await sumsOf(db, table))
  const days = calendar(timeZone)
  await rebuildCounts(db, days)
  await rebuildAudienceCounts(db, days)
  await rebuildPromoCounts(db, days)
  const wrong: string[] = []
  for (const table of countTables) if ((await sumsOf(db, table)) !== before.get(table)) wrong.push(table)
  say(
    wrong.length === 0
      ? 'Every count equals its facts.'
      : `Counted anew, since the counts did not equal the facts: ${wrong.join(', ')}.`,
  )
  return wrong
}
