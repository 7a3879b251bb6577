import * as z from 'zod'
import { one } from '../web/forms.js'
import { holdsMailbox } from './click-traces.js'
import { strategies } from './strategies.js'

const words = (name: string, most: number) =>
  z
    .string(`The ${name} is text.`)
    .trim()
    .max(most, `Keep the ${name} under ${most + 1} characters.`)
    .default('')

const webAddress = (missing: string) =>
  z
    .string(missing)
    .trim()
    .min(1, missing)
    .max(2000, 'Keep the address under 2,000 characters.')
    .transform((text, context) => {
      const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : null
      if (url?.hostname && !url.username && !url.password)
        return /^[!-~]+$/.test(text) && !text.includes('\\') ? text : url.href
      const guess = `https://${text.replace(/^(?:[a-z]+:(?=[/\\])|https?:)?[/\\]*/i, '')}`
      const likely = !url && URL.canParse(guess) && /\.\w/.test(new URL(guess).hostname)
      context.addIssue(
        url
          ? 'The address must not carry a name or a password.'
          : `The address starts with https:// or http://.${likely ? ` Did you mean ${guess}?` : ''}`,
      )
      return z.NEVER
    })

const weight = z
  .string('The weight is a number.')
  .trim()
  .default('1')
  .transform((text, context) => {
    const value = text === '' ? 1 : Number(text.replace(',', '.'))
    if (Number.isFinite(value) && value >= 0 && value <= 1000) return value
    context.addIssue('The weight is a number from 0 to 1,000. 0 is never chosen.')
    return z.NEVER
  })

const day = (name: string) =>
  z
    .string()
    .trim()
    .default('')
    .refine(
      (text) => text === '' || z.iso.date().safeParse(text).success,
      `The ${name} day is a date such as 2026-12-24.`,
    )
    .transform((text) => text || null)

const ticked = z
  .string()
  .optional()
  .transform((value) => value === '1')

/** A slug that a name makes: `bindery-notebooks`. */
export const slugOf = (name: string) =>
  name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80)

/** What a person, or a line of a file, says of an offer. */
export const OfferForm = z
  .object({
    name: z
      .string('Give the offer a name.')
      .trim()
      .min(1, 'Give the offer a name.')
      .max(120, 'Keep the name under 121 characters.'),
    type: words('type', 80),
    slug: z
      .string()
      .trim()
      .toLowerCase()
      .max(80, 'Keep the slug under 81 characters.')
      .refine(
        (text) => text === '' || /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(text),
        'The slug has letters a to z, digits and dashes.',
      )
      .default(''),
    destination_url: webAddress('Say where the link leads.'),
    link_url: z.union([z.string().trim().length(0), webAddress('')]).default(''),
    utm_source: words('utm_source', 200),
    utm_medium: words('utm_medium', 200),
    utm_campaign: words('utm_campaign', 200),
    utm_term: words('utm_term', 200),
    utm_content: words('utm_content', 200),
    base_weight: weight,
    from_on: day('first'),
    until_on: day('last'),
    active: ticked,
  })
  .superRefine((form, context) => {
    if (form.from_on && form.until_on && form.until_on < form.from_on)
      context.addIssue({ code: 'custom', path: ['until_on'], message: 'The last day is before the first.' })
    if (form.slug === '' && slugOf(form.name) === '')
      context.addIssue({
        code: 'custom',
        path: ['slug'],
        message: 'Give it a slug of letters a to z and digits.',
      })
    for (const name of [
      'name',
      'utm_source',
      'utm_medium',
      'utm_campaign',
      'utm_term',
      'utm_content',
    ] as const)
      if (holdsMailbox(form[name]))
        context.addIssue({ code: 'custom', path: [name], message: 'No e-mail address belongs here.' })
  })
  .transform((form) => ({ ...form, slug: form.slug || slugOf(form.name) }))
export type OfferForm = z.infer<typeof OfferForm>

const lengthCategories = ['short', 'medium', 'long'] as const
/** What a text is when nobody says: up to 80 characters short, up to 200 medium. */
const lengthOf = (text: string) => (text.length <= 80 ? 'short' : text.length <= 200 ? 'medium' : 'long')

/** What a person, or a line of a file, says of a text. */
export const VariationForm = z
  .object({
    headline: words('headline', 200),
    text: z
      .string('Write the text.')
      .trim()
      .min(1, 'Write the text.')
      .max(4000, 'Keep the text under 4,001 characters.'),
    cta_text: words('call to action', 120),
    tone: words('tone', 40),
    length_category: z.enum([...lengthCategories, ''], 'The length is short, medium or long.').default(''),
    weight,
  })
  .transform((form) => ({ ...form, length_category: form.length_category || lengthOf(form.text) }))
export type VariationForm = z.infer<typeof VariationForm>

export const GroupForm = z.object({
  name: z
    .string('Give the group a name.')
    .trim()
    .min(1, 'Give the group a name.')
    .max(80, 'Keep the name under 81 characters.'),
  strategy: z.enum(strategies, 'Choose how its texts are chosen.'),
  half_life_days: z
    .string()
    .trim()
    .default('')
    .refine(
      (text) => text === '' || /^[1-9]\d{0,3}$/.test(text),
      'The half-life is a number of days, or empty.',
    )
    .transform((text) => (text === '' ? null : Number(text))),
})
export type GroupForm = z.infer<typeof GroupForm>

export const ranges = ['7', '30', '90', 'all'] as const
export const OverviewView = z.object({
  days: one(z.enum(ranges).catch('30')),
  state: one(z.enum(['running', 'archived', 'all']).catch('running')),
  show: one(z.enum(['some', 'all']).catch('some')),
})
export type OverviewView = z.infer<typeof OverviewView>
export const OfferView = z.object({
  days: one(z.enum(ranges).catch('30')),
  /** Repeated clicks and those of machines are counted in. */
  machines: one(
    z
      .enum(['0', '1'])
      .transform((text) => text === '1')
      .catch(false),
  ),
})
export type OfferView = z.infer<typeof OfferView>
