import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { domainToUnicode } from 'node:url'
import { stringify } from 'csv-stringify/sync'
import type { Response } from 'express'
import { holds } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { inPercent } from '../web/shares.js'
import { type JourneyFilter, letThrough } from './journey-list.js'
import { eventKinds, kindNumber, kindOf } from './kinds.js'
import { listDomainStats } from './statistics.js'
import { reasonsInWords, verdictOf } from './verdict.js'

interface Needs {
  db: Db
  readers: Readers
  /** The day of the export, for the file's name. */
  day: string
  now: number
}
type Cell = string | number | null

/** Rows that are looked at in one go: small enough that nobody else waits for them. */
const pageLength = 1_000

/**
 * Sends a table of a campaign as CSV (RFC 4180, UTF-8), with the filters in force. However long it is, only one page
 * of it is in memory; it waits for a slow reader and stops for one who left. What arrives after it began is left out.
 *
 * A cell that a spreadsheet would run as a formula (it begins with = + - @, a tab or a carriage return) gets a ' in front.
 */
export async function sendCsv(
  res: Response,
  needs: Needs,
  table: 'events' | 'journeys' | 'domains',
  campaignId: number,
  filter: JourneyFilter,
) {
  res.set({
    'Content-Type': 'text/csv; charset=utf-8',
    'Content-Disposition': `attachment; filename="campaign-${campaignId}-${table}-${needs.day}.csv"`,
    'Cache-Control': 'no-store',
  })
  const rows = tables[table](needs, campaignId, filter)
  try {
    await pipeline(Readable.from(csvOf(rows)), res)
  } catch (error) {
    // Who leaves before the end has seen enough.
    if ((error as { code?: string }).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}

async function* csvOf(pages: AsyncIterable<Cell[][]>) {
  for await (const rows of pages) if (rows.length > 0) yield stringify(rows, { escape_formulas: true })
}
const instant = (at: number | null) => (at === null ? null : new Date(at).toISOString())
const nameOf = (domain: string) => domainToUnicode(domain) || domain

const tables = { events, journeys, domains }

async function* events({ readers }: Needs, campaignId: number, { event, ...filter }: JourneyFilter) {
  const kind = eventKinds.find((kind) => kind === event)
  const shape = event === 'not_landed' || event === 'not_converted' ? event : null
  yield [
    [
      'id',
      'time',
      'event',
      'email',
      'domain',
      'link',
      'country',
      'device',
      'user_agent',
      'address',
      'verdict',
      'reasons',
      'eid',
      'extra',
    ],
  ]
  for await (const { after, upTo } of pages(readers, 'events', campaignId)) {
    const rows = await readers
      .selectFrom('events')
      .innerJoin('contacts', 'contacts.id', 'events.contact_id')
      .innerJoin('sending_domains', 'sending_domains.id', 'events.domain_id')
      .leftJoin('user_agents', 'user_agents.id', 'events.user_agent_id')
      .select([
        'events.id',
        'happened_at',
        'kind',
        'email',
        'sending_domains.name',
        'link',
        'country',
        'events.device',
        'text',
      ])
      .select(['address', 'verdict', 'reasons', 'caller_id', 'extra'])
      .where('events.campaign_id', '=', campaignId)
      .where('events.id', '>', after)
      .where('events.id', '<=', upTo)
      .$if(!filter.machines, (query) => query.where('verdict', '<', 2))
      .$if(kind !== undefined, (query) => query.where('kind', '=', kindNumber(kind!)))
      .$if(filter.domainId !== null, (query) => query.where('domain_id', '=', filter.domainId!))
      .$if(filter.email !== '', (query) => query.where(({ ref }) => holds(ref('email'), filter.email)))
      .$if(shape !== null, (query) =>
        query.where(({ exists, selectFrom }) =>
          exists(
            selectFrom('journeys')
              .select('journeys.id')
              .where('journeys.campaign_id', '=', campaignId)
              .whereRef('journeys.contact_id', '=', 'events.contact_id')
              .whereRef('journeys.domain_id', '=', 'events.domain_id')
              .where((eb) => letThrough(eb as never, { ...filter, domainId: null, event: shape })),
          ),
        ),
      )
      .orderBy('events.id')
      .execute()
    yield rows.map((row): Cell[] => [
      row.id,
      instant(row.happened_at),
      kindOf(row.kind),
      row.email,
      nameOf(row.name),
      row.link,
      row.country,
      row.device,
      row.text,
      row.address,
      verdictOf(row.verdict),
      reasonsInWords(row.reasons).join('; '),
      row.caller_id,
      row.extra,
    ])
  }
}

async function* journeys({ readers }: Needs, campaignId: number, filter: JourneyFilter) {
  yield [
    [
      'id',
      'email',
      'domain',
      'email_clicks',
      'landing_clicks',
      'conversions',
      'conversions_without_a_click',
      'first_email_click',
      'first_landing_click',
      'first_conversion',
      'last_event',
      'machine_email_clicks',
      'machine_landing_clicks',
      'machine_conversions',
      'last_machine_event',
    ],
  ]
  for await (const { after, upTo } of pages(readers, 'journeys', campaignId)) {
    const rows = await readers
      .selectFrom('journeys')
      .innerJoin('contacts', 'contacts.id', 'journeys.contact_id')
      .innerJoin('sending_domains', 'sending_domains.id', 'journeys.domain_id')
      .selectAll('journeys')
      .select(['email', 'sending_domains.name'])
      .where('journeys.campaign_id', '=', campaignId)
      .where('journeys.id', '>', after)
      .where('journeys.id', '<=', upTo)
      .where((eb) => letThrough(eb as never, filter))
      .$if(filter.email !== '', (query) => query.where(({ ref }) => holds(ref('email'), filter.email)))
      .orderBy('journeys.id')
      .execute()
    yield rows.map((row): Cell[] => [
      row.id,
      row.email,
      nameOf(row.name),
      row.email_clicks,
      row.landing_clicks,
      row.conversions,
      row.orphans,
      instant(row.first_email_click_at),
      instant(row.first_landing_click_at),
      instant(row.first_conversion_at),
      instant(row.last_at),
      row.machine_email_clicks,
      row.machine_landing_clicks,
      row.machine_conversions,
      instant(row.machine_last_at),
    ])
  }
}

async function* domains({ db, now }: Needs, campaignId: number, { machines, domainId }: JourneyFilter) {
  yield [
    ['domain', 'email_clicks', 'landing_clicks', 'conversions', 'rate_percent', 'first_event', 'last_event'],
  ]
  const only =
    domainId === null
      ? null
      : await db.selectFrom('sending_domains').select('name').where('id', '=', domainId).executeTakeFirst()
  const rows = await listDomainStats(db, campaignId, { machines, now })
  yield rows
    .filter((row) => !only || row.domain === only.name)
    .map((row): Cell[] => [
      row.name,
      row.email_clicks,
      row.landing_clicks,
      row.conversions,
      inPercent(row.rate),
      instant(row.first_at),
      instant(row.last_at),
    ])
}

/**
 * The ids of a campaign's rows in pages. Each page is so many rows, whether a filter lets them through or not, so that
 * no query runs long.
 */
async function* pages(readers: Readers, table: 'events' | 'journeys', campaignId: number) {
  const newest = await readers
    .selectFrom(table)
    .select(`${table}.id`)
    .where(`${table}.campaign_id`, '=', campaignId)
    .orderBy(`${table}.id`, 'desc')
    .limit(1)
    .executeTakeFirst()
  const end = newest?.id ?? 0
  for (let after = 0; after < end; ) {
    const row = await readers
      .selectFrom(table)
      .select(`${table}.id`)
      .where(`${table}.campaign_id`, '=', campaignId)
      .where(`${table}.id`, '>', after)
      .where(`${table}.id`, '<=', end)
      .orderBy(`${table}.id`)
      .offset(pageLength - 1)
      .limit(1)
      .executeTakeFirst()
    const upTo = row?.id ?? end
    yield { after, upTo }
    after = upTo
  }
}
