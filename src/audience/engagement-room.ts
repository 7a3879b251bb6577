import { isAmong } from '../database/expressions.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { type EngagementKind, engagementKind } from './engagement-kinds.js'
import { reasonsInWords, verdictOf } from './engagement-verdict.js'
import { mailingName } from './mailing-name.js'
import { originName } from './origins.js'
import { engagementColumns } from './receptions.js'
import { byTime, type ContactRoom, type Moment } from './rooms.js'
import { sealedReceptionsOf } from './sealing.js'

/** Rows of an export that are read in one go: small enough that nobody else waits for them. */
const pageLength = 1_000

/**
 * What the audience itself knows of a contact: engagements with mailings, subscriptions and tags. Erasing and merging
 * are the recorder's.
 */
export function engagementRoom(): ContactRoom {
  return { name: 'audience', title: 'Mailings', overview, timeline, export: exported }
}

async function overview(db: Db | Readers, contact: number) {
  const [sealed, engagements, changes, tags] = await Promise.all([
    sealedReceptionsOf(db, contact),
    db
      .selectFrom('engagements')
      .select(({ fn }) => ['verdict', fn.countAll<number>().as('count')])
      .where('contact_id', '=', contact)
      .groupBy('verdict')
      .execute(),
    db
      .selectFrom('subscription_changes')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('contact_id', '=', contact)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('contact_tags')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('contact_id', '=', contact)
      .executeTakeFirstOrThrow(),
  ])
  const sum = (machines: boolean) =>
    engagements
      .filter(({ verdict }) => verdict >= 2 === machines)
      .reduce((total, { count }) => total + count, 0)
  const byMachines = sealed.reduce(
    (total, row) => total + row.proxy_opens + row.machine_opens + row.machine_clicks,
    0,
  )
  const removed = {
    moments: sealed.reduce((total, row) => total + row.engagements, 0) - byMachines,
    machines: byMachines,
  }
  return {
    moments: sum(false) + removed.moments + changes.count + tags.count,
    machines: sum(true) + removed.machines,
    removed,
    tiles: [],
  }
}

async function timeline(
  db: Db | Readers,
  contact: number,
  { before, limit, machines }: { before: number; limit: number; machines: boolean },
): Promise<Moment[]> {
  const [engagements, changes, tags] = await Promise.all([
    db
      .selectFrom((from) =>
        from
          .selectFrom('engagements')
          .selectAll()
          .where('contact_id', '=', contact)
          .where('happened_at', '<', before)
          .$if(!machines, (query) => query.where('verdict', '<', 2))
          .orderBy('happened_at', 'desc')
          .orderBy('id', 'desc')
          .limit(limit)
          .as('engagements'),
      )
      .leftJoin('mailings', 'mailings.id', 'engagements.mailing_id')
      .leftJoin('links', 'links.id', 'engagements.link_id')
      .select(['engagements.id', 'kind', 'happened_at', 'exact', 'os', 'browser', 'verdict', 'reasons'])
      .select(['engagements.mailing_id', 'mailings.name as mailing', 'links.url'])
      .orderBy('happened_at', 'desc')
      .orderBy('engagements.id', 'desc')
      .execute(),
    db
      .selectFrom('subscription_changes')
      .innerJoin('lists', 'lists.id', 'subscription_changes.list_id')
      .leftJoin('subscriptions', (join) =>
        join
          .onRef('subscriptions.list_id', '=', 'subscription_changes.list_id')
          .onRef('subscriptions.contact_id', '=', 'subscription_changes.contact_id'),
      )
      .select(['subscription_changes.id', 'changed_at', 'exact', 'subscription_changes.status'])
      .select(['lists.name as list', 'lists.provider', 'subscriptions.source'])
      .where('subscription_changes.contact_id', '=', contact)
      .where('changed_at', '<', before)
      .orderBy('changed_at', 'desc')
      .orderBy('subscription_changes.id', 'desc')
      .limit(limit)
      .execute(),
    db
      .selectFrom('contact_tags')
      .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
      .select(['tag_id', 'origin', 'added_at', 'tags.name'])
      .where('contact_id', '=', contact)
      .where('added_at', '<', before)
      .execute(),
  ])
  const moments = [
    ...engagements.map((row): Moment => {
      const kind = engagementKind(row.kind)
      const isMachine = row.verdict >= 2
      return {
        at: row.happened_at,
        id: `engagement:${row.id}`,
        what: sentences[kind](mailingName(row)),
        detail: [
          row.url ?? '',
          isMachine ? `Not counted: ${reasonsInWords(row.reasons).join('; ')}` : '',
          [row.browser, row.os].filter(Boolean).join(' on '),
          row.exact ? '' : 'when exactly is not known',
        ]
          .filter(Boolean)
          .join(' · '),
        word: isMachine ? verdictOf(row.verdict) : words[kind],
        step: steps[kind],
        kind: isMachine ? 'machine' : 'theirs',
        href: row.mailing_id === null ? null : `/mailings/${row.mailing_id}`,
      }
    }),
    ...changes.map(
      (row): Moment => ({
        at: row.changed_at,
        id: `change:${row.id}`,
        what: changeSentences[row.status]?.(row.list) ?? `${row.list}: ${row.status}`,
        detail: [
          originName(row.provider),
          row.status === 'subscribed' ? (row.source ?? '').replaceAll('_', ' ') : '',
          row.exact ? '' : 'when exactly is not known',
        ]
          .filter(Boolean)
          .join(' · '),
        word: row.status,
        step: null,
        kind: 'ours',
        href: null,
      }),
    ),
    ...tags.map(
      (row): Moment => ({
        at: row.added_at,
        id: `tag:${row.tag_id}:${row.origin}`,
        what: `Tagged ${row.name}`,
        detail: row.origin === 'ours' ? '' : `by ${originName(row.origin)}`,
        word: 'tag',
        step: null,
        kind: 'ours',
        href: null,
      }),
    ),
  ]
  return moments.sort(byTime).slice(0, limit)
}

