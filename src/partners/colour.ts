/** Text of any size is read at this contrast (WCAG 2.2, success criterion 1.4.3, level AA). */
export const leastContrast = 4.5

/** A partner's colour as a report prints it. */
export interface Ink {
  /** What was chosen, as `#rrggbb`. */
  colour: string
  /** What is printed on white: the same, or darkened until it can be read. As `#rrggbb`. */
  ink: string
  /** Of the ink on white, from {@link leastContrast} to 21. */
  contrast: number
  isDarkened: boolean
}

/**
 * The one spelling of a colour: `#3A7`, `33aa77` and `#33AA77` are all `#33aa77`.
 * @returns null for what is no colour
 */
export function hexColour(text: string): string | null {
  const digits = /^#?([0-9a-f]{3}|[0-9a-f]{6})$/.exec(text.trim().toLowerCase())?.[1]
  if (digits === undefined) return null
  return `#${digits.length === 3 ? [...digits].map((digit) => digit + digit).join('') : digits}`
}

/**
 * Darkens a colour until it has {@link leastContrast} to white, and no further: the same colour under less light. All
 * three parts are scaled alike in linear light, which keeps their proportions, and with it hue and saturation; the
 * luminance is scaled by the same factor, so that the factor is known at once.
 * @param colour `#rrggbb`
 */
export function inkOf(colour: string): Ink {
  const linear = channels(colour).map(toLinear)
  const darkest = 1.05 / leastContrast - 0.05
  const isDarkened = contrastOnWhite(colour) < leastContrast
  if (!isDarkened) return { colour, ink: colour, contrast: contrastOnWhite(colour), isDarkened }
  const factor = darkest / luminanceOf(linear)
  // Rounded down, so that the contrast is never a hair too little.
  const bytes = linear.map((part) => Math.floor(fromLinear(part * factor) * 255))
  const ink = `#${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
  return { colour, ink, contrast: contrastOnWhite(ink), isDarkened }
}

/**
 * Contrast ratio to white, 1 to 21: (1 + 0.05) ÷ (luminance + 0.05), as WCAG 2.2 defines it.
 * @param colour `#rrggbb`
 */
export const contrastOnWhite = (colour: string) => 1.05 / (luminanceOf(channels(colour).map(toLinear)) + 0.05)

/** Red, green and blue, each from 0 to 1 as sRGB encodes them. */
const channels = (colour: string) =>
  [1, 3, 5].map((start) => Number.parseInt(colour.slice(start, start + 2), 16) / 255)

/** IEC 61966-2-1, from the encoded value to light and back. */
const toLinear = (part: number) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
const fromLinear = (light: number) =>
  light <= 0.0031308 ? light * 12.92 : 1.055 * light ** (1 / 2.4) - 0.055

/** Relative luminance of WCAG 2.2, of linear parts. */
const luminanceOf = ([red = 0, green = 0, blue = 0]: number[]) =>
  0.2126 * red + 0.7152 * green + 0.0722 * blue
