import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import { agentBook, type Device, isMachine } from '../audience/devices.js'
import type { Networks } from '../audience/networks.js'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { NewRow, Row, YesNo } from '../database/schema.js'
import type { Recorder } from '../ledger/ledger.js'
import type { Calendar } from '../web/calendar.js'
import { clickAddresses, keptReferrer, keptUserAgent } from './click-traces.js'
import { PromoChanges } from './counts.js'
import { mailingOfSend } from './sends.js'
import { type PromoSettings, readPromoSettings } from './settings.js'

interface Spoolable {
  /** Set when the fact waits, or waited, in the spool: whoever records it a second time records nothing. */
  spoolId: string | null
  happenedAt: number
  /** It is being written, or was, under the id that it had then: an id that it gets now would make two of it. */
  isWritten?: boolean
}
/** The id under which a fact is written from now on. */
function writtenId(fact: Spoolable) {
  fact.isWritten = true
  return fact.spoolId
}
/** A text was shown. */
export interface ImpressionFact extends Spoolable {
  kind: 'impression'
  offerId: number
  variationId: number
  /** What the newsletter's generator calls the issue; null: nobody said. */
  sendKey: string | null
  placements: number
}
/** A link was followed. */
export interface ClickFact extends Spoolable {
  kind: 'click'
  offerId: number
  /** null: a redirect that named none of the offer's texts. */
  variationId: number | null
  referrer: string
  userAgent: string | null
  /** The reader's internet address itself, or `hash …` of one; it is only ever stored hashed. */
  address: string | null
  /** A browser loaded what nobody has asked for yet. */
  ahead: boolean
}
/** A text was chosen. */
export interface ChoiceFact extends Spoolable {
  kind: 'choice'
  offerId: number
  variationId: number
  newsletter: string
  strategy: string
  seed: number
  excludedId: number | null
  /** JSON texts with their SHA-256: what the offer and what its text were chosen by. */
  offersWeighting: Weighting
  textsWeighting: Weighting
}
export interface Weighting {
  hash: string
  json: string
}
export type PromoFact = ImpressionFact | ClickFact | ChoiceFact

export interface PromoReceipt {
  /** It was recorded before; nothing was counted. */
  repeated: boolean
  /** It went into impressions or clicks, and not merely beside them. */
  counted: boolean
}
const before: PromoReceipt = { repeated: true, counted: false }

/** Milliseconds in which the same address on the same text is one reader. */
const repeatWindow = 600_000

interface Needs {
  db: Db
  calendar: Calendar
  networks: Networks
  /** Further ways in which a provider may spell the id of a mailing. */
  canonicalId: (text: string) => string | null
}

