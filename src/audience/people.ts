import { sql } from 'kysely'
import { compiled } from '../database/compiled.js'
import { holds } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Row } from '../database/schema.js'
import { FactRefused, type Recorder } from '../ledger/ledger.js'
import { type ContactBook, foldName } from './contacts.js'
import { type ErasureBook, identityText } from './erasures.js'
import type { EngagementRecorder } from './record.js'
import type { ContactRooms } from './rooms.js'
import { findContacts, indexAgain, nameTerm, removeFromSearch, searchTerm } from './search.js'
import { bestStatus, isReached, type SubscriptionStatus } from './subscriptions.js'
import { ours, tagBook } from './tag-book.js'

/** A subscriber as a provider describes them, all at once. */
export interface SubscriberFact {
  provider: string
  /** In its canonical spelling. */
  providerId: string
  listId: number
  /** In its one spelling. */
  email: string
  /** Empty when the provider knows none. */
  name: string
  status: SubscriptionStatus
  providerStatus: string
  source: string
  subscribedAt: number
  unsubscribedAt: number | null
  /** What became of the subscription when, in whatever order. */
  changes: { at: number; status: SubscriptionStatus }[]
  /** Names; null when this telling says nothing of tags. */
  tags: string[] | null
  /** Whose tags these are where a provider keeps them list by list; the provider's unless told. */
  tagOrigin?: string
  /** Values of the list's fields by their tags; undefined when this telling says nothing of them. */
  fields?: Record<string, unknown>
  /** Does an id of this provider belong to one list, so that one person has several? */
  isIdOfList?: boolean
  /** As of when the provider said so: what is known to be newer stays. */
  seenAt: number
}

/** One change of a subscription, told by itself. */
export interface SubscriptionFact {
  provider: string
  providerId: string
  listId: number
  status: SubscriptionStatus
  at: number
  /** Is `at` the instant of the change, rather than that of the delivery which told it? */
  exact: boolean
  /** The provider knows nobody of this id any more. Who came back goes by another one, and stays. */
  gone?: boolean
  /** What the subscription is called there, where the telling says so. */
  providerStatus?: string
}

/** A row of an import. */
export interface ImportRow {
  email: string
  name: string
  tags: string[]
  subscribedAt: number | null
  /** The name of a list of ours; empty for none. */
  list: string
}

/** What may happen to people and tags, beside engagements. */
export type PeopleFact =
  | { do: 'subscriber'; subscriber: SubscriberFact }
  | { do: 'subscription'; change: SubscriptionFact }
  | { do: 'retag'; contacts: number[]; add: string[]; remove: string[]; at: number }
  | { do: 'merge tags'; from: number; into: number; at: number }
  | { do: 'delete tag'; tag: number }
  | { do: 'merge'; from: number; into: number }
  | { do: 'erase'; contact: number; at: number }
  | { do: 'erase unseen'; hashes: string[]; at: number }
  | { do: 'import'; rows: ImportRow[]; at: number }

export interface PeopleReceipt {
  /** Whom it was about; null where it was about nobody in particular. */
  contact: number | null
  /** How many rows of an import made a contact. */
  added: number
  /** How many of them were of people who asked to be forgotten. */
  left: number
  /** Hashes of what was erased. */
  erased: string[]
  /** The fact is done in part, so that no door waits for long: it has to be written again. */
  more: boolean
}

/** So many contacts that may have a part of a name are looked up before all are looked at. */
const mostNamesakes = 50

/** Contacts that change a tag in one fact. */
const movedAtOnce = 100

/** There is nobody of whom this could be recorded. */
export class Unknown extends FactRefused {}

interface Needs {
  db: Db
  contacts: ContactBook
  erasures: ErasureBook
  rooms: ContactRooms
  engagements: EngagementRecorder
  /** Somebody came back after an erasure; told before it is certain, see erasureFile. */
  returned: (hashes: string[], at: number) => void
}

