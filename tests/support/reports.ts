import type supertest from 'supertest'
import { createReport } from '../../src/reports/commands.js'
import { emptyDefinition, type ReportDefinition } from '../../src/reports/definition.js'
import { type SectionName, sectionNames } from '../../src/reports/templates.js'
import type { TestApp } from './app.js'

/** All sections there are, switched on. */
export const everySection = sectionNames.map((name) => ({ name, on: true }))

/** A report; say only what the test is about. */
export async function aReportOf(
  { db, clock }: Pick<TestApp, 'db' | 'clock'>,
  given: Partial<Omit<ReportDefinition, 'subjects'>> & {
    subjects?: Partial<ReportDefinition['subjects']>
  } = {},
) {
  const empty = emptyDefinition(given.template ?? 'campaign')
  const definition = {
    ...empty,
    title: 'Autumn Reading List',
    ...given,
    subjects: { ...empty.subjects, ...given.subjects },
  }
  const { id } = await createReport(db, definition, { by: null, now: clock.now() })
  return { id, definition }
}

/** Renders a report as a schedule does, and opens its page as somebody who has logged in. */
export async function rendered(
  { reports }: Pick<TestApp, 'reports'>,
  http: Pick<ReturnType<typeof supertest.agent>, 'get'>,
  report: number,
) {
  const rendering = await reports.render(report, {})
  const at = `/reports/${report}/renderings/${rendering.number}`
  const page = (await http.get(at).expect(200)).text
  return { rendering, at, page }
}
type Rendered = Awaited<ReturnType<typeof rendered>>['rendering']

export function sectionOf({ data }: Rendered, name: SectionName) {
  const found = data.sections.find((section) => section.name === name)
  if (!found) throw new Error(`The report has no section ${name}.`)
  return found
}

/** The raw number that stands on a page under an id. */
export const figureOf = (page: string, id: string) =>
  new RegExp(`id="${id}"[^>]* data-value="([^"]*)"`).exec(page)?.[1]

/** The rows of a table on a page by its caption: raw numbers, words where there are none, null for no value. */
export function tableOn(page: string, caption: string): (string | number | null)[][] {
  const table = page
    .match(/<table[\s\S]*?<\/table>/g)
    ?.find((each) => /<caption[^>]*>([^<]*)</.exec(each)?.[1] === caption)
  if (!table) throw new Error(`The page has no table ${caption}.`)
  const [, body] = /<tbody>([\s\S]*?)<\/tbody>/.exec(table)!
  return [...body!.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t([hd])([^>]*)>([\s\S]*?)<\/t\1>/g)].map(([, , attributes, words]) => {
      const raw = /data-value="([^"]*)"/.exec(attributes!)?.[1]
      if (raw === '') return null
      // A day is raw as well, and no number.
      if (raw !== undefined && !Number.isNaN(Number(raw))) return Number(raw)
      return words!
        .replace(/<span class="under">[\s\S]*?<\/span>/, '')
        .replace(/<[^>]+>/g, '')
        .trim()
    }),
  )
}

/** What a provider tells of a mailing with 10,000 links: the first was clicked 10,000 times, each further one once less. */
export async function addTenThousandLinks({ db }: Pick<TestApp, 'db'>, mailing_id: number) {
  for (let from = 0; from < 10_000; from += 500)
    await db
      .insertInto('mailing_link_reports')
      .values(
        Array.from({ length: 500 }, (_, index) => ({
          mailing_id,
          url: `https://shop.example/${from + index}`,
          clicks: 10_000 - from - index,
          unique_clicks: 1,
          checked_at: 1,
        })),
      )
      .execute()
}
