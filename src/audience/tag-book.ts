import { compiled } from '../database/compiled.js'
import type { Db } from '../database/open.js'
import type { EngagementCounts } from '../database/schema.js'
import { tagAdder } from './engagement-counts.js'
import { providerOf } from './origins.js'
import { engagementColumns } from './receptions.js'

/** What we gave a tag ourselves is `ours`; what a provider gave bears its name. Each takes away only its own. */
export const ours = 'ours'

/**
 * Puts tags on contacts and takes them off, with the sums over each tag's contacts. Facts of the same transaction that
 * are still being gathered are added at its end to whatever tags the contact has by then.
 */
export function tagBook(db: Db) {
  const addToTags = tagAdder(db)
  type Pair = { contact_id: number; tag_id: number }
  const has = compiled<Pair, { origin: string }>((value) =>
    db
      .selectFrom('contact_tags')
      .select('origin')
      .where('contact_id', '=', value('contact_id'))
      .where('tag_id', '=', value('tag_id')),
  )
  const insert = compiled<Pair & { origin: string; added_at: number }>((value) =>
    db.insertInto('contact_tags').values({
      contact_id: value('contact_id'),
      tag_id: value('tag_id'),
      origin: value('origin'),
      added_at: value('added_at'),
    }),
  )
  const remove = compiled<Pair & { origin: string }>((value) =>
    db
      .deleteFrom('contact_tags')
      .where('contact_id', '=', value('contact_id'))
      .where('tag_id', '=', value('tag_id'))
      .where('origin', '=', value('origin')),
  )
  const byName = compiled<{ name: string }, { id: number }>((value) =>
    db.selectFrom('tags').select('id').where('name', '=', value('name')),
  )
  const givenBy = compiled<{ contact_id: number; origin: string }, { tag_id: number }>((value) =>
    db
      .selectFrom('contact_tags')
      .select('tag_id')
      .where('contact_id', '=', value('contact_id'))
      .where('origin', '=', value('origin')),
  )
  const sums = compiled<{ contact_id: number }, EngagementCounts & { score: number | null }>((value) =>
    db
      .selectFrom('contacts')
      .select([...engagementColumns, 'score'])
      .where('id', '=', value('contact_id')),
  )

  async function count(tx: Db, contact_id: number, tag_id: number, by: 1 | -1) {
    const contact = (await sums(tx, { contact_id })).rows[0]
    if (!contact) return
    const counts = Object.fromEntries(
      engagementColumns.map((column) => [column, by * contact[column]]),
    ) as unknown as EngagementCounts
    await addToTags(tx, [
      {
        tag_id,
        contacts: by,
        scored: contact.score === null ? 0 : by,
        score_sum: by * (contact.score ?? 0),
        ...counts,
      },
    ])
  }

  return {
    /**
     * @param origin who gives it: a tag that is first heard of from a provider is kept by that provider
     * @returns the id of the tag of this name, in whatever case; it is made when there is none
     */
    async findOrAdd(tx: Db, name: string, at: number, origin = ours): Promise<number> {
      const text = name.trim().slice(0, 80)
      const found = (await byName(tx, { name: text })).rows[0]
      if (found) return found.id
      const { id } = await tx
        .insertInto('tags')
        .values({
          name: text,
          created_at: at,
          provider: origin === ours ? null : providerOf(origin),
          provider_id: null,
        })
        .returning('id')
        .executeTakeFirstOrThrow()
      return id
    },
    async add(tx: Db, pair: Pair, { origin, at }: { origin: string; at: number }) {
      const origins = (await has(tx, pair)).rows.map((row) => row.origin)
      if (origins.includes(origin)) return
      await insert(tx, { ...pair, origin, added_at: at })
      if (origins.length === 0) await count(tx, pair.contact_id, pair.tag_id, 1)
    },
    async remove(tx: Db, pair: Pair, { origin }: { origin: string }) {
      const origins = (await has(tx, pair)).rows.map((row) => row.origin)
      if (!origins.includes(origin)) return
      await remove(tx, { ...pair, origin })
      if (origins.length === 1) await count(tx, pair.contact_id, pair.tag_id, -1)
    },
    /** The tags that this origin gave the contact are these names and no others. */
    async follow(
      tx: Db,
      contact_id: number,
      names: string[],
      { origin, at }: { origin: string; at: number },
    ) {
      const wanted = new Set<number>()
      for (const name of names) if (name.trim() !== '') wanted.add(await this.findOrAdd(tx, name, at, origin))
      for (const { tag_id } of (await givenBy(tx, { contact_id, origin })).rows)
        if (!wanted.delete(tag_id)) await this.remove(tx, { contact_id, tag_id }, { origin })
      for (const tag_id of wanted) await this.add(tx, { contact_id, tag_id }, { origin, at })
    },
    /**
     * A provider keeps a tag of this name, and is followed when it calls it otherwise. One that is ours, or another
     * provider's, stays so though it has the same name: what this provider gives by it has an origin of its own.
     */
    async followProvider(
      tx: Db,
      tag: { provider: string; providerId: string; name: string; description: string; at: number },
    ) {
      const { provider, providerId: provider_id, description, at } = tag
      const name = tag.name.trim().slice(0, 80)
      if (name === '') return
      const known = await tx
        .selectFrom('tags')
        .select(['id', 'name', 'description'])
        .where('provider', '=', provider)
        .where('provider_id', '=', provider_id)
        .executeTakeFirst()
      const named = await tx
        .selectFrom('tags')
        .select(['id', 'provider', 'description'])
        .where('name', '=', name)
        .executeTakeFirst()
      const told = (kept: string) => (kept === '' ? { description } : {})
      if (known && (!named || named.id === known.id)) {
        if (known.name !== name || (known.description === '' && description !== ''))
          await tx
            .updateTable('tags')
            .set({ name, ...told(known.description) })
            .where('id', '=', known.id)
            .execute()
        return
      }
      // The name has moved on to a tag that is there already: contacts follow when their own tags are told.
      if (known)
        await tx
          .updateTable('tags')
          .set({ provider: null, provider_id: null })
          .where('id', '=', known.id)
          .execute()
      if (!named)
        await tx
          .insertInto('tags')
          .values({ name, description, provider, provider_id, created_at: at })
          .execute()
      else if (named.provider === provider)
        await tx
          .updateTable('tags')
          .set({ provider_id, ...told(named.description) })
          .where('id', '=', named.id)
          .execute()
    },
    /** All tags of a contact, with who gave them. */
    async of(tx: Db, contact_id: number) {
      return tx
        .selectFrom('contact_tags')
        .select(['tag_id', 'origin', 'added_at'])
        .where('contact_id', '=', contact_id)
        .execute()
    },
  }
}
