import type nunjucks from 'nunjucks'
import type { Db } from '../database/open.js'
import type { Readers } from '../database/readers.js'
import { curveBook } from '../mailings/mailing-usual.js'
import type { TiedKinds } from '../partners/kinds.js'
import type { OfferDirectory } from '../promos/directory.js'
import type { Calendar } from '../web/calendar.js'
import { HttpError } from '../web/errors.js'
import { archive, findPicture, getRendering, type Rendering } from './archive.js'
import { computeReport } from './compute.js'
import type { ReportData } from './data.js'
import { definitionOf, type ReportDefinition } from './definition.js'
import { drawReport, periodWords } from './drawing.js'
import { reportFormats } from './locales.js'
import { lookCss, safeInk } from './look.js'
import { Turns } from './pdf/queue.js'
import { getReport } from './queries.js'
import { csvOf } from './tables.js'

interface Needs {
  db: Db
  readers: Readers
  kinds: TiedKinds
  calendar: Calendar
  directory: OfferDirectory
  views: nunjucks.Environment
  now: () => number
}

/** So many reports wait to be rendered that one more is refused. */
export class RenderingBusy extends HttpError {
  constructor() {
    super(503, 'Many reports are being rendered. Try again in a minute.', 'One moment')
  }
}

/** A whole document for the printer. */
export interface ReportDocument {
  /**
   * HTML with its own styles in it; what it points to are data: URLs and paths below /static. It says paper, margins and
   * running lines itself, in `@page`.
   */
  html: string
  title: string
  /** A BCP 47 tag. */
  lang: string
  paper: 'A4' | 'Letter'
  /** TL-2026-047 */
  reportId: string
}

/** The room as the application holds it: what renders reports, archives them, and tells them in other forms. */
export function openReports({ db, readers, kinds, calendar, directory, views, now }: Needs) {
  const sources = {
    db,
    readers,
    kinds,
    calendar,
    directory,
    curves: curveBook({ readers, now }),
  }

  /** Two at a time, as they are printed: the numbers of twenty at once would leave the doors little between. */
  const turns = new Turns(2, 100)

  return {
    /** Computes a report that nobody has saved, and archives nothing: the preview of the builder. */
    compute: (definition: ReportDefinition, { at = now() } = {}) => computeReport(sources, definition, at),

    /**
     * Computes a report as it is defined now, and archives the result unchanged.
     * @param at milliseconds: when it is rendered, which is what the data is as of
     * @param by the account that asked for it; null for a schedule
     * @throws NotFound where there is no such report; RenderingBusy
     */
    async render(
      reportId: number,
      { at = now(), by = null }: { at?: number; by?: number | null } = {},
    ): Promise<Rendering> {
      if (!(await turns.take())) throw new RenderingBusy()
      try {
        const report = await getReport(db, reportId)
        const computed = await computeReport(sources, definitionOf(report.definition), at)
        return await getRendering(db, { id: await archive(db, reportId, computed, { at, by }) })
      } finally {
        turns.leave()
      }
    },

    /** A rendering as it was archived. @throws NotFound */
    rendering: (id: number) => getRendering(db, { id }),

    /** The document of a rendering, for the printer. */
    async documentOf(rendering: Rendering): Promise<ReportDocument> {
      const picture = rendering.hasLogo ? await findPicture(db, rendering.id) : null
      const logo = picture ? `data:${picture.type};base64,${picture.bytes.toString('base64')}` : ''
      const { data, reference } = rendering
      const html = await rendered(views, 'reports/document.njk', {
        ...drawReport(rendering),
        reference,
        logo,
        isPrint: true,
        look: lookOf(rendering),
        title: titleOf(rendering),
      })
      return { html, title: titleOf(rendering), lang: 'en', paper: data.paper, reportId: reference }
    },

    /** All numbers of a rendering as CSV. */
    csvOf,

    /** A rendering in plain text, for an e-mail: the verdict, the figures, the commentary, as far as it shows them. */
    summaryOf({ data, reference }: Rendering): string {
      const f = reportFormats(data.locale, data.timeZone)
      return [
        `${data.title}${data.partner ? `, for ${data.partner.name}` : ''}`,
        periodWords(data, f),
        '',
        ...shownOf(data).flatMap((line) => [line, '']),
        ...data.notes.flatMap((line) => [line, '']),
        `Report ${reference}, data as of ${f.moment(data.asOf)}.`,
      ]
        .join('\n')
        .trim()
    },
  }
}
export type Reports = ReturnType<typeof openReports>

/** The lines of the summary; older renderings hold those of sections that are off too. */
function shownOf({ summary, verdict, sections }: ReportData): string[] {
  const [lead = '', figures = '', ...told] = summary
  const hasCommentary = sections.some(({ name }) => name === 'commentary')
  return [...(verdict ? [lead, figures] : []), ...(hasCommentary ? told : [])].filter((line) => line !== '')
}

/** Nunjucks throws what is wrong with a template only where nobody waits for it, unless it is handed a callback. */
const rendered = (views: nunjucks.Environment, name: string, data: object) =>
  new Promise<string>((done, fail) =>
    views.render(name, data, (error, html) => (error ? fail(error) : done(html!))),
  )

/** Autumn Reading List, 27 October 2026 to 20 November 2026, report for Paperboat */
export function titleOf({ data }: { data: ReportData }): string {
  const f = reportFormats(data.locale, data.timeZone)
  return `${data.title}, ${periodWords(data, f)}${data.partner ? `, report for ${data.partner.name}` : ''}`
}

/** autumn-reading-list-2026-10-27-to-2026-11-20: the name of a file, without its ending. */
export function fileNameOf({ data }: { data: ReportData }): string {
  const words = data.title
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
  const name = [...words].slice(0, 60).join('').replace(/-+$/, '') || 'report'
  const { from, to } = data.period
  return `${name}-${from}${from === to ? '' : `-to-${to}`}`
}

/** The line at the foot of each page. */
const footOf = ({ data }: Pick<Rendering, 'data'>) => {
  const whose = data.partner?.name ?? data.preparedBy
  const asOf = reportFormats(data.locale, data.timeZone).moment(data.asOf)
  return `${whose === '' ? '' : `${[...whose].slice(0, 60).join('')} · `}data as of ${asOf}`
}

/** The rendering's own sheet of styles. */
export const lookOf = (rendering: Pick<Rendering, 'data' | 'reference'>) =>
  lookCss({
    ink: safeInk(rendering.data.partner?.ink ?? ''),
    paper: rendering.data.paper,
    title: rendering.data.title,
    foot: footOf(rendering),
    reference: rendering.reference,
  })
