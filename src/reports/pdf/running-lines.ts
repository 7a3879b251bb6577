/** Paper as `@page` knows it. */
export type Paper = 'A4' | 'Letter'

/**
 * The page box and what runs along every page: the title above from the second page on, and below "page x of y · report
 * id". Margin boxes are content of the style sheet, so what people typed enters it as escaped CSS strings.
 */
export function runningLines({ title, reportId, paper }: { title: string; reportId: string; paper: Paper }) {
  const box = `font: 7.5pt/1.3 "Liberation Sans", "Noto Sans", Arial, sans-serif; color: #62656e; vertical-align: middle;`
  return `@page {
  size: ${paper};
  margin: 15mm 17mm 19mm;
  @top-left { content: ${cssString(shortened(title, 110))}; ${box} }
  @bottom-right { content: "page " counter(page) " of " counter(pages) ${cssString(` · report ${reportId}`)}; ${box} }
}
@page :first { @top-left { content: none; } }
`
}

/** Text as a string of CSS: whatever is no plain letter or digit is written by its code point (CSS Syntax 3, § 4.3.7). */
export const cssString = (text: string) =>
  `"${text.replace(/[\s\p{Cc}]+/gu, ' ').replace(/[^\p{L}\p{N}\p{M} .,·–-]/gu, (sign) => `\\${sign.codePointAt(0)!.toString(16)} `)}"`

/** One line's worth of a text, cut between letters as people see them. */
function shortened(text: string, most: number) {
  const letters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : text
}
