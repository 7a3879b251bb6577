import { type Response, Router } from 'express'
import { accountOf } from '../../accounts/gate.js'
import { tell } from '../../accounts/sessions.js'
import { type Audience, canarySetting } from '../../audience/audience.js'
import type { Config } from '../../config.js'
import type { Db } from '../../database/open.js'
import { readSetting, writeSetting } from '../../database/settings.js'
import { plural } from '../../web/formats.js'
import { type FormErrors, formErrors } from '../../web/forms.js'
import { renderFragment } from '../../web/render.js'
import {
  countDeliveries,
  lagOfDeliveries,
  listFailedDeliveries,
  listNewest,
  shownOfBody,
} from '../inbox-views.js'
import { ProviderError } from '../provider-error.js'
import { countFailures, forgetFailures, lastDoneRun, listFailures, listRuns, type Run } from '../runs.js'
import type { Buttondown } from './buttondown.js'
import { ApiKeyForm, CanaryForm, From, Page, SigningKeyForm, Which } from './forms.js'
import { provider } from './reading.js'
import { amountInWords, changesInWords, headwayOf, kindInWords, leftInWords } from './run-words.js'
import { stepsOf, webhookTrouble } from './steps.js'

interface Needs {
  db: Db
  buttondown: Buttondown
  audience: Pick<Audience, 'engagements'>
  config: Pick<Config, 'BASE_URL' | 'TIME_ZONE'>
  now: () => number
}

const home = '/providers/buttondown'
const pageOf = { connection: home, sync: `${home}/sync` }
const deliveriesShown = 20
const refusalsShown = 10
const runsShown = 12
const failuresShown = 20
/** As src/app.ts has it. */
const nightlyAt = '02:15'

