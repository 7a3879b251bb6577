import { canarySetting } from '../../audience/audience.js'
import { foldName } from '../../audience/contacts.js'
import type { Countries } from '../../audience/countries.js'
import { engagementNumber } from '../../audience/engagement-kinds.js'
import { engagementRoom } from '../../audience/engagement-room.js'
import { judge, judgeReception, staticReasons } from '../../audience/engagement-verdict.js'
import { addressKeeper, destroyOldSalts } from '../../audience/internet-addresses.js'
import type { Networks } from '../../audience/networks.js'
import { rebuildAudienceCounts } from '../../audience/rebuild.js'
import { ContactRooms } from '../../audience/rooms.js'
import { scoredUpToSetting, scoreRecorder, scorer } from '../../audience/scoring.js'
import { bestStatus, isReached } from '../../audience/subscriptions.js'
import { ours } from '../../audience/tag-book.js'
import { swing } from '../../audience/words.js'
import { campaignRoom } from '../../campaigns/contact-room.js'
import { compiled } from '../../database/compiled.js'
import type { Db } from '../../database/open.js'
import { openReaders } from '../../database/readers.js'
import type { NewRow } from '../../database/schema.js'
import { writeSetting } from '../../database/settings.js'
import { provider } from '../../esp/buttondown/reading.js'
import { Ledger } from '../../ledger/ledger.js'
import type { Calendar } from '../../web/calendar.js'
import type { Deed } from './engagements.js'
import { issues, newsletter, notes, press, segments, sentAt, tags, unsent } from './newsletter.js'
import type { Dice } from './readers.js'
import { type Subscriber, uuid } from './subscribers.js'

const minute = 60_000
const day = 86_400_000

interface Needs {
  db: Db
  calendar: Calendar
  countryOf: Countries
  networks: Networks
  dice: Dice
  /** Who saved the segments. */
  account: number
  now: number
}

/** What the rows are called in the database, in the order of the subscribers and of the issues. */
export interface Recorded {
  listId: number
  contacts: number[]
  mailings: number[]
  /** The provider's ids of the issues. */
  issueIds: string[]
}

/** Writes the newsletter, its subscribers, and what became of its issues, judged by the recorder's own rules. */
export async function recordNewsletter(
  subscribers: Subscriber[],
  deeds: Deed[],
  needs: Needs,
): Promise<Recorded> {
  const { db, calendar, now } = needs
  const recorded = await db.transaction().execute(async (tx) => {
    const listId = await recordList(tx, needs)
    const { mailings, issueIds } = await recordIssues(tx, listId, needs)
    const contacts = await recordSubscribers(tx, subscribers, listId, needs)
    await recordTags(tx, subscribers, contacts, needs)
    await importPress(tx, needs)
    await recordSegments(tx, needs)
    await writeSetting(tx, canarySetting, newsletter.canary)
    return { listId, contacts, mailings, issueIds }
  })
  await db.transaction().execute(async (tx) => {
    await recordDeeds(tx, deeds, recorded, needs)
    await destroyOldSalts(tx, now)
  })
  await rebuildAudienceCounts(db, calendar)
  return recorded
}

async function recordList(tx: Db, { dice, now }: Needs) {
  const { id } = await tx
    .insertInto('lists')
    .values({
      provider,
      provider_id: uuid(dice),
      name: newsletter.name,
      created_at: now - (issues[0]!.daysAgo + 6) * day,
    })
    .returning('id')
    .executeTakeFirstOrThrow()
  return id
}

