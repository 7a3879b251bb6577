import type { Audience } from '../../audience/audience.js'
import { type EngagementKind, engagementNumber } from '../../audience/engagement-kinds.js'
import { listBook } from '../../audience/list-book.js'
import { Unknown } from '../../audience/people.js'
import { lastSealedDeed, sealedBook, wasSealed } from '../../audience/sealing.js'
import type { SubscriptionStatus } from '../../audience/subscriptions.js'
import { compiled } from '../../database/compiled.js'
import { unindexed } from '../../database/expressions.js'
import type { Db } from '../../database/open.js'
import type { Row } from '../../database/schema.js'
import type { Recorder } from '../../ledger/ledger.js'
import { mailingBook } from '../../mailings/record.js'
import { type DeliveryOutcome, deliverySettler } from '../inbox.js'
import type { Campaign, OctopusContact, OctopusList, ReportContact, ReportLink, Summary } from './answers.js'
import type { ReportStatus } from './client.js'
import type { OctopusEvent } from './events.js'
import {
  begunAt,
  type Evidence,
  emailOf,
  isNegative,
  kindOfEvent,
  kindOfReport,
  leftAt,
  leftByWebhook,
  linkFact,
  listFact,
  mailingFact,
  nameOf,
  provider,
  reportFact,
  statusOf,
  statusOfEvent,
  tagOriginOf,
  whyLeft,
} from './mapping.js'

/** What may come in from EmailOctopus, through whatever door; and what became of the deliveries that told it. */
export type OctopusFact = { settle?: DeliveryOutcome[] } & (
  | { do: 'list'; list: OctopusList; seenAt: number }
  | { do: 'list gone'; listId: number; at: number }
  | { do: 'contact'; contact: OctopusContact; listId: number; seenAt: number }
  | { do: 'contact gone'; contactId: string; listId: number; at: number; exact: boolean }
  | { do: 'campaign'; campaign: Campaign; seenAt: number; syncedBy: string | null }
  | { do: 'summary'; mailingId: number; summary: Summary; checkedAt: number }
  | { do: 'no summary'; mailingId: number; checkedAt: number }
  | { do: 'links'; mailingId: number; links: ReportLink[]; counted: number; checkedAt: number }
  | { do: 'report row'; mailingId: number; status: ReportStatus; row: ReportContact; seenAt: number }
  | { do: 'report walked'; mailingId: number; status: ReportStatus; counted: number; at: number }
  | { do: 'event'; event: OctopusEvent & { contactId: string }; receivedAt: number }
  | { do: 'settle' }
)

export interface OctopusReceipt {
  contact: number | null
  /** The row that it is about: of a list or a mailing. */
  id: number | null
  /** Nobody knows whom it is about: it was left out. */
  nobody: boolean
  isNew: boolean
  changed: boolean
}

const nothing: OctopusReceipt = { contact: null, id: null, nobody: false, isNew: false, changed: false }

