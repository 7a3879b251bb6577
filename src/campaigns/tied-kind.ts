import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { TiedKind } from '../partners/kinds.js'
import { hostOfOffer } from './overview.js'

/** Campaigns, as things that can belong to a partner's project. */
export function campaignKind(): TiedKind {
  const read = (db: Db | Readers) =>
    db
      .selectFrom('campaigns')
      .select(['id', 'name', 'offer_url', 'archived_at'])
      .where('deleted_at', 'is', null)
      .orderBy('id', 'desc')
  const thingOf = ({
    id,
    name,
    offer_url,
    archived_at,
  }: Awaited<ReturnType<ReturnType<typeof read>['executeTakeFirstOrThrow']>>) => ({
    id,
    name,
    href: `/campaign/${id}`,
    note: archived_at === null ? hostOfOffer(offer_url) : `${hostOfOffer(offer_url)}, archived`,
  })
  return {
    kind: 'campaign',
    title: 'Campaigns',
    async find(db, ids) {
      const rows = await read(db)
        .where((eb) => isAmong(eb.ref('id'), ids))
        .execute()
      return rows.map(thingOf)
    },
    async search(db, text, limit) {
      const wanted = text.toLowerCase()
      const rows = await read(db).execute()
      return rows
        .filter(({ name }) => name.toLowerCase().includes(wanted))
        .slice(0, limit)
        .map(thingOf)
    },
  }
}
