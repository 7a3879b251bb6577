import { LRUCache } from 'lru-cache'

/** Who an event came from. The database keeps the position. */
export const verdicts = ['person', 'suspected', 'machine'] as const
export const verdictOf = (number: number) => verdicts[number]!
/** Suspected events count, those of machines do not. */
export const counts = (verdict: number) => verdict < 2

/** Why. Each is a bit, so that an event keeps all its reasons in one number. */
export const reason = { agent: 1, burst: 2, rate: 4, haste: 8 } as const

/** The reasons as people read them. */
export const reasonWords: Record<number, string> = {
  [reason.agent]: 'the user agent is a bot or an HTTP library',
  [reason.burst]: 'three or more different links within 10 seconds',
  [reason.rate]: 'more than 60 events a minute from this address',
  [reason.haste]: 'the landing click came under 0.8 seconds after the email click',
}
export const reasonsInWords = (bits: number) =>
  Object.entries(reasonWords)
    .filter(([bit]) => bits & Number(bit))
    .map(([, words]) => words)

/** Two suspicions make a machine; an agent that says so, or a burst, is one by itself. */
export function judge(reasons: number): number {
  if (reasons & (reason.agent | reason.burst)) return 2
  const suspicions = Number(Boolean(reasons & reason.rate)) + Number(Boolean(reasons & reason.haste))
  return Math.min(suspicions, 2)
}

/** Milliseconds: a scanner follows the links of a message faster than a person. */
export const burstWindow = 10_000
export const burstLinks = 3
/** Milliseconds and events: more than this many in the window, up to and with the event itself. */
export const rateWindow = 60_000
export const rateLimit = 60
/** Milliseconds between the email click and a landing click that no reader makes. */
export const hasteWindow = 800
/** Milliseconds after which no later event changes a verdict any more. */
export const settlingTime = 600_000

export interface Click {
  id: number
  campaign_id: number
  link: string | null
  happened_at: number
}

/**
 * The email clicks of one recipient that are part of a burst: within 10 seconds of each other, and with three or more
 * distinct links (a link is told apart by campaign and `link`).
 * @param clicks in order of `happened_at`
 */
export function burstsAmong(clicks: Click[]): Set<number> {
  const machine = new Set<number>()
  const links = new Map<string, number>()
  let first = 0
  let marked = 0
  clicks.forEach((click, last) => {
    links.set(linkKey(click), (links.get(linkKey(click)) ?? 0) + 1)
    for (; click.happened_at - clicks[first]!.happened_at > burstWindow; first++) {
      const gone = linkKey(clicks[first]!)
      const left = links.get(gone)! - 1
      if (left === 0) links.delete(gone)
      else links.set(gone, left)
    }
    if (links.size < burstLinks) return
    for (marked = Math.max(marked, first); marked <= last; marked++) machine.add(clicks[marked]!.id)
  })
  return machine
}
const linkKey = (click: Click) => `${click.campaign_id} ${click.link ?? ''}`

/**
 * The last minute's events by address; at most 60 instants are kept of each. Where more addresses come than it holds,
 * those that have been quiet longest are forgotten: an address at the limit is heard of every second.
 */
export class AddressRates {
  readonly #instants: LRUCache<string, number[]>

  constructor({ addresses = 20_000 }: { addresses?: number } = {}) {
    this.#instants = new LRUCache({ max: addresses })
  }

  /** Would one more event at this instant be more than the limit? */
  exceeds(address: string, at: number) {
    const instants = this.#instants.get(address)
    if (!instants || instants.length < rateLimit) return false
    return at - instants[instants.length - rateLimit]! < rateWindow
  }
  add(address: string, at: number) {
    const instants = this.#instants.get(address)
    // A copy: the text may be a view of the whole request, which it would keep in memory.
    if (!instants) this.#instants.set(Buffer.from(address).toString(), [at])
    else {
      instants.push(at)
      if (instants.length > rateLimit) instants.shift()
    }
  }
}