async function recordIssues(tx: Db, listId: number, needs: Needs) {
  const { dice, now } = needs
  const synced = lastSync(needs)
  const common = { provider, list_id: listId, seen_at: synced }
  const slug = (name: string) => name.toLowerCase().replace(/[^\p{L}\d]+/gu, '-')
  const rows: NewRow<'mailings'>[] = issues.map((issue) => {
    const at = sentAt(issue, now)
    const sent = { name: issue.name, status: 'sent', sent_at: at, created_at: at }
    return { ...common, ...sent, provider_id: uuid(dice), url: `${newsletter.archive}${slug(issue.name)}/` }
  })
  for (const { name, status } of unsent)
    rows.push({
      ...common,
      name,
      status,
      sent_at: null,
      created_at: synced,
      provider_id: uuid(dice),
      url: '',
    })
  const ids = await tx.insertInto('mailings').values(rows).returning('id').execute()
  return {
    mailings: ids.map(({ id }) => id),
    issueIds: rows.map(({ provider_id }) => provider_id),
  }
}

/** The nightly sync, in which everything was last seen; src/app.ts says when it begins. */
export function lastSync({ calendar, now }: Pick<Needs, 'calendar' | 'now'>) {
  const today = calendar.dayOf(now)
  const at = (day: string) => calendar.startOf(day) + 135 * minute
  return at(today) < now - 5 * minute ? at(today) : at(calendar.shift(today, -1))
}

async function recordSubscribers(tx: Db, subscribers: Subscriber[], listId: number, needs: Needs) {
  const synced = lastSync(needs)
  const known = new Map(
    (await tx.selectFrom('contacts').select(['id', 'email', 'created_at']).execute()).map((row) => [
      row.email,
      row,
    ]),
  )
  type Person = {
    id: number
    name: string
    name_folded: string
    source: string
    created_at: number
    status: string | null
    subscribed_at: number
  }
  const add = compiled<Omit<Person, 'id'> & { email: string }, { id: number }>((value) =>
    tx
      .insertInto('contacts')
      .values({
        email: value('email'),
        name: value('name'),
        name_folded: value('name_folded'),
        source: value('source'),
        created_at: value('created_at'),
        status: value('status'),
        subscribed_at: value('subscribed_at'),
      })
      .returning('id'),
  )
  const update = compiled<Person>((value) =>
    tx
      .updateTable('contacts')
      .set({
        name: value('name'),
        name_folded: value('name_folded'),
        source: value('source'),
        created_at: value('created_at'),
        status: value('status'),
        subscribed_at: value('subscribed_at'),
      })
      .where('id', '=', value('id')),
  )
  const identities: NewRow<'contact_identities'>[] = []
  const subscriptions: NewRow<'subscriptions'>[] = []
  const changes: NewRow<'subscription_changes'>[] = []
  const contacts: number[] = []
  for (const { reader, id: provider_id, name, source, createdAt, since, ...rest } of subscribers) {
    const before = known.get(reader.email)
    const subscribedAt = since ?? createdAt
    const isFirst = before === undefined || subscribedAt <= before.created_at
    const person = {
      name,
      name_folded: foldName(name),
      source: isFirst ? provider : 'tracker',
      created_at: isFirst ? subscribedAt : before.created_at,
      status: bestStatus([rest.status]),
      subscribed_at: subscribedAt,
    }
    let id = before?.id
    if (id === undefined) id = (await add(tx, { ...person, email: reader.email })).rows[0]!.id
    else await update(tx, { ...person, id })
    contacts.push(id)
    const seen_at = Math.max(synced, rest.changes.at(-1)!.at)
    identities.push({ provider, provider_id, contact_id: id, seen_at })
    const ended = isReached(rest.status) || rest.status === 'unconfirmed' ? null : rest.changes.at(-1)!.at
    subscriptions.push({
      list_id: listId,
      contact_id: id,
      status: rest.status,
      provider_status: rest.providerStatus,
      source,
      subscribed_at: subscribedAt,
      unsubscribed_at: ended,
      seen_at,
    })
    for (const { at, status } of rest.changes)
      changes.push({ list_id: listId, contact_id: id, changed_at: at, exact: 1, status })
  }
  for (const rows of portions(identities)) await tx.insertInto('contact_identities').values(rows).execute()
  for (const rows of portions(subscriptions)) await tx.insertInto('subscriptions').values(rows).execute()
  for (const rows of portions(changes)) await tx.insertInto('subscription_changes').values(rows).execute()
  return contacts
}

