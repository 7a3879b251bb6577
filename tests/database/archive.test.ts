import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { gunzipSync } from 'node:zlib'
import Sqlite from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { projectRoot } from '../../src/config.js'
import { startArchive } from '../../src/database/archive.js'
import { readSegment, replaySegment } from '../../src/database/segment.js'
import { aFolder } from '../support/app.js'

interface Base {
  chain: string
  after: number
  through: number
  packed: string
}

/** The last of its number: a process killed between a segment and its note of it leaves one behind that the next replaces. */
const segmentFile = (folder: string, chain: string, number: number) => {
  const found = readdirSync(join(folder, 'segments', chain))
    .sort()
    .findLast((name) => name.startsWith(`${String(number).padStart(8, '0')}-`) && name.endsWith('.wal.gz'))
  return found === undefined ? null : join(folder, 'segments', chain, found)
}

/** What a base and its segments up to a number hold: as many rows, each what it has to be, and the count of them. */
function rowsAfter(folder: string, base: Base, upTo: number): number {
  const path = join(aFolder(), 'restored.db')
  writeFileSync(path, gunzipSync(readFileSync(base.packed)))
  let previous = ''
  for (let number = base.after + 1; number <= upTo; number++) {
    const file = segmentFile(folder, base.chain, number)
    if (!file) throw new Error(`Segment ${number} of ${base.chain} is missing.`)
    const segment = readSegment(file)
    if (previous) expect(segment.head.previous).toBe(previous)
    previous = segment.sha256
    replaySegment(path, segment)
  }
  const db = new Sqlite(path)
  try {
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
    const { rows, most } = db.prepare('select count(*) as rows, max(id) as most from facts').get() as {
      rows: number
      most: number
    }
    expect(most ?? 0).toBe(rows) // 1, 2, 3 … without a gap
    const { total } = db.prepare('select total from counts').get() as { total: number }
    expect(total).toBe(rows)
    return rows
  } finally {
    db.close()
  }
}

