import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { parse } from 'csv-parse'
import type { Calendar } from '../web/calendar.js'
import { EmailAddress } from './contacts.js'
import type { ImportRow } from './people.js'

/** The most contacts of one file: its rows are held in memory until they are written. */
export const mostRows = 50_000

/** What a column of a file can hold. */
export const columnRoles = ['email', 'name', 'first_name', 'last_name', 'tags', 'subscribed', 'list'] as const
export type ColumnRole = (typeof columnRoles)[number]
/** The role of each column in turn; null for one that is passed over. */
export type Mapping = (ColumnRole | null)[]

/** Writes all rows, also when a crash comes in between; see `importContacts` in audience.ts. */
export type ImportContacts = (rows: ImportRow[]) => Promise<{ added: number; updated: number; left: number }>

/** A file that cannot be read as CSV at all, told in a sentence. */
export class Unreadable extends Error {}

interface Line {
  /** The line of the file on which it ends, the first is 1. */
  number: number
  cells: string[]
}

/** What a file looks like, before anybody says what its columns mean. */
export interface Shape {
  /** The names of its columns: its first line, or their numbers where that is a contact already. */
  columns: string[]
  hasHeader: boolean
  /** How many lines hold contacts. */
  rows: number
  /** The first few values of each column. */
  samples: string[][]
  /** What the columns seem to hold. */
  guess: Mapping
}

/**
 * Reads a file through once, a piece at a time.
 * @throws Unreadable
 */
export async function shapeOf(path: string): Promise<Shape> {
  const first: Line[] = []
  let rows = 0
  for await (const line of linesOf(path)) {
    if (first.length < 4) first.push(line)
    rows += 1
    if (rows > mostRows + 1) throw new Unreadable(tooMany)
  }
  if (first.length === 0) throw new Unreadable('The file is empty.')
  const width = Math.max(...first.map(({ cells }) => cells.length))
  const hasHeader = !first[0]!.cells.some(looksLikeAddress)
  const body = hasHeader ? first.slice(1) : first
  if (rows - Number(hasHeader) > mostRows) throw new Unreadable(tooMany)
  if (body.length === 0) throw new Unreadable('The file has names of columns, but no contacts below them.')
  const at = (index: number) => body.map(({ cells }) => cells[index] ?? '')
  const columns = Array.from({ length: width }, (_, index) => {
    const name = hasHeader ? first[0]!.cells[index]?.trim() : ''
    return name || `Column ${index + 1}`
  })
  const samples = columns.map((_, index) => at(index).slice(0, 3))
  return {
    columns,
    hasHeader,
    rows: rows - Number(hasHeader),
    samples,
    guess: guessOf(hasHeader ? columns : columns.map(() => ''), samples),
  }
}

const tooMany = `The file has more than ${mostRows.toLocaleString('en-US')} lines. Split it into several.`

export interface Reading {
  rows: ImportRow[]
  /** The first wrong lines, in order, and how many there are in all. */
  errors: { line: number; sentence: string }[]
  errorCount: number
  /** Lines that name an address which an earlier line has named. */
  repeated: number
}

/** Wrong lines that are told one by one. */
const mostErrors = 100

/**
 * Reads all contacts of a file and checks each of them; nothing is written. Lines with the same address become one
 * contact: the first name, day and list, and all tags.
 * @param mapping has the role `email` once
 * @param tag one more tag for all of them, or nothing
 * @param list the list of those of whom the file names none, or nothing
 * @throws Unreadable
 */
