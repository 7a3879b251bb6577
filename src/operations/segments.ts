import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { dayLength, hourLength } from '../web/calendar.js'
import type { RemoteCopy, RemoteStore } from './backup-store.js'
import type { Job, JobRun } from './jobs.js'

// Between two backups, what is written to the database is kept in segments (src/database/segment.js says what is in one):
// `segments/<chain>/00000012-20261121T101500123Z.wal.gz`. The name tells the number and the instant of the seal.

export interface SegmentName {
  chain: string
  number: number
  sealedAt: number
  /** `segments/<chain>/<file>`, in the folder of backups and in the remote store. */
  name: string
}

/** @returns null for what is no segment's name */
export function segmentOf(name: string): SegmentName | null {
  const [, chain, number, y, mo, d, h, mi, s, ms] =
    /^segments\/([\w-]+)\/(\d{8})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z\.wal\.gz$/.exec(name) ?? []
  if (chain === undefined) return null
  const sealedAt = Date.UTC(+y!, +mo! - 1, +d!, +h!, +mi!, +s!, +ms!)
  return { chain, number: Number(number), sealedAt, name }
}

export const segmentFolder = (backups: string) => join(backups, 'segments')

/** The segments of a folder of backups, or of one chain in it, in their order. */
export function listSegments(backups: string, chain?: string): SegmentName[] {
  const folder = segmentFolder(backups)
  if (!existsSync(folder)) return []
  const chains = chain === undefined ? readdirSync(folder) : [chain]
  const names = chains.flatMap((name) =>
    existsSync(join(folder, name)) && !name.includes('.')
      ? readdirSync(join(folder, name)).map((file) => `segments/${name}/${file}`)
      : [],
  )
  return inOrder(names)
}

export const inOrder = (names: Iterable<string>): SegmentName[] =>
  [...names]
    .sort()
    .map(segmentOf)
    .filter((segment) => segment !== null)

/** Removes the segments that were sealed before an instant, and chains of which none is left. */
export function removeSegments(backups: string, before: number, { current }: { current: string | null }) {
  for (const { name, sealedAt } of listSegments(backups))
    if (sealedAt < before) rmSync(join(backups, name), { force: true })
  const folder = segmentFolder(backups)
  if (!existsSync(folder)) return
  for (const chain of readdirSync(folder))
    if (!chain.includes('.') && chain !== current && listSegments(backups, chain).length === 0)
      rmSync(join(folder, chain), { recursive: true, force: true })
}

/**
 * Until when segments go back from which any instant can be restored: to the oldest backup of so many last days. One that
 * was made while the clock was ahead ends no days.
 * @param now milliseconds
 */
export function oldestOfUse(
  all: { madeAt: number }[],
  { daily, now }: { daily: number; now: number },
): number {
  const kept = all.filter(({ madeAt }) => madeAt <= now + hourLength)
  const newest = Math.max(0, ...kept.map(({ madeAt }) => madeAt))
  const oldest = Math.min(
    ...kept.map(({ madeAt }) => madeAt).filter((madeAt) => madeAt > newest - daily * dayLength),
  )
  // A segment that a backup goes on from may be a little older than the backup itself.
  return Number.isFinite(oldest) ? oldest - hourLength : 0
}

/**
 * Every minute what was sealed goes to the remote store, so that losing this machine loses little. (What is too old there
 * leaves with the backups that go there.)
 * @param begin brings the backups there that segments go on from, and refuses a store that is another database's
 */
export function segmentJob({
  folder,
  remote,
  begin,
  passphrase,
}: {
  folder: string
  remote: RemoteStore
  begin: (run: JobRun) => Promise<void>
  passphrase: PassphraseMark
}): Job {
  /** What is there, once that is known. */
  let there: Arranged | null = null
  return {
    name: 'upload-segments',
    title: 'Bring segments of the log beyond this machine',
    what: `Brings to ${remote.title} what was written since the last time.`,
    schedule: '20 * * * * *',
    async run(run) {
      if (!there) {
        await begin(run)
        const found = await arranged(remote, await remote.list('segments/'))
        if (await passphrase.isAnother()) found.names.clear()
        there = found
      }
      for (const { name } of listSegments(folder)) {
        run.signal.throwIfAborted()
        if (there.names.has(name)) continue
        await remote.put(name, join(folder, name), run.signal)
        if (there.open.has(name)) await remote.removeOpen(name)
        there.names.add(name)
      }
      await passphrase.remember()
    },
  }
}

/** Knows whether what is in the store was sealed with another passphrase than the present one. */
export interface PassphraseMark {
  isAnother(): Promise<boolean>
  /** All that is here lies there sealed with the present one. */
  remember(): Promise<void>
}

interface Arranged {
  /** What is there as it shall be: sealed, where there is a passphrase. */
  names: Set<string>
  /** What anybody can read, from before there was one. */
  open: Set<string>
}

/** Tells apart how what is there lies there. Where there is a passphrase, what lies open beside its sealed copy is removed. */
export async function arranged(remote: RemoteStore, there: Map<string, RemoteCopy>): Promise<Arranged> {
  const found: Arranged = { names: new Set(), open: new Set() }
  for (const [name, { isSealed, isOpen }] of there) {
    if (remote.isSealed && !isSealed) {
      found.open.add(name)
      continue
    }
    if (remote.isSealed && isOpen) await remote.removeOpen(name)
    found.names.add(name)
  }
  return found
}
