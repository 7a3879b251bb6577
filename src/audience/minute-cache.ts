import { LRUCache } from 'lru-cache'

const minute = 60_000

/**
 * Remembers for a minute what took a scan to find out: however many people look at a page, it is scanned once.
 * Whoever asks while the scan runs waits for the same one; one that failed is forgotten.
 * @param now the application's clock
 */
export function minuteCache(now: () => number) {
  const known = new LRUCache<string, { at: number; value: Promise<unknown> }>({ max: 200 })
  /** @param key tells one question from all others */
  return function remembered<Value>(key: string, find: () => Promise<Value>): Promise<Value> {
    const found = known.get(key)
    if (found && now() - found.at < minute) return found.value as Promise<Value>
    const value = find()
    known.set(key, { at: now(), value })
    value.catch(() => known.delete(key))
    return value
  }
}
