import type { Deliveries, Mix } from './traffic.js'

// What the soak and its client say to each other.

export const kinds = ['event', 'delivery', 'impression'] as const
export type Kind = (typeof kinds)[number]

export interface Orders {
  port: number
  connections: number
  /** Facts a second. */
  pace: Record<Kind, number>
  mix: Mix
  deliveries: Deliveries
  promos: { offers: number; texts: number }
  /** Where to write what was acknowledged. */
  folder: string
}
export type Message =
  | ({ ask: 'begin' } & Orders)
  /** The server is about to be killed, or there again. */
  | { ask: 'down' | 'up' }
  | { ask: 'tell' }
  /** Tells nothing new; answers when all is acknowledged. */
  | { ask: 'finish' }

/** What came of it so far, of one kind; latencies in milliseconds, of answers that did not refuse. */
export interface Told {
  sent: number
  acknowledged: number
  /** Answers with 503: not kept, told again. */
  refused: number
  /** Answers that are neither. */
  wrong: number
  /** Requests whose connection broke while the server was killed, and while it was not. */
  broken: number
  lost: number
  /** Told again and acknowledged then. */
  again: number
  p50: number
  p99: number
  max: number
  /** Answers that took more than two seconds. */
  late: number
}
export type Report = Record<Kind, Told> & { samples: string[] }

/** What the inbox calls the delivery of this number. */
export const deliveryId = (n: number) => `5eed0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
