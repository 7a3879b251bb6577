import { Router } from 'express'
import * as z from 'zod'
import type { OfferDirectory } from './directory.js'
import { generatorSnippet, redirectSnippet } from './recipes.js'

interface Needs {
  directory: OfferDirectory
  baseUrl: string
}

const View = z.object({ offer: z.coerce.number().int().min(0).max(1e15).catch(0) })

/** `/promos/integration`: the code for a newsletter's generator and for a redirect. */
export function promoIntegrationPage({ directory, baseUrl }: Needs) {
  const routes = Router()
  routes.get('/promos/integration', async (req, res) => {
    await directory.load()
    const { offer: id } = View.parse(req.query)
    const offers = directory.all().filter(({ archived }) => !archived)
    const offer = directory.offer(id) ?? offers.at(-1) ?? null
    const given = {
      baseUrl,
      newsletter: 'my-newsletter',
      slug: offer?.slug ?? 'my-offer',
      destination: offer?.destination_url ?? 'https://shop.example.com/',
    }
    res.render('promos/integration', {
      room: 'promos',
      baseUrl,
      offers: offers.map(({ id, name }) => ({ id, name })),
      offer,
      generator: generatorSnippet(given),
      redirect: redirectSnippet(given),
      meaning: directory.settings.meaning,
    })
  })
  return routes
}
