import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Migrator, sql } from 'kysely'
import { migrations } from '../../migrations/index.js'
import type { Db } from './open.js'

/** The database cannot be used by this version; the message is one sentence for the operator. */
export class DatabaseRefused extends Error {}

/**
 * Brings the tables up to this version. Before an existing database is touched, a copy is made in
 * `backups/before-migration-…` beside it.
 *
 * @returns the path of that copy, or null when there was nothing to migrate or nothing to keep
 * @throws DatabaseRefused when a newer version has already migrated this database
 */
export async function migrate(db: Db, { dataDir, now }: { dataDir: string; now: () => number }) {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } })
  const done = await namesOfMigrations(db)
  const unknown = done.filter((name) => !(name in migrations))
  if (unknown.length > 0)
    throw new DatabaseRefused(
      `The database was made by a newer version of Throughline (it knows "${unknown[0]}"). ` +
        'Install that version again, or restore the copy made before its migration from the backups folder.',
    )
  const pending = Object.keys(migrations).filter((name) => !done.includes(name))
  if (pending.length === 0) return null

  const copy = done.length > 0 ? await keepCopy(db, dataDir, now()) : null
  const { error } = await migrator.migrateToLatest()
  if (error) throw error
  return copy
}

/** When the tables of a database were first made, in milliseconds; a backup that is older cannot be of it. */
export async function firstMadeAt(db: Db): Promise<number> {
  const { rows } = await sql<{
    first: string | null
  }>`select min(timestamp) as first from kysely_migration`.execute(db)
  return Date.parse(rows[0]?.first ?? '') || 0
}

async function namesOfMigrations(db: Db): Promise<string[]> {
  const table = await sql<{
    name: string
  }>`select name from sqlite_master where name = 'kysely_migration'`.execute(db)
  if (table.rows.length === 0) return []
  const rows = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(db)
  return rows.rows.map((row) => row.name)
}

/** `vacuum into` writes a whole, checked copy and leaves the original untouched. */
async function keepCopy(db: Db, dataDir: string, instant: number) {
  const folder = join(dataDir, 'backups')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const stamp = new Date(instant).toISOString().replace(/[:.]/g, '-')
  const path = join(folder, `before-migration-${stamp}.db`)
  if (existsSync(path)) throw new DatabaseRefused(`There is already a backup at ${path}.`)
  await sql`vacuum into ${path}`.execute(db)
  chmodSync(path, 0o600)
  return path
}
