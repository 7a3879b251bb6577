import { betaDraw, type Random, weightedDraw } from './chance.js'
import { ctr } from './metrics.js'
import { pooledPrior, posteriorOf, type Seen } from './posterior.js'
import type { Strategy } from './strategies.js'
import { isComparable } from './verdict.js'

/** What is left to every approved text, whatever is believed of it. */
export const floor = 0.05
/** A new text is shown so often before it is compared. */
const newcomerImpressions = 100

/** A text that may be chosen, with all that strategies look at. */
export interface Candidate {
  id: number
  /** Above 0. */
  weight: number
  /** What may be believed: impressions that readers are known to have had, and clicks by people; for learning perhaps faded. */
  evidence: Seen
  /** It was shown in issues of which nobody knows yet how many got them. */
  pending: boolean
  /** How often it was chosen since the texts of its offer take turns. */
  turns: number
}

/**
 * By what a text is chosen:
 * - `weights`: in proportion to them;
 * - `turns`: whose turn it is, all of the same weight;
 * - `newcomers`: those that were not yet shown often enough, all of the same weight, but the others keep their floor;
 * - `beliefs`: Thompson sampling: a rate is drawn from what is believed of each text, and the highest is chosen; but with
 *   the probability of all floors together, every text has the same chance.
 */
export type TextRule =
  | { rule: 'weights' | 'turns' | 'newcomers'; texts: (readonly [id: number, weight: number])[] }
  | { rule: 'beliefs'; floor: number; texts: (readonly [id: number, a: number, b: number])[] }

/**
 * @param candidates at least one
 * @param all the texts of the offer that run, also one that is left out this time: what is not known of it is not known
 */
export function textRule(
  strategy: Strategy,
  candidates: readonly Candidate[],
  all: readonly Candidate[] = candidates,
): TextRule {
  const base: TextRule = { rule: 'weights', texts: candidates.map(({ id, weight }) => [id, weight]) }
  switch (strategy) {
    case 'fixed':
      return base
    case 'ctr':
      return {
        rule: 'weights',
        texts: candidates.map((text) => [text.id, ctrWeight(text.weight, text.evidence)]),
      }
    case 'test': {
      const least = Math.min(...candidates.map(({ turns }) => turns))
      return {
        rule: 'turns',
        texts: candidates.map(({ id, turns }) => [id, turns === least ? 1 : 0]),
      }
    }
    case 'learn': {
      const seen = all.map(({ evidence }) => evidence)
      const isPossible = seen.every(({ impressions, clicks }) => clicks <= impressions)
      const isNew = (text: Candidate) => text.evidence.impressions < newcomerImpressions && !text.pending
      // Nobody knows yet how many readers anything had, so the weights of the owner hold.
      if (!isPossible || (!isComparable(seen) && all.some(({ pending }) => pending))) return base
      const least = Math.min(floor, 1 / candidates.length)
      const newcomers = candidates.filter(isNew).length
      if (newcomers > 0) {
        const share = round((1 - least * (candidates.length - newcomers)) / newcomers)
        return { rule: 'newcomers', texts: candidates.map((text) => [text.id, isNew(text) ? share : least]) }
      }
      const prior = pooledPrior(seen)
      return {
        rule: 'beliefs',
        floor: least,
        texts: candidates.map(({ id, evidence }) => {
          const { a, b } = posteriorOf(prior, evidence)
          return [id, round(a), round(b)]
        }),
      }
    }
  }
}

/** Beliefs are written down with each choice; beyond this many digits they say nothing. */
const round = (value: number) => Math.round(value * 1e4) / 1e4

/**
 * `base weight × (1 + CTR ÷ 100)`, with the CTR in per cent: a CTR of 5 % makes a weight 1.05 times as heavy. The base weight
 * holds where there is no CTR.
 */
export const ctrWeight = (weight: number, seen: Seen) => weight * (1 + (ctr(seen) ?? 0))

/** Chooses a text by its rule. */
export function chooseText(rule: TextRule, random: Random): number {
  if (rule.rule !== 'beliefs')
    return rule.texts[
      weightedDraw(
        random,
        rule.texts.map(([, weight]) => weight),
      )
    ]![0]
  if (random() < rule.floor * rule.texts.length)
    return rule.texts[Math.floor(random() * rule.texts.length)]![0]
  let [best, highest] = [rule.texts[0]![0], -1]
  for (const [id, a, b] of rule.texts) {
    const draw = betaDraw(random, { a, b })
    if (draw > highest) [best, highest] = [id, draw]
  }
  return best
}

/** Offers by weight, ready for many draws. */
export class OfferWheel {
  readonly ids: number[]
  readonly weights: number[]
  readonly #ends: number[]

  constructor(offers: readonly { id: number; weight: number }[]) {
    this.ids = offers.map(({ id }) => id)
    this.weights = offers.map(({ weight }) => weight)
    let sum = 0
    this.#ends = this.weights.map((weight) => {
      sum += weight
      return sum
    })
  }
  get size() {
    return this.ids.length
  }
  /** @returns the place of an offer; where no weight is above 0, each has the same chance */
  draw(random: Random): number {
    const total = this.#ends.at(-1) ?? 0
    if (total === 0) return Math.floor(random() * this.size)
    const wanted = random() * total
    let [low, high] = [0, this.size - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ends[middle]! <= wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}
