import { type Request, type Response, Router } from 'express'
import { tell } from '../accounts/sessions.js'
import { minuteCache } from '../audience/minute-cache.js'
import { originName } from '../audience/origins.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { projectChoices, projectOf } from '../partners/ties.js'
import type { Calendar } from '../web/calendar.js'
import { dayLength } from '../web/calendar.js'
import { type DateFormats, duration } from '../web/formats.js'
import { type FormErrors, formErrors } from '../web/forms.js'
import { renderFragment, wantsFragment } from '../web/render.js'
import { allowFrame } from '../web/security.js'
import { share } from '../web/shares.js'
import { mailingRates, readBenchmarks } from './benchmarks.js'
import { funnelOf } from './funnel.js'
import {
  CampaignTie,
  campaignChoices,
  campaignOf,
  type FollowingCampaign,
  tieCampaign,
} from './mailing-campaign.js'
import { shownDaily, shownHistory, shownSeries, shownUsual } from './mailing-charts.js'
import { readFacts } from './mailing-facts.js'
import { countsTwiceInWords, readLinks, readProviderLinks } from './mailing-links.js'
import { type Group, groupSizes, groups, listPeople } from './mailing-people.js'
import { sendPeople } from './mailing-people-export.js'
import { comparisons, rateTiles } from './mailing-rates.js'
import {
  daysOfHistory,
  daysOfSeries,
  readHistory,
  readMailingHours,
  type Span,
  seriesOf,
  spans,
} from './mailing-series.js'
import { curveBook, mailingsBefore, usualRates } from './mailing-usual.js'
import { MailingView, queryOf } from './mailing-view.js'
import { getMailing, type Mailing } from './queries.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

