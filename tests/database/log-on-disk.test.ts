import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LogOnDisk, NotOnDisk } from '../../src/database/log-on-disk.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder } from '../support/app.js'

async function aDatabase({ isMadeAnew = false } = {}) {
  const path = join(aFolder(), 'facts.db')
  const db = openDatabase(path, { isMadeAnew })
  onTestFinished(() => db.destroy())
  await sql`create table facts (id integer primary key, word text not null) strict`.execute(db)
  const reach = vi.spyOn(LogOnDisk.prototype, 'reach')
  onTestFinished(() => reach.mockRestore())
  return { path, db, reach }
}
const add = (word: string) => sql`insert into facts (word) values (${word})`

describe('the disk under the log', () => {
  it('is waited for once by a transaction, once by a statement of its own, and not by a look', async () => {
    const { db, reach } = await aDatabase()
    await add('one').execute(db)
    expect(reach).toHaveBeenCalledTimes(1)
    await db.transaction().execute(async (tx) => {
      await add('two').execute(tx)
      await add('three').execute(tx)
    })
    expect(reach).toHaveBeenCalledTimes(2)
    await sql`insert into facts (word) values ('four') returning id`.execute(db)
    expect(reach).toHaveBeenCalledTimes(3)
    await sql`select * from facts`.execute(db)
    await expect(
      db.transaction().execute(async (tx) => {
        await add('five').execute(tx)
        throw new Error('changed my mind')
      }),
    ).rejects.toThrow('changed my mind')
    expect(reach).toHaveBeenCalledTimes(3)
  })

  it('holds up whoever wrote until it has answered', async () => {
    const { db, reach } = await aDatabase()
    let answer!: () => void
    reach.mockImplementationOnce(() => new Promise((done) => (answer = done)))
    let isTold = false
    const writing = db
      .transaction()
      .execute((tx) => add('one').execute(tx))
      .then(() => {
        isTold = true
      })
    await vi.waitFor(() => expect(reach).toHaveBeenCalled())
    await new Promise(setImmediate)
    expect(isTold).toBe(false)
    answer()
    await writing
  })

  it('says so when nobody can tell whether the disk has it', async () => {
    const path = join(aFolder(), 'facts.db')
    new Sqlite(path).exec('create table facts (id integer primary key, word text not null)').close()
    const db = openDatabase(path)
    onTestFinished(() => db.destroy())
    await sql`select * from facts`.execute(db)
    rmSync(`${path}-wal`)
    await expect(add('one').execute(db)).rejects.toThrow(NotOnDisk)
    await expect(db.transaction().execute((tx) => add('two').execute(tx))).rejects.toThrow(NotOnDisk)
  })

  it('is not waited for where a mishap means to begin anew', async () => {
    const { db, reach } = await aDatabase({ isMadeAnew: true })
    await add('one').execute(db)
    expect(reach).not.toHaveBeenCalled()
  })
})
