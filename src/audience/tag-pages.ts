import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { HttpError } from '../web/errors.js'
import { plural } from '../web/formats.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { clicksOf, opensOf } from './counting.js'
import { originName } from './origins.js'
import {
  createTag,
  DescriptionForm,
  describeTag,
  editTag,
  renameInSegments,
  TagForm,
  TagNameTaken,
} from './tag-commands.js'
import { getTag, listTags, originsOf, segmentsWith, type Tag, type TagSort, tagSorts } from './tags.js'

interface Needs {
  db: Db
  now: () => number
  /** Gives all contacts of one tag the other, and ends the first; through the ledger, since counts change. */
  mergeTags: (tags: { from: number; into: number }) => Promise<unknown>
  /** Takes a tag off all its contacts and ends it; through the ledger. */
  deleteTag: (id: number) => Promise<unknown>
}

const sorts = Object.keys(tagSorts) as [TagSort, ...TagSort[]]
const TagView = z.object({
  sort: z.enum(sorts).catch('size'),
  order: z.enum(['asc', 'desc', '']).catch(''),
  machines: z
    .enum(['0', '1'])
    .transform((value) => value === '1')
    .catch(false),
})
type TagView = z.infer<typeof TagView>

const noErrors: FormErrors = { first: '' }
const Typed = z.record(z.string(), z.string().catch('')).catch({})
const typed = (req: Request): Record<string, string> => Typed.parse(req.body)

/** `/audience/tags`: what contacts are labelled with. */
export function tagPages({ db, now, mergeTags, deleteTag }: Needs) {
  const routes = Router()

  async function showList(
    req: Request,
    res: Response,
    form: { values: Record<string, string>; errors: FormErrors },
  ) {
    const view = TagView.parse(req.query)
    const tags = await listTags(db, { ...view, order: view.order || tagSorts[view.sort] })
    res.render('audience/tags', {
      room: 'audience',
      ...form,
      tags: tags.map((tag) => shownTag(tag, view)),
      view,
      at: (changes: Partial<TagView>) => address({ ...view, ...changes }),
      columns: columnsOf(view),
    })
  }

  routes.get('/audience/tags', (req, res) => showList(req, res, { values: {}, errors: noErrors }))

  routes.post('/audience/tags', async (req, res) => {
    const form = TagForm.safeParse(req.body)
    const refuse = (errors: FormErrors) => showList(req, res.status(422), { values: typed(req), errors })
    if (!form.success) return refuse(formErrors(form.error))
    const isFree = await unlessTaken(() => createTag(db, form.data, now()))
    if (!isFree) return refuse(taken(form.data.name))
    tell(req, `The tag ${form.data.name} is there.`)
    res.redirect(303, '/audience/tags')
  })

  async function showTag(res: Response, tag: Tag, values: Record<string, string>, errors: FormErrors) {
    const all = await listTags(db, { machines: false, sort: 'name' })
    res.render('audience/tag', {
      room: 'audience',
      ...named(tag),
      values,
      errors,
      others: all.filter(({ id }) => id !== tag.id),
      givers: tag.provider === null ? [...new Set((await originsOf(db, tag.id)).map(originName))] : [],
      segments: await segmentsWith(db, tag.name),
    })
  }
  const valuesOf = ({ name, description }: Tag) => ({ name, description, into: '' })

  routes.get('/audience/tags/:id', async (req, res) => {
    const tag = await getTag(db, req.params.id)
    await showTag(res, tag, valuesOf(tag), noErrors)
  })

  routes.post('/audience/tags/:id', async (req, res) => {
    const tag = await getTag(db, req.params.id)
    const given = { ...valuesOf(tag), ...typed(req) }
    // What the provider keeps has the provider's name; a description is ours all the same.
    const form = tag.provider === null ? TagForm.safeParse(req.body) : DescriptionForm.safeParse(req.body)
    if (!form.success) return showTag(res.status(422), tag, given, formErrors(form.error))
    if (tag.provider !== null) await describeTag(db, tag.id, form.data.description)
    else {
      const changed = { name: tag.name, ...form.data }
      const isFree = await unlessTaken(() => editTag(db, tag, changed))
      if (!isFree) return showTag(res.status(422), tag, given, taken(changed.name))
    }
    tell(req, 'The changes are saved.')
    res.redirect(303, '/audience/tags')
  })

  routes.post('/audience/tags/:id/merge', async (req, res) => {
    const tag = await getTag(db, req.params.id)
    onlyOurs(tag)
    const refuse = (sentence: string) =>
      showTag(res.status(422), tag, { ...valuesOf(tag), ...typed(req) }, { first: 'into', into: sentence })
    const id = typed(req).into ?? ''
    if (!/^[1-9]\d{0,14}$/.test(id)) return refuse('Choose the tag to merge into.')
    if (Number(id) === tag.id) return refuse('Choose another tag than this one.')
    const into = await getTag(db, id)
    await mergeTags({ from: tag.id, into: into.id })
    await renameInSegments(db, tag.name, into.name)
    tell(req, `${tag.name} is now part of ${into.name}: ${plural(tag.contacts, 'contact', 'contacts')}.`)
    res.redirect(303, '/audience/tags')
  })

  async function showDelete(res: Response, tag: Tag, errors: FormErrors) {
    res.render('audience/delete-tag', {
      room: 'audience',
      ...named(tag),
      errors,
      segments: await segmentsWith(db, tag.name),
    })
  }
  routes.get('/audience/tags/:id/delete', async (req, res) => {
    const tag = await getTag(db, req.params.id)
    onlyOurs(tag)
    await showDelete(res, tag, noErrors)
  })
  routes.post('/audience/tags/:id/delete', async (req, res) => {
    const tag = await getTag(db, req.params.id)
    onlyOurs(tag)
    if (typed(req).sure !== '1')
      return showDelete(res.status(422), tag, {
        first: 'sure',
        sure: 'Tick this first. It cannot be taken back.',
      })
    await deleteTag(tag.id)
    tell(req, `The tag ${tag.name} is deleted.`)
    res.redirect(303, '/audience/tags')
  })

  return routes
}

