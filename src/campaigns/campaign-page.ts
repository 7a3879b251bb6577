import { type Request, type Response, Router } from 'express'
import * as z from 'zod'
import { searchTerm } from '../audience/search.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import { type DateFormats, number, percent } from '../web/formats.js'
import { one } from '../web/forms.js'
import { isRefresh, render, renderFragment, wantsFragment } from '../web/render.js'
import { share } from '../web/shares.js'
import { sendCsv } from './exports.js'
import { hostOf } from './forms.js'
import {
  findJourney,
  type JourneyPage,
  type JourneyRow,
  journeyEvents,
  listEventsOf,
  listJourneys,
} from './journey-list.js'
import { kindOf } from './kinds.js'
import { conversionRate, landingRate, orderRate, sumOf } from './metrics.js'
import { getCampaign } from './queries.js'
import { sealedJourneysOf } from './sealing.js'
import {
  type CampaignStats,
  campaignStats,
  domainSorts,
  listDomainStats,
  type Range,
  ranges,
  readSeries,
  type Series,
  unitsOf,
  usualRange,
} from './statistics.js'
import { reasonsInWords, verdictOf } from './verdict.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  dates: DateFormats
  now: () => number
}

const flag = (otherwise: boolean) =>
  one(
    z
      .enum(['0', '1'])
      .transform((value) => value === '1')
      .catch(otherwise),
  )
const count = one(z.coerce.number().int().min(0).max(1e15).catch(0))

/** What the address bar may say about a campaign. A filter never fails: nonsense falls back to the default. */
const CampaignView = z.object({
  machines: flag(false),
  /** Unsaid: what {@link usualRange} finds. */
  range: one(z.enum([...ranges, '']).catch('')),
  compare: flag(true),
  /** Unsaid, or not to be had in this range: the first of its {@link unitsOf}. */
  by: one(z.enum(['hour', 'day', '']).catch('')),
  sort: one(z.enum(domainSorts).catch('email_clicks')),
  order: one(z.enum(['asc', 'desc', '']).catch('')),
  email: one(z.string().transform(searchTerm).catch('')),
  domain: one(
    z
      .string()
      .transform((text) => hostOf(text) ?? '')
      .catch(''),
  ),
  event: one(z.enum([...journeyEvents, '']).catch('')),
  offset: count,
  after: count,
  open: count,
})
type CampaignView = z.infer<typeof CampaignView>

/** What stands in the address only when it is not the default. */
const defaults: CampaignView = CampaignView.parse({})

/** The query of an address that shows this view: `?range=30d&machines=1`, or nothing at all. */
function queryOf(view: CampaignView) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(view))
    if (value !== defaults[name as keyof CampaignView])
      query.set(name, String(typeof value === 'boolean' ? +value : value))
  const text = query.toString()
  return text && `?${text}`
}

type Name = keyof CampaignView

/**
 * What to show. A part of the page that htmx asks for says only what is its own; the rest stands in the address of the
 * page that asks, so that what another part has changed meanwhile is not taken back.
 */
function viewOf(req: Request, campaignId: number, own: Name[] = []): CampaignView {
  const current = wantsFragment(req) ? req.get('HX-Current-URL') : undefined
  const page = current && URL.canParse(current) ? new URL(current) : null
  if (page?.pathname !== `/campaign/${campaignId}`) return CampaignView.parse(req.query)
  // Another filter begins with its first page again.
  for (const name of ['offset', 'after', 'open']) page.searchParams.delete(name)
  const asked = Object.entries(req.query).filter(([name]) => own.includes(name as Name))
  return CampaignView.parse({ ...Object.fromEntries(page.searchParams), ...Object.fromEntries(asked) })
}

const eventNames = {
  email_click: 'Email click',
  landing_click: 'Landing click',
  conversion: 'Conversion',
} as const

/** What a page shows of so many domains; the CSV has them all. */
const mostDomains = 200

