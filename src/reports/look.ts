import type { Paper } from './definition.js'

/** The ink of reports whose partner chose no colour. */
const usualInk = '#1f3fae'

/** A colour as a style sheet may have it: what is none becomes the usual ink, so that nothing else can get in. */
export const safeInk = (text: string) => (/^#[0-9a-f]{6}$/.test(text) ? text : usualInk)

/** Text as a string of CSS: whatever could end it, or mean something in it, is written by its number. */
const cssString = (text: string) =>
  `"${[...text].map((sign) => (/[\p{L}\p{N} .,:·-]/u.test(sign) ? sign : `\\${sign.codePointAt(0)!.toString(16)} `)).join('')}"`

const font = 'font: 7.5pt "Liberation Sans", Arial, "Noto Sans", sans-serif; color: #62656e;'

/** Letter is 18 mm shorter than A4; page 1 stands alone on it too. */
const tighter = `@media print {
  .report-title { margin-block: 11mm 8mm; }
  .report-title--long { margin-block: 6mm 6mm; }
  .report-verdict { margin-block-end: 7mm; }
  .report-tiles { row-gap: 6mm; }
}
`

/**
 * The small sheet that is one report's alone: the partner's ink, the paper, and the running lines in the margins. On page 1
 * the title stands large, so no line above repeats it.
 */
export function lookCss({
  ink,
  paper,
  title,
  foot,
  reference,
}: {
  ink: string
  paper: Paper
  title: string
  foot: string
  reference: string
}): string {
  const shortened = [...title].slice(0, 90).join('')
  return `@layer tokens { :root { --partner: ${safeInk(ink)}; } }
@page { size: ${paper === 'Letter' ? 'letter' : 'A4'}; margin: 15mm 17mm 19mm;
  @top-left { content: ${cssString(shortened)}; ${font} vertical-align: middle; inline-size: 170mm; }
  @bottom-left { content: ${cssString(foot)}; ${font} vertical-align: top; padding-top: 5mm; inline-size: 110mm; }
  @bottom-right { content: "page " counter(page) " of " counter(pages) ${cssString(` · report ${reference}`)}; ${font} vertical-align: top; padding-top: 5mm; inline-size: 60mm; }
}
@page :first { @top-left { content: none; } }
${paper === 'Letter' ? tighter : ''}`
}
