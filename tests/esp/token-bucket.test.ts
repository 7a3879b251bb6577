import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Priority, TokenBucket } from '../../src/esp/token-bucket.js'
import { handClock, settled } from '../support/hand-clock.js'

/** A bucket, and a list of who got through. */
function aBucket({
  capacity = 2,
  perSecond = 1,
  level,
}: {
  capacity?: number
  perSecond?: number
  level?: number
} = {}) {
  const clock = handClock()
  const bucket = new TokenBucket({ capacity, perSecond, level, clock })
  const through: string[] = []
  const take = (name: string, options?: { priority?: Priority; signal?: AbortSignal }) =>
    bucket.take(options).then(
      () => void through.push(name),
      (reason) => void through.push(`${name} left: ${reason}`),
    )
  return { clock, bucket, through, take }
}

describe('the token bucket', () => {
  it('lets through what it holds, then as fast as it fills', async () => {
    const { clock, through, take } = aBucket()
    for (const name of ['a', 'b', 'c', 'd']) take(name)
    await settled()
    expect(through).toEqual(['a', 'b'])
    await clock.pass(999)
    expect(through).toEqual(['a', 'b'])
    await clock.pass(1)
    expect(through).toEqual(['a', 'b', 'c'])
    await clock.pass(1000)
    expect(through).toEqual(['a', 'b', 'c', 'd'])
    expect(clock.timers).toBe(0)
  })

  it('saves up no more than its capacity, and begins at the level it is given', async () => {
    const { clock, through, take } = aBucket({ level: 0 })
    take('a')
    await settled()
    expect(through).toEqual([])
    await clock.pass(60_000)
    for (const name of ['b', 'c', 'd']) take(name)
    await settled()
    expect(through).toEqual(['a', 'b', 'c'])
  })

  it('serves the urgent before the patient, each in the order in which they came', async () => {
    const { clock, through, take } = aBucket({ level: 0 })
    take('page 1')
    take('page 2')
    take('delivery 1', { priority: 'urgent' })
    take('page 3', { priority: 'patient' })
    take('delivery 2', { priority: 'urgent' })
    await clock.pass(5000)
    expect(through).toEqual(['delivery 1', 'delivery 2', 'page 1', 'page 2', 'page 3'])
  })

  it('lets a waiter leave, and spends no token on it', async () => {
    const { clock, bucket, through, take } = aBucket({ level: 0 })
    const leaving = new AbortController()
    take('a', { signal: leaving.signal })
    take('b')
    leaving.abort('cancelled')
    await settled()
    expect(through).toEqual(['a left: cancelled'])
    expect(bucket.waiting).toBe(1)
    await clock.pass(1000)
    expect(through).toEqual(['a left: cancelled', 'b'])
    leaving.abort()
    take('c', { signal: leaving.signal })
    await settled()
    expect(through.at(-1)).toBe('c left: cancelled')
    expect(clock.timers).toBe(0)
  })

  it('waits for the end of a window that the server calls empty', async () => {
    const { clock, bucket, through, take } = aBucket({ capacity: 100 })
    bucket.learn({ remaining: 1, resetIn: 30_000 })
    take('a')
    take('b')
    await clock.pass(29_999)
    expect(through).toEqual(['a'])
    await clock.pass(1)
    expect(through).toEqual(['a', 'b'])
  })

  it('believes the lowest number of one window, as answers overtake each other', async () => {
    const { clock, bucket, through, take } = aBucket({ capacity: 100 })
    bucket.learn({ remaining: 1, resetIn: 30_000 })
    bucket.learn({ remaining: 5, resetIn: 30_500 })
    take('a')
    take('b')
    await settled()
    expect(through).toEqual(['a'])
    bucket.learn({ remaining: 3, resetIn: 60_000 })
    await settled()
    expect(through).toEqual(['a', 'b'])
    await clock.pass(0)
  })

  it('does not believe nonsense, nor a window of years', async () => {
    const { clock, bucket, through, take } = aBucket({ capacity: 100 })
    bucket.learn({ remaining: Number.NaN, resetIn: 1000 })
    bucket.learn({ remaining: 0, resetIn: Number.NaN })
    bucket.learn({ remaining: 0, resetIn: -1000 })
    await take('a')
    bucket.learn({ remaining: 0, resetIn: 1e15 })
    take('b')
    await settled()
    expect(through).toEqual(['a'])
    await clock.pass(120_000)
    expect(through).toEqual(['a', 'b'])
  })

  it('lets nobody through while it is closed', async () => {
    const { clock, bucket, through, take } = aBucket()
    bucket.close(5000)
    bucket.close(1000)
    take('a', { priority: 'urgent' })
    await clock.pass(4999)
    expect(through).toEqual([])
    await clock.pass(1)
    expect(through).toEqual(['a'])
  })

  it('never lets more through in any stretch of time than it saves and refills, and everybody in the end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.record({ wait: fc.nat(3000), urgent: fc.boolean() }), { maxLength: 60 }),
        async (capacity, perSecond, calls) => {
          const clock = handClock()
          const bucket = new TokenBucket({ capacity, perSecond, clock })
          const times: number[] = []
          for (const { wait, urgent } of calls) {
            await clock.pass(wait)
            bucket.take({ priority: urgent ? 'urgent' : 'patient' }).then(() => times.push(clock.now()))
            await settled()
          }
          await clock.pass(100_000)
          expect(times).toHaveLength(calls.length)
          for (let from = 0; from < times.length; from++)
            for (let to = from; to < times.length; to++)
              expect(to - from + 1).toBeLessThanOrEqual(
                capacity + ((times[to]! - times[from]!) / 1000) * perSecond + 1e-6,
              )
        },
      ),
      { numRuns: 50 },
    )
  })
})
