import type { Readers } from '../database/readers.js'
import { dayLength } from '../web/calendar.js'

/** Days since the sending of which every snapshot stays: the first hours are what mailings are compared by. */
export const daysKeptWhole = 3

/** Snapshots that are looked at together. */
const looked = 2_000

/**
 * The old snapshots that one per day leaves over. Days are spells of 24 hours since the sending, as pages count them, and
 * each keeps its last snapshot: what a mailing stood at when each of its days ended does not change. Corrections, where a
 * number went down, stay as well.
 * @param before milliseconds: younger snapshots all stay
 */
export async function* superfluousSnapshots(
  readers: Readers,
  before: number,
): AsyncGenerator<{ id: number; at: number }[]> {
  let last: Snapshot | null = null
  for (;;) {
    const rows: Snapshot[] = await readers
      .selectFrom('mailing_snapshots as snapshots')
      .innerJoin('mailings', 'mailings.id', 'snapshots.mailing_id')
      .select(['snapshots.id', 'snapshots.mailing_id', 'taken_at', 'is_lower', 'sent_at'])
      .where('taken_at', '<', before)
      .$if(last !== null, (query) =>
        query.where(({ eb, refTuple, tuple }) =>
          eb(
            refTuple('snapshots.mailing_id', 'snapshots.taken_at', 'snapshots.id'),
            '>',
            tuple(last!.mailing_id, last!.taken_at, last!.id),
          ),
        ),
      )
      .orderBy('snapshots.mailing_id')
      .orderBy('snapshots.taken_at')
      .orderBy('snapshots.id')
      .limit(looked)
      .execute()
    if (rows.length === 0) return
    const superfluous: { id: number; at: number }[] = []
    for (const row of rows) {
      if (last && isReplaced(last, row)) superfluous.push({ id: last.id, at: last.taken_at })
      last = row
    }
    if (superfluous.length > 0) yield superfluous
  }
}

interface Snapshot {
  id: number
  mailing_id: number
  taken_at: number
  is_lower: number
  sent_at: number | null
}

/** Does the next snapshot tell how the same day ended, so that this one need not? */
const isReplaced = (one: Snapshot, next: Snapshot) =>
  one.is_lower === 0 &&
  one.mailing_id === next.mailing_id &&
  dayOf(one) === dayOf(next) &&
  (one.sent_at === null || dayOf(one) > daysKeptWhole)

/** 1 is the first day; what was taken as a day ended belongs to that day. Of a mailing without a sending: days of UTC. */
const dayOf = ({ taken_at, sent_at }: Snapshot) => Math.ceil((taken_at - (sent_at ?? 0)) / dayLength)
