import * as z from 'zod'
import type { Operation } from '../web/openapi.js'
import { variationParameter } from './link.js'

/** The redirect of offers for the description of the API. */
export const redirectOperations: Operation[] = [
  {
    method: 'get',
    path: '/go/{slug}',
    id: 'followOffer',
    tag: 'Promos',
    summary: 'Follow the link of an offer',
    description:
      'Leads to the offer’s stored destination with the parameters of the address, and records the click. `HEAD` leads there too, and counts nothing.',
    params: z.object({
      slug: z.string().meta({ description: 'The slug of the offer, in whatever case.', example: 'bindery' }),
    }),
    query: z.object({
      [variationParameter]: z.coerce.number().int().min(1).optional().meta({
        description: 'The number of the text whose link it is; left out, the click is the offer’s alone.',
      }),
    }),
    answers: {
      302: { description: '`Location` is the destination.' },
      404: { description: 'There is no offer at this address.' },
    },
    open: true,
    sample: { path: `/go/bindery?${variationParameter}=42` },
  },
]
