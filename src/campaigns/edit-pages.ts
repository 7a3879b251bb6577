import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { projectChoices, projectOf } from '../partners/ties.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { render, wantsFragment } from '../web/render.js'
import {
  archiveCampaign,
  type CampaignRemover,
  changeWriteKey,
  createCampaign,
  deleteCampaign,
  editCampaign,
  restoreCampaign,
} from './commands.js'
import type { CampaignDirectory } from './directory.js'
import { CampaignForm } from './forms.js'
import { getCampaign, listOffers, lossOf } from './queries.js'

interface Needs {
  db: Db
  readers: Readers
  directory: CampaignDirectory
  remover: CampaignRemover
  now: () => number
}

/** Everything that makes, changes and ends a campaign. */
export function editPages({ db, readers, directory, remover, now }: Needs) {
  const routes = Router()

  routes.get('/create', (_req, res) => {
    res.render('campaigns/create', { room: 'campaigns', ...blankForm })
  })

  routes.post('/campaigns', async (req, res) => {
    const form = CampaignForm.safeParse(req.body)
    if (!form.success) {
      res.status(422)
      const view = { page: 'campaigns/create', fragment: 'campaigns/_create-form' }
      return render(res, view, { room: 'campaigns', values: typed(req), errors: formErrors(form.error) })
    }
    const { id } = await createCampaign(db, form.data, { by: accountOf(res).id, now: now() })
    directory.forget(id)
    leadTo(res, `/campaign/${id}`)
  })

  routes.get('/campaign/:id/edit', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    const values = { ...campaign, needs_key: campaign.needs_key === 1 }
    await showEdit(res, campaign, values, noErrors)
  })

  routes.post('/campaign/:id/edit', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    const form = CampaignForm.safeParse(req.body)
    if (!form.success) return showEdit(res.status(422), campaign, typed(req), formErrors(form.error))
    await editCampaign(db, campaign.id, form.data, now())
    directory.forget(campaign.id)
    tell(req, 'The changes are saved.')
    res.redirect(303, `/campaign/${campaign.id}`)
  })

  routes.post('/campaign/:id/key', async (req, res) => {
    const { id } = await getCampaign(db, req.params.id)
    await changeWriteKey(db, id)
    directory.forget(id)
    tell(req, 'The campaign has a new write key. The old one is refused from now on.')
    res.redirect(303, `/campaign/${id}/edit#key-title`)
  })

  // Archiving is a thing of its own: `archived` says which way, and without it the campaign is archived.
  routes.post('/campaign/:id/archiving', async (req, res) => {
    const { id } = await getCampaign(db, req.params.id)
    const restoring = typed(req).archived === '0'
    if (restoring) await restoreCampaign(db, id)
    else await archiveCampaign(db, id, now())
    directory.forget(id)
    tell(req, restoring ? 'The campaign is active again.' : 'The campaign is archived. Its numbers are kept.')
    res.redirect(303, `/campaign/${id}`)
  })

  routes.get('/campaign/:id/delete', async (req, res) => {
    await showDelete(res, await getCampaign(db, req.params.id), noErrors)
  })

  routes.post('/campaign/:id/delete', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    const { id, name } = campaign
    if (typed(req).sure !== '1')
      return showDelete(res.status(422), campaign, {
        first: 'sure',
        sure: 'Tick this first. It cannot be taken back.',
      })
    await deleteCampaign(db, id, now())
    directory.forget(id)
    void remover.run()
    tell(req, `Campaign ${id}, ${name}, is deleted.`)
    res.redirect(303, '/')
  })

  async function showEdit(res: Response, campaign: { id: number }, values: object, errors: FormErrors) {
    const [offers, project, projects] = await Promise.all([
      listOffers(db, campaign.id),
      projectOf(db, 'campaign', campaign.id),
      projectChoices(db),
    ])
    res.render('campaigns/edit', { room: 'campaigns', campaign, values, errors, offers, project, projects })
  }
  async function showDelete(res: Response, campaign: { id: number }, errors: FormErrors) {
    const loss = await lossOf(db, readers, campaign.id)
    res.render('campaigns/delete', { room: 'campaigns', campaign, loss, errors })
  }
  return routes
}

/** What was typed, to be shown again: text only, whatever else was sent. */
const Typed = z.record(z.string(), z.string().catch('')).catch({})
const typed = (req: Request): Record<string, string> => Typed.parse(req.body)

const noErrors: FormErrors = { first: '' }
/** The first field of a page that is there to be filled in has the focus. */
const blankForm = { values: {}, errors: { first: 'name' } satisfies FormErrors }

/** To another page: for htmx without loading it anew, the address changing all the same; for a plain form by a 303. */
function leadTo(res: Response, address: string) {
  if (wantsFragment(res.req)) res.set('HX-Location', address).end()
  else res.redirect(303, address)
}
