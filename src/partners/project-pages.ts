import { type Request, Router } from 'express'
import * as z from 'zod'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { render, wantsFragment } from '../web/render.js'
import { deleteProject, renameProject, setArchived } from './commands.js'
import { ProjectForm, textsOf } from './forms.js'
import type { TiedKinds } from './kinds.js'
import { unlessTaken } from './partner-pages.js'
import { fullName, getProject, type ProjectName, projectsOf, thingsOf } from './ties.js'

interface Needs {
  db: Db
  readers: Readers
  kinds: TiedKinds
  now: () => number
}

const noErrors: FormErrors = { first: '' }
/** What a page shows of each kind at first, and adds each time. */
const pageLength = 50
/** How many things a search offers. */
const mostFound = 20

/** `/projects/:id`: all that belongs to a project, by kind, and a search for what should. */
export function projectPages({ db, readers, kinds, now }: Needs) {
  const routes = Router()
  const first = () => kinds.all[0]?.kind ?? ''
  const ProjectView = z.object({
    kind: z.string().catch(''),
    q: z.string().trim().max(200).catch(''),
    show: z.coerce.number().int().min(pageLength).max(10_000).catch(pageLength),
  })
  type ProjectView = z.infer<typeof ProjectView>
  const viewOf = (req: Request): ProjectView => {
    const view = ProjectView.parse(req.query)
    return kinds.all.some(({ kind }) => kind === view.kind) ? view : { ...view, kind: first() }
  }
  const addressOf = (project: number, { kind, q, show }: ProjectView) => {
    const query = new URLSearchParams()
    if (kind !== first()) query.set('kind', kind)
    if (q !== '') query.set('q', q)
    if (show !== pageLength) query.set('show', String(show))
    return query.size > 0 ? `/projects/${project}?${query}` : `/projects/${project}`
  }

  // Somebody who cuts the address short finds the projects at their partners.
  routes.get('/projects', (_req, res) => res.redirect(303, '/partners'))

  async function found(project: ProjectName, { kind, q }: ProjectView) {
    const searched = kinds.get(kind)
    const things = await searched.search(readers, q, mostFound + 1)
    const shown = things.slice(0, mostFound)
    const owners = await projectsOf(
      db,
      searched.kind,
      shown.map(({ id }) => id),
    )
    return {
      searched,
      hasMore: things.length > mostFound,
      found: shown.map((thing) => {
        const owner = owners.get(thing.id)
        return { ...thing, isHere: owner?.id === project.id, owner: owner ? fullName(owner) : '' }
      }),
    }
  }

  async function dataOf(project: ProjectName, view: ProjectView) {
    return { project, view, back: `${addressOf(project.id, view)}#find`, ...(await found(project, view)) }
  }

  async function pageOf(project: ProjectName, view: ProjectView, values: object, errors: FormErrors) {
    const [data, all] = await Promise.all([
      dataOf(project, view),
      Promise.all(
        kinds.all.map(async (kind) => ({
          kind: kind.kind,
          title: kind.title,
          ...(await thingsOf(db, kind, project.id, view.show)),
        })),
      ),
    ])
    const { created_at, archived_at } = await db
      .selectFrom('projects')
      .select(['created_at', 'archived_at'])
      .where('id', '=', project.id)
      .executeTakeFirstOrThrow()
    return {
      room: 'partners',
      ...data,
      values,
      errors,
      created_at,
      archived_at,
      here: addressOf(project.id, view),
      more: addressOf(project.id, { ...view, show: view.show + pageLength }),
      kinds: kinds.all,
      groups: all.filter(({ count }) => count > 0),
    }
  }

  routes.get('/projects/:id', async (req, res) => {
    const project = await getProject(db, req.params.id)
    const view = viewOf(req)
    res.set('Cache-Control', 'no-store')
    const data = wantsFragment(req)
      ? await dataOf(project, view)
      : await pageOf(project, view, { name: project.name }, noErrors)
    if (wantsFragment(req)) res.set('HX-Replace-Url', addressOf(project.id, view))
    render(res, { page: 'partners/project', fragment: 'partners/_found' }, data)
  })

  routes.post('/projects/:id', async (req, res) => {
    const project = await getProject(db, req.params.id)
    const refuse = async (errors: FormErrors) =>
      res
        .status(422)
        .render('partners/project', await pageOf(project, viewOf(req), textsOf(req.body), errors))
    const form = ProjectForm.safeParse(req.body ?? {})
    if (!form.success) return refuse(formErrors(form.error))
    const { name } = form.data
    const saved = await unlessTaken(async () => {
      await renameProject(db, project.id, name)
      return true
    })
    if (saved === null)
      return refuse({ first: 'name', name: `${project.partner.name} has another project ${name} already.` })
    tell(req, `The project is called ${name} now.`)
    res.redirect(303, `/projects/${project.id}`)
  })

  routes.post('/projects/:id/archiving', async (req, res) => {
    const { id, name } = await getProject(db, req.params.id)
    const restoring = textsOf(req.body).archived === '0'
    await setArchived(db, 'projects', id, restoring ? null : now())
    tell(req, restoring ? `${name} is back.` : `${name} is archived. What belongs to it stays there.`)
    res.redirect(303, `/projects/${id}`)
  })

  routes.post('/projects/:id/deletion', async (req, res) => {
    const { id, name, partner } = await getProject(db, req.params.id)
    await deleteProject(db, id)
    tell(req, `The project ${name} is deleted.`)
    res.redirect(303, `/partners/${partner.id}`)
  })

  return routes
}
