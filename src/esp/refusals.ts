/** A delivery that a webhook sent back, as the integration page shows it. */
export interface WebhookRefusal {
  at: number
  provider: string
  /** Ends the sentence "It was refused: …". */
  reason: string
  signed: boolean
  /** What it said it was; null when that could not be read. */
  type: string | null
}

/** The last refused deliveries, in memory only: a flood of nonsense costs nothing and leaves nothing behind. */
export class WebhookRefusals {
  readonly #kept: WebhookRefusal[] = []

  add(refusal: WebhookRefusal) {
    this.#kept.push(refusal)
    if (this.#kept.length > 50) this.#kept.shift()
  }
  /** Newest first. */
  of(provider: string): WebhookRefusal[] {
    return this.#kept.filter((refusal) => refusal.provider === provider).reverse()
  }
}
