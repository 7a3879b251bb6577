import { setImmediate as letOthersIn } from 'node:timers/promises'
import { compiled } from '../database/compiled.js'
import { asJsonRows, isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readSetting, writeSetting } from '../database/settings.js'
import type { Recorder } from '../ledger/ledger.js'
import type { Band } from './contact-filter.js'
import type { ContactRooms, Signal } from './rooms.js'
import {
  bandOf,
  type ScoredReception,
  type ScoreSums,
  scoreAverage,
  scoreBefore,
  scoredMailings,
  scoreOf,
  scoreSums,
  trendSpan,
} from './score.js'

/** What a contact's score has become. */
export interface ScoreChange {
  contact_id: number
  score: number | null
  score_before: number | null
  band: Band | null
  last_active_at: number | null
  /**
   * The contact's counts as they stood before the score was made, see {@link countsSeen}: when they have changed since,
   * the contact stays on the list of those to score. null leaves the list alone.
   */
  seen: string | null
}
/** One chunk of new scores, and what the job remembers with it. */
export interface Scoring {
  changes: ScoreChange[]
  remember?: Record<string, string>
}

/** The share of full points that everybody brings, from 0 to 1, as of the last time all were scored. */
export const scoreAverageSetting = 'score_average'
/** How far a room's deeds have been taken in. */
export const scoredUpToSetting = (room: string) => `scored_up_to:${room}`

/** @returns 0 before anybody was scored */
export const readScoreAverage = async (db: Db | Readers) =>
  Number((await readSetting(db, scoreAverageSetting)) ?? 0)

const countColumns = ['mailings', 'opens', 'clicks', 'replies'] as const
const countsSeen = (row: Record<(typeof countColumns)[number], number>) =>
  countColumns.map((name) => row[name]).join(' ')

/**
 * Writes scores: the contacts, the list of those to score, and the sums of their tags, in one transaction.
 */
export function scoreRecorder(db: Db): Recorder<Scoring, void> {
  const update = compiled<{
    contact_id: number
    score: number | null
    score_before: number | null
    band: string | null
    last_active_at: number | null
  }>((value) =>
    db
      .updateTable('contacts')
      .set({
        score: value('score'),
        score_before: value('score_before'),
        band: value('band'),
        last_active_at: value('last_active_at'),
      })
      .where('id', '=', value('contact_id')),
  )
  const addToTag = compiled<{ tag_id: number; scored: number; score_sum: number }>((value) =>
    db
      .updateTable('tag_counts')
      .set((eb) => ({
        scored: eb('scored', '+', value('scored')),
        score_sum: eb('score_sum', '+', value('score_sum')),
      }))
      .where('tag_id', '=', value('tag_id')),
  )

  async function record(tx: Db, { changes, remember = {} }: Scoring) {
    if (changes.length > 0) await writeScores(tx, changes)
    for (const [name, value] of Object.entries(remember)) await writeSetting(tx, name, value)
  }

  async function writeScores(tx: Db, changes: ScoreChange[]) {
    const ids = changes.map(({ contact_id }) => contact_id)
    const rows = await tx
      .selectFrom('contacts')
      .select(['id', 'score', 'last_active_at', 'erased_at', ...countColumns])
      .where(({ ref }) => isAmong(ref('id'), ids))
      .execute()
    const contacts = new Map(rows.map((row) => [row.id, row]))
    const differences = new Map<number, { scored: number; score_sum: number }>()
    const settled: number[] = []

    for (const change of changes) {
      const { contact_id, score, score_before, band, seen } = change
      const contact = contacts.get(contact_id)
      if (!contact || contact.erased_at !== null) {
        settled.push(contact_id) // merged into another meanwhile, or a person no more
        continue
      }
      const isCurrent = seen === null || seen === countsSeen(contact)
      if (seen !== null && isCurrent) settled.push(contact_id)
      // Whoever records engagements knows of newer ones; the rooms' deeds are what only this job brings in.
      const last_active_at = isCurrent
        ? latest(contact.last_active_at, change.last_active_at)
        : contact.last_active_at
      await update(tx, { contact_id, score, score_before, band, last_active_at })
      if (score !== contact.score)
        differences.set(contact_id, {
          scored: Number(score !== null) - Number(contact.score !== null),
          score_sum: (score ?? 0) - (contact.score ?? 0),
        })
    }
    if (settled.length > 0)
      await tx
        .deleteFrom('contacts_to_score')
        .where(({ ref }) => isAmong(ref('contact_id'), settled))
        .execute()
    await addToTags(tx, differences)
  }

  /** A tag that a contact has from two origins counts once. */
  async function addToTags(tx: Db, differences: Map<number, { scored: number; score_sum: number }>) {
    if (differences.size === 0) return
    const rows = await tx
      .selectFrom('contact_tags')
      .select(['contact_id', 'tag_id'])
      .distinct()
      .where(({ ref }) => isAmong(ref('contact_id'), [...differences.keys()]))
      .execute()
    const tags = new Map<number, { scored: number; score_sum: number }>()
    for (const { contact_id, tag_id } of rows) {
      const difference = differences.get(contact_id)!
      const tag = tags.get(tag_id) ?? { scored: 0, score_sum: 0 }
      tag.scored += difference.scored
      tag.score_sum += difference.score_sum
      tags.set(tag_id, tag)
    }
    for (const [tag_id, difference] of tags) await addToTag(tx, { tag_id, ...difference })
  }

  return { record }
}

