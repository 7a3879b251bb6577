import { plural } from '../../web/formats.js'
import type { RunWords } from '../run-words.js'
import type { stages } from './walk.js'

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
