import { createHash, randomInt } from 'node:crypto'
import { generateSecret, generateURI, verifySync } from 'otplib'
import type { Db } from '../database/open.js'
import type { sealer } from '../secret.js'

/** Seconds for which a code holds, and by which a clock may be off on either side. */
const step = 30
/** Milliseconds in which a second factor that was begun has to be confirmed. */
const confirmTime = 3600_000
const recoveryCodeCount = 10

/** No letters that are read for another: 16 of these 32 are 80 bits, which a plain SHA-256 keeps. */
const alphabet = 'abcdefghjkmnpqrstuvwxyz023456789'

interface Needs {
  db: Db
  now: () => number
  seal: ReturnType<typeof sealer>
}

/** What a code was, or why it is not taken: it is wrong (or taken already), or the secret cannot be opened here. */
export type CodeFound = 'code' | 'recovery code' | 'wrong' | 'unreadable'

/**
 * Two-factor login: codes of an authenticator (TOTP, RFC 6238: SHA-1, six digits, 30 seconds), each taken once, and ten
 * recovery codes. The secret lies sealed under the installation's; recovery codes need no secret, so that they work in
 * a restored database too.
 */
export function twoFactor({ db, now, seal }: Needs) {
  const find = (account: number) =>
    db.selectFrom('two_factors').selectAll().where('account_id', '=', account).executeTakeFirst()

  /** @returns the step of the code's time, or null when no code of now, or later than the last, is this one */
  function stepOf(secret: string, code: string, last: number): number | null {
    const found = verifySync({
      secret,
      token: code,
      period: step,
      epoch: Math.floor(now() / 1000),
      epochTolerance: step,
    })
    if (!found.valid || !('timeStep' in found)) return null
    return found.timeStep > last ? found.timeStep : null
  }

  async function takeRecoveryCode(account: number, code: string) {
    const { numUpdatedRows } = await db
      .updateTable('recovery_codes')
      .set({ used_at: now() })
      .where('account_id', '=', account)
      .where('code_hash', '=', hashOf(account, code))
      .where('used_at', 'is', null)
      .executeTakeFirstOrThrow()
    return numUpdatedRows === 1n
  }

  return {
    /** Whether a login of this account asks for a code, and how many recovery codes are left. */
    async state(account: number): Promise<{ since: number | null; codesLeft: number }> {
      const row = await find(account)
      if (!row?.confirmed_at) return { since: null, codesLeft: 0 }
      const { left } = await db
        .selectFrom('recovery_codes')
        .select(({ fn }) => fn.countAll<number>().as('left'))
        .where('account_id', '=', account)
        .where('used_at', 'is', null)
        .executeTakeFirstOrThrow()
      return { since: row.confirmed_at, codesLeft: left }
    },

    async isOn(account: number): Promise<boolean> {
      return Boolean((await find(account))?.confirmed_at)
    },

    /** Makes a secret, which asks for nothing before it is confirmed. One that is confirmed stays. */
    async begin(account: number) {
      const fresh = { secret: seal.seal(generateSecret()), begun_at: now(), last_step: 0 }
      await db
        .insertInto('two_factors')
        .values({ account_id: account, ...fresh, confirmed_at: null })
        .onConflict((conflict) =>
          conflict.column('account_id').doUpdateSet(fresh).where('two_factors.confirmed_at', 'is', null),
        )
        .execute()
    },

    /** What an authenticator needs to know while the second factor waits to be confirmed; null when none does. */
    async waiting(account: number, username: string): Promise<{ secret: string; address: string } | null> {
      const row = await find(account)
      if (!row || row.confirmed_at !== null || now() - row.begun_at > confirmTime) return null
      const secret = seal.open(row.secret)
      if (secret === null) return null
      return { secret, address: generateURI({ issuer: 'Throughline', label: username, secret }) }
    },

    /**
     * From here on a login asks for a code.
     * @returns the recovery codes, which are kept as hashes alone; null when the code is wrong or nothing waits
     */
    async confirm(account: number, typed: string): Promise<string[] | null> {
      const row = await find(account)
      const code = digitsOf(typed)
      if (!row || row.confirmed_at !== null || now() - row.begun_at > confirmTime || !code) return null
      const secret = seal.open(row.secret)
      const taken = secret === null ? null : stepOf(secret, code, row.last_step)
      if (taken === null) return null
      return db.transaction().execute(async (tx) => {
        await tx
          .updateTable('two_factors')
          .set({ confirmed_at: now(), last_step: taken })
          .where('account_id', '=', account)
          .execute()
        return replaceRecoveryCodes(tx, account)
      })
    },

    /** Takes a code of the authenticator or a recovery code: neither is taken a second time. */
    async take(account: number, typed: string): Promise<CodeFound> {
      const code = digitsOf(typed)
      if (!code) return (await takeRecoveryCode(account, typed)) ? 'recovery code' : 'wrong'
      const row = await find(account)
      if (!row?.confirmed_at) return 'wrong'
      const secret = seal.open(row.secret)
      if (secret === null) return 'unreadable'
      const taken = stepOf(secret, code, row.last_step)
      if (taken === null) return 'wrong'
      const { numUpdatedRows } = await db
        .updateTable('two_factors')
        .set({ last_step: taken })
        .where('account_id', '=', account)
        .where('last_step', '<', taken)
        .executeTakeFirstOrThrow()
      return numUpdatedRows === 1n ? 'code' : 'wrong'
    },

    /** New recovery codes; those from before work no longer. */
    newRecoveryCodes: (account: number) =>
      db.transaction().execute((tx) => replaceRecoveryCodes(tx, account)),

    turnOff: (account: number) => turnOffTwoFactor(db, account),
  }
}
export type TwoFactor = ReturnType<typeof twoFactor>

/** The password alone is enough from here on. @returns whether it was on */
export async function turnOffTwoFactor(db: Db, account: number): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    await tx.deleteFrom('recovery_codes').where('account_id', '=', account).execute()
    const gone = await tx
      .deleteFrom('two_factors')
      .where('account_id', '=', account)
      .returning('confirmed_at')
      .executeTakeFirst()
    return Boolean(gone?.confirmed_at)
  })
}

async function replaceRecoveryCodes(tx: Db, account: number): Promise<string[]> {
  const codes = Array.from({ length: recoveryCodeCount }, newCode)
  await tx.deleteFrom('recovery_codes').where('account_id', '=', account).execute()
  await tx
    .insertInto('recovery_codes')
    .values(codes.map((code) => ({ account_id: account, code_hash: hashOf(account, code), used_at: null })))
    .execute()
  return codes
}

/** Four groups of four, to be copied by hand. */
function newCode() {
  const letters = Array.from({ length: 16 }, () => alphabet[randomInt(alphabet.length)])
  return letters.join('').replace(/(.{4})(?=.)/g, '$1-')
}

/** However it was typed: case, spaces and dashes are one. */
const hashOf = (account: number, code: string) =>
  createHash('sha256')
    .update(`recovery ${account} ${code.toLowerCase().replace(/[^a-z0-9]/g, '')}`)
    .digest('hex')

/** Six digits, with or without a space; null for anything else. */
function digitsOf(typed: string) {
  const digits = typed.replace(/\s/g, '')
  return /^\d{6}$/.test(digits) ? digits : null
}
