import type { Db } from '../database/open.js'
import { dayLength } from '../web/calendar.js'

/** Choices are explained for a year, in milliseconds. */
const kept = 365 * dayLength

/** Removes choices of more than a year ago, and what only they were made by. */
export async function removeOldChoices(db: Db, now: number) {
  await db
    .deleteFrom('promo_choices')
    .where('chosen_at', '<', now - kept)
    .execute()
  const used = db
    .selectFrom('promo_choices')
    .select('offers_weighting_id as id')
    .union(db.selectFrom('promo_choices').select('texts_weighting_id as id'))
  await db.deleteFrom('promo_weightings').where('id', 'not in', used).execute()
}
