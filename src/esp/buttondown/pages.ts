import { tell } from '../../accounts/sessions.js'
import { type Audience, canarySetting } from '../../audience/audience.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import { readSetting, writeSetting } from '../../database/settings.js'
import { formErrors } from '../../web/forms.js'
import { From } from '../forms.js'
import { ProviderError } from '../provider-error.js'
import { problemOf, providerPages } from '../provider-pages.js'
import { lastDoneRun } from '../runs.js'
import type { Buttondown } from './buttondown.js'
import { CanaryForm } from './forms.js'
import { buttondownSteps, webhookTrouble } from './steps.js'

interface Needs {
  db: Db
  buttondown: Buttondown
  audience: Pick<Audience, 'engagements'>
  config: Pick<Config, 'BASE_URL' | 'TIME_ZONE'>
  now: () => number
}

/** As src/app.ts has it. */
const nightlyAt = '02:15'

/** `/providers/buttondown`: what every provider's pages have, the webhook by a button, and the hidden link. */
export function buttondownPages({ db, buttondown, audience, config, now }: Needs) {
  const { provider, apiKey, connection } = buttondown
  const { routes, home, showConnection, showSync } = providerPages({
    db,
    connected: buttondown,
    baseUrl: config.BASE_URL,
    lead: 'Who subscribes, opens and clicks, as your newsletter tells it.',
    refusedNote:
      'Buttondown’s own test button may send its delivery unsigned. Then the address is right, and only the signature is missing.',
    limit: null,
    schedule: async () => ({
      every: `every night at ${nightlyAt} (${config.TIME_ZONE})`,
      brings: 'a sync brings what deliveries have missed',
      nextAt: null,
      isChangeable: false,
    }),
    steps: () => buttondownSteps({ db, buttondown }),
    trouble: webhookTrouble,
    tryKey,
    signingKeySaved: lookAtWebhook,
    settings: async () => ({ values: { canary_url: (await readSetting(db, canarySetting)) ?? '' } }),
    now,
  })

  routes.post(`${home}/webhook`, async (req, res) => {
    const { from } = From.parse(req.body ?? {})
    const problem = await problemOf('The webhook was not changed.', () => connection.registerWebhook())
    if (problem)
      return from === 'sync'
        ? showSync(res.status(422), problem)
        : showConnection(res.status(422), { problem })
    tell(req, 'The webhook is registered and switched on, and signs with our key.')
    res.redirect(303, from === 'sync' ? `${home}/sync` : home)
  })

  routes.post(`${home}/webhook/check`, async (req, res) => {
    const problem = await problemOf('The webhook was not changed.', () => connection.checkWebhook())
    if (problem) return showConnection(res.status(422), { problem })
    tell(req, 'Looked at the webhook at Buttondown.')
    res.redirect(303, `${home}#webhook`)
  })

  routes.post(`${home}/canary`, async (req, res) => {
    const typed = (req.body ?? {}) as { canary_url?: unknown }
    const form = CanaryForm.safeParse({ canary_url: typed.canary_url ?? '' })
    if (!form.success)
      return showConnection(res.status(422), {
        errors: formErrors(form.error),
        values: { canary_url: typeof typed.canary_url === 'string' ? typed.canary_url : '' },
      })
    await writeSetting(db, canarySetting, form.data.canary_url)
    audience.engagements.forgetSettings()
    tell(
      req,
      form.data.canary_url
        ? 'The address of the hidden link is saved.'
        : 'No link counts as hidden any more.',
    )
    res.redirect(303, `${home}#hidden-link`)
  })

  async function tryKey(key: string) {
    const { username, newsletter } = await connection.whose(key)
    const other = newsletter && (await otherNewsletter(newsletter.id))
    if (other)
      throw new ProviderError(
        'invalid',
        `This key is for “${newsletter.name}”. What is here came from “${other}”, and one installation keeps one newsletter of Buttondown.`,
      )
    return async () => {
      if (newsletter) await connection.nameList(newsletter)
      await lookAtWebhook()
      const whose = newsletter?.name ? `“${newsletter.name}”` : username
      return whose
        ? `The key is saved. It belongs to ${whose}.`
        : 'The key is saved. It works, and may not tell whose it is.'
    }
  }

  /** The name of the newsletter that everything here came from, where that is not the one asked about. */
  async function otherNewsletter(id: string): Promise<string | null> {
    const known = await connection.newsletterState()
    if (!known || known.id === id) return null
    const run = await lastDoneRun(db, provider, ['first', 'nightly', 'manual'])
    return run ? known.name || 'another newsletter' : null
  }

  /** A key that may not look at webhooks is no fault: what is known stays as it was. */
  async function lookAtWebhook() {
    if (await apiKey.read()) await problemOf('', () => connection.checkWebhook())
  }
  return routes
}
