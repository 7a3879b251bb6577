import type { RequestHandler } from 'express'
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit'

const minute = 60_000

/** Counts requests of the running minute of the application's clock; each minute begins with nothing. */
export function minuteStore(now: () => number): Store {
  let running = Number.NaN
  const hits = new Map<string, number>()
  const current = () => {
    const number = Math.floor(now() / minute)
    if (number !== running) {
      running = number
      hits.clear()
    }
    return number
  }
  return {
    localKeys: true,
    increment(key) {
      const number = current()
      const totalHits = (hits.get(key) ?? 0) + 1
      hits.set(key, totalHits)
      return { totalHits, resetTime: new Date((number + 1) * minute) }
    },
    // What the library asks for, and nothing here calls: every request counts.
    decrement: () => {},
    resetKey: (key) => void hits.delete(key),
  }
}

/**
 * Lets an address make so many requests a minute; the others are answered with 429 and `Retry-After` in seconds. An IPv6
 * address stands for its network.
 * @param perMinute 0: no limit
 */
export function perAddress(perMinute: number, { now }: { now: () => number }): RequestHandler {
  if (perMinute === 0) return (_req, _res, next) => next()
  return rateLimit({
    windowMs: minute,
    limit: perMinute,
    store: minuteStore(now),
    standardHeaders: false,
    legacyHeaders: false,
    validate: false,
    skip: (req) => req.method === 'OPTIONS',
    keyGenerator: (req) => ipKeyGenerator(String(req.ip)),
    handler(_req, res) {
      res.set('Retry-After', String(Math.ceil((minute - (now() % minute)) / 1000))).status(429)
      res.json({
        error: 'too_many_requests',
        message: `An address may ask ${perMinute} times a minute here. Wait for the next minute.`,
      })
    },
  })
}
