import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isBusy } from '../../src/database/errors.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder } from '../support/app.js'
import { holdLock } from '../support/lock.js'

async function aFile(patience?: number) {
  const path = join(aFolder(), 'words.db')
  const db = openDatabase(path, patience === undefined ? {} : { patience })
  onTestFinished(() => db.destroy())
  await sql`create table words (word text primary key) strict`.execute(db)
  const add = (word: string, to = db) => sql`insert into words values (${word})`.execute(to)
  const words = async () =>
    (await sql<{ word: string }>`select word from words order by rowid`.execute(db)).rows.map(
      ({ word }) => word,
    )
  return { path, db, add, words }
}

describe('while somebody else holds the lock', () => {
  it('statements and transactions wait, and others read meanwhile', async () => {
    const { path, db, add, words } = await aFile()
    await add('first')
    const giveBack = holdLock(path)
    const waiting = [add('alone'), db.transaction().execute((tx) => add('within', tx as typeof db))]
    let turns = 0
    const turning = setInterval(() => turns++, 1)
    for (let reads = 0; reads < 20; reads++) {
      expect(await words()).toEqual(['first'])
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    clearInterval(turning)
    expect(turns).toBeGreaterThan(20)
    giveBack()
    await Promise.all(waiting)
    expect((await words()).sort()).toEqual(['alone', 'first', 'within'])
  })

  it('they give up after their patience, and have done nothing', async () => {
    const { path, db, add, words } = await aFile(30)
    const giveBack = holdLock(path)
    const refused = await Promise.allSettled([
      add('alone'),
      db.transaction().execute((tx) => add('within', tx as typeof db)),
    ])
    for (const outcome of refused)
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.toSatisfy(isBusy) })
    giveBack()
    expect(await words()).toEqual([])
    await add('after')
    expect(await words()).toEqual(['after'])
  })

  it('what is wrong by itself is said once the lock is free', async () => {
    const { path, add } = await aFile()
    await add('first')
    const giveBack = holdLock(path)
    const twice = add('first')
    setTimeout(giveBack, 20)
    await expect(twice).rejects.toMatchObject({ code: 'SQLITE_CONSTRAINT_PRIMARYKEY' })
  })
})
