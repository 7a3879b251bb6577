import { domainToASCII } from 'node:url'
import * as z from 'zod'
import { hexColour } from './colour.js'

const mostAddresses = 50

/** The one spelling of an address; null for what is none. */
function emailOf(text: string): string | null {
  const spelling = text.normalize().toLowerCase()
  const at = spelling.lastIndexOf('@')
  const plain = `${spelling.slice(0, at)}@${domainToASCII(spelling.slice(at + 1))}`
  return spelling.length <= 255 && z.email().safeParse(plain).success ? spelling : null
}

/** E-mail addresses, one a line or with commas between; each once, in their one spelling. */
const Emails = z
  .string('The addresses are text.')
  .default('')
  .transform((text, context) => {
    const found: string[] = []
    for (const [index, line] of text.split(/\r\n|[\r\n]/).entries())
      for (const part of line.split(/[,;]/)) {
        if (part.trim() === '') continue
        const email = emailOf(part.trim())
        if (email === null) {
          const inner = /<([^<>\s]+)>$/.exec(part.trim())?.[1]
          const guess = inner && emailOf(inner)
          context.addIssue(
            `Line ${index + 1} holds no e-mail address: “${part.trim().slice(0, 60)}”. ` +
              (guess ? `Write only ${guess}.` : 'Write them as in ada@example.com, one a line.'),
          )
          return z.NEVER
        }
        if (!found.includes(email)) found.push(email)
      }
    if (found.length > mostAddresses) {
      context.addIssue(`These are ${found.length} addresses. A report goes to ${mostAddresses} at most.`)
      return z.NEVER
    }
    return found
  })

const name = (what: string) =>
  z
    .string(`Give the ${what} a name.`)
    .trim()
    .min(1, `Give the ${what} a name.`)
    .max(80, 'Keep the name under 81 letters.')

/**
 * A colour may be typed (`colour`) or picked (`picker`). A picker always has a value, so the form also tells what both
 * were when it was shown, and whichever was changed counts; the typed one where both were.
 */
function chosenColour(typed: Record<string, string>): string {
  const { colour = '', picker = '', colour_before: before = '', picker_before: pickerBefore = '' } = typed
  return colour.trim() === before.trim() && picker !== pickerBefore ? picker : colour
}

/** What a picker shows as long as nothing is chosen. */
export const pickerStart = '#3354c4'

export const PartnerForm = z
  .record(z.string(), z.unknown())
  .catch({})
  .transform((typed) => ({ ...typed, colour: chosenColour(textsOf(typed)) }) as Record<string, unknown>)
  .pipe(
    z.object({
      name: name('partner'),
      colour: z.string().transform((text, context) => {
        const colour = text.trim() === '' ? '' : hexColour(text)
        if (colour !== null) return colour
        context.addIssue(
          'Write the colour as # and six digits from 0 to f, such as #b23a1d, or leave it empty.',
        )
        return z.NEVER
      }),
      emails: Emails,
      address: z
        .string('The postal address is text.')
        .default('')
        .transform((text) => text.replace(/\r\n?/g, '\n').trim())
        .pipe(z.string().max(1000, 'Keep the postal address under 1,001 letters.')),
    }),
  )
export type PartnerForm = z.infer<typeof PartnerForm>

export const ProjectForm = z.object({ name: name('project') })

/** What was typed, to be shown again: text only, whatever else was sent. */
export const textsOf = (body: unknown): Record<string, string> =>
  z.record(z.string(), z.string().catch('')).catch({}).parse(body)
