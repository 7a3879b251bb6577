import { hash, randomBytes } from 'node:crypto'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'

/** What is kept of a person's internet address. */
export const addressPrivacies = ['hashed', 'raw', 'none'] as const
export type AddressPrivacy = (typeof addressPrivacies)[number]

const setting = 'address_privacy'

/** Hashed until somebody decides otherwise. */
export async function addressPrivacy(db: Db): Promise<AddressPrivacy> {
  const value = await readSetting(db, setting)
  return addressPrivacies.find((privacy) => privacy === value) ?? 'hashed'
}

export async function setAddressPrivacy(db: Db, privacy: AddressPrivacy) {
  await writeSetting(db, setting, privacy)
}

/**
 * Turns addresses into what may be stored, as the setting says. Hashes are SHA-256 of a secret salt and the address,
 * cut to 132 bits; the salt changes each month (UTC), and the salt before the last is destroyed, so that old hashes can never
 * be tied to an address again.
 */
export function addressKeeper() {
  let privacy: AddressPrivacy | null = null
  let salt: { month: string; hex: string } | null = null

  async function saltOf(tx: Db, month: string) {
    if (salt?.month === month) return salt.hex
    const stored = await tx
      .selectFrom('salts')
      .select('salt')
      .where('purpose', '=', 'addresses')
      .where('month', '=', month)
      .executeTakeFirst()
    const value = Buffer.from(stored?.salt ?? randomBytes(32))
    if (!stored) {
      await tx.insertInto('salts').values({ purpose: 'addresses', month, salt: value }).execute()
      await destroySalts(tx, { before: monthBefore(month) })
    }
    salt = { month, hex: value.toString('hex') }
    return salt.hex
  }

  /** Events come in order, nearly always: the month is read from the calendar once a minute. */
  let minute = { number: Number.NaN, month: '' }
  function saltFor(tx: Db, at: number) {
    const number = Math.floor(at / 60_000)
    if (number !== minute.number) minute = { number, month: new Date(at).toISOString().slice(0, 7) }
    return saltOf(tx, minute.month)
  }

  return {
    /**
     * @param address as the caller told it, or null when it is not known
     * @param at instant of the event; it decides the month of the salt
     */
    async keep(tx: Db, address: string | null, at: number): Promise<string | null> {
      if (address === null) return null
      privacy ??= await addressPrivacy(tx)
      if (privacy === 'none') return null
      if (privacy === 'raw') return address
      return hash('sha256', `${await saltFor(tx, at)} ${address}`, 'base64url').slice(0, 22)
    },
    /** After a rollback, and after the setting changed. */
    forget() {
      privacy = null
      salt = null
    },
  }
}

/**
 * Destroys the salts of months before the last one. A new month's first event does it too; this is for installations
 * where none comes.
 */
export const destroyOldSalts = (db: Db, now: number) =>
  destroySalts(db, { before: monthBefore(new Date(now).toISOString().slice(0, 7)) })

async function destroySalts(tx: Db, { before }: { before: string }) {
  await tx.deleteFrom('salts').where('purpose', '=', 'addresses').where('month', '<', before).execute()
}

/** The month, `YYYY-MM`, before one. */
export function monthBefore(month: string) {
  const [year, number] = month.split('-').map(Number) as [number, number]
  return new Date(Date.UTC(year, number - 2)).toISOString().slice(0, 7)
}
