import type { Chapter } from '../web/glossary.js'
import { leastContrast } from './colour.js'

/** What the words of partners and their projects mean. */
export const partnerChapters: Chapter[] = [
  {
    id: 'partners',
    title: 'Partners',
    definitions: [
      {
        id: 'partner',
        term: 'Partner',
        text: [
          'Somebody you send for, with a name, a colour, a logo and addresses as their reports show them.',
        ],
      },
      {
        id: 'project',
        term: 'Project',
        text: [
          'What is done for a partner under one name: a season, a sale, a series of letters. Campaigns, mailings, lists and offers can be tied to it, each to one project at most. The numbers beside a project count what is tied to it.',
        ],
      },
      {
        id: 'report-colour',
        term: 'Colour on a report',
        formula: '1.05 ÷ (luminance + 0.05)',
        text: [
          `Reports are printed on white. A colour whose contrast to white is below ${leastContrast}:1 is darkened until it reaches that, and no further: hue and saturation stay. Contrast and luminance are those of WCAG 2.2.`,
        ],
      },
    ],
  },
]
