import type { Db } from '../database/open.js'
import { findOrAddList } from './people.js'

/** A list as its provider describes it. */
export interface ListFact {
  provider: string
  providerId: string
  name: string
  doubleOptIn: boolean
  fields: { tag: string; label: string; type: string; choices: string[]; fallback: string | null }[]
  tags: string[]
  /** How many contacts the provider counts; null where it does not say. */
  counts: { pending: number | null; subscribed: number | null; unsubscribed: number | null }
  madeAt: number | null
  updatedAt: number | null
  seenAt: number
}

const counters = ['pending', 'subscribed', 'unsubscribed'] as const

/** Takes in what providers say of their lists; for recorders, inside the ledger's transaction. */
export function listBook() {
  return {
    /**
     * A number that a later answer lacks keeps its value; whenever one has changed, all are kept as a snapshot.
     * @returns the id, and what was new
     */
    async put(tx: Db, fact: ListFact): Promise<{ id: number; isNew: boolean; changed: boolean }> {
      const { provider, providerId: provider_id, name, seenAt } = fact
      const before = await tx
        .selectFrom('lists')
        .selectAll()
        .where('provider', '=', provider)
        .where('provider_id', '=', provider_id)
        .executeTakeFirst()
      const id = before?.id ?? (await findOrAddList(tx, { provider, provider_id, name, at: seenAt }))
      const counts = Object.fromEntries(
        counters.map((counter) => [counter, fact.counts[counter] ?? before?.[counter] ?? null]),
      ) as ListFact['counts']
      await tx
        .updateTable('lists')
        .set({
          name,
          double_opt_in: fact.doubleOptIn ? 1 : 0,
          ...counts,
          made_at: fact.madeAt ?? before?.made_at ?? null,
          updated_at: fact.updatedAt ?? before?.updated_at ?? null,
          gone_at: null,
        })
        .where('id', '=', id)
        .execute()
      await putFields(tx, id, fact.fields)
      await putTags(tx, id, fact.tags)
      const changed = counters.some((counter) => counts[counter] !== (before?.[counter] ?? null))
      if (changed)
        await tx
          .insertInto('list_snapshots')
          .values({ list_id: id, taken_at: seenAt, ...counts })
          .execute()
      return { id, isNew: !before, changed }
    },
    /** The provider knows it no more; its contacts and its history stay. */
    async putGone(tx: Db, id: number, at: number) {
      await tx
        .updateTable('lists')
        .set({ gone_at: at })
        .where('id', '=', id)
        .where('gone_at', 'is', null)
        .execute()
    },
  }
}

async function putFields(tx: Db, list_id: number, fields: ListFact['fields']) {
  await tx.deleteFrom('list_fields').where('list_id', '=', list_id).execute()
  const byTag = new Map(fields.map((field) => [field.tag, field]))
  if (byTag.size > 0)
    await tx
      .insertInto('list_fields')
      .values(
        [...byTag.values()].map((field, position) => ({
          list_id,
          ...field,
          choices: JSON.stringify(field.choices),
          position,
        })),
      )
      .execute()
}

async function putTags(tx: Db, list_id: number, tags: string[]) {
  await tx.deleteFrom('list_tags').where('list_id', '=', list_id).execute()
  if (tags.length > 0)
    await tx
      .insertInto('list_tags')
      .values([...new Set(tags)].map((name) => ({ list_id, name })))
      .execute()
}
