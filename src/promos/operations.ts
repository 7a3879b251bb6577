import * as z from 'zod'
import { ErrorAnswer, InvalidAnswer } from '../web/json-api.js'
import type { Operation } from '../web/openapi.js'
import { AnalyticsQuery, ClickBody, ImpressionBody, SelectionQuery } from './forms.js'
import { strategies } from './strategies.js'

const tag = 'Promos'
const count = z.int().min(0)
const rate = z.number().nullable()

const Selection = z.object({
  offer_id: z.int(),
  variation_id: z.int(),
  offer_name: z.string(),
  offer_type: z.string(),
  headline: z.string(),
  text: z.string(),
  cta_text: z.string(),
  tone: z.string(),
  length_category: z.enum(['short', 'medium', 'long']),
  link: z.string().meta({
    description: 'The offer’s link URL, else `/go/<slug>` here, with `promo_var` and the UTM parameters.',
  }),
  strategy: z.enum(strategies),
  repeated: z
    .boolean()
    .meta({ description: 'Nothing else was there: this text ran in that newsletter last time.' }),
})
const exampleSelection = {
  offer_id: 4,
  variation_id: 42,
  offer_name: 'Bindery notebooks',
  offer_type: 'affiliate',
  headline: '',
  text: 'Paper that keeps its promises: sewn by hand, made to lie flat.',
  cta_text: 'See the notebooks',
  tone: 'calm',
  length_category: 'short' as const,
  link: 'https://track.example.com/go/bindery?promo_var=42&utm_source=newsletter',
  strategy: 'learn' as const,
  repeated: false,
}

const TrackingFailed = z.object({
  error: z.literal('tracking_failed'),
  message: z.string(),
  offer_id: z.int(),
  variation_id: z.int(),
  spooled: z
    .boolean()
    .meta({ description: 'true: it is on disk and will be recorded once, so do not send it again.' }),
})
const tracked: Operation['answers'] = {
  204: { description: 'It is in the database.' },
  400: { description: 'A field is wrong, or there is no such offer or variation.', schema: InvalidAnswer },
  429: { description: 'Too many from this address; `Retry-After` says when to go on.', schema: ErrorAnswer },
  503: { description: 'The database cannot be written.', schema: TrackingFailed },
}

const Analytics = z.object({
  summary: z.object({
    total_impressions: count,
    total_clicks: count,
    overall_ctr: rate.meta({ description: 'In per cent; null without impressions.' }),
    date_range: z.object({ start: z.iso.date(), end: z.iso.date(), days: count }),
  }),
  offers: z.array(
    z.object({
      offer_id: z.int(),
      offer_name: z.string(),
      offer_type: z.string(),
      impressions: count,
      clicks: count,
      ctr: rate,
      best_variation_id: z.int().nullable(),
    }),
  ),
  variations: z
    .array(
      z.object({
        variation_id: z.int(),
        offer_id: z.int(),
        text_preview: z.string(),
        cta_text: z.string(),
        tone: z.string(),
        impressions: count,
        clicks: count,
        ctr: rate,
        prob_best: rate.meta({
          description:
            'The probability of being the best of the offer’s running texts; null where it cannot be told.',
        }),
        interval: z
          .array(z.number())
          .nullable()
          .meta({ description: 'The 95 % credible interval of the CTR, in per cent.' }),
        verdict: z.string().nullable().meta({
          description:
            'On the text that leads: `winner`, `leaning`, `no practical difference`, `about N more issues` or `open`.',
        }),
      }),
    )
    .optional(),
  timeline: z
    .array(z.object({ date: z.iso.date(), impressions: count, clicks: count, ctr: rate }))
    .optional(),
})

/** The doors of promos, as `/docs` and the OpenAPI document describe them. */
export const promoOperations: Operation[] = [
  {
    method: 'get',
    path: '/api/v1/promo/select-random',
    id: 'selectPromo',
    tag,
    summary: 'Choose a text to run now',
    description:
      'Of an active offer within its dates, an approved variation of a weight above 0. With `count` the answer is `{"selections":[…]}`.',
    open: true,
    query: SelectionQuery,
    sample: { path: '/api/v1/promo/select-random?newsletter=slow-mornings' },
    answers: {
      200: { description: 'The text and its link.', schema: Selection, example: exampleSelection },
      400: { description: 'A parameter is wrong.', schema: InvalidAnswer },
      404: { description: 'There is nothing to choose; the message says why.', schema: ErrorAnswer },
    },
  },
  {
    method: 'post',
    path: '/api/v1/promo/track-impression',
    id: 'trackImpression',
    tag,
    summary: 'Tell that a text was shown',
    open: true,
    body: { schema: ImpressionBody, types: ['application/json'] },
    sample: {
      path: '/api/v1/promo/track-impression',
      body: { offer_id: 4, variation_id: 42, newsletter_send_id: 'em_112' },
    },
    answers: tracked,
  },
  {
    method: 'post',
    path: '/api/v1/promo/track-click',
    id: 'trackClick',
    tag,
    summary: 'Tell that a link was followed',
    description:
      'The same address on the same variation within ten minutes is one reader; scanners are left out. Of the address a hash is kept, of the referrer its host.',
    open: true,
    body: { schema: ClickBody, types: ['application/json'] },
    sample: {
      path: '/api/v1/promo/track-click',
      body: {
        variation_id: 42,
        referrer: 'newsletter',
        user_agent: 'Mozilla/5.0 …',
        ip_address: '203.0.113.7',
      },
    },
    answers: tracked,
  },
  {
    method: 'get',
    path: '/api/v1/promo/analytics',
    id: 'getPromoAnalytics',
    tag,
    summary: 'Read impressions, clicks and CTR',
    description:
      'With an access token or an API token. Impressions are as they were reported; probabilities, intervals and verdicts are of what can be compared, as the settings say. Variations stand by CTR, the highest first.',
    query: AnalyticsQuery,
    sample: { path: '/api/v1/promo/analytics?days=30&include_timeline=true' },
    answers: {
      200: {
        description: 'The numbers of so many days before today, and today.',
        schema: Analytics,
        example: {
          summary: {
            total_impressions: 150,
            total_clicks: 23,
            overall_ctr: 15.33,
            date_range: { start: '2026-10-21', end: '2026-11-20', days: 30 },
          },
          offers: [
            {
              offer_id: 4,
              offer_name: 'Bindery notebooks',
              offer_type: 'affiliate',
              impressions: 150,
              clicks: 23,
              ctr: 15.33,
              best_variation_id: 42,
            },
          ],
          variations: [
            {
              variation_id: 42,
              offer_id: 4,
              text_preview: 'Paper that keeps its promises: sewn by hand, made to lie flat.',
              cta_text: 'See the notebooks',
              tone: 'calm',
              impressions: 60,
              clicks: 15,
              ctr: 25,
              prob_best: 0.97,
              interval: [15, 37],
              verdict: 'leaning',
            },
          ],
          timeline: [{ date: '2026-11-20', impressions: 1, clicks: 0, ctr: 0 }],
        },
      },
      400: {
        description: 'A parameter is wrong, or there is no such offer or variation.',
        schema: InvalidAnswer,
      },
      401: { description: 'No token, or one that does not work.', schema: ErrorAnswer },
      429: {
        description: 'Too many from this address; `Retry-After` says when to go on.',
        schema: ErrorAnswer,
      },
    },
  },
]
