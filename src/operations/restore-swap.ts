import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import * as z from 'zod'

// A restored database takes the place of the old one in several steps, since a database is up to three files. A note says
// what is to be done before the first of them: whoever finds it, after a crash or a power cut, does the rest.

const Note = z.object({
  /** The folder in the data folder in which the proven database stands. */
  scratch: z.string(),
  /** The folder in the data folder that takes the old one; null where there is none. */
  aside: z.string().nullable(),
  /** Small files that belong to the backup, by their names. */
  companions: z.record(z.string(), z.string()),
})
type Note = z.infer<typeof Note>

const databaseName = 'throughline.db'
const files = [`${databaseName}-wal`, `${databaseName}-shm`, databaseName]
const noteOf = (dataDir: string) => join(dataDir, 'restore-under-way.json')

/** A restored database has begun to take its place, and whoever did that ended before it was done. */
export const isSwapUnderWay = (dataDir: string) => existsSync(noteOf(dataDir))

/**
 * Puts the proven database of `scratch` in the place of the installation's own, whose files go into `aside`.
 * The caller holds the data folder.
 */
export function swapIn(dataDir: string, note: Note) {
  // Written aside and then renamed: there is a whole note or none.
  const written = join(dataDir, note.scratch, 'note.json')
  writeFileSync(written, JSON.stringify(note), { mode: 0o600, flush: true })
  renameSync(written, noteOf(dataDir))
  finishSwap(dataDir)
}

/**
 * Does what is left to do of {@link swapIn}, whichever step it came to. The caller holds the data folder.
 * @returns false where none is under way
 */
export function finishSwap(dataDir: string): boolean {
  if (!isSwapUnderWay(dataDir)) return false
  const note = Note.parse(JSON.parse(readFileSync(noteOf(dataDir), 'utf8')))
  bringToDisk(dataDir)
  const scratch = join(dataDir, note.scratch)
  const proven = join(scratch, databaseName)
  // While it stands there, whatever has the name of the database is the old one's.
  if (existsSync(proven)) {
    if (note.aside !== null) {
      const aside = join(dataDir, note.aside)
      mkdirSync(aside, { recursive: true, mode: 0o700 })
      for (const name of files)
        if (existsSync(join(dataDir, name))) renameSync(join(dataDir, name), join(aside, name))
      bringToDisk(aside)
      bringToDisk(dataDir) // a log of the old one must never lie beside the new one
    }
    renameSync(proven, join(dataDir, databaseName))
  }
  for (const [name, text] of Object.entries(note.companions)) {
    const companion = join(dataDir, basename(name))
    // What stands here is newer: who was erased since the backup stays erased.
    if (existsSync(companion)) continue
    writeFileSync(`${companion}.new`, text, { mode: 0o600, flush: true })
    renameSync(`${companion}.new`, companion)
  }
  bringToDisk(dataDir)
  rmSync(noteOf(dataDir))
  rmSync(scratch, { recursive: true, force: true })
  return true
}

/** Some file of a database with something in it has its place in the data folder. */
export const holdsDatabase = (dataDir: string) =>
  files.some((name) => (statSync(join(dataDir, name), { throwIfNoEntry: false })?.size ?? 0) > 0)

/** Renamed files of a folder keep their new names through a power cut. */
function bringToDisk(folder: string) {
  const handle = openSync(folder, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
