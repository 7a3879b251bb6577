import express, { Router } from 'express'
import * as z from 'zod'
import { isAmong } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import { filterOf } from './contact-filter.js'
import { conditionsOf, contactIds } from './contact-list.js'

const text = z.string().catch('')
/** What the boxes of a page of contacts say. */
export const Chosen = z.object({
  id: z
    .preprocess(
      (value) => (Array.isArray(value) ? value : [value]),
      z.array(z.coerce.number().int().catch(0)),
    )
    .transform((ids) => ids.filter((id) => id > 0)),
  /** All that the filter lets through, chosen or not. */
  all: text.transform((value) => value === '1'),
  filter: text.transform(filterOf),
})
export type Chosen = z.infer<typeof Chosen>

/** A page of contacts has a box on each row: more fields than other forms. Mount it before other body parsers. */
export const longSelections = () => {
  const routes = Router()
  const body = express.urlencoded({ extended: false, limit: '1mb', parameterLimit: 20_000 })
  routes.post(['/audience/tagging', '/audience/export.csv'], body)
  return routes
}

/** Who has been chosen on a page of contacts: those that were ticked, or all of its filter, in pages of ids. */
export async function* chosenIds(
  { readers, now }: { readers: Readers; now: () => number },
  body: unknown,
  { pageLength }: { pageLength?: number } = {},
) {
  const chosen = Chosen.parse(body ?? {})
  if (!chosen.all) {
    for (let from = 0; from < chosen.id.length; from += 1_000) {
      // Some may have been erased, or merged into others, while the page was open.
      const rows = await readers
        .selectFrom('contacts')
        .select('id')
        .where(({ ref }) => isAmong(ref('id'), chosen.id.slice(from, from + 1_000)))
        .where('erased_at', 'is', null)
        .execute()
      if (rows.length > 0) yield rows.map(({ id }) => id)
    }
    return
  }
  const conditions = await conditionsOf({ readers, now: now() }, { ...chosen.filter, after: 0 })
  yield* contactIds(readers, conditions, { pageLength })
}
