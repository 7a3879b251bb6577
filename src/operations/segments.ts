import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { RemoteStore } from './backup-store.js'
import type { Job } from './jobs.js'

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

/** Every minute what was sealed goes to the remote store, so that losing this machine loses little. */
export function segmentJob({ folder, remote }: { folder: string; remote: RemoteStore }): Job {
  /** Names that are there, once that is known. */
  let there: Set<string> | null = null
  return {
    name: 'upload-segments',
    title: 'Bring segments of the log beyond this machine',
    what: `Brings to ${remote.title} what was written since the last time, and removes there what is too old here.`,
    schedule: '20 * * * * *',
    async run({ signal }) {
      there ??= new Set((await remote.list('segments/')).keys())
      const here = listSegments(folder)
      for (const { name } of here) {
        signal.throwIfAborted()
        if (there.has(name)) continue
        await remote.put(name, join(folder, name), signal)
        there.add(name)
      }
      // Only what is older than everything here was removed by the rule; the rest may be all that another disk has left.
      const oldest = Math.min(...here.map(({ sealedAt }) => sealedAt))
      for (const { name, sealedAt } of inOrder(there)) {
        if (here.length === 0 || sealedAt >= oldest) continue
        await remote.remove(name)
        there.delete(name)
      }
    },
  }
}
