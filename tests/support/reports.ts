import { createReport } from '../../src/reports/commands.js'
import { emptyDefinition, type ReportDefinition } from '../../src/reports/definition.js'
import type { TestApp } from './app.js'

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

/** The raw number that stands on a page under an id. */
export const figureOf = (page: string, id: string) =>
  new RegExp(`id="${id}"[^>]* data-value="([^"]*)"`).exec(page)?.[1]
