import type { Counting } from '../audience/counting.js'
import { engagementNumber } from '../audience/engagement-kinds.js'
import type { Readers } from '../database/readers.js'

export interface MailingLink {
  /** null where nobody told which link it was. */
  url: string | null
  clicks: number
  /** Unique people. */
  people: number
  /** Clicks by machines, counted in or not. */
  machineClicks: number
}

/** A mailing with more links shows its most clicked ones. */
export const mostLinks = 100

/**
 * The links of a mailing that were followed, the most clicked first. It looks at every click of the mailing: remember
 * the answer for a while.
 */
export async function readLinks(
  readers: Readers,
  mailing: number,
  { machines }: Counting,
): Promise<{ links: MailingLink[]; hasMore: boolean }> {
  const rows = await readers
    .selectFrom('engagements')
    .leftJoin('links', 'links.id', 'engagements.link_id')
    .where('mailing_id', '=', mailing)
    .where('kind', '=', engagementNumber('clicked'))
    .select((eb) => {
      const counts = eb('verdict', '<', 2)
      const many = (condition: typeof counts) =>
        eb.fn.sum<number>(eb.case().when(condition).then(1).else(0).end())
      return [
        'links.url',
        many(counts).as('clicks'),
        many(eb('verdict', '>=', 2)).as('machineClicks'),
        eb.fn
          .count<number>(eb.case().when(counts).then(eb.ref('contact_id')).else(null).end())
          .distinct()
          .as('people'),
        eb.fn.count<number>('contact_id').distinct().as('allPeople'),
      ]
    })
    .groupBy('engagements.link_id')
    .execute()
  const links = rows
    .map(({ url, clicks, machineClicks, people, allPeople }) => ({
      url,
      clicks: clicks + (machines ? machineClicks : 0),
      people: machines ? allPeople : people,
      machineClicks,
    }))
    .filter(({ clicks }) => clicks > 0)
    .sort((one, other) => other.clicks - one.clicks || (one.url ?? '').localeCompare(other.url ?? ''))
  return { links: links.slice(0, mostLinks), hasMore: links.length > mostLinks }
}