export async function readContacts(
  path: string,
  { mapping, hasHeader, tag, list }: { mapping: Mapping; hasHeader: boolean; tag: string; list: string },
  { calendar, now }: { calendar: Calendar; now: number },
): Promise<Reading> {
  const rows = new Map<string, ImportRow>()
  const errors: Reading['errors'] = []
  let [errorCount, repeated, lines] = [0, 0, 0]
  let isFirst = true
  for await (const { number, cells } of linesOf(path)) {
    const isHeader = isFirst && hasHeader
    isFirst = false
    if (isHeader) continue
    lines += 1
    if (lines > mostRows) throw new Unreadable(tooMany)
    const row = rowOf(cells, mapping, { calendar, now })
    if (typeof row === 'string') {
      errorCount += 1
      if (errors.length < mostErrors) errors.push({ line: number, sentence: row })
      continue
    }
    if (tag) row.tags.push(tag)
    row.list ||= list
    const known = rows.get(row.email)
    if (known) repeated += 1
    rows.set(row.email, known ? together(known, row) : { ...row, tags: once(row.tags) })
  }
  return { rows: [...rows.values()], errors, errorCount, repeated }
}

const together = (one: ImportRow, other: ImportRow): ImportRow => ({
  email: one.email,
  name: one.name || other.name,
  tags: once([...one.tags, ...other.tags]),
  subscribedAt: one.subscribedAt ?? other.subscribedAt,
  list: one.list || other.list,
})

/** Each tag once, whatever its case. */
const once = (tags: string[]) => [...new Map(tags.map((tag) => [tag.toLowerCase(), tag])).values()]

/** @returns the contact, or what is wrong with the line */
function rowOf(
  cells: string[],
  mapping: Mapping,
  { calendar, now }: { calendar: Calendar; now: number },
): ImportRow | string {
  const of = (role: ColumnRole) =>
    mapping.flatMap((own, index) => (own === role ? [(cells[index] ?? '').trim()] : []))
  const one = (role: ColumnRole) => of(role).find((cell) => cell !== '') ?? ''

  const address = one('email')
  if (address === '') return 'The address is missing.'
  const email = EmailAddress.safeParse(address)
  if (!email.success)
    return `“${shortened(address)}” is no address: it has one @ with something on both sides.`

  const name = one('name') || [one('first_name'), one('last_name')].filter((part) => part !== '').join(' ')
  if (name.length > 200) return 'The name is longer than 200 letters.'

  const tags = of('tags')
    .flatMap((cell) => cell.split(/[,;|]/))
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '')
  const long = tags.find((tag) => tag.length > 80)
  if (long) return `The tag “${shortened(long)}” is longer than 80 letters.`
  const list = one('list')
  if (list.length > 80) return 'The name of the list is longer than 80 letters.'

  const day = one('subscribed')
  const subscribedAt = day === '' ? null : instantOf(day, calendar)
  if (Number.isNaN(subscribedAt)) return `“${shortened(day)}” is no day. Write it as 2026-11-20.`
  if (subscribedAt !== null && subscribedAt > now) return `The day ${shortened(day)} is yet to come.`
  return { email: email.data, name, tags, subscribedAt, list: list }
}

const shortened = (text: string) => (text.length > 60 ? `${text.slice(0, 60)}…` : text)

/**
 * A day as `2026-11-20` or `20.11.2026`, or an instant as `2026-11-20T14:32:00Z` or `2026-11-20 14:32:00` (UTC).
 * `11/20/2026` is refused: half the world reads it the other way round.
 * @returns milliseconds; NaN for what is none of these
 */
function instantOf(text: string, calendar: Calendar): number {
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(text)
  const day = dotted ? `${dotted[3]}-${dotted[2]!.padStart(2, '0')}-${dotted[1]!.padStart(2, '0')}` : text
  if (/^\d{4}-\d\d-\d\d$/.test(day)) {
    const noon = new Date(`${day}T12:00:00Z`)
    // The 31st of February is no day, though Date would find one.
    const isDay = !Number.isNaN(noon.getTime()) && noon.toISOString().startsWith(day)
    return isDay ? calendar.startOf(day) : Number.NaN
  }
  const instant = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|UTC|[+-]\d\d:?\d\d)?$/.exec(text)
  if (!instant) return Number.NaN
  const [, date, time, zone] = instant
  return Date.parse(`${date}T${time}${!zone || zone === 'UTC' ? 'Z' : zone}`)
}

