import express, { type Response, Router } from 'express'
import * as z from 'zod'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { noValue, number, plural } from '../web/formats.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { isRefresh, render, renderFragment, wantsFragment } from '../web/render.js'
import {
  bands,
  type Choosing,
  ContactFilter,
  type ContactSort,
  contactSorts,
  contactsAddress,
  everybody,
  fieldsOf,
  filterOf,
  partsInForce,
  queryOf,
  sortWord,
} from './contact-filter.js'
import {
  type BandSizes,
  bandSizes,
  type ContactPage,
  type ContactRow,
  conditionsOf,
  contactIds,
  countContacts,
  listContacts,
} from './contact-list.js'
import { originName } from './origins.js'
import {
  deleteSegment,
  getSegment,
  listSegments,
  renameSegment,
  SegmentForm,
  saveSegment,
  segmentSizes,
} from './segments.js'
import { subscriptionStatuses } from './subscriptions.js'

/** Puts tags on contacts and takes them off, with all counts; tags by name, made where they do not exist yet. */
export type Retag = (change: {
  contacts: number[]
  add: string[]
  remove: string[]
  by: number | null
}) => Promise<void>

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  retag: Retag
  now: () => number
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

const bandWords: Record<string, string> = {
  champion: 'Champion',
  active: 'Active',
  passive: 'Passive',
  fading: 'Fading',
  dormant: 'Dormant',
  new: 'New',
  none: 'No score yet',
}
export const statusWords: Record<string, string> = {
  subscribed: 'subscribed',
  paused: 'paused',
  unconfirmed: 'not confirmed',
  unsubscribed: 'unsubscribed',
  complained: 'complained',
  bounced: 'bounced',
  removed: 'removed',
  none: 'on no list',
}
const columns: { sort: ContactSort | null; label: string; look: string }[] = [
  { sort: 'name', label: 'Contact', look: 'lead' },
  { sort: 'score', label: 'Score', look: '' },
  { sort: 'trend', label: 'Trend', look: 'num' },
  { sort: 'opens', label: 'Opens', look: 'num' },
  { sort: 'clicks', label: 'Clicks', look: 'num' },
  { sort: 'last', label: 'Last activity', look: 'num' },
  { sort: 'since', label: 'Since', look: 'num late' },
  { sort: null, label: 'Source', look: 'late' },
  { sort: null, label: 'Tags', look: 'late' },
]
/** On a phone, where the table has no head. */
const sortChoices = [
  { word: 'score', label: 'Score' },
  { word: 'trend', label: 'Trend' },
  { word: 'last', label: 'Last activity' },
  { word: 'name', label: 'Name' },
  { word: 'opens', label: 'Opens' },
  { word: 'clicks', label: 'Clicks' },
  { word: 'since', label: 'Newest' },
]
const inOrder: Record<string, string> = {
  score: 'highest score first',
  'score-asc': 'lowest score first',
  trend: 'who rose most first',
  'trend-asc': 'who fell most first',
  name: 'by name',
  'name-asc': 'by name',
  'name-desc': 'by name, backwards',
  opens: 'most opens first',
  'opens-asc': 'fewest opens first',
  clicks: 'most clicks first',
  'clicks-asc': 'fewest clicks first',
  last: 'latest activity first',
  'last-asc': 'longest quiet first',
  since: 'newest subscribers first',
  'since-asc': 'oldest subscribers first',
}
const directionWords = { asc: 'ascending', desc: 'descending' } as const

/** Text of a form, whatever else was sent. */
const text = z.string().catch('')
const Chosen = z.object({
  id: z
    .preprocess(
      (value) => (Array.isArray(value) ? value : [value]),
      z.array(z.coerce.number().int().catch(0)),
    )
    .transform((ids) => ids.filter((id) => id > 0)),
  /** All that the filter lets through, chosen or not. */
  all: text.transform((value) => value === '1'),
  filter: text.transform(filterOf),
})
const Tagging = z.object({
  tag: z
    .string('Name a tag.')
    .trim()
    .min(1, 'Name a tag.')
    .max(80, 'Keep the tag under 80 letters.')
    .refine((name) => !name.includes(','), 'A tag has no comma in its name.'),
  do: z.enum(['tag', 'untag'], 'Choose to tag or to untag.'),
})
type Chosen = z.infer<typeof Chosen>

/** A page of contacts has a box on each row: more fields than other forms. Mount it before other body parsers. */
export const longSelections = () => {
  const routes = Router()
  const body = express.urlencoded({ extended: false, limit: '1mb', parameterLimit: 20_000 })
  routes.post(['/audience/tagging', '/audience/export.csv'], body)
  return routes
}

