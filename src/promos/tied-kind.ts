import { isAmong } from '../database/expressions.js'
import { tiedKind } from '../partners/kinds.js'

/** Offers, as things that can belong to a partner's project. */
export const offerKind = () =>
  tiedKind({
    kind: 'offer',
    title: 'Offers',
    async read(db, ids) {
      const rows = await db
        .selectFrom('promo_offers')
        .select(['id', 'name', 'type', 'active'])
        .$if(ids !== undefined, (rows) => rows.where((eb) => isAmong(eb.ref('id'), ids!)))
        .orderBy('id', 'desc')
        .execute()
      return rows.map(({ id, name, type, active }) => ({
        id,
        name,
        href: `/promos/offers/${id}`,
        note: [type, active === 1 ? '' : 'retired'].filter(Boolean).join(', '),
      }))
    },
  })
