import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import { isDatabaseBusy, LedgerFull } from '../ledger/ledger.js'
import type { sealer } from '../secret.js'
import type { ChoiceFact, PromoFact, PromoReceipt } from './record.js'
import type { Spool } from './spool.js'

/** What became of a fact: it is in the database, or on disk beside it, or (false) nowhere. */
export type Kept = { receipt: PromoReceipt } | { spooled: boolean }

interface Needs {
  /** Hands a fact to the ledger. */
  write: (fact: PromoFact) => Promise<PromoReceipt>
  spool: Spool
  /** What a click tells of its reader waits sealed: the spool is no place for it to be read. */
  seals: ReturnType<typeof sealer>
  /** A fact is in the database. */
  written: (fact: PromoFact, receipt: PromoReceipt) => void
  log: Logger
  /** Milliseconds to wait for the database before a fact goes to the spool. */
  patience?: number
  /** The same of facts that nobody waits for: until then a process that is killed takes them with it. */
  haste?: number
  /** How many facts may wait in memory where neither the database nor the spool takes them. */
  holds?: number
}

/**
 * Sees to it that a fact is kept once, whatever the database does: what cannot be written soon goes to the spool under an
 * id, and from there into the database when it can be. A fact may be on both ways at once, since nothing can be taken
 * back out of the ledger's queue: both know it by the same id, and the second to arrive is a repeat. What the ledger has
 * begun to write before there was an id goes no other way: then it is the disk that is waited for.
 */
