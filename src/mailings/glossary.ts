import type { Chapter } from '../web/glossary.js'
import { averagedDays } from './curves.js'
import { leastForBand, usualMailings } from './mailing-usual.js'
import { trackingTold } from './metrics.js'

/** What the numbers of mailings mean. All are of unique people, unless they are called opens and clicks. */
export const mailingChapters: Chapter[] = [
  {
    id: 'mailings',
    title: 'Mailings',
    definitions: [
      {
        id: 'sent',
        term: 'Sent',
        text: ['Unique people to whom a mailing went out, as events or the provider’s report tell it.'],
      },
      {
        id: 'delivered',
        term: 'Delivered',
        formula: 'sent − bounced',
        text: [
          'Unique people. Whoever opened or clicked got the mailing, whether or not anybody told of the delivery.',
          'While the events of a past mailing are still being fetched, the provider’s own number of deliveries is taken where it is greater; the page says so.',
        ],
      },
      {
        id: 'bounce-rate',
        term: 'Bounce rate',
        formula: 'bounced ÷ sent',
        text: ['Bounced is who could not be reached, or was refused, and did not get the mailing later.'],
      },
      {
        id: 'open-rate',
        term: 'Open rate',
        formula: 'people who opened ÷ delivered',
        text: ['Machines and mail proxies left out. Without a delivery there is no rate.'],
      },
      {
        id: 'click-rate',
        term: 'Click rate',
        formula: 'people who clicked ÷ delivered',
        text: ['Machines left out.'],
      },
      {
        id: 'click-to-open',
        term: 'Click-to-open',
        formula: 'people who clicked ÷ people who opened',
        text: ['Who reads without pictures clicks without an open, so it may be above 100%.'],
      },
      {
        id: 'unsubscribe-rate',
        term: 'Unsubscribe rate, complaint rate, reply rate',
        formula: 'people who did it ÷ delivered',
        text: ['As the provider ties the event to the mailing.'],
      },
      {
        id: 'tracking',
        term: 'Tracking may be off',
        text: [
          `Nobody and no machine opened or clicked, at ${trackingTold} deliveries or more, and the provider reports zero as well. Opens and clicks are counted only where the newsletter’s settings say so before it is sent. Then no rate is shown, since 0% would say that nobody cared.`,
        ],
      },
      {
        id: 'average',
        term: 'Average',
        formula: 'Σ rates of the mailings ÷ their number',
        text: [
          'The unweighted mean over mailings: a small one weighs as much as a large one. A mailing without that rate is left out.',
        ],
      },
      {
        id: 'pooled',
        term: 'Pooled rate',
        formula: 'Σ people who opened ÷ Σ delivered',
        text: [
          'All people of all mailings taken together, so that a large mailing weighs more. Others likewise.',
        ],
      },
      {
        id: 'median',
        term: 'Median',
        text: [
          'The middle one of the rates put in order; of an even number, the mean of the two in the middle.',
        ],
      },
      {
        id: 'deviation',
        term: 'Deviation',
        formula: '√(Σ (rate − average)² ÷ number of mailings)',
        text: [
          'The standard deviation of the population: these are all mailings there are, not a sample of them. It tells how far mailings usually lie from the average.',
        ],
      },
      {
        id: 'window-before',
        term: 'Changes',
        text: [
          'A number of the chosen days against the same number of as many days just before, today as far as it has come against as much of its counterpart. Of all time, the last 90 days are compared with the 90 before.',
        ],
      },
      {
        id: 'ours-and-theirs',
        term: 'Ours and theirs',
        text: [
          'The provider’s report beside what events tell here. They differ for reasons that are told line by line: mail proxies and machines are left out here, events may not have come in yet, the provider’s numbers are cached and rise late, and it hides a second click on the same link within five minutes.',
        ],
      },
      {
        id: 'basis',
        term: 'Whose numbers',
        text: [
          'The rates of a mailing are of our own count, in which machines and mail proxies are told apart, wherever an open or a click of it could be judged by anything.',
          'Where nothing could be judged and the provider reports who opened, they are of the provider’s numbers. Those hold proxies and machines, which nobody can tell apart afterwards. Pages, CSV and API say which, mailing by mailing. On its page a mailing is only held against others whose numbers are of the same kind; side by side, any can stand, and a page says where they differ.',
          'Delivered is the provider’s number where that is the greater, even if opens and clicks are ours: events of a past mailing may not have come in yet.',
        ],
      },
      {
        id: 'landed',
        term: 'Landed, converted',
        text: [
          'Of a mailing that is tied to a campaign of the click tracker: unique people of that campaign who reached a landing page, and who converted. Where several mailings are tied to the same campaign, the people of all of them are in it, and no share of this mailing’s clicks is told.',
        ],
      },
      {
        id: 'usual',
        term: 'Usual, of a list',
        formula: 'Σ rates of the mailings ÷ their number',
        text: [
          `The average of the last ${usualMailings} mailings that went to the same list before this one: the unweighted mean, in which each mailing weighs the same. Mailings without a rate are left out.`,
        ],
      },
      {
        id: 'usual-band',
        term: 'Usual band',
        text: [
          `At each age since sending, the share of the delivered who had opened (or clicked) of the last ${usualMailings} mailings of the list: the line is their median, and the band reaches from the 10th to the 90th percentile, so that four mailings of five lie within. Fewer than ${leastForBand} make no band.`,
          'By our own count of people, machines and mail proxies always left out; or by the provider’s snapshots, where the last one before that age holds. What was not looked at early enough is left out.',
        ],
      },
      {
        id: 'moving-average',
        term: 'Moving average',
        formula: `what the last ${averagedDays} days added ÷ ${averagedDays}`,
        text: [
          `For each day, the mean of what it and the ${averagedDays - 1} days before it added; of the first days, of the days so far. Days are spells of 24 hours since sending. Where the provider corrects itself to less, a day adds less than nothing.`,
        ],
      },
      {
        id: 'snapshot',
        term: 'Snapshot',
        text: [
          'The provider’s numbers at one instant, kept whenever one of them had changed, and never changed again. A number that is lower than before is a correction, and marked.',
        ],
      },
    ],
  },
]
