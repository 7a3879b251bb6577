import type { TestApp } from './app.js'

let offers = 0

/** An offer; say only what the test is about. */
export async function anOffer(
  { db, clock, promos }: Pick<TestApp, 'db' | 'clock' | 'promos'>,
  given: Partial<{
    name: string
    type: string
    slug: string
    destination_url: string
    link_url: string
    utm_source: string
    utm_campaign: string
    base_weight: number
    active: 0 | 1
    from_on: string
    until_on: string
    archived_at: number
    group_id: number
    strategy: 'learn' | 'test' | 'ctr' | 'fixed'
    half_life_days: number
  }> = {},
) {
  const { strategy, half_life_days = null, ...columns } = given
  const number = ++offers
  let group_id = columns.group_id ?? 1
  if (strategy)
    group_id = (
      await db
        .insertInto('promo_groups')
        .values({ name: `Group ${number}`, strategy, half_life_days, created_at: clock.now() })
        .returning('id')
        .executeTakeFirstOrThrow()
    ).id
  const offer = {
    name: 'Bindery notebooks',
    type: 'affiliate',
    slug: `offer-${number}`,
    destination_url: 'https://bindery.example/notebooks',
    created_at: clock.now(),
    ...columns,
    group_id,
  }
  const { id } = await db.insertInto('promo_offers').values(offer).returning('id').executeTakeFirstOrThrow()
  await promos.directory.reload(id)
  return { id, ...offer }
}

/** An approved text of an offer. */
export async function aVariation(
  { db, clock, promos }: Pick<TestApp, 'db' | 'clock' | 'promos'>,
  offer_id: number,
  given: Partial<{
    headline: string
    text: string
    cta_text: string
    tone: string
    length_category: 'short' | 'medium' | 'long'
    approved: 0 | 1
    weight: number
    archived_at: number
  }> = {},
) {
  const text = {
    headline: '',
    text: 'Paper that keeps its promises: sewn by hand, made to lie flat.',
    cta_text: 'See the notebooks',
    tone: 'calm',
    approved: 1 as 0 | 1,
    created_at: clock.now(),
    ...given,
    offer_id,
  }
  const { id } = await db
    .insertInto('promo_text_variations')
    .values(text)
    .returning('id')
    .executeTakeFirstOrThrow()
  await promos.directory.reload(offer_id)
  return { id, ...text }
}

/** An offer with some approved texts. */
export async function aPromo(
  app: Pick<TestApp, 'db' | 'clock' | 'promos'>,
  given: Parameters<typeof anOffer>[1] & { texts?: number } = {},
) {
  const { texts = 1, ...rest } = given
  const offer = await anOffer(app, rest)
  const ids: number[] = []
  for (let text = 1; text <= texts; text++)
    ids.push((await aVariation(app, offer.id, { text: `Text ${text} of it` })).id)
  return { offer, ids }
}

/** Tells an impression through the front door. */
export const tellImpression = ({ http }: Pick<TestApp, 'http'>, body: object) =>
  http.post('/api/v1/promo/track-impression').send(body)

/** Tells a click through the front door. */
export const tellClick = ({ http }: Pick<TestApp, 'http'>, body: object) =>
  http.post('/api/v1/promo/track-click').send(body)

export const countsOf = ({ db }: Pick<TestApp, 'db'>, variation: number) =>
  db
    .selectFrom('promo_variation_counts')
    .select(['impressions', 'clicks', 'repeated_clicks', 'machine_clicks'])
    .where('variation_id', '=', variation)
    .executeTakeFirst()
