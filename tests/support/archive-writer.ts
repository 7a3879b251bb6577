// A process that writes rows to an archived database as fast as it can, tells what it was acknowledged and what is sealed,
// and is killed at any moment. Arguments: the folder.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Sqlite from 'better-sqlite3'
import { startArchive } from '../../src/database/archive.js'
import { packCopy } from '../../src/database/backup.js'

const folder = process.argv[2]!
const path = join(folder, 'a.db')
const file = new Sqlite(path, { timeout: 2_000 })
file.pragma('page_size = 2048')
file.pragma('journal_mode = wal')
file.pragma('synchronous = full')
file.pragma('wal_autocheckpoint = 0')
file.exec(`
  create table if not exists facts (id integer primary key, word text) strict;
  create table if not exists counts (name text primary key, total integer not null) strict;
  create table if not exists kysely_migration (name text primary key) strict;
  insert or ignore into kysely_migration values ('0001');
  insert or ignore into counts values ('facts', 0)`)

async function tell(line: string) {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
}

const bases: Promise<void>[] = []
const archive = startArchive({
  path,
  folder: join(folder, 'segments'),
  segmentEvery: 40,
  look: 10,
  largest: 60_000,
  idle: 100,
  chainBegan: () => bases.push(takeBase()),
  trouble: (message) => void tell(`trouble ${message}`),
})

let base = 0
async function takeBase() {
  const { chain, number } = await archive.seal()
  let through = number
  let sealing: Promise<unknown> = Promise.resolve()
  const packed = join(folder, `base-${process.pid}-${base++}.gz`)
  await packCopy({
    path,
    raw: `${packed}.raw`,
    packed,
    counted: ['facts'],
    signal: new AbortController().signal,
    snapshot() {
      sealing = archive.seal().then((sealed) => {
        through = sealed.number
      })
    },
    progress() {},
  })
  await sealing
  await tell(`base ${chain} ${number} ${through} ${packed}`)
}

const insert = file.prepare('insert into facts (id, word) values (?, ?)')
const count = file.prepare('update counts set total = total + ?')
let last = (file.prepare('select coalesce(max(id), 0) as id from facts').get() as { id: number }).id
const write = file.transaction((rows: number) => {
  for (let row = 0; row < rows; row++) insert.run(last + row + 1, `${last + row + 1} `.repeat(1 + (row % 40)))
  count.run(rows)
})

// Readers that stay for a while keep the log from beginning anew at any moment.
const other = new Sqlite(path, { readonly: true })
async function read() {
  for (;;) {
    other.exec('begin')
    other.prepare('select count(*) from facts').get()
    await pause(Math.random() * 60)
    other.exec('commit')
    await pause(Math.random() * 60)
  }
}
void read()

await tell('begun')
for (let round = 0; ; round++) {
  const rows = 1 + Math.floor(Math.random() * 30)
  try {
    write.immediate(rows)
    last += rows
    await tell(`ack ${last}`)
  } catch (error) {
    if (!/BUSY/.test((error as { code: string }).code)) throw error
  }
  if (round % 15 === 0) {
    const acknowledged = last
    void archive.seal().then(({ chain, number }) => tell(`sealed ${chain} ${number} ${acknowledged}`))
  }
  if (round % 3 === 0) await pause(Math.random() * 4)
  await new Promise(setImmediate)
}
