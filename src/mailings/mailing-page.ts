import { type Request, type Response, Router } from 'express'
import { minuteCache } from '../audience/minute-cache.js'
import { originName } from '../audience/origins.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { type DateFormats, number, plural } from '../web/formats.js'
import { renderFragment, wantsFragment } from '../web/render.js'
import { funnelOf } from './funnel.js'
import { readLinks } from './mailing-links.js'
import { type Group, groupSizes, groups, listPeople } from './mailing-people.js'
import { type MailingSeries, readMailingSeries, type Span, spans } from './mailing-series.js'
import { MailingView, queryOf } from './mailing-view.js'
import { getMailing, type Mailing } from './queries.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

/** `/mailings/:id`: one mailing, from sending to the click, with the people and the links behind its numbers. */
export function mailingPage({ db, readers, calendar, dates, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)

  const common = (mailing: Mailing, view: MailingView) => ({
    room: 'mailings',
    mailing,
    view,
    from: originName(mailing.provider),
    query: queryOf(view),
    at: (changes: Partial<MailingView>) => `/mailings/${mailing.id}${queryOf(view, changes)}`,
    /** The events behind a number. */
    events: (kind: string) =>
      `/audience/activity?${new URLSearchParams({ mailing: String(mailing.id), kind, ...(view.machines ? { machines: '1' } : {}) })}`,
  })

  const withCounts = ({ people, receptions, untracked }: Mailing) => ({
    funnel: untracked
      ? funnelOf([people.sent, people.delivered, 0, 0])
      : funnelOf([people.sent, people.delivered, people.opened, people.clicked]),
    /** Deliveries of which events tell, where the provider knows of more. */
    deliveriesTold:
      receptions.people_sent - receptions.people_bounced < people.delivered
        ? receptions.people_sent - receptions.people_bounced
        : null,
  })

  async function withPeople(mailing: Mailing, view: MailingView) {
    const { rows, next } = await listPeople(readers, mailing.id, view.who, view)
    const sizes = groupSizes(mailing.receptions, view)
    const shown = view.offset + rows.length
    return {
      people: rows,
      tabs: groups
        .filter((group) => sizes[group] > 0 || group === view.who || always.includes(group))
        .map((group) => ({
          group,
          label: groupLabels[group],
          size: sizes[group],
          current: group === view.who,
        })),
      group: groupLabels[view.who],
      nobody: nobodyWords[view.who],
      foot: {
        shown,
        from: view.offset + 1,
        count: Math.max(sizes[view.who], shown),
        next: next === null ? '' : queryOf(view, { after: next, offset: shown }),
      },
      isMore: view.after > 0,
    }
  }

  async function showPage(res: Response, mailing: Mailing, view: MailingView) {
    const { machines, span } = view
    const [series, links, people] = await Promise.all([
      remembered(`series ${mailing.id} ${span} ${machines}`, () =>
        readMailingSeries(readers, mailing, { span, machines, now: now() }),
      ),
      remembered(`links ${mailing.id} ${machines}`, () => readLinks(readers, mailing.id, { machines })),
      withPeople(mailing, view),
    ])
    const most = links.links[0]?.clicks ?? 0
    const linkClicks = links.links.reduce((sum, { clicks }) => sum + clicks, 0)
    res.set('Cache-Control', 'no-store').render('mailings/mailing', {
      ...common(mailing, view),
      ...withCounts(mailing),
      ...people,
      /** Known of before it was sent, as a draft: it has no numbers to show. */
      isUnsent:
        unsent.includes(mailing.status) &&
        mailing.sent_at === null &&
        mailing.people.sent + mailing.opens === 0,
      timeZone: calendar.timeZone,
      series: shownSeries(series, mailing, span, dates),
      spans: spans.map((choice) => ({ span: choice, label: spanLabels[choice], current: choice === span })),
      links: links.links.map((link) => ({
        ...link,
        label: link.url === null ? 'A link that nobody told' : link.url.replace(/^https?:\/\//, ''),
        width: most === 0 ? 0 : Math.round((link.clicks / most) * 1000) / 10,
        share: linkClicks === 0 ? null : link.clicks / linkClicks,
      })),
      hasMoreLinks: links.hasMore,
    })
  }

  const viewOf = (req: Request) => MailingView.parse(req.query)
  const read = async (req: Request, view: MailingView) => getMailing(db, String(req.params.id), view)

  routes.get('/mailings/:id', async (req, res) => {
    const view = viewOf(req)
    await showPage(res, await read(req, view), view)
  })

  // A part of the page; asked for by a browser itself, without htmx, it is the whole page.
  routes.get('/mailings/:id/counts', async (req, res) => {
    const view = viewOf(req)
    const mailing = await read(req, view)
    if (!wantsFragment(req)) return showPage(res, mailing, view)
    renderFragment(res, 'mailings/_counts', { ...common(mailing, view), ...withCounts(mailing) })
  })
  routes.get('/mailings/:id/people', async (req, res) => {
    const view = viewOf(req)
    const mailing = await read(req, view)
    if (!wantsFragment(req)) return showPage(res, mailing, view)
    const data = { ...common(mailing, view), ...(await withPeople(mailing, view)) }
    if (view.after === 0) res.set('HX-Push-Url', `/mailings/${mailing.id}${queryOf(view)}`)
    renderFragment(res, view.after > 0 ? 'mailings/_more-people' : 'mailings/_people', data)
  })

  return routes
}

const spanLabels: Record<Span, string> = { '72h': '72 h', '30d': '30 days' }

const groupLabels: Record<Group, string> = {
  opened: 'Opened',
  clicked: 'Clicked',
  replied: 'Replied',
  'not-opened': 'Not opened',
  'not-clicked': 'Not clicked',
  bounced: 'Bounced',
  unsubscribed: 'Unsubscribed',
  complained: 'Complained',
  delivered: 'Delivered',
}
/** Tabs that stay though nobody is in them: what a reader of the page looks for first. */
const unsent = ['draft', 'scheduled']
const always: Group[] = ['opened', 'clicked', 'not-opened', 'bounced', 'unsubscribed']
const nobodyWords: Record<Group, string> = {
  opened: 'Nobody has opened it yet, as far as is known.',
  clicked: 'Nobody has clicked yet.',
  replied: 'Nobody has replied.',
  'not-opened': 'Everybody of whom the delivery is known has opened it.',
  'not-clicked': 'Everybody of whom the delivery is known has clicked.',
  bounced: 'Nobody bounced.',
  unsubscribed: 'Nobody unsubscribed.',
  complained: 'Nobody complained.',
  delivered: 'No delivery is known yet.',
}

function shownSeries({ unit, points }: MailingSeries, mailing: Mailing, span: Span, dates: DateFormats) {
  const last = points.at(-1) ?? null
  const name = (after: number, at: number) =>
    after === 0
      ? `Sent ${dates.moment(at)}`
      : `${after} ${unit === 'hour' ? 'h' : after === 1 ? 'day' : 'days'} after, ${dates.moment(at)}`
  const later =
    last === null
      ? { opens: 0, clicks: 0 }
      : {
          opens: mailing.opens - last.opens,
          clicks: mailing.clicks - last.clicks,
        }
  return {
    unit,
    points: points.map((point) => ({ ...point, name: name(point.after, point.at) })),
    last: last && { ...last, name: name(last.after, last.at) },
    /** What came after the last point, or has come in since the picture was made. */
    later: {
      opens: Math.max(0, later.opens),
      clicks: Math.max(0, later.clicks),
    },
    story:
      last === null
        ? ''
        : `Opens and clicks since sending, ${unit} by ${unit}: ${number(last.opens)} opens and ${plural(last.clicks, 'click', 'clicks')} after ${span === '72h' ? '72 hours' : '30 days'} or until now.`,
  }
}
