import * as z from 'zod'
import { searchTerm } from '../audience/search.js'
import { unindexed } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'

import { NotFound } from '../web/errors.js'
import {
  after,
  ErrorAnswer,
  Instant,
  InvalidAnswer,
  instant,
  instantOrNull,
  JsonApi,
  limit,
  longBody,
  notThere,
  usualAnswers,
  wrongBody,
  yesOrNo,
} from '../web/json-api.js'
import type { Operation } from '../web/openapi.js'
import { inPercent, share } from '../web/shares.js'
import { archiveCampaign, createCampaign, editCampaign, restoreCampaign } from './commands.js'
import type { CampaignDirectory } from './directory.js'
import { CampaignForm, EventParameters, hostOf } from './forms.js'
import { type JourneyRow, journeyEvents, listJourneys } from './journey-list.js'
import { eventKinds, kindNumber, kindOf } from './kinds.js'
import { conversionRate, eventSteps, type Steps, sumOf } from './metrics.js'
import { getCampaign } from './queries.js'
import { campaignStats, listDomainStats } from './statistics.js'
import { reasonsInWords, verdictOf, verdicts } from './verdict.js'

interface Deps {
  db: Db
  readers: Readers
  directory: CampaignDirectory
  now: () => number
}

const tag = 'Campaigns'

const CampaignPath = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .meta({ description: 'The number of the campaign.', example: '5' }),
})
const machines = yesOrNo.meta({ description: '1 counts the events of machines in.' })
const rate = z
  .number()
  .nullable()
  .meta({ description: 'In per cent with two decimals; null without email clicks.' })
const count = z.int().min(0)
const StepCounts = { email_clicks: count, landing_clicks: count, conversions: count }

const CampaignAnswer = z.object({
  id: z.int(),
  name: z.string(),
  offer_url: z.url(),
  needs_key: z.boolean().meta({ description: 'Whether events need the write key.' }),
  write_key: z.string().meta({ description: 'What events carry as `key`.' }),
  created_at: Instant,
  archived_at: Instant.nullable(),
  ...StepCounts,
  conversion_rate: rate,
  last_event_at: Instant.nullable().meta({ description: 'The last event of whatever verdict.' }),
})
const exampleCampaign = {
  id: 5,
  name: 'Autumn Reading List',
  offer_url: 'https://paperboat.example/autumn',
  needs_key: false,
  write_key: 'w6Nn…',
  created_at: '2026-11-02T09:30:00.000Z',
  archived_at: null,
  email_clicks: 12480,
  landing_clicks: 7310,
  conversions: 590,
  conversion_rate: 4.73,
  last_event_at: '2026-11-20T14:32:04.218Z',
}

/** The form of the create page, but strict: a misspelt field is an error, and yes is true. */
const NewCampaign = z.strictObject({
  name: CampaignForm.shape.name,
  offer_url: CampaignForm.shape.offer_url.meta({ description: 'Where readers can buy: http or https.' }),
  needs_key: z
    .boolean('The needs_key is true or false.')
    .default(false)
    .meta({ description: 'Whether events need the write key.' }),
})
const CampaignChange = z
  .strictObject({
    name: NewCampaign.shape.name.optional(),
    offer_url: NewCampaign.shape.offer_url.optional(),
    needs_key: NewCampaign.shape.needs_key.unwrap().optional(),
    archived: z
      .boolean('The archived is true or false.')
      .optional()
      .meta({ description: 'Out of sight; events still count.' }),
  })
  .refine((change) => Object.keys(change).length > 0, 'Say at least one field to change.')

const CampaignQuery = z.object({
  state: z
    .enum(['active', 'archived', 'all'], 'The state is active, archived or all.')
    .default('active')
    .meta({ description: 'Which campaigns.' }),
  q: z.string('The q is text.').trim().max(200, 'The q is longer than 200 characters.').default('').meta({
    description: 'Part of the name or of the offer URL.',
  }),
  limit: limit({ usual: 100, most: 500 }),
  after,
})

