import { isIP } from 'node:net'
import type { IRouter, RequestHandler } from 'express'
import { plainAddress } from '../campaigns/forms.js'
import type { OfferDirectory } from './directory.js'
import type { FactKeeper } from './keeper.js'
import { destinationOf, variationParameter } from './link.js'

interface Needs {
  directory: OfferDirectory
  keeper: FactKeeper
  now: () => number
}

/** Milliseconds that a redirect gives its click to reach the disk; the reader does not wait longer. */
const courtesy = 5

/**
 * `GET /go/:slug`: leads to the offer's stored destination and records the click. Whatever happens to the click, the reader
 * arrives. HEAD leads there too, and counts nothing.
 */
export function openRedirectDoor(routes: IRouter, { directory, keeper, now }: Needs) {
  const lead: RequestHandler<{ slug: string }> = async (req, res) => {
    await directory.load()
    const offer = directory.bySlug(req.params.slug.toLowerCase())
    res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'X-Robots-Tag': 'noindex' })
    if (!offer) return void res.status(404).type('text').send('There is no offer at this address.\n')
    const mark = req.originalUrl.indexOf('?')
    const query = mark < 0 ? '' : req.originalUrl.slice(mark + 1)
    if (req.method !== 'HEAD') {
      const text = directory.text(Number(new URLSearchParams(query).get(variationParameter) ?? Number.NaN))
      const { headers } = req
      const address = plainAddress(String(req.ip))
      const kept = keeper.keepSomehow({
        kind: 'click',
        offerId: offer.id,
        variationId: text?.offerId === offer.id ? text.id : null,
        referrer: headers.referer ?? '',
        userAgent: headers['user-agent'] ?? '',
        address: isIP(address) ? address : null,
        ahead: /prefetch|prerender|preview/i.test(
          `${headers['sec-purpose']} ${headers.purpose} ${headers['x-moz']}`,
        ),
        happenedAt: now(),
        spoolId: null,
      })
      if (!keeper.isDown) await Promise.race([kept, new Promise((resolve) => setTimeout(resolve, courtesy))])
    }
    res.status(302).set('Location', destinationOf(offer, query)).end()
  }

  routes.get('/go/:slug', lead)
  routes.all('/go/:slug', (_req, res) => {
    res.status(405).set('Allow', 'GET, HEAD').type('text').send('Links are followed by GET.\n')
  })
}
