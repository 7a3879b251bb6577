import type { Counting } from '../audience/counting.js'
import { engagementNumber } from '../audience/engagement-kinds.js'
import { wholeParts } from '../database/expressions.js'
import type { Readers } from '../database/readers.js'
import { dayLength, hourLength } from '../web/calendar.js'

export const spans = ['72h', '30d'] as const
/** So long after sending: the first three days by the hour, or a month by the day. */
export type Span = (typeof spans)[number]

const slotsOf = {
  '72h': { length: hourLength, count: 72, unit: 'hour' },
  '30d': { length: dayLength, count: 30, unit: 'day' },
} as const

export interface MailingPoint {
  /** The instant at which the hour or day after sending ends, or now where it still runs. */
  at: number
  /** How many hours or days after sending that is. */
  after: number
  /** Up to this instant. */
  opens: number
  clicks: number
  /** In this hour or day alone. */
  newOpens: number
  newClicks: number
}
export interface MailingSeries {
  unit: 'hour' | 'day'
  /** When it was sent; where nobody said so, the first open or click. null: nothing happened. */
  start: number | null
  points: MailingPoint[]
}

const [opened, clicked] = [engagementNumber('opened'), engagementNumber('clicked')]

/**
 * How opens and clicks of a mailing grew since it was sent, up to now. It looks at every open and click of these hours
 * or days: remember the answer for a while.
 */
export async function readMailingSeries(
  readers: Readers,
  mailing: { id: number; sent_at: number | null },
  { span, machines, now }: Counting & { span: Span; now: number },
): Promise<MailingSeries> {
  const { length, count, unit } = slotsOf[span]
  const start = mailing.sent_at ?? (await firstDeed(readers, mailing.id))
  if (start === null || start > now) return { unit, start, points: [] }
  const rows = await readers
    .selectFrom('engagements')
    .where('mailing_id', '=', mailing.id)
    .where('kind', 'in', [opened, clicked])
    .where('happened_at', '<', start + count * length)
    .$if(!machines, (query) => query.where('verdict', '<', 2))
    .select((eb) => [
      'kind',
      wholeParts(eb.parens(eb(eb.ref('happened_at'), '-', start)), length).as('slot'),
      eb.fn.countAll<number>().as('events'),
    ])
    .groupBy(['kind', 'slot'])
    .execute()
  const opens = Array.from({ length: count }, () => 0)
  const clicks = Array.from({ length: count }, () => 0)
  // Clocks differ: what seems to have come before it was sent came at once.
  for (const { kind, slot, events } of rows)
    (kind === opened ? opens : clicks)[Math.min(Math.max(slot, 0), count - 1)]! += events

  const points: MailingPoint[] = [{ at: start, after: 0, opens: 0, clicks: 0, newOpens: 0, newClicks: 0 }]
  for (let slot = 0; slot < count && start + slot * length < now; slot++) {
    const before = points.at(-1)!
    points.push({
      at: Math.min(start + (slot + 1) * length, now),
      after: slot + 1,
      opens: before.opens + opens[slot]!,
      clicks: before.clicks + clicks[slot]!,
      newOpens: opens[slot]!,
      newClicks: clicks[slot]!,
    })
  }
  return { unit, start, points }
}

async function firstDeed(readers: Readers, mailing: number) {
  const { at } = await readers
    .selectFrom('engagements')
    .select(({ fn }) => fn.min<number | null>('happened_at').as('at'))
    .where('mailing_id', '=', mailing)
    .where('kind', 'in', [opened, clicked])
    .executeTakeFirstOrThrow()
  return at
}
