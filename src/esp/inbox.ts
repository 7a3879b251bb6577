import type { ErasureBook } from '../audience/erasures.js'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import type { Recorder } from '../ledger/ledger.js'
import { forgetErased } from './deliveries-room.js'

/** A delivery as it came in, before anybody has read more than its envelope. */
export interface DeliveryFact {
  provider: string
  /** What makes it the same delivery: the event's id in its canonical spelling, else the SHA-256 of the body. */
  key: string
  eventType: string
  body: Buffer
  receivedAt: number
  /** Of a type that nobody here reads: it is kept and left alone. */
  kept: boolean
}
export interface DeliveryReceipt {
  /** It had come before. */
  repeated: boolean
}

/**
 * The recorder of the inbox: what providers deliver is on disk before they are answered, and read afterwards.
 * @param erasures whose addresses may not stay in a delivery that nobody reads; null where nobody was erased
 */
export function inboxRecorder(db: Db, erasures: ErasureBook | null): Recorder<DeliveryFact, DeliveryReceipt> {
  const insert = compiled<
    Omit<Row<'inbox'>, 'id' | 'tries' | 'contact_id' | 'reason' | 'settled_at'>,
    { id: number }
  >((value) =>
    db
      .insertInto('inbox')
      .values({
        provider: value('provider'),
        key: value('key'),
        event_type: value('event_type'),
        received_at: value('received_at'),
        body: value('body'),
        state: value('state'),
        try_at: value('try_at'),
      })
      .onConflict((conflict) => conflict.columns(['provider', 'key']).doNothing())
      .returning('id'),
  )
  return {
    async record(tx, { provider, key, eventType, body, receivedAt, kept }) {
      const { rows } = await insert(tx, {
        provider,
        key,
        event_type: eventType,
        received_at: receivedAt,
        body,
        state: kept ? 'kept' : 'waiting',
        try_at: kept ? null : receivedAt,
      })
      const [added] = rows
      if (added && kept && erasures) await forgetErased(tx, erasures, added.id)
      return { repeated: added === undefined }
    },
  }
}

/** What became of a delivery when it was read. */
export interface DeliveryOutcome {
  id: number
  state: 'done' | 'waiting' | 'failed'
  /** Whom it is about; null when nobody knows. */
  contact: number | null
  /** Why it waits or failed, as a sentence. */
  reason: string | null
  /** When it is tried again; null unless it waits. */
  tryAt: number | null
  /** Counts as a try. */
  tried: boolean
  /** What is kept of it from now on; nothing is changed where this is left out. */
  body?: Buffer
  at: number
}

/** Writes what became of a delivery, inside the transaction that did it: what was done is never done twice. */
export function deliverySettler(db: Db) {
  type Settled = Pick<Row<'inbox'>, 'id' | 'state' | 'reason' | 'try_at' | 'settled_at' | 'contact_id'> & {
    tries: number
  }
  const put = compiled<Settled>((value) =>
    db
      .updateTable('inbox')
      .set(({ eb, ref, fn }) => ({
        state: value('state'),
        reason: value('reason'),
        try_at: value('try_at'),
        settled_at: value('settled_at'),
        tries: eb(ref('tries'), '+', value('tries')),
        contact_id: fn.coalesce(eb.val(value('contact_id')), ref('contact_id')),
      }))
      .where('id', '=', value('id')),
  )
  /** What was told of somebody who was erased is read once, and then not kept, whatever it lacks. */
  const forget = compiled<{ id: number; at: number }>((value) =>
    db
      .updateTable('inbox')
      .set({ body: null, state: 'done', reason: null, try_at: null, settled_at: value('at') })
      .where('id', '=', value('id'))
      .where('contact_id', 'in', (query) =>
        query.selectFrom('contacts').select('id').where('erased_at', 'is not', null),
      ),
  )
  const keep = compiled<{ id: number; body: Buffer }>((value) =>
    db
      .updateTable('inbox')
      .set({ body: value('body') })
      .where('id', '=', value('id')),
  )
  return async (tx: Db, { id, state, contact, reason, tryAt, tried, at, body }: DeliveryOutcome) => {
    await put(tx, {
      id,
      state,
      reason,
      try_at: tryAt,
      settled_at: state === 'waiting' ? null : at,
      contact_id: contact,
      tries: tried ? 1 : 0,
    })
    if (body) await keep(tx, { id, body })
    await forget(tx, { id, at })
  }
}

/** Milliseconds from one try to the next; after the last the delivery has failed. */
export const tryAgainAfter = [60_000, 300_000, 1_800_000, 7_200_000, 21_600_000]

export type DueDelivery = Awaited<ReturnType<typeof dueDeliveries>>[number]

/** Deliveries that are due, oldest first; one that was not tried yet is, whatever the clock said when it came. */
export const dueDeliveries = (db: Db, provider: string, { now, limit }: { now: number; limit: number }) =>
  db
    .selectFrom('inbox')
    .select(['id', 'key', 'event_type', 'received_at', 'body', 'tries', 'contact_id'])
    .where('provider', '=', provider)
    .where('state', '=', 'waiting')
    .where(({ eb, or }) => or([eb('tries', '=', 0), eb('try_at', '<=', now)]))
    .orderBy('try_at')
    .orderBy('id')
    .limit(limit)
    .execute()

/** Puts a failed delivery, or all of them, back to be tried at once. @returns how many */
export async function tryAgain(db: Db, provider: string, { id, now }: { id: number | null; now: number }) {
  const { numUpdatedRows } = await db
    .updateTable('inbox')
    .set({ state: 'waiting', try_at: now, tries: 0, settled_at: null })
    .where('provider', '=', provider)
    .where('state', '=', 'failed')
    .$if(id !== null, (query) => query.where('id', '=', id!))
    .executeTakeFirstOrThrow()
  return Number(numUpdatedRows)
}
