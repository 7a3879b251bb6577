import * as z from 'zod'
import { minuteCache } from '../audience/minute-cache.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
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
import {
  bookOf,
  rateFields,
  rateNames,
  type Summary,
  sentWithin,
  seriesOf,
  seriesUnits,
  summarise,
  type TotalName,
  totalNames,
} from './dashboard.js'
import {
  boundFields,
  boundsOf,
  isDay,
  isIn,
  type MailingChoice,
  type MailingSort,
  mailingSorts,
  spellOf,
} from './mailing-filter.js'
import { readLinks } from './mailing-links.js'
import { chosenMailings, inOrder, type ListedMailing, listAllMailings, pageOf } from './mailing-list.js'
import { deliveredBasis, type NumberName, numberKinds } from './mailing-numbers.js'
import { getMailing, listSnapshots, type Mailing } from './queries.js'
import { reportNumbers } from './record.js'
import { trend } from './statistics.js'

interface Needs {
  db: Db
  readers: Readers
  calendar: Calendar
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
const basis = z.enum(['ours', 'provider'])

const text = (name: string, most: number, description: string) =>
  z
    .string(`The ${name} is text.`)
    .trim()
    .max(most, `The ${name} is longer than ${most} characters.`)
    .default('')
    .meta({ description })
const id = (name: string, description: string) =>
  z.coerce
    .number(`The ${name} is an id.`)
    .int(`The ${name} is an id.`)
    .min(0, `The ${name} is an id.`)
    .max(1e15, `The ${name} is an id.`)
    .default(0)
    .meta({ description })
const day = (name: string, description: string) => {
  const sentence = `The ${name} is a day, such as 2026-11-20.`
  return z.string(sentence).refine(isDay, sentence).optional().meta({ description, example: '2026-11-20' })
}
/** A bound of a number, described by what it bounds. */
const bound = (field: string) => {
  const { label, unit } = numberKinds[field.replace(/_m(in|ax)$/, '') as NumberName]
  const [least, what] = [field.endsWith('_min'), unit === 'share' ? 'a rate in per cent' : 'a number']
  const sentence = `The ${field} is ${what} from 0 on.`
  return z.coerce
    .number(sentence)
    .min(0, sentence)
    .max(1e12, sentence)
    .optional()
    .meta({
      description: `${label}${unit === 'share' ? ', in per cent,' : ''} at ${least ? 'least' : 'most'} this. A mailing without that number is left out.`,
    })
}

/** What chooses mailings, as on the page. */
const choosing = {
  q: text('q', 200, 'Part of the name or of the subject.'),
  from: day('from', 'Sent on this day or later, in the reporting time zone.'),
  to: day('to', 'Sent on this day or earlier.'),
  days: z
    .enum(['30', '90', '365'], 'The days are 30, 90 or 365.')
    .optional()
    .meta({ description: 'Sent within so many days up to today; from and to go before it.' }),
  status: text(
    'status',
    40,
    'As the provider calls it; without one: whatever was sent; `all`: drafts as well.',
  ),
  provider: text('provider', 40, 'Such as buttondown or emailoctopus.'),
  list: id('list', 'Id of a list it went to; 0 is all.'),
  sender: text('sender', 255, 'The address it came from.'),
  project: id('project', 'Id of a project that it or its list is tied to; 0 is all.'),
  basis: basis.optional().meta({ description: 'Whose numbers drive its rates.' }),
  ...Object.fromEntries(boundFields.map((field) => [field, bound(field)])),
  machines,
}

/** What was asked for, as the page's filter says it. */
function choiceOf({
  sort = 'sent',
  order,
  ...query
}: {
  q: string
  from?: string
  to?: string
  days?: string
  status: string
  provider: string
  list: number
  sender: string
  project: number
  basis?: 'ours' | 'provider'
  machines: boolean
  sort?: MailingSort
  order?: 'asc' | 'desc'
}): MailingChoice {
  if (query.from && query.to && query.from > query.to)
    throw new Invalid(400, { to: 'The to is a day before the from.' })
  return {
    ...query,
    from: query.from ?? '',
    to: query.to ?? '',
    days: query.from || query.to ? 0 : Number(query.days ?? 0),
    basis: query.basis ?? '',
    ...boundsOf(query),
    sort,
    order: order ?? mailingSorts[sort],
  }
}

const MailingAnswer = z.object({
  id: z.int(),
  name: z.string().meta({ description: 'What it is called: the provider’s name for it, else the subject.' }),
  provider: z.string(),
  status: z.string().meta({ description: 'As the provider calls it; empty when nobody told.' }),
  list: z
    .object({ id: z.int(), name: z.string() })
    .nullable()
    .meta({ description: 'The list it went to; null where it went to several or none is known.' }),
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
  basis: basis.meta({
    description:
      'Whose numbers `people`, `opens`, `clicks` and all rates are: counted here from events, or the provider’s own, in which machines and mail proxies are among the people.',
  }),
  delivered_basis: basis.meta({
    description:
      'Whose number `people.delivered` is: the provider’s where it knows of more deliveries than events tell.',
  }),
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
  status: 'sent',
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
  basis: 'ours' as const,
  delivered_basis: 'ours' as const,
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

const MailingId = z.object({
  id: z
    .string()
    .regex(/^[1-9]\d{0,14}$/)
    .meta({ description: 'The number of the mailing.', example: '112' }),
})

/** In the list it tells where it went and from whom it came as well. */
const ListedAnswer = MailingAnswer.extend({
  subject: z.string(),
  lists: z.array(z.object({ id: z.int(), name: z.string() })).meta({ description: 'All lists it went to.' }),
  projects: z
    .array(z.object({ id: z.int(), name: z.string(), partner: z.string() }))
    .meta({ description: 'The project it is tied to, else those of its lists.' }),
  from_name: z.string(),
  from_address: z.string(),
})
const exampleListed = {
  ...exampleMailing,
  subject: 'Slow tools for fast weeks',
  lists: [{ id: 1, name: 'Slow Mornings' }],
  projects: [{ id: 3, name: 'Autumn', partner: 'Paperboat' }],
  from_name: 'Maren',
  from_address: 'maren@slowmornings.example',
}

const told = z.int().nullable()
const SnapshotAnswer = z.object({
  id: z.int(),
  taken_at: Instant,
  is_lower: z.boolean().meta({ description: 'One of the numbers went down: the provider corrected itself.' }),
  ...(Object.fromEntries(reportNumbers.map((name) => [name, told])) as Record<
    (typeof reportNumbers)[number],
    typeof told
  >),
})
const exampleSnapshot = {
  id: 4711,
  taken_at: '2026-11-17T10:00:04.000Z',
  is_lower: false,
  recipients: 12614,
  deliveries: 12480,
  opens: 3120,
  unique_opens: 2214,
  clicks: 402,
  unique_clicks: 351,
  temporary_failures: 41,
  permanent_failures: 93,
  unsubscriptions: 4,
  complaints: 0,
  replies: null,
}

const OutlierAnswer = z
  .object({ id: z.int(), name: z.string(), value: z.number(), basis })
  .nullable()
  .meta({ description: 'The mailing, and its rate in per cent.' })
const RateSummaryAnswer = z.object({
  mailings: count.meta({ description: 'How many have this rate: those it is of.' }),
  mean: rate('The average: the unweighted mean over mailings'),
  pooled: rate('All people taken together'),
  median: rate('The middle one'),
  deviation: rate('The standard deviation of the population'),
  best: OutlierAnswer,
  worst: OutlierAnswer,
})
/** One field for each, by its name in JSON. */
const byRate = <Value extends z.ZodType>(value: Value) =>
  z.object(Object.fromEntries(rateNames.map((name) => [rateFields[name], value])) as Record<string, Value>)
const SumsAnswer = z.object({
  mailings: count,
  basis: z
    .object({ ours: count, provider: count })
    .meta({ description: 'How many of them are told by whose numbers; those without any are in neither.' }),
  totals: z
    .object(Object.fromEntries(totalNames.map((name) => [name, count])) as Record<TotalName, z.ZodInt>)
    .meta({ description: 'Unique people of each mailing, summed up.' }),
  rates: byRate(RateSummaryAnswer),
})
const points = rate('Now less before')
const DifferenceAnswer = z.object({
  mailings: z.int(),
  totals: z.object(
    Object.fromEntries(totalNames.map((name) => [name, z.int()])) as Record<TotalName, z.ZodInt>,
  ),
  rates: byRate(z.object({ mean: points, pooled: points, median: points, deviation: points })),
})
const SummaryAnswer = SumsAnswer.extend({
  changes: z
    .object({
      from: Instant,
      until: Instant,
      days: z.int(),
      now: SumsAnswer,
      before: SumsAnswer,
      difference: DifferenceAnswer,
    })
    .meta({
      description:
        'The window of the dates that were asked for, and the one of the same length before it. Without a first day: the last 90 days.',
    }),
  series: z.object({
    unit: z.enum(seriesUnits),
    points: z.array(
      z.object({
        from: Instant,
        mailings: count,
        sent: count,
        delivered: count,
        open_rate: z.object({ mean: rate('The average'), pooled: rate('All people taken together') }),
        click_rate: z.object({ mean: rate('The average'), pooled: rate('All people taken together') }),
      }),
    ),
  }),
})

const outlierAnswer = (found: Summary['rates']['open']['best']) =>
  found && {
    id: found.mailing.id,
    name: found.mailing.name,
    value: inPercent(found.value)!,
    basis: found.mailing.basis,
  }
const summaryAnswer = ({ mailings, basis, totals, rates }: Summary): z.input<typeof SumsAnswer> => ({
  mailings,
  basis,
  totals,
  rates: Object.fromEntries(
    rateNames.map((name) => [
      rateFields[name],
      {
        mailings: rates[name].mailings,
        mean: inPercent(rates[name].mean),
        pooled: inPercent(rates[name].pooled),
        median: inPercent(rates[name].median),
        deviation: inPercent(rates[name].deviation),
        best: outlierAnswer(rates[name].best),
        worst: outlierAnswer(rates[name].worst),
      },
    ]),
  ),
})
/** Now less before, rates in percentage points; null where either has no value. */
function differenceAnswer(now: Summary, before: Summary): z.input<typeof DifferenceAnswer> {
  const change = (one: number | null, other: number | null) => trend(one, other)?.absolute ?? null
  return {
    mailings: now.mailings - before.mailings,
    totals: Object.fromEntries(
      totalNames.map((name) => [name, now.totals[name] - before.totals[name]]),
    ) as Summary['totals'],
    rates: Object.fromEntries(
      rateNames.map((name) => {
        const points = (what: 'mean' | 'pooled' | 'median' | 'deviation') =>
          inPercent(change(now.rates[name][what], before.rates[name][what]))
        return [
          rateFields[name],
          {
            mean: points('mean'),
            pooled: points('pooled'),
            median: points('median'),
            deviation: points('deviation'),
          },
        ]
      }),
    ),
  }
}

const exampleRate = {
  mailings: 13,
  mean: 43.18,
  pooled: 43.91,
  median: 42.77,
  deviation: 3.05,
  best: { id: 112, name: 'Slow tools for fast weeks', value: 47.39, basis: 'ours' as const },
  worst: { id: 104, name: 'A week without a lead', value: 38.02, basis: 'ours' as const },
}
const exampleSums = {
  mailings: 13,
  basis: { ours: 13, provider: 0 },
  totals: { sent: 158_400, delivered: 156_210, opened: 68_590, clicked: 13_120, unsubscribed: 241 },
  rates: Object.fromEntries(rateNames.map((name) => [rateFields[name], exampleRate])),
}
const exampleSummary = {
  ...exampleSums,
  changes: {
    from: '2026-08-24T00:00:00.000Z',
    until: '2026-11-21T10:00:00.000Z',
    days: 90,
    now: exampleSums,
    before: exampleSums,
    difference: {
      mailings: 0,
      totals: { sent: 0, delivered: 0, opened: 0, clicked: 0, unsubscribed: 0 },
      rates: Object.fromEntries(
        rateNames.map((name) => [rateFields[name], { mean: 0, pooled: 0, median: 0, deviation: 0 }]),
      ),
    },
  },
  series: {
    unit: 'week' as const,
    points: [
      {
        from: '2026-11-16T00:00:00.000Z',
        mailings: 1,
        sent: 12_614,
        delivered: 12_480,
        open_rate: { mean: 47.39, pooled: 47.39 },
        click_rate: { mean: 9.02, pooled: 9.02 },
      },
    ],
  },
}

/** `/api/v1/mailings…`: newsletters for programs, behind `requireToken`. */
export function mailingApi({ db, readers, calendar, now }: Needs) {
  const api = new JsonApi({ under: '/api/v1' })
  const remembered = minuteCache(now)

  /** The mailings of a choice, with and without its dates. */
  async function find(choice: MailingChoice) {
    const spell = spellOf(choice, { calendar, now: now() })
    const matching = chosenMailings(await listAllMailings(readers, choice), choice)
    return { spell, matching, shown: matching.filter(({ sent_at }) => isIn(sent_at, spell)) }
  }

  api.add(
    {
      method: 'get',
      path: '/api/v1/mailings',
      id: 'listMailings',
      tag: group,
      sample: { path: '/api/v1/mailings?sort=open_rate' },
      summary: 'List mailings, the newest first',
      query: z.strictObject({
        ...choosing,
        sort: z
          .enum(sorts, `The sort is one of ${sorts.join(', ')}.`)
          .default('sent')
          .meta({ description: 'What they are put in order by.' }),
        order: z
          .enum(['asc', 'desc'], 'The order is asc or desc.')
          .optional()
          .meta({ description: 'Which way round.' }),
        limit: limit({ usual: 50, most: 500 }),
        after,
      }),
      answers: {
        200: {
          description: 'A page of mailings.',
          schema: z.object({
            mailings: z.array(ListedAnswer),
            count: count.meta({ description: 'How many the filters let through.' }),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: { mailings: [exampleListed], count: 112, next: 112 },
        },
        ...usualAnswers,
      },
    },
    async ({ query: { after, limit, ...query } }) => {
      const choice = choiceOf(query)
      const { shown } = await find(choice)
      const page = pageOf(inOrder(shown, choice), { after, limit })
      return { mailings: page.rows.map(listedAnswer), count: page.count, next: page.next }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/mailings/summary',
      id: 'summariseMailings',
      tag: group,
      sample: { path: '/api/v1/mailings/summary?days=90' },
      summary: 'Sum mailings up',
      query: z.strictObject({
        ...choosing,
        by: z
          .enum(seriesUnits, 'The by is week or month.')
          .optional()
          .meta({ description: 'The unit of the series; without one, what suits its length.' }),
      }),
      answers: {
        200: {
          description:
            'Totals, averages with deviations, the best and the worst, how each changed against the window before, and a series.',
          schema: SummaryAnswer,
          example: exampleSummary,
        },
        ...usualAnswers,
      },
    },
    async ({ query: { by, ...query } }) => {
      const choice = choiceOf(query)
      const { matching, spell } = await find(choice)
      const book = bookOf(matching)
      const shown = sentWithin(book, spell)
      const [current, before] = [spell.now, spell.before].map((window) =>
        summarise(sentWithin(book, window)),
      ) as [Summary, Summary]
      const until = Math.min(spell.until ?? Number.POSITIVE_INFINITY, now() + 1)
      const { unit, points } = seriesOf(shown, { calendar, from: spell.from, until, by: by ?? '' })
      return {
        ...summaryAnswer(summarise(shown)),
        changes: {
          from: instant(spell.now.from),
          until: instant(spell.now.until),
          days: spell.days,
          now: summaryAnswer(current),
          before: summaryAnswer(before),
          difference: differenceAnswer(current, before),
        },
        series: {
          unit,
          points: points.map(({ at, open, click, ...counts }) => ({
            from: instant(at),
            ...counts,
            open_rate: { mean: inPercent(open.mean), pooled: inPercent(open.pooled) },
            click_rate: { mean: inPercent(click.mean), pooled: inPercent(click.pooled) },
          })),
        },
      }
    },
  )

  api.add(
    {
      method: 'get',
      path: '/api/v1/mailings/{id}/snapshots',
      id: 'listMailingSnapshots',
      tag: group,
      sample: { path: '/api/v1/mailings/112/snapshots' },
      summary: 'List what the provider said of a mailing, the oldest first',
      params: MailingId,
      query: z.strictObject({ limit: limit({ usual: 500, most: 5_000 }), after }),
      answers: {
        200: {
          description: 'A page of snapshots: a new one whenever one of the provider’s numbers had changed.',
          schema: z.object({
            basis: z
              .literal('provider')
              .meta({ description: 'Snapshots are of the provider’s own numbers, always.' }),
            rates_basis: basis.meta({ description: 'Whose numbers drive the rates of this mailing.' }),
            checked_at: Instant.nullable().meta({
              description: 'When the provider was last asked; since the last snapshot nothing changed.',
            }),
            snapshots: z.array(SnapshotAnswer),
            count: count.meta({ description: 'How many there are in all.' }),
            next: z.int().nullable().meta({ description: 'The `after` of the next page; null on the last.' }),
          }),
          example: {
            basis: 'provider',
            rates_basis: 'ours',
            checked_at: '2026-11-20T14:00:00.000Z',
            snapshots: [exampleSnapshot],
            count: 1,
            next: null,
          },
        },
        ...usualAnswers,
        ...notThere,
      },
    },
    async ({ params, query: { after, limit } }) => {
      const mailing = await getMailing(db, params.id, { machines: false })
      const { rows, count, next } = await listSnapshots(readers, mailing.id, { after, limit })
      return {
        basis: 'provider',
        rates_basis: mailing.basis,
        checked_at: instantOrNull(mailing.report?.checked_at ?? null),
        snapshots: rows.map(({ id, taken_at, is_lower, ...numbers }) => ({
          id,
          taken_at: instant(taken_at),
          is_lower: is_lower === 1,
          ...numbers,
        })),
        count,
        next,
      }
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
      params: MailingId,
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
  status: mailing.status,
  list: mailing.list,
  sent_at: instantOrNull(mailing.sent_at),
  url: mailing.url,
  people: mailing.people,
  basis: mailing.basis,
  delivered_basis: deliveredBasis(mailing),
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

const listedAnswer = (mailing: ListedMailing): z.input<typeof ListedAnswer> => ({
  ...mailingAnswer(mailing),
  subject: mailing.subject,
  lists: mailing.lists.map(({ id, name }) => ({ id, name })),
  projects: mailing.projects,
  from_name: mailing.from_name,
  from_address: mailing.from_address,
})
