import type { Db } from '../database/open.js'
import type { ConnectedProvider } from './connected-provider.js'
import { changesOfAll, currentRun, lastDoneRun, listRuns } from './runs.js'
import type { Silence } from './silence.js'

/** What connects an installation to a provider, in its order. */
const names = ['key', 'sync', 'webhook', 'delivery'] as const
export type StepName = (typeof names)[number]

/**
 * How far the steps are that are the same with every provider; reads settings and runs.
 * @param isWebhookDone whether the third step is done, which differs
 */
export async function stepsOf(
  { db, connected, silence }: { db: Db; connected: ConnectedProvider; silence: Silence },
  isWebhookDone: (isSigningKeyThere: boolean) => boolean,
) {
  const { provider } = connected
  const [keySource, signingSource, run, first, [last]] = await Promise.all([
    connected.apiKey.source(),
    connected.signingKey.source(),
    currentRun(db, provider),
    lastDoneRun(db, provider, ['first']),
    listRuns(db, provider, 1),
  ])
  const isKeyThere = keySource === 'environment' || keySource === 'page'
  const isSigningKeyThere = signingSource === 'environment' || signingSource === 'page'
  const done: Record<StepName, boolean> = {
    key: isKeyThere,
    sync: first !== null,
    webhook: isWebhookDone(isSigningKeyThere),
    delivery: silence.lastAt !== null,
  }
  return {
    done,
    /** The one to be done next; null when all are. */
    now: names.find((name) => !done[name]) ?? null,
    keySource,
    signingSource,
    isKeyThere,
    isSigningKeyThere,
    /** The name of what the key belongs to, where the provider tells. */
    belongsTo: null as string | null,
    silence,
    run,
    first,
    /** What the first sync has brought. */
    brought: first ? await changesOfAll(db, provider, 'first') : {},
    /** The last run, whatever became of it. */
    last: last ?? null,
    refused: connected.refusals.of(provider),
  }
}
export type Steps = Awaited<ReturnType<typeof stepsOf>>
