import { type Counting, sumOfCounts } from '../audience/counting.js'
import type { ListMailings } from '../audience/list-pages.js'
import { originName } from '../audience/origins.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { usualMailings, usualRates } from './mailing-usual.js'
import { mailingOf, readMailings } from './queries.js'

/**
 * The mailings that went to a list, by its page: the last {@link usualMailings} with their rates, machines and mail proxies
 * left out, unless they are asked for, where we can tell them apart.
 */
export async function mailingsOfList(
  db: Db | Readers,
  list: number,
  { machines }: Counting,
): Promise<ListMailings> {
  const [{ count }, rows] = await Promise.all([
    db
      .selectFrom('mailing_lists')
      .innerJoin('mailings', 'mailings.id', 'mailing_lists.mailing_id')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('mailing_lists.list_id', '=', list)
      .where('mailings.sent_at', 'is not', null)
      .executeTakeFirstOrThrow(),
    readMailings(db)
      .where('mailings.id', 'in', (eb) =>
        eb.selectFrom('mailing_lists').select('mailing_id').where('mailing_lists.list_id', '=', list),
      )
      .where('mailings.sent_at', 'is not', null)
      .orderBy('mailings.sent_at', 'desc')
      .orderBy('mailings.id', 'desc')
      .limit(usualMailings)
      .execute(),
  ])
  const last = rows.map((row) => mailingOf(row, { machines }))
  const { open, click } = usualRates(last)
  return {
    count,
    averageOpen: open,
    averageClick: click,
    counts: sumOfCounts(last.filter(({ basis }) => basis === 'ours').map(({ counts }) => counts)),
    isMixed: new Set(last.map(({ basis }) => basis)).size > 1,
    last: last.map((mailing) => ({
      id: mailing.id,
      name: mailing.name,
      sentAt: mailing.sent_at,
      delivered: mailing.people.delivered,
      open: mailing.rates.open,
      click: mailing.rates.click,
      whose: mailing.basis === 'ours' ? 'ours' : originName(mailing.provider),
    })),
  }
}
