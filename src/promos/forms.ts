import { isIP } from 'node:net'
import * as z from 'zod'
import { plainAddress } from '../campaigns/forms.js'
import { holdsAddress, holdsMailbox } from './click-traces.js'

/** Ids may come as numbers or as the digits of one; what a program leaves empty counts as left out. */
const id = (name: string, field: string) =>
  z
    .union([z.number(), z.string()], {
      error: (issue) =>
        issue.input === undefined || issue.input === null
          ? `The ${field} is missing.`
          : `The ${field} is the number of ${name}.`,
    })
    .transform((value, context) => {
      const text = String(value).trim()
      if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
      context.addIssue(`The ${field} is the number of ${name}, not "${text.slice(0, 40)}".`)
      return z.NEVER
    })
const OfferId = id('an offer', 'offer_id').meta({ description: 'Number of an offer.', example: 4 })
const VariationId = id('a variation', 'variation_id').meta({
  description: 'Number of a variation.',
  example: 42,
})

const optional = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (value === '' || value === null ? undefined : value), type.optional())

/** What an issue or a newsletter is called. No reader's address belongs in it. */
const label = (field: string) =>
  z
    .union([z.string(), z.number()], `The ${field} is text.`)
    .transform((value) => String(value).trim())
    .pipe(
      z
        .string()
        .max(200, `The ${field} is longer than 200 characters.`)
        .refine((text) => !holdsMailbox(text), `The ${field} must not hold an e-mail address.`)
        .refine((text) => !holdsAddress(text), `The ${field} must not hold an internet address.`),
    )
/** What is longer than anybody needs is cut: a click is not lost for it. */
const traces = (field: string) => z.string(`The ${field} is text.`).transform((text) => text.slice(0, 4_000))

/** The body of `POST /api/v1/promo/track-impression`. */
export const ImpressionBody = z.object({
  offer_id: OfferId,
  variation_id: VariationId,
  newsletter_send_id: optional(label('newsletter_send_id')).meta({
    description: 'What you call the issue: the same one and variation again counts nothing.',
    example: 'em_112',
  }),
  placements: optional(
    z
      .int('The placements are a whole number from 1 to 100.')
      .min(1, 'The placements are a whole number from 1 to 100.')
      .max(100, 'The placements are a whole number from 1 to 100.'),
  ).meta({ description: 'How often the text stands in the issue; 1 when left out.' }),
})

/** The body of `POST /api/v1/promo/track-click`. */
export const ClickBody = z.object({
  variation_id: VariationId,
  referrer: optional(traces('referrer')).meta({
    description: 'A word, or an address of which only the host is kept.',
  }),
  user_agent: optional(traces('user_agent')).meta({ description: "The reader's user agent." }),
  ip_address: optional(
    traces('ip_address').transform((text) => {
      // As proxies pass them on: the first of a list is the reader's, perhaps with a port.
      const first = text.split(',')[0]!.trim()
      const plain = plainAddress(
        first.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1'),
      )
      return isIP(plain) ? plain.toLowerCase() : undefined
    }),
  ).meta({
    description:
      "The reader's internet address, as `X-Forwarded-For` has it; only a hash of it is kept. What is no address, such as `unknown`, is passed over.",
  }),
  ip_hash: optional(
    z.string('The ip_hash is text.').max(256, 'The ip_hash is longer than 256 characters.'),
  ).meta({
    description: 'A hash of the address, from whoever does not want to tell it. It is hashed once more.',
  }),
})

const count = z
  .string()
  .regex(/^([1-9]|[1-4]\d|50)$/, 'The count is a number from 1 to 50.')
  .transform(Number)

/** The query of `GET /api/v1/promo/select-random`. */
export const SelectionQuery = z.object({
  newsletter: optional(label('newsletter')).meta({
    description: 'Which newsletter asks: the same text does not run there twice in a row.',
    example: 'slow-mornings',
  }),
  offer_id: optional(OfferId),
  type: optional(z.string().trim().max(80, 'The type is longer than 80 characters.')).meta({
    description: 'Only offers of this type.',
    example: 'affiliate',
  }),
  count: optional(count).meta({
    description: 'So many distinct offers; the answer is then `{"selections":[…]}`.',
    example: 2,
  }),
})

const analyticsDays = ['7', '30', '90', '365', 'all'] as const
const flag = (usual: boolean) =>
  z
    .enum(['', '1', 'true', '0', 'false'], 'Say true or false.')
    .optional()
    .transform((text) => (text === undefined ? usual : text === '' || text === '1' || text === 'true'))

/** The query of `GET /api/v1/promo/analytics`. */
export const AnalyticsQuery = z.object({
  offer_id: optional(OfferId),
  variation_id: optional(VariationId),
  days: z
    .enum(analyticsDays, 'The days are 7, 30, 90, 365 or all.')
    .default('30')
    .meta({ description: 'So many days before today, and today.' }),
  include_variations: flag(true).meta({ description: 'The `variations`; true when left out.' }),
  include_timeline: flag(false).meta({ description: 'The `timeline`; false when left out.' }),
})
export type AnalyticsQuery = z.infer<typeof AnalyticsQuery>

/** One sentence for each wrong field. */
export function detailsOf(error: z.ZodError): Record<string, string> {
  const details: Record<string, string> = {}
  for (const { path, message } of error.issues) details[String(path[0] ?? 'body')] ??= message
  return details
}
