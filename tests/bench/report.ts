/** Numbers as the tables print them. */
export const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
export const mb = (bytes: number) => `${Math.round(bytes / 1_000_000)} MB`
export const number = (value: number) => Math.round(value).toLocaleString('en')
export const seconds = (milliseconds: number) => `${(milliseconds / 1000).toFixed(1)} s`
/** What is under way, beside the tables. */
export const told = (text: string) => console.error(text)

export function check(right: boolean, otherwise: string) {
  if (!right) throw new Error(otherwise)
}
export function table(head: string[], rows: string[][]) {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  console.log(`\n${[line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')}`)
}
