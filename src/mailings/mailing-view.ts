import * as z from 'zod'
import { one } from '../web/forms.js'
import { groups } from './mailing-people.js'
import { spans } from './mailing-series.js'

const id = one(z.coerce.number().int().min(0).max(1e15).catch(0))
const yes = one(
  z
    .enum(['0', '1'])
    .transform((value) => value === '1')
    .catch(false),
)

/** What the address bar may say about one mailing. Nonsense falls back to the default. */
export const MailingView = z.object({
  machines: yes,
  who: one(z.enum(groups).catch('opened')),
  span: one(z.enum(spans).catch('72h')),
  /** Whose share is held against the usual one. */
  draw: one(z.enum(['opens', 'clicks']).catch('opens')),
  /** The message is shown with pictures from elsewhere. */
  images: yes,
  after: id,
  offset: id,
})
export type MailingView = z.infer<typeof MailingView>
const defaults = MailingView.parse({})

/** The query of an address that shows this view of a mailing: `?machines=1`, or nothing at all. */
export function queryOf(view: MailingView, changes: Partial<MailingView> = {}) {
  const query = new URLSearchParams()
  // Pictures are asked for by a press of a button, each time anew.
  for (const [name, value] of Object.entries({ ...view, images: false, after: 0, offset: 0, ...changes }))
    if (value !== defaults[name as keyof MailingView])
      query.set(name, String(typeof value === 'boolean' ? +value : value))
  return query.size > 0 ? `?${query}` : ''
}
