import { createHash } from 'node:crypto'
import { type Request, type Response, Router } from 'express'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { wantsFragment } from '../web/render.js'
import { hexColour, inkOf } from './colour.js'
import {
  createPartner,
  createProject,
  deletePartner,
  editPartner,
  NameTaken,
  setArchived,
} from './commands.js'
import { PartnerForm, ProjectForm, pickerStart, textsOf } from './forms.js'
import type { TiedKinds } from './kinds.js'
import { type LogoWish, logoWish } from './logo-uploads.js'
import { findLogo, getPartner, listPartners, listProjects, type Partner, sumOfTies } from './queries.js'
import { countsInWords } from './ties.js'

interface Needs {
  db: Db
  kinds: TiedKinds
  now: () => number
}

const noErrors: FormErrors = { first: '' }
const noLogo: LogoWish = { logo: undefined, problem: '', kept: '' }

/** `/partners`: for whom the work is done, how their reports look, and their projects. */
export function partnerPages({ db, kinds, now }: Needs) {
  const routes = Router()

  routes.get('/partners', async (_req, res) => {
    const [partners, projects] = await Promise.all([listPartners(db), listProjects(db, kinds)])
    const lines = partners.map((partner) => {
      const own = projects.filter(({ partner_id }) => partner_id === partner.id)
      return {
        ...partner,
        ink: partner.colour === '' ? '' : inkOf(partner.colour).ink,
        projects: own.filter(({ archived_at }) => archived_at === null).length,
        tied: countsInWords(sumOfTies(own), kinds),
      }
    })
    res.render('partners/index', {
      room: 'partners',
      partners: lines.filter(({ archived_at }) => archived_at === null),
      archived: lines.filter(({ archived_at }) => archived_at !== null),
    })
  })

  routes.get('/partners/create', (_req, res) => {
    showForm(res, null, startOf(null), { ...noErrors, first: 'name' }, noLogo)
  })

  // How a colour will look, as somebody types it.
  routes.get('/partners/colour', (req, res) => {
    if (!wantsFragment(req)) return res.redirect(303, '/partners')
    const typed = textsOf(req.query).colour ?? ''
    res.set('Cache-Control', 'no-store').render('partners/_sample', { sample: sampleOf(typed) })
  })

  routes.post('/partners', async (req, res) => {
    const form = PartnerForm.safeParse(req.body)
    const wish = logoWish(req, res)
    if (!form.success || wish.problem) return askAgain(req, res, null, wish, form.error)
    const made = await unlessTaken(() =>
      createPartner(db, form.data, wish.logo, { by: accountOf(res).id, now: now() }),
    )
    if (made === null) return askAgain(req, res, null, wish, undefined, takenPartner(form.data.name))
    tell(req, `${form.data.name} is there. Give it a project, and tie campaigns, mailings and lists to that.`)
    res.redirect(303, `/partners/${made.id}`)
  })

  routes.get('/partners/:id', async (req, res) => {
    await showPartner(res, await getPartner(db, req.params.id), {}, noErrors)
  })

  routes.get('/partners/:id/edit', async (req, res) => {
    const partner = await getPartner(db, req.params.id)
    showForm(res, partner, startOf(partner), noErrors, noLogo)
  })

  routes.post('/partners/:id', async (req, res) => {
    const partner = await getPartner(db, req.params.id)
    const form = PartnerForm.safeParse(req.body)
    const wish = logoWish(req, res)
    if (!form.success || wish.problem) return askAgain(req, res, partner, wish, form.error)
    const saved = await unlessTaken(async () => {
      await editPartner(db, partner.id, form.data, wish.logo)
      return true
    })
    if (saved === null) return askAgain(req, res, partner, wish, undefined, takenPartner(form.data.name))
    tell(req, 'The changes are saved.')
    res.redirect(303, `/partners/${partner.id}`)
  })

  // Archiving is a thing of its own: `archived` says which way, and without it the partner is archived.
  routes.post('/partners/:id/archiving', async (req, res) => {
    const { id, name } = await getPartner(db, req.params.id)
    const restoring = textsOf(req.body).archived === '0'
    await setArchived(db, 'partners', id, restoring ? null : now())
    tell(
      req,
      restoring ? `${name} is back.` : `${name} is archived. What belongs to its projects stays there.`,
    )
    res.redirect(303, restoring ? `/partners/${id}` : '/partners')
  })

  routes.post('/partners/:id/deletion', async (req, res) => {
    const { id, name } = await getPartner(db, req.params.id)
    await deletePartner(db, id)
    tell(req, `The partner ${name} is deleted.`)
    res.redirect(303, '/partners')
  })

  routes.post('/partners/:id/projects', async (req, res) => {
    const partner = await getPartner(db, req.params.id)
    const typed = textsOf(req.body)
    const form = ProjectForm.safeParse(req.body ?? {})
    if (!form.success) return showPartner(res.status(422), partner, typed, formErrors(form.error))
    const made = await unlessTaken(() =>
      createProject(
        db,
        { partnerId: partner.id, name: form.data.name },
        { by: accountOf(res).id, now: now() },
      ),
    )
    if (made === null)
      return showPartner(res.status(422), partner, typed, {
        first: 'name',
        name: `${partner.name} has a project ${form.data.name} already.`,
      })
    tell(req, `The project ${form.data.name} is there. Tie to it whatever belongs to it.`)
    res.redirect(303, `/projects/${made.id}`)
  })

  // Bytes that somebody uploaded: whatever is in them, a browser takes them for a picture, or for nothing.
  routes.get('/partners/:id/logo', async (req, res) => {
    const logo = await findLogo(db, req.params.id)
    if (!logo) throw new NotFound('This partner has no logo.')
    const bytes = Buffer.from(logo.bytes)
    res.set({
      'Content-Type': logo.type,
      'X-Content-Type-Options': 'nosniff',
      'Content-Security-Policy': "default-src 'none'; sandbox",
      'Content-Disposition': 'inline',
      // The browser keeps it and asks each time whether it is still the same.
      'Cache-Control': 'private, no-cache',
      ETag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
    })
    res.send(bytes)
  })

  async function showPartner(
    res: Response,
    partner: Partner,
    values: Record<string, string>,
    errors: FormErrors,
  ) {
    const projects = await listProjects(db, kinds, { partner: partner.id })
    res.render('partners/partner', {
      room: 'partners',
      partner,
      sample: sampleOf(partner.colour),
      projects: projects.map((project) => ({ ...project, tied: countsInWords(project.ties, kinds) })),
      hasTies: Object.keys(sumOfTies(projects)).length > 0,
      values,
      errors,
    })
  }

  function showForm(
    res: Response,
    partner: Partner | null,
    values: Record<string, string>,
    errors: FormErrors,
    { kept }: LogoWish,
  ) {
    res.render('partners/edit', {
      room: 'partners',
      partner,
      values,
      errors,
      kept,
      sample: sampleOf(values.colour ?? ''),
    })
  }

  /** The same form once more, with all that was typed and one sentence for each field that is wrong. */
  function askAgain(
    req: Request,
    res: Response,
    partner: Partner | null,
    wish: LogoWish,
    error?: Parameters<typeof formErrors>[0],
    taken?: FormErrors,
  ) {
    const errors: FormErrors = taken ?? (error ? formErrors(error) : { first: 'logo' })
    if (wish.problem) errors.logo = wish.problem
    const values = { ...startOf(partner), ...textsOf(req.body) }
    showForm(res.status(422), partner, values, errors, wish)
  }
  return routes
}