interface Needs {
  db: Db
  readers: Readers
  rooms: ContactRooms
  /** Hands scores to the ledger, see {@link scoreRecorder}. */
  write: (scoring: Scoring) => Promise<void>
  now: () => number
}

/** Contacts of one query: what the main thread works on at once. Most have some dozens of receptions. */
const packedAtOnce = 150
const contactsAtOnce = 1_000
const listedAtOnce = 150
/** Contacts of one transaction. More of them at once are no faster, and doors would wait for them. */
const writtenAtOnce = 100
/** Transactions that the ledger is told of at once: the next one need not wait until the disk has the one before. */
const toldAtOnce = 5

const receptionColumns = [
  'mailing_id',
  'delivered_at',
  'first_opened_at',
  'first_clicked_at',
  'replies',
  'last_active_at',
] as const satisfies (keyof ScoredReception)[]
type PackedReception = [number, number | null, number | null, number | null, number, number | null]

/** The receptions of each contact, as one row for each. */
const packedReceptions = (db: Readers) =>
  db
    .selectFrom('receptions')
    .select((eb) => ['contact_id', asJsonRows(receptionColumns.map((name) => eb.ref(name))).as('receptions')])
    .groupBy('contact_id')
    .orderBy('contact_id')

const unpacked = (text: string): ScoredReception[] =>
  (JSON.parse(text) as PackedReception[]).map(
    ([mailing_id, delivered_at, first_opened_at, first_clicked_at, replies, last_active_at]) => ({
      mailing_id,
      delivered_at,
      first_opened_at,
      first_clicked_at,
      replies,
      last_active_at,
    }),
  )
const byContactUnpacked = (rows: { contact_id: number; receptions: string }[]) =>
  new Map(rows.map((row) => [row.contact_id, unpacked(row.receptions)]))

/**
 * Scores contacts: those that did something since the last time, and once a night all of them, since mailings lose
 * weight by the day. Reading happens in worker threads; the main thread works in small pieces and lets doors in
 * between.
 */
