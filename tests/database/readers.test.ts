import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../src/database/open.js'
import { openReaders } from '../../src/database/readers.js'
import { aFolder, testApp } from '../support/app.js'
import { aCampaign } from '../support/builders.js'

describe('the readers', () => {
  it('see what was written, from a thread of their own', async () => {
    const app = await testApp()
    await aCampaign(app, { name: 'Seen' })
    expect(await app.readers.selectFrom('campaigns').select('name').execute()).toEqual([{ name: 'Seen' }])
  })

  it('answer many at once', async () => {
    const { readers } = await testApp()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => sql<{ n: number }>`select ${n} as n`.execute(readers)),
    )
    expect(answers.map(({ rows }) => rows[0]!.n)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  it('cannot write', async () => {
    const { readers } = await testApp()
    await expect(
      readers.insertInto('settings').values({ name: 'a', value: 'b' }).returning('name').execute(),
    ).rejects.toThrow(/readonly/)
    await expect(readers.transaction().execute(async () => {})).rejects.toThrow('The readers only read.')
  })

  it('pass on what went wrong, and go on', async () => {
    const { readers } = await testApp()
    await expect(sql`select * from nowhere`.execute(readers)).rejects.toMatchObject({
      message: 'no such table: nowhere',
      code: 'SQLITE_ERROR',
    })
    expect((await sql`select 1 as one`.execute(readers)).rows).toEqual([{ one: 1 }])
  })

  it('begin again with another thread when one has ended', async () => {
    const path = join(aFolder(), 'later.db')
    const readers = openReaders(path, { threads: 1 })
    onTestFinished(() => readers.destroy())
    const one = sql`select 1 as one`
    await expect(one.execute(readers)).rejects.toThrow('The reading thread has ended.')
    await expect(one.execute(readers)).rejects.toThrow('The reading thread has ended.')
    await openDatabase(path).destroy()
    expect((await one.execute(readers)).rows).toEqual([{ one: 1 }])
  })
})
