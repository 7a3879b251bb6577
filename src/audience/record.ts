import { LRUCache } from 'lru-cache'
import { compiled } from '../database/compiled.js'
import { unindexed } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { NewRow, Row } from '../database/schema.js'
import type { Recorder } from '../ledger/ledger.js'
import type { Calendar } from '../web/calendar.js'
import type { ContactBook } from './contacts.js'
import type { Countries } from './countries.js'
import { agentBook } from './devices.js'
import { EngagementChanges } from './engagement-counts.js'
import { type EngagementKind, engagementNumber } from './engagement-kinds.js'
import { engagementReason, judge, judgeReception, staticReasons } from './engagement-verdict.js'
import { addressKeeper } from './internet-addresses.js'
import type { Networks } from './networks.js'
import { type CountedEngagement, type Reception, receptionOf } from './receptions.js'
import { engagementSealer, minutesOf, type SealedReception, sealedBook } from './sealing.js'

/** An engagement as a provider told it. What nobody told is null; a later telling of the same one completes it. */
export interface EngagementFact {
  provider: string
  /** The provider's id of the event in its canonical spelling. Without one, the same event told twice is guessed at. */
  providerId: string | null
  contactId: number
  mailingId: number | null
  kind: EngagementKind
  happenedAt: number
  /** Is `happenedAt` the instant of the event itself, rather than that of the delivery which told it? */
  exact: boolean
  url: string | null
  address: string | null
  userAgent: string | null
  os: string | null
  browser: string | null
  metadata: Record<string, unknown> | null
}
export interface EngagementReceipt {
  /** null where it is removed by now: nothing is added to it. */
  id: number | null
  /** It was told before; whatever was new in this telling was added, and nothing was counted twice. */
  repeated: boolean
  /** Nothing is missing any more: when it happened, in which mailing, and the link of a click. */
  whole: boolean
}

/** Receptions to look at again, as the table has them: mailing 0 stands for those that nobody knows the mailing of. */
export interface Judgement {
  pairs: { contact_id: number; mailing_id: number }[]
}

/**
 * Milliseconds between an event and the last delivery that may tell it: providers try again for about 25 minutes, and
 * clocks differ by a little.
 */
const longestDelay = 35 * 60_000
const clockSkew = 60_000
/** Milliseconds by which two tellings of the same instant may differ. */
const sameInstant = 2_000

interface Needs {
  db: Db
  calendar: Calendar
  contacts: ContactBook
  countryOf: Countries
  networks: Networks
  /** The address of the hidden link by which machines give themselves away; empty when there is none. */
  canaryUrl: (tx: Db) => Promise<string | null>
}

/**
 * The recorder of engagements. All that one contact and one mailing have to do with each other is judged and counted
 * anew with each fact, so that the outcome does not depend on the order in which facts come in.
 */
