import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'

const idOf = (text: string) => (/^[1-9]\d{0,14}$/.test(text) ? Number(text) : 0)

/** @throws NotFound */
export const getOffer = (db: Db, id: string) =>
  db
    .selectFrom('promo_offers')
    .innerJoin('promo_groups', 'promo_groups.id', 'promo_offers.group_id')
    .selectAll('promo_offers')
    .select(['promo_groups.name as group_name', 'promo_groups.strategy', 'promo_groups.half_life_days'])
    .where('promo_offers.id', '=', idOf(id))
    .executeTakeFirstOrThrow(() => new NotFound(`There is no offer ${id.slice(0, 20)}.`))
export type Offer = Awaited<ReturnType<typeof getOffer>>

/** @throws NotFound */
export const getVariation = (db: Db, id: string) =>
  db
    .selectFrom('promo_text_variations')
    .selectAll()
    .where('id', '=', idOf(id))
    .executeTakeFirstOrThrow(() => new NotFound(`There is no variation ${id.slice(0, 20)}.`))
export type Variation = Awaited<ReturnType<typeof getVariation>>

/** The texts of an offer, in the order they were made. */
export const listVariations = (db: Db, offer: number) =>
  db.selectFrom('promo_text_variations').selectAll().where('offer_id', '=', offer).orderBy('id').execute()

export const listGroups = (db: Db) => db.selectFrom('promo_groups').selectAll().orderBy('id').execute()

/** @throws NotFound */
export const getGroup = (db: Db, id: string) =>
  db
    .selectFrom('promo_groups')
    .selectAll()
    .where('id', '=', idOf(id))
    .executeTakeFirstOrThrow(() => new NotFound(`There is no group ${id.slice(0, 20)}.`))
