import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ImportRow } from './people.js'

/**
 * Imports that were confirmed and are being written, a few rows at a time so that the doors stay open. What a crash
 * interrupts is written to its end at the next start: a row that is there already is only found again.
 */
export function importJournal(dataDir: string) {
  const folder = join(dataDir, 'imports-under-way')
  return {
    /** @returns what to call once all rows are written */
    keep(rows: ImportRow[]): () => void {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const path = join(folder, `${randomUUID()}.json`)
      // Written aside and then renamed: half a list would be read as a broken one.
      writeFileSync(`${path}.new`, JSON.stringify(rows), { mode: 0o600, flush: true })
      renameSync(`${path}.new`, path)
      return () => rmSync(path, { force: true })
    },
    /** What was under way when the process ended. */
    unfinished(): { rows: ImportRow[]; done: () => void }[] {
      if (!existsSync(folder)) return []
      return readdirSync(folder).flatMap((name) => {
        const path = join(folder, name)
        const done = () => rmSync(path, { force: true })
        if (name.endsWith('.json')) return { rows: JSON.parse(readFileSync(path, 'utf8')), done }
        done() // it was never confirmed to anybody
        return []
      })
    },
  }
}
