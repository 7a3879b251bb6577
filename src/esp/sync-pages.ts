import { Router } from 'express'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { renderFragment } from '../web/render.js'
import type { ConnectedProvider } from './connected-provider.js'
import { From, Which } from './forms.js'
import { runInWords } from './run-words.js'
import { countFailures, forgetFailures, lastDoneRun, listFailures, listRuns } from './runs.js'

/** When syncs start by themselves. */
export interface Schedule {
  /** In the middle of a sentence: "every night at 02:15 (UTC)". */
  every: string
  /** What a sync does then: "a sync brings what has changed". */
  brings: string
  /** The next one; null where it is not told. */
  nextAt: number | null
  /** Can it be changed on the connection page? */
  isChangeable: boolean
}

interface Needs {
  db: Db
  connected: ConnectedProvider
  /** `/providers/<provider>` */
  home: string
  schedule: () => Promise<Schedule>
  /** The provider itself, as views name it. */
  about: object
  now: () => number
}

const runsShown = 12
const failuresShown = 20

/** `/providers/<provider>/sync`: what a sync does just now, what the last ones did, and what they could not. */
export function syncPages({ db, connected, home, schedule, about, now }: Needs) {
  const routes = Router()
  const { provider, name, runWords, apiKey, sync } = connected
  const pageOf = { connection: home, sync: `${home}/sync`, failures: `${home}/failures` }

  routes.get(`${home}/sync/progress`, async (_req, res) =>
    renderFragment(res, 'providers/_sync', { provider: about, ...(await view()) }),
  )

  routes.post(`${home}/sync`, async (req, res) => {
    if (!(await apiKey.read())) {
      tell(req, `There is no API key for ${name} yet.`)
      return res.redirect(303, home)
    }
    const isAll = (req.body as { all?: unknown } | undefined)?.all === '1'
    await sync.start(accountOf(res).username, isAll ? 'first' : undefined)
    res.redirect(303, pageOf[From.parse(req.body ?? {}).from])
  })

  routes.post(`${home}/sync/cancellation`, async (req, res) => {
    await sync.cancel()
    tell(req, 'The sync is cancelled. What came in until now stays.')
    res.redirect(303, pageOf[From.parse(req.body ?? {}).from])
  })

  routes.post(`${home}/sync/failures`, async (req, res) => {
    await forgetFailures(db, provider, { id: Which.parse(req.body ?? {}).id, now: now() })
    const { from } = From.parse(req.body ?? {})
    res.redirect(303, `${from === 'failures' ? pageOf.failures : pageOf.sync}#could-not`)
  })

  /** What could not be fetched, newest first. */
  async function couldNot() {
    return { failures: await listFailures(db, provider, failuresShown), failuresShown, now: now() }
  }

  async function view() {
    const runs = await listRuns(db, provider, runsShown)
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
      ...(await couldNot()),
      current: current ? runInWords(current, runWords) : null,
      runs: runs.map((run) => ({ ...runInWords(run, runWords), failures: counts.get(run.id) ?? 0 })),
      runsShown,
      hasKey: Boolean(await apiKey.read()),
      hasAll: (await lastDoneRun(db, provider, ['first'])) !== null,
      schedule: await schedule(),
      from: 'sync',
    }
  }
  return { routes, view, couldNot }
}