/** `/mailings/:id`: one mailing, from delivery to the sale, with the people and the links behind its numbers. */
export function mailingPage({ db, readers, calendar, dates, now }: Needs) {
  const routes = Router()
  const remembered = minuteCache(now)
  const curves = curveBook({ readers, now })

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

  /** The mailings before it, for its averages: what they are changes slowly, and it is read from counts alone. */
  const before = (mailing: Mailing, { machines }: MailingView) =>
    remembered(`before ${mailing.id} ${mailing.basis} ${machines}`, () =>
      mailingsBefore(db, mailing, { machines }),
    )

  /** The lists it went to, in a few words for the middle of a sentence. */
  async function listWords({ id, list }: Mailing) {
    if (list) return list.name
    const lists = await db
      .selectFrom('mailing_lists')
      .select('list_id')
      .where('mailing_id', '=', id)
      .execute()
    return lists.length > 1 ? 'its lists' : 'its list'
  }

  /** All that the part needs which refreshes itself: counts, and nothing else. */
  async function withCounts(mailing: Mailing, view: MailingView) {
    const [campaign, others] = await Promise.all([campaignOf(db, mailing.id, view), before(mailing, view)])
    const { people, receptions, untracked, basis } = mailing
    const [opened, clicked] = untracked ? [0, 0] : [people.opened, people.clicked]
    return {
      campaign,
      funnel: funnelOf(
        campaign
          ? [people.delivered, opened, clicked, campaign.landed, campaign.converted]
          : [people.delivered, opened, clicked],
      ),
      steps: stepsOf(mailing, campaign),
      tiles: rateTiles(mailing, usualRates(others)),
      others: others.length,
      listWords: await listWords(mailing),
      /** Deliveries of which events tell, where the provider knows of more. */
      deliveriesTold:
        basis === 'ours' && receptions.people_sent - receptions.people_bounced < people.delivered
          ? receptions.people_sent - receptions.people_bounced
          : null,
    }
  }

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
      peopleExport: `/mailings/${mailing.id}/people.csv?who=${view.who}${view.machines ? '&machines=1' : ''}`,
      foot: {
        shown,
        from: view.offset + 1,
        count: Math.max(sizes[view.who], shown),
        next: next === null ? '' : queryOf(view, { after: next, offset: shown }),
      },
      isMore: view.after > 0,
    }
  }

  /** Growth since sending and day by day: by the provider's snapshots where its numbers are the basis, else by events. */
  async function withGrowth(mailing: Mailing, { span, machines }: MailingView) {
    if (mailing.basis === 'provider') {
      const checkedAt = mailing.report!.checked_at
      const { delivered } = mailing.people
      const history = await remembered(`history ${mailing.id} ${checkedAt} ${delivered}`, () =>
        readHistory(readers, mailing, { checkedAt, delivered }),
      )
      return {
        series: shownHistory(history, mailing, span, dates),
        daily: shownDaily(history.curves ? daysOfHistory(history.curves) : [], dates),
      }
    }
    const hours = await remembered(`hours ${mailing.id} ${machines}`, () =>
      readMailingHours(readers, mailing, { machines }),
    )
    const series = seriesOf(hours, span, now())
    const days = seriesOf(hours, '30d', now())
    return {
      series: shownSeries(series, mailing, span, dates),
      daily: shownDaily(daysOfSeries(days, now()), dates),
    }
  }

  /**
   * The chart against what is usual. Where that takes counting the people of many mailings, the page leaves it out at first
   * (`isAwaited`) and fetches it by itself; who has no JavaScript follows a link.
   */
  async function withUsual(mailing: Mailing, view: MailingView, { patient }: { patient: boolean }) {
    const others = await before(mailing, view)
    if (!patient && !curves.isReady([mailing, ...others], view.draw)) return { usual: null, isAwaited: true }
    const against = await curves.againstUsual(mailing, others, { drawn: view.draw, span: view.span })
    return {
      isAwaited: false,
      usual:
        against &&
        shownUsual(against, { drawn: view.draw, sentAt: mailing.sent_at!, mailings: others.length }),
    }
  }

  async function withComparisons(mailing: Mailing, view: MailingView) {
    const [others, benchmarks] = await Promise.all([before(mailing, view), readBenchmarks(db, mailingRates)])
    return {
      comparisons: comparisons(mailing, usualRates(others), benchmarks),
      // The others had all the time they needed.
      isYoung: mailing.sent_at !== null && now() - mailing.sent_at < 3 * dayLength,
      age: mailing.sent_at === null ? '' : duration(Math.max(0, now() - mailing.sent_at)),
    }
  }

  /** What names the choices of the chart. */
  const withSpans = (view: MailingView) => ({
    timeZone: calendar.timeZone,
    spans: spans.map((choice) => ({
      span: choice,
      label: spanLabels[choice],
      current: choice === view.span,
    })),
  })

  async function withLinks(mailing: Mailing, { machines }: MailingView) {
    const reported = await readProviderLinks(db, mailing.id)
    if (reported) {
      const { links, clicks, hasMore, checkedAt } = reported
      return {
        links: shownLinks(
          links.map((link) => ({ ...link, machineClicks: null })),
          clicks,
        ),
        linkClicks: clicks,
        hasMoreLinks: hasMore,
        linksCheckedAt: checkedAt,
        linksRemark: '',
      }
    }
    const { links, hasMore, countsTwice } = await remembered(`links ${mailing.id} ${machines}`, () =>
      readLinks(readers, mailing.id, { machines }),
    )
    const clicks = links.reduce((sum, link) => sum + link.clicks, 0)
    return {
      links: shownLinks(links, clicks),
      linkClicks: clicks,
      hasMoreLinks: hasMore,
      linksCheckedAt: null,
      linksRemark: countsTwice ? countsTwiceInWords : '',
    }
  }

  interface Typed {
    values: { campaign: string }
    errors: FormErrors | { first: string }
  }

  async function showPage(
    res: Response,
    mailing: Mailing,
    view: MailingView,
    { typed, patient = false }: { typed?: Typed; patient?: boolean } = {},
  ) {
    const [facts, counts, growth, usual, compared, links, people, project, projects] = await Promise.all([
      readFacts(db, mailing.id),
      withCounts(mailing, view),
      withGrowth(mailing, view),
      withUsual(mailing, view, { patient }),
      withComparisons(mailing, view),
      withLinks(mailing, view),
      withPeople(mailing, view),
      projectOf(db, 'mailing', mailing.id),
      projectChoices(db),
    ])
    const campaigns = await campaignChoices(db, facts.campaign_id)
    if (facts.has_message) allowFrame(res)
    res.set('Cache-Control', 'no-store').render('mailings/mailing', {
      ...common(mailing, view),
      ...counts,
      ...growth,
      ...usual,
      ...compared,
      ...withSpans(view),
      ...links,
      ...people,
      facts,
      project,
      projects,
      campaigns,
      values: typed?.values ?? { campaign: counts.campaign ? String(counts.campaign.id) : '' },
      errors: typed?.errors ?? { first: '' },
      /** Known of before it was sent, as a draft: it has no numbers to show. */
      isUnsent:
        unsent.includes(mailing.status) &&
        mailing.sent_at === null &&
        mailing.people.sent + mailing.opens === 0,
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
    renderFragment(res, 'mailings/_counts', {
      ...common(mailing, view),
      ...(await withCounts(mailing, view)),
    })
  })
  routes.get('/mailings/:id/usual', async (req, res) => {
    const view = viewOf(req)
    const mailing = await read(req, view)
    if (!wantsFragment(req)) return showPage(res, mailing, view, { patient: true })
    const [facts, others, usual] = await Promise.all([
      readFacts(db, mailing.id),
      before(mailing, view),
      withUsual(mailing, view, { patient: true }),
    ])
    renderFragment(res, 'mailings/_usual', {
      ...common(mailing, view),
      ...usual,
      ...withSpans(view),
      facts,
      others: others.length,
      listWords: await listWords(mailing),
    })
  })
  routes.get('/mailings/:id/people', async (req, res) => {
    const view = viewOf(req)
    const mailing = await read(req, view)
    if (!wantsFragment(req)) return showPage(res, mailing, view)
    const data = { ...common(mailing, view), ...(await withPeople(mailing, view)) }
    if (view.after === 0) res.set('HX-Push-Url', `/mailings/${mailing.id}${queryOf(view)}`)
    renderFragment(res, view.after > 0 ? 'mailings/_more-people' : 'mailings/_people', data)
  })
  routes.get('/mailings/:id/people.csv', async (req, res) => {
    const { who, machines } = viewOf(req)
    const { id } = await getMailing(db, String(req.params.id), { machines })
    await sendPeople(res, readers, { mailing: id, group: who, machines })
  })

  routes.post('/mailings/:id/campaign', async (req, res) => {
    const view = MailingView.parse({})
    const mailing = await read(req, view)
    const body = (req.body ?? {}) as { campaign?: unknown }
    const askAgain = (errors: FormErrors) => {
      const campaign = typeof body.campaign === 'string' ? body.campaign : ''
      return showPage(res.status(422), mailing, view, { typed: { values: { campaign }, errors } })
    }
    const form = CampaignTie.safeParse(body)
    if (!form.success) return askAgain(formErrors(form.error))
    const { campaign } = form.data
    const name = await tieCampaign(db, mailing.id, campaign)
    if (name === undefined)
      return askAgain({
        first: 'campaign',
        campaign: `There is no campaign ${campaign}. It may have been deleted.`,
      })
    tell(
      req,
      name === null
        ? `${mailing.name} is tied to no campaign.`
        : `${mailing.name} is tied to ${name}: its funnel goes on to the sale.`,
    )
    res.redirect(303, `/mailings/${mailing.id}`)
  })

  return routes
}

