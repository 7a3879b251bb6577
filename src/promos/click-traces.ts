import { hash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { monthBefore } from '../audience/internet-addresses.js'
import type { Db } from '../database/open.js'

const purpose = 'promo_clicks'
const monthOf = (at: number) => new Date(at).toISOString().slice(0, 7)

/** The same for who asks often: most instants are of the month that was asked for before. */
function rememberedMonth() {
  let known = { month: '', from: 0, until: 0 }
  return (at: number) => {
    if (at < known.from || at >= known.until) {
      const month = monthOf(at)
      const [year, number] = month.split('-').map(Number) as [number, number]
      known = { month, from: Date.UTC(year, number - 1), until: Date.UTC(year, number) }
    }
    return known.month
  }
}

/**
 * Turns a reader's internet address into what may be stored: SHA-256 of the month's secret salt and the address. Each month
 * (UTC) has a salt of its own; the one before the last is destroyed, and no hash of that time can be tied to an address again.
 */
export function clickAddresses() {
  const salts = new Map<string, string>()
  const monthAt = rememberedMonth()

  async function saltOf(tx: Db, month: string) {
    const known = salts.get(month)
    if (known) return known
    const stored = await tx
      .selectFrom('salts')
      .select('salt')
      .where('purpose', '=', purpose)
      .where('month', '=', month)
      .executeTakeFirst()
    const bytes = Buffer.from(stored?.salt ?? randomBytes(32))
    if (!stored) {
      await tx.insertInto('salts').values({ purpose, month, salt: bytes }).execute()
      await destroyClickSalts(tx, { before: monthBefore(month) })
    }
    if (salts.size >= 3) salts.clear()
    salts.set(month, bytes.toString('hex'))
    return salts.get(month)!
  }

  return {
    /** @param at the instant of the click: it decides the month of the salt */
    hash: async (tx: Db, address: string, at: number) =>
      hash('sha256', `${await saltOf(tx, monthAt(at))} ${address}`, 'hex'),
    /** After a rollback. */
    forget: () => salts.clear(),
  }
}

/** Destroys the salts of months before the last one, where no click of a new month has done it. */
export const destroyOldClickSalts = (db: Db, now: number) =>
  destroyClickSalts(db, { before: monthBefore(monthOf(now)) })

async function destroyClickSalts(tx: Db, { before }: { before: string }) {
  await tx.deleteFrom('salts').where('purpose', '=', purpose).where('month', '<', before).execute()
}

/** An e-mail address, plainly or percent-encoded. */
const mailbox = /[^\s@]+(?:@|%40)[^\s@]+/i
const allMailboxes = new RegExp(mailbox.source, 'gi')

/** Looking for the sign first spares most texts a search that begins anew at each of their words. */
export const holdsMailbox = (text: string) =>
  (text.includes('@') || text.includes('%40')) && mailbox.test(text)

/** An internet address of version 4; in names of hosts also with dashes. */
const dotted = /(?<!\d)\d{1,3}(?:\.\d{1,3}){3}(?!\d)/
const dottedOrDashed = /(?<!\d)\d{1,3}(?:[.-]\d{1,3}){3}(?!\d)/

/** @param text a few words */
export const holdsAddress = (text: string) =>
  dotted.test(text) || (text.includes(':') && text.split(/[^\w:.]+/).some((word) => isIP(word) > 0))

/**
 * What may be kept of a referrer: a plain word (`newsletter`) or the host of an address. Paths, queries and whatever looks
 * like a person's or a machine's address go.
 */
export function keptReferrer(text: string): string {
  const trimmed = text.trim()
  const isUrl = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)
  if (isUrl) {
    if (!URL.canParse(trimmed)) return ''
    const host = new URL(trimmed).hostname
    return host.startsWith('[') || dottedOrDashed.test(host) || holdsMailbox(host) ? '' : host.slice(0, 253)
  }
  const word = trimmed.replace(/[?#].*$/s, '').trim()
  if (holdsMailbox(word) || dottedOrDashed.test(word) || /\d{5}/.test(word)) return ''
  return /^[\p{L}\p{N} ._-]{1,80}$/u.test(word) ? word : ''
}

/** Four numbers that are no version, as in `Chrome/124.0.0.0`. */
const addressesInAgents = /(?<![\w.])(?<!\w\/)\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)/g
const withColons = /(?<![\w:.])[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*/gi

/** A user agent without the mailbox that some crawlers carry in theirs, and without internet addresses. */
export function keptUserAgent(text: string): string {
  let kept = holdsMailbox(text) ? text.replace(allMailboxes, '') : text
  kept = kept.replace(addressesInAgents, '')
  if (kept.indexOf(':') !== kept.lastIndexOf(':'))
    kept = kept.replace(withColons, (word) => (isIP(word) ? '' : word))
  return kept === text ? text.trim() : kept.replace(/ {2,}/g, ' ').trim()
}
