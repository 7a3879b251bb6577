import * as z from 'zod'
import { minuteCache } from '../audience/minute-cache.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import {
  after,
  Instant,
  instantOrNull,
  JsonApi,
  limit,
  notThere,
  usualAnswers,
  yesOrNo,
} from '../web/json-api.js'
import { readLinks } from './mailing-links.js'
import { inPercent } from './metrics.js'
import { getMailing, listMailings, type Mailing, type MailingSort, mailingSorts } from './queries.js'

interface Needs {
  db: Db
  readers: Readers
  now: () => number
}

const group = 'Mailings'
const machines = yesOrNo.meta({ description: '1 counts opens and clicks of machines and mail proxies in.' })
const count = z.int().min(0)
const rate = (meaning: string) =>
  z
    .number()
    .nullable()
    .meta({ description: `${meaning}, in per cent with two decimals; null without a value.` })
const sorts = Object.keys(mailingSorts) as [MailingSort, ...MailingSort[]]

const MailingAnswer = z.object({
  id: z.int(),
  name: z.string(),
  provider: z.string(),
  list: z.object({ id: z.int(), name: z.string() }).nullable(),
  sent_at: Instant.nullable(),
  url: z.string().meta({ description: 'Where it can be read; empty when nobody told.' }),
  people: z
    .object({
      sent: count,
      delivered: count,
      opened: count,
      clicked: count,
      replied: count,
      bounced: count,
      unsubscribed: count,
      complained: count,
    })
    .meta({ description: 'Unique people.' }),
  opens: count,
  clicks: count,
  proxy_opens: count.meta({ description: 'Opens by mail proxies, counted in or not.' }),
  machine_opens: count.meta({ description: 'Opens by machines, counted in or not.' }),
  machine_clicks: count.meta({ description: 'Clicks by machines, counted in or not.' }),
  unjudged_opens: count.meta({ description: 'Of the opens by people: those that cannot be judged.' }),
  unjudged_clicks: count.meta({ description: 'Of the clicks by people: those that cannot be judged.' }),
  open_rate: rate('People who opened ÷ delivered'),
  click_rate: rate('People who clicked ÷ delivered'),
  click_to_open: rate('People who clicked ÷ people who opened'),
  bounce_rate: rate('Bounced ÷ sent'),
  unsubscribe_rate: rate('Unsubscribed ÷ delivered'),
  complaint_rate: rate('Complained ÷ delivered'),
  tracking_may_be_off: z
    .boolean()
    .meta({ description: 'Nobody opened or clicked, and the provider says zero too: there is no rate.' }),
  last_event_at: Instant.nullable().meta({
    description: 'The last open, click or reply of whatever verdict.',
  }),
})
const exampleMailing = {
  id: 112,
  name: 'Slow tools for fast weeks',
  provider: 'buttondown',
  list: { id: 1, name: 'Slow Mornings' },
  sent_at: '2026-11-17T09:00:56.000Z',
  url: 'https://buttondown.com/slow-mornings/archive/slow-tools/',
  people: {
    sent: 12614,
    delivered: 12480,
    opened: 5914,
    clicked: 1126,
    replied: 9,
    bounced: 134,
    unsubscribed: 21,
    complained: 1,
  },
  opens: 8120,
  clicks: 1487,
  proxy_opens: 2041,
  machine_opens: 0,
  machine_clicks: 311,
  unjudged_opens: 12,
  unjudged_clicks: 0,
  open_rate: 47.39,
  click_rate: 9.02,
  click_to_open: 19.04,
  bounce_rate: 1.06,
  unsubscribe_rate: 0.17,
  complaint_rate: 0.01,
  tracking_may_be_off: false,
  last_event_at: '2026-11-20T14:28:08.000Z',
}

const LinkAnswer = z.object({
  url: z.string().nullable().meta({ description: 'null where nobody told which link it was.' }),
  clicks: count,
  people: count.meta({ description: 'Unique people.' }),
  machine_clicks: count.meta({ description: 'Counted in or not.' }),
})

