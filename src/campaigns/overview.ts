import * as z from 'zod'
import { lastEngagementAt } from '../audience/last-engagement.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { type Calendar, dayLength, hourLength } from '../web/calendar.js'
import { conversionRate } from './metrics.js'

/** What the table of campaigns can be ordered by, each with the direction people mean when they ask for it. */
export const sortings = {
  id: 'desc',
  name: 'asc',
  clicks: 'desc',
  conv: 'desc',
  rate: 'desc',
  created: 'desc',
} as const
export type Sorting = keyof typeof sortings
export type Direction = 'asc' | 'desc'
const sortNames = Object.keys(sortings) as Sorting[]

export const states = ['active', 'archived', 'all'] as const
/** The periods to choose from, in days; null is all time. */
export const periods = [null, 7, 30, 90] as const
/** The days that sparklines and changes look at when the numbers are of all time. */
const usualDays = 30
/** A rate of one day jumps about: its sparkline shows, at each day, the rate of so many days up to it. */
const rateWindow = 7
/** The most campaigns of one table: `show=all` gives the rest. */
const pageSize = 100

/** What the address bar may say. A filter never fails: nonsense falls back to the default. */
export const OverviewFilter = z
  .object({
    q: z.string().trim().max(200).catch(''),
    state: z.enum(states).catch('active'),
    sort: z.string().catch(''),
    order: z.enum(['asc', 'desc']).optional().catch(undefined),
    days: z.literal(['7', '30', '90']).transform(Number).nullable().catch(null),
    show: z.enum(['some', 'all']).catch('some'),
  })
  .transform(({ sort, order, ...filter }) => {
    // One word says both, so that one <select> can: "clicks", or "clicks-asc" for the unusual way round.
    const [name, way] = sort.split('-')
    const by = sortNames.find((known) => known === name) ?? 'id'
    const asked = way === 'asc' || way === 'desc' ? way : order
    return { ...filter, sort: by, order: (asked ?? sortings[by]) as Direction }
  })
export type OverviewFilter = z.infer<typeof OverviewFilter>

/** The address of a view of the home page; what is as usual is left out. */
export function overviewAddress(filter: OverviewFilter, change: Partial<OverviewFilter> = {}) {
  const { q, state, sort, order, days, show } = { ...filter, ...change }
  const words = new URLSearchParams()
  if (q) words.set('q', q)
  if (state !== 'active') words.set('state', state)
  if (sort !== 'id' || order !== sortings[sort]) words.set('sort', sortWord(sort, order))
  if (days !== null) words.set('days', String(days))
  if (show === 'all') words.set('show', 'all')
  return words.size > 0 ? `/?${words}` : '/'
}
export const sortWord = (sort: Sorting, order: Direction) =>
  order === sortings[sort] ? sort : `${sort}-${order}`

export interface CampaignLine {
  id: number
  name: string
  offerUrl: string
  /** Where the offer is: the host of its URL. */
  offerHost: string
  clicks: number
  conversions: number
  /** A share of one; null without clicks. */
  rate: number | null
  createdAt: number
  archivedAt: number | null
  /** Of any event, machine or not, at any time. */
  lastAt: number | null
  /** Email clicks of each day of the span, oldest first. */
  clicksByDay: number[]
}

/**
 * A figure of the headline: its value, the same over the span and over the span before it, and both by day (a rate:
 * of the week up to each day).
 */
export interface Headline {
  value: number | null
  now: number | null
  before: number | null
  byDay: (number | null)[]
  byDayBefore: (number | null)[]
}

export interface Overview {
  /** How many days sparklines and changes look at. */
  span: number
  headlines: { campaigns: Headline; clicks: Headline; conversions: Headline; rate: Headline }
  lines: CampaignLine[]
  /** How many match, shown or not. */
  matching: number
  counts: { active: number; archived: number; all: number }
}

type Needs = { calendar: Calendar; now: number }

/**
 * Everything the home page shows, from counts alone: four queries, however many campaigns and events there are.
 *
 * The headline is about all campaigns of the chosen state (the search narrows the list only), so that it is the sum
 * of the table. A span is whole days in the reporting time zone with today as far as it has come; the span before it
 * ends at the same hour, so that a morning is not compared with a whole day.
 */
