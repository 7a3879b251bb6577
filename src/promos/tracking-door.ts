import type { IRouter, RequestHandler, Response } from 'express'
import type * as z from 'zod'
import type { KnownText, OfferDirectory } from './directory.js'
import { jsonBody, objectOf, onlyBy, openToAll, PromoRefused, refusals } from './door.js'
import { ClickBody, detailsOf, ImpressionBody } from './forms.js'
import type { FactKeeper } from './keeper.js'
import { perAddress } from './rate-limits.js'
import type { PromoFact } from './record.js'

interface Needs {
  directory: OfferDirectory
  keeper: FactKeeper
  limits: { impressions: number; clicks: number }
  now: () => number
}

/**
 * `POST /api/v1/promo/track-impression` and `…/track-click`: a newsletter's generator and a redirect tell what was shown
 * and clicked. 204 says that it is in the database; 503 with `"spooled": true` that it is on disk and will be.
 */
export function openTrackingDoor(routes: IRouter, { directory, keeper, limits, now }: Needs) {
  function read<Schema extends z.ZodObject>(schema: Schema, body: unknown): z.output<Schema> {
    const parsed = schema.safeParse(objectOf(body))
    if (parsed.success) return parsed.data
    throw new PromoRefused(detailsOf(parsed.error))
  }
  function textOf(id: number): KnownText {
    const text = directory.text(id)
    if (!text) throw new PromoRefused({ variation_id: `Variation ID ${id} does not exist` })
    return text
  }

  async function answer(res: Response, fact: PromoFact & { variationId: number }) {
    const kept = await keeper.keep(fact)
    if ('receipt' in kept) {
      res.statusCode = 204
      return void res.end()
    }
    if (!kept.spooled) res.set('Retry-After', '5')
    res.status(503).json({
      error: 'tracking_failed',
      message: kept.spooled
        ? 'The database cannot be written now. This is kept on disk and will be recorded once; do not send it again.'
        : 'Neither the database nor the disk takes anything now. Send it again in a few seconds.',
      offer_id: fact.offerId,
      variation_id: fact.variationId,
      spooled: kept.spooled,
    })
  }

  const trackImpression: RequestHandler = async (req, res) => {
    if (!directory.isLoaded) await directory.load()
    const body = read(ImpressionBody, req.body)
    const offer = directory.offer(body.offer_id)
    if (!offer) throw new PromoRefused({ offer_id: `Offer ID ${body.offer_id} does not exist` })
    const text = textOf(body.variation_id)
    if (text.offerId !== offer.id)
      throw new PromoRefused({
        variation_id: `Variation ID ${text.id} does not belong to offer ${offer.id}, but to offer ${text.offerId}`,
      })
    await answer(res, {
      kind: 'impression',
      offerId: offer.id,
      variationId: text.id,
      sendKey: body.newsletter_send_id || null,
      placements: body.placements ?? 1,
      happenedAt: now(),
      spoolId: null,
    })
  }

  const trackClick: RequestHandler = async (req, res) => {
    if (!directory.isLoaded) await directory.load()
    const body = read(ClickBody, req.body)
    const text = textOf(body.variation_id)
    await answer(res, {
      kind: 'click',
      offerId: text.offerId,
      variationId: text.id,
      referrer: body.referrer ?? '',
      userAgent: body.user_agent ?? null,
      address: body.ip_address ?? (body.ip_hash === undefined ? null : `hash ${body.ip_hash}`),
      ahead: false,
      happenedAt: now(),
      spoolId: null,
    })
  }

  const doors = [
    ['/api/v1/promo/track-impression', limits.impressions, trackImpression],
    ['/api/v1/promo/track-click', limits.clicks, trackClick],
  ] as const
  // What tells a fact is looked for first; each layer before it is asked whether a request is its own.
  for (const [path, limit, track] of doors)
    routes.post(path, openToAll, perAddress(limit, { now }), jsonBody, track, refusals)
  for (const [path] of doors) routes.all(path, openToAll, onlyBy('POST'))
}