export function engagementRecorder({ db, calendar, contacts, countryOf, networks, canaryUrl }: Needs) {
  const query = queries(db)
  const changes = new EngagementChanges(db, calendar)
  const agents = agentBook(db)
  const addresses = addressKeeper()
  const sealed = sealedBook(db)
  const sealer = engagementSealer(db)
  const links = new LRUCache<string, number>({ max: 5_000 })
  const lists = new LRUCache<number, number>({ max: 5_000 })
  let canary: string | null | undefined

  async function record(tx: Db, fact: EngagementFact): Promise<EngagementReceipt> {
    // By its id first: else it would be taken for one near it that is still there.
    if (await isRemovedId(tx, fact)) return removedBefore
    const known = await traces(tx, fact)
    const told = await toldBefore(tx, fact, known)
    if (!told && (await isRemoved(tx, fact))) return removedBefore
    if (!told) {
      const row = {
        contact_id: fact.contactId,
        mailing_id: fact.mailingId,
        kind: engagementNumber(fact.kind),
        happened_at: fact.happenedAt,
        exact: fact.exact ? (1 as const) : (0 as const),
        provider: fact.provider,
        provider_id: fact.providerId,
        ...known,
      }
      const verdict = judge(row.kind, row.reasons)
      const { id } = (
        await query.insert(tx, { ...row, verdict } as Required<typeof row & { verdict: number }>)
      ).rows[0]!
      changes.engagement({ ...row, id, verdict }, await listOf(tx, row.mailing_id), 1)
      await recount(tx, row.contact_id, row.mailing_id)
      return { id, repeated: false, whole: isWhole(row) }
    }
    const completed = await complete(tx, told, fact, known)
    return { id: told.id, repeated: true, whole: isWhole(completed) }
  }

  /** @returns the row of the same event, if it was told before */
  async function toldBefore(
    tx: Db,
    fact: EngagementFact,
    known: Awaited<ReturnType<typeof traces>>,
  ): Promise<Row<'engagements'> | undefined> {
    const { provider, providerId, contactId } = fact
    if (providerId !== null) {
      const same = (await query.byProviderId(tx, { provider, provider_id: providerId })).rows[0]
      if (same) return same
    } else if (fact.exact && fact.mailingId !== null) {
      // A provider whose reports have no ids tells all of a report again, word for word.
      const { rows } = await query.sameWithoutId(tx, {
        contact_id: contactId,
        mailing_id: fact.mailingId,
        provider,
        kind: engagementNumber(fact.kind),
        happened_at: fact.happenedAt,
      })
      const same = rows.find((row) => traceNames.every((name) => row[name] === known[name]))
      if (same) return same
    }
    // Of two tellings one may lack the id, and then one of them has the instant of its delivery.
    const sought = {
      contact_id: contactId,
      provider,
      kind: engagementNumber(fact.kind),
      since: fact.happenedAt - longestDelay,
      until: fact.happenedAt + longestDelay,
    }
    const near =
      providerId === null ? await query.nearWithId(tx, sought) : await query.nearWithoutId(tx, sought)
    return near.rows
      .sort(byInstant)
      .find(
        (row) =>
          isSameInstant(row, fact) &&
          (row.mailing_id === null || fact.mailingId === null || row.mailing_id === fact.mailingId) &&
          (row.url === null || fact.url === null || row.url === fact.url),
      )
  }

  /** Is it old enough to have been told before, and removed since? */
  const isOld = (fact: EngagementFact, before: number) => fact.happenedAt - longestDelay < before

  /** Only what is old enough is looked for, or came with the instant of its delivery. */
  async function isRemovedId(tx: Db, fact: EngagementFact): Promise<boolean> {
    const { provider, providerId, exact } = fact
    if (providerId === null) return false
    const before = await sealed.before(tx)
    return before > 0 && (isOld(fact, before) || !exact) && sealed.hasId(tx, provider, providerId)
  }
  /** The same where one of two tellings lacks the id, or both do. */
  async function isRemoved(tx: Db, fact: EngagementFact): Promise<boolean> {
    const { provider, providerId, contactId, kind, happenedAt, exact } = fact
    const before = await sealed.before(tx)
    if (before === 0 || !isOld(fact, before)) return false
    const minutes = exact
      ? minutesOf(happenedAt - sameInstant, happenedAt + sameInstant)
      : minutesOf(happenedAt - longestDelay, happenedAt + clockSkew)
    const about = { provider, contact: contactId, mailing: fact.mailingId, kind: engagementNumber(kind) }
    // Of two tellings one may lack the id; and without ids the same instant is the same engagement.
    if (await sealed.hasMoment(tx, { ...about, hasId: providerId === null }, minutes)) return true
    return (
      providerId === null &&
      exact &&
      sealed.hasMoment(tx, { ...about, hasId: false }, minutesOf(happenedAt, happenedAt))
    )
  }

  /** What is told for the second time, or more exactly, stands beside what was known; nothing known is forgotten. */
  async function complete(
    tx: Db,
    told: Row<'engagements'>,
    fact: EngagementFact,
    known: Awaited<ReturnType<typeof traces>>,
  ) {
    const after = { ...told }
    after.provider_id ??= fact.providerId
    if (told.exact === 0 && fact.exact) {
      after.happened_at = fact.happenedAt
      after.exact = 1
    }
    after.mailing_id ??= fact.mailingId
    for (const name of traceNames) (after[name] as unknown) ??= known[name]
    after.reasons =
      ((told.reasons | known.reasons) & ~engagementReason.unjudged) |
      (told.reasons & known.reasons & engagementReason.unjudged)
    if (same(told, after)) return told
    after.verdict = judge(after.kind, after.reasons)
    await query.put(tx, after)
    changes.engagement(told, await listOf(tx, told.mailing_id), -1)
    changes.engagement(after, await listOf(tx, after.mailing_id), 1)
    if (told.mailing_id !== after.mailing_id) await recount(tx, told.contact_id, told.mailing_id)
    await recount(tx, after.contact_id, after.mailing_id)
    return after
  }

  /** What of the fact may be kept, and what speaks for or against a person in it. */
  async function traces(tx: Db, fact: EngagementFact) {
    const { url, userAgent, address, os, browser, metadata, kind, happenedAt } = fact
    const reasons = staticReasons({ kind, userAgent, address, os, browser, metadata, networks })
    // An erased person's deeds count, and tell nothing: a link that only they were sent could name them.
    if (await contacts.isErased(tx, fact.contactId))
      return { ...noTraces, link_id: url === null ? null : await knownLink(tx, url), reasons }
    const agent = userAgent === null ? null : await agents.findOrAdd(tx, userAgent)
    return {
      link_id: url === null ? null : await linkId(tx, url),
      address: await addresses.keep(tx, address, happenedAt),
      user_agent_id: agent?.id ?? null,
      os,
      browser,
      country: countryOf(address),
      metadata: metadata === null ? null : JSON.stringify(metadata),
      reasons,
    }
  }

  /**
   * Judges and counts all that one contact and one mailing have to do with each other anew.
   * @param mailing null: what nobody knows the mailing of
   */
  async function recount(tx: Db, contact_id: number, mailing: number | null) {
    const mailing_id = mailing ?? 0
    const list = await listOf(tx, mailing)
    const { rows } =
      mailing === null
        ? await query.withoutMailing(tx, { contact_id })
        : await query.ofReception(tx, { contact_id, mailing_id })
    if (canary === undefined) canary = await canaryUrl(tx)
    const removed = mailing === null ? null : await sealed.reception(tx, contact_id, mailing)
    const verdicts = judgeReception(
      [...rows.map((row) => ({ ...row, link: row.url })), ...arrivalOf(removed)],
      { canaryUrl: canary },
    )
    const judged = rows.map((row, index) => {
      const isSettled = removed !== null && row.happened_at <= removed.settled_until
      const { reasons, verdict } = isSettled ? row : verdicts[index]!
      return { ...row, reasons, verdict, before: row }
    })
    for (const { before, ...row } of judged) {
      if (row.reasons === before.reasons && row.verdict === before.verdict) continue
      await query.setVerdict(tx, { id: row.id, reasons: row.reasons, verdict: row.verdict })
      changes.engagement(before, list, -1)
      changes.engagement(row, list, 1)
    }
    const before = (await query.reception(tx, { contact_id, mailing_id })).rows[0] ?? null
    const after = receptionOf(judged, { contact_id, mailing_id }, removed)
    if (after) await query.putReception(tx, after)
    else if (before) await query.dropReception(tx, { contact_id, mailing_id })
    if (before || after) changes.reception(before, after)
  }

  async function knownLink(tx: Db, url: string): Promise<number | null> {
    const text = url.slice(0, 2_000)
    const id = links.get(text) ?? (await query.link(tx, { url: text })).rows[0]?.id ?? null
    if (id !== null) links.set(text, id)
    return id
  }

  async function linkId(tx: Db, url: string): Promise<number> {
    const known = await knownLink(tx, url)
    if (known !== null) return known
    const text = url.slice(0, 2_000)
    const { id } = (await query.addLink(tx, { url: text })).rows[0]!
    links.set(text, id)
    return id
  }

  /** The list of a mailing, 0 where there is none. A mailing never changes its list. */
  async function listOf(tx: Db, mailing: number | null): Promise<number> {
    if (mailing === null) return 0
    let list = lists.get(mailing)
    if (list === undefined) {
      list = (await query.listOf(tx, { id: mailing })).rows[0]?.list_id ?? 0
      lists.set(mailing, list)
    }
    return list
  }

  /** All engagements of one contact go to another: both are counted anew. */
  async function move(tx: Db, from: number, into: number) {
    const { rows } = await query.ofContact(tx, { contact_id: from })
    for (const row of rows) {
      const list = await listOf(tx, row.mailing_id)
      changes.engagement(row, list, -1)
      changes.engagement({ ...row, contact_id: into }, list, 1)
    }
    await query.moveAll(tx, { from, into })
    const mailings = new Set(rows.map(({ mailing_id }) => mailing_id))
    if ((await sealed.before(tx)) > 0) {
      const removed = await sealer.move(tx, from, into)
      for (const quarter of removed.quarters) changes.moved(quarter, into)
      for (const { mailing_id } of removed.receptions) mailings.add(mailing_id)
    }
    for (const mailing of mailings) {
      await recount(tx, from, mailing)
      await recount(tx, into, mailing)
    }
  }

  /**
   * Runs a fact of any recorder that changes engagements: what it changes in the counts stands only when the fact does.
   */
  async function counted<Receipt>(work: () => Promise<Receipt>): Promise<Receipt> {
    changes.begin()
    const receipt = await work()
    changes.keep()
    return receipt
  }

  return {
    engagements: {
      begin() {
        changes.clear()
        sealed.forget()
      },
      record: (tx: Db, fact: EngagementFact) => counted(() => record(tx, fact)),
      finish: (tx: Db) => changes.write(tx),
      forget() {
        contacts.forget()
        agents.forget()
        addresses.forget()
        links.clear()
        lists.clear()
        sealed.forget()
        canary = undefined
      },
    } satisfies Recorder<EngagementFact, EngagementReceipt>,
    /** Judges receptions of the past by the present rules: what hangs on timing and on the canary. */
    judgements: {
      record: (tx: Db, { pairs }: Judgement) =>
        counted(async () => {
          for (const { contact_id, mailing_id } of pairs) await recount(tx, contact_id, mailing_id || null)
        }),
    } satisfies Recorder<Judgement, void>,
    /** For recorders that stand on this one; inside {@link counted}. */
    record,
    counted,
    move,
    recount,
    /** A link names somebody who was erased. */
    forgetSealedLink: sealer.forgetLink,
    /** Links are gone that were known. */
    forgetLinks: () => links.clear(),
    /** The privacy setting or the canary changed. */
    forgetSettings() {
      addresses.forget()
      canary = undefined
    },
  }
}
export type EngagementRecorder = ReturnType<typeof engagementRecorder>

