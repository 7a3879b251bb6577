import type { ListedMailing } from './mailing-list.js'
import { numberOf } from './mailing-numbers.js'
import type { Span } from './mailing-series.js'

/** So many mailings can be told apart side by side. */
export const fewest = 2
export const most = 8

/** The hours since sending at which curves are looked at. */
export const hoursOf: Record<Span, Float64Array> = {
  '72h': Float64Array.from({ length: 73 }, (_, hour) => hour),
  '30d': Float64Array.from({ length: 121 }, (_, index) => index * 6),
}
/**
 * The last mailings that went to the same list (or, where it went to none, from the same provider to none) before this
 * one; the newest first. @param all the newest first
 */
export function lastBefore(all: readonly ListedMailing[], mailing: ListedMailing, count: number) {
  const lists = new Set(mailing.lists.map(({ id }) => id))
  const isAlike = ({ provider, lists: others }: ListedMailing) =>
    lists.size > 0
      ? others.some(({ id }) => lists.has(id))
      : others.length === 0 && provider === mailing.provider
  const before = mailing.sent_at ?? Number.POSITIVE_INFINITY
  return all
    .filter(
      (other) =>
        other.id !== mailing.id &&
        other.sent_at !== null &&
        (other.sent_at < before || (other.sent_at === before && other.id < mailing.id)) &&
        (numberOf(other, 'delivered') ?? 0) > 0 &&
        isAlike(other),
    )
    .slice(0, count)
}
