import type { IRouter, RequestHandler } from 'express'
import { type AccessTokens, requireAnyToken } from '../accounts/access-tokens.js'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import type { Calendar } from '../web/calendar.js'
import { rememberedAnalytics } from './analytics.js'
import type { OfferDirectory } from './directory.js'
import { keptNowhere, onlyBy, openToAll, PromoRefused, refusals } from './door.js'
import { AnalyticsQuery, detailsOf } from './forms.js'
import { perAddress } from './rate-limits.js'

interface Needs {
  db: Db
  readers: Readers
  directory: OfferDirectory
  calendar: Calendar
  tokens: AccessTokens
  limit: number
  now: () => number
}

/** `GET /api/v1/promo/analytics`, for who brings an access token or an API token. */
export function openAnalyticsDoor(
  routes: IRouter,
  { db, readers, directory, calendar, tokens, limit, now }: Needs,
) {
  const analyse = rememberedAnalytics({ readers, directory, calendar, now })

  const answer: RequestHandler = async (req, res) => {
    await directory.load()
    const query = AnalyticsQuery.safeParse(req.query)
    if (!query.success) throw new PromoRefused(detailsOf(query.error))
    const { offer_id, variation_id } = query.data
    if (offer_id !== undefined && !directory.offer(offer_id))
      throw new PromoRefused({ offer_id: `Offer ID ${offer_id} does not exist` })
    if (variation_id !== undefined && !directory.text(variation_id))
      throw new PromoRefused({ variation_id: `Variation ID ${variation_id} does not exist` })
    res.json(await analyse(query.data))
  }

  const path = '/api/v1/promo/analytics'
  const admitted = [perAddress(limit, { now }), requireAnyToken({ db, now, tokens })]
  routes.get(path, openToAll, keptNowhere, ...admitted, answer)
  routes.all(path, openToAll, onlyBy('GET'))
  routes.use(path, refusals)
}
