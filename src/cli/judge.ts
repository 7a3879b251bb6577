// `npm run judge [-- --since YYYY-MM-DD]`: judges the events and engagements of the past again by the rules of this
// version.
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { openAudience } from '../audience/audience.js'
import { openCountries } from '../audience/countries.js'
import { judgeAgentsAgain } from '../audience/devices.js'
import { openNetworks } from '../audience/networks.js'
import type { Judgement } from '../audience/record.js'
import { campaignRecorder } from '../campaigns/record.js'
import { settler } from '../campaigns/settle.js'
import { ConfigError } from '../config.js'
import type { Db } from '../database/open.js'
import { openReaders } from '../database/readers.js'
import { writeSetting } from '../database/settings.js'
import { Ledger } from '../ledger/ledger.js'
import { tracesRemovedBefore } from '../operations/retention.js'
import { installationSecret } from '../secret.js'
import { calendar } from '../web/calendar.js'
import { command, openInstallation } from './installation.js'

/** Its own, so that a server that runs meanwhile goes on settling what is new and neither disturbs the other. */
const watermark = 'judged_event_id'
const progressEvery = 500_000
const chunkSize = 200

await command(async () => {
  const since = sinceDay()
  const { config, db, path } = await openInstallation()
  const days = calendar(config.TIME_ZONE)
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  const countryOf = openCountries()
  const { engagements, contacts } = openAudience({
    db,
    ledger,
    calendar: days,
    countryOf,
    networks: openNetworks(config.DATA_DIR),
    dataDir: config.DATA_DIR,
    secret: installationSecret(config.DATA_DIR),
    now: Date.now,
  })
  const judge = ledger.register(engagements.judgements)
  const recorder = campaignRecorder({ db, calendar: days, contacts, countryOf })
  ledger.register(recorder.events)
  const settle = ledger.register(recorder.settlements)

  try {
    const from = performance.now()
    // Events that have lost their address and user agent keep the verdict that was found with them.
    const kept = await lastBefore(db, await tracesRemovedBefore(db))
    const first = Math.max(kept, since === null ? 0 : await lastBefore(db, days.startOf(since)))
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
    const receptions = await judgeReceptions(db, judge, since === null ? 0 : days.startOf(since))
    console.log(`Judged the engagements of ${receptions.toLocaleString('en')} people with mailings again.`)
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

/** The last event before the first one of this instant or a later one. */
async function lastBefore(db: Db, instant: number): Promise<number> {
  const { id } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.min<number | null>('id').as('id'))
    .where('happened_at', '>=', instant)
    .executeTakeFirstOrThrow()
  if (id !== null) return id - 1
  const { last } = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max<number | null>('id').as('last'))
    .executeTakeFirstOrThrow()
  return last ?? 0
}

/** @param since only what was delivered, or first done, at this instant or later. @returns how many were looked at */
async function judgeReceptions(
  db: Db,
  judge: (fact: Judgement) => Promise<void>,
  since: number,
): Promise<number> {
  let judged = 0
  for (let from = { contact: 0, mailing: -1 }; ; ) {
    const pairs = await db
      .selectFrom('receptions')
      .select(['contact_id', 'mailing_id', 'delivered_at'])
      .where(({ eb, refTuple, tuple }) =>
        eb(refTuple('contact_id', 'mailing_id'), '>', tuple(from.contact, from.mailing)),
      )
      .orderBy('contact_id')
      .orderBy('mailing_id')
      .limit(chunkSize)
      .execute()
    const last = pairs[pairs.length - 1]
    if (!last) return judged
    const wanted = pairs.filter(({ delivered_at }) => (delivered_at ?? since) >= since)
    await judge({ pairs: wanted })
    judged += wanted.length
    from = { contact: last.contact_id, mailing: last.mailing_id }
  }
}