/** The recorder of EmailOctopus: its words become ours inside one transaction with what they settle. */
export function octopusRecorder({ db, audience }: { db: Db; audience: Audience }) {
  const { engagements, people, erasures } = audience
  const mailings = mailingBook(db)
  const lists = listBook()
  const settle = deliverySettler(db)
  const sealed = sealedBook(db)
  const query = queries(db)

  async function record(tx: Db, fact: OctopusFact): Promise<OctopusReceipt> {
    const receipt = await engagements.counted(() => take(tx, fact))
    for (const outcome of fact.settle ?? [])
      await settle(tx, { ...outcome, contact: outcome.contact ?? receipt.contact })
    return receipt
  }

  async function take(tx: Db, fact: OctopusFact): Promise<OctopusReceipt> {
    switch (fact.do) {
      case 'list':
        return { ...nothing, ...(await lists.put(tx, listFact(fact.list, fact.seenAt))) }
      case 'list gone':
        await lists.putGone(tx, fact.listId, fact.at)
        return { ...nothing, id: fact.listId }
      case 'contact':
        return contact(tx, fact.contact, fact)
      case 'contact gone':
        return contactGone(tx, fact)
      case 'campaign': {
        const listIds = await listsOf(tx, fact.campaign.listIds, fact.seenAt)
        return { ...nothing, ...(await mailings.put(tx, mailingFact(fact.campaign, { ...fact, listIds }))) }
      }
      case 'summary': {
        const { mailingId: id, summary, checkedAt } = fact
        const before = (await query.report(tx, { mailing_id: id })).rows[0] ?? {}
        const changed = await mailings.putReport(tx, id, reportFact(summary, { before, checkedAt }))
        return { ...nothing, id, changed }
      }
      case 'no summary': {
        const { mailingId: id, checkedAt } = fact
        await walked(tx, { mailing_id: id, status: 'summary', counted: -1, walked_at: checkedAt })
        return { ...nothing, id }
      }
      case 'links': {
        const { mailingId: id, links, counted, checkedAt } = fact
        await mailings.putLinkReports(tx, id, links.map(linkFact), checkedAt)
        await walked(tx, { mailing_id: id, status: 'links', counted, walked_at: checkedAt })
        return { ...nothing, id }
      }
      case 'report row':
        return reportRow(tx, fact)
      case 'report walked': {
        const { mailingId, status, counted, at } = fact
        await walked(tx, { mailing_id: mailingId, status, counted, walked_at: at })
        return nothing
      }
      case 'event':
        return event(tx, fact.event, fact.receivedAt)
      case 'settle':
        return nothing
    }
  }

  /** Our numbers of lists. One that is not known yet is made; its name comes when it is read. */
  async function listsOf(tx: Db, providerIds: string[], at: number): Promise<number[]> {
    const ids: number[] = []
    for (const provider_id of providerIds) ids.push(await listId(tx, provider_id, at))
    return ids
  }

  async function listId(tx: Db, provider_id: string, at: number): Promise<number> {
    const known = (await query.list(tx, { provider_id })).rows[0]
    if (known) return known.id
    const { id } = await tx
      .insertInto('lists')
      .values({ provider, provider_id, name: `List ${provider_id.slice(0, 8)}`, created_at: at })
      .returning('id')
      .executeTakeFirstOrThrow()
    return id
  }

  /** @param told as of when, and of which of our lists */
  async function contact(
    tx: Db,
    told: OctopusContact,
    { listId, seenAt }: { listId: number; seenAt: number },
  ): Promise<OctopusReceipt> {
    const email = emailOf(told)
    const known = await people.byIdentity(tx, provider, told.id)
    // Without an address nothing is left of a contact but that it is gone.
    if (email === null)
      return known
        ? contactGone(tx, { contactId: told.id, listId, at: told.updatedAt ?? seenAt, exact: false })
        : { ...nothing, nobody: true }
    const before = known && (await subscriptionOf(tx, listId, known.contact_id))
    const { status, at: leftSince } = await standing(tx, told, { listId, known, before })
    const subscribedAt = begunAt(told, seenAt)
    const hasChanged = before !== null && before?.status !== status
    const changedAt = leftSince ?? told.updatedAt ?? seenAt
    const contact = await people.subscriber(tx, {
      provider,
      providerId: told.id,
      listId,
      isIdOfList: true,
      email,
      name: nameOf(told.fields),
      status,
      providerStatus: hasLeftByWebhook(told, before) ? leftByWebhook : told.status,
      source: provider,
      subscribedAt,
      unsubscribedAt: leftAt(status, hasChanged ? changedAt : (before?.unsubscribed_at ?? changedAt)),
      changes: [
        { at: subscribedAt, status: status === 'unconfirmed' ? status : 'subscribed' },
        ...(hasChanged || (!before && leftAt(status, 0) !== null) ? [{ at: changedAt, status }] : []),
      ],
      tags: told.tags,
      tagOrigin: tagOriginOf(listId),
      fields: told.fields,
      seenAt,
    })
    await stillCounted(tx, contact, { listId, word: told.status, at: seenAt })
    return { ...nothing, contact, isNew: known === null }
  }

  /**
   * How a contact stands to a list, by what the API tells and what is known besides.
   * @returns when they left, too, where a report or a webhook tells that
   */
  async function standing(
    tx: Db,
    told: OctopusContact,
    {
      listId,
      known,
      before,
    }: { listId: number; known: { contact_id: number } | null; before: Subscription | null },
  ): Promise<{ status: SubscriptionStatus; at: number | null }> {
    const status = statusOf(told.status)
    if (status !== 'unsubscribed' || !known) return { status, at: null }
    // Why they left was settled with what was known then; what comes to be known since tells it apart by itself.
    if (before && isSettled(before.status)) return { status: before.status, at: null }
    return why(tx, listId, known.contact_id, await lastSubscribed(tx, listId, before))
  }

  /** Until when, for certain, the contact was still subscribed: what came before then did not take them off. */
  async function lastSubscribed(tx: Db, listId: number, before: Subscription | null) {
    if (!before || before.status === 'removed') return 0
    // A walk brings everybody who has changed: who was not among them stood as before.
    const walkedAt = (await query.walkedAt(tx, { id: listId })).rows[0]?.walked_at ?? 0
    return Math.max(before.seen_at, walkedAt) - settling
  }

  /** Why somebody who gets no more mail left, by what happened after an instant, and when. */
  async function why(tx: Db, listId: number, contactId: number, since: number) {
    const evidence = await evidenceOf(tx, listId, contactId, since)
    const status = whyLeft(evidence)
    return { status, at: evidence[status] } as const
  }

  /**
   * Whoever was erased here may go on being counted there: what EmailOctopus says of them is noted, and nothing else.
   * @param told.word its own; empty when it knows them no more
   */
  async function stillCounted(
    tx: Db,
    contact_id: number,
    { listId: list_id, word, at }: { listId: number; word: string; at: number },
  ) {
    if (!(await erasures.isErased(tx, contact_id))) return
    await tx
      .insertInto('subscriptions')
      .values({ list_id, contact_id, status: 'removed', provider_status: word, seen_at: at })
      .onConflict((conflict) =>
        conflict
          .columns(['list_id', 'contact_id'])
          .doUpdateSet({ provider_status: word, seen_at: at })
          .where('subscriptions.seen_at', '<=', at),
      )
      .execute()
  }

  async function contactGone(
    tx: Db,
    { contactId, listId, at, exact }: { contactId: string; listId: number; at: number; exact: boolean },
  ): Promise<OctopusReceipt> {
    return {
      ...nothing,
      contact: await subscription(tx, { contactId, listId, status: 'removed', at, exact, gone: true }),
    }
  }

  /** @returns whose it is; null when nobody knows */
  async function subscription(
    tx: Db,
    change: {
      contactId: string
      listId: number
      status: SubscriptionStatus
      at: number
      exact: boolean
      gone?: boolean
      providerStatus?: string
    },
  ): Promise<number | null> {
    const { contactId: providerId, ...rest } = change
    const { listId, providerStatus: word = '', at } = change
    try {
      const contact = await people.subscription(tx, { provider, providerId, ...rest })
      await stillCounted(tx, contact, { listId, word, at })
      return contact
    } catch (error) {
      if (error instanceof Unknown) return null
      throw error
    }
  }

  async function reportRow(
    tx: Db,
    { mailingId, status, row, seenAt }: Extract<OctopusFact, { do: 'report row' }>,
  ): Promise<OctopusReceipt> {
    const mailing = (await query.mailing(tx, { id: mailingId })).rows[0]!
    const contactId = await somebody(tx, {
      contactId: row.contactId,
      email: emailOf(row),
      listId: mailing.list_id,
      at: row.at ?? mailing.sent_at ?? seenAt,
    })
    if (contactId === null) return { ...nothing, nobody: true }
    const kind = kindOfReport[status]
    const at = isNegative(status) ? null : row.at
    // Without an instant the same row cannot be known again: what is known of the kind has to do.
    if (at === null && (await isKnown(tx, contactId, mailingId, kind)))
      return { ...nothing, contact: contactId }
    const { repeated } = await engagements.record(tx, {
      ...engagementOf(null, contactId, mailingId),
      kind,
      happenedAt: at ?? mailing.sent_at ?? seenAt,
      exact: at !== null,
    })
    if (!repeated && (kind === 'bounced' || leavings.includes(kind)))
      await tellApart(tx, contactId, mailingId, kind)
    return { ...nothing, contact: contactId, isNew: !repeated }
  }

  /** The contact that EmailOctopus calls so, made known by its address where it is a stranger; null when it has none. */
  async function somebody(
    tx: Db,
    {
      contactId,
      email,
      listId,
      at,
    }: { contactId: string; email: string | null; listId: number | null; at: number },
  ): Promise<number | null> {
    const known = await people.byIdentity(tx, provider, contactId)
    if (known) return known.contact_id
    if (email === null) return null
    return people.acquaint(tx, { provider, providerId: contactId, email, listId, at })
  }

  async function event(
    tx: Db,
    event: OctopusEvent & { contactId: string },
    receivedAt: number,
  ): Promise<OctopusReceipt> {
    const { type, contactId } = event
    const at = event.at ?? receivedAt
    const exact = event.at !== null
    const email = emailOf(event)
    const list = event.listId === null ? null : await listId(tx, event.listId, at)
    // A contact that is described is taken in as the API would tell it; what is left out stays as it was.
    if (email !== null && list !== null && (type === 'contact.created' || type === 'contact.updated')) {
      const known = await people.byIdentity(tx, provider, contactId)
      const before = known && (await subscriptionOf(tx, list, known.contact_id))
      const status = event.status === null ? before?.status : statusOf(event.status)
      const subscribedAt = before?.subscribed_at ?? at
      const contact = await people.subscriber(tx, {
        provider,
        providerId: contactId,
        listId: list,
        isIdOfList: true,
        email,
        name: nameOf((event.fields ?? {}) as OctopusContact['fields']),
        status: status ?? 'subscribed',
        providerStatus: wordOf(event.status) ?? before?.provider_status ?? '',
        source: provider,
        subscribedAt,
        unsubscribedAt: leftAt(status ?? 'subscribed', before?.unsubscribed_at ?? at),
        changes: [
          ...(before
            ? []
            : [{ at: subscribedAt, status: status === 'unconfirmed' ? status : ('subscribed' as const) }]),
          ...(before && status !== undefined && status !== before.status ? [{ at, status }] : []),
        ],
        tags: event.tags,
        tagOrigin: tagOriginOf(list),
        ...(event.fields === null ? {} : { fields: event.fields }),
        seenAt: at,
      })
      if (event.status !== null) await stillCounted(tx, contact, { listId: list, word: event.status, at })
      return { ...nothing, contact, isNew: known === null }
    }
    if (type === 'contact.deleted') return gone(tx, event, { list, at, exact })
    const contact = await somebody(tx, { contactId, email, listId: list, at })
    if (contact === null) return { ...nothing, nobody: true }
    const status = statusOfEvent[type]
    if (list !== null && status !== undefined)
      await subscription(tx, {
        contactId,
        listId: list,
        status,
        at,
        exact,
        providerStatus: wordOf(status)!,
      })
    if (list !== null && status !== undefined) await insist(tx, { listId: list, contact, status, at })
    const kind = kindOfEvent[type]
    if (kind === undefined) return { ...nothing, contact }
    const mailingId = event.campaignId === null ? null : await mailings.find(tx, provider, event.campaignId)
    const { repeated } = await engagements.record(tx, {
      ...engagementOf(event.id, contact, mailingId),
      kind,
      happenedAt: at,
      exact,
    })
    if (!repeated && mailingId !== null) await tellApart(tx, contact, mailingId, kind)
    else if (!repeated && list !== null) await tellApartOf(tx, list, contact, kind)
    return { ...nothing, contact, id: mailingId, isNew: !repeated }
  }

  /** Who was never known here and is gone there needs no row. */
  const gone = (
    tx: Db,
    { contactId }: { contactId: string },
    { list, at, exact }: { list: number | null; at: number; exact: boolean },
  ) => (list === null ? nothing : contactGone(tx, { contactId, listId: list, at, exact }))

  /** Who is called unsubscribed, and was not known to have bounced or opted out, may be told apart from now on. */
  async function tellApart(tx: Db, contactId: number, mailingId: number, kind: EngagementKind) {
    for (const { list_id } of (await query.listsOfMailing(tx, { mailing_id: mailingId })).rows)
      await tellApartOf(tx, list_id, contactId, kind)
  }

  async function tellApartOf(tx: Db, list_id: number, contact_id: number, kind: EngagementKind) {
    const before = await subscriptionOf(tx, list_id, contact_id)
    if (before?.provider_status.toLowerCase() !== 'unsubscribed' || !isSettled(before.status)) return
    if (before.provider_status === leftByWebhook && kind !== 'complained') return
    // Mail that came through tells of a bounce alone that it was a soft one.
    if ((kind === 'opened' || kind === 'clicked') && before.status !== 'bounced') return
    const { status, at } = await why(tx, list_id, contact_id, 0)
    if (status === before.status) return
    await turn(tx, { list_id, contact_id }, before, { status, at: at ?? before.unsubscribed_at ?? 0 })
  }

  /** What was told as one thing turns out to have been the other. */
  async function turn(
    tx: Db,
    pair: { list_id: number; contact_id: number },
    before: Subscription,
    { status, at }: { status: SubscriptionStatus; at: number },
  ) {
    await query.setStatus(tx, { ...pair, status, unsubscribed_at: at })
    await query.forgetChange(tx, { ...pair, status: before.status, changed_at: before.unsubscribed_at })
    await query.putChange(tx, { ...pair, status, changed_at: at })
    await people.summarise(tx, pair.contact_id)
  }

  /** A webhook that comes after the API has told of the same leaving says more exactly what it was. */
  async function insist(
    tx: Db,
    {
      listId: list_id,
      contact: contact_id,
      status,
      at,
    }: { listId: number; contact: number; status: SubscriptionStatus; at: number },
  ) {
    const pair = { list_id, contact_id }
    const before = await subscriptionOf(tx, list_id, contact_id)
    if (before?.provider_status !== 'unsubscribed' || !isSettled(before.status)) return
    // A bounce that is newer took somebody off who had come back.
    if (before.status !== 'unsubscribed' && at < (before.unsubscribed_at ?? 0)) return
    if (before.status !== status) await turn(tx, pair, before, { status, at })
    await query.setWord(tx, { ...pair, provider_status: wordOf(status)! })
  }

  const subscriptionOf = async (tx: Db, list_id: number, contact_id: number) =>
    (await query.subscription(tx, { list_id, contact_id })).rows[0] ?? null

  /**
   * When the contact did what of these last, after an instant: in a mailing to the list, or in none that is known. Of
   * which list somebody opted out without one, their subscription tells.
   */
  async function evidenceOf(tx: Db, list_id: number, contact_id: number, since: number): Promise<Evidence> {
    const { rows } = await query.evidence(tx, { list_id, contact_id, since })
    const removed = (await isAnyRemoved(tx)) ? await lastSealedDeed(tx, { list_id, contact_id, since }) : null
    const last = (...kinds: EngagementKind[]) => {
      const instants = rows.flatMap(({ kind, at }) =>
        kinds.some((one) => engagementNumber(one) === kind) ? [at] : [],
      )
      return instants.length === 0 ? null : Math.max(...instants)
    }
    return {
      bounced: last('bounced'),
      complained: last('complained'),
      unsubscribed: last('unsubscribed'),
      reached: latestOf(last('opened', 'clicked'), removed),
    }
  }

  const isAnyRemoved = async (tx: Db) => (await sealed.before(tx)) > 0
  const isKnown = async (tx: Db, contact_id: number, mailing_id: number, kind: EngagementKind) =>
    (await query.known(tx, { contact_id, mailing_id, kind: engagementNumber(kind) })).rows.length > 0 ||
    ((await isAnyRemoved(tx)) && wasSealed(tx, { contact_id, mailing_id, kind }))

  const walked = (tx: Db, row: { mailing_id: number; status: string; counted: number; walked_at: number }) =>
    tx
      .insertInto('contact_report_walks')
      .values(row)
      .onConflict((conflict) => conflict.columns(['mailing_id', 'status']).doUpdateSet(row))
      .execute()

  return {
    begin: () => sealed.forget(),
    record,
    forget() {
      mailings.forget()
      sealed.forget()
    },
  } satisfies Recorder<OctopusFact, OctopusReceipt>
}

