import { Router } from 'express'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { plural } from '../web/formats.js'
import type { ConnectedProvider } from './connected-provider.js'
import { Page, Which } from './forms.js'
import { listFailedDeliveries, shownOfBody } from './inbox-views.js'

interface Needs {
  db: Db
  connected: ConnectedProvider
  /** `/providers/<provider>` */
  home: string
  /** What stands above the page, and what syncs could not fetch. */
  around: () => Promise<object>
}

const rowsShown = 20

/** `/providers/<provider>/failures`: deliveries that could not be read, with a button that tries them again. */
export function failurePages({ db, connected, home, around }: Needs) {
  const routes = Router()
  const path = `${home}/failures`

  routes.get(path, async (req, res) => {
    const { after } = Page.parse(req.query)
    const rows = await listFailedDeliveries(db, connected.provider, { after, limit: rowsShown + 1 })
    const shown = rows.slice(0, rowsShown)
    const last = shown[shown.length - 1]
    res.set('Cache-Control', 'no-store').render('providers/failures', {
      ...(await around()),
      rows: shown,
      shownOfBody,
      isFirst: after === null,
      next: rows.length > rowsShown && last ? `${path}?after=${last.received_at}-${last.id}` : null,
    })
  })

  routes.post(path, async (req, res) => {
    const count = await connected.tryAgain(Which.parse(req.body ?? {}).id)
    tell(
      req,
      count === 0
        ? 'There was nothing to try again.'
        : `${plural(count, 'delivery is', 'deliveries are')} read again now. What fails once more comes back here.`,
    )
    res.redirect(303, path)
  })
  return routes
}
