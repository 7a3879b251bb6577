import * as z from 'zod'
import { isTimeZone } from '../config.js'
import { type Calendar, calendar } from '../web/calendar.js'
import { locales } from './locales.js'
import {
  inOrder,
  type SectionChoice,
  sectionNames,
  sectionsOf,
  type TemplateName,
  templateNames,
  templates,
} from './templates.js'

export const papers = ['A4', 'Letter'] as const
export type Paper = (typeof papers)[number]

export const periodKinds = ['all', 'days', 'week', 'month', 'dates'] as const
/**
 * `all`: from the first thing to now; `days`: so many days up to now; `week`, `month`: the last one that is over;
 * `dates`: two days of the calendar, both included.
 */
export interface Period {
  kind: (typeof periodKinds)[number]
  days: number
  from: string
  to: string
}

/** What a report is about: ids of things, and a project with all that is tied to it. */
export interface Subjects {
  project: number | null
  mailings: number[]
  campaigns: number[]
  lists: number[]
  offers: number[]
}

/** Whom a report is narrowed to; empty or 0: everybody. */
export interface Narrowing {
  /** The name of a tag. */
  tag: string
  /** The id of a segment. */
  segment: number
  /** A field of a list, and the value it has. */
  list: number
  field: string
  value: string
}

/** All that a person chooses of a report. */
export interface ReportDefinition {
  template: TemplateName
  title: string
  subtitle: string
  preparedBy: string
  partner: number | null
  subjects: Subjects
  narrowing: Narrowing
  period: Period
  sections: SectionChoice[]
  /** Empty: drafted from the numbers at each rendering. */
  verdict: string
  commentary: string
  nextSteps: string
  locale: string
  /** The clock of its schedules and of the moments it names; an IANA name, empty for the installation's. */
  timeZone: string
  paper: Paper
  /** What belongs to other partners may be in it. */
  withOthers: boolean
}

/** A zone by its name: an offset such as `+05:30` knows no summer time. Empty: the installation's. */
export const isReportZone = (name: string) => name === '' || (/^[A-Za-z]/.test(name) && isTimeZone(name))

/**
 * The calendar of a report's own clock. Days and hours of its numbers are not told by it: they are counted in the time
 * zone of the installation, as on every page.
 */
export const clockCalendar = ({ timeZone }: Pick<ReportDefinition, 'timeZone'>, installation: Calendar) =>
  timeZone === '' || timeZone === installation.timeZone || !isReportZone(timeZone)
    ? installation
    : calendar(timeZone)

const ids = z.array(z.number().int().min(1)).catch([])
const text = z.string().catch('')

/** A definition as the database keeps it. Whatever an older version did not know has its default. */
const Stored = z.object({
  template: z.enum(templateNames).catch('custom'),
  title: text,
  subtitle: text,
  preparedBy: text,
  partner: z.number().nullable().catch(null),
  subjects: z
    .object({
      project: z.number().nullable().catch(null),
      mailings: ids,
      campaigns: ids,
      lists: ids,
      offers: ids,
    })
    .catch({ project: null, mailings: [], campaigns: [], lists: [], offers: [] }),
  narrowing: z
    .object({ tag: text, segment: z.number().catch(0), list: z.number().catch(0), field: text, value: text })
    .catch({ tag: '', segment: 0, list: 0, field: '', value: '' }),
  period: z
    .object({ kind: z.enum(periodKinds), days: z.number(), from: text, to: text })
    .catch({ kind: 'all', days: 30, from: '', to: '' }),
  sections: z
    .array(z.object({ name: z.enum(sectionNames), on: z.boolean() }))
    .catch([])
    .transform(inOrder),
  verdict: text,
  commentary: text,
  nextSteps: text,
  locale: z.enum(Object.keys(locales)).catch('en-US'),
  timeZone: z.string().refine(isReportZone).catch(''),
  paper: z.enum(papers).catch('A4'),
  withOthers: z.boolean().catch(false),
})

/** @param json as the database keeps it */
export const definitionOf = (json: string): ReportDefinition => Stored.parse(JSON.parse(json))

const noNarrowing: Narrowing = { tag: '', segment: 0, list: 0, field: '', value: '' }
export const isNarrowed = ({ tag, segment, field }: Narrowing) => tag !== '' || segment > 0 || field !== ''

/** What a template keeps of a report: its sections, look and language, and not what it is about. */
export const templateParts = ({
  template,
  sections,
  locale,
  timeZone,
  paper,
  preparedBy,
  subtitle,
  period,
}: ReportDefinition) => ({ template, sections, locale, timeZone, paper, preparedBy, subtitle, period })

/** The period that a new report of a template has. */
export const usualPeriod = (template: TemplateName): Period => {
  const { days } = templates[template]
  return { kind: days === undefined ? 'all' : 'days', days: days ?? 30, from: '', to: '' }
}

/** A report that nobody has chosen anything of yet. */
export const emptyDefinition = (template: TemplateName): ReportDefinition => ({
  template,
  title: '',
  subtitle: '',
  preparedBy: '',
  partner: null,
  subjects: { project: null, mailings: [], campaigns: [], lists: [], offers: [] },
  narrowing: noNarrowing,
  period: usualPeriod(template),
  sections: sectionsOf(template),
  verdict: '',
  commentary: '',
  nextSteps: '',
  locale: 'en-US',
  timeZone: '',
  paper: 'A4',
  withOthers: false,
})
