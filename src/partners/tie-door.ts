import { Router } from 'express'
import * as z from 'zod'
import { localPath } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import type { TiedKinds } from './kinds.js'
import { tie, toldOfTie } from './ties.js'

const id = /^[1-9]\d{0,14}$/
const TieForm = z.object({
  kind: z.string('Say what is to be tied.'),
  thing: z.string('Say what is to be tied.').regex(id, 'Say what is to be tied, by its number.'),
  project: z.string('Choose a project.').regex(/^([1-9]\d{0,14})?$/, 'Choose a project from the list.'),
  back: z.string().optional(),
})

/** `POST /projects/ties`: where views/partners/_tie.njk of any page sends its form. */
export function tieDoor({ db, kinds, now }: { db: Db; kinds: TiedKinds; now: () => number }) {
  const routes = Router()
  routes.post('/projects/ties', async (req, res) => {
    const form = TieForm.safeParse(req.body ?? {})
    if (!form.success) throw new HttpError(422, form.error.issues[0]!.message)
    const { kind, thing, project, back } = form.data
    const wanted = { kind, thingId: Number(thing), projectId: project === '' ? null : Number(project) }
    const tied = await tie(db, kinds, wanted, now())
    tell(req, toldOfTie(tied))
    res.redirect(303, back === undefined ? tied.thing.href : localPath(back))
  })
  return routes
}