/** The recorder of what becomes of people: subscriptions, tags, changes of address, imports, erasure. */
export function peopleRecorder({ db, contacts, erasures, rooms, engagements, returned }: Needs) {
  const tags = tagBook(db)
  const query = queries(db)
  let receipt: PeopleReceipt = nothing()

  async function record(tx: Db, fact: PeopleFact): Promise<PeopleReceipt> {
    receipt = nothing()
    await engagements.counted(() => change(tx, fact))
    return receipt
  }

  async function change(tx: Db, fact: PeopleFact) {
    switch (fact.do) {
      case 'subscriber':
        receipt.contact = await subscriber(tx, fact.subscriber)
        return
      case 'subscription':
        receipt.contact = await subscription(tx, fact.change)
        return
      case 'retag':
        return retag(tx, fact)
      case 'merge tags':
        return moveTag(tx, fact)
      case 'delete tag':
        return moveTag(tx, { from: fact.tag, into: null })
      case 'merge':
        return merge(tx, fact.from, fact.into)
      case 'erase':
        return erase(tx, fact.contact, fact.at)
      case 'erase unseen':
        return eraseUnseen(tx, fact.hashes, fact.at)
      case 'import':
        for (const row of fact.rows) await importRow(tx, row, fact.at)
    }
  }

  /** @returns the contact that the provider calls so; null for a stranger */
  async function byIdentity(tx: Db, provider: string, provider_id: string) {
    const known = (await query.identity(tx, { provider, provider_id })).rows[0]
    if (known) return known
    const erased = await erasures.find(tx, identityText(provider, provider_id))
    return erased ? { contact_id: erased.contact_id, seen_at: 0, email: null } : null
  }

  /**
   * Takes in all that a provider says of a subscriber.
   * @returns the contact
   */
  async function subscriber(tx: Db, fact: SubscriberFact): Promise<number> {
    const { provider, providerId, email, seenAt } = fact
    const called = identityText(provider, providerId)
    const erased = (await erasures.find(tx, email)) ?? (await erasures.find(tx, called))
    if (erased) {
      if (!isFreshSince(fact, erased.erased_at)) {
        // Whatever else the person is called is theirs too: events name nothing but the identity.
        // The address may have come back through another provider, and then it is somebody's.
        for (const name of [email, called])
          if (!(await erasures.find(tx, name)) && !(name === email && (await isHeld(tx, email))))
            await remember(tx, name, erased)
        return erased.contact_id
      }
      for (const name of [email, called]) await erasures.lift(tx, name)
      returned([email, called].map(erasures.hashOf), seenAt)
      contacts.forget()
    }
    const known = await byIdentity(tx, provider, providerId)
    const list_id = fact.isIdOfList ? fact.listId : null
    if (!known) await freeAlias(tx, { provider, list_id }, email)
    const isNews = !known || seenAt >= known.seen_at
    const found = known
      ? { id: known.contact_id, isNew: false }
      : await contacts.findOrAdd(tx, email, fact.subscribedAt, provider, nameAsKept(fact.name))
    let contact = found.id
    // An old address that one list or provider goes on telling does not undo a change that another one told.
    if (known && isNews && known.email !== email) contact = await follow(tx, contact, email)
    const identity = { provider, provider_id: providerId, contact_id: contact }
    if (isNews) await query.putIdentity(tx, { ...identity, seen_at: seenAt, list_id, email })
    else await query.moveIdentity(tx, identity)
    for (const { at, status } of fact.changes)
      await putChange(tx, { list_id: fact.listId, contact_id: contact, changed_at: at, exact: 1, status })
    if (!isNews) return contact

    if (fact.name !== '' && !found.isNew) await rename(tx, contact, fact.name, { isOurs: false })
    await putSubscription(tx, {
      list_id: fact.listId,
      contact_id: contact,
      status: fact.status,
      provider_status: fact.providerStatus,
      source: fact.source,
      subscribed_at: fact.subscribedAt,
      unsubscribed_at: fact.unsubscribedAt,
      seen_at: seenAt,
      ...(fact.fields === undefined ? {} : { fields: JSON.stringify(fact.fields) }),
    })
    if (fact.tags)
      await tags.follow(tx, contact, fact.tags, { origin: fact.tagOrigin ?? provider, at: seenAt })
    await summarise(tx, contact)
    return contact
  }

  /**
   * Somebody whose identity is unknown is named by a fact without being described: makes them known by it and by their
   * address, and says nothing of what they subscribe to.
   * @returns the contact; whoever was erased stays so
   */
  async function acquaint(
    tx: Db,
    fact: Pick<SubscriberFact, 'provider' | 'providerId' | 'email'> & { listId: number | null; at: number },
  ): Promise<number> {
    const { provider, providerId, email, listId: list_id, at } = fact
    const erased = await erasures.find(tx, email)
    if (erased) {
      await remember(tx, identityText(provider, providerId), erased)
      return erased.contact_id
    }
    const { id } = await contacts.findOrAdd(tx, email, at, provider)
    await tx
      .insertInto('contact_identities')
      .values({ provider, provider_id: providerId, contact_id: id, list_id, email })
      .execute()
    return id
  }

  /** An address that somebody had before belongs to somebody else now, where the provider still knows the first. */
  async function freeAlias(
    tx: Db,
    { provider, list_id }: { provider: string; list_id: number | null },
    email: string,
  ) {
    const alias = (await query.alias(tx, { email })).rows[0]
    if (!alias) return
    const known = await tx
      .selectFrom('contact_identities')
      .select('provider_id')
      .where('contact_id', '=', alias.contact_id)
      .where('provider', '=', provider)
      .where('list_id', 'is', list_id)
      .where('gone_at', 'is', null)
      .executeTakeFirst()
    if (!known) return
    await tx.deleteFrom('contact_aliases').where('email', '=', email).execute()
    contacts.forget()
  }

  /** A change that was told by itself. What is known to be newer stays. @throws Unknown for a stranger */
  async function subscription(tx: Db, fact: SubscriptionFact): Promise<number> {
    const known = await byIdentity(tx, fact.provider, fact.providerId)
    if (!known) throw new Unknown('Nobody knows whose subscription this is.')
    const { contact_id } = known
    if (await isErased(tx, contact_id)) return contact_id
    if (fact.gone && (await goesByAnother(tx, fact, contact_id))) return contact_id
    const { listId: list_id, status, at } = fact
    const before = await tx
      .selectFrom('subscriptions')
      .select(['subscribed_at', 'seen_at', 'source', 'unsubscribed_at'])
      .where('list_id', '=', list_id)
      .where('contact_id', '=', contact_id)
      .executeTakeFirst()
    // To wait for the person's yes is how a subscription begins: one that has begun is further.
    if (before && status === 'unconfirmed') return contact_id
    await putChange(tx, { list_id, contact_id, changed_at: at, exact: fact.exact ? 1 : 0, status })
    if (before && before.seen_at > at) return contact_id
    await putSubscription(tx, {
      list_id,
      contact_id,
      status,
      provider_status: fact.providerStatus ?? '',
      source: before?.source ?? fact.provider,
      subscribed_at: before?.subscribed_at ?? at,
      unsubscribed_at: isReached(status) || status === 'unconfirmed' ? null : (before?.unsubscribed_at ?? at),
      seen_at: at,
    })
    await summarise(tx, contact_id)
    return contact_id
  }

  /** Notes that the id is gone. @returns whether the provider knows the person by another one */
  async function goesByAnother(tx: Db, { provider, providerId, at }: SubscriptionFact, contact: number) {
    const own = await tx
      .selectFrom('contact_identities')
      .select('list_id')
      .where('provider', '=', provider)
      .where('provider_id', '=', providerId)
      .executeTakeFirstOrThrow()
    await tx
      .updateTable('contact_identities')
      .set({ gone_at: at })
      .where('provider', '=', provider)
      .where('provider_id', '=', providerId)
      .where('gone_at', 'is', null)
      .execute()
    const other = await tx
      .selectFrom('contact_identities')
      .select('provider_id')
      .where('provider', '=', provider)
      .where('contact_id', '=', contact)
      .where('list_id', 'is', own.list_id)
      .where('gone_at', 'is', null)
      .limit(1)
      .executeTakeFirst()
    return other !== undefined
  }

  const { isErased } = erasures

  /** What is known to be newer stays, and so do the values of fields where this telling has none. */
  async function putSubscription(
    tx: Db,
    row: Omit<Row<'subscriptions'>, 'id' | 'fields'> & { fields?: string | null },
  ) {
    if (row.fields === undefined) await query.putSubscription(tx, row)
    else await query.putSubscriptionWithFields(tx, { ...row, fields: row.fields })
  }

  /** The same change may have been told before by a delivery, which has no instant of its own. */
  async function putChange(tx: Db, change: Omit<Row<'subscription_changes'>, 'id'>) {
    const { list_id, contact_id, status, changed_at } = change
    const sought = { list_id, contact_id, status }
    if (change.exact === 0) {
      const span = { since: changed_at - longestDelay, until: changed_at + clockSkew }
      if ((await query.changesNear(tx, { ...sought, ...span })).rows.length > 0) return
    } else {
      const span = { since: changed_at - clockSkew, until: changed_at + longestDelay }
      const told = (await query.changesNear(tx, { ...sought, ...span })).rows.find(({ exact }) => exact === 0)
      if (told) await tx.deleteFrom('subscription_changes').where('id', '=', told.id).execute()
    }
    await query.addChange(tx, change)
  }

  /** What all subscriptions of a contact come to. */
  async function summarise(tx: Db, contact: number) {
    const all = (await query.subscriptionsOf(tx, { contact_id: contact })).rows
    const instants = all.flatMap(({ subscribed_at }) => (subscribed_at === null ? [] : [subscribed_at]))
    await query.setStatus(tx, {
      id: contact,
      status: bestStatus(all.map(({ status }) => status)),
      subscribed_at: instants.length === 0 ? null : Math.min(...instants),
    })
  }

  /**
   * The person has this address now. Where somebody else has it already, they are the same person.
   * @returns the contact that remains
   */
  async function follow(tx: Db, contact: number, email: string): Promise<number> {
    const { email: before } = await tx
      .selectFrom('contacts')
      .select('email')
      .where('id', '=', contact)
      .executeTakeFirstOrThrow()
    if (before === email) return contact
    const holder = await tx.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirst()
    if (holder) {
      const [into, from] = [Math.min(contact, holder.id), Math.max(contact, holder.id)]
      await merge(tx, from, into)
      contact = into
    }
    await tx.deleteFrom('contact_aliases').where('email', '=', email).execute()
    await tx.updateTable('contacts').set({ email }).where('id', '=', contact).execute()
    await putAlias(tx, before, contact)
    await indexAgain(tx, contact)
    contacts.forget()
    return contact
  }

  const isHeld = async (tx: Db, email: string) =>
    (await tx.selectFrom('contacts').select('id').where('email', '=', email).executeTakeFirst()) !== undefined

  async function putAlias(tx: Db, email: string, contact_id: number) {
    await tx
      .insertInto('contact_aliases')
      .values({ email, contact_id })
      .onConflict((conflict) => conflict.column('email').doUpdateSet({ contact_id }))
      .execute()
  }

  /** @param isOurs a name that was given here stays, whatever a provider says later */
  async function rename(tx: Db, contact: number, given: string, { isOurs }: { isOurs: boolean }) {
    const name = nameAsKept(given)
    const named = { id: contact, name, name_folded: foldName(name) }
    const changed = (await (isOurs ? query.nameForGood : query.name)(tx, named)).rows[0]
    if (changed) await indexAgain(tx, contact)
  }

  /** Two contacts turn out to be one person: all facts of the one become the other's. */
  async function merge(tx: Db, from: number, into: number) {
    const [gone, kept] = await Promise.all(
      [from, into].map((id) =>
        tx.selectFrom('contacts').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
      ),
    )
    for (const { tag_id, origin, added_at } of await tags.of(tx, from)) {
      await tags.remove(tx, { contact_id: from, tag_id }, { origin })
      await tags.add(tx, { contact_id: into, tag_id }, { origin, at: added_at })
    }
    await engagements.move(tx, from, into)
    for (const { id, ...row } of await tx
      .selectFrom('subscriptions')
      .selectAll()
      .where('contact_id', '=', from)
      .execute()) {
      const other = await tx
        .selectFrom('subscriptions')
        .select(['subscribed_at', 'seen_at'])
        .where('contact_id', '=', into)
        .where('list_id', '=', row.list_id)
        .executeTakeFirst()
      if (!other || row.seen_at > other.seen_at) await putSubscription(tx, { ...row, contact_id: into })
      await tx.deleteFrom('subscriptions').where('id', '=', id).execute()
    }
    for (const { id: _, ...row } of await tx
      .deleteFrom('subscription_changes')
      .where('contact_id', '=', from)
      .returningAll()
      .execute())
      await putChange(tx, { ...row, contact_id: into })
    for (const table of ['contact_identities', 'contact_aliases', 'erasures'] as const)
      await tx.updateTable(table).set({ contact_id: into }).where('contact_id', '=', from).execute()
    for (const room of rooms.all) await room.merge?.(tx, from, into)
    for (const word of await tx
      .deleteFrom('contact_words')
      .where('contact_id', '=', from)
      .returningAll()
      .execute())
      await tx
        .insertInto('contact_words')
        .values({ ...word, contact_id: into })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    for (const table of ['contacts_to_score', 'contacts_to_index'] as const)
      await tx.deleteFrom(table).where('contact_id', '=', from).execute()
    await removeFromSearch(tx, from)
    await tx.deleteFrom('contacts').where('id', '=', from).execute()
    contacts.forget()
    await putAlias(tx, gone!.email, into)
    const notes = [kept!.notes, gone!.notes].filter((text) => text !== '').join('\n\n')
    await tx
      .updateTable('contacts')
      .set({
        notes,
        ...nameOf(kept!.name_is_ours || !gone!.name_is_ours ? [kept!, gone!] : [gone!, kept!]),
        created_at: Math.min(kept!.created_at, gone!.created_at),
      })
      .where('id', '=', into)
      .execute()
    await indexAgain(tx, into)
    await summarise(tx, into)
  }

  /** @throws Unknown when there is no such contact */
  async function erase(tx: Db, contact: number, at: number) {
    const person = await tx
      .selectFrom('contacts')
      .select(['email', 'name_folded', 'erased_at'])
      .where('id', '=', contact)
      .executeTakeFirst()
    if (!person) throw new Unknown(`No contact ${contact}.`)
    if (person.erased_at !== null) return
    const aliases = await tx
      .deleteFrom('contact_aliases')
      .where('contact_id', '=', contact)
      .returning('email')
      .execute()
    const identities = await tx
      .deleteFrom('contact_identities')
      .where('contact_id', '=', contact)
      .returning(['provider', 'provider_id'])
      .execute()
    const addresses = [person.email, ...aliases.map(({ email }) => email)]
    const called = identities.map(({ provider, provider_id }) => identityText(provider, provider_id))
    for (const name of [...addresses, ...called])
      receipt.erased.push(await remember(tx, name, { contact_id: contact, erased_at: at }))
    const names = [...addresses, ...identities.map(({ provider_id }) => provider_id)]
    for (const { tag_id, origin } of await tags.of(tx, contact))
      await tags.remove(tx, { contact_id: contact, tag_id }, { origin })
    await removeFromSearch(tx, contact)
    for (const table of ['contact_words', 'contacts_to_score', 'contacts_to_index'] as const)
      await tx.deleteFrom(table).where('contact_id', '=', contact).execute()
    await tx
      .updateTable('engagements')
      .set({ address: null, user_agent_id: null, os: null, browser: null, country: null, metadata: null })
      .where('contact_id', '=', contact)
      .execute()
    for (const name of names) await forgetLinksThatName(tx, contact, name)
    // Sizes of lists are told from now backwards: without this change every past day would have one less.
    await tx
      .insertInto('subscription_changes')
      .columns(['list_id', 'contact_id', 'changed_at', 'exact', 'status'])
      .expression(({ selectFrom, val, lit }) =>
        selectFrom('subscriptions')
          .select([
            'list_id',
            'contact_id',
            val(at).as('changed_at'),
            lit(1).as('exact'),
            sql.lit('removed').as('status'),
          ])
          .where('contact_id', '=', contact)
          .where('status', '<>', 'removed'),
      )
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    // What the provider still says stays: it goes on counting the person, and syncs compare what both count.
    await tx
      .updateTable('subscriptions')
      .set({ status: 'removed', source: '', fields: null })
      .where('contact_id', '=', contact)
      .execute()
    for (const { id, query } of await tx.selectFrom('segments').select(['id', 'query']).execute()) {
      const filter = new URLSearchParams(query)
      const q = filter.get('q') ?? ''
      const isNamed = names.some((name) => mentions(q, name))
      if (!isNamed && !(await isSoughtAlone(tx, q, { ...person, addresses, id: contact }))) continue
      filter.delete('q')
      await tx.updateTable('segments').set({ query: filter.toString() }).where('id', '=', id).execute()
    }
    for (const room of rooms.all) await room.erase?.(tx, contact, names)
    await tx
      .updateTable('contacts')
      .set({
        email: `erased:${contact}`,
        name: '',
        name_folded: '',
        name_is_ours: 0,
        notes: '',
        status: null,
        score: null,
        score_before: null,
        band: null,
        erased_at: at,
      })
      .where('id', '=', contact)
      .execute()
    contacts.forget()
  }

  /** Is this part of a name or of an address theirs, and nobody else's? Then it tells who they were. */
  async function isSoughtAlone(
    tx: Db,
    q: string,
    { id, name_folded, addresses }: { id: number; name_folded: string; addresses: string[] },
  ): Promise<boolean> {
    const term = searchTerm(q)
    if (term === '') return false
    if (!name_folded.includes(nameTerm(term)) && !addresses.some((email) => email.includes(term)))
      return false
    const found = await findContacts(tx, term, mostNamesakes)
    const others =
      found?.some((other) => other !== id) ??
      (await tx
        .selectFrom('contacts')
        .select('id')
        .where('id', '!=', id)
        .where('erased_at', 'is', null)
        .where(({ or, ref }) => or([holds(ref('email'), term), holds(ref('name_folded'), nameTerm(term))]))
        .limit(1)
        .executeTakeFirst()) !== undefined
    return !others
  }

  async function remember(tx: Db, name: string, erased: { contact_id: number; erased_at: number }) {
    const hash = erasures.hashOf(name)
    await erasures.add(tx, hash, erased.contact_id, erased.erased_at)
    return hash
  }

  /** Somebody was erased whom this database has not met yet: the facts that may come shall count for nobody. */
  async function eraseUnseen(tx: Db, hashes: string[], erased_at: number) {
    const known = await tx
      .selectFrom('erasures')
      .select(['hash', 'contact_id'])
      .where('hash', 'in', hashes)
      .execute()
    const unknown = hashes.filter((hash) => !known.some((one) => one.hash === hash))
    if (unknown.length === 0) return
    const contact = known[0]?.contact_id ?? (await addNobody(tx, unknown[0]!, erased_at))
    for (const hash of unknown) await erasures.add(tx, hash, contact, erased_at)
    contacts.forget()
  }

  async function addNobody(tx: Db, hash: string, at: number): Promise<number> {
    const { id } = await tx
      .insertInto('contacts')
      .values({ email: `erased:${hash}`, created_at: at, erased_at: at })
      .returning('id')
      .executeTakeFirstOrThrow()
    await tx
      .updateTable('contacts')
      .set({ email: `erased:${id}` })
      .where('id', '=', id)
      .execute()
    return id
  }

  /** Some links carry the address of whom they were sent to, or what a provider calls them. */
  async function forgetLinksThatName(tx: Db, contact: number, name: string) {
    // A mailing whose links are personal has as many as readers: those that name nobody like this are not even read.
    const spellings = spellingsOf(name)
    const isPlain = /^[ -~]*$/.test(name)
    const own = await tx
      .selectFrom('engagements')
      .innerJoin('links', 'links.id', 'link_id')
      .select(['links.id', 'url'])
      .where('contact_id', '=', contact)
      .union((eb) =>
        // Who followed which of these, nobody knows any more.
        eb
          .selectFrom('sealed_receptions as removed')
          .innerJoin('sealed_mailing_links as sealed', 'sealed.mailing_id', 'removed.mailing_id')
          .innerJoin('links', 'links.id', 'sealed.link_id')
          .select(['links.id', 'url'])
          .where('removed.contact_id', '=', contact)
          .where('removed.last_clicked_at', 'is not', null)
          // Capital letters beyond A to Z are small ones to nobody but us.
          .$if(isPlain, (query) =>
            query.where(({ fn, or }) =>
              or(spellings.map((spelling) => holds(fn<string>('lower', ['url']), spelling))),
            ),
          ),
      )
      .execute()
    for (const { id, url } of own) {
      if (!mentions(url, name)) continue
      await engagements.forgetSealedLink(tx, id)
      await tx
        .updateTable('engagements')
        .set({ link_id: null })
        .where('contact_id', '=', contact)
        .where('link_id', '=', id)
        .execute()
      const used = await tx
        .selectFrom('engagements')
        .select('id')
        .where('link_id', '=', id)
        .executeTakeFirst()
      if (used) continue
      await tx.deleteFrom('links').where('id', '=', id).execute()
      engagements.forgetLinks()
    }
  }

  async function retag(tx: Db, fact: { contacts: number[]; add: string[]; remove: string[]; at: number }) {
    const { at } = fact
    const adding: number[] = []
    for (const name of fact.add) adding.push(await tags.findOrAdd(tx, name, at))
    const removing = await tx
      .selectFrom('tags')
      .select('id')
      .where('name', 'in', fact.remove.length === 0 ? [''] : fact.remove)
      .execute()
    for (const contact_id of fact.contacts) {
      if (await isErased(tx, contact_id)) continue
      for (const tag_id of adding) await tags.add(tx, { contact_id, tag_id }, { origin: ours, at })
      for (const { id: tag_id } of removing) await tags.remove(tx, { contact_id, tag_id }, { origin: ours })
    }
  }

  /** Some contacts of a tag get another one, or none, in its place; with the last of them it is gone. */
  async function moveTag(tx: Db, { from, into }: { from: number; into: number | null }) {
    const given = await tx
      .selectFrom('contact_tags')
      .selectAll()
      .where('tag_id', '=', from)
      .limit(movedAtOnce)
      .execute()
    for (const { contact_id, origin, added_at } of given) {
      if (into !== null) await tags.add(tx, { contact_id, tag_id: into }, { origin, at: added_at })
      await tags.remove(tx, { contact_id, tag_id: from }, { origin })
    }
    receipt.more = given.length === movedAtOnce
    if (receipt.more) return
    await tx.deleteFrom('tags').where('id', '=', from).execute()
    await tx.deleteFrom('tag_counts').where('tag_id', '=', from).execute()
  }

  async function importRow(tx: Db, row: ImportRow, at: number) {
    const erased = await erasures.find(tx, row.email)
    if (erased) {
      // An old file does not bring back who asked to be forgotten.
      receipt.left++
      return
    }
    const { id, isNew } = await contacts.findOrAdd(tx, row.email, row.subscribedAt ?? at, 'csv')
    if (isNew) receipt.added++
    if (row.name !== '') await rename(tx, id, row.name, { isOurs: true })
    for (const name of row.tags) {
      const tag_id = await tags.findOrAdd(tx, name, at)
      await tags.add(tx, { contact_id: id, tag_id }, { origin: ours, at })
    }
    if (row.list !== '') await subscribe(tx, id, row, at)
  }

  async function subscribe(tx: Db, contact_id: number, { list, subscribedAt }: ImportRow, at: number) {
    const list_id = await findOrAddList(tx, {
      provider: 'csv',
      provider_id: list.toLowerCase(),
      name: list,
      at,
    })
    const known = await tx
      .selectFrom('subscriptions')
      .select('id')
      .where('list_id', '=', list_id)
      .where('contact_id', '=', contact_id)
      .executeTakeFirst()
    if (known) return
    const since = subscribedAt ?? at
    await putSubscription(tx, {
      list_id,
      contact_id,
      status: 'subscribed',
      provider_status: '',
      source: 'csv',
      subscribed_at: since,
      unsubscribed_at: null,
      seen_at: at,
    })
    await putChange(tx, { list_id, contact_id, changed_at: since, exact: 1, status: 'subscribed' })
    await summarise(tx, contact_id)
  }

  return {
    people: { record } satisfies Recorder<PeopleFact, PeopleReceipt>,
    /** For recorders that stand on this one; inside `counted` of the engagements. */
    subscriber,
    subscription,
    acquaint,
    byIdentity,
    summarise,
    tags,
  }
}

