import { sql } from 'kysely'
import type { TestApp } from './app.js'
import { holdLock } from './lock.js'

/** How a database may refuse to be written; each answers with how it can be again. */
export const troubles = {
  async locked({ path }) {
    const release = holdLock(path)
    return async () => release()
  },
  async 'read-only'({ db }) {
    await sql`pragma query_only = on`.execute(db)
    return async () => void (await sql`pragma query_only = off`.execute(db))
  },
  /** Nothing that takes a new page fits in. */
  async full({ db }) {
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db)
    await sql`pragma max_page_count = ${sql.lit(rows[0]!.page_count)}`.execute(db)
    // What is free inside the file is used up first.
    for (let size = 40_000; size > 20; size = Math.floor(size / 2))
      for (let more = true; more; )
        await db
          .insertInto('settings')
          .values({ name: `filler ${Math.random()}`, value: 'x'.repeat(size) })
          .execute()
          .catch(() => {
            more = false
          })
    return async () => void (await sql`pragma max_page_count = 1000000`.execute(db))
  },
} as const satisfies Record<string, (app: Pick<TestApp, 'db' | 'path'>) => Promise<() => Promise<void>>>
export type Trouble = keyof typeof troubles
export const troubleNames = Object.keys(troubles) as Trouble[]
