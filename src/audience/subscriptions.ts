/**
 * How a contact stands to a list, the best first: a contact on several lists is told by the best. `unconfirmed` waits
 * for the person's own yes; `bounced` cannot be reached; `removed` was taken off by the author, a firewall or a deletion.
 */
export const subscriptionStatuses = [
  'subscribed',
  'paused',
  'unconfirmed',
  'unsubscribed',
  'complained',
  'bounced',
  'removed',
] as const
export type SubscriptionStatus = (typeof subscriptionStatuses)[number]

/** Mail goes out to those who stand so, or will again. */
export const reachedStatuses: SubscriptionStatus[] = ['subscribed', 'paused']

/** Does mail go out to somebody who stands so? */
export const isReached = (status: string) => reachedStatuses.some((reached) => reached === status)

/** @returns the status that tells most of a contact on several lists; null for one on none */
export const bestStatus = (statuses: string[]): string | null =>
  subscriptionStatuses.find((status) => statuses.includes(status)) ?? statuses[0] ?? null
