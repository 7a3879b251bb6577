import { dayLength } from '../web/calendar.js'
import type { Chapter } from '../web/glossary.js'
import { heatDays } from './best-hour.js'
import { cohortMonths } from './cohorts.js'
import {
  burstLinks,
  burstWindow,
  canaryWindow,
  earlyWindow,
  engagementReason,
  hasteWindow,
  reasonWords,
} from './engagement-verdict.js'
import { engagedDays } from './lists.js'
import {
  attributionSpan,
  bandMeanings,
  deedPoints,
  dormantAfter,
  fullPoints,
  halfLife,
  newBelow,
  priorMailings,
  trendSpan,
} from './score.js'
import { leaveDays, long, replyDays, swing, trendDays, worthwhile } from './words.js'

const seconds = (milliseconds: number) => `${milliseconds / 1000} seconds`
const days = (milliseconds: number) => `${milliseconds / dayLength} days`
const sentence = (text: string) => `${text[0]!.toUpperCase()}${text.slice(1)}.`

/** What the numbers about readers mean. Limits come from the code that applies them. */
export const audienceChapters: Chapter[] = [
  {
    id: 'reading',
    title: 'What readers do',
    definitions: [
      {
        id: 'open',
        term: 'Open',
        text: [
          'The pictures of a mailing were loaded. Somebody who opens three times is three opens and one person who opened. Who reads without pictures opens without a trace.',
        ],
      },
      {
        id: 'click',
        term: 'Click',
        text: ['A link of a mailing was followed. Clicks are events; people who clicked are counted once.'],
      },
      {
        id: 'reply',
        term: 'Reply',
        text: ['Somebody answered a mailing, as the provider tells it.'],
      },
      {
        id: 'left-out',
        term: 'Left out',
        formula: 'opens by people + opens by mail proxies + opens by machines = all opens',
        text: [
          'Opens and clicks of machines, and opens of mail proxies, are kept and left out of every number. Beside the number stands how many; the switch “show” (machines=1 in the address) counts them in on any page.',
        ],
      },
      {
        id: 'removed-engagements',
        term: 'Removed engagements',
        text: [
          'Where days are set under Operations, Privacy, single engagements go when all that a person has to do with a mailing is that old. Every count stays, and what a provider tells again is still known. Only who followed which link is lost: whoever follows one again after that counts twice among its people.',
        ],
      },
      {
        id: 'active-people',
        term: 'Active people',
        text: [
          'Unique people who opened, clicked or replied in a day, week or month. Each counts once in it, so the people of seven days are more than those of the week.',
        ],
      },
      {
        id: 'last-activity',
        term: 'Last activity',
        text: ['When a person last opened, clicked or replied.'],
      },
    ],
  },
  {
    id: 'judgement',
    title: 'Who it was, in mailings',
    definitions: [
      {
        id: 'mail-proxy',
        term: 'Mail proxy',
        text: [
          `A program of a mailbox provider loads all pictures on arrival, whether or not the message is looked at: Apple’s mail privacy, and Gmail’s image proxy within ${seconds(earlyWindow)} of the delivery. A later fetch through Gmail’s proxy is a person who opened.`,
        ],
      },
      {
        id: 'mail-machine',
        term: 'Machine, in mailings',
        text: [
          sentence(reasonWords[engagementReason.agent]!),
          `Or ${reasonWords[engagementReason.scanner]}; or ${reasonWords[engagementReason.prefetch]}.`,
          `Or ${burstLinks} or more different links of one mailing were followed within ${seconds(burstWindow)}: scanners follow them all.`,
          `Or the hidden canary link was followed within ${seconds(canaryWindow)}: no reader sees it. Its address is a setting.`,
          'Or two suspicions came together.',
        ],
      },
      {
        id: 'mail-suspected',
        term: 'Suspected, in mailings',
        text: [
          'It came from a data centre: people sit behind such networks too.',
          `Or the click came within ${seconds(hasteWindow)} of the delivery.`,
          'One suspicion counts as a person, two make a machine.',
        ],
      },
      {
        id: 'unjudged',
        term: 'Cannot be judged',
        text: [
          'A provider told neither user agent, nor address, nor operating system, nor browser. There is nothing to judge by: it counts as a person, and each number that holds such events says how many.',
        ],
      },
    ],
  },
  {
    id: 'scores',
    title: 'The score',
    definitions: [
      {
        id: 'score',
        term: 'Engagement score',
        formula: `100 × (Σ best × ½^(age ÷ ${halfLife / dayLength}) + ${priorMailings * fullPoints} × average) ÷ (Σ ${fullPoints} × ½^(age ÷ ${halfLife / dayLength}) + ${priorMailings * fullPoints})`,
        text: [
          `From 0 to 100, over all delivered mailings; age is in days. The best event of a mailing counts: an open ${deedPoints.opened}, a click ${deedPoints.clicked}, a landing ${deedPoints.landed}, a reply ${deedPoints.replied}, a conversion ${deedPoints.converted}. A mailing weighs half after ${days(halfLife)}.`,
          `${fullPoints} points for each delivered mailing make 100. The average of everybody has the weight of ${priorMailings} mailings, so that one click makes no champion. More than 100 is 100.`,
          `A landing or a conversion counts for the last mailing delivered at most ${days(attributionSpan)} before. Machines and mail proxies never count. Without a delivered mailing there is no score.`,
        ],
      },
      {
        id: 'band',
        term: 'Band',
        text: [
          `Asked in this order. New: ${bandMeanings.new}. Dormant: ${bandMeanings.dormant}. Champion: ${bandMeanings.champion}. Active: ${bandMeanings.active}. Passive: ${bandMeanings.passive}. Fading: ${bandMeanings.fading}.`,
          `Without a delivered mailing there is no band. ${days(dormantAfter)} are counted from the last thing the person did.`,
        ],
      },
      {
        id: 'trend',
        term: 'Trend',
        formula: `score now − score ${days(trendSpan)} ago`,
        text: [
          `The earlier score is made from what was known then. With fewer than ${newBelow} mailings at that time there is no trend.`,
        ],
      },
      {
        id: 'average-score',
        term: 'Average score of a tag',
        formula: 'sum of scores ÷ contacts with a score',
        text: ['Of the contacts that have the tag today. Who has no score is left out.'],
      },
    ],
  },
  {
    id: 'lists-over-time',
    title: 'Lists and time',
    definitions: [
      {
        id: 'subscribed',
        term: 'Subscribed',
        text: ['Mail goes out to them, or is only paused.'],
      },
      {
        id: 'growth',
        term: 'Growth',
        formula: 'net = joined − left',
        text: [
          'Joined are subscriptions that began in the period, or began again. Left are those that ended: unsubscribed, complained, bounced or removed.',
        ],
      },
      {
        id: 'churn',
        term: 'Churn',
        formula: 'left in the period ÷ subscribed at its beginning',
        text: ['Where nobody was subscribed at the beginning there is no value.'],
      },
      {
        id: 'list-engagement',
        term: 'Engaged, of a list',
        formula: `subscribers who did something in the last ${engagedDays} days ÷ subscribers`,
        text: [
          `Of the people who are on the list now, who opened, clicked or replied in the last ${engagedDays} days, whatever the mailing. Those for whom only machines or mail proxies did are left out, with their number beside, until they are counted in.`,
          'Whoever is known in that time by nothing but what cannot be judged counts, and how many they are stands beside.',
        ],
      },
      {
        id: 'provider-size',
        term: 'A provider’s own count of a list',
        text: [
          'What the provider says of pending, subscribed and unsubscribed contacts, kept whenever one of the numbers had changed. It may differ from our own count while contacts are still being read, and where the provider counts paused or bounced ones otherwise.',
        ],
      },
      {
        id: 'cohort',
        term: 'Cohort',
        formula: 'people of the cohort active in the month ÷ people of the cohort',
        text: [
          `Everybody who subscribed for the first time in one month, of the last ${cohortMonths}. A cell says which share of them opened, clicked or replied so many months later. The month that runs is not over: its share still grows.`,
        ],
      },
      {
        id: 'best-hour',
        term: 'Best hour',
        text: [
          `The weekday and hour with the most clicks (or opens) of the last ${heatDays} days, in the reporting time zone.`,
          'How sure that is comes from the difference between the best hour and the second, week by week: its mean over its standard error, read as a normal probability. Under 100 events or four weeks nothing can be told.',
          'The heatmap of one mailing holds all its hours since it was sent, and says nothing of how sure they are: one mailing is one wave.',
        ],
      },
    ],
  },
  {
    id: 'worth-a-word',
    title: 'Worth a word',
    definitions: [
      {
        id: 'replied-reason',
        term: 'Replied',
        text: [`They answered a mailing within the last ${replyDays} days.`],
      },
      {
        id: 'rose-reason',
        term: 'Rose',
        text: [
          `The score rose by ${swing} points or more within ${trendDays} days, to ${worthwhile} or more.`,
        ],
      },
      {
        id: 'faded-reason',
        term: 'Faded',
        text: [
          `The score fell by ${swing} points or more within ${trendDays} days, from ${worthwhile} or more.`,
        ],
      },
      {
        id: 'left-reason',
        term: 'Left after long activity',
        text: [
          `They unsubscribed within the last ${leaveDays} days, after ${long.days} days on the list, ${long.mailings} mailings and ${long.deeds} opens and clicks or more.`,
        ],
      },
      {
        id: 'done-reason',
        term: 'Done',
        text: ['A word was had. They come back only for a reason that is newer.'],
      },
    ],
  },
]
