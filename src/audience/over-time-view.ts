import * as z from 'zod'
import type { Db } from '../database/open.js'
import { one } from '../web/forms.js'
import type { Whose } from './engagement-over-time.js'
import { ranges, type Unit, units, unitsOf } from './periods.js'

/** What the address bar may say about engagement over time. Nonsense falls back to the default. */
export const OverTimeView = z.object({
  range: one(z.enum(ranges).catch('90')),
  /** Unsaid, or not to be had in this range: the first of its `unitsOf`. */
  by: one(z.enum([...units, '']).catch('')),
  /** The name of a tag. */
  tag: one(z.string().trim().max(80).catch('')),
  /** The id of a list. */
  list: one(z.coerce.number().int().min(0).max(1e15).catch(0)),
  /** What the heatmap is about; unsaid clicks, or opens where nobody clicked. */
  heat: one(z.enum(['opens', 'clicks', '']).catch('')),
  machines: one(
    z
      .enum(['0', '1'])
      .transform((value) => value === '1')
      .catch(false),
  ),
})
export type OverTimeView = z.infer<typeof OverTimeView>

const defaults: OverTimeView = OverTimeView.parse({})

/** The address of the page with this view; what is as usual is left out. */
export function overTimeAddress(view: OverTimeView, changes: Partial<OverTimeView> = {}) {
  const query = new URLSearchParams(fieldsOf({ ...view, ...changes }))
  return query.size > 0 ? `/audience/over-time?${query}` : '/audience/over-time'
}
export const fieldsOf = (view: OverTimeView): [string, string][] =>
  Object.entries(view)
    .filter(([name, value]) => value !== defaults[name as keyof OverTimeView])
    .map(([name, value]) => [name, String(typeof value === 'boolean' ? +value : value)])

/** The unit that is asked for, if the range can be read in it; else the usual one. */
export function unitOf({ range, by }: Pick<OverTimeView, 'range' | 'by'>): Unit {
  const possible: readonly Unit[] = unitsOf[range]
  return possible.find((unit) => unit === by) ?? possible[0]!
}

/** Looks up the tag and the list that a view names. What does not exist is no filter. */
export async function whoseOf(db: Db, { tag, list }: Pick<OverTimeView, 'tag' | 'list'>) {
  const [foundTag, foundList] = await Promise.all([
    tag === ''
      ? undefined
      : db.selectFrom('tags').select(['id', 'name']).where('name', '=', tag).executeTakeFirst(),
    list === 0
      ? undefined
      : db.selectFrom('lists').select(['id', 'name']).where('id', '=', list).executeTakeFirst(),
  ])
  const whose: Whose = { tag: foundTag?.id ?? 0, list: foundList?.id ?? 0 }
  return { whose, tagName: foundTag?.name ?? '', listName: foundList?.name ?? '' }
}
