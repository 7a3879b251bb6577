import { type Request, Router } from 'express'
import { accountOf } from '../accounts/gate.js'
import { tell } from '../accounts/sessions.js'
import type { Db } from '../database/open.js'
import { NotFound } from '../web/errors.js'
import { findPicture, getRendering, listRenderings, type Rendering } from './archive.js'
import { createReport, deleteReport, setReportArchived } from './commands.js'
import { definitionOf } from './definition.js'
import { drawReport } from './drawing.js'
import { getReport, listReports } from './queries.js'
import { fileNameOf, lookOf, type Reports, titleOf } from './reports.js'
import { templates } from './templates.js'

interface Needs {
  db: Db
  reports: Reports
  now: () => number
}

/** `/reports`: all reports; one of them with what was rendered of it; and each rendering as a page. */
export function reportPages({ db, reports, now }: Needs) {
  const routes = Router()

  routes.get('/reports', async (_req, res) => {
    const lines = (await listReports(db)).map((line) => ({ ...line, templateLabel: labelOf(line.template) }))
    res.render('reports/index', {
      room: 'reports',
      reports: lines.filter(({ archived_at }) => archived_at === null),
      archived: lines.filter(({ archived_at }) => archived_at !== null),
    })
  })

  routes.get('/reports/:id', async (req, res, next) => {
    if (!/^\d+$/.test(req.params.id)) return next()
    const report = await getReport(db, req.params.id)
    const renderings = await listRenderings(db, report.id)
    res.render('reports/report', {
      room: 'reports',
      report,
      templateLabel: labelOf(report.template),
      definition: definitionOf(report.definition),
      renderings,
    })
  })

  // Rendering computes and archives; a GET never does.
  routes.post('/reports/:id/renderings', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const rendering = await reports.render(report.id, { at: now(), by: accountOf(res).id })
    res.redirect(303, addressOf(rendering))
  })

  routes.post('/reports/:id/duplicate', async (req, res) => {
    const report = await getReport(db, req.params.id)
    const definition = definitionOf(report.definition)
    const title = `${definition.title} (copy)`.slice(0, 160)
    const copy = await createReport(db, { ...definition, title }, { by: accountOf(res).id, now: now() })
    tell(req, `This is a copy of ${report.title}. Change what differs, and save.`)
    res.redirect(303, `/reports/${copy.id}/edit`)
  })

  // Archiving is a thing of its own: `archived` says which way.
  routes.post('/reports/:id/archiving', async (req, res) => {
    const { id, title } = await getReport(db, req.params.id)
    const restoring = (req.body as { archived?: unknown } | undefined)?.archived === '0'
    await setReportArchived(db, id, restoring ? null : now())
    tell(req, restoring ? `${title} is back.` : `${title} is archived. What was rendered stays.`)
    res.redirect(303, restoring ? `/reports/${id}` : '/reports')
  })

  routes.post('/reports/:id/deletion', async (req, res) => {
    const { id, title } = await getReport(db, req.params.id)
    await deleteReport(db, id)
    tell(req, `The report ${title} is deleted.`)
    res.redirect(303, '/reports')
  })

  const read = async (req: Request<{ id: string; number: string }>) => {
    const { id } = await getReport(db, req.params.id)
    return getRendering(db, { report: id, number: req.params.number })
  }

  routes.get('/reports/:id/renderings/:number', async (req, res) => {
    const rendering = await read(req)
    const here = addressOf(rendering)
    res.set('Cache-Control', 'no-store').render('reports/rendering', {
      ...drawReport(rendering),
      reference: rendering.reference,
      logo: rendering.hasLogo ? `${here}/logo` : '',
      isPrint: false,
      title: titleOf(rendering),
      here,
      back: `/reports/${rendering.reportId}`,
      backWords: 'the report',
    })
  })

  routes.get('/reports/:id/renderings/:number/look.css', async (req, res) => {
    res
      .type('css')
      .set('Cache-Control', 'private, max-age=3600')
      .send(lookOf(await read(req)))
  })

  routes.get('/reports/:id/renderings/:number/logo', async (req, res) => {
    const picture = await findPicture(db, (await read(req)).id)
    if (!picture) throw new NotFound('This report has no logo.')
    res.set(pictureHeaders(picture)).send(picture.bytes)
  })

  routes.get('/reports/:id/renderings/:number/data.csv', async (req, res) => {
    const rendering = await read(req)
    res
      .set({
        'Content-Type': 'text/csv; charset=utf-8',
        'Content-Disposition': dispositionOf(`${fileNameOf(rendering)}.csv`),
        'Cache-Control': 'no-store',
      })
      .send(reports.csvOf(rendering))
  })

  return routes
}

const labelOf = (template: string) => templates[template as keyof typeof templates]?.label ?? 'Custom'

export const addressOf = ({ reportId, number }: Pick<Rendering, 'reportId' | 'number'>) =>
  `/reports/${reportId}/renderings/${number}`

/** A file with a name in any script, as RFC 6266 and RFC 8187 write it. */
export const dispositionOf = (name: string) =>
  `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"; filename*=UTF-8''${encodeURIComponent(name)}`

/** Bytes that somebody uploaded: whatever is in them, a browser takes them for a picture, or for nothing. */
export const pictureHeaders = ({ type, hash }: { type: string; hash: string }) => ({
  'Content-Type': type,
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; sandbox",
  'Content-Disposition': 'inline',
  'Cache-Control': 'private, no-cache',
  ETag: `"${hash.slice(0, 22)}"`,
})
