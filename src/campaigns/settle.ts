import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { readSetting } from '../database/settings.js'
import { kindNumber } from './kinds.js'
import { type Settlement, settledSetting } from './record.js'
import {
  AddressRates,
  burstsAmong,
  burstWindow,
  type Click,
  hasteWindow,
  rateWindow,
  reason,
  settlingTime,
} from './verdict.js'

interface Needs {
  db: Db
  readers: Readers
  /** Hands changed verdicts to the ledger. */
  settle: (settlement: Settlement) => Promise<void>
  now: () => number
  /** The setting that remembers how far it has come. Whoever looks at the past again brings one of their own. */
  watermark?: string
}

const chunkSize = 500

/**
 * Looks at events a second time, ten minutes after they happened, when all that could speak for or against them has
 * arrived, and hands the verdicts that change to the ledger. What can no longer be judged (an address or a user
 * agent that is not kept) keeps the reason it has.
 */
export function settler({ db, readers, settle, now, watermark = settledSetting }: Needs) {
  let running: Promise<number> | null = null
  let rates: { upTo: number; windows: AddressRates } | null = null

  async function settleDue(): Promise<number> {
    let settled = 0
    for (;;) {
      const upTo = Number((await readSetting(db, watermark)) ?? 0)
      const chunk = await dueAfter(upTo)
      if (chunk.length === 0) return settled
      const windows = rates?.upTo === upTo ? rates.windows : await warm(upTo, chunk[0]!.happened_at)
      const reasons = await judgeChunk(chunk, windows)
      const last = chunk[chunk.length - 1]!.id
      rates = { upTo: last, windows }
      const changes = chunk
        .filter((event) => reasons.get(event.id) !== event.reasons)
        .map(({ id }) => ({ id, reasons: reasons.get(id)! }))
      await settle({ changes, upTo: last, watermark })
      settled += chunk.length
    }
  }

  async function dueAfter(upTo: number) {
    const rows = await readers
      .selectFrom('events')
      .leftJoin('user_agents', 'user_agents.id', 'events.user_agent_id')
      .select([
        'events.id',
        'campaign_id',
        'contact_id',
        'kind',
        'link',
        'happened_at',
        'address',
        'reasons',
        'machine',
      ])
      .where('events.id', '>', upTo)
      .orderBy('events.id')
      .limit(chunkSize)
      .execute()
    // An instant in the future comes from a clock that was wrong; it must not hold up those behind it.
    const ready = (event: { happened_at: number }) =>
      event.happened_at <= now() - settlingTime || event.happened_at > now() + settlingTime
    const young = rows.findIndex((event) => !ready(event))
    return young < 0 ? rows : rows.slice(0, young)
  }

  async function judgeChunk(chunk: Awaited<ReturnType<typeof dueAfter>>, windows: AddressRates) {
    const clicks = await clicksAround(chunk)
    const bursts = new Set<number>()
    for (const ofContact of clicks.values()) for (const id of burstsAmong(ofContact)) bursts.add(id)

    return new Map(
      chunk.map((event) => {
        let reasons = 0
        if (event.machine === null ? event.reasons & reason.agent : event.machine === 1)
          reasons |= reason.agent
        if (bursts.has(event.id)) reasons |= reason.burst
        if (event.address === null) reasons |= event.reasons & reason.rate
        else {
          if (windows.exceeds(event.address, event.happened_at)) reasons |= reason.rate
          windows.add(event.address, event.happened_at)
        }
        if (event.kind === kindNumber('landing_click')) {
          const hasty = clicks
            .get(event.contact_id)
            ?.some(
              (click) =>
                click.campaign_id === event.campaign_id &&
                click.id < event.id &&
                click.happened_at <= event.happened_at &&
                event.happened_at - click.happened_at < hasteWindow,
            )
          if (hasty) reasons |= reason.haste
        }
        return [event.id, reasons]
      }),
    )
  }

  /** All email clicks of the people in the chunk, from just before it to just after, in order. */
  async function clicksAround(chunk: { contact_id: number; happened_at: number }[]) {
    const instants = chunk.map((event) => event.happened_at)
    const rows = await readers
      .selectFrom('events')
      .select(['id', 'contact_id', 'campaign_id', 'link', 'happened_at'])
      .where('contact_id', 'in', [...new Set(chunk.map((event) => event.contact_id))])
      .where('happened_at', '>=', Math.min(...instants) - burstWindow)
      .where('happened_at', '<=', Math.max(...instants) + burstWindow)
      .where('kind', '=', kindNumber('email_click'))
      .orderBy('contact_id')
      .orderBy('happened_at')
      .orderBy('id')
      .execute()
    const clicks = new Map<number, Click[]>()
    for (const row of rows) {
      const ofContact = clicks.get(row.contact_id)
      if (ofContact) ofContact.push(row)
      else clicks.set(row.contact_id, [row])
    }
    return clicks
  }

  /** The minute before the first event to be judged, so that a restart changes no verdict. */
  async function warm(upTo: number, first: number) {
    const windows = new AddressRates({ addresses: 500_000 })
    const before = await readers
      .selectFrom('events')
      .select(['address', 'happened_at'])
      .where('id', '<=', upTo)
      .orderBy('id', 'desc')
      .limit(50_000)
      .execute()
    for (const { address, happened_at } of before.reverse())
      if (address !== null && happened_at > first - rateWindow) windows.add(address, happened_at)
    return windows
  }

  return {
    /** Settles all that is due; a second call while one runs joins it. @returns how many events were looked at */
    run(): Promise<number> {
      running ??= settleDue().finally(() => {
        running = null
      })
      return running
    },
  }
}
