import * as z from 'zod'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import {
  after,
  Instant,
  instant,
  instantOrNull,
  type JsonApi,
  limit,
  notThere,
  usualAnswers,
  yesOrNo,
} from '../web/json-api.js'
import { inPercent } from '../web/shares.js'
import type { Counting } from './counting.js'
import { growthOverTime } from './growth.js'
import {
  engagedDays,
  engagedOf,
  engagementRate,
  getList,
  type List,
  type ListFacts,
  listFields,
  listLists,
  listOwnTags,
} from './lists.js'
import { minuteCache } from './minute-cache.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
  now: () => number
}

const group = 'Audience'
const count = z.int().min(0)
const machines = yesOrNo.meta({ description: '1 counts machines and mail proxies in.' })
const told = z.int().min(0).nullable()
const rate = z.number().nullable().meta({ description: 'In per cent with two decimals, or null.' })

const Numbers = {
  pending: told,
  subscribed: told,
  unsubscribed: told,
}
const ListAnswer = z.object({
  id: z.int(),
  name: z.string(),
  provider: z.string(),
  double_opt_in: z.boolean().nullable().meta({ description: 'null where the provider does not say.' }),
  subscribed: count.meta({ description: 'Who is on it now, paused ones included, as subscriptions tell.' }),
  engaged: count.meta({
    description: `Of those, who opened, clicked or replied in the last ${engagedDays} days.`,
  }),
  engaged_by_machines: count.meta({
    description: 'Those for whom only machines and mail proxies did, counted in or not.',
  }),
  engaged_unjudged: count.meta({
    description: 'Of the engaged people: those of whom all that is known in that time cannot be judged.',
  }),
  engagement_rate: rate,
  joined: count.meta({ description: 'In the last 30 days.' }),
  left: count.meta({ description: 'In the last 30 days.' }),
  churn: rate,
  provider_counts: z
    .object(Numbers)
    .meta({ description: 'The provider’s own counts; null where it does not say.' }),
  created_at: Instant.nullable().meta({ description: 'At the provider.' }),
  updated_at: Instant.nullable().meta({ description: 'At the provider.' }),
  gone_at: Instant.nullable().meta({ description: 'When the provider was first found to know it no more.' }),
})
const exampleList = {
  id: 1,
  name: 'Slow Mornings',
  provider: 'emailoctopus',
  double_opt_in: true,
  subscribed: 12480,
  engaged: 7231,
  engaged_by_machines: 1204,
  engaged_unjudged: 318,
  engagement_rate: 57.94,
  joined: 311,
  left: 84,
  churn: 0.69,
  provider_counts: { pending: 14, subscribed: 12482, unsubscribed: 903 },
  created_at: '2024-02-01T10:00:00.000Z',
  updated_at: '2026-11-20T06:10:00.000Z',
  gone_at: null,
}

const ListId = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .meta({ description: 'The number of the list.', example: '1' }),
})

