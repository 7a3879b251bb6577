import { statSync } from 'node:fs'
import { sql } from 'kysely'
import type { Db } from './open.js'

/** Bytes of the database, of its pages that are free to be used again, and of the log beside it (0 where there is none). */
export interface DatabaseSize {
  bytes: number
  free: number
  log: number
}

/** @param path of the database's file. The file itself is not opened: closing it would drop SQLite's lock. */
export async function databaseSize(db: Db, path: string): Promise<DatabaseSize> {
  const read = async (pragma: string) => {
    const { rows } = await sql.raw<Record<string, number>>(`pragma ${pragma}`).execute(db)
    return Object.values(rows[0]!)[0]!
  }
  const [page, pages, free] = [
    await read('page_size'),
    await read('page_count'),
    await read('freelist_count'),
  ]
  return {
    bytes: page * pages,
    free: page * free,
    log: statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0,
  }
}