/** A campaign's page, and the parts of it that refresh themselves. All it shows without a scan comes from counts. */
export function campaignPage({ db, readers, calendar, dates, now }: Needs) {
  const routes = Router()

  const withStats = async (campaignId: number, view: CampaignView) => ({
    stats: shownStats(await campaignStats(db, campaignId, view), view),
  })

  async function withDomains(campaign: { id: number; archived_at: number | null }, view: CampaignView) {
    const order = view.order || (view.sort === 'domain' ? 'asc' : 'desc')
    const domains = await listDomainStats(db, campaign.id, { ...view, order, now: now() })
    const totals = await campaignStats(db, campaign.id, view)
    return {
      domains: domains.slice(0, mostDomains).map((domain) => ({
        ...domain,
        silentGap: campaign.archived_at === null ? domain.silentGap : null,
      })),
      domainCount: domains.length,
      totals: { ...totals.events, rate: conversionRate(totals.events) },
      order,
      columns: columns.map((column) => {
        const current = column.sort === view.sort
        const first = column.sort === 'domain' ? 'asc' : 'desc'
        const next = current && order === first ? (first === 'asc' ? 'desc' : 'asc') : first
        return { ...column, current, next }
      }),
    }
  }

  const withSeries = async (campaignId: number, view: CampaignView) => {
    const range = view.range || (await usualRange(db, campaignId, now()))
    const units = unitsOf[range]
    const by = units.find((unit) => unit === view.by) ?? units[0]
    const series = await readSeries(db, calendar, campaignId, { ...view, range, by, now: now() })
    return {
      series: { ...shownSeries(series, range, dates), units: unitLinks(range, by) },
      timeZone: calendar.timeZone,
    }
  }

  async function withJourneys(campaignId: number, view: CampaignView) {
    const domainNames = await listDomainStats(db, campaignId, { machines: view.machines, now: now() })
    const domainId = view.domain === '' ? null : await domainIdOf(campaignId, view.domain)
    // A domain that never reported is no filter.
    const domain = domainId === null ? '' : view.domain
    const filter = { domainId, event: view.event || null, email: view.email, machines: view.machines }
    const page = await listJourneys({ db, readers }, campaignId, filter, view)
    const open = view.open > 0 ? await opened(campaignId, view.open) : null
    const rows = page.rows.map((row) => shownJourney(row, view))
    if (open && !rows.some((row) => row.id === open.journey.id))
      rows.unshift(shownJourney(open.journey, view))
    return {
      domainOptions: domainNames.slice(0, mostDomains).map(({ domain, name }) => ({ domain, name })),
      filter: { ...filter, domain, event: view.event },
      journeys: rows,
      isFiltered: Boolean(domain || view.event || view.email),
      open,
      foot: footOf(page, view, { ...view, domain }),
    }
  }

  const domainIdOf = async (campaignId: number, name: string) =>
    (
      await db
        .selectFrom('sending_domains')
        .innerJoin('domain_counts', 'domain_counts.domain_id', 'sending_domains.id')
        .select('sending_domains.id')
        .where('campaign_id', '=', campaignId)
        .where('name', '=', name)
        .executeTakeFirst()
    )?.id ?? null

  async function opened(campaignId: number, journeyId: number) {
    const journey = await findJourney(readers, campaignId, journeyId)
    if (!journey) return null
    const [{ events, hasMore }, removed] = await Promise.all([
      listEventsOf(readers, journey),
      sealedJourneysOf(readers, journey),
    ])
    const today = calendar.dayOf(now())
    return {
      journey,
      hasMore,
      hasRemoved: removed.length > 0,
      events: events.map((event) => ({
        ...event,
        name: eventNames[kindOf(event.kind)],
        isToday: calendar.dayOf(event.happened_at) === today,
        elsewhere: event.domainName === journey.domainName ? '' : event.domainName,
        details: detailsOf(event),
        verdict: verdictOf(event.verdict),
        reasons: reasonsInWords(event.reasons),
      })),
    }
  }

  /**
   * A part answers with the address that the page has with it, so that the back button and bookmarks work.
   * @returns whether that is another one than before: what else on the page leads to it has to follow
   */
  function pushAddress(req: Request, res: Response, campaignId: number, view: CampaignView) {
    const address = `/campaign/${campaignId}${queryOf({ ...view, offset: 0, after: 0, open: 0 })}`
    const current = req.get('HX-Current-URL')
    if (!wantsFragment(req) || isRefresh(req) || !current || !URL.canParse(current)) return false
    const url = new URL(current)
    if (url.pathname + url.search === address) return false
    res.set('HX-Push-Url', address)
    return true
  }

  /** A part of the page; asked for by a browser itself, without htmx, it is the whole page. */
  async function show(
    req: Request,
    res: Response,
    part: {
      fragment: string
      own: Name[]
      data: (campaign: Awaited<ReturnType<typeof getCampaign>>, view: CampaignView) => Promise<object>
    },
  ) {
    const campaign = await getCampaign(db, String(req.params.id))
    const view = viewOf(req, campaign.id, part.own)
    if (!wantsFragment(req)) return showPage(res, campaign, view)
    const isElsewhere = pushAddress(req, res, campaign.id, view)
    const data = { ...common(campaign, view), ...(await part.data(campaign, view)) }
    // Only who asks again by itself still shows what it was given last.
    if (isRefresh(req)) return renderFragment(res, `campaigns/${part.fragment}`, data)
    res.vary('HX-Request, HX-Current-URL').set('Cache-Control', 'no-store')
    const fragment = `campaigns/${part.fragment}`
    if (isElsewhere) res.render('campaigns/_elsewhere', { ...data, fragment: `${fragment}.njk` })
    else res.render(fragment, data)
  }

  const common = (campaign: Awaited<ReturnType<typeof getCampaign>>, view: CampaignView) => ({
    campaign,
    view,
    query: queryOf(view),
    /** The address of the page with something changed. */
    at: (changes: Partial<CampaignView>) =>
      `/campaign/${campaign.id}${queryOf({ ...view, offset: 0, after: 0, open: 0, ...changes })}`,
    /** The query alone, for a part or an export. */
    asking: (changes: Partial<CampaignView>) =>
      queryOf({ ...view, offset: 0, after: 0, open: 0, ...changes }),
    /** What a form leaves as it is, by name and value. */
    kept: (...changed: (keyof CampaignView)[]) => [
      ...new URLSearchParams(
        queryOf({
          ...view,
          offset: 0,
          after: 0,
          open: 0,
          ...Object.fromEntries(changed.map((name) => [name, defaults[name]])),
        }),
      ),
    ],
  })

  async function showPage(
    res: Response,
    campaign: Awaited<ReturnType<typeof getCampaign>>,
    view: CampaignView,
  ) {
    res.set('Cache-Control', 'no-store')
    render(
      res,
      { page: 'campaigns/campaign', fragment: 'campaigns/campaign' },
      {
        room: 'campaigns',
        ...common(campaign, view),
        ...(await withStats(campaign.id, view)),
        ...(await withDomains(campaign, view)),
        ...(await withSeries(campaign.id, view)),
        ...(await withJourneys(campaign.id, view)),
        isMore: false,
      },
    )
  }

  routes.get('/campaign/:id', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    await showPage(res, campaign, viewOf(req, campaign.id))
  })

  routes.get('/campaign/:id/stats', (req, res) =>
    show(req, res, { fragment: '_stats', own: [], data: (campaign, view) => withStats(campaign.id, view) }),
  )
  routes.get('/campaign/:id/domains', (req, res) =>
    show(req, res, { fragment: '_domains', own: ['sort', 'order'], data: withDomains }),
  )
  routes.get('/campaign/:id/series', (req, res) =>
    show(req, res, {
      fragment: '_series',
      own: ['range', 'compare', 'by'],
      data: (campaign, view) => withSeries(campaign.id, view),
    }),
  )
  routes.get('/campaign/:id/users', (req, res) => {
    // Asked for by the page itself, the next rows join those that are there.
    const isMore = req.query.offset !== undefined
    return show(req, res, {
      fragment: isMore ? '_more-journeys' : '_journeys',
      own: ['email', 'domain', 'event', 'offset', 'after'],
      data: async (campaign, view) => ({ ...(await withJourneys(campaign.id, view)), isMore }),
    })
  })

  routes.get('/campaign/:id/users/:journeyId', async (req, res) => {
    const campaign = await getCampaign(db, req.params.id)
    const view = viewOf(req, campaign.id)
    const id = /^[1-9]\d{0,14}$/.test(req.params.journeyId) ? Number(req.params.journeyId) : 0
    const open = await opened(campaign.id, id)
    if (!open)
      throw new NotFound(
        `Nobody's journey in campaign ${campaign.id} has the number ${req.params.journeyId.slice(0, 40)}.`,
      )
    if (!wantsFragment(req)) return showPage(res, campaign, { ...view, open: id })
    const closing = req.query.close !== undefined
    res.set('Cache-Control', 'no-store').render('campaigns/_journey', {
      ...common(campaign, view),
      journey: shownJourney(open.journey, view),
      open: closing ? null : open,
      closing,
    })
  })

  for (const table of ['events', 'journeys', 'domains'] as const)
    routes.get(`/campaign/:id/${table}.csv`, async (req, res) => {
      const campaign = await getCampaign(db, req.params.id)
      const view = viewOf(req, campaign.id)
      const domainId = view.domain === '' ? null : await domainIdOf(campaign.id, view.domain)
      const filter = { domainId, event: view.event || null, email: view.email, machines: view.machines }
      await sendCsv(res, { db, readers, day: calendar.dayOf(now()), now: now() }, table, campaign.id, filter)
    })

  return routes
}

