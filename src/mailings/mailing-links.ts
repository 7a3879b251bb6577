import type { Counting } from '../audience/counting.js'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
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
const mostLinks = 100

/**
 * The links of a mailing that were followed, the most clicked first; `clicks` is over all of them, those beyond the first
 * `most` included. Who followed a link again since an earlier click of theirs on it was removed counts twice among its
 * people: `countsTwice` says that there may be such. It looks at every click of the mailing: remember the answer for a
 * while.
 * @param options.among ids of some contacts, at most some thousand: only they count, and what is removed is nobody's any more
 */
export async function readLinks(
  readers: Readers,
  mailing: number,
  { machines, most = mostLinks, among = null }: Counting & { most?: number; among?: number[] | null },
): Promise<{ links: MailingLink[]; clicks: number; hasMore: boolean; countsTwice: boolean }> {
  const removed = among === null ? await removedClicks(readers, mailing) : []
  const rows = await readers
    .selectFrom('engagements')
    .leftJoin('links', 'links.id', 'engagements.link_id')
    .where('mailing_id', '=', mailing)
    .where('kind', '=', engagementNumber('clicked'))
    .$if(among !== null, (query) => query.where((eb) => isAmong(eb.ref('contact_id'), among!)))
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
  const removedBy = new Map(removed.map((row) => [row.url, row]))
  const live = new Set(rows.map(({ url }) => url))
  const alone = removed.filter(({ url }) => !live.has(url))
  const countsTwice = alone.length < removed.length
  const links = [...rows.map((row) => together(row, removedBy.get(row.url))), ...alone]
    .map(({ url, clicks, machineClicks, people, allPeople }) => ({
      url,
      clicks: clicks + (machines ? machineClicks : 0),
      people: machines ? allPeople : people,
      machineClicks,
    }))
    .filter(({ clicks }) => clicks > 0)
    .sort((one, other) => other.clicks - one.clicks || (one.url ?? '').localeCompare(other.url ?? ''))
  return {
    links: links.slice(0, most),
    clicks: links.reduce((sum, { clicks }) => sum + clicks, 0),
    hasMore: links.length > most,
    countsTwice,
  }
}

const removedClicks = (readers: Readers, mailing: number): Promise<LinkSums[]> =>
  readers
    .selectFrom('sealed_mailing_links')
    .leftJoin('links', 'links.id', 'link_id')
    .select(['links.url', 'clicks', 'machine_clicks as machineClicks', 'people', 'all_people as allPeople'])
    .where('mailing_id', '=', mailing)
    .execute()

interface LinkSums {
  url: string | null
  clicks: number
  machineClicks: number
  people: number
  allPeople: number
}
const together = (one: LinkSums, other: LinkSums | undefined): LinkSums => ({
  url: one.url,
  clicks: one.clicks + (other?.clicks ?? 0),
  machineClicks: one.machineClicks + (other?.machineClicks ?? 0),
  people: one.people + (other?.people ?? 0),
  allPeople: one.allPeople + (other?.allPeople ?? 0),
})

/** Where {@link readLinks} says `countsTwice`. */
export const countsTwiceInWords =
  'Older clicks are removed, and stay in the counts: whoever followed a link before and after that counts twice among its people.'

export interface ProviderLink {
  url: string
  clicks: number
  /** Unique people. */
  people: number
}

/**
 * What the provider itself reports of each link, the most clicked first; machines are among its clicks. `clicks` and
 * `checkedAt` are over all links, those not shown included. null where it reports none.
 */
export async function readProviderLinks(
  db: Db,
  mailing: number,
  { most = mostLinks } = {},
): Promise<{ links: ProviderLink[]; clicks: number; hasMore: boolean; checkedAt: number } | null> {
  const [links, { clicks, checked_at }] = await Promise.all([
    db
      .selectFrom('mailing_link_reports')
      .select(['url', 'clicks', 'unique_clicks as people'])
      .where('mailing_id', '=', mailing)
      .orderBy('clicks', 'desc')
      .orderBy('url')
      .limit(most + 1)
      .execute(),
    db
      .selectFrom('mailing_link_reports')
      .select(({ fn }) => [
        fn.sum<number | null>('clicks').as('clicks'),
        fn.max<number | null>('checked_at').as('checked_at'),
      ])
      .where('mailing_id', '=', mailing)
      .executeTakeFirstOrThrow(),
  ])
  if (checked_at === null) return null
  return {
    links: links.slice(0, most),
    clicks: clicks ?? 0,
    hasMore: links.length > most,
    checkedAt: checked_at,
  }
}
