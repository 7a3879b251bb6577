import { parse } from 'csv-parse/sync'
import type { Db } from '../database/open.js'
import { plural } from '../web/formats.js'
import { createOffer, createVariation, Taken } from './commands.js'
import { OfferForm, slugOf, VariationForm } from './page-forms.js'

/** The columns of a file, by their names in its first line. Those of the offer may be left empty after its first line. */
export const importColumns = [
  'offer',
  'type',
  'slug',
  'destination_url',
  'link_url',
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_term',
  'utm_content',
  'base_weight',
  'from_on',
  'until_on',
  'headline',
  'text',
  'cta_text',
  'tone',
  'length_category',
  'weight',
  'approved',
] as const
export const mostLines = 5_000

/** What a line says of its offer. */
interface OfferLine {
  line: number
  name: string
  destination: string
}
export interface PlannedOffer {
  form: OfferForm
  /** The offer of that slug that is there already; its own columns are passed over then. */
  existing: number | null
  /** Lines below it may leave these out, and say nothing else. */
  first: OfferLine
  texts: { form: VariationForm; approved: boolean }[]
}
export interface Reading {
  offers: PlannedOffer[]
  texts: number
  errors: { line: number; sentence: string }[]
}

/** Reads a file and checks every line; nothing is written. @param known offers by slug */
export function readPromoFile(text: string, known: ReadonlyMap<string, number>): Reading {
  const reading: Reading = { offers: [], texts: 0, errors: [] }
  const wrong = (line: number, sentence: string) => void reading.errors.push({ line, sentence })
  let lines: { info: { lines: number }; record: Record<string, string> }[]
  try {
    lines = parse(text.replace(/^\ufeff/, ''), {
      columns: (names: string[]) => names.map((name) => name.trim().toLowerCase()),
      delimiter: delimiterOf(text),
      info: true,
      relax_column_count_less: true,
      skip_empty_lines: true,
      trim: true,
    }) as unknown as typeof lines
  } catch (error) {
    wrong(
      Number((error as { lines?: number }).lines ?? 1),
      `This is no readable CSV: ${(error as Error).message}`,
    )
    return reading
  }
  const names = Object.keys(lines[0]?.record ?? {})
  if (lines.length === 0) wrong(1, 'There is no line below the names of the columns.')
  else if (!names.includes('offer') || !names.includes('text'))
    wrong(1, 'The first line names the columns; offer and text have to be among them.')
  const strange = names.filter((name) => !importColumns.includes(name as never))
  if (strange.length > 0) wrong(1, `There is no column called ${strange.slice(0, 5).join(', ')}.`)
  if (lines.length > mostLines)
    wrong(mostLines + 1, `The file has more than ${mostLines} lines. Split it into several.`)
  if (reading.errors.length > 0) return reading

  const bySlug = new Map<string, PlannedOffer>()
  for (const { info, record } of lines) {
    const line = info.lines
    const { offer: name = '', approved = '', ...rest } = record
    const slug = (rest.slug ?? '').toLowerCase() || slugOf(name)
    const here: OfferLine = { line, name, destination: rest.destination_url ?? '' }
    let offer = bySlug.get(slug)
    if (!offer) {
      const existing = known.get(slug) ?? null
      const parsed = OfferForm.safeParse({ ...rest, name, slug, active: '1' })
      if (!parsed.success && existing === null) {
        wrong(line, parsed.error.issues.map(({ message }) => message).join(' '))
        continue
      }
      offer = { form: parsed.data!, existing, first: here, texts: [] }
      bySlug.set(slug, offer)
      reading.offers.push(offer)
    }
    const other = otherThan(offer.first, here)
    if (other) {
      wrong(line, `${other} Leave it out here, or give this line a slug of its own.`)
      continue
    }
    const text = VariationForm.safeParse(rest)
    if (!text.success) wrong(line, text.error.issues.map(({ message }) => message).join(' '))
    else {
      offer.texts.push({ form: text.data, approved: /^(1|yes|true|y)$/i.test(approved) })
      reading.texts++
    }
  }
  return reading
}

/** A line of another offer under the slug of one before it would lead its readers to that one. @returns why, or null */
function otherThan(first: OfferLine, { name, destination }: OfferLine): string | null {
  if (name !== '' && name !== first.name)
    return `The offer with this slug is called ${first.name} in line ${first.line}.`
  if (destination !== '' && destination !== first.destination)
    return `This offer leads to ${first.destination || 'no address'} in line ${first.line}.`
  return null
}

/** What parts the names of the columns parts all the rest; a text may well hold the others. */
function delimiterOf(text: string) {
  const names = /\S.*/.exec(text)?.[0].replace(/"[^"]*"/g, '') ?? ''
  const most = (best: string, mark: string) =>
    names.split(mark).length > names.split(best).length ? mark : best
  return [',', ';', '\t'].reduce(most)
}

/** Writes all that was read, or nothing. @returns what became of it, as a sentence */
export async function importPromos(
  db: Db,
  { offers, texts }: Reading,
  { group, by, at }: { group: number; by: number | null; at: number },
): Promise<string> {
  await db.transaction().execute(async (tx) => {
    for (const offer of offers) {
      const id = offer.existing ?? (await createOffer(tx, offer.form, group, { by, at })).id
      for (const { form, approved } of offer.texts) await createVariation(tx, id, form, { by, at, approved })
    }
  })
  const made = offers.filter(({ existing }) => existing === null).length
  return `${plural(made, 'offer', 'offers')} and ${plural(texts, 'variation', 'variations')} are imported.`
}
export { Taken }