const columns = [
  { sort: 'domain', label: 'Domain' },
  { sort: 'email_clicks', label: 'E.Click' },
  { sort: 'landing_clicks', label: 'L.Click' },
  { sort: 'conversions', label: 'Conv' },
  { sort: 'rate', label: 'Rate' },
  { sort: 'last_at', label: 'Last event' },
] as const

/** The statistics with their rates, and with the shape of the stream that runs under them. */
function shownStats(stats: CampaignStats, { machines }: CampaignView) {
  const { events, people, machine } = stats
  const most = Math.max(events.email_clicks, events.landing_clicks, events.conversions)
  // A step without an event leaves no line; any other is at least seen.
  const height = (count: number) => (count === 0 ? 0 : Math.max(1.2, (count / most) * 100))
  const [clicked, landed, converted] = [events.email_clicks, events.landing_clicks, events.conversions].map(
    height,
  ) as [number, number, number]
  return {
    ...stats,
    rate: conversionRate(events),
    peopleRate: conversionRate(people),
    landingRate: landingRate(events),
    orderRate: orderRate(events),
    machineEvents: sumOf(machine),
    /** Among all events, as the API tells it. */
    machineShare: share(sumOf(machine), sumOf(events) + (machines ? 0 : sumOf(machine))),
    onlyClicks: machine.conversions === 0,
    isEmpty: sumOf(events) + sumOf(machine) === 0,
    width: {
      landed: percentOf(events.landing_clicks, most),
      converted: percentOf(events.conversions, most),
      clicked: percentOf(events.email_clicks, most),
    },
    stream: most === 0 ? '' : streamPath(clicked, landed, converted),
  }
}
const percentOf = (part: number, whole: number) => (whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10)

