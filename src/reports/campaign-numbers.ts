import { domainToUnicode } from 'node:url'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { kindOf } from '../campaigns/kinds.js'
import { conversionRate, type Steps } from '../campaigns/metrics.js'
import { campaignStats, listDomainStats } from '../campaigns/statistics.js'
import { isAmong, wholeParts } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type Calendar, hourLength, quarterLength } from '../web/calendar.js'
import type { Found, Named } from './subjects.js'
import { type Timeline, timelineOf } from './timeline.js'

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
    const span = spanOf({ calendar, now }, period)
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
const spanOf = ({ calendar, now }: Pick<Needs, 'calendar' | 'now'>, { from, to }: Found['period']): Span => ({
  from: calendar.startOf(from),
  until: Math.min(now + 1, calendar.startOf(calendar.shift(to, 1))),
})

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

/** What the campaigns did over the period, read from the counts of their days; of some contacts from their events. */
export async function readDays(
  { db, readers, calendar, now }: Needs,
  { campaigns, period, contacts }: Pick<Found, 'campaigns' | 'period' | 'contacts'>,
): Promise<Timeline<keyof Steps>> {
  const names = ['email_clicks', 'landing_clicks', 'conversions'] as const
  if (contacts !== null) {
    const days = new Map<string, Steps>()
    const span = spanOf({ calendar, now }, period)
    for (const { id } of campaigns)
      for (const page of contacts)
        for (const { quarter, kind, count } of await quartersIn(readers, id, span, page)) {
          const day = calendar.dayOf(quarter * quarterLength)
          const steps = days.get(day) ?? none()
          steps[stepOf[kindOf(kind)]] += count
          days.set(day, steps)
        }
    return timelineOf(
      calendar,
      period,
      names,
      [...days].map(([on, steps]) => ({ on, ...steps })),
    )
  }
  const rows = await db
    .selectFrom('campaign_days')
    .select(({ fn }) => [
      'day_on as on',
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
  return timelineOf(calendar, period, names, rows)
}

/** No day changes within a quarter of an hour, wherever one lives. */
const quartersIn = (readers: Readers, campaign: number, span: Span, page: number[]) =>
  inSpan(readers, campaign, span, page)
    .select((eb) => [
      wholeParts(eb.ref('happened_at'), quarterLength).as('quarter'),
      'kind',
      eb.fn.countAll<number>().as('count'),
    ])
    .where('verdict', '<', 2)
    .groupBy(['quarter', 'kind'])
    .execute()

/**
 * Email clicks in each of the first 72 hours since the first of them, in whole hours: by the counts of the campaigns' hours,
 * of some contacts by their events.
 */
export async function readFirstHours(
  { db, readers }: Pick<Needs, 'db' | 'readers'>,
  { campaigns, contacts }: Pick<Found, 'campaigns' | 'contacts'>,
) {
  if (campaigns.length === 0) return null
  const ids = campaigns.map(({ id }) => id)
  const counts =
    contacts === null ? await countedHours(db, ids) : await hoursOfContacts(readers, ids, contacts)
  if (counts.size === 0) return null
  const first = Math.min(...counts.keys())
  return { first, hours: Array.from({ length: 72 }, (_, hour) => counts.get(first + hour * hourLength) ?? 0) }
}

/** Clicks by the instant at which their hour begins, of the first 72 hours at least. */
async function countedHours(db: Db, ids: number[]) {
  const of = () =>
    db.selectFrom('campaign_hours').where('campaign_id', 'in', ids).where('email_clicks', '>', 0)
  const { first } = await of()
    .select(({ fn }) => fn.min<number | null>('hour_at').as('first'))
    .executeTakeFirstOrThrow()
  if (first === null) return new Map<number, number>()
  const rows = await of()
    .select(({ fn }) => ['hour_at', fn.sum<number>('email_clicks').as('clicks')])
    .where('hour_at', '<', first + 72 * hourLength)
    .groupBy('hour_at')
    .execute()
  return new Map(rows.map(({ hour_at, clicks }) => [hour_at, clicks]))
}

async function hoursOfContacts(readers: Readers, ids: number[], contacts: number[][]) {
  const counts = new Map<number, number>()
  for (const page of contacts) {
    const rows = await readers
      .selectFrom('events')
      .select((eb) => [
        wholeParts(eb.ref('happened_at'), hourLength).as('hour'),
        eb.fn.countAll<number>().as('clicks'),
      ])
      .where('campaign_id', 'in', ids)
      .where('kind', '=', 1)
      .where('verdict', '<', 2)
      .where((eb) => isAmong(eb.ref('contact_id'), page))
      .groupBy('hour')
      .execute()
    for (const { hour, clicks } of rows)
      counts.set(hour * hourLength, (counts.get(hour * hourLength) ?? 0) + clicks)
  }
  return counts
}

/**
 * Where the events that count came from, most clicks first; of removed ones that is known of everybody together alone. It
 * looks at every event: remember the answer for a while.
 */
export async function readPlaces(
  readers: Readers,
  { campaigns, contacts }: Pick<Found, 'campaigns' | 'contacts'>,
) {
  const ids = campaigns.map(({ id }) => id)
  const by = (column: 'country' | 'device') =>
    rankedPlaces(contacts, {
      read: (page) =>
        readers
          .selectFrom('events')
          .select(({ fn }) => [`${column} as name`, fn.countAll<number>().as('clicks')])
          .where('campaign_id', 'in', ids)
          .where('kind', '=', 1)
          .where('verdict', '<', 2)
          .$if(page !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), page!)))
          .groupBy(column)
          .execute(),
      readRemoved: () =>
        readers
          .selectFrom('sealed_places')
          .select(({ fn }) => [`${column} as name`, fn.sum<number>('clicks').as('clicks')])
          .where('campaign_id', 'in', ids)
          .groupBy(column)
          .execute(),
    })
  if (campaigns.length === 0) return { countries: [], devices: [] }
  const [countries, devices] = await Promise.all([by('country'), by('device')])
  return { countries, devices }
}