export function factKeeper({
  write,
  spool,
  seals,
  written,
  log,
  patience = 1_000,
  haste = 100,
  holds = 10_000,
}: Needs) {
  /** The database took nothing lately: until it does again, facts go straight to the spool. */
  let isDown = false
  /** How many facts the database has taken. */
  let taken = 0
  const held: PromoFact[] = []
  /** Facts that nobody waits for, on their way. */
  const underWay = new Set<Promise<void>>()
  /** What the spool refused since it last took something, and what of it memory had no room for either. */
  let refused = 0
  let lost = 0
  let refusedBefore = 0

  async function toLedger(fact: PromoFact): Promise<PromoReceipt> {
    const receipt = await write(fact)
    taken++
    written(fact, receipt)
    return receipt
  }

  async function toSpool(fact: PromoFact): Promise<{ spooled: boolean }> {
    fact.spoolId ??= randomBytes(16).toString('base64url')
    try {
      await spool.append(lineOf(fact))
    } catch (error) {
      // A full disk refuses thousands: the first tells why, and the end how many.
      if (refused++ === 0) log.error({ err: error, kind: fact.kind }, 'promo facts are not spooled')
      return { spooled: false }
    }
    tellRefused()
    return { spooled: true }
  }
  function tellRefused() {
    if (refused > 0) log.warn({ facts: refused, lost }, 'promo facts are taken again that were not spooled')
    refused = lost = refusedBefore = 0
  }
  /** Where the database takes all, nothing may come to the spool any more: no refusal from one look to the next is its end. */
  function lookAtRefused() {
    if (refused === refusedBefore) tellRefused()
    refusedBefore = refused
  }

  function lineOf({ isWritten: _, ...fact }: PromoFact) {
    if (fact.kind !== 'click') return JSON.stringify(fact)
    const { address, referrer, userAgent, ...rest } = fact
    return JSON.stringify({ ...rest, sealed: seals.seal(JSON.stringify([address, referrer, userAgent])) })
  }
  /** @returns null for a line that is none of ours, or was damaged */
  function factOf(line: string): PromoFact | null {
    try {
      const { sealed, ...fact } = JSON.parse(line)
      if (fact.kind !== 'click') return fact
      // Sealed under a secret that is gone, it is a click all the same.
      const [address, referrer, userAgent] = JSON.parse(seals.open(sealed) ?? '[null, "", null]')
      return { ...fact, address, referrer, userAgent }
    } catch {
      return null
    }
  }

  function goDown(reason: string) {
    if (!isDown) log.warn({ reason }, 'promo facts go to the spool')
    isDown = true
  }

  /** Answers once the fact is in the database or on disk beside it. Rejects with what the recorder refused it for. */
  async function keep(fact: PromoFact, within = patience): Promise<Kept> {
    if (isDown) return toSpool(fact)
    const before = taken
    const writing = toLedger(fact)
    try {
      const receipt = await inTime(writing, within)
      if (receipt) return { receipt }
      if (fact.isWritten) return { receipt: await writing }
      writing.catch(heed) // the spool has it
      // A busy machine is slow, and takes others meanwhile; one that takes nobody is down.
      if (taken === before && within >= patience) goDown(`no commit within ${patience} ms`)
    } catch (error) {
      if (!isDatabaseBusy(error)) throw error
      heed(error)
    }
    return toSpool(fact)
  }
  function heed(error: unknown) {
    if (isDatabaseBusy(error) && !(error instanceof LedgerFull)) goDown((error as Error).message)
  }

  /** The same for somebody who does not wait for it; where nothing else takes the fact, memory does. */
  function keepSomehow(fact: PromoFact): Promise<void> {
    const keeping = keepAnyhow(fact).finally(() => underWay.delete(keeping))
    underWay.add(keeping)
    return keeping
  }
  async function keepAnyhow(fact: PromoFact): Promise<void> {
    try {
      const kept = await keep(fact, Math.min(haste, patience))
      if (!('spooled' in kept) || kept.spooled) return
      if (held.length < holds) held.push(fact)
      else if (lost++ === 0) log.error('promo facts are lost: nothing takes them')
    } catch (error) {
      log.error({ err: error, kind: fact.kind }, 'promo fact refused')
    }
  }

  async function replayOne(fact: PromoFact) {
    try {
      await toLedger(fact)
    } catch (error) {
      if (isDatabaseBusy(error)) throw error
      // It will never be taken: it must not stand in the way of the others.
      const { kind, offerId, variationId, happenedAt } = fact
      log.error(
        { err: error, fact: { kind, offerId, variationId, happenedAt } },
        'spooled promo fact refused',
      )
    }
  }
  /** All of them are tried, so that they share a commit; then the first failure is told. */
  async function replayAll(facts: PromoFact[]) {
    const outcomes = await Promise.allSettled(facts.map(replayOne))
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  /** Records what waits, if the database takes it, for a job. @returns how many facts came out of the spool */
  async function replay(): Promise<number> {
    if (!isDown) lookAtRefused()
    if (!isDown && spool.isEmpty && held.length === 0) return 0
    if (!spool.isEmpty && spool.isShort) {
      goDown('the disk has room for the spool alone')
      return 0
    }
    try {
      const waiting = held.splice(0)
      await replayAll(waiting).catch((error) => {
        held.push(...waiting)
        throw error
      })
      let facts = 0
      await spool.drain(async (lines) => {
        const read = lines.map(factOf)
        for (const [index, fact] of read.entries())
          if (fact === null) log.error({ bytes: lines[index]!.length }, 'damaged line in the spool')
        const whole = read.filter((fact) => fact !== null)
        await replayAll(whole)
        facts += whole.length
        isDown = false
      })
      if (facts > 0) log.info({ facts }, 'spooled promo facts recorded')
      isDown = false
      return facts
    } catch (error) {
      if (!isDatabaseBusy(error)) throw error
      isDown = true
      return 0
    }
  }

  /** The choices that an earlier process left in the spool, oldest first, for a start: they hold before they are recorded. */
  function spooledChoices(): ChoiceFact[] {
    const choices: ChoiceFact[] = []
    for (const line of spool.lines()) {
      const fact = line.includes('"kind":"choice"') ? factOf(line) : null
      if (fact?.kind === 'choice') choices.push(fact)
    }
    return choices
  }

  return {
    keep,
    keepSomehow,
    spooledChoices,
    replay,
    get isDown() {
      return isDown
    },
    /** Everything that nobody waits for has found its place. */
    async settled() {
      await Promise.all(underWay)
    },
    /** What only memory holds goes to the spool, if that takes it by now. */
    async stop() {
      await Promise.all(underWay)
      for (const fact of held.splice(0)) lost += Number(!(await toSpool(fact)).spooled)
      if (lost > 0) log.error({ lost }, 'promo facts lost: nothing took them')
      await spool.close()
    },
  }
}
/** @returns what comes within so many milliseconds, else null */
const inTime = <Value>(coming: Promise<Value>, milliseconds: number) =>
  new Promise<Value | null>((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds, null)
    coming.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })

export type FactKeeper = ReturnType<typeof factKeeper>
