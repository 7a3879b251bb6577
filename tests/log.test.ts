import type files from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { LogLines } from '../src/log.js'

/** A file that takes what it is given until it is `full`, and so many bytes of it while `room` says so. */
function aDisk() {
  const disk = { full: '', room: Number.POSITIVE_INFINITY, text: '', tries: 0 }
  const take = (bytes: Uint8Array) => {
    disk.tries++
    if (disk.full) throw Object.assign(new Error('It refuses.'), { code: disk.full })
    const taken = Math.min(bytes.length, disk.room)
    disk.text += Buffer.from(bytes.subarray(0, taken))
    return taken
  }
  const functions = {
    write(_fd: number, bytes: Uint8Array, done: (error: Error | null, written: number) => void) {
      setImmediate(() => {
        try {
          done(null, take(bytes))
        } catch (error) {
          done(error as Error, 0)
        }
      })
    },
    writeSync: (_fd: number, bytes: Uint8Array) => take(bytes),
  }
  return Object.assign(disk, { functions: functions as unknown as Pick<typeof files, 'write' | 'writeSync'> })
}

function aLog({ holds = 100 } = {}) {
  const disk = aDisk()
  const told: string[] = []
  const lines = new LogLines({
    disk: disk.functions,
    holds,
    lost(count, reason) {
      told.push(`${count} ${reason}`)
      lines.write(`lost ${count}\n`)
    },
  })
  return { disk, lines, told }
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `line ${from + index}\n`)

describe('lines of the log', () => {
  it('come out in their order, also where a write takes a part of them', async () => {
    const { disk, lines } = aLog()
    disk.room = 3
    for (const line of numbered(1, 9)) lines.write(line)
    await vi.waitUntil(() => disk.text.length === 63)
    lines.write('ü\n')
    await vi.waitUntil(() => disk.text.length > 64)
    expect(disk.text).toBe(`${numbered(1, 9).join('')}ü\n`)
  })

  it('wait for a full disk as many as may, and the rest is one gap that is told once', async () => {
    const { disk, lines, told } = aLog({ holds: 20 })
    disk.full = 'ENOSPC'
    for (const line of numbered(1, 3)) lines.write(line)
    await vi.waitUntil(() => disk.tries > 1)
    for (const line of [...numbered(4, 8), 'x\n']) lines.write(line)
    expect(disk.text).toBe('')
    disk.full = ''
    await vi.waitUntil(() => told.length > 0)
    lines.write('after\n')
    await vi.waitUntil(() => disk.text.endsWith('after\n'))
    expect(disk.text).toBe(`${numbered(1, 3).join('')}lost 6\nafter\n`)
    expect(told).toEqual(['6 ENOSPC'])
    // The next time it begins anew.
    disk.full = 'EPIPE'
    for (const line of numbered(1, 4)) lines.write(line)
    await vi.waitUntil(() => disk.tries > 7)
    disk.full = ''
    await vi.waitUntil(() => told.length > 1)
    expect(told[1]).toMatch(/^1 EPIPE$/)
  })

  it('are dropped too where a pipe is not emptied', async () => {
    const { disk, lines, told } = aLog({ holds: 20 })
    for (const line of numbered(1, 9)) lines.write(line)
    await vi.waitUntil(() => disk.text.includes('lost'))
    expect(disk.text).toBe(`${numbered(1, 3).join('')}lost 6\n`)
    expect(told).toEqual(['6 nobody reads them'])
  })

  it('are written at the end of the process, and do not hold it up where they are refused', () => {
    const { disk, lines } = aLog()
    disk.room = 4
    lines.write('last words\n')
    lines.flushSync()
    expect(disk.text).toBe('last words\n')
    disk.full = 'ENOSPC'
    lines.write('nobody hears them\n')
    const { tries } = disk
    lines.flushSync()
    expect(disk.tries).toBe(tries + 1)
    disk.full = 'EAGAIN'
    lines.write('a pipe that stays full\n')
    lines.flushSync()
    expect(disk.tries).toBe(tries + 11)
  })

  it('are not written twice where the end comes while they are on their way', async () => {
    const { disk, lines } = aLog()
    lines.write('first\n')
    await new Promise(setImmediate)
    lines.write('second\n')
    lines.flushSync()
    await vi.waitUntil(() => disk.text.includes('first'))
    expect(disk.text.match(/first|second/g)!.sort()).toEqual(['first', 'second'])
  })
})
