import { wholeParts } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import { dayLength } from '../web/calendar.js'

/** How deliveries of a provider come in, and whether they have stopped. */
export interface Silence {
  lastAt: number | null
  /** Milliseconds of the longest pause among the last deliveries; null with fewer than twenty. */
  usualGap: number | null
  /** None has come for longer than that. */
  isSilent: boolean
}

const looked = 20_000
const fewest = 20
/** Milliseconds that are never called silence: people sleep. */
const shortestSilence = 3_600_000
/** Milliseconds after which it is silence where too few have come to know what is usual: newsletters come once a week. */
const longestSilence = 10 * dayLength
const hour = 3_600_000

/**
 * Have deliveries stopped? They come in bursts after each mailing, so what is usual is the longest pause between two
 * hours that had any, among the last twenty thousand; silence is a quarter more than that, and an hour at the least.
 * Where all of them belong to one burst, nobody knows what is usual yet.
 */
export async function silenceOf(db: Db, provider: string, now: number): Promise<Silence> {
  const hours = await db
    .selectFrom((query) =>
      query
        .selectFrom('inbox')
        .select('received_at')
        .where('provider', '=', provider)
        .orderBy('received_at', 'desc')
        .limit(looked)
        .as('newest'),
    )
    .select(({ fn, ref }) => [
      fn.max<number>('received_at').as('last'),
      fn.min<number>('received_at').as('first'),
      fn.countAll<number>().as('count'),
      wholeParts(ref('received_at'), hour).as('hour'),
    ])
    .groupBy('hour')
    .orderBy('hour', 'desc')
    .execute()
  const lastAt = hours[0]?.last ?? null
  if (lastAt === null) return { lastAt, usualGap: null, isSilent: false }
  const silence = now - lastAt
  const count = hours.reduce((sum, each) => sum + each.count, 0)
  const gaps = hours.slice(1).map(({ last }, index) => hours[index]!.first - last)
  const usualGap = count < fewest || gaps.length === 0 ? null : Math.max(...gaps)
  const isBurst = usualGap === null || lastAt - hours[hours.length - 1]!.first < 2 * dayLength
  if (isBurst) return { lastAt, usualGap, isSilent: silence > longestSilence }
  return { lastAt, usualGap, isSilent: silence > Math.max(shortestSilence, 1.25 * usualGap!) }
}
