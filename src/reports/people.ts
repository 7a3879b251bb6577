import { type ContactFilter, filterOf } from '../audience/contact-filter.js'
import { conditionsOf, contactIds } from '../audience/contact-list.js'
import { engagementColumns, noEngagements } from '../audience/receptions.js'
import { isAmong, jsonHolds } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import type { EngagementCounts, ReceptionCounts } from '../database/schema.js'
import { type Mailing, mailingFrom } from '../mailings/queries.js'
import type { Narrowing } from './definition.js'

interface Needs {
  readers: Readers
  now: number
}

/** Ids of some contacts, in pages of this many. */
const pageLength = 5_000

/** The contacts whom a report is narrowed to, page by page. */
export async function* narrowedIds(
  { readers, now }: Needs,
  { tag, segment, list, field, value }: Narrowing,
): AsyncGenerator<number[]> {
  const saved = segment
    ? await readers.selectFrom('segments').select('query').where('id', '=', segment).executeTakeFirst()
    : undefined
  // A segment that is gone lets nobody through: else the report would be of everybody, and say otherwise.
  if (segment && !saved) return
  const filter = filterOf(saved?.query ?? '')
  // A filter of any of several tags has no place for one more, which all must have: those who have it are told apart.
  const isOfAny = filter.tags === 'any' && filter.tag.length > 1
  const idsOf = async (wanted: ContactFilter) =>
    contactIds(readers, await conditionsOf({ readers, now }, wanted), { pageLength })
  const tagged = tag !== '' && isOfAny ? await allOf(await idsOf(withTag(filterOf(''), tag))) : null
  const wanted = tag === '' || isOfAny ? filter : withTag(filter, tag)
  for await (const page of await idsOf({ ...wanted, after: 0 })) {
    const ids = tagged ? page.filter((id) => tagged.has(id)) : page
    if (field === '') {
      yield ids
      continue
    }
    const rows = await readers
      .selectFrom('subscriptions')
      .select('contact_id')
      .where((eb) => isAmong(eb.ref('contact_id'), ids))
      .where('list_id', '=', list)
      .where((eb) => jsonHolds(eb.ref('fields'), field, value))
      .execute()
    if (rows.length > 0) yield rows.map(({ contact_id }) => contact_id)
  }
}

async function allOf(pages: AsyncIterable<number[]>) {
  const all = new Set<number>()
  for await (const page of pages) for (const id of page) all.add(id)
  return all
}

/** A tag more that contacts must have, beside those of which they must have all. */
function withTag(filter: ContactFilter, tag: string): ContactFilter {
  const known = filter.tag.some((name) => name.toLowerCase() === tag.toLowerCase())
  return known ? filter : { ...filter, tag: [...filter.tag, tag], tags: 'all' }
}

const noReceptions: ReceptionCounts = {
  people_sent: 0,
  people_delivered: 0,
  people_opened: 0,
  people_clicked: 0,
  all_people_opened: 0,
  all_people_clicked: 0,
  unjudged_people_opened: 0,
  unjudged_people_clicked: 0,
  people_replied: 0,
  people_bounced: 0,
  people_complained: 0,
  people_unsubscribed: 0,
}

/**
 * The same mailings in the numbers of some contacts alone, counted in their receptions as `peopleOf`
 * (src/audience/receptions.ts) counts one. What a provider reports is of everybody, so these are always our own numbers.
 */
export async function narrowMailings(
  readers: Readers,
  mailings: readonly Mailing[],
  pages: readonly number[][],
): Promise<Mailing[]> {
  return Promise.all(
    mailings.map(async (mailing) => {
      const counts: EngagementCounts = { ...noEngagements }
      const receptions = { ...noReceptions }
      for (const ids of pages) {
        const row = await readers
          .selectFrom('receptions')
          .where('mailing_id', '=', mailing.id)
          .where((eb) => isAmong(eb.ref('contact_id'), ids))
          .select((eb) => {
            const isAbove = (
              ...names: ('opens' | 'proxy_opens' | 'machine_opens' | 'clicks' | 'machine_clicks')[]
            ) => eb.or(names.map((name) => eb(name, '>', 0)))
            const many = (condition: ReturnType<typeof isAbove>) =>
              eb.fn.coalesce(eb.fn.sum<number>(eb.case().when(condition).then(1).else(0).end()), eb.lit(0))
            return [
              ...engagementColumns.map((name) => eb.fn.coalesce(eb.fn.sum<number>(name), eb.lit(0)).as(name)),
              many(
                eb.or([
                  eb('sent_at', 'is not', null),
                  eb('delivered_at', 'is not', null),
                  eb('bounced', '=', 1),
                ]),
              ).as('people_sent'),
              many(eb('delivered_at', 'is not', null)).as('people_delivered'),
              many(isAbove('opens')).as('people_opened'),
              many(isAbove('clicks')).as('people_clicked'),
              many(isAbove('opens', 'proxy_opens', 'machine_opens')).as('all_people_opened'),
              many(isAbove('clicks', 'machine_clicks')).as('all_people_clicked'),
              many(eb.and([eb('opens', '>', 0), eb('opens', '=', eb.ref('unjudged_opens'))])).as(
                'unjudged_people_opened',
              ),
              many(eb.and([eb('clicks', '>', 0), eb('clicks', '=', eb.ref('unjudged_clicks'))])).as(
                'unjudged_people_clicked',
              ),
              many(eb('replies', '>', 0)).as('people_replied'),
              many(eb('bounced', '=', 1)).as('people_bounced'),
              many(eb('complained', '=', 1)).as('people_complained'),
              many(eb('unsubscribed', '=', 1)).as('people_unsubscribed'),
            ]
          })
          .executeTakeFirstOrThrow()
        for (const name of engagementColumns) counts[name] += row[name]
        for (const name of Object.keys(receptions) as (keyof ReceptionCounts)[]) receptions[name] += row[name]
      }
      const { list, last_at } = mailing
      const name = mailing.name
      return mailingFrom(
        { ...mailing, name },
        { list, counts, receptions, report: null, last_at, hasCounts: receptions.people_sent > 0 },
        { machines: false },
      )
    }),
  )
}
