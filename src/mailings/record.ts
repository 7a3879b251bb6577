import { LRUCache } from 'lru-cache'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { ReportNumbers } from '../database/schema.js'

/** A mailing as a provider describes it, all at once. */
export interface MailingFact {
  provider: string
  /** In its canonical spelling. */
  providerId: string
  /** The lists it goes to, ours by number. Once something is known of its readers it never changes them. */
  listIds: number[]
  /** What people call it; where the provider has no name beside the subject, that. */
  name: string
  subject: string
  fromName: string
  fromAddress: string
  status: string
  /** When it was made at the provider; null when that is not told. */
  madeAt: number | null
  sentAt: number | null
  url: string
  /** The message itself; null when this telling has none. */
  html: string | null
  /** Who asked for the sync that brings this; null when none did. */
  syncedBy: string | null
  /** As of when the provider said so: what is known to be newer stays. */
  seenAt: number
}

/** A provider's own numbers of a mailing; null where it tells none. */
export type ReportFact = ReportNumbers & { checkedAt: number }

/** A provider's own numbers of one link; the two count events and people. */
export interface LinkReportFact {
  url: string
  clicks: number
  uniqueClicks: number
}

export const reportNumbers = [
  'recipients',
  'deliveries',
  'opens',
  'unique_opens',
  'clicks',
  'unique_clicks',
  'temporary_failures',
  'permanent_failures',
  'unsubscriptions',
  'complaints',
  'replies',
] as const satisfies (keyof ReportNumbers)[]

export const noNumbers: Readonly<ReportNumbers> = {
  recipients: null,
  deliveries: null,
  opens: null,
  unique_opens: null,
  clicks: null,
  unique_clicks: null,
  temporary_failures: null,
  permanent_failures: null,
  unsubscriptions: null,
  complaints: null,
  replies: null,
}

/** Where a mailing goes to one list its engagements are counted under that; where to several, under none. */
const listOf = (listIds: number[]) => (listIds.length === 1 ? listIds[0]! : null)

