import type { Logger } from 'pino'
import type { Audience } from '../../audience/audience.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import { readSetting, writeSetting } from '../../database/settings.js'
import type { Ledger } from '../../ledger/ledger.js'
import { sealer } from '../../secret.js'
import { realClock } from '../clock.js'
import { connectedProvider } from '../connected-provider.js'
import { inboxRecorder } from '../inbox.js'
import { providerKey } from '../keys.js'
import { ProviderError } from '../provider-error.js'
import { lastRun } from '../runs.js'
import { EmailOctopusClient, Limit } from './client.js'
import { octopusDeliveryReader } from './deliveries.js'
import { provider } from './mapping.js'
import { octopusRecorder } from './record.js'
import { runWords } from './run-words.js'
import { emailOctopusWalk } from './walk.js'
import { emailOctopusWebhook } from './webhook.js'

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

/** How often a sync starts by itself; what it asks for is a matter of each mailing's age. */
export const periods = ['hourly', 'daily'] as const
export type Period = (typeof periods)[number]
const periodSetting = 'emailoctopus_period'
/** Milliseconds from one scheduled sync to the next, less what a schedule may come too early. */
const pauseOf = { hourly: 55 * 60_000, daily: 23.5 * 3_600_000 }

/** How often, and for how many milliseconds each, a key is tried while somebody waits for the page. */
const whileSomebodyWaits = { tries: 2, timeout: 8_000 }

/** Everything that ties this installation to EmailOctopus: its door, its inbox, its sync. */
export function openEmailOctopus({ db, ledger, audience, config, secret, score, now, log }: Needs) {
  const seal = sealer(secret)
  const apiKey = providerKey({
    db,
    seal,
    setting: 'emailoctopus_api_key',
    given: config.EMAILOCTOPUS_API_KEY,
  })
  const signingKey = providerKey({
    db,
    seal,
    setting: 'emailoctopus_webhook_secret',
    given: config.EMAILOCTOPUS_WEBHOOK_SECRET,
  })
  const perSecond = config.EMAILOCTOPUS_REQUESTS_PER_SECOND
  const options = {
    baseUrl: config.EMAILOCTOPUS_API_URL,
    // A tenth of what the vendor saves up is what it gives back in a second.
    limit: perSecond === 0 ? null : { capacity: 10 * perSecond, perSecond },
  }
  // Of the account, whatever key is used or tried.
  const limit = new Limit(options.limit, realClock)
  let client: { key: string; api: EmailOctopusClient } | null = null

  /** One client for one key; all of them share one limit. */
  async function api(): Promise<EmailOctopusClient | null> {
    const key = await apiKey.read()
    if (!key) return null
    if (client?.key !== key) client = { key, api: new EmailOctopusClient({ ...options, key }, { limit }) }
    return client.api
  }

  const receive = ledger.register(inboxRecorder(db, audience.erasures))
  const record = ledger.register(octopusRecorder({ db, audience }), { patient: true })
  const deliveries = octopusDeliveryReader({ db, record, api, now, log })
  const connected = connectedProvider({
    db,
    provider,
    name: 'EmailOctopus',
    runWords,
    apiKey,
    signingKey,
    variables: { apiKey: 'EMAILOCTOPUS_API_KEY', signingKey: 'EMAILOCTOPUS_WEBHOOK_SECRET' },
    webhookUrl: `${config.BASE_URL}/webhooks/emailoctopus`,
    deliveries,
    walk: emailOctopusWalk({ db, record, api, now }),
    score,
    now,
    log,
  })
  const { refusals, arrived, sync } = connected

  async function period(): Promise<Period> {
    const kept = await readSetting(db, periodSetting)
    return periods.find((known) => known === kept) ?? 'hourly'
  }

  /** When the next sync starts by itself; null as long as there is no key. */
  async function nextAt(): Promise<number | null> {
    if (!(await apiKey.read())) return null
    const last = await lastRun(db, provider)
    return last === null ? now() : last.startedAt + pauseOf[await period()]
  }

  return {
    ...connected,
    webhook: emailOctopusWebhook({ receive, signingKey, refusals, arrived, now }),
    api,
    /** How many requests EmailOctopus takes at once after a rest, and each second; null for no limit. */
    limit: options.limit,
    /** Asks EmailOctopus whether it knows this key, without keeping it. @throws ProviderError */
    async tryKey(key: string) {
      const client = new EmailOctopusClient({ ...options, ...whileSomebodyWaits, key }, { limit })
      const urgent = { priority: 'urgent' as const }
      await client.checkKey(urgent)
      const known = await db
        .selectFrom('lists')
        .select('provider_id')
        .where('provider', '=', provider)
        .where('gone_at', 'is', null)
        .orderBy('id')
        .limit(1)
        .executeTakeFirst()
      if (known?.provider_id) await client.list(known.provider_id, urgent).catch(refuseAnotherAccount)
    },
    period,
    savePeriod: (wanted: Period) => writeSetting(db, periodSetting, wanted),
    nextAt,
    /** By the clock, which asks more often than the period has it. */
    async scheduled() {
      const at = await nextAt()
      if (at !== null && at <= now()) await sync.scheduled('the schedule')
    },
  }
}

/** A sync with the key of another account would find everything gone. A list that is gone by now says nothing. */
function refuseAnotherAccount(error: unknown) {
  if (!(error instanceof ProviderError) || error.kind === 'not-found') return
  if (error.kind !== 'missing-permission') throw error
  throw new ProviderError(
    'missing-permission',
    'This key belongs to another account than the lists that are here. One installation follows one account.',
    error.status,
  )
}

export type EmailOctopus = ReturnType<typeof openEmailOctopus>
