import type { Chapter } from '../web/glossary.js'

/** The words of the pages of operations. */
export const operationsChapters: Chapter[] = [
  {
    id: 'operations',
    title: 'Operations',
    definitions: [
      {
        id: 'webhook-success',
        term: 'Success of a webhook',
        formula: 'deliveries read ÷ (deliveries read + deliveries that could not be read)',
        text: ['Of the last thirty days, and the newest 10,000 at most. What still waits is in neither.'],
      },
      {
        id: 'fault',
        term: 'Fault',
        text: [
          'A request that ended in an error of ours (500). Faults that say the same at the same place are one line: figures, names and addresses in them are left out.',
        ],
      },
      {
        id: 'full-at',
        term: 'Full at this rate',
        formula: 'today + disk left ÷ growth a day',
        text: ['The growth is that of the database over the last thirty days, or as long as it is known.'],
      },
      {
        id: 'alert',
        term: 'Alert',
        text: [
          'Something that is wrong, told once, and once more when it has been over for five minutes: a silent webhook, a sync that fails, a disk below its threshold, many faults within ten minutes, facts refused by the queue, and what other rooms watch.',
        ],
      },
      {
        id: 'traces',
        term: 'Traces',
        text: [
          'The internet address (as Settings, Privacy keeps it) and the user agent of an event or a click on a promo. They go after 90 days unless Operations, Privacy says otherwise; what is counted stays, and so does the verdict.',
        ],
      },
    ],
  },
]
