import * as z from 'zod'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { NotFound } from '../web/errors.js'
import {
  after,
  Instant,
  Invalid,
  instant,
  instantOrNull,
  JsonApi,
  limit,
  notThere,
  usualAnswers,
  yesOrNo,
} from '../web/json-api.js'
import { inPercent } from '../web/shares.js'
import { bands, ContactFilter, contactSorts } from './contact-filter.js'
import { type ContactRow, conditionsOf, contactRows, countContacts, listContacts } from './contact-list.js'
import { type Counting, clicksOf, opensOf } from './counting.js'
import { type EngagementSeries, engagementOverTime, type Whose } from './engagement-over-time.js'
import { type Growth, growthOverTime } from './growth.js'
import { addLists } from './list-api.js'
import { minuteCache } from './minute-cache.js'
import { unitOf } from './over-time-view.js'
import { type Range, ranges, type Unit, units } from './periods.js'
import { noEngagements } from './receptions.js'
import { subscriptionStatuses } from './subscriptions.js'
import { listTags } from './tags.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: () => number
}

const group = 'Audience'
const machines = yesOrNo.meta({ description: '1 counts opens and clicks of machines and mail proxies in.' })
const count = z.int().min(0)
const rate = z.number().nullable().meta({ description: 'In per cent with two decimals, or null.' })
const day = z
  .string()
  .meta({ description: 'The first day, in the reporting time zone.', example: '2026-11-16' })

/** What is counted of opens and clicks, and what is left out of them. */
const Counts = {
  opens: count,
  clicks: count,
  replies: count,
  proxy_opens: count.meta({ description: 'Opens by mail proxies, counted in or not.' }),
  machine_opens: count.meta({ description: 'Opens by machines, counted in or not.' }),
  machine_clicks: count.meta({ description: 'Clicks by machines, counted in or not.' }),
  unjudged_opens: count.meta({ description: 'Of the opens by people: those that cannot be judged.' }),
  unjudged_clicks: count.meta({ description: 'Of the clicks by people: those that cannot be judged.' }),
}
type Counted = Record<keyof typeof Counts, number>
const countsAnswer = (row: Counted, counting: Counting): Counted => ({
  opens: opensOf(row, counting),
  clicks: clicksOf(row, counting),
  replies: row.replies,
  proxy_opens: row.proxy_opens,
  machine_opens: row.machine_opens,
  machine_clicks: row.machine_clicks,
  unjudged_opens: row.unjudged_opens,
  unjudged_clicks: row.unjudged_clicks,
})
const exampleCounts = {
  opens: 52,
  clicks: 31,
  replies: 2,
  proxy_opens: 18,
  machine_opens: 0,
  machine_clicks: 1,
  unjudged_opens: 0,
  unjudged_clicks: 0,
}

const text = (name: string, most: number) =>
  z.string(`The ${name} is text.`).trim().max(most, `The ${name} is longer than ${most} characters.`)
const oneOf = <Word extends string>(name: string, words: readonly Word[]) =>
  z.enum(words as readonly [Word, ...Word[]], `The ${name} is one of ${words.join(', ')}.`).optional()
const whole = (name: string, least: number, most: number) => {
  const sentence = `The ${name} is a number from ${least} to ${most}.`
  return z.coerce.number(sentence).int(sentence).min(least, sentence).max(most, sentence).optional()
}
/** Once or several times: `tag=press&tag=radio`. */
const several = (name: string) => z.union([text(name, 80), z.array(text(name, 80))]).optional()

