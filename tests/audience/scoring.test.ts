import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ContactRooms, type Signal } from '../../src/audience/rooms.js'
import { scoreOf } from '../../src/audience/score.js'
import {
  readScoreAverage,
  type Scoring,
  scoreAverageSetting,
  scoredUpToSetting,
  scoreRecorder,
  scorer,
} from '../../src/audience/scoring.js'
import { migrate } from '../../src/database/migrate.js'
import { openDatabase } from '../../src/database/open.js'
import { openReaders } from '../../src/database/readers.js'
import { readSetting, writeSetting } from '../../src/database/settings.js'
import { Ledger } from '../../src/ledger/ledger.js'
import { aFolder, stoppedClock } from '../support/app.js'

const day = 86_400_000

/** A database, the job, and a room whose deeds the test tells. */
async function aScorer() {
  const dataDir = aFolder()
  const clock = stoppedClock()
  const path = join(dataDir, 'throughline.db')
  const db = openDatabase(path)
  await migrate(db, { dataDir, now: clock.now })
  const readers = openReaders(path, { threads: 1 })
  const ledger = new Ledger({ db })
  const record = ledger.register(scoreRecorder(db))
  const written: Scoring[] = []
  /** What happens just before the next scores are written. */
  const hooks = { before: async () => {} }
  const write = async (scoring: Scoring) => {
    await hooks.before()
    written.push(scoring)
    await record(scoring)
  }
  const signals: (Signal & { id: number })[] = []
  const rooms = new ContactRooms()
  rooms.enter({ name: 'silent' })
  rooms.enter({
    name: 'tracker',
    signals: async (_, contacts) =>
      signals.filter(({ contact_id: id }) =>
        Array.isArray(contacts) ? contacts.includes(id) : id >= contacts.from && id < contacts.to,
      ),
    active: async (_, after) => {
      const page = signals.filter(({ id }) => id > after).slice(0, 2)
      return { contacts: [...new Set(page.map((one) => one.contact_id))], upTo: page.at(-1)?.id ?? after }
    },
  })
  onTestFinished(async () => {
    await job.stop()
    await ledger.close()
    await readers.destroy()
    await db.destroy()
  })
  const job = scorer({ db, readers, rooms, write, now: clock.now })

  const aContact = async (given: { email?: string; erased_at?: number } = {}) => {
    const count = await db
      .selectFrom('contacts')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    const row = { email: `c${count.n + 1}@a.example`, created_at: clock.now(), ...given }
    return (await db.insertInto('contacts').values(row).returning('id').executeTakeFirstOrThrow()).id
  }
  const aReception = (
    contact_id: number,
    mailing_id: number,
    ageDays: number,
    given: { opened?: true; clicked?: true; replied?: true; delivered?: false } = {},
  ) => {
    const at = clock.now() - ageDays * day
    const deed = given.opened || given.clicked || given.replied ? at + 60_000 : null
    return db
      .insertInto('receptions')
      .values({
        contact_id,
        mailing_id,
        sent_at: at,
        delivered_at: given.delivered === false ? null : at,
        opens: given.opened ? 1 : 0,
        proxy_opens: 0,
        machine_opens: 0,
        unjudged_opens: 0,
        clicks: given.clicked ? 1 : 0,
        machine_clicks: 0,
        unjudged_clicks: 0,
        replies: given.replied ? 1 : 0,
        bounced: 0,
        complained: 0,
        unsubscribed: 0,
        first_opened_at: given.opened ? deed : null,
        first_clicked_at: given.clicked ? deed : null,
        last_active_at: deed,
        machine_last_active_at: null,
      })
      .execute()
  }
  const aTag = async (name: string, contacts: number[], origins = ['ours']) => {
    const { id } = await db
      .insertInto('tags')
      .values({ name, created_at: 1, provider: null, provider_id: null })
      .returning('id')
      .executeTakeFirstOrThrow()
    await db
      .insertInto('tag_counts')
      .values({
        tag_id: id,
        contacts: contacts.length,
        scored: 0,
        score_sum: 0,
        opens: 0,
        proxy_opens: 0,
        machine_opens: 0,
        unjudged_opens: 0,
        clicks: 0,
        machine_clicks: 0,
        unjudged_clicks: 0,
        replies: 0,
      })
      .execute()
    for (const origin of origins)
      for (const contact_id of contacts)
        await db.insertInto('contact_tags').values({ contact_id, tag_id: id, origin, added_at: 1 }).execute()
    return id
  }
  const list = (...ids: number[]) =>
    db
      .insertInto('contacts_to_score')
      .values(ids.map((contact_id) => ({ contact_id })))
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  const listed = async () =>
    (await db.selectFrom('contacts_to_score').select('contact_id').execute()).map((row) => row.contact_id)
  const scores = (id: number) =>
    db
      .selectFrom('contacts')
      .select(['score', 'score_before', 'band', 'last_active_at'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
  const countsOf = async (tag: number) => {
    const row = await db
      .selectFrom('tag_counts')
      .select(['scored', 'score_sum'])
      .where('tag_id', '=', tag)
      .executeTakeFirstOrThrow()
    return { scored: row.scored, score_sum: Math.round(row.score_sum * 100) / 100 }
  }
  const parts = { db, clock, job, signals, written, hooks }
  return { ...parts, aContact, aReception, aTag, list, listed, scores, countsOf }
}

describe('scoring everybody', () => {
  it('finds the average of all, and each score by it', async () => {
    const { job, aContact, aReception, scores, db, clock } = await aScorer()
    const [ada, ben, eve] = [await aContact(), await aContact(), await aContact()]
    await aReception(ada, 1, 0, { clicked: true })
    await aReception(ben, 1, 0, { opened: true })
    await aReception(eve, 1, 0, { delivered: false })
    expect(await job.runAll()).toBe(3)

    const average = 6 / 10
    expect(await readScoreAverage(db)).toBeCloseTo(average)
    const of = (points: number) => Math.round(scoreOf({ points, of: 5, mailings: 1 }, average)! * 100) / 100
    const last_active_at = clock.now() + 60_000
    expect(await scores(ada)).toEqual({ score: of(5), score_before: null, band: 'new', last_active_at })
    expect(await scores(ben)).toEqual({ score: of(1), score_before: null, band: 'new', last_active_at })
    expect(await scores(eve)).toEqual({ score: null, score_before: null, band: null, last_active_at: null })
  })

  it('knows the score of thirty days before, and who sleeps', async () => {
    const { job, aContact, aReception, scores } = await aScorer()
    const [awake, asleep] = [await aContact(), await aContact()]
    for (let mailing = 1; mailing <= 6; mailing++) {
      await aReception(awake, mailing, 20 * mailing, mailing <= 2 ? { clicked: true } : {})
      await aReception(asleep, mailing, 30 + 20 * mailing, mailing >= 4 ? { clicked: true } : {})
    }
    await job.runAll()
    const { score, score_before, band } = await scores(awake)
    expect(score_before).not.toBeNull()
    expect(score!).toBeGreaterThan(score_before!)
    expect(band).toBe('active')
    expect((await scores(asleep)).band).toBe('dormant')
  })

  it('writes nothing that has not changed', async () => {
    const { job, aContact, aReception, written } = await aScorer()
    for (let count = 0; count < 3; count++) await aReception(await aContact(), 1, 3, { opened: true })
    await job.runAll()
    written.length = 0
    await job.runAll()
    expect(written.flatMap(({ changes }) => changes)).toEqual([])
  })

  it('reaches everybody, however many there are and whatever ids they have', async () => {
    const { job, db, aReception, scores } = await aScorer()
    const ids = [...Array.from({ length: 700 }, (_, index) => index + 1), 5_000, 9_001, 12_345]
    for (const id of ids)
      await db
        .insertInto('contacts')
        .values({ id, email: `c${id}@a.example`, created_at: 1 })
        .execute()
    for (const id of ids) await aReception(id, 1, 1, { clicked: true })
    expect(await job.runAll()).toBe(ids.length)
    const { n } = await db
      .selectFrom('contacts')
      .select(({ fn }) => fn.count<number>('score').as('n'))
      .executeTakeFirstOrThrow()
    expect(n).toBe(ids.length)
    expect((await scores(12_345)).score).toBe(100)
  })

  it('takes a score away when its receptions are gone, from its tags as well', async () => {
    const { job, db, aContact, aReception, aTag, scores, countsOf } = await aScorer()
    const [ada, ben] = [await aContact(), await aContact()]
    await aReception(ada, 1, 1, { clicked: true })
    await aReception(ben, 1, 1)
    const tag = await aTag('vip', [ada, ben])
    await job.runAll()
    expect(await countsOf(tag)).toEqual({
      scored: 2,
      score_sum: Math.round(((await scores(ada)).score! + (await scores(ben)).score!) * 100) / 100,
    })
    await db.deleteFrom('receptions').where('contact_id', '=', ada).execute()
    await job.runAll()
    expect(await scores(ada)).toMatchObject({ score: null, band: null })
    expect(await countsOf(tag)).toEqual({ scored: 1, score_sum: 0 })
  })

  it('gives no score to who was erased, but keeps their facts in the average', async () => {
    const { job, db, aContact, aReception, scores, list, listed } = await aScorer()
    const [gone, here] = [await aContact({ email: 'erased:1', erased_at: 7 }), await aContact()]
    await aReception(gone, 1, 0, { clicked: true })
    await aReception(here, 1, 0)
    await list(gone)
    await job.runAll()
    await job.run()
    expect((await scores(gone)).score).toBeNull()
    expect(await readScoreAverage(db)).toBe(0.5)
    expect(await listed()).toEqual([])
  })

  it('counts a tag once that came from two origins', async () => {
    const { job, aContact, aReception, aTag, scores, countsOf } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 1, { clicked: true })
    const tag = await aTag('vip', [ada], ['ours', 'buttondown'])
    await job.runAll()
    expect(await countsOf(tag)).toEqual({ scored: 1, score_sum: (await scores(ada)).score! })
  })
})

describe('deeds of other rooms', () => {
  it('count for the mailing before them and for the last activity', async () => {
    const { job, aContact, aReception, scores, signals, clock } = await aScorer()
    const [ada, ben] = [await aContact(), await aContact()]
    await aReception(ada, 1, 1)
    await aReception(ben, 1, 1)
    signals.push({ id: 1, contact_id: ada, at: clock.now() - 1_000, kind: 'conversion' })
    await job.runAll()
    expect((await scores(ada)).score!).toBeGreaterThan((await scores(ben)).score!)
    expect((await scores(ada)).last_active_at).toBe(clock.now() - 1_000)
  })

  it('tell of people whom no mailing was sent', async () => {
    const { job, aContact, scores, signals } = await aScorer()
    const [ada, ben] = [await aContact(), await aContact()]
    signals.push({ id: 1, contact_id: ben, at: 5_000, kind: 'landing' })
    await job.runAll()
    expect(await scores(ben)).toEqual({ score: null, score_before: null, band: null, last_active_at: 5_000 })
    expect((await scores(ada)).last_active_at).toBeNull()
  })

  it('are taken in once, page by page', async () => {
    const { job, db, aContact, aReception, scores, signals, clock, written } = await aScorer()
    const ids = [await aContact(), await aContact(), await aContact()]
    for (const id of ids) await aReception(id, 1, 1)
    await job.runAll()
    ids.forEach((contact_id, index) => {
      signals.push({ id: index + 1, contact_id, at: clock.now(), kind: 'landing' })
    })
    expect(await job.run()).toBe(3)
    expect(await readSetting(db, scoredUpToSetting('tracker'))).toBe('3')
    for (const id of ids) expect((await scores(id)).score!).toBeGreaterThan(0)
    written.length = 0
    expect(await job.run()).toBe(0)
    expect(written).toEqual([])
  })
})

describe('scoring those who did something', () => {
  it('uses the average of the night and empties the list', async () => {
    const { job, db, aContact, aReception, list, listed, scores } = await aScorer()
    const ids = [await aContact(), await aContact(), await aContact()]
    for (const id of ids) await aReception(id, 1, 0, { clicked: true })
    await writeSetting(db, scoreAverageSetting, '0.2')
    await list(ids[0]!, ids[2]!)
    expect(await job.run()).toBe(2)
    expect((await scores(ids[0]!)).score).toBe(33.33)
    expect((await scores(ids[1]!)).score).toBeNull()
    expect(await listed()).toEqual([])
  })

  it('goes through a long list', async () => {
    const { job, db, list, listed, aReception } = await aScorer()
    const ids = Array.from({ length: 400 }, (_, index) => index + 1)
    for (const id of ids)
      await db
        .insertInto('contacts')
        .values({ id, email: `c${id}@a.example`, created_at: 1 })
        .execute()
    await aReception(400, 1, 0)
    await writeSetting(db, scoreAverageSetting, '0.2')
    await list(...ids)
    expect(await job.run()).toBe(400)
    expect(await listed()).toEqual([])
  })

  it('scores everybody the first time', async () => {
    const { job, db, aContact, aReception, scores } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 0, { opened: true })
    await job.run()
    expect(await readScoreAverage(db)).toBeCloseTo(0.2)
    expect((await scores(ada)).score).toBe(20)
  })

  it('leaves on the list who did something meanwhile, and their newer activity alone', async () => {
    const { job, db, aContact, aReception, list, listed, scores, hooks } = await aScorer()
    const [ada, ben] = [await aContact(), await aContact()]
    for (const id of [ada, ben]) await aReception(id, 1, 1, { opened: true })
    await writeSetting(db, scoreAverageSetting, '0.2')
    await list(ada, ben)
    hooks.before = async () => {
      hooks.before = async () => {}
      await db.updateTable('contacts').set({ clicks: 1, last_active_at: 77 }).where('id', '=', ada).execute()
    }
    await job.run()
    expect(await listed()).toEqual([ada])
    expect(await scores(ada)).toMatchObject({ last_active_at: 77, score: expect.any(Number) })
    await job.run()
    expect(await listed()).toEqual([])
  })

  it('forgets who is no contact any more', async () => {
    const { job, db, list, listed, aContact, hooks } = await aScorer()
    await writeSetting(db, scoreAverageSetting, '0.2')
    const ada = await aContact()
    await list(ada, 99)
    hooks.before = async () => {
      await db.deleteFrom('contacts').where('id', '=', ada).execute()
    }
    await job.run()
    expect(await listed()).toEqual([])
  })

  it('never takes an activity back that is newer than what it knows', async () => {
    const { job, db, aContact, aReception, scores, clock } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 9, { opened: true })
    await db.updateTable('contacts').set({ last_active_at: clock.now() }).execute()
    await job.runAll()
    expect((await scores(ada)).last_active_at).toBe(clock.now())
  })
})

describe('runs', () => {
  it('join when they are the same and wait for each other when they are not', async () => {
    const { job, aContact, aReception, list } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 1)
    await list(ada)
    const [one, two, all, again] = [job.run(), job.run(), job.runAll(), job.runAll()]
    expect(two).toBe(one)
    expect(again).toBe(all)
    await Promise.all([one, all])
    expect(job.run()).not.toBe(one)
  })

  it('end when told to', async () => {
    const { job, aContact, aReception, scores } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 1)
    const run = job.runAll()
    await job.stop()
    await run
    expect((await scores(ada)).score).toBeNull()
  })

  it('go on after one that failed', async () => {
    const { job, aContact, aReception, scores, hooks } = await aScorer()
    const ada = await aContact()
    await aReception(ada, 1, 1, { opened: true })
    hooks.before = async () => {
      hooks.before = async () => {}
      throw new Error('The disk is full.')
    }
    await expect(job.runAll()).rejects.toThrow('The disk is full.')
    await job.runAll()
    expect((await scores(ada)).score).toBe(20)
  })
})