/** The outline of a stream that narrows from step to step; heights in per cent of the first. */
function streamPath(...heights: number[]) {
  const [a, b, c] = heights.map((height) => ({
    top: round(50 - height / 2),
    bottom: round(50 + height / 2),
  })) as [Edge, Edge, Edge]
  return (
    `M0 ${a.top}H155C202.5 ${a.top} 202.5 ${b.top} 250 ${b.top}H405C452.5 ${b.top} 452.5 ${c.top} 500 ${c.top}H1000` +
    `V${c.bottom}H500C452.5 ${c.bottom} 452.5 ${b.bottom} 405 ${b.bottom}H250C202.5 ${b.bottom} 202.5 ${a.bottom} 155 ${a.bottom}H0Z`
  )
}
interface Edge {
  top: number
  bottom: number
}
const round = (value: number) => Math.round(value * 10) / 10

const rangeNames = {
  '24h': { label: '24 h', long: '24 hours' },
  '7d': { label: '7 days', long: '7 days' },
  '30d': { label: '30 days', long: '30 days' },
  '90d': { label: '90 days', long: '90 days' },
  all: { label: 'All', long: 'all time' },
} as const

/** The series with the words around it: each point's name, what the chart tells, and what it is compared with. */
function shownSeries({ unit, points, before }: Series, range: Range, dates: DateFormats) {
  const name = (at: number) => {
    if (unit === 'hour') return dates.moment(at)
    if (unit === 'month') return dates.date(at).replace(/^\d+ /, '')
    const day = dates.moment(at).replace(/, [\d:]+$/, '')
    return unit === 'week'
      ? `Week of ${dates.date(at)}`
      : range === 'all'
        ? `${day} ${dates.date(at).slice(-4)}`
        : day
  }
  const total = (list: Series['points'], step: 'email_clicks' | 'landing_clicks' | 'conversions') =>
    list.reduce((sum, point) => sum + point[step], 0)
  const long = rangeNames[range].long
  const period = range === 'all' ? 'of all time' : `in the last ${long}`
  const peak = points.reduce(
    (most, point) => (point.email_clicks > most.email_clicks ? point : most),
    points[0]!,
  )
  const hasBefore = before.some((point) => sumOf(point) > 0)
  const clicks = total(points, 'email_clicks')
  const change = hasBefore
    ? share(clicks - total(before, 'email_clicks'), total(before, 'email_clicks'))
    : null
  const story = [
    `Clicks, landings and conversions ${period}, by ${unit}:`,
    `${number(clicks)} email clicks, ${number(total(points, 'landing_clicks'))} landing clicks and ${number(total(points, 'conversions'))} conversions.`,
    clicks > 0 ? `Most email clicks: ${number(peak.email_clicks)}, ${name(peak.at)}.` : '',
    change === null
      ? ''
      : `${percent(Math.abs(change), 1)} ${change < 0 ? 'fewer' : 'more'} email clicks than in the ${long} before.`,
  ]
  return {
    unit,
    points: points.map((point, index) => ({
      ...point,
      name: name(point.at),
      before: before[index] ?? null,
      beforeName: before[index] ? name(before[index].at) : '',
    })),
    last: { ...points[points.length - 1]!, name: name(points[points.length - 1]!.at) },
    lastBefore: before.at(-1) ?? null,
    compares: hasBefore,
    canCompare: range !== 'all',
    nothingBefore: before.length > 0 && !hasBefore && points.some((point) => sumOf(point) > 0),
    beforeLabel: `${long} before`,
    story: story.filter(Boolean).join(' '),
    ranges: ranges.map((choice) => ({
      range: choice,
      label: rangeNames[choice].label,
      current: choice === range,
    })),
  }
}

