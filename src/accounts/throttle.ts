import { createHmac } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { Db } from '../database/open.js'

const minute = 60_000
/** So many wrong passwords … */
export const patience = 10
/** … within so long slow the next tries down, for as long again … */
const slowTime = 15 * minute
/** … to one in this time. */
const slowStep = 30_000

/** A try that may be checked. It counts as wrong until it is forgiven, so that many at once cannot slip through. */
interface Try {
  ids: number[]
}
/** A try that is not checked: how long to wait, in milliseconds. */
interface Wait {
  wait: number
}

/**
 * Slows down the guessing of passwords, for a name and for an address. Names that nobody has are treated like the
 * others. Keys are kept hashed with the installation's secret.
 */
export function loginThrottle({ db, now, secret }: { db: Db; now: () => number; secret: string }) {
  const key = (text: string) => createHmac('sha256', secret).update(`login ${text}`).digest('base64url')

  return {
    /** @param address null where there is none, as when a person who is logged in gives their password again */
    async claim(username: string, address: string | null): Promise<Try | Wait> {
      const at = now()
      const keys = [key(`name ${username}`)]
      if (address !== null) keys.push(key(`address ${network(address)}`))
      return db.transaction().execute(async (tx) => {
        // What failed later than now was noted by a clock that was ahead: it would hold everybody up until then.
        await tx
          .deleteFrom('login_failures')
          .where(({ or, eb }) => or([eb('failed_at', '<', at - 2 * slowTime), eb('failed_at', '>', at)]))
          .execute()
        let wait = 0
        for (const key_hash of keys) {
          const failures = await tx
            .selectFrom('login_failures')
            .select('failed_at')
            .where('key_hash', '=', key_hash)
            .orderBy('failed_at')
            .execute()
          wait = Math.max(
            wait,
            waitAfter(
              failures.map(({ failed_at }) => failed_at),
              at,
            ),
          )
        }
        if (wait > 0) return { wait }
        const rows = await tx
          .insertInto('login_failures')
          .values(keys.map((key_hash) => ({ key_hash, failed_at: at })))
          .returning('id')
          .execute()
        return { ids: rows.map(({ id }) => id) }
      })
    },

    /** The password was right. Older failures stay: one right login must not buy an address new guesses. */
    async forgive({ ids }: Try) {
      await db.deleteFrom('login_failures').where('id', 'in', ids).execute()
    },
  }
}
export type LoginThrottle = ReturnType<typeof loginThrottle>

/**
 * Milliseconds until the next try may be checked.
 * @param failures instants, oldest first, of the last two spans at least
 */
export function waitAfter(failures: number[], now: number): number {
  const slow = failures.some((at, index) => {
    const first = failures[index - patience + 1]
    return first !== undefined && at - first < slowTime && now - at < slowTime
  })
  const last = failures.at(-1)
  return slow && last !== undefined ? Math.max(0, last + slowStep - now) : 0
}

/** One household has one IPv4 address, but a whole /64 of IPv6. */
function network(address: string) {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped) return mapped
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const before = head.split(':').filter(Boolean)
  const after = tail?.split(':').filter(Boolean) ?? []
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  const groups = [...before, ...Array<string>(Math.max(0, zeros)).fill('0'), ...after]
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