const sentences: Record<EngagementKind, (mailing: string) => string> = {
  sent: (mailing) => `Was sent ${mailing}`,
  delivered: (mailing) => `Got ${mailing}`,
  deferred: (mailing) => `Did not get ${mailing} yet`,
  bounced: (mailing) => `Could not be reached with ${mailing}`,
  rejected: (mailing) => `Was refused ${mailing} by the provider`,
  opened: (mailing) => `Opened ${mailing}`,
  clicked: (mailing) => `Clicked in ${mailing}`,
  replied: (mailing) => `Replied to ${mailing}`,
  complained: (mailing) => `Marked ${mailing} as spam`,
  unsubscribed: (mailing) => `Unsubscribed in ${mailing}`,
  commented: (mailing) => `Commented on ${mailing}`,
}
const words: Record<EngagementKind, string> = {
  sent: 'sent',
  delivered: 'delivered',
  deferred: 'deferred',
  bounced: 'bounced',
  rejected: 'rejected',
  opened: 'opened',
  clicked: 'clicked',
  replied: 'replied',
  complained: 'complained',
  unsubscribed: 'unsubscribed',
  commented: 'commented',
}
const steps: Record<EngagementKind, Moment['step']> = {
  sent: 1,
  delivered: 1,
  deferred: null,
  bounced: null,
  rejected: null,
  opened: 2,
  clicked: 3,
  replied: 3,
  complained: null,
  unsubscribed: null,
  commented: 3,
}
const changeSentences: Record<string, (list: string) => string> = {
  subscribed: (list) => `Subscribed to ${list}`,
  paused: (list) => `Paused ${list}`,
  unconfirmed: (list) => `Signed up for ${list}, not confirmed yet`,
  unsubscribed: (list) => `Unsubscribed from ${list}`,
  complained: (list) => `Complained about ${list}`,
  bounced: (list) => `Cannot be reached by ${list}`,
  removed: (list) => `Was taken off ${list}`,
}

const toldInstant = (at: number) => new Date(at).toISOString()
const instant = (at: number | null) => (at === null ? null : toldInstant(at))