const isWhole = ({
  exact,
  mailing_id,
  kind,
  link_id,
}: Pick<Row<'engagements'>, 'exact' | 'mailing_id' | 'kind' | 'link_id'>) =>
  exact === 1 && mailing_id !== null && (link_id !== null || kind !== engagementNumber('clicked'))

/** What an engagement may leave behind, apart from that it happened. */
const traceNames = ['link_id', 'address', 'user_agent_id', 'os', 'browser', 'country', 'metadata'] as const

const noTraces = {
  address: null,
  user_agent_id: null,
  os: null,
  browser: null,
  country: null,
  metadata: null,
}

/** A delivery comes after its event, by up to half an hour; of two deliveries nobody can tell. */
function isSameInstant(
  row: Pick<Row<'engagements'>, 'happened_at' | 'exact'>,
  fact: Pick<EngagementFact, 'happenedAt' | 'exact'>,
) {
  if (row.exact === 1 && fact.exact) return Math.abs(row.happened_at - fact.happenedAt) < sameInstant
  if (row.exact === 0 && !fact.exact) return false
  const [event, delivery] = fact.exact
    ? [fact.happenedAt, row.happened_at]
    : [row.happened_at, fact.happenedAt]
  return delivery >= event - clockSkew && delivery <= event + longestDelay
}

