import * as z from 'zod'
import { isDay } from '../mailings/mailing-filter.js'
import { type FormErrors, formErrors, one } from '../web/forms.js'
import { isReportZone, papers, periodKinds, type ReportDefinition } from './definition.js'
import { locales } from './locales.js'
import {
  inOrder,
  moved,
  type SectionChoice,
  type SectionName,
  sectionNames,
  sectionsOf,
  type TemplateName,
  templateNames,
} from './templates.js'

const several = (value: unknown) => (Array.isArray(value) ? value : value === undefined ? [] : [value])
const text = (most: number, tooLong: string) => one(z.string().trim().max(most, tooLong).default(''))
const ids = z.preprocess(
  several,
  z
    .array(z.coerce.number().int().catch(0))
    .transform((all) => [...new Set(all.filter((id) => id > 0))].slice(0, 500)),
)
const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
const day = one(
  z
    .string()
    .trim()
    .default('')
    .refine((value) => value === '' || isDay(value), 'Write the day as 2026-11-20.'),
)

const Days = z
  .int('Say how many whole days.')
  .min(1, 'At least one day.')
  .max(3650, 'Ten years of days at most.')
const usualDays = 30

/** What the form of a report may send. */
const Fields = z
  .object({
    template: one(z.enum(templateNames).catch('custom')),
    title: one(
      z
        .string('Give the report a title.')
        .trim()
        .min(1, 'Give the report a title.')
        .max(160, 'Keep the title under 160 letters.'),
    ),
    subtitle: text(200, 'Keep the line below the title under 200 letters.'),
    prepared_by: text(120, 'Keep the name under 120 letters.'),
    partner: id,
    project: id,
    mailing: ids,
    campaign: ids,
    list: ids,
    offer: ids,
    tag: text(80, 'A tag has 80 letters at most.'),
    segment: id,
    field_list: id,
    field: text(80, 'A field has 80 letters at most.'),
    value: text(200, 'Keep the value under 200 letters.'),
    period: one(z.enum(periodKinds).catch('all')),
    /** Looked at where the period is so many days. */
    days: one(z.coerce.number().catch(Number.NaN)),
    from: day,
    to: day,
    /** Sections in their order, and those that are on. */
    order: z.preprocess(several, z.array(z.string())),
    on: z.preprocess(several, z.array(z.string())),
    verdict: text(600, 'Keep the verdict under 600 letters: it stands on page 1.'),
    commentary: text(4000, 'Keep the commentary under 4,000 letters.'),
    next_steps: text(2000, 'Keep the next steps under 2,000 letters.'),
    locale: one(z.enum(Object.keys(locales)).catch('en-US')),
    time_zone: one(
      z.string().trim().default('').refine(isReportZone, 'Choose a time zone, such as Europe/Berlin.'),
    ),
    paper: one(z.enum(papers).catch('A4')),
    with_others: one(z.enum(['0', '1']).catch('0')),
  })
  .superRefine(({ period, days, from, to, field, field_list, value }, context) => {
    const wrong = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message })
    // Half of a narrowing would be none, and the report about everybody.
    if (field === '' && field_list > 0)
      wrong('field', 'Say which field of the list it is, or choose no field.')
    if (field_list === 0 && (field !== '' || value !== ''))
      wrong('field_list', 'Choose the list that has the field.')
    const counted = Days.safeParse(days)
    if (period === 'days' && !counted.success) wrong('days', counted.error.issues[0]!.message)
    if (period === 'dates' && from === '' && to === '') wrong('from', 'Say from which day to which.')
    if (period === 'dates' && from !== '' && to !== '' && from > to)
      wrong('to', 'The last day comes before the first. Swap them.')
  })

const isSection = (name: string): name is SectionName => (sectionNames as readonly string[]).includes(name)

/** What a form says to do beside saving: a section moved, a template changed, a text drafted. */
export interface Deed {
  move: { name: SectionName; by: -1 | 1 } | null
  /** Sections as the template has them. */
  reset: boolean
  draft: 'verdict' | 'commentary' | null
}

/** What the button asks for with which the form was sent. @param body the form, as it came */
export function deedOf(body: unknown): Deed {
  const said = ((body ?? {}) as { do?: unknown }).do
  const word = typeof said === 'string' ? said : ''
  const [, way, name = ''] = /^(up|down):(.+)$/.exec(word) ?? []
  return {
    move: way && isSection(name) ? { name, by: way === 'up' ? -1 : 1 } : null,
    reset: word === 'reset',
    draft: word === 'draft:verdict' ? 'verdict' : word === 'draft:commentary' ? 'commentary' : null,
  }
}

/**
 * Reads a form. What is wrong is told, and the definition is as near as can be to what was typed, so that the form can be
 * shown again and a preview can be made.
 */
export function readForm(body: unknown): { definition: ReportDefinition; errors: FormErrors | null } {
  const sent = (body ?? {}) as Record<string, unknown>
  const read = Fields.safeParse(sent)
  const fields = read.success ? read.data : { ...leniently(sent) }
  const template = fields.template as TemplateName
  const said = fields.order.filter(isSection)
  const on = new Set(fields.on)
  const chosen: SectionChoice[] = said.map((name) => ({ name, on: on.has(name) }))
  const deed = deedOf(sent)
  let sections = said.length === 0 || deed.reset ? sectionsOf(template) : inOrder(chosen)
  if (deed.move) sections = moved(sections, deed.move.name, deed.move.by)
  return {
    errors: read.success ? null : formErrors(read.error),
    definition: {
      template,
      title: fields.title,
      subtitle: fields.subtitle,
      preparedBy: fields.prepared_by,
      partner: fields.partner || null,
      subjects: {
        project: fields.project || null,
        mailings: fields.mailing,
        campaigns: fields.campaign,
        lists: fields.list,
        offers: fields.offer,
      },
      narrowing: {
        tag: fields.tag,
        segment: fields.segment,
        list: fields.field_list,
        field: fields.field,
        value: fields.value,
      },
      period: {
        kind: fields.period,
        days: Days.safeParse(fields.days).data ?? usualDays,
        from: fields.from,
        to: fields.to,
      },
      sections,
      verdict: fields.verdict,
      commentary: fields.commentary,
      nextSteps: fields.next_steps,
      locale: fields.locale,
      timeZone: fields.time_zone,
      paper: fields.paper,
      withOthers: fields.with_others === '1',
    },
  }
}

/** Field by field what can be read; text stays as it was typed, however long. */
function leniently(sent: Record<string, unknown>) {
  const raw = (name: string) => {
    const value = several(sent[name]).at(-1)
    return typeof value === 'string' ? value.trim().slice(0, 10_000) : ''
  }
  const read = Object.fromEntries(
    Object.entries(Fields.shape).map(([name, type]) => {
      const parsed = (type as z.ZodType).safeParse(sent[name])
      return [name, parsed.success ? parsed.data : raw(name)]
    }),
  )
  return read as unknown as z.infer<typeof Fields>
}
