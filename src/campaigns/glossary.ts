import type { Chapter } from '../web/glossary.js'
import { silentAfter } from './metrics.js'
import { burstLinks, burstWindow, hasteWindow, rateLimit, rateWindow, settlingTime } from './verdict.js'

const seconds = (milliseconds: number) => `${milliseconds / 1000} seconds`
const minutes = (milliseconds: number) => `${milliseconds / 60_000} minutes`
const hours = (milliseconds: number) => `${milliseconds / 3_600_000} hours`

/** What the numbers of the click tracker mean. Limits come from the code that applies them. */
export const campaignChapters: Chapter[] = [
  {
    id: 'events',
    title: 'What happens',
    definitions: [
      {
        id: 'email-click',
        term: 'Email click',
        text: [
          'Somebody followed the link of a message and opened the landing page. An event of the kind email_click.',
        ],
      },
      {
        id: 'landing-click',
        term: 'Landing click',
        text: [
          'Somebody followed the link on the landing page that leads to the offer. An event of the kind landing_click.',
        ],
      },
      {
        id: 'conversion',
        term: 'Conversion',
        text: [
          'Somebody bought. An event of the kind conversion, reported by the shop or the affiliate network.',
        ],
      },
      {
        id: 'people',
        term: 'People',
        text: [
          'Distinct e-mail addresses. Somebody who clicks three times is three email clicks and one person. Somebody who comes over two sending domains is still one person.',
        ],
      },
      {
        id: 'sending-domain',
        term: 'Sending domain',
        text: ['The domain whose landing page reported the event.'],
      },
      {
        id: 'journey',
        term: 'Journey',
        text: [
          'What one person did in one campaign on one sending domain. A row of User journeys is one journey, so somebody who came over two domains has two.',
        ],
      },
      {
        id: 'orphan',
        term: 'Without a click (orphan)',
        text: [
          'A conversion that no email click and no landing click of the same person precedes in the campaign. It counts as a conversion, and is named beside it.',
        ],
      },
    ],
  },
  {
    id: 'rates',
    title: 'Rates',
    definitions: [
      {
        id: 'conversion-rate',
        term: 'Conversion rate',
        formula: 'conversions ÷ email clicks',
        text: [
          'Both as events. Without email clicks there is no rate: a page shows an en dash, JSON says null.',
        ],
      },
      {
        id: 'conversion-rate-people',
        term: 'Conversion rate of people',
        formula: 'people who converted ÷ people who clicked the email',
        text: ['The same over people: how many out of a hundred who clicked have bought, however often.'],
      },
      {
        id: 'landing-rate',
        term: 'Landing rate',
        formula: 'landing clicks ÷ email clicks',
        text: ['How many of the arrivals went on to the offer. Both as events.'],
      },
      {
        id: 'order-rate',
        term: 'Order rate',
        formula: 'conversions ÷ landing clicks',
        text: ['How many of those who went to the offer bought. Both as events.'],
      },
    ],
  },
  {
    id: 'verdicts',
    title: 'Who it was',
    definitions: [
      {
        id: 'verdict',
        term: 'Verdict',
        text: [
          'Whether a person or a machine caused an event: person, suspected or machine, each with its reasons. Events of people and suspected events count. Those of machines are kept, shown on request, and left out of counts and rates.',
        ],
      },
      {
        id: 'machine',
        term: 'Machine',
        text: [
          'The user agent is a bot or an HTTP library.',
          `Or it is an email click among ${burstLinks} or more of one person within ${seconds(burstWindow)}, on as many different links: link scanners follow every link of a message. All of them are machine, those already stored as well.`,
          'Or two suspicions came together.',
        ],
      },
      {
        id: 'suspected',
        term: 'Suspected',
        text: [
          `More than ${rateLimit} events came from one internet address within ${seconds(rateWindow)}.`,
          `Or a landing click came less than ${seconds(hasteWindow)} after the person's email click.`,
          'One suspicion counts as a person, two make a machine.',
        ],
      },
      {
        id: 'settled',
        term: 'Settled',
        text: [
          `An event counts at once, under a first verdict. ${minutes(settlingTime)} later, when all that speaks for or against it has arrived, it is looked at again, and the verdict stays.`,
        ],
      },
      {
        id: 'server-script',
        term: 'Reported by a server',
        text: [
          'A script that reports for its recipients is no machine. What it passes as ip and ua is judged; its own address and user agent are neither judged nor kept.',
        ],
      },
    ],
  },
  {
    id: 'watching',
    title: 'Whether all is well',
    definitions: [
      {
        id: 'silent-domain',
        term: 'Silent domain',
        text: [
          `A sending domain that used to report and has stopped: it has ${silentAfter.events} events or more, and then nothing for at least ${hours(silentAfter.milliseconds)} and ${silentAfter.gaps} times its usual gap between two events.`,
          'The usual gap is the time from its first event to its last, divided by the number of gaps.',
        ],
      },
      {
        id: 'refused',
        term: 'Refused request',
        text: [
          'A request that the event door could not take, with the reason. The integration page of a campaign shows those of the last hour. They are kept in memory only, without addresses of people.',
        ],
      },
    ],
  },
]
