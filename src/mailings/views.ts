import * as z from 'zod'
import { type MailingSort, mailingSorts } from './queries.js'

/** The last one wins where an address says something twice. */
const one = <T extends z.ZodType>(type: T) =>
  z.preprocess((value) => (Array.isArray(value) ? value.at(-1) : value), type)
const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
const machines = one(
  z
    .enum(['0', '1'])
    .transform((value) => value === '1')
    .catch(false),
)
const sortNames = Object.keys(mailingSorts) as MailingSort[]

/** What the address bar may say about the list of mailings. Nonsense falls back to the default. */
export const ListView = z
  .object({
    q: one(z.string().trim().max(200).catch('')),
    list: id,
    sort: one(z.string().catch('')),
    order: one(z.enum(['asc', 'desc', '']).catch('')),
    machines,
    /** The mailing that the page before ended with, and how many stand above. */
    after: id,
    offset: id,
  })
  .transform(({ sort, order, ...view }) => {
    // One word says both, so that one <select> can: "clicks", or "clicks-asc" for the unusual way round.
    const [name, way] = sort.split('-')
    const by = sortNames.find((known) => known === name) ?? 'sent'
    const asked = way === 'asc' || way === 'desc' ? way : order || mailingSorts[by]
    return { ...view, sort: by, order: asked as 'asc' | 'desc' }
  })
export type ListView = z.infer<typeof ListView>

export const sortWord = (sort: MailingSort, order: 'asc' | 'desc') =>
  order === mailingSorts[sort] ? sort : `${sort}-${order}`

/** The address of the list with this view; a changed view begins with its first page again. */
export function listAddress(view: ListView, changes: Partial<ListView> = {}) {
  const { q, list, sort, order, machines, after, offset } = { ...view, after: 0, offset: 0, ...changes }
  const query = new URLSearchParams()
  if (q) query.set('q', q)
  if (list) query.set('list', String(list))
  const word = sortWord(sort, order)
  if (word !== 'sent') query.set('sort', word)
  if (machines) query.set('machines', '1')
  if (after) query.set('after', String(after))
  if (offset) query.set('offset', String(offset))
  return query.size > 0 ? `/mailings?${query}` : '/mailings'
}