export async function readOverview(
  db: Db,
  filter: OverviewFilter,
  { calendar, now }: Needs,
): Promise<Overview> {
  const span = filter.days ?? usualDays
  const today = calendar.dayOf(now)
  const days = daysFrom(calendar, calendar.shift(today, 1 - span), span)
  const daysBefore = daysFrom(calendar, calendar.shift(today, 1 - 2 * span), span)

  const all = await campaignsWithCounts(db, filter.days === null ? null : days[0]!)
  const inState = all.filter((campaign) => isIn(filter.state, campaign))
  const matching = inState.filter((campaign) => matches(campaign, filter.q)).sort(comparison(filter))
  const shown = filter.show === 'all' ? matching : matching.slice(0, pageSize)

  const byDay = await totalsByDay(db, {
    state: filter.state,
    since: calendar.shift(daysBefore[0]!, 1 - rateWindow),
  })
  const lastDayBefore = daysBefore.at(-1)!
  const untilThisHour = await totalsOfHours(db, {
    state: filter.state,
    from: calendar.startOf(lastDayBefore),
    to: now - span * dayLength,
  })
  const clicksByDay = await clicksOfEach(db, { ids: shown.map(({ id }) => id), since: days[0]! })

  const on = (day: string) => byDay.get(day) ?? nothing
  const totals = days.map(on)
  const totalsBefore = daysBefore.map((day) => (day === lastDayBefore ? untilThisHour : on(day)))
  const counted = (of: 'clicks' | 'conversions'): Headline => ({
    value: sum(inState, of),
    now: sum(totals, of),
    before: sum(totalsBefore, of),
    byDay: totals.map((day) => day[of]),
    byDayBefore: totalsBefore.map((day) => day[of]),
  })
  const clicks = counted('clicks')
  const conversions = counted('conversions')
  const rateOfWeek = (lastDay: string) => {
    const week = daysFrom(calendar, calendar.shift(lastDay, 1 - rateWindow), rateWindow).map(on)
    return rate(sum(week, 'conversions'), sum(week, 'clicks'))
  }
  // At the end of each day; today's is now.
  const alive = (day: string) => {
    const at = day === today ? now : calendar.startOf(calendar.shift(day, 1)) - 1
    return all.filter((campaign) => wasIn(filter.state, campaign, at)).length
  }
  const campaignsByDay = days.map(alive)

  return {
    span,
    headlines: {
      campaigns: {
        value: inState.length,
        now: inState.length,
        before: alive(lastDayBefore),
        byDay: campaignsByDay,
        byDayBefore: [],
      },
      clicks,
      conversions,
      rate: {
        value: rate(conversions.value!, clicks.value!),
        now: rate(conversions.now!, clicks.now!),
        before: rate(conversions.before!, clicks.before!),
        byDay: days.map(rateOfWeek),
        byDayBefore: daysBefore.map(rateOfWeek),
      },
    },
    lines: shown.map((campaign) => ({
      ...campaign,
      clicksByDay: days.map((day) => clicksByDay.get(campaign.id)?.get(day) ?? 0),
    })),
    matching: matching.length,
    counts: {
      active: all.filter((campaign) => isIn('active', campaign)).length,
      archived: all.filter((campaign) => isIn('archived', campaign)).length,
      all: all.length,
    },
  }
}

/** When the last event of any campaign or mailing came in, of a machine or not; null before the first. */
export async function lastEventAt(db: Db): Promise<number | null> {
  const { last } = await db
    .selectFrom('campaign_counts')
    .innerJoin('campaigns', 'campaigns.id', 'campaign_counts.campaign_id')
    .where('deleted_at', 'is', null)
    .select(({ fn }) => fn.max('last_at').as('last'))
    .executeTakeFirstOrThrow()
  const engaged = await lastEngagementAt(db)
  return last === null || engaged === null ? (last ?? engaged) : Math.max(last, engaged)
}

/** A campaign with its numbers of all time, or (given a first day) of the days since. Deleted ones are never there. */
async function campaignsWithCounts(db: Db, since: string | null) {
  const campaigns = db
    .selectFrom('campaigns')
    .leftJoin('campaign_counts as ever', 'ever.campaign_id', 'campaigns.id')
    .where('campaigns.deleted_at', 'is', null)
    .select([
      'campaigns.id',
      'campaigns.name',
      'campaigns.offer_url',
      'campaigns.created_at',
      'campaigns.archived_at',
      'ever.last_at',
    ])
  const rows =
    since === null
      ? await campaigns.select(['ever.email_clicks', 'ever.conversions']).execute()
      : await campaigns
          .leftJoin('campaign_days as day', (join) =>
            join.onRef('day.campaign_id', '=', 'campaigns.id').on('day.day_on', '>=', since),
          )
          .groupBy('campaigns.id')
          .select(({ fn }) => [
            fn.sum<number>('day.email_clicks').as('email_clicks'),
            fn.sum<number>('day.conversions').as('conversions'),
          ])
          .execute()
  return rows.map((row) => {
    const clicks = row.email_clicks ?? 0
    const conversions = row.conversions ?? 0
    return {
      id: row.id,
      name: row.name,
      offerUrl: row.offer_url,
      offerHost: hostOfOffer(row.offer_url),
      clicks,
      conversions,
      rate: rate(conversions, clicks),
      createdAt: row.created_at,
      archivedAt: row.archived_at,
      lastAt: row.last_at,
    }
  })
}
type Campaign = Awaited<ReturnType<typeof campaignsWithCounts>>[number]

