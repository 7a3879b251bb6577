import * as z from 'zod'

// Pieces to read a provider's answers leniently: its documents and its answers may differ, so unknown fields and values
// pass, and what is missing or of another kind is null. Only what a row cannot do without is asked for.

/**
 * Reads a timestamp: ISO 8601 with `Z`, with an offset, or with no zone, which means UTC.
 * @returns UTC milliseconds (finer digits are cut off), or null for what is no timestamp
 */
export function instant(text: string): number | null {
  const parts = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/i.exec(
    text,
  )
  if (!parts) return null
  const [, day, time = '00:00', zone = 'Z'] = parts
  const at = Date.parse(`${day}T${time}${zone.toUpperCase().replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`)
  return Number.isNaN(at) ? null : at
}

function orNull<T>(value: T | null | undefined) {
  return value ?? null
}

export const OptionalText = z.string().nullish().catch(null).transform(orNull)

/** Empty when it is missing. */
export const Text = OptionalText.transform((text) => text ?? '')

export const OptionalNumber = z.number().nullish().catch(null).transform(orNull)

export const OptionalInstant = OptionalText.transform((text) => (text === null ? null : instant(text)))

/** A list in which a row that cannot be read is left out. */
export const listOf = <Row extends z.ZodType>(row: Row) =>
  z
    .array(z.unknown())
    .nullish()
    .catch(null)
    .transform((rows) =>
      (rows ?? []).flatMap((value) => {
        const parsed = row.safeParse(value)
        return parsed.success ? [parsed.data] : []
      }),
    )