/** Who has been chosen on a page of contacts: those that were ticked, or all of its filter, in pages of ids. */
export async function* chosenIds(
  { readers, now }: Pick<Needs, 'readers' | 'now'>,
  body: unknown,
  { pageLength }: { pageLength?: number } = {},
) {
  const chosen = Chosen.parse(body ?? {})
  if (!chosen.all) {
    for (let from = 0; from < chosen.id.length; from += 1_000) yield chosen.id.slice(from, from + 1_000)
    return
  }
  const conditions = await conditionsOf({ readers, now: now() }, { ...chosen.filter, after: 0 })
  yield* contactIds(readers, conditions, { pageLength })
}

/** `/audience`: everybody, ranked, filtered, sorted, and tagged by the handful or by the thousand. */
export function contactPages({ db, readers, calendar, retag, now }: Needs) {
  const routes = Router()
  const sizes = segmentSizes({ readers, now })
  const sinceMonth = monthFormat(calendar.timeZone)

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
    renderFragment(res, 'audience/_contact-list', describeList(filter, page, everyone))
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
      describeList(filter, page, matching, { shown, isMore: true }),
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
    await retag({
      contacts: ids,
      add: adding ? [tag] : [],
      remove: adding ? [] : [tag],
      by: accountOf(res).id,
    })
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
      ...describeList(filter, page, matching, { chosen: extra.chosen?.id ?? [] }),
    })
  }

  /** The table and its foot, in the whole page and alone. */
  function describeList(
    filter: ContactFilter,
    page: ContactPage,
    matching: number,
    { shown = 0, isMore = false, chosen = [] }: { shown?: number; isMore?: boolean; chosen?: number[] } = {},
  ) {
    const to = (change: Partial<ContactFilter>) => contactsAddress(filter, change)
    const until = shown + page.rows.length
    const parts = partsInForce(filter)
    const word = sortWord(filter.sort, filter.order)
    const proxies = sumOf(page.rows, 'proxy_opens')
    const machines = sumOf(page.rows, 'machine_opens') + sumOf(page.rows, 'machine_clicks')
    const unjudged = sumOf(page.rows, 'unjudged_opens') + sumOf(page.rows, 'unjudged_clicks')
    return {
      rows: page.rows.map((row) => ({ ...rowOf(row, filter), isChosen: chosen.includes(row.id) })),
      matching,
      isMore,
      isFiltered: parts.length > 0,
      withMachines: filter.machines,
      everybodyAddress: contactsAddress({ ...everybody, machines: filter.machines }),
      // Only the first page in the usual order is read from an index alone, and so may be read every few seconds.
      refreshAddress:
        parts.length === 0 && word === 'score' && filter.after === 0 && !isMore
          ? contactsAddress({ ...everybody, machines: filter.machines }, {}, '/audience/ranking')
          : '',
      caption: `${captionOf(parts, filter)}, ${inOrder[word]}`,
      columns: columns.map(({ sort, label, look }) => {
        const current = sort === filter.sort
        const order = sort && (current ? (filter.order === 'asc' ? 'desc' : 'asc') : contactSorts[sort])
        return {
          label,
          look,
          word: sort,
          address: sort && order ? to({ sort, order }) : '',
          sorted: current ? directionWords[filter.order] : '',
        }
      }),
      foot: {
        shown: isMore ? until : page.rows.length,
        fromTop: isMore || filter.after === 0 ? '' : to({}),
        next: page.next === null ? '' : to({ after: page.next }),
        nextPart:
          page.next === null
            ? ''
            : `${contactsAddress(filter, { after: page.next }, '/audience/more')}&shown=${until}`,
        people: leftOutSentence(filter, { proxies, machines, rows: page.rows.length, isMore }),
        unjudged,
        switchTo: to({ machines: !filter.machines, after: filter.after }),
      },
    }
  }

  function rowOf(row: ContactRow, { machines }: ContactFilter) {
    const opens = machines ? row.opens + row.proxy_opens + row.machine_opens : row.opens
    const clicks = machines ? row.clicks + row.machine_clicks : row.clicks
    const lastAt = machines ? latest(row.last_active_at, row.machine_last_active_at) : row.last_active_at
    const score = row.score === null ? null : Math.round(row.score)
    return {
      id: row.id,
      name: row.name || row.email,
      email: row.name ? row.email : '',
      score,
      band: row.band,
      trend: trendOf(row.trend),
      opens,
      opensTitle: beside([
        !machines && row.proxy_opens > 0 && `${number(row.proxy_opens)} by mail proxies left out`,
        !machines && row.machine_opens > 0 && `${number(row.machine_opens)} by machines left out`,
        row.unjudged_opens > 0 && `${number(row.unjudged_opens)} cannot be judged`,
      ]),
      clicks,
      clicksTitle: beside([
        !machines && row.machine_clicks > 0 && `${number(row.machine_clicks)} by machines left out`,
        row.unjudged_clicks > 0 && `${number(row.unjudged_clicks)} cannot be judged`,
      ]),
      lastAt,
      since: row.subscribed_at,
      sinceMonth: row.subscribed_at === null ? '' : sinceMonth(row.subscribed_at),
      source: originName(row.source),
      status: row.status && row.status !== 'subscribed' ? (statusWords[row.status] ?? row.status) : '',
      tags: row.tags.slice(0, 2),
      moreTags: row.tags.slice(2),
    }
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

  return { routes, forgetSizes: sizes.forget }
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

function bandLinks(filter: ContactFilter, sizes: BandSizes) {
  const [only, ...others] = partsInForce(filter)
  const current = only === undefined ? 'everyone' : only === 'band' && others.length === 0 ? filter.band : ''
  const names = ['everyone', ...bands, ...(sizes.none > 0 ? ['none' as const] : [])] as const
  return names.map((name) => ({
    label: name === 'everyone' ? 'Everyone' : bandWords[name]!,
    contacts: sizes[name],
    isCurrent: name === current,
    address: contactsAddress({
      ...everybody,
      machines: filter.machines,
      sort: filter.sort,
      order: filter.order,
      band: name === 'everyone' ? '' : name,
    }),
  }))
}

interface NamedList {
  id: number
  name: string
}

/** Each part of a filter in words, with the address without it. */
function chipsOf(filter: ContactFilter, lists: NamedList[]) {
  const chips: { label: string; value: string; without: string }[] = []
  const chip = (label: string, value: string, change: Partial<ContactFilter>) =>
    chips.push({ label, value, without: contactsAddress(filter, change) })
  for (const name of filter.tag) chip('tag is', name, { tag: filter.tag.filter((other) => other !== name) })
  for (const name of filter.not)
    chip('tag is not', name, { not: filter.not.filter((other) => other !== name) })
  if (filter.list)
    chip('list', lists.find(({ id }) => id === filter.list)?.name ?? String(filter.list), { list: 0 })
  if (filter.status) chip('status', statusWords[filter.status]!, { status: '' })
  if (filter.band) chip('band', bandWords[filter.band]!.toLowerCase(), { band: '' })
  if (filter.score) chip('score', `${filter.score} or more`, { score: 0 })
  if (filter.source) chip('source', originName(filter.source), { source: '' })
  if (filter.active) chip('active within', plural(filter.active, 'day', 'days'), { active: 0 })
  if (filter.quiet) chip('quiet for', plural(filter.quiet, 'day', 'days'), { quiet: 0 })
  if (filter.domain) chip('domain', filter.domain, { domain: '' })
  return chips
}

const captionOf = (parts: Choosing[], { band }: ContactFilter) =>
  parts.length === 0
    ? 'All contacts'
    : parts.length === 1 && band !== ''
      ? `Contacts of the band ${bandWords[band]}`
      : 'Contacts that match the filter'

function leftOutSentence(
  { machines: included }: ContactFilter,
  { proxies, machines, rows, isMore }: { proxies: number; machines: number; rows: number; isMore: boolean },
) {
  const some = [
    proxies > 0 && `${plural(proxies, 'open', 'opens')} by mail proxies`,
    machines > 0 && `${number(machines)} by machines`,
  ].filter((part) => part !== false)
  const whose = `of ${isMore ? 'the last' : 'these'} ${number(rows)}`
  if (some.length === 0) return included ? 'Machines and mail proxies are counted.' : 'People only.'
  return included ? `Counted ${whose}: ${some.join(', ')}` : `Left out ${whose}: ${some.join(', ')}`
}

const sumOf = (
  rows: ContactRow[],
  what: Exclude<keyof ContactRow & `${string}_${'opens' | 'clicks'}`, never>,
) => rows.reduce((sum, row) => sum + row[what], 0)

const latest = (one: number | null, other: number | null) =>
  one === null ? other : other === null ? one : Math.max(one, other)

function trendOf(points: number | null) {
  if (points === null) return { way: 'none', size: noValue }
  if (points === 0) return { way: 'level', size: 'level' }
  return { way: points > 0 ? 'up' : 'down', size: number(Math.abs(points)) }
}

const beside = (parts: (string | false)[]) => parts.filter((part) => part !== false).join(', ')

/** Nov 2024 */
function monthFormat(timeZone: string) {
  const format = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric', timeZone })
  return (at: number) => format.format(at).replace('Sept', 'Sep')
}

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
  const kept = rows.map(({ origin, contacts }) => `${number(contacts)} by ${originName(origin)}`)
  return `It is kept on ${kept.join(', ')}, which has its own say over it.`
}
