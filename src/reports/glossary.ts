import { usualMailings } from '../mailings/mailing-usual.js'
import type { Chapter } from '../web/glossary.js'

/** What the words and numbers of reports mean. */
export const reportChapters: Chapter[] = [
  {
    id: 'reports',
    title: 'Reports',
    definitions: [
      {
        id: 'report',
        term: 'Report, rendering',
        text: [
          'A report says what it is about and what it shows. A rendering is what it said at one instant: numbers, names and logo are archived with it and never change, so it says the same next year.',
          'The numbers are read in the same way as on the pages of mailings, campaigns, lists and offers, machines left out.',
        ],
      },
      {
        id: 'report-average',
        term: 'Before, on a report',
        formula: 'Σ rates of the mailings before ÷ their number',
        text: [
          `With a partner, its own last ${usualMailings} mailings before the first of the report, and its campaigns made before; never those of another partner. Without one, the mailings before to the same lists. Each weighs the same; of several mailings together, the report’s own rate is of all their people.`,
          'Counts of several mailings or campaigns stand beside as many times the average of one: what as many of those before brought. Counts of campaigns have a before only where the report tells their whole time; no campaign has one, and no count, where it is narrowed to some contacts.',
          'Joined and left, and the impressions, clicks, CTR and issues of promos, stand beside as many days before the period. Subscribers and engaged stand beside what they were when it began, engaged by its own rule: what people did in the 90 days before that instant.',
          'Nothing stands there where nothing is known of then: nobody was on the list yet, or nothing was shown.',
        ],
      },
      {
        id: 'benchmark',
        term: 'Benchmark',
        text: [
          'A figure of the industry with its source and the year or month of which it is, as it is kept under Settings → Industry figures: of the rates of mailings, and of landing rate, conversion rate, CTR of promos and engaged subscribers, of which none is known at first.',
        ],
      },
      {
        id: 'wilson',
        term: '95% interval of a sending domain',
        formula: '(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) ÷ (1 + z²/n)',
        text: [
          'The Wilson score interval of its conversion rate p over n email clicks, z = 1.96. Where two intervals overlap, neither is said to be ahead. With more conversions than clicks there is none.',
        ],
      },
      {
        id: 'live-link',
        term: 'Live link',
        text: [
          'An address under which a report can be read without an account, for 7 to 365 days, with a password if you like. It holds 256 random bits, no search engine may list it, and it can be taken back at any time.',
        ],
      },
    ],
  },
]
