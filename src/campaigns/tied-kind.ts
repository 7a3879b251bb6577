import { isAmong } from '../database/expressions.js'
import { tiedKind } from '../partners/kinds.js'
import { hostOfOffer } from './overview.js'

/** Campaigns, as things that can belong to a partner's project. */
export const campaignKind = () =>
  tiedKind({
    kind: 'campaign',
    title: 'Campaigns',
    async read(db, ids) {
      const rows = await db
        .selectFrom('campaigns')
        .select(['id', 'name', 'offer_url', 'archived_at'])
        .where('deleted_at', 'is', null)
        .$if(ids !== undefined, (rows) => rows.where((eb) => isAmong(eb.ref('id'), ids!)))
        .orderBy('id', 'desc')
        .execute()
      return rows.map(({ id, name, offer_url, archived_at }) => ({
        id,
        name,
        href: `/campaign/${id}`,
        note: archived_at === null ? hostOfOffer(offer_url) : `${hostOfOffer(offer_url)}, archived`,
      }))
    },
  })
