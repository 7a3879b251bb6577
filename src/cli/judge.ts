// `npm run judge [-- --since YYYY-MM-DD]`: judges the events of the past again by the rules of this version.
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { contactBook } from '../audience/contacts.js'
import { openCountries } from '../audience/countries.js'
import { judgeAgentsAgain } from '../audience/devices.js'
import { erasureBook } from '../audience/erasures.js'
import { campaignRecorder } from '../campaigns/record.js'
import { settler } from '../campaigns/settle.js'
import { ConfigError } from '../config.js'
import type { Db } from '../database/open.js'
import { openReaders } from '../database/readers.js'
import { writeSetting } from '../database/settings.js'
import { Ledger } from '../ledger/ledger.js'
import { installationSecret } from '../secret.js'
import { type Calendar, calendar } from '../web/calendar.js'
import { command, openInstallation } from './installation.js'

/** Its own, so that a server that runs meanwhile goes on settling what is new and neither disturbs the other. */
const watermark = 'judged_event_id'
const progressEvery = 500_000

await command(async () => {
  const since = sinceDay()
  const { config, db, path } = await openInstallation()
  const days = calendar(config.TIME_ZONE)
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  const erasures = erasureBook({ secret: installationSecret(config.DATA_DIR) })
  const contacts = contactBook({ db, erasures })
  const recorder = campaignRecorder({ db, calendar: days, contacts, countryOf: openCountries() })
  ledger.register(recorder.events)
  const settle = ledger.register(recorder.settlements)

  try {
    const from = performance.now()
    const first = since === null ? 0 : await lastBefore(db, since, days)
    await judgeAgentsAgain(db)
    await writeSetting(db, watermark, String(first))
    let changed = 0
    let told = first
    const judged = await settler({
      db,
      readers,
      watermark,
      now: Date.now,
      async settle(settlement) {
        await settle(settlement)
        changed += settlement.changes.length
        if (settlement.upTo - told < progressEvery) return
        told = settlement.upTo
        console.log(`Judged up to event ${told.toLocaleString('en')}.`)
      },
    }).run()
    const seconds = (performance.now() - from) / 1000
    console.log(
      `Judged ${judged.toLocaleString('en')} events again in ${seconds.toFixed(1)} s; ` +
        `${changed.toLocaleString('en')} have another verdict or other reasons now.`,
    )
  } finally {
    // The thread of the readers keeps a command alive that has failed.
    await ledger.close()
    await readers.destroy()
    await db.destroy()
  }
})

function given() {
  try {
    return parseArgs({ options: { since: { type: 'string' } } }).values.since
  } catch {
    throw new ConfigError('judge takes --since DAY, such as --since 2026-09-01, and nothing else.')
  }
}

function sinceDay(): string | null {
  const since = given()
  if (since === undefined) return null
  if (z.iso.date().safeParse(since).success) return since
  throw new ConfigError('--since must be a day, such as 2026-09-01.')
}

/** The last event before the first one of that day or a later one. */
async function lastBefore(db: Db, day: string, days: Calendar): Promise<number> {
  const { id } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.min<number | null>('id').as('id'))
    .where('happened_at', '>=', days.startOf(day))
    .executeTakeFirstOrThrow()
  if (id !== null) return id - 1
  const { last } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max<number | null>('id').as('last'))
    .executeTakeFirstOrThrow()
  return last ?? 0
}
