import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { stringify } from 'csv-stringify/sync'
import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { one } from '../web/forms.js'
import { isRefresh, render, renderFragment, wantsFragment } from '../web/render.js'
import {
  type ActivityFilter,
  type ActivityRow,
  countActivity,
  listActivity,
  type Place,
  walkLength,
} from './activity.js'
import { clicksOf, opensOf } from './counting.js'
import { type EngagementKind, engagementKind, engagementKinds } from './engagement-kinds.js'
import { reasonsInWords, verdictOf, verdicts } from './engagement-verdict.js'
import { mailingName } from './mailing-name.js'
import { engagementsRemovedBefore } from './sealing.js'
import { searchTerm } from './search.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: () => number
}

const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))

/** What the address bar may say about the activity. A filter never fails: nonsense falls back to the default. */
const ActivityView = z.object({
  /** Part of an address or name, or the id of a contact. */
  contact: one(z.string().trim().max(255).catch('')),
  mailing: id,
  tag: id,
  /** Unsaid: opens and clicks. */
  kind: one(z.enum([...engagementKinds, 'all', '']).catch('')),
  verdict: one(z.enum([...verdicts, '']).catch('')),
  /** Those of machines and proxies too, where no verdict is asked for. */
  machines: one(
    z
      .enum(['0', '1'])
      .transform((value) => value === '1')
      .catch(false),
  ),
  /** Key of the page: older than this instant, and of the same instant those with a smaller id. */
  before: id,
  id,
  /** How many stand above this page. */
  offset: id,
})
type ActivityView = z.infer<typeof ActivityView>
const defaults: ActivityView = ActivityView.parse({})
const firstPage = { before: 0, id: 0, offset: 0 }

function queryOf(view: ActivityView) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(view))
    if (value !== defaults[name as keyof ActivityView])
      query.set(name, String(typeof value === 'boolean' ? +value : value))
  const text = query.toString()
  return text && `?${text}`
}

function filterOf({ contact, mailing, tag, kind, verdict, machines }: ActivityView): ActivityFilter {
  return {
    contact: searchTerm(contact),
    mailing,
    tag,
    kinds: kind === '' ? ['opened', 'clicked'] : kind === 'all' ? [...engagementKinds] : [kind],
    verdicts: verdict ? [verdicts.indexOf(verdict)] : machines ? [0, 1, 2, 3] : [0, 1],
  }
}
const placeOf = ({ before, id }: ActivityView): Place | null => (before ? { at: before, id } : null)

const kindWords: Record<EngagementKind, string> = {
  sent: 'Sent',
  delivered: 'Delivered',
  deferred: 'Deferred',
  bounced: 'Bounced',
  rejected: 'Rejected',
  opened: 'Opened',
  clicked: 'Clicked',
  replied: 'Replied',
  complained: 'Complained',
  unsubscribed: 'Unsubscribed',
  commented: 'Commented',
}
const verdictWords = {
  person: 'Person',
  suspected: 'Suspected',
  machine: 'Machine',
  proxy: 'Mail proxy',
} as const

/** What a filter offers of so many mailings and tags; the address takes any. */
const mostChoices = 100

