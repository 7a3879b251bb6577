import { originName } from '../audience/origins.js'
import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { TiedKind } from '../partners/kinds.js'
import type { DateFormats } from '../web/formats.js'

/** Mailings, as things that can belong to a partner's project. */
export function mailingKind({ dates }: { dates: DateFormats }): TiedKind {
  const read = (db: Db | Readers) =>
    db
      .selectFrom('mailings')
      .select(['id', 'name', 'provider', 'status', 'sent_at'])
      .orderBy((eb) => eb.fn.coalesce('sent_at', 'created_at'), 'desc')
      .orderBy('id', 'desc')
  type MailingRow = Awaited<ReturnType<ReturnType<typeof read>['executeTakeFirstOrThrow']>>
  const nameOf = ({ id, name }: MailingRow) => name || `Mailing ${id}`
  const thingOf = (row: MailingRow) => ({
    id: row.id,
    name: nameOf(row),
    href: `/mailings/${row.id}`,
    note: [originName(row.provider), row.sent_at === null ? row.status : `sent ${dates.date(row.sent_at)}`]
      .filter((part) => part !== '')
      .join(', '),
  })
  return {
    kind: 'mailing',
    title: 'Mailings',
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
        .filter((row) => nameOf(row).toLowerCase().includes(wanted))
        .slice(0, limit)
        .map(thingOf)
    },
  }
}

/** Lists, likewise. */
export function listKind(): TiedKind {
  const read = (db: Db | Readers) =>
    db.selectFrom('lists').select(['id', 'name', 'provider', 'gone_at']).orderBy('id', 'desc')
  const thingOf = ({
    id,
    name,
    provider,
    gone_at,
  }: Awaited<ReturnType<ReturnType<typeof read>['executeTakeFirstOrThrow']>>) => ({
    id,
    name,
    href: `/lists/${id}`,
    note: gone_at === null ? originName(provider) : `${originName(provider)}, gone there`,
  })
  return {
    kind: 'list',
    title: 'Lists',
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