type Subscription = Pick<
  Row<'subscriptions'>,
  'provider_status' | 'subscribed_at' | 'unsubscribed_at' | 'seen_at'
> & { status: SubscriptionStatus }

/** Milliseconds that a bounce may take until the contact is taken off for it, and by which clocks differ. */
const settling = 10 * 60_000

/** Has somebody who stands so left, for a reason that is known? */
const isSettled = (status: SubscriptionStatus) =>
  status === 'unsubscribed' || status === 'complained' || status === 'bounced'

/** What a subscription keeps of a webhook's word. */
const wordOf = (word: string | null) => (word === 'unsubscribed' ? leftByWebhook : word)

/** What a webhook has told of a leaving stands as long as the API tells of no other. */
const hasLeftByWebhook = (told: OctopusContact, before: Subscription | null) =>
  told.status === 'unsubscribed' && before?.provider_status === leftByWebhook

/** EmailOctopus tells neither link nor address nor browser. */
const engagementOf = (providerId: string | null, contactId: number, mailingId: number | null) => ({
  provider,
  providerId,
  contactId,
  mailingId,
  url: null,
  address: null,
  userAgent: null,
  os: null,
  browser: null,
  metadata: null,
})

const latestOf = (one: number | null, other: number | null) =>
  one === null || other === null ? (one ?? other) : Math.max(one, other)

