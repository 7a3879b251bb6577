import { domainToUnicode } from 'node:url'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { kindOf } from '../campaigns/kinds.js'
import { conversionRate, type Steps } from '../campaigns/metrics.js'
import { campaignStats, listDomainStats } from '../campaigns/statistics.js'
import { isAmong, wholeParts } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type Calendar, hourLength } from '../web/calendar.js'
import type { Found, Named } from './subjects.js'

export interface CampaignNumbers extends Named {
  events: Steps
  people: Steps
  /** What machines did, left out of the others. */
  machine: Steps
  /** Conversions that no click precedes; null where the campaign was looked at in part only. */
  orphans: number | null
  /** Events before this instant (milliseconds) were removed, and are missing among these; null where none are. */
  missesBefore: number | null
}
export interface DomainNumbers extends Steps {
  name: string
  rate: number | null
}

const none = (): Steps => ({ email_clicks: 0, landing_clicks: 0, conversions: 0 })
const stepOf = {
  email_click: 'email_clicks',
  landing_click: 'landing_clicks',
  conversion: 'conversions',
} as const
const add = (sum: Steps, other: Steps) => {
  for (const step of Object.values(stepOf)) sum[step] += other[step]
}

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: number
}

/**
 * Campaigns and their sending domains in numbers. Of the whole time and of everybody they are the counts that the page of a
 * campaign shows; else the events of the period, or of the contacts it is narrowed to, are looked at one by one.
 */
export async function readCampaigns(
  { db, readers, calendar, now }: Needs,
  { campaigns, period, isWhole, contacts }: Pick<Found, 'campaigns' | 'period' | 'isWhole' | 'contacts'>,
): Promise<{ campaigns: CampaignNumbers[]; domains: DomainNumbers[] }> {
  const domains = new Map<string, Steps>()
  const found: CampaignNumbers[] = []
  const tell = (name: string, steps: Steps) => {
    const sum = domains.get(name) ?? none()
    add(sum, steps)
    domains.set(name, sum)
  }
  for (const { id, name } of campaigns) {
    if (isWhole && contacts === null) {
      const { events, people, machine, orphans } = await campaignStats(db, id, { machines: false })
      found.push({ id, name, events, people, machine, orphans, missesBefore: null })
      for (const domain of await listDomainStats(db, id, { machines: false, now })) tell(domain.name, domain)
      continue
    }
    const numbers: CampaignNumbers = {
      id,
      name,
      events: none(),
      people: none(),
      machine: none(),
      orphans: null,
      missesBefore: null,
    }
    const span = {
      from: calendar.startOf(period.from),
      until: Math.min(now + 1, calendar.startOf(calendar.shift(period.to, 1))),
    }
    numbers.missesBefore = await removedIn(readers, id, span)
    for (const page of contacts ?? [null]) {
      const [events, people] = await Promise.all([
        eventsIn(readers, id, span, page),
        peopleIn(readers, id, span, page),
      ])
      for (const { kind, domain, isMachine, count } of events) {
        const step = stepOf[kindOf(kind)]
        if (isMachine) numbers.machine[step] += count
        else {
          numbers.events[step] += count
          tell(domainToUnicode(domain) || domain, { ...none(), [step]: count })
        }
      }
      for (const { kind, count } of people) numbers.people[stepOf[kindOf(kind)]] += count
    }
    found.push(numbers)
  }
  return {
    campaigns: found,
    domains: [...domains]
      .map(([name, steps]) => ({ name, ...steps, rate: conversionRate(steps) }))
      .filter(
        ({ email_clicks, landing_clicks, conversions }) => email_clicks + landing_clicks + conversions > 0,
      )
      .sort(
        (one, other) => other.email_clicks - one.email_clicks || one.name.localeCompare(other.name, 'en'),
      ),
  }
}

/** In sentences: what is missing where events were removed; empty where none are. */
export function missingInWords(campaigns: readonly CampaignNumbers[], date: (at: number) => string): string {
  const missing = campaigns.flatMap(({ missesBefore }) => missesBefore ?? [])
  return missing.length === 0
    ? ''
    : `Events up to ${date(Math.max(...missing))} are removed by now, and missing among the tracker’s numbers of this period.`
}

/** When the last of the removed events of this time happened; null where none of it was removed. */
async function removedIn(readers: Readers, campaign: number, { from, until }: Span) {
  const { last } = await readers
    .selectFrom('sealed_events')
    .select(({ fn }) => fn.max<number | null>('last_at').as('last'))
    .where('campaign_id', '=', campaign)
    .where('last_at', '>=', from)
    .where('first_at', '<', until)
    .executeTakeFirstOrThrow()
  return last
}

interface Span {
  from: number
  until: number
}

const inSpan = (readers: Readers, campaign: number, { from, until }: Span, page: number[] | null) =>
  readers
    .selectFrom('events')
    .where('campaign_id', '=', campaign)
    .where('happened_at', '>=', from)
    .where('happened_at', '<', until)
    .$if(page !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), page!)))

async function eventsIn(readers: Readers, campaign: number, span: Span, page: number[] | null) {
  const rows = await inSpan(readers, campaign, span, page)
    .innerJoin('sending_domains', 'sending_domains.id', 'events.domain_id')
    .select((eb) => [
      'kind',
      'sending_domains.name as domain',
      eb.case().when('verdict', '>=', 2).then(1).else(0).end().as('machine'),
      eb.fn.countAll<number>().as('count'),
    ])
    .groupBy(['kind', 'domain', 'machine'])
    .execute()
  return rows.map(({ machine, ...row }) => ({ ...row, isMachine: machine === 1 }))
}

