import * as z from 'zod'

// What comes in through the pages of every provider.

/** Paste takes spaces and line ends along. */
const key = z.string('Paste the key.').trim().min(1, 'Paste the key.')

export const ApiKeyForm = z.object({
  api_key: key
    .max(500, 'This is longer than an API key.')
    .regex(/^[\x21-\x7e]+$/, 'An API key is one word of letters, digits and hyphens. Copy it once more.'),
})

export const SigningKeyForm = z.object({
  signing_key: key.max(255, 'A signing key has 255 characters at the most.'),
})

/** Which of several, or all of them. */
export const Which = z.object({
  id: z
    .string()
    .regex(/^\d{1,15}$/)
    .transform(Number)
    .nullable()
    .catch(null),
})

/** Where a button stood, so that its answer leads back there. */
export const From = z.object({ from: z.enum(['connection', 'sync', 'failures']).catch('connection') })

/** Where a page of failures begins: `<received>-<id>` of the last one before it. */
export const Page = z.object({
  after: z
    .string()
    .regex(/^\d{1,16}-\d{1,15}$/)
    .transform((text) => {
      const [receivedAt, id] = text.split('-').map(Number) as [number, number]
      return { receivedAt, id }
    })
    .nullable()
    .catch(null),
})