/** The steps of the funnel in people. `rate` is the share of what `of` says; null where there is none to tell. */
function stepsOf({ people, rates, untracked }: Mailing, campaign: FollowingCampaign | null) {
  const hidden = <Value>(value: Value) => (untracked ? null : value)
  const steps: { id: string; name: string; count: number | null; rate: number | null; of: string }[] = [
    { id: 'delivered', name: 'Delivered', count: people.delivered, rate: rates.delivery, of: 'sent' },
    { id: 'opened', name: 'Opened', count: hidden(people.opened), rate: rates.open, of: 'of delivered' },
    {
      id: 'clicked',
      name: 'Clicked',
      count: hidden(people.clicked),
      rate: rates.clickToOpen,
      of: 'of opened',
    },
  ]
  if (campaign === null) return steps
  // The people of several mailings are no part of those who clicked in this one.
  const isShared = campaign.mailings > 1
  return [
    ...steps,
    {
      id: 'landed',
      name: 'Landed',
      count: campaign.landed,
      rate: isShared ? null : hidden(share(campaign.landed, people.clicked)),
      of: isShared ? 'of all its mailings' : 'of clicked',
    },
    {
      id: 'converted',
      name: 'Converted',
      count: campaign.converted,
      // A server may report conversions of people who were never seen to land.
      rate: campaign.converted > campaign.landed ? null : share(campaign.converted, campaign.landed),
      of: 'of landed',
    },
  ]
}

const shownLinks = <Link extends { url: string | null; clicks: number }>(links: Link[], clicks: number) =>
  links.map((link) => ({
    ...link,
    label: link.url === null ? 'A link that nobody told' : link.url.replace(/^https?:\/\//, ''),
    isAddress: /^https?:\/\//i.test(link.url ?? ''),
    width: links[0]!.clicks === 0 ? 0 : Math.round((link.clicks / links[0]!.clicks) * 1000) / 10,
    share: share(link.clicks, clicks),
  }))

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
const unsent = ['draft', 'scheduled']
/** Tabs that stay though nobody is in them: what a reader of the page looks for first. */
const always: Group[] = [
  'opened',
  'clicked',
  'not-opened',
  'not-clicked',
  'bounced',
  'unsubscribed',
  'complained',
]
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
