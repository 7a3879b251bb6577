import {
  type Beta,
  type Comparison,
  comparisonOf,
  isSameInPractice,
  meanOf,
  pooledPrior,
  posteriorOf,
  type Seen,
} from './posterior.js'

/** What is known of one text: impressions and clicks that can be compared, and in how many issues they were. */
export interface Evidence extends Seen {
  variationId: number
  issues: number
}

/** A probability of being best that makes a text lead, and one that lets it win. */
export const leading = 0.95
export const winning = 0.99
export const clicksToWin = 50
export const issuesToWin = 4
/** The loss that may be expected of a winner, as a share of its own rate. */
export const lossToWin = 0.01

export type VerdictKind = 'winner' | 'leaning' | 'same' | 'open'

export interface Judgement {
  kind: VerdictKind
  /** The text that is most likely the best. */
  leader: number
  /** About so many more issues will settle it; null where it is settled, or not to be foretold. */
  issues: number | null
  posteriors: { variationId: number; beta: Beta; best: number; loss: number }[]
}

/**
 * The verdict over the texts of one offer:
 * - a winner is the best with 99 % probability, has been in four issues, every text has 50 clicks, and keeping it if it
 *   were wrong costs less than 1 % of its rate;
 * - there is no practical difference where the 95 % interval of the relative difference between the leader and each
 *   other text lies within ±10 %;
 * - a text leans ahead at 95 %;
 * - everything else is open.
 *
 * Looking often makes false winners: the thresholds are such that between equal texts at most 12 % are called winners in
 * 25 looks, which a simulation in tests/promos/verdict.test.ts holds.
 * @returns null where there are fewer than two texts, nothing was seen, or there are more clicks than impressions, so that
 *   nothing can be told
 */
export function judgeTexts(texts: readonly Evidence[]): Judgement | null {
  if (texts.length < 2 || !isComparable(texts)) return null
  const { betas, comparison, leader } = compare(texts)
  const kind = kindOf(texts, betas, comparison, leader)
  return {
    kind,
    leader: texts[leader]!.variationId,
    issues: kind === 'winner' || kind === 'same' ? null : issuesLeft(texts),
    posteriors: texts.map(({ variationId }, index) => ({
      variationId,
      beta: betas[index]!,
      best: comparison.best[index]!,
      loss: comparison.loss[index]!,
    })),
  }
}

/** Can rates be told at all? There are impressions, and no text has more clicks than impressions. */
export const isComparable = (texts: readonly Seen[]) =>
  texts.some(({ impressions }) => impressions > 0) &&
  texts.every(({ impressions, clicks }) => clicks <= impressions)

/** The kind of verdict alone, without how long the next one would take. */
export function kindOfTexts(texts: readonly Evidence[]): VerdictKind {
  const { betas, comparison, leader } = compare(texts)
  return kindOf(texts, betas, comparison, leader)
}

function compare(texts: readonly Evidence[], each?: number) {
  const prior = pooledPrior(texts)
  const betas = texts.map((text) => posteriorOf(prior, text))
  const comparison = comparisonOf(betas, each)
  const leader = comparison.best.indexOf(Math.max(...comparison.best))
  return { betas, comparison, leader }
}

function kindOf(
  texts: readonly Evidence[],
  betas: Beta[],
  { best, loss }: Comparison,
  leader: number,
): VerdictKind {
  const isProven = texts.every(({ clicks }) => clicks >= clicksToWin) && texts[leader]!.issues >= issuesToWin
  if (isProven && best[leader]! >= winning && loss[leader]! < lossToWin * meanOf(betas[leader]!))
    return 'winner'
  if (betas.every((beta, index) => index === leader || isSameInPractice(betas[leader]!, beta))) return 'same'
  return best[leader]! >= leading ? 'leaning' : 'open'
}

/** Points of a comparison that is to say "about". */
const roughly = 48
/** Further ahead nobody should plan. */
const mostIssues = 1_000

/**
 * After how many more issues the verdict would be in, if each text went on as it did: the same rate, and as many
 * impressions in an issue as it had on average.
 */
function issuesLeft(texts: readonly Evidence[]): number | null {
  const issues = Math.max(...texts.map((text) => text.issues))
  if (issues === 0) return null
  const after = (more: number): Evidence[] => {
    const times = (issues + more) / issues
    return texts.map((text) => ({
      variationId: text.variationId,
      impressions: text.impressions * times,
      clicks: text.clicks * times,
      issues: text.issues * times,
    }))
  }
  const isSettled = (more: number) => {
    const then = after(more)
    const { betas, comparison, leader } = compare(then, roughly)
    return /^(winner|same)$/.test(kindOf(then, betas, comparison, leader))
  }
  let high = 1
  for (; !isSettled(high); high *= 2) if (high > mostIssues) return null
  let low = high >> 1
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if (isSettled(middle)) high = middle
    else low = middle
  }
  return high
}

/** The verdict as JSON and tables say it. */
export function verdictWords({ kind, issues }: Pick<Judgement, 'kind' | 'issues'>): string {
  if (kind === 'winner') return 'winner'
  if (kind === 'same') return 'no practical difference'
  if (kind === 'leaning') return 'leaning'
  if (issues === null) return 'open'
  return `about ${issues} more ${issues === 1 ? 'issue' : 'issues'}`
}