async function recordTags(tx: Db, subscribers: Subscriber[], contacts: number[], { dice, now }: Needs) {
  const ids = new Map<string, { id: number; origin: string }>()
  const since = now - 118 * day
  for (const { name, description } of tags.theirs)
    ids.set(
      name,
      await added({ name, description, provider, provider_id: uuid(dice), created_at: since }, provider),
    )
  for (const { name, description } of tags.ours)
    ids.set(
      name,
      await added({ name, description, provider: null, provider_id: null, created_at: since }, ours),
    )

  async function added(tag: NewRow<'tags'>, origin: string) {
    const { id } = await tx.insertInto('tags').values(tag).returning('id').executeTakeFirstOrThrow()
    return { id, origin }
  }
  const rows = subscribers.flatMap((subscriber, index) =>
    subscriber.tags.map((name) => {
      const { id, origin } = ids.get(name)!
      const earliest = Math.max(subscriber.since ?? subscriber.createdAt, since)
      const added_at = Math.floor(earliest + dice.random() * (now - earliest))
      return { contact_id: contacts[index]!, tag_id: id, origin, added_at }
    }),
  )
  for (const some of portions(rows)) await tx.insertInto('contact_tags').values(some).execute()
}

/** What an import of a CSV file leaves. */
async function importPress(tx: Db, { dice, now }: Needs) {
  const at = now - press.importedDaysAgo * day
  const { id: list_id } = await tx
    .insertInto('lists')
    .values({ provider: 'csv', provider_id: press.list.toLowerCase(), name: press.list, created_at: at })
    .returning('id')
    .executeTakeFirstOrThrow()
  const { id: tag_id } = await tx
    .selectFrom('tags')
    .select('id')
    .where('name', '=', 'press')
    .executeTakeFirstOrThrow()
  for (const paper of press.papers)
    for (const desk of press.desks) {
      if (dice.chance(0.2)) continue
      const { id: contact_id } = await tx
        .insertInto('contacts')
        .values({
          email: `${desk}@${paper}.example`,
          source: 'csv',
          created_at: at,
          status: 'subscribed',
          subscribed_at: at,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      const common = { list_id, contact_id, status: 'subscribed' }
      await tx
        .insertInto('subscriptions')
        .values({ ...common, source: 'csv', subscribed_at: at, unsubscribed_at: null, seen_at: at })
        .execute()
      await tx
        .insertInto('subscription_changes')
        .values({ ...common, changed_at: at })
        .execute()
      await tx.insertInto('contact_tags').values({ contact_id, tag_id, origin: ours, added_at: at }).execute()
    }
}

async function recordSegments(tx: Db, { account, now }: Needs) {
  const rows = segments.map(({ name, query }, index) => ({
    name,
    query,
    created_at: now - (60 - 9 * index) * day,
    created_by: account,
  }))
  await tx.insertInto('segments').values(rows).execute()
}

type EngagementRow = Required<NewRow<'engagements'>> & { id: number; url: string | null }

async function recordDeeds(
  tx: Db,
  deeds: Deed[],
  { contacts, mailings }: Recorded,
  { networks, countryOf }: Needs,
) {
  const addresses = addressKeeper()
  const links = await recordLinks(tx, deeds)
  const receptions = new Map<number, EngagementRow[]>()
  const rows: EngagementRow[] = []
  for (const { at, subscriber, issue, kind, id, url, address, os, browser, metadata } of deeds) {
    const reasons = staticReasons({ kind, userAgent: null, address, os, browser, metadata, networks })
    const row: EngagementRow = {
      id: rows.length + 1,
      contact_id: contacts[subscriber]!,
      mailing_id: mailings[issue]!,
      kind: engagementNumber(kind),
      happened_at: at,
      exact: 1,
      provider,
      provider_id: id,
      link_id: url === null ? null : links.get(url)!,
      address: await addresses.keep(tx, address, at),
      user_agent_id: null,
      os,
      browser,
      country: countryOf(address),
      metadata: metadata === null ? null : JSON.stringify(metadata),
      verdict: judge(engagementNumber(kind), reasons),
      reasons,
      url,
    }
    rows.push(row)
    const key = subscriber * issues.length + issue
    const together = receptions.get(key)
    if (together) together.push(row)
    else receptions.set(key, [row])
  }
  for (const together of receptions.values()) {
    const judged = judgeReception(
      together.map((row) => ({ ...row, link: row.url })),
      { canaryUrl: newsletter.canary },
    )
    together.forEach((row, index) => {
      Object.assign(row, { reasons: judged[index]!.reasons, verdict: judged[index]!.verdict })
    })
  }
  const insert = compiled<Omit<EngagementRow, 'url'>>((value) =>
    tx.insertInto('engagements').values({
      id: value('id'),
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
    }),
  )
  for (const row of rows) await insert(tx, row)
}

async function recordLinks(tx: Db, deeds: Deed[]) {
  const urls = [...new Set(deeds.flatMap(({ url }) => url ?? []))]
  const rows = await tx
    .insertInto('links')
    .values(urls.map((url) => ({ url })))
    .returning('id')
    .execute()
  return new Map(urls.map((url, index) => [url, rows[index]!.id]))
}

/** Scores everybody, as the nightly job does. */
export async function scoreEverybody({ db, path, now }: { db: Db; path: string; now: number }) {
  const readers = openReaders(path)
  const ledger = new Ledger({ db })
  const rooms = new ContactRooms()
  rooms.enter(engagementRoom())
  rooms.enter(campaignRoom())
  try {
    const write = ledger.register(scoreRecorder(db))
    await scorer({ db, readers, rooms, write, now: () => now }).runAll()
  } finally {
    await ledger.close()
    await readers.destroy()
  }
  // Nobody has done anything since: the first run of the server has nothing to look at.
  const last = await db
    .selectFrom('events')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst()
  await db.deleteFrom('contacts_to_score').execute()
  await writeSetting(db, scoredUpToSetting('campaigns'), String(last?.id ?? 0))
}

/** What people have done about readers: notes on some of the best, and words that were had. */
export async function annotate({ db, account, dice, now }: Needs) {
  const best = await db
    .selectFrom('contacts')
    .select('id')
    .where('name', '<>', '')
    .where('status', '=', 'subscribed')
    .orderBy('score', 'desc')
    .orderBy('id')
    .limit(notes.length * 4)
    .execute()
  for (const [index, text] of notes.entries()) {
    const { id } = best[index * 4 + dice.below(3)]!
    await db.updateTable('contacts').set({ notes: text }).where('id', '=', id).execute()
  }
  const swung = await db
    .selectFrom('contacts')
    .select(['id', 'score', 'score_before'])
    .where('score_before', 'is not', null)
    .where(({ eb, fn }) => eb(fn('abs', [eb('score', '-', eb.ref('score_before'))]), '>=', swing))
    .orderBy('id')
    .execute()
  const replied = await db
    .selectFrom('engagements')
    .select('contact_id')
    .distinct()
    .where('kind', '=', engagementNumber('replied'))
    .where('happened_at', '<', now - 2 * day)
    .where('happened_at', '>', now - 12 * day)
    .orderBy('contact_id')
    .limit(6)
    .execute()
  const had = [
    ...replied.map(({ contact_id }) => ({ contact_id, reason: 'replied' })),
    ...swung
      .filter((_, index) => index % 2 === 0)
      .map((row) => ({ contact_id: row.id, reason: row.score! > row.score_before! ? 'rose' : 'faded' })),
  ]
  const rows = had.map((word, index) => ({
    ...word,
    done_at: now - (1 + (index % 9)) * 4 * 60 * minute,
    done_by: account,
  }))
  await db.insertInto('contact_words').values(rows).execute()
}

/** SQLite takes so many values in one statement. */
export function* portions<Item>(items: Item[], size = 1_000) {
  for (let from = 0; from < items.length; from += size) yield items.slice(from, from + size)
}