/** The recorder of promos: what was shown, clicked and chosen, with the counts in the same transaction. */
export function promoRecorder({ db, calendar, networks, canonicalId }: Needs) {
  const query = queries(db)
  const changes = new PromoChanges(db, calendar)
  const agents = agentBook(db)
  const addresses = clickAddresses()
  const mailingOf = mailingOfSend(db, canonicalId)
  const sends = new LRUCache<string, number>({ max: 5_000 })
  const weightings = new LRUCache<string, number>({ max: 2_000 })
  /** The issue that showed a text last. */
  const shown = new LRUCache<number, { sendId: number | null; at: number }>({ max: 20_000 })
  let settings: PromoSettings | null = null

  async function recordImpression(tx: Db, fact: ImpressionFact): Promise<PromoReceipt> {
    const { offerId, variationId, placements, happenedAt, sendKey } = fact
    const sendId = sendKey === null ? null : await sendOf(tx, sendKey, happenedAt)
    const { rows } = await query.impression(tx, {
      offer_id: offerId,
      variation_id: variationId,
      send_id: sendId,
      placements,
      happened_at: happenedAt,
      spool_id: writtenId(fact),
    })
    if (rows.length === 0) return before
    const last = shown.get(variationId)
    if (sendId !== null && last && happenedAt >= last.at) shown.set(variationId, { sendId, at: happenedAt })
    changes.add({
      offerId,
      variationId,
      sendId,
      device: null,
      at: happenedAt,
      adds: { impressions: placements },
    })
    return { repeated: false, counted: true }
  }

  async function recordClick(tx: Db, fact: ClickFact): Promise<PromoReceipt> {
    settings ??= await readPromoSettings(tx)
    const { keepsMetadata } = settings
    const { offerId, variationId, happenedAt: at } = fact
    const text = fact.userAgent === null ? '' : keptUserAgent(fact.userAgent)
    // A user agent that is not kept is only looked at.
    const agent = text !== '' && keepsMetadata ? await agents.findOrAdd(tx, text) : null
    // Every browser says what it is; whoever calls a redirect without a word is none.
    const isByMachine = agent
      ? agent.machine
      : fact.userAgent?.trim() === '' || (text !== '' && isMachine(text))
    const device: Device | null = agent?.device ?? null
    const address =
      fact.address === null || !keepsMetadata ? null : await addresses.hash(tx, fact.address, at)
    const verdict = verdictOf(fact, isByMachine)
    const sendId = variationId === null ? null : await sendBefore(tx, variationId, at)
    const { rows } = await query.click(tx, {
      offer_id: offerId,
      variation_id: variationId,
      send_id: sendId,
      happened_at: at,
      referrer: keepsMetadata ? keptReferrer(fact.referrer) : '',
      address,
      user_agent_id: agent?.id ?? null,
      device,
      verdict,
      spool_id: writtenId(fact),
      ...around(at, address),
    })
    if (rows.length === 0) return before
    const isRepeat = rows[0]!.repeated === 1
    const counted = verdict < 2 && !isRepeat
    const adds = verdict === 2 ? { machine_clicks: 1 } : isRepeat ? { repeated_clicks: 1 } : { clicks: 1 }
    changes.add({ offerId, variationId, sendId, device, at, adds })
    return { repeated: false, counted }
  }

  function verdictOf({ address, ahead }: ClickFact, isMachine: boolean): 0 | 1 | 2 {
    const network = address === null ? null : networks.classOf(address)
    if (isMachine || ahead || network === 'scanner') return 2
    return network === 'data-centre' ? 1 : 0
  }

  async function sendBefore(tx: Db, variation_id: number, at: number): Promise<number | null> {
    const last = shown.get(variation_id)
    if (last && at >= last.at) return last.sendId
    const row = (await query.lastSend(tx, { variation_id, at })).rows[0]
    if (!last) {
      const latest = (await query.lastSend(tx, { variation_id, at: Number.MAX_SAFE_INTEGER })).rows[0]
      shown.set(variation_id, { sendId: latest?.send_id ?? null, at: latest?.happened_at ?? 0 })
    }
    return row?.send_id ?? null
  }

  async function sendOf(tx: Db, key: string, at: number): Promise<number> {
    let id = sends.get(key)
    if (id === undefined) {
      id = (await query.send(tx, { key })).rows[0]?.id ?? (await addSend(tx, key, at))
      sends.set(key, id)
    }
    return id
  }
  async function addSend(tx: Db, key: string, first_at: number) {
    const mailing_id = await mailingOf(tx, key)
    const tied_by = mailing_id === null ? null : 'provider'
    return (await query.addSend(tx, { key, mailing_id, tied_by, first_at })).rows[0]!.id
  }

  async function recordChoice(tx: Db, fact: ChoiceFact): Promise<PromoReceipt> {
    const { rows } = await query.choice(tx, {
      offer_id: fact.offerId,
      variation_id: fact.variationId,
      newsletter: fact.newsletter,
      strategy: fact.strategy,
      seed: fact.seed,
      excluded_id: fact.excludedId,
      offers_weighting_id: await weightingOf(tx, fact.offersWeighting),
      texts_weighting_id: await weightingOf(tx, fact.textsWeighting),
      chosen_at: fact.happenedAt,
      spool_id: writtenId(fact),
    })
    return { repeated: rows.length === 0, counted: false }
  }
  async function weightingOf(tx: Db, { hash, json }: Weighting): Promise<number> {
    let id = weightings.get(hash)
    if (id === undefined) {
      id =
        (await query.weighting(tx, { hash })).rows[0]?.id ??
        (await query.addWeighting(tx, { hash, weights: json })).rows[0]!.id
      weightings.set(hash, id)
    }
    return id
  }

  return {
    facts: {
      begin: () => changes.clear(),
      record(tx: Db, fact: PromoFact) {
        if (fact.kind === 'impression') return recordImpression(tx, fact)
        return fact.kind === 'click' ? recordClick(tx, fact) : recordChoice(tx, fact)
      },
      finish: (tx: Db) => changes.write(tx),
      forget() {
        agents.forget()
        addresses.forget()
        sends.clear()
        weightings.clear()
        shown.clear()
      },
    } satisfies Recorder<PromoFact, PromoReceipt>,
    forgetSettings() {
      settings = null
    },
    /** Weightings were removed. */
    forgetWeightings: () => weightings.clear(),
  }
}