/**
 * Until when opens and clicks of these mailings were removed, in milliseconds: what is told of some contacts from each
 * of them lacks those. null where none are.
 */
export async function engagementsRemovedUntil(
  readers: Readers,
  mailings: readonly { id: number }[],
): Promise<number | null> {
  if (mailings.length === 0) return null
  const { last } = await readers
    .selectFrom('sealed_mailings')
    .select(({ fn }) => fn.max<number | null>('last_at').as('last'))
    .where(
      'mailing_id',
      'in',
      mailings.map(({ id }) => id),
    )
    .executeTakeFirstOrThrow()
  return last
}

interface Place {
  /** null: not known. */
  name: string | null
  clicks: number
}

/**
 * Names with their clicks; most clicks first, and equals by name, so that one report cannot show other countries than the
 * next of the same numbers.
 * @param contacts of whom alone, in pages of ids: what is removed is nobody's any more
 */
async function rankedPlaces(
  contacts: Found['contacts'],
  {
    read,
    readRemoved,
  }: { read: (page: number[] | null) => Promise<Place[]>; readRemoved: () => Promise<Place[]> },
): Promise<Place[]> {
  const places = new Map<string | null, number>()
  const add = ({ name, clicks }: Place) => places.set(name || null, (places.get(name || null) ?? 0) + clicks)
  for (const page of contacts ?? [null]) (await read(page)).forEach(add)
  if (contacts === null) (await readRemoved()).forEach(add)
  return [...places]
    .map(([name, clicks]) => ({ name, clicks }))
    .sort(
      (one, other) =>
        other.clicks - one.clicks ||
        Number(one.name === null) - Number(other.name === null) ||
        (one.name ?? '').localeCompare(other.name ?? '', 'en'),
    )
}

/** The same of the clicks in mailings, as events tell of them: countries, and the systems they were made with. */
export async function readMailingPlaces(
  readers: Readers,
  { mailings, contacts }: Pick<Found, 'mailings' | 'contacts'>,
) {
  const ids = mailings.map(({ id }) => id)
  const by = (column: 'country' | 'os') =>
    rankedPlaces(contacts, {
      read: (page) =>
        readers
          .selectFrom('engagements')
          .select(({ fn }) => [`${column} as name`, fn.countAll<number>().as('clicks')])
          .where('mailing_id', 'in', ids)
          .where('kind', '=', engagementNumber('clicked'))
          .where('verdict', '<', 2)
          .$if(page !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), page!)))
          .groupBy(column)
          .execute(),
      readRemoved: () =>
        readers
          .selectFrom('sealed_mailing_places')
          .select(({ fn }) => [`${column} as name`, fn.sum<number>('clicks').as('clicks')])
          .where('mailing_id', 'in', ids)
          .groupBy(column)
          .execute(),
    })
  if (mailings.length === 0) return { countries: [], devices: [] }
  const [countries, devices] = await Promise.all([by('country'), by('os')])
  return { countries, devices }
}
