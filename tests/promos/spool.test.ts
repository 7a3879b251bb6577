import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, it, vi } from 'vitest'
import { LedgerFull, LedgerUnavailable } from '../../src/ledger/ledger.js'
import { factKeeper } from '../../src/promos/keeper.js'
import type { ClickFact, PromoFact, PromoReceipt } from '../../src/promos/record.js'
import { disk, Spool, SpoolFull } from '../../src/promos/spool.js'
import { sealer } from '../../src/secret.js'
import { aFolder } from '../support/app.js'

const drained = async (spool: Spool) => {
  const lines: string[] = []
  await spool.drain(async (some) => void lines.push(...some))
  return lines
}

describe('the spool', () => {
  it('keeps lines on disk and hands them out once, in their order', async () => {
    const folder = join(aFolder(), 'spool')
    const spool = new Spool({ folder })
    expect(spool.isEmpty).toBe(true)
    await Promise.all(Array.from({ length: 1_500 }, (_, line) => spool.append(`line ${line}`)))
    expect(spool.bytes).toBeGreaterThan(10_000)
    expect(await drained(spool)).toEqual(Array.from({ length: 1_500 }, (_, line) => `line ${line}`))
    expect(spool.isEmpty).toBe(true)
    expect(await drained(spool)).toEqual([])
    expect(readdirSync(folder)).toEqual(['reserve'])
    const appending = spool.append('on its way')
    expect(await drained(spool)).toEqual(['on its way'])
    await appending
    await spool.close()
  })

  it('is read by the next process, without what was cut off in the middle', async () => {
    const folder = aFolder()
    const before = new Spool({ folder, segment: 20 })
    for (const line of ['first of them', 'second of them', 'third']) await before.append(line)
    // A kill leaves half a line, and files that are none of ours are let be.
    const files = readdirSync(folder).filter((name) => name.endsWith('.jsonl'))
    expect(files.length).toBeGreaterThan(1)
    const last = join(folder, files.at(-1)!)
    writeFileSync(last, `${readFileSync(last, 'utf8')}{"half`)
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    const after = new Spool({ folder })
    expect(after.isEmpty).toBe(false)
    await after.append('fourth')
    expect(await drained(after)).toEqual(['first of them', 'second of them', 'third', 'fourth'])
    await before.close()
  })

  it('hands out again what nobody took', async () => {
    const spool = new Spool({ folder: aFolder(), reserve: 0 })
    await spool.append('one')
    await spool.append('two')
    await expect(spool.drain(async () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await spool.append('three')
    const lines: string[] = []
    // While lines are handed out, more may come: they wait for the next time.
    await spool.drain(async (some) => {
      lines.push(...some)
      await spool.append('late')
    })
    expect(lines).toEqual(['one', 'two', 'three'])
    expect(await drained(spool)).toEqual(['late', 'late'])
  })

  it('takes no more than it may', async () => {
    const spool = new Spool({ folder: aFolder(), capacity: 40 })
    await spool.append('x'.repeat(30))
    await expect(spool.append('y'.repeat(30))).rejects.toBeInstanceOf(SpoolFull)
    await spool.append('z')
    expect(await drained(spool)).toEqual(['x'.repeat(30), 'z'])
  })

  it('gives up its reserve when the disk is full, and leaves no half line behind', async () => {
    const folder = aFolder()
    const spool = new Spool({ folder, reserve: 4096 })
    await spool.append('before')
    const failing = failOnce()
    await spool.append('during')
    expect(failing.failures()).toBe(1)
    expect(readdirSync(folder)).not.toContain('reserve')
    expect(spool.isShort).toBe(false)
    const room = vi.spyOn(disk, 'room').mockReturnValue(8191)
    expect(spool.isShort).toBe(true)
    room.mockRestore()
    failing.always()
    await expect(spool.append('lost')).rejects.toBeInstanceOf(SpoolFull)
    failing.stop()
    await spool.append('after')
    expect(await drained(spool)).toEqual(['before', 'during', 'after'])
    // Room is kept again for the next time.
    expect(readdirSync(folder)).toEqual(['reserve'])
  })

  it('begins a new file where half a line cannot be taken back', async () => {
    const folder = aFolder()
    const spool = new Spool({ folder, reserve: 0 })
    await spool.append('before')
    const failing = failOnce({ truncate: true })
    await expect(spool.append('lost')).rejects.toBeInstanceOf(SpoolFull)
    failing.stop()
    await spool.append('after')
    const lines = await drained(spool)
    expect(lines).toContain('before')
    expect(lines).toContain('after')
  })

  it('starts on a full disk without a reserve', () => {
    const folder = aFolder()
    const spool = new Spool({ folder, reserve: -1 })
    expect(spool.isEmpty).toBe(true)
    expect(readdirSync(folder)).not.toContain('reserve')
  })
})

const receipt: PromoReceipt = { repeated: false, counted: true }
const click = (at: number): ClickFact => ({
  kind: 'click',
  offerId: 1,
  variationId: 1,
  referrer: '',
  userAgent: null,
  address: '203.0.113.7',
  ahead: false,
  happenedAt: at,
  spoolId: null,
})

function aKeeper(
  write: (fact: PromoFact) => Promise<PromoReceipt>,
  options: { capacity?: number; holds?: number; secret?: string } = {},
) {
  const folder = aFolder()
  const spool = new Spool({ folder, reserve: 0, ...(options.capacity ? { capacity: options.capacity } : {}) })
  const written: PromoFact[] = []
  const told: { msg: string; facts?: number; lost?: number; err?: { type: string } }[] = []
  const keeper = factKeeper({
    write,
    spool,
    seals: sealer(options.secret ?? 'a secret of some length, for tests'),
    written: (fact) => void written.push(fact),
    log: pino({ level: 'warn' }, { write: (line) => void told.push(JSON.parse(line)) }),
    patience: 20,
    ...(options.holds === undefined ? {} : { holds: options.holds }),
  })
  const lines = () =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.jsonl'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('')
  return { keeper, spool, written, lines, folder, told }
}

describe('the keeper', () => {
  it('takes a click that was sealed under a secret that is gone, without what it told of its reader', async () => {
    const lost = aKeeper(async () => {
      throw new LedgerUnavailable()
    })
    await lost.keeper.keep({ ...click(1), referrer: 'newsletter', userAgent: 'Firefox' })
    const { keeper, spool, written } = aKeeper(async () => receipt, {
      secret: 'another secret of some length',
    })
    await spool.append(lost.lines().trim())
    expect(await keeper.replay()).toBe(1)
    expect(written).toEqual([{ ...click(1), address: null, spoolId: expect.any(String) }])
  })

  it('hands facts to the ledger, and what that does not take to the spool, sealed', async () => {
    let isUp = true
    const { keeper, written, lines } = aKeeper(async () => {
      if (isUp) return receipt
      throw new LedgerUnavailable()
    })
    expect(await keeper.keep(click(1))).toEqual({ receipt })
    isUp = false
    expect(await keeper.keep(click(2))).toEqual({ spooled: true })
    expect(keeper.isDown).toBe(true)
    expect(await keeper.keep({ ...click(3), address: null })).toEqual({ spooled: true })
    expect(lines()).not.toContain('203.0.113.7')
    expect(await keeper.replay()).toBe(0)
    isUp = true
    expect(await keeper.replay()).toBe(2)
    expect(written.map(({ happenedAt }) => happenedAt)).toEqual([1, 2, 3])
    expect((written[1] as ClickFact).address).toBe('203.0.113.7')
    expect(written[1]!.spoolId).toMatch(/^[\w-]{22}$/)
    expect(keeper.isDown).toBe(false)
    expect(await keeper.replay()).toBe(0)
    await keeper.stop()
  })

  it('spools what is late, under the id that the ledger sees when it comes to it', async () => {
    const release: (() => void)[] = []
    const seen: (string | null)[] = []
    const { keeper, lines } = aKeeper(
      (fact) =>
        new Promise((resolve, reject) => {
          release.push(() => {
            seen.push(fact.spoolId)
            if (seen.length > 1) reject(new LedgerUnavailable())
            else resolve(receipt)
          })
        }),
    )
    expect(await keeper.keep(click(1))).toEqual({ spooled: true })
    release[0]!()
    expect(seen[0]).toBe(JSON.parse(lines()).spoolId)
    const replaying = keeper.replay()
    await vi.waitUntil(() => release.length === 2)
    release[1]!()
    expect(await replaying).toBe(0)
    expect(seen[1]).toBe(seen[0])
  })

  it('goes to the spool for all who wait at once, and minds no refusal that comes later', async () => {
    const reject: (() => void)[] = []
    const { keeper, spool } = aKeeper(
      () => new Promise((_, fail) => void reject.push(() => fail(new LedgerUnavailable()))),
    )
    expect(await Promise.all([keeper.keep(click(1)), keeper.keep(click(2))])).toEqual([
      { spooled: true },
      { spooled: true },
    ])
    for (const each of reject) each()
    expect(await keeper.keep(click(3))).toEqual({ spooled: true })
    let lines = 0
    await spool.drain(async (some) => {
      lines += some.length
    })
    expect(lines).toBe(3)
    // Nothing waits any more: that the database takes facts again is found out by the next one.
    expect(await keeper.replay()).toBe(0)
    expect(keeper.isDown).toBe(false)
  })

  it('leaves the last room on disk to the spool', async () => {
    let isUp = false
    const { keeper, spool, written } = aKeeper(async () => {
      if (isUp) return receipt
      throw new LedgerUnavailable()
    })
    await keeper.keep(click(1))
    isUp = true
    const isShort = vi.spyOn(spool, 'isShort', 'get').mockReturnValue(true)
    expect(await keeper.replay()).toBe(0)
    expect(await keeper.keep(click(2))).toEqual({ spooled: true })
    isShort.mockReturnValue(false)
    expect(await keeper.replay()).toBe(2)
    expect(written).toHaveLength(2)
  })

  it('is not down while the database takes others', async () => {
    const { keeper } = aKeeper((fact) =>
      fact.happenedAt === 1 ? new Promise(() => {}) : Promise.resolve(receipt),
    )
    const slow = keeper.keep(click(1))
    expect(await keeper.keep(click(2))).toEqual({ receipt })
    expect(await slow).toEqual({ spooled: true })
    expect(keeper.isDown).toBe(false)
  })

  it('spools while the queue is full, and is not down for that', async () => {
    const { keeper } = aKeeper(async () => {
      throw new LedgerFull()
    })
    expect(await keeper.keep(click(1))).toEqual({ spooled: true })
    expect(keeper.isDown).toBe(false)
  })

  it('tells what the recorder refuses, and lets it not stand in the way of others', async () => {
    let answers: 'refuse' | 'take' | 'later' = 'refuse'
    const { keeper, spool, written } = aKeeper(async (fact) => {
      if (answers === 'later') throw new LedgerUnavailable()
      if (answers === 'refuse' || fact.happenedAt === 2) throw new Error('no such offer')
      return receipt
    })
    await expect(keeper.keep(click(1))).rejects.toThrow('no such offer')
    await keeper.keepSomehow(click(1))
    answers = 'later'
    for (const at of [1, 2, 3]) await keeper.keep(click(at))
    await spool.append('no fact at all')
    answers = 'take'
    expect(await keeper.replay()).toBe(3)
    expect(written.map(({ happenedAt }) => happenedAt)).toEqual([1, 3])
    expect(spool.isEmpty).toBe(true)
  })

  it('holds in memory what neither takes, as much as it may', async () => {
    let isUp = false
    const { keeper, written } = aKeeper(
      async () => {
        if (isUp) return receipt
        throw new LedgerUnavailable()
      },
      { capacity: 10, holds: 2 },
    )
    expect(await keeper.keep(click(0))).toEqual({ spooled: false })
    for (const at of [1, 2, 3, 4]) await keeper.keepSomehow(click(at))
    expect(await keeper.replay()).toBe(0)
    isUp = true
    await keeper.replay()
    expect(written.map(({ happenedAt }) => happenedAt)).toEqual([1, 2])
    isUp = false
    await keeper.keepSomehow(click(5))
    await keeper.stop()
  })

  it('tells once that the spool is full, and once how many it refused', async () => {
    let answer: 'take' | 'down' | 'full' = 'down'
    const { keeper, told } = aKeeper(
      async () => {
        if (answer === 'take') return receipt
        throw answer === 'down' ? new LedgerUnavailable() : new LedgerFull()
      },
      { holds: 1 },
    )
    const words = () => told.splice(0).map(({ msg, facts, lost }) => [msg, facts, lost].filter(Boolean))
    const failing = failOnce()
    failing.always()
    for (const at of [1, 2, 3]) expect(await keeper.keep(click(at))).toEqual({ spooled: false })
    for (const at of [4, 5, 6]) await keeper.keepSomehow(click(at))
    expect(told[1]!.err!.type).toBe('SpoolFull')
    expect(words()).toEqual([
      ['promo facts go to the spool'],
      ['promo facts are not spooled'],
      ['promo facts are lost: nothing takes them'],
    ])
    failing.stop()
    await keeper.keep(click(7))
    expect(words()).toEqual([['promo facts are taken again that were not spooled', 6, 2]])
    // It may be over without the spool: as long as it lasts nothing more is told.
    answer = 'take'
    await keeper.replay()
    const again = failOnce()
    again.always()
    answer = 'full'
    await keeper.keep(click(8))
    await keeper.replay()
    await keeper.keep(click(9))
    await keeper.replay()
    expect(words()).toEqual([['promo facts are not spooled']])
    await keeper.replay()
    expect(words()).toEqual([['promo facts are taken again that were not spooled', 2]])
    // What only memory holds at the end is lost with it.
    await keeper.keepSomehow(click(10))
    await keeper.stop()
    again.stop()
    expect(words()).toEqual([['promo facts are not spooled'], ['promo facts lost: nothing took them', 1]])
  })

  it('tells a fault of its own', async () => {
    const { keeper, spool } = aKeeper(async () => {
      throw new LedgerUnavailable()
    })
    await keeper.keep(click(1))
    vi.spyOn(spool, 'drain').mockRejectedValue(new Error('a fault'))
    await expect(keeper.replay()).rejects.toThrow('a fault')
  })
})

/** Lets writes to files fail as on a full disk, after some bytes are there. */
function failOnce({ truncate = false } = {}) {
  let failures = 0
  let always = truncate
  const spy = vi.spyOn(disk, 'append').mockImplementation(async (file, bytes) => {
    if (failures > 0 && !always) return file.appendFile(bytes)
    failures++
    await file.appendFile(bytes.subarray(0, 3))
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  })
  const cut = truncate ? vi.spyOn(disk, 'truncate').mockRejectedValue(new Error('no')) : null
  return {
    failures: () => failures,
    always() {
      always = true
    },
    stop() {
      spy.mockRestore()
      cut?.mockRestore()
    },
  }
}
