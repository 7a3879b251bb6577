import { type Response, Router, urlencoded } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { importColumns, importPromos, mostLines, type Reading, readPromoFile, Taken } from './csv-import.js'
import type { OfferDirectory } from './directory.js'
import { listGroups } from './queries.js'

interface Needs {
  db: Db
  directory: OfferDirectory
  now: () => number
}

const text = z.string().catch('')
const Form = z.object({
  pasted: text,
  sure: text.transform((value) => value === '1'),
  group_id: z.coerce.number().int().min(1).max(1e9).catch(1),
})
/** Errors that are told one by one. */
const mostErrors = 100

/** Longer bodies than other forms have; it stands before their reader. */
export const promoImportBodies = () => {
  const routes = Router()
  routes.use('/promos/import', urlencoded({ extended: false, limit: '3mb', parameterLimit: 20 }))
  return routes
}

/** `/promos/import`: offers and texts from lines of CSV, looked at first, then all or nothing. */
export function promoImportPage({ db, directory, now }: Needs) {
  const routes = Router()
  const show = async (
    res: Response,
    given: { pasted?: string; group?: number; reading?: Reading | null; problem?: string } = {},
  ) => {
    const { reading = null } = given
    res.render('promos/import', {
      room: 'promos',
      pasted: given.pasted ?? '',
      group: given.group ?? 1,
      problem: given.problem ?? '',
      groups: await listGroups(db),
      columns: importColumns,
      mostLines,
      reading: reading && {
        ...reading,
        errors: reading.errors.slice(0, mostErrors),
        errorCount: reading.errors.length,
        offers: reading.offers.map((offer) => ({
          name: offer.existing === null ? offer.form.name : (directory.offer(offer.existing)?.name ?? ''),
          isNew: offer.existing === null,
          texts: offer.texts.length,
          approved: offer.texts.filter(({ approved }) => approved).length,
        })),
      },
    })
  }

  routes.get('/promos/import', (_req, res) => show(res))
  routes.post('/promos/import', async (req, res) => {
    await directory.load()
    const form = Form.parse(req.body ?? {})
    const { pasted, group_id: group } = form
    if (pasted.trim() === '') return show(res.status(422), { group, problem: 'Paste some lines first.' })
    const known = new Map(directory.all().map(({ slug, id }) => [slug, id]))
    const reading = readPromoFile(pasted, known)
    const isGood = reading.errors.length === 0
    if (!isGood || !form.sure) return show(res.status(isGood ? 200 : 422), { pasted, group, reading })
    try {
      const told = await importPromos(db, reading, { group, by: accountOf(res).id, at: now() })
      await directory.reloadAll()
      tell(req, told)
      res.redirect(303, '/promos')
    } catch (error) {
      if (!(error instanceof Taken)) throw error
      await show(res.status(422), { pasted, group, problem: error.message })
    }
  })
  return routes
}
