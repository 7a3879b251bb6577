import { isDuplicate } from '../database/errors.js'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'
import type { GroupForm, OfferForm, VariationForm } from './page-forms.js'

/** A slug, or a group's name, that another one has. */
export class Taken extends Error {
  constructor(
    readonly field: string,
    message: string,
  ) {
    super(message)
  }
}

interface By {
  by: number | null
  at: number
}

const columnsOf = ({ active, ...form }: OfferForm) => ({
  ...form,
  active: active ? (1 as const) : (0 as const),
})
const slugTaken = ({ slug }: OfferForm) =>
  new Taken('slug', `Another offer has the slug "${slug}". Choose one of its own.`)

/** Links that were sent lead on by slugs that offers had: no other one may take them. */
async function slugMustBeFree(db: Db, { slug }: OfferForm, id = 0) {
  const other = await db
    .selectFrom('promo_old_slugs')
    .select('offer_id')
    .where('slug', '=', slug)
    .where('offer_id', '<>', id)
    .executeTakeFirst()
  if (other)
    throw new Taken(
      'slug',
      `Another offer had the slug "${slug}", and links that were sent lead to it. Choose one of its own.`,
    )
}

/** @throws Taken */
export async function createOffer(db: Db, form: OfferForm, group: number, { by, at }: By) {
  await groupMustBeThere(db, group)
  await slugMustBeFree(db, form)
  try {
    return await db
      .insertInto('promo_offers')
      .values({ ...columnsOf(form), group_id: group, created_at: at, created_by: by })
      .returning('id')
      .executeTakeFirstOrThrow()
  } catch (error) {
    throw isDuplicate(error) ? slugTaken(form) : error
  }
}

/**
 * Changes an offer. Under a slug that it had, its links lead on.
 * @throws Taken, NotFound
 */
export async function editOffer(db: Db, id: number, form: OfferForm, group: number) {
  await groupMustBeThere(db, group)
  try {
    await db.transaction().execute(async (tx) => {
      const { slug } = await tx
        .selectFrom('promo_offers')
        .select('slug')
        .where('id', '=', id)
        .executeTakeFirstOrThrow(() => new NotFound(`There is no offer ${id}.`))
      await slugMustBeFree(tx, form, id)
      await tx
        .updateTable('promo_offers')
        .set({ ...columnsOf(form), group_id: group })
        .where('id', '=', id)
        .execute()
      if (slug === form.slug) return
      await tx.deleteFrom('promo_old_slugs').where('slug', '=', form.slug).execute()
      await tx.insertInto('promo_old_slugs').values({ slug, offer_id: id }).execute()
    })
  } catch (error) {
    throw isDuplicate(error) ? slugTaken(form) : error
  }
}

async function groupMustBeThere(db: Db, id: number) {
  await db
    .selectFrom('promo_groups')
    .select('id')
    .where('id', '=', id)
    .executeTakeFirstOrThrow(() => new NotFound(`There is no group ${id}.`))
}

/** An offer that is retired is not chosen any more; its links lead on and count. @param at null brings it back */
export async function archiveOffer(db: Db, id: number, at: number | null) {
  await db.updateTable('promo_offers').set({ archived_at: at }).where('id', '=', id).execute()
}

export async function createVariation(
  db: Db,
  offer_id: number,
  form: VariationForm,
  { by, at, approved = false }: By & { approved?: boolean },
) {
  return db
    .insertInto('promo_text_variations')
    .values({ ...form, offer_id, approved: approved ? 1 : 0, created_at: at, created_by: by })
    .returning('id')
    .executeTakeFirstOrThrow()
}

/**
 * Changes a text. One that was shown is another text when its words change, and its clicks would speak for what nobody saw:
 * then the old one is retired and a new one takes its place, to be approved.
 * @returns the id of the text, old or new
 */
export async function editVariation(
  db: Db,
  id: number,
  form: VariationForm,
  { by, at }: By,
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const before = await tx
      .selectFrom('promo_text_variations')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow(() => new NotFound(`There is no variation ${id}.`))
    const isOther = (['headline', 'text', 'cta_text'] as const).some((name) => before[name] !== form[name])
    const counts = await tx
      .selectFrom('promo_variation_counts')
      .select('variation_id')
      .where('variation_id', '=', id)
      .executeTakeFirst()
    if (!isOther || !counts) {
      await tx.updateTable('promo_text_variations').set(form).where('id', '=', id).execute()
      return id
    }
    await archiveVariation(tx, id, at)
    return (await createVariation(tx, before.offer_id, form, { by, at })).id
  })
}

/** Lets a variation be chosen, or no longer. */
export async function approveVariation(db: Db, id: number, approved: boolean) {
  await db
    .updateTable('promo_text_variations')
    .set({ approved: approved ? 1 : 0 })
    .where('id', '=', id)
    .execute()
}

/** @param at null brings it back */
export async function archiveVariation(db: Db, id: number, at: number | null) {
  await db.updateTable('promo_text_variations').set({ archived_at: at }).where('id', '=', id).execute()
}

const nameTaken = ({ name }: GroupForm) => new Taken('name', `There is a group "${name}" already.`)

/** @throws Taken */
export async function createGroup(db: Db, form: GroupForm, at: number) {
  try {
    return await db
      .insertInto('promo_groups')
      .values({ ...form, created_at: at })
      .returning('id')
      .executeTakeFirstOrThrow()
  } catch (error) {
    throw isDuplicate(error) ? nameTaken(form) : error
  }
}

/** @throws Taken, NotFound */
export async function editGroup(db: Db, id: number, form: GroupForm) {
  try {
    await db
      .updateTable('promo_groups')
      .set(form)
      .where('id', '=', id)
      .returning('id')
      .executeTakeFirstOrThrow(() => new NotFound(`There is no group ${id}.`))
  } catch (error) {
    throw isDuplicate(error) ? nameTaken(form) : error
  }
}
