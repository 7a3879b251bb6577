import { createHash } from 'node:crypto'
import {
  createReadStream,
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { Config } from '../config.js'
import { migrate } from '../database/migrate.js'
import { type Db, openDatabase } from '../database/open.js'
import { removeGradually } from '../database/remove-gradually.js'
import { readSegment, replaySegment } from '../database/segment.js'
import { newestMoments } from '../database/upkeep.js'
import { number } from '../web/formats.js'
import {
  type BackupManifest,
  countedFacts,
  instantOfName,
  listBackups,
  manifestName,
  packedName,
  readManifest,
} from './backup-files.js'
import { type RemoteStore, remoteStore } from './backup-store.js'
import { prove } from './proof.js'
import { finishSwap, holdsDatabase, swapIn } from './restore-swap.js'
import { inOrder, listSegments, type SegmentName } from './segments.js'

/** A restore that cannot be, or shall not be; the message is one sentence or two for the operator. */
export class RestoreRefused extends Error {}

/** What is to be restored, as it was found. */
interface Found {
  /** The packed or bare database. */
  path: string
  /** null for a file without one, such as a copy from before a migration. */
  manifest: BackupManifest | null
  /** There may be segments that go on from it. */
  isFolder: boolean
}

export interface Restored {
  /** Where the proven database stands. */
  path: string
  /** The database is as it was at this instant; for a file that does not tell, when the file was written. */
  asOf: number
  manifest: BackupManifest | null
  facts: Record<string, number>
  /** Tables of counts that had to be put right. */
  corrected: string[]
}

interface Wish {
  config: Config
  /** A file, a folder, or `latest`: the newest in the folder of backups or in the remote store. */
  from: string
  /** The instant whose state is wanted; null for the newest there is. */
  at: number | null
  /** Names of backups that are not taken, such as a damaged one. */
  without?: string[]
  /** An empty folder of its own, on the disk where the database shall stand. */
  scratch: string
  say: (line: string) => void
}

const stamp = (instant: number) => new Date(instant).toISOString().slice(0, 19).replace('T', ' ')

/** What was packed is damaged; the message names the file. */
class Damaged extends RestoreRefused {}

/** Unpacks what is wanted into a scratch folder, brings it up to this version, and proves it. @throws RestoreRefused, Error */
export async function restoreInto(wish: Wish): Promise<Restored> {
  const { config, scratch, say } = wish
  const path = join(scratch, 'throughline.db')
  const { path: packed, manifest, isFolder } = await findAndUnpack(wish, path)
  if (manifest) say('What was packed is what was unpacked (SHA-256).')
  else say('This file has no description beside it, so nobody knows whether it is whole.')
  const madeAt = manifest ? Date.parse(manifest.made_at) : statSync(packed).mtimeMs
  const asOf = manifest && isFolder ? await goOn(wish, path, manifest) : madeAt
  const db = openDatabase(path)
  try {
    await migrate(db, { dataDir: scratch, now: Date.now })
    const corrected = await prove(db, { timeZone: config.TIME_ZONE, say })
    return { path, asOf, manifest, facts: await factsOf(db), corrected }
  } finally {
    await db.destroy() // the log goes back into the file, which then stands alone
  }
}

/**
 * Brings an unpacked backup further, by the segments of the log that were sealed since, up to the wanted instant.
 * @returns the instant of which the database is now
 */
async function goOn(
  { config, from, at, scratch, say }: Wish,
  path: string,
  { made_at, segments }: BackupManifest,
): Promise<number> {
  const madeAt = Date.parse(made_at)
  if (!segments) return madeAt
  const folder = from === 'latest' ? config.BACKUP_DIR : resolve(from)
  const remote = from === 'latest' ? remoteStore(config) : null
  const byNumber = new Map<number, SegmentName & { isHere: boolean }>()
  if (remote)
    for (const segment of inOrder((await remote.list(`segments/${segments.chain}/`)).keys()))
      byNumber.set(segment.number, { ...segment, isHere: false })
  for (const segment of listSegments(folder, segments.chain))
    byNumber.set(segment.number, { ...segment, isHere: true })

  const wanted: (SegmentName & { isHere: boolean })[] = []
  for (let number = segments.after + 1; ; number++) {
    const segment = byNumber.get(number)
    if (!segment || (at !== null && segment.sealedAt > at)) break
    wanted.push(segment)
  }
  const last = wanted.at(-1)
  // Up to `through` the segments were written while the backup was made: only from there on is their state whole.
  if (!last || last.number < segments.through) {
    if (at === null && last) say('The segments of the log since the backup are not whole, and are left out.')
    return madeAt
  }
  let previous = ''
  let applied = madeAt
  for (const { name, number, sealedAt, isHere } of wanted) {
    const file = isHere ? join(folder, name) : join(scratch, 'segment.wal.gz')
    if (!isHere) await remote!.get(name, file)
    const segment = readOrNull(file)
    if (!segment || (previous !== '' && segment.head.previous !== previous)) {
      if (number <= segments.through)
        throw new RestoreRefused(
          `${name} is damaged, and without it the backup cannot be brought further. Name an instant with --at that is before it.`,
        )
      say(`${name} is damaged. What was written after the segment before it cannot be restored.`)
      break
    }
    replaySegment(path, segment)
    previous = segment.sha256
    applied = sealedAt
  }
  say(`Brought further by the segments of the log, to ${new Date(applied).toISOString()}.`)
  return applied
}

function readOrNull(file: string) {
  try {
    return readSegment(file)
  } catch {
    return null
  }
}

/** Finds what is wanted and unpacks it to `path`. */
async function findAndUnpack(wish: Wish, path: string): Promise<Found> {
  const { config, from, at } = wish
  const wanted = from === 'latest' ? config.BACKUP_DIR : named(from, config.BACKUP_DIR)
  if (!existsSync(wanted) || !statSync(wanted).isFile()) return findInFolder(wish, wanted, path)
  if (at !== null)
    throw new RestoreRefused('A single file has one state. Leave --at out, or name its folder.')
  const manifest = manifestBeside(wanted)
  await unpack(wanted, path, manifest)
  wish.say(
    'A file that is named is restored as it was made, without what the segments of the log have since.',
  )
  return { path: wanted, manifest, isFolder: false }
}

/** The file or folder that somebody named: by its path, or as the list of backups calls it. @throws RestoreRefused */
function named(from: string, folder: string): string {
  const places = [resolve(from), join(folder, from), join(folder, packedName(from))]
  const place = places.find((each, index) => existsSync(each) && (index === 0 || statSync(each).isFile()))
  if (place === undefined) throw new RestoreRefused(`There is neither a file nor a folder ${places[0]}.`)
  return place
}

/** A backup that may be taken: it lies in the folder, in the remote store, or in both. */
interface Candidate {
  name: string
  madeAt: number
  /** What the folder says of it; null where it lies in the remote store alone. */
  here: BackupManifest | null
  isThere: boolean
}

async function findInFolder(wish: Wish, folder: string, path: string): Promise<Found> {
  const { config, from, at } = wish
  const remote = from === 'latest' ? remoteStore(config) : null
  const [wanted, earlier] = await candidates(wish, folder, remote)
  const where = `${folder}${remote ? ` or in ${remote.title}` : ''}`
  if (!wanted)
    throw new RestoreRefused(
      at === null
        ? `There is no backup in ${where}.`
        : `There is no backup from before ${stamp(at)} UTC in ${where}.`,
    )
  try {
    return await take(wish, folder, remote, wanted, path)
  } catch (error) {
    if (!(error instanceof Damaged)) throw error
    const choice = earlier
      ? `The one before it is of ${stamp(earlier.madeAt)} UTC: say --without ${wanted.name} to take that, brought further by the segments of the log as far as they are whole.`
      : 'There is none before it.'
    throw new RestoreRefused(`${error.message} ${choice}`)
  }
}

/** What may be taken, newest first. */
async function candidates({ at, without = [] }: Wish, folder: string, remote: RemoteStore | null) {
  const byName = new Map<string, Candidate>()
  for (const { name, madeAt, manifest } of listBackups(folder))
    byName.set(name, { name, madeAt, here: manifest, isThere: false })
  for (const file of remote ? (await remote.list('throughline-')).keys() : []) {
    const name = file.endsWith('.json') ? file.slice(0, -5) : ''
    const madeAt = instantOfName(name)
    if (madeAt === null) continue
    byName.set(name, { madeAt, here: null, ...byName.get(name), name, isThere: true })
  }
  return [...byName.values()]
    .filter(({ name, madeAt }) => !without.includes(name) && (at === null || madeAt <= at))
    .sort((one, other) => other.madeAt - one.madeAt)
}

/** Takes one from the folder, or else from the remote store, where it lies there too. */
async function take(
  { scratch, say }: Wish,
  folder: string,
  remote: RemoteStore | null,
  { name, here, isThere }: Candidate,
  path: string,
): Promise<Found> {
  if (here) {
    const packed = join(folder, packedName(name))
    say(`Taking ${name} from ${folder}.`)
    try {
      await unpack(packed, path, here)
      return { path: packed, manifest: here, isFolder: true }
    } catch (error) {
      if (!(error instanceof Damaged) || !isThere) throw error
      say(error.message)
    }
  }
  say(`Fetching ${name} from ${remote!.title}.`)
  for (const file of [packedName(name), manifestName(name)]) await remote!.get(file, join(scratch, file))
  const manifest = readManifest(join(scratch, manifestName(name)))
  if (!manifest) throw new Damaged(`What ${remote!.title} has of ${name} cannot be read.`)
  await unpack(join(scratch, packedName(name)), path, manifest)
  return { path: join(scratch, packedName(name)), manifest, isFolder: true }
}

function manifestBeside(path: string): BackupManifest | null {
  if (!path.endsWith('.db.gz')) return null
  return readManifest(join(dirname(path), manifestName(basename(path, '.db.gz'))))
}

/** @throws Damaged when it is not what its description says */
async function unpack(packed: string, path: string, manifest: BackupManifest | null) {
  const [outer, inner] = [createHash('sha256'), createHash('sha256')]
  const hashing = (hash: typeof outer) =>
    new Transform({
      transform(chunk, _encoding, done) {
        hash.update(chunk)
        done(null, chunk)
      },
    })
  const read = createReadStream(packed, { highWaterMark: 1 << 20 })
  const write = createWriteStream(path, { mode: 0o600, flush: true })
  try {
    if (packed.endsWith('.gz')) await pipeline(read, hashing(outer), createGunzip(), hashing(inner), write)
    else await pipeline(read, write)
  } catch (error) {
    throw new Damaged(`${packed} cannot be unpacked: ${(error as Error).message}.`)
  }
  if (!manifest) return
  if (outer.digest('hex') !== manifest.sha256 || inner.digest('hex') !== manifest.database_sha256)
    throw new Damaged(`${packed} is not what was written: it has another SHA-256.`)
}

async function factsOf(db: Db): Promise<Record<string, number>> {
  const facts: Record<string, number> = {}
  for (const table of countedFacts) {
    const row = await db
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .executeTakeFirstOrThrow()
    facts[table] = row.rows
  }
  return facts
}

/** "12 events, 4 contacts" */
export const factsInWords = (facts: Record<string, number>) =>
  Object.entries(facts)
    .map(([table, rows]) => `${number(rows)} ${table.replaceAll('_', ' ')}`)
    .join(', ')

/** Where the moment stands at which a row came about or was last worked at. */
const momentColumns = ['happened_at', 'created_at', 'received_at', 'rendered_at', 'started_at', 'ended_at']

/**
 * The last sign of life in a database: the newest fact, or whatever else says when it came about (a campaign, an account, a
 * run, a line of the audit log), among the last hundred rows of each table; or the last look at its health.
 * @returns null when it cannot be read: it is broken, or of no version known here
 */
async function lastSignOfLife(path: string): Promise<number | null> {
  let db: Db | null = null
  try {
    db = openDatabase(path)
    const moments = await newestMoments(db, momentColumns)
    const health = await db
      .selectFrom('settings')
      .select('value')
      .where('name', '=', 'health_checked_at')
      .executeTakeFirst()
    return Math.max(Number(health?.value ?? 0), ...moments)
  } catch {
    return null
  } finally {
    await db?.destroy().catch(() => {})
  }
}

const scratchPrefix = 'restoring-'

/** Removes what restores that were broken off have left. The caller holds the data folder, and no swap is under way. */
export async function removeBrokenOff(dataDir: string) {
  for (const name of readdirSync(dataDir))
    if (name.startsWith(scratchPrefix)) await removeGradually(join(dataDir, name))
}

/**
 * Puts a database in the place of the installation's own, which is kept aside. The caller holds the data folder.
 * @param force takes the place of a newer database too
 * @throws RestoreRefused, and then nothing has changed
 */
export async function restore(
  wish: Omit<Wish, 'scratch'> & { force: boolean; now: () => number },
): Promise<Restored & { aside: string | null }> {
  const { config, force, now, say } = wish
  const path = join(config.DATA_DIR, 'throughline.db')
  const mark = new Date(now()).toISOString().replace(/[:.]/g, '-')
  const scratch = join(config.DATA_DIR, `${scratchPrefix}${mark}`)
  finishSwap(config.DATA_DIR)
  await removeBrokenOff(config.DATA_DIR)
  mkdirSync(scratch, { mode: 0o700 })
  try {
    const restored = await restoreInto({ ...wish, scratch })
    const exists = holdsDatabase(config.DATA_DIR)
    const lastSign = exists ? await lastSignOfLife(path) : null
    if (!force && lastSign !== null && lastSign > restored.asOf)
      throw new RestoreRefused(
        `The database in ${config.DATA_DIR} is newer: it was last used at ${stamp(lastSign)} UTC, and the backup is of ${stamp(restored.asOf)} UTC. What came in since would be missing. Say --force to restore all the same; the newer one is kept aside.`,
      )
    const aside = exists ? join(config.DATA_DIR, `replaced-${mark}`) : null
    swapIn(config.DATA_DIR, {
      scratch: basename(scratch),
      aside: aside && basename(aside),
      companions: restored.manifest?.companions ?? {},
    })
    if (aside) say(`The database that was here is kept in ${aside}.`)
    return { ...restored, path, aside }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
