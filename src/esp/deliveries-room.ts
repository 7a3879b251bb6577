import { normaliseEmail } from '../audience/contacts.js'
import type { ErasureBook } from '../audience/erasures.js'
import type { ContactRoom } from '../audience/rooms.js'
import { bytesHold } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'

/**
 * What providers delivered about a contact, as it came.
 * @param spellings further ways in which a delivery may name what a provider calls somebody, in lower case
 * @param readByIds the providers whose deliveries are read by ids alone: nobody misses an address in them
 */
export function deliveriesRoom(
  spellings: (providerId: string) => string[],
  { readByIds }: { readByIds: string[] },
): ContactRoom {
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
      // Nobody has read whom these are about: they failed, or are of a type that is only kept. What still waits is read,
      // and by whom it is about then it goes; where nobody can tell, no address may be left in it.
      const all = names.flatMap((name) => [...spellings(name), ...inJson(name)])
      for (const spelling of new Set(all))
        await empty(tx)
          .where('contact_id', 'is', null)
          .where('state', 'in', ['kept', 'failed'])
          .where(({ ref }) => bytesHold(ref('body'), spelling))
          .execute()
      for (const name of names) if (name.includes('@')) await takeOutOfWaiting(tx, readByIds, name)
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

/** What waits loses an address, and keeps all else that it tells. */
async function takeOutOfWaiting(tx: Db, providers: string[], address: string) {
  for (const spelling of new Set(inJson(address))) {
    const waiting = await tx
      .selectFrom('inbox')
      .select(['id', 'body'])
      .where('provider', 'in', providers)
      .where('state', '=', 'waiting')
      .where('contact_id', 'is', null)
      .where(({ ref }) => bytesHold(ref('body'), spelling))
      .execute()
    for (const { id, body } of waiting) await putBody(tx, id, without(body!, address))
  }
}

/**
 * Nobody can tell whom a delivery is about that came after somebody was erased: their address is not kept in it, and all
 * else that it tells is.
 * @param id of the delivery
 */
export async function forgetErased(tx: Db, erasures: ErasureBook, id: number) {
  const { body } = await tx.selectFrom('inbox').select('body').where('id', '=', id).executeTakeFirstOrThrow()
  if (body === null) return
  const plain = JSON.stringify(JSON.parse(Buffer.from(body).toString('utf8')))
  let kept = body
  for (const [address] of plain.matchAll(/[^\s"@<>,;:\\]+@[^\s"@<>,;:\\]+/g))
    if (await erasures.find(tx, normaliseEmail(address))) kept = without(kept, address)
  if (kept !== body) await putBody(tx, id, kept)
}

const putBody = (tx: Db, id: number, body: Uint8Array) =>
  tx
    .updateTable('inbox')
    .set({ body: Buffer.from(body) })
    .where('id', '=', id)
    .execute()

/** The delivery without this address, however that is spelled. */
function without(body: Uint8Array, address: string): Buffer {
  let text = Buffer.from(body).toString('utf8')
  for (const spelling of new Set(inJson(address)))
    text = text.replace(new RegExp(spelling.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'giu'), '')
  return Buffer.from(text)
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
