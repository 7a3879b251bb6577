import { domainToUnicode } from 'node:url'
import type { ContactRoom, Moment, Signal } from '../audience/rooms.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { eventColumns } from './counts.js'
import { type EventKind, eventKinds, kindNumber, kindOf } from './kinds.js'
import { reasonsInWords, verdictOf } from './verdict.js'

/** How many events a call of `active` and a page of an export look at. */
const pageLength = 2_000

/**
 * What the click tracker knows of a contact. Campaigns that are deleted, and whose events are still being removed, are
 * left out.
 */
export function campaignRoom(): ContactRoom {
  return {
    name: 'campaigns',
    title: 'Campaigns',
    overview,
    timeline,
    export: exported,
    signals,
    active,
  }
}

const eventsOf = (db: Db | Readers, contact: number) =>
  db
    .selectFrom('events')
    .innerJoin('campaigns', 'campaigns.id', 'events.campaign_id')
    .innerJoin('sending_domains', 'sending_domains.id', 'events.domain_id')
    .where('contact_id', '=', contact)
    .where('campaigns.deleted_at', 'is', null)

/** What removed events of contacts had come to. */
const sealedOf = (db: Db | Readers) =>
  db
    .selectFrom('sealed_journeys as sealed')
    .innerJoin('campaigns', 'campaigns.id', 'sealed.campaign_id')
    .where('deleted_at', 'is', null)

async function overview(db: Db | Readers, contact: number, count: { machines: boolean }) {
  const rows = await db
    .selectFrom('events')
    .innerJoin('campaigns', 'campaigns.id', 'events.campaign_id')
    .select(({ fn }) => ['kind', 'verdict', fn.countAll<number>().as('count')])
    .select(({ fn }) => fn.max('happened_at').as('last_at'))
    .where('contact_id', '=', contact)
    .where('deleted_at', 'is', null)
    .groupBy(['kind', 'verdict'])
    .execute()
  const removed = await sealedOf(db)
    .select(['email_clicks', 'landing_clicks', 'conversions', 'last_conversion_at'])
    .select(['machine_email_clicks', 'machine_landing_clicks', 'machine_conversions'])
    .select('machine_last_conversion_at')
    .where('sealed.contact_id', '=', contact)
    .execute()
  for (const row of removed)
    rows.push(
      ...[
        {
          kind: kindNumber('conversion'),
          verdict: 0,
          count: row.conversions,
          last_at: row.last_conversion_at,
        },
        {
          kind: kindNumber('conversion'),
          verdict: 2,
          count: row.machine_conversions,
          last_at: row.machine_last_conversion_at,
        },
        {
          kind: kindNumber('email_click'),
          verdict: 0,
          count: row.email_clicks + row.landing_clicks,
          last_at: 0,
        },
        {
          kind: kindNumber('email_click'),
          verdict: 2,
          count: row.machine_email_clicks + row.machine_landing_clicks,
          last_at: 0,
        },
      ]
        .filter(({ count }) => count > 0)
        .map(({ last_at, ...counted }) => ({ ...counted, last_at: last_at ?? 0 })),
    )
  const sum = (list: typeof rows) => list.reduce((total, { count }) => total + count, 0)
  const conversions = rows.filter(
    ({ kind, verdict }) => kindOf(kind) === 'conversion' && (count.machines || verdict < 2),
  )
  const gone = (columns: readonly (typeof eventColumns)[number][]) =>
    removed.reduce((total, row) => total + columns.reduce((all, name) => all + row[name], 0), 0)
  return {
    moments: sum(rows.filter(({ verdict }) => verdict < 2)),
    machines: sum(rows.filter(({ verdict }) => verdict >= 2)),
    removed: {
      moments: gone(['email_clicks', 'landing_clicks', 'conversions']),
      machines: gone(['machine_email_clicks', 'machine_landing_clicks', 'machine_conversions']),
    },
    tiles: [
      {
        label: 'Conversions',
        value: sum(conversions),
        note: conversions.length > 0 ? 'last one' : 'in no campaign',
        noteAt: conversions.length > 0 ? Math.max(...conversions.map(({ last_at }) => last_at)) : null,
      },
    ],
  }
}

async function timeline(
  db: Db | Readers,
  contact: number,
  { before, limit, machines }: { before: number; limit: number; machines: boolean },
): Promise<Moment[]> {
  const rows = await eventsOf(db, contact)
    .select(['events.id', 'events.campaign_id', 'kind', 'happened_at', 'link', 'verdict', 'reasons'])
    .select(['campaigns.name as campaign', 'sending_domains.name as domain'])
    .where('happened_at', '<', before)
    .$if(!machines, (query) => query.where('verdict', '<', 2))
    .orderBy('happened_at', 'desc')
    .orderBy('events.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => {
    const kind = kindOf(row.kind)
    const isMachine = row.verdict >= 2
    return {
      at: row.happened_at,
      id: `event:${row.id}`,
      what: `${sentences[kind]} ${row.campaign}`,
      detail: [
        domainToUnicode(row.domain) || row.domain,
        row.link ? `link “${row.link}”` : '',
        isMachine ? `Not counted: ${reasonsInWords(row.reasons).join('; ')}` : '',
      ]
        .filter(Boolean)
        .join(' · '),
      word: isMachine ? verdictOf(row.verdict) : words[kind],
      step: steps[kind],
      kind: isMachine ? 'machine' : 'theirs',
      href: `/campaign/${row.campaign_id}`,
    }
  })
}
const sentences: Record<EventKind, string> = {
  email_click: 'Arrived from the mailing of',
  landing_click: 'Went on to the offer of',
  conversion: 'Converted in',
}
const words: Record<EventKind, string> = {
  email_click: 'email click',
  landing_click: 'landing click',
  conversion: 'conversion',
}
const steps = { email_click: 3, landing_click: 4, conversion: 5 } as const

