import type { Db } from '../database/open.js'
import type { Ledger } from '../ledger/ledger.js'
import type { AlertSettings } from './alert-settings.js'
import { diskOf, isLow } from './disk.js'
import type { Trouble } from './facts.js'
import { lastSyncs, type WatchedProvider } from './health-facts.js'
import type { Traffic } from './traffic.js'

interface Needs {
  db: Db
  dataDir: string
  ledger: Pick<Ledger, 'tally'>
  traffic: Pick<Traffic, 'statuses'>
  providers: WatchedProvider[]
  now: () => number
  /** The disk of the data folder. */
  disk?: typeof diskOf
}

/** Milliseconds over which faults and refusals are looked at. */
const span = 10 * 60_000
/** With fewer requests than this nobody can speak of a rate. */
const fewest = 20

/**
 * Looks at what can be wrong by the thresholds of the page Alerts: disk, error rate, a queue that refuses, webhooks that
 * fell silent, syncs that fail. It remembers what it saw within ten minutes; call it every minute.
 */
export function watcher({ db, dataDir, ledger, traffic, providers, now, disk = diskOf }: Needs) {
  let seen: { at: number; all: number; faults: number; refused: number }[] = []

  return async (settings: AlertSettings): Promise<Trouble[]> => {
    const at = now()
    const { tally } = ledger
    const present = { at, ...traffic.statuses(), refused: tally.full + tally.unavailable }
    seen = [...seen.filter((each) => at - each.at <= span && each.at <= at), present]
    const first = seen[0]!
    const troubles: Trouble[] = []

    const left = await disk(dataDir)
    if (isLow(left, settings))
      troubles.push({
        name: 'disk',
        sentence: `The disk has ${((100 * left.free) / left.size).toFixed(1)} per cent left; the alert is set to ${settings.disk_percent}.`,
      })

    const all = present.all - first.all
    const faults = present.faults - first.faults
    if (all >= fewest && faults / all >= settings.error_percent / 100)
      troubles.push({
        name: 'error rate',
        sentence: `${faults} of ${all} requests of ten minutes ended in a fault of ours; the alert is set to ${settings.error_percent} per cent.`,
      })

    const refused = present.refused - first.refused
    if (refused > 0)
      troubles.push({
        name: 'queue refusing',
        sentence: `${refused} facts were refused within ten minutes, because too many waited or the database could not be written. Senders were told to come back.`,
      })

    for (const { provider, name, isConnected, silence } of providers) {
      if (!(await isConnected())) continue
      const [deliveries, sync] = await Promise.all([silence(), lastSyncs(db, provider)])
      if (deliveries.isSilent)
        troubles.push({
          name: `webhook of ${name}`,
          sentence: `${name} has delivered nothing for longer than usual.`,
        })
      if (sync.isFailing)
        troubles.push({ name: `sync with ${name}`, sentence: `The last sync with ${name} failed.` })
    }
    return troubles
  }
}
