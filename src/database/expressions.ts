import { type Expression, type SqlBool, sql } from 'kysely'

/** Does the text contain this part? Upper and lower case are one for ASCII; no character is a wildcard. */
export function contains(text: Expression<string>, part: string) {
  return sql<SqlBool>`instr(lower(${text}), ${part.toLowerCase()}) > 0`
}