async function exported(db: Db | Readers, contact: number) {
  const events: object[] = []
  let last = { at: 0, id: 0 }
  for (;;) {
    const rows = await eventsOf(db, contact)
      .leftJoin('user_agents', 'user_agents.id', 'events.user_agent_id')
      .select(['events.id', 'kind', 'happened_at', 'link', 'address', 'country', 'events.device', 'extra'])
      .select(['caller_id', 'verdict', 'reasons', 'user_agents.text as user_agent'])
      .select(['campaigns.name as campaign', 'events.campaign_id', 'sending_domains.name as domain'])
      .where(({ eb, or, and }) =>
        or([
          eb('happened_at', '>', last.at),
          and([eb('happened_at', '=', last.at), eb('events.id', '>', last.id)]),
        ]),
      )
      .orderBy('happened_at')
      .orderBy('events.id')
      .limit(pageLength)
      .execute()
    for (const row of rows)
      events.push({
        at: new Date(row.happened_at).toISOString(),
        event: kindOf(row.kind),
        campaign: row.campaign,
        campaign_id: row.campaign_id,
        domain: row.domain,
        link: row.link,
        eid: row.caller_id,
        address: row.address,
        user_agent: row.user_agent,
        country: row.country,
        device: row.device,
        verdict: verdictOf(row.verdict),
        reasons: reasonsInWords(row.reasons),
        extra: row.extra === null ? null : JSON.parse(row.extra),
      })
    const end = rows.at(-1)
    if (!end || rows.length < pageLength) return { events, ...(await exportedSums(db, contact)) }
    last = { at: end.happened_at, id: end.id }
  }
}

/** What is kept of events that were removed; nothing where none were. */
async function exportedSums(db: Db | Readers, contact: number) {
  const rows = await sealedOf(db)
    .innerJoin('sending_domains', 'sending_domains.id', 'sealed.domain_id')
    .selectAll('sealed')
    .select(['campaigns.name as campaign', 'sending_domains.name as domain'])
    .where('sealed.contact_id', '=', contact)
    .orderBy('sealed.id')
    .execute()
  if (rows.length === 0) return {}
  const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString())
  return {
    removed_events: rows.map((row) => ({
      campaign: row.campaign,
      campaign_id: row.campaign_id,
      domain: row.domain,
      ...Object.fromEntries(eventColumns.map((name) => [name, row[name]])),
      first_email_click_at: instant(row.first_email_click_at),
      first_landing_click_at: instant(row.first_landing_click_at),
      first_conversion_at: instant(row.first_conversion_at),
      last_at: instant(row.last_at),
      machine_last_at: instant(row.machine_last_at),
    })),
  }
}

/** Landings and conversions by people; those merely suspected count, as they do in every number. */
async function signals(
  db: Db | Readers,
  contacts: { from: number; to: number } | number[],
): Promise<Signal[]> {
  const rows = await db
    .selectFrom('events')
    .innerJoin('campaigns', 'campaigns.id', 'events.campaign_id')
    .select(['contact_id', 'happened_at', 'kind'])
    .where((eb) =>
      Array.isArray(contacts)
        ? isAmong(eb.ref('contact_id'), contacts)
        : eb.and([eb('contact_id', '>=', contacts.from), eb('contact_id', '<', contacts.to)]),
    )
    .where('verdict', '<', 2)
    .where('kind', 'in', [kindNumber('landing_click'), kindNumber('conversion')])
    .where('deleted_at', 'is', null)
    .orderBy('contact_id')
    .orderBy('happened_at')
    .execute()
  const told = rows.map(
    (row): Signal => ({
      contact_id: row.contact_id,
      at: row.happened_at,
      kind: eventKinds[row.kind - 1] === 'conversion' ? 'conversion' : 'landing',
    }),
  )
  const removed = await removedSignals(db, contacts)
  return removed.length === 0
    ? told
    : [...removed, ...told].sort((one, other) => one.contact_id - other.contact_id || one.at - other.at)
}

/** Of removed events the first and the last are known, on each domain: so old that they weigh nothing in a score. */
async function removedSignals(
  db: Db | Readers,
  contacts: { from: number; to: number } | number[],
): Promise<Signal[]> {
  const rows = await sealedOf(db)
    .select(['contact_id', 'first_landing_click_at', 'last_landing_click_at'])
    .select(['first_conversion_at', 'last_conversion_at'])
    .where((eb) =>
      Array.isArray(contacts)
        ? isAmong(eb.ref('contact_id'), contacts)
        : eb.and([eb('contact_id', '>=', contacts.from), eb('contact_id', '<', contacts.to)]),
    )
    .execute()
  return rows.flatMap((row) => {
    const signals = (kind: Signal['kind'], ...instants: (number | null)[]) =>
      [...new Set(instants)]
        .filter((at) => at !== null)
        .map((at): Signal => ({ contact_id: row.contact_id, at, kind }))
    return [
      ...signals('landing', row.first_landing_click_at, row.last_landing_click_at),
      ...signals('conversion', row.first_conversion_at, row.last_conversion_at),
    ]
  })
}

/** @param after the id of the last event that was looked at */
async function active(db: Db, after: number): Promise<{ contacts: number[]; upTo: number }> {
  const rows = await db
    .selectFrom('events')
    .select(['id', 'contact_id'])
    .where('id', '>', after)
    .orderBy('id')
    .limit(pageLength)
    .execute()
  return { contacts: [...new Set(rows.map((row) => row.contact_id))], upTo: rows.at(-1)?.id ?? after }
}
