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
import { firstMadeAt, migrate } from '../database/migrate.js'
import { type Db, openDatabase } from '../database/open.js'
import { removeGradually } from '../database/remove-gradually.js'
import { readSegment, replaySegment } from '../database/segment.js'
import { newestMoments } from '../database/upkeep.js'
import { number, plural } from '../web/formats.js'
import {
  type BackupManifest,
  backupsBefore,
  countedFacts,
  instantOfName,
  listBackups,
  manifestName,
  packedName,
  readManifest,
} from './backup-files.js'
import { NotThere, type RemoteStore, remoteStore } from './backup-store.js'
import { prove } from './proof.js'
import { finishSwap, holdsDatabase, swapIn } from './restore-swap.js'
import { NotOpened } from './sealed-files.js'
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
  /**
   * A file, a folder, `latest`: the newest in the folder of backups or in the remote store, or `bucket`: the newest in that
   * store alone.
   */
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
    await refuseWhereOlderOnesAreThere(wish, db)
    await migrate(db, { dataDir: scratch, now: Date.now })
    const corrected = await prove(db, { timeZone: config.TIME_ZONE, say })
    return { path, asOf, manifest, facts: await factsOf(db), corrected }
  } finally {
    await db.destroy() // the log goes back into the file, which then stands alone
  }
}

/** Where backups are looked for. */
function placesOf({ config, from }: Pick<Wish, 'config' | 'from'>): {
  folder: string | null
  remote: RemoteStore | null
} {
  if (from === 'latest') return { folder: config.BACKUP_DIR, remote: remoteStore(config) }
  if (from !== 'bucket') return { folder: resolve(from), remote: null }
  const remote = remoteStore(config)
  if (!remote) throw new RestoreRefused('No bucket is set up: BACKUP_S3_BUCKET names it.')
  return { folder: null, remote }
}

/**
 * A server that started on an empty disk has made backups of an empty database: the newest of all, and not what is wanted
 * where the bucket has older ones of somebody's.
 */
async function refuseWhereOlderOnesAreThere({ config, from, at }: Wish, db: Db) {
  const { folder, remote } = placesOf({ config, from })
  if (from !== 'latest' || !remote || at !== null) return
  const born = await firstMadeAt(db)
  const older = backupsBefore(await namesIn(remote, 'throughline-'), born).filter(
    (name) => !existsSync(join(folder!, packedName(name))),
  )
  if (older.length > 0)
    throw new RestoreRefused(
      `The newest backup is of a database that was begun at ${stamp(born)} UTC, and ${remote.title} has ${plural(older.length, 'backup', 'backups')} from before that, the newest ${older.at(-1)}. Say --from bucket to take that, or --from ${folder} for the newest that is here.`,
    )
}

/** What the store has under a beginning. @throws RestoreRefused where it does not answer */
async function namesIn(remote: RemoteStore, beginning: string): Promise<string[]> {
  try {
    return [...(await remote.list(beginning)).keys()]
  } catch (error) {
    throw new RestoreRefused(
      `${remote.title} cannot be asked what it has: ${(error as Error).message || 'it does not answer'}. To do without it, name the folder of backups with --from.`,
    )
  }
}

/** Fetches a copy. @throws Damaged where it is gone or cannot be opened; RestoreRefused where the store does not answer */
async function fetchCopy(remote: RemoteStore, name: string, path: string) {
  try {
    await remote.get(name, path)
  } catch (error) {
    if (error instanceof NotOpened) throw new Damaged(`${name} in ${remote.title}: ${error.message}`)
    if (error instanceof NotThere) throw new Damaged(error.message)
    throw new RestoreRefused(`${name} cannot be fetched from ${remote.title}: ${(error as Error).message}`)
  }
}

/**
 * Brings an unpacked backup further, by the segments of the log that were sealed since, up to the wanted instant.
 * @returns the instant of which the database is now
 */
