import * as z from 'zod'
import { one } from '../web/forms.js'
import { ranges } from './periods.js'
import { subscriptionStatuses } from './subscriptions.js'

const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
const day = one(
  z
    .string()
    .trim()
    .refine((text) => /^(19|20)\d\d-\d\d-\d\d$/.test(text) && isDay(text))
    .catch(''),
)
/** 30 February is none, though it looks like one. */
const isDay = (text: string) => {
  const at = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(text)
}
const texts = z.preprocess(
  (value) => (Array.isArray(value) ? value : value === undefined ? [] : [value]),
  z
    .array(
      z
        .string()
        .trim()
        .transform((text) => text.slice(0, 200))
        .catch(''),
    )
    .catch([]),
)

/** The most fields of one filter. */
const mostFields = 5

/** What the address bar may say about one list. Nonsense falls back to the default. */
export const ListView = z
  .object({
    /** How far back its growth is drawn. */
    range: one(z.enum(ranges).catch('90')),
    /** Whether machines and mail proxies are counted in. */
    machines: one(z.enum(['0', '1']).catch('0')).transform((value) => value === '1'),
    /** The name of a tag. */
    tag: one(z.string().trim().max(80).catch('')),
    status: one(z.enum([...subscriptionStatuses, '']).catch('')),
    /** The first and the last day on which they came, in the reporting time zone; empty for whenever. */
    from: day,
    until: day,
    /** Fields by their tags, each with the `value` at the same place. */
    field: texts,
    value: texts,
    after: id,
    offset: id,
  })
  .transform(({ field, value, ...view }) => ({
    ...view,
    fields: field
      .map((tag, index) => ({ tag, value: value[index] ?? '' }))
      .filter(({ tag, value }) => tag !== '' && value !== '')
      .slice(0, mostFields),
  }))
export type ListView = z.infer<typeof ListView>

/** What chooses contacts of a list. */
export type ListFilter = Pick<ListView, 'tag' | 'status' | 'from' | 'until' | 'fields'>

export const isFiltered = ({ tag, status, from, until, fields }: ListFilter) =>
  [tag, status, from, until].some((part) => part !== '') || fields.length > 0

/** The address of a list, or of something below it, with this view; a changed view begins with its first page again. */
export function listAddress(list: number, view: ListView, changes: Partial<ListView> = {}, below = '') {
  const { range, machines, tag, status, from, until, fields, after, offset } = {
    ...view,
    after: 0,
    offset: 0,
    ...changes,
  }
  const query = new URLSearchParams()
  if (range !== '90') query.set('range', range)
  if (machines) query.set('machines', '1')
  if (tag) query.set('tag', tag)
  if (status) query.set('status', status)
  if (from) query.set('from', from)
  if (until) query.set('until', until)
  for (const field of fields) {
    query.append('field', field.tag)
    query.append('value', field.value)
  }
  if (after) query.set('after', String(after))
  if (offset) query.set('offset', String(offset))
  return `/lists/${list}${below}${query.size > 0 ? `?${query}` : ''}`
}