/** The filters of the audience page, but strict: what is misspelt is an error. */
const ContactQuery = z.strictObject({
  q: text('q', 200).optional().meta({ description: 'Part of a name or an address.' }),
  tag: several('tag').meta({
    description: 'Name of a tag they have; say it again for more.',
    example: 'press',
  }),
  tags: oneOf('tags', ['all', 'any']).meta({
    description: 'Whether all tags are wanted, or any; all when left out.',
  }),
  not: several('not').meta({ description: 'Name of a tag they do not have; say it again for more.' }),
  list: whole('list', 1, 1e15).meta({ description: 'Id of a list they are or were on.' }),
  status: oneOf('status', [...subscriptionStatuses, 'none']).meta({
    description: 'How they stand to the list, or to their lists at best; none: on no list.',
  }),
  band: oneOf('band', [...bands, 'none']).meta({ description: 'By score; none: no score yet.' }),
  source: text('source', 40)
    .optional()
    .meta({ description: 'Who told of them first.', example: 'buttondown' }),
  score: z.coerce
    .number('The score is a number from 0 to 100.')
    .min(0, 'The score is a number from 0 to 100.')
    .max(100, 'The score is a number from 0 to 100.')
    .optional()
    .meta({ description: 'At least so many points.' }),
  active: whole('active', 1, 3650).meta({ description: 'They did something within so many days.' }),
  quiet: whole('quiet', 1, 3650).meta({ description: 'They did nothing within so many days, or never.' }),
  domain: text('domain', 255).optional().meta({ description: 'What stands behind the @ of their address.' }),
  machines,
  sort: oneOf('sort', Object.keys(contactSorts) as (keyof typeof contactSorts)[]).meta({
    description: 'What they are put in order by; score when left out.',
  }),
  order: oneOf('order', ['asc', 'desc']).meta({ description: 'Which way round.' }),
  limit: limit({ usual: 50, most: 500 }),
  after,
})

const ContactAnswer = z.object({
  id: z.int(),
  email: z.string(),
  name: z.string().meta({ description: 'Empty when nobody told it.' }),
  source: z.string().meta({ description: 'Who told of them first.' }),
  status: z.string().nullable().meta({ description: 'The best of their subscriptions; null on no list.' }),
  band: z.string().nullable(),
  score: z.number().nullable().meta({ description: 'From 0 to 100; null without a delivered mailing.' }),
  trend: z.number().nullable().meta({ description: 'Points more than 30 days ago.' }),
  mailings: count.meta({ description: 'How many were delivered.' }),
  ...Counts,
  tags: z.array(z.string()),
  last_active_at: Instant.nullable(),
  subscribed_at: Instant.nullable(),
  created_at: Instant,
})
const exampleContact = {
  id: 4811,
  email: 'hanne@vestergaard.example',
  name: 'Hanne Vestergaard',
  source: 'buttondown',
  status: 'subscribed',
  band: 'champion',
  score: 79,
  trend: 6,
  mailings: 45,
  ...exampleCounts,
  tags: ['buyer', 'paperboat'],
  last_active_at: '2026-11-20T13:54:08.000Z',
  subscribed_at: '2025-10-02T08:11:40.000Z',
  created_at: '2025-10-02T08:11:40.000Z',
}

const SubscriptionAnswer = z.object({
  list: z.object({ id: z.int(), name: z.string() }),
  status: z.string(),
  source: z.string(),
  subscribed_at: Instant.nullable(),
  unsubscribed_at: Instant.nullable(),
})

