import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { TiedKind } from '../partners/kinds.js'

/** Offers, as things that can belong to a partner's project. */
export function offerKind(): TiedKind {
  const read = (db: Db | Readers) =>
    db.selectFrom('promo_offers').select(['id', 'name', 'type', 'active']).orderBy('id', 'desc')
  const thingOf = ({
    id,
    name,
    type,
    active,
  }: Awaited<ReturnType<ReturnType<typeof read>['executeTakeFirstOrThrow']>>) => ({
    id,
    name,
    href: `/promos/offers/${id}`,
    note: [type, active === 1 ? '' : 'retired'].filter(Boolean).join(', '),
  })
  return {
    kind: 'offer',
    title: 'Offers',
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
