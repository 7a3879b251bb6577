import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createAccount } from '../../accounts/commands.js'
import { openCountries } from '../../audience/countries.js'
import { migrate } from '../../database/migrate.js'
import { openDatabase } from '../../database/open.js'
import { calendar } from '../../web/calendar.js'
import { tellHistory } from './history.js'
import { dice, inviteReaders } from './readers.js'
import { recordCampaigns, recordHistory } from './record.js'
import { stories } from './stories.js'

/** Known to everybody, which is why the demo listens to this machine alone. */
export const guest = { username: 'maren', full_name: 'Maren', password: 'paper boats at noon' }

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
 * Makes the data of the demo: one account, the campaigns of the stories and four months of judged and counted events.
 * A database that was in the folder is thrown away.
 * @returns the campaigns' ids in the order of the stories, everybody who reads, and the number of events
 */
export async function makeDemo({ dataDir, now, timeZone, seed }: Wish) {
  for (const name of ['throughline.db', 'throughline.db-wal', 'throughline.db-shm'])
    rmSync(join(dataDir, name), { force: true })
  const db = openDatabase(join(dataDir, 'throughline.db'))
  try {
    await migrate(db, { dataDir, now: () => now })
    const countryOf = openCountries()
    const luck = dice(seed)
    const readers = inviteReaders(luck, countryOf)
    const account = await createAccount(db, guest, { by: null, at: now - 120 * 86_400_000 })
    const needs = { db, countryOf, calendar: calendar(timeZone), account: account.id, now }
    const campaigns = await recordCampaigns(stories, needs)
    const happenings = tellHistory(stories, readers, luck, now)
    await recordHistory(happenings, campaigns, needs)
    return { campaigns, readers, events: happenings.length }
  } finally {
    await db.destroy()
  }
}
