import { Router } from 'express'
import * as z from 'zod'
import { heatDays, heatOf, type QuarterCounts, quartersOf } from '../audience/best-hour.js'
import { sumOfCounts } from '../audience/counting.js'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { engagementVerdict } from '../audience/engagement-verdict.js'
import { shownHeat } from '../audience/heat-view.js'
import { getList } from '../audience/lists.js'
import { minuteCache } from '../audience/minute-cache.js'
import { noEngagements } from '../audience/receptions.js'
import { isAmong, wholeParts } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type Calendar, quarterLength } from '../web/calendar.js'
import { one } from '../web/forms.js'
import { getMailing } from './queries.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: () => number
}

/** What the address bar may say about the heatmap. Nonsense falls back to the default. */
const HeatView = z.object({
  /** A mailing that is named comes before a list. */
  mailing: one(z.coerce.number().int().min(0).max(1e15).catch(0)),
  list: one(z.coerce.number().int().min(0).max(1e15).catch(0)),
  /** Unsaid clicks, or opens where nobody clicked. */
  what: one(z.enum(['opens', 'clicks', '']).catch('')),
  machines: one(
    z
      .enum(['0', '1'])
      .transform((value) => value === '1')
      .catch(false),
  ),
})
type HeatView = z.infer<typeof HeatView>

function heatAddress({ mailing, list, what, machines }: HeatView) {
  const query = new URLSearchParams()
  if (mailing) query.set('mailing', String(mailing))
  else if (list) query.set('list', String(list))
  if (what) query.set('what', what)
  if (machines) query.set('machines', '1')
  return query.size > 0 ? `/mailings/heatmap?${query}` : '/mailings/heatmap'
}

/** `/mailings/heatmap`: at which hours of the week people open and click, of all, one list or one mailing. */
export function heatmapPage({ db, readers, calendar, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  routes.get('/mailings/heatmap', async (req, res) => {
    const asked = HeatView.parse(req.query)
    const mailing = asked.mailing ? await getMailing(db, asked.mailing, asked) : null
    const list = !mailing && asked.list ? await getList(db, asked.list) : null
    const view: HeatView = { ...asked, list: list?.id ?? 0 }
    const [quarters, lists] = await Promise.all([
      mailing
        ? remembered(`mailing ${mailing.id}`, () => quartersOfMailing(readers, mailing.id))
        : remembered(`list ${view.list}`, () =>
            quartersOf(readers, calendar, { list: view.list, now: now() }),
          ),
      db.selectFrom('lists').select(['id', 'name']).orderBy('name').orderBy('id').execute(),
    ])
    const heatFor = (what: 'opens' | 'clicks') =>
      shownHeat(heatOf(quarters, calendar, { machines: view.machines, what, now: now() }), what)
    const clicks = heatFor('clicks')
    const what = view.what || (clicks.total > 0 ? 'clicks' : 'opens')
    const heat = what === 'clicks' ? clicks : heatFor('opens')
    res.set('Cache-Control', 'no-store').render('mailings/heatmap', {
      room: 'mailings',
      view,
      at: (changes: Partial<HeatView>) => heatAddress({ ...view, ...changes }),
      mailing,
      list,
      lists,
      heat: {
        ...heat,
        what,
        // One mailing is one wave: no week of it can be held against another.
        sureness: mailing
          ? 'One mailing makes one wave, so this tells of its own hours only.'
          : heat.sureness,
      },
      counts: sumOfCounts(quarters),
      heatDays,
      timeZone: calendar.timeZone,
    })
  })
  return routes
}

const [opened, clicked] = [engagementNumber('opened'), engagementNumber('clicked')]

/**
 * The opens and clicks of one mailing by the quarter of an hour, whenever they came. It looks at each: remember the answer
 * for a while.
 * @param among ids of some contacts, at most some thousand: only they count, and what is removed is nobody's any more
 */
export async function quartersOfMailing(
  readers: Readers,
  mailing: number,
  among: number[] | null = null,
): Promise<QuarterCounts[]> {
  const rows = await readers
    .selectFrom('engagements')
    .$if(among !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), among!)))
    .select((eb) => [
      wholeParts(eb.ref('happened_at'), quarterLength).as('quarter'),
      'kind',
      'verdict',
      eb.fn.countAll<number>().as('events'),
    ])
    .where('mailing_id', '=', mailing)
    .where('kind', 'in', [opened, clicked])
    .groupBy(['quarter', 'kind', 'verdict'])
    .execute()
  const removed = among === null ? await removedQuarters(readers, mailing) : []
  const quarters = new Map<number, QuarterCounts>(
    removed.map((counts) => [counts.quarter_at, { ...noEngagements, ...counts }]),
  )
  for (const { quarter, kind, verdict, events } of rows) {
    const quarter_at = quarter * quarterLength
    const counts = quarters.get(quarter_at) ?? { ...noEngagements, quarter_at }
    quarters.set(quarter_at, counts)
    if (kind === clicked) counts[verdict < engagementVerdict.machine ? 'clicks' : 'machine_clicks'] += events
    else if (verdict === engagementVerdict.proxy) counts.proxy_opens += events
    else counts[verdict === engagementVerdict.machine ? 'machine_opens' : 'opens'] += events
  }
  return [...quarters.values()]
}

const shown = ['opens', 'proxy_opens', 'machine_opens', 'clicks', 'machine_clicks'] as const

const removedQuarters = (readers: Readers, mailing: number) =>
  readers
    .selectFrom('sealed_mailing_quarters')
    .select(['quarter_at', ...shown])
    .where('mailing_id', '=', mailing)
    .where(({ or, eb }) => or(shown.map((name) => eb(name, '>', 0))))
    .execute()
