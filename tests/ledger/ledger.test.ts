import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { sql } from 'kysely'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { LogOnDisk, NotOnDisk } from '../../src/database/log-on-disk.js'
import { type Db, openDatabase } from '../../src/database/open.js'
import {
  FactRefused,
  isDatabaseBusy,
  Ledger,
  LedgerFull,
  LedgerUnavailable,
  type Recorder,
} from '../../src/ledger/ledger.js'
import { aFolder } from '../support/app.js'

async function aLedger({
  patience = 2_000,
  ...options
}: {
  capacity?: number
  batch?: number
  patientShare?: number
  patience?: number
} = {}) {
  const path = join(aFolder(), 'ledger.db')
  const db = openDatabase(path, { patience })
  onTestFinished(() => db.destroy())
  await sql`create table facts (id integer primary key, word text not null unique) strict`.execute(db)
  return { path, db, ledger: new Ledger({ db, ...options }) }
}

/** Writes a word; refuses the empty one after it has written, so that only a rollback can undo it. */
const words = () => {
  const recorder = {
    transactions: 0,
    forgotten: 0,
    begin() {
      recorder.transactions++
    },
    async record(tx: Db, word: string) {
      const { rows } = await sql<{
        id: number
      }>`insert into facts (word) values (${word}) returning id`.execute(tx)
      if (word === '') throw new Error('A word has letters.')
      return rows[0]!.id
    },
    async finish(_tx: Db) {},
    forget() {
      recorder.forgotten++
    },
  }
  return recorder satisfies Recorder<string, number>
}
/** Doors, and patient facts each of which takes so many milliseconds of a clock that stands still otherwise. */
async function aSlowPatient(milliseconds: number) {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { db, ledger } = await aLedger({ patientShare: 3 })
  const patient = words()
  const { record } = patient
  patient.record = async (tx, word) => {
    vi.advanceTimersByTime(milliseconds)
    return record(tx, word)
  }
  const write = ledger.register(words())
  return { db, ledger, patient, write, writeLater: ledger.register(patient, { patient: true }) }
}
const wordsOf = async (db: Db) =>
  (await sql<{ word: string }>`select word from facts order by id`.execute(db)).rows.map((row) => row.word)