const peopleIn = (readers: Readers, campaign: number, span: Span, page: number[] | null) =>
  inSpan(readers, campaign, span, page)
    .select(({ fn }) => ['kind', fn.count<number>('contact_id').distinct().as('count')])
    .where('verdict', '<', 2)
    .groupBy('kind')
    .execute()

/** The same numbers of several campaigns together; people who are in two of them count twice. */
export function sumOfCampaigns(campaigns: readonly CampaignNumbers[]) {
  const sum = { events: none(), people: none(), machine: none(), orphans: 0 as number | null }
  for (const { events, people, machine, orphans } of campaigns) {
    add(sum.events, events)
    add(sum.people, people)
    add(sum.machine, machine)
    sum.orphans = sum.orphans === null || orphans === null ? null : sum.orphans + orphans
  }
  return sum
}

/** What the campaigns did by day of the period, read from the counts of their days. */
export async function readDays(
  db: Db,
  calendar: Calendar,
  { campaigns, period }: Pick<Found, 'campaigns' | 'period'>,
): Promise<({ day: string } & Steps)[]> {
  if (campaigns.length === 0) return []
  const rows = await db
    .selectFrom('campaign_days')
    .select(({ fn }) => [
      'day_on',
      fn.sum<number>('email_clicks').as('email_clicks'),
      fn.sum<number>('landing_clicks').as('landing_clicks'),
      fn.sum<number>('conversions').as('conversions'),
    ])
    .where(
      'campaign_id',
      'in',
      campaigns.map(({ id }) => id),
    )
    .where('day_on', '>=', period.from)
    .where('day_on', '<=', period.to)
    .groupBy('day_on')
    .execute()
  const known = new Map(rows.map(({ day_on, ...steps }) => [day_on, steps]))
  const days = []
  for (let day = period.from; day <= period.to && days.length < mostDays; day = calendar.shift(day, 1))
    days.push({ day, ...(known.get(day) ?? none()) })
  return days
}
/** A picture has only so many points. */
const mostDays = 400

/** Email clicks in each of the first 72 hours since the first event of the campaigns, in whole hours. */
export async function readFirstHours(db: Db, campaigns: readonly Named[]) {
  if (campaigns.length === 0) return null
  const ids = campaigns.map(({ id }) => id)
  const of = () =>
    db.selectFrom('campaign_hours').where('campaign_id', 'in', ids).where('email_clicks', '>', 0)
  const { first } = await of()
    .select(({ fn }) => fn.min<number | null>('hour_at').as('first'))
    .executeTakeFirstOrThrow()
  if (first === null) return null
  const rows = await of()
    .select((eb) => [
      wholeParts(eb.parens(eb(eb.ref('hour_at'), '-', first)), hourLength).as('hour'),
      eb.fn.sum<number>('email_clicks').as('clicks'),
    ])
    .where('hour_at', '<', first + 72 * hourLength)
    .groupBy('hour')
    .execute()
  const hours = Array.from({ length: 72 }, () => 0)
  for (const { hour, clicks } of rows) hours[hour]! += clicks
  return { first, hours }
}

/** Where the events that count came from, most clicks first. It looks at every event: remember the answer for a while. */
export async function readPlaces(readers: Readers, campaigns: readonly Named[]) {
  const ids = campaigns.map(({ id }) => id)
  const by = async (column: 'country' | 'device') => {
    const [rows, removed] = await Promise.all([
      readers
        .selectFrom('events')
        .select(({ fn }) => [`${column} as name`, fn.countAll<number>().as('clicks')])
        .where('campaign_id', 'in', ids)
        .where('kind', '=', 1)
        .where('verdict', '<', 2)
        .groupBy(column)
        .execute(),
      readers
        .selectFrom('sealed_places')
        .select(({ fn }) => [`${column} as name`, fn.sum<number>('clicks').as('clicks')])
        .where('campaign_id', 'in', ids)
        .groupBy(column)
        .execute(),
    ])
    return mostFirst(rows, removed)
  }
  if (campaigns.length === 0) return { countries: [], devices: [] }
  const [countries, devices] = await Promise.all([by('country'), by('device')])
  return { countries, devices }
}

/** Clicks of rows and of removed ones together, the most first. */
function mostFirst(
  rows: { name: string | null; clicks: number }[],
  removed: { name: string; clicks: number }[],
) {
  const places = new Map(rows.map(({ name, clicks }) => [name, clicks]))
  for (const { name, clicks } of removed) places.set(name || null, (places.get(name || null) ?? 0) + clicks)
  return [...places]
    .map(([name, clicks]) => ({ name, clicks }))
    .sort((one, other) => other.clicks - one.clicks)
}

/** The same of the clicks in mailings, as events tell of them: countries, and the systems they were made with. */
export async function readMailingPlaces(readers: Readers, mailings: readonly { id: number }[]) {
  const ids = mailings.map(({ id }) => id)
  const by = async (column: 'country' | 'os') => {
    const [rows, removed] = await Promise.all([
      readers
        .selectFrom('engagements')
        .select(({ fn }) => [`${column} as name`, fn.countAll<number>().as('clicks')])
        .where('mailing_id', 'in', ids)
        .where('kind', '=', engagementNumber('clicked'))
        .where('verdict', '<', 2)
        .groupBy(column)
        .execute(),
      readers
        .selectFrom('sealed_mailing_places')
        .select(({ fn }) => [`${column} as name`, fn.sum<number>('clicks').as('clicks')])
        .where('mailing_id', 'in', ids)
        .groupBy(column)
        .execute(),
    ])
    return mostFirst(rows, removed)
  }
  if (mailings.length === 0) return { countries: [], devices: [] }
  const [countries, devices] = await Promise.all([by('country'), by('os')])
  return { countries, devices }
}
