import type { Logger } from 'pino'
import type { Audience } from '../../audience/audience.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import type { Ledger } from '../../ledger/ledger.js'
import { sealer } from '../../secret.js'
import { inboxRecorder, tryAgain } from '../inbox.js'
import { providerKey } from '../keys.js'
import { ProviderError } from '../provider-error.js'
import { WebhookRefusals } from '../refusals.js'
import { askForRun, currentRun, endRun, findRun, lastDoneRun, resumeRuns } from '../runs.js'
import { deliveriesOf } from '../silence.js'
import { buttondownConnection } from './connection.js'
import { deliveryReader } from './deliveries.js'
import { provider } from './reading.js'
import { buttondownRecorder } from './record.js'
import { buttondownSync, type RunKind } from './sync.js'
import { buttondownWebhook } from './webhook.js'

interface Needs {
  db: Db
  ledger: Ledger
  audience: Audience
  config: Config
  /** The installation's own; keys that were entered on a page are sealed with it. */
  secret: string
  /** Scores are due, since everything has come in. */
  score: () => Promise<unknown>
  now: () => number
  log: Logger
}

/** Everything that ties this installation to Buttondown: its door, its inbox, its sync. */
export function openButtondown({ db, ledger, audience, config, secret, score, now, log }: Needs) {
  const seal = sealer(secret)
  const apiKey = providerKey({ db, seal, setting: 'buttondown_api_key', given: config.BUTTONDOWN_API_KEY })
  const signingKey = providerKey({
    db,
    seal,
    setting: 'buttondown_signing_key',
    given: config.BUTTONDOWN_WEBHOOK_SIGNING_KEY,
  })
  const webhookUrl = `${config.BASE_URL}/webhooks/buttondown`
  const connection = buttondownConnection({
    db,
    apiKey,
    signingKey,
    apiUrl: config.BUTTONDOWN_API_URL,
    perMinute: config.BUTTONDOWN_REQUESTS_PER_MINUTE || null,
    webhookUrl,
    now,
  })
  const refusals = new WebhookRefusals()
  const receive = ledger.register(inboxRecorder(db))
  const record = ledger.register(buttondownRecorder({ db, audience }), { patient: true })
  const { api, listId, nameList } = connection
  const deliveries = deliveryReader({ db, record, api, listId, now, log })
  const sync = buttondownSync({
    db,
    record,
    api,
    listId,
    nameList,
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
    }, 20).unref()
  }

  let performing: Promise<void> | null = null
  let stopped = false
  let begun = false

  /** Starts the run that waits, if one does: one at a time. @returns when it has ended */
  async function performWaiting(): Promise<void> {
    if (performing || stopped) return performing ?? undefined
    if (!begun) {
      begun = true
      await resumeRuns(db, provider) // what the last process left under way
    }
    const run = await currentRun(db, provider)
    if (run?.state !== 'waiting' || performing || stopped) return
    performing = sync.perform(run).finally(() => {
      performing = null
    })
    return performing
  }

  /** Everything the first time, and what is new after that. */
  async function askForSync(askedBy: string, kind?: RunKind) {
    const last = await lastDoneRun(db, provider, ['first'])
    const failed = last ? null : await unfinishedFirst()
    return askForRun(db, {
      provider,
      kind: last ? (kind ?? 'manual') : 'first',
      askedBy,
      now: now(),
      ...failed,
    })
  }

  /** A first sync that failed or was cancelled goes on where it was. */
  async function unfinishedFirst() {
    const row = await db
      .selectFrom('sync_runs')
      .select('id')
      .where('provider', '=', provider)
      .where('kind', '=', 'first')
      .orderBy('id', 'desc')
      .executeTakeFirst()
    const run = row && (await findRun(db, row.id))
    return run ? { checkpoint: run.checkpoint, stages: run.progress.stages } : null
  }

  return {
    webhook: buttondownWebhook({ receive, signingKey, refusals, arrived, now }),
    webhookUrl,
    apiKey,
    signingKey,
    connection,
    refusals,
    deliveries,
    /** Starts at once what is asked for, unless one runs already. */
    async startSync(askedBy: string, kind?: RunKind) {
      const asked = await askForSync(askedBy, kind)
      if (asked.isNew) void performWaiting().catch((error) => log.error({ err: error }, 'sync failed'))
      return asked.run
    },
    askForSync,
    performWaiting,
    async cancelSync() {
      const run = await currentRun(db, provider)
      if (!run) return
      await endRun(db, run.id, { state: 'cancelled', error: null, now: now() })
      await sync.breakOffIfCancelled(run.id)
    },
    /** Puts failed deliveries back. @param id null for all */
    async tryAgain(id: number | null) {
      const count = await tryAgain(db, provider, { id, now: now() })
      arrived()
      return count
    },
    silence: () => deliveriesOf(db, provider, now()),
    /** By the clock: reconciles with Buttondown, and looks whether the webhook is still switched on. */
    async nightly() {
      if (!(await apiKey.read())) return
      await askForSync('the nightly schedule', 'nightly')
      await performWaiting()
    },
    async lookAtWebhook() {
      if (!(await apiKey.read())) return
      try {
        const { status } = await connection.checkWebhook()
        if (status === 'disabled') log.warn('Buttondown has switched the webhook off')
      } catch (error) {
        // A key for reading may not look at webhooks; the silence of deliveries tells as well.
        if (!(error instanceof ProviderError)) throw error
        log.debug({ reason: error.message }, 'webhook not looked at')
      }
    },
    /** No new work; what is under way ends soon, and goes on at the next start. */
    async stop() {
      stopped = true
      sync.stop()
      await deliveries.stop()
      await performing?.catch(() => {})
    },
  }
}
export type Buttondown = ReturnType<typeof openButtondown>