export function scorer({ db, readers, rooms, write, now }: Needs) {
  let last: Promise<unknown> = Promise.resolve()
  let some: Promise<number> | null = null
  let all: Promise<number> | null = null
  let stopped = false

  /** One at a time: a run that reads while the other writes would put old scores over new ones. */
  function inTurn(work: () => Promise<number>): Promise<number> {
    const done = last.then(work)
    last = done.catch(() => {})
    return done
  }

  async function scoreDue(): Promise<number> {
    if ((await readSetting(db, scoreAverageSetting)) === undefined) await scoreAll()
    const average = await readScoreAverage(db)
    let scored = 0
    for (let after = 0; !stopped; ) {
      const listed = await db
        .selectFrom('contacts_to_score')
        .select('contact_id')
        .where('contact_id', '>', after)
        .orderBy('contact_id')
        .limit(listedAtOnce)
        .execute()
      if (listed.length === 0) break
      const ids = listed.map(({ contact_id }) => contact_id)
      await write({ changes: await rescore(ids, average) })
      scored += ids.length
      after = ids[ids.length - 1]!
    }
    for (const room of rooms.all) {
      if (!room.active) continue
      while (!stopped) {
        const mark = Number((await readSetting(db, scoredUpToSetting(room.name))) ?? 0)
        const { contacts, upTo } = await room.active(readers, mark)
        for (let first = 0; first < contacts.length; first += listedAtOnce)
          await write({
            changes: await rescore(contacts.slice(first, first + listedAtOnce), average),
          })
        scored += contacts.length
        if (upTo === mark) break
        await write({ changes: [], remember: { [scoredUpToSetting(room.name)]: String(upTo) } })
      }
    }
    return scored
  }

  async function rescore(ids: number[], average: number): Promise<ScoreChange[]> {
    // Before the receptions: what changes from here on shows in the counts when the scores are written.
    const contacts = await readers
      .selectFrom('contacts')
      .select(['id', ...countColumns])
      .where(({ ref }) => isAmong(ref('id'), ids))
      .execute()
    const [receptions, signals] = await Promise.all([
      packedReceptions(readers)
        .where(({ ref }) => isAmong(ref('contact_id'), ids))
        .execute(),
      signalsOf(ids),
    ])
    const at = now()
    const counts = new Map(contacts.map((contact) => [contact.id, countsSeen(contact)]))
    const receptionsBy = byContactUnpacked(receptions)
    const signalsBy = byContact(signals)
    return ids.map((contact_id) => {
      const sums = sumsOf(receptionsBy.get(contact_id) ?? [], signalsBy.get(contact_id) ?? [], at)
      return { contact_id, ...scoresOf(sums, average, at), seen: counts.get(contact_id) ?? null }
    })
  }

  async function signalsOf(contacts: { from: number; to: number } | number[]): Promise<Signal[]> {
    const told = await Promise.all(rooms.all.map((room) => room.signals?.(readers, contacts) ?? []))
    return told.flat()
  }

  /** Two passes, since every score hangs on the average: between them only sums are kept. */
  async function scoreAll(): Promise<number> {
    const at = now()
    const newest = await readers
      .selectFrom('contacts')
      .select(({ fn }) => fn.max('id').as('id'))
      .executeTakeFirst()
    const end = (newest?.id ?? 0) + 1
    const kept = new KeptSums()
    const everybody = { points: 0, of: 0 }

    let range = readRange(1, end)
    for (;;) {
      const { receptions, signals, next } = await range
      if (next < end) {
        range = readRange(next, end) // read while this one is reckoned
        range.catch(() => {}) // told where it is waited for
      }
      const receptionsBy = byContactUnpacked(receptions)
      const signalsBy = byContact(signals)
      const ids = new Set([...receptionsBy.keys(), ...signalsBy.keys()])
      for (const id of [...ids].sort((one, other) => one - other)) {
        const sums = sumsOf(receptionsBy.get(id) ?? [], signalsBy.get(id) ?? [], at)
        everybody.points += sums.now.points
        everybody.of += sums.now.of
        kept.add(id, sums)
      }
      await letOthersIn()
      if (stopped) return kept.length
      if (next >= end) break
    }

    const average = scoreAverage(everybody)
    await write({ changes: [], remember: { [scoreAverageSetting]: String(average) } })
    for (let from = 1; from < end && !stopped; from += contactsAtOnce) {
      const contacts = await readers
        .selectFrom('contacts')
        .select(['id', 'score', 'score_before', 'band', 'last_active_at'])
        .where('id', '>=', from)
        .where('id', '<', from + contactsAtOnce)
        .where('erased_at', 'is', null)
        .orderBy('id')
        .execute()
      const changes: ScoreChange[] = []
      for (const contact of contacts) {
        const scores = scoresOf(kept.of(contact.id), average, at)
        const isSame =
          scores.score === contact.score &&
          scores.score_before === contact.score_before &&
          scores.band === contact.band &&
          (scores.last_active_at ?? 0) <= (contact.last_active_at ?? 0)
        if (!isSame) changes.push({ contact_id: contact.id, ...scores, seen: null })
      }
      for (const some of inPieces([...inPieces(changes, writtenAtOnce)], toldAtOnce)) {
        if (stopped) break
        await Promise.all(some.map((changes) => write({ changes })))
        await letOthersIn()
      }
    }
    return kept.length
  }

  /** As many contacts from this one on as the main thread takes at once. @returns `next`: the first not read */
  async function readRange(from: number, end: number) {
    const to = Math.min(end, from + contactsAtOnce)
    const receptions = await packedReceptions(readers)
      .where('contact_id', '>=', from)
      .where('contact_id', '<', to)
      .limit(packedAtOnce)
      .execute()
    const next = receptions.length < packedAtOnce ? to : receptions[packedAtOnce - 1]!.contact_id + 1
    return { receptions, signals: await signalsOf({ from, to: next }), next }
  }

  return {
    /**
     * Scores the contacts that did something since they were scored, by the average of the last night; everybody, the
     * first time of all. A second call while one waits or runs joins it.
     * @returns how many were looked at
     */
    run(): Promise<number> {
      some ??= inTurn(scoreDue).finally(() => {
        some = null
      })
      return some
    },
    /**
     * Scores everybody and finds the average anew. A second call while one waits or runs joins it.
     * @returns how many did something or were sent something
     */
    runAll(): Promise<number> {
      all ??= inTurn(scoreAll).finally(() => {
        all = null
      })
      return all
    },
    /** Ends what runs after its next small piece; what is left undone is done by the next run of all. */
    async stop() {
      stopped = true
      await last
    },
  }
}

