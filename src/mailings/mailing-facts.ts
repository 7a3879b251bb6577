import type { Db } from '../database/open.js'

/** What is known of a mailing beside its numbers. */
export interface MailingFacts {
  subject: string
  from_name: string
  from_address: string
  /** All lists it went to, by name. */
  lists: { id: number; name: string }[]
  made_at: number | null
  /** When the provider was last asked about it; null when it never was. */
  synced_at: number | null
  /** Who asked for that; empty when nobody told. */
  synced_by: string
  /** Is the message itself kept? */
  has_message: boolean
  campaign_id: number | null
}

/** @param id of a mailing that exists */
export async function readFacts(db: Db, id: number): Promise<MailingFacts> {
  const [row, lists] = await Promise.all([
    db
      .selectFrom('mailings')
      .leftJoin('mailing_reports', 'mailing_reports.mailing_id', 'mailings.id')
      .leftJoin('mailing_contents', 'mailing_contents.mailing_id', 'mailings.id')
      .select(['subject', 'from_name', 'from_address', 'made_at', 'seen_at', 'synced_by', 'campaign_id'])
      .select(['mailing_reports.checked_at', 'mailing_contents.mailing_id as content'])
      .where('mailings.id', '=', id)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('lists')
      .select(['lists.id', 'lists.name'])
      .where('lists.id', 'in', (eb) =>
        eb.selectFrom('mailing_lists').select('list_id').where('mailing_id', '=', id),
      )
      .orderBy('lists.name')
      .execute(),
  ])
  const { seen_at, checked_at, content, ...told } = row
  return {
    ...told,
    lists,
    synced_at: Math.max(seen_at, checked_at ?? 0) || null,
    has_message: content !== null,
  }
}
