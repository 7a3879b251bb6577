import { type Expression, type SqlBool, sql } from 'kysely'

/** Does the text hold this part, letter for letter? No character is a wildcard. */
export function holds(text: Expression<string>, part: string) {
  return sql<SqlBool>`instr(${text}, ${part}) > 0`
}

/** Do these bytes, read as UTF-8, hold this part in whatever case? @param part in lower case */
export function bytesHold(bytes: Expression<Uint8Array | null>, part: string) {
  return sql<SqlBool>`instr(lower(cast(${bytes} as text)), ${part}) > 0`
}

/** Is the number one of these? However many there are, they are one parameter. */
export function isAmong(number: Expression<number>, numbers: number[]) {
  return sql<SqlBool>`${number} in (select value from json_each(${JSON.stringify(numbers)}))`
}

/** The value itself, but no index is looked up by it: for a column by which another index is the better way. */
export function unindexed<Value extends number | string>(column: Expression<Value>) {
  return sql<Value>`+${column}`
}

/** Does the text end in this part, letter for letter? */
export function endsIn(text: Expression<string>, part: string) {
  return sql<SqlBool>`substr(${text}, ${-[...part].length}) = ${part}`
}

/** The greater of two numbers; where one is missing the other, and null where both are. */
export function greaterOf(one: Expression<number | null>, other: Expression<number | null>) {
  return sql<number | null>`max(coalesce(${one}, ${other}), coalesce(${other}, ${one}))`
}

/** The first day of the week (a Monday) or month in which a day (`YYYY-MM-DD`) falls, or the day itself. */
export function startOfPeriod(day: Expression<string>, unit: 'day' | 'week' | 'month') {
  if (unit === 'week') return sql<string>`date(${day}, '-6 days', 'weekday 1')`
  if (unit === 'month') return sql<string>`substr(${day}, 1, 8) || '01'`
  // Grouped by the column itself, SQLite would walk through an index by day and look up each row.
  return sql<string>`+${day}`
}

/** A number divided by another, whole: 7 by 2 is 3. */
export function wholeParts(number: Expression<number>, by: number) {
  // Parameters are bound as floating-point numbers, and would make the division one.
  return sql<number>`cast(${number} / ${sql.lit(by)} as integer)`
}

/**
 * All rows of a group as one JSON text, an array of arrays: a fifth of what it costs to carry millions of rows out of
 * a reading thread one by one.
 */
export function asJsonRows(columns: Expression<number | string | null>[]) {
  return sql<string>`json_group_array(json_array(${sql.join(columns)}))`
}

/**
 * Does a JSON object hold this under a key: the text itself (capital or small, of the letters A to Z), the number, or one
 * of either in an array? A missing key, and no object at all, hold nothing; nor does a key with a quotation mark in it,
 * which no path can name.
 */
export function jsonHolds(object: Expression<string | null>, key: string, value: string) {
  if (key.includes('"')) return sql<SqlBool>`1 = 0`
  const number = value.trim() === '' ? Number.NaN : Number(value)
  const same = Number.isFinite(number)
    ? sql`(type in ('integer', 'real') and value = ${number} or lower(value) = lower(${value}))`
    : sql`lower(value) = lower(${value})`
  return sql<SqlBool>`exists (select 1 from json_each(${object}, ${`$."${key}"`}) where ${same})`
}

/** Whether a JSON object has something under a key. */
export const jsonHas = (object: Expression<string | null>, key: string) =>
  key.includes('"') ? sql<SqlBool>`1 = 0` : sql<SqlBool>`json_type(${object}, ${`$."${key}"`}) is not null`