/** `/providers/buttondown`: the connection, the sync, and what failed, on three pages with the same head. */
export function buttondownPages({ db, buttondown, audience, config, now }: Needs) {
  const routes = Router()
  const { apiKey, signingKey, connection } = buttondown
  const webhookHost = new URL(config.BASE_URL)

  // The connection

  routes.get(home, (_req, res) => showConnection(res))
  routes.get(`${home}/steps`, async (_req, res) => renderFragment(res, 'providers/_steps', await stepsView()))
  routes.get(`${home}/deliveries`, async (_req, res) =>
    renderFragment(res, 'providers/_deliveries', await deliveriesView()),
  )

  routes.post(`${home}/key`, async (req, res) => {
    const refuse = (errors: FormErrors) => showConnection(res.status(422), { errors })
    if ((await apiKey.source()) === 'environment') return refuse(fromEnvironment('BUTTONDOWN_API_KEY'))
    const form = ApiKeyForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    let found: Awaited<ReturnType<typeof connection.whose>>
    try {
      found = await connection.whose(form.data.api_key)
    } catch (error) {
      if (error instanceof ProviderError) return refuse({ first: 'api_key', api_key: error.message })
      throw error
    }
    const { username, newsletter } = found
    const other = newsletter && (await otherNewsletter(newsletter.id))
    if (other)
      return refuse({
        first: 'api_key',
        api_key: `This key is for “${newsletter.name}”. What is here came from “${other}”, and one installation keeps one newsletter of Buttondown.`,
      })
    await apiKey.save(form.data.api_key)
    if (newsletter) await connection.nameList(newsletter)
    await lookAtWebhook()
    const whose = newsletter?.name ? `“${newsletter.name}”` : username
    tell(
      req,
      whose
        ? `The key is saved. It belongs to ${whose}.`
        : 'The key is saved. It works, and may not tell whose it is.',
    )
    res.redirect(303, home)
  })

  routes.post(`${home}/key/removal`, async (req, res) => {
    await apiKey.save('')
    tell(req, 'The API key is gone from here. What it brought in stays.')
    res.redirect(303, home)
  })

  routes.post(`${home}/signing-key`, async (req, res) => {
    const refuse = (errors: FormErrors) => showConnection(res.status(422), { errors })
    if ((await signingKey.source()) === 'environment')
      return refuse(fromEnvironment('BUTTONDOWN_WEBHOOK_SIGNING_KEY', 'signing_key'))
    const form = SigningKeyForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    await signingKey.save(form.data.signing_key)
    await lookAtWebhook()
    tell(req, 'The signing key is saved. Only deliveries that are signed with it are let in.')
    res.redirect(303, `${home}#webhook`)
  })

  routes.post(`${home}/webhook`, async (req, res) => {
    const { from } = From.parse(req.body ?? {})
    try {
      await connection.registerWebhook()
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error
      const problem = { webhook: error.message, kind: error.kind }
      return from === 'sync'
        ? showSync(res.status(422), problem)
        : showConnection(res.status(422), { problem })
    }
    tell(req, 'The webhook is registered and switched on, and signs with our key.')
    res.redirect(303, pageOf[from])
  })

  routes.post(`${home}/webhook/check`, async (req, res) => {
    try {
      await connection.checkWebhook()
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error
      return showConnection(res.status(422), { problem: { webhook: error.message, kind: error.kind } })
    }
    tell(req, 'Looked at the webhook at Buttondown.')
    res.redirect(303, `${home}#webhook`)
  })

  routes.post(`${home}/canary`, async (req, res) => {
    const typed = (req.body ?? {}) as { canary_url?: unknown }
    const form = CanaryForm.safeParse({ canary_url: typed.canary_url ?? '' })
    if (!form.success)
      return showConnection(res.status(422), {
        errors: formErrors(form.error),
        canary: typeof typed.canary_url === 'string' ? typed.canary_url : '',
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

  // The sync

  routes.get(`${home}/sync`, (_req, res) => showSync(res))
  routes.get(`${home}/sync/progress`, async (_req, res) =>
    renderFragment(res, 'providers/_sync', await syncView()),
  )

  routes.post(`${home}/sync`, async (req, res) => {
    if (!(await apiKey.read())) {
      tell(req, 'There is no API key for Buttondown yet.')
      return res.redirect(303, home)
    }
    const isAll = (req.body as { all?: unknown } | undefined)?.all === '1'
    await buttondown.sync.start(accountOf(res).username, isAll ? 'first' : undefined)
    res.redirect(303, pageOf[From.parse(req.body ?? {}).from])
  })

  routes.post(`${home}/sync/cancellation`, async (req, res) => {
    await buttondown.sync.cancel()
    tell(req, 'The sync is cancelled. What came in until now stays.')
    res.redirect(303, pageOf[From.parse(req.body ?? {}).from])
  })

  routes.post(`${home}/sync/failures`, async (req, res) => {
    await forgetFailures(db, provider, { id: Which.parse(req.body ?? {}).id, now: now() })
    res.redirect(303, `${home}/sync#could-not`)
  })

  // Deliveries that failed

  routes.get(`${home}/failures`, async (req, res) => {
    const { after } = Page.parse(req.query)
    const rows = await listFailedDeliveries(db, provider, { after, limit: failuresShown + 1 })
    const shown = rows.slice(0, failuresShown)
    const last = shown[shown.length - 1]
    res.set('Cache-Control', 'no-store').render('providers/failures', {
      ...(await headView('failures')),
      rows: shown,
      shownOfBody,
      isFirst: after === null,
      next:
        rows.length > failuresShown && last ? `${home}/failures?after=${last.received_at}-${last.id}` : null,
    })
  })

  routes.post(`${home}/failures`, async (req, res) => {
    const count = await buttondown.tryAgain(Which.parse(req.body ?? {}).id)
    tell(
      req,
      count === 0
        ? 'There was nothing to try again.'
        : `${plural(count, 'delivery is', 'deliveries are')} read again now. What fails once more comes back here.`,
    )
    res.redirect(303, `${home}/failures`)
  })

  // What the pages show

  async function showConnection(
    res: Response,
    given: { errors?: FormErrors; problem?: Problem; canary?: string } = {},
  ) {
    const errors = { first: '', api_key: '', signing_key: '', canary_url: '', ...given.errors }
    res.set('Cache-Control', 'no-store').render('providers/connection', {
      ...(await headView('connection')),
      ...(await stepsView()),
      ...(await deliveriesView()),
      problem: given.problem ?? null,
      errors,
      values: { canary_url: given.canary ?? (await readSetting(db, canarySetting)) ?? '' },
    })
  }

  async function showSync(res: Response, problem: Problem | null = null) {
    res.set('Cache-Control', 'no-store').render('providers/sync', {
      ...(await headView('sync')),
      ...(await stepsView()),
      ...(await syncView()),
      problem,
    })
  }

  async function headView(tab: 'connection' | 'sync' | 'failures') {
    return { room: '', tab, failed: await countDeliveries(db, provider, 'failed') }
  }

  async function stepsView() {
    const steps = await stepsOf({ db, buttondown })
    return {
      steps,
      trouble: webhookTrouble(steps),
      running: steps.run && runView(steps.run),
      lastRun: steps.last && runView(steps.last),
      webhookUrl: buttondown.webhookUrl,
      reach: {
        https: webhookHost.protocol === 'https:',
        local: /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(webhookHost.hostname),
      },
      now: now(),
    }
  }

  async function deliveriesView() {
    return {
      deliveries: await listNewest(db, provider, deliveriesShown),
      lag: await lagOfDeliveries(db, provider),
      waiting: await countDeliveries(db, provider, 'waiting'),
      refused: buttondown.refusals.of(provider).slice(0, refusalsShown),
      now: now(),
    }
  }

  async function syncView() {
    const runs = await listRuns(db, provider, runsShown)
    const failures = await listFailures(db, provider, failuresShown)
    const counts = new Map(
      (
        await countFailures(
          db,
          runs.map(({ id }) => id),
        )
      ).map(({ run_id, count }) => [run_id, count]),
    )
    const current = runs.find(({ state }) => state === 'running' || state === 'waiting')
    return {
      current: current ? runView(current) : null,
      runs: runs.map((run) => ({ ...runView(run), failures: counts.get(run.id) ?? 0 })),
      failures,
      failuresShown,
      hasKey: Boolean(await apiKey.read()),
      hasAll: (await lastDoneRun(db, provider, ['first'])) !== null,
      nightly: { at: nightlyAt, zone: config.TIME_ZONE },
      now: now(),
    }
  }

  function runView(run: Run) {
    const headway = headwayOf(run)
    return {
      ...run,
      kindWords: kindInWords(run.kind),
      changed: changesInWords(run),
      took: run.endedAt === null ? null : run.endedAt - run.startedAt,
      value: headway.value,
      step: headway.step,
      left: headway.left === null ? '' : leftInWords(headway.left),
      stages: headway.stages.map((stage) => ({ ...stage, amount: amountInWords(stage) })),
      requests: run.progress.requests,
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
    if (!(await apiKey.read())) return
    try {
      await connection.checkWebhook()
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error
    }
  }
  return routes
}

interface Problem {
  webhook: string
  kind: ProviderError['kind']
}

const fromEnvironment = (variable: string, field = 'api_key'): FormErrors => ({
  first: field,
  [field]: `It is set through ${variable}, which wins over what is entered here.`,
})