/** See src/audience/record.ts: a delivery comes up to so much later than what it tells. */
const longestDelay = 35 * 60_000
const clockSkew = 60_000

const nameAsKept = (given: string) => given.trim().slice(0, 200)

/** The first name of these that is one, with whose it is. */
function nameOf(people: Pick<Row<'contacts'>, 'name' | 'name_folded' | 'name_is_ours'>[]) {
  const { name, name_folded, name_is_ours } = people.find((person) => person.name !== '') ?? people[0]!
  return { name, name_folded, name_is_ours }
}

const nothing = (): PeopleReceipt => ({ contact: null, added: 0, left: 0, erased: [], more: false })

/** Did the person subscribe of their own will after they were erased? Who goes on after a pause has not left before. */
function isFreshSince({ changes, status }: SubscriberFact, erasedAt: number) {
  const isIn = (other?: string) => other === 'unconfirmed' || (other !== undefined && isReached(other))
  const inOrder = [...changes].sort((one, other) => one.at - other.at)
  return (
    isIn(status) &&
    inOrder.some((change, index) => {
      const before = inOrder[index - 1]?.status
      const stayed = isIn(before) || before === 'bounced'
      const isNew = !stayed || (before === 'unconfirmed' && isReached(change.status))
      return change.at > erasedAt && isIn(change.status) && isNew
    })
  )
}