/** `/api/v1/contacts`, `/tags`, `/lists` and `/engagement`, behind `requireToken`. */
export function audienceApi({ db, readers, calendar, now }: Needs) {
  const api = new JsonApi({ under: '/api/v1' })
  const remembered = minuteCache(now)

  api.add(
    {
      method: 'get',
      path: '/api/v1/contacts',
      id: 'listContacts',
      tag: group,
      sample: { path: '/api/v1/contacts?tag=press&active=30' },
      summary: 'List contacts, the highest score first',
      description: 'With the filters of the audience page, and its numbers.',
      query: ContactQuery,
      answers: {
        200: {
          description: 'A page of contacts.',
          schema: z.object({
            contacts: z.array(ContactAnswer),
            count: count.meta({ description: 'How many the filters let through.' }),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: { contacts: [exampleContact], count: 1284, next: 4811 },
        },
        ...usualAnswers,
      },
    },
    async ({ query: { limit, machines, ...query } }) => {
      const filter = ContactFilter.parse({ ...query, machines: machines ? '1' : '0' })
      const conditions = await conditionsOf({ readers, now: now() }, filter)
      const [page, matching] = await Promise.all([
        listContacts(readers, conditions, { limit }),
        countContacts(readers, conditions),
      ])
      return {
        contacts: page.rows.map((row) => contactAnswer(row, { machines })),
        count: matching,
        next: page.next,
      }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/contacts/{id}',
      id: 'getContact',
      tag: group,
      sample: { path: '/api/v1/contacts/4811' },
      summary: 'Read a contact',
      params: z.object({
        id: z
          .string()
          .regex(/^[1-9]\d{0,14}$/)
          .meta({ description: 'The number of the contact.', example: '4811' }),
      }),
      query: z.object({ machines }),
      answers: {
        200: {
          description: 'The contact, with notes and subscriptions.',
          schema: ContactAnswer.extend({
            notes: z.string(),
            subscriptions: z.array(SubscriptionAnswer),
          }),
          example: {
            ...exampleContact,
            notes: '',
            subscriptions: [
              {
                list: { id: 1, name: 'Slow Mornings' },
                status: 'subscribed',
                source: 'api',
                subscribed_at: '2025-10-02T08:11:40.000Z',
                unsubscribed_at: null,
              },
            ],
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const id = Number(params.id)
      const [row] = await contactRows(readers, [id])
      if (!row) throw new NotFound(`There is no contact ${id}.`)
      const [{ notes }, subscriptions] = await Promise.all([
        readers.selectFrom('contacts').select('notes').where('id', '=', id).executeTakeFirstOrThrow(),
        readers
          .selectFrom('subscriptions')
          .innerJoin('lists', 'lists.id', 'subscriptions.list_id')
          .select(['list_id', 'lists.name', 'status', 'source', 'subscribed_at', 'unsubscribed_at'])
          .where('contact_id', '=', id)
          .orderBy('subscriptions.id')
          .execute(),
      ])
      return {
        ...contactAnswer(row, query),
        notes,
        subscriptions: subscriptions.map((subscription) => ({
          list: { id: subscription.list_id, name: subscription.name },
          status: subscription.status,
          source: subscription.source,
          subscribed_at: instantOrNull(subscription.subscribed_at),
          unsubscribed_at: instantOrNull(subscription.unsubscribed_at),
        })),
      }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/tags',
      id: 'listTags',
      tag: group,
      sample: { path: '/api/v1/tags' },
      summary: 'List tags, the largest first',
      query: z.object({ machines }),
      answers: {
        200: {
          description: 'All tags, with the sums over their contacts.',
          schema: z.object({
            tags: z.array(
              z.object({
                id: z.int(),
                name: z.string(),
                description: z.string(),
                provider: z.string().nullable().meta({ description: 'Who keeps it; null for one of ours.' }),
                contacts: count,
                average_score: z.number().nullable().meta({ description: 'Of those who have a score.' }),
                ...Counts,
              }),
            ),
          }),
          example: {
            tags: [
              {
                id: 3,
                name: 'press',
                description: 'Writes about books',
                provider: null,
                contacts: 38,
                average_score: 41,
                ...exampleCounts,
              },
            ],
          },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => ({
      tags: (await listTags(db, query)).map((tag) => ({
        id: tag.id,
        name: tag.name,
        description: tag.description,
        provider: tag.provider,
        contacts: tag.contacts,
        average_score: tag.averageScore === null ? null : Math.round(tag.averageScore),
        ...countsAnswer(tag, query),
      })),
    }),
  )

  addLists(api, { db, readers, calendar, now })

  api.add(
    {
      method: 'get',
      path: '/api/v1/engagement',
      id: 'readEngagement',
      tag: group,
      sample: { path: '/api/v1/engagement?range=365&by=week' },
      summary: 'Read engagement over time',
      description:
        'Opens, clicks and active people by day, week or month in the reporting time zone, and how subscriptions grew. The numbers of the page, looked up once a minute.',
      query: z.strictObject({
        range: z
          .enum(ranges, `The range is one of ${ranges.join(', ')}.`)
          .default('90')
          .meta({ description: 'So many days up to today, or all.' }),
        by: oneOf('by', units).meta({
          description: 'Where the range cannot be read so, or nothing is said, what the page shows.',
        }),
        tag: text('tag', 80).optional().meta({ description: 'Name of a tag: what the people with it did.' }),
        list: whole('list', 1, 1e15).meta({ description: 'Id of a list: what the people on it did.' }),
        machines,
      }),
      answers: {
        200: {
          description: 'One line for each period, without gaps; the last one still runs.',
          schema: z.object({
            unit: z.enum(units),
            time_zone: z.string(),
            periods: z.array(
              z.object({
                begins_on: day,
                ...Counts,
                active_people: count.meta({ description: 'Unique people who opened, clicked or replied.' }),
                joined: count,
                left: count,
                subscribed: count.meta({ description: 'Subscriptions at its end.' }),
                churn: rate,
              }),
            ),
          }),
          example: {
            unit: 'week',
            time_zone: 'UTC',
            periods: [
              {
                begins_on: '2026-11-16',
                ...exampleCounts,
                active_people: 44,
                joined: 12,
                left: 3,
                subscribed: 12480,
                churn: 0.02,
              },
            ],
          },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => {
      const { range, machines } = query
      const whose = { tag: await tagId(query.tag), list: await listId(query.list) }
      const { series, growth } = await readBoth(whose, machines, range, unitOf({ range, by: query.by ?? '' }))
      const engaged = new Map(series.points.map((point) => [point.on, point]))
      const grown = new Map(growth.points.map((point) => [point.on, point]))
      // All time begins where either of the two has something to tell.
      const starts = [...new Set([...engaged.keys(), ...grown.keys()])].sort()
      const [first] = growth.points
      const before = first ? first.subscribed - first.joined + first.left : 0
      return {
        unit: series.unit,
        time_zone: calendar.timeZone,
        periods: starts.map((on) => {
          const [did, came] = [engaged.get(on), grown.get(on)]
          return {
            begins_on: on,
            ...countsAnswer(did ?? noEngagements, { machines }),
            active_people: did?.people ?? 0,
            joined: came?.joined ?? 0,
            left: came?.left ?? 0,
            subscribed: Math.max(0, came?.subscribed ?? before),
            churn: inPercent(came?.churn ?? null),
          }
        }),
      }
    },
  )

  async function readBoth(
    whose: Whose,
    machines: boolean,
    range: Range,
    by: Unit,
  ): Promise<{ series: EngagementSeries; growth: Growth }> {
    const when = { range, by, now: now() }
    const key = `${whose.tag} ${whose.list} ${range} ${by}`
    const [series, growth] = await Promise.all([
      remembered(`engagement ${key} ${machines}`, () =>
        engagementOverTime(readers, calendar, { ...whose, ...when, machines }),
      ),
      remembered(`growth ${key}`, () => growthOverTime(readers, calendar, { ...whose, ...when })),
    ])
    // Too many weeks are gathered into months, and one of the two may have more of them.
    if (series.unit !== growth.unit) return readBoth(whose, machines, range, 'month')
    return { series, growth }
  }

  async function tagId(name: string | undefined) {
    if (name === undefined || name === '') return 0
    const tag = await db.selectFrom('tags').select('id').where('name', '=', name).executeTakeFirst()
    if (!tag) throw new Invalid(400, { tag: `There is no tag ${name}.` })
    return tag.id
  }
  async function listId(id: number | undefined) {
    if (id === undefined) return 0
    const list = await db.selectFrom('lists').select('id').where('id', '=', id).executeTakeFirst()
    if (!list) throw new Invalid(400, { list: `There is no list ${id}.` })
    return list.id
  }

  return { routes: api.close(), operations: api.operations }
}

function contactAnswer(row: ContactRow, { machines }: Counting): z.input<typeof ContactAnswer> {
  const last = machines
    ? Math.max(row.last_active_at ?? 0, row.machine_last_active_at ?? 0) || null
    : row.last_active_at
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    source: row.source,
    status: row.status,
    band: row.band,
    score: row.score === null ? null : Math.round(row.score),
    trend: row.trend,
    mailings: row.mailings,
    ...countsAnswer(row, { machines }),
    tags: row.tags,
    last_active_at: instantOrNull(last),
    subscribed_at: instantOrNull(row.subscribed_at),
    created_at: instant(row.created_at),
  }
}
