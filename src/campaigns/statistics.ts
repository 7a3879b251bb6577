import { domainToUnicode } from 'node:url'
import type { Db } from '../database/open.js'
import type { EventCounts } from '../database/schema.js'
import { type Calendar, dayLength, hourLength, mondayOf } from '../web/calendar.js'
import { eventColumns } from './counts.js'
import {
  conversionRate,
  eventSteps,
  machineSteps,
  peopleSteps,
  type Steps,
  silence,
  sumOf,
} from './metrics.js'

/** Whether the events of machines are counted in. */
export interface Counting {
  machines: boolean
}

export interface CampaignStats {
  events: Steps
  /** Unique people at each step. */
  people: Steps
  /** What machines did, whether it is counted in or not. */
  machine: Steps
  /** Conversions that no click of the same person precedes; they are among the conversions. */
  orphans: number
  /** How many sending domains have reported. */
  domains: number
  /** The last event of whatever verdict. */
  last_at: number | null
}

/** The whole campaign in numbers, read from its counts. */
export async function campaignStats(db: Db, campaignId: number, counting: Counting): Promise<CampaignStats> {
  const row = await db
    .selectFrom('campaign_counts')
    .selectAll()
    .where('campaign_id', '=', campaignId)
    .executeTakeFirst()
  const { domains } = await db
    .selectFrom('domain_counts')
    .select(({ fn }) => fn.countAll<number>().as('domains'))
    .where('campaign_id', '=', campaignId)
    .executeTakeFirstOrThrow()
  const none: Steps = { email_clicks: 0, landing_clicks: 0, conversions: 0 }
  if (!row) return { events: none, people: none, machine: none, orphans: 0, domains, last_at: null }
  return {
    events: eventSteps(row, counting),
    people: peopleSteps(row, counting),
    machine: machineSteps(row),
    orphans: row.orphans,
    domains,
    last_at: row.last_at,
  }
}

export const domainSorts = [
  'domain',
  'email_clicks',
  'landing_clicks',
  'conversions',
  'rate',
  'last_at',
] as const
export type DomainSort = (typeof domainSorts)[number]
export type Order = 'asc' | 'desc'

export interface DomainStats extends Steps {
  /** The host name in ASCII, as the database and the address bar know it. */
  domain: string
  /** The same as people read it: `bücher-post.example`. */
  name: string
  machine: Steps
  rate: number | null
  first_at: number | null
  last_at: number | null
  /** Milliseconds usually between two events of a domain that has gone silent; null while all is well. */
  silentGap: number | null
}

/** Each sending domain in numbers. No value sorts last, and equal ones by name. */
export async function listDomainStats(
  db: Db,
  campaignId: number,
  {
    machines,
    now,
    sort = 'email_clicks',
    order = 'desc',
  }: Counting & { now: number; sort?: DomainSort; order?: Order },
): Promise<DomainStats[]> {
  const rows = await db
    .selectFrom('domain_counts')
    .innerJoin('sending_domains', 'sending_domains.id', 'domain_counts.domain_id')
    .select(['name', 'first_at', 'last_at', ...eventColumns])
    .where('campaign_id', '=', campaignId)
    .execute()
  const domains = rows.map((row): DomainStats => {
    const steps = eventSteps(row, { machines })
    return {
      domain: row.name,
      name: domainToUnicode(row.name) || row.name,
      ...steps,
      machine: machineSteps(row),
      rate: conversionRate(steps),
      first_at: row.first_at,
      last_at: row.last_at,
      silentGap: silence({ ...row, events: sumOf(eventSteps(row, { machines: true })) }, now),
    }
  })
  const sign = order === 'asc' ? 1 : -1
  const byName = (a: DomainStats, b: DomainStats) => a.name.localeCompare(b.name, 'en')
  return domains.sort((a, b) => {
    if (sort === 'domain') return sign * byName(a, b)
    const [left, right] = [a[sort], b[sort]]
    if (left === right) return byName(a, b)
    if (left === null || right === null) return left === null ? 1 : -1
    return sign * (left - right)
  })
}

export const ranges = ['24h', '7d', '30d', '90d', 'all'] as const
export type Range = (typeof ranges)[number]

/** The shortest range of a week or more in which something happened; all time for what has long been quiet. */
export async function usualRange(db: Db, campaignId: number, now: number): Promise<Range> {
  const row = await db
    .selectFrom('campaign_counts')
    .select('last_at')
    .where('campaign_id', '=', campaignId)
    .executeTakeFirst()
  const days = (now - (row?.last_at ?? now)) / dayLength
  if (days < 6) return '7d'
  if (days < 25) return '30d'
  return days < 80 ? '90d' : 'all'
}
export type Unit = 'hour' | 'day' | 'week' | 'month'

