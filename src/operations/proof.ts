import { rebuildAudienceCounts } from '../audience/rebuild.js'
import { engagementColumns } from '../audience/receptions.js'
import { countsTimeZone, rebuildCounts } from '../campaigns/rebuild.js'
import type { Db } from '../database/open.js'
import { type Compared, keepRows, type RowDifference } from '../database/row-differences.js'
import type { Tables } from '../database/schema.js'
import { readSetting } from '../database/settings.js'
import { checkReferences, checkTable, tableNames } from '../database/upkeep.js'
import { rebuildPromoCounts } from '../promos/rebuild.js'
import { calendar } from '../web/calendar.js'
import { number } from '../web/formats.js'

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

/** What contacts themselves tell of their engagements. */
const contactCounts = ['mailings', ...engagementColumns] as const satisfies (keyof Tables['contacts'])[]

/** What is compared, row by row. */
const compared: Compared[] = [
  ...countTables.map(
    (table): Compared => ({
      table,
      // The rebuild numbers them anew.
      ...(table === 'journeys' ? { by: ['campaign_id', 'contact_id', 'domain_id'] } : {}),
      // That a mailing was sent to somebody is told by when.
      ...(table === 'receptions' ? { instantsSay: true } : {}),
    }),
  ),
  { table: 'contacts', only: [...contactCounts] },
]

/** How many differences are told by name, of one table and of all. */
const mostOfTable = 2
const mostTold = 5

/** "contact_days (contact_id 4, day_on 2026-01-05): opens 2 instead of 1" */
function inWords(table: string, { key, before, after }: RowDifference): string {
  const row = Object.entries(key).map(([name, value]) => `${name} ${value}`)
  const others = Object.keys(before ?? after!)
    .map((name) => [name, before?.[name] ?? 0, after?.[name] ?? 0])
    .filter(([, was, is]) => was !== is)
    .map(([name, was, is]) => `${name} ${was} instead of ${is}`)
  return `${table} (${row.join(', ')}): ${others.join(', ')}`
}

/**
 * Proves a database: every page fits, every reference leads somewhere, and every count is, row by row, what counting its
 * facts anew comes to. The counts are counted anew in it: let it be a copy that nobody uses. What they were lies in a file
 * beside it meanwhile.
 * @param timeZone the reporting time zone; where the counts were made in another one, they are compared in that
 * @throws Error that says what is wrong
 * @returns the tables whose counts had to be put right; empty where the counts were equal to the facts
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
  const days = calendar((await readSetting(db, countsTimeZone)) ?? timeZone)
  const kept = await keepRows(db, compared)
  const wrong: string[] = []
  const examples: string[] = []
  let others = 0
  try {
    await rebuildCounts(db, days)
    await rebuildAudienceCounts(db, days)
    await rebuildPromoCounts(db, days)
    for (const { table } of compared) {
      const { rows, first } = await kept.differences(table, mostOfTable)
      if (rows > 0) wrong.push(table)
      others += rows
      examples.push(...first.map((difference) => inWords(table, difference)))
    }
  } finally {
    await kept.drop()
  }
  if (wrong.length === 0) say('Every count equals its facts.')
  else {
    say(`Counted anew, since the counts did not equal the facts: ${wrong.join(', ')}.`)
    const told = examples.slice(0, mostTold)
    for (const example of told) say(`${example}.`)
    if (others > told.length) say(`${number(others - told.length)} more rows were wrong.`)
  }
  return wrong
}
