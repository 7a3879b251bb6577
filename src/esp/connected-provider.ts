import type { Logger } from 'pino'
import type { Db } from '../database/open.js'
import { tryAgain } from './inbox.js'
import type { ProviderKey } from './keys.js'
import { WebhookRefusals } from './refusals.js'
import type { RunUnderWay } from './run-under-way.js'
import type { RunWords } from './run-words.js'
import { type Silence, silenceOf } from './silence.js'
import { providerSyncs } from './syncs.js'

interface Needs<Checkpoint extends object> {
  db: Db
  /** As in tables and addresses: `emailoctopus`. */
  provider: string
  /** As people call it. */
  name: string
  runWords: RunWords
  apiKey: ProviderKey
  signingKey: ProviderKey
  /** The environment variables that may hold them instead. */
  variables: { apiKey: string; signingKey: string }
  /** Where it finds us. */
  webhookUrl: string
  /** What reads the inbox. */
  deliveries: { run(): Promise<void>; stop(): Promise<void> }
  /** Walks through all that it has, from the run's checkpoint on. */
  walk: (run: RunUnderWay<Checkpoint>) => Promise<void>
  /** Scores are due, since everything has come in. */
  score: () => Promise<unknown>
  now: () => number
  log: Logger
}

/** Milliseconds for which what has just arrived waits for more to be read with it. */
const gatherFor = 20

/** A provider as its door, its pages and the command line see it. */
export function connectedProvider<Checkpoint extends object>(needs: Needs<Checkpoint>) {
  const { db, provider, name, runWords, apiKey, signingKey, variables, webhookUrl, deliveries } = needs
  const { walk, score, now, log } = needs
  const sync = providerSyncs({
    db,
    provider,
    name,
    walk,
    ended: async () => void (await score()),
    now,
    log,
  })
  let woken = false
  /** Deliveries that arrive together are read together. */
  function arrived() {
    if (woken) return
    woken = true
    setTimeout(() => {
      woken = false
      deliveries.run().catch((error) => log.error({ err: error }, 'deliveries not read'))
    }, gatherFor).unref()
  }

  return {
    provider,
    name,
    runWords,
    apiKey,
    signingKey,
    variables,
    webhookUrl,
    deliveries,
    sync,
    refusals: new WebhookRefusals(),
    arrived,
    /** Puts failed deliveries back. @param id null for all */
    async tryAgain(id: number | null) {
      const count = await tryAgain(db, provider, { id, now: now() })
      arrived()
      return count
    },
    silence: (): Promise<Silence> => silenceOf(db, provider, now()),
    /** No new work; what is under way ends soon, and goes on at the next start. */
    async stop() {
      await Promise.all([sync.stop(), deliveries.stop()])
    },
  }
}
export type ConnectedProvider = ReturnType<typeof connectedProvider>
