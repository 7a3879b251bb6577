/** A request that the event door sent back, as the integration page shows it. */
export interface Refusal {
  at: number
  /** Sentences, one for each field that was wrong. */
  reasons: string[]
  /** The campaign it named, if that was a number. */
  cid: number | null
  /** The query as it came, cut short, with addresses of people left out. */
  request: string
  /** The sending domain it named, else the caller's address without its last part. */
  from: string
}

/** The last refused requests, in memory only: a flood of nonsense costs nothing and leaves nothing behind. */
export class Refusals {
  readonly #kept: Refusal[] = []
  readonly #fields = new Map<string, number>()
  #total = 0

  /** @param fields the names of those that were wrong: names of ours, which no caller can make up */
  add(refusal: Refusal, fields: string[] = []) {
    this.#total++
    for (const field of fields) this.#fields.set(field, (this.#fields.get(field) ?? 0) + 1)
    this.#kept.push(refusal)
    if (this.#kept.length > 200) this.#kept.shift()
  }
  /** Requests refused since the process started. */
  get total() {
    return this.#total
  }
  /** How often each field was wrong since the process started. */
  get byField(): Map<string, number> {
    return this.#fields
  }
  /** Newest first: those that named this campaign, or one that does not exist. */
  listFor(
    campaignId: number,
    { since, exists }: { since: number; exists: (cid: number) => boolean },
  ): Refusal[] {
    return this.#kept
      .filter(({ at, cid }) => at >= since && (cid === null || cid === campaignId || !exists(cid)))
      .reverse()
  }
}

/** `203.0.113.…`: enough to tell callers apart, too little to tell who it was. */
export const maskAddress = (address: string) =>
  address.includes(':') ? `${address.split(':').slice(0, 3).join(':')}:…` : address.replace(/[^.]*$/, '…')

/** The request without anybody's address, at most 160 characters. */
export function maskRequest(query: string) {
  const masked = query
    .replace(/[^&=\s"]+(?:@|%40)[^&\s"]+/gi, '…')
    .replace(/(key=)[^&]*/gi, '$1…')
    .replace(/[\p{Cc}]/gu, ' ')
  return masked.length > 160 ? `${masked.slice(0, 160)}…` : masked
}
