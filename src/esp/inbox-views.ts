import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'

// What pages show of the inbox. Everything here walks a bounded part of an index.

/** Beyond this nobody counts: it is "more than". */
const countedAtMost = 1_000
/** Deliveries by which lag is told. */
const lagOf = 200
/** Bytes of a body that a page shows. */
export const shownOfBody = 20_000

/** How many deliveries of a state there are, counted up to 1,000. */
export async function countDeliveries(db: Db, provider: string, state: 'waiting' | 'failed') {
  const rows = await db
    .selectFrom('inbox')
    .select('id')
    .where('provider', '=', provider)
    .where('state', '=', state)
    .limit(countedAtMost + 1)
    .execute()
  return { count: Math.min(rows.length, countedAtMost), isMore: rows.length > countedAtMost }
}

/** Newest first. */
export const listNewest = (db: Db, provider: string, limit: number) =>
  db
    .selectFrom('inbox')
    .leftJoin('contacts', 'contacts.id', 'inbox.contact_id')
    .select([
      'inbox.id',
      'event_type',
      'received_at',
      'state',
      'tries',
      'reason',
      'try_at',
      'settled_at',
      'contact_id',
      'contacts.email',
    ])
    .where('provider', '=', provider)
    .orderBy('received_at', 'desc')
    .orderBy('inbox.id', 'desc')
    .limit(limit)
    .execute()

/**
 * Milliseconds from the arrival of a delivery until all it tells was recorded, among those of the last two hundred
 * that are done.
 * @returns null when none is
 */
export async function lagOfDeliveries(
  db: Db,
  provider: string,
): Promise<{ median: number; high: number; of: number } | null> {
  const rows = await db
    .selectFrom('inbox')
    .select(['state', 'received_at', 'settled_at'])
    .where('provider', '=', provider)
    .orderBy('received_at', 'desc')
    .limit(lagOf)
    .execute()
  const lags = rows
    .flatMap(({ state, received_at, settled_at }) =>
      state === 'done' && settled_at !== null ? [Math.max(0, settled_at - received_at)] : [],
    )
    .sort((one, other) => one - other)
  if (lags.length === 0) return null
  const at = (share: number) => lags[Math.min(lags.length - 1, Math.floor(lags.length * share))]!
  return { median: at(0.5), high: at(0.95), of: lags.length }
}

/** Where a page of failed deliveries begins: after this one. */
export interface After {
  receivedAt: number
  id: number
}

export type FailedDelivery = Pick<
  Row<'inbox'>,
  'id' | 'event_type' | 'received_at' | 'tries' | 'reason' | 'settled_at' | 'contact_id'
> & { email: string | null; body: string | null; size: number }

/** Failed deliveries, newest first, with the beginning of what they said. @returns one more than the limit if there is */
export async function listFailedDeliveries(
  db: Db,
  provider: string,
  { after, limit }: { after: After | null; limit: number },
): Promise<FailedDelivery[]> {
  const rows = await db
    .selectFrom('inbox')
    .leftJoin('contacts', 'contacts.id', 'inbox.contact_id')
    .select(({ fn, val }) => [
      'inbox.id',
      'event_type',
      'received_at',
      'tries',
      'reason',
      'settled_at',
      'contact_id',
      'contacts.email',
      fn<Buffer | null>('substr', ['body', val(1), val(shownOfBody)]).as('body'),
      fn.coalesce(fn<number | null>('length', ['body']), val(0)).as('size'),
    ])
    .where('provider', '=', provider)
    .where('state', '=', 'failed')
    .$if(after !== null, (query) =>
      query.where(({ and, eb, or }) =>
        or([
          eb('received_at', '<', after!.receivedAt),
          and([eb('received_at', '=', after!.receivedAt), eb('inbox.id', '<', after!.id)]),
        ]),
      ),
    )
    .orderBy('received_at', 'desc')
    .orderBy('inbox.id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, body: row.body === null ? null : readable(row.body) }))
}

/** JSON with its lines broken; what is no JSON, or only the beginning of it, as it came. */
function readable(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('utf8')
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text
  }
}
