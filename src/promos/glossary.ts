import type { Chapter } from '../web/glossary.js'
import { rope } from './posterior.js'
import { clicksToWin, issuesToWin, leading, lossToWin, winning } from './verdict.js'

const percent = (share: number) => `${share * 100}%`

/** What the numbers of promos mean. */
export const promoChapters: Chapter[] = [
  {
    id: 'promos',
    title: 'Promos',
    definitions: [
      {
        id: 'promo-impression',
        term: 'Impression',
        text: [
          'A text was shown, as the newsletter’s generator reports it; placements say how often it stands in the issue. The same issue and text told twice counts once.',
          'Once per issue, an impression is multiplied by the number of people to whom the issue was delivered, when that is known. Once per message, it is taken as it was reported. The settings say which.',
        ],
      },
      {
        id: 'promo-click',
        term: 'Click',
        text: [
          'Somebody followed the link. The same address on the same text within ten minutes is one reader: the first click counts, the others stand beside. Machines, and browsers that load ahead, are kept and left out.',
          'A click belongs to the issue that showed its text last.',
        ],
      },
      {
        id: 'ctr',
        term: 'CTR',
        formula: 'clicks ÷ impressions × 100',
        text: [
          'To two decimals. No value without impressions, or where nobody knows how many readers an issue had.',
        ],
      },
      {
        id: 'prob-best',
        term: 'Probability of being best',
        text: [
          'How likely the true CTR of this text is above those of all others that run in its offer, given what was seen (beta-binomial). Before a text’s own clicks are looked at, it is believed to be as good as all of them together, with the weight of 50 impressions.',
        ],
      },
      {
        id: 'ctr-interval',
        term: '95% interval',
        text: [
          'The true CTR lies within it with 95% probability. Two that overlap are not put in order by words.',
        ],
      },
      {
        id: 'promo-verdict',
        term: 'Verdict',
        text: [
          `Leaning: the best with ${percent(leading)} probability. Winner: with ${percent(winning)}, at least ${clicksToWin} clicks of every text, ${issuesToWin} issues of the winner, and an expected loss under ${percent(lossToWin)} of its CTR.`,
          `No practical difference: the 95% interval of the relative difference between the leader and each other text lies within ±${percent(rope)}.`,
          'Else: about so many more issues, if all texts go on as they did.',
        ],
      },
      {
        id: 'expected-loss',
        term: 'Expected loss',
        text: [
          'By how much CTR keeping this text falls short on average, counting the cases in which another one is better.',
        ],
      },
      {
        id: 'gained-by-choosing',
        term: 'Gained by choosing',
        formula: 'clicks − impressions × mean of the texts’ CTRs',
        text: [
          'Clicks more than the same impressions would have brought, had every text been shown equally often.',
        ],
      },
    ],
  },
]
