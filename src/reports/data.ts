import type { Paper } from './definition.js'
import type { SectionName, TemplateName } from './templates.js'

/**
 * All that one rendering showed, as it is archived: raw numbers, and sentences that were made of them. Nothing in it is
 * looked up again when it is opened, so it says the same next year.
 */
export interface ReportData {
  version: 1
  template: TemplateName
  title: string
  subtitle: string
  preparedBy: string
  partner: { name: string; ink: string; address: string } | null
  locale: string
  paper: Paper
  /** The clock of its moments, an IANA name. */
  timeZone: string
  /** Whose days and hours its numbers are counted by, where that may be another; older renderings know no difference. */
  countedIn?: string
  /** When it was made, and what the numbers are as of: milliseconds. */
  renderedAt: number
  asOf: number
  /** Days, both included. */
  period: { from: string; to: string }
  /** What it is about, in words: "nine mailings". */
  about: string[]
  verdict: Verdict | null
  sections: Section[]
  /** What a reader has to know of how it was chosen: narrowed, left out. */
  notes: string[]
  /** Plain sentences, for an e-mail. */
  /** The verdict, the figures in one line, and the paragraphs of the commentary; empty where those are off. */
  summary: string[]
}

export interface Verdict {
  /** The sentence in the partner's colour, and what follows it. */
  lead: string
  rest: string
  tiles: Tile[]
  /** What the ticks stand for ("four campaigns of yours before, on average"), and the rings; empty for none. */
  own: string
  field: string
}

/** A figure of page 1. */
export interface Tile {
  id: string
  label: string
  value: number | null
  /** A share of one is written in per cent with these decimals. */
  as: 'number' | 'share' | 'chance'
  decimals: 0 | 1 | 2
  /** Which way is good news. */
  good: 'up' | 'down'
  /** What the partner had before; null where there is nothing. */
  own: number | null
  /** What that is, in words, and how often it is taken: as often as there are mailings or campaigns. Absent in old ones. */
  ownOf?: { words: string; times: number } | null
  /** A figure of the industry, a share of one, with its source and date. */
  field: { share: number; source: string; asOf: string } | null
  /** A few words where there is nothing to compare with. */
  note: string
}

export type CellKind = 'text' | 'number' | 'share0' | 'share1' | 'share2' | 'chance' | 'day' | 'interval'
/** A chance is a probability, a share of one; a day is `YYYY-MM-DD`; an interval is a pair of shares of one and the value between them. */
export type Cell = string | number | null | { low: number; high: number; value: number }

export interface Column {
  label: string
  as: CellKind
  /** Leaves first where there is little room. */
  isLate?: boolean
}

export interface TableRow {
  cells: Cell[]
  /** A second line under the first cell. */
  under?: string
  /** Where the first cell leads: http(s) alone. */
  href?: string
}

export interface Table {
  caption: string
  columns: Column[]
  rows: TableRow[]
  total?: Cell[]
  /** The head of its first column names what it is of: a caption stands above it only where there is no head. */
  isNamed?: boolean
  /** The scale of its intervals: shares of one. */
  scale?: number
}

/** A picture of lines; its numbers stand in `table`. */
export interface Chart {
  /** The story in a sentence. */
  story: string
  as: 'number' | 'share'
  x: number[]
  ticks: { x: number; label: string }[]
  lines: { label: string; look: 'main' | 'second' | 'ghost'; values: (number | null)[] }[]
  table: Table
}

export interface Heat {
  story: string
  /** By weekday, Monday first, and hour. */
  cells: number[][]
  days: string[]
}

export interface FunnelStep {
  name: string
  count: number | null
  /** A share of one, of what the note says. */
  rate: number | null
  note: string
}

export interface Section {
  name: SectionName
  /** The finding, as a sentence without a full stop. */
  heading: string
  paragraphs: string[]
  funnel?: { steps: FunnelStep[]; story: string }
  charts: Chart[]
  heat?: Heat
  tables: Table[]
  /** Side by side where there is room. */
  columns?: { heading: string; paragraphs: string[]; items: string[] }[]
  /** People whom it names, by their place; who they are is kept apart, so that they can be erased. */
  people?: { place: number; cells: Cell[] }[]
  /** In small type below. */
  notes: string[]
}

export const section = (name: SectionName, heading: string, parts: Partial<Section> = {}): Section => ({
  name,
  heading,
  paragraphs: [],
  charts: [],
  tables: [],
  notes: [],
  ...parts,
})
