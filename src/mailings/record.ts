import { LRUCache } from 'lru-cache'
import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'

/** A mailing as a provider describes it, all at once. */
export interface MailingFact {
  provider: string
  /** In its canonical spelling. */
  providerId: string
  /** A mailing never changes its list. */
  listId: number | null
  name: string
  status: string
  sentAt: number | null
  url: string
  /** As of when the provider said so: what is known to be newer stays. */
  seenAt: number
}

/** A provider's own numbers of a mailing; null where it tells none. */
export interface ReportFact {
  recipients: number | null
  deliveries: number | null
  opens: number | null
  clicks: number | null
  temporaryFailures: number | null
  permanentFailures: number | null
  unsubscriptions: number | null
  complaints: number | null
  replies: number | null
  checkedAt: number
}

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

  return {
    find,
    /** An engagement may name a mailing before anybody described it. @param at when it was first heard of */
    async findOrAdd(
      tx: Db,
      {
        provider,
        providerId,
        listId,
        at,
      }: Pick<MailingFact, 'provider' | 'providerId' | 'listId'> & { at: number },
    ): Promise<number> {
      const found = await find(tx, provider, providerId)
      if (found !== null) return found
      const { id } = await tx
        .insertInto('mailings')
        .values({ provider, provider_id: providerId, list_id: listId, created_at: at })
        .returning('id')
        .executeTakeFirstOrThrow()
      known.set(`${provider} ${providerId}`, id)
      return id
    },
    /** Takes in what the provider says. @returns its id, and whether anything was new */
    async put(tx: Db, fact: MailingFact): Promise<{ id: number; isNew: boolean; changed: boolean }> {
      const { provider, providerId, listId, name, status, sentAt, url, seenAt } = fact
      const before = await find(tx, provider, providerId)
      const id = before ?? (await this.findOrAdd(tx, { provider, providerId, listId, at: sentAt ?? seenAt }))
      const stored = await tx
        .selectFrom('mailings')
        .select(['name', 'status', 'sent_at', 'url', 'seen_at'])
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      if (stored.seen_at > seenAt) return { id, isNew: false, changed: false }
      await tx
        .updateTable('mailings')
        .set({ name, status, sent_at: sentAt, url, seen_at: seenAt })
        .where('id', '=', id)
        .execute()
      const changed =
        stored.name !== name || stored.status !== status || stored.sent_at !== sentAt || stored.url !== url
      return { id, isNew: before === null, changed }
    },
    /** The provider's own numbers; a number that a later answer lacks keeps its value. */
    async putReport(tx: Db, mailing_id: number, report: ReportFact) {
      const newer = await tx
        .selectFrom('mailing_reports')
        .select('checked_at')
        .where('mailing_id', '=', mailing_id)
        .where('checked_at', '>', report.checkedAt)
        .executeTakeFirst()
      if (newer) return
      const columns = {
        recipients: report.recipients,
        deliveries: report.deliveries,
        opens: report.opens,
        clicks: report.clicks,
        temporary_failures: report.temporaryFailures,
        permanent_failures: report.permanentFailures,
        unsubscriptions: report.unsubscriptions,
        complaints: report.complaints,
        replies: report.replies,
      }
      const told = Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== null))
      await tx
        .insertInto('mailing_reports')
        .values({ mailing_id, ...columns, checked_at: report.checkedAt })
        .onConflict((conflict) =>
          conflict.column('mailing_id').doUpdateSet({ ...told, checked_at: report.checkedAt }),
        )
        .execute()
    },
    forget: () => known.clear(),
  }
}
