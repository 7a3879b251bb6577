import type { Db } from '../database/open.js'

/** When anybody last did something with a mailing, a machine or not; null before the first. */
export async function lastEngagementAt(db: Db): Promise<number | null> {
  const { last } = await db
    .selectFrom('mailing_counts')
    .select(({ fn }) => fn.max('last_at').as('last'))
    .executeTakeFirstOrThrow()
  return last
}