/** Finds the row of a mailing by what its provider calls it, or makes it; for recorders, inside the ledger's transaction. */
export function mailingBook(db: Db) {
  const known = new LRUCache<string, number>({ max: 5_000 })
  const select = compiled<{ provider: string; provider_id: string }, { id: number }>((value) =>
    db
      .selectFrom('mailings')
      .select('id')
      .where('provider', '=', value('provider'))
      .where('provider_id', '=', value('provider_id')),
  )

  async function find(tx: Db, provider: string, providerId: string): Promise<number | null> {
    const key = `${provider} ${providerId}`
    const id = known.get(key) ?? (await select(tx, { provider, provider_id: providerId })).rows[0]?.id ?? null
    if (id !== null) known.set(key, id)
    return id
  }

  async function putLists(tx: Db, mailing_id: number, listIds: number[]) {
    await tx.deleteFrom('mailing_lists').where('mailing_id', '=', mailing_id).execute()
    if (listIds.length > 0)
      await tx
        .insertInto('mailing_lists')
        .values([...new Set(listIds)].map((list_id) => ({ mailing_id, list_id })))
        .execute()
  }

  return {
    find,
    /** An engagement may name a mailing before anybody described it. @param at when it was first heard of */
    async findOrAdd(
      tx: Db,
      {
        provider,
        providerId,
        listIds,
        at,
      }: Pick<MailingFact, 'provider' | 'providerId' | 'listIds'> & { at: number },
    ): Promise<number> {
      const found = await find(tx, provider, providerId)
      if (found !== null) return found
      const { id } = await tx
        .insertInto('mailings')
        .values({ provider, provider_id: providerId, list_id: listOf(listIds), created_at: at })
        .returning('id')
        .executeTakeFirstOrThrow()
      await putLists(tx, id, listIds)
      known.set(`${provider} ${providerId}`, id)
      return id
    },
    /** Takes in what the provider says. @returns its id, and whether anything was new */
    async put(tx: Db, fact: MailingFact): Promise<{ id: number; isNew: boolean; changed: boolean }> {
      const { provider, providerId, listIds, sentAt, seenAt, html } = fact
      const before = await find(tx, provider, providerId)
      const id = before ?? (await this.findOrAdd(tx, { provider, providerId, listIds, at: sentAt ?? seenAt }))
      const stored = await tx
        .selectFrom('mailings')
        .selectAll('mailings')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      if (stored.seen_at > seenAt) return { id, isNew: false, changed: false }
      const told = {
        name: fact.name,
        subject: fact.subject,
        from_name: fact.fromName,
        from_address: fact.fromAddress,
        status: fact.status,
        sent_at: sentAt,
        url: fact.url,
        made_at: fact.madeAt ?? stored.made_at,
      }
      await tx
        .updateTable('mailings')
        .set({ ...told, seen_at: seenAt, ...(fact.syncedBy === null ? {} : { synced_by: fact.syncedBy }) })
        .where('id', '=', id)
        .execute()
      if (before !== null && !(await hasReaders(tx, id))) {
        await tx
          .updateTable('mailings')
          .set({ list_id: listOf(listIds) })
          .where('id', '=', id)
          .execute()
        await putLists(tx, id, listIds)
      }
      if (html !== null)
        await tx
          .insertInto('mailing_contents')
          .values({ mailing_id: id, html })
          .onConflict((conflict) =>
            conflict.column('mailing_id').doUpdateSet({ html }).where('mailing_contents.html', '<>', html),
          )
          .execute()
      const changed = Object.entries(told).some(
        ([name, value]) => stored[name as keyof typeof told] !== value,
      )
      return { id, isNew: before === null, changed }
    },
    /**
     * The provider's own numbers. A number that a later answer lacks keeps its value, and whenever one has changed all
     * of them are kept as a snapshot, a lower one as such.
     * @returns whether anything changed
     */
    async putReport(tx: Db, mailing_id: number, { checkedAt, ...told }: ReportFact): Promise<boolean> {
      const before = await tx
        .selectFrom('mailing_reports')
        .selectAll()
        .where('mailing_id', '=', mailing_id)
        .executeTakeFirst()
      if (before && before.checked_at > checkedAt) return false
      const numbers = { ...noNumbers }
      for (const name of reportNumbers) numbers[name] = told[name] ?? before?.[name] ?? null
      const changed = reportNumbers.filter((name) => numbers[name] !== (before?.[name] ?? null))
      const row = { ...numbers, checked_at: checkedAt }
      await tx
        .insertInto('mailing_reports')
        .values({ mailing_id, ...row })
        .onConflict((conflict) => conflict.column('mailing_id').doUpdateSet(row))
        .execute()
      if (changed.length === 0) return false
      const isLower = changed.some((name) => (before?.[name] ?? 0) > (numbers[name] ?? 0))
      await tx
        .insertInto('mailing_snapshots')
        .values({ mailing_id, taken_at: checkedAt, ...numbers, is_lower: isLower ? 1 : 0 })
        .execute()
      return true
    },
    /** The provider's own numbers of all links of a mailing; a link that a later answer lacks stays as it was. */
    async putLinkReports(tx: Db, mailing_id: number, links: LinkReportFact[], checked_at: number) {
      // The same address twice in a message may come as two rows.
      const byUrl = new Map<string, LinkReportFact>()
      for (const link of links) {
        const url = link.url.slice(0, 2_000)
        const other = byUrl.get(url)
        byUrl.set(url, {
          url,
          clicks: link.clicks + (other?.clicks ?? 0),
          // Who followed both is counted in both.
          uniqueClicks: Math.max(link.uniqueClicks, other?.uniqueClicks ?? 0),
        })
      }
      for (const { url, clicks, uniqueClicks: unique_clicks } of byUrl.values())
        await tx
          .insertInto('mailing_link_reports')
          .values({ mailing_id, url, clicks, unique_clicks, checked_at })
          .onConflict((conflict) =>
            conflict.columns(['mailing_id', 'url']).doUpdateSet({ clicks, unique_clicks, checked_at }),
          )
          .execute()
    },
    forget: () => known.clear(),
  }
}

/** Is anything known of who got it? From then on it stays counted under the list that it was counted under. */
async function hasReaders(tx: Db, mailing_id: number): Promise<boolean> {
  const row = await tx
    .selectFrom('engagements')
    .select('id')
    .where('mailing_id', '=', mailing_id)
    .limit(1)
    .executeTakeFirst()
  if (row) return true
  const removed = await tx
    .selectFrom('sealed_mailings')
    .select('mailing_id')
    .where('mailing_id', '=', mailing_id)
    .executeTakeFirst()
  return removed !== undefined
}