const looksLikeAddress = (cell: string) => /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(cell.trim())

/** Names that columns have in the exports of newsletter services. */
const usualNames: [ColumnRole, RegExp][] = [
  ['email', /^(e-?mail|mail|e-?mail[ _-]?address|address|subscriber)$/],
  ['first_name', /^(first|given)[ _-]?name$/],
  ['last_name', /^(last|family|sur)[ _-]?name$/],
  ['name', /^(name|full[ _-]?name|contact)$/],
  ['tags', /^(tags?|labels?)$/],
  [
    'subscribed',
    /^(subscribed([ _-]?(at|on|date|day))?|subscription[ _-]?date|opt-?in[ _-]?time|confirm[ _-]?time|creation[ _-]?date|created([ _-]?(at|on))?|date[ _-]?(added|joined|created)|joined)$/,
  ],
  ['list', /^(lists?|list[ _-]?name|audience|newsletter)$/],
]

function guessOf(names: string[], samples: string[][]): Mapping {
  const taken = new Set<ColumnRole>()
  const mapping = names.map((name): ColumnRole | null => {
    const role = usualNames.find(([, pattern]) => pattern.test(name.trim().toLowerCase()))?.[0]
    if (!role || taken.has(role)) return null
    taken.add(role)
    return role
  })
  if (!taken.has('email')) {
    const index = samples.findIndex((values) => values.some(looksLikeAddress))
    if (index >= 0) mapping[index] = 'email'
  }
  return mapping
}

/** The lines of a file that hold anything, a piece of it in memory at a time. */
async function* linesOf(path: string): AsyncGenerator<Line> {
  const { encoding, delimiter } = await formatOf(path)
  const parser = parse({
    bom: true,
    delimiter,
    info: true,
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    skip_records_with_empty_values: true,
    max_record_size: 64_000,
  })
  // Whoever iterates over the parser is told of the errors of both.
  pipeline(textOf(path, encoding), parser, () => {})
  try {
    for await (const { info, record } of parser) yield { number: info.lines, cells: record }
  } catch (error) {
    const { code, lines } = error as { code?: string; lines?: number }
    if (!code?.startsWith('CSV_')) throw error
    if (code === 'CSV_QUOTE_NOT_CLOSED')
      throw new Unreadable('A quotation mark is opened and never closed. Look for a lone " in the file.')
    throw new Unreadable(`Line ${lines ?? '?'} cannot be read as CSV.`)
  }
}

async function* textOf(path: string, encoding: string) {
  const decoder = new TextDecoder(encoding)
  for await (const chunk of createReadStream(path)) yield decoder.decode(chunk as Buffer, { stream: true })
  yield decoder.decode()
}

/** UTF-8, or what older spreadsheets write; and what stands between two cells. */
async function formatOf(path: string): Promise<{ encoding: string; delimiter: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let encoding = 'utf-8'
  let beginning = ''
  for await (const chunk of createReadStream(path)) {
    const bytes = chunk as Buffer
    if (bytes.includes(0))
      throw new Unreadable('This is no CSV file. In a spreadsheet, save it as “CSV UTF-8” first.')
    if (beginning.length < 10_000) beginning += bytes.toString('latin1')
    if (encoding !== 'utf-8') continue
    try {
      decoder.decode(bytes, { stream: true })
    } catch {
      encoding = 'windows-1252'
    }
  }
  const firstLine = beginning.split(/[\r\n]/).find((line) => line.trim() !== '') ?? ''
  const bare = firstLine.replace(/"[^"]*"/g, '')
  const [delimiter] = [',', ';', '\t']
    .map((each) => ({ each, count: bare.split(each).length }))
    .reduce((most, other) => (other.count > most.count ? other : most)).each
  return { encoding, delimiter: delimiter! }
}
