import { type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Config } from '../config.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { number, plural } from '../web/formats.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { isRefresh, render, renderFragment, wantsFragment } from '../web/render.js'
import { Chosen, chosenIds, longSelections } from './chosen.js'
import { contactExport } from './contact-export.js'
import {
  bands,
  type Choosing,
  ContactFilter,
  contactsAddress,
  everybody,
  fieldsOf,
  filterOf,
  partsInForce,
  queryOf,
  sortWord,
} from './contact-filter.js'
import { bandSizes, conditionsOf, countContacts, listContacts } from './contact-list.js'
import {
  bandLinks,
  bandWords,
  chipsOf,
  describeList,
  type NamedList,
  sortChoices,
  statusWords,
} from './contacts-view.js'
import type { ImportContacts } from './csv-import.js'
import { importPages, importUploads } from './import-page.js'
import { originName } from './origins.js'
import {
  deleteSegment,
  getSegment,
  listSegments,
  renameSegment,
  SegmentForm,
  type SegmentSizes,
  saveSegment,
  segmentSizes,
} from './segments.js'
import { subscriptionStatuses } from './subscriptions.js'

/** Puts tags on contacts and takes them off, with all counts; tags by name, made where they do not exist yet. */
export type Retag = (change: {
  contacts: number[]
  add: string[]
  remove: string[]
  by?: number | null
}) => Promise<void>

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  config: Pick<Config, 'DATA_DIR'>
  retag: Retag
  importContacts: ImportContacts
  now: () => number
}

/** `/audience`, and what leads out of it and into it: the export, the import. */
export function audiencePages(needs: Needs) {
  const routes = Router()
  const { readers, calendar, now } = needs
  const sizes = segmentSizes({ readers, now })
  routes.use(contactExport({ readers, calendar, now }))
  routes.use(importPages({ ...needs, changed: sizes.forget }))
  routes.use(contactPages({ ...needs, sizes }))
  return routes
}

/** Reads bodies that are longer than other forms, and uploads. Mount it behind the login, before other body parsers. */
export function audienceBodies(needs: Pick<Needs, 'config' | 'now'>) {
  const routes = Router()
  routes.use(longSelections(), importUploads(needs))
  return routes
}

const pageLength = 50
/** What a page offers of so many tags to choose from. */
const mostTags = 500

/** The fields that [+ Filter] offers, in this order. */
const adders: { name: Choosing; label: string }[] = [
  { name: 'tag', label: 'Tag is' },
  { name: 'not', label: 'Tag is not' },
  { name: 'list', label: 'List' },
  { name: 'status', label: 'Status' },
  { name: 'band', label: 'Band' },
  { name: 'score', label: 'Score at least' },
  { name: 'source', label: 'Source' },
  { name: 'active', label: 'Active within' },
  { name: 'quiet', label: 'Quiet for' },
  { name: 'domain', label: 'Domain of the address' },
]
const Adding = z.object({
  add: z
    .enum(adders.map(({ name }) => name))
    .or(z.literal(''))
    .catch(''),
})

/** Text of a form, whatever else was sent. */
const text = z.string().catch('')
const Tagging = z.object({
  tag: z
    .string('Name a tag.')
    .trim()
    .min(1, 'Name a tag.')
    .max(80, 'Keep the tag under 80 letters.')
    .refine((name) => !name.includes(','), 'A tag has no comma in its name.'),
  do: z.enum(['tag', 'untag'], 'Choose to tag or to untag.'),
})

