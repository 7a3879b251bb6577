import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { createAccount } from '../../accounts/commands.js'
import { openCountries } from '../../audience/countries.js'
import { openNetworks } from '../../audience/networks.js'
import { searchIndex } from '../../audience/search.js'
import { migrate } from '../../database/migrate.js'
import { openDatabase } from '../../database/open.js'
import { calendar } from '../../web/calendar.js'
import { tellEngagements } from './engagements.js'
import { guest } from './guest.js'
import { tellHistory } from './history.js'
import { issues } from './newsletter.js'
import { recordPartners } from './partners.js'
import { recordPromos } from './promos.js'
import { dice, inviteReaders } from './readers.js'
import { recordCampaigns, recordHistory } from './record.js'
import { annotate, recordNewsletter, scoreEverybody } from './record-newsletter.js'
import { recordProvider } from './record-provider.js'
import { recordReports } from './reports.js'
import { stories } from './stories.js'
import { inviteSubscribers } from './subscribers.js'

export { guest }

interface Wish {
  /** A folder that is there, and that no server uses. */
  dataDir: string
  /** The last instant of the history, in UTC milliseconds. */
  now: number
  /** The reporting time zone, whose days are counted. */
  timeZone: string
  /** The same seed, at the same instant, makes the same campaigns and events. */
  seed: number
}

/**
 * Makes the data of the demo: one account, the campaigns of the stories and four months of judged and counted events,
 * a newsletter with eight months of subscribers and engagements, partners whose projects some of it belongs to, and their
 * reports.
 * A database that was in the folder is thrown away.
 * @returns the campaigns' ids in the order of the stories, everybody who reads, the number of events, and what the
 * provider's webhook needs to know to go on
 */
export async function makeDemo({ dataDir, now, timeZone, seed }: Wish) {
  for (const name of ['throughline.db', 'throughline.db-wal', 'throughline.db-shm'])
    rmSync(join(dataDir, name), { force: true })
  const path = join(dataDir, 'throughline.db')
  const db = openDatabase(path, { isMadeAnew: true })
  try {
    // All of it fits in memory.
    await sql`pragma cache_size = -200000`.execute(db)
    await migrate(db, { dataDir, now: () => now })
    const countryOf = openCountries()
    const luck = dice(seed)
    const readers = inviteReaders(luck, countryOf)
    const account = await createAccount(db, guest, { by: null, at: now - 120 * 86_400_000 })
    const needs = { db, countryOf, calendar: calendar(timeZone), account: account.id, now }
    const campaigns = await recordCampaigns(stories, needs)
    const happenings = tellHistory(stories, readers, luck, now)
    await recordHistory(happenings, campaigns, needs)

    const networks = openNetworks(dataDir)
    // Dice of its own: the campaigns stay as they are, however the newsletter changes.
    const fortune = dice(seed + 1)
    const subscribers = inviteSubscribers({ readers, happenings, dice: fortune, networks, now })
    const deeds = tellEngagements({ subscribers, happenings, stories, dice: fortune, now })
    const audience = { ...needs, networks, dice: fortune }
    const recorded = await recordNewsletter(subscribers, deeds, audience)
    await scoreEverybody({ db, path, now })
    await annotate(audience)
    await recordProvider({ ...audience, subscribers, deeds, recorded })
    await recordPartners({ ...needs, stories, campaigns })
    const promos = await recordPromos({ ...needs, networks, dice: dice(seed + 2), readers })
    await recordReports({ ...needs, path })
    while ((await searchIndex({ db }).run()) > 0);
    const newest = { id: recorded.issueIds[issues.length - 1]!, links: issues.at(-1)!.links }
    return {
      campaigns,
      readers,
      events: happenings.length,
      subscribers,
      engagements: deeds.length,
      promos,
      issue: newest,
    }
  } finally {
    await db.destroy()
  }
}
