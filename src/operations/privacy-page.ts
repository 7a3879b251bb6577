import { type Response, Router } from 'express'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { personalData } from './personal-data.js'
import {
  type Kind,
  kinds,
  RetentionForm,
  type RetentionKeeper,
  readRetention,
  saveRetention,
} from './retention.js'

const page = '/operations/privacy'

/** What goes, as the list of what would go says it. */
const going: Record<Kind, string> = {
  traces: 'Events, opens and clicks that lose their traces',
  inbox: 'Deliveries that go',
  audit: 'Entries of the audit log that go',
  jobs: 'Runs of jobs that go',
  promos: 'Clicks and impressions of promos that go',
  events: 'Events of campaigns that go',
  engagements: 'Engagements with mailings that go',
  snapshots: 'Snapshots of mailings that go',
}

/** /operations/privacy: for how long what is kept, what would go now, and what is held of people at all. */
export function privacyPage({ db, retention }: { db: Db; retention: RetentionKeeper }) {
  const routes = Router()

  async function show(res: Response, given: { values?: object; errors?: FormErrors; wouldGo?: object } = {}) {
    res.render('operations/privacy', {
      room: 'operations',
      tab: 'privacy',
      personalData,
      wouldGo: null,
      values: Object.fromEntries(
        Object.entries(await readRetention(db)).map(([name, days]) => [name, String(days)]),
      ),
      errors: { first: '' },
      ...given,
    })
  }
  async function wouldGo() {
    const would = await retention.wouldGo()
    return kinds.map((kind) => ({ what: going[kind], ...would[kind] }))
  }
  routes.get(page, async (req, res) => show(res, req.query.show === '1' ? { wouldGo: await wouldGo() } : {}))
  routes.post(page, async (req, res) => {
    const typed = req.body as Record<string, unknown>
    const form = RetentionForm.safeParse(typed)
    if (!form.success)
      return show(res.status(422), {
        values: Object.fromEntries(
          Object.keys(RetentionForm.shape).map((name) => [name, String(typed?.[name] ?? '')]),
        ),
        errors: formErrors(form.error),
      })
    await saveRetention(db, form.data)
    tell(req, 'What is too old goes at night.')
    res.redirect(303, `${page}?show=1`)
  })
  return routes
}