const named = (tag: Tag) => ({
  tag,
  provider: tag.provider === null ? '' : originName(tag.provider),
  contactsAddress: contactsWith(tag),
})
const contactsWith = ({ name }: Tag) => `/audience?${new URLSearchParams({ tag: name })}`

function onlyOurs({ name, provider }: Tag) {
  if (provider === null) return
  const keeper = originName(provider)
  throw new HttpError(409, `${keeper} keeps the tag ${name}. Change it there; the next sync brings it here.`)
}

const taken = (name: string): FormErrors => ({
  first: 'name',
  name: `There is a tag ${name} already. To make one of two, merge them.`,
})

/** @returns whether it was written */
async function unlessTaken(write: () => Promise<unknown>) {
  try {
    await write()
    return true
  } catch (error) {
    if (error instanceof TagNameTaken) return false
    throw error
  }
}

const shownTag = (tag: Tag, view: TagView) => ({
  ...tag,
  from: tag.provider === null ? 'Ours' : originName(tag.provider),
  contactsAddress: contactsWith(tag),
  shownOpens: opensOf(tag, view),
  shownClicks: clicksOf(tag, view),
  score: tag.averageScore === null ? null : Math.round(tag.averageScore),
})

const labels: Record<TagSort, string> = {
  name: 'Tag',
  size: 'Contacts',
  score: 'Average score',
  opens: 'Opens',
  clicks: 'Clicks',
}

const columnsOf = (view: TagView) =>
  (['name', 'size', 'score', 'opens', 'clicks'] as const).map((sort) => {
    const current = sort === view.sort
    const order = view.order || tagSorts[sort]
    const next = current ? (order === 'asc' ? 'desc' : 'asc') : tagSorts[sort]
    return {
      sort,
      label: labels[sort],
      sorted: current ? (order === 'asc' ? 'ascending' : 'descending') : '',
      // Which way round is said only where it is not the usual one.
      address: { sort, order: next === tagSorts[sort] ? ('' as const) : next },
    }
  })

function address({ sort, order, machines }: TagView) {
  const query = new URLSearchParams()
  if (sort !== 'size') query.set('sort', sort)
  if (order !== '' && order !== tagSorts[sort]) query.set('order', order)
  if (machines) query.set('machines', '1')
  return query.size > 0 ? `/audience/tags?${query}` : '/audience/tags'
}
