import { plural } from '../../web/formats.js'
import type { RunWords } from '../run-words.js'
import type { stages } from './sync.js'

export const runWords: RunWords = {
  stages: {
    tags: 'Tags',
    subscribers: 'Subscribers',
    emails: 'Mailings',
    events: 'Events',
  } satisfies Record<(typeof stages)[number], string>,
  scheduled: 'Nightly',
  already: {},
  changes: (count, isFirst) => [
    isFirst
      ? count('events') && plural(count('events'), 'event', 'events')
      : count('repaired') &&
        plural(count('repaired'), 'event that no delivery told of', 'events that no delivery told of'),
  ],
}