/** `/audience/activity`: what everybody does, as it comes in. */
export function activityPage({ db, readers, calendar, now }: Needs) {
  const routes = Router()

  /** The other pages of the room call a tag by its name, and so may this address. @throws NotFound */
  async function viewOf(query: Request['query']) {
    const { tag } = query
    if (typeof tag !== 'string' || tag === '' || /^\d+$/.test(tag)) return ActivityView.parse(query)
    const found = await db.selectFrom('tags').select('id').where('name', '=', tag).executeTakeFirst()
    if (!found) throw new NotFound(`There is no tag ${tag}.`)
    return ActivityView.parse({ ...query, tag: found.id })
  }

  async function withRows(view: ActivityView) {
    const [page, removedBefore] = await Promise.all([
      listActivity(readers, filterOf(view), { before: placeOf(view) }),
      engagementsRemovedBefore(readers),
    ])
    const today = calendar.dayOf(now())
    const shown = view.offset + page.rows.length
    return {
      rows: page.rows.map((row) => ({
        ...shownRow(row),
        isToday: calendar.dayOf(row.happened_at) === today,
      })),
      foot: {
        shown,
        from: view.offset + 1,
        isCut: page.isCut,
        walkLength,
        next: page.next && {
          ...view,
          before: page.next.at,
          id: page.next.id,
          offset: shown,
        },
        upTo: page.next?.at ?? null,
        removedBefore,
      },
    }
  }

  const common = (view: ActivityView) => ({
    room: 'audience',
    view,
    query: queryOf({ ...view, ...firstPage }),
    at: (changes: Partial<ActivityView>) =>
      `/audience/activity${queryOf({ ...view, ...firstPage, ...changes })}`,
    isFirst: view.before === 0,
    isMore: false,
    isFiltered: Boolean(view.contact || view.mailing || view.tag || view.kind || view.verdict),
  })

  async function withCounts(view: ActivityView) {
    if (view.kind || view.verdict) return { counts: null }
    const counts = await countActivity(readers, filterOf(view))
    return {
      counts: counts && { ...counts, shownOpens: opensOf(counts, view), shownClicks: clicksOf(counts, view) },
    }
  }

  async function withChoices(view: ActivityView) {
    const [mailings, tags, chosenMailing, chosenTag, contact] = await Promise.all([
      db
        .selectFrom('mailings')
        .select(['id', 'name'])
        .where('sent_at', 'is not', null)
        .orderBy('sent_at', 'desc')
        .limit(mostChoices)
        .execute(),
      db.selectFrom('tags').select(['id', 'name']).orderBy('name').limit(mostChoices).execute(),
      db.selectFrom('mailings').select(['id', 'name']).where('id', '=', view.mailing).executeTakeFirst(),
      db.selectFrom('tags').select(['id', 'name']).where('id', '=', view.tag).executeTakeFirst(),
      /^\d{1,15}$/.test(view.contact)
        ? db
            .selectFrom('contacts')
            .select(['id', 'email', 'name'])
            .where('id', '=', Number(view.contact))
            .executeTakeFirst()
        : undefined,
    ])
    const withChosen = (list: { id: number; name: string }[], chosen?: { id: number; name: string }) =>
      !chosen || list.some((item) => item.id === chosen.id) ? list : [chosen, ...list]
    return {
      mailings: withChosen(mailings, chosenMailing).map((mailing) => ({
        ...mailing,
        name: mailing.name || `Mailing ${mailing.id}`,
      })),
      tags: withChosen(tags, chosenTag),
      onlyContact: contact ?? null,
      kinds: [
        { value: '', label: 'Opens and clicks' },
        ...engagementKinds.map((kind) => ({ value: kind as string, label: kindWords[kind] })),
        { value: 'all', label: 'Everything' },
      ],
      verdicts: [
        { value: '', label: 'All verdicts' },
        ...verdicts.map((verdict) => ({ value: verdict as string, label: verdictWords[verdict] })),
      ],
    }
  }

  routes.get('/audience/activity', async (req: Request, res: Response) => {
    const view = await viewOf(req.query)
    res.set('Cache-Control', 'no-store')
    if (wantsFragment(req) && view.before > 0)
      return renderFragment(res, 'audience/_more-activity', {
        ...common(view),
        ...(await withRows(view)),
        isMore: true,
      })
    const address = `/audience/activity${queryOf(view)}`
    if (wantsFragment(req) && !isRefresh(req)) res.set('HX-Replace-Url', address)
    const [rows, counts, choices] = await Promise.all([
      withRows(view),
      withCounts(view),
      wantsFragment(req) ? {} : withChoices(view),
    ])
    render(
      res,
      { page: 'audience/activity', fragment: 'audience/_activity' },
      { ...common(view), ...rows, ...counts, ...choices },
    )
  })

  routes.get('/audience/activity.csv', async (req, res) => {
    const view = await viewOf(req.query)
    res.set({
      'Content-Type': 'text/csv; charset=utf-8',
      'Content-Disposition': `attachment; filename="activity-${calendar.dayOf(now())}.csv"`,
      'Cache-Control': 'no-store',
    })
    try {
      await pipeline(Readable.from(csvOf(readers, filterOf(view))), res)
    } catch (error) {
      // Who leaves before the end has seen enough.
      if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
    }
  })

  return routes
}

const shownRow = (row: ActivityRow) => ({
  ...row,
  word: kindWords[engagementKind(row.kind)],
  mailing: row.mailing_id === null ? null : row.mailing || `Mailing ${row.mailing_id}`,
  device: [row.browser, row.os].filter(Boolean).join(' on '),
  verdict: verdictOf(row.verdict),
  reasons: reasonsInWords(row.reasons),
})

/** Rows of a page of the CSV; however long the whole is, only one page of it is in memory. */
const csvPage = 1_000

async function* csvOf(readers: Readers, filter: ActivityFilter) {
  const columns = [
    'id',
    'time',
    'time_is_exact',
    'what',
    'contact_id',
    'email',
    'name',
    'mailing_id',
    'mailing',
  ]
  yield stringify([[...columns, 'link', 'os', 'browser', 'verdict', 'reasons']])
  let before: Place | null = null
  do {
    const page: Awaited<ReturnType<typeof listActivity>> = await listActivity(readers, filter, {
      before,
      limit: csvPage,
    })
    if (page.rows.length > 0)
      yield stringify(
        page.rows.map((row) => [
          row.id,
          new Date(row.happened_at).toISOString(),
          row.exact,
          engagementKind(row.kind),
          row.contact_id,
          row.erased_at === null ? row.email : null,
          row.erased_at === null ? row.name : null,
          row.mailing_id,
          row.mailing_id === null ? null : mailingName(row),
          row.url,
          row.os,
          row.browser,
          verdictOf(row.verdict),
          reasonsInWords(row.reasons).join('; '),
        ]),
        { escape_formulas: true },
      )
    before = page.next
  } while (before)
}
