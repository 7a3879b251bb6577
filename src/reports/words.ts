import { numberWords } from '../web/formats.js'

/** Up to ten in words, as a sentence has it. */
export const countWord = (count: number, format: (count: number) => string) =>
  numberWords[count] ?? format(count)
export const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
/** nine mailings, 12 mailings, one mailing */
export const counted = (count: number, one: string, many: string, format: (count: number) => string) =>
  `${countWord(count, format)} ${count === 1 ? one : many}`

/** A, B and C */
export const listed = (words: readonly string[]) =>
  words.length < 2 ? (words[0] ?? '') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`

/** Quoted, and shortened where it is long: a name in a sentence. */
export const quoted = (name: string) => {
  const letters = [...name]
  return `“${letters.length > 60 ? `${letters.slice(0, 59).join('').trimEnd()}…` : name}”`
}
