import type { Db } from '../../database/open.js'
import { changesOfAll, currentRun, lastDoneRun, listRuns } from '../runs.js'
import type { Buttondown } from './buttondown.js'
import type { WebhookState } from './connection.js'
import { provider } from './reading.js'

export type StepName = 'key' | 'sync' | 'webhook' | 'delivery'

/** What connects an installation to Buttondown, in its order, and how far it is. Reads settings, runs and the inbox. */
export async function stepsOf({ db, buttondown }: { db: Db; buttondown: Buttondown }) {
  const { apiKey, signingKey, connection, refusals } = buttondown
  const [keySource, signingSource, heard, newsletter, silence, run, first, [last]] = await Promise.all([
    apiKey.source(),
    signingKey.source(),
    connection.webhookState(),
    connection.newsletterState(),
    buttondown.silence(),
    currentRun(db, provider),
    lastDoneRun(db, provider, ['first']),
    listRuns(db, provider, 1),
  ])
  const isKeyThere = keySource === 'environment' || keySource === 'page'
  const isSigningKeyThere = signingSource === 'environment' || signingSource === 'page'
  const hasDelivery = silence.lastAt !== null
  // A signed delivery that came since then knows better than what was heard of the webhook before.
  const webhook = heard && (silence.lastAt ?? 0) > heard.checkedAt ? alive(heard) : heard
  // By hand nobody tells us that it is registered: then the first signed delivery does.
  const isWebhookDone =
    isSigningKeyThere &&
    (webhook === null ? hasDelivery : webhook.status === 'enabled' && webhook.signing === 'ours')
  const done: Record<StepName, boolean> = {
    key: isKeyThere,
    sync: first !== null,
    webhook: isWebhookDone,
    delivery: hasDelivery,
  }
  const now = (Object.keys(done) as StepName[]).find((name) => !done[name]) ?? null
  return {
    done,
    /** The one to be done next; null when all are. */
    now,
    keySource,
    signingSource,
    isKeyThere,
    isSigningKeyThere,
    webhook,
    newsletter,
    silence,
    run,
    first,
    /** What the first sync has brought. */
    brought: first ? await changesOfAll(db, provider, 'first') : {},
    /** The last run, whatever became of it. */
    last: last ?? null,
    refused: refusals.of(provider),
  }
}
const alive = (state: WebhookState): WebhookState => ({ ...state, status: 'enabled', signing: 'ours' })
export type Steps = Awaited<ReturnType<typeof stepsOf>>

/** What is wrong with the webhook, the most pressing first; null when nothing is known to be. */
export function webhookTrouble({
  webhook,
  silence,
  done,
}: Steps): 'disabled' | 'missing' | 'unsigned' | 'other-key' | 'silent' | 'silent-but-on' | null {
  if (webhook?.status === 'disabled') return 'disabled'
  // Before anything has come it is not trouble but the next step.
  if (webhook?.status === 'missing' && done.delivery) return 'missing'
  if (webhook?.status === 'enabled' && webhook.signing === 'none') return 'unsigned'
  if (webhook?.status === 'enabled' && webhook.signing === 'other') return 'other-key'
  if (!silence.isSilent) return null
  return webhook?.status === 'enabled' && webhook.checkedAt > silence.lastAt! ? 'silent-but-on' : 'silent'
}
