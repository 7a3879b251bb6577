import { originName } from '../audience/origins.js'
import { isAmong } from '../database/expressions.js'
import { tiedKind } from '../partners/kinds.js'
import type { DateFormats } from '../web/formats.js'

/** Mailings, as things that can belong to a partner's project. */
export const mailingKind = ({ dates }: { dates: DateFormats }) =>
  tiedKind({
    kind: 'mailing',
    title: 'Mailings',
    async read(db, ids) {
      const rows = await db
        .selectFrom('mailings')
        .select(['id', 'name', 'provider', 'status', 'sent_at'])
        .$if(ids !== undefined, (rows) => rows.where((eb) => isAmong(eb.ref('id'), ids!)))
        .orderBy((eb) => eb.fn.coalesce('sent_at', 'created_at'), 'desc')
        .orderBy('id', 'desc')
        .execute()
      return rows.map(({ id, name, provider, status, sent_at }) => ({
        id,
        name: name || `Mailing ${id}`,
        href: `/mailings/${id}`,
        note: [originName(provider), sent_at === null ? status : `sent ${dates.date(sent_at)}`]
          .filter((part) => part !== '')
          .join(', '),
      }))
    },
  })

/** Lists, likewise. */
export const listKind = () =>
  tiedKind({
    kind: 'list',
    title: 'Lists',
    async read(db, ids) {
      const rows = await db
        .selectFrom('lists')
        .select(['id', 'name', 'provider', 'gone_at'])
        .$if(ids !== undefined, (rows) => rows.where((eb) => isAmong(eb.ref('id'), ids!)))
        .orderBy('id', 'desc')
        .execute()
      return rows.map(({ id, name, provider, gone_at }) => ({
        id,
        name,
        href: `/lists/${id}`,
        note: gone_at === null ? originName(provider) : `${originName(provider)}, gone there`,
      }))
    },
  })
