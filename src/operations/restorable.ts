import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Backup } from './backup-files.js'
import { type SegmentName, segmentFolder, segmentOf } from './segments.js'

/** The instants to which the segments of the log bring one backup, before the next backup takes over. */
export interface Span {
  /** From here on its states are whole: when the last segment was sealed that was written while the backup was made. */
  from: number
  /** When the last segment was sealed that goes on from it. */
  to: number
  segments: number
  bytes: number
  /** It goes on without a gap to the next backup, or to now where it is the newest. */
  isWhole: boolean
}

/** All of the last days without a gap: from the oldest backup that its segments join to the next one, to the last seal. */
export type Stretch = Omit<Span, 'isWhole'>

/** What a folder of backups can be restored to beside the backups themselves. */
export function restorable(folder: string) {
  /** Segments never change, so each is looked at once. By name. */
  let known = new Map<string, SegmentName & { bytes: number }>()

  /** By chain and number. */
  async function look() {
    const found: typeof known = new Map()
    const chains = new Map<string, Map<number, SegmentName & { bytes: number }>>()
    const parent = segmentFolder(folder)
    for (const chain of existsSync(parent) ? await readdir(parent) : []) {
      if (chain.includes('.')) continue
      const ofChain = new Map<number, SegmentName & { bytes: number }>()
      // In their order: of two that bear one number the later holds all that the other does.
      for (const file of (await readdir(join(parent, chain)).catch(() => [])).sort()) {
        const name = `segments/${chain}/${file}`
        const segment = known.get(name) ?? (await described(name))
        if (!segment) continue
        found.set(name, segment)
        ofChain.set(segment.number, segment)
      }
      chains.set(chain, ofChain)
    }
    known = found
    return chains
  }

  /** @returns null for what is no segment, or is gone meanwhile */
  async function described(name: string) {
    const segment = segmentOf(name)
    const file = segment && (await stat(join(folder, name)).catch(() => null))
    return file ? { ...segment!, bytes: file.size } : null
  }

  return {
    /**
     * @param backups newest first
     * @returns by the name of a backup, for those from which segments go on; and the stretch that ends now, null where the
     *   newest backup stands alone
     */
    async spans(backups: Backup[]): Promise<{ spans: Map<string, Span>; stretch: Stretch | null }> {
      const chains = await look()
      const spans = new Map<string, Span>()
      for (const [index, backup] of backups.entries()) {
        const span = spanOf(backup, chains, backups[index - 1]?.madeAt ?? null)
        if (span) spans.set(backup.name, span)
      }
      let stretch = null as Stretch | null
      for (const [index, { name, madeAt }] of backups.entries()) {
        const span = spans.get(name)
        if (!span || (index > 0 && !span.isWhole)) break
        stretch = {
          from: madeAt,
          to: stretch?.to ?? span.to,
          segments: (stretch?.segments ?? 0) + span.segments,
          bytes: (stretch?.bytes ?? 0) + span.bytes,
        }
      }
      return { spans, stretch }
    },
  }
}
export type Restorable = ReturnType<typeof restorable>

/** @param next when the next backup was made, from which later instants are restored; null where there is none */
function spanOf(
  { madeAt, manifest: { segments } }: Backup,
  chains: Map<string, Map<number, SegmentName & { bytes: number }>>,
  next: number | null,
): Span | null {
  const chain = segments && chains.get(segments.chain)
  if (!chain) return null
  // Where nothing was written while the backup was made, it is whole as it is.
  const isQuiet = segments.after === segments.through
  const span = { from: isQuiet ? madeAt : null, to: 0, segments: 0, bytes: 0, isWhole: next === null }
  for (let number = segments.after + 1; ; number++) {
    const segment = chain.get(number)
    const isBeyond = segment && next !== null && segment.sealedAt > next
    if (isBeyond) span.isWhole = true
    if (!segment || isBeyond) break
    span.to = segment.sealedAt
    span.segments++
    span.bytes += segment.bytes
    if (number === segments.through) span.from = segment.sealedAt
  }
  const { from } = span
  return from === null || span.segments === 0 ? null : { ...span, from }
}
