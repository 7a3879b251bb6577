import { randomBytes } from 'node:crypto'
import { closeSync, fsyncSync, openSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { type Backup, listBackups } from '../../src/operations/backup-files.js'
import { type Filling, makeDatabase } from './database.js'
import { busyDay, together } from './ingestion.js'
import type { Outcome, Spell } from './load.js'
import type { Visitor } from './pages.js'
import type { Client, Running } from './processes.js'
import { ms, number, seconds, told } from './report.js'

/** How large the database is that is backed up, in bytes; what the events do not fill, deliveries of a provider do. */
export interface BackedUp extends Filling {
  bytes: number
}

/** An installation with a database of that size. */
export async function largeDatabase(dataDir: string, { bytes, ...filling }: BackedUp) {
  await makeDatabase(dataDir, filling)
  const path = join(dataDir, 'throughline.db')
  const file = new Sqlite(path)
  file.pragma('journal_mode = off')
  file.pragma('synchronous = off')
  const insert = file.prepare(
    `insert into inbox (provider, key, event_type, received_at, body, state)
     values ('buttondown', ?, 'subscriber.opened', ?, ?, 'done')`,
  )
  // Half of each delivery packs well, as text does, and half of it not at all.
  const body = () => Buffer.concat([Buffer.alloc(8192, ' '), randomBytes(8192)])
  const now = Date.now()
  const size = () => statSync(path).size
  for (let at = 0; size() < bytes; )
    file.transaction(() => {
      for (const end = at + 2_000; at < end; at++) insert.run(`delivery ${at}`, now, body())
    })()
  file.close()
  // Else the system brings it to the disk in the middle of what is measured.
  const written = openSync(path, 'r+')
  fsyncSync(written)
  closeSync(written)
}

const newest = (dataDir: string): Backup | undefined => listBackups(join(dataDir, 'backups'))[0]

/**
 * Backs up while events come in, in turns as on a busy day and at half of what the door takes at the most.
 * @returns what the door takes at the most; what came of both alone, meanwhile, and in the worst spell; how long the backup
 *   took in milliseconds, and its bytes
 */
export async function backUpBesideDoors({
  dataDir,
  server,
  person,
  client,
  mix,
  milliseconds,
}: {
  dataDir: string
  server: Running
  person: Visitor
  client: Client
  mix: Spell['mix']
  milliseconds: number
}) {
  const spell = { port: server.port, connections: 32, mix, milliseconds }
  await client.run(spell)
  const most = await client.run(spell)
  const loads = [busyDay, most.perSecond / 2].map((pace) => ({ ...spell, pace }))
  const alone: Outcome[] = []
  for (const load of loads) alone.push(await client.run(load))
  const before = newest(dataDir)?.name
  const isDone = () => newest(dataDir) !== undefined && newest(dataDir)!.name !== before
  const began = performance.now()
  await person.form('/operations/jobs/back-up')
  const spells: Outcome[][] = loads.map(() => [])
  server.longestWait()
  for (let turn = 0; !isDone(); turn = (turn + 1) % loads.length) {
    const from = performance.now() - began
    const outcome = await client.run(loads[turn]!)
    spells[turn]!.push(outcome)
    const { perSecond, p99, max } = outcome
    told(
      `${seconds(from)}: ${number(perSecond)} a second, p99 ${ms(p99)}, longest ${ms(max)}, event loop ${ms(server.longestWait())}`,
    )
  }
  const took = performance.now() - began
  for (const { refused } of [...alone, ...spells.flat()])
    if (refused > 0) throw new Error(`${refused} requests were refused.`)
  const { manifest } = newest(dataDir)!
  return {
    most,
    loads: alone.map((outcome, turn) => ({
      alone: outcome,
      meanwhile: together(spells[turn]!),
      worst: Math.max(...spells[turn]!.map(({ p99 }) => p99)),
    })),
    took,
    bytes: manifest.database_bytes,
    packed: manifest.bytes,
  }
}
