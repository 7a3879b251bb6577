// `npm run rebuild-counts`: computes all counts anew from the facts.
import { rebuildAudienceCounts } from '../audience/rebuild.js'
import { rebuildCounts } from '../campaigns/rebuild.js'
import { rebuildPromoCounts } from '../promos/rebuild.js'
import { calendar } from '../web/calendar.js'
import { command, openInstallation } from './installation.js'

await command(async () => {
  const { config, db } = await openInstallation()
  console.log(
    'Counting everything anew. A running server goes on showing the old counts, ' +
      'and its doors answer 503 until this is done.',
  )
  const from = performance.now()
  const days = calendar(config.TIME_ZONE)
  await rebuildCounts(db, days)
  await rebuildAudienceCounts(db, days)
  await rebuildPromoCounts(db, days)
  const seconds = (performance.now() - from) / 1000
  const [events, engagements, impressions, clicks] = await Promise.all(
    (['events', 'engagements', 'promo_impressions', 'promo_clicks'] as const).map(
      async (table) =>
        (
          await db
            .selectFrom(table)
            .select(({ fn }) => fn.countAll<number>().as('rows'))
            .executeTakeFirstOrThrow()
        ).rows,
    ),
  )
  console.log(
    `Counted ${events!.toLocaleString('en')} events and ${engagements!.toLocaleString('en')} engagements, ` +
      `and of promos ${impressions!.toLocaleString('en')} impressions and ${clicks!.toLocaleString('en')} clicks, in ${seconds.toFixed(1)} s.`,
  )
  await db.destroy()
})