describe('the archive of the log', () => {
  it('loses nothing that was acknowledged and sealed, through kills at any moment', async () => {
    const folder = aFolder()
    const bases: Base[] = []
    const seals: { chain: string; number: number; acknowledged: number }[] = []
    const troubles: string[] = []
    let acknowledged = 0
    for (let round = 0; round < 6; round++) {
      const child: ChildProcess = spawn(
        process.execPath,
        ['--import', 'tsx', 'tests/support/archive-writer.ts', folder],
        { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'] },
      )
      onTestFinished(() => void child.kill('SIGKILL'))
      // Killed in the middle of its work, counted in acknowledgements and not in milliseconds.
      const killAfter = 60 + Math.floor(Math.random() * 300)
      let inRound = 0
      let isBased = bases.length > 0
      for await (const line of createInterface(child.stdout!)) {
        const [word, ...rest] = line.split(' ')
        if (word === 'trouble') troubles.push(line)
        if (word === 'base') {
          bases.push({ chain: rest[0]!, after: +rest[1]!, through: +rest[2]!, packed: rest[3]! })
          isBased = true
        }
        if (word === 'sealed')
          seals.push({ chain: rest[0]!, number: +rest[1]!, acknowledged: Number(rest[2]) })
        if (word !== 'ack') continue
        acknowledged = Number(rest[0])
        if (++inRound >= killAfter && isBased) child.kill('SIGKILL')
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      expect(child.signalCode).toBe('SIGKILL')
    }
    expect(troubles).toEqual([])
    // One chain through all kills: each process went on where the one before had been.
    expect(new Set(bases.map(({ chain }) => chain)).size).toBe(1)
    const [base] = bases
    const later = seals.filter(({ number }) => number >= base!.through)
    expect(later.length).toBeGreaterThan(20)
    const some = later.filter((_, index) => index % Math.ceil(later.length / 12) === 0)
    for (const { number, acknowledged: least } of [...some, later.at(-1)!])
      expect(rowsAfter(folder, base!, number)).toBeGreaterThanOrEqual(least)

    // The database itself has every acknowledged row, and the log did not grow without end.
    copyFileSync(join(folder, 'a.db'), join(folder, 'whole.db'))
    copyFileSync(join(folder, 'a.db-wal'), join(folder, 'whole.db-wal'))
    const whole = new Sqlite(join(folder, 'whole.db'))
    onTestFinished(() => void whole.close())
    const { rows } = whole.prepare('select count(*) as rows from facts').get() as { rows: number }
    expect(rows).toBeGreaterThanOrEqual(acknowledged)
    expect(statSync(join(folder, 'a.db')).size).toBeGreaterThan(4096)
  }, 400_000)

  /** A database with an archive that works only when asked. */
  async function archived() {
    const folder = aFolder()
    const path = join(folder, 'a.db')
    const file = new Sqlite(path)
    file.pragma('journal_mode = wal')
    file.pragma('wal_autocheckpoint = 0')
    file.exec('create table facts (id integer primary key) strict')
    const chains: string[] = []
    const begin = () =>
      startArchive({
        path,
        folder: join(folder, 'segments'),
        segmentEvery: 1e9,
        look: 1e8,
        largest: 1e12,
        idle: 1e12,
        chainBegan: (why) => chains.push(why),
      })
    const add = () => file.exec('insert into facts default values')
    onTestFinished(() => void file.close())
    return { folder, path, file, begin, add, chains }
  }

  it('seals nothing where nothing was written, and each commit once', async () => {
    const { folder, begin, add } = await archived()
    const archive = begin()
    const first = await archive.seal()
    expect(first.number).toBe(0) // what was there before belongs to the base
    add()
    add()
    expect(await archive.seal()).toEqual({ chain: first.chain, number: 1 })
    expect(await archive.seal()).toEqual({ chain: first.chain, number: 1 })
    await archive.checkpoint()
    add() // the log begins anew
    expect(await archive.seal()).toEqual({ chain: first.chain, number: 2 })
    await archive.stop()
    const { head } = readSegment(segmentFile(folder, first.chain, 2)!)
    expect(head.pages).toBeLessThan(3)
    expect(statSync(segmentFile(folder, first.chain, 2)!).mode & 0o777).toBe(0o600)
  })

  it('goes on after a restart, and begins a new chain where the log is another one', async () => {
    const { path, begin, add, chains } = await archived()
    let archive = begin()
    const { chain } = await archive.seal()
    add()
    await archive.stop()
    archive = begin()
    add()
    expect((await archive.seal()).chain).toBe(chain)
    await archive.checkpoint()
    await archive.stop()
    add() // the log begins anew while nobody archives
    archive = begin()
    expect((await archive.seal()).chain).toBe(chain)
    await archive.stop()
    // Another program brings the log back, as often as it likes.
    const other = new Sqlite(path)
    for (let time = 0; time < 2; time++) {
      other.exec('insert into facts default values')
      other.pragma('wal_checkpoint(truncate)')
    }
    other.close()
    add()
    archive = begin()
    expect((await archive.seal()).chain).not.toBe(chain)
    await archive.stop()
    expect(chains).toEqual(['first', 'other log'])
    expect(existsSync(path)).toBe(true)
  })

  it('goes on where another connection is the first to write to a log that begins anew', async () => {
    const { folder, path, begin, add, chains } = await archived()
    const archive = begin()
    const { chain } = await archive.seal()
    for (let time = 0; time < 3; time++) {
      add() // each time this one counts a log of its own
      await archive.checkpoint()
      const command = new Sqlite(path)
      command.pragma('wal_autocheckpoint = 0')
      command.exec('insert into facts default values')
      command.close()
      expect((await archive.seal()).chain).toBe(chain)
      await archive.checkpoint()
    }
    const { number } = await archive.seal()
    await archive.stop()
    expect(chains).toEqual(['first'])
    expect(number).toBe(6)
    expect(segmentFile(folder, chain, number)).not.toBeNull()
  })

  it('notices while it runs that another program has written over the log', async () => {
    const { path, begin, add, chains } = await archived()
    const archive = begin()
    const { chain } = await archive.seal()
    add()
    const other = new Sqlite(path)
    other.pragma('wal_checkpoint(truncate)')
    other.close()
    add()
    expect((await archive.seal()).chain).not.toBe(chain)
    await archive.stop()
    expect(chains).toEqual(['first', 'overwritten'])
  })

  it('replaces what a process left that was killed while it sealed', async () => {
    const { folder, begin, add } = await archived()
    let archive = begin()
    const { chain } = await archive.seal()
    add()
    await archive.stop()
    const inChain = (name: string) => join(folder, 'segments', chain, name)
    writeFileSync(inChain('00000002-20000101T000000000Z.wal.gz.part'), 'half of it')
    writeFileSync(inChain('00000002-20000101T000000000Z.wal.gz'), 'whole, and not noted')
    archive = begin()
    add()
    expect(await archive.seal()).toEqual({ chain, number: 2 })
    await archive.stop()
    expect(readdirSync(join(folder, 'segments', chain)).filter((name) => name.endsWith('.part'))).toEqual([])
    const { head } = readSegment(segmentFile(folder, chain, 2)!)
    expect(head.previous).toBe(readSegment(segmentFile(folder, chain, 1)!).sha256)
  })

  it('does not let the log begin anew as long as something of it is not sealed', async () => {
    const { file, begin, add, path } = await archived()
    const archive = begin()
    await archive.seal()
    add()
    const reading = new Sqlite(path, { readonly: true })
    reading.exec('begin')
    reading.prepare('select count(*) from facts').get()
    add()
    await archive.checkpoint() // the reader stays at the first row
    add()
    reading.exec('commit')
    reading.close()
    add()
    const { number } = await archive.seal()
    expect(number).toBeGreaterThanOrEqual(2)
    expect(file.prepare('select count(*) as rows from facts').get()).toEqual({ rows: 4 })
    await archive.stop()
  })

  it('knows a segment that is not what was written', async () => {
    const { folder, begin, add } = await archived()
    const archive = begin()
    await archive.seal()
    add()
    const { chain, number } = await archive.seal()
    await archive.stop()
    const file = segmentFile(folder, chain, number)!
    const bytes = readFileSync(file)
    bytes[bytes.length - 20]! ^= 1
    writeFileSync(file, bytes)
    expect(() => readSegment(file)).toThrow()
  })
})
