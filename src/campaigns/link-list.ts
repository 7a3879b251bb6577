import * as z from 'zod'
import { EmailAddress } from '../audience/contacts.js'
import { recipeLink } from './recipes.js'

/** What the link maker may be given. */
export const LinkForm = z.object({
  landing_url: z
    .string('Say which page the links lead to.')
    .trim()
    .min(1, 'Say which page the links lead to.')
    .max(2000, 'Keep the address under 2,000 characters.')
    .superRefine((text, context) => {
      if (text === '') return
      const url = URL.canParse(text) ? new URL(text) : null
      if (!url || !/^https?:$/.test(url.protocol) || !url.hostname)
        context.addIssue('The landing page starts with https:// or http://, such as https://example1.com/.')
      else if (url.searchParams.has('e') || url.searchParams.has('cid'))
        context.addIssue('The landing page has cid or e in its address already. The links bring their own.')
    }),
  addresses: z
    .string('Paste at least one address.')
    .refine((text) => text.trim() !== '', 'Paste at least one address.'),
})
export type LinkForm = z.infer<typeof LinkForm>

/** One line of a pasted list. */
export type ListLine =
  | { line: number; text: string; email: string; link: string; problem: null }
  | { line: number; text: string; email: null; link: null; problem: string }

/**
 * A link for each line of a pasted list; empty lines are passed over. A line may be a bare address, a name with the
 * address in angle brackets, or a row of a table whose first cell with an @ is the address. Nothing is stored.
 */
export function linksFor({ landing_url, addresses }: LinkForm, campaignId: number): ListLine[] {
  return addresses.split(/\r\n|\r|\n/).flatMap((raw, index): ListLine[] => {
    const text = raw.trim()
    if (text === '') return []
    const line = index + 1
    const read = readAddress(text)
    if (read.problem !== null) return [{ line, text, email: null, link: null, problem: read.problem }]
    return [
      { line, text, email: read.email, link: recipeLink(landing_url, campaignId, read.email), problem: null },
    ]
  })
}

function readAddress(text: string): { email: string; problem: null } | { email: null; problem: string } {
  const bracketed = /<([^<>]*)>\s*[,;]?$/.exec(text)?.[1]
  const cells = (bracketed ?? text).split(/[,;\t]/).map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'))
  const candidate = cells.find((cell) => cell.includes('@'))
  if (candidate === undefined) return { email: null, problem: 'There is no address in it.' }
  // The event door reads a space as a plus sign that was not encoded; in a list it is a slip.
  if (/\s/.test(candidate)) return { email: null, problem: 'The address has a space in it.' }
  const email = EmailAddress.safeParse(candidate)
  if (!email.success) return { email: null, problem: email.error.issues[0]!.message }
  return { email: email.data, problem: null }
}