/** `/api/v1/mailings…`: newsletters for programs, behind `requireToken`. */
export function mailingApi({ db, readers, now }: Needs) {
  const api = new JsonApi({ under: '/api/v1' })
  const remembered = minuteCache(now)

  api.add(
    {
      method: 'get',
      path: '/api/v1/mailings',
      id: 'listMailings',
      tag: group,
      sample: { path: '/api/v1/mailings?sort=open_rate' },
      summary: 'List mailings, the newest first',
      query: z.strictObject({
        q: z
          .string('The q is text.')
          .trim()
          .max(200, 'The q is longer than 200 characters.')
          .default('')
          .meta({ description: 'Part of the subject.' }),
        list: z.coerce
          .number('The list is an id.')
          .int('The list is an id.')
          .min(0, 'The list is an id.')
          .max(1e15, 'The list is an id.')
          .default(0)
          .meta({ description: 'Id of a list; 0 is all.' }),
        sort: z
          .enum(sorts, `The sort is one of ${sorts.join(', ')}.`)
          .default('sent')
          .meta({ description: 'What they are put in order by.' }),
        order: z
          .enum(['asc', 'desc'], 'The order is asc or desc.')
          .optional()
          .meta({ description: 'Which way round.' }),
        machines,
        limit: limit({ usual: 50, most: 500 }),
        after,
      }),
      answers: {
        200: {
          description: 'A page of mailings.',
          schema: z.object({
            mailings: z.array(MailingAnswer),
            count: count.meta({ description: 'How many the filters let through.' }),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: { mailings: [exampleMailing], count: 112, next: 112 },
        },
        ...usualAnswers,
      },
    },
    async ({ query: { after, limit, ...filter } }) => {
      const order = filter.order ?? mailingSorts[filter.sort]
      const page = await listMailings(readers, { ...filter, order }, { after, limit })
      return { mailings: page.rows.map(mailingAnswer), count: page.count, next: page.next }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/mailings/{id}',
      id: 'getMailing',
      tag: group,
      sample: { path: '/api/v1/mailings/112' },
      summary: 'Read a mailing',
      params: z.object({
        id: z
          .string()
          .regex(/^[1-9]\d{0,14}$/)
          .meta({ description: 'The number of the mailing.', example: '112' }),
      }),
      query: z.object({ machines }),
      answers: {
        200: {
          description: 'The mailing, with the links that were clicked, at most 100 of them.',
          schema: MailingAnswer.extend({ links: z.array(LinkAnswer) }),
          example: {
            ...exampleMailing,
            links: [
              { url: 'https://paperboat.example/autumn', clicks: 742, people: 611, machine_clicks: 98 },
            ],
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query: { machines } }) => {
      const mailing = await getMailing(db, params.id, { machines })
      const { links } = await remembered(`links ${mailing.id} ${machines}`, () =>
        readLinks(readers, mailing.id, { machines }),
      )
      return {
        ...mailingAnswer(mailing),
        links: links.map(({ url, clicks, people, machineClicks }) => ({
          url,
          clicks,
          people,
          machine_clicks: machineClicks,
        })),
      }
    },
  )

  return { routes: api.close(), operations: api.operations }
}

const mailingAnswer = (mailing: Mailing): z.input<typeof MailingAnswer> => ({
  id: mailing.id,
  name: mailing.name,
  provider: mailing.provider,
  list: mailing.list,
  sent_at: instantOrNull(mailing.sent_at),
  url: mailing.url,
  people: mailing.people,
  opens: mailing.opens,
  clicks: mailing.clicks,
  proxy_opens: mailing.counts.proxy_opens,
  machine_opens: mailing.counts.machine_opens,
  machine_clicks: mailing.counts.machine_clicks,
  unjudged_opens: mailing.counts.unjudged_opens,
  unjudged_clicks: mailing.counts.unjudged_clicks,
  open_rate: inPercent(mailing.rates.open),
  click_rate: inPercent(mailing.rates.click),
  click_to_open: inPercent(mailing.rates.clickToOpen),
  bounce_rate: inPercent(mailing.rates.bounce),
  unsubscribe_rate: inPercent(mailing.rates.unsubscribe),
  complaint_rate: inPercent(mailing.rates.complaint),
  tracking_may_be_off: mailing.untracked,
  last_event_at: instantOrNull(mailing.last_at),
})