/** Everybody, ranked, filtered, sorted, and tagged by the handful or by the thousand. */
function contactPages({
  db,
  readers,
  calendar,
  retag,
  sizes,
  now,
}: Pick<Needs, 'db' | 'readers' | 'calendar' | 'retag' | 'now'> & { sizes: SegmentSizes }) {
  const routes = Router()
  const { timeZone } = calendar

  routes.get('/audience', async (req, res) => {
    const filter = ContactFilter.parse(req.query)
    const { add } = Adding.parse(req.query)
    const address = contactsAddress(filter, { after: filter.after })
    // Typing in the search narrows the view under an address that leaves out what is as usual.
    if (wantsFragment(req) && !isRefresh(req) && req.url !== address) res.set('HX-Replace-Url', address)
    await showPage(res, filter, { add })
  })

  /** The ranking as it fills, looked at again by the page itself. */
  routes.get('/audience/ranking', async (req, res) => {
    const { machines } = ContactFilter.parse(req.query)
    const filter = { ...everybody, machines }
    const conditions = await conditionsOf({ readers, now: now() }, filter)
    const [page, { everyone }] = await Promise.all([
      listContacts(readers, conditions, { limit: pageLength }),
      bandSizes(readers),
    ])
    renderFragment(res, 'audience/_contact-list', describeList(filter, page, everyone, { timeZone }))
  })

  routes.get('/audience/more', async (req, res) => {
    const filter = ContactFilter.parse(req.query)
    const { shown } = z.object({ shown: z.coerce.number().int().min(0).max(1e9).catch(0) }).parse(req.query)
    const conditions = await conditionsOf({ readers, now: now() }, filter)
    const [page, matching] = await Promise.all([
      listContacts(readers, conditions, { limit: pageLength }),
      countContacts(readers, conditions),
    ])
    renderFragment(
      res,
      'audience/_more-contacts',
      describeList(filter, page, matching, { timeZone, shown, isMore: true }),
    )
  })

  routes.post('/audience/tagging', async (req, res) => {
    const chosen = Chosen.parse(req.body ?? {})
    const form = Tagging.safeParse(req.body)
    const nobody = !chosen.all && chosen.id.length === 0
    const errors = form.success
      ? nobody
        ? { first: 'tag', tag: 'Choose some contacts first.' }
        : null
      : formErrors(form.error)
    if (errors || !form.success) {
      const typed = text.parse((req.body as { tag?: unknown } | undefined)?.tag)
      return showPage(res.status(422), chosen.filter, { chosen, tag: typed, errors: errors! })
    }
    const { tag } = form.data
    const adding = form.data.do === 'tag'
    const ids: number[] = []
    for await (const page of chosenIds({ readers, now }, req.body)) ids.push(...page)
    await retag({ contacts: ids, add: adding ? [tag] : [], remove: adding ? [] : [tag] })
    sizes.forget()
    const kept = adding ? null : await keptBy(db, tag, ids)
    const told = plural(ids.length, 'contact', 'contacts')
    tell(
      req,
      adding ? `The tag ${tag} is on ${told}.` : `The tag ${tag} is off ${told}.${kept ? ` ${kept}` : ''}`,
    )
    res.redirect(303, contactsAddress(chosen.filter, { after: chosen.filter.after }))
  })

  routes.post('/audience/segments', async (req, res) => {
    const body = z.object({ filter: text, name: text }).parse(req.body ?? {})
    const filter = { ...filterOf(body.filter), after: 0 }
    const form = SegmentForm.safeParse(body)
    const ask = (errors: FormErrors) =>
      res
        .status(422)
        .render('audience/save-segment', { room: 'audience', values: body, errors, filter: queryOf(filter) })
    if (!form.success) return ask(formErrors(form.error))
    const made = await saveSegment(
      db,
      { name: form.data.name, query: queryOf(filter) },
      { by: accountOf(res).id, now: now() },
    )
    if (!made) return ask(nameTaken)
    tell(req, `The segment ${form.data.name} is saved.`)
    res.redirect(303, contactsAddress(filter))
  })

  routes.get('/audience/segments/:id', async (req, res) => {
    const segment = await getSegment(db, req.params.id)
    showSegment(res, segment, { name: segment.name }, { first: '' })
  })
  routes.post('/audience/segments/:id', async (req, res) => {
    const segment = await getSegment(db, req.params.id)
    const values = z.object({ name: text }).parse(req.body ?? {})
    const form = SegmentForm.safeParse(values)
    if (!form.success) return showSegment(res.status(422), segment, values, formErrors(form.error))
    if (!(await renameSegment(db, segment.id, form.data.name)))
      return showSegment(res.status(422), segment, values, nameTaken)
    tell(req, `The segment is called ${form.data.name} now.`)
    res.redirect(303, addressOfQuery(segment.query))
  })
  routes.post('/audience/segments/:id/delete', async (req, res) => {
    const segment = await getSegment(db, req.params.id)
    await deleteSegment(db, segment.id)
    tell(req, `The segment ${segment.name} is deleted. Its contacts stay as they are.`)
    res.redirect(303, '/audience')
  })

  function showSegment(res: Response, segment: { query: string }, values: object, errors: FormErrors) {
    const back = addressOfQuery(segment.query)
    res.render('audience/segment', { room: 'audience', segment, back, values, errors })
  }

  interface Extra {
    add?: string
    /** What a form had chosen that is shown again. */
    chosen?: Chosen
    tag?: string
    errors?: FormErrors
  }

  async function showPage(res: Response, filter: ContactFilter, extra: Extra) {
    const view = { page: 'audience/index', fragment: 'audience/_contacts' }
    const inBands = await bandSizes(readers)
    const running = await runningSync(db)
    if (inBands.everyone === 0) return render(res, view, { room: 'audience', isEmpty: true, running })

    const conditions = await conditionsOf({ readers, now: now() }, filter)
    const [page, matching, segments, lists, tags] = await Promise.all([
      listContacts(readers, conditions, { limit: pageLength }),
      isNobodyLeftOut(filter) ? inBands.everyone : countContacts(readers, conditions),
      listSegments(db),
      db.selectFrom('lists').select(['id', 'name']).orderBy('name').execute(),
      db.selectFrom('tags').select('name').orderBy('name').limit(mostTags).execute(),
    ])
    const inSegments = await sizes.of(segments)
    const own = keyOf(filter)
    const word = sortWord(filter.sort, filter.order)
    const to = (change: Partial<ContactFilter>) => contactsAddress(filter, change)
    const inForce = segments.find(({ query }) => keyOf(filterOf(query)) === own)
    const tagNames = tags.map(({ name }) => name)

    render(res, view, {
      room: 'audience',
      isEmpty: false,
      running,
      filter,
      fields: (leaving: string[]) =>
        fieldsOf({ ...filter, after: 0 }).filter(([name]) => !leaving.includes(name)),
      query: queryOf({ ...filter, after: 0 }),
      exportAddress: contactsAddress({ ...filter, after: 0 }, {}, '/audience/export.csv'),
      everyone: contactsAddress({ ...everybody, machines: filter.machines }),
      bands: bandLinks(filter, inBands),
      segments: segments.map((segment) => ({
        ...segment,
        address: addressOfQuery(segment.query),
        contacts: inSegments.get(segment.query) ?? 0,
        isCurrent: segment === inForce,
      })),
      inForce: inForce ?? null,
      chips: chipsOf(filter, lists),
      tagRule:
        filter.tag.length > 1
          ? { rule: filter.tags, all: to({ tags: 'all' }), any: to({ tags: 'any' }) }
          : null,
      adders: adders.map(({ name, label }) => {
        const query = queryOf({ ...filter, after: 0 })
        return { label, address: `/audience?${query ? `${query}&` : ''}add=${name}` }
      }),
      adding: extra.add ? await fieldFor(extra.add, { lists, tagNames }) : null,
      withoutAdding: to({}),
      sortChoices: [
        ...sortChoices,
        ...(sortChoices.some((choice) => choice.word === word) ? [] : [{ word, label: 'As in the table' }]),
      ].map((choice) => ({ ...choice, chosen: choice.word === word })),
      tagNames,
      chosenAll: extra.chosen?.all ?? false,
      typedTag: extra.tag ?? '',
      tagError: extra.errors?.[extra.errors.first] ?? '',
      ...describeList(filter, page, matching, { timeZone, chosen: extra.chosen?.id ?? [] }),
    })
  }

  /** What [+ Filter] asks for one part of the filter. */
  async function fieldFor(name: string, { lists, tagNames }: { lists: NamedList[]; tagNames: string[] }) {
    const label = adders.find((adder) => adder.name === name)!.label
    const choose = (options: { value: string; label: string }[], nothing: string) => ({
      name,
      label,
      kind: 'choice' as const,
      options,
      nothing,
    })
    const plain = (value: string) => ({ value, label: value })
    switch (name) {
      case 'tag':
      case 'not':
        return choose(tagNames.map(plain), 'There are no tags yet.')
      case 'list':
        return choose(
          lists.map((list) => ({ value: String(list.id), label: list.name })),
          'There are no lists yet.',
        )
      case 'status':
        return choose(
          [...subscriptionStatuses, 'none'].map((value) => ({ value, label: statusWords[value]! })),
          '',
        )
      case 'band':
        return choose(
          [...bands, 'none'].map((value) => ({ value, label: bandWords[value]!.toLowerCase() })),
          '',
        )
      case 'source': {
        const sources = await readers
          .selectFrom('contacts')
          .select('source')
          .distinct()
          .orderBy('source')
          .execute()
        return choose(
          sources.map(({ source }) => ({ value: source, label: originName(source) })),
          '',
        )
      }
      case 'score':
        return { name, label, kind: 'number' as const, most: 100, unit: 'points' }
      case 'domain':
        return { name, label, kind: 'text' as const }
      default:
        return { name, label, kind: 'number' as const, most: 3650, unit: 'days' }
    }
  }

  return routes
}

