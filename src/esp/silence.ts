import type { Db } from '../database/open.js'

/** How deliveries of a provider come in. */
export interface Deliveries {
  lastAt: number | null
  /** Milliseconds that lie between two deliveries as a rule: 19 of 20 come sooner. null with fewer than twenty. */
  usualGap: number | null
  /** None has come for much longer than usual. */
  isSilent: boolean
}

const looked = 200
const fewest = 20
/** Milliseconds that are never called silence: people sleep, and newsletters come once a week. */
const shortestSilence = 3_600_000

/**
 * Have deliveries stopped? They come in bursts after each mailing, so the usual gap is the 95th percentile of the last
 * two hundred, and silence is three times that, and an hour at the least.
 */
export async function deliveriesOf(db: Db, provider: string, now: number): Promise<Deliveries> {
  const rows = await db
    .selectFrom('inbox')
    .select('received_at')
    .where('provider', '=', provider)
    .orderBy('received_at', 'desc')
    .limit(looked + 1)
    .execute()
  const lastAt = rows[0]?.received_at ?? null
  if (lastAt === null || rows.length <= fewest) return { lastAt, usualGap: null, isSilent: false }
  const gaps = rows
    .slice(1)
    .map(({ received_at }, index) => rows[index]!.received_at - received_at)
    .sort((one, other) => one - other)
  const usualGap = gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * 0.95))]!
  return { lastAt, usualGap, isSilent: now - lastAt > Math.max(shortestSilence, 3 * usualGap) }
}
