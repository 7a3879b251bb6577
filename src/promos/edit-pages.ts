import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import {
  approveVariation,
  archiveOffer,
  archiveVariation,
  createGroup,
  createOffer,
  createVariation,
  editGroup,
  editOffer,
  editVariation,
  Taken,
} from './commands.js'
import type { OfferDirectory } from './directory.js'
import { linkOf } from './link.js'
import { GroupForm, OfferForm, VariationForm } from './page-forms.js'
import { getGroup, getOffer, getVariation, listGroups, type Offer, type Variation } from './queries.js'
import { strategies, strategyNames, strategyWords } from './strategies.js'

interface Needs {
  db: Db
  directory: OfferDirectory
  baseUrl: string
  now: () => number
}

const noErrors: FormErrors = { first: '' }
/** What was typed, to be shown again: text only, whatever else was sent. */
const Typed = z.record(z.string(), z.string().catch('')).catch({})
const typed = (req: Request): Record<string, string> => Typed.parse(req.body)

/** Everything that makes, changes and retires offers, their texts, and the groups they are in. */
export function promoEditPages({ db, directory, baseUrl, now }: Needs) {
  const routes = Router()

  const showOffer = async (res: Response, offer: Offer | null, values: object, errors: FormErrors) =>
    res.render('promos/edit-offer', {
      room: 'promos',
      offer,
      values,
      errors,
      groups: await listGroups(db),
      baseUrl,
    })

  routes.get('/promos/offers/new', (_req, res) =>
    showOffer(res, null, { active: '1', group_id: '1', base_weight: '1' }, { first: 'name' }),
  )
  routes.post('/promos/offers', async (req, res) => {
    const values = typed(req)
    const form = OfferForm.safeParse(values)
    if (!form.success) return showOffer(res.status(422), null, values, formErrors(form.error))
    try {
      const { id } = await createOffer(db, form.data, groupOf(values), { by: accountOf(res).id, at: now() })
      await directory.reload(id)
      tell(req, 'The offer is there. Give it its first text.')
      res.redirect(303, `/promos/offers/${id}/variations/new`)
    } catch (error) {
      await showOffer(res.status(422), null, values, takenErrors(error))
    }
  })

  routes.get('/promos/offers/:id/edit', async (req, res) => {
    const offer = await getOffer(db, req.params.id)
    const values = {
      ...offer,
      active: offer.active ? '1' : '',
      base_weight: String(offer.base_weight),
      group_id: String(offer.group_id),
    }
    await showOffer(res, offer, values, noErrors)
  })
  routes.post('/promos/offers/:id/edit', async (req, res) => {
    const offer = await getOffer(db, req.params.id)
    const values = typed(req)
    const form = OfferForm.safeParse(values)
    if (!form.success) return showOffer(res.status(422), offer, values, formErrors(form.error))
    try {
      await editOffer(db, offer.id, form.data, groupOf(values))
    } catch (error) {
      return showOffer(res.status(422), offer, values, takenErrors(error))
    }
    await directory.reload(offer.id)
    const link = form.data.slug === offer.slug ? '' : ` Links to /go/${offer.slug} lead on.`
    tell(req, `The changes are saved.${link}`)
    res.redirect(303, `/promos/offers/${offer.id}`)
  })
  // Retiring is a thing of its own: `archived` says which way.
  routes.post('/promos/offers/:id/archiving', async (req, res) => {
    const offer = await getOffer(db, req.params.id)
    const restoring = typed(req).archived === '0'
    await archiveOffer(db, offer.id, restoring ? null : now())
    await directory.reload(offer.id)
    tell(
      req,
      restoring ? 'The offer can be chosen again.' : 'The offer is retired. Its links lead on and count.',
    )
    res.redirect(303, `/promos/offers/${offer.id}`)
  })

  const showText = (
    res: Response,
    offer: Offer,
    text: Variation | null,
    values: object,
    errors: FormErrors,
  ) =>
    res.render('promos/edit-variation', {
      room: 'promos',
      offer,
      text,
      values,
      errors,
      link: text ? linkOf(offer, text.id, baseUrl) : '',
    })

  routes.get('/promos/offers/:id/variations/new', async (req, res) => {
    showText(res, await getOffer(db, req.params.id), null, { weight: '1' }, { first: 'headline' })
  })
  routes.post('/promos/offers/:id/variations', async (req, res) => {
    const offer = await getOffer(db, req.params.id)
    const values = typed(req)
    const form = VariationForm.safeParse(values)
    if (!form.success) return showText(res.status(422), offer, null, values, formErrors(form.error))
    const approved = values.approved === '1'
    const by = { by: accountOf(res).id, at: now(), approved }
    await createVariation(db, offer.id, form.data, by)
    await directory.reload(offer.id)
    tell(
      req,
      approved
        ? 'The variation is there, and may be chosen.'
        : 'The variation is there. It is not chosen before you approve it.',
    )
    res.redirect(303, `/promos/offers/${offer.id}`)
  })
  routes.get('/promos/variations/:id/edit', async (req, res) => {
    const text = await getVariation(db, req.params.id)
    const values = { ...text, weight: String(text.weight) }
    showText(res, await getOffer(db, String(text.offer_id)), text, values, noErrors)
  })
  routes.post('/promos/variations/:id/edit', async (req, res) => {
    const text = await getVariation(db, req.params.id)
    const values = typed(req)
    const form = VariationForm.safeParse(values)
    const offer = await getOffer(db, String(text.offer_id))
    if (!form.success) return showText(res.status(422), offer, text, values, formErrors(form.error))
    const id = await editVariation(db, text.id, form.data, { by: accountOf(res).id, at: now() })
    await directory.reload(offer.id)
    tell(
      req,
      id === text.id
        ? 'The changes are saved.'
        : `Variation ${text.id} was shown already, so it is retired with its numbers, and ${id} takes its place. Approve it, and it is chosen.`,
    )
    res.redirect(303, `/promos/offers/${offer.id}`)
  })
  routes.post('/promos/variations/:id/approval', async (req, res) => {
    const text = await getVariation(db, req.params.id)
    const approved = typed(req).approved !== '0'
    await approveVariation(db, text.id, approved)
    await directory.reload(text.offer_id)
    tell(
      req,
      approved ? `Variation ${text.id} may be chosen.` : `Variation ${text.id} is not chosen any more.`,
    )
    res.redirect(303, `/promos/offers/${text.offer_id}`)
  })
  routes.post('/promos/variations/:id/archiving', async (req, res) => {
    const text = await getVariation(db, req.params.id)
    const restoring = typed(req).archived === '0'
    await archiveVariation(db, text.id, restoring ? null : now())
    await directory.reload(text.offer_id)
    tell(
      req,
      restoring
        ? `Variation ${text.id} is back.`
        : `Variation ${text.id} is retired. Its links lead on and count.`,
    )
    res.redirect(303, `/promos/offers/${text.offer_id}`)
  })

  const showGroups = async (
    res: Response,
    {
      values = {},
      errors = noErrors,
      group = null,
    }: { values?: object; errors?: FormErrors; group?: object | null } = {},
  ) =>
    res.render('promos/groups', {
      room: 'promos',
      groups: await listGroups(db),
      group,
      values: { strategy: 'learn', half_life_days: '', ...values },
      errors,
      strategies: strategies.map((strategy) => ({
        strategy,
        name: strategyNames[strategy],
        words: strategyWords[strategy],
      })),
      strategyNames,
    })
  routes.get('/promos/groups', (_req, res) => showGroups(res))
  routes.post('/promos/groups', async (req, res) => {
    const values = typed(req)
    const form = GroupForm.safeParse(values)
    if (!form.success) return showGroups(res.status(422), { values, errors: formErrors(form.error) })
    try {
      await createGroup(db, form.data, now())
    } catch (error) {
      return showGroups(res.status(422), { values, errors: takenErrors(error) })
    }
    tell(req, `The group “${form.data.name}” is there. Put offers into it by editing them.`)
    res.redirect(303, '/promos/groups')
  })
  routes.get('/promos/groups/:id', async (req, res) => {
    const group = await getGroup(db, req.params.id)
    await showGroups(res, { group, values: { ...group, half_life_days: String(group.half_life_days ?? '') } })
  })
  routes.post('/promos/groups/:id', async (req, res) => {
    const group = await getGroup(db, req.params.id)
    const values = typed(req)
    const form = GroupForm.safeParse(values)
    if (!form.success) return showGroups(res.status(422), { group, values, errors: formErrors(form.error) })
    try {
      await editGroup(db, group.id, form.data)
    } catch (error) {
      return showGroups(res.status(422), { group, values, errors: takenErrors(error) })
    }
    await directory.reloadAll()
    tell(req, 'The changes are saved. They hold from the next choice on.')
    res.redirect(303, '/promos/groups')
  })
  return routes
}

const groupOf = ({ group_id = '1' }: Record<string, string>) =>
  /^[1-9]\d{0,8}$/.test(group_id) ? Number(group_id) : 1

function takenErrors(error: unknown): FormErrors {
  if (!(error instanceof Taken)) throw error
  return { first: error.field, [error.field]: error.message }
}
