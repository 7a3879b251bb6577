import type { ContactRoom } from '../audience/rooms.js'
import { bytesHold } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'

/**
 * What providers delivered about a contact, as it came.
 * @param spellings further ways in which a delivery may name what a provider calls somebody, in lower case
 */
export function deliveriesRoom(spellings: (providerId: string) => string[]): ContactRoom {
  return {
    name: 'deliveries',
    async export(db, contact) {
      const rows = await db
        .selectFrom('inbox')
        .select(['provider', 'event_type', 'received_at', 'state', 'body'])
        .where('contact_id', '=', contact)
        .orderBy('id')
        .execute()
      return rows.map(({ body, ...row }) => ({
        ...row,
        body: body === null ? null : Buffer.from(body).toString('utf8'),
      }))
    },
    async erase(tx, contact, names) {
      await empty(tx).where('contact_id', '=', contact).execute()
      // Nobody has read whom these are about: they failed, or are of a type that is only kept. What still waits is read.
      const all = names.flatMap((name) => [...spellings(name), ...inJson(name)])
      for (const spelling of new Set(all))
        await empty(tx)
          .where('contact_id', 'is', null)
          .where('state', 'in', ['kept', 'failed'])
          .where(({ ref }) => bytesHold(ref('body'), spelling))
          .execute()
      for (const name of names)
        await tx
          .deleteFrom('sync_failures')
          // As the syncs of the providers call them.
          .where('what', 'in', [`Subscriber ${name}`, `Contact ${name}`])
          .execute()
    },
    async merge(tx, from, into) {
      await tx.updateTable('inbox').set({ contact_id: into }).where('contact_id', '=', from).execute()
    },
  }
}

/** A delivery without its body cannot be read any more, so it has not failed either. */
const empty = (tx: Db) =>
  tx.updateTable('inbox').set(({ eb, ref }) => ({
    body: null,
    state: eb
      .case()
      .when('state', '=', 'failed')
      .then('done')
      .else(ref('state'))
      .end()
      .$castTo<Row<'inbox'>['state']>(),
  }))

/** An address as it may stand in JSON: plain, and with what some writers escape. */
function inJson(name: string): string[] {
  const lower = name.toLowerCase()
  const ascii = lower.replace(
    /[^\x20-\x7e]/g,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return [lower, ascii, lower.replace('@', '\\u0040'), ascii.replace('@', '\\u0040')]
}
