import { comparisonOf, pooledPrior, posteriorOf } from './posterior.js'
import { floor } from './selection.js'
import { type Evidence, kindOfTexts } from './verdict.js'

/** What would happen if the texts had these rates and everything went as expected. */
export interface Course {
  /** After how many issues there is a verdict; null: not within {@link longest}. */
  issues: number | null
  verdict: 'winner' | 'same' | null
  /** Clicks up to the end of the compared span. */
  clicks: number
  ctr: number
}

/** Issues that are looked at. */
export const longest = 200
/** Clicks are compared over so many issues. */
export const comparedIssues = 12

/**
 * Plays issues with texts of known rates. Clicks come exactly as often as the rates say, so this tells the middle of what
 * happens and not its spread.
 * @param rates true rates as shares of one, two to ten of them
 * @param perIssue impressions in an issue, shared out between the texts
 * @param learns with learning each text gets its floor, and of the rest what its probability of being best is; otherwise all get
 *   the same
 */
export function courseOf(rates: readonly number[], perIssue: number, learns: boolean): Course {
  const texts: Evidence[] = rates.map((_, variationId) => ({
    variationId,
    impressions: 0,
    clicks: 0,
    issues: 0,
  }))
  let [clicks, verdict] = [0, null as Course['verdict']]
  let issues: number | null = null
  for (let issue = 1; issue <= longest; issue++) {
    const shares = learns && issue > 1 ? learnedShares(texts) : rates.map(() => 1 / rates.length)
    for (const [place, text] of texts.entries()) {
      const shown = perIssue * shares[place]!
      text.impressions += shown
      text.clicks += shown * rates[place]!
      text.issues++
      if (issue <= comparedIssues) clicks += shown * rates[place]!
    }
    if (issues === null && worthALook(issue)) {
      const kind = kindOfTexts(texts)
      if (kind === 'winner' || kind === 'same') [issues, verdict] = [issue, kind]
    }
    if (issues !== null && issue >= comparedIssues) break
  }
  return { issues, verdict, clicks, ctr: clicks / (perIssue * comparedIssues) }
}

/** Every issue at first, later every fifth: nobody needs to know whether it takes 143 or 145. */
const worthALook = (issue: number) => issue <= 40 || issue % 5 === 0

function learnedShares(texts: readonly Evidence[]) {
  const prior = pooledPrior(texts)
  const { best } = comparisonOf(texts.map((text) => posteriorOf(prior, text)))
  return best.map((share) => floor + (1 - floor * texts.length) * share)
}
