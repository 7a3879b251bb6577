/**
 * Why a provider's API gave no answer. `refused-key`: it does not know the key. `missing-permission`: it knows the key,
 * which may not do this. `not-found`: the thing asked for is gone or never was. `rate`: it asks us to wait longer than
 * a call can. `unavailable`: it cannot be reached or fails on its side; the same call may work later. `invalid`: it does
 * not accept what we asked, or we cannot read what it answered; the same call will not work later.
 */
export type ProviderErrorKind =
  | 'refused-key'
  | 'missing-permission'
  | 'not-found'
  | 'rate'
  | 'unavailable'
  | 'invalid'

/** An error whose message is a sentence or two fit for people. It never holds a key or a provider's answer. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  constructor(
    readonly kind: ProviderErrorKind,
    message: string,
    /** HTTP status of the answer, if there was one. */
    readonly status: number | null = null,
    /** Milliseconds after which the provider wants to be asked again, if it said so. */
    readonly retryIn: number | null = null,
  ) {
    super(message)
  }

  /** Could the same call work later? */
  get passes() {
    return this.kind === 'rate' || this.kind === 'unavailable'
  }
}
