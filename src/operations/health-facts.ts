import { version } from '../config.js'
import type { Db } from '../database/open.js'
import { databaseSize } from '../database/size.js'
import { lagOfDeliveries } from '../esp/inbox-views.js'
import type { Silence } from '../esp/silence.js'
import { commitBounds, type Ledger } from '../ledger/ledger.js'
import { diskOf } from './disk.js'
import type { Metric, OperationsRoom } from './facts.js'
import { bounds, type Traffic } from './traffic.js'

const seconds = (milliseconds: number) => milliseconds / 1000

/** A histogram's lines out of counts that are not yet summed up. @param upTo upper bounds in milliseconds */
function histogram(
  name: string,
  labels: Record<string, string>,
  { counts, upTo, sum }: { counts: Uint32Array; upTo: number[]; sum: number },
): Metric['values'] {
  let below = 0
  const buckets = Array.from(counts, (count, index) => {
    below += count
    const le = upTo[index] === undefined ? '+Inf' : String(seconds(upTo[index]))
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: seconds(sum) },
    { metricName: `${name}_count`, labels, value: below },
  ]
}

/** Requests by route, and the process itself. */
export function trafficFacts({
  traffic,
  startedAt,
}: {
  traffic: Traffic
  startedAt: number
}): OperationsRoom {
  const name = 'throughline_http_request_duration_seconds'
  return {
    async metrics() {
      const routes = traffic.list()
      const labelled = routes.map((each) => ({ ...each, labels: { method: each.method, route: each.route } }))
      return [
        {
          name: 'throughline_http_requests_total',
          help: 'Requests answered, by route and class of status.',
          type: 'counter',
          values: labelled.flatMap(({ labels, statuses }) =>
            Array.from(statuses, (value, status) => ({
              labels: { ...labels, status: `${status}xx` },
              value,
            })).filter(({ value }) => value > 0),
          ),
        },
        {
          name,
          help: 'How long requests took, by route.',
          type: 'histogram',
          values: labelled.flatMap(({ labels, buckets, milliseconds }) =>
            histogram(name, labels, { counts: buckets, upTo: bounds, sum: milliseconds }),
          ),
        },
        {
          name: 'process_resident_memory_bytes',
          help: 'Memory of the process.',
          type: 'gauge',
          values: [{ value: process.memoryUsage.rss() }],
        },
        {
          name: 'process_start_time_seconds',
          help: 'When it started, in seconds since 1970.',
          type: 'gauge',
          values: [{ value: seconds(startedAt) }],
        },
        {
          name: 'throughline_build_info',
          help: 'The version that runs.',
          type: 'gauge',
          values: [{ labels: { version }, value: 1 }],
        },
      ]
    },
  }
}

/** The queue and its transactions; what doors refused before it, by the field that was wrong. */
export function ledgerFacts({
  ledger,
  refusedFields,
}: {
  ledger: Ledger
  refusedFields: () => Map<string, number>
}): OperationsRoom {
  const name = 'throughline_ledger_commit_duration_seconds'
  return {
    ready: { name: 'queue', isWell: async () => ledger.depth < ledger.capacity * 0.9 },
    async metrics() {
      const { tally } = ledger
      return [
        {
          name: 'throughline_ledger_queue_depth',
          help: 'Facts that wait to be written.',
          type: 'gauge',
          values: [{ value: ledger.depth }],
        },
        {
          name: 'throughline_ledger_facts_total',
          help: 'Facts written.',
          type: 'counter',
          values: [{ value: tally.written }],
        },
        {
          name: 'throughline_ledger_batches_total',
          help: 'Transactions: facts divided by these is the size of a batch.',
          type: 'counter',
          values: [{ value: tally.batches }],
        },
        {
          name: 'throughline_ledger_largest_batch',
          help: 'Facts in the largest batch since the start.',
          type: 'gauge',
          values: [{ value: tally.largestBatch }],
        },
        {
          name,
          help: 'How long the transactions of the ledger took.',
          type: 'histogram',
          values: histogram(name, {}, { counts: tally.commits, upTo: commitBounds, sum: tally.commitTime }),
        },
        {
          name: 'throughline_facts_refused_total',
          help: 'Facts refused: by the queue, the disk, a recorder, or for a field of the event that was wrong.',
          type: 'counter',
          values: [
            { labels: { reason: 'queue_full' }, value: tally.full },
            { labels: { reason: 'database_unavailable' }, value: tally.unavailable },
            { labels: { reason: 'recorder' }, value: tally.refused },
            ...Array.from(refusedFields(), ([field, value]) => ({
              labels: { reason: `field_${field}` },
              value,
            })),
          ],
        },
      ]
    },
  }
}