const StatsAnswer = z.object({
  ...StepCounts,
  conversion_rate: rate,
  unique: z
    .object({ ...StepCounts, conversion_rate: rate })
    .meta({ description: 'The same over people: each counts once at each step.' }),
  orphan_conversions: count.meta({ description: 'Conversions that no click of the same person precedes.' }),
  machine: z
    .object({
      ...StepCounts,
      share: z.number().nullable().meta({ description: 'Of all events, in per cent; null without events.' }),
    })
    .meta({ description: 'Events of machines, counted in or not.' }),
  domains: z.array(
    z.object({
      domain: z.string().meta({ description: 'The host name in ASCII.' }),
      ...StepCounts,
      conversion_rate: rate,
      machine_events: count,
      silent: z.boolean().meta({ description: 'It used to report, and has stopped.' }),
      last_event_at: Instant.nullable(),
    }),
  ),
})

/** A host as the database spells it. A filter that can match nothing is an answer with nothing in it. */
const DomainFilter = z
  .string('The domain is text.')
  .transform((text) => hostOf(text) ?? text)
  .optional()
  .meta({ description: 'One sending domain.', example: 'news.example.com' })

const JourneyQuery = z.object({
  domain: DomainFilter,
  event: z
    .enum(journeyEvents, `The event is one of ${journeyEvents.join(', ')}.`)
    .optional()
    .meta({
      description: 'Journeys with this event, or clicked but not landed, or landed but not converted.',
    }),
  email: z
    .string('The email is text.')
    .max(255, 'The email is longer than 255 characters.')
    .transform(searchTerm)
    .default('')
    .meta({ description: 'Part of the address.' }),
  machines,
  limit: limit({ usual: 50, most: 500 }),
  after,
})
const JourneysAnswer = z.object({
  journeys: z.array(
    z.object({
      id: z.int(),
      email: z.string(),
      domain: z.string(),
      ...StepCounts,
      machine_events: count,
      first_email_click_at: Instant.nullable(),
      first_landing_click_at: Instant.nullable(),
      first_conversion_at: Instant.nullable(),
      last_event_at: Instant.nullable(),
    }),
  ),
  count: count.meta({ description: 'How many journeys the filters let through.' }),
  count_is_exact: z.boolean().meta({ description: 'When false there are at least so many.' }),
  next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
})

const EventQuery = z.object({
  event: z.enum(eventKinds, 'The event is email_click, landing_click or conversion.').optional().meta({
    description: 'One kind of event.',
  }),
  domain: DomainFilter,
  email: z
    .string('The email is text.')
    .max(255, 'The email is longer than 255 characters.')
    .transform(searchTerm)
    .optional()
    .meta({ description: 'The whole address of one person.' }),
  machines,
  limit: limit({ usual: 100, most: 1000 }),
  after,
})
const EventsAnswer = z.object({
  events: z.array(
    z.object({
      id: z.int(),
      event: z.enum(eventKinds),
      email: z.string(),
      domain: z.string(),
      happened_at: Instant,
      eid: z.string().nullable(),
      link: z.string().nullable(),
      country: z.string().nullable().meta({ description: 'Two letters, from the address.' }),
      device: z.string().nullable(),
      verdict: z.enum(verdicts),
      reasons: z.array(z.string()).meta({ description: 'Why the verdict, in words.' }),
      extra: z
        .record(z.string(), z.unknown())
        .nullable()
        .meta({ description: 'Parameters that mean nothing to us.' }),
    }),
  ),
  next: z.int().nullable().meta({
    description:
      'The `after` of the next page; null when this was the last. Pages may be shorter than `limit` before.',
  }),
})

/** Events that one request looks at, at most: a rare filter answers with short pages instead of a long wait. */
const windowLength = 50_000