/** The values that the form begins with. */
const startOf = (partner: Partner | null): Record<string, string> => ({
  name: partner?.name ?? '',
  emails: partner?.emails.join('\n') ?? '',
  address: partner?.address ?? '',
  colour: partner?.colour ?? '',
  colour_before: partner?.colour ?? '',
  picker: partner?.colour || pickerStart,
  picker_before: partner?.colour || pickerStart,
  remove_logo: '',
})

/** How a colour will look on paper; null for what is none. */
function sampleOf(text: string) {
  const colour = hexColour(text)
  if (colour === null) return null
  const ink = inkOf(colour)
  // Cut, not rounded: 4.49 is not 4.5.
  const ratio = `${(Math.floor(ink.contrast * 10) / 10).toFixed(1)}:1`
  return {
    ...ink,
    words: ink.isDarkened
      ? `${colour} is too pale to be read on white. Reports print ${ink.ink}, at ${ratio}.`
      : `Reports print ${colour} as it is, at ${ratio} on white.`,
  }
}

const takenPartner = (name: string): FormErrors => ({
  first: 'name',
  name: `There is a partner ${name} already.`,
})

/** @returns null where the name is taken */
export async function unlessTaken<Result>(write: () => Promise<Result>): Promise<Result | null> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof NameTaken) return null
    throw error
  }
}