/** The file, its log, and the disk. */
export function databaseFacts({
  db,
  path,
  dataDir,
}: {
  db: Db
  path: string
  dataDir: string
}): OperationsRoom {
  return {
    ready: {
      name: 'disk',
      async isWell() {
        const { free, size } = await diskOf(dataDir)
        return free > 64 * 1024 * 1024 && free / size > 0.01
      },
    },
    async metrics() {
      const { bytes, free, log } = await databaseSize(db, path)
      const disk = await diskOf(dataDir)
      const gauge = (name: string, help: string, value: number): Metric => ({
        name,
        help,
        type: 'gauge',
        values: [{ value }],
      })
      return [
        gauge('throughline_database_bytes', 'Size of the database.', bytes),
        gauge('throughline_database_free_bytes', 'Pages of it that are free to be used again.', free),
        gauge('throughline_database_wal_bytes', 'Size of its write-ahead log.', log),
        gauge('throughline_disk_free_bytes', 'What the disk of DATA_DIR still takes.', disk.free),
        gauge('throughline_disk_bytes', 'Size of that disk.', disk.size),
      ]
    },
  }
}

export interface WatchedProvider {
  provider: string
  name: string
  isConnected(): Promise<boolean>
  silence(): Promise<Silence>
}

/** The last sync of a provider that ended well, and the newest that ended at all. */
export async function lastSyncs(db: Db, provider: string) {
  const newest = (states: ('done' | 'failed')[]) =>
    db
      .selectFrom('sync_runs')
      .select(['ended_at', 'state'])
      .where('provider', '=', provider)
      .where('state', 'in', states)
      .orderBy('id', 'desc')
      .limit(1)
      .executeTakeFirst()
  const [done, last] = await Promise.all([newest(['done']), newest(['done', 'failed'])])
  return { doneAt: done?.ended_at ?? null, isFailing: last?.state === 'failed' }
}

/** Webhooks and syncs of the providers that are connected. */
export function providerFacts({
  db,
  providers,
  now,
}: {
  db: Db
  providers: WatchedProvider[]
  now: () => number
}): OperationsRoom {
  const connected = async () => {
    const are = await Promise.all(providers.map((each) => each.isConnected()))
    return providers.filter((_, index) => are[index])
  }
  return {
    async metrics() {
      const found = await Promise.all(
        (await connected()).map(async ({ provider, silence }) => ({
          provider,
          lag: await lagOfDeliveries(db, provider),
          last: (await silence()).lastAt,
          sync: await lastSyncs(db, provider),
        })),
      )
      const of = (value: (each: (typeof found)[number]) => number | null) =>
        found.flatMap((each) => {
          const number = value(each)
          return number === null ? [] : [{ labels: { provider: each.provider }, value: number }]
        })
      return [
        {
          name: 'throughline_webhook_lag_seconds',
          help: 'From the arrival of a delivery until it is read: 95 in a hundred of the last 200.',
          type: 'gauge',
          values: of(({ lag }) => lag && seconds(lag.high)),
        },
        {
          name: 'throughline_webhook_last_delivery_age_seconds',
          help: 'Since the last delivery.',
          type: 'gauge',
          values: of(({ last }) => last && seconds(now() - last)),
        },
        {
          name: 'throughline_sync_age_seconds',
          help: 'Since the last sync that ended well.',
          type: 'gauge',
          values: of(({ sync }) => sync.doneAt && seconds(now() - sync.doneAt)),
        },
        {
          name: 'throughline_sync_failing',
          help: '1 where the last sync failed.',
          type: 'gauge',
          values: of(({ sync }) => (sync.isFailing ? 1 : 0)),
        },
      ]
    },
    async lines() {
      const found = await connected()
      return Promise.all(
        found.map(async ({ provider, name, silence }) => {
          const [{ lastAt, isSilent }, sync] = await Promise.all([silence(), lastSyncs(db, provider)])
          const words = isSilent
            ? 'Its webhook is silent for longer than usual.'
            : sync.isFailing
              ? 'Its last sync failed.'
              : sync.doneAt === null
                ? 'No sync has ended yet.'
                : lastAt === null
                  ? 'Its webhook has delivered nothing yet.'
                  : 'Deliveries come in, and the last sync ended well.'
          return {
            name,
            at: lastAt ?? sync.doneAt,
            words,
            href: `/providers/${provider}`,
            isWell: !isSilent && !sync.isFailing,
          }
        }),
      )
    },
  }
}
