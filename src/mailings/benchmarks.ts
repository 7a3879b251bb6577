import * as z from 'zod'
import type { SettingsSection } from '../accounts/settings.js'
import type { Db } from '../database/open.js'
import { readSetting, writeSetting } from '../database/settings.js'
import { formErrors } from '../web/forms.js'
import type { RateName } from './statistics.js'

/** A figure of the industry, with which a rate can be compared. */
export interface Benchmark {
  /** A share of one, as rates are. */
  share: number
  /** Who says so, and of whom. */
  source: string
  /** The year, or year and month, for which it holds: 2025 or 2025-06. */
  asOf: string
}
/** By the names of rates; null where nobody wants to compare. */
export type Benchmarks<Name extends string> = Record<Name, Benchmark | null>

/** A rate that can be compared with a figure of the industry. */
export interface ComparedRate {
  title: string
  /** What stands there before anybody writes a figure, in per cent; null: nothing, since no round figure is known. */
  first: number | null
}

/** As it is kept: in per cent, so that it stays what was typed. Without a figure its source waits for the next one. */
export interface Figure {
  percent: number | null
  source: string
  as_of: string
}

const settingName = 'mailing_benchmarks'

/**
 * The rates of a mailing. Their first figures are round ones in the middle of what large senders publish of newsletters in
 * general. They come from no single study, and their source says so: whoever has better ones writes them over.
 */
export const mailingRates: Record<RateName, ComparedRate> = {
  open: { title: 'Open rate', first: 40 },
  click: { title: 'Click rate', first: 2.5 },
  clickToOpen: { title: 'Click-to-open', first: 6 },
  bounce: { title: 'Bounce rate', first: 1 },
  unsubscribe: { title: 'Unsubscribe rate', first: 0.2 },
  complaint: { title: 'Complaint rate', first: 0.02 },
}
const firstFigure = ({ first }: ComparedRate): Figure =>
  first === null
    ? { percent: null, source: '', as_of: '' }
    : { percent: first, source: 'Round industry figure, newsletters in general', as_of: '2025' }

/** What was saved; a rate that never was has its first figure. */
async function readFigures<Name extends string>(
  db: Db,
  rates: Record<Name, ComparedRate>,
): Promise<Record<Name, Figure>> {
  const saved = await readSetting(db, settingName)
  const figures: Partial<Record<Name, Figure>> = saved === undefined ? {} : JSON.parse(saved)
  return byRate(rates, (rate) => figures[rate] ?? firstFigure(rates[rate]))
}

const namesOf = <Name extends string>(rates: Record<Name, ComparedRate>) => Object.keys(rates) as Name[]
const byRate = <Name extends string, T>(rates: Record<Name, ComparedRate>, make: (rate: Name) => T) =>
  Object.fromEntries(namesOf(rates).map((rate) => [rate, make(rate)])) as Record<Name, T>

/**
 * The figures as people last left them on the settings page.
 * @param rates those that are asked for
 */
export async function readBenchmarks<Name extends string>(
  db: Db,
  rates: Record<Name, ComparedRate>,
): Promise<Benchmarks<Name>> {
  const figures = await readFigures(db, rates)
  return byRate(rates, (rate) => {
    const { percent, source, as_of } = figures[rate]
    return percent === null ? null : { share: percent / 100, source, asOf: as_of }
  })
}

/** Keeps figures; those of other rates stay as they are. */
export async function writeBenchmarks(db: Db, figures: Record<string, Figure>) {
  const saved = await readSetting(db, settingName)
  const kept: Record<string, Figure> = saved === undefined ? {} : JSON.parse(saved)
  await writeSetting(db, settingName, JSON.stringify({ ...kept, ...figures }))
}

const percentRule = 'Write the figure in per cent, such as 2.5, or nothing.'
const dateRule = 'Write the year, or year and month: 2025 or 2025-06.'
const Source = z
  .string('Say where the figure comes from.')
  .trim()
  .max(120, 'Keep the source under 120 letters.')
const AsOf = z
  .string(dateRule)
  .trim()
  .regex(/^((19|20)\d\d(-(0[1-9]|1[0-2]))?)?$/, dateRule)

/** What may come in for one rate. A figure says where it comes from, and of when it is. */
const FigureForm = z.object({
  percent: z
    .string(percentRule)
    .trim()
    .regex(/^\d{1,3}([.,]\d{1,4})?$/, percentRule)
    .transform((text) => Number(text.replace(',', '.')))
    .refine((percent) => percent <= 100, 'A rate is 100% at most.'),
  source: Source.min(1, 'Say where the figure comes from.'),
  as_of: AsOf.min(1, dateRule),
})
const NoFigureForm = z.object({
  percent: z
    .string()
    .trim()
    .length(0)
    .transform(() => null),
  source: Source,
  as_of: AsOf,
})

/**
 * The page of the settings on which the industry’s figures are kept up to date.
 * @param rates all that are compared with one, those of higher rooms too
 */
export function benchmarkSection({
  db,
  rates,
}: {
  db: Db
  rates: Record<string, ComparedRate>
}): SettingsSection {
  return {
    id: 'benchmarks',
    title: 'Industry figures',
    fragment: 'mailings/_benchmarks.njk',
    about: async () => ({ rates: namesOf(rates).map((name) => ({ name, ...rates[name]! })) }),
    /** Three fields for each rate, such as `open_percent`, `open_source` and `open_as_of`. */
    async load() {
      const fields = Object.entries(await readFigures(db, rates)).flatMap(([rate, figure]) => [
        [`${rate}_percent`, figure.percent === null ? '' : String(figure.percent)],
        [`${rate}_source`, figure.source],
        [`${rate}_as_of`, figure.as_of],
      ])
      return Object.fromEntries(fields)
    },
    async save(body) {
      const sent = body as Record<string, unknown>
      const errors: Record<string, string> = {}
      const figures: Record<string, Figure> = {}
      for (const rate of namesOf(rates)) {
        const fields = {
          percent: sent[`${rate}_percent`],
          source: sent[`${rate}_source`],
          as_of: sent[`${rate}_as_of`],
        }
        const isEmpty = typeof fields.percent === 'string' && fields.percent.trim() === ''
        const form = (isEmpty ? NoFigureForm : FigureForm).safeParse(fields)
        if (form.success) figures[rate] = form.data
        else
          for (const [name, sentence] of Object.entries(formErrors(form.error)))
            if (name !== 'first') errors[`${rate}_${name}`] = sentence
      }
      const [first] = Object.keys(errors)
      if (first !== undefined) return { errors: { ...errors, first } }
      await writeBenchmarks(db, figures)
      return { told: 'Mailings and reports are compared with these figures from now on.' }
    },
  }
}
