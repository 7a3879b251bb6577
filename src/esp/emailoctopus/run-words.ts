import { plural } from '../../web/formats.js'
import type { RunWords } from '../run-words.js'
import type { stages } from './walk.js'

const numbersAreIn =
  'Every campaign and its numbers are here. Who opened and clicked takes longer, and goes on in the background.'

export const runWords: RunWords = {
  stages: {
    lists: 'Lists',
    campaigns: 'Campaigns',
    summaries: 'Numbers',
    links: 'Links',
    contacts: 'Contacts',
    reports: 'Reports',
  } satisfies Record<(typeof stages)[number], string>,
  scheduled: 'Scheduled',
  already: { links: numbersAreIn, contacts: numbersAreIn, reports: numbersAreIn },
  changes: (count, isFirst) => [
    count('changed') && plural(count('changed'), 'mailing changed', 'mailings changed'),
    count('numbers') && `new numbers of ${plural(count('numbers'), 'mailing', 'mailings')}`,
    count('lists') && plural(count('lists'), 'new list', 'new lists'),
    count('events') &&
      (isFirst
        ? plural(count('events'), 'event', 'events')
        : plural(count('events'), 'new event', 'new events')),
  ],
}
