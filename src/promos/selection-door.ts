import { hash, randomInt } from 'node:crypto'
import type { IRouter, RequestHandler } from 'express'
import { chance } from './chance.js'
import type { KnownOffer, KnownText, OfferDirectory } from './directory.js'
import { keptNowhere, onlyBy, openToAll, PromoRefused, refusals } from './door.js'
import { detailsOf, SelectionQuery } from './forms.js'
import type { FactKeeper } from './keeper.js'
import { linkOf } from './link.js'
import type { Weighting } from './record.js'
import { chooseText, OfferWheel, textRule } from './selection.js'

interface Needs {
  directory: OfferDirectory
  keeper: FactKeeper
  baseUrl: string
  now: () => number
}

interface Choice {
  offer: KnownOffer
  text: KnownText
  seed: number
  excludedId: number | null
  /** Nothing else was there: the text that ran last runs again. */
  repeated: boolean
  wheel: OfferWheel
  rule: ReturnType<typeof textRule>
}

/** `GET /api/v1/promo/select-random`: which text to run now. It answers from memory, whatever the database does. */
export function openSelectionDoor(routes: IRouter, { directory, keeper, baseUrl, now }: Needs) {
  /** @param without offers that were chosen already */
  function choose(from: OfferWheel, last: ReadonlySet<number>, without: Set<number>): Choice | null {
    let wheel = without.size === 0 ? from : wheelWithout(from, without)
    if (wheel.size === 0) return null
    const draw = () => {
      const seed = randomInt(2 ** 32)
      const random = chance(seed)
      return { seed, random, offer: directory.offer(wheel.ids[wheel.draw(random)]!)! }
    }
    let { seed, random, offer } = draw()
    let candidates = running(offer, last)
    // An offer of which all texts ran last gives way to those that have another, if there are any.
    if (candidates.length === 0) {
      const others = wheelWithout(wheel, usedUp(last))
      if (others.size > 0) {
        wheel = others
        ;({ seed, random, offer } = draw())
        candidates = running(offer, last)
      }
    }
    const repeated = candidates.length === 0
    if (repeated) candidates = running(offer, new Set())
    const rule = textRule(offer.strategy, candidates, running(offer, new Set()))
    const text = directory.text(chooseText(rule, random))!
    const excludedId = repeated ? null : (offer.texts.find(({ id }) => last.has(id))?.id ?? null)
    return { offer, text, seed, excludedId, repeated, wheel, rule }
  }

  /** The offers of which no other text could run than those. */
  function usedUp(last: ReadonlySet<number>) {
    const offers = [...last].map((id) => directory.offer(directory.text(id)!.offerId)!)
    return new Set(offers.filter((offer) => running(offer, last).length === 0).map(({ id }) => id))
  }

  const select: RequestHandler = async (req, res) => {
    await directory.load()
    const query = SelectionQuery.safeParse(req.query)
    if (!query.success) throw new PromoRefused(detailsOf(query.error))
    const { newsletter = '', offer_id, type = '', count } = query.data
    const wheel = offer_id === undefined ? directory.wheel(type) : wheelOfOne(offer_id, type)
    if (typeof wheel === 'string' || wheel.size === 0)
      return void res.status(404).json({
        error: 'no_eligible_offer',
        message: typeof wheel === 'string' ? wheel : reasonOf(type),
      })

    const last = directory.lastTextsOf(newsletter)
    const choices: Choice[] = []
    const chosen = new Set<number>()
    for (let left = Math.min(count ?? 1, wheel.size); left > 0; left--) {
      const choice = choose(wheel, last, chosen)
      if (!choice) break
      chosen.add(choice.offer.id)
      choices.push(choice)
    }
    directory.chosen(
      newsletter,
      choices.map(({ text }) => text),
    )
    const at = now()
    for (const choice of choices) log(choice, newsletter, at)
    const selections = choices.map(answerOf)
    res.json(count === undefined ? selections[0] : { selections })
  }

  function wheelOfOne(id: number, type: string): OfferWheel | string {
    const offer = directory.offer(id)
    if (!offer) return `Offer ID ${id} does not exist`
    if (type !== '' && offer.type !== type) return `Offer ${id} is not of the type "${type}".`
    if (!directory.isEligible(offer)) return whyNot(offer)
    return new OfferWheel([{ id, weight: 1 }])
  }
  function whyNot({ id, active, texts }: KnownOffer) {
    if (!active) return `Offer ${id} is not active.`
    if (!texts.some(({ mayRun }) => mayRun))
      return `Offer ${id} has no approved variation of a weight above 0.`
    return `Today is not within the dates of offer ${id}.`
  }
  function reasonOf(type: string) {
    if (directory.size === 0) return 'There is no offer yet.'
    const of = type === '' ? '' : ` of the type "${type}"`
    if (type !== '' && !directory.types().has(type)) return `There is no offer${of}.`
    return `No offer${of} is active, within its dates, and has an approved variation of a weight above 0.`
  }

  /** The choice can be explained later. Nobody waits for that to be written. */
  function log({ offer, text, seed, excludedId, wheel, rule }: Choice, newsletter: string, at: number) {
    void keeper.keepSomehow({
      kind: 'choice',
      offerId: offer.id,
      variationId: text.id,
      newsletter,
      strategy: offer.strategy,
      seed,
      excludedId,
      offersWeighting: weightingOfWheel(wheel),
      textsWeighting: weighed(JSON.stringify(rule)),
      happenedAt: at,
      spoolId: null,
    })
  }

  const answerOf = ({ offer, text, repeated }: Choice) => ({
    offer_id: offer.id,
    variation_id: text.id,
    offer_name: offer.name,
    offer_type: offer.type,
    headline: text.headline,
    text: text.text,
    cta_text: text.ctaText,
    tone: text.tone,
    length_category: text.lengthCategory,
    link: linkOf(offer, text.id, baseUrl),
    strategy: offer.strategy,
    repeated,
  })

  const path = '/api/v1/promo/select-random'
  // HEAD would make a choice that nobody gets to see.
  routes.head(path, openToAll, onlyBy('GET'))
  routes.get(path, openToAll, keptNowhere, select)
  routes.all(path, openToAll, onlyBy('GET'))
  routes.use(path, refusals)
}

const running = (offer: KnownOffer, without: ReadonlySet<number>) =>
  offer.texts.filter(({ id, mayRun }) => mayRun && !without.has(id))

const wheelWithout = ({ ids, weights }: OfferWheel, without: ReadonlySet<number>) =>
  new OfferWheel(
    ids.map((id, place) => ({ id, weight: weights[place]! })).filter(({ id }) => !without.has(id)),
  )

const weighed = (json: string): Weighting => ({ json, hash: hash('sha256', json, 'base64url') })

const weightings = new WeakMap<OfferWheel, Weighting>()
function weightingOfWheel(wheel: OfferWheel): Weighting {
  let weighting = weightings.get(wheel)
  if (!weighting) {
    weighting = weighed(JSON.stringify(wheel.ids.map((id, place) => [id, wheel.weights[place]])))
    weightings.set(wheel, weighting)
  }
  return weighting
}
