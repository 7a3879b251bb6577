// `npm run rebuild-counts`: computes all counts of the click tracker anew from its events.
import { rebuildCounts } from '../campaigns/rebuild.js'
import { calendar } from '../web/calendar.js'
import { command, openInstallation } from './installation.js'

await command(async () => {
  const { config, db } = await openInstallation()
  console.log(
    'Counting all events anew. A running server goes on showing the old counts, ' +
      'and its event door answers 503 until this is done.',
  )
  const from = performance.now()
  await rebuildCounts(db, calendar(config.TIME_ZONE))
  const seconds = (performance.now() - from) / 1000
  const { events } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.countAll<number>().as('events'))
    .executeTakeFirstOrThrow()
  console.log(`Counted ${events.toLocaleString('en')} events in ${seconds.toFixed(1)} s.`)
  await db.destroy()
})
