import { createHmac } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'

/**
 * Remembers who was erased without knowing who it was: a hash of the address, keyed with the installation's secret,
 * beside the row that goes on counting for nobody. What a provider calls a person is remembered the same way.
 */
export function erasureBook({ db, secret }: { db: Db; secret: string }) {
  let any: boolean | null = null
  const erasedAt = compiled<{ id: number }, { erased_at: number | null }>((value) =>
    db.selectFrom('contacts').select('erased_at').where('id', '=', value('id')),
  )

  const hashOf = (text: string) => createHmac('sha256', secret).update(`erased ${text}`).digest('base64url')

  async function exist(tx: Db) {
    any ??= (await tx.selectFrom('erasures').select('hash').limit(1).executeTakeFirst()) !== undefined
    return any
  }
  return {
    hashOf,
    /** @returns the nameless contact that an erased address or identity counts for; null for everybody else */
    async find(tx: Db, text: string): Promise<{ contact_id: number; erased_at: number } | null> {
      if (!(await exist(tx))) return null
      const found = await tx
        .selectFrom('erasures')
        .select(['contact_id', 'erased_at'])
        .where('hash', '=', hashOf(text))
        .executeTakeFirst()
      return found ?? null
    },
    /** Does this contact count for somebody who was erased? Nothing that tells who it was may come to it again. */
    async isErased(tx: Db, contact: number): Promise<boolean> {
      if (!(await exist(tx))) return false
      return (await erasedAt(tx, { id: contact })).rows[0]?.erased_at != null
    },
    async add(tx: Db, hash: string, contact_id: number, erased_at: number) {
      await tx
        .insertInto('erasures')
        .values({ hash, contact_id, erased_at })
        .onConflict((conflict) => conflict.column('hash').doUpdateSet({ contact_id, erased_at }))
        .execute()
      any = true
    },
    /** The person came back of their own will. */
    async lift(tx: Db, text: string) {
      await tx.deleteFrom('erasures').where('hash', '=', hashOf(text)).execute()
    },
    forget() {
      any = null
    },
  }
}
export type ErasureBook = ReturnType<typeof erasureBook>

/** What an identity is called where it is hashed. */
export const identityText = (provider: string, providerId: string) => `${provider} ${providerId}`

/**
 * Beside the database, one line for each erasure (`+ hash instant`) and each return (`- hash instant`): a database
 * that is put back from a copy is older than they are, and would bring the person back.
 *
 * An erasure is told here once it is certain, a return just before: what a crash leaves out in between is an erasure
 * that the database knows and the file does not, and a start puts that right.
 */
export function erasureFile(dataDir: string) {
  const path = join(dataDir, 'erasures')
  return {
    /** @param at for an erasure its own instant, which decides what is newer than it */
    append(sign: '+' | '-', hashes: string[], at: number) {
      if (hashes.length === 0) return
      appendFileSync(path, hashes.map((hash) => `${sign} ${hash} ${at}\n`).join(''), { mode: 0o600 })
    },
    /** @returns the hashes that are erased by the last word on them, with the instant */
    read(): Map<string, number> {
      const erased = new Map<string, number>()
      if (!existsSync(path)) return erased
      for (const line of readFileSync(path, 'utf8').split('\n')) {
        const [sign, hash, at] = line.split(' ')
        if (sign === '+' && hash && Number(at) > 0) erased.set(hash, Number(at))
        if (sign === '-' && hash) erased.delete(hash)
      }
      return erased
    },
  }
}
