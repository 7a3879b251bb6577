import { type Response, Router } from 'express'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { renderFragment } from '../web/render.js'
import type { ConnectedProvider } from './connected-provider.js'
import { failurePages } from './failure-pages.js'
import { ApiKeyForm, SigningKeyForm } from './forms.js'
import { countDeliveries, lagOfDeliveries, listNewest } from './inbox-views.js'
import { ProviderError } from './provider-error.js'
import { runInWords } from './run-words.js'
import { countOpenFailures } from './runs.js'
import type { Steps } from './steps.js'
import { type Schedule, syncPages } from './sync-pages.js'

interface Needs<TheirSteps extends Steps> {
  db: Db
  connected: ConnectedProvider
  baseUrl: string
  /** What it is good for, in one sentence. */
  lead: string
  /** What may stand behind a refused delivery, apart from the reason that is given; empty for nothing. */
  refusedNote: string
  /** Requests that it takes at once after a rest, and each second; null where that is not told. */
  limit: { capacity: number; perSecond: number } | null
  schedule: () => Promise<Schedule>
  steps: () => Promise<TheirSteps>
  /** What is wrong with the webhook, in a word that the provider's own views know; null for nothing. */
  trouble: (steps: TheirSteps) => string | null
  /**
   * Asks the provider whether a key works.
   * @returns what is done once it is saved, and what is told then
   * @throws ProviderError whose message stands at the field
   */
  tryKey: (key: string) => Promise<(by: string) => Promise<string>>
  /** The signing key is another one now. */
  signingKeySaved: () => Promise<void>
  /** What the connection page shows besides: the provider's own settings. */
  settings: () => Promise<object>
  now: () => number
}

/** What went wrong at the provider, for a page that shows it above everything else. */
export interface Problem {
  title: string
  why: string
  kind: ProviderError['kind']
}

const deliveriesShown = 20
const refusalsShown = 10

/**
 * `/providers/<provider>`: the connection, the sync, and what failed, on three pages with the same head. What is the
 * provider's own (how its webhook is registered, its settings) it adds in routes and views of its own, which lie in a
 * folder of its name.
 */
export function providerPages<TheirSteps extends Steps>(needs: Needs<TheirSteps>) {
  const { db, connected, baseUrl, lead, refusedNote, limit, schedule, now } = needs
  const { provider, name, apiKey, signingKey, variables } = connected
  const home = `/providers/${provider}`
  const about = { slug: provider, name, home, lead, refusedNote, variables, limit }
  const ourHost = new URL(baseUrl)
  const routes = Router()
  const syncs = syncPages({ db, connected, home, schedule, about, now })

  routes.get(home, (_req, res) => showConnection(res))
  routes.get(`${home}/steps`, async (_req, res) => renderFragment(res, 'providers/_steps', await stepsView()))
  routes.get(`${home}/deliveries`, async (_req, res) =>
    renderFragment(res, 'providers/_deliveries', { provider: about, ...(await deliveriesView()) }),
  )

  routes.post(`${home}/key`, async (req, res) => {
    const refuse = (errors: FormErrors) => showConnection(res.status(422), { errors })
    if ((await apiKey.source()) === 'environment') return refuse(setThrough(variables.apiKey, 'api_key'))
    const form = ApiKeyForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    let saved: Awaited<ReturnType<typeof needs.tryKey>>
    try {
      saved = await needs.tryKey(form.data.api_key)
    } catch (error) {
      if (error instanceof ProviderError) return refuse({ first: 'api_key', api_key: error.message })
      throw error
    }
    await apiKey.save(form.data.api_key)
    tell(req, await saved(accountOf(res).username))
    res.redirect(303, home)
  })

  routes.post(`${home}/key/trial`, async (req, res) => {
    const key = await apiKey.read()
    const problem = key && (await problemOf('The key was tried, and does not work.', () => needs.tryKey(key)))
    if (problem) return showConnection(res.status(422), { problem })
    tell(req, key ? 'The key works.' : `There is no API key for ${name} yet.`)
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
      return refuse(setThrough(variables.signingKey, 'signing_key'))
    const form = SigningKeyForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    await signingKey.save(form.data.signing_key)
    await needs.signingKeySaved()
    tell(req, 'The signing key is saved. Only deliveries that are signed with it are let in.')
    res.redirect(303, `${home}#webhook`)
  })

  routes.get(`${home}/sync`, (_req, res) => showSync(res))
  routes.use(syncs.routes)
  routes.use(
    failurePages({
      db,
      connected,
      home,
      around: async () => ({
        ...(await headView('failures')),
        ...(await syncs.couldNot()),
        from: 'failures',
      }),
    }),
  )

  async function showConnection(
    res: Response,
    {
      errors,
      problem = null,
      ...given
    }: { errors?: FormErrors; problem?: Problem | null; values?: object } = {},
  ) {
    res.set('Cache-Control', 'no-store').render('providers/connection', {
      ...(await headView('connection')),
      ...(await stepsView()),
      ...(await deliveriesView()),
      ...(await needs.settings()),
      ...given,
      problem,
      errors: { first: '', ...errors },
      from: 'connection',
    })
  }

  async function showSync(res: Response, problem: Problem | null = null) {
    res.set('Cache-Control', 'no-store').render('providers/sync', {
      ...(await headView('sync')),
      ...(await stepsView()),
      ...(await syncs.view()),
      problem,
    })
  }

  async function headView(tab: 'connection' | 'sync' | 'failures') {
    const deliveries = await countDeliveries(db, provider, 'failed')
    const syncs = await countOpenFailures(db, provider)
    return {
      room: '',
      provider: about,
      tab,
      failed: { count: deliveries.count + syncs.count, isMore: deliveries.isMore || syncs.isMore },
    }
  }

  async function stepsView() {
    const steps = await needs.steps()
    return {
      provider: about,
      steps,
      trouble: needs.trouble(steps),
      running: steps.run && runInWords(steps.run, connected.runWords),
      lastRun: steps.last && runInWords(steps.last, connected.runWords),
      webhookUrl: connected.webhookUrl,
      reach: {
        https: ourHost.protocol === 'https:',
        local: /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(ourHost.hostname),
      },
      now: now(),
    }
  }

  async function deliveriesView() {
    return {
      deliveries: await listNewest(db, provider, deliveriesShown),
      lag: await lagOfDeliveries(db, provider),
      waiting: await countDeliveries(db, provider, 'waiting'),
      refused: connected.refusals.of(provider).slice(0, refusalsShown),
      now: now(),
    }
  }

  return { routes, home, showConnection, showSync }
}

/** Does what the provider may refuse. @returns what it refused, or null when it is done */
export async function problemOf(title: string, work: () => Promise<unknown>): Promise<Problem | null> {
  try {
    await work()
    return null
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    return { title, why: error.message, kind: error.kind }
  }
}

const setThrough = (variable: string, field: string): FormErrors => ({
  first: field,
  [field]: `It is set through ${variable}, which wins over what is entered here.`,
})
