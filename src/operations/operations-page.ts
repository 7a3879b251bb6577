import { Router } from 'express'
import type { Refusals } from '../campaigns/refusals.js'
import { version } from '../config.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { databaseSize } from '../database/size.js'
import type { Ledger } from '../ledger/ledger.js'
import { dayLength } from '../web/calendar.js'
import { sparkline } from '../web/charts.js'
import { bytes } from '../web/formats.js'
import { render } from '../web/render.js'
import type { AlertSettingsKeeper } from './alert-settings.js'
import { diskOf, growthOf, isLow } from './disk.js'
import type { OperationsFacts } from './facts.js'
import { listFaults } from './faults.js'
import type { WatchedProvider } from './health-facts.js'
import { quantile, type Traffic } from './traffic.js'

interface Needs {
  db: Db
  readers: Readers
  path: string
  dataDir: string
  ledger: Ledger
  traffic: Traffic
  refusals: Refusals
  facts: OperationsFacts
  /** Below which share of the disk it is said to be low. */
  settings: Pick<AlertSettingsKeeper, 'read'>
  providers: WatchedProvider[]
  now: () => number
}

/** Deliveries by which success is told, the newest of thirty days. */
const deliveriesLookedAt = 10_000

/** How the newest deliveries of thirty days ended: those that are read, and those that could not be. */
async function webhookSuccess(db: Db, provider: string, { now }: { now: number }) {
  const rows = await db
    .selectFrom((query) =>
      query
        .selectFrom('inbox')
        .select('state')
        .where('provider', '=', provider)
        .where('received_at', '>=', now - 30 * dayLength)
        .orderBy('received_at', 'desc')
        .limit(deliveriesLookedAt)
        .as('newest'),
    )
    .select(({ fn }) => ['state', fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute()
  const of = (...states: string[]) =>
    rows.filter(({ state }) => states.includes(state)).reduce((sum, { count }) => sum + count, 0)
  const [read, failed] = [of('done', 'kept'), of('failed')]
  return { read, failed, waiting: of('waiting'), share: read + failed === 0 ? null : read / (read + failed) }
}

/** The slowest routes of people since the start: those that answered at least three times, by what one in twenty exceeds. */
function slowestPages(traffic: Traffic) {
  return traffic
    .list()
    .filter(
      ({ route }) => !/^\/(api|webhooks|go|static|healthz|readyz|metrics)\b/.test(route) && route !== 'none',
    )
    .map((each) => {
      const times = each.buckets.reduce((sum, count) => sum + count, 0)
      return {
        page: `${each.method} ${each.route}`,
        times,
        mean: Math.round(each.milliseconds / times),
        high: Math.round(quantile(each, 0.95)),
        slowest: Math.round(each.slowest),
      }
    })
    .filter(({ times }) => times >= 3)
    .sort((one, other) => other.high - one.high || other.mean - one.mean)
    .slice(0, 10)
}

/** /operations: how it goes, for people. It reads figures that were counted, and bounded parts of tables. */
export function operationsPage(needs: Needs) {
  const { db, readers, path, dataDir, ledger, traffic, refusals, facts, settings, providers, now } = needs
  const startedAt = now()
  const routes = Router()
  routes.get('/operations', async (_req, res) => {
    const at = now()
    const [size, disk, thresholds, faults, lines, webhooks] = await Promise.all([
      databaseSize(db, path),
      diskOf(dataDir),
      settings.read(),
      listFaults(db, { since: at - 7 * dayLength }),
      facts.lines(),
      Promise.all(
        providers.map(async ({ name, provider, isConnected }) =>
          (await isConnected())
            ? { name, provider, ...(await webhookSuccess(readers, provider, { now: at })) }
            : null,
        ),
      ),
    ])
    const growth = await growthOf(db, { bytes: size.bytes, disk, now: at })
    const { tally } = ledger
    const minutes = tally.perMinute()
    const { all, faults: failed } = traffic.statuses()
    const refused = [
      { reason: 'The queue was full', times: tally.full },
      { reason: 'The database could not be written', times: tally.unavailable },
      { reason: 'What it belongs to was gone', times: tally.refused },
      ...Array.from(refusals.byField, ([field, times]) => ({ reason: `Event: ${field} was wrong`, times })),
    ]
      .filter(({ times }) => times > 0)
      .sort((one, other) => other.times - one.times)
    render(
      res,
      { page: 'operations/index', fragment: 'operations/_health' },
      {
        room: 'operations',
        tab: 'health',
        runs: { version, startedAt, requests: all, failed, memory: bytes(process.memoryUsage.rss()) },
        events: {
          lastMinute: minutes.at(-2) ?? null,
          hour: minutes.reduce((sum, count) => sum + count, 0),
          written: tally.written,
          waiting: ledger.depth,
          picture: minutes.length > 1 ? sparkline(minutes) : null,
          commit: tally.batches ? Math.round((tally.commitTime / tally.batches) * 10) / 10 : null,
        },
        refused,
        webhooks: webhooks.filter((each) => each !== null),
        faults,
        slowest: slowestPages(traffic),
        disk: {
          database: bytes(size.bytes),
          log: bytes(size.log),
          free: bytes(disk.free),
          share: disk.free / disk.size,
          isLow: isLow(disk, thresholds),
          perDay: growth && (growth.perDay < 0 ? `−${bytes(-growth.perDay)}` : bytes(growth.perDay)),
          days: growth?.days ?? null,
          fullAt: growth?.fullAt ?? null,
        },
        lines,
      },
    )
  })
  return routes
}