/** `/api/v1/campaigns…`: the click tracker for programs. It stands before sessions, behind `requireToken`. */
export function campaignApi({ db, readers, directory, now }: Deps) {
  const api = new JsonApi({ under: '/api/v1' })

  api.add(
    {
      method: 'get',
      path: '/api/v1/campaigns',
      id: 'listCampaigns',
      tag,
      sample: { path: '/api/v1/campaigns?q=autumn' },
      summary: 'List campaigns, the newest first',
      query: CampaignQuery,
      answers: {
        200: {
          description: 'A page of campaigns.',
          schema: z.object({
            campaigns: z.array(CampaignAnswer),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: { campaigns: [exampleCampaign], next: null },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => {
      const rows = await readCampaigns(db)
        .$if(query.state === 'active', (some) => some.where('archived_at', 'is', null))
        .$if(query.state === 'archived', (some) => some.where('archived_at', 'is not', null))
        .$if(query.after !== undefined, (some) => some.where('campaigns.id', '<', query.after!))
        .orderBy('campaigns.id', 'desc')
        .execute()
      const wanted = query.q.toLowerCase()
      const found = rows.filter(
        ({ name, offer_url }) =>
          name.toLowerCase().includes(wanted) || offer_url.toLowerCase().includes(wanted),
      )
      const page = found.slice(0, query.limit)
      return {
        campaigns: page.map(campaignAnswer),
        next: found.length > page.length ? page.at(-1)!.id : null,
      }
    },
  )

  api.add(
    {
      method: 'post',
      path: '/api/v1/campaigns',
      id: 'createCampaign',
      tag,
      sample: {
        path: '/api/v1/campaigns',
        body: { name: 'Autumn Reading List', offer_url: 'https://paperboat.example/autumn' },
      },
      summary: 'Create a campaign',
      body: NewCampaign,
      answers: {
        201: {
          description: 'The campaign; Location says where it is.',
          schema: CampaignAnswer,
          example: {
            ...exampleCampaign,
            email_clicks: 0,
            landing_clicks: 0,
            conversions: 0,
            conversion_rate: null,
            last_event_at: null,
          },
        },
        ...usualAnswers,
        ...wrongBody,
        ...longBody,
      },
    },
    async ({ body }, res) => {
      const { id } = await createCampaign(db, body, { by: null, now: now() })
      res.status(201).location(`/api/v1/campaigns/${id}`)
      return oneCampaign(id)
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/campaigns/{id}',
      id: 'getCampaign',
      tag,
      sample: { path: '/api/v1/campaigns/5' },
      summary: 'Read a campaign',
      params: CampaignPath,
      answers: {
        200: { description: 'The campaign.', schema: CampaignAnswer, example: exampleCampaign },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params }) => oneCampaign((await getCampaign(db, params.id)).id),
  )

  api.add(
    {
      method: 'patch',
      path: '/api/v1/campaigns/{id}',
      id: 'updateCampaign',
      tag,
      sample: { path: '/api/v1/campaigns/5', body: { archived: true } },
      summary: 'Change a campaign',
      description: 'What is left out stays. A changed offer URL keeps its dated history.',
      params: CampaignPath,
      body: CampaignChange,
      answers: {
        200: { description: 'The campaign as it is now.', schema: CampaignAnswer, example: exampleCampaign },
        ...usualAnswers,
        ...notThere,
        ...wrongBody,
        ...longBody,
      },
    },
    async ({ params, body }) => {
      const before = await getCampaign(db, params.id)
      const { archived, ...change } = body
      if (Object.keys(change).length > 0)
        await editCampaign(
          db,
          before.id,
          { name: before.name, offer_url: before.offer_url, needs_key: before.needs_key === 1, ...change },
          now(),
        )
      if (archived === true) await archiveCampaign(db, before.id, now())
      if (archived === false) await restoreCampaign(db, before.id)
      directory.forget(before.id)
      return oneCampaign(before.id)
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/campaigns/{id}/stats',
      id: 'getCampaignStats',
      tag,
      sample: { path: '/api/v1/campaigns/5/stats' },
      summary: 'Read the numbers of a campaign',
      description:
        'The numbers of the campaign page: overall, over people, and by sending domain, the busiest first.',
      params: CampaignPath,
      query: z.object({ machines }),
      answers: {
        200: {
          description: 'The numbers.',
          schema: StatsAnswer,
          example: {
            email_clicks: 12480,
            landing_clicks: 7310,
            conversions: 590,
            conversion_rate: 4.73,
            unique: { email_clicks: 10912, landing_clicks: 6804, conversions: 574, conversion_rate: 5.26 },
            orphan_conversions: 12,
            machine: { email_clicks: 128, landing_clicks: 3, conversions: 0, share: 0.64 },
            domains: [
              {
                domain: 'news.example.com',
                email_clicks: 12480,
                landing_clicks: 7310,
                conversions: 590,
                conversion_rate: 4.73,
                machine_events: 131,
                silent: false,
                last_event_at: '2026-11-20T14:32:04.218Z',
              },
            ],
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const { id } = await getCampaign(db, params.id)
      const stats = await campaignStats(db, id, query)
      const domains = await listDomainStats(db, id, { ...query, now: now() })
      const machineEvents = sumOf(stats.machine)
      const allEvents = sumOf(stats.events) + (query.machines ? 0 : machineEvents)
      return {
        ...stepsAnswer(stats.events),
        unique: stepsAnswer(stats.people),
        orphan_conversions: stats.orphans,
        machine: { ...stats.machine, share: inPercent(share(machineEvents, allEvents)) },
        domains: domains.map((domain) => ({
          domain: domain.domain,
          ...stepsAnswer(domain),
          machine_events: sumOf(domain.machine),
          silent: domain.silentGap !== null,
          last_event_at: instantOrNull(domain.last_at),
        })),
      }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/campaigns/{id}/journeys',
      id: 'listJourneys',
      tag,
      sample: { path: '/api/v1/campaigns/5/journeys?event=not_converted&limit=100' },
      summary: 'List journeys, the newest first',
      description: 'A journey is what one person did in the campaign on one sending domain.',
      params: CampaignPath,
      query: JourneyQuery,
      answers: {
        200: {
          description: 'A page of journeys.',
          schema: JourneysAnswer,
          example: {
            journeys: [
              {
                id: 90211,
                email: 'anna@example.com',
                domain: 'news.example.com',
                email_clicks: 2,
                landing_clicks: 1,
                conversions: 1,
                machine_events: 0,
                first_email_click_at: '2026-11-20T14:01:12.004Z',
                first_landing_click_at: '2026-11-20T14:02:40.571Z',
                first_conversion_at: '2026-11-20T14:09:03.330Z',
                last_event_at: '2026-11-20T14:09:03.330Z',
              },
            ],
            count: 1234,
            count_is_exact: true,
            next: 90211,
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const { id } = await getCampaign(db, params.id)
      const domainId = query.domain === undefined ? null : await findDomain(query.domain)
      if (domainId === undefined) return { journeys: [], count: 0, count_is_exact: true, next: null }
      const filter = { domainId, event: query.event ?? null, email: query.email, machines: query.machines }
      const page = await listJourneys({ db, readers }, id, filter, {
        after: query.after ?? null,
        limit: query.limit,
      })
      return {
        journeys: page.rows.map((row) => journeyAnswer(row, query)),
        count: page.count,
        count_is_exact: page.exact,
        next: page.hasMore ? page.rows.at(-1)!.id : null,
      }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/campaigns/{id}/events',
      id: 'listEvents',
      tag,
      sample: { path: '/api/v1/campaigns/5/events?after=12000&limit=1000' },
      summary: 'List events, the oldest first',
      description:
        'Keep the id of the last event you have and say it as `after` next time: you get what came in since. A verdict may still change in the ten minutes after its event.',
      params: CampaignPath,
      query: EventQuery,
      answers: {
        200: {
          description: 'A page of events.',
          schema: EventsAnswer,
          example: {
            events: [
              {
                id: 12345,
                event: 'email_click',
                email: 'anna@example.com',
                domain: 'news.example.com',
                happened_at: '2026-11-20T14:01:12.004Z',
                eid: '3f2c9a',
                link: null,
                country: 'DE',
                device: 'mobile',
                verdict: 'person',
                reasons: [],
                extra: null,
              },
            ],
            next: 12345,
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const { id } = await getCampaign(db, params.id)
      const domainId = query.domain === undefined ? null : await findDomain(query.domain)
      const contactId = query.email === undefined ? null : await findContact(query.email)
      if (domainId === undefined || contactId === undefined) return { events: [], next: null }
      const { rows, next } = await listEvents(readers, id, { ...query, domainId, contactId })
      return { events: rows.map(eventAnswer), next }
    },
  )

  const oneCampaign = async (id: number) =>
    campaignAnswer(
      await readCampaigns(db)
        .where('campaigns.id', '=', id)
        .executeTakeFirstOrThrow(() => new NotFound(`There is no campaign ${id}.`)),
    )
  const findDomain = async (name: string) =>
    (await db.selectFrom('sending_domains').select('id').where('name', '=', name).executeTakeFirst())?.id
  const findContact = async (email: string) =>
    (await db.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirst())?.id

  return { routes: api.close(), operations: api.operations }
}

function readCampaigns(db: Db) {
  return db
    .selectFrom('campaigns')
    .leftJoin('campaign_counts', 'campaign_counts.campaign_id', 'campaigns.id')
    .where('deleted_at', 'is', null)
    .select(['id', 'name', 'offer_url', 'needs_key', 'write_key', 'created_at', 'archived_at', 'last_at'])
    .select(['email_clicks', 'landing_clicks', 'conversions'])
}
type CampaignRow = Awaited<ReturnType<ReturnType<typeof readCampaigns>['executeTakeFirstOrThrow']>>

function campaignAnswer(row: CampaignRow): z.input<typeof CampaignAnswer> {
  return {
    id: row.id,
    name: row.name,
    offer_url: row.offer_url,
    needs_key: row.needs_key === 1,
    write_key: row.write_key,
    created_at: instant(row.created_at),
    archived_at: instantOrNull(row.archived_at),
    ...stepsAnswer({
      email_clicks: row.email_clicks ?? 0,
      landing_clicks: row.landing_clicks ?? 0,
      conversions: row.conversions ?? 0,
    }),
    last_event_at: instantOrNull(row.last_at),
  }
}

const stepsAnswer = ({ email_clicks, landing_clicks, conversions }: Steps) => ({
  email_clicks,
  landing_clicks,
  conversions,
  conversion_rate: inPercent(conversionRate({ email_clicks, conversions })),
})

function journeyAnswer(row: JourneyRow, counting: { machines: boolean }) {
  const { email_clicks, landing_clicks, conversions } = eventSteps(row, counting)
  const last = counting.machines ? Math.max(row.last_at ?? 0, row.machine_last_at ?? 0) || null : row.last_at
  return {
    id: row.id,
    email: row.email,
    domain: row.domain,
    email_clicks,
    landing_clicks,
    conversions,
    machine_events: row.machine_email_clicks + row.machine_landing_clicks + row.machine_conversions,
    first_email_click_at: instantOrNull(row.first_email_click_at),
    first_landing_click_at: instantOrNull(row.first_landing_click_at),
    first_conversion_at: instantOrNull(row.first_conversion_at),
    last_event_at: instantOrNull(last),
  }
}

interface EventFilter {
  event?: (typeof eventKinds)[number]
  domainId: number | null
  contactId: number | null
  machines: boolean
  after?: number
  limit: number
}

/** Events of a campaign in the order of their ids, from a window of bounded length; `next` leads on from its end. */
async function listEvents(readers: Readers, campaignId: number, filter: EventFilter) {
  const { after: from = 0 } = filter
  const narrowed = filter.contactId !== null
  const end = narrowed
    ? undefined
    : await readers
        .selectFrom('events')
        .select('id')
        .where('campaign_id', '=', campaignId)
        .where('id', '>', from)
        .orderBy('id')
        .limit(1)
        .offset(windowLength - 1)
        .executeTakeFirst()
  const rows = await readers
    .selectFrom('events')
    .innerJoin('contacts', 'contacts.id', 'events.contact_id')
    .innerJoin('sending_domains', 'sending_domains.id', 'events.domain_id')
    .select([
      'events.id',
      'kind',
      'email',
      'sending_domains.name as domain',
      'happened_at',
      'caller_id',
      'link',
    ])
    .select(['country', 'device', 'verdict', 'reasons', 'extra'])
    // One person's events are few: they are found by the person, not by walking through the campaign.
    .where(({ eb, ref }) =>
      eb(narrowed ? unindexed(ref('campaign_id')) : ref('campaign_id'), '=', campaignId),
    )
    .where('events.id', '>', from)
    .$if(end !== undefined, (query) => query.where('events.id', '<=', end!.id))
    .$if(narrowed, (query) => query.where('contact_id', '=', filter.contactId!))
    .$if(filter.domainId !== null, (query) => query.where('domain_id', '=', filter.domainId!))
    .$if(filter.event !== undefined, (query) => query.where('kind', '=', kindNumber(filter.event!)))
    .$if(!filter.machines, (query) => query.where('verdict', '<', 2))
    .orderBy('events.id')
    .limit(filter.limit + 1)
    .execute()
  const page = rows.slice(0, filter.limit)
  return { rows: page, next: rows.length > page.length ? page.at(-1)!.id : (end?.id ?? null) }
}

type EventRow = Awaited<ReturnType<typeof listEvents>>['rows'][number]

const eventAnswer = (row: EventRow): z.input<typeof EventsAnswer>['events'][number] => ({
  id: row.id,
  event: kindOf(row.kind),
  email: row.email,
  domain: row.domain,
  happened_at: instant(row.happened_at),
  eid: row.caller_id,
  link: row.link,
  country: row.country,
  device: row.device,
  verdict: verdictOf(row.verdict),
  reasons: reasonsInWords(row.reasons),
  extra: row.extra === null ? null : JSON.parse(row.extra),
})

/** What JSON may say as a number; a query and a form know text alone. */
const { cid, eid, sub, link } = EventParameters.shape
const orNumber = (text: z.ZodType) =>
  z.union([text.meta({ description: undefined, example: undefined }), z.number()])
const EventBody = EventParameters.extend({
  cid: z.union([z.string().min(1), z.int().min(1)]).meta(cid.meta()!),
  eid: orNumber(eid).optional().meta(eid.meta()!),
  sub: orNumber(sub).optional().meta(sub.meta()!),
  link: orNumber(link).optional().meta(link.meta()!),
})

const eventAnswers: Operation['answers'] = {
  200: {
    description: 'The event is on disk.',
    schema: z.object({ status: z.literal('ok'), event_id: z.int() }),
    example: { status: 'ok', event_id: 12345 },
  },
  400: {
    description:
      'Something is wrong or missing, each with its sentence. What belongs to no field goes under extra, body or query.',
    schema: InvalidAnswer,
    example: { error: 'validation_error', details: { cid: 'Campaign 99 does not exist.' } },
  },
  403: {
    description: 'The campaign needs its write key.',
    schema: z.object({ error: z.literal('forbidden'), details: z.record(z.string(), z.string()) }),
  },
  204: { description: 'HEAD, OPTIONS, or a request that says it is a prefetch: nothing is recorded.' },
  405: { description: 'Another method than GET, POST, HEAD or OPTIONS.', schema: ErrorAnswer },
  431: { description: 'The address and the headers are longer than 64 KiB together.', schema: InvalidAnswer },
  503: { description: 'Not recorded. Send it again after the seconds in Retry-After.', schema: ErrorAnswer },
}

const eventDescription =
  'Answers when the event is on disk. Parameters that are not listed are kept with the event, at most 50 and 8 KiB together. The same `cid` and `eid` again answers with the first event and counts nothing. HEAD, OPTIONS and prefetches record nothing.'

/** The event door, as src/campaigns/door.ts keeps it: open to everybody, from any page. */
export const eventOperations: Operation[] = [
  {
    method: 'get',
    path: '/api/event',
    id: 'reportEvent',
    tag: 'Events',
    summary: 'Report an event',
    description: eventDescription,
    query: EventParameters,
    answers: eventAnswers,
    open: true,
    sample: { path: '/api/event?cid=5&event=email_click&email=anna@example.com&domain=news.example.com' },
  },
  {
    method: 'post',
    path: '/api/event',
    id: 'postEvent',
    tag: 'Events',
    summary: 'Report an event in a body',
    description:
      'The same as JSON, as a form, or as text/plain JSON, which is what navigator.sendBeacon sends. At most 64 KiB.',
    body: {
      schema: EventBody,
      types: ['application/json', 'application/x-www-form-urlencoded', 'text/plain'],
    },
    answers: {
      ...eventAnswers,
      413: { description: 'The body is longer than 64 KiB.', schema: InvalidAnswer },
      415: {
        description: 'The body is packed in a way (Content-Encoding) that is not known here.',
        schema: InvalidAnswer,
      },
    },
    open: true,
    sample: {
      path: '/api/event',
      body: {
        cid: 5,
        event: 'conversion',
        email: 'anna@example.com',
        domain: 'news.example.com',
        eid: 'order-1089',
      },
    },
  },
]
