import { sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { ContactBook } from '../audience/contacts.js'
import type { Countries } from '../audience/countries.js'
import { agentBook } from '../audience/devices.js'
import { addressKeeper } from '../audience/internet-addresses.js'
import { mentions } from '../audience/people.js'
import { compiled } from '../database/compiled.js'
import { unindexed } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { NewRow } from '../database/schema.js'
import { writeSetting } from '../database/settings.js'
import { FactRefused, type Recorder } from '../ledger/ledger.js'
import type { Calendar } from '../web/calendar.js'
import { CountChanges } from './counts.js'
import { type CountedEvent, type Journey, journeysOf, withEvent } from './journeys.js'
import { type EventKind, kindNumber } from './kinds.js'
import { asJourney, mergeSealedJourneys, sealedJourneysOf } from './sealing.js'
import { AddressRates, burstsAmong, burstWindow, type Click, hasteWindow, judge, reason } from './verdict.js'

/** An event of a campaign as it came in through a door. */
export interface EventFact {
  campaignId: number
  kind: EventKind
  /** Who it was: an address in its one spelling; null only beside `sub`, whose event then knows it. */
  email: string | null
  /** The `eid` of an earlier event of the campaign, which an affiliate network carried through; null when not needed. */
  sub: string | null
  /** A host name in ASCII; null only beside `sub`, whose event then knows it. */
  domain: string | null
  callerId: string | null
  link: string | null
  /** The recipient's own address and user agent; null when only a server script's are known. */
  address: string | null
  userAgent: string | null
  extra: Record<string, unknown> | null
  happenedAt: number
}
export interface EventReceipt {
  id: number
  /** The same `cid` and `eid` was recorded before; nothing was counted. */
  repeated: boolean
}

/** An event that names something which is not there; `details` says what, by field. */
export class EventRefused extends FactRefused {
  constructor(readonly details: Record<string, string>) {
    super(Object.values(details).join(' '))
  }
}

/** Verdicts that a second look has changed, and how far that look has come. */
export interface Settlement {
  changes: { id: number; reasons: number }[]
  /** All events up to this id are settled. */
  upTo: number
  /** The setting that remembers how far this look has come; {@link settledSetting} when nothing else is said. */
  watermark?: string
}
export const settledSetting = 'settled_event_id'

/** The most recent clicks that are looked at when an event comes in; the settling looks at all of them. */
const recentClicks = 50

interface Needs {
  db: Db
  calendar: Calendar
  contacts: ContactBook
  countryOf: Countries
}

/**
 * The recorder of the click tracker: events as they come in, and verdicts as they settle. Both change the same counts
 * in the same transaction, so that pages never see one without the other.
 */
export function campaignRecorder({ db, calendar, contacts, countryOf }: Needs) {
  const query = queries(db)
  const changes = new CountChanges(db, calendar)
  const agents = agentBook(db)
  const addresses = addressKeeper()
  const domains = new LRUCache<string, number>({ max: 10_000 })
  const rates = new AddressRates()
  let arrivals: { address: string; at: number }[] = []

  async function record(tx: Db, fact: EventFact): Promise<EventReceipt> {
    if (fact.callerId !== null) {
      const first = (await query.toldBefore(tx, { campaign_id: fact.campaignId, caller_id: fact.callerId }))
        .rows[0]
      if (first) return { id: first.id, repeated: true }
    }
    const at = fact.happenedAt
    const { contact, domainId } = await whoAndWhere(tx, fact)
    const agent = fact.userAgent === null ? null : await agents.findOrAdd(tx, fact.userAgent)
    const click = { campaign_id: fact.campaignId, link: fact.link, happened_at: at }
    const recent = contact.isNew ? [] : await recentClicksOf(tx, contact.id, at)

    let reasons = 0
    if (agent?.machine) reasons |= reason.agent
    if (fact.address !== null && rates.exceeds(fact.address, at)) reasons |= reason.rate
    if (fact.kind === 'landing_click' && isHasty(click, recent)) reasons |= reason.haste
    const burst =
      fact.kind === 'email_click' ? burstsAmong([...recent, { ...click, id: Number.MAX_SAFE_INTEGER }]) : null
    if (burst?.has(Number.MAX_SAFE_INTEGER)) reasons |= reason.burst

    // Who was erased is counted, and nothing is kept by which they could be known again.
    const isErased = !contact.isNew && (await contacts.isErased(tx, contact.id))
    const kept = isErased ? nameless(fact) : fact
    const row: NewRow<'events'> = {
      campaign_id: fact.campaignId,
      contact_id: contact.id,
      domain_id: domainId,
      kind: kindNumber(fact.kind),
      happened_at: at,
      caller_id: kept.callerId,
      link: kept.link,
      address: await addresses.keep(tx, kept.address, at),
      user_agent_id: isErased ? null : (agent?.id ?? null),
      country: countryOf(kept.address),
      device: agent?.device ?? null,
      extra: kept.extra === null ? null : JSON.stringify(kept.extra),
      verdict: judge(reasons),
      reasons,
    }
    const { id } = (await query.insert(tx, row as Required<typeof row>)).rows[0]!
    const event = { ...row, id } as CountedEvent

    const marked = recent.filter((earlier) => burst?.has(earlier.id) && !(earlier.reasons & reason.burst))
    const recount = new Set<number>()
    for (const earlier of marked) {
      const changed = await changeVerdict(tx, earlier.id, earlier.reasons | reason.burst)
      if (changed) recount.add(changed.campaign_id)
    }
    if (!recount.delete(fact.campaignId)) await addToJourneys(tx, event, contact.isNew)
    else await recountPerson(tx, fact.campaignId, contact.id)
    for (const campaignId of recount) await recountPerson(tx, campaignId, contact.id)

    changes.event(event, 1)
    if (fact.address !== null) arrivals.push({ address: fact.address, at })
    return { id, repeated: false }
  }

  async function settle(tx: Db, { changes: changed, upTo, watermark = settledSetting }: Settlement) {
    const people = new Map<string, CountedEvent>()
    for (const { id, reasons } of changed) {
      const event = await changeVerdict(tx, id, reasons)
      if (event) people.set(`${event.campaign_id} ${event.contact_id}`, event)
    }
    for (const { campaign_id, contact_id } of people.values())
      await recountPerson(tx, campaign_id, contact_id)
    await writeSetting(tx, watermark, String(upTo))
  }

  async function whoAndWhere(tx: Db, fact: EventFact) {
    const { email, domain, happenedAt } = fact
    const origin = email === null || domain === null ? await originOf(tx, fact) : null
    return {
      contact:
        email === null
          ? { id: origin!.contact_id, isNew: false }
          : await contacts.findOrAdd(tx, email, happenedAt),
      domainId: domain === null ? origin!.domain_id : await domainId(tx, domain, happenedAt),
    }
  }

  /** The event that `sub` names. */
  async function originOf(tx: Db, { campaignId, sub }: EventFact) {
    const { rows } = await query.toldBefore(tx, { campaign_id: campaignId, caller_id: sub! })
    if (rows[0]) return rows[0]
    throw new EventRefused({
      sub: `No event of campaign ${campaignId} has the eid "${sub}", so nobody knows whose this is.`,
    })
  }

  async function domainId(tx: Db, name: string, at: number): Promise<number> {
    let id = domains.get(name)
    if (id === undefined) {
      id =
        (await query.domain(tx, { name })).rows[0]?.id ??
        (await query.addDomain(tx, { name, created_at: at })).rows[0]!.id
      domains.set(name, id)
    }
    return id
  }

  async function recentClicksOf(tx: Db, contactId: number, at: number) {
    const { rows } = await query.recentClicks(tx, {
      contact_id: contactId,
      since: at - burstWindow,
      until: at,
    })
    return rows.reverse()
  }

  /** @returns the event when its change moves it between counted and machine, so that its person is counted anew */
  async function changeVerdict(tx: Db, id: number, reasons: number): Promise<CountedEvent | null> {
    const before = (await query.event(tx, { id })).rows[0]
    if (!before) return null // its campaign was deleted meanwhile
    const after = { ...before, verdict: judge(reasons) }
    await query.setVerdict(tx, { id, verdict: after.verdict, reasons })
    if (after.verdict === before.verdict) return null
    changes.event(before, -1)
    changes.event(after, 1)
    return after
  }

  async function addToJourneys(tx: Db, event: CountedEvent, isNewContact: boolean) {
    const before = isNewContact ? [] : await journeysIn(tx, event)
    const after = withEvent(before, event)
    await query.putJourney(tx, after.find((journey) => journey.domain_id === event.domain_id)!)
    changes.person(event.campaign_id, before, after)
  }

  async function recountPerson(tx: Db, campaign_id: number, contact_id: number) {
    const before = await journeysIn(tx, { campaign_id, contact_id })
    const sealed = await sealedJourneysOf(tx, { campaign_id, contact_id })
    const after = journeysOf(
      (await query.eventsOfPerson(tx, { campaign_id, contact_id })).rows,
      sealed.map(asJourney),
    )
    for (const journey of after) await query.putJourney(tx, journey)
    changes.person(campaign_id, before, after)
  }

  const journeysIn = async (tx: Db, person: { campaign_id: number; contact_id: number }) =>
    (await query.journeys(tx, person)).rows

  /** Two contacts are one person: the events of the one become the other's. */
  async function merge(tx: Db, from: number, into: number) {
    const { rows: campaigns } = await query.campaignsOf(tx, { contact_id: from })
    for (const { campaign_id } of campaigns)
      for (const contact_id of [from, into]) {
        changes.person(campaign_id, await journeysIn(tx, { campaign_id, contact_id }), [])
        await query.dropJourneys(tx, { campaign_id, contact_id })
      }
    await query.moveEvents(tx, { from, into })
    await mergeSealedJourneys(tx, from, into)
    for (const { campaign_id } of campaigns) await recountPerson(tx, campaign_id, into)
  }

  /** Takes away what tells who it was; the events stay, and count for nobody. @param names the addresses they had */
  async function erase(tx: Db, contact_id: number, names: string[]) {
    await query.eraseTraces(tx, { contact_id })
    for (const { id, link, caller_id } of (await query.textsOf(tx, { contact_id })).rows) {
      const told = (text: string | null) => text !== null && names.some((name) => mentions(text, name))
      if (!told(link) && !told(caller_id)) continue
      await query.setTexts(tx, {
        id,
        link: told(link) ? null : link,
        // It tells a repeated event from a new one, so something of its kind has to stay.
        caller_id: told(caller_id) ? `erased:${id}` : caller_id,
      })
    }
  }

  const shared = {
    begin() {
      changes.clear()
      arrivals = []
    },
    async finish(tx: Db) {
      await changes.write(tx)
      for (const { address, at } of arrivals) rates.add(address, at)
      arrivals = []
    },
    forget() {
      contacts.forget()
      agents.forget()
      addresses.forget()
      domains.clear()
    },
  }
  return {
    events: { record, ...shared } satisfies Recorder<EventFact, EventReceipt>,
    /** Shares the counts of `events`, which begins and finishes each transaction for both. */
    settlements: { record: settle } satisfies Recorder<Settlement, void>,
    /** What becomes of events when contacts are merged or erased. */
    people: { merge, erase },
    /** The privacy setting changed. */
    forgetSettings: () => addresses.forget(),
  }
}

function nameless(fact: EventFact): EventFact {
  const { email, callerId, link } = fact
  const keep = (text: string | null) =>
    text !== null && email !== null && mentions(text, email) ? null : text
  return { ...fact, callerId: keep(callerId), link: keep(link), address: null, userAgent: null, extra: null }
}

const isHasty = (landing: Omit<Click, 'id'>, clicks: Click[]) =>
  clicks.some(
    (click) =>
      click.campaign_id === landing.campaign_id && landing.happened_at - click.happened_at < hasteWindow,
  )

const counted = ['id', 'campaign_id', 'contact_id', 'domain_id', 'kind', 'happened_at', 'verdict'] as const

function queries(db: Db) {
  type Person = { campaign_id: number; contact_id: number }
  return {
    toldBefore: compiled<
      { campaign_id: number; caller_id: string },
      { id: number; contact_id: number; domain_id: number }
    >((value) =>
      db
        .selectFrom('events')
        .select(['id', 'contact_id', 'domain_id'])
        .where('campaign_id', '=', value('campaign_id'))
        .where('caller_id', '=', value('caller_id')),
    ),
    insert: compiled<Required<NewRow<'events'>>, { id: number }>((value) =>
      db
        .insertInto('events')
        .values({
          campaign_id: value('campaign_id'),
          contact_id: value('contact_id'),
          domain_id: value('domain_id'),
          kind: value('kind'),
          happened_at: value('happened_at'),
          caller_id: value('caller_id'),
          link: value('link'),
          address: value('address'),
          user_agent_id: value('user_agent_id'),
          country: value('country'),
          device: value('device'),
          extra: value('extra'),
          verdict: value('verdict'),
          reasons: value('reasons'),
        })
        .returning('id'),
    ),
    domain: compiled<{ name: string }, { id: number }>((value) =>
      db.selectFrom('sending_domains').select('id').where('name', '=', value('name')),
    ),
    addDomain: compiled<{ name: string; created_at: number }, { id: number }>((value) =>
      db
        .insertInto('sending_domains')
        .values({ name: value('name'), created_at: value('created_at') })
        .returning('id'),
    ),
    // What never changes is no parameter here: with it bound, SQLite takes three times as long.
    recentClicks: compiled<{ contact_id: number; since: number; until: number }, Click & { reasons: number }>(
      (value) =>
        db
          .selectFrom('events')
          .select(['id', 'campaign_id', 'link', 'happened_at', 'reasons'])
          .where('contact_id', '=', value('contact_id'))
          .where('happened_at', '>=', value('since'))
          .where('happened_at', '<=', value('until'))
          .where('kind', '=', sql.lit(kindNumber('email_click')))
          .orderBy('happened_at', 'desc')
          .orderBy('id', 'desc')
          .limit(sql.lit(recentClicks)),
    ),
    event: compiled<{ id: number }, CountedEvent>((value) =>
      db.selectFrom('events').select(counted).where('id', '=', value('id')),
    ),
    setVerdict: compiled<{ id: number; verdict: number; reasons: number }>((value) =>
      db
        .updateTable('events')
        .set({ verdict: value('verdict'), reasons: value('reasons') })
        .where('id', '=', value('id')),
    ),
    eventsOfPerson: compiled<Person, CountedEvent>((value) =>
      db
        .selectFrom('events')
        .select(counted)
        .where('contact_id', '=', value('contact_id'))
        // A person has few events, a campaign millions.
        .where(({ eb, ref }) => eb(unindexed(ref('campaign_id')), '=', value('campaign_id')))
        .orderBy('id'),
    ),
    journeys: compiled<Person, Journey>((value) =>
      db
        .selectFrom('journeys')
        .selectAll()
        .where('campaign_id', '=', value('campaign_id'))
        .where('contact_id', '=', value('contact_id')),
    ),
    campaignsOf: compiled<{ contact_id: number }, { campaign_id: number }>((value) =>
      db
        .selectFrom('events')
        .select('campaign_id')
        .where('contact_id', '=', value('contact_id'))
        .union((sealed) =>
          sealed
            .selectFrom('sealed_journeys')
            .select('campaign_id')
            .where('contact_id', '=', value('contact_id')),
        ),
    ),
    dropJourneys: compiled<Person>((value) =>
      db
        .deleteFrom('journeys')
        .where('campaign_id', '=', value('campaign_id'))
        .where('contact_id', '=', value('contact_id')),
    ),
    moveEvents: compiled<{ from: number; into: number }>((value) =>
      db
        .updateTable('events')
        .set({ contact_id: value('into') })
        .where('contact_id', '=', value('from')),
    ),
    eraseTraces: compiled<{ contact_id: number }>((value) =>
      db
        .updateTable('events')
        .set({ address: null, user_agent_id: null, country: null, extra: null })
        .where('contact_id', '=', value('contact_id')),
    ),
    textsOf: compiled<{ contact_id: number }, { id: number; link: string | null; caller_id: string | null }>(
      (value) =>
        db
          .selectFrom('events')
          .select(['id', 'link', 'caller_id'])
          .where('contact_id', '=', value('contact_id')),
    ),
    setTexts: compiled<{ id: number; link: string | null; caller_id: string | null }>((value) =>
      db
        .updateTable('events')
        .set({ link: value('link'), caller_id: value('caller_id') })
        .where('id', '=', value('id')),
    ),
    putJourney: compiled<Journey>((value) => {
      const columns = {
        email_clicks: value('email_clicks'),
        landing_clicks: value('landing_clicks'),
        conversions: value('conversions'),
        machine_email_clicks: value('machine_email_clicks'),
        machine_landing_clicks: value('machine_landing_clicks'),
        machine_conversions: value('machine_conversions'),
        orphans: value('orphans'),
        first_email_click_at: value('first_email_click_at'),
        first_landing_click_at: value('first_landing_click_at'),
        first_conversion_at: value('first_conversion_at'),
        last_at: value('last_at'),
        machine_last_at: value('machine_last_at'),
      }
      return db
        .insertInto('journeys')
        .values({
          id: value('id'),
          campaign_id: value('campaign_id'),
          contact_id: value('contact_id'),
          domain_id: value('domain_id'),
          ...columns,
        })
        .onConflict((conflict) =>
          conflict.columns(['campaign_id', 'contact_id', 'domain_id']).doUpdateSet(columns),
        )
    }),
  }
}
