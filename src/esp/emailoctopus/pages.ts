import { tell } from '../../accounts/sessions.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import { formErrors } from '../../web/forms.js'
import { providerPages } from '../provider-pages.js'
import { lastDoneRun } from '../runs.js'
import { stepsOf } from '../steps.js'
import type { EmailOctopus, Period } from './emailoctopus.js'
import { PeriodForm } from './forms.js'
import { provider } from './mapping.js'

interface Needs {
  db: Db
  emailOctopus: EmailOctopus
  config: Pick<Config, 'BASE_URL'>
  now: () => number
}

const every: Record<Period, string> = { hourly: 'every hour', daily: 'once a day' }

/** `/providers/emailoctopus`: what every provider's pages have, and how often a sync starts by itself. */
export function emailOctopusPages({ db, emailOctopus, config, now }: Needs) {
  const { sync, period, savePeriod, nextAt, tryKey } = emailOctopus
  const { routes, home, showConnection } = providerPages({
    db,
    connected: emailOctopus,
    baseUrl: config.BASE_URL,
    lead: 'Mailings, lists, and who opens and clicks, as your account tells it.',
    refusedNote: '',
    limit: emailOctopus.limit,
    schedule: async () => ({
      every: every[await period()],
      brings:
        'a sync brings what is new, the numbers of each mailing that are due at its age, and once a day whatever changed of contacts',
      nextAt: await nextAt(),
      isChangeable: true,
    }),
    // No API tells whether the endpoint is there: its secret is shown once it is made.
    steps: async () =>
      stepsOf({ db, connected: emailOctopus, silence: await emailOctopus.silence() }, (isThere) => isThere),
    trouble: ({ silence }) => (silence.isSilent ? 'silent' : null),
    async tryKey(key) {
      await tryKey(key)
      return begin
    },
    signingKeySaved: async () => {},
    settings: async () => ({ values: { period: await period() } }),
    now,
  })

  routes.post(`${home}/period`, async (req, res) => {
    const form = PeriodForm.safeParse(req.body ?? {})
    if (!form.success) return showConnection(res.status(422), { errors: formErrors(form.error) })
    await savePeriod(form.data.period)
    tell(req, `A sync starts ${every[form.data.period]} from now on.`)
    res.redirect(303, `${home}#schedule`)
  })

  /** A key is all that a first sync needs: whoever has entered one does not wait for the schedule. */
  async function begin(by: string) {
    if (await lastDoneRun(db, provider, ['first'])) return 'The key works, and is saved.'
    await sync.start(by)
    return 'The key works, and is saved. The first sync has begun.'
  }
  return routes
}