/** Does a link, or whatever else was kept, name this address, plainly or encoded? */
export function mentions(text: string, email: string) {
  const lower = text.toLowerCase()
  return spellingsOf(email).some((spelling) => lower.includes(spelling))
}
/** In small letters, as addresses of pages may have it. */
const spellingsOf = (email: string) =>
  [email, encodeURIComponent(email), email.replaceAll('+', '%2b'), email.replace('@', '%40')].map(
    (spelling) => spelling.toLowerCase(),
  )

/** @returns the id of a provider's list, which is made when there is none; its name follows the provider */
export async function findOrAddList(
  tx: Db,
  { provider, provider_id, name, at }: { provider: string; provider_id: string; name: string; at: number },
): Promise<number> {
  const { id } = await tx
    .insertInto('lists')
    .values({ provider, provider_id, name, created_at: at })
    .onConflict((conflict) => conflict.columns(['provider', 'provider_id']).doUpdateSet({ name }))
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

/** The queries that a sync runs for each subscriber. */
function queries(db: Db) {
  type Identity = Pick<Row<'contact_identities'>, 'provider' | 'provider_id' | 'contact_id'>
  type Subscription = Omit<Row<'subscriptions'>, 'id' | 'fields'>
  type Named = { id: number; name: string; name_folded: string }
  const subscriptionColumns = (
    value: <Name extends keyof Subscription>(name: Name) => Subscription[Name],
  ) => ({
    status: value('status'),
    provider_status: value('provider_status'),
    source: value('source'),
    subscribed_at: value('subscribed_at'),
    unsubscribed_at: value('unsubscribed_at'),
    seen_at: value('seen_at'),
  })
  return {
    identity: compiled<
      Omit<Identity, 'contact_id'>,
      { contact_id: number; seen_at: number; email: string | null }
    >((value) =>
      db
        .selectFrom('contact_identities')
        .select(['contact_id', 'seen_at', 'email'])
        .where('provider', '=', value('provider'))
        .where('provider_id', '=', value('provider_id')),
    ),
    putIdentity: compiled<Identity & { seen_at: number; list_id: number | null; email: string }>((value) => {
      const told = {
        contact_id: value('contact_id'),
        seen_at: value('seen_at'),
        list_id: value('list_id'),
        email: value('email'),
      }
      return db
        .insertInto('contact_identities')
        .values({ provider: value('provider'), provider_id: value('provider_id'), ...told })
        .onConflict((conflict) =>
          conflict.columns(['provider', 'provider_id']).doUpdateSet({ ...told, gone_at: null }),
        )
    }),
    moveIdentity: compiled<Identity>((value) =>
      db
        .updateTable('contact_identities')
        .set({ contact_id: value('contact_id') })
        .where('provider', '=', value('provider'))
        .where('provider_id', '=', value('provider_id')),
    ),
    alias: compiled<{ email: string }, { contact_id: number }>((value) =>
      db.selectFrom('contact_aliases').select('contact_id').where('email', '=', value('email')),
    ),
    putSubscription: compiled<Subscription>((value) => {
      const columns = subscriptionColumns(value)
      return db
        .insertInto('subscriptions')
        .values({ list_id: value('list_id'), contact_id: value('contact_id'), ...columns })
        .onConflict((conflict) =>
          conflict
            .columns(['list_id', 'contact_id'])
            .doUpdateSet(columns)
            .where('subscriptions.seen_at', '<=', value('seen_at')),
        )
    }),
    putSubscriptionWithFields: compiled<Subscription & { fields: string | null }>((value) => {
      const columns = { ...subscriptionColumns(value), fields: value('fields') }
      return db
        .insertInto('subscriptions')
        .values({ list_id: value('list_id'), contact_id: value('contact_id'), ...columns })
        .onConflict((conflict) =>
          conflict
            .columns(['list_id', 'contact_id'])
            .doUpdateSet(columns)
            .where('subscriptions.seen_at', '<=', value('seen_at')),
        )
    }),
    changesNear: compiled<
      { list_id: number; contact_id: number; status: string; since: number; until: number },
      { id: number; exact: 0 | 1 }
    >((value) =>
      db
        .selectFrom('subscription_changes')
        .select(['id', 'exact'])
        .where('contact_id', '=', value('contact_id'))
        .where('list_id', '=', value('list_id'))
        .where('status', '=', value('status'))
        .where('changed_at', '>=', value('since'))
        .where('changed_at', '<=', value('until')),
    ),
    addChange: compiled<Omit<Row<'subscription_changes'>, 'id'>>((value) =>
      db
        .insertInto('subscription_changes')
        .values({
          list_id: value('list_id'),
          contact_id: value('contact_id'),
          changed_at: value('changed_at'),
          exact: value('exact'),
          status: value('status'),
        })
        .onConflict((conflict) => conflict.doNothing()),
    ),
    subscriptionsOf: compiled<{ contact_id: number }, { status: string; subscribed_at: number | null }>(
      (value) =>
        db
          .selectFrom('subscriptions')
          .select(['status', 'subscribed_at'])
          .where('contact_id', '=', value('contact_id')),
    ),
    setStatus: compiled<{ id: number; status: string | null; subscribed_at: number | null }>((value) =>
      db
        .updateTable('contacts')
        .set({ status: value('status'), subscribed_at: value('subscribed_at') })
        .where('id', '=', value('id')),
    ),
    /** Where it is another one, and none that was given here. */
    name: compiled<Named, { id: number }>((value) =>
      db
        .updateTable('contacts')
        .set({ name: value('name'), name_folded: value('name_folded') })
        .where('id', '=', value('id'))
        .where('name', '<>', value('name'))
        .where('name_is_ours', '=', 0)
        .returning('id'),
    ),
    nameForGood: compiled<Named, { id: number }>((value) =>
      db
        .updateTable('contacts')
        .set({ name: value('name'), name_folded: value('name_folded'), name_is_ours: 1 })
        .where('id', '=', value('id'))
        .returning('id'),
    ),
  }
}
