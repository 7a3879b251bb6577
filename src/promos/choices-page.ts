import { Router } from 'express'
import * as z from 'zod'
import type { Readers } from '../database/readers.js'
import { NotFound } from '../web/errors.js'
import { percent } from '../web/formats.js'
import { chance } from './chance.js'
import type { OfferDirectory } from './directory.js'
import { meanOf } from './posterior.js'
import { chooseText, floor, OfferWheel, type TextRule } from './selection.js'
import { isStrategy, strategyNames } from './strategies.js'
import { nameOf } from './verdict-sentence.js'

interface Needs {
  readers: Readers
  directory: OfferDirectory
}

const number = z.coerce.number().int().min(0).max(1e15).catch(0)
const View = z.object({ offer: number, after: number })
const onePage = 50

/** `/promos/choices`: how the last choices were made, each with what it was made by. */
export function promoChoicesPage({ readers, directory }: Needs) {
  const routes = Router()

  const nameOfText = (id: number) => {
    const text = directory.text(id)
    return text ? nameOf(text) : `Variation ${id}`
  }

  routes.get('/promos/choices', async (req, res) => {
    await directory.load()
    const view = View.parse(req.query)
    const rows = await readers
      .selectFrom('promo_choices')
      .select(['id', 'offer_id', 'variation_id', 'newsletter', 'strategy', 'chosen_at'])
      .$if(view.offer > 0, (query) => query.where('offer_id', '=', view.offer))
      .$if(view.after > 0, (query) => query.where('id', '<', view.after))
      .orderBy('id', 'desc')
      .limit(onePage + 1)
      .execute()
    const listed = rows.slice(0, onePage)
    const more = new URLSearchParams({
      ...(view.offer ? { offer: String(view.offer) } : {}),
      after: String(listed.at(-1)?.id ?? 0),
    })
    res.set('Cache-Control', 'no-store').render('promos/choices', {
      room: 'promos',
      of: directory.offer(view.offer),
      choices: listed.map((choice) => ({
        ...choice,
        offer: directory.offer(choice.offer_id)?.name ?? '',
        text: nameOfText(choice.variation_id),
        strategyName: isStrategy(choice.strategy) ? strategyNames[choice.strategy] : choice.strategy,
      })),
      next: rows.length > onePage ? `/promos/choices?${more}` : '',
      isMore: view.after > 0,
    })
  })

  routes.get('/promos/choices/:id', async (req, res) => {
    await directory.load()
    const id = /^[1-9]\d{0,14}$/.test(req.params.id) ? Number(req.params.id) : 0
    const choice = await readers
      .selectFrom('promo_choices as choices')
      .innerJoin('promo_weightings as offers', 'offers.id', 'choices.offers_weighting_id')
      .innerJoin('promo_weightings as texts', 'texts.id', 'choices.texts_weighting_id')
      .selectAll('choices')
      .select(['offers.weights as offers_weights', 'texts.weights as texts_weights'])
      .where('choices.id', '=', id)
      .executeTakeFirstOrThrow(() => new NotFound(`There is no choice ${req.params.id.slice(0, 20)}.`))
    const offers: [number, number][] = JSON.parse(choice.offers_weights)
    const rule: TextRule = JSON.parse(choice.texts_weights)
    const again = chooseAgain(choice.seed, offers, rule)
    const total = offers.reduce((sum, [, weight]) => sum + weight, 0)
    res.render('promos/choice', {
      room: 'promos',
      choice,
      offer: directory.offer(choice.offer_id),
      text: nameOfText(choice.variation_id),
      excluded: choice.excluded_id === null ? '' : nameOfText(choice.excluded_id),
      ruleWords: wordsOf(rule, choice.strategy),
      isBelief: rule.rule === 'beliefs',
      texts: rule.texts.map(([text, one, other]) => ({
        id: text,
        name: nameOfText(text),
        chosen: text === choice.variation_id,
        measure: rule.rule === 'beliefs' ? percent(meanOf({ a: one, b: other! })) : String(one),
        belief: rule.rule === 'beliefs' ? `Beta(${one}, ${other})` : '',
      })),
      offerCount: offers.length,
      offerShare:
        total > 0 ? (offers.find(([of]) => of === choice.offer_id)?.[1] ?? 0) / total : 1 / offers.length,
      offers: offers.slice(0, 50).map(([of, weight]) => ({
        id: of,
        name: directory.offer(of)?.name ?? `Offer ${of}`,
        weight,
        chosen: of === choice.offer_id,
      })),
      holds: again.offer === choice.offer_id && again.text === choice.variation_id,
    })
  })
  return routes
}

/** The same seed and the same weights make the same choice. */
export function chooseAgain(seed: number, offers: [number, number][], rule: TextRule) {
  const random = chance(seed)
  const wheel = new OfferWheel(offers.map(([id, weight]) => ({ id, weight })))
  return { offer: wheel.ids[wheel.draw(random)]!, text: chooseText(rule, random) }
}

function wordsOf(rule: TextRule, strategy: string): string {
  switch (rule.rule) {
    case 'weights':
      return strategy === 'learn'
        ? 'Learning kept the base weights: nobody knew how many readers the issues had.'
        : strategy === 'ctr'
          ? 'In proportion to weight × (1 + CTR ÷ 100).'
          : 'In proportion to the weights.'
    case 'turns':
      return 'Whose turn it was: those that were chosen least often since the last text joined have weight 1.'
    case 'newcomers':
      return `New texts come first until each was shown 100 times; each of the others keeps ${percent(Math.min(floor, 1 / rule.texts.length), 0)}.`
    case 'beliefs':
      return `A rate was drawn from what was believed of each text, and the highest won; but with ${percent(rule.floor * rule.texts.length, 0)} probability (${percent(Math.min(floor, rule.floor), 0)} for each text) all had the same chance.`
  }
}