/** Hours or days, where a range can be read in both; what is usual is not said in the address. */
function unitLinks(range: Range, by: 'hour' | 'day') {
  const units = unitsOf[range]
  if (units.length === 1) return []
  return (['hour', 'day'] as const).map((unit) => ({
    unit,
    by: unit === units[0] ? ('' as const) : unit,
    label: { hour: 'Hours', day: 'Days' }[unit],
    current: unit === by,
  }))
}

/** A journey with its three steps, each as seen or not, by whom the view counts in. */
function shownJourney(journey: JourneyRow, { machines }: CampaignView) {
  const step = (events: number, byMachines: number, first: number | null) => ({
    done: events + (machines ? byMachines : 0) > 0,
    first,
    onlyMachines: events === 0 && machines && byMachines > 0,
  })
  const { last_at, machine_last_at } = journey
  return {
    ...journey,
    steps: [
      step(journey.email_clicks, journey.machine_email_clicks, journey.first_email_click_at),
      step(journey.landing_clicks, journey.machine_landing_clicks, journey.first_landing_click_at),
      step(journey.conversions, journey.machine_conversions, journey.first_conversion_at),
    ],
    lastShown: machines ? Math.max(last_at ?? 0, machine_last_at ?? 0) || null : last_at,
  }
}

/** What is shown of how many, and where the next page begins. */
function footOf(page: JourneyPage, view: CampaignView, filter: CampaignView) {
  const shown = view.offset + page.rows.length
  const last = page.rows.at(-1)
  const next = page.hasMore && last ? { ...filter, open: 0, offset: shown, after: last.id } : null
  return {
    // The address of the next page alone shows only that page: it says from which on.
    shown,
    from: view.offset + 1,
    count: page.exact ? Math.max(page.count, shown) : page.count,
    exact: page.exact,
    next,
    // Who came since the first page was shown stands above it.
    newer: next === null && page.exact && view.offset > 0 ? Math.max(page.count - shown, 0) : 0,
  }
}

const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'code' })

/** The small print of an event: which link, what came along, on what and where. */
function detailsOf(event: {
  link: string | null
  extra: string | null
  country: string | null
  device: string | null
}) {
  const extra = event.extra === null ? {} : (JSON.parse(event.extra) as Record<string, unknown>)
  const where = [event.device, event.country && regions.of(event.country)].filter(Boolean).join(', ')
  return [
    ...(event.link === null ? [] : [`link=${event.link}`]),
    ...Object.entries(extra).map(
      ([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`,
    ),
    ...(where ? [where] : []),
  ].join(' · ')
}
