import { connectionOf } from './compiled.js'
import type { FileConnection } from './dialect.js'
import type { Db } from './open.js'

/**
 * Runs a transaction and answers once it is committed, ahead of the disk, so that the next one can begin meanwhile.
 * @returns what the work came to, and the wait for the disk: nobody may be told that something is kept before it is over.
 *   It rejects with NotOnDisk
 */
export async function commitAhead<Result>(db: Db, work: (tx: Db) => Promise<Result>) {
  let connection!: FileConnection
  const result = await db.transaction().execute(async (tx) => {
    connection = (await connectionOf(tx)) as FileConnection
    connection.isAhead = true
    return work(tx)
  })
  return { result, onDisk: connection.reachDisk() }
}
