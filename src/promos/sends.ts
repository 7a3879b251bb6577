import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import { dayLength } from '../web/calendar.js'

/**
 * Finds the mailing that an issue is, where its generator calls the issue as the provider calls the mailing.
 * @param canonicalId the one spelling of an id that a provider spells in several ways; null for what is no such id
 */
export function mailingOfSend(db: Db, canonicalId: (text: string) => string | null) {
  const find = compiled<{ key: string; id: string }, { id: number }>((value) =>
    db
      .selectFrom('mailings')
      .select('id')
      .where('provider_id', 'in', [value('key'), value('id')])
      .orderBy('id')
      .limit(1),
  )
  return async (tx: Db, key: string): Promise<number | null> => {
    const { rows } = await find(tx, { key, id: canonicalId(key) ?? key })
    return rows[0]?.id ?? null
  }
}

/** Issues older than this are no longer looked for. */
const patience = 30 * dayLength

/** Ties issues to mailings that came to be known after them, for a job. @returns how many were tied */
export async function tieSends(
  db: Db,
  { canonicalId, now }: { canonicalId: (text: string) => string | null; now: number },
): Promise<number> {
  const untied = await db
    .selectFrom('promo_sends')
    .select(['id', 'key'])
    .where('mailing_id', 'is', null)
    .where('tied_by', 'is', null)
    .where('first_at', '>=', now - patience)
    .limit(500)
    .execute()
  const mailingOf = mailingOfSend(db, canonicalId)
  let tied = 0
  for (const { id, key } of untied) {
    const mailing_id = await mailingOf(db, key)
    if (mailing_id === null) continue
    await db
      .updateTable('promo_sends')
      .set({ mailing_id, tied_by: 'provider' })
      .where('id', '=', id)
      .where('mailing_id', 'is', null)
      .execute()
    tied++
  }
  return tied
}

/**
 * What somebody says of an issue by hand: which mailing it is, or how many got it where no provider tells. Both null: that
 * nobody knows.
 */
export async function tieByHand(
  db: Db,
  send: number,
  { mailing, delivered }: { mailing: number | null; delivered: number | null },
) {
  await db
    .updateTable('promo_sends')
    .set({ mailing_id: mailing, delivered, tied_by: 'hand' })
    .where('id', '=', send)
    .execute()
}
