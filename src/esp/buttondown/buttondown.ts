import type { Logger } from 'pino'
import type { Audience } from '../../audience/audience.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import type { Ledger } from '../../ledger/ledger.js'
import { sealer } from '../../secret.js'
import { connectedProvider } from '../connected-provider.js'
import { inboxRecorder } from '../inbox.js'
import { providerKey } from '../keys.js'
import { ProviderError } from '../provider-error.js'
import { buttondownConnection } from './connection.js'
import { deliveryReader } from './deliveries.js'
import { provider } from './reading.js'
import { buttondownRecorder } from './record.js'
import { runWords } from './run-words.js'
import { buttondownWalk } from './sync.js'
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
  const receive = ledger.register(inboxRecorder(db, audience.erasures))
  const record = ledger.register(buttondownRecorder({ db, audience }), { patient: true })
  const { api, listId, nameList } = connection
  const deliveries = deliveryReader({ db, record, api, listId, now, log })
  const connected = connectedProvider({
    db,
    provider,
    name: 'Buttondown',
    runWords,
    apiKey,
    signingKey,
    variables: { apiKey: 'BUTTONDOWN_API_KEY', signingKey: 'BUTTONDOWN_WEBHOOK_SIGNING_KEY' },
    webhookUrl,
    deliveries,
    walk: buttondownWalk({ db, record, api, listId, nameList, now }),
    score,
    now,
    log,
  })
  const { refusals, arrived, sync } = connected

  return {
    ...connected,
    webhook: buttondownWebhook({ receive, signingKey, refusals, arrived, now }),
    connection,
    /** By the clock: reconciles with Buttondown, and looks whether the webhook is still switched on. */
    async nightly() {
      if (!(await apiKey.read())) return
      await sync.scheduled('the nightly schedule')
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
  }
}
export type Buttondown = ReturnType<typeof openButtondown>