/** The arrival of what is removed goes on telling haste from leisure. */
function arrivalOf(removed: SealedReception | null) {
  if (removed?.delivered_at == null) return []
  const told = { id: 0, link: null, reasons: 0, verdict: 0 }
  return [{ ...told, kind: engagementNumber('delivered'), happened_at: removed.delivered_at }]
}

const removedBefore: EngagementReceipt = { id: null, repeated: true, whole: true }

const byInstant = (one: NearRow, other: NearRow) => one.happened_at - other.happened_at || one.id - other.id

const same = (one: Row<'engagements'>, other: Row<'engagements'>) =>
  (Object.keys(one) as (keyof Row<'engagements'>)[]).every((name) => one[name] === other[name])

type NearRow = Row<'engagements'> & { url: string | null }
type Judged = CountedEngagement & { url: string | null }

function queries(db: Db) {
  type Pair = { contact_id: number; mailing_id: number }
  type New = Required<Omit<NewRow<'engagements'>, 'id'>>
  type Near = { contact_id: number; provider: string; kind: number; since: number; until: number }
  // Not put in order here: for an order's sake SQLite would walk through all engagements of the kind.
  const near = (value: <Name extends keyof Near>(name: Name) => Near[Name]) =>
    db
      .selectFrom('engagements')
      .leftJoin('links', 'links.id', 'link_id')
      .selectAll('engagements')
      .select('links.url')
      .where('contact_id', '=', value('contact_id'))
      .where(({ eb, ref }) => eb(unindexed(ref('happened_at')), '>=', value('since')))
      .where(({ eb, ref }) => eb(unindexed(ref('happened_at')), '<=', value('until')))
      .where(({ eb, ref }) => eb(unindexed(ref('provider')), '=', value('provider')))
  const judged = db
    .selectFrom('engagements')
    .leftJoin('links', 'links.id', 'link_id')
    .select([
      'engagements.id',
      'contact_id',
      'mailing_id',
      'kind',
      'happened_at',
      'verdict',
      'reasons',
      'links.url',
    ])
    .orderBy('happened_at')
    .orderBy('engagements.id')
  const receptionColumns = (value: <Name extends keyof Reception>(name: Name) => Reception[Name]) => ({
    sent_at: value('sent_at'),
    delivered_at: value('delivered_at'),
    opens: value('opens'),
    proxy_opens: value('proxy_opens'),
    machine_opens: value('machine_opens'),
    unjudged_opens: value('unjudged_opens'),
    clicks: value('clicks'),
    machine_clicks: value('machine_clicks'),
    unjudged_clicks: value('unjudged_clicks'),
    replies: value('replies'),
    bounced: value('bounced'),
    complained: value('complained'),
    unsubscribed: value('unsubscribed'),
    first_opened_at: value('first_opened_at'),
    first_clicked_at: value('first_clicked_at'),
    last_active_at: value('last_active_at'),
    machine_last_active_at: value('machine_last_active_at'),
  })
  return {
    byProviderId: compiled<{ provider: string; provider_id: string }, Row<'engagements'>>((value) =>
      db
        .selectFrom('engagements')
        .selectAll()
        .where('provider', '=', value('provider'))
        .where('provider_id', '=', value('provider_id')),
    ),
    sameWithoutId: compiled<
      Pick<Row<'engagements'>, 'contact_id' | 'provider' | 'kind' | 'happened_at'> & { mailing_id: number },
      Row<'engagements'>
    >((value) =>
      db
        .selectFrom('engagements')
        .selectAll()
        .where('contact_id', '=', value('contact_id'))
        .where('mailing_id', '=', value('mailing_id'))
        .where('happened_at', '=', value('happened_at'))
        .where(({ eb, ref }) => eb(unindexed(ref('kind')), '=', value('kind')))
        .where('provider', '=', value('provider'))
        .where('exact', '=', 1)
        .where('provider_id', 'is', null)
        .orderBy('id'),
    ),
    nearWithoutId: compiled<Near, NearRow>((value) =>
      near(value).where('kind', '=', value('kind')).where('provider_id', 'is', null),
    ),
    nearWithId: compiled<Near, NearRow>((value) =>
      near(value)
        .where(({ eb, ref }) => eb(unindexed(ref('kind')), '=', value('kind')))
        .where('provider_id', 'is not', null),
    ),
    insert: compiled<New, { id: number }>((value) =>
      db
        .insertInto('engagements')
        .values({
          contact_id: value('contact_id'),
          mailing_id: value('mailing_id'),
          kind: value('kind'),
          happened_at: value('happened_at'),
          exact: value('exact'),
          provider: value('provider'),
          provider_id: value('provider_id'),
          link_id: value('link_id'),
          address: value('address'),
          user_agent_id: value('user_agent_id'),
          os: value('os'),
          browser: value('browser'),
          country: value('country'),
          metadata: value('metadata'),
          verdict: value('verdict'),
          reasons: value('reasons'),
        })
        .returning('id'),
    ),
    put: compiled<Row<'engagements'>>((value) =>
      db
        .updateTable('engagements')
        .set({
          mailing_id: value('mailing_id'),
          happened_at: value('happened_at'),
          exact: value('exact'),
          provider_id: value('provider_id'),
          link_id: value('link_id'),
          address: value('address'),
          user_agent_id: value('user_agent_id'),
          os: value('os'),
          browser: value('browser'),
          country: value('country'),
          metadata: value('metadata'),
          verdict: value('verdict'),
          reasons: value('reasons'),
        })
        .where('id', '=', value('id')),
    ),
    setVerdict: compiled<{ id: number; verdict: number; reasons: number }>((value) =>
      db
        .updateTable('engagements')
        .set({ verdict: value('verdict'), reasons: value('reasons') })
        .where('id', '=', value('id')),
    ),
    ofReception: compiled<Pair, Judged>((value) =>
      judged.where('contact_id', '=', value('contact_id')).where('mailing_id', '=', value('mailing_id')),
    ),
    withoutMailing: compiled<{ contact_id: number }, Judged>((value) =>
      judged.where('contact_id', '=', value('contact_id')).where('mailing_id', 'is', null),
    ),
    ofContact: compiled<{ contact_id: number }, Judged>((value) =>
      judged.where('contact_id', '=', value('contact_id')),
    ),
    moveAll: compiled<{ from: number; into: number }>((value) =>
      db
        .updateTable('engagements')
        .set({ contact_id: value('into') })
        .where('contact_id', '=', value('from')),
    ),
    reception: compiled<Pair, Reception>((value) =>
      db
        .selectFrom('receptions')
        .selectAll()
        .where('contact_id', '=', value('contact_id'))
        .where('mailing_id', '=', value('mailing_id')),
    ),
    putReception: compiled<Reception>((value) => {
      const columns = receptionColumns(value)
      return db
        .insertInto('receptions')
        .values({ contact_id: value('contact_id'), mailing_id: value('mailing_id'), ...columns })
        .onConflict((conflict) => conflict.columns(['contact_id', 'mailing_id']).doUpdateSet(columns))
    }),
    dropReception: compiled<Pair>((value) =>
      db
        .deleteFrom('receptions')
        .where('contact_id', '=', value('contact_id'))
        .where('mailing_id', '=', value('mailing_id')),
    ),
    link: compiled<{ url: string }, { id: number }>((value) =>
      db.selectFrom('links').select('id').where('url', '=', value('url')),
    ),
    addLink: compiled<{ url: string }, { id: number }>((value) =>
      db
        .insertInto('links')
        .values({ url: value('url') })
        .returning('id'),
    ),
    listOf: compiled<{ id: number }, { list_id: number | null }>((value) =>
      db.selectFrom('mailings').select('list_id').where('id', '=', value('id')),
    ),
  }
}