/** The units in which a range can be read, the usual one first. */
export const unitsOf = {
  '24h': ['hour'],
  '7d': ['hour', 'day'],
  '30d': ['day', 'hour'],
  '90d': ['day'],
  all: ['day'],
} as const satisfies Record<Range, ('hour' | 'day')[]>

export interface SeriesPoint extends Steps {
  /** The instant at which the hour, day, week or month begins. */
  at: number
}
export interface Series {
  unit: Unit
  points: SeriesPoint[]
  /** The period of the same length just before, point by point; empty where there is none to compare with. */
  before: SeriesPoint[]
}

/** In days. */
const lengths = { '24h': 1, '7d': 7, '30d': 30, '90d': 90 }
/** More days than this are gathered into weeks, more weeks into months: a chart has only so many pixels. */
const mostDays = 400
const mostWeeks = 400

/**
 * What happened when, without gaps, up to the hour or day that runs; the whole past in days, weeks (from Monday) or
 * months, whichever still can be read.
 * @param options.by one of {@link unitsOf} this range
 */
export async function readSeries(
  db: Db,
  calendar: Calendar,
  campaignId: number,
  {
    range,
    by,
    now,
    machines,
    compare,
  }: Counting & { range: Range; by: 'hour' | 'day'; now: number; compare: boolean },
): Promise<Series> {
  if (by === 'hour' && range !== 'all') {
    const length = 24 * lengths[range]
    const last = Math.floor(now / hourLength) * hourLength
    const hours = await readHours(db, campaignId, last - (2 * length - 1) * hourLength)
    const hour = (index: number) => {
      const at = last - (length - 1 - index) * hourLength
      return { at, ...steps(hours.get(at), machines) }
    }
    return {
      unit: 'hour',
      points: fill(length, hour),
      before: compare ? fill(length, (index) => hour(index - length)) : [],
    }
  }
  const today = calendar.dayOf(now)
  const days = await readDays(
    db,
    campaignId,
    range === 'all' ? '' : calendar.shift(today, -2 * lengths[range] + 1),
  )
  const day = (on: string) => ({ at: calendar.startOf(on), ...steps(days.get(on), machines) })
  if (range !== 'all') {
    const length = lengths[range]
    const first = calendar.shift(today, 1 - length)
    return {
      unit: 'day',
      points: fill(length, (index) => day(calendar.shift(first, index))),
      before: compare ? fill(length, (index) => day(calendar.shift(first, index - length))) : [],
    }
  }
  return { ...gather(calendar, days, today, machines), before: [] }
}

/** Everything since the first day with an event (but at least a week), in units that still can be read. */
function gather(calendar: Calendar, days: Map<string, EventCounts>, today: string, machines: boolean) {
  const weekAgo = calendar.shift(today, -6)
  const earliest = [...days.keys()].reduce((first, day) => (day < first ? day : first), weekAgo)
  const length = Math.round((Date.parse(today) - Date.parse(earliest)) / dayLength) + 1
  const unit: Unit = length <= mostDays ? 'day' : length <= 7 * mostWeeks ? 'week' : 'month'
  const starts = {
    day: (on: string) => on,
    week: mondayOf,
    month: (on: string) => `${on.slice(0, 7)}-01`,
  }
  const sums = new Map<string, Steps>()
  let on = earliest
  for (let index = 0; index < length; index++, on = calendar.shift(on, 1)) {
    const start = starts[unit](on)
    const sum = sums.get(start) ?? { email_clicks: 0, landing_clicks: 0, conversions: 0 }
    const { email_clicks, landing_clicks, conversions } = steps(days.get(on), machines)
    sums.set(start, {
      email_clicks: sum.email_clicks + email_clicks,
      landing_clicks: sum.landing_clicks + landing_clicks,
      conversions: sum.conversions + conversions,
    })
  }
  return { unit, points: [...sums].map(([start, sum]) => ({ at: calendar.startOf(start), ...sum })) }
}

const fill = (length: number, make: (index: number) => SeriesPoint) =>
  Array.from({ length }, (_, index) => make(index))

const steps = (row: EventCounts | undefined, machines: boolean): Steps =>
  row ? eventSteps(row, { machines }) : { email_clicks: 0, landing_clicks: 0, conversions: 0 }

async function readHours(db: Db, campaignId: number, since: number) {
  const rows = await db
    .selectFrom('campaign_hours')
    .select(['hour_at', ...eventColumns])
    .where('campaign_id', '=', campaignId)
    .where('hour_at', '>=', since)
    .execute()
  return new Map(rows.map((row) => [row.hour_at, row]))
}

async function readDays(db: Db, campaignId: number, since: string) {
  const rows = await db
    .selectFrom('campaign_days')
    .select(['day_on', ...eventColumns])
    .where('campaign_id', '=', campaignId)
    .where('day_on', '>=', since)
    .execute()
  return new Map(rows.map((row) => [row.day_on, row]))
}
