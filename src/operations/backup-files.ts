import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { removeGradually } from '../database/remove-gradually.js'
import { dayLength, mondayOf } from '../web/calendar.js'

// A backup is two files in one folder: `throughline-20261121T023000Z.db.gz`, the database packed with gzip, and beside it
// `throughline-20261121T023000Z.json`, which says what that is. The second is written last: without it there is no backup.

/** Facts of which a backup says how many it holds. */
export const countedFacts = [
  'events',
  'engagements',
  'promo_impressions',
  'promo_clicks',
  'contacts',
] as const

const Manifest = z.object({
  format: z.literal(1),
  /** The version of Throughline that made it, and the last migration of its tables. */
  version: z.string(),
  migration: z.string(),
  /** The database is as it was at this instant. */
  made_at: z.iso.datetime(),
  bytes: z.int(),
  sha256: z.string(),
  database_bytes: z.int(),
  database_sha256: z.string(),
  facts: z.record(z.string(), z.int()),
  /** Small files of the data folder that belong to it: who was erased, and the secret where that was asked for. */
  companions: z.record(z.string(), z.string()),
  /**
   * Where the segments of the write-ahead log go on from here: those of this chain with a number above `after` bring the
   * database further, from `through` on to a state that it had.
   */
  segments: z.object({ chain: z.string(), after: z.int(), through: z.int() }).nullable(),
})
export type BackupManifest = z.infer<typeof Manifest>

/** A backup as its folder or store knows it. */
export interface Backup {
  /** `throughline-20261121T023000Z`, from which both files have their names. */
  name: string
  madeAt: number
  manifest: BackupManifest
}

export const packedName = (name: string) => `${name}.db.gz`
export const manifestName = (name: string) => `${name}.json`

/** `throughline-20261121T023000Z` */
export const backupName = (madeAt: number) =>
  `throughline-${new Date(madeAt).toISOString().replace(/[-:]|\.\d+/g, '')}`

/** When a backup of this name was made, to the second; null for a name that is no backup's. */
export function instantOfName(name: string): number | null {
  const [, y, mo, d, h, mi, s] = /^throughline-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(name) ?? []
  return y === undefined ? null : Date.UTC(+y, +mo! - 1, +d!, +h!, +mi!, +s!)
}

/**
 * The backups among some files that are older than a database, and so of another one: oldest first.
 * @param born when its tables were made, in milliseconds; names tell seconds, and a first backup comes within one
 */
export function backupsBefore(files: Iterable<string>, born: number): string[] {
  const second = Math.floor(born / 1000) * 1000
  return [...files]
    .map((file) => (file.endsWith('.json') ? file.slice(0, -5) : ''))
    .filter((name) => (instantOfName(name) ?? second) < second)
    .sort()
}

/** Makes a folder, and those above it, for its owner alone. */
export function makePrivateFolder(folder: string) {
  if (existsSync(folder)) return
  makePrivateFolder(dirname(folder))
  mkdirSync(folder, { mode: 0o700 })
}

/** @returns null for a file that says nothing of a backup */
export function readManifest(path: string): BackupManifest | null {
  try {
    return Manifest.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

/** Writes what says that a backup is there: call it last. */
export function writeManifest(folder: string, name: string, manifest: BackupManifest) {
  const path = join(folder, manifestName(name))
  // Written aside and then renamed: a crash leaves no half of it.
  writeFileSync(`${path}.part`, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true })
  renameSync(`${path}.part`, path)
}

/** The backups of a folder, newest first; none where there is no folder. */
export function listBackups(folder: string): Backup[] {
  if (!existsSync(folder)) return []
  const names = new Set(readdirSync(folder))
  return [...names]
    .filter((file) => file.endsWith('.json') && names.has(packedName(file.slice(0, -5))))
    .sort()
    .reverse()
    .flatMap((file) => {
      const name = file.slice(0, -5)
      const manifest = instantOfName(name) === null ? null : readManifest(join(folder, file))
      return manifest ? [{ name, madeAt: Date.parse(manifest.made_at), manifest }] : []
    })
}

/** Removes both files of a backup; what is gone already is no error. */
export async function removeBackup(folder: string, name: string) {
  rmSync(join(folder, manifestName(name)), { force: true })
  await removeGradually(join(folder, packedName(name)))
}

/** How many backups are kept: the newest of each of so many days, weeks and months that have one. */
export interface Keeping {
  daily: number
  weekly: number
  monthly: number
}
export const usualKeeping: Keeping = { daily: 7, weekly: 4, monthly: 12 }

/**
 * The grandfather rule: of each of the last so many days with a backup the newest stays, of weeks (from Monday) and of
 * months too. The newest of all stays always.
 * @param dayOf the day, `YYYY-MM-DD`, on which an instant falls
 * @returns those that may go
 */
export function tooOld<Kept extends { madeAt: number }>(
  backups: Kept[],
  { daily, weekly, monthly }: Keeping,
  dayOf: (instant: number) => string,
): Kept[] {
  const newestFirst = [...backups].sort((one, other) => other.madeAt - one.madeAt)
  const newest = newestFirst[0]?.madeAt ?? 0
  const kept = new Set<Kept>(newestFirst.slice(0, 5).filter(({ madeAt }) => madeAt > newest - dayLength))
  const keepNewestOf = (periodOf: (day: string) => string, most: number) => {
    const periods = new Set<string>()
    for (const backup of newestFirst) {
      const period = periodOf(dayOf(backup.madeAt))
      if (periods.has(period)) continue
      if (periods.size >= most) break
      periods.add(period)
      kept.add(backup)
    }
  }
  keepNewestOf((day) => day, daily)
  keepNewestOf(mondayOf, weekly)
  keepNewestOf((day) => day.slice(0, 7), monthly)
  return newestFirst.filter((backup) => !kept.has(backup))
}