function* inPieces<Item>(items: readonly Item[], length: number): Generator<Item[]> {
  for (let first = 0; first < items.length; first += length) yield items.slice(first, first + length)
}

const latest = (one: number | null, other: number | null) =>
  one === null || other === null ? (one ?? other) : Math.max(one, other)

function byContact<Row extends { contact_id: number }>(rows: readonly Row[]): Map<number, Row[]> {
  const groups = new Map<number, Row[]>()
  let group: Row[] = []
  let contact: number | null = null
  for (const row of rows) {
    if (row.contact_id !== contact) {
      contact = row.contact_id
      group = groups.get(contact) ?? []
      groups.set(contact, group)
    }
    group.push(row)
  }
  return groups
}

interface ContactSums {
  now: ScoreSums
  before: ScoreSums
  lastActiveAt: number | null
}

function sumsOf(receptions: ScoredReception[], signals: Signal[], at: number): ContactSums {
  const mailings = scoredMailings(receptions, signals)
  let lastActiveAt: number | null = null
  for (const { last_active_at } of receptions) lastActiveAt = latest(lastActiveAt, last_active_at)
  for (const signal of signals) lastActiveAt = latest(lastActiveAt, signal.at)
  return {
    now: scoreSums(mailings, at),
    before: scoreSums(mailings, at - trendSpan, at - trendSpan),
    lastActiveAt,
  }
}

/** Hundredths are kept: finer differences are nobody's doing, and writing them would be work. */
const rounded = (score: number | null) => (score === null ? null : Math.round(score * 100) / 100)

function scoresOf({ now, before, lastActiveAt }: ContactSums, average: number, at: number) {
  const score = scoreOf(now, average)
  return {
    score: rounded(score),
    score_before: rounded(scoreBefore(before, average)),
    band: bandOf(score, { mailings: now.mailings, lastActiveAt, now: at }),
    last_active_at: lastActiveAt,
  }
}

/** The sums of many contacts in little memory: 64 bytes each. Contacts come in ascending order. */
class KeptSums {
  static readonly #width = 8
  #numbers = new Float64Array(1024 * KeptSums.#width)
  length = 0

  add(id: number, { now, before, lastActiveAt }: ContactSums) {
    const width = KeptSums.#width
    if ((this.length + 1) * width > this.#numbers.length) {
      const larger = new Float64Array(this.#numbers.length * 2)
      larger.set(this.#numbers)
      this.#numbers = larger
    }
    this.#numbers.set(
      [
        id,
        now.points,
        now.of,
        now.mailings,
        before.points,
        before.of,
        before.mailings,
        lastActiveAt ?? Number.NaN,
      ],
      this.length * width,
    )
    this.length++
  }
  /** Noughts for a contact of whom nothing is known. */
  of(id: number): ContactSums {
    const width = KeptSums.#width
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#numbers[middle * width]! < id) low = middle + 1
      else high = middle
    }
    const numbers = this.#numbers
    const at = low * width
    if (low >= this.length || numbers[at] !== id) return nothing
    const last = numbers[at + 7]!
    return {
      now: { points: numbers[at + 1]!, of: numbers[at + 2]!, mailings: numbers[at + 3]! },
      before: { points: numbers[at + 4]!, of: numbers[at + 5]!, mailings: numbers[at + 6]! },
      lastActiveAt: Number.isNaN(last) ? null : last,
    }
  }
}
const nothing: ContactSums = {
  now: { points: 0, of: 0, mailings: 0 },
  before: { points: 0, of: 0, mailings: 0 },
  lastActiveAt: null,
}