const nameTaken: FormErrors = {
  first: 'name',
  name: 'Another segment has this name. Choose a different one.',
}
const addressOfQuery = (query: string) => (query ? `/audience?${query}` : '/audience')

/** What a filter chooses, whatever the order: two with the same key show the same people. */
const keyOf = (filter: ContactFilter) =>
  queryOf({ ...filter, after: 0, sort: everybody.sort, order: everybody.order })

const isNobodyLeftOut = (filter: ContactFilter) => partsInForce(filter).length === 0

/** The provider that is being read at the moment, if any: its contacts come in while people look. */
async function runningSync(db: Db) {
  const run = await db
    .selectFrom('sync_runs')
    .select('provider')
    .where('state', 'in', ['running', 'waiting'])
    .limit(1)
    .executeTakeFirst()
  return run ? { provider: run.provider, name: originName(run.provider) } : null
}

/** Who still has a tag that was taken off, because a provider keeps it there: in a sentence, or nothing. */
async function keptBy(db: Db, tag: string, ids: number[]): Promise<string | null> {
  const rows = await db
    .selectFrom('contact_tags')
    .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
    .select(({ fn }) => ['origin', fn.count<number>('contact_id').distinct().as('contacts')])
    .where('tags.name', '=', tag)
    .where(({ ref }) => isAmong(ref('contact_id'), ids))
    .groupBy('origin')
    .execute()
  if (rows.length === 0) return null
  const byKeeper = new Map<string, number>()
  for (const { origin, contacts } of rows)
    byKeeper.set(originName(origin), Math.max(contacts, byKeeper.get(originName(origin)) ?? 0))
  const kept = [...byKeeper].map(([keeper, contacts]) => `${number(contacts)} by ${keeper}`)
  return `It is kept on ${kept.join(', ')}, which has its own say over it.`
}