/** The host of an offer URL as people know it, without `www.`. */
export function hostOfOffer(url: string) {
  return URL.canParse(url) ? new URL(url).host.replace(/^www\./, '') : url
}

type State = OverviewFilter['state']
const isIn = (state: State, { archivedAt }: Campaign) =>
  state === 'all' || (state === 'archived') === (archivedAt !== null)
const wasIn = (state: State, { createdAt, archivedAt }: Campaign, at: number) =>
  createdAt <= at && (state === 'all' || (state === 'archived') === (archivedAt !== null && archivedAt <= at))

function matches({ name, offerUrl }: Campaign, q: string) {
  const wanted = q.toLowerCase()
  return name.toLowerCase().includes(wanted) || offerUrl.toLowerCase().includes(wanted)
}

const names = new Intl.Collator('en', { sensitivity: 'base', numeric: true })

/** What has no value goes last, whichever way round; equals stay newest first. */
function comparison({ sort, order }: OverviewFilter) {
  const way = order === 'asc' ? 1 : -1
  const value = (campaign: Campaign) =>
    ({
      id: campaign.id,
      clicks: campaign.clicks,
      conv: campaign.conversions,
      rate: campaign.rate,
      created: campaign.createdAt,
      name: null,
    })[sort]
  return (one: Campaign, other: Campaign) => {
    const newest = other.id - one.id
    if (sort === 'name') return way * names.compare(one.name, other.name) || newest
    const [a, b] = [value(one), value(other)]
    if (a === b) return newest
    if (a === null) return 1
    if (b === null) return -1
    return way * (a - b) || newest
  }
}

interface Totals {
  clicks: number
  conversions: number
}
const nothing: Totals = { clicks: 0, conversions: 0 }

const sum = (of: Totals[], what: keyof Totals) => of.reduce((total, one) => total + one[what], 0)
const rate = (conversions: number, email_clicks: number) => conversionRate({ email_clicks, conversions })

/**
 * The ids of the campaigns in a state. As a list to look in, not as a table to join: SQLite joins from the side of the
 * counts, and reads all hours of all years for those of one day.
 */
const idsIn = (db: Db, state: State) =>
  db
    .selectFrom('campaigns')
    .select('id')
    .where('deleted_at', 'is', null)
    .$if(state === 'active', (query) => query.where('archived_at', 'is', null))
    .$if(state === 'archived', (query) => query.where('archived_at', 'is not', null))

async function totalsByDay(db: Db, { state, since }: { state: State; since: string }) {
  const rows = await db
    .selectFrom('campaign_days')
    .where('campaign_id', 'in', idsIn(db, state))
    .where('day_on', '>=', since)
    .groupBy('day_on')
    .select(({ fn }) => [
      'day_on',
      fn.sum<number>('email_clicks').as('clicks'),
      fn.sum<number>('conversions').as('conversions'),
    ])
    .execute()
  return new Map<string, Totals>(
    rows.map(({ day_on, clicks, conversions }) => [day_on, { clicks, conversions }]),
  )
}

/** The sum of the hours that begin from one instant on and are over, or nearly, at another. */
async function totalsOfHours(db: Db, { state, from, to }: { state: State; from: number; to: number }) {
  const { clicks, conversions } = await db
    .selectFrom('campaign_hours')
    .where('campaign_id', 'in', idsIn(db, state))
    .where('hour_at', '>=', from)
    .where('hour_at', '<=', to - hourLength / 2)
    .select(({ fn }) => [
      fn.sum<number | null>('email_clicks').as('clicks'),
      fn.sum<number | null>('conversions').as('conversions'),
    ])
    .executeTakeFirstOrThrow()
  return { clicks: clicks ?? 0, conversions: conversions ?? 0 }
}

async function clicksOfEach(db: Db, { ids, since }: { ids: Row<'campaigns'>['id'][]; since: string }) {
  const rows = await db
    .selectFrom('campaign_days')
    .where(({ ref }) => isAmong(ref('campaign_id'), ids))
    .where('day_on', '>=', since)
    .select(['campaign_id', 'day_on', 'email_clicks'])
    .execute()
  const clicks = new Map<number, Map<string, number>>()
  for (const { campaign_id, day_on, email_clicks } of rows) {
    const days = clicks.get(campaign_id) ?? new Map<string, number>()
    clicks.set(campaign_id, days.set(day_on, email_clicks))
  }
  return clicks
}

function daysFrom(calendar: Calendar, first: string, count: number) {
  return Array.from({ length: count }, (_, index) => calendar.shift(first, index))
}
