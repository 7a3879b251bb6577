import { type Response, Router } from 'express'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts } from '../database/schema.js'
import { projectChoices, projectOf } from '../partners/ties.js'
import { type Calendar, dayLength } from '../web/calendar.js'
import { sparkline } from '../web/charts.js'
import { type DateFormats, number, plural } from '../web/formats.js'
import { render, renderFragment, wantsFragment } from '../web/render.js'
import { statusWords } from './contacts-view.js'
import type { Counting } from './counting.js'
import { type Growth, growthOverTime } from './growth.js'
import {
  countContactsOf,
  fieldWords,
  type ListContact,
  listConditions,
  listContactsOf,
} from './list-contacts.js'
import { sendListContacts } from './list-contacts-export.js'
import { isFiltered, ListView, listAddress } from './list-view.js'
import {
  engagedDays,
  engagedOf,
  engagementRate,
  getList,
  type ListFacts,
  type ListField,
  type ListSnapshot,
  listFields,
  listLists,
  listOwnTags,
  listSizes,
  listSnapshots,
} from './lists.js'
import { minuteCache } from './minute-cache.js'
import { originName } from './origins.js'
import { periodName, type Range, ranges, unitsOf } from './periods.js'
import { subscriptionStatuses } from './subscriptions.js'

/** A mailing that went to a list, as the list's page names it. Rates are shares of one, null without a value. */
export interface ListMailing {
  id: number
  name: string
  sentAt: number | null
  delivered: number
  open: number | null
  click: number | null
  /** Whose numbers these are: ours, or the provider's by its name. */
  whose: string
}
/** What the room of mailings, which stands above this one, tells of a list. */
export interface ListMailings {
  /** All that went to it. */
  count: number
  /** The last of them, the newest first. */
  last: ListMailing[]
  /** The unweighted mean over those. */
  averageOpen: number | null
  averageClick: number | null
  /** What was done with those of them whose numbers are ours. */
  counts: EngagementCounts
  /** Some of them are ours and some the provider's: their mean compares what does not quite compare. */
  isMixed: boolean
}

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  /** @param list its id */
  mailingsOf: (list: number, counting: Counting) => Promise<ListMailings>
  now: () => number
}

const pageLength = 50
/** What a page offers of so many tags to choose from, where the provider names none of the list's own. */
const mostTags = 500
const mostSnapshots = 2_000
/** Under the name of a contact there is room for so many values of fields that nobody filtered by. */
const shownFields = 3

