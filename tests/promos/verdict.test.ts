import { describe, expect, it } from 'vitest'
import { chance, type Random } from '../../src/promos/chance.js'
import { type Candidate, chooseText, textRule } from '../../src/promos/selection.js'
import type { Strategy } from '../../src/promos/strategies.js'
import { type Evidence, judgeTexts, kindOfTexts, verdictWords } from '../../src/promos/verdict.js'

/** How many of so many impressions are clicked: by the lengths of the gaps between clicks, which takes as many draws as clicks. */
const clicksOf = (random: Random, impressions: number, rate: number) => {
  for (let [clicks, at] = [0, -1]; ; clicks++) {
    at += 1 + Math.floor(Math.log(1 - random()) / Math.log(1 - rate))
    if (at >= impressions) return clicks
  }
}
const text = (variationId: number, impressions: number, clicks: number, issues = 9): Evidence => ({
  variationId,
  impressions,
  clicks,
  issues,
})

describe('the verdict', () => {
  it('waits for 99 %, fifty clicks each and four issues', () => {
    const clear = [text(1, 10_000, 300), text(2, 10_000, 200)]
    expect(judgeTexts(clear)).toMatchObject({ kind: 'winner', leader: 1, issues: null })
    expect(judgeTexts([text(1, 10_000, 300, 3), text(2, 10_000, 200, 3)])).toMatchObject({
      kind: 'leaning',
      issues: 1,
    })
    expect(judgeTexts([text(1, 10_000, 300), text(2, 2_000, 20)])?.kind).toBe('leaning')
    expect(judgeTexts([text(1, 10_000, 300), text(2, 5_000, 49)])?.kind).toBe('leaning')
    expect(judgeTexts([text(1, 5_000, 112), text(2, 5_000, 100)])?.kind).toBe('open')
  })

  it('says when there is no practical difference, and how long it may take', () => {
    expect(judgeTexts([text(1, 300_000, 6_000), text(2, 300_000, 6_030)])).toMatchObject({
      kind: 'same',
      issues: null,
    })
    const open = judgeTexts([text(1, 5_000, 112), text(2, 5_000, 100)])!
    expect(open.issues).toBeGreaterThan(10)
    expect(verdictWords(open)).toBe(`about ${open.issues} more issues`)
    expect(verdictWords({ kind: 'open', issues: 1 })).toBe('about 1 more issue')
    expect(verdictWords({ kind: 'open', issues: null })).toBe('open')
    expect(verdictWords({ kind: 'same', issues: null })).toBe('no practical difference')
    expect(verdictWords({ kind: 'leaning', issues: 3 })).toBe('leaning')
    expect(verdictWords({ kind: 'winner', issues: null })).toBe('winner')
  })

  it('is none where nothing can be told', () => {
    expect(judgeTexts([text(1, 100, 3)])).toBeNull()
    expect(judgeTexts([text(1, 0, 0), text(2, 0, 0)])).toBeNull()
    expect(judgeTexts([text(1, 12, 40), text(2, 12, 30)])).toBeNull()
    expect(judgeTexts([text(1, 10, 0, 0), text(2, 10, 0, 0)])?.issues).toBeNull()
    expect(judgeTexts([text(1, 40, 1, 400), text(2, 40, 1, 400)])?.issues).toBeNull()
  })

  it('calls at most 12 % of equal texts a winner in 25 looks', () => {
    for (const [count, perIssue, rate, seed] of [
      [2, 2_000, 0.02, 1],
      [2, 6_000, 0.03, 2],
      [4, 4_000, 0.02, 3],
    ] as const) {
      let false_ = 0
      const runs = 500
      const random = chance(seed)
      for (let run = 0; run < runs; run++) {
        const texts = Array.from({ length: count }, (_, id) => text(id, 0, 0, 0))
        for (let look = 0; look < 25; look++) {
          for (const each of texts) {
            each.impressions += perIssue / count
            each.clicks += clicksOf(random, perIssue / count, rate)
            each.issues++
          }
          if (kindOfTexts(texts) === 'winner') {
            false_++
            break
          }
        }
      }
      expect(false_ / runs).toBeLessThanOrEqual(0.12)
    }
  })
})

/** The CTR, in per cent, that a strategy earns with these texts over twelve issues. */
function earned(strategy: Strategy, rates: number[], { runs, seed }: { runs: number; seed: number }) {
  const random = chance(seed)
  let [shown, clicks] = [0, 0]
  for (let run = 0; run < runs; run++) {
    const texts: Candidate[] = rates.map((_, id) => ({
      id,
      weight: 1,
      evidence: { impressions: 0, clicks: 0 },
      pending: false,
      turns: 0,
    }))
    for (let issue = 0; issue < 12; issue++) {
      // What an issue brought is known when the next one is made.
      const learned = textRule(strategy, texts)
      const brought = rates.map(() => ({ impressions: 0, clicks: 0 }))
      for (let message = 0; message < 2_000; message++) {
        const id = chooseText(strategy === 'test' ? textRule(strategy, texts) : learned, random)
        texts[id]!.turns++
        brought[id]!.impressions++
        if (random() < rates[id]!) brought[id]!.clicks++
      }
      for (const [id, { impressions, clicks: came }] of brought.entries()) {
        texts[id]!.evidence.impressions += impressions
        texts[id]!.evidence.clicks += came
        shown += impressions
        clicks += came
      }
    }
  }
  return (clicks / shown) * 100
}

describe('learning', () => {
  const rates = [0.016, 0.02, 0.02, 0.026]

  it('earns at least 2.30 % where even rotation earns 2.05 %', () => {
    expect(earned('learn', rates, { runs: 120, seed: 11 })).toBeGreaterThanOrEqual(2.3)
    expect(earned('test', rates, { runs: 40, seed: 12 })).toBeCloseTo(2.05, 1)
  })
})
