import { join } from 'node:path'
import type { IRouter } from 'express'
import type { Logger } from 'pino'
import type { AccessTokens } from '../accounts/access-tokens.js'
import type { Networks } from '../audience/networks.js'
import type { Config } from '../config.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Ledger } from '../ledger/ledger.js'
import { sealer } from '../secret.js'
import type { Calendar } from '../web/calendar.js'
import { openAnalyticsDoor } from './analytics-door.js'
import { removeOldChoices } from './choices.js'
import { destroyOldClickSalts } from './click-traces.js'
import { offerDirectory } from './directory.js'
import { factKeeper } from './keeper.js'
import { promoRecorder } from './record.js'
import { openRedirectDoor } from './redirect-door.js'
import { openSelectionDoor } from './selection-door.js'
import { tieSends } from './sends.js'
import { Spool } from './spool.js'
import { openTrackingDoor } from './tracking-door.js'

interface Needs {
  db: Db
  readers: Readers
  ledger: Ledger
  calendar: Calendar
  networks: Networks
  config: Pick<
    Config,
    | 'DATA_DIR'
    | 'BASE_URL'
    | 'PROMO_IMPRESSIONS_PER_MINUTE'
    | 'PROMO_CLICKS_PER_MINUTE'
    | 'PROMO_ANALYTICS_PER_MINUTE'
    | 'PROMO_SPOOL_MB'
  >
  secret: string
  tokens: AccessTokens
  /** The one spelling of a provider's id; null for what is none. */
  canonicalId: (text: string) => string | null
  log: Logger
  now: () => number
}

/** The room as the application holds it: its doors, its jobs, and what its pages need. */
export function openPromos({
  db,
  readers,
  ledger,
  calendar,
  networks,
  config,
  secret,
  tokens,
  canonicalId,
  log,
  now,
}: Needs) {
  const recorder = promoRecorder({ db, calendar, networks, canonicalId })
  const spool = new Spool({
    folder: join(config.DATA_DIR, 'spool', 'promos'),
    capacity: config.PROMO_SPOOL_MB * 2 ** 20,
  })
  const keeper = factKeeper({
    write: ledger.register(recorder.facts),
    spool,
    seals: sealer(secret),
    written: (fact, receipt) => directory.written(fact, receipt),
    log,
  })
  const directory = offerDirectory({ db, readers, calendar, spooled: keeper.spooledChoices(), now })

  const limits = { impressions: config.PROMO_IMPRESSIONS_PER_MINUTE, clicks: config.PROMO_CLICKS_PER_MINUTE }
  const limit = config.PROMO_ANALYTICS_PER_MINUTE

  return {
    /**
     * Opens the doors in the application's own router: one for each of them would cost its requests time and garbage. The
     * busiest first: each that stands before it is asked whether the request is its own.
     */
    openDoors(routes: IRouter) {
      openTrackingDoor(routes, { directory, keeper, limits, now })
      openRedirectDoor(routes, { directory, keeper, now })
      openSelectionDoor(routes, { directory, keeper, baseUrl: config.BASE_URL, now })
      openAnalyticsDoor(routes, { db, readers, directory, calendar, tokens, limit, now })
    },
    directory,
    spool,
    keeper,
    /** Reads the offers into memory; doors that are asked before wait for it. */
    load: () => directory.load(),
    replay: () => keeper.replay(),
    settled: () => keeper.settled(),
    async refresh() {
      await directory.load()
      await directory.refresh()
    },
    /** Deliveries come to be known outside of this room. */
    async lookAgain() {
      if ((await tieSends(db, { canonicalId, now: now() })) > 0) directory.touch()
      await directory.load()
      await directory.refresh({ most: Number.POSITIVE_INFINITY, all: true })
    },
    async cleanUp() {
      await destroyOldClickSalts(db, now())
      await removeOldChoices(db, now())
      recorder.forgetWeightings()
    },
    async settingsChanged() {
      recorder.forgetSettings()
      await directory.reloadAll()
    },
    stop: () => keeper.stop(),
  }
}
export type Promos = ReturnType<typeof openPromos>
