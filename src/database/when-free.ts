import { setTimeout as pause } from 'node:timers/promises'
import { isUnavailable } from './errors.js'

/**
 * Writes what nobody waits for: while the database is busy with something else, such as bringing its log back, it is tried
 * again three times a second.
 * @param goesOn whether it is tried once more after so many tries
 * @throws what the last try threw
 */
export async function whenFree<Result>(
  write: () => Promise<Result>,
  goesOn = (tries: number) => tries < 50,
): Promise<Result> {
  for (let tries = 1; ; tries++) {
    try {
      return await write()
    } catch (error) {
      if (!isUnavailable(error) || !goesOn(tries)) throw error
      await pause(300)
    }
  }
}
