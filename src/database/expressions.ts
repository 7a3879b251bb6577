import { type Expression, type SqlBool, sql } from 'kysely'

/** Does the text contain this part? Upper and lower case are one for ASCII; no character is a wildcard. */
export function contains(text: Expression<string>, part: string) {
  return sql<SqlBool>`instr(lower(${text}), ${part.toLowerCase()}) > 0`
}

/** Does the text hold this part, letter for letter? Cheaper than `contains` where both are lower case already. */
export function holds(text: Expression<string>, part: string) {
  return sql<SqlBool>`instr(${text}, ${part}) > 0`
}

/** Is the number one of these? However many there are, they are one parameter. */
export function isAmong(number: Expression<number>, numbers: number[]) {
  return sql<SqlBool>`${number} in (select value from json_each(${JSON.stringify(numbers)}))`
}

/** The number itself, but no index is looked up by it: for a column by which another index is the better way. */
export function unindexed(number: Expression<number>) {
  return sql<number>`+${number}`
}
