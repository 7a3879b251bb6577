import * as z from 'zod'
import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { filterOf, queryOf } from './contact-filter.js'

const name = z
  .string('Give the tag a name.')
  .trim()
  .min(1, 'Give the tag a name.')
  .max(80, 'Keep the name under 80 letters.')
const description = z.string().trim().max(500, 'Keep the description under 500 letters.').default('')

export const TagForm = z.object({ name, description })
export const DescriptionForm = z.object({ description })
export type TagForm = z.infer<typeof TagForm>

/** There is a tag of that name already; names differ by more than their case. */
export class TagNameTaken extends Error {}

/** @throws TagNameTaken */
export async function createTag(db: Db, tag: TagForm, now: number): Promise<{ id: number }> {
  return whereFree(() =>
    db
      .insertInto('tags')
      .values({ ...tag, created_at: now })
      .returning('id')
      .executeTakeFirstOrThrow(),
  )
}

/**
 * Gives one of our tags another name and description. Segments that filter by the old name follow.
 * @throws TagNameTaken
 */
export async function editTag(db: Db, tag: { id: number; name: string }, changed: TagForm) {
  await whereFree(() =>
    db.transaction().execute(async (tx) => {
      await tx.updateTable('tags').set(changed).where('id', '=', tag.id).execute()
      if (changed.name !== tag.name) await renameInSegments(tx, tag.name, changed.name)
    }),
  )
}

/** A description is ours, whoever keeps the tag. */
export async function describeTag(db: Db, id: number, text: string) {
  await db.updateTable('tags').set({ description: text }).where('id', '=', id).execute()
}

/** Saved filters find a tag by its name: where it has another one from now on, they say that. */
export async function renameInSegments(db: Db, from: string, into: string) {
  const segments = await db.selectFrom('segments').select(['id', 'query']).execute()
  const renamed = (names: string[]) => {
    const all = names.map((name) => (name.toLowerCase() === from.toLowerCase() ? into : name))
    return all.filter((name, index) => all.findIndex((other) => sameName(other, name)) === index)
  }
  for (const { id, query } of segments) {
    const filter = filterOf(query)
    if (![...filter.tag, ...filter.not].some((name) => sameName(name, from))) continue
    const changed = queryOf({ ...filter, tag: renamed(filter.tag), not: renamed(filter.not) })
    await db.updateTable('segments').set({ query: changed }).where('id', '=', id).execute()
  }
}
const sameName = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()

async function whereFree<Result>(write: () => Promise<Result>): Promise<Result> {
  try {
    return await write()
  } catch (error) {
    if (isDuplicate(error)) throw new TagNameTaken()
    throw error
  }
}
