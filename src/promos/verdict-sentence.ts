import { numberWords } from '../web/formats.js'
import { previewOf } from './analytics.js'
import type { TextEvidence } from './evidence.js'
import { clicksToWin, issuesToWin, type Judgement, winning } from './verdict.js'

/** The verdict of an offer for its page: a sentence in two parts around the text that it is about, and what stands below. */
export interface VerdictSentence {
  before: string
  /** The text, in its first words; empty where the sentence is about none. */
  text: string
  after: string
  note: string
}

const words = (count: number) => numberWords[count] ?? String(count)
/** A probability in whole per cent, and never 100 while there is doubt. */
const probabilityWords = (share: number) =>
  share > 0.999
    ? 'over 99.9%'
    : share > 0.99
      ? `${(Math.floor(share * 1000) / 10).toFixed(1)}%`
      : `${Math.floor(share * 100)}%`

export const nameOf = ({ headline, text }: { headline: string; text: string }) => {
  const whole = headline || text.split(/(?<=[.!?:;])\s/)[0]!.replace(/[.:;]$/, '')
  return whole.length > 60 ? previewOf(whole).slice(0, 60) : whole
}

/**
 * @param running the texts that may run, with what is known of them
 * @param judgement of these texts; null when there is none
 */
export function verdictSentence(
  running: readonly { headline: string; text: string; evidence: TextEvidence }[],
  judgement: Judgement | null,
): VerdictSentence {
  const plain = (before: string, note = ''): VerdictSentence => ({ before, text: '', after: '', note })
  if (running.length === 0)
    return plain(
      'No text may run yet.',
      'Approve one, and it can be chosen. With two of them, this page says which to keep.',
    )
  if (running.length === 1)
    return {
      before: 'Keep ',
      text: nameOf(running[0]!),
      after: ': it is the only text there is.',
      note: 'Approve a second one, and this page says which of them works better.',
    }
  if (!judgement) return plain(...unknown(running))
  const leader = running.find(({ evidence }) => evidence.variationId === judgement.leader)!
  const { best, loss } = judgement.posteriors.find(({ variationId }) => variationId === judgement.leader)!
  const text = nameOf(leader)
  const of = `of the ${words(running.length)}`
  const more = moreIssues(judgement.issues)
  const price = `If this one were wrong, keeping it would cost ${points(loss)} points of CTR on average.`
  const needs = `A winner needs ${winning * 100}%, ${clicksToWin} clicks each and ${words(issuesToWin)} issues.`
  const left = running.some(({ evidence }) => evidence.pending)
    ? ' Issues of which nobody knows yet how many got them are left out.'
    : ''
  switch (judgement.kind) {
    case 'winner':
      return {
        before: 'Keep ',
        text,
        after: `: it is the best ${of} with ${probabilityWords(best)} probability.`,
        note: `A winner. You can retire the others, or write new ones to beat it. ${price}${left}`,
      }
    case 'same':
      return {
        before: 'Keep ',
        text,
        after: `, or any other ${of}: there is no practical difference between them.`,
        note: `Their rates differ by less than 10%, as far as 95% of what is believed goes. A text that says something else would tell more.${left}`,
      }
    case 'leaning':
      return {
        before: 'Keep ',
        text,
        after: `: it is the best ${of} with ${probabilityWords(best)} probability${more ? `, and ${more} will settle it` : ''}.`,
        note: `Leaning, not yet a winner. ${needs} ${price}${left}`,
      }
    case 'open':
      return {
        before: 'Keep all of them for now: ',
        text,
        after: ` leads with ${probabilityWords(best)} probability${more ? `, and ${more} will settle it` : ', which is too little to go by'}.`,
        note: `${needs}${left}`,
      }
  }
}

function unknown(running: readonly { evidence: TextEvidence }[]): [string, string] {
  if (running.some(({ evidence }) => evidence.clicks > evidence.impressions))
    return [
      'Which text to keep cannot be told: there are more clicks than impressions.',
      'An impression seems to stand for a whole issue. Say so in the settings, and tie the issues to their mailings.',
    ]
  if (running.some(({ evidence }) => evidence.pending))
    return [
      'Which text to keep cannot be told yet: nobody knows how many readers got the issues.',
      'Tie the issues to their mailings, or say how many got them. Until then the weights hold.',
    ]
  return ['Which text to keep is told once they were shown.', 'The first impressions start it.']
}

const moreIssues = (issues: number | null) =>
  issues === null ? '' : `about ${words(issues)} more ${issues === 1 ? 'issue' : 'issues'}`

/** A share of one in points of per cent, with as many digits as it takes. */
const points = (loss: number) => {
  const value = loss * 100
  return value >= 0.1 ? value.toFixed(2) : value >= 0.001 ? value.toFixed(3) : 'less than 0.001'
}
