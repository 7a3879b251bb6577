import * as z from 'zod'
import { ErrorAnswer, InvalidAnswer } from '../web/json-api.js'
import type { Operation } from '../web/openapi.js'

const tag = 'Webhooks'
const Ok = z.object({ status: z.literal('ok') })

const signatureOf = (name: string) =>
  z.string().meta({
    description: `\`sha256=\` and the HMAC-SHA256 of the body’s bytes in hexadecimal, made with the signing key that stands on the page of ${name}.`,
  })

const answers = ({ body }: { body: string }): Operation['answers'] => ({
  200: { description: 'It is on disk, and is read afterwards.', schema: Ok, example: { status: 'ok' } },
  400: { description: `The body is not ${body}.`, schema: InvalidAnswer },
  401: { description: 'The signature is missing or wrong, or there is no signing key.', schema: ErrorAnswer },
  413: { description: 'The body is longer than 10 MB.', schema: InvalidAnswer },
  503: {
    description: 'It cannot be written, and nothing was kept. Send it again; `Retry-After` says when.',
    schema: ErrorAnswer,
  },
})

/** `GET` of a webhook, for senders that look whether anybody is there. */
const lookOf = (provider: string, name: string): Operation => ({
  method: 'get',
  path: `/webhooks/${provider}`,
  id: `look${name}Webhook`,
  tag,
  summary: `Look whether the webhook of ${name} is there`,
  answers: {
    200: {
      description: 'It is there.',
      schema: Ok.extend({ message: z.string() }),
      example: { status: 'ok', message: `Deliveries of ${name} come here by POST.` },
    },
  },
  open: true,
  sample: { path: `/webhooks/${provider}` },
})

/** The doors of the providers' webhooks for the description of the API. */
export const webhookOperations: Operation[] = [
  {
    method: 'post',
    path: '/webhooks/buttondown',
    id: 'deliverButtondownEvent',
    tag,
    summary: 'Deliver an event of Buttondown',
    description:
      'Called by Buttondown. A delivery that comes again, known by its `id` or else by its bytes, is answered the same and kept once. Types that nobody here reads are kept too.',
    headers: z.object({ 'X-Buttondown-Signature': signatureOf('Buttondown') }),
    body: {
      schema: z.looseObject({
        id: z.string().max(200).nullish().meta({ description: 'Of the event: a UUID or a TypeID.' }),
        event_type: z.string().min(1).max(200).meta({ example: 'subscriber.opened' }),
        data: z.record(z.string(), z.unknown()).meta({ description: 'Whom and what it is about, by ids.' }),
      }),
      types: ['application/json'],
    },
    answers: answers({ body: 'a JSON object with event_type and data' }),
    open: true,
  },
  lookOf('buttondown', 'Buttondown'),
  {
    method: 'post',
    path: '/webhooks/emailoctopus',
    id: 'deliverEmailOctopusEvents',
    tag,
    summary: 'Deliver events of EmailOctopus',
    description:
      'Called by EmailOctopus. Each event is kept by itself, and one that comes again is known by its `id`, or else by what it says.',
    headers: z.object({ 'EmailOctopus-Signature': signatureOf('EmailOctopus') }),
    body: {
      schema: z
        .array(
          z.looseObject({ id: z.string().nullish(), type: z.string().meta({ example: 'contact.opened' }) }),
        )
        .max(1_000),
      types: ['application/json'],
    },
    answers: answers({ body: 'a JSON array of at most 1000 events' }),
    open: true,
  },
  lookOf('emailoctopus', 'EmailOctopus'),
]
