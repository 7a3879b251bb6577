import type { RequestHandler } from 'express'
import { ipKeyGenerator } from 'express-rate-limit'

const minute = 60_000

/**
 * Lets an address make so many requests in each minute of the application's clock; the others are answered with 429 and
 * `Retry-After` in seconds. An IPv6 address stands for its network.
 * @param perMinute 0: no limit
 */
export function perAddress(perMinute: number, { now }: { now: () => number }): RequestHandler {
  if (perMinute === 0) return (_req, _res, next) => next()
  const hits = new Map<string, number>()
  let running = Number.NaN
  return (req, res, next) => {
    const at = now()
    const current = Math.floor(at / minute)
    if (current !== running) hits.clear()
    running = current
    const address = ipKeyGenerator(String(req.ip))
    const made = (hits.get(address) ?? 0) + 1
    hits.set(address, made)
    if (made <= perMinute) return next()
    res.set('Retry-After', String(Math.ceil((minute - (at % minute)) / 1000))).status(429)
    res.json({
      error: 'too_many_requests',
      message: `An address may ask ${perMinute} times a minute here. Wait for the next minute.`,
    })
  }
}