/** Adds `/api/v1/lists…` to the audience's operations. */
export function addLists(api: JsonApi, { db, readers, calendar, now }: Needs) {
  const remembered = minuteCache(now)

  const readAll = async () => {
    const lists = await listLists({ readers, calendar, now: now() })
    return Promise.all(lists.map(withGrowth))
  }
  const withGrowth = async (list: List) => {
    const when = { range: '30', by: 'day', now: now() } as const
    const { joined, left, churn } = await growthOverTime(readers, calendar, {
      tag: 0,
      list: list.id,
      ...when,
    })
    return { list, joined, left, churn: inPercent(churn) }
  }
  const answerOf = (
    { list, ...growth }: Awaited<ReturnType<typeof withGrowth>>,
    counting: Counting,
  ): z.input<typeof ListAnswer> => ({
    ...factsAnswer(list),
    subscribed: list.subscribed,
    engaged: engagedOf(list, counting),
    engaged_by_machines: list.machineActive,
    engaged_unjudged: list.unjudgedActive,
    engagement_rate: inPercent(engagementRate(list, counting)),
    ...growth,
  })

  api.add(
    {
      method: 'get',
      path: '/api/v1/lists',
      id: 'listLists',
      tag: group,
      sample: { path: '/api/v1/lists' },
      summary: 'List lists, the largest first',
      description: 'With how they grew in the last 30 days. Looked up once a minute.',
      query: z.strictObject({ machines }),
      answers: {
        200: {
          description: 'All lists.',
          schema: z.object({ lists: z.array(ListAnswer) }),
          example: { lists: [exampleList] },
        },
        ...usualAnswers,
      },
    },
    async ({ query }) => ({
      lists: (await remembered('lists', readAll)).map((list) => answerOf(list, query)),
    }),
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/lists/{id}',
      id: 'getList',
      tag: group,
      sample: { path: '/api/v1/lists/1' },
      summary: 'Read a list',
      description: 'Its sizes are looked up once a minute.',
      params: ListId,
      query: z.strictObject({ machines }),
      answers: {
        200: {
          description: 'The list, with its fields and tags.',
          schema: ListAnswer.extend({
            fields: z.array(
              z.object({
                tag: z.string().meta({ description: 'What merge tags call it.' }),
                label: z.string(),
                type: z.string(),
                choices: z.array(z.string()),
                fallback: z.string().nullable(),
              }),
            ),
            tags: z
              .array(z.object({ name: z.string(), contacts: count }))
              .meta({ description: 'The provider’s own tags of the list, and who on it has them.' }),
          }),
          example: {
            ...exampleList,
            fields: [
              { tag: 'FirstName', label: 'First name', type: 'text', choices: [], fallback: 'friend' },
            ],
            tags: [{ name: 'press', contacts: 38 }],
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const { id } = await getList(db, params.id)
      const [lists, fields, tags] = await Promise.all([
        remembered('lists', readAll),
        listFields(db, id),
        remembered(`tags ${id}`, () => listOwnTags(readers, id)),
      ])
      const known = lists.find(({ list }) => list.id === id)
      // A list that came within this minute is not among those that are remembered.
      const found = known ?? (await readAll()).find(({ list }) => list.id === id)!
      return { ...answerOf(found, query), fields, tags }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/lists/{id}/snapshots',
      id: 'listListSnapshots',
      tag: group,
      sample: { path: '/api/v1/lists/1/snapshots' },
      summary: 'Read the history of a list’s size',
      description: 'What the provider counted whenever one of its numbers had changed, oldest first.',
      params: ListId,
      query: z.strictObject({ limit: limit({ usual: 500, most: 2_000 }), after }),
      answers: {
        200: {
          description: 'A page of snapshots.',
          schema: z.object({
            snapshots: z.array(z.object({ id: z.int(), taken_at: Instant, ...Numbers })),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: {
            snapshots: [
              {
                id: 71,
                taken_at: '2026-11-20T06:10:00.000Z',
                pending: 14,
                subscribed: 12482,
                unsubscribed: 903,
              },
            ],
            next: null,
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query }) => {
      const { id } = await getList(db, params.id)
      const rows = await readers
        .selectFrom('list_snapshots')
        .select(['id', 'taken_at', 'pending', 'subscribed', 'unsubscribed'])
        .where('list_id', '=', id)
        .$if(query.after !== undefined, (all) => all.where('id', '>', query.after!))
        .orderBy('id')
        .limit(query.limit + 1)
        .execute()
      const page = rows.slice(0, query.limit)
      return {
        snapshots: page.map(({ taken_at, ...snapshot }) => ({ ...snapshot, taken_at: instant(taken_at) })),
        next: rows.length > query.limit ? page.at(-1)!.id : null,
      }
    },
  )
}

const factsAnswer = (list: ListFacts) => ({
  id: list.id,
  name: list.name,
  provider: list.provider,
  double_opt_in: list.doubleOptIn,
  provider_counts: list.told,
  created_at: instantOrNull(list.madeAt),
  updated_at: instantOrNull(list.updatedAt),
  gone_at: instantOrNull(list.goneAt),
})