/**
 * Where another click of the same reader is looked for. The index `promo_clicks_again` is by spells as long as the window,
 * so that three of them hold it on either side, and by the beginning of the hashed address.
 */
function around(at: number, address: string | null) {
  const spell = Math.floor(at / repeatWindow)
  return {
    since: at - repeatWindow,
    until: at + repeatWindow,
    spell,
    spell_before: spell - 1,
    spell_after: spell + 1,
    beginning: address?.slice(0, 8) ?? null,
  }
}

function queries(db: Db) {
  return {
    impression: compiled<Required<Omit<NewRow<'promo_impressions'>, 'id'>>, { id: number }>((value) =>
      db
        .insertInto('promo_impressions')
        .values({
          offer_id: value('offer_id'),
          variation_id: value('variation_id'),
          send_id: value('send_id'),
          placements: value('placements'),
          happened_at: value('happened_at'),
          spool_id: value('spool_id'),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('id'),
    ),
    click: compiled<
      Required<Omit<NewRow<'promo_clicks'>, 'id' | 'repeated'>> & ReturnType<typeof around>,
      { repeated: number }
    >((value) =>
      db
        .insertInto('promo_clicks')
        .values({
          offer_id: value('offer_id'),
          variation_id: value('variation_id'),
          send_id: value('send_id'),
          happened_at: value('happened_at'),
          referrer: value('referrer'),
          address: value('address'),
          user_agent_id: value('user_agent_id'),
          device: value('device'),
          verdict: value('verdict'),
          // What was told later may have happened earlier: a click on either side within the window is the same reader's.
          repeated: (eb) =>
            eb
              .exists(
                eb
                  .selectFrom('promo_clicks as others')
                  .select(sql.lit(1).as('one'))
                  // In the index's own words.
                  .where(sql`others.happened_at / 600000`, 'in', [
                    value('spell_before'),
                    value('spell'),
                    value('spell_after'),
                  ])
                  .where(sql`substr(others.address, 1, 8)`, '=', value('beginning'))
                  .where('others.address', '=', value('address'))
                  .where('others.happened_at', '>=', value('since'))
                  .where('others.happened_at', '<=', value('until'))
                  // A scanner or a browser that loads ahead does not use up the reader's own click.
                  .where('others.verdict', '<', sql.lit(2))
                  .where('others.offer_id', '=', value('offer_id'))
                  .where('others.variation_id', 'is', value('variation_id')),
              )
              .$castTo<YesNo>(),
          spool_id: value('spool_id'),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('repeated'),
    ),
    lastSend: compiled<{ variation_id: number; at: number }, { send_id: number; happened_at: number }>(
      (value) =>
        db
          .selectFrom('promo_impressions')
          .select(['send_id', 'happened_at'])
          .where('variation_id', '=', value('variation_id'))
          .where('send_id', 'is not', null)
          .where('happened_at', '<=', value('at'))
          .orderBy('happened_at', 'desc')
          .limit(1),
    ),
    send: compiled<{ key: string }, { id: number }>((value) =>
      db.selectFrom('promo_sends').select('id').where('key', '=', value('key')),
    ),
    addSend: compiled<
      Pick<Row<'promo_sends'>, 'key' | 'mailing_id' | 'tied_by' | 'first_at'>,
      { id: number }
    >((value) =>
      db
        .insertInto('promo_sends')
        .values({
          key: value('key'),
          mailing_id: value('mailing_id'),
          tied_by: value('tied_by'),
          first_at: value('first_at'),
        })
        .returning('id'),
    ),
    weighting: compiled<{ hash: string }, { id: number }>((value) =>
      db.selectFrom('promo_weightings').select('id').where('hash', '=', value('hash')),
    ),
    addWeighting: compiled<{ hash: string; weights: string }, { id: number }>((value) =>
      db
        .insertInto('promo_weightings')
        .values({ hash: value('hash'), weights: value('weights') })
        .returning('id'),
    ),
    choice: compiled<Required<Omit<NewRow<'promo_choices'>, 'id'>>, { id: number }>((value) =>
      db
        .insertInto('promo_choices')
        .values({
          offer_id: value('offer_id'),
          variation_id: value('variation_id'),
          newsletter: value('newsletter'),
          strategy: value('strategy'),
          seed: value('seed'),
          excluded_id: value('excluded_id'),
          offers_weighting_id: value('offers_weighting_id'),
          texts_weighting_id: value('texts_weighting_id'),
          chosen_at: value('chosen_at'),
          spool_id: value('spool_id'),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('id'),
    ),
  }
}