describe('the ledger', () => {
  it('answers each fact with what its recorder made of it', async () => {
    const { db, ledger } = await aLedger()
    const write = ledger.register(words())
    expect(await write('one')).toBe(1)
    expect(await write('two')).toBe(2)
    expect(await wordsOf(db)).toEqual(['one', 'two'])
  })

  it('keeps a tally of what it wrote, refused and had no room for, and of the minutes', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const { path, ledger } = await aLedger({ capacity: 2, patience: 20 })
    const write = ledger.register(words())
    const full = await Promise.allSettled([write('one'), write('two'), write('three')])
    expect(full[2]).toMatchObject({ reason: expect.any(LedgerFull) })
    await expect(write('')).rejects.toThrow()
    const before = ledger.tally.perMinute()
    expect(before.at(-1)).toBe(2)
    vi.advanceTimersByTime(60_000)
    await write('four')
    expect(ledger.tally.perMinute().slice(-2)).toEqual([2, 1])
    vi.advanceTimersByTime(2 * 3_600_000)
    expect(ledger.tally.perMinute()).toEqual(Array.from({ length: 60 }, () => 0))
    expect(ledger.tally).toMatchObject({ written: 3, refused: 1, full: 1, batches: 3, largestBatch: 2 })
    ledger.tally.note([], 5000)
    expect(ledger.tally.commits.at(-1)).toBe(1)
    expect(ledger.tally.longestCommit).toBe(5000)
    expect(ledger.capacity).toBe(2)
    vi.useRealTimers()
    const lock = new Sqlite(path)
    lock.exec('begin immediate')
    await expect(write('five')).rejects.toThrow(LedgerUnavailable)
    lock.close()
    expect(ledger.tally.unavailable).toBe(1)
  })

  it('commits together what arrives together', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const write = ledger.register(recorder)
    await Promise.all(Array.from({ length: 40 }, (_, index) => write(`word ${index}`)))
    expect(recorder.transactions).toBe(1)
    expect(await wordsOf(db)).toHaveLength(40)
  })

  it('puts no more than a batch into one transaction', async () => {
    const { ledger } = await aLedger({ batch: 10 })
    const recorder = words()
    const write = ledger.register(recorder)
    await Promise.all(Array.from({ length: 35 }, (_, index) => write(`word ${index}`)))
    expect(recorder.transactions).toBe(4)
  })

  it('takes what arrives while a transaction runs into the next', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const write = ledger.register(recorder)
    const late: Promise<number>[] = []
    recorder.finish = async () => {
      if (late.length === 0) late.push(write('late'))
    }
    await write('early')
    expect(await Promise.all(late)).toEqual([2])
    expect(recorder.transactions).toBe(2)
    expect(await wordsOf(db)).toEqual(['early', 'late'])
  })

  it('tells nobody before the disk has it, and goes on meanwhile', async () => {
    const { db, ledger } = await aLedger()
    const write = ledger.register(words())
    const waits: (() => void)[] = []
    const reach = vi
      .spyOn(LogOnDisk.prototype, 'reach')
      .mockImplementation(() => new Promise((done) => waits.push(done)))
    onTestFinished(() => reach.mockRestore())
    const told: string[] = []
    const tell = (word: string) => write(word).then(() => told.push(word))
    const first = tell('one')
    await vi.waitFor(() => expect(waits).toHaveLength(1))
    const second = tell('two')
    await vi.waitFor(() => expect(waits).toHaveLength(2))
    expect(await wordsOf(db)).toEqual(['one', 'two'])
    expect(told).toEqual([])
    expect(ledger.depth).toBe(2)
    waits[1]!()
    await second
    expect(told).toEqual(['two'])
    let isClosed = false
    const closing = ledger.close().then(() => {
      isClosed = true
    })
    await new Promise(setImmediate)
    expect(isClosed).toBe(false)
    waits[0]!()
    await Promise.all([first, closing])
    expect(told).toEqual(['two', 'one'])
    expect(ledger.depth).toBe(0)
  })

  it('calls nothing kept, and writes nothing twice, where the disk does not confirm it', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const write = ledger.register(recorder)
    const reach = vi
      .spyOn(LogOnDisk.prototype, 'reach')
      .mockRejectedValue(new NotOnDisk({ cause: new Error('EIO') }))
    const refuse = ledger.register<string, never>({
      async record() {
        throw new FactRefused('not this one')
      },
    })
    const [refused, ...outcomes] = await Promise.allSettled([refuse('no'), write('one'), write('two')])
    reach.mockRestore()
    expect(refused).toMatchObject({ reason: expect.any(FactRefused) })
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: expect.any(NotOnDisk) })
    expect(outcomes.every((outcome) => isDatabaseBusy((outcome as PromiseRejectedResult).reason))).toBe(false)
    expect(recorder.transactions).toBe(1)
    expect(await wordsOf(db)).toEqual(['one', 'two'])
    expect(ledger.tally).toMatchObject({ written: 0, refused: 3 })
    expect(await write('three')).toBe(3)
  })

  it('lets patient facts wait for those that somebody waits for', async () => {
    const { db, ledger } = await aLedger()
    const write = ledger.register(words())
    const writeLater = ledger.register(words(), { patient: true })
    await Promise.all([writeLater('background'), write('door'), writeLater('more background')])
    expect(await wordsOf(db)).toEqual(['door', 'background', 'more background'])
  })

  it('gives patient facts a share of each transaction, and lets the doors in between', async () => {
    const { db, ledger } = await aLedger({ patientShare: 0 })
    const patient = words()
    const { record } = patient
    const write = ledger.register(words())
    const writeLater = ledger.register(patient, { patient: true })
    const doors: Promise<number>[] = []
    patient.record = async (tx, word) => {
      doors.push(write(`door after ${word}`))
      const begun = performance.now()
      while (performance.now() === begun); // the share is used up
      return record(tx, word)
    }
    await Promise.all(['one', 'two', 'three'].map(writeLater))
    await Promise.all(doors)
    expect(await wordsOf(db)).toEqual([
      'one',
      'door after one',
      'two',
      'door after two',
      'three',
      'door after three',
    ])
  })

  it('gives patient facts more of each transaction once nobody has been at a door for a while', async () => {
    const { write, writeLater, patient } = await aSlowPatient(4)
    const transactionsOf = async (name: string) => {
      const before = patient.transactions
      await Promise.all(['1', '2', '3', '4', '5', '6'].map((number) => writeLater(`${name} ${number}`)))
      return patient.transactions - before
    }
    expect(await transactionsOf('before any door')).toBe(1)
    await write('door')
    expect(await transactionsOf('after a door')).toBe(6)
    vi.advanceTimersByTime(100)
    expect(await transactionsOf('at rest')).toBe(1)
  })

  it('lets patient facts rest beside a busy door for as long as the last ones took', async () => {
    const { db, ledger, write, writeLater } = await aSlowPatient(20)
    await write('door')
    await writeLater('first')
    const second = writeLater('second')
    const beside = write('beside it')
    await Promise.all([second, beside])
    expect(await wordsOf(db)).toEqual(['door', 'first', 'beside it', 'second'])
    // A door that has something ends a rest, and one that closes does not wait for it.
    const third = writeLater('third')
    await new Promise((resolve) => setTimeout(resolve, 1))
    await write('during the rest')
    await third
    const last = writeLater('last')
    await ledger.close()
    await last
    expect((await wordsOf(db)).sort()).toEqual(
      ['door', 'first', 'beside it', 'second', 'third', 'during the rest', 'last'].sort(),
    )
  })

  it('singles out a bad patient fact within its share of time', async () => {
    const { db, ledger } = await aLedger({ patientShare: 0 })
    const writeLater = ledger.register(words(), { patient: true })
    const outcomes = await Promise.allSettled(['', 'good', '', 'better'].map(writeLater))
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'rejected',
      'fulfilled',
      'rejected',
      'fulfilled',
    ])
    expect(await wordsOf(db)).toEqual(['good', 'better'])
  })

  it('refuses a bad fact and keeps its neighbours', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const write = ledger.register(recorder)
    const outcomes = await Promise.allSettled([write('before'), write(''), write('after'), write('before')])
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'rejected',
    ])
    expect((outcomes[1] as PromiseRejectedResult).reason.message).toBe('A word has letters.')
    expect((outcomes[3] as PromiseRejectedResult).reason.code).toBe('SQLITE_CONSTRAINT_UNIQUE')
    expect(await wordsOf(db)).toEqual(['before', 'after'])
    expect(recorder.forgotten).toBe(3) // the whole transaction once, then each bad fact
  })

  it('lets every recorder forget what a bad fact of any of them had written', async () => {
    const { ledger } = await aLedger()
    const [one, other] = [words(), words()]
    const write = ledger.register(one)
    ledger.register(other)
    await Promise.allSettled([write('good'), write('')])
    expect([one.forgotten, other.forgotten]).toEqual([2, 2])
  })

  it('passes on a refusal that wrote nothing without running the batch again', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const { record } = recorder
    recorder.record = async (tx, word) => {
      if (word === 'unknown') throw new FactRefused('Nobody knows this word.')
      return record(tx, word)
    }
    const write = ledger.register(recorder)
    const outcomes = await Promise.allSettled([write('one'), write('unknown'), write('two')])
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(recorder.transactions).toBe(1)
    expect(recorder.forgotten).toBe(0)
    expect(await wordsOf(db)).toEqual(['one', 'two'])
  })

  it('works with recorders that only record', async () => {
    const { db, ledger } = await aLedger()
    const { record } = words()
    const write = ledger.register({ record })
    const outcomes = await Promise.allSettled([write('good'), write('')])
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['fulfilled', 'rejected'])
    expect(await wordsOf(db)).toEqual(['good'])
  })

  it('takes no more than it can hold, and says so', async () => {
    const { ledger } = await aLedger({ capacity: 3 })
    const write = ledger.register(words())
    const taken = ['one', 'two', 'three'].map(write)
    expect(ledger.depth).toBe(3)
    await expect(write('four')).rejects.toBeInstanceOf(LedgerFull)
    expect(await Promise.all(taken)).toEqual([1, 2, 3])
    expect(ledger.depth).toBe(0)
    expect(await write('five')).toBe(4)
  })

  it('writes what it has taken before it closes, and takes nothing after', async () => {
    const { db, ledger } = await aLedger({ batch: 2 })
    const write = ledger.register(words())
    const taken = ['one', 'two', 'three'].map(write)
    const closed = ledger.close()
    await expect(write('four')).rejects.toBeInstanceOf(LedgerUnavailable)
    await closed
    expect(await Promise.all(taken)).toEqual([1, 2, 3])
    expect(await wordsOf(db)).toEqual(['one', 'two', 'three'])
  })

  it('waits for another process that holds the lock', async () => {
    const { path, db, ledger } = await aLedger()
    const write = ledger.register(words())
    const other = new Sqlite(path)
    other.exec('begin immediate')
    const waiting = write('patient')
    const begun = vi.fn()
    await new Promise((resolve) => setImmediate(resolve)).then(begun)
    other.exec('commit')
    other.close()
    expect(await waiting).toBe(1)
    expect(await wordsOf(db)).toEqual(['patient'])
  })

  it('gives up after its patience, keeps nothing, and works again later', async () => {
    const { path, db, ledger } = await aLedger({ patience: 20 })
    const write = ledger.register(words())
    const other = new Sqlite(path)
    other.exec('begin immediate')
    await expect(write('lost')).rejects.toBeInstanceOf(LedgerUnavailable)
    other.exec('rollback')
    other.close()
    expect(await write('found')).toBe(1)
    expect(await wordsOf(db)).toEqual(['found'])
  })

  it('refuses a whole batch when the disk is full, and works again when it is not', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    const write = ledger.register(recorder)
    await write('before')
    const { page_count } = (await sql<{ page_count: number }>`pragma page_count`.execute(db)).rows[0]!
    await sql.raw(`pragma max_page_count = ${page_count}`).execute(db)
    const outcomes = await Promise.allSettled([write('x'.repeat(50_000)), write('small')])
    for (const outcome of outcomes)
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(LedgerUnavailable)
    await sql.raw('pragma max_page_count = 1000000').execute(db)
    await write('after')
    expect(await wordsOf(db)).toEqual(['before', 'after'])
  })

  it('refuses the batch when the disk fills up only while a bad fact is being singled out', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    let runs = 0
    recorder.begin = () => {
      runs++
    }
    const { record } = recorder
    recorder.record = async (tx, word) => {
      if (word === 'late trouble' && runs === 2)
        throw Object.assign(new Error('full'), { code: 'SQLITE_FULL' })
      return record(tx, word)
    }
    const write = ledger.register(recorder)
    const outcomes = await Promise.allSettled([write(''), write('late trouble')])
    for (const outcome of outcomes)
      expect((outcome as PromiseRejectedResult).reason).toBeInstanceOf(LedgerUnavailable)
    expect(await wordsOf(db)).toEqual([])
  })

  it('passes on a fault of its own without losing its place', async () => {
    const { db, ledger } = await aLedger()
    const recorder = words()
    recorder.finish = async () => {
      throw new Error('The counts are broken.')
    }
    const write = ledger.register(recorder)
    await expect(write('one')).rejects.toThrow('The counts are broken.')
    recorder.finish = async () => {}
    await write('two')
    expect(await wordsOf(db)).toEqual(['two'])
  })
})