/** `/lists`: the lists of the providers; and one of them with its growth, fields, tags, contacts and mailings. */
export function listPages({ db, readers, calendar, dates, mailingsOf, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  routes.get('/audience/lists', (_req, res) => res.redirect(301, '/lists'))

  const readAll = async () => {
    const lists = await listLists({ readers, calendar, now: now() })
    return Promise.all(
      lists.map(async (list) => ({
        ...list,
        growth: await growthOf(list.id, '30'),
      })),
    )
  }
  const growthOf = (list: number, range: Range) =>
    growthOverTime(readers, calendar, { tag: 0, list, range, by: unitsOf[range][0], now: now() })

  routes.get('/lists', async (req, res) => {
    const { machines } = ListView.parse(req.query)
    const lists = await remembered('lists', readAll)
    res.render('audience/lists', {
      room: 'audience',
      machines,
      engagedDays,
      lists: lists.map(({ growth, ...list }) => {
        const first = growth.points[0]!
        const before = first.subscribed - first.joined + first.left
        return {
          ...list,
          from: originName(list.provider),
          joined: growth.joined,
          left: growth.left,
          churn: growth.churn,
          engaged: engagementRate(list, { machines }),
          picture: sparkline(growth.points.map(({ subscribed }) => subscribed)),
          story: `Subscribed over 30 days: from ${number(before)} to ${number(growth.subscribed)}`,
        }
      }),
    })
  })

  /** The contacts and their filter: what changes when somebody filters, in the whole page and alone. */
  async function withContacts(list: ListFacts, view: ListView, fields: ListField[]) {
    const conditions = await listConditions(readers, calendar, list.id, view)
    const key = listAddress(list.id, { ...view, range: '90' })
    const [page, matching, tags] = await Promise.all([
      listContactsOf(readers, conditions, { after: view.after, limit: pageLength }),
      remembered(`count ${key}`, () => countContactsOf(readers, conditions)),
      remembered(`tags ${list.id}`, () => tagChoices(list.id)),
    ])
    const shown = view.offset + page.rows.length
    const to = (changes: Partial<ListView>) => `${listAddress(list.id, view, changes)}#contacts`
    const label = (tag: string) => fields.find((field) => field.tag === tag)?.label ?? tag
    return {
      room: 'audience',
      list,
      view,
      from: originName(list.provider),
      fields,
      people: page.rows.map((row) => rowOf(row, view, fields)),
      matching: Math.max(matching, shown),
      isFiltered: isFiltered(view),
      statuses: subscriptionStatuses.map((status) => ({ status, label: statusWords[status]! })),
      tagChoices: view.tag === '' || tags.includes(view.tag) ? tags : [view.tag, ...tags],
      chips: view.fields.map((field) => ({
        label: label(field.tag),
        value: field.value,
        without: to({ fields: view.fields.filter((other) => other !== field) }),
      })),
      everybody: to({ tag: '', status: '', from: '', until: '', fields: [] }),
      exportAddress: listAddress(list.id, view, {}, '/contacts.csv'),
      foot: {
        shown,
        from: view.offset + 1,
        next: page.next === null ? '' : to({ after: page.next.id, offset: shown }),
        nextPart:
          page.next === null
            ? ''
            : listAddress(list.id, view, { after: page.next.id, offset: shown }, '/contacts'),
        first: to({}),
      },
      isMore: view.after > 0,
    }
  }

  async function tagChoices(list: number) {
    const own = await readers.selectFrom('list_tags').select('name').where('list_id', '=', list).execute()
    const rows =
      own.length > 0
        ? own
        : await readers.selectFrom('tags').select('name').orderBy('name').limit(mostTags).execute()
    return rows.map(({ name }) => name).sort((one, other) => one.localeCompare(other, 'en'))
  }

  async function showPage(res: Response, list: ListFacts, view: ListView) {
    const fields = await listFields(db, list.id)
    const { id } = list
    const today = calendar.startOf(calendar.dayOf(now()))
    const since = view.range === 'all' ? 0 : today - Number(view.range) * dayLength
    const [contacts, growth, snapshots, sizes, tags, mailings, project, projects] = await Promise.all([
      withContacts(list, view, fields),
      remembered(`growth ${id} ${view.range}`, () => growthOf(id, view.range)),
      remembered(`snapshots ${id} ${view.range}`, () =>
        listSnapshots(readers, id, { since, limit: mostSnapshots }),
      ),
      remembered(`sizes ${id}`, () => listSizes({ readers, calendar, now: now() }, id)),
      remembered(`own tags ${id}`, () => listOwnTags(readers, id)),
      remembered(`mailings ${id} ${view.machines}`, () => mailingsOf(id, view)),
      projectOf(db, 'list', id),
      projectChoices(db),
    ])
    res.set('Cache-Control', 'no-store')
    res.render('audience/list', {
      ...contacts,
      at: (changes: Partial<ListView>) => listAddress(id, view, changes),
      timeZone: calendar.timeZone,
      ranges: ranges.map((range) => ({
        range,
        label: rangeLabels[range],
        current: range === view.range,
      })),
      growth: shownGrowth(growth, dates),
      snapshots: shownSnapshots(snapshots, dates),
      sizes: subscriptionStatuses
        .map((status) => ({
          status,
          label: statusWords[status]!,
          people: sizes.byStatus.get(status) ?? 0,
          address: `${listAddress(id, view, { status, tag: '', from: '', until: '', fields: [] })}#contacts`,
        }))
        .filter(({ people }) => people > 0),
      subscribed: sizes.subscribed,
      active: engagedOf(sizes, view),
      machineActive: sizes.machineActive,
      unjudgedActive: sizes.unjudgedActive,
      engaged: engagementRate(sizes, view),
      engagedDays,
      tags,
      mailings,
      project,
      projects,
    })
  }

  routes.get('/lists/:id', async (req, res) => {
    const view = ListView.parse(req.query)
    const list = await getList(db, req.params.id)
    if (!wantsFragment(req)) return showPage(res, list, view)
    const address = listAddress(list.id, view)
    if (req.url !== address) res.set('HX-Replace-Url', address)
    render(
      res,
      { page: 'audience/list', fragment: 'audience/_list-contacts' },
      await withContacts(list, view, await listFields(db, list.id)),
    )
  })

  // A part of the page; asked for by a browser itself, without htmx, it is the whole page.
  routes.get('/lists/:id/contacts', async (req, res) => {
    const view = ListView.parse(req.query)
    const list = await getList(db, req.params.id)
    if (!wantsFragment(req)) return showPage(res, list, view)
    const data = await withContacts(list, view, await listFields(db, list.id))
    renderFragment(res, view.after > 0 ? 'audience/_more-list-contacts' : 'audience/_list-contacts', data)
  })

  routes.get('/lists/:id/contacts.csv', async (req, res) => {
    const view = ListView.parse(req.query)
    const { id } = await getList(db, req.params.id)
    const [conditions, fields] = await Promise.all([
      listConditions(readers, calendar, id, view),
      listFields(db, id),
    ])
    await sendListContacts(res, readers, conditions, { fields, on: calendar.dayOf(now()) })
  })

  return routes
}

const rangeLabels = { '30': '30 days', '90': '90 days', '365': '365 days', all: 'All' } as const

/** A contact in the table: the fields that are filtered by come first, then others as far as there is room. */
function rowOf(row: ListContact, view: ListView, fields: ListField[]) {
  const filtered = view.fields.map(({ tag }) => tag)
  const told = fields
    .map(({ tag, label }) => ({ tag, label, value: fieldWords(row.fields[tag]) }))
    .filter(({ value }) => value !== '')
  const first = told.filter(({ tag }) => filtered.includes(tag))
  const others = told.filter(({ tag }) => !filtered.includes(tag))
  return {
    ...row,
    lastActiveAt: view.machines
      ? Math.max(row.lastActiveAt ?? 0, row.machineLastActiveAt ?? 0) || null
      : row.lastActiveAt,
    status: statusWords[row.status] ?? row.status,
    isReached: row.status === 'subscribed',
    fields: [...first, ...others.slice(0, Math.max(0, shownFields - first.length))],
  }
}

function shownGrowth({ unit, points, ...sums }: Growth, dates: DateFormats) {
  // Of some changes nobody told: counted back from now, the past may then come out below nobody.
  const shown = points.map((point) => ({
    ...point,
    subscribed: Math.max(0, point.subscribed),
    name: periodName(dates, point.at, unit),
  }))
  const first = points[0]!
  const before = Math.max(0, first.subscribed - first.joined + first.left)
  return {
    ...sums,
    net: sums.joined - sums.left,
    before,
    unit,
    points: shown,
    last: shown.at(-1)!,
    story: `Subscribed, joined and left by ${unit}: from ${number(before)} to ${plural(sums.subscribed, 'subscription', 'subscriptions')}, ${number(sums.joined)} joined and ${number(sums.left)} left.`,
  }
}

function shownSnapshots(snapshots: ListSnapshot[], dates: DateFormats) {
  const points = snapshots.map((snapshot) => ({ ...snapshot, name: dates.moment(snapshot.at) }))
  const last = points.at(-1) ?? null
  return {
    points,
    last,
    hasPending: snapshots.some(({ pending }) => pending !== null),
    hasUnsubscribed: snapshots.some(({ unsubscribed }) => unsubscribed !== null),
    story:
      last === null
        ? ''
        : `What the provider counted, ${plural(points.length, 'time', 'times')} that it had changed: ${number(points[0]!.subscribed)} subscribed at first, ${number(last.subscribed)} at last.`,
  }
}