/** These say something of an address, whatever list it was written to for. */
const deedsWithoutMailing: EngagementKind[] = ['bounced', 'opened', 'clicked']
const leavings: EngagementKind[] = ['complained', 'unsubscribed']

function queries(db: Db) {
  type Pair = { list_id: number; contact_id: number }
  return {
    list: compiled<{ provider_id: string }, { id: number }>((value) =>
      db
        .selectFrom('lists')
        .select('id')
        .where('provider', '=', provider)
        .where('provider_id', '=', value('provider_id')),
    ),
    mailing: compiled<{ id: number }, { list_id: number | null; sent_at: number | null }>((value) =>
      db.selectFrom('mailings').select(['list_id', 'sent_at']).where('id', '=', value('id')),
    ),
    report: compiled<
      { mailing_id: number },
      Pick<Row<'mailing_reports'>, 'recipients' | 'permanent_failures' | 'temporary_failures'>
    >((value) =>
      db
        .selectFrom('mailing_reports')
        .select(['recipients', 'permanent_failures', 'temporary_failures'])
        .where('mailing_id', '=', value('mailing_id')),
    ),
    listsOfMailing: compiled<{ mailing_id: number }, { list_id: number }>((value) =>
      db.selectFrom('mailing_lists').select('list_id').where('mailing_id', '=', value('mailing_id')),
    ),
    subscription: compiled<Pair, Subscription>((value) =>
      db
        .selectFrom('subscriptions')
        .select(['status', 'provider_status', 'subscribed_at', 'unsubscribed_at', 'seen_at'])
        .where('list_id', '=', value('list_id'))
        .where('contact_id', '=', value('contact_id')),
    ),
    setStatus: compiled<Pair & { status: string; unsubscribed_at: number | null }>((value) =>
      db
        .updateTable('subscriptions')
        .set({ status: value('status'), unsubscribed_at: value('unsubscribed_at') })
        .where('list_id', '=', value('list_id'))
        .where('contact_id', '=', value('contact_id')),
    ),
    setWord: compiled<Pair & { provider_status: string }>((value) =>
      db
        .updateTable('subscriptions')
        .set({ provider_status: value('provider_status') })
        .where('list_id', '=', value('list_id'))
        .where('contact_id', '=', value('contact_id')),
    ),
    walkedAt: compiled<{ id: number }, { walked_at: number | null }>((value) =>
      db.selectFrom('lists').select('walked_at').where('id', '=', value('id')),
    ),
    forgetChange: compiled<Pair & { status: string; changed_at: number | null }>((value) =>
      db
        .deleteFrom('subscription_changes')
        .where('contact_id', '=', value('contact_id'))
        .where('list_id', '=', value('list_id'))
        .where('status', '=', value('status'))
        .where('changed_at', '=', value('changed_at')),
    ),
    putChange: compiled<Pair & { status: string; changed_at: number }>((value) =>
      db
        .insertInto('subscription_changes')
        .values({
          list_id: value('list_id'),
          contact_id: value('contact_id'),
          status: value('status'),
          changed_at: value('changed_at'),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    evidence: compiled<Pair & { since: number }, { kind: number; at: number }>((value) =>
      db
        .selectFrom('engagements')
        .select(({ fn }) => ['kind', fn.max<number>('happened_at').as('at')])
        .where('contact_id', '=', value('contact_id'))
        .where('provider', '=', provider)
        .where('happened_at', '>', value('since'))
        .where(({ and, eb, or }) =>
          or([
            and([
              eb('mailing_id', 'in', (lists) =>
                lists
                  .selectFrom('mailing_lists')
                  .select('mailing_id')
                  .where('list_id', '=', value('list_id')),
              ),
              eb(
                unindexed(eb.ref('kind')),
                'in',
                [...deedsWithoutMailing, ...leavings].map(engagementNumber),
              ),
            ]),
            and([eb('mailing_id', 'is', null), eb('kind', 'in', deedsWithoutMailing.map(engagementNumber))]),
          ]),
        )
        .groupBy('kind'),
    ),
    known: compiled<{ contact_id: number; mailing_id: number; kind: number }, { id: number }>((value) =>
      db
        .selectFrom('engagements')
        .select('id')
        .where('contact_id', '=', value('contact_id'))
        .where('mailing_id', '=', value('mailing_id'))
        .where(({ eb, ref }) => eb(unindexed(ref('kind')), '=', value('kind')))
        .limit(1),
    ),
  }
}
