import { Router } from 'express'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'
import { foreignDocument } from '../web/security.js'
import { MailingView } from './mailing-view.js'
import { getMailing } from './queries.js'

/** `/mailings/:id/message`: the message as it was written, alone in a document that can do nothing. */
export function mailingMessage({ db }: { db: Db }) {
  const routes = Router()

  routes.get('/mailings/:id/message', async (req, res) => {
    const { images } = MailingView.parse(req.query)
    const { id, name } = await getMailing(db, req.params.id, { machines: false })
    const content = await db
      .selectFrom('mailing_contents')
      .select('html')
      .where('mailing_id', '=', id)
      .executeTakeFirst()
    if (!content) throw new NotFound(`No message is kept of “${name}”.`)
    foreignDocument(res, { images })
    res.type('html').send(content.html)
  })
  return routes
}
