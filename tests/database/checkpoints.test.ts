import { statSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { expect, it, onTestFinished, vi } from 'vitest'
import { startCheckpoints } from '../../src/database/checkpoints.js'
import { openDatabase } from '../../src/database/open.js'
import { aFolder } from '../support/app.js'

it('copies the log back into the database beside those who write', async () => {
  const path = join(aFolder(), 'a.db')
  const db = openDatabase(path)
  onTestFinished(() => db.destroy())
  await sql`create table facts (id integer primary key, word text) strict`.execute(db)
  const before = statSync(path).size
  const checkpoints = startCheckpoints(path, { every: 10 })
  for (let i = 0; i < 50; i++) await sql`insert into facts (word) values (${'x'.repeat(2000)})`.execute(db)
  await vi.waitUntil(() => statSync(path).size >= before + 100_000, { timeout: 20_000 })
  expect(await checkpoints.stop()).toBe(1) // the code of a thread that was ended
  const { rows } = await sql<{ facts: number }>`select count(*) as facts from facts`.execute(db)
  expect(rows).toEqual([{ facts: 50 }])
})
