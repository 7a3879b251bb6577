import type { Db } from '../../database/open.js'
import { stepsOf } from '../steps.js'
import type { Buttondown } from './buttondown.js'
import type { WebhookState } from './connection.js'

/** How far an installation is connected to Buttondown, and what Buttondown says of its webhook and newsletter. */
export async function buttondownSteps({ db, buttondown }: { db: Db; buttondown: Buttondown }) {
  const { connection } = buttondown
  const [heard, newsletter, silence] = await Promise.all([
    connection.webhookState(),
    connection.newsletterState(),
    buttondown.silence(),
  ])
  // A signed delivery that came since then knows better than what was heard of the webhook before.
  const webhook = heard && (silence.lastAt ?? 0) > heard.checkedAt ? alive(heard) : heard
  const steps = await stepsOf(
    { db, connected: buttondown, silence },
    (isSigningKeyThere) =>
      isSigningKeyThere &&
      // By hand nobody tells us that it is registered: then the first signed delivery does.
      (webhook === null
        ? silence.lastAt !== null
        : webhook.status === 'enabled' && webhook.signing === 'ours'),
  )
  return { ...steps, belongsTo: newsletter?.name ?? null, webhook, newsletter }
}
const alive = (state: WebhookState): WebhookState => ({ ...state, status: 'enabled', signing: 'ours' })
export type ButtondownSteps = Awaited<ReturnType<typeof buttondownSteps>>

/** What is wrong with the webhook, the most pressing first; null when nothing is known to be. */
export function webhookTrouble({
  webhook,
  silence,
  done,
}: ButtondownSteps): 'disabled' | 'missing' | 'unsigned' | 'other-key' | 'silent' | 'silent-but-on' | null {
  if (webhook?.status === 'disabled') return 'disabled'
  // Before anything has come it is not trouble but the next step.
  if (webhook?.status === 'missing' && done.delivery) return 'missing'
  if (webhook?.status === 'enabled' && webhook.signing === 'none') return 'unsigned'
  if (webhook?.status === 'enabled' && webhook.signing === 'other') return 'other-key'
  if (!silence.isSilent) return null
  return webhook?.status === 'enabled' && webhook.checkedAt > silence.lastAt! ? 'silent-but-on' : 'silent'
}