async function goOn(wish: Wish, path: string, { made_at, segments }: BackupManifest): Promise<number> {
  const { at, scratch, say } = wish
  const madeAt = Date.parse(made_at)
  if (!segments) return madeAt
  const { folder, remote } = placesOf(wish)
  const byNumber = new Map<number, SegmentPlaces>()
  const note = (segment: SegmentName, place: 'here' | 'there') =>
    byNumber.set(segment.number, { ...byNumber.get(segment.number), ...segment, [place]: segment.name })
  if (remote)
    for (const segment of inOrder(await namesIn(remote, `segments/${segments.chain}/`)))
      note(segment, 'there')
  if (folder) for (const segment of listSegments(folder, segments.chain)) note(segment, 'here')

  const isWanted = ({ sealedAt }: SegmentName) => at === null || sealedAt <= at
  const wanted: SegmentPlaces[] = []
  for (let number = segments.after + 1; ; number++) {
    const segment = byNumber.get(number)
    if (!segment || !isWanted(segment)) break
    wanted.push(segment)
  }
  // Up to `through` the segments were written while the backup was made: only from there on is their state whole.
  let applied = madeAt
  const refuse = (what: string) => {
    throw new RestoreRefused(
      `${what} What was written after ${new Date(applied).toISOString()} is therefore out of reach: say --at ${new Date(applied).toISOString()} to have the state of that instant.`,
    )
  }
  const beyond = [...byNumber.values()].filter(
    (segment) => segment.number > segments.after + wanted.length && isWanted(segment),
  )
  if (wanted.length === 0 && beyond.length === 0) {
    say('No segment of the log goes on from this backup: it is restored as it was made.')
    return madeAt
  }
  let previous = ''
  if (wanted.length > 0 && segments.after + wanted.length >= segments.through)
    for (const each of wanted) {
      const segment = await read(each, previous)
      if (!segment) return refuse(`${each.name} is damaged.`)
      replaySegment(path, segment)
      previous = segment.sha256
      if (each.number >= segments.through) applied = each.sealedAt
    }
  if (beyond.length > 0)
    refuse(
      `Segment ${segments.after + wanted.length + 1} of the log is missing, and ${plural(beyond.length, 'segment', 'segments')} after it ${beyond.length === 1 ? 'is' : 'are'} there.`,
    )
  if (previous === '') {
    if (at === null) say('The segments of the log since the backup are not whole, and are left out.')
    return madeAt
  }
  say(`Brought further by the segments of the log, to ${new Date(applied).toISOString()}.`)
  return applied

  /** As it lies here or, where that is damaged, in the remote store. */
  async function read({ here, there }: SegmentPlaces, previous: string) {
    const goesOn = (segment: ReturnType<typeof readOrNull>) =>
      segment && (previous === '' || segment.head.previous === previous) ? segment : null
    const segment = here && folder ? goesOn(readOrNull(join(folder, here))) : null
    if (segment || !there) return segment
    const file = join(scratch, 'segment.wal.gz')
    try {
      await fetchCopy(remote!, there, file)
    } catch (error) {
      if (!(error instanceof Damaged)) throw error
      say(error.message)
      return null
    }
    return goesOn(readOrNull(file))
  }
}

/** A segment with its names in the folder and in the remote store. */
type SegmentPlaces = SegmentName & { here?: string; there?: string }

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
  const isKeyword = from === 'latest' || from === 'bucket'
  const wanted = isKeyword ? config.BACKUP_DIR : named(from, config.BACKUP_DIR)
  if (isKeyword || !statSync(wanted).isFile()) return findInPlaces(wish, path)
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

async function findInPlaces(wish: Wish, path: string): Promise<Found> {
  const { at } = wish
  const { folder, remote } = placesOf(wish)
  const [wanted, earlier] = await candidates(wish, folder, remote)
  const where = [folder, remote?.title].filter(Boolean).join(' or in ')
  const locked = ((await remote?.locked('throughline-')) ?? [])
    .filter((file) => file.endsWith('.json'))
    .map((file) => instantOfName(file.slice(0, -5)) ?? 0)
    .filter((madeAt) => at === null || madeAt <= at)
  if (locked.length > 0 && Math.max(...locked) > (wanted?.madeAt ?? 0))
    throw new RestoreRefused(
      `${remote!.title} has sealed copies, the newest of ${stamp(Math.max(...locked))} UTC: set BACKUP_PASSPHRASE to that with which they were sealed.`,
    )
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
async function candidates(wish: Wish, folder: string | null, remote: RemoteStore | null) {
  const { at, without = [] } = wish
  const byName = new Map<string, Candidate>()
  for (const { name, madeAt, manifest } of folder ? listBackups(folder) : [])
    byName.set(name, { name, madeAt, here: manifest, isThere: false })
  for (const file of remote ? await namesIn(remote, 'throughline-') : []) {
    const name = file.endsWith('.json') ? file.slice(0, -5) : ''
    const madeAt = instantOfName(name)
    if (madeAt === null) continue
    byName.set(name, { madeAt, here: null, ...byName.get(name), name, isThere: true })
  }
  // A name tells the second: whether one of the wanted second was made before the wanted instant, its description tells.
  for (const each of byName.values())
    if (at !== null && !each.here && at - each.madeAt >= 0 && at - each.madeAt < 1000)
      each.madeAt = await madeAtThere(wish, remote!, each)
  return [...byName.values()]
    .filter(({ name, madeAt }) => !without.includes(name) && (at === null || madeAt <= at))
    .sort((one, other) => other.madeAt - one.madeAt)
}

/** When a backup of the remote store was made; by its name where it has no description that can be read. */
async function madeAtThere({ scratch }: Wish, remote: RemoteStore, { name, madeAt }: Candidate) {
  const file = join(scratch, manifestName(name))
  try {
    await fetchCopy(remote, manifestName(name), file)
  } catch (error) {
    if (!(error instanceof Damaged)) throw error
    return madeAt
  }
  return Date.parse(readManifest(file)?.made_at ?? '') || madeAt
}

/** Takes one from the folder, or else from the remote store, where it lies there too. */
async function take(
  { scratch, say }: Wish,
  folder: string | null,
  remote: RemoteStore | null,
  { name, here, isThere }: Candidate,
  path: string,
): Promise<Found> {
  if (here) {
    const packed = join(folder!, packedName(name))
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
  for (const file of [manifestName(name), packedName(name)])
    await fetchCopy(remote!, file, join(scratch, file))
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
