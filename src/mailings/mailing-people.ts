import type { ExpressionBuilder } from 'kysely'
import { type Counting, clicksOf, opensOf } from '../audience/counting.js'
import type { Readers } from '../database/readers.js'
import type { ReceptionCounts, Tables } from '../database/schema.js'

/** Groups of a mailing's people, in the order of their tabs. */
export const groups = [
  'opened',
  'clicked',
  'replied',
  'not-opened',
  'not-clicked',
  'bounced',
  'unsubscribed',
  'complained',
  'delivered',
] as const
export type Group = (typeof groups)[number]

/** How many people are in each group, from the counts: as many as {@link listPeople} finds. */
export function groupSizes(counts: ReceptionCounts, { machines }: Counting): Record<Group, number> {
  const delivered = counts.people_sent - counts.people_bounced
  const opened = machines ? counts.all_people_opened : counts.people_opened
  const clicked = machines ? counts.all_people_clicked : counts.people_clicked
  return {
    opened,
    clicked,
    replied: counts.people_replied,
    'not-opened': delivered - opened,
    'not-clicked': delivered - clicked,
    bounced: counts.people_bounced,
    unsubscribed: counts.people_unsubscribed,
    complained: counts.people_complained,
    delivered,
  }
}

export interface MailingPerson {
  id: number
  email: string
  name: string
  isErased: boolean
  opens: number
  clicks: number
  replies: number
  /** The best thing they did, or what became of the mailing. */
  came: 'replied' | 'clicked' | 'opened' | 'delivered' | 'bounced'
  first_opened_at: number | null
  first_clicked_at: number | null
  last_active_at: number | null
}

type Columns = ExpressionBuilder<Tables, 'receptions'>

/**
 * The people of a group, the contacts that are newest to us first. They are found by walking through the mailing's
 * receptions in the order of an index: a page of a rare group looks at all of them, some 100 ms for 100,000.
 * @param options.after the contact that the page before ended with; 0 for the first
 */
export async function listPeople(
  readers: Readers,
  mailing: number,
  group: Group,
  { machines, after = 0, limit = 50 }: Counting & { after?: number; limit?: number },
): Promise<{ rows: MailingPerson[]; next: number | null }> {
  const rows = await readers
    .selectFrom('receptions')
    .innerJoin('contacts', 'contacts.id', 'receptions.contact_id')
    .select(['receptions.contact_id', 'contacts.email', 'contacts.name', 'contacts.erased_at'])
    .select(['receptions.opens', 'receptions.proxy_opens', 'receptions.machine_opens'])
    .select(['receptions.clicks', 'receptions.machine_clicks', 'receptions.replies', 'receptions.bounced'])
    .select(['first_opened_at', 'first_clicked_at'])
    .select(['receptions.last_active_at', 'receptions.machine_last_active_at'])
    .where('mailing_id', '=', mailing)
    .where((eb) => isIn(eb as unknown as Columns, group, { machines }))
    .$if(after > 0, (query) => query.where('contact_id', '<', after))
    .orderBy('contact_id', 'desc')
    .limit(limit + 1)
    .execute()
  const page = rows.slice(0, limit).map((row): MailingPerson => {
    const [opens, clicks] = [opensOf(row, { machines }), clicksOf(row, { machines })]
    return {
      id: row.contact_id,
      email: row.email,
      name: row.name,
      isErased: row.erased_at !== null,
      opens,
      clicks,
      replies: row.replies,
      came:
        row.replies > 0
          ? 'replied'
          : clicks > 0
            ? 'clicked'
            : opens > 0
              ? 'opened'
              : row.bounced === 1
                ? 'bounced'
                : 'delivered',
      first_opened_at: row.first_opened_at,
      first_clicked_at: row.first_clicked_at,
      last_active_at: machines
        ? Math.max(row.last_active_at ?? 0, row.machine_last_active_at ?? 0) || null
        : row.last_active_at,
    }
  })
  return { rows: page, next: rows.length > limit ? page.at(-1)!.id : null }
}

function isIn(eb: Columns, group: Group, { machines }: Counting) {
  const opened = eb.or([
    eb('receptions.opens', '>', 0),
    ...(machines ? [eb('receptions.proxy_opens', '>', 0), eb('receptions.machine_opens', '>', 0)] : []),
  ])
  const clicked = eb.or([
    eb('receptions.clicks', '>', 0),
    ...(machines ? [eb('receptions.machine_clicks', '>', 0)] : []),
  ])
  const delivered = eb.and([
    eb('bounced', '=', 0),
    eb.or([eb('delivered_at', 'is not', null), eb('sent_at', 'is not', null)]),
  ])
  switch (group) {
    case 'opened':
      return opened
    case 'clicked':
      return clicked
    case 'replied':
      return eb('receptions.replies', '>', 0)
    case 'not-opened':
      return eb.and([delivered, eb.not(opened)])
    case 'not-clicked':
      return eb.and([delivered, eb.not(clicked)])
    case 'bounced':
      return eb('bounced', '=', 1)
    case 'unsubscribed':
      return eb('unsubscribed', '=', 1)
    case 'complained':
      return eb('complained', '=', 1)
    case 'delivered':
      return delivered
  }
}
