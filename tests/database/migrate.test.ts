import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { migrations } from '../../migrations/index.js'
import { DatabaseRefused, migrate } from '../../src/database/migrate.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder, stoppedClock } from '../support/app.js'

async function aDatabase(dataDir = aFolder()) {
  const db = openDatabase(join(dataDir, 'throughline.db'))
  onTestFinished(() => db.destroy())
  return { db, dataDir, run: () => migrate(db, { dataDir, now: stoppedClock().now }) }
}

describe('migrating', () => {
  it('makes a new database without a backup, and leaves it alone the second time', async () => {
    const { run, dataDir } = await aDatabase()
    expect(await run()).toBe(null)
    expect(await run()).toBe(null)
    expect(existsSync(join(dataDir, 'backups'))).toBe(false)
  })

  it('copies an existing database before it touches it', async () => {
    const { db, run, dataDir } = await aDatabase()
    await run()
    await db.insertInto('settings').values({ name: 'kept', value: 'yes' }).execute()
    migrations['9999-later'] = {
      async up(later) {
        await sql`create table later (id integer primary key) strict`.execute(later)
      },
    }
    onTestFinished(() => void delete migrations['9999-later'])

    const copy = await run()

    expect(copy).toBe(join(dataDir, 'backups', 'before-migration-2026-11-21T10-00-00-000Z.db'))
    expect(readdirSync(join(dataDir, 'backups'))).toHaveLength(1)
    expect(statSync(join(dataDir, 'backups')).mode & 0o777).toBe(0o700)
    expect(statSync(copy!).mode & 0o777).toBe(0o600)
    const before = openDatabase(copy!)
    onTestFinished(() => before.destroy())
    expect(await before.selectFrom('settings').selectAll().execute()).toEqual([
      { name: 'kept', value: 'yes' },
    ])
    expect((await sql`select 1 from sqlite_master where name = 'later'`.execute(before)).rows).toEqual([])
    expect((await sql`select 1 from sqlite_master where name = 'later'`.execute(db)).rows).toHaveLength(1)
  })

  it('refuses a database that a newer version has made', async () => {
    const { db, run } = await aDatabase()
    await run()
    await sql`insert into kysely_migration (name, timestamp) values ('9998-from-the-future', '2027-01-01')`.execute(
      db,
    )
    await expect(run()).rejects.toThrow(DatabaseRefused)
    await expect(run()).rejects.toThrow(
      /made by a newer version of Throughline \(it knows "9998-from-the-future"\)/,
    )
  })

  it('passes on what went wrong, and leaves the database as it was', async () => {
    const { db, run } = await aDatabase()
    await run()
    migrations['9999-broken'] = {
      async up(broken) {
        await sql`create table half (id integer primary key) strict`.execute(broken)
        throw new Error('The migration is broken.')
      },
    }
    onTestFinished(() => void delete migrations['9999-broken'])
    await expect(run()).rejects.toThrow('The migration is broken.')
    expect((await sql`select 1 from sqlite_master where name = 'half'`.execute(db)).rows).toEqual([])
  })
})
