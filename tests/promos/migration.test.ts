import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { migrations } from '../../migrations/index.js'
import { migrate } from '../../src/database/migrate.js'
import { openDatabase } from '../../src/database/open.js'
import { rebuildPromoCounts } from '../../src/promos/rebuild.js'
import { calendar } from '../../src/web/calendar.js'
import { aFolder, testStart } from '../support/app.js'

it('counts the facts of a database made before by quarters of an hour', async () => {
  const dataDir = aFolder()
  const db = openDatabase(join(dataDir, 'throughline.db'))
  onTestFinished(() => db.destroy())
  const names = Object.keys(migrations)
  const later = names.slice(names.findIndex((name) => name.endsWith('-old-slugs')))
  const held = later.map((name) => [name, migrations[name]!] as const)
  const giveBack = () => {
    for (const [name, migration] of held) migrations[name] = migration
  }
  onTestFinished(giveBack)
  for (const name of later) delete migrations[name]
  await migrate(db, { dataDir, now: () => testStart })

  const offer = {
    group_id: 1,
    name: 'Moka',
    slug: 'moka',
    destination_url: 'https://moka.example/',
    created_at: 0,
  }
  const { id: offer_id } = await db
    .insertInto('promo_offers')
    .values(offer)
    .returning('id')
    .executeTakeFirstOrThrow()
  const { id: variation_id } = await db
    .insertInto('promo_text_variations')
    .values({ offer_id, text: 'Coffee', created_at: 0 })
    .returning('id')
    .executeTakeFirstOrThrow()
  for (const minutes of [0, 14, 15, 59, 60]) {
    const fact = { offer_id, variation_id, happened_at: testStart + minutes * 60_000 }
    const none = { send_id: null, spool_id: null }
    await db
      .insertInto('promo_impressions')
      .values({ ...fact, ...none, placements: 2 })
      .execute()
    for (const [verdict, repeated] of [
      [0, 0],
      [1, 1],
      [2, 0],
    ] as const)
      await db
        .insertInto('promo_clicks')
        .values({ ...fact, ...none, verdict, repeated, address: null, user_agent_id: null, device: null })
        .execute()
  }
  giveBack()
  await migrate(db, { dataDir, now: () => testStart })

  const quarters = await db.selectFrom('promo_quarters').selectAll().execute()
  expect(quarters.map((each) => [each.quarter_at - testStart, each.impressions])).toEqual([
    [0, 4],
    [15 * 60_000, 2],
    [45 * 60_000, 2],
    [60 * 60_000, 2],
  ])
  await rebuildPromoCounts(db, calendar('UTC'))
  expect(await db.selectFrom('promo_quarters').selectAll().execute()).toEqual(quarters)
})
