import * as z from 'zod'
import { originName } from '../audience/origins.js'
import { groups } from './mailing-people.js'
import { spans } from './mailing-series.js'
import type { Basis } from './metrics.js'

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
/** What the address bar may say about one mailing. */
export const MailingView = z.object({
  machines,
  who: one(z.enum(groups).catch('opened')),
  span: one(z.enum(spans).catch('72h')),
  after: id,
  offset: id,
})
export type MailingView = z.infer<typeof MailingView>
const defaults = MailingView.parse({})

/** The query of an address that shows this view of a mailing: `?machines=1`, or nothing at all. */
export function queryOf(view: MailingView, changes: Partial<MailingView> = {}) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries({ ...view, after: 0, offset: 0, ...changes }))
    if (value !== defaults[name as keyof MailingView])
      query.set(name, String(typeof value === 'boolean' ? +value : value))
  return query.size > 0 ? `?${query}` : ''
}

/** Whose number it is, in a word or two beside it: "ours" or "Buttondown’s". */
export const whose = (basis: Basis, provider: string) =>
  basis === 'ours' ? 'ours' : `${originName(provider)}’s`

/** A provider's word for the state of a mailing, as people read it. */
export const statusWord = (status: string) => status.replaceAll('_', ' ') || 'not told'