async function exported(db: Db | Readers, contact: number) {
  const [person, aliases, identities, subscriptions, changes, tags, words, ids] = await Promise.all([
    db.selectFrom('contacts').selectAll().where('id', '=', contact).executeTakeFirst(),
    db.selectFrom('contact_aliases').select('email').where('contact_id', '=', contact).execute(),
    db
      .selectFrom('contact_identities')
      .select(['provider', 'provider_id'])
      .where('contact_id', '=', contact)
      .execute(),
    db
      .selectFrom('subscriptions')
      .innerJoin('lists', 'lists.id', 'subscriptions.list_id')
      .selectAll('subscriptions')
      .select(['lists.name', 'lists.provider'])
      .where('contact_id', '=', contact)
      .orderBy('subscriptions.id')
      .execute(),
    db
      .selectFrom('subscription_changes')
      .innerJoin('lists', 'lists.id', 'subscription_changes.list_id')
      .select(['lists.name', 'changed_at', 'exact', 'status'])
      .where('contact_id', '=', contact)
      .orderBy('changed_at')
      .execute(),
    db
      .selectFrom('contact_tags')
      .innerJoin('tags', 'tags.id', 'contact_tags.tag_id')
      .select(['tags.name', 'origin', 'added_at'])
      .where('contact_id', '=', contact)
      .orderBy('tags.name')
      .execute(),
    db
      .selectFrom('contact_words')
      .select(['reason', 'done_at'])
      .where('contact_id', '=', contact)
      .orderBy('done_at')
      .execute(),
    db.selectFrom('engagements').select('id').where('contact_id', '=', contact).execute(),
  ])
  return {
    contact: person && {
      id: person.id,
      email: person.email,
      name: person.name,
      notes: person.notes,
      source: person.source,
      created_at: instant(person.created_at),
      status: person.status,
      subscribed_at: instant(person.subscribed_at),
      last_active_at: instant(person.last_active_at),
      mailings: person.mailings,
      opens: person.opens,
      proxy_opens: person.proxy_opens,
      machine_opens: person.machine_opens,
      clicks: person.clicks,
      machine_clicks: person.machine_clicks,
      replies: person.replies,
      score: person.score,
      score_30_days_before: person.score_before,
      band: person.band,
    },
    earlier_addresses: aliases.map(({ email }) => email),
    identities,
    subscriptions: subscriptions.map((row) => ({
      list: row.name,
      provider: row.provider,
      status: row.status,
      provider_status: row.provider_status,
      source: row.source,
      subscribed_at: instant(row.subscribed_at),
      unsubscribed_at: instant(row.unsubscribed_at),
    })),
    subscription_changes: changes.map((row) => ({
      list: row.name,
      status: row.status,
      at: instant(row.changed_at),
      exact: row.exact === 1,
    })),
    tags: tags.map((row) => ({ name: row.name, origin: row.origin, added_at: instant(row.added_at) })),
    words_had: words.map((row) => ({ reason: row.reason, at: instant(row.done_at) })),
    engagements: await engagementsOf(
      db,
      ids.map(({ id }) => id),
    ),
    ...(await exportedSums(db, contact)),
  }
}

/** What is kept of engagements that were removed; nothing where none were. */
async function exportedSums(db: Db | Readers, contact: number) {
  const sealed = await sealedReceptionsOf(db, contact)
  if (sealed.length === 0) return {}
  const mailings = await db
    .selectFrom('mailings')
    .select(['id', 'name'])
    .where(({ ref }) =>
      isAmong(
        ref('id'),
        sealed.map(({ mailing_id }) => mailing_id),
      ),
    )
    .execute()
  const names = new Map(mailings.map(({ id, name }) => [id, name]))
  return {
    removed_engagements: sealed.map((row) => ({
      mailing: names.get(row.mailing_id),
      engagements: row.engagements,
      ...Object.fromEntries(engagementColumns.map((name) => [name, row[name]])),
      sent_at: instant(row.sent_at),
      delivered_at: instant(row.delivered_at ?? row.arrived_at),
      first_opened_at: instant(row.first_opened_at),
      first_clicked_at: instant(row.first_clicked_at),
      last_opened_at: instant(row.last_opened_at),
      last_clicked_at: instant(row.last_clicked_at),
    })),
    removed_quarters_of_an_hour: (
      await db
        .selectFrom('sealed_contact_quarters')
        .selectAll()
        .where('contact_id', '=', contact)
        .orderBy('quarter_at')
        .execute()
    ).map(({ contact_id: _, quarter_at, ...counts }) => ({ from: instant(quarter_at), ...counts })),
  }
}

async function engagementsOf(db: Db | Readers, ids: number[]) {
  const engagements: ({ at: string } & Record<string, unknown>)[] = []
  for (let from = 0; from < ids.length; from += pageLength) {
    const rows = await db
      .selectFrom('engagements')
      .leftJoin('mailings', 'mailings.id', 'engagements.mailing_id')
      .leftJoin('links', 'links.id', 'engagements.link_id')
      .leftJoin('user_agents', 'user_agents.id', 'engagements.user_agent_id')
      .selectAll('engagements')
      .select(['mailings.name as mailing', 'links.url', 'user_agents.text as user_agent'])
      .where(({ ref }) => isAmong(ref('engagements.id'), ids.slice(from, from + pageLength)))
      .execute()
    for (const row of rows)
      engagements.push({
        at: toldInstant(row.happened_at),
        exact: row.exact === 1,
        kind: engagementKind(row.kind),
        mailing: row.mailing,
        url: row.url,
        provider: row.provider,
        provider_id: row.provider_id,
        address: row.address,
        user_agent: row.user_agent,
        os: row.os,
        browser: row.browser,
        country: row.country,
        verdict: verdictOf(row.verdict),
        reasons: reasonsInWords(row.reasons),
        metadata: row.metadata === null ? null : JSON.parse(row.metadata),
      })
  }
  return engagements.sort((one, other) => Date.parse(one.at) - Date.parse(other.at))
}
