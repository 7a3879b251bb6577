import * as z from 'zod'

/** An empty one takes the hidden link away. */
export const CanaryForm = z.object({
  canary_url: z
    .string()
    .trim()
    .max(2000, 'Keep the address under 2,000 characters.')
    .refine(
      (text) => text === '' || (/^https?:\/\//i.test(text) && URL.canParse(text)),
      'This is the whole address of a link, such as https://example.com/not-for-people.',
    ),
})
